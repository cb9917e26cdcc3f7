//! All tables, one file each. To add a table, add its file and two lines here.

mod campaign_reports;
mod campaigns;
mod content_blocks;
mod custom_lists;
mod demerges;
mod device_tokens;
mod event_counts;
mod event_schema;
mod events;
mod message_reports;
mod phone_disassociations;
mod profile_counts;
mod profile_schema;
mod profiles;
mod real_time_counts;
mod segments;
mod subscription_groups;
mod subscriptions;
mod top_property_counts;
mod trend_analysis_daily;
mod trend_analysis_monthly;
mod trend_analysis_weekly;

use crate::table::Table;

/// Every table, in the order of `clevertap.tables`.
pub(crate) static TABLES: &[&Table] = &[
    &profiles::TABLE,
    &events::TABLE,
    &device_tokens::TABLE,
    &subscriptions::TABLE,
    &phone_disassociations::TABLE,
    &demerges::TABLE,
    &custom_lists::TABLE,
    &trend_analysis_daily::TABLE,
    &trend_analysis_weekly::TABLE,
    &trend_analysis_monthly::TABLE,
    &event_counts::TABLE,
    &profile_counts::TABLE,
    &top_property_counts::TABLE,
    &real_time_counts::TABLE,
    &message_reports::TABLE,
    &campaigns::TABLE,
    &campaign_reports::TABLE,
    &event_schema::TABLE,
    &profile_schema::TABLE,
    &subscription_groups::TABLE,
    &content_blocks::TABLE,
    &segments::TABLE,
];

pub(crate) fn find(name: &str) -> Option<&'static Table> {
    TABLES.iter().copied().find(|table| table.name == name)
}

pub(crate) fn profiles() -> &'static Table {
    &profiles::TABLE
}

/// The target of `DELETE FROM clevertap.profiles`.
pub(crate) fn deletions() -> &'static Table {
    &profiles::DELETIONS
}

/// What lists the custom lists.
pub(crate) fn segments() -> &'static Table {
    &segments::TABLE
}

/// Also the table behind `clevertap_events."Name"`, which fixes the event name.
pub(crate) fn events() -> &'static Table {
    &events::TABLE
}

/// The query parameter of an upload that checks its records and stores nothing:
/// <https://developer.clevertap.com/docs/upload-user-profiles-api>, read 2026-11-21.
pub(crate) const DRY_RUN: (&str, &str) = ("dryRun", "1");

/// Path and body of an upload that is sent with [`DRY_RUN`] to find out whether CleverTap is reachable, for tables whose own call must
/// not be sent for that.
pub(crate) const PROBE: (&str, &str) =
    ("/1/upload", r#"{"d":[{"type":"profile","identity":"datafusion-clevertap-probe","profileData":{}}]}"#);

/// The only event that takes `items`.
pub(crate) const CHARGED: &str = "Charged";

/// The source of the tables of `clevertap_events`.
pub(crate) fn event_schema() -> &'static Table {
    &event_schema::TABLE
}

pub(crate) fn profile_schema() -> &'static Table {
    &profile_schema::TABLE
}

/// The schema status of an event whose records CleverTap drops: <https://developer.clevertap.com/docs/get-schema>, read 2026-11-21.
pub(crate) const DISCARDED: &str = "Discarded";

/// The query language of all counts and exports:
/// <https://developer.clevertap.com/docs/clevertap-query-language>, read 2026-11-21.
pub(crate) mod query {
    pub(crate) const EVENT_NAME: &str = "event_name";
    /// The first day, `YYYYMMDD` in the project's zone.
    pub(crate) const FROM: &str = "from";
    /// The last day, inclusive.
    pub(crate) const TO: &str = "to";
    /// Conditions on properties of the event, joined by AND.
    pub(crate) const EVENT_PROPERTIES: &str = "event_properties";
    /// The property of a condition.
    pub(crate) const NAME: &str = "name";
    /// The comparison of a condition.
    pub(crate) const OPERATOR: &str = "operator";
    /// The value that the property is compared with.
    pub(crate) const VALUE: &str = "value";
    pub(crate) const EQUALS: &str = "equals";
    pub(crate) const GREATER: &str = "greater_than";
    pub(crate) const GREATER_OR_EQUAL: &str = "greater_than_equals";
    pub(crate) const LESS: &str = "less_than";
    pub(crate) const LESS_OR_EQUAL: &str = "less_than_equals";
    /// What the error of an event says that the project does not have, in lower case.
    pub(crate) const UNKNOWN_EVENT: &str = "invalid event";
    /// Records per page of an export.
    pub(crate) const BATCH_SIZE: &str = "batch_size";
    /// The position in an export.
    pub(crate) const CURSOR: &str = "cursor";
    /// The id of a count that is still being computed.
    pub(crate) const REQUEST_ID: &str = "req_id";
    /// The groups of a trend or a top count.
    pub(crate) const GROUPS: &str = "groups";
    /// The bucket size of a trend.
    pub(crate) const TREND_TYPE: &str = "trend_type";
    pub(crate) const DAILY: &str = "daily";
    pub(crate) const WEEKLY: &str = "weekly";
    pub(crate) const MONTHLY: &str = "monthly";
    /// Counts people instead of occurrences.
    pub(crate) const UNIQUE: &str = "unique";
    /// The property that a trend sums up.
    pub(crate) const SUM_OF: &str = "sum_event_prop";
    /// The kind of the counted property.
    pub(crate) const PROPERTY_TYPE: &str = "property_type";
    /// All kinds, the default first.
    pub(crate) const PROPERTY_TYPES: [&str; 8] = [
        "event_properties",
        "session_properties",
        "profile_fields",
        "app_fields",
        "demographics",
        "technographics",
        "reachability",
        "geo_fields",
    ];
    /// How many values of the property are returned.
    pub(crate) const TOP_N: &str = "top_n";
    /// In a person's event summary: when they last did the event, in epoch seconds.
    pub(crate) const LAST_SEEN: &str = "last_seen";
    /// Most groups per request.
    pub(crate) const GROUPS_MAX: usize = 5;
    /// Most records per page, by the API.
    pub(crate) const BATCH_SIZE_MAX: usize = 5_000;
    /// A page takes the same number of records from each of this many partitions of the store, so page sizes are multiples of it.
    pub(crate) const BATCH_SIZE_STEP: usize = 23;
}
