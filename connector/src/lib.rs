//! CleverTap as tables of Apache DataFusion.
//!
//! [`register`] puts an [`Account`] into a `SessionContext`: the schemas `clevertap` and `clevertap_events`, the options
//! `clevertap.*`, the functions `ct_*` and `STORED AS CLEVERTAP`. [`ClevertapSql::clevertap_sql`] is the door for SQL text whose
//! INSERTs are matched by name.
//!
//! ```text
//! write   SQL ─▶ session ─▶ write/mapping ─▶ write/plan ─▶ write/drive ──┬─▶ write/encode   batches -> records
//!               (names)     (columns->fields) (WriteExec)  (one task)    ├─▶ write/body     records -> bodies
//!                                                                        ├─▶ write/deliver  a body until each record has a fate
//!                                                                        │      └─▶ client  attempts, retries, budget
//!                                                                        └─▶ write/settle   fates -> counts, failed rows, end
//!
//! read    SQL ─▶ catalog ─▶ read/plan ─▶ read/scan ──┬─▶ read/lookup  one request a key
//!                          (WHERE->work) (ScanExec)  ├─▶ read/chain   pages of a cursor ──▶ read/decode  bytes -> Arrow
//!                                                    └─▶ read/report  counts, lists
//!                                                           └─▶ client  attempts, retries, budget
//!
//! tables/  one file a table, as data: columns, sources, targets, calls.   table/  what such a file may say.
//! local    runs, failed rows, warnings, limits, options, tables as tables.
//! ```
//!
//! What is absent, on purpose: `unsafe`, but for a call in `write/encode/kernel.rs` and two files of `read/decode`, which argue for it; a bare `tokio::spawn` (a dropped query stops its requests and settles what it knows);
//! waiting for CleverTap outside of `client/` (failed rows reach a bucket through object_store); wire names outside of `tables/`; a person's value in an error, a log or a metric;
//! durable state.

mod account;
mod catalog;
mod check;
mod client;
mod copy;
mod error;
#[doc(hidden)]
pub mod kernels;
mod local;
mod one_partition;
mod options;
mod people;
mod read;
mod redact;
mod rule;
mod session;
mod table;
mod tables;
mod update;
mod wall_clock;
mod write;
mod zone;

pub use account::{Access, Account, AccountSettings, Clock};
pub use check::{Probe, check};
pub use client::{Answer, Call, Failure, FailureKind, Method, Put, Region, Secret, Transport};
pub use error::{Error, Outcome, Result};
pub use options::{DryRun, InDoubt, ListMode, LongValues, NaiveTime, Nulls, OnReject, Options, SchemaCheck, Setting, TypeMismatch};
pub use redact::without_values;
pub use session::{ClevertapSql, register};
pub use write::Tally;
pub use write::consent::{EraseConsent, Erasure};
pub use write::failed_rows::{FailedRow, Fate};
pub use write::runs::{Run, RunWarning, Status};
pub use write::settle::FateWatch;
pub use zone::{ZoneProof, prove_time_zone};

/// The first page, whose Rust blocks run as tests.
#[doc = include_str!("../../README.md")]
#[cfg(doctest)]
#[derive(Debug)]
pub struct FirstPage;

/// This crate's page, whose Rust blocks run as tests.
#[doc = include_str!("../README.md")]
#[cfg(doctest)]
#[derive(Debug)]
pub struct CratePage;
