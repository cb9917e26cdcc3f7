//! Files, folders and buckets: read by path, and written as a whole.
//!
//! In: a path or URL in a statement; bytes for a file. Out: a table; a file that is complete or absent.
//!
//! ```text
//! FROM 'path' ─> listing ─┬─> object_stores   the folder or bucket behind a URL; uploads: none is left half written
//!                         └─> text            CSV and JSON, read twice
//! -o FILE ─────> atomic_file
//! ```

pub(crate) mod atomic_file;
pub(crate) mod listing;
pub(crate) mod object_stores;
pub(crate) mod text;
pub(crate) mod uploads;
