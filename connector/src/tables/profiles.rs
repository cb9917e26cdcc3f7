//! `clevertap.profiles`: people.
//!
//! ```sql
//! SELECT identity, email, properties FROM clevertap.profiles WHERE identity IN ('cust-1', 'cust-2');
//!
//! SELECT u.id, p.email FROM 'users.parquet' u JOIN clevertap.profiles p ON p.identity = u.id;
//!
//! SELECT identity, email FROM clevertap.profiles WHERE event_name = 'Charged' AND event_date >= '2026-01-01' AND event_date <= '2026-01-31';
//!
//! INSERT INTO clevertap.profiles
//! SELECT id AS identity, mail AS email, tier AS "Plan", ct_incr(visits) AS "Visits" FROM 'users.parquet';
//!
//! UPDATE clevertap.profiles SET "Plan" = 'gold' WHERE identity = 'cust-1';
//!
//! DELETE FROM clevertap.profiles WHERE identity IN (SELECT user_id FROM 'leavers.csv');
//! ```
//!
//! Wire format: <https://developer.clevertap.com/docs/upload-user-profiles-api> and
//! <https://developer.clevertap.com/docs/get-user-profiles-api>, read 2026-11-21; for deletion
//! <https://developer.clevertap.com/docs/delete-user-profile-api>, read 2026-11-24.
//! Filters on `event_name`, `event_date`, `from_date` and `to_date` select an export: people who did the event in the range, once for
//! each event in the filter.

use crate::table::Kind::{Day, Instant, Json, Text};
use crate::table::Shape::{EpochSeconds, Identifier, Identity, Object, Properties, Standard, Value};
use crate::table::Source::{At, Filter, LookupKey};
use crate::table::Standard::{Age, BirthDate, Consent, OneOf, YesNo};
use crate::table::Target::{self, Optional};
use crate::table::{
    AnswerForm, BodyForm, Column, Export, FoundBy, KeyLocation, Lookup, Open, Order, Payload, Read, Resend, Source, Table, Write, column,
};

/// M and F by the page; the rest is what CleverTap's web SDK takes: <https://github.com/CleverTap/clevertap-web-sdk>, read 2026-11-21.
const GENDERS: &[&str] = &["M", "F", "O", "U", "Male", "Female", "Others", "Unknown"];
const EDUCATIONS: &[&str] = &["School", "College", "Graduate"];

const READ_ONLY: Target = Target::Nowhere { hint: "CleverTap keeps it by itself: leave the column out, or give it another name" };

/// A standard field of the upload call that has no column in reads.
const fn field(name: &'static str, target: Target) -> Column {
    column(name, Text, Source::Nowhere, target)
}

pub(crate) static TABLE: Table = Table {
    name: "profiles",
    about: "People, one row a person; read by event, one row a person and event.",
    columns: &[
        column("identity", Text, LookupKey(&["/identity"]), Optional("/identity", Identifier)),
        column("object_id", Text, LookupKey(&["/objectId", "/platformInfo/*/objectId"]), Optional("/objectId", Identifier)),
        column("name", Text, At("/name"), Optional("/profileData/Name", Value)),
        column("email", Text, LookupKey(&["/email"]), Optional("/profileData/Email", Value)),
        column("phone", Text, At("/phone"), Optional("/profileData/Phone", Value)),
        column("all_identities", Text, At("/all_identities"), READ_ONLY),
        column("properties", Json, At("/profileData"), Optional("/profileData", Properties)),
        column("platforms", Json, At("/platformInfo"), READ_ONLY),
        column("events", Json, At("/events"), READ_ONLY),
        column("event_name", Text, Filter, READ_ONLY),
        column("event_date", Day, Filter, READ_ONLY),
        column("from_date", Day, Filter, READ_ONLY),
        column("to_date", Day, Filter, READ_ONLY),
        field("fbid", Optional("/FBID", Identifier)),
        field("gpid", Optional("/GPID", Identifier)),
        column("event_time", Instant, Source::Nowhere, Optional("/ts", EpochSeconds)),
        field("link_identity", Optional("/profileData/identity", Identity)),
        field("gender", Optional("/profileData/Gender", Standard(OneOf(GENDERS)))),
        field("employed", Optional("/profileData/Employed", Standard(YesNo))),
        field("education", Optional("/profileData/Education", Standard(OneOf(EDUCATIONS)))),
        field("married", Optional("/profileData/Married", Standard(YesNo))),
        field("age", Optional("/profileData/Age", Standard(Age))),
        field("dob", Optional("/profileData/DOB", Standard(BirthDate))),
        field("photo", Optional("/profileData/Photo", Value)),
        field("customer_type", Optional("/profileData/Customer Type", Value)),
        field("timezone", Optional("/profileData/Timezone", Value)),
        field("tz", Optional("/profileData/Tz", Value)),
        field("msg_email", Optional("/profileData/MSG-email", Standard(Consent))),
        field("msg_push", Optional("/profileData/MSG-push", Standard(Consent))),
        field("msg_push_all", Optional("/profileData/MSG-push-all", Standard(Consent))),
        field("msg_sms", Optional("/profileData/MSG-sms", Standard(Consent))),
        field("msg_whatsapp", Optional("/profileData/MSG-whatsapp", Standard(Consent))),
        field("msg_dnd_phone", Optional("/profileData/MSG-dndPhone", Standard(Consent))),
        field("category_unsubscribe", Optional("/profileData/category-unsubscribe", Object)),
        field("category_resubscribe", Optional("/profileData/category-resubscribe", Object)),
    ],
    read: Some(Read::People {
        lookup: Lookup {
            path: "/1/profile.json",
            keys: &[("identity", "identity"), ("email", "email"), ("object_id", "objectId")],
            key_location: KeyLocation::Query,
            answer: AnswerForm::success(Payload::Record("record")),
            not_found_codes: &[404],
            not_found_words: &["profile not found", "user not found"],
            no_key_words: &[],
            not_found_statuses: &[],
            found_by: &[
                ("identity", FoundBy { pointers: &["/identity"], any_case: false, several: &["/all_identities"] }),
                ("email", FoundBy { pointers: &["/email"], any_case: true, several: &[] }),
                ("object_id", FoundBy { pointers: &["/objectId", "/platformInfo/*/objectId"], any_case: false, several: &[] }),
            ],
        },
        export: Export {
            path: "/1/profiles.json",
            records: "records",
            parts: &[("app", &["platforms"]), ("events", &["events"]), ("profile", &["properties"])],
            time: None,
            properties: None,
        },
    }),
    write: Some(Write::Batch {
        path: "/1/upload",
        form: BodyForm::Records,
        rows_max: 1_000,
        fixed: &[("type", "\"profile\"")],
        open: Some(Open { pointer: "/profileData", forbidden: "%><!|&.:;$'\"\\#", fields_warn: 256, fields_max: 256, operators: true }),
        resend: Resend::Idempotent,
        order: Order::ByIdentity,
    }),
}
.checked();

/// Deletion is permanent, covers all devices of a person, and takes up to a day.
pub(crate) static DELETIONS: Table = Table {
    name: "profiles",
    about: "People to be deleted, one row a person.",
    columns: &[
        column("identity", Text, Source::Nowhere, Optional("/identity", Identifier)),
        column("object_id", Text, Source::Nowhere, Optional("/guid", Identifier)),
    ],
    read: None,
    write: Some(Write::Batch {
        path: "/1/delete/profiles.json",
        form: BodyForm::Keys,
        rows_max: 100,
        fixed: &[],
        open: None,
        resend: Resend::Idempotent,
        order: Order::Any,
    }),
}
.checked();
