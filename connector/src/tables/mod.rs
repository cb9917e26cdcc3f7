//! One file a table. Adding a table is adding a file, and its two lines here.

mod device_tokens;
mod events;
mod profiles;

use crate::table::Table;

/// Every table of CleverTap, in the order in which `clevertap.tables` shows them.
pub(crate) static TABLES: &[&Table] = &[&profiles::TABLE, &events::TABLE, &device_tokens::TABLE];

/// The table of this name.
pub(crate) fn find(name: &str) -> Option<&'static Table> {
    TABLES.iter().copied().find(|table| table.name == name)
}

/// What `clevertap_events."Name"` writes to: `events`, with the name fixed.
pub(crate) fn events() -> &'static Table {
    &events::TABLE
}

/// The query of an upload that only looks at its records and stores none:
/// <https://developer.clevertap.com/docs/upload-user-profiles-api>, read 2026-11-21.
pub(crate) const DRY_RUN: (&str, &str) = ("dryRun", "1");

/// The name of the one event that takes `items`.
pub(crate) const CHARGED: &str = "Charged";
