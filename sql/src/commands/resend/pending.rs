//! The rows that are sent again, as a table: each batch is noted in the log before its rows leave.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use arrow::{
    array::{AsArray, BooleanArray, RecordBatch},
    compute::{cast, filter_record_batch},
    datatypes::{DataType, Field, Schema, SchemaRef, UInt64Type},
};
use datafusion::{
    common::{DataFusionError, Result},
    execution::TaskContext,
    physical_plan::{
        ExecutionPlan, SendableRecordBatchStream, execute_stream, stream::RecordBatchStreamAdapter, streaming::PartitionStream,
    },
};
use futures::{TryStreamExt, stream};
use tokio::sync::Mutex as AsyncMutex;

use super::log::{LogLine, Ranges, ResendLog, RowKey, ranges};
use datafusion_clevertap::{Account, hooks::FateWatch};

/// What CleverTap accepted and the log does not have yet, by run.
#[derive(Debug, Clone, Default)]
pub(super) struct Accepted(Arc<Mutex<Vec<(String, Ranges)>>>);

impl Accepted {
    /// The callback that hears of it.
    pub(super) fn watch(&self) -> FateWatch {
        let accepted = self.clone();
        FateWatch::new(move |settled| {
            let rows = ranges(settled.rows.iter().filter(|(_, fate)| fate.is_none()).map(|(row, _)| *row));
            if !rows.is_empty() {
                accepted.lock().push((settled.run_uid.to_owned(), rows));
            }
        })
    }

    /// Takes it, as lines of the log.
    pub(super) fn take(&self) -> Vec<LogLine> {
        std::mem::take(&mut *self.lock()).into_iter().map(|(by, rows)| LogLine::Accepted { by, rows }).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(String, Ranges)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Failed rows of one table that are sent again.
pub(super) struct Pending {
    schema: SchemaRef,
    /// All failed rows of the table, in the order of `rows`.
    failed: Arc<dyn ExecutionPlan>,
    /// Those that are sent, by run and number.
    rows: Vec<RowKey>,
    account: Account,
    log: Arc<AsyncMutex<ResendLog>>,
    accepted: Accepted,
}

impl Pending {
    pub(super) fn new(
        failed: Arc<dyn ExecutionPlan>,
        rows: Vec<RowKey>,
        account: Account,
        log: Arc<AsyncMutex<ResendLog>>,
        accepted: Accepted,
    ) -> Self {
        let schema = Arc::new(Schema::new(vec![Field::new("record", DataType::Utf8View, true)]));
        Self { schema, failed, rows, account, log, accepted }
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pending({} rows)", self.rows.len())
    }
}

impl PartitionStream for Pending {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, task: Arc<TaskContext>) -> SendableRecordBatchStream {
        let reading = execute_stream(Arc::clone(&self.failed), task).map(|failed| Reading {
            failed,
            rows: self.rows.clone().into(),
            sent: 0,
            schema: Arc::clone(&self.schema),
            account: self.account.clone(),
            log: Arc::clone(&self.log),
            accepted: self.accepted.clone(),
        });
        let batches = stream::once(async { reading }).map_ok(|reading| stream::try_unfold(reading, Reading::next)).try_flatten();
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches))
    }
}

struct Reading {
    failed: SendableRecordBatchStream,
    rows: VecDeque<RowKey>,
    /// Rows handed on so far.
    sent: u64,
    schema: SchemaRef,
    account: Account,
    log: Arc<AsyncMutex<ResendLog>>,
    accepted: Accepted,
}

impl Reading {
    async fn next(mut self) -> Result<Option<(RecordBatch, Self)>> {
        while !self.rows.is_empty() {
            let Some(batch) = self.failed.try_next().await? else { break };
            let (taken, keep) = self.take(&batch)?;
            if taken.is_empty() {
                continue;
            }
            self.claim(taken).await?;
            let record = cast(filter_record_batch(&batch, &keep)?.column(2), &DataType::Utf8View)?;
            let batch = RecordBatch::try_new(Arc::clone(&self.schema), vec![record])?;
            return Ok(Some((batch, self)));
        }
        Ok(None)
    }

    /// The rows of `batch` that are sent. The same row may stand there twice: it is sent once.
    fn take(&mut self, batch: &RecordBatch) -> Result<(Vec<RowKey>, BooleanArray)> {
        let runs = cast(batch.column(0), &DataType::Utf8)?;
        let (runs, numbers) = (runs.as_string::<i32>(), batch.column(1).as_primitive::<UInt64Type>());
        let mut taken = Vec::new();
        let keep = (0..batch.num_rows()).map(|at| {
            let is_next = self.rows.front().is_some_and(|(run, number)| run == runs.value(at) && *number == numbers.value(at));
            taken.extend(is_next.then(|| self.rows.pop_front()).flatten());
            Some(is_next)
        });
        let keep = keep.collect();
        Ok((taken, keep))
    }

    /// Notes that these rows are about to leave, and what was accepted before.
    async fn claim(&mut self, taken: Vec<RowKey>) -> Result<()> {
        // The statement that reads this is the last one that began.
        let by = self.account.runs().pop().map(|run| run.run_uid.to_string());
        let by = by.ok_or_else(|| DataFusionError::Internal("rows are sent again by no run".to_owned()))?;
        let mut lines = self.accepted.take();
        for of_run in taken.chunk_by(|(run, _), (next, _)| run == next) {
            let Some((of, _)) = of_run.first() else { continue };
            let rows = ranges(of_run.iter().map(|(_, row)| *row));
            lines.push(LogLine::Claims { by: by.clone(), first: self.sent + 1, of: of.clone(), rows });
            self.sent += of_run.len() as u64;
        }
        let mut log = self.log.lock().await;
        log.write(&lines).await.map_err(|failure| DataFusionError::Execution(failure.to_string()))
    }
}
