//! COPY … TO files that others read.
//!
//! In: the plan of a COPY. Out: the same plan, whose files say what the rows said.
//!
//! ```text
//! places  not over a network in clear
//! types   instants in units that Parquet has, and NULL in a partition's name
//! folder  a folder that has files already: refused, added to, or replaced
//! rights  a file that is replaced keeps who may read it
//! ```

pub(crate) mod folder;
pub(crate) mod places;
mod rights;
pub(crate) mod types;

pub use types::{NULL_PARTITION, in_microseconds};
