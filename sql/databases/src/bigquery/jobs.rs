//! Jobs: begun by a name of ours, waited for, cancelled.
//!
//! In: what a job is to do. Out: what became of it. A job's name is taken once in a project, so that a job whose beginning was not heard can be
//! asked about, and begun again by the same name without a danger that it runs twice.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Again, Client, parsed, pause};
use super::fault::{Failure, Refusal};
use super::wire::{Job, JobReference};
use crate::unique::unique;

/// How often a job is begun whose beginning was not heard, and how often one that failed for no fault of its own.
const TRIES: u32 = 4;
const POLL_FIRST: Duration = Duration::from_millis(50);
const POLL_MAX: Duration = Duration::from_secs(2);
/// How long a job that nobody wants any more may take to be cancelled.
const CANCEL_WITHIN: Duration = Duration::from_secs(10);

/// A job that may be running. It is cancelled when this is dropped before its end.
#[derive(Debug)]
pub(super) struct Running {
    client: Arc<Client>,
    pub(super) id: String,
    pub(super) location: Option<String>,
    is_over: bool,
}

impl Running {
    /// A job that has a name and was not begun yet.
    pub(super) fn new(client: &Arc<Client>, location: Option<&str>) -> Self {
        let location = location.map(str::to_owned).or_else(|| client.location.clone());
        Self { client: Arc::clone(client), id: format!("clevertap_{}", unique()), location, is_over: false }
    }

    /// The job's name, as `bq show -j` takes it.
    pub(super) fn name(&self) -> String {
        let location = self.location.as_ref().map_or_else(String::new, |location| format!("{location}."));
        format!("{}:{location}{}", self.client.payer, self.id)
    }

    /// What begins a job.
    pub(super) fn body(&self, configuration: &Value) -> Value {
        let mut reference = json!({ "projectId": self.client.payer, "jobId": self.id });
        if let Some(location) = &self.location {
            reference["location"] = json!(location);
        }
        json!({ "jobReference": reference, "configuration": configuration })
    }

    /// The job is where BigQuery says that it is.
    pub(super) fn is_at(&mut self, reference: &JobReference) {
        self.id.clone_from(&reference.job_id);
        if reference.location.is_some() {
            self.location.clone_from(&reference.location);
        }
    }

    /// Nothing is left to be cancelled.
    pub(super) fn end(&mut self) {
        self.is_over = true;
    }

    fn query(&self) -> Vec<(&str, &str)> {
        self.location.iter().map(|location| ("location", location.as_str())).collect()
    }

    /// Begins the job. [`Failure::Lost`] if it may run, or have run.
    pub(super) async fn begin(&mut self, configuration: &Value) -> Result<Job, Failure> {
        let url = self.client.url(&self.client.payer, &["jobs"], &[]);
        let body = self.body(configuration);
        for attempt in 1.. {
            let why = match self.client.call(Method::POST, url.clone(), Some(&body), Again::Ask).await {
                Ok(answer) => match parsed::<Job>(&answer) {
                    Ok(job) => {
                        self.is_at(&job.job_reference);
                        return Ok(job);
                    }
                    // It has begun, whatever was said of it.
                    Err(_) => "answers in a form that this version does not read".into(),
                },
                // A try before this one has begun it.
                Err(Failure::Refused(refusal)) if refusal.status == 409 => return self.found().await,
                Err(Failure::Lost(why)) => why,
                // The tries before were not heard, and this one was refused.
                Err(failure) if attempt == 1 => return Err(failure),
                Err(_) => return Err(Failure::Lost("gave no answer".into())),
            };
            pause(attempt, None).await;
            match self.look().await {
                Ok(Some(job)) => return Ok(job),
                // It never arrived; its name is free, or is refused above.
                Ok(None) if attempt < TRIES => {}
                _ => return Err(Failure::Lost(why)),
            }
        }
        unreachable!("tries end")
    }

    /// Asks what became of the job; `None` if there is none.
    pub(super) async fn look(&mut self) -> Result<Option<Job>, Failure> {
        let url = self.client.url(&self.client.payer, &["jobs", &self.id], &self.query());
        match self.client.get::<Job>(url).await {
            Ok(job) => {
                self.is_at(&job.job_reference);
                Ok(Some(job))
            }
            Err(Failure::Refused(refusal)) if refusal.is_not_found() => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    async fn found(&mut self) -> Result<Job, Failure> {
        match self.look().await {
            Ok(Some(job)) => Ok(job),
            _ => Err(Failure::Lost("does not say what became of a job".into())),
        }
    }

    /// Waits for the job's end. A job that failed is a refusal.
    pub(super) async fn wait(&mut self, mut job: Job) -> Result<Job, Failure> {
        let mut poll = POLL_FIRST;
        while job.status.state != "DONE" {
            tokio::time::sleep(poll).await;
            poll = (poll * 3 / 2).min(POLL_MAX);
            job = self.found().await?;
        }
        self.end();
        ended(job)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        // Without a runtime it runs to its end.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let client = Arc::clone(&self.client);
        let url = client.url(&client.payer, &["jobs", &self.id, "cancel"], &self.query());
        runtime.spawn(tokio::time::timeout(CANCEL_WITHIN, async move {
            // It may be on its way still.
            for attempt in 1..=2 {
                if client.call(Method::POST, url.clone(), None, Again::Harmless).await.is_ok() {
                    break;
                }
                pause(attempt, None).await;
            }
        }));
    }
}

/// A job that is done: what it was, or why it failed.
pub(super) fn ended(job: Job) -> Result<Job, Failure> {
    match &job.status.error_result {
        Some(complaint) => Err(Failure::Refused(Refusal::of_job(complaint))),
        None => Ok(job),
    }
}

/// What a query's job is told.
pub(super) fn query(client: &Client, sql: &str) -> Value {
    let mut query = json!({ "query": sql, "useLegacySql": false });
    if let Some(dataset) = &client.default_dataset {
        query["defaultDataset"] = json!({ "projectId": client.project, "datasetId": dataset });
    }
    json!({ "query": query, "labels": { "client": "clevertap" } })
}

/// Runs a statement to its end. One that failed, and so changed nothing, for no fault of its own, is run again by another name.
///
/// # Errors
/// What it failed with, and the job's name.
pub(super) async fn run(client: &Arc<Client>, sql: &str, location: Option<&str>) -> Result<Job, (Failure, String)> {
    let configuration = query(client, sql);
    for attempt in 1.. {
        let mut running = Running::new(client, location);
        let ran = match running.begin(&configuration).await {
            Ok(job) => running.wait(job).await,
            Err(failure) => Err(failure),
        };
        match ran {
            Err(Failure::Refused(refusal)) if refusal.is_transient() && attempt < TRIES => {
                tracing::warn!(job = running.name(), attempt, reason = refusal.complaint.reason, "a job of BigQuery failed; trying again");
                running.end();
                pause(attempt, None).await;
            }
            Err(failure) => {
                // What may run, and is in doubt, is not cancelled: it may have been done. What was refused does not run.
                running.end();
                return Err((failure, running.name()));
            }
            Ok(job) => return Ok(job),
        }
    }
    unreachable!("tries end")
}
