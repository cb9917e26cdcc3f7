//! Text files, read twice: once to learn what they are, once to load them.
//!
//! In: files that a path or CREATE EXTERNAL TABLE names. Out: a table whose types hold for every cell of them.
//!
//! ```text
//! FROM 'path' ─────────┐
//! CREATE EXTERNAL ─> factory ─> source ─> learn ─> table ─> scan ─> pieces ─> clevertap_files: what the bytes say
//!                        │         │        └─ first pass, kept        └─ decompress, encoding
//!                     options     ../listed, ../hive: files, and columns of folders
//!
//! own_text: casts to text of columns of these tables are the cells' own characters
//! ```

pub(super) mod decompress;
mod encoding;
pub(super) mod factory;
pub(crate) mod learn;
mod opened;
pub(super) mod options;
pub(super) mod own_text;
mod pieces;
mod scan;
pub(super) mod source;
pub(super) mod table;
#[cfg(test)]
mod tests;
