//! Delta Lake: tables that are folders of Parquet files with a log of commits.
//!
//! In: the place of a table, in a store of the session. Out: a table that is read at one of its versions, and written by one commit a statement.
//! `deltalake-core` does what the protocol says; what is ours is what the protocol leaves to a writer: which values fit, which row of a key
//! counts, whose commit it was when the answer was lost, and words for what went wrong.
//!
//! ```text
//! read    place ─▶ snapshot  a version a statement ─▶ table ─▶ scan  the library's, with the version for EXPLAIN
//! write   table ─▶ describe  columns, or why it cannot be written ─▶ write/job ─▶ writer ─▶ rows ─▶ spilled ─▶ upsert, partitions ─▶ commit
//!                                                                                                     store  whose commit it was
//! ```

mod describe;
mod factory;
mod fault;
mod partitions;
mod place;
mod removals;
mod rows;
mod scan;
mod snapshot;
mod spilled;
mod store;
pub(crate) mod table;
mod upsert;
mod writer;

pub use factory::{DeltaTableFactory, register};
pub use snapshot::AsOf;
pub use table::DeltaTableProvider;
