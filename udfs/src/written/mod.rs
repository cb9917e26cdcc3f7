//! Dates and instants that were written in a known form: `ct_date`, `ct_event_time`.
//!
//! ```text
//! text ─> format: which digits are what ─┬─> date
//!                                        └─> zone: which instant it is ─> event_time
//! ```

pub(crate) mod date;
pub(crate) mod event_time;
mod format;
mod zone;
