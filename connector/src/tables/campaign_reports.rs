//! `clevertap.campaign_reports`: results of campaigns.
//!
//! ```sql
//! SELECT campaign_id, sent, clicked FROM clevertap.campaign_reports WHERE campaign_id IN ('1767225600', '1767225601');
//! ```
//!
//! Wire format: <https://developer.clevertap.com/docs/get-campaign-report-api>, read 2026-11-21. A campaign without a result
//! yet has no row: CleverTap answers HTTP 409, a `fail` with code 500, or an `error` next to `success`.

use crate::table::Kind::{Count, Json, Text};
use crate::table::Source::{At, LookupKey};
use crate::table::{AnswerForm, KeyLocation, Lookup, Payload, Read, Table, read_only};

pub(crate) static TABLE: Table = Table {
    name: "campaign_reports",
    about: "Results of campaigns, one row a campaign that has one.",
    columns: &[
        read_only("campaign_id", Text, LookupKey(&[])),
        read_only("sent", Count, At("/sent")),
        read_only("clicked", Count, At("/clicked")),
        read_only("result", Json, At("")),
    ],
    read: Some(Read::Lookup(Lookup {
        path: "/1/targets/result.json",
        keys: &[("campaign_id", "id")],
        key_location: KeyLocation::Body,
        answer: AnswerForm::success(Payload::Record("result")),
        not_found_codes: &[200, 409, 500],
        not_found_words: &["this target has no result as of yet", "this target hasn't been completed"],
        no_key_words: &["invalid campaign id"],
        not_found_statuses: &[409],
        found_by: &[],
    })),
    write: None,
}
.checked();
