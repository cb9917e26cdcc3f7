//! A source, compared with the ledger; what changed waits on the disk.
//!
//! In: a prepared sync, the rows of the ledger. Out: counts, who left, and the rows that are to leave. All of the source is read before the first
//! of them leaves, so that the guards have looked at it.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Int64Type, SchemaRef};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::physical_plan::execute_stream;
use datafusion_clevertap::payload::{Payload, PayloadEncoder};
use futures::TryStreamExt;

use super::prepared::Prepared;
use super::spool::{Parts, Spool};
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

/// Keys whose hashes stand in memory at once: 14.6 million fill a table of 740 MB.
const KEYS_MAX: u64 = 14_600_000;
/// Of a table that grows, and is there twice while it does.
const GROWING_KEYS_MAX: u64 = 7_300_000;

/// What of the ledger is compared.
const REMEMBERED: [&str; 5] = ["key_hash", "payload_hash", "fate", "seq", "removed"];

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

/// Compares all of a source. While the hashes of its keys fit into memory, rows keep their order; else they are compared in parts by the hash of
/// their key, each of which fits.
pub(super) async fn compare(prepared: &Prepared, ledger: &Ledger, sync: &str) -> Result<Compared> {
    let task = prepared.session.task_ctx();
    let memory = MemoryConsumer::new(format!("sync {sync}")).register(task.memory_pool());
    let known = ledger.key_count(sync).await?;
    // A table of known keys is made in its size; one that has to grow is full at half of it.
    let keys_max = prepared.keys_max.unwrap_or(if known > GROWING_KEYS_MAX { KEYS_MAX } else { GROWING_KEYS_MAX });
    let mut diff = Diff::new(prepared.rules, memory, usize::try_from(keys_max).unwrap_or(usize::MAX));
    if prepared.rules.retry == Retry::Always {
        let letters = ledger.dead_letters(sync).await?.into_iter();
        diff.hold_exhausted(letters.filter(|letter| letter.attempts >= prepared.retry_max).map(|letter| letter.key_hash).collect());
    }
    if known <= keys_max {
        diff.expect(known);
        match compare_whole(prepared, ledger, sync, &task, &mut diff).await {
            Err(_) if diff.is_full() => diff.start_again(),
            Err(error) => return Err(error),
            Ok(leaving) => return leaving.compared(diff, prepared),
        }
    }
    tracing::debug!(sync, "more keys than memory: they are compared in parts");
    compare_parts(prepared, ledger, sync, &task, &mut diff).await?.compared(diff, prepared)
}

async fn compare_whole(prepared: &Prepared, ledger: &Ledger, sync: &str, task: &Arc<TaskContext>, diff: &mut Diff) -> Result<Leaving> {
    remember(diff, ledger, sync).await?;
    let mut leaving = Leaving::new(prepared, task)?;
    let mut rows = execute_stream(Arc::clone(&prepared.rows), Arc::clone(task))?;
    while let Some(batch) = rows.try_next().await? {
        leaving.take(diff, &batch)?;
    }
    Ok(leaving)
}

async fn compare_parts(prepared: &Prepared, ledger: &Ledger, sync: &str, task: &Arc<TaskContext>, diff: &mut Diff) -> Result<Leaving> {
    let schema = prepared.rows.schema();
    let mut rows = execute_stream(prepared.rows_again().await?, Arc::clone(task))?;
    let mut sources = Parts::new(task, &schema, schema.fields().len() - HIDDEN + 1)?;
    while let Some(batch) = rows.try_next().await? {
        sources.append(&batch)?;
    }
    let mut remembered = None;
    if let Some(mut rows) = ledger.rows_of(sync, &REMEMBERED).await? {
        let mut parts = Parts::new(task, &rows.schema(), 0)?;
        while let Some(batch) = rows.try_next().await? {
            parts.append(&batch)?;
        }
        remembered = Some(parts.finish()?);
    }
    let mut leaving = Leaving::new(prepared, task)?;
    for (at, open) in sources.finish()?.into_iter().enumerate() {
        if let Some(open) = remembered.as_ref().and_then(|parts| parts.get(at)) {
            let mut rows = open()?;
            while let Some(batch) = rows.try_next().await? {
                remember_batch(diff, &batch)?;
            }
        }
        let mut rows = open()?;
        while let Some(batch) = rows.try_next().await? {
            leaving.take(diff, &batch)?;
        }
        diff.end_part();
    }
    Ok(leaving)
}

/// The rows that are to leave, while they are found.
struct Leaving {
    spool: Spool,
    mode: Mode,
    to_send: u64,
    samples: Vec<String>,
    encoder: PayloadEncoder,
}

impl Leaving {
    fn new(prepared: &Prepared, task: &TaskContext) -> Result<Self> {
        let spool = Spool::new(task, &prepared.rows.schema())?;
        Ok(Self { spool, mode: prepared.rules.mode, to_send: 0, samples: Vec::new(), encoder: prepared.encoder()? })
    }

    fn take(&mut self, diff: &mut Diff, batch: &RecordBatch) -> Result<()> {
        let leaving = filter_record_batch(batch, &classes(diff, batch, self.mode)?)?;
        if leaving.num_rows() == 0 {
            return Ok(());
        }
        self.to_send += leaving.num_rows() as u64;
        let samples = &mut self.samples;
        if samples.len() < SAMPLES_MAX {
            let first = leaving.slice(0, leaving.num_rows().min(SAMPLES_MAX - samples.len()));
            let columns: Vec<usize> = (0..batch.num_columns() - HIDDEN).collect();
            self.encoder.encode(&first.project(&columns)?, |payload| {
                if let Payload::Record { json, .. } = payload {
                    samples.push(String::from_utf8_lossy(json).into_owned());
                }
            })?;
        }
        self.spool.append(&leaving)
    }

    fn compared(self, diff: Diff, prepared: &Prepared) -> Result<Compared> {
        let Outcome { changes, left, known } = diff.finish()?;
        let (open, schema) = (self.spool.finish()?, prepared.rows.schema());
        Ok(Compared { changes, open, to_send: self.to_send, left, known, samples: self.samples, schema })
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
    let Some(mut rows) = ledger.rows_of(sync, &REMEMBERED).await? else { return Ok(()) };
    while let Some(batch) = rows.try_next().await? {
        remember_batch(diff, &batch)?;
    }
    Ok(())
}

fn remember_batch(diff: &mut Diff, batch: &RecordBatch) -> Result<()> {
    let (keys, payloads) = (batch.column(0).as_binary::<i32>(), batch.column(1).as_binary::<i32>());
    let (fates, seqs) = (batch.column(2).as_string::<i32>(), batch.column(3).as_primitive::<Int64Type>());
    let removed = batch.column(4).as_boolean();
    for row in 0..batch.num_rows() {
        let fate = RowFate::parse(fates.value(row)).ok_or_else(|| {
            Error::Ledger("a row of the ledger has a fate that this version does not know; use the version that wrote it".to_owned())
        })?;
        diff.remember(hash(keys.value(row))?, hash(payloads.value(row))?, fate, seqs.value(row), removed.value(row))?;
    }
    Ok(())
}
