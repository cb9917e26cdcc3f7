//! `clevertap.content_blocks`: content blocks that messages share.
//!
//! ```sql
//! SELECT content_block_id, name, updated_at FROM clevertap.content_blocks;
//! ```
//!
//! Wire format: <https://developer.clevertap.com/docs/settings-api-endpoints>, read 2026-11-21: pages of 100, starting at 1; the last
//! one is short.

use crate::table::Kind::{Json, Text};
use crate::table::Source::{At, Rest};
use crate::table::{AnswerForm, ListCall, ListRequest, Pages, Payload, Read, Table, read_only};

pub(crate) static TABLE: Table = Table {
    name: "content_blocks",
    about: "Content blocks, one row a block.",
    columns: &[
        read_only("content_block_id", Text, At("/id")),
        read_only("name", Text, At("/name")),
        read_only("updated_at", Text, At("/updatedAt")),
        read_only("extra", Json, Rest),
    ],
    read: Some(Read::List(ListCall {
        path: "/v1/contentBlock/list",
        request: ListRequest::Query(&[]),
        answer: AnswerForm::success(Payload::List("contentBlocks")).with_total("total"),
        items: None,
        pages: Some(Pages { number: "pageNumber", size: "pageSize", rows_max: 100, count: None }),
    })),
    write: None,
}
.checked();
