//! What SQL may do to an account.

use std::fmt;

/// What SQL may do to an account. No SQL can change it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// SELECT.
    Read,
    /// And INSERT, UPDATE, COPY.
    #[default]
    Write,
    /// And what erases: DELETE and demerges.
    Erase,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Erase => "erase",
        })
    }
}
