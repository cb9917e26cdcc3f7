//! `clevertap.segments`: segments and custom lists of the project.
//!
//! ```sql
//! SELECT segment_id, name FROM clevertap.segments;
//! ```
//!
//! Wire format: not documented by CleverTap; taken from a public client, read 2026-11-21. The members of a segment cannot be read.

use crate::table::Kind::{Json, Text};
use crate::table::Source::{Either, Rest};
use crate::table::{AnswerForm, ListCall, ListRequest, Pages, Payload, Read, Table, read_only};

/// Where the name of a segment stands.
pub(crate) const NAME: &[&str] = &["/name", "/segmentName", "/segment_name"];

/// Pages of at most 500.
pub(crate) const LISTING: ListCall = ListCall {
    path: "/1/segments/list.json",
    request: ListRequest::Body("{}"),
    answer: AnswerForm::without_status(Payload::List("segments")).with_total("total_count"),
    items: None,
    pages: Some(Pages { number: "page", size: "limit", rows_max: 500, count: Some("total_pages") }),
};

pub(crate) static TABLE: Table = Table {
    name: "segments",
    about: "Segments (by a call that CleverTap does not document), one row a segment.",
    columns: &[
        read_only("segment_id", Text, Either(&["/id", "/segmentId", "/segment_id"])),
        read_only("name", Text, Either(NAME)),
        read_only("extra", Json, Rest),
    ],
    read: Some(Read::List(LISTING)),
    write: None,
}
.checked();
