//! Parquet files: one, or a folder of files that need not be alike.
//!
//! In: a place. Out: a table whose types hold the values of all files, read by DataFusion's own scan.
//!
//! ```text
//! FROM 'path', CREATE EXTERNAL (factory)
//!          └────> source ─> footer ─> merge ─> table ─> DataFusion's scan ─> adapt ─> convert
//!                  │                   └─ widen  the type of two types         └─ columns of a file as the table's
//!                  └─ ../listed, ../hive
//! ```

mod adapt;
mod convert;
pub(super) mod factory;
mod footer;
mod merge;
pub(super) mod source;
pub(super) mod table;
#[cfg(test)]
mod tests;
mod widen;
