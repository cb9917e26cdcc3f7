//! `clevertap.trend_analysis_daily`: how often an event happened, day by day.
//!
//! ```sql
//! SELECT event_date, events, people FROM clevertap.trend_analysis_daily
//! WHERE event_name = 'Charged' AND event_date BETWEEN '2026-01-01' AND '2026-01-31' ORDER BY event_date;
//! ```
//!
//! Wire format: <https://developer.clevertap.com/docs/trends-api>, read 2026-11-21. Days without events have rows with 0.
//! `property_sum` needs a filter such as `property = 'Amount'`, which names an integer property of the event.

use crate::table::Kind::{Count, Day, Number, Text};
use crate::table::Source::{At, Filter};
use crate::table::{AnswerForm, Bucket, CountOf, Counts, Payload, Read, Table, read_only};

pub(crate) static TABLE: Table = Table {
    name: "trend_analysis_daily",
    about: "How often an event happened and how many people did it, one row a day.",
    columns: &[
        read_only("event_name", Text, Filter),
        read_only("event_date", Day, At("/event_date")),
        read_only("events", Count, At("/events")),
        read_only("people", Count, At("/people")),
        read_only("property", Text, Filter),
        read_only("property_sum", Number, At("/property_sum")),
    ],
    read: Some(Read::Counts(Counts {
        path: "/1/counts/trends.json",
        of: CountOf::Trend(Bucket::Day),
        answer: AnswerForm::computed(Payload::Groups),
    })),
    write: None,
}
.checked();
