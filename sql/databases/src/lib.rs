//! Databases as catalogues of DataFusion, read and written: PostgreSQL, MySQL and MariaDB, SQLite, BigQuery, Redshift, Snowflake and others by
//! ADBC drivers; and tables of Delta Lake.
//!
//! [`Database::open`] takes [`DatabaseSettings`] and [`Database::register`] puts the database into a `SessionContext`: `shop.public.orders` is read
//! by SELECT and written by INSERT INTO (append), INSERT OVERWRITE (replace) and REPLACE INTO (upsert). Nothing is connected to before a
//! statement needs it. README.md says what is promised of each database.
//!
//! ```text
//! read    SQL ─▶ catalog ─▶ table ─▶ filter   what the database looks at too ─▶ scan ─▶ driver   rows as Arrow, one snapshot a statement
//! query   SQL ─▶ query  described in the database's own SQL ─▶ scan ─▶ driver
//! write   SQL ─▶ create  a target that is missing ─▶ dml  own types ─▶ table ─▶ write/job ─▶ write/exec ─▶ write/path ─▶ driver      staging, count, last of each key, one step
//! ```
//!
//! | room, lowest first | holds |
//! |---|---|
//! | `error`, `settings`, `options` | what an embedder sees |
//! | `tls` | what is wrong with a certificate |
//! | `relation`, `dialect`, `filter` | a table as it was described; SQL text; which filters mean the same there |
//! | `write/` | a write as it is planned, its conversions, its path |
//! | `answer`, `cells`, `check`, `driver` | rows that become a batch, cells that come as text; what is found when it is tried; what a database must be able to do |
//! | `postgres/`, `mysql/`, `sqlite/`, `bigquery/`, `redshift/`, `adbc/` | one database each, behind a feature of its name |
//! | `delta/` | tables of Delta Lake: folders, and in no catalogue |
//! | `scan`, `table`, `reached`, `registered`, `catalog`, `query`, `dml`, `database` | what DataFusion sees, and the databases of a session |
//! | `overlay`, `create` | a table that an INSERT makes |
//!
//! Absent, on purpose: openssl, aws-lc but for the feature `delta`, `unsafe`; a pool of connections; a password or a cell in an error, a log or
//! EXPLAIN; DDL that commits inside of a write.

#[cfg(feature = "adbc")]
mod adbc;
mod answer;
#[cfg(feature = "bigquery")]
mod bigquery;
mod bigquery_url;
mod catalog;
#[cfg(any(feature = "bigquery", feature = "postgres"))]
mod cells;
mod check;
mod create;
mod database;
#[cfg(feature = "delta")]
pub mod delta;
mod dialect;
mod dml;
mod driver;
pub mod error;
mod filter;
#[cfg(feature = "mysql")]
mod mysql;
mod options;
mod overlay;
#[cfg(feature = "postgres")]
mod postgres;
mod query;
mod reached;
#[cfg(feature = "postgres")]
mod redshift;
mod registered;
mod relation;
mod scan;
mod settings;
#[cfg(feature = "sqlite")]
mod sqlite;
mod table;
#[cfg(any(feature = "mysql", feature = "postgres"))]
mod tls;
#[cfg(any(feature = "bigquery", feature = "postgres"))]
mod unique;
mod write;

pub use check::{Finding, Verdict};
pub use create::{DatabasesSql, MissingTarget};
pub use database::Database;
pub use error::Error;
pub use options::{Overwrite, WriteOptions};
pub use settings::{Access, DatabaseSettings, Kind, Password, TlsMode};

/// README.md of this crate, so that its Rust blocks run as tests.
#[doc = include_str!("../README.md")]
#[cfg(doctest)]
#[derive(Debug)]
pub struct CrateReadme;
