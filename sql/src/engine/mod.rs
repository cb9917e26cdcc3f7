//! DataFusion, set up for CleverTap and files, and the runner of a script.
//!
//! In: a script, an account or none. Out: results for `terminal/output`, and what statements wrote for `terminal/console`.
//!
//! ```text
//! script ─> statements ─> runner ─> session (SessionContext) ─> batches
//!                                      ├─ json_casts   casts of `properties -> 'Key'`
//!                                      └─ files/listing, datafusion-clevertap
//! ```
//!
//! `literals` writes values into SQL text and reads cells as text, for commands that make their own statements.

pub(crate) mod json_casts;
pub(crate) mod literals;
pub(crate) mod runner;
pub(crate) mod script;
pub(crate) mod session;
