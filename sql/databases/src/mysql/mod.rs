//! MySQL and MariaDB.
//!
//! A read is one prepared query, whose rows come as they are taken, one snapshot a scan. A write goes by a temporary table, but for an append,
//! and ends in one transaction.

mod check;
mod connect;
mod decode;
mod describe;
mod dialect;
mod encode;
mod fault;
mod my_cnf;
mod query;
mod steps;
mod write;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use async_trait::async_trait;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use futures::StreamExt;
use futures::stream::BoxStream;
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use tokio::sync::mpsc::Sender;

use self::connect::Connector;
use self::decode::Decoder;
use self::dialect::MysqlDialect;
use crate::answer::Answer;
use crate::check::{Finding, Rights};
use crate::dialect::Dialect;
use crate::driver::{Driver, Query};
use crate::error::{Doing, Result};
use crate::relation::{Listed, Relation};
use crate::settings::{Access, DatabaseSettings};
use crate::write::job::Job;

/// A MySQL or MariaDB.
#[derive(Debug)]
pub(crate) struct Mysql {
    connector: Arc<Connector>,
}

impl Mysql {
    /// Connects to nothing.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) if the mode of TLS is not for MySQL.
    pub(crate) fn new(settings: &DatabaseSettings) -> Result<Self> {
        Ok(Self { connector: Arc::new(Connector::new(settings)?) })
    }
}

#[async_trait]
impl Driver for Mysql {
    fn dialect(&self) -> &dyn Dialect {
        &MysqlDialect
    }

    async fn list(&self) -> Result<Vec<Listed>> {
        let mut connection = self.connector.connect().await?;
        let listed = describe::list(&mut connection).await;
        listed.map_err(|error| fault::of_statement(&error, "the list of tables", Doing::Reading, None))?
    }

    async fn describe(&self, schema: &str, table: &str) -> Result<Option<Relation>> {
        let mut connection = self.connector.connect().await?;
        let described = describe::relation(&mut connection, schema, table).await;
        described.map_err(|error| fault::of_statement(&error, &format!("{schema}.{table}"), Doing::Reading, None))?
    }

    fn made(&self, data_type: &DataType) -> Result<(DataType, String)> {
        describe::made(data_type)
    }

    fn made_key(&self, data_type: &DataType) -> Result<(DataType, String)> {
        describe::made_key(data_type)
    }

    async fn describe_query(&self, qualified: &str, sql: &str) -> Result<Query> {
        query::describe(&mut self.connector.connect().await?, qualified, sql).await
    }

    async fn check(&self, access: Access) -> Result<Vec<Finding>> {
        check::check(&self.connector, access).await
    }

    async fn rights(&self, relation: &Relation) -> Result<Option<Rights>> {
        Ok(Some(check::rights(&mut self.connector.connect().await?, relation).await))
    }

    async fn read(&self, query: Query, task: Arc<TaskContext>) -> Result<BoxStream<'static, DataFusionResult<RecordBatch>>> {
        let connection = self.connector.connect().await?;
        let answer = Answer::new(query.qualified.clone(), Arc::clone(&query.schema), task.session_config().batch_size());
        let decoder = Decoder::new(answer)?;
        let session = Reading { connector: Arc::clone(&self.connector), session: Some(connection.id()) };
        let mut batches = RecordBatchReceiverStreamBuilder::new(Arc::clone(&query.schema), 2);
        let sender = batches.tx();
        batches.spawn(read(connection, query, decoder, sender));
        Ok(futures::stream::unfold((batches.build(), session), |(mut batches, mut session)| async move {
            let batch = batches.next().await;
            if batch.is_none() {
                session.session = None;
            }
            batch.map(|batch| (batch, (batches, session)))
        })
        .boxed())
    }

    fn steps(&self, job: &Job) -> Vec<String> {
        steps::steps(job, encode::Form::Lines).shown()
    }

    async fn write(&self, job: Arc<Job>, input: SendableRecordBatchStream) -> DataFusionResult<u64> {
        write::write(&self.connector, job, input).await
    }
}

/// A session that reads. It is ended when this is dropped before its end.
struct Reading {
    connector: Arc<Connector>,
    session: Option<u32>,
}

impl Drop for Reading {
    fn drop(&mut self) {
        if let Some(session) = self.session {
            Arc::clone(&self.connector).kill(session);
        }
    }
}

async fn read(
    mut connection: Conn,
    query: Query,
    mut decoder: Decoder,
    batches: Sender<DataFusionResult<RecordBatch>>,
) -> DataFusionResult<()> {
    let failed = |error| DataFusionError::from(fault::of_statement(&error, &query.qualified, Doing::Reading, None));
    connection.query_drop("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY").await.map_err(failed)?;
    let mut rows = connection.exec_iter(query.sql.as_str(), ()).await.map_err(failed)?;
    loop {
        let row = rows.next().await.map_err(failed)?;
        let is_end = row.is_none();
        if let Some(row) = row {
            decoder.push(&row.unwrap_raw())?;
        }
        if (is_end || decoder.is_full())
            && let Some(batch) = decoder.batch()?
            && batches.send(Ok(batch)).await.is_err()
        {
            // Nobody wants the rest.
            return Ok(());
        }
        if is_end {
            return Ok(());
        }
    }
}
