//! Syncs into and out of CleverTap: named queries that are run again and again, and move only what changed.
//!
//! A [`Definition`] says what moves where. What was sent is remembered in a *ledger* ([`ledger::Ledger`]): a folder or bucket of Delta tables. A
//! *payload* is what a row would send; its hash is compared with that of the ledger. A *key* says which row is which, from run to run.
//!
//! ```text
//! definition ─▶ source   the query, with the hashes of each row's key and payload
//!                  └─▶ diff      with the rows of the ledger: new, changed, removed, unchanged, held
//! ledger   what was sent, what is in flight, who runs it, runs, dead letters
//! ```
//!
//! | room | holds |
//! |---|---|
//! | `error` | what can go wrong, by who must act |
//! | `definition` | what a sync is, checked as a whole |
//! | `report` | what a plan or a run says |
//! | `ledger/` | Delta tables, leases, what is in flight: all that is remembered |
//! | `hash` | 128 bits of a key, and of a payload |
//! | `source` | the plan node that hashes the rows of a query |
//! | `diff` | what of a source changed since it was sent |
//!
//! The run that joins them, sends what changed and settles it is not built yet, nor are the syncs out of CleverTap.

pub mod definition;
pub mod diff;
pub mod error;
pub mod hash;
pub mod ledger;
pub mod report;
pub mod source;

pub use definition::Definition;
pub use error::{Error, Result};
pub use report::{RunReport, SyncPlan};
