//! `clevertap.top_property_counts`: the most frequent values of a property.
//!
//! ```sql
//! SELECT value, events FROM clevertap.top_property_counts
//! WHERE event_name = 'Charged' AND event_date BETWEEN '2026-01-01' AND '2026-01-31' AND property = 'Currency' ORDER BY events DESC;
//! ```
//!
//! Wire format: <https://developer.clevertap.com/docs/top-property-counts-api>, read 2026-11-21. `property_type` is one of
//! event_properties (the default), session_properties, profile_fields, app_fields, demographics, technographics, reachability,
//! geo_fields; `top_n` is 10 by default.

use crate::table::Kind::{Count, Day, Text};
use crate::table::Source::{At, Filter};
use crate::table::{AnswerForm, CountOf, Counts, Payload, Read, Table, read_only};

pub(crate) static TABLE: Table = Table {
    name: "top_property_counts",
    about: "The most frequent values of a property of an event, one row a value.",
    columns: &[
        read_only("event_name", Text, Filter),
        read_only("from_date", Day, Filter),
        read_only("to_date", Day, Filter),
        read_only("event_date", Day, Filter),
        read_only("property", Text, At("/property")),
        read_only("property_type", Text, Filter),
        read_only("top_n", Count, Filter),
        read_only("value", Text, At("/value")),
        read_only("value_type", Text, At("/value_type")),
        read_only("events", Count, At("/events")),
    ],
    read: Some(Read::Counts(Counts { path: "/1/counts/top.json", of: CountOf::TopValues, answer: AnswerForm::computed(Payload::Groups) })),
    write: None,
}
.checked();
