//! A write: a file of Parquet into a table of our own, then one statement.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::SendableRecordBatchStream;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Again, Client};
use super::describe::location;
use super::dialect::BigqueryDialect;
use super::encode;
use super::fault::{Failure, of_failure, of_refusal};
use super::jobs::{Running, run};
use super::steps::steps;
use super::upload::Upload;
use super::wire::Job as Ran;
use crate::error::{Doing, Error, Result};
use crate::unique::unique;
use crate::write::job::Job;
use crate::write::parquet::ParquetBytes;
use crate::write::path::{STAGE_PREFIX, Session, Steps, load};
use crate::write::rows::Rows;

/// How long the staging table may take to go while nobody waits for it.
const REMOVE_WITHIN: Duration = Duration::from_secs(60);

/// Writes all of `input` or nothing.
pub(super) async fn write(
    client: &Arc<Client>,
    dialect: &BigqueryDialect,
    job: Arc<Job>,
    input: SendableRecordBatchStream,
) -> DataFusionResult<u64> {
    encode::check(&job)?;
    let qualified = job.relation.qualified();
    let location = location(client, &job.relation.schema, &qualified).await?;
    let stage = format!("{STAGE_PREFIX}{}", unique());
    let steps = steps(&job, &stage, dialect);
    let staged = Staged { client: Arc::clone(client), dataset: job.relation.schema.clone(), table: stage, is_gone: false };
    let mut rows = Rows::new(input, &job);
    let mut session = Loading { client, staged, dialect, job: Arc::clone(&job), qualified, location };
    let written = load(&mut session, &job, &steps, &mut rows).await;
    session.staged.remove().await;
    written
}

/// The staging table. It is removed when this is dropped, if not before.
struct Staged {
    client: Arc<Client>,
    dataset: String,
    table: String,
    is_gone: bool,
}

impl Staged {
    async fn remove(&mut self) {
        if !std::mem::replace(&mut self.is_gone, true) {
            removed(Arc::clone(&self.client), self.url()).await;
        }
    }

    fn url(&self) -> url::Url {
        self.client.url(&self.client.project, &["datasets", &self.dataset, "tables", &self.table], &[])
    }
}

/// Removes a table. One that stays ends by itself.
async fn removed(client: Arc<Client>, url: url::Url) {
    match client.call(Method::DELETE, url, None, Again::Harmless).await {
        Err(Failure::Refused(refusal)) if refusal.is_not_found() => {}
        Err(_) => tracing::warn!("a staging table of BigQuery could not be removed; it ends by itself within a day"),
        Ok(_) => {}
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if self.is_gone {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(tokio::time::timeout(REMOVE_WITHIN, removed(Arc::clone(&self.client), self.url())));
        }
    }
}

/// A write. BigQuery has no session: what belongs together has the staging table's name.
struct Loading<'w> {
    client: &'w Arc<Client>,
    staged: Staged,
    dialect: &'w BigqueryDialect,
    job: Arc<Job>,
    qualified: String,
    location: Option<String>,
}

#[async_trait]
impl Session for Loading<'_> {
    async fn execute(&mut self, sql: &str) -> DataFusionResult<()> {
        let ran = run(self.client, sql, self.location.as_deref()).await;
        ran.map_err(|(failure, name)| self.failed(failure, &name))?;
        Ok(())
    }

    async fn ingest(&mut self, _: &Steps, rows: &mut Rows) -> DataFusionResult<u64> {
        let Some(first) = rows.next().await? else { return Ok(0) };
        let mut running = Running::new(self.client, self.location.as_deref());
        let loaded = self.load(&mut running, first, rows).await;
        // What was refused does not run, and what nobody hears of has its table removed.
        running.end();
        let loaded = loaded?;
        let said = loaded.statistics.load.and_then(|load| load.output_rows).and_then(|rows| rows.parse::<u64>().ok());
        let counted = self.count().await?;
        // The lesser of both is told, if they differ.
        Ok(said.map_or(counted, |said| said.min(counted)))
    }

    async fn merge(&mut self, steps: &Steps) -> DataFusionResult<()> {
        for sql in &steps.merge {
            match run(self.client, sql, self.location.as_deref()).await {
                Ok(_) => {}
                Err((Failure::Lost(_), name)) => {
                    // The statement may be reading it.
                    self.staged.is_gone = true;
                    return Err(Error::InDoubt(format!(
                        "{}: BigQuery was asked for the last step, gave no answer and cannot be asked what became of it: all rows were written, or \
                         none. bq show -j {name} says which; look before the statement is run again",
                        self.qualified
                    ))
                    .into());
                }
                Err((failure, name)) => return Err(self.failed(failure, &name).into()),
            }
        }
        Ok(())
    }
}

impl Loading<'_> {
    fn failed(&self, failure: Failure, job: &str) -> Error {
        match failure {
            Failure::Refused(refusal) => of_refusal(&refusal, &self.qualified, Doing::Writing, Some(job)),
            failure => of_failure(failure, &self.qualified, Doing::Writing),
        }
    }

    /// Loads all rows, as they come.
    async fn load(&self, running: &mut Running, first: arrow::array::RecordBatch, rows: &mut Rows) -> DataFusionResult<Ran> {
        let name = running.name();
        let failed = |failure| self.failed(failure, &name);
        let schema = encode::schema(&self.job);
        let mut file = ParquetBytes::new(&schema)?;
        let mut upload = Upload::begin(self.client, running, &self.configuration()).await.map_err(failed)?;
        let mut next = Some(first);
        while let Some(batch) = next {
            let first_row = rows.sent + 1 - batch.num_rows() as u64;
            let bytes = file.write(&encode::numbered(&self.job, &schema, &batch, first_row)?)?;
            upload.push(&bytes).await.map_err(failed)?;
            next = rows.next().await?;
        }
        upload.push(&file.finish()?).await.map_err(failed)?;
        let begun = match upload.finish().await {
            // The last answer was lost: the job is known by its name, if it has begun.
            Err(Failure::Lost(why)) => match running.look().await {
                Ok(Some(job)) => Ok(job),
                _ => Err(Failure::Lost(why)),
            },
            begun => begun,
        };
        let begun = begun.map_err(failed)?;
        running.is_at(&begun.job_reference);
        Ok(running.wait(begun).await.map_err(failed)?)
    }

    fn configuration(&self) -> Value {
        json!({
            "load": {
                "destinationTable": { "projectId": self.client.project, "datasetId": self.staged.dataset, "tableId": self.staged.table },
                "sourceFormat": "PARQUET",
                "parquetOptions": { "enableListInference": true },
                "decimalTargetTypes": ["NUMERIC", "BIGNUMERIC"],
                "createDisposition": "CREATE_NEVER",
                "writeDisposition": "WRITE_EMPTY",
            },
            "labels": { "client": "clevertap" },
        })
    }

    /// How many rows wait.
    async fn count(&self) -> Result<u64> {
        let sql = format!("SELECT COUNT(*) FROM {}", self.dialect.table_of(&self.staged.dataset, &self.staged.table));
        let ran = run(self.client, &sql, self.location.as_deref()).await;
        let ran = ran.map_err(|(failure, name)| self.failed(failure, &name))?;
        let location = ran.job_reference.location.as_deref().map(|location| ("location", location));
        let query: Vec<_> = location.into_iter().collect();
        let url = self.client.url(&self.client.payer, &["queries", &ran.job_reference.job_id], &query);
        let answer: Counted = self.client.get(url).await.map_err(|failure| of_failure(failure, &self.qualified, Doing::Writing))?;
        let count = answer.rows.first().and_then(|row| row.f.first()).and_then(|cell| cell.v.parse().ok());
        count.ok_or_else(super::client::unread)
    }
}

/// The answer of a count.
#[derive(serde::Deserialize)]
struct Counted {
    rows: Vec<CountedRow>,
}

#[derive(serde::Deserialize)]
struct CountedRow {
    f: Vec<CountedCell>,
}

#[derive(serde::Deserialize)]
struct CountedCell {
    v: String,
}
