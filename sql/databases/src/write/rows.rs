//! The rows of a source, converted and counted.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;

use crate::write::convert::Conversion;
use crate::write::job::Job;

/// The rows of a source, as the columns of the target take them.
pub(crate) struct Rows {
    input: SendableRecordBatchStream,
    job: Arc<Job>,
    schema: SchemaRef,
    /// How many there were until now.
    pub(crate) sent: u64,
}

impl Rows {
    pub(crate) fn new(input: SendableRecordBatchStream, job: &Arc<Job>) -> Self {
        Self { input, schema: job.schema(), job: Arc::clone(job), sent: 0 }
    }

    /// The next rows. The number of the first is [`Rows::sent`] before, plus one.
    ///
    /// # Errors
    /// What the source fails with, or a value that does not fit.
    pub(crate) async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            let Some(batch) = self.input.next().await.transpose()? else { return Ok(None) };
            if batch.num_rows() == 0 {
                continue;
            }
            let convert = |(array, column): (&ArrayRef, _)| {
                Conversion { column, qualified: &self.job.relation, first_row: self.sent + 1, is_key: self.job.is_key(column) }
                    .convert(array)
            };
            let arrays = batch.columns().iter().zip(&self.job.columns).map(convert).collect::<Result<Vec<_>, _>>()?;
            self.sent += batch.num_rows() as u64;
            return Ok(Some(RecordBatch::try_new(Arc::clone(&self.schema), arrays)?));
        }
    }
}
