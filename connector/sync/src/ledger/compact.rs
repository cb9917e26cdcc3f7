//! Compaction: the rows of a sync in few files, each key once.
//!
//! In: the files of a sync. Out: its last row of each key, sorted by the key's hash, in one commit in place of those files. The rows are sorted by
//! the session, which spills when its memory is full. If somebody changed the files meanwhile, it begins anew.

use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::prelude::ident;
use futures::TryStreamExt;

use super::Ledger;
use super::commit::{Commit, Operation};
use super::files::{FileWriter, Kind, Reader, Written};
use super::lease::Lease;
use super::log::{ChangesRows, RowFile};
use super::schema::Table;
use crate::error::{Error, Result};

/// Rows of one file.
const FILE_ROWS_MAX: u64 = 4_000_000;
/// So many files are slow to open, however few rows they have.
const APPENDED_FILES_MAX: usize = 100;
const TRIES: u32 = 3;

/// When a sync's rows are compacted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Force {
    /// When what was appended since is more than a quarter of what was compacted, or many files.
    WhenItPays,
    /// Whatever there is.
    Always,
}

/// What a compaction did. All zero where it did not pay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Rows that were read.
    pub before: u64,
    /// Rows that are left: one a key.
    pub after: u64,
    /// Files that were replaced. They stay on the disk until a vacuum.
    pub files: u64,
}

/// Some files of a table as a partition of a plan.
#[derive(Debug)]
pub(super) struct FilesPartition {
    reader: Reader,
    schema: arrow::datatypes::SchemaRef,
    files: Vec<RowFile>,
}

impl FilesPartition {
    /// So many partitions at most, of about as many bytes each.
    pub(super) fn split(reader: &Reader, mut files: Vec<RowFile>, partitions: usize) -> Vec<Arc<dyn PartitionStream>> {
        files.sort_by_key(|file| std::cmp::Reverse(file.bytes));
        let count = partitions.clamp(1, files.len().max(1));
        let mut split: Vec<(u64, Vec<RowFile>)> = vec![(0, Vec::new()); count];
        for file in files {
            if let Some((bytes, least)) = split.iter_mut().min_by_key(|(bytes, _)| *bytes) {
                *bytes += file.bytes;
                least.push(file);
            }
        }
        let partition = |(_, files)| Arc::new(Self { reader: reader.clone(), schema: reader.schema(), files }) as Arc<dyn PartitionStream>;
        split.into_iter().map(partition).collect()
    }
}

impl PartitionStream for FilesPartition {
    fn schema(&self) -> &arrow::datatypes::SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        self.reader.stream(self.files.clone())
    }
}

/// Whether it pays.
fn pays(files: &[RowFile]) -> bool {
    let rows = |kind: Kind| files.iter().filter(|file| Kind::of(file) == kind).map(|file| file.rows.unwrap_or(file.bytes)).sum::<u64>();
    let appended = files.iter().filter(|file| Kind::of(file) == Kind::Appended).count();
    // One file that was appended is as good as compacted: sorted, each key once.
    files.len() > 1 && (rows(Kind::Appended) * 4 > rows(Kind::Compacted) || appended > APPENDED_FILES_MAX)
}

impl Ledger {
    /// Compacts the rows of the lease's sync.
    ///
    /// # Errors
    /// [`Error::Held`] if the lease was taken over: nothing was changed. [`Error::Ledger`] that names what is damaged or missing;
    /// [`Error::Storage`], also if rows are many and the session has neither memory nor disk for them.
    pub async fn compact(&self, lease: &Lease, force: Force) -> Result<Compacted> {
        for _ in 0..TRIES {
            lease.state().check()?;
            let Some(version) = self.newest(Table::Rows).await? else { return Ok(Compacted::default()) };
            let files = version.files(Some(lease.sync()));
            if files.is_empty() || (force == Force::WhenItPays && !pays(&files)) {
                return Ok(Compacted::default());
            }
            let (before, after, written) = self.rewrite(lease, files.clone()).await?;
            let mut commit = Commit::new(self.place(), Table::Rows, lease.fence(), Operation::Compact);
            let is_replaced = loop {
                let Some(version) = commit.next().await? else { break true };
                if written.iter().all(|written| version.has(written)) {
                    break true;
                }
                let there = version.files(Some(lease.sync()));
                if !files.iter().all(|read| there.iter().any(|file| file.path == read.path)) {
                    break false;
                }
                let removals = files.iter().map(|file| file.removal(ChangesRows::No));
                commit.make(&version, removals.chain(written.iter().map(Written::addition)).collect()).await?;
            };
            if is_replaced {
                return Ok(Compacted { before, after, files: files.len() as u64 });
            }
        }
        Err(Error::Storage(format!(
            "the ledger {}: rows of sync {} were changed {TRIES} times while they were compacted. Nothing was lost; end what rewrites its files, and \
             compact it again",
            self.shown(),
            lease.sync()
        )))
    }

    /// The last row of each key, in new files.
    async fn rewrite(&self, lease: &Lease, files: Vec<RowFile>) -> Result<(u64, u64, Vec<Written>)> {
        let reader = Reader::new(self.place(), Table::Rows);
        let session = self.session();
        let partitions = FilesPartition::split(&reader, files, session.state().config().target_partitions());
        let table = StreamingTable::try_new(reader.schema(), partitions)?;
        let rows = session.read_table(Arc::new(table))?;
        let rows = rows.sort(vec![ident("key_hash").sort(true, false), ident("seq").sort(true, false)])?;
        let mut rows = rows.execute_stream().await?;
        let (mut before, mut after, mut written) = (0, 0, Vec::new());
        let mut file: Option<FileWriter<'_>> = None;
        // The last row of a key is known when the next key comes.
        let mut open: Option<RecordBatch> = None;
        loop {
            let next = rows.try_next().await?;
            let is_end = next.is_none();
            before += next.as_ref().map_or(0, |batch| batch.num_rows() as u64);
            let batch = match (open.take(), next) {
                (Some(open), Some(next)) => arrow::compute::concat_batches(&open.schema(), [&open, &next])?,
                (Some(one), None) | (None, Some(one)) => one,
                (None, None) => break,
            };
            if batch.num_rows() == 0 {
                continue;
            }
            let settled = if is_end { batch.num_rows() } else { batch.num_rows() - 1 };
            open = (!is_end).then(|| batch.slice(settled, 1));
            let last = filter_record_batch(&batch.slice(0, settled), &is_last_of_key(&batch, settled))?;
            let mut writer = match file.take() {
                Some(writer) => writer,
                None => FileWriter::new(self.place(), Table::Rows, lease.sync(), Kind::Compacted)?,
            };
            writer.write(&last).await?;
            after += last.num_rows() as u64;
            if writer.rows() >= FILE_ROWS_MAX {
                lease.state().check()?;
                written.push(writer.close().await?);
            } else {
                file = Some(writer);
            }
        }
        if let Some(writer) = file {
            written.push(writer.close().await?);
        }
        Ok((before, after, written))
    }
}

/// Of the first `rows` of a batch, which are the last of their key.
fn is_last_of_key(batch: &RecordBatch, rows: usize) -> BooleanArray {
    let Some(hashes) = batch.column_by_name("key_hash").and_then(|hashes| hashes.as_binary_opt::<i32>()) else {
        return BooleanArray::from(vec![true; rows]);
    };
    (0..rows).map(|row| Some(row + 1 >= hashes.len() || hashes.value(row) != hashes.value(row + 1))).collect()
}
