//! Where the rows of a statement are from: the file, and the row in it.
//!
//! In: the plan of a source. Out: the same plan, whose last column says for each row where it was read, and what is known of the files.
//!
//! ```text
//! carry   projections, filters, sorts, limits: the column goes up with its row
//! exec    above the scan of the files: reads one file after the other, and numbers its rows
//!         file_scan  scans by nodes of others
//! own_text   whether a value is that of a text file's column, as it was written
//! ```
//!
//! A row that joins, aggregates or sets make has no place: NULL is better than a wrong number.

mod carry;
mod exec;
pub mod file_scan;
pub mod own_text;
mod place;

pub(crate) use self::carry::with_places;
pub(crate) use self::place::{Place, Source, SourceRow};
