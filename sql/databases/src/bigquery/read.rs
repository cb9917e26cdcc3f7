//! A read: a job of ours, its answer page by page.
//!
//! A page is asked for while the one before is decoded, and no further: memory has two pages, of ten million bytes each, and their batches. A
//! stream that is dropped before its end has BigQuery cancel the job.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::Bytes;
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use futures::StreamExt;
use futures::stream::BoxStream;
use reqwest::Method;
use serde::Deserialize;
use serde_json::value::RawValue;
use url::Url;

use super::client::{Again, Client, unread};
use super::decode::Decoder;
use super::fault::{Failure, of_failure, of_refusal};
use super::jobs::{Running, ended, query};
use super::wire::Complaint;
use crate::answer::Answer;
use crate::driver::Query;
use crate::error::{Doing, Error, Result};

/// Most rows of a page. BigQuery ends one at ten million bytes by itself.
const PAGE_ROWS_MAX: &str = "50000";
/// How long BigQuery may wait for the job before it answers that it is not done.
const WAIT_MS: &str = "20000";

/// An answer of `jobs.getQueryResults`, whose rows stay text until they are decoded.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page<'a> {
    job_complete: bool,
    #[serde(borrow, default)]
    rows: Vec<&'a RawValue>,
    page_token: Option<String>,
    total_rows: Option<String>,
    #[serde(default)]
    errors: Vec<Complaint>,
}

/// A query that runs.
struct Reading {
    client: Arc<Client>,
    running: Running,
    decoder: Decoder,
    qualified: String,
    /// The page that is on its way.
    next: Option<SpawnedTask<Result<Bytes, Failure>>>,
    batches: VecDeque<RecordBatch>,
    /// Whether a page has come.
    has_begun: bool,
    rows: u64,
    rows_total: Option<u64>,
}

pub(super) async fn read(client: &Arc<Client>, read: Query, rows_max: usize) -> Result<BoxStream<'static, DataFusionResult<RecordBatch>>> {
    let decoder = Decoder::new(Answer::new(read.qualified.clone(), read.schema, rows_max))?;
    let mut running = Running::new(client, None);
    let begun = running.begin(&query(client, &read.sql)).await.and_then(ended);
    if let Err(failure) = begun {
        // What was refused does not run.
        if matches!(failure, Failure::Refused(_)) {
            running.end();
        }
        return Err(fault(failure, &read.qualified, &running));
    }
    let mut reading = Reading {
        client: Arc::clone(client),
        running,
        decoder,
        qualified: read.qualified,
        next: None,
        batches: VecDeque::new(),
        has_begun: false,
        rows: 0,
        rows_total: None,
    };
    reading.ask(None);
    Ok(futures::stream::try_unfold(reading, Reading::next).boxed())
}

fn fault(failure: Failure, qualified: &str, running: &Running) -> Error {
    match failure {
        Failure::Refused(refusal) => of_refusal(&refusal, qualified, Doing::Reading, Some(&running.name())),
        failure => of_failure(failure, qualified, Doing::Reading),
    }
}

impl Reading {
    async fn next(mut self) -> DataFusionResult<Option<(RecordBatch, Self)>> {
        loop {
            if let Some(batch) = self.batches.pop_front() {
                return Ok(Some((batch, self)));
            }
            let Some(page) = self.next.take() else { return Ok(None) };
            let page = page.join().await.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))?;
            let page = page.map_err(|failure| fault(failure, &self.qualified, &self.running))?;
            self.take(&page).await?;
        }
    }

    /// Asks for a page, while somebody else may go on.
    fn ask(&mut self, token: Option<&str>) {
        let url = self.page_url(token);
        let client = Arc::clone(&self.client);
        self.next = Some(SpawnedTask::spawn(async move { client.call(Method::GET, url, None, Again::Harmless).await }));
    }

    fn page_url(&self, token: Option<&str>) -> Url {
        let mut query = vec![("maxResults", PAGE_ROWS_MAX), ("timeoutMs", WAIT_MS), ("formatOptions.useInt64Timestamp", "true")];
        query.extend(self.running.location.iter().map(|location| ("location", location.as_str())));
        query.extend(token.iter().map(|token| ("pageToken", *token)));
        self.client.url(&self.client.payer, &["queries", &self.running.id], &query)
    }

    async fn take(&mut self, page: &[u8]) -> DataFusionResult<()> {
        let page: Page<'_> = serde_json::from_slice(page).map_err(|_| unread())?;
        if !page.job_complete {
            self.ask(None);
            return Ok(());
        }
        // A query that failed answers 200, as one does that has a warning.
        if !self.has_begun && !page.errors.is_empty() {
            let job = self.running.look().await.map_err(|failure| fault(failure, &self.qualified, &self.running))?;
            let ended = job.map_or_else(|| Err(Failure::Lost("does not say what became of a query".into())), ended);
            ended.map_err(|failure| fault(failure, &self.qualified, &self.running))?;
        }
        self.has_begun = true;
        self.rows_total = page.total_rows.as_deref().and_then(|rows| rows.parse().ok()).or(self.rows_total);
        let is_last = page.page_token.is_none();
        if !is_last {
            self.ask(page.page_token.as_deref());
        }
        for row in &page.rows {
            self.decoder.push(row.get())?;
            if self.decoder.is_full() {
                self.batches.extend(self.decoder.batch()?);
            }
        }
        self.rows += page.rows.len() as u64;
        if is_last {
            self.running.end();
            self.batches.extend(self.decoder.batch()?);
            let (rows, total) = (self.rows, self.rows_total.ok_or_else(unread)?);
            if total != rows {
                return Err(Error::Unavailable(format!("{}: BigQuery handed out {rows} rows of {total}", self.qualified)).into());
            }
        }
        Ok(())
    }
}
