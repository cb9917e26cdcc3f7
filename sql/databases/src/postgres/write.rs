//! A write: one transaction, and what became of it if its end was not heard.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::SendableRecordBatchStream;
use futures::SinkExt;
use tokio_postgres::{Client, CopyInSink};

use super::connect::{Connection, Connector, one_text};
use super::encode::{Encoder, begin, end};
use super::fault::{is_of_a_value, is_settled, is_transient, of_statement};
use super::misfit::misfit;
use super::steps::steps;
use crate::error::{Doing, Error, Result};
use crate::write::job::Job;
use crate::write::path::{Session, Steps, load};
use crate::write::rows::Rows;

/// About how many bytes are handed to the connection at once.
const CHUNK_BYTES: usize = 256 << 10;
/// How often a step that met a deadlock is tried.
const TRIES: usize = 4;
/// How often, and how far apart, the server is asked what became of a transaction.
const QUESTIONS: usize = 10;
const BETWEEN_QUESTIONS: Duration = Duration::from_secs(1);

const SAVEPOINT: &str = "clevertap_merge";

/// A transaction. What it does is ended, and so undone, when it is dropped before its end.
struct Transaction {
    connection: Option<Connection>,
    job: Arc<Job>,
    qualified: String,
}

/// Writes all of `input` or nothing.
pub(super) async fn write(connector: &Arc<Connector>, job: Arc<Job>, input: SendableRecordBatchStream) -> DataFusionResult<u64> {
    let qualified = job.relation.qualified();
    let connection = connector.connect().await?;
    let mut rows = Rows::new(input, &job);
    let steps = steps(&job);
    let mut transaction = Transaction { connection: Some(connection), job: Arc::clone(&job), qualified };
    transaction.execute("BEGIN").await?;
    let count = load(&mut transaction, &job, &steps, &mut rows).await?;
    transaction.commit(connector).await?;
    Ok(count)
}

#[async_trait]
impl Session for Transaction {
    async fn execute(&mut self, sql: &str) -> DataFusionResult<()> {
        Ok(self.client().batch_execute(sql).await.map_err(|error| self.failed(&error))?)
    }

    async fn ingest(&mut self, steps: &Steps, rows: &mut Rows) -> DataFusionResult<u64> {
        let sink: CopyInSink<Bytes> = self.client().copy_in(steps.ingest.as_str()).await.map_err(|error| self.failed(&error))?;
        let mut sink = pin!(sink);
        let mut chunk = Vec::with_capacity(CHUNK_BYTES * 5 / 4);
        begin(&mut chunk);
        loop {
            let first_row = rows.sent + 1;
            let Some(batch) = rows.next().await? else { break };
            let mut encoder = Encoder::new(&self.job, &batch, first_row, steps.numbered)?;
            while encoder.encode(&mut chunk, CHUNK_BYTES)? {
                let full = std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK_BYTES * 5 / 4));
                sink.feed(full.into()).await.map_err(|error| self.failed(&error))?;
            }
        }
        end(&mut chunk);
        sink.feed(chunk.into()).await.map_err(|error| self.failed(&error))?;
        Ok(sink.as_mut().finish().await.map_err(|error| self.failed(&error))?)
    }

    async fn merge(&mut self, steps: &Steps) -> DataFusionResult<()> {
        if steps.merge.is_empty() {
            return Ok(());
        }
        self.execute(&format!("SAVEPOINT {SAVEPOINT}")).await?;
        for attempt in 1.. {
            match self.run(&steps.merge).await {
                Ok(()) => break,
                // The rows that were sent are still there.
                Err(error) if is_transient(&error) && attempt < TRIES => {
                    tracing::warn!(table = self.qualified, attempt, "another transaction was in the way of a write; trying again");
                    self.execute(&format!("ROLLBACK TO SAVEPOINT {SAVEPOINT}")).await?;
                }
                Err(error) => {
                    let is_undone = is_of_a_value(&error) && self.execute(&format!("ROLLBACK TO SAVEPOINT {SAVEPOINT}")).await.is_ok();
                    let misfit = if is_undone { misfit(self.client(), &self.job).await } else { None };
                    return Err(misfit.unwrap_or_else(|| self.failed(&error)).into());
                }
            }
        }
        Ok(())
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.abandon(async |_| {});
        }
    }
}

impl Transaction {
    fn client(&self) -> &Client {
        &self.connection.as_ref().expect("a connection until the end").client
    }

    fn failed(&self, error: &tokio_postgres::Error) -> Error {
        of_statement(error, &self.qualified, Doing::Writing)
    }

    async fn run(&self, steps: &[String]) -> Result<(), tokio_postgres::Error> {
        for sql in steps {
            self.client().batch_execute(sql).await?;
        }
        Ok(())
    }

    /// Commits. If the answer is lost, the server is asked what became of the transaction.
    async fn commit(mut self, connector: &Arc<Connector>) -> Result<()> {
        let number = one_text(self.client(), "SELECT pg_catalog.txid_current()").await.map_err(|error| self.failed(&error))?;
        let answer = self.client().batch_execute("COMMIT").await;
        // Nothing is left to be ended.
        self.connection = None;
        let Err(error) = answer else { return Ok(()) };
        // A deferred constraint is looked at now.
        if is_settled(&error) {
            return Err(self.failed(&error));
        }
        // It is the server's own number; anything else is not asked about.
        let number = number.filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
        for _ in 0..number.iter().len() * QUESTIONS {
            match ask(connector, number.as_deref().unwrap_or_default()).await.as_deref() {
                Some("committed") => return Ok(()),
                Some("aborted") => return Err(self.failed(&error)),
                _ => tokio::time::sleep(BETWEEN_QUESTIONS).await,
            }
        }
        Err(Error::InDoubt(format!(
            "{}: the connection to PostgreSQL ended while COMMIT was awaited, and the server cannot be asked since: all rows were written, or none. \
             Look at the table before the statement is run again",
            self.qualified
        )))
    }
}

async fn ask(connector: &Arc<Connector>, number: &str) -> Option<String> {
    let connection = connector.connect().await.ok()?;
    one_text(&connection.client, &format!("SELECT pg_catalog.txid_status({number})")).await.ok()?
}
