//! Snowflake, and whatever else has an ADBC driver: a library that is loaded when it is asked for.
//!
//! A read is the driver's own stream of Arrow. A write goes by a staging table, into which the driver ingests; what the driver does is not whole
//! or nothing, and the step from there is. Whose SQL is not known here is read alone.

mod calendar;
mod connect;
mod describe;
mod dialect;
mod fault;
mod ingest;
mod missing;
mod read;
mod steps;
mod vendor;
mod write;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use async_trait::async_trait;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use futures::stream::BoxStream;

use self::connect::{Connector, blocking};
use self::dialect::Sql;
use self::fault::of_statement;
use crate::dialect::Dialect;
use crate::driver::{Driver, Query};
use crate::error::{Doing, Error, Result, shown};
use crate::relation::{Listed, Relation};
use crate::settings::DatabaseSettings;
use crate::write::job::Job;

/// What an ADBC driver reaches.
#[derive(Debug)]
pub(crate) struct Adbc {
    connector: Arc<Connector>,
}

impl Adbc {
    /// Loads nothing.
    ///
    /// # Errors
    /// [`Error::Setting`] if the driver is no name, path or profile, or an option is one that this crate does not pass on.
    pub(crate) fn new(settings: &DatabaseSettings) -> Result<Self> {
        Ok(Self { connector: Arc::new(Connector::new(settings)?) })
    }
}

#[async_trait]
impl Driver for Adbc {
    fn dialect(&self) -> &dyn Dialect {
        Sql::of(self.connector.vendor())
    }

    async fn list(&self) -> Result<Vec<Listed>> {
        let mut link = self.connector.connect().await?;
        blocking(move || {
            describe::list(&mut link).map_err(|error| of_statement(&error, "the list of tables", Doing::Reading, &link.product))
        })
        .await
    }

    async fn describe(&self, schema: &str, table: &str) -> Result<Option<Relation>> {
        let mut link = self.connector.connect().await?;
        let (schema, table) = (schema.to_owned(), table.to_owned());
        blocking(move || {
            let place = format!("{}.{}", shown(&schema), shown(&table));
            describe::relation(&mut link, &schema, &table).map_err(|error| of_statement(&error, &place, Doing::Reading, &link.product))
        })
        .await
    }

    fn made(&self, data_type: &DataType) -> Result<(DataType, String)> {
        describe::made(self.connector.vendor(), data_type)
    }

    fn check_job(&self, job: &Job) -> Result<()> {
        match steps::refusal(job, self.connector.vendor(), &self.connector.product()) {
            Some(problem) => Err(Error::Statement(format!("{}: {problem}", job.relation.qualified()))),
            None => Ok(()),
        }
    }

    async fn read(&self, query: Query, task: Arc<TaskContext>) -> Result<BoxStream<'static, DataFusionResult<RecordBatch>>> {
        read::read(&self.connector, query, &task).await
    }

    fn steps(&self, job: &Job) -> Vec<String> {
        let vendor = self.connector.vendor();
        steps::steps(job, vendor, &steps::stage(vendor, "rows")).shown()
    }

    async fn write(&self, job: Arc<Job>, input: SendableRecordBatchStream) -> DataFusionResult<u64> {
        write::write(&self.connector, job, input).await
    }
}
