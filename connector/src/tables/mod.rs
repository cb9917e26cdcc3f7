//! One file a table. Adding a table is adding a file, and its two lines here.

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

/// Every table of CleverTap, in the order in which `clevertap.tables` shows them.
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

/// The table of this name.
pub(crate) fn find(name: &str) -> Option<&'static Table> {
    TABLES.iter().copied().find(|table| table.name == name)
}

/// People.
pub(crate) fn profiles() -> &'static Table {
    &profiles::TABLE
}

/// What DELETE FROM `clevertap.profiles` writes to.
pub(crate) fn deletions() -> &'static Table {
    &profiles::DELETIONS
}

/// What `clevertap_events."Name"` writes to: `events`, with the name fixed.
pub(crate) fn events() -> &'static Table {
    &events::TABLE
}

/// The query of an upload that only looks at its records and stores none:
/// <https://developer.clevertap.com/docs/upload-user-profiles-api>, read 2026-11-21.
pub(crate) const DRY_RUN: (&str, &str) = ("dryRun", "1");

/// An upload of nobody, to be sent with [`DRY_RUN`]: it asks whether CleverTap is there, where a table's own call must not.
pub(crate) const PROBE: (&str, &str) =
    ("/1/upload", r#"{"d":[{"type":"profile","identity":"datafusion-clevertap-probe","profileData":{}}]}"#);

/// The name of the one event that takes `items`.
pub(crate) const CHARGED: &str = "Charged";

/// The event schema, which says what `clevertap_events` holds.
pub(crate) fn event_schema() -> &'static Table {
    &event_schema::TABLE
}

/// The table that lists the properties of people.
pub(crate) fn profile_schema() -> &'static Table {
    &profile_schema::TABLE
}

/// What the schema calls an event whose records are dropped: <https://developer.clevertap.com/docs/get-schema>, read 2026-11-21.
pub(crate) const DISCARDED: &str = "Discarded";

/// The words of the query language that every count and export understands:
/// <https://developer.clevertap.com/docs/clevertap-query-language>, read 2026-11-21.
pub(crate) mod query {
    /// The event.
    pub(crate) const EVENT_NAME: &str = "event_name";
    /// The first day, `YYYYMMDD` in the project's zone.
    pub(crate) const FROM: &str = "from";
    /// The last day, itself included.
    pub(crate) const TO: &str = "to";
    /// Conditions on properties of the event, all of which must hold.
    pub(crate) const EVENT_PROPERTIES: &str = "event_properties";
    /// The property of a condition.
    pub(crate) const NAME: &str = "name";
    /// Its comparison.
    pub(crate) const OPERATOR: &str = "operator";
    /// What it is compared with.
    pub(crate) const VALUE: &str = "value";
    /// The comparison `=`.
    pub(crate) const EQUALS: &str = "equals";
    /// The comparison `>`.
    pub(crate) const GREATER: &str = "greater_than";
    /// The comparison `>=`.
    pub(crate) const GREATER_OR_EQUAL: &str = "greater_than_equals";
    /// The comparison `<`.
    pub(crate) const LESS: &str = "less_than";
    /// The comparison `<=`.
    pub(crate) const LESS_OR_EQUAL: &str = "less_than_equals";
    /// Records of a page of an export.
    pub(crate) const BATCH_SIZE: &str = "batch_size";
    /// The place in an export.
    pub(crate) const CURSOR: &str = "cursor";
    /// The ticket of a count that is being computed.
    pub(crate) const REQUEST_ID: &str = "req_id";
    /// What a trend or a top count is grouped by.
    pub(crate) const GROUPS: &str = "groups";
    /// The grain of a trend.
    pub(crate) const TREND_TYPE: &str = "trend_type";
    /// A trend by days.
    pub(crate) const DAILY: &str = "daily";
    /// A trend by weeks.
    pub(crate) const WEEKLY: &str = "weekly";
    /// A trend by months.
    pub(crate) const MONTHLY: &str = "monthly";
    /// People instead of occurrences.
    pub(crate) const UNIQUE: &str = "unique";
    /// The property whose sum a trend is.
    pub(crate) const SUM_OF: &str = "sum_event_prop";
    /// The kind of a property that is counted.
    pub(crate) const PROPERTY_TYPE: &str = "property_type";
    /// The kinds that there are, the default first.
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
    /// How many of its values.
    pub(crate) const TOP_N: &str = "top_n";
    /// The number that a count answers with.
    pub(crate) const COUNT: &str = "count";
    /// When a person did an event last, in epoch seconds, in the summary of what they did.
    pub(crate) const LAST_SEEN: &str = "last_seen";
    /// Most groups in one request.
    pub(crate) const GROUPS_MAX: usize = 5;
    /// Most records of a page, by the API.
    pub(crate) const BATCH_SIZE_MAX: usize = 5_000;
    /// A page takes as many records from each of so many parts of the store, so that a size is best a multiple of it.
    pub(crate) const BATCH_SIZE_STEP: usize = 23;
}
