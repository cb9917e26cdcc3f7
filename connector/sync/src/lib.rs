//! Syncs into and out of CleverTap: named queries that are run again and again, and move only what changed.
//!
//! A [`Definition`] says what moves where. What was sent is remembered in a *ledger* ([`ledger::Ledger`]): a folder or bucket of Delta tables. A
//! *payload* is what a row would send; its hash is compared with that of the ledger. A *key* says which row is which, from run to run.
//!
//! ```text
//! definition ─▶ syncs/prepared   the query, planned
//!                  └─▶ source        with the hashes of each row's key and payload
//!                         └─▶ diff       with the ledger: new, changed, unchanged, held; what leaves waits on the disk (syncs/compare)
//!                                └─▶ outbox   an INSERT reads it; each row is written down before it leaves
//!                                       └─▶ syncs/send   fates as they settle ─▶ ledger
//! ```
//!
//! | room | holds |
//! |---|---|
//! | `error` | what can go wrong, by who must act |
//! | `definition/` | what a sync is, checked as a whole |
//! | `report` | what a plan or a run says |
//! | `ledger/` | Delta tables, leases, what is in flight: all that is remembered |
//! | `hash` | 128 bits of a key, and of a payload |
//! | `session` | the session that a sync runs in |
//! | `source` | the plan node that hashes the rows of a query |
//! | `diff` | what of a source changed since it was sent |
//! | `outbox` | rows that leave, each known until it has its fate |
//! | `outward/` | the other direction: a window of CleverTap to a Delta table, a folder of Parquet, a table of the session |
//! | `syncs/` | what an embedder calls |

pub mod definition;
mod diff;
pub mod error;
pub mod hash;
pub mod ledger;
mod outbox;
mod outward;
pub mod report;
mod session;
mod source;
pub mod syncs;

pub use definition::{Definition, RunOptions};
pub use error::{Error, Result};
pub use report::{RunReport, SyncPlan};
pub use syncs::Syncs;

/// README.md of this crate, so that its Rust blocks run as tests.
#[doc = include_str!("../README.md")]
#[cfg(doctest)]
#[derive(Debug)]
pub struct CrateReadme;
