//! PostgreSQL, from version 12.
//!
//! ```text
//! describe ─▶ Arrow types          connect ─▶ tls, pgpass
//! query    ─▶ Arrow types of a query's own
//! read     ─▶ snapshot ─▶ COPY … TO STDOUT BINARY ─▶ decode
//! write    ─▶ encode ─▶ COPY … FROM STDIN BINARY ─▶ steps ─▶ COMMIT, asked about if it was not heard
//! ```

mod check;
pub(crate) mod connect;
mod decode;
pub(crate) mod describe;
pub(crate) mod dialect;
mod encode;
pub(crate) mod fault;
mod misfit;
mod pgpass;
mod query;
mod read;
mod snapshot;
mod steps;
mod tls;
mod write;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use async_trait::async_trait;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use futures::stream::BoxStream;

use self::connect::Connector;
use self::dialect::PostgresDialect;
use self::snapshot::Statements;
use crate::check::{Finding, Rights};
use crate::dialect::Dialect;
use crate::driver::{Driver, Query};
use crate::error::Result;
use crate::relation::{Listed, Relation};
use crate::settings::{Access, DatabaseSettings};
use crate::write::job::Job;

/// A PostgreSQL.
#[derive(Debug)]
pub(crate) struct Postgres {
    connector: Arc<Connector>,
    statements: Statements,
}

impl Postgres {
    /// Connects to nothing.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) if the authorities to trust cannot be read.
    pub(crate) fn new(settings: &DatabaseSettings) -> Result<Self> {
        Ok(Self { connector: Arc::new(Connector::new(settings)?), statements: Statements::default() })
    }
}

#[async_trait]
impl Driver for Postgres {
    fn dialect(&self) -> &dyn Dialect {
        &PostgresDialect
    }

    async fn list(&self) -> Result<Vec<Listed>> {
        describe::list(&self.connector.connect().await?.client).await
    }

    async fn describe(&self, schema: &str, table: &str) -> Result<Option<Relation>> {
        describe::relation(&self.connector.connect().await?.client, schema, table).await
    }

    fn made(&self, data_type: &DataType) -> Result<(DataType, String)> {
        describe::made(data_type)
    }

    async fn describe_query(&self, qualified: &str, sql: &str) -> Result<Query> {
        query::describe(&self.connector.connect().await?.client, qualified, sql).await
    }

    async fn check(&self, access: Access) -> Result<Vec<Finding>> {
        check::check(&self.connector, access).await
    }

    async fn rights(&self, relation: &Relation) -> Result<Option<Rights>> {
        check::rights(&self.connector.connect().await?.client, relation).await.map(Some)
    }

    async fn read(&self, query: Query, task: Arc<TaskContext>) -> Result<BoxStream<'static, DataFusionResult<RecordBatch>>> {
        let rows_max = task.session_config().batch_size();
        let statement = self.statements.of(&task, &self.connector);
        // The statement is over when its task is: this one must not keep it.
        drop(task);
        read::read(statement, query, rows_max).await
    }

    fn steps(&self, job: &Job) -> Vec<String> {
        steps::steps(job).shown()
    }

    async fn write(&self, job: Arc<Job>, input: SendableRecordBatchStream) -> DataFusionResult<u64> {
        write::write(&self.connector, job, input).await
    }
}
