//! A write: rows into a temporary table, then one transaction; of an append all in one transaction.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::connect::Connector;
use super::encode::{Chunk, Form, chunks};
use super::fault::{is_transient, of_statement, of_warning};
use super::steps::steps;
use crate::error::{Doing, Error, Result};
use crate::write::job::Job;
use crate::write::path::{Session, Steps, load};
use crate::write::rows::Rows;

/// How often a transaction that met a deadlock is tried.
const TRIES: usize = 4;
/// How long a packet of lines is.
const PACKET_BYTES: usize = 1 << 20;

/// A session. It is ended, and so undone, when it is dropped before its end.
struct Transaction {
    connection: Conn,
    connector: Arc<Connector>,
    job: Arc<Job>,
    form: Form,
    qualified: String,
    is_over: bool,
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if !self.is_over {
            Arc::clone(&self.connector).kill(self.connection.id());
        }
    }
}

/// Writes all of `input` or nothing.
pub(super) async fn write(connector: &Arc<Connector>, job: Arc<Job>, input: SendableRecordBatchStream) -> DataFusionResult<u64> {
    let qualified = job.relation.qualified();
    let mut connection = connector.connect().await?;
    let takes_files = connection.query_first::<bool, _>("SELECT @@local_infile").await;
    let takes_files = takes_files.map_err(|error| of_statement(&error, &qualified, Doing::Writing, None))?;
    let form = if takes_files == Some(true) { Form::Lines } else { Form::Literals };
    let mut rows = Rows::new(input, &job);
    let steps = steps(&job, form);
    let mut transaction =
        Transaction { connection, connector: Arc::clone(connector), job: Arc::clone(&job), form, qualified, is_over: false };
    let count = load(&mut transaction, &job, &steps, &mut rows).await?;
    transaction.is_over = true;
    Ok(count)
}

#[async_trait]
impl Session for Transaction {
    async fn execute(&mut self, sql: &str) -> DataFusionResult<()> {
        let done = self.connection.query_drop(sql).await;
        Ok(done.map_err(|error| self.failed(&error, None))?)
    }

    /// While the server takes the rows of one batch, those of the next are encoded.
    async fn ingest(&mut self, steps: &Steps, rows: &mut Rows) -> DataFusionResult<u64> {
        let (job, form) = (Arc::clone(&self.job), self.form);
        let mut taken = 0;
        let mut next = encoded(form, &job, rows).await?;
        while let Some(chunks) = next {
            let (sent, following) = tokio::try_join!(self.send(steps, chunks), encoded(form, &job, rows))?;
            taken += sent;
            next = following;
        }
        Ok(taken)
    }

    async fn merge(&mut self, steps: &Steps) -> DataFusionResult<()> {
        // An append has its rows where they belong, in its transaction.
        for attempt in (1..).take_while(|_| !steps.merge.is_empty()) {
            match self.run(&steps.merge).await {
                Ok(()) => break,
                // A deadlock has undone the transaction, and the rows that were sent are still there.
                Err(error) if is_transient(&error) && attempt < TRIES => {
                    tracing::warn!(table = self.qualified, attempt, "another transaction was in the way of a write; trying again");
                    self.execute("ROLLBACK").await?;
                }
                Err(error) => return Err(self.failed(&error, None).into()),
            }
        }
        let committed = self.connection.query_drop("COMMIT").await;
        match committed {
            Err(error @ mysql_async::Error::Server(_)) => Err(self.failed(&error, None).into()),
            Err(_) => Err(self.in_doubt().into()),
            Ok(()) => Ok(()),
        }
    }
}

/// The rows of the next batch; `None` behind the last.
async fn encoded(form: Form, job: &Job, rows: &mut Rows) -> DataFusionResult<Option<Vec<Chunk>>> {
    let first_row = rows.sent + 1;
    let batch = rows.next().await?;
    Ok(batch.map(|batch| chunks(form, job, &batch, first_row)).transpose()?)
}

/// Each is one packet, which a server may limit.
fn packets(lines: Bytes) -> impl Iterator<Item = Bytes> + Send {
    (0..lines.len()).step_by(PACKET_BYTES).map(move |at| lines.slice(at..lines.len().min(at + PACKET_BYTES)))
}

impl Transaction {
    /// Sends rows, and says how many the server took.
    async fn send(&mut self, steps: &Steps, chunks: Vec<Chunk>) -> DataFusionResult<u64> {
        let mut taken = 0;
        for Chunk { text, first_row, rows } in chunks {
            let done = match self.form {
                Form::Literals => self.connection.query_drop(format!("{}{text}", steps.ingest)).await,
                Form::Lines => {
                    // Whatever file a server asks for, it is given these bytes, once.
                    let lines = async { Ok(futures::stream::iter(packets(Bytes::from(text)).map(Ok)).boxed()) };
                    self.connection.set_infile_handler(lines);
                    self.connection.query_drop(steps.ingest.as_str()).await
                }
            };
            done.map_err(|error| self.failed(&error, Some(first_row)))?;
            // A row that replaced another counts twice, so only fewer can be told.
            taken += self.connection.affected_rows().min(rows);
            if self.connection.get_warnings() > 0 {
                let warning = self.connection.query_first::<(String, u16, String), _>("SHOW WARNINGS LIMIT 1").await;
                let (_, code, message) = warning.map_err(|error| self.failed(&error, None))?.unwrap_or_default();
                return Err(of_warning(code, message, &self.qualified, first_row).into());
            }
        }
        Ok(taken)
    }

    fn failed(&self, error: &mysql_async::Error, first_row: Option<u64>) -> Error {
        of_statement(error, &self.qualified, Doing::Writing, first_row)
    }

    async fn run(&mut self, steps: &[String]) -> Result<(), mysql_async::Error> {
        self.connection.query_drop("START TRANSACTION").await?;
        for sql in steps {
            self.connection.query_drop(sql.as_str()).await?;
        }
        Ok(())
    }

    fn in_doubt(&self) -> Error {
        Error::InDoubt(format!(
            "{}: the connection to MySQL ended while COMMIT was awaited, and MySQL cannot be asked what became of it: all rows were written, or \
             none. Look at the table before the statement is run again",
            self.qualified
        ))
    }
}
