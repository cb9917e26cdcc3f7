//! A write: one transaction.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::SendableRecordBatchStream;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::encode;
use super::staging::{StagedFile, Staging};
use super::steps::{Way, steps};
use crate::error::{Doing, Error, Result};
use crate::postgres::connect::Connection;
use crate::postgres::fault::{is_settled, of_statement_at};
use crate::settings::Kind;
use crate::unique::unique;
use crate::write::job::Job;
use crate::write::parquet::ParquetBytes;
use crate::write::path::{STAGE_PREFIX, Session, Steps, load};
use crate::write::rows::Rows;

/// About how many bytes one INSERT has: a part of the sixteen million that Redshift takes.
const STATEMENT_BYTES: usize = 1 << 20;

/// Writes all of `input` or nothing.
pub(super) async fn write(
    connection: Connection,
    staging: Option<&Staging>,
    job: Arc<Job>,
    input: SendableRecordBatchStream,
) -> DataFusionResult<u64> {
    let qualified = job.relation.qualified();
    // The name of the file is that of a table which nobody else has.
    let file = staging.map(|staging| staging.file(&unique()));
    let way = match (&file, staging) {
        (Some(file), Some(staging)) => Way::Files { url: &file.url, role: &staging.role },
        _ => Way::Values,
    };
    let steps = steps(&job, way);
    let mut rows = Rows::new(input, &job);
    let mut transaction = Transaction { connection: Some(connection), file, job: Arc::clone(&job), qualified };
    transaction.execute("BEGIN").await?;
    let written = load(&mut transaction, &job, &steps, &mut rows).await;
    if let Some(file) = &mut transaction.file {
        file.remove().await;
    }
    let count = written?;
    transaction.commit().await?;
    Ok(count)
}

/// A transaction. What it does is ended, and so undone, when it is dropped before its end.
struct Transaction {
    connection: Option<Connection>,
    file: Option<StagedFile>,
    job: Arc<Job>,
    qualified: String,
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.abandon(async |_| {});
        }
    }
}

#[async_trait]
impl Session for Transaction {
    async fn execute(&mut self, sql: &str) -> DataFusionResult<()> {
        Ok(self.client().batch_execute(sql).await.map_err(|error| self.failed(&error))?)
    }

    async fn ingest(&mut self, steps: &Steps, rows: &mut Rows) -> DataFusionResult<u64> {
        match self.file.take() {
            Some(mut file) => {
                let filed = self.send_file(&mut file, rows).await;
                // It goes when the write is over.
                self.file = Some(file);
                filed?;
                if rows.sent > 0 {
                    self.execute(&steps.ingest).await?;
                }
            }
            None => self.send_values(steps, rows).await?,
        }
        Ok(self.count().await?)
    }

    async fn merge(&mut self, steps: &Steps) -> DataFusionResult<()> {
        for sql in &steps.merge {
            self.execute(sql).await?;
        }
        Ok(())
    }
}

impl Transaction {
    fn client(&self) -> &Client {
        &self.connection.as_ref().expect("a connection until the end").client
    }

    fn failed(&self, error: &tokio_postgres::Error) -> Error {
        of_statement_at(Kind::Redshift, error, &self.qualified, Doing::Writing)
    }

    async fn send_file(&mut self, file: &mut StagedFile, rows: &mut Rows) -> DataFusionResult<()> {
        let schema = encode::schema(&self.job);
        let mut parquet = ParquetBytes::new(&schema)?;
        loop {
            let first_row = rows.sent + 1;
            let Some(batch) = rows.next().await? else { break };
            encode::check(&self.job, &batch, first_row)?;
            file.write(&parquet.write(&encode::numbered(&schema, &batch, first_row)?)?).await?;
        }
        if rows.sent > 0 {
            file.write(&parquet.finish()?).await?;
        }
        Ok(file.close().await?)
    }

    async fn send_values(&mut self, steps: &Steps, rows: &mut Rows) -> DataFusionResult<()> {
        let mut sql = steps.ingest.clone();
        loop {
            let first_row = rows.sent + 1;
            let Some(batch) = rows.next().await? else { break };
            encode::check(&self.job, &batch, first_row)?;
            for at in 0..batch.num_rows() {
                if sql.len() > steps.ingest.len() {
                    sql.push(',');
                }
                encode::row(&self.job, &batch, at, first_row + at as u64, &mut sql)?;
                if sql.len() >= STATEMENT_BYTES {
                    self.client().batch_execute(&sql).await.map_err(|error| self.failed(&error))?;
                    sql.truncate(steps.ingest.len());
                }
            }
        }
        if sql.len() > steps.ingest.len() {
            self.client().batch_execute(&sql).await.map_err(|error| self.failed(&error))?;
        }
        Ok(())
    }

    /// How many rows wait.
    async fn count(&mut self) -> Result<u64> {
        let answer = self.client().simple_query(&format!("SELECT count(*) FROM {STAGE_PREFIX}rows")).await;
        let answer = answer.map_err(|error| self.failed(&error))?;
        let count = answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
            _ => None,
        });
        count.ok_or_else(|| Error::Refused(format!("{}: Redshift counts in a form that this version does not read", self.qualified)))
    }

    /// Commits. Redshift cannot be asked what became of a transaction.
    async fn commit(mut self) -> Result<()> {
        let answer = self.client().batch_execute("COMMIT").await;
        // Nothing is left to be ended.
        self.connection = None;
        match answer {
            Ok(()) => Ok(()),
            Err(error) if is_settled(&error) => Err(self.failed(&error)),
            Err(_) => Err(Error::InDoubt(format!(
                "{}: the connection to Redshift ended while COMMIT was awaited, and Redshift cannot be asked what became of it: all rows were \
                 written, or none. Look at the table before the statement is run again",
                self.qualified
            ))),
        }
    }
}
