//! Rows that wait on the disk.
//!
//! In: batches. Out: what opens them again, from the first; of [`Parts`] one after the other, each with the rows whose keys fall into it.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, UInt64Array};
use arrow::compute::BatchCoalescer;
use arrow::datatypes::SchemaRef;
use datafusion::execution::spill_file::SpillFile;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::SpillManager;
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, SpillMetrics};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;

use crate::error::Result;
use crate::outbox::Open;

/// Parts of [`Parts`]: of 50 million keys one has 800,000.
pub(super) const PARTS: usize = 64;
/// Rows that wait for their part's file in memory.
const PART_BATCH_ROWS: usize = 1024;

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

/// Rows on the disk, in parts by the hash of their key.
pub(super) struct Parts {
    parts: Vec<(BatchCoalescer, Spool)>,
    /// The column of the hash.
    key_hash: usize,
}

impl Parts {
    pub(super) fn new(task: &TaskContext, schema: &SchemaRef, key_hash: usize) -> Result<Self> {
        let part = |_| Ok((BatchCoalescer::new(Arc::clone(schema), PART_BATCH_ROWS), Spool::new(task, schema)?));
        Ok(Self { parts: (0..PARTS).map(part).collect::<Result<_>>()?, key_hash })
    }

    pub(super) fn append(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut rows: Vec<Vec<u64>> = vec![Vec::new(); PARTS];
        for row in 0..batch.num_rows() {
            let part = part_of(batch.column(self.key_hash), row);
            if let Some(rows) = rows.get_mut(part) {
                rows.push(row as u64);
            }
        }
        for ((waiting, spool), rows) in self.parts.iter_mut().zip(rows) {
            if !rows.is_empty() {
                waiting.push_batch_with_indices(batch.clone(), &UInt64Array::from(rows))?;
                while let Some(batch) = waiting.next_completed_batch() {
                    spool.append(&batch)?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Vec<Open>> {
        let finish = |(mut waiting, mut spool): (BatchCoalescer, Spool)| {
            waiting.finish_buffered_batch()?;
            while let Some(batch) = waiting.next_completed_batch() {
                spool.append(&batch)?;
            }
            spool.finish()
        };
        self.parts.into_iter().map(finish).collect()
    }
}

/// By the last byte: the first ones are those of a hash map.
fn part_of(hashes: &dyn Array, row: usize) -> usize {
    let hash = match hashes.as_fixed_size_binary_opt() {
        Some(hashes) => hashes.value(row),
        None => hashes.as_binary::<i32>().value(row),
    };
    hash.last().map_or(0, |byte| usize::from(*byte) % PARTS)
}
