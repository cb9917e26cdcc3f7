//! No trace of a person, and a sync that begins anew.
//!
//! In: hashes of keys. Out: no file of the ledger has those keys: rows and dead letters are written again without them, chunks of what was in
//! flight too, and the files that had them are removed at once, those of older versions among them. Whoever reads an older version of
//! these tables at that moment hears that a file is missing: that is the price of an erasure.

use std::collections::{BTreeSet, HashMap, HashSet};

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use chrono::{DateTime, TimeDelta, Utc};
use futures::TryStreamExt;
use object_store::ObjectStoreExt;

use super::Ledger;
use super::commit::{Commit, Operation};
use super::files::{FileWriter, Kind, Reader, Written, read_small};
use super::holder::Holder;
use super::lease::Lease;
use super::log::{ChangesRows, RowFile};
use super::schema::Table;
use super::store::LedgerStore;
use crate::error::{Error, Result};
use crate::hash::Hash;

/// What was forgotten.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Rows that were taken out, of all times of their keys.
    pub rows: u64,
    /// Dead letters that were taken out.
    pub dead_letters: u64,
    /// Keys that were blanked in what a crash left in flight.
    pub in_flight: u64,
    /// Syncs that are run at this moment: theirs is all there still. Ask again when they have ended.
    pub held: Vec<String>,
    /// A file that has a key of these could not be removed, and is by a vacuum after this instant; `None`: there is none. A bucket that
    /// keeps versions of its files keeps these, which nobody but its owner can tell or change.
    pub until: Option<DateTime<Utc>>,
}

/// Some keys.
#[derive(Debug)]
struct Keys(HashSet<Hash>);

impl Keys {
    /// Which rows are none of theirs.
    fn others(&self, batch: &RecordBatch) -> BooleanArray {
        let hashes = batch.column_by_name("key_hash").and_then(|hashes| hashes.as_binary_opt::<i32>());
        let is_theirs = |hash: &[u8]| <&Hash>::try_from(hash).is_ok_and(|hash| self.0.contains(hash));
        (0..batch.num_rows()).map(|row| Some(!hashes.is_some_and(|hashes| is_theirs(hashes.value(row))))).collect()
    }

    fn count(&self, batch: &RecordBatch) -> u64 {
        (batch.num_rows() - self.others(batch).true_count()) as u64
    }
}

impl Ledger {
    /// Forgets what was sent of the lease's sync: its rows, its dead letters, and what is left in flight. Its runs stay.
    ///
    /// # Errors
    /// [`Error::Held`] if the lease was taken over, [`Error::Storage`], [`Error::Ledger`].
    pub async fn reset(&self, lease: &Lease) -> Result<()> {
        for table in [Table::Rows, Table::DeadLetters] {
            if self.newest(table).await?.is_some_and(|version| !version.files(Some(lease.sync())).is_empty()) {
                let mut commit = Commit::new(self.place(), table, lease.fence(), Operation::Replace);
                while let Some(version) = commit.next().await? {
                    let files = version.files(Some(lease.sync()));
                    commit.make(&version, files.iter().map(|file| file.removal(ChangesRows::Yes)).collect()).await?;
                }
            }
        }
        for ((run_id, n), _) in self.chunks(lease.sync()).await? {
            self.in_flight(lease, &run_id).remove(n).await?;
        }
        Ok(())
    }

    /// Forgets these keys, of one sync or of all. It takes the lease of each sync as `holder`; of those that are run at this moment nothing is changed.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Ledger`]: what was forgotten by then stays forgotten, and asking again does the rest.
    pub async fn forget(&self, keys: &[Hash], sync: Option<&str>, holder: &Holder) -> Result<Forgotten> {
        let mut forgotten = Forgotten::default();
        let syncs = match sync {
            Some(sync) => BTreeSet::from([sync.to_owned()]),
            None => self.syncs().await?,
        };
        if keys.is_empty() || syncs.is_empty() {
            return Ok(forgotten);
        }
        let keys = Keys(keys.iter().copied().collect());
        for sync in syncs {
            let lease = match self.acquire(&sync, holder.clone()).await {
                Ok(lease) => lease,
                Err(Error::Held(_)) => {
                    forgotten.held.push(sync);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let done = self.forget_of(&keys, &lease, &mut forgotten).await;
            let released = lease.release().await;
            done.and(released)?;
        }
        Ok(forgotten)
    }

    /// All syncs of which there may be keys.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn syncs(&self) -> Result<BTreeSet<String>> {
        let mut syncs: BTreeSet<String> = self.in_flight_syncs().await?.into_iter().collect();
        for table in [Table::Rows, Table::DeadLetters] {
            // Also those whose files have left the table, and are there still.
            syncs.extend(self.folders(table).await?);
        }
        Ok(syncs)
    }

    async fn folders(&self, table: Table) -> Result<Vec<String>> {
        use object_store::ObjectStore;
        let store = LedgerStore::new(self.place());
        let listed = store.list_with_delimiter(Some(&self.place().path(table.folder()))).await;
        let told = |error| super::fault::of_store(self.place(), table.folder(), super::fault::Doing::Reading, &error);
        let name = |path: &object_store::path::Path| path.filename().and_then(|name| name.strip_prefix("sync=")).map(ToOwned::to_owned);
        Ok(listed.map_err(told)?.common_prefixes.iter().filter_map(name).collect())
    }

    async fn forget_of(&self, keys: &Keys, lease: &Lease, forgotten: &mut Forgotten) -> Result<()> {
        for ((run_id, n), _) in self.chunks(lease.sync()).await? {
            if let Some(mut chunk) = self.chunk(lease.sync(), &run_id, n).await? {
                let hashes: Vec<Hash> = keys.0.iter().copied().collect();
                let blanked = chunk.blank(&hashes);
                if blanked > 0 {
                    self.rewrite_chunk(lease.sync(), &run_id, n, &chunk).await?;
                    forgotten.in_flight += blanked;
                }
            }
        }
        for table in [Table::Rows, Table::DeadLetters] {
            let count = self.forget_in(keys, lease, table).await?;
            match table {
                Table::DeadLetters => forgotten.dead_letters += count,
                _ => forgotten.rows += count,
            }
            if !self.remove_former(keys, lease, table).await? {
                forgotten.until = Some(self.now() + Self::RETENTION + TimeDelta::days(1));
            }
        }
        Ok(())
    }

    /// Writes the files of a table that have these keys again, without them, in one commit.
    async fn forget_in(&self, keys: &Keys, lease: &Lease, table: Table) -> Result<u64> {
        if self.newest(table).await?.is_none() {
            return Ok(0);
        }
        // By the path of the file that it replaces: it is written once, however often the commit is tried.
        let mut rewritten: HashMap<String, (u64, Option<Written>)> = HashMap::new();
        let mut commit = Commit::new(self.place(), table, lease.fence(), Operation::Replace);
        while let Some(version) = commit.next().await? {
            let mut actions = Vec::new();
            for file in version.files(Some(lease.sync())) {
                if !rewritten.contains_key(&file.path) {
                    let new = self.without(keys, lease, table, &file).await?;
                    rewritten.insert(file.path.clone(), new);
                }
                if let Some((1.., written)) = rewritten.get(&file.path) {
                    actions.push(file.removal(ChangesRows::Yes));
                    actions.extend(written.iter().map(Written::addition));
                }
            }
            if actions.is_empty() {
                break;
            }
            commit.make(&version, actions).await?;
        }
        Ok(rewritten.values().map(|(count, _)| count).sum())
    }

    /// How many rows of a file are of these keys, and the file without them, if there are any and any others.
    async fn without(&self, keys: &Keys, lease: &Lease, table: Table, file: &RowFile) -> Result<(u64, Option<Written>)> {
        let reader = Reader::new(self.place(), table);
        let hashes = Reader { columns: vec!["key_hash"], ..reader.clone() };
        let (mut rows, mut count) = (0, 0);
        let mut batches = hashes.stream(vec![file.clone()]);
        while let Some(batch) = batches.try_next().await? {
            rows += batch.num_rows() as u64;
            count += keys.count(&batch);
        }
        if count == 0 || count == rows {
            return Ok((count, None));
        }
        let mut writer = FileWriter::new(self.place(), table, lease.sync(), Kind::of(file))?;
        let mut batches = reader.stream(vec![file.clone()]);
        while let Some(batch) = batches.try_next().await? {
            writer.write(&arrow::compute::filter_record_batch(&batch, &keys.others(&batch))?).await?;
        }
        Ok((count, Some(writer.close().await?)))
    }

    /// Removes files that are in no table any more, or never were, and have one of these keys. `false` if one is left.
    async fn remove_former(&self, keys: &Keys, lease: &Lease, table: Table) -> Result<bool> {
        let Some(version) = self.newest(table).await? else { return Ok(true) };
        let mut is_clean = true;
        for (path, meta) in self.unneeded(&version, lease.sync()).await? {
            // One that cannot be read is removed as well: nobody needs it, and it may have them.
            let has_none = match read_small(self.place(), &format!("{}/{path}", table.folder()), Some("key_hash")).await {
                Ok(Some(batches)) => batches.iter().all(|batch| batch.column_by_name("key_hash").is_some() && keys.count(batch) == 0),
                Ok(None) => true,
                Err(_) => false,
            };
            if !has_none {
                match LedgerStore::new(self.place()).delete(&meta.location).await {
                    Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                    Err(error) => {
                        tracing::warn!(sync = lease.sync(), "a file that has a forgotten key could not be removed: {error}");
                        is_clean = false;
                    }
                }
            }
        }
        Ok(is_clean)
    }
}
