//! Rows on this machine's disk: all of them are here before the first is written.
//!
//! In: the plan of a query. Out: its rows, as often as they are asked for; how many they are, and the greatest value of the cursor's column. A
//! source that ends with an error leaves nothing.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt64Array};
use arrow::datatypes::{DataType, Date32Type, Field, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use datafusion::catalog::streaming::StreamingTable;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, SpillMetrics};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::physical_plan::{ExecutionPlan, SpillManager, execute_stream};
use datafusion_clevertap::chrono_tz::Tz;
use futures::{StreamExt, TryStreamExt};

use super::types::conformed;
use super::window::midnight;
use crate::error::{Error, Result};

/// The column with the number of a row, where it is asked for.
pub(super) const NUMBER: &str = "__clevertap_row";

/// Opens the rows.
type Open = Arc<dyn Fn() -> DataFusionResult<SendableRecordBatchStream> + Send + Sync>;

/// The column of a cursor.
#[derive(Debug, Clone, Copy)]
pub(super) struct CursorColumn {
    index: usize,
    /// In which a day begins.
    zone: Tz,
}

impl CursorColumn {
    /// # Errors
    /// [`Error::Definition`] if the query does not have it, or it is neither an instant nor a day.
    pub(super) fn of(column: &str, schema: &Schema, zone: Tz, name: &str) -> Result<Self> {
        let wrong = |problem: String| Error::Definition(format!("sync \"{name}\": {problem}"));
        let index = schema.index_of(column).map_err(|_| {
            let columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
            wrong(format!("cursor names the column \"{column}\", and the query has {}", columns.join(", ")))
        })?;
        match schema.field(index).data_type() {
            DataType::Timestamp(_, Some(_)) | DataType::Date32 => Ok(Self { index, zone }),
            other => Err(wrong(format!(
                "the cursor's column \"{column}\" is of the type {other}; name a column of instants with a zone, or of days: event_time"
            ))),
        }
    }

    /// The greatest value of a batch.
    fn greatest(self, batch: &RecordBatch) -> DataFusionResult<Option<DateTime<Utc>>> {
        let column = batch.column(self.index);
        if column.data_type() == &DataType::Date32 {
            let days = arrow::compute::max(column.as_primitive::<Date32Type>());
            let day = days.and_then(|days| NaiveDate::default().checked_add_signed(TimeDelta::days(i64::from(days))));
            return Ok(day.map(|day| midnight(day, self.zone)));
        }
        let micros = arrow::compute::cast(column, &DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())))?;
        Ok(arrow::compute::max(micros.as_primitive::<TimestampMicrosecondType>()).and_then(DateTime::from_timestamp_micros))
    }
}

/// The rows of a run.
pub(super) struct Spool {
    schema: SchemaRef,
    open: Open,
    pub(super) rows: u64,
    /// The greatest value of the cursor's column.
    pub(super) greatest: Option<DateTime<Utc>>,
}

impl fmt::Debug for Spool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spool").field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl Spool {
    /// Reads all rows, and keeps them in the types of `kept`, or in their own.
    ///
    /// # Errors
    /// [`Error::Guard`] if a column of `key` is NULL, which is equal to nothing; the source's, or the disk's.
    pub(super) async fn fill(
        plan: &Arc<dyn ExecutionPlan>,
        task: &Arc<TaskContext>,
        kept: Option<&SchemaRef>,
        cursor: Option<CursorColumn>,
        key: &[String],
    ) -> Result<Self> {
        let schema = kept.cloned().unwrap_or_else(|| plan.schema());
        let metrics = SpillMetrics::new(&ExecutionPlanMetricsSet::new(), 0);
        let spills = SpillManager::new(task.runtime_env(), metrics, Arc::clone(&schema));
        let mut file = spills.create_in_progress_file("rows of a sync")?;
        let (mut count, mut greatest) = (0, None);
        let mut rows = execute_stream(Arc::clone(plan), Arc::clone(task))?;
        while let Some(batch) = rows.try_next().await? {
            if batch.num_rows() == 0 {
                continue;
            }
            if let Some(cursor) = cursor {
                greatest = greatest.max(cursor.greatest(&batch)?);
            }
            for name in key {
                let nulls = batch.column_by_name(name).and_then(|column| Some((column.logical_nulls()?, column.len())));
                if let Some(row) = nulls.and_then(|(nulls, rows)| (0..rows).find(|row| nulls.is_null(*row))) {
                    return Err(Error::Guard(format!(
                        "row {} of the query has NULL in \"{name}\", which is of the key and tells it from no other; nothing was written. Leave such rows \
                         out: WHERE \"{name}\" IS NOT NULL",
                        count + row as u64 + 1
                    )));
                }
            }
            count += batch.num_rows() as u64;
            file.append_batch(&conformed(&batch, &schema)?)?;
        }
        let (file, of_rows) = (file.finish()?, Arc::clone(&schema));
        let open: Open = Arc::new(move || match &file {
            Some(file) => spills.read_spill_as_stream(Arc::clone(file), None),
            None => {
                Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&of_rows), futures::stream::empty())) as SendableRecordBatchStream)
            }
        });
        Ok(Self { schema, open, rows: count, greatest })
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The rows.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn stream(&self) -> Result<SendableRecordBatchStream> {
        Ok((self.open)()?)
    }

    /// The rows as a table of one partition.
    ///
    /// # Errors
    /// None that is known.
    pub(super) fn table(&self) -> DataFusionResult<Arc<StreamingTable>> {
        let partition = Partition { schema: Arc::clone(&self.schema), open: Arc::clone(&self.open) };
        Ok(Arc::new(StreamingTable::try_new(Arc::clone(&self.schema), vec![Arc::new(partition)])?))
    }

    /// The same, with [`NUMBER`] as the last column.
    ///
    /// # Errors
    /// None that is known.
    pub(super) fn numbered_table(&self) -> DataFusionResult<Arc<StreamingTable>> {
        let number = Arc::new(Field::new(NUMBER, DataType::UInt64, false));
        let schema = Arc::new(Schema::new(self.schema.fields().iter().cloned().chain([number]).collect::<Vec<_>>()));
        let (open, of_rows) = (Arc::clone(&self.open), Arc::clone(&schema));
        let numbered: Open = Arc::new(move || {
            let (mut count, schema) = (0, Arc::clone(&of_rows));
            let batches = open()?.map(move |batch| {
                let batch = batch?;
                let end = count + batch.num_rows() as u64;
                let numbers: ArrayRef = Arc::new(UInt64Array::from_iter_values(count..end));
                count = end;
                Ok(RecordBatch::try_new(Arc::clone(&schema), batch.columns().iter().cloned().chain([numbers]).collect())?)
            });
            Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&of_rows), batches)) as SendableRecordBatchStream)
        });
        let partition = Partition { schema: Arc::clone(&schema), open: numbered };
        Ok(Arc::new(StreamingTable::try_new(schema, vec![Arc::new(partition)])?))
    }
}

struct Partition {
    schema: SchemaRef,
    open: Open,
}

impl fmt::Debug for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Partition")
    }
}

impl PartitionStream for Partition {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        (self.open)().unwrap_or_else(|error| {
            Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), futures::stream::once(async { Err(error) })))
        })
    }
}
