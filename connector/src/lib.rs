//! CleverTap as tables of Apache DataFusion.
//!
//! [`register()`] puts an [`Account`] into a `SessionContext`: the schemas `clevertap` and `clevertap_events`, the options `clevertap.*`,
//! the functions `ct_*` (crate `datafusion-clevertap-udfs`) and `STORED AS CLEVERTAP`. [`ClevertapSql::clevertap_sql`] takes SQL text
//! whose INSERTs are matched by name.
//!
//! Words: a *row* is Arrow's, a *record* is CleverTap's. A *body* is what one request carries. The *fate* of a row is what became of it:
//! accepted, rejected, in doubt, unsent. The *budget* of an account is how many requests may be in flight, of all statements together.
//!
//! ```text
//! write   SQL ─▶ session ─▶ dml ─▶ optimizer ─▶ catalog ─▶ write/job ─▶ write/exec ─▶ write/driver ──┬─▶ write/encode   batches -> records
//!                           names  rules        provider   columns      WriteExec     one task       ├─▶ write/body     records -> bodies
//!                           keys                           -> fields                                 ├─▶ write/deliver  repeats records until
//!                                                                                                    │     │            each has a fate
//!                                                                                                    │     └─▶ client   repeats one request
//!                                                                                                    └─▶ write/settle   fates -> counts,
//!                                                                                                                       failed rows, end
//!
//! read    SQL ─▶ catalog ─▶ read/plan ─▶ optimizer ─▶ read/scan ──┬─▶ read/lookup  one request a key        ─┐
//!                provider   pushdown:    rules        ScanExec    ├─▶ read/export  chains of pages           ├─▶ client ─▶ read/decode
//!                           WHERE                                 └─▶ read/report  counts and lists          ─┘             bytes -> Arrow
//!                           -> requests
//! ```
//!
//! The folders and files of `src` are *rooms*, here lowest first. None imports a higher one, and no two files import each other
//! (`tests/it/imports.rs`); the session, where a statement begins, is the highest.
//!
//! | room | holds |
//! |---|---|
//! | `fate`, `error`, `options`, `redact`, `wall_clock`, `cpu`, `single_partition`, `storage` | what all rooms stand on |
//! | `table/`, `tables/` | what the file of a table may say; one file a table, as data: columns, sources, targets, calls |
//! | `runs/` | what is known of a statement: run, failed rows and their files, warnings |
//! | `client/` | requests as values, attempts, retries, the budget: the only room that awaits CleverTap |
//! | `access`, `scope`, `project_schema/`, `account`, `relation` | what SQL may do; bounds of a tenant; events and properties of the project; an account; a table as it is registered |
//! | `read/` | filters to requests, requests to pages, pages to batches |
//! | `convert/` | a value that cannot be made rejects its row, and not the statement |
//! | `origin/` | the file of a row, and the row in it |
//! | `write/` | batches to bodies, bodies to answers, answers to fates |
//! | `catalog/` | names to tables; the system tables; `STORED AS CLEVERTAP` |
//! | `dml/` | INSERT by name; UPDATE and DELETE as writes of the people that their WHERE names |
//! | `optimizer/` | our rules, and where each runs among DataFusion's |
//! | `register`, `balance`, `session`, `diagnose/`, `bench_support` | what an embedder calls |
//!
//! Where it is decided …
//!
//! | what | in |
//! |---|---|
//! | whether a request is tried again | `client/retry` |
//! | how many requests are in flight, and that it halves after a 429 | `client/concurrency` |
//! | which records go out again, and with which others | `write/deliver` |
//! | what an identifier that is compared with a number means | `optimizer/identifier_casts` |
//! | which join or subquery gives a read its keys, events and days | `optimizer/bind_keys`, `read/late_filter` |
//! | what is said of a value that a select list cannot make | `convert/exec` |
//! | whom a DELETE takes | `dml/keys/predicate` |
//! | whom a condition with NULL takes | `optimizer/three_valued` |
//! | which instant a date, a local time or an epoch is | `optimizer/instants` |
//! | what a standard field of people holds | `write/encode/standard` |
//! | which name of a column is refused | `dml/names`, `write/mapping` |
//! | which filters CleverTap looks at | `read/pushdown` |
//! | how the days of an export are cut | `read/export/windows` |
//! | when an export is complete | `read/export/chain` |
//!
//! Absent, on purpose:
//!
//! - `unsafe`, but in `write/encode/avx2`, `read/decode/avx2` and `read/decode/text`, which argue for it;
//! - a bare `tokio::spawn`: a dropped query stops its requests and settles what it knows;
//! - waiting for CleverTap outside of `client/`;
//! - wire names outside of `tables/`;
//! - a person's value in an error, a log or a metric;
//! - durable state.

mod access;
pub mod account;
mod balance;
#[doc(hidden)]
pub mod bench_support;
mod catalog;
mod client;
mod convert;
pub mod copy;
mod cpu;
pub mod diagnose;
mod dml;
pub mod error;
mod fate;
mod foreign_text;
pub mod optimizer;
pub mod options;
mod origin;
mod project_schema;
mod read;
pub mod redact;
pub mod register;
mod relation;
pub mod runs;
pub mod scope;
pub mod session;
mod single_partition;
pub mod storage;
mod table;
mod tables;
mod wall_clock;
mod write;

pub use access::Access;
pub use account::{Account, AccountSettings};
pub use catalog::{account_of, payload_encoder, records_table};
pub use client::{Region, Secret, transport};
pub use error::{Error, ErrorKind, Result};
pub use fate::{Fate, Tally};
pub use options::Options;
pub use origin::{file_scan, own_text};
pub use register::register;
pub use runs::{FailedRow, Run};
pub use session::ClevertapSql;
pub use write::run_uids::run_uids;
pub use write::{hooks, payload};

/// The crates whose types stand in the signatures of this one, in the versions that fit; Arrow is `datafusion::arrow`.
pub use {async_trait::async_trait, bytes, chrono, chrono_tz, datafusion, futures, object_store, tokio, url};

/// README.md of this crate, so that its Rust blocks run as tests.
#[doc = include_str!("../README.md")]
#[cfg(doctest)]
#[derive(Debug)]
pub struct CrateReadme;
