//! CleverTap as tables of Apache DataFusion.
//!
//! [`register`] puts an [`Account`] into a `SessionContext`: the schemas `clevertap` and `clevertap_events`, the options
//! `clevertap.*`, the functions `ct_*` and `STORED AS CLEVERTAP`. [`ClevertapSql::clevertap_sql`] takes SQL text whose INSERTs are
//! matched by name.
//!
//! ```text
//! write   SQL ─▶ session ─▶ dml ─────────▶ catalog ──▶ write/job ──▶ write/plan ─▶ write/driver ──┬─▶ encode    batches -> records
//!                           (names, keys)  (provider)  (columns     (WriteExec)   (one task)     ├─▶ body      records -> bodies
//!                                                       -> fields)                               ├─▶ deliver   a body until each
//!                                                                                                │             record has a fate
//!                                                                                                │   └─▶ client  attempts, retries,
//!                                                                                                │               budget
//!                                                                                                └─▶ settle    fates -> counts,
//!                                                                                                              failed rows, end
//!
//! read    SQL ─▶ catalog ───▶ read/plan ─────▶ read/scan ──┬─▶ lookup   one request a key
//!                (provider)   (pushdown:      (ScanExec)   ├─▶ export   chains of pages ─▶ decode  bytes -> Arrow
//!                             WHERE -> calls)              └─▶ report   counts, lists
//!                                                               └─▶ client  attempts, retries, budget
//! ```
//!
//! The rooms, lowest first; none imports a higher one, and no two files import each other (`tests/it/tidy.rs` holds both):
//!
//! | room | holds |
//! |---|---|
//! | `fate`, `error`, `options`, `redact`, `wall_clock`, `cpu`, `single_partition`, `storage` | what all rooms stand on |
//! | `table/`, `tables/` | what the file of a table may say; one file a table, as data: columns, sources, targets, calls |
//! | `runs/` | what is known of a statement: run, failed rows, warnings |
//! | `client/` | requests as values, attempts, retries, budgets: the only room that awaits CleverTap |
//! | `project_schema/`, `account`, `relation` | events and properties of the project; an account; a table of an account |
//! | `read/` | filters to calls, calls to pages, pages to batches |
//! | `write/` | batches to bodies, bodies to answers, answers to fates |
//! | `catalog/` | names to tables; the system tables; `STORED AS CLEVERTAP` |
//! | `dml/` | INSERT by name; UPDATE and DELETE as the people that their WHERE names |
//! | `optimizer/` | every rule of ours and where it stands |
//! | `register`, `session`, `diagnose/`, `bench_support` | what an embedder calls |
//!
//! What is absent, on purpose: `unsafe`, but for a call in `write/encode/avx2.rs` and two files of `read/decode`, which argue for it; a
//! bare `tokio::spawn` (a dropped query stops its requests and settles what it knows); waiting for CleverTap outside of `client/` (failed
//! rows reach a bucket through object_store); wire names outside of `tables/`; a person's value in an error, a log or a metric; durable
//! state.

mod account;
#[doc(hidden)]
pub mod bench_support;
mod catalog;
mod client;
mod cpu;
mod diagnose;
mod dml;
mod error;
mod fate;
pub mod optimizer;
mod options;
mod project_schema;
mod read;
mod redact;
mod register;
mod relation;
mod runs;
mod session;
mod single_partition;
pub mod storage;
mod table;
mod tables;
mod wall_clock;
mod write;

pub use account::{Access, Account, AccountSettings, Clock};
pub use client::{Answer, Call, Failure, FailureKind, Method, Put, Region, Secret, Transport};
pub use diagnose::{Probe, ZoneProof, check, prove_time_zone};
pub use error::{Error, ErrorKind, Outcome, Result};
pub use fate::{Fate, Tally};
pub use options::{DryRun, InDoubt, ListMode, LongValues, NaiveTime, Nulls, OnReject, Options, SchemaCheck, Setting, TypeMismatch};
pub use redact::without_values;
pub use register::{event_schema_provider, register, register_in, schema_provider, unregister};
pub use runs::failed_rows::FailedRow;
pub use runs::{Run, RunWarning, Status};
pub use session::{ClevertapPlan, ClevertapSql};
pub use write::hooks::{EraseConsent, Erasure, FateWatch, SettledRows};
pub use write::run_uids::run_uids;

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
