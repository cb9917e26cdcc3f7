//! One file a table. Adding a table is adding a file, and its two lines here.

mod custom_lists;
mod demerges;
mod device_tokens;
mod events;
mod phone_disassociations;
mod profiles;
mod subscriptions;

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
