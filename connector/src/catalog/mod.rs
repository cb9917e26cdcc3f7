//! Names to tables: the schemas `clevertap` and `clevertap_events`, or whatever an account is registered as.
//!
//! ```text
//! name ─▶ schemas ─────────────────┬─▶ provider        tables of CleverTap: reads and writes
//!                                 └─▶ system_tables   runs, failed rows, warnings, limits, options, tables
//!                       records        a table for records of failed rows, as they are
//! STORED AS CLEVERTAP ─▶ format ─▶ provider              COPY TO and CREATE EXTERNAL TABLE
//! ```

pub(crate) mod format;
mod provider;
mod records;
mod registered;
mod schemas;
mod system_tables;

pub(crate) use provider::{ClevertapTable, ColumnMatching};
pub use provider::{account_of, payload_encoder};
pub use records::records_table;
pub(crate) use registered::Registered;
pub(crate) use schemas::{EventTables, FixedTables, to_write};
