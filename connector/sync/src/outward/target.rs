//! Where rows go.
//!
//! In: `into` of a definition. Out: what is written to, and what it knows of the runs that wrote to it.

use arrow::datatypes::{Schema, SchemaRef};
use chrono::{DateTime, Utc};

use super::delta::DeltaTarget;
use super::parquet::Folder;
use super::past::Pending;
use super::query::Query;
use super::spool::Spool;
use super::table::SessionTable;
use super::types;
use super::window::Span;
use crate::definition::Mode;
use crate::definition::outward::{DELTA, PARQUET};
use crate::error::Result;
use crate::ledger::{Lease, Place};
use crate::report::Changes;

/// What is written to.
pub(super) enum Target {
    Delta(DeltaTarget),
    Parquet(Folder),
    Table(SessionTable),
}

/// What is written.
pub(super) struct Write<'w> {
    pub(super) query: &'w Query,
    pub(super) rows: &'w Spool,
    pub(super) span: Option<Span>,
    pub(super) lease: &'w Lease,
    pub(super) run_id: &'w str,
    pub(super) run_at: DateTime<Utc>,
    /// When the last run began whose rows the target has, as it was when this one began.
    pub(super) seen: Option<DateTime<Utc>>,
    /// The cursor after it; `None` where it stays.
    pub(super) cursor: Option<DateTime<Utc>>,
}

/// What a target says of the runs that wrote to it.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Stored {
    pub(super) cursor: Option<DateTime<Utc>>,
    /// When the last run began whose rows are there.
    pub(super) run_at: Option<DateTime<Utc>>,
}

impl Target {
    /// # Errors
    /// [`Error::Storage`](crate::Error::Storage) or [`Error::Definition`](crate::Error::Definition) if it cannot be one.
    pub(super) fn of(query: &Query) -> Result<Self> {
        let (into, name) = (query.definition.into.trim(), &query.definition.name);
        let place = |location: &str| Place::of(&format!("sync \"{name}\": the target"), location.trim(), &query.session.state());
        if let Some(location) = into.strip_prefix(DELTA) {
            return Ok(Self::Delta(DeltaTarget::new(place(location)?, name)));
        }
        if let Some(location) = into.strip_prefix(PARQUET) {
            return Ok(Self::Parquet(Folder::new(place(location)?, name)));
        }
        Ok(Self::Table(SessionTable::new(into, name)))
    }

    /// What it knows itself; `None` of a target that knows nothing, for which the ledger speaks.
    ///
    /// # Errors
    /// If it cannot be read, or is none of ours.
    pub(super) async fn stored(&self) -> Result<Option<Stored>> {
        match self {
            Self::Delta(table) => table.stored().await.map(Some),
            Self::Parquet(_) | Self::Table(_) => Ok(None),
        }
    }

    /// Whether rows that were under way when a run ended are there, or not, or nobody knows.
    pub(super) fn is_in_doubt(&self, mode: Mode, pending: &Pending) -> bool {
        matches!(self, Self::Table(_)) && mode == Mode::Append && pending.in_doubt > 0
    }

    /// The types in which its rows are kept; `None` for those of the query.
    ///
    /// # Errors
    /// [`Error::Definition`](crate::Error::Definition) that names a column that it cannot take.
    pub(super) async fn check(&self, schema: &Schema, query: &Query) -> Result<Option<SchemaRef>> {
        let name = &query.definition.name;
        match self {
            Self::Delta(table) => {
                let kept = types::kept(schema, name)?;
                table.check(&kept, &query.definition.key).await?;
                Ok(Some(kept))
            }
            Self::Parquet(folder) => {
                folder.check().await?;
                types::kept(schema, name).map(Some)
            }
            Self::Table(table) => table.check(schema, query).await.map(|()| None),
        }
    }

    /// Writes, and counts the rows that were. `begins` is called before the first of them leaves, if nobody could tell afterwards whether they did.
    ///
    /// # Errors
    /// The target's.
    pub(super) async fn write(&self, write: &Write<'_>, changes: &mut Changes, begins: impl AsyncFnOnce() -> Result<()>) -> Result<u64> {
        match self {
            Self::Delta(table) => table.write(write, changes).await,
            Self::Parquet(folder) => folder.write(write).await,
            Self::Table(table) => table.write(write, begins).await,
        }
    }
}
