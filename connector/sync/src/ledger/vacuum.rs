//! Files that no version needs any more.
//!
//! In: a time. Out: the files of a sync that left their tables before it are gone, and those that never came into one. Of other syncs none is
//! touched: they may be written at this moment.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use futures::TryStreamExt;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use super::Ledger;
use super::fault::{Doing, of_log, of_store};
use super::lease::Lease;
use super::log::Version;
use super::schema::{SYNC, Table};
use super::store::LedgerStore;
use crate::error::Result;

/// What a crash may leave in `.staged/` is of the same day.
const STAGED_FOR: TimeDelta = TimeDelta::days(1);

/// What a vacuum removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Vacuumed {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Ledger {
    /// For how long a version can be read after the next one: seven days, as elsewhere in Delta Lake.
    pub const RETENTION: TimeDelta = TimeDelta::days(7);

    /// Removes files of the lease's sync that no version of the last `older_than` has. At most [`RETENTION`](Self::RETENTION) counts: after that,
    /// the log does not know when a file left.
    ///
    /// # Errors
    /// [`Error::Held`](crate::Error::Held), [`Error::Storage`](crate::Error::Storage), [`Error::Ledger`](crate::Error::Ledger).
    pub async fn vacuum(&self, lease: &Lease, older_than: TimeDelta) -> Result<Vacuumed> {
        lease.state().check()?;
        let before = self.now() - older_than.min(Self::RETENTION);
        let mut vacuumed = Vacuumed::default();
        for table in Table::ALL {
            let Some(version) = self.newest(table).await? else { continue };
            let left = self.left_at(&version).await?;
            for (path, meta) in self.unneeded(&version, lease.sync()).await? {
                // One that is not in the log never came into the table, or left it before the log's own retention.
                if *left.get(&path).unwrap_or(&meta.last_modified) < before {
                    lease.state().check()?;
                    self.remove(&meta, &mut vacuumed).await?;
                }
            }
        }
        let staged = LedgerStore::new(self.place()).list(Some(&self.place().path(".staged"))).try_collect::<Vec<_>>().await;
        for meta in staged.map_err(|error| of_store(self.place(), ".staged/", Doing::Reading, &error))? {
            if meta.last_modified < self.now() - STAGED_FOR {
                self.remove(&meta, &mut vacuumed).await?;
            }
        }
        Ok(vacuumed)
    }

    /// Files in the folder of a sync that the version does not have, by their paths in the table.
    pub(super) async fn unneeded(&self, version: &Version, sync: &str) -> Result<Vec<(String, ObjectMeta)>> {
        let needed: HashSet<String> = version.files(Some(sync)).into_iter().map(|file| file.path).collect();
        let table = version.table.folder();
        let folder = format!("{table}/{SYNC}={sync}");
        let listed = LedgerStore::new(self.place()).list(Some(&self.place().path(&folder))).try_collect::<Vec<_>>().await;
        let listed = listed.map_err(|error| of_store(self.place(), &folder, Doing::Reading, &error))?;
        let named = listed.into_iter().filter_map(|meta| {
            let path = self.place().below(&meta.location).strip_prefix(table)?.trim_start_matches('/').to_owned();
            (!needed.contains(&path)).then_some((path, meta))
        });
        Ok(named.collect())
    }

    /// When files left a table.
    async fn left_at(&self, version: &Version) -> Result<HashMap<String, DateTime<Utc>>> {
        let mut tombstones = version.state.all_tombstones(version.log.as_ref());
        let mut left = HashMap::new();
        let told = |error| of_log(self.place(), version.table.folder(), Doing::Reading, &error);
        while let Some(tombstone) = tombstones.try_next().await.map_err(told)? {
            let at = tombstone.deletion_timestamp().and_then(DateTime::from_timestamp_millis);
            left.insert(tombstone.path().into_owned(), at.unwrap_or_else(|| self.now()));
        }
        Ok(left)
    }

    async fn remove(&self, meta: &ObjectMeta, vacuumed: &mut Vacuumed) -> Result<()> {
        match LedgerStore::new(self.place()).delete(&meta.location).await {
            Ok(()) => {
                vacuumed.files += 1;
                vacuumed.bytes += meta.size;
                Ok(())
            }
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(of_store(self.place(), &self.place().below(&meta.location), Doing::Writing, &error)),
        }
    }
}
