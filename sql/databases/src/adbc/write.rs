//! A write: rows into a staging table by the driver's ingest, then one statement or one transaction, then no staging table.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use adbc_core::error::Error as Fault;
use adbc_core::options::{OptionConnection, OptionStatement, OptionValue};
use adbc_core::{Connection, Optionable, Statement};
use arrow::array::RecordBatch;
use async_trait::async_trait;
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::SendableRecordBatchStream;
use tokio::sync::mpsc;

use super::connect::{Connector, Link, blocking};
use super::dialect::Sql;
use super::fault::{is_answer, is_transient, of_statement};
use super::ingest::{Encoder, Piece, Pieces};
use super::steps::{place, stage, steps};
use super::vendor::{Product, Vendor};
use crate::error::{Doing, Error, Result};
use crate::write::job::Job;
use crate::write::path::{Session, Steps, load};
use crate::write::rows::Rows;

/// How often a transaction that met a deadlock is tried.
const TRIES: usize = 4;

/// A connection and the staging table of its own.
struct Stage {
    /// Taken when this is dropped.
    link: Option<Arc<Mutex<Link>>>,
    connector: Arc<Connector>,
    product: Product,
    encoder: Encoder,
    name: String,
    place: String,
    qualified: String,
}

/// Writes all of `input` or nothing.
pub(super) async fn write(connector: &Arc<Connector>, job: Arc<Job>, input: SendableRecordBatchStream) -> DataFusionResult<u64> {
    let link = connector.connect().await?;
    let (product, qualified) = (link.product.clone(), job.relation.qualified());
    let name = stage(product.vendor, &format!("{:016x}", RandomState::new().build_hasher().finish()));
    let steps = steps(&job, product.vendor, &name);
    let mut session = Stage {
        link: Some(Arc::new(Mutex::new(link))),
        connector: Arc::clone(connector),
        encoder: Encoder::new(&job, product.vendor),
        place: place(&job, product.vendor, &name),
        product,
        name,
        qualified,
    };
    if session.product.vendor == Vendor::Snowflake {
        // The driver ingests into the schema of its session.
        let schema = Sql::of(Vendor::Snowflake).schema(&job.relation);
        session.execute(&format!("USE SCHEMA {schema}")).await?;
    }
    let mut rows = Rows::new(input, &job);
    let written = load(&mut session, &job, &steps, &mut rows).await;
    session.clear().await;
    written
}

#[async_trait]
impl Session for Stage {
    async fn execute(&mut self, sql: &str) -> DataFusionResult<()> {
        let (sql, failed) = (sql.to_owned(), self.failed());
        Ok(self.run(move |link| link.execute(&sql).map_err(|error| failed(&error))).await?)
    }

    async fn ingest(&mut self, _: &Steps, rows: &mut Rows) -> DataFusionResult<u64> {
        // Snowflake's driver takes no stream without a batch.
        let Some(first) = self.next(rows).await? else { return Ok(0) };
        let (sender, pieces) = mpsc::channel(2);
        let ingesting = self.start(Pieces { schema: self.encoder.schema(), pieces, is_over: false });
        let mut next = Ok(Some(first));
        // Without a receiver the driver has failed, and says why.
        while let Ok(Some(batch)) = next {
            next = if sender.send(Piece::Rows(batch)).await.is_ok() { self.next(rows).await } else { Ok(None) };
        }
        if next.is_ok() {
            sender.send(Piece::End).await.ok();
        }
        drop(sender);
        let ingested = ingesting.join().await.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))?;
        // What is wrong with the source is not what the driver makes of it.
        next?;
        ingested?;
        let (sql, failed) = (format!("SELECT count(*) AS n FROM {}", self.place), self.failed());
        let count = self.run(move |link| link.number(&sql).map_err(|error| failed(&error))).await?;
        Ok(count.unwrap_or_default())
    }

    async fn merge(&mut self, steps: &Steps) -> DataFusionResult<()> {
        for attempt in 1.. {
            let (vendor, merge) = (self.product.vendor, steps.merge.clone());
            let ended = self
                .run(move |link| Ok(if vendor == Vendor::Snowflake { statement(link, &merge) } else { transaction(link, &merge) }))
                .await?;
            match ended {
                Ok(()) => break,
                Err(Unfinished::Step(error)) if is_transient(&error) && attempt < TRIES => {
                    tracing::warn!(table = self.qualified, attempt, "another transaction was in the way of a write; trying again");
                }
                Err(Unfinished::Commit(error)) if !is_answer(&error, vendor) => return Err(self.in_doubt().into()),
                Err(Unfinished::Step(error) | Unfinished::Commit(error)) => return Err((self.failed())(&error).into()),
            }
        }
        Ok(())
    }
}

/// Where a step from the staging table to the target ended before its end.
enum Unfinished {
    /// Before its commit: nothing was changed.
    Step(Fault),
    Commit(Fault),
}

/// One statement that commits itself.
fn statement(link: &mut Link, steps: &[String]) -> Result<(), Unfinished> {
    steps.iter().try_for_each(|sql| link.execute(sql)).map_err(Unfinished::Commit)
}

fn transaction(link: &mut Link, steps: &[String]) -> Result<(), Unfinished> {
    let autocommit = |link: &mut Link, is_on: bool| link.connection.set_option(OptionConnection::AutoCommit, OptionValue::from(is_on));
    autocommit(link, false).map_err(Unfinished::Step)?;
    if let Err(error) = steps.iter().try_for_each(|sql| link.execute(sql)) {
        // A session that is gone has rolled back.
        link.connection.rollback().ok();
        autocommit(link, true).ok();
        return Err(Unfinished::Step(error));
    }
    link.connection.commit().map_err(Unfinished::Commit)?;
    autocommit(link, true).ok();
    Ok(())
}

impl Stage {
    /// What a statement's error says.
    fn failed(&self) -> impl Fn(&Fault) -> Error + Send + 'static {
        let (qualified, product) = (self.qualified.clone(), self.product.clone());
        move |error| of_statement(error, &qualified, Doing::Writing, &product)
    }

    fn link(&self) -> Result<Arc<Mutex<Link>>> {
        self.link.clone().ok_or_else(|| Error::Unavailable(format!("{}: the session is over", self.qualified)))
    }

    /// Runs what waits where waiting is no harm.
    async fn run<R: Send + 'static>(&self, work: impl FnOnce(&mut Link) -> Result<R> + Send + 'static) -> Result<R> {
        let link = self.link()?;
        blocking(move || work(&mut link.lock().unwrap_or_else(PoisonError::into_inner))).await
    }

    async fn next(&self, rows: &mut Rows) -> DataFusionResult<Option<RecordBatch>> {
        let first_row = rows.sent + 1;
        let Some(batch) = rows.next().await? else { return Ok(None) };
        Ok(Some(self.encoder.encode(&batch, first_row)?))
    }

    /// Ingests, on a thread that may wait.
    fn start(&self, pieces: Pieces) -> SpawnedTask<Result<()>> {
        let (link, name, vendor, failed) = (self.link(), self.name.clone(), self.product.vendor, self.failed());
        SpawnedTask::spawn_blocking(move || {
            let link = link?;
            let mut link = link.lock().unwrap_or_else(PoisonError::into_inner);
            ingest(&mut link, &name, vendor, pieces).map_err(|error| failed(&error))
        })
    }

    fn in_doubt(&self) -> Error {
        Error::InDoubt(format!(
            "{}: the connection to {} ended while the last step of the write was awaited: all rows were written, or none. Look at the table before \
             the statement is run again",
            self.qualified, self.product.name
        ))
    }

    /// Takes a staging table away that does not end with its session.
    async fn clear(&mut self) {
        if self.product.vendor != Vendor::Snowflake {
            return;
        }
        let sql = format!("DROP TABLE IF EXISTS {}", self.place);
        let Some(link) = self.link.take() else { return };
        let (connector, place) = (Arc::clone(&self.connector), self.place.clone());
        let first = {
            let sql = sql.clone();
            blocking(move || Ok(link.lock().unwrap_or_else(PoisonError::into_inner).execute(&sql))).await
        };
        if matches!(first, Ok(Ok(()))) {
            return;
        }
        let again = async {
            let mut link = connector.connect().await?;
            blocking(move || link.execute(&sql).map_err(|_| Error::Unavailable(String::new()))).await
        };
        if again.await.is_err() {
            tracing::warn!(table = place, "a staging table could not be dropped; DROP TABLE takes it away");
        }
    }
}

/// A statement that was dropped leaves no staging table either, and nobody waits for a session's end.
impl Drop for Stage {
    fn drop(&mut self) {
        let Some(link) = self.link.take() else { return };
        let sql = (self.product.vendor == Vendor::Snowflake).then(|| format!("DROP TABLE IF EXISTS {}", self.place));
        let clear = move || {
            if let Some(sql) = sql {
                link.lock().unwrap_or_else(PoisonError::into_inner).execute(&sql).ok();
            }
            drop(link);
        };
        std::thread::Builder::new().name("adbc-clear".into()).spawn(clear).ok();
    }
}

fn ingest(link: &mut Link, name: &str, vendor: Vendor, pieces: Pieces) -> Result<(), Fault> {
    let mut statement = link.connection.new_statement()?;
    let mut set = |option, value: &str| statement.set_option(option, OptionValue::String(value.to_owned()));
    set(OptionStatement::TargetTable, name)?;
    set(OptionStatement::IngestMode, "adbc.ingest.mode.append")?;
    match vendor {
        // Zero, the driver's own, is without a limit.
        Vendor::Snowflake => set(OptionStatement::Other("adbc.snowflake.statement.ingest_copy_concurrency".into()), "1")?,
        _ => set(OptionStatement::Temporary, "true")?,
    }
    statement.bind_stream(Box::new(pieces))?;
    statement.execute_update().map(|_| ())
}
