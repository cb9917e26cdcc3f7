//! `clevertap.profile_schema`: the properties that people may have.
//!
//! ```sql
//! SELECT property_name, property_type FROM clevertap.profile_schema;
//! ```
//!
//! Wire format: <https://developer.clevertap.com/docs/get-schema>, read 2026-11-21.

use crate::table::Kind::{Json, Text};
use crate::table::Source::{At, Either, Rest};
use crate::table::{AnswerForm, ListCall, ListRequest, Payload, Read, Table, read_only};

pub(crate) static TABLE: Table = Table {
    name: "profile_schema",
    about: "Properties of people, one row a property.",
    columns: &[
        read_only("property_name", Text, At("/name")),
        read_only("property_type", Text, Either(&["/dataType", "/type", "/data_type"])),
        read_only("extra", Json, Rest),
    ],
    read: Some(Read::List(ListCall {
        path: "/getSchema",
        request: ListRequest::Query(&[("type", "userProperties")]),
        answer: AnswerForm::success(Payload::List("userProperties")),
        items: None,
        pages: None,
    })),
    write: None,
}
.checked();
