//! What an embedder calls: [`Syncs`].
//!
//! ```text
//! prepared   a definition, planned ─▶ compare   with the ledger; what changed waits on the disk ─▶ send   an INSERT, and what remembers its fates
//!            └─▶ lists    the same for custom lists, each of which is sent whole
//!                                        └─▶ leavers   of a mirror: may so many leave? ─▶ remove   DELETE, or an INSERT of a property
//! ```
//!
//! `preview`, `baseline`, `forget`, `upkeep`: what is done with a sync besides running it; `source_age` refuses a source that stands still.

mod baseline;
mod compare;
mod forget;
mod leavers;
mod lists;
mod prepared;
mod preview;
mod remove;
mod send;
mod source_age;
mod spool;
mod upkeep;

use std::fmt;

use chrono::{DateTime, Utc};
use datafusion::prelude::SessionContext;
use datafusion_clevertap::options::DryRun;

use self::compare::compare;
use self::leavers::Leavers;
use self::lists::{compare_lists, send_lists};
use self::prepared::Prepared;
use self::send::{recover, send, try_out};
use crate::definition::{Definition, RunOptions};
use crate::error::{Error, Result};
use crate::hash;
use crate::ledger::{Force, Lease, Ledger};
use crate::outward;
use crate::report::{Changes, RunReport, Status, SyncPlan, new_run_id};

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
        self.plan_with(definition, &RunOptions::default()).await
    }

    /// The same, of a run that differs from its definition.
    ///
    /// # Errors
    /// As of [`plan`](Self::plan).
    pub async fn plan_with(&self, definition: &Definition, options: &RunOptions) -> Result<SyncPlan> {
        if outward::goes_out(&self.ctx, definition).await {
            return Box::pin(outward::plan(&self.ctx, &self.ledger, definition, options)).await;
        }
        let prepared = Prepared::new(&self.ctx, definition, options).await?;
        same_target(&prepared, &self.ledger, &definition.name).await?;
        let runs = self.ledger.runs(Some(&definition.name)).await?;
        if prepared.is_of_lists {
            let compared = compare_lists(&prepared, &self.ledger, &definition.name).await?;
            let (sync, changes) = (definition.name.clone(), compared.changes);
            // Three calls and a file a list.
            let requests = Some(3 * compared.lists_to_send());
            return Ok(SyncPlan { sync, changes, requests, seconds: None, why: Vec::new(), samples: Vec::new() });
        }
        let compared = compare(&prepared, &self.ledger, &definition.name).await?;
        let last = runs.iter().find(|run| run.status != Status::Running);
        let mut why = last.map(|last| why(last, &prepared)).unwrap_or_default();
        let leavers = Leavers::of(&compared, &prepared, &self.ledger, &definition.name).await?;
        why.extend(leavers.told());
        why.extend(leavers.guard(&prepared).err().map(|error| format!("a run is refused: {error}")));
        let requests = compared.to_send.div_ceil(prepared.body_rows_max) + leavers.to_remove().div_ceil(prepared.removals.rows_a_request());
        let seconds = runs.iter().find_map(seconds_a_row).map(|seconds| seconds * compared.to_send as f64);
        let (sync, changes, samples) = (definition.name.clone(), compared.changes, compared.samples);
        Ok(SyncPlan { sync, changes, requests: Some(requests), seconds, why, samples })
    }

    /// Runs a sync, and tells what it did. What an earlier run left that was killed is settled first.
    ///
    /// # Errors
    /// Where nothing was sent: [`Error::Definition`], [`Error::Guard`], [`Error::Held`], the query's or the ledger's. Once rows have left, what
    /// went wrong is in the report, unless the ledger itself does not take it. Out of CleverTap, whatever went wrong is returned, and the ledger has
    /// the run.
    pub async fn run(&self, definition: &Definition) -> Result<RunReport> {
        self.run_with(definition, &RunOptions::default()).await
    }

    /// The same, otherwise than its definition says.
    ///
    /// # Errors
    /// As of [`run`](Self::run).
    pub async fn run_with(&self, definition: &Definition, options: &RunOptions) -> Result<RunReport> {
        if outward::goes_out(&self.ctx, definition).await {
            return Box::pin(outward::run(&self.ctx, &self.ledger, definition, options)).await;
        }
        let prepared = Prepared::new(&self.ctx, definition, options).await?;
        if definition.paused || self.ledger.is_paused(&definition.name).await? {
            return Err(Error::Held(format!("sync \"{}\" is paused; resume it first", definition.name)));
        }
        same_target(&prepared, &self.ledger, &definition.name).await?;
        if options.dry_run.is_some_and(|dry_run| dry_run != DryRun::Off) {
            return self.dry_run(definition, &prepared).await;
        }
        self.ledger.under_lease(&definition.name, async |lease| self.run_under(lease, definition, &prepared).await).await
    }

    async fn run_under(&self, lease: &Lease, definition: &Definition, prepared: &Prepared) -> Result<RunReport> {
        let started_at = Utc::now();
        let mut report = new_report(prepared, &definition.name, new_run_id(started_at), started_at);
        self.ledger.put_run(lease, &report).await?;
        let done = self.work(lease, prepared, &mut report).await;
        report.finished_at = Some(Utc::now());
        let (Ok(error) | Err(error)) = done.as_ref().map(Option::as_ref).map_err(Some);
        if error.is_some() {
            report.status = Status::Error;
        }
        report.error = error.map(Error::to_keep);
        let kept = self.ledger.put_run(lease, &report).await;
        report.error = done?.map(|error| error.to_string());
        kept?;
        if let Err(error) = tidy(&self.ledger, lease).await {
            report.notes.push(format!("the run is done, and the ledger was not compacted: {error}"));
        }
        Ok(report)
    }

    /// Returns what the statement ended with, once rows had left.
    async fn work(&self, lease: &Lease, prepared: &Prepared, report: &mut RunReport) -> Result<Option<Error>> {
        let left = recover(&self.ledger, lease).await?;
        if left > 0 {
            report.notes.push(format!("{left} rows are in doubt: an earlier run ended while they were under way"));
        }
        if prepared.is_of_lists {
            let compared = compare_lists(prepared, &self.ledger, lease.sync()).await?;
            return send_lists(prepared, compared, &self.ledger, lease, report).await;
        }
        let compared = compare(prepared, &self.ledger, lease.sync()).await?;
        report.changes = compared.changes;
        let leavers = Leavers::of(&compared, prepared, &self.ledger, lease.sync()).await?;
        leavers.guard(prepared)?;
        report.notes.extend(leavers.told());
        let to_leave = compared.to_send + leavers.to_remove();
        let mut sent = send(prepared, compared, &self.ledger, lease, &report.run_id).await?;
        if sent.without_letter > 0 {
            let rows = sent.without_letter;
            report.notes.push(format!("{rows} rejected rows have no dead letter: more were rejected than clevertap.failed_rows_max keeps"));
        }
        (report.accepted, report.rejected, report.in_doubt) = (sent.accepted, sent.rejected, sent.in_doubt);
        if sent.error.is_none() {
            let removed = leavers.settle(prepared, &self.ledger, lease, &report.run_id).await?;
            report.accepted += removed.accepted;
            report.rejected += removed.rejected;
            report.in_doubt += removed.in_doubt;
            sent.error = removed.error;
        }
        report.unsent = to_leave.saturating_sub(report.accepted + report.rejected + report.in_doubt);
        report.status = match () {
            () if report.in_doubt > 0 || report.unsent > 0 => Status::Error,
            () if report.rejected > 0 || report.changes.held > 0 => Status::Partial,
            () => Status::Successful,
        };
        Ok(sent.error)
    }

    /// What would be rejected, and by `server` what CleverTap says of it. Nothing is stored and nothing is remembered.
    async fn dry_run(&self, definition: &Definition, prepared: &Prepared) -> Result<RunReport> {
        let started_at = Utc::now();
        let mut report = new_report(prepared, &definition.name, new_run_id(started_at), started_at);
        if prepared.is_of_lists {
            report.changes = compare_lists(prepared, &self.ledger, &definition.name).await?.changes;
            (report.status, report.finished_at) = (Status::Successful, Some(Utc::now()));
            report.notes.push("a dry run of lists tells which would be sent, and does not try their members".to_owned());
            return Ok(report);
        }
        let compared = compare(prepared, &self.ledger, &definition.name).await?;
        report.changes = compared.changes;
        Leavers::of(&compared, prepared, &self.ledger, &definition.name).await?.guard(prepared)?;
        let to_send = compared.to_send;
        let (tally, error) = try_out(prepared, compared).await?;
        (report.accepted, report.rejected, report.in_doubt) = (tally.accepted, tally.rejected, tally.in_doubt);
        report.unsent = to_send.saturating_sub(tally.accepted + tally.rejected + tally.in_doubt);
        report.status = match () {
            () if error.is_some() => Status::Error,
            () if report.rejected > 0 || report.changes.held > 0 => Status::Partial,
            () => Status::Successful,
        };
        report.error = error.map(|error| error.to_string());
        report.finished_at = Some(Utc::now());
        report.notes.push("a dry run: nothing was stored, and nothing is remembered; removals are not tried".to_owned());
        Ok(report)
    }
}

/// What was sent elsewhere, or is known by another key, says nothing of these rows: all of them would be sent, or none.
///
/// # Errors
/// [`Error::Definition`] with what is another one.
async fn same_target(prepared: &Prepared, ledger: &Ledger, sync: &str) -> Result<()> {
    let runs = ledger.runs(Some(sync)).await?;
    let Some(last) = runs.first() else { return Ok(()) };
    let (owner, key) = (prepared.owner(), prepared.key_names.join(", "));
    let other = match last {
        last if last.account != owner => format!("went to the account {}, and it is {owner} now", last.account),
        last if last.into != prepared.into => format!("went into {}, and it is {} now", last.into, prepared.into),
        last if last.key != prepared.key_names => format!("had the key {}, and it is {key} now", last.key.join(", ")),
        last if last.hash_version != hash::VERSION => {
            format!("is remembered by hashes of version {}, and this is version {}", last.hash_version, hash::VERSION)
        }
        _ => return Ok(()),
    };
    if ledger.key_count(sync).await? == 0 {
        return Ok(());
    }
    Err(Error::Definition(format!(
        "sync \"{sync}\": what it sent {other}; nothing was sent. Give this sync another name; or reset it, and all rows are sent; or reset it and \
         take a baseline, and none is"
    )))
}

/// Fewer files, when it pays.
async fn tidy(ledger: &Ledger, lease: &Lease) -> Result<()> {
    if ledger.compact(lease, Force::WhenItPays).await?.files > 0 {
        ledger.vacuum(lease, Ledger::RETENTION).await?;
    }
    Ok(())
}

/// A run that has just begun.
fn new_report(prepared: &Prepared, sync: &str, run_id: String, started_at: DateTime<Utc>) -> RunReport {
    RunReport {
        sync: sync.to_owned(),
        run_id,
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
        account: prepared.owner(),
        into: prepared.into.clone(),
        key: prepared.key_names.clone(),
        hash_version: hash::VERSION,
        mode: prepared.rules.mode.name().to_owned(),
        window: None,
        cursor: None,
    }
}

/// How long a row took in a run, if it sent enough of them to tell.
fn seconds_a_row(run: &RunReport) -> Option<f64> {
    let took = (run.finished_at? - run.started_at).as_seconds_f64();
    (run.accepted >= 1_000).then(|| took / run.accepted as f64)
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
