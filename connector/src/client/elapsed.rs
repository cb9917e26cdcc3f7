//! A duration as messages show it.

use std::fmt;
use std::time::Duration;

/// `200 ms`, `90 s`, `10 minutes`.
pub(super) struct Elapsed(pub(super) Duration);

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.as_secs(), self.0.as_millis()) {
            (0, ms) => write!(f, "{ms} ms"),
            (seconds @ ..120, _) => write!(f, "{seconds} s"),
            (seconds, _) => write!(f, "{} minutes", seconds / 60),
        }
    }
}
