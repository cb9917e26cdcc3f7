//! `clevertap.events`: what people did.
//!
//! ```sql
//! INSERT INTO clevertap.events
//! SELECT user_id AS identity, 'Charged' AS event_name, paid_at AS event_time, amount AS "Amount" FROM 'payments.parquet';
//!
//! INSERT INTO clevertap_events."Charged"
//! SELECT user_id AS identity, paid_at AS event_time, amount AS "Amount", items FROM 'payments.parquet';
//! ```
//!
//! Wire format: <https://developer.clevertap.com/docs/upload-events-api>, read 2026-11-21.

use crate::table::Kind::{Instant, Json, Text};
use crate::table::Shape::{EpochSeconds, EventName, Identifier, Items, Properties};
use crate::table::Target::{self, Optional, Required};
use crate::table::{Again, Column, Form, Open, Order, Source, Table, Write, column};

/// A column that only exports of events have: a write of that name would be mistaken for it.
const fn of_reads(name: &'static str) -> Column {
    const HINT: Target = Target::Nowhere { hint: "only reads have it: give it another name, or put it into \"properties\"" };
    column(name, Text, Source::Nowhere, HINT)
}

pub(crate) static TABLE: Table = Table {
    name: "events",
    about: "What people did, one row an event.",
    columns: &[
        column("event_name", Text, Source::Nowhere, Required("/evtName", EventName)),
        column("event_time", Instant, Source::Nowhere, Required("/ts", EpochSeconds)),
        column("identity", Text, Source::Nowhere, Optional("/identity", Identifier)),
        column("object_id", Text, Source::Nowhere, Optional("/objectId", Identifier)),
        column("fbid", Text, Source::Nowhere, Optional("/FBID", Identifier)),
        column("gpid", Text, Source::Nowhere, Optional("/GPID", Identifier)),
        column("items", Json, Source::Nowhere, Optional("/evtData/Items", Items)),
        column("properties", Json, Source::Nowhere, Optional("/evtData", Properties)),
        of_reads("event_date"),
        of_reads("name"),
        of_reads("email"),
        of_reads("phone"),
        of_reads("platform"),
        of_reads("session"),
        of_reads("profile_properties"),
        of_reads("profile_events"),
        of_reads("os_version"),
        of_reads("app_version"),
        of_reads("make"),
        of_reads("model"),
    ],
    read: None,
    write: Some(Write::Batch {
        path: "/1/upload",
        form: Form::Records,
        rows_max: 1_000,
        fixed: &[("type", "\"event\"")],
        open: Some(Open { pointer: "/evtData", forbidden: "%><!|&.:;$'\"\\", fields_warn: 100, fields_max: 256, operators: false }),
        again: Again::Duplicates,
        order: Order::Any,
    }),
}
.checked();
