//! `clevertap.real_time_counts`: people who were active in the last five minutes.
//!
//! ```sql
//! SELECT people, breakdown FROM clevertap.real_time_counts;
//! ```
//!
//! Wire format: <https://developer.clevertap.com/docs/real-time-counts-api>, read 2026-11-21.

use crate::table::Kind::{Count, Json};
use crate::table::Source::{At, Rest};
use crate::table::{AnswerForm, ListCall, ListRequest, Payload, Read, Table, read_only};

pub(crate) static TABLE: Table = Table {
    name: "real_time_counts",
    about: "People who were active in the last five minutes: one row.",
    columns: &[read_only("people", Count, At("/count")), read_only("breakdown", Json, Rest)],
    read: Some(Read::List(ListCall {
        path: "/1/now.json",
        request: ListRequest::Body("{\"user_type\":true}"),
        answer: AnswerForm::success(Payload::Itself("count")),
        items: None,
        pages: None,
    })),
    write: None,
}
.checked();
