//! Files, folders and buckets: read by path, and written as a whole.
//!
//! In: a path or URL in a statement; bytes for a file. Out: a table; a file that is complete or absent.
//!
//! ```text
//! FROM 'path' or a view of [files] ─> catalogs ─> listing ─> lakehouse   a table of Delta Lake is none of files
//!                 listing ─┬─> object_stores   the folder or bucket behind a URL; uploads: none is left half written
//!                         ├─> text            CSV and JSON, read twice   ─┬─> listed, hive   files, and columns in the names of folders
//!                         └─> parquet         footers first, then rows   ─┘   appended       INSERT adds a file
//! -o FILE ─────> atomic_file
//! ```

mod appended;
pub(crate) mod atomic_file;
pub(crate) mod catalogs;
mod hive;
pub(crate) mod lakehouse;
mod listed;
pub(crate) mod listing;
pub(crate) mod object_stores;
mod parquet;
#[cfg(test)]
mod test_files;
pub(crate) mod text;
pub(crate) mod uploads;
