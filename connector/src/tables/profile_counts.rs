//! `clevertap.profile_counts`: how many people did an event in a range of days.
//!
//! ```sql
//! SELECT event_name, people FROM clevertap.profile_counts
//! WHERE event_name IN ('Charged', 'Viewed Item') AND event_date BETWEEN '2026-01-01' AND '2026-01-31';
//! ```
//!
//! Wire format: <https://developer.clevertap.com/docs/get-profile-count-api>, read 2026-11-21.

use crate::table::Kind::{Count, Day, Text};
use crate::table::Source::{At, Filter};
use crate::table::{AnswerForm, CountOf, Counts, Payload, Read, Table, read_only};

pub(crate) static TABLE: Table = Table {
    name: "profile_counts",
    about: "How many people did an event in a range of days, one row an event.",
    columns: &[
        read_only("event_name", Text, Filter),
        read_only("from_date", Day, Filter),
        read_only("to_date", Day, Filter),
        read_only("event_date", Day, Filter),
        read_only("people", Count, At("/people")),
    ],
    read: Some(Read::Counts(Counts {
        path: "/1/counts/profiles.json",
        of: CountOf::Total("people"),
        answer: AnswerForm::computed(Payload::Count("count")),
    })),
    write: None,
}
.checked();
