//! What is said of people whom syncs forgot, by `sync forget` and by `erase`.
//!
//! In: what the ledger forgot. Out: sentences without a value of anybody.

use chrono::SecondsFormat;

use datafusion_clevertap_sync::ledger::Forgotten;

/// What was forgotten.
pub(crate) fn counts(forgotten: &Forgotten) -> String {
    let Forgotten { rows, dead_letters, in_flight, .. } = forgotten;
    let resent = if rows + dead_letters + in_flight > 0 { "; where a source still has them, the next run sends them again" } else { "" };
    format!("syncs forgot {rows} rows, {dead_letters} failed rows and {in_flight} keys in flight of these people{resent}")
}

/// Until when a file has something of them.
pub(crate) fn until(forgotten: &Forgotten) -> Option<String> {
    let until = forgotten.until?.to_rfc3339_opts(SecondsFormat::Secs, true);
    Some(format!("a file that has something of them could not be removed; clevertap-sql sync compact NAME removes it after {until}"))
}

/// Whose rows of them are all there still.
pub(crate) fn held(forgotten: &Forgotten) -> Option<String> {
    let Forgotten { held, .. } = forgotten;
    (!held.is_empty()).then(|| format!("nothing was forgotten by syncs that are run at this moment: {}", held.join(", ")))
}
