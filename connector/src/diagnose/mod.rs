//! Diagnostics for an account: which APIs answer, and whether the configured time zone is the project's.

mod check;
mod time_zone;

pub use check::{Probe, check};
pub use time_zone::{ZoneProof, prove_time_zone};
