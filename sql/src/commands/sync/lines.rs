//! What the commands print.
//!
//! In: plans, reports, dead letters. Out: objects of JSON, whose keys and their order stay as they are, and lines for people.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::engine::syncs::sync_failure;
use datafusion_clevertap_sync::{
    Error, RunReport, SyncPlan,
    ledger::DeadLetter,
    report::{Changes, PreviewedRow, Status},
};

/// A line of `sync plan`. Of a sync out of CleverTap nothing is known but its window, which is in `why`.
#[derive(Debug, Serialize)]
pub(super) struct PlanLine<'a> {
    sync: &'a str,
    new: Option<u64>,
    changed: Option<u64>,
    removed: Option<u64>,
    unchanged: Option<u64>,
    held: Option<u64>,
    requests: Option<u64>,
    seconds: Option<f64>,
    why: &'a [String],
}

impl<'a> PlanLine<'a> {
    pub(super) fn new(plan: &'a SyncPlan) -> Self {
        let SyncPlan { sync, requests, seconds, why, .. } = plan;
        let known = requests.map(|_| plan.changes);
        let of = |count: fn(&Changes) -> u64| known.as_ref().map(count);
        Self {
            sync,
            new: of(|changes| changes.new),
            changed: of(|changes| changes.changed),
            removed: of(|changes| changes.removed),
            unchanged: of(|changes| changes.unchanged),
            held: of(|changes| changes.held),
            requests: *requests,
            seconds: *seconds,
            why,
        }
    }
}

/// A line of `sync run`. Of a run that did not begin the numbers are not known.
#[derive(Debug, Serialize)]
pub(super) struct RunLine<'a> {
    sync: &'a str,
    run_id: Option<&'a str>,
    status: &'static str,
    rows: Option<u64>,
    new: Option<u64>,
    changed: Option<u64>,
    removed: Option<u64>,
    unchanged: Option<u64>,
    accepted: Option<u64>,
    rejected: Option<u64>,
    in_doubt: Option<u64>,
    unsent: Option<u64>,
    held: Option<u64>,
    error: Option<&'a str>,
}

impl<'a> RunLine<'a> {
    /// Of a run that ended; `error` is what is said of its error.
    pub(super) fn new(report: &'a RunReport, error: Option<&'a str>) -> Self {
        let Changes { rows, new, changed, removed, unchanged, held, .. } = report.changes;
        Self {
            sync: &report.sync,
            run_id: Some(&report.run_id),
            status: report.status.name(),
            rows: Some(rows),
            new: Some(new),
            changed: Some(changed),
            removed: Some(removed),
            unchanged: Some(unchanged),
            accepted: Some(report.accepted),
            rejected: Some(report.rejected),
            in_doubt: Some(report.in_doubt),
            unsent: Some(report.unsent),
            held: Some(held),
            error,
        }
    }

    /// Of one that did not begin, or that sent nothing.
    pub(super) fn not_begun(sync: &'a str, error: &'a str) -> Self {
        Self {
            sync,
            run_id: None,
            status: Status::Error.name(),
            rows: None,
            new: None,
            changed: None,
            removed: None,
            unchanged: None,
            accepted: None,
            rejected: None,
            in_doubt: None,
            unsent: None,
            held: None,
            error: Some(error),
        }
    }
}

/// A line of `sync history`.
#[derive(Debug, Serialize)]
pub(super) struct HistoryLine<'a> {
    #[serde(flatten)]
    run: RunLine<'a>,
    started_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
}

impl<'a> HistoryLine<'a> {
    pub(super) fn new(report: &'a RunReport) -> Self {
        let run = RunLine::new(report, report.error.as_deref());
        Self { run, started_at: report.started_at, finished_at: report.finished_at }
    }
}

/// A line of `sync failed`.
#[derive(Debug, Serialize)]
pub(super) struct FailedLine {
    pub(super) key: String,
    pub(super) fate: &'static str,
    pub(super) code: Option<String>,
    pub(super) reason: String,
    pub(super) attempts: Option<u32>,
    pub(super) first_at: Option<DateTime<Utc>>,
    pub(super) last_at: DateTime<Utc>,
    /// As it would have been sent; `None` for a row in doubt, of which the ledger has the key alone.
    pub(super) record: Option<Box<RawValue>>,
}

impl From<DeadLetter> for FailedLine {
    fn from(letter: DeadLetter) -> Self {
        let DeadLetter { key, record, code, reason, attempts, first_at, last_at, .. } = letter;
        let record = RawValue::from_string(record).ok();
        Self { key, fate: "rejected", code, reason, attempts: Some(attempts), first_at: Some(first_at), last_at, record }
    }
}

/// A line of `sync preview`.
#[derive(Debug, Serialize)]
pub(super) struct PreviewLine<'a> {
    key: Option<&'a str>,
    payload: Option<&'a RawValue>,
    code: Option<&'a str>,
}

impl<'a> PreviewLine<'a> {
    pub(super) fn new(row: &'a PreviewedRow) -> Self {
        let payload = row.payload.as_deref().and_then(|payload| serde_json::from_str(payload).ok());
        Self { key: row.key.as_deref(), payload, code: row.code.as_deref() }
    }
}

/// `50001 rows: 1 new, 3 changed, 1 removed, 49996 unchanged, 0 held`.
pub(super) fn changes_text(changes: &Changes) -> String {
    let Changes { rows, new, changed, removed, unchanged, held, .. } = changes;
    format!("{rows} rows: {new} new, {changed} changed, {removed} removed, {unchanged} unchanged, {held} held")
}

/// `5 accepted, 0 rejected, 0 in doubt, 0 unsent in 0.4 s`.
pub(super) fn fates_text(report: &RunReport) -> String {
    let RunReport { accepted, rejected, in_doubt, unsent, .. } = report;
    let took = report.finished_at.map(|at| format!(" in {:.1} s", (at - report.started_at).as_seconds_f64())).unwrap_or_default();
    format!("{accepted} accepted, {rejected} rejected, {in_doubt} in doubt, {unsent} unsent{took}")
}

/// What is said of the error of a run that had sent rows.
pub(super) fn error_text(report: &RunReport) -> Option<String> {
    let own = report.error.as_ref().map(|text| sync_failure(&Error::Query { text: text.clone(), kept: String::new() }).to_string());
    let is_silent = own.is_none() && report.status == Status::Error;
    own.or_else(|| {
        is_silent.then(|| match report.in_doubt {
            0 => format!("{} rows were to be sent, and were not; the next run sends them", report.unsent),
            rows => format!("of {rows} rows the answer was lost; clevertap-sql sync failed {} lists those that are held", report.sync),
        })
    })
}
