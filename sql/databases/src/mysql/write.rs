//! A write: rows into a temporary table, then one transaction.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::SendableRecordBatchStream;
use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::connect::Connector;
use super::encode;
use super::fault::{is_transient, of_statement};
use super::steps::steps;
use crate::error::{Doing, Error, Result};
use crate::write::job::Job;
use crate::write::path::{Session, Steps, load};
use crate::write::rows::Rows;

/// About how many bytes one INSERT has: a quarter of what a server takes that was not asked to take more.
const STATEMENT_BYTES: usize = 1 << 20;
/// How often a transaction that met a deadlock is tried.
const TRIES: usize = 4;

/// A session. It is ended, and so undone, when it is dropped before its end.
struct Transaction {
    connection: Conn,
    connector: Arc<Connector>,
    job: Arc<Job>,
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
    let connection = connector.connect().await?;
    let mut rows = Rows::new(input, &job);
    let steps = steps(&job);
    let mut transaction = Transaction { connection, connector: Arc::clone(connector), job: Arc::clone(&job), qualified, is_over: false };
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

    async fn ingest(&mut self, steps: &Steps, rows: &mut Rows) -> DataFusionResult<u64> {
        let mut taken = 0;
        let mut sql = steps.ingest.clone();
        loop {
            let first_row = rows.sent + 1;
            let Some(batch) = rows.next().await? else { break };
            let mut begun = first_row;
            for at in 0..batch.num_rows() {
                let row = first_row + at as u64;
                if sql.len() > steps.ingest.len() {
                    sql.push(',');
                }
                encode::row(&self.job, &batch, at, row, &mut sql)?;
                if sql.len() >= STATEMENT_BYTES || at + 1 == batch.num_rows() {
                    let done = self.connection.query_drop(sql.as_str()).await;
                    done.map_err(|error| self.failed(&error, Some(begun)))?;
                    taken += self.taken(row - begun + 1);
                    sql.truncate(steps.ingest.len());
                    begun = row + 1;
                }
            }
        }
        Ok(taken)
    }

    async fn merge(&mut self, steps: &Steps) -> DataFusionResult<()> {
        for attempt in 1.. {
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

impl Transaction {
    fn failed(&self, error: &mysql_async::Error, first_row: Option<u64>) -> Error {
        of_statement(error, &self.qualified, Doing::Writing, first_row)
    }

    /// How many of the rows of a statement the server took. A row that replaced another counts twice, so only fewer can be told.
    fn taken(&self, sent: u64) -> u64 {
        self.connection.affected_rows().min(sent)
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
