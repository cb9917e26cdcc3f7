//! What was sent: the last row of a key counts.
//!
//! In: rows of a run, in the order in which they got their fates. Out: one commit of one file, sorted by the hash of the key; and the rows of a
//! sync, all that were appended, from its own files alone.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryBuilder, BooleanArray, Int64Array, RecordBatch, StringArray, StringBuilder, TimestampMicrosecondArray,
    UInt32Array,
};
use chrono::{DateTime, Utc};
use datafusion::common::runtime::SpawnedTask;
use datafusion::execution::SendableRecordBatchStream;

use super::commit::{Commit, Operation};
use super::files::{FileWriter, Kind, Reader};
use super::lease::Lease;
use super::log::{Version, make};
use super::schema::Table;
use super::store::LedgerStore;
use super::{Ledger, schema};
use crate::error::{Error, Result};
use crate::hash::Hash;

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RowFate {
    /// CleverTap has it.
    Accepted,
    /// It was refused: a dead letter.
    Rejected,
    /// The answer was lost, and it is not sent again unless that was asked for.
    InDoubt,
}

impl RowFate {
    const ALL: [Self; 3] = [Self::Accepted, Self::Rejected, Self::InDoubt];

    /// As it is written: `accepted`, `rejected`, `in_doubt`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::InDoubt => "in_doubt",
        }
    }

    /// The fate of this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fate| fate.name() == text)
    }
}

/// Rows that are to be appended: about 60 bytes each, beside the text of their keys.
#[derive(Debug, Default)]
pub struct LedgerRows {
    keys: StringBuilder,
    key_hashes: Vec<Hash>,
    payload_hashes: Vec<Hash>,
    fates: Vec<RowFate>,
    codes: StringBuilder,
    removed: Vec<bool>,
}

impl LedgerRows {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One more. Of a key that comes twice, the last counts.
    pub fn push(&mut self, key: &str, key_hash: &Hash, payload_hash: &Hash, fate: RowFate, code: Option<&str>, removed: bool) {
        self.keys.append_value(key);
        self.key_hashes.push(*key_hash);
        self.payload_hashes.push(*payload_hash);
        self.fates.push(fate);
        self.codes.append_option(code);
        self.removed.push(removed);
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.fates.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fates.is_empty()
    }

    /// The last row of each key, in the order of the hashes.
    fn sorted(mut self, run_id: &str, seq: i64, at: DateTime<Utc>) -> Result<RecordBatch> {
        let rows = u32::try_from(self.len())
            .map_err(|_| Error::Storage("more than 4 billion rows in one commit of the ledger; commit more often".to_owned()))?;
        let mut order: Vec<u32> = (0..rows).collect();
        let hash = |row: u32| self.key_hashes.get(row as usize);
        order.sort_unstable_by(|one, other| hash(*one).cmp(&hash(*other)).then(other.cmp(one)));
        order.dedup_by(|next, kept| hash(*next) == hash(*kept));
        let order = UInt32Array::from(order);
        let taken = |array: &dyn Array| arrow::compute::take(array, &order, None);
        let count = order.len();
        let columns: Vec<ArrayRef> = vec![
            taken(&self.keys.finish())?,
            hashes(&self.key_hashes, &order),
            hashes(&self.payload_hashes, &order),
            Arc::new(StringArray::from_iter_values(
                order.values().iter().filter_map(|row| self.fates.get(*row as usize)).map(|fate| fate.name()),
            )),
            taken(&self.codes.finish())?,
            Arc::new(StringArray::from_iter_values(std::iter::repeat_n(run_id, count))),
            Arc::new(Int64Array::from_value(seq, count)),
            Arc::new(TimestampMicrosecondArray::from_value(at.timestamp_micros(), count).with_data_type(schema::instant())),
            taken(&BooleanArray::from(self.removed))?,
        ];
        Ok(RecordBatch::try_new(Arc::clone(Table::Rows.file_schema()), columns)?)
    }
}

fn hashes(hashes: &[Hash], order: &UInt32Array) -> ArrayRef {
    let mut builder = BinaryBuilder::with_capacity(order.len(), order.len() * size_of::<Hash>());
    order.values().iter().filter_map(|row| hashes.get(*row as usize)).for_each(|hash| builder.append_value(hash));
    Arc::new(builder.finish())
}

impl Ledger {
    /// All rows that were appended of a sync, or that its compaction left, in no order: of a key the greatest `seq` counts. `None` if there are
    /// none. Columns: `key` (Utf8), `key_hash`, `payload_hash` (Binary of 16 bytes), `fate`, `code` (Utf8; a code may be NULL), `seq` (Int64), `removed`
    /// (Boolean), always of these types. An error of the stream is had by [`error_of`](super::error_of).
    ///
    /// # Errors
    /// [`Error::Ledger`] that names what is damaged or missing; [`Error::Storage`].
    pub async fn rows(&self, sync: &str) -> Result<Option<SendableRecordBatchStream>> {
        self.rows_of(sync, &["key", "key_hash", "payload_hash", "fate", "code", "seq", "removed"]).await
    }

    /// The same, of these columns alone, which may be `run_id` (Utf8) and `updated_at` (Timestamp, microseconds of UTC), too.
    ///
    /// # Errors
    /// As of [`rows`](Self::rows).
    pub async fn rows_of(&self, sync: &str, columns: &[&str]) -> Result<Option<SendableRecordBatchStream>> {
        let mut reader = Reader::new(self.place(), Table::Rows);
        let all = std::mem::take(&mut reader.columns);
        reader.columns = columns.iter().filter_map(|name| all.iter().find(|column| *column == name).copied()).collect();
        if let Some(name) = columns.iter().find(|name| !all.contains(name)) {
            return Err(Error::Ledger(format!("rows of the ledger have no column {name}; there are {}", all.join(", "))));
        }
        let Some(version) = self.newest(Table::Rows).await? else { return Ok(None) };
        let files = version.files(Some(sync));
        Ok(if files.is_empty() { None } else { Some(reader.stream(files)) })
    }

    /// At most so many keys are remembered of a sync, by the log alone: no file is read.
    ///
    /// # Errors
    /// As of [`rows`](Self::rows).
    pub async fn key_count(&self, sync: &str) -> Result<u64> {
        let Some(version) = self.newest(Table::Rows).await? else { return Ok(0) };
        // Another writer may have left its count out: a row takes a byte at least.
        Ok(version.files(Some(sync)).iter().map(|file| file.rows.unwrap_or(file.bytes)).sum())
    }

    pub(super) async fn newest(&self, table: Table) -> Result<Option<Version>> {
        Version::newest(self.place(), table, LedgerStore::new(self.place())).await
    }

    /// Makes a table before its first file: files without a log are a log that is missing.
    pub(super) async fn ensure(&self, table: Table) -> Result<()> {
        make(self.place(), table, LedgerStore::new(self.place())).await
    }

    /// Appends rows, in one commit, durable when it returns. Committing the same rows again is harmless.
    ///
    /// # Errors
    /// [`Error::Held`] if the lease was taken over: nothing was committed. [`Error::Storage`]: the rows may be there, and may be appended again.
    pub async fn append_rows(&self, lease: &Lease, run_id: &str, rows: LedgerRows, at: DateTime<Utc>) -> Result<()> {
        if rows.is_empty() {
            return lease.state().check();
        }
        lease.state().check()?;
        let (run, seq) = (run_id.to_owned(), lease.next_seq());
        let sorted = SpawnedTask::spawn_blocking(move || rows.sorted(&run, seq, at)).await;
        let batch =
            sorted.map_err(|error| Error::Storage(format!("rows were not sorted for the ledger: {error}; run the sync again")))??;
        self.ensure(Table::Rows).await?;
        let mut file = FileWriter::new(self.place(), Table::Rows, lease.sync(), Kind::Appended)?;
        for at in (0..batch.num_rows()).step_by(64 * 1024) {
            file.write(&batch.slice(at, (batch.num_rows() - at).min(64 * 1024))).await?;
        }
        let written = file.close().await?;
        // If it does not come into the table, a vacuum removes it: an answer that was lost may bring it there yet.
        let mut commit = Commit::new(self.place(), Table::Rows, lease.fence(), Operation::Append);
        while let Some(version) = commit.next().await? {
            if version.has(&written) {
                break;
            }
            commit.make(&version, vec![written.addition()]).await?;
        }
        Ok(())
    }
}
