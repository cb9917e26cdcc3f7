//! `clevertap.event_schema`: the events of the project and their properties.
//!
//! ```sql
//! SELECT DISTINCT event_name, status FROM clevertap.event_schema ORDER BY event_name;
//! ```
//!
//! Wire format: <https://developer.clevertap.com/docs/get-schema>, read 2026-11-21. The keys of its records vary: keys
//! without a column are in `extra`. Reading this table refreshes the tables of `clevertap_events`.

use crate::table::Kind::{Json, Text};
use crate::table::Source::{At, Either, Rest};
use crate::table::{AnswerForm, ListCall, ListRequest, Payload, Read, Table, read_only};

pub(crate) static TABLE: Table = Table {
    name: "event_schema",
    about: "Events of the project, one row a property of each.",
    columns: &[
        read_only("event_name", Text, At("/name")),
        read_only("status", Text, At("/status")),
        read_only("property_name", Text, At("/property/name")),
        read_only("property_type", Text, Either(&["/property/dataType", "/property/type", "/property/data_type"])),
        read_only("extra", Json, Rest),
    ],
    read: Some(Read::List(ListCall {
        path: "/getSchema",
        request: ListRequest::Query(&[("type", "events")]),
        answer: AnswerForm::success(Payload::List("events")),
        items: Some(("properties", "property")),
        pages: None,
    })),
    write: None,
}
.checked();
