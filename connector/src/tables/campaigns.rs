//! `clevertap.campaigns`: campaigns by their scheduled day.
//!
//! ```sql
//! SELECT c.name, r.sent, r.clicked FROM clevertap.campaigns c JOIN clevertap.campaign_reports r ON r.campaign_id = c.campaign_id
//! WHERE c.scheduled_on BETWEEN '2026-01-01' AND '2026-01-31';
//! ```
//!
//! Wire format: <https://developer.clevertap.com/docs/get-campaigns-api>, read 2026-11-21. The documentation speaks of all
//! campaigns; users report that only campaigns created by API are returned. Ranges over 31 days are slow, so they are split.

use crate::table::Kind::{Day, Json, Text};
use crate::table::Source::{At, Rest};
use crate::table::{AnswerForm, Payload, Read, Slices, Table, read_only};

pub(crate) static TABLE: Table = Table {
    name: "campaigns",
    about: "Campaigns (CleverTap may list only those created by API), one row a campaign.",
    columns: &[
        read_only("campaign_id", Text, At("/id")),
        read_only("name", Text, At("/name")),
        read_only("scheduled_on", Day, At("/scheduled_on")),
        read_only("status", Text, At("/status")),
        read_only("extra", Json, Rest),
    ],
    read: Some(Read::Slices(Slices {
        path: "/1/targets/list.json",
        day: "scheduled_on",
        days_max: 31,
        days_as_text: false,
        answer: AnswerForm::success(Payload::List("targets")),
    })),
    write: None,
}
.checked();
