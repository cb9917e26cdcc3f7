//! `clevertap.event_counts`: how often an event happened in a range of days.
//!
//! ```sql
//! SELECT event_name, events FROM clevertap.event_counts
//! WHERE event_name IN ('Charged', 'Viewed Item') AND event_date BETWEEN '2026-01-01' AND '2026-01-31';
//! ```
//!
//! Wire format: <https://developer.clevertap.com/docs/get-event-count-api>, read 2026-11-21.

use crate::table::Kind::{Count, Day, Text};
use crate::table::Source::{At, Filter};
use crate::table::{AnswerForm, CountOf, Counts, Payload, Read, Table, read_only};

pub(crate) static TABLE: Table = Table {
    name: "event_counts",
    about: "How often an event happened in a range of days, one row an event.",
    columns: &[
        read_only("event_name", Text, Filter),
        read_only("from_date", Day, Filter),
        read_only("to_date", Day, Filter),
        read_only("event_date", Day, Filter),
        read_only("events", Count, At("/events")),
    ],
    read: Some(Read::Counts(Counts {
        path: "/1/counts/events.json",
        of: CountOf::Total("events"),
        answer: AnswerForm::computed(Payload::Count("count")),
    })),
    write: None,
}
.checked();
