//! Which version of a table a statement sees.
//!
//! In: a place, and a version, an instant or neither. Out: a snapshot. Of the latest version, all scans and the write of one statement have the
//! same, and the next statement looks again.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::catalog::Session;
use deltalake_core::DeltaTable;
use deltalake_core::kernel::EagerSnapshot;
use futures::lock::Mutex;

use super::fault::fault;
use super::place::{LOG_FOLDER, Place};
use crate::error::{Doing, Error, Result};

/// The version of a table that is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AsOf {
    /// The latest when a statement begins, the default.
    #[default]
    Latest,
    /// This version, for ever: `VERSION AS OF`. The table cannot be written.
    Version(u64),
    /// The version that was the latest at this instant, by the clock of the store: `TIMESTAMP AS OF`. The table cannot be written.
    Timestamp(DateTime<Utc>),
}

/// The snapshots of one table.
#[derive(Debug)]
pub(super) struct Snapshots {
    place: Place,
    as_of: AsOf,
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    /// When the statement began that has it.
    statement: Option<DateTime<Utc>>,
    table: DeltaTable,
}

impl Snapshots {
    /// Loads the first.
    ///
    /// # Errors
    /// [`Error::Statement`] if there is no table, or not this version of it; [`Error::Unavailable`] from the store.
    pub(super) async fn open(place: Place, as_of: AsOf) -> Result<(Self, Arc<EagerSnapshot>)> {
        let shown = place.shown();
        let told = |error: deltalake_core::DeltaTableError| fault(&shown, Doing::Reading, &error);
        let log = place.log(Arc::clone(place.store()));
        // Of a folder that is not there, the library says neither that nor where it looked.
        if !log.is_delta_table_location().await.map_err(told)? {
            return Err(Error::Statement(format!("{shown} is no Delta table: there is no {LOG_FOLDER}/ in it")));
        }
        let mut table = DeltaTable::new(log);
        match as_of {
            AsOf::Latest => table.load().await.map_err(told)?,
            AsOf::Version(version) => {
                let latest = table.get_latest_version().await.map_err(told)?;
                if version > latest {
                    return Err(Error::Statement(format!("{shown} has no version {version}: its latest is {latest}")));
                }
                table.load_version(version).await.map_err(told)?;
            }
            AsOf::Timestamp(instant) => {
                table.load_with_datetime(instant).await.map_err(told)?;
                let snapshot = loaded(&table, &shown)?;
                // The library gives the first version for an instant before it.
                if let Some(began) = snapshot.version_timestamp(snapshot.version()).and_then(DateTime::from_timestamp_millis)
                    && began > instant
                {
                    return Err(Error::Statement(format!(
                        "{shown} had no version at {}: its first, or the first that its log still has, is of {}",
                        instant.format("%Y-%m-%dT%H:%M:%SZ"),
                        began.format("%Y-%m-%dT%H:%M:%SZ")
                    )));
                }
            }
        }
        let snapshot = Arc::new(loaded(&table, &shown)?);
        Ok((Self { place, as_of, current: Mutex::new(Current { statement: None, table }) }, snapshot))
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    pub(super) fn as_of(&self) -> AsOf {
        self.as_of
    }

    /// The one that the statement of `state` has.
    ///
    /// # Errors
    /// [`Error::Unavailable`] from the store.
    pub(super) async fn of_statement(&self, state: &dyn Session) -> Result<Arc<EagerSnapshot>> {
        let statement = state.execution_props().query_execution_start_time;
        let mut current = self.current.lock().await;
        if self.as_of == AsOf::Latest && (statement.is_none() || current.statement != statement) {
            current.table.update_state().await.map_err(|error| fault(&self.place.shown(), Doing::Reading, &error))?;
            current.statement = statement;
        }
        Ok(Arc::new(loaded(&current.table, &self.place.shown())?))
    }
}

fn loaded(table: &DeltaTable, shown: &str) -> Result<EagerSnapshot> {
    let state = table.snapshot().map_err(|error| fault(shown, Doing::Reading, &error))?;
    Ok(state.snapshot().clone())
}
