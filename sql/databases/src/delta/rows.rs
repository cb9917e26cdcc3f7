//! The rows of a source, with what Delta's types and partitions ask of them.
//!
//! In: the stream of a source, in its own types. Out: batches in the types of the columns, or the first value that does not fit. The error that
//! a source has ended with is kept: on its way through the library it would become a text.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::catalog::streaming::StreamingTable;
use datafusion::datasource::provider_as_source;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;

use crate::relation::Column;
use crate::write::convert::value_error;
use crate::write::job::Job;
use crate::write::rows::Rows;

/// What a source has given.
#[derive(Debug, Default)]
struct Told {
    rows: u64,
    error: Option<DataFusionError>,
}

/// What is known of a source while somebody else reads it.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress(Arc<Mutex<Told>>);

impl Progress {
    fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many rows there were.
    pub(super) fn rows(&self) -> u64 {
        self.told().rows
    }

    /// Why the source ended, once, if it did not come to its end.
    pub(super) fn take_error(&self) -> Option<DataFusionError> {
        self.told().error.take()
    }
}

/// The rows that are written.
pub(super) fn converted(input: SendableRecordBatchStream, job: &Arc<Job>, partitions: &[String]) -> (SendableRecordBatchStream, Progress) {
    let progress = Progress::default();
    let rows = Rows::new(input, job);
    let (seen, of, partitions) = (progress.clone(), Arc::clone(job), partitions.to_vec());
    let batches = futures::stream::try_unfold(rows, move |mut rows| {
        let (seen, job, partitions) = (seen.clone(), Arc::clone(&of), partitions.clone());
        async move {
            let first_row = rows.sent + 1;
            let next = match rows.next().await {
                Ok(Some(batch)) => check_partitions(&batch, &job, &partitions, first_row).map(|()| Some(batch)),
                other => other,
            };
            match next {
                Ok(batch) => {
                    seen.told().rows = rows.sent;
                    Ok(batch.map(|batch| (batch, rows)))
                }
                Err(error) => {
                    seen.told().error.get_or_insert(error);
                    Err(DataFusionError::Execution("the source failed".into()))
                }
            }
        }
    });
    (Box::pin(RecordBatchStreamAdapter::new(job.schema(), batches)), progress)
}

/// A partition is the name of a folder: Delta reads an empty text there as NULL.
fn check_partitions(batch: &RecordBatch, job: &Job, partitions: &[String], first_row: u64) -> Result<()> {
    let of_text = |column: &&Column| partitions.contains(&column.name) && column.data_type == DataType::Utf8;
    for column in job.columns.iter().filter(of_text) {
        let Some(texts) = batch.column_by_name(&column.name).and_then(|array| array.as_string_opt::<i32>()) else { continue };
        if let Some(at) = (0..texts.len()).find(|at| texts.is_valid(*at) && texts.value(*at).is_empty()) {
            let why = "is an empty text, which Delta Lake reads as NULL in a column of its partitions; nullif(…, '') makes it NULL";
            return Err(value_error(&job.relation, first_row + at as u64, column, why).into());
        }
    }
    Ok(())
}

/// A stream that is read once.
struct Once {
    schema: SchemaRef,
    stream: Mutex<Option<SendableRecordBatchStream>>,
}

impl std::fmt::Debug for Once {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Once")
    }
}

impl PartitionStream for Once {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner).take();
        stream.unwrap_or_else(|| {
            let twice = futures::stream::once(async { Err(DataFusionError::Internal("the source of a write is read once".into())) });
            Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), twice))
        })
    }
}

/// A plan over a stream that is read once.
pub(super) fn once(stream: SendableRecordBatchStream) -> Result<LogicalPlan> {
    plan(Arc::new(Once { schema: stream.schema(), stream: Mutex::new(Some(stream)) }))
}

/// A plan over one partition of rows.
pub(super) fn plan(partition: Arc<dyn PartitionStream>) -> Result<LogicalPlan> {
    let table = StreamingTable::try_new(Arc::clone(partition.schema()), vec![partition])?;
    LogicalPlanBuilder::scan("rows", provider_as_source(Arc::new(table)), None)?.build()
}
