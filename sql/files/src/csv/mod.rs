//! Delimited text: two passes over the same bytes.
//!
//! ```text
//! bytes ─▶ Scan ─▶ Layout ─▶ Layout::merge ─▶ Merged     the first pass: every byte; then a folder as one table
//! bytes ─▶ Rows ─▶ batches                               the second pass: ranges of a file, at the same time if one likes
//!
//! mask       64 bytes -> those that may mean something   cell/    a cell -> its value; one file a kind
//! structure  bytes -> where cells and records are        facts    cells -> what those of a column have in common
//! feed       pieces of any size -> whole records         settle   facts -> the type of the column, or why it is text
//! dialect    first bytes -> separator and line ends      header   first record -> names of columns
//! fault      what is wrong -> what to write instead      build    cells -> arrays
//! noticed    what others read otherwise -> its lines     marks    marks for no value among texts
//! lines      lines that are no rows -> what they look like
//! ```
//!
//! **Structure** is RFC 4180. A quote opens a cell as its first byte; elsewhere in a cell that is not quoted it is text, and told. Text
//! behind a closing quote, a quote that is never closed, a record with more or fewer cells than the first, line ends of two kinds: errors,
//! with the line where the cell or record begins. LF and CR LF are one kind; a file that has both is told. A line without a byte is no record,
//! except in a file of one column, where DuckDB and polars write it for NULL: there it is one, and told.
//!
//! **Empty cells** are NULL, quoted or not, in text too, as DataFusion's reader has it; so are cells that are one of [`Options::null`],
//! quoted or not. Quotes make no type: a column of `"1"` is a column of integers.
//!
//! **Types** are those of every cell or none: see [`Column`].
//!
//! ```
//! use std::sync::Arc;
//!
//! use clevertap_files::csv::{Options, Rows, Scan};
//!
//! let file = b"user_id,visits\n20000,7\n00123,\n";
//! let mut scan = Scan::new("people.csv", Options::default());
//! scan.push(file)?;
//! let layout = scan.finish()?;
//!
//! // All splits in one go; each may be read by itself, at the same time as others.
//! let splits = 0..layout.splits.len();
//! let bytes = layout.byte_range(splits.clone());
//! let mut rows = Rows::new(&layout, Arc::new(layout.schema()), &[0, 1], splits)?;
//! let mut batches = rows.push(&file[bytes.start as usize..bytes.end as usize])?;
//! batches.extend(rows.finish()?);
//! let table = arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string();
//! assert!(table.contains("| 00123   |        |"));
//! # Ok::<(), clevertap_files::TextError>(())
//! ```

mod build;
mod cell;
mod dialect;
mod facts;
mod fault;
mod feed;
mod header;
mod layout;
mod lines;
mod marks;
mod mask;
mod merge;
mod noticed;
mod options;
mod rows;
mod scan;
mod settle;
mod structure;

pub use cell::text::NULL_MARKS;
pub use layout::{Column, Layout, Split};
pub use merge::Merged;
pub use options::{Options, Types};
pub use rows::Rows;
pub use scan::Scan;
pub use structure::NO_QUOTE;
