//! Redshift, by PostgreSQL's protocol.
//!
//! ```text
//! describe ─▶ Arrow types          postgres/connect
//! read     ─▶ a plain query, rows of text ─▶ cells
//! write    ─▶ encode ─▶ VALUES, or Parquet ─▶ staging ─▶ COPY ─▶ steps ─▶ COMMIT
//! ```

mod describe;
mod dialect;
mod encode;
mod read;
mod staging;
mod steps;
mod write;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use async_trait::async_trait;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use futures::stream::BoxStream;
use object_store::ObjectStore;

use self::dialect::RedshiftDialect;
use self::staging::Staging;
use self::steps::Way;
use crate::dialect::Dialect;
use crate::driver::{Driver, Query};
use crate::error::{Doing, Result};
use crate::postgres::connect::{Connection, Connector};
use crate::postgres::fault::of_statement_at;
use crate::relation::{Listed, Relation};
use crate::settings::{DatabaseSettings, Kind};
use crate::write::job::Job;

/// What makes texts exact: of doubles all digits, of instants one zone and one order.
const SESSION: &str = "SET datestyle TO 'ISO'; SET timezone TO 'UTC'; SET extra_float_digits TO 2";

/// A Redshift.
#[derive(Debug)]
pub(crate) struct Redshift {
    connector: Arc<Connector>,
    staging: Option<Staging>,
}

impl Redshift {
    /// Connects to nothing.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) if the authorities to trust cannot be read, or there is no store of the bucket.
    pub(crate) fn new(settings: &DatabaseSettings, store: Option<Arc<dyn ObjectStore>>) -> Result<Self> {
        Ok(Self { connector: Arc::new(Connector::new(settings)?), staging: Staging::new(settings, store)? })
    }

    async fn connect(&self) -> Result<Connection> {
        let connection = self.connector.connect().await?;
        let set_up = connection.client.batch_execute(SESSION).await;
        set_up.map_err(|error| of_statement_at(Kind::Redshift, &error, "a session", Doing::Reading))?;
        Ok(connection)
    }
}

#[async_trait]
impl Driver for Redshift {
    fn dialect(&self) -> &dyn Dialect {
        &RedshiftDialect
    }

    async fn list(&self) -> Result<Vec<Listed>> {
        describe::list(&self.connect().await?.client).await
    }

    async fn describe(&self, schema: &str, table: &str) -> Result<Option<Relation>> {
        describe::relation(&self.connect().await?.client, schema, table).await
    }

    fn made(&self, data_type: &DataType) -> Result<(DataType, String)> {
        describe::made(data_type)
    }

    async fn read(&self, query: Query, task: Arc<TaskContext>) -> Result<BoxStream<'static, DataFusionResult<RecordBatch>>> {
        read::read(self.connect().await?, query, task.session_config().batch_size()).await
    }

    fn steps(&self, job: &Job) -> Vec<String> {
        let file = self.staging.as_ref().map(|staging| (staging.file("NUMBER").url.clone(), staging.role.clone()));
        let way = file.as_ref().map_or(Way::Values, |(url, role)| Way::Files { url, role });
        steps::steps(job, way).shown()
    }

    async fn write(&self, job: Arc<Job>, input: SendableRecordBatchStream) -> DataFusionResult<u64> {
        write::write(self.connect().await?, self.staging.as_ref(), job, input).await
    }
}
