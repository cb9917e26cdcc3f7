//! A source, compared with the ledger; what changed waits on the disk.
//!
//! In: a prepared sync, the rows of the ledger. Out: counts, who left, and the rows that are to leave. All of the source is read before the first
//! of them leaves, so that the guards have looked at it.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Int64Type, SchemaRef};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::spill_file::SpillFile;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, SpillMetrics};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{SpillManager, execute_stream};
use datafusion_clevertap::payload::Payload;
use futures::TryStreamExt;

use super::prepared::Prepared;
use crate::definition::{Mode, Retry};
use crate::diff::{Class, Diff, Outcome};
use crate::error::{Error, Result};
use crate::hash::Hash;
use crate::ledger::{Ledger, RowFate};
use crate::outbox::Open;
use crate::report::Changes;
use crate::source::HIDDEN;

/// Payloads that a plan shows.
const SAMPLES_MAX: usize = 3;

/// What a source has become.
pub(super) struct Compared {
    pub(super) changes: Changes,
    /// Opens the rows that are to leave.
    pub(super) open: Open,
    /// How many they are.
    pub(super) to_send: u64,
    /// Keys that were sent, and that the source does not have, with their payloads.
    pub(super) left: HashMap<Hash, Hash>,
    /// Keys that were sent and not removed, before this run.
    pub(super) known: u64,
    pub(super) samples: Vec<String>,
    /// The columns of the rows that are to leave, and the hashes behind them.
    pub(super) schema: SchemaRef,
}

pub(super) async fn compare(prepared: &Prepared, ledger: &Ledger, sync: &str) -> Result<Compared> {
    let task = prepared.session.task_ctx();
    let memory = MemoryConsumer::new(format!("sync {sync}")).register(task.memory_pool());
    let mut diff = Diff::new(prepared.rules, memory);
    remember(&mut diff, ledger, sync).await?;
    if prepared.rules.retry == Retry::Always {
        let letters = ledger.dead_letters(sync).await?.into_iter();
        diff.hold_exhausted(letters.filter(|letter| letter.attempts >= prepared.retry_max).map(|letter| letter.key_hash).collect());
    }
    let schema = prepared.rows.schema();
    let mut spool = Spool::new(&task, &schema)?;
    let (mut to_send, mut samples, mut encoder) = (0, Vec::new(), prepared.encoder()?);
    let mut rows = execute_stream(Arc::clone(&prepared.rows), Arc::clone(&task))?;
    while let Some(batch) = rows.try_next().await? {
        let leaves = classes(&mut diff, &batch, prepared.rules.mode)?;
        let leaving = filter_record_batch(&batch, &leaves)?;
        if leaving.num_rows() == 0 {
            continue;
        }
        to_send += leaving.num_rows() as u64;
        if samples.len() < SAMPLES_MAX {
            let first = leaving.slice(0, leaving.num_rows().min(SAMPLES_MAX - samples.len()));
            let columns: Vec<usize> = (0..batch.num_columns() - HIDDEN).collect();
            encoder.encode(&first.project(&columns)?, |payload| {
                if let Payload::Record { json, .. } = payload {
                    samples.push(String::from_utf8_lossy(json).into_owned());
                }
            })?;
        }
        spool.append(&leaving)?;
    }
    let Outcome { changes, left, known } = diff.finish()?;
    let open = spool.finish()?;
    Ok(Compared { changes, open, to_send, left, known, samples, schema })
}

/// Writes a batch to a file; `None` ends it, and gives the file if there is one. DataFusion's own writer has no name that could be said here.
type Write = dyn FnMut(Option<&RecordBatch>) -> datafusion::error::Result<Option<Arc<dyn SpillFile>>> + Send;

/// Rows that wait on the disk, where the session spills.
pub(super) struct Spool {
    spills: SpillManager,
    write: Box<Write>,
    schema: SchemaRef,
}

impl Spool {
    pub(super) fn new(task: &TaskContext, schema: &SchemaRef) -> Result<Self> {
        let metrics = SpillMetrics::new(&ExecutionPlanMetricsSet::new(), 0);
        let spills = SpillManager::new(task.runtime_env(), metrics, Arc::clone(schema));
        let mut file = spills.create_in_progress_file("rows of a sync")?;
        let write = Box::new(move |batch: Option<&RecordBatch>| match batch {
            Some(batch) => file.append_batch(batch).map(|_| None),
            None => file.finish(),
        });
        Ok(Self { spills, write, schema: Arc::clone(schema) })
    }

    pub(super) fn append(&mut self, batch: &RecordBatch) -> Result<()> {
        (self.write)(Some(batch))?;
        Ok(())
    }

    /// What opens the rows, from the first, as often as it is asked to.
    pub(super) fn finish(mut self) -> Result<Open> {
        let (file, spills, schema) = ((self.write)(None)?, self.spills, self.schema);
        Ok(Box::new(move || match &file {
            Some(file) => spills.read_spill_as_stream(Arc::clone(file), None),
            None => Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&schema), futures::stream::empty())) as SendableRecordBatchStream),
        }))
    }
}

/// Which rows of a batch leave.
fn classes(diff: &mut Diff, batch: &RecordBatch, mode: Mode) -> Result<BooleanArray> {
    let at = batch.num_columns() - HIDDEN;
    let keys = batch.column(at);
    let (key_hashes, payloads) = (batch.column(at + 1).as_fixed_size_binary(), batch.column(at + 2).as_fixed_size_binary());
    let appends = batch.column(at + 3).as_boolean();
    let leaves = |row: usize| {
        let key = if keys.is_valid(row) { Some(hash(key_hashes.value(row))?) } else { None };
        let class = diff.compare(key, hash(payloads.value(row))?, appends.value(row))?;
        Ok(matches!(class, Some(Class::New | Class::Changed)) || (mode == Mode::Full && class == Some(Class::Unchanged)))
    };
    Ok(BooleanArray::from((0..batch.num_rows()).map(leaves).collect::<Result<Vec<bool>>>()?))
}

pub(super) fn hash(bytes: &[u8]) -> Result<Hash> {
    bytes
        .try_into()
        .map_err(|_| Error::Ledger("a hash has not 16 bytes; the ledger is damaged: take a copy of it that is whole".to_owned()))
}

/// Gives the rows of the ledger to a comparison.
pub(super) async fn remember(diff: &mut Diff, ledger: &Ledger, sync: &str) -> Result<()> {
    let Some(mut rows) = ledger.rows_of(sync, &["key_hash", "payload_hash", "fate", "seq", "removed"]).await? else { return Ok(()) };
    while let Some(batch) = rows.try_next().await? {
        let (keys, payloads) = (batch.column(0).as_binary::<i32>(), batch.column(1).as_binary::<i32>());
        let (fates, seqs) = (batch.column(2).as_string::<i32>(), batch.column(3).as_primitive::<Int64Type>());
        let removed = batch.column(4).as_boolean();
        for row in 0..batch.num_rows() {
            let fate = RowFate::parse(fates.value(row)).ok_or_else(|| {
                Error::Ledger("a row of the ledger has a fate that this version does not know; use the version that wrote it".to_owned())
            })?;
            diff.remember(hash(keys.value(row))?, hash(payloads.value(row))?, fate, seqs.value(row), removed.value(row))?;
        }
    }
    Ok(())
}
