//! Writing: one path for all databases.
//!
//! ```text
//! INSERT ─▶ job  which columns, how, by which key ─▶ exec  WriteExec ─▶ rows  batches, counted ─▶ convert  to the columns' types, or refused
//!                                                                        │
//!                                                                        ▼
//!                                                            path  staging table ─▶ as many as were sent? ─▶ last of each key ─▶ one SQL step
//! ```

pub(crate) mod convert;
pub(crate) mod exec;
pub(crate) mod job;
#[cfg(any(feature = "bigquery", feature = "postgres"))]
pub(crate) mod parquet;
pub(crate) mod path;
pub(crate) mod rows;
