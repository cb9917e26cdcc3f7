//! What a database must be able to do; one implementation each.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use async_trait::async_trait;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use futures::stream::BoxStream;

use crate::check::{Finding, Rights};
use crate::dialect::Dialect;
use crate::error::{Error, Result};
use crate::relation::{Listed, Relation};
use crate::settings::Access;
use crate::write::job::Job;

/// What a planned write hands its rows to.
#[async_trait]
pub(crate) trait Writer: Debug + Send + Sync {
    /// How the job will be done, in order, for EXPLAIN.
    fn steps(&self, job: &Job) -> Vec<String>;

    /// Writes all of `input` or nothing, and says how many rows there were.
    async fn write(&self, job: Arc<Job>, input: SendableRecordBatchStream, task: Arc<TaskContext>) -> DataFusionResult<u64>;
}

/// A database needs nothing of the task.
#[async_trait]
impl Writer for Arc<dyn Driver> {
    fn steps(&self, job: &Job) -> Vec<String> {
        self.as_ref().steps(job)
    }

    async fn write(&self, job: Arc<Job>, input: SendableRecordBatchStream, _: Arc<TaskContext>) -> DataFusionResult<u64> {
        self.as_ref().write(job, input).await
    }
}

/// A query for the database.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    /// `shop.public.orders`, for messages.
    pub(crate) qualified: String,
    pub(crate) sql: String,
    /// What the columns of the answer are read as.
    pub(crate) schema: SchemaRef,
}

/// A database.
#[async_trait]
pub(crate) trait Driver: Debug + Send + Sync {
    fn dialect(&self) -> &dyn Dialect;

    /// All tables and views that the user may see, but for those of the database itself.
    async fn list(&self) -> Result<Vec<Listed>>;

    /// The schemas of [`Driver::list`].
    async fn schemas(&self) -> Result<Vec<String>> {
        Ok(self.list().await?.into_iter().map(|listed| listed.schema).collect())
    }

    /// What [`Driver::list`] has of one schema.
    async fn list_schema(&self, schema: &str) -> Result<Vec<Listed>> {
        Ok(self.list().await?.into_iter().filter(|listed| listed.schema == schema).collect())
    }

    /// A table; `None` if there is none of this name.
    async fn describe(&self, schema: &str, table: &str) -> Result<Option<Relation>>;

    /// For a table that a write makes: the type of a column that takes values of `data_type`, and what is read from it.
    ///
    /// # Errors
    /// If there is none.
    fn made(&self, data_type: &DataType) -> Result<(DataType, String)>;

    /// The same for a column of the table's key.
    ///
    /// # Errors
    /// If there is none.
    fn made_key(&self, data_type: &DataType) -> Result<(DataType, String)> {
        self.made(data_type)
    }

    /// A query in the database's own SQL, as [`Driver::read`] takes it, with the types that the database says. It does not run.
    ///
    /// # Errors
    /// [`Error::Statement`] if the text is anything but one query, or if there is no such thing.
    async fn describe_query(&self, qualified: &str, _sql: &str) -> Result<Query> {
        Err(Error::Statement(format!(
            "{qualified}: a database of this kind takes no query as a text; name its table: FROM shop.public.orders"
        )))
    }

    /// What is found when it is tried with what `access` needs. The first finding says that it was reached.
    ///
    /// # Errors
    /// Why it was not reached.
    async fn check(&self, _access: Access) -> Result<Vec<Finding>> {
        let began = tokio::time::Instant::now();
        let tables = self.list().await?.len();
        Ok(vec![Finding::reached("the database", began.elapsed()), Finding::good("rights", format!("{tables} tables and views are seen"))])
    }

    /// What the user may do with a table. `None` if it is not known.
    ///
    /// # Errors
    /// If it cannot be asked.
    async fn rights(&self, _relation: &Relation) -> Result<Option<Rights>> {
        Ok(None)
    }

    /// Reads. Reads of one `task` see one state of the database, if it has such a thing. A stream that is dropped ends the query there.
    async fn read(&self, query: Query, task: Arc<TaskContext>) -> Result<BoxStream<'static, DataFusionResult<RecordBatch>>>;

    /// Whether the job can be done here.
    ///
    /// # Errors
    /// If it cannot.
    fn check_job(&self, _: &Job) -> Result<()> {
        Ok(())
    }

    /// How the job will be done, in order, for EXPLAIN.
    fn steps(&self, job: &Job) -> Vec<String>;

    /// Writes all of `input` or nothing, and says how many rows there were.
    async fn write(&self, job: Arc<Job>, input: SendableRecordBatchStream) -> DataFusionResult<u64>;
}
