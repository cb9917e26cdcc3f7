//! What an embedder calls: [`Syncs`].
//!
//! ```text
//! prepared   a definition, planned ─▶ compare   with the ledger; what changed waits on the disk ─▶ send   an INSERT, and what remembers its fates
//! ```

mod compare;
mod prepared;
mod send;

use std::fmt;

use chrono::{DateTime, Utc};
use datafusion::prelude::SessionContext;
use uuid::Uuid;

use self::compare::compare;
use self::prepared::Prepared;
use self::send::{recover, send};
use crate::definition::Definition;
use crate::error::{Error, Result};
use crate::ledger::{Holder, Lease, Ledger};
use crate::report::{Changes, RunReport, Status, SyncPlan};

/// Syncs of one session, and their ledger.
#[derive(Clone)]
pub struct Syncs {
    ctx: SessionContext,
    ledger: Ledger,
}

impl fmt::Debug for Syncs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Syncs").field("ledger", &self.ledger).finish_non_exhaustive()
    }
}

impl Syncs {
    /// Over the accounts of `ctx`; `state` is the folder or URL of the ledger. Makes nothing.
    ///
    /// # Errors
    /// [`Error::Storage`] or [`Error::Ledger`] if the ledger cannot be read.
    pub async fn open(ctx: SessionContext, state: &str) -> Result<Self> {
        let ledger = Ledger::open(state, &ctx.state()).await?;
        Ok(Self { ctx, ledger })
    }

    /// What is remembered.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// What [`run`](Self::run) would do now. Sends nothing, and writes nothing.
    ///
    /// # Errors
    /// [`Error::Definition`], [`Error::Guard`], the query's, or the ledger's.
    pub async fn plan(&self, definition: &Definition) -> Result<SyncPlan> {
        let prepared = Prepared::new(&self.ctx, definition).await?;
        let compared = compare(&prepared, &self.ledger, &definition.name).await?;
        let requests = compared.to_send.div_ceil(prepared.body_rows_max);
        let last = self.ledger.runs(Some(&definition.name)).await?.into_iter().find(|run| run.status != Status::Running);
        let why = last.map(|last| why(&last, &prepared)).unwrap_or_default();
        Ok(SyncPlan { sync: definition.name.clone(), changes: compared.changes, requests, why, samples: compared.samples })
    }

    /// Runs a sync, and tells what it did. What an earlier run left that was killed is settled first.
    ///
    /// # Errors
    /// Where nothing was sent: [`Error::Definition`], [`Error::Guard`], [`Error::Held`], the query's or the ledger's. Once rows have left, what
    /// went wrong is in the report, unless the ledger itself does not take it.
    pub async fn run(&self, definition: &Definition) -> Result<RunReport> {
        let prepared = Prepared::new(&self.ctx, definition).await?;
        if definition.paused || self.ledger.is_paused(&definition.name).await? {
            return Err(Error::Held(format!("sync \"{}\" is paused; resume it first", definition.name)));
        }
        let lease = self.ledger.acquire(&definition.name, Holder::current()).await?;
        let ran = self.run_under(&lease, definition, &prepared).await;
        let released = lease.release().await;
        let report = ran?;
        released?;
        Ok(report)
    }

    async fn run_under(&self, lease: &Lease, definition: &Definition, prepared: &Prepared) -> Result<RunReport> {
        let started_at = Utc::now();
        let mut report = RunReport {
            sync: definition.name.clone(),
            run_id: run_id(started_at),
            status: Status::Running,
            changes: Changes::default(),
            accepted: 0,
            rejected: 0,
            in_doubt: 0,
            unsent: 0,
            started_at,
            finished_at: None,
            error: None,
            notes: Vec::new(),
            fields: prepared.fields.clone(),
            query_hash: prepared.query_hash.clone(),
            mode: prepared.rules.mode.name().to_owned(),
            window: None,
        };
        self.ledger.put_run(lease, &report).await?;
        let done = self.work(lease, definition, prepared, &mut report).await;
        report.finished_at = Some(Utc::now());
        let (Ok(error) | Err(error)) = done.as_ref().map(Option::as_ref).map_err(Some);
        if error.is_some() {
            report.status = Status::Error;
        }
        report.error = error.map(Error::to_keep);
        let kept = self.ledger.put_run(lease, &report).await;
        report.error = done?.map(|error| error.to_string());
        kept?;
        Ok(report)
    }

    /// Returns what the statement ended with, once rows had left.
    async fn work(&self, lease: &Lease, definition: &Definition, prepared: &Prepared, report: &mut RunReport) -> Result<Option<Error>> {
        let left = recover(&self.ledger, lease).await?;
        if left > 0 {
            report.notes.push(format!("{left} rows are in doubt: an earlier run ended while they were under way"));
        }
        let compared = compare(prepared, &self.ledger, &definition.name).await?;
        report.changes = compared.changes;
        let to_send = compared.to_send;
        let sent = send(prepared, compared, &definition.into, &self.ledger, lease, &report.run_id).await?;
        if sent.without_letter > 0 {
            let rows = sent.without_letter;
            report.notes.push(format!("{rows} rejected rows have no dead letter: more were rejected than clevertap.failed_rows_max keeps"));
        }
        report.accepted = sent.accepted;
        report.rejected = sent.rejected;
        report.in_doubt = sent.in_doubt;
        report.unsent = to_send.saturating_sub(sent.accepted + sent.rejected + sent.in_doubt);
        report.status = match () {
            () if sent.in_doubt > 0 || report.unsent > 0 => Status::Error,
            () if sent.rejected > 0 || report.changes.held > 0 => Status::Partial,
            () => Status::Successful,
        };
        Ok(sent.error)
    }
}

/// A UUID of version 7, which sorts by time.
fn run_id(at: DateTime<Utc>) -> String {
    let mut random = [0; 10];
    random.copy_from_slice(&Uuid::new_v4().as_bytes()[..10]);
    uuid::Builder::from_unix_timestamp_millis(u64::try_from(at.timestamp_millis()).unwrap_or_default(), &random).into_uuid().to_string()
}

/// Why rows changed since the last run, where it is more than their values.
fn why(last: &RunReport, prepared: &Prepared) -> Vec<String> {
    let added = prepared.fields.iter().filter(|field| !last.fields.contains(field)).map(|field| format!("column \"{field}\" was added"));
    let gone = last.fields.iter().filter(|field| !prepared.fields.contains(field)).map(|field| format!("column \"{field}\" was left out"));
    let mut why: Vec<String> = added.chain(gone).collect();
    if why.is_empty() && last.query_hash != prepared.query_hash {
        why.push("the query is another one".to_owned());
    }
    why
}
