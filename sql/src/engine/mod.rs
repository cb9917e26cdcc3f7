//! DataFusion, set up for CleverTap and files, and the runner of a script.
//!
//! In: a script, an account or none. Out: results for `terminal/output`, and what statements wrote for `terminal/console`.
//!
//! ```text
//! script ─> depth ─> statements ─> runner ─> session (SessionContext) ─> batches
//!                                      ├─ ending       what signals do
//!                                      ├─ rewrites     folders in quotes, SHOW FUNCTIONS
//!                                      ├─ databases    ATTACH, DETACH (attach), tables that an INSERT makes
//!                                      ├─ ledger       what syncs remember, as tables; syncs over the session
//!                                      └─ files/listing, datafusion-clevertap
//! ```
//!
//! `memory` bounds what statements take, `wide_rows` what a scan decodes at once. `missing_table` adds the nearest name to DataFusion's error about a table. `literals` writes values into SQL text and reads cells as text, for commands that make their own statements.

mod attach;
mod databases;
mod depth;
pub(crate) mod ending;
#[cfg(feature = "syncs")]
mod ledger;
mod memory;
mod missing_table;
pub(crate) mod resuming;
mod rewrites;
pub(crate) mod runner;
pub(crate) mod runs;
pub(crate) mod script;
pub(crate) mod session;
mod settings;
#[cfg(feature = "syncs")]
pub(crate) mod syncs;
#[cfg(test)]
mod tests;
mod wide_rows;
