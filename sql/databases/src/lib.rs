//! Databases as catalogues of DataFusion, read and written: PostgreSQL, MySQL and MariaDB, SQLite, BigQuery, Redshift.
//!
//! [`Database::open`] takes [`DatabaseSettings`] and [`Database::register`] puts the database into a `SessionContext`: `shop.public.orders` is read
//! by SELECT and written by INSERT INTO (append), INSERT OVERWRITE (replace) and REPLACE INTO (upsert). Nothing is connected to before a
//! statement needs it. README.md says what is promised of each database.
//!
//! ```text
//! read    SQL ─▶ catalog ─▶ table ─▶ filter   what the database looks at too ─▶ scan ─▶ driver   rows as Arrow, one snapshot a statement
//! write   SQL ─▶ dml  own types ─▶ table ─▶ write/job ─▶ write/exec ─▶ write/path ─▶ driver      staging, count, last of each key, one step
//! ```
//!
//! | room, lowest first | holds |
//! |---|---|
//! | `error`, `settings`, `options` | what an embedder sees |
//! | `tls` | what is wrong with a certificate |
//! | `relation`, `dialect`, `filter` | a table as it was described; SQL text; which filters mean the same there |
//! | `write/` | a write as it is planned, its conversions, its path |
//! | `answer`, `cells`, `driver` | rows that become a batch, cells that come as text; what a database must be able to do |
//! | `postgres/`, `mysql/`, `sqlite/`, `bigquery/`, `redshift/` | one database each, behind a feature of its name |
//! | `scan`, `table`, `catalog`, `dml`, `database` | what DataFusion sees |
//!
//! Absent, on purpose: openssl, aws-lc, `unsafe`; a pool of connections; a password or a cell in an error, a log or EXPLAIN; DDL that
//! commits inside of a write.

mod answer;
#[cfg(feature = "bigquery")]
mod bigquery;
mod bigquery_url;
mod catalog;
#[cfg(any(feature = "bigquery", feature = "postgres"))]
mod cells;
mod database;
mod dialect;
mod dml;
mod driver;
pub mod error;
mod filter;
#[cfg(feature = "mysql")]
mod mysql;
mod options;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "postgres")]
mod redshift;
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

pub use database::Database;
pub use error::Error;
pub use options::WriteOptions;
pub use settings::{Access, DatabaseSettings, Kind, Password, TlsMode};

/// README.md of this crate, so that its Rust blocks run as tests.
#[doc = include_str!("../README.md")]
#[cfg(doctest)]
#[derive(Debug)]
pub struct CrateReadme;
