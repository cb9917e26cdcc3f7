//! What earlier runs of a sync left.
//!
//! In: the runs that the ledger has. Out: the cursor, and the window of a run that ended in the middle.

use chrono::{DateTime, Utc};

use super::window::{Span, parse};
use crate::definition::Mode;
use crate::error::Result;
use crate::ledger::{Lease, Ledger};
use crate::report::{Changes, RunReport, Status, new_run_id};

/// What a run is called that forgets the cursor.
const RESET: &str = "reset";
/// What a run says of itself that moves no cursor.
pub(super) const BACKFILL: &str = "its window was given: the cursor stays where it is";

/// A window that a run began with and did not end.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    /// `None` of a sync that has no window.
    pub(super) span: Option<Span>,
    pub(super) started_at: DateTime<Utc>,
    /// Whether it moves the cursor.
    pub(super) is_backfill: bool,
    /// Rows that may have arrived.
    pub(super) in_doubt: u64,
}

/// What is known of a sync before a run.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// The greatest value that was read, as the ledger has it.
    pub(super) cursor: Option<DateTime<Utc>>,
    pub(super) pending: Option<Pending>,
    /// When the sync was reset: what was before does not count.
    pub(super) reset_at: Option<DateTime<Utc>>,
}

impl Past {
    /// `runs`, the newest first; those that went elsewhere than `into` left nothing there.
    pub(super) fn of(runs: &[RunReport], into: &str) -> Self {
        let reset = runs.iter().find(|run| run.mode == RESET);
        // The name may have been another sync's, too, into CleverTap.
        let runs: Vec<&RunReport> =
            runs.iter().take_while(|run| run.mode != RESET).filter(|run| goes_out(run) && run.into == into).collect();
        let is_done = |run: &&RunReport| run.status == Status::Successful;
        let left = runs.iter().copied().take_while(|run| !is_done(run)).find(|run| run.status == Status::Running || run.in_doubt > 0);
        let pending = left.map(|run| {
            // Of a window that was tried more than once, its rows may have arrived in any of them.
            let same = runs.iter().copied().take_while(|run| !is_done(run)).filter(|other| other.window == run.window);
            Pending {
                span: run.window.as_ref().and_then(Span::parse),
                started_at: run.started_at,
                is_backfill: run.notes.iter().any(|note| note == BACKFILL),
                in_doubt: same.map(|run| run.in_doubt).max().unwrap_or_default(),
            }
        });
        let cursor = runs.iter().copied().filter(is_done).find_map(|run| run.cursor.as_deref().and_then(parse));
        Self { cursor, pending, reset_at: reset.map(|run| run.started_at) }
    }
}

/// Whether a run led out of CleverTap, and left anything that the next one must know.
fn goes_out(run: &RunReport) -> bool {
    run.window.is_some() || run.mode == Mode::Append.name() || run.mode == Mode::Replace.name()
}

/// Of a sync that leads out of CleverTap: its next run begins as its first did.
///
/// # Errors
/// The ledger's.
pub(crate) async fn forget_cursor(ledger: &Ledger, lease: &Lease) -> Result<()> {
    let runs = ledger.runs(Some(lease.sync())).await?;
    let Some(last) = runs.first().filter(|run| goes_out(run)) else { return Ok(()) };
    let now = Utc::now();
    let reset = RunReport {
        run_id: new_run_id(now),
        status: Status::Successful,
        changes: Changes::default(),
        accepted: 0,
        rejected: 0,
        in_doubt: 0,
        unsent: 0,
        started_at: now,
        finished_at: Some(now),
        error: None,
        notes: vec!["the sync was reset: its next run begins as its first did".to_owned()],
        mode: RESET.to_owned(),
        window: None,
        cursor: None,
        ..last.clone()
    };
    ledger.put_run(lease, &reset).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(minute: i64, status: Status, to: &str, in_doubt: u64) -> RunReport {
        let started_at = DateTime::UNIX_EPOCH + chrono::TimeDelta::minutes(minute);
        RunReport {
            sync: "charged".to_owned(),
            run_id: new_run_id(started_at),
            status,
            changes: Changes::default(),
            accepted: 0,
            rejected: 0,
            in_doubt,
            unsent: 0,
            started_at,
            finished_at: None,
            error: None,
            notes: Vec::new(),
            fields: Vec::new(),
            query_hash: String::new(),
            mode: "append".to_owned(),
            window: Some(("2026-11-01T00:00:00Z".to_owned(), to.to_owned())),
            cursor: (status == Status::Successful).then(|| to.to_owned()),
            account: String::new(),
            into: "shop.t".to_owned(),
            key: Vec::new(),
            hash_version: crate::hash::VERSION,
        }
    }

    #[test]
    fn a_window_is_pending_until_a_run_is_done_with_it() {
        let (one, two) = ("2026-11-02T00:00:00Z", "2026-11-03T00:00:00Z");
        let good = run(1, Status::Successful, one, 0);
        let past = Past::of(&[run(2, Status::Error, two, 0), good.clone()], "shop.t");
        assert!(past.pending.is_none() && past.cursor == parse(one));
        // A run that could not read it since has not done it.
        let left = [run(4, Status::Error, two, 0), run(3, Status::Running, two, 0), run(2, Status::Error, two, 7), good.clone()];
        let pending = Past::of(&left, "shop.t").pending.expect("a window");
        assert_eq!((pending.in_doubt, pending.span.map(|span| span.to)), (7, parse(two)));
        assert!(Past::of(&left, "shop.other").pending.is_none());
        let done = [run(5, Status::Successful, two, 0), left[1].clone(), good.clone()];
        assert!(Past::of(&done, "shop.t").pending.is_none());
        let reset = RunReport { mode: RESET.to_owned(), ..run(6, Status::Successful, two, 0) };
        let past = Past::of(&[reset, left[1].clone(), good], "shop.t");
        assert!(past.pending.is_none() && past.cursor.is_none() && past.reset_at.is_some());
    }
}
