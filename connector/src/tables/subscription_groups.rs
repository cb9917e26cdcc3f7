//! `clevertap.subscription_groups`: the groups that people may subscribe to.
//!
//! ```sql
//! SELECT key, name FROM clevertap.subscription_groups;
//! ```
//!
//! Wire format: <https://developer.clevertap.com/docs/settings-api-endpoints>, read 2026-11-21.

use crate::table::Kind::{Json, Text};
use crate::table::Source::{At, Either, Rest};
use crate::table::{AnswerForm, ListCall, ListRequest, Payload, Read, Table, read_only};

pub(crate) static TABLE: Table = Table {
    name: "subscription_groups",
    about: "Subscription groups, one row a group.",
    columns: &[
        read_only("key", Text, At("/key")),
        read_only("name", Text, Either(&["/name", "/groupName"])),
        read_only("channels", Json, At("/channels")),
        read_only("extra", Json, Rest),
    ],
    read: Some(Read::List(ListCall {
        path: "/category-groups",
        request: ListRequest::Query(&[]),
        answer: AnswerForm::success(Payload::List("list")),
        items: None,
        pages: None,
    })),
    write: None,
}
.checked();
