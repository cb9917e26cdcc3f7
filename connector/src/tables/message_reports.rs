//! `clevertap.message_reports`: results of sent messages.
//!
//! ```sql
//! SELECT message_name, channel, sent, viewed, clicked FROM clevertap.message_reports
//! WHERE start_date BETWEEN '2026-01-01' AND '2026-01-31';
//! ```
//!
//! Wire format: <https://developer.clevertap.com/docs/get-message-reports-api>, read 2026-11-21. A range is requested in slices
//! of 14 days: a call for 90 days was seen to take two minutes. Keys differ by channel; those without a column are in `extra`.

use crate::table::Kind::{Count, Day, Json, Text};
use crate::table::Source::{At, Either, Rest};
use crate::table::{AnswerForm, Payload, Read, Slices, Table, read_only};

pub(crate) static TABLE: Table = Table {
    name: "message_reports",
    about: "Results of messages, one row a message.",
    columns: &[
        read_only("message_id", Text, Either(&["/message id", "/message_id"])),
        read_only("message_name", Text, At("/message_name")),
        read_only("channel", Text, At("/channel")),
        read_only("delivery", Text, At("/delivery")),
        read_only("status", Text, At("/status")),
        read_only("start_date", Day, At("/start_date")),
        read_only("sent", Count, At("/sent")),
        read_only("viewed", Count, At("/viewed")),
        read_only("clicked", Count, At("/clicked")),
        read_only("labels", Json, At("/labels")),
        read_only("extra", Json, Rest),
    ],
    read: Some(Read::Slices(Slices {
        path: "/1/message/report.json",
        day: "start_date",
        days_max: 14,
        days_as_text: true,
        answer: AnswerForm::success(Payload::List("messages")).with_total("total_results"),
    })),
    write: None,
}
.checked();
