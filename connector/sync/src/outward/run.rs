//! A run of a sync that leads out of CleverTap.
//!
//! In: a definition, under its lease. Out: a window at the target, and a row of the ledger for each window that was tried. A window that an earlier
//! run began with and did not end comes first.

use chrono::{DateTime, Utc};
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;

use super::past::{BACKFILL, Past, Pending};
use super::query::{Bound, Query};
use super::spool::Spool;
use super::target::{Stored, Target, Write};
use super::window::{Span, shown};
use crate::definition::{Definition, InDoubt, Mode, RunOptions};
use crate::error::{Error, Result};
use crate::hash;
use crate::ledger::{Lease, Ledger};
use crate::report::{Changes, Preview, RunReport, Status, SyncPlan, new_run_id};

/// A sync, its target, and where its last run ended.
struct Begun {
    query: Query,
    target: Target,
    cursor: Option<DateTime<Utc>>,
    pending: Option<Pending>,
    /// When the last run began whose rows are at the target, if that says so.
    seen: Option<DateTime<Utc>>,
}

impl Begun {
    async fn new(query: Query, ledger: &Ledger) -> Result<Self> {
        let past = Past::of(&ledger.runs(Some(&query.definition.name)).await?, &query.definition.into);
        let target = Target::of(&query)?;
        let (mut cursor, mut pending, mut seen) = (past.cursor, past.pending, None);
        if let Some(stored) = target.stored().await? {
            seen = stored.run_at;
            let counts = stored.run_at.is_some_and(|run_at| past.reset_at.is_none_or(|reset_at| run_at > reset_at));
            let stored = if counts { stored } else { Stored::default() };
            cursor = stored.cursor;
            // Its rows are there, and the run did not come to say so.
            pending = pending.filter(|pending| stored.run_at.is_none_or(|run_at| run_at < pending.started_at));
        }
        Ok(Self { query, target, cursor, pending, seen })
    }

    /// # Errors
    /// [`Error::Guard`] if it is not known whether rows that were added are there, and the definition does not say what then.
    fn guard(&self) -> Result<()> {
        let Some(pending) = self.pending.as_ref().filter(|pending| self.target.is_in_doubt(self.query.mode, pending)) else {
            return Ok(());
        };
        let definition = &self.query.definition;
        if definition.in_doubt == InDoubt::Resend {
            return Ok(());
        }
        let window = pending.span.map(|span| span.texts(self.query.zone));
        let window = window.map_or_else(String::new, |(from, to)| format!(" of {from} to {to}"));
        Err(Error::Guard(format!(
            "sync \"{}\": a run ended while it added {} rows{window} to {}, and whether they are there is not known. Look there, and take out those that are; \
             then say in_doubt = \"resend\", which adds them again, or reset the sync, which begins anew",
            definition.name, pending.in_doubt, definition.into
        )))
    }

    /// What is to be read: what an earlier run left, and then what is asked for.
    fn spans(&self, options: &RunOptions) -> Result<Vec<Step>> {
        let is_backfill = options.from.is_some() || options.to.is_some();
        let left = self
            .pending
            .as_ref()
            .filter(|_| self.query.definition.window.is_some())
            .and_then(|pending| Some(Step { span: Some(pending.span?), is_backfill: pending.is_backfill, is_left: true }));
        let next = Step { span: self.query.span(options, self.cursor)?, is_backfill, is_left: false };
        let repeats = left.as_ref().is_some_and(|left| left.span == next.span);
        Ok(left.into_iter().filter(|_| !repeats).chain([next]).collect())
    }
}

/// A window of a run.
#[derive(Debug, Clone, Copy)]
struct Step {
    span: Option<Span>,
    is_backfill: bool,
    /// By an earlier run.
    is_left: bool,
}

/// What a run would read now.
///
/// # Errors
/// [`Error::Definition`], the query's, the ledger's, or the target's.
pub(crate) async fn plan(ctx: &SessionContext, ledger: &Ledger, definition: &Definition, options: &RunOptions) -> Result<SyncPlan> {
    let begun = Begun::new(Query::new(ctx, definition, options).await?, ledger).await?;
    let mut why = Vec::new();
    for step in begun.spans(options)? {
        let bound = begun.query.bound(step.span, Utc::now()).await?;
        begun.target.check(&bound.schema(), &begun.query).await?;
        if let Some((from, to)) = step.span.map(|span| span.texts(begun.query.zone)) {
            let left = if step.is_left { ", which an earlier run began with and did not end" } else { "" };
            why.push(format!("reads {from} to {to}{left}"));
        }
    }
    why.extend(begun.guard().err().map(|error| format!("a run is refused: {error}")));
    let (sync, changes) = (definition.name.clone(), Changes::default());
    Ok(SyncPlan { sync, changes, requests: None, seconds: None, why, samples: Vec::new() })
}

/// The first rows of the window that a run would read now.
///
/// # Errors
/// As of [`plan`].
pub(crate) async fn preview(ctx: &SessionContext, ledger: &Ledger, definition: &Definition, rows: usize) -> Result<Preview> {
    let options = RunOptions::default();
    let begun = Begun::new(Query::new(ctx, definition, &options).await?, ledger).await?;
    let bound = begun.query.bound(begun.query.span(&options, begun.cursor)?, Utc::now()).await?;
    let mut stream = datafusion::physical_plan::execute_stream(bound.plan, begun.query.session.task_ctx())?;
    let (mut shown, mut count) = (Vec::new(), 0);
    while count < rows
        && let Some(batch) = stream.try_next().await?
    {
        let batch = batch.slice(0, batch.num_rows().min(rows - count));
        count += batch.num_rows();
        shown.push(batch);
    }
    Ok(Preview { rows: shown, payloads: Vec::new() })
}

/// Runs a sync.
///
/// # Errors
/// [`Error::Definition`], [`Error::Guard`], [`Error::Held`], the query's, the ledger's, or the target's. The ledger has a row of the run that says
/// so, once it holds the lease.
pub(crate) async fn run(ctx: &SessionContext, ledger: &Ledger, definition: &Definition, options: &RunOptions) -> Result<RunReport> {
    // What is wrong with it is said before anything is written.
    let query = Query::new(ctx, definition, options).await?;
    if definition.paused || ledger.is_paused(&definition.name).await? {
        return Err(Error::Held(format!("sync \"{}\" is paused; resume it first", definition.name)));
    }
    ledger.under_lease(&definition.name, async |lease| run_under(lease, ledger, query, options).await).await
}

async fn run_under(lease: &Lease, ledger: &Ledger, query: Query, options: &RunOptions) -> Result<RunReport> {
    let mut begun = Begun::new(query, ledger).await?;
    begun.guard()?;
    let mut notes = Vec::new();
    if let Some(left) = begun.spans(options)?.into_iter().find(|step| step.is_left) {
        let report = begun.step(lease, ledger, left, Vec::new()).await?;
        let (from, to) = report.window.clone().unwrap_or_default();
        notes.push(format!("{from} to {to} was read first, which an earlier run began with and did not end: {} rows", report.accepted));
        begun = Begun::new(begun.query, ledger).await?;
    }
    let next = Step {
        span: begun.query.span(options, begun.cursor)?,
        is_backfill: options.from.is_some() || options.to.is_some(),
        is_left: false,
    };
    begun.step(lease, ledger, next, notes).await
}

impl Begun {
    /// One window, from the row of the ledger at its start to that at its end.
    async fn step(&self, lease: &Lease, ledger: &Ledger, step: Step, mut notes: Vec<String>) -> Result<RunReport> {
        if step.is_backfill {
            notes.push(BACKFILL.to_owned());
        }
        let started_at = DateTime::from_timestamp_micros(Utc::now().timestamp_micros()).unwrap_or_default();
        // What is wrong with the query is said before the ledger has a run.
        let bound = self.query.bound(step.span, started_at).await?;
        let mut report = self.report(step.span, started_at, notes);
        ledger.put_run(lease, &report).await?;
        let worked = tokio::select! {
            worked = self.work(lease, ledger, &bound, step, &mut report) => worked,
            () = lease.lost() => {
                let name = lease.sync();
                return Err(Error::Held(format!("sync \"{name}\": its lease was lost while it ran, and another run may have it; run it again")));
            }
        };
        report.finished_at = Some(Utc::now());
        report.status = if worked.is_ok() { Status::Successful } else { Status::Error };
        report.error = worked.as_ref().err().map(Error::to_keep);
        let kept = ledger.put_run(lease, &report).await;
        worked?;
        kept?;
        Ok(report)
    }

    async fn work(&self, lease: &Lease, ledger: &Ledger, bound: &Bound, step: Step, report: &mut RunReport) -> Result<()> {
        let (query, run_at) = (&self.query, report.started_at);
        let schema = bound.schema();
        report.fields = schema.fields().iter().map(|field| field.name().clone()).collect();
        let kept = self.target.check(&schema, query).await?;
        let key = if query.mode == Mode::Upsert { query.definition.key.as_slice() } else { &[] };
        let rows = Spool::fill(&bound.plan, &query.session.task_ctx(), kept.as_ref(), bound.cursor, key).await?;
        report.changes.rows = rows.rows;
        // A value beyond the window would skip what comes until then.
        let read = rows.greatest.map(|greatest| step.span.map_or(greatest, |span| greatest.min(span.to)));
        let cursor = if step.is_backfill { None } else { read.max(self.cursor.filter(|_| bound.cursor.is_some())) };
        let write = Write { query, rows: &rows, span: step.span, lease, run_id: &report.run_id.clone(), run_at, seen: self.seen, cursor };
        let mut changes = report.changes;
        report.unsent = rows.rows;
        let written = self.target.write(&write, &mut changes, async || {
            (report.in_doubt, report.unsent) = (rows.rows, 0);
            ledger.put_run(lease, report).await
        });
        let written = written.await?;
        (report.changes, report.accepted, report.in_doubt, report.unsent) = (changes, written, 0, 0);
        report.cursor = cursor.map(|cursor| shown(cursor, query.zone));
        Ok(())
    }

    /// A run that has just begun.
    fn report(&self, span: Option<Span>, started_at: DateTime<Utc>, notes: Vec<String>) -> RunReport {
        RunReport {
            sync: self.query.definition.name.clone(),
            run_id: new_run_id(started_at),
            status: Status::Running,
            changes: Changes::default(),
            accepted: 0,
            rejected: 0,
            in_doubt: 0,
            unsent: 0,
            started_at,
            finished_at: None,
            error: None,
            notes,
            fields: Vec::new(),
            query_hash: self.query.query_hash.clone(),
            mode: self.query.mode.name().to_owned(),
            window: span.map(|span| span.texts(self.query.zone)),
            cursor: None,
            account: self.query.owner(),
            into: self.query.definition.into.clone(),
            key: self.query.definition.key.clone(),
            hash_version: hash::VERSION,
        }
    }
}
