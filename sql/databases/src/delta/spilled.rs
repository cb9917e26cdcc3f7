//! Rows of a source on this machine's disk: for writes that must know all of them before the first is written, and read them more than once.
//!
//! In: a stream. Out: a plan over its rows, numbered; memory does not grow with them. The file goes when nobody reads it any more.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::SpillManager;
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, SpillMetrics};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use futures::TryStreamExt;

/// The column with the number of a row.
pub(super) const NUMBER: &str = "__clevertap_row";

/// Opens the rows again.
type Open = Box<dyn Fn() -> Result<SendableRecordBatchStream> + Send + Sync>;

/// Rows on a disk.
pub(super) struct Spilled {
    schema: SchemaRef,
    open: Open,
}

impl fmt::Debug for Spilled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spilled")
    }
}

impl PartitionStream for Spilled {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        (self.open)().unwrap_or_else(|error| {
            Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), futures::stream::once(async { Err(error) })))
        })
    }
}

/// Takes all rows. `None` if there are none.
///
/// # Errors
/// The source's, or the disk's.
pub(super) async fn spill(mut rows: SendableRecordBatchStream, task: &TaskContext) -> Result<Option<LogicalPlan>> {
    let number = Field::new(NUMBER, DataType::UInt64, false);
    let fields = rows.schema().fields().iter().cloned().chain([Arc::new(number)]).collect::<Vec<_>>();
    let schema = Arc::new(Schema::new(fields));
    let metrics = SpillMetrics::new(&ExecutionPlanMetricsSet::new(), 0);
    let spills = SpillManager::new(task.runtime_env(), metrics, Arc::clone(&schema));
    let mut file = spills.create_in_progress_file("the source of a write to Delta Lake")?;
    let mut count = 0;
    while let Some(batch) = rows.try_next().await? {
        let end = count + batch.num_rows() as u64;
        let numbers: ArrayRef = Arc::new(UInt64Array::from_iter_values(count..end));
        let columns = batch.columns().iter().cloned().chain([numbers]).collect();
        file.append_batch(&RecordBatch::try_new(Arc::clone(&schema), columns)?)?;
        count = end;
    }
    let Some(file) = file.finish()?.filter(|_| count > 0) else { return Ok(None) };
    let open: Open = Box::new(move || spills.read_spill_as_stream(Arc::clone(&file), None));
    super::rows::plan(Arc::new(Spilled { schema, open })).map(Some)
}
