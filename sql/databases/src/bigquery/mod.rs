//! BigQuery, over its REST API.
//!
//! ```text
//! describe ─▶ Arrow types          client ─▶ token, tries            jobs ─▶ by a name of ours: asked about if they were not heard
//! read     ─▶ jobs.insert ─▶ getQueryResults, page by page ─▶ cell ─▶ decode
//! write    ─▶ encode ─▶ Parquet ─▶ upload ─▶ load job ─▶ steps: one statement
//! ```

mod cell;
mod client;
mod decode;
mod describe;
mod dialect;
mod encode;
mod fault;
mod jobs;
mod read;
mod steps;
mod token;
mod upload;
mod wire;
mod write;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use async_trait::async_trait;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use futures::stream::BoxStream;

use self::client::Client;
use self::dialect::BigqueryDialect;
use crate::dialect::Dialect;
use crate::driver::{Driver, Query};
use crate::error::Result;
use crate::relation::{Listed, Relation};
use crate::settings::DatabaseSettings;
use crate::write::job::Job;
use crate::write::path::STAGE_PREFIX;

/// A project of BigQuery.
#[derive(Debug)]
pub(crate) struct Bigquery {
    client: Arc<Client>,
    dialect: BigqueryDialect,
}

impl Bigquery {
    /// Asks for nothing.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) if the key cannot be read.
    pub(crate) fn new(settings: &DatabaseSettings) -> Result<Self> {
        let client = Client::new(settings)?;
        let dialect = BigqueryDialect { project: client.project.clone() };
        Ok(Self { client: Arc::new(client), dialect })
    }
}

#[async_trait]
impl Driver for Bigquery {
    fn dialect(&self) -> &dyn Dialect {
        &self.dialect
    }

    async fn list(&self) -> Result<Vec<Listed>> {
        describe::list(&self.client).await
    }

    async fn schemas(&self) -> Result<Vec<String>> {
        describe::schemas(&self.client).await
    }

    async fn list_schema(&self, schema: &str) -> Result<Vec<Listed>> {
        describe::list_dataset(&self.client, schema).await
    }

    async fn describe(&self, schema: &str, table: &str) -> Result<Option<Relation>> {
        describe::relation(&self.client, schema, table).await
    }

    fn made(&self, data_type: &DataType) -> Result<(DataType, String)> {
        describe::made(data_type)
    }

    async fn read(&self, query: Query, task: Arc<TaskContext>) -> Result<BoxStream<'static, DataFusionResult<RecordBatch>>> {
        read::read(&self.client, query, task.session_config().batch_size()).await
    }

    fn steps(&self, job: &Job) -> Vec<String> {
        steps::steps(job, &format!("{STAGE_PREFIX}…"), &self.dialect).shown()
    }

    async fn write(&self, job: Arc<Job>, input: SendableRecordBatchStream) -> DataFusionResult<u64> {
        write::write(&self.client, &self.dialect, job, input).await
    }
}
