//! `clevertap.events`: what people did.
//!
//! ```sql
//! SELECT identity, event_time, (properties -> 'Amount')::double AS amount FROM clevertap.events
//! WHERE event_name = 'Charged' AND event_date BETWEEN '2026-01-01' AND '2026-01-31';
//!
//! SELECT identity, "Amount" FROM clevertap_events."Charged" WHERE event_time >= '2026-01-31 18:00' AND event_date <= '2026-02-01';
//!
//! INSERT INTO clevertap.events
//! SELECT user_id AS identity, 'Charged' AS event_name, paid_at AS event_time, amount AS "Amount" FROM 'payments.parquet';
//!
//! INSERT INTO clevertap_events."Charged"
//! SELECT user_id AS identity, paid_at AS event_time, amount AS "Amount", items FROM 'payments.parquet';
//! ```
//!
//! Wire format: <https://developer.clevertap.com/docs/upload-events-api> and
//! <https://developer.clevertap.com/docs/get-events-api>, read 2026-11-21. The profile in an exported event is the current
//! one, not the one at the time of the event. A record has neither an event name nor an id.

use crate::table::Kind::{self, Day, Instant, Json, Text};
use crate::table::Shape::{EpochSeconds, EventName, Identifier, Items, Properties};
use crate::table::Source::{At, Either, Filter};
use crate::table::Target::{self, Optional, Required};
use crate::table::{BodyForm, Column, Export, Open, Order, Read, Resend, Source, Table, Write, column};

/// A column that only exists in reads. Writes refuse the name, because a property of that name would be
/// mistaken for this column.
const fn only_in_reads(name: &'static str, kind: Kind, source: Source) -> Column {
    const HINT: Target = Target::Nowhere { hint: "only reads have it: give it another name, or put it into \"properties\"" };
    column(name, kind, source, HINT)
}

pub(crate) static TABLE: Table = Table {
    name: "events",
    about: "What people did, one row an event.",
    columns: &[
        column("event_name", Text, Filter, Required("/evtName", EventName)),
        column("event_time", Instant, At("/ts"), Required("/ts", EpochSeconds)),
        only_in_reads("event_date", Day, At("/ts")),
        column("identity", Text, Either(&["/profile/identity", "/identity"]), Optional("/identity", Identifier)),
        column("object_id", Text, Either(&["/profile/objectId", "/objectId"]), Optional("/objectId", Identifier)),
        column("fbid", Text, Source::Nowhere, Optional("/FBID", Identifier)),
        column("gpid", Text, Source::Nowhere, Optional("/GPID", Identifier)),
        only_in_reads("name", Text, At("/profile/name")),
        only_in_reads("email", Text, At("/profile/email")),
        only_in_reads("phone", Text, At("/profile/phone")),
        only_in_reads("platform", Text, At("/profile/platform")),
        column("items", Json, Source::Nowhere, Optional("/evtData/Items", Items)),
        column("properties", Json, At("/event_props"), Optional("/evtData", Properties)),
        only_in_reads("session", Json, At("/session_props")),
        only_in_reads("profile_properties", Json, At("/profile/profileData")),
        only_in_reads("profile_events", Json, At("/profile/events")),
        only_in_reads("os_version", Text, At("/profile/os_version")),
        only_in_reads("app_version", Text, At("/profile/app_version")),
        only_in_reads("make", Text, At("/profile/make")),
        only_in_reads("model", Text, At("/profile/model")),
        only_in_reads("extra", Json, Source::Rest),
    ],
    read: Some(Read::Export(Export {
        path: "/1/events.json",
        records: "records",
        parts: &[
            ("app", &["os_version", "app_version", "make", "model", "extra"]),
            ("events", &["profile_events"]),
            ("profile", &["profile_properties"]),
        ],
        time: Some("/ts"),
        properties: Some("/event_props"),
    })),
    write: Some(Write::Batch {
        path: "/1/upload",
        form: BodyForm::Records,
        rows_max: 1_000,
        fixed: &[("type", "\"event\"")],
        open: Some(Open { pointer: "/evtData", forbidden: "%><!|&.:;$'\"\\", fields_warn: 100, fields_max: 256, operators: false }),
        resend: Resend::Appends,
        order: Order::Any,
    }),
}
.checked();
