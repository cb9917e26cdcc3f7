//! What becomes of a row: the fates, and how many rows have each.
//!
//! Every row that a statement reads ends as accepted, rejected, in doubt or unsent; the four counts add up to the rows read.

use std::fmt;

/// What became of a row that was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Refused, by CleverTap or before it was sent.
    Rejected,
    /// The answer was lost: it may be stored.
    InDoubt,
    /// It certainly is not stored.
    Unsent,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rejected => "rejected",
            Self::InDoubt => "in_doubt",
            Self::Unsent => "unsent",
        })
    }
}

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
