//! The write path: batches -> bodies -> answers -> a fate for every row.

use std::fmt;

mod answer;
pub(crate) mod body;
pub(crate) mod consent;
mod deliver;
mod drive;
pub(crate) mod encode;
pub(crate) mod failed_rows;
pub(crate) mod list;
pub(crate) mod mapping;
pub(crate) mod plan;
pub(crate) mod runs;
mod schema;
pub(crate) mod settle;

/// What became of the rows that a statement read. The four fates add up to `read` once it has ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Rows that the statement read.
    pub read: u64,
    /// CleverTap answered success.
    pub accepted: u64,
    /// Refused, by CleverTap or before it was sent.
    pub rejected: u64,
    /// The answer was lost: it may be stored.
    pub in_doubt: u64,
    /// It certainly is not stored.
    pub unsent: u64,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { read, accepted, rejected, in_doubt, unsent } = self;
        write!(f, "{accepted} accepted, {rejected} rejected, {in_doubt} in doubt, {unsent} unsent of {read} rows read")
    }
}
