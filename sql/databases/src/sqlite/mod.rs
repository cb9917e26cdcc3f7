//! SQLite, compiled in.
//!
//! A read is a query in a thread that may wait for the disk, one snapshot a scan. A write takes the database's lock for its last step alone.

mod check;
mod decode;
mod describe;
mod dialect;
mod fault;
mod query;
mod steps;
mod write;

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use async_trait::async_trait;
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use futures::StreamExt;
use futures::stream::BoxStream;
use rusqlite::{Connection, InterruptHandle, OpenFlags};
use tokio::sync::mpsc::Sender;
use tokio::time::Instant;

use self::decode::Decoder;
use self::dialect::SqliteDialect;
use crate::answer::Answer;
use crate::check::{Finding, Rights};
use crate::dialect::Dialect;
use crate::driver::{Driver, Query};
use crate::error::{Doing, Result};
use crate::relation::{Listed, Relation};
use crate::settings::{Access, DatabaseSettings};
use crate::write::job::Job;

/// How long a lock of another process is waited for.
const WAIT: Duration = Duration::from_secs(10);

/// A file of SQLite.
#[derive(Debug)]
pub(crate) struct Sqlite {
    file: String,
    flags: OpenFlags,
}

impl Sqlite {
    /// Opens nothing. A file that is not there is made if a write may make its table.
    pub(crate) fn new(settings: &DatabaseSettings) -> Self {
        let flags = match settings.access {
            Access::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
            Access::Write if settings.create => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
            Access::Write => OpenFlags::SQLITE_OPEN_READ_WRITE,
        };
        Self { file: settings.address.database.clone(), flags: flags | OpenFlags::SQLITE_OPEN_NO_MUTEX }
    }

    fn place(&self) -> String {
        format!("SQLite file {}", crate::error::shown(&self.file))
    }

    fn open(file: &str, flags: OpenFlags, place: &str) -> Result<Connection> {
        let open = || {
            let connection = Connection::open_with_flags(file, flags)?;
            connection.busy_timeout(WAIT)?;
            // The file is looked at now, and not when a query runs.
            connection.execute_batch("PRAGMA foreign_keys = ON; SELECT count(*) FROM main.sqlite_schema")?;
            Ok(connection)
        };
        open().map_err(|error| fault::of(&error, place, Doing::Reading))
    }

    /// Runs what waits for the disk where waiting is no harm.
    async fn run<R: Send + 'static>(&self, work: impl FnOnce(Connection) -> rusqlite::Result<R> + Send + 'static) -> Result<R> {
        let (file, flags, place) = (self.file.clone(), self.flags, self.place());
        let run = move || work(Self::open(&file, flags, &place)?).map_err(|error| fault::of(&error, &place, Doing::Reading));
        match SpawnedTask::spawn_blocking(run).join().await {
            Ok(result) => result,
            Err(_) => Err(crate::error::Error::Unavailable(format!("{}: the query was ended", self.place()))),
        }
    }
}

#[async_trait]
impl Driver for Sqlite {
    fn dialect(&self) -> &dyn Dialect {
        &SqliteDialect
    }

    async fn list(&self) -> Result<Vec<Listed>> {
        self.run(|connection| describe::list(&connection)).await
    }

    async fn describe(&self, schema: &str, table: &str) -> Result<Option<Relation>> {
        let (schema, table) = (schema.to_owned(), table.to_owned());
        self.run(move |connection| describe::relation(&connection, &schema, &table)).await
    }

    fn made(&self, data_type: &DataType) -> Result<(DataType, String)> {
        describe::made(data_type)
    }

    async fn describe_query(&self, qualified: &str, sql: &str) -> Result<Query> {
        let (qualified, sql) = (qualified.to_owned(), sql.to_owned());
        self.run(move |connection| Ok(query::describe(&connection, &qualified, &sql))).await?
    }

    async fn check(&self, access: Access) -> Result<Vec<Finding>> {
        let (began, place) = (Instant::now(), self.place());
        self.run(move |connection| check::check(&connection, &place, began, access)).await
    }

    async fn rights(&self, _: &Relation) -> Result<Option<Rights>> {
        // Who may open the file may do everything with its tables, which the check of the database tells.
        Ok(None)
    }

    async fn read(&self, query: Query, task: Arc<TaskContext>) -> Result<BoxStream<'static, DataFusionResult<RecordBatch>>> {
        let connection = self.run(Ok).await?;
        let answer = Answer::new(query.qualified.clone(), Arc::clone(&query.schema), task.session_config().batch_size());
        let decoder = Decoder::new(answer)?;
        let interrupt = Interrupt(connection.get_interrupt_handle());
        let mut batches = RecordBatchReceiverStreamBuilder::new(Arc::clone(&query.schema), 2);
        let sender = batches.tx();
        batches.spawn_blocking(move || read(&connection, &query, decoder, &sender));
        // The query ends when the stream does.
        Ok(batches.build().map(move |batch| (batch, &interrupt).0).boxed())
    }

    fn steps(&self, job: &Job) -> Vec<String> {
        steps::steps(job).shown()
    }

    async fn write(&self, job: Arc<Job>, input: SendableRecordBatchStream) -> DataFusionResult<u64> {
        write::write(self.run(Ok).await?, job, input).await
    }
}

/// Ends the query of a connection when it is dropped.
struct Interrupt(InterruptHandle);

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.0.interrupt();
    }
}

fn read(
    connection: &Connection,
    query: &Query,
    mut decoder: Decoder,
    batches: &Sender<DataFusionResult<RecordBatch>>,
) -> DataFusionResult<()> {
    let failed = |error| DataFusionError::from(fault::of(&error, &query.qualified, Doing::Reading));
    let mut statement = connection.prepare(&query.sql).map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    loop {
        let row = rows.next().map_err(failed)?;
        let is_end = row.is_none();
        if let Some(row) = row {
            decoder.push(row)?;
        }
        if (is_end || decoder.is_full())
            && let Some(batch) = decoder.batch()?
            && batches.blocking_send(Ok(batch)).is_err()
        {
            // Nobody wants the rest.
            return Ok(());
        }
        if is_end {
            return Ok(());
        }
    }
}
