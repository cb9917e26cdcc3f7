//! Runs: one for each statement that wrote or would have, and the warnings that it drew.
//!
//! In: what the settling room counts. Out: `clevertap.runs`, `clevertap.warnings`, progress, and the switch that stops a run.
//! They live in the account, across its contexts, and end with the process.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

pub(crate) mod failed_rows;
pub(crate) mod failed_rows_file;
pub(crate) mod row_ranges;
pub(crate) mod run_log;
mod stop;

pub use failed_rows::FailedRow;
pub use run_log::{LoggedFile, RunContext, RunLog, fingerprint};
pub(crate) use stop::Stop;

use crate::fate::Tally;

/// Runs that an account remembers.
const RUNS_MAX: usize = 10_000;

/// Warnings of queries that read that an account remembers.
const READER_WARNINGS_MAX: usize = 1_000;

/// One statement that wrote, or would have.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Run {
    /// Counts from 1 in an account.
    pub run_id: u64,
    /// Unique for good: a UUID of version 7, which sorts by time.
    pub run_uid: Arc<str>,
    /// `SET clevertap.run_label`.
    pub label: String,
    /// The account's id.
    pub account: String,
    /// `clevertap.profiles`.
    pub table_name: String,
    /// `INSERT`.
    pub operation: &'static str,
    /// The text of the statement, where it was run by `clevertap_sql`.
    pub statement: Option<String>,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// How it stands.
    pub status: Status,
    /// Whether every row of the source was read.
    pub input_complete: bool,
    /// Every row up to here is accepted, rejected or in doubt: resume after it.
    pub settled_through: u64,
    /// The four counts; while it runs, of the rows that are settled.
    pub tally: Tally,
    /// Rows that a dry run found good.
    pub checked: u64,
    /// Attempts that left.
    pub requests: u64,
    /// Attempts after a first one.
    pub retries: u64,
    /// Bytes of bodies that left.
    pub bytes_sent: u64,
    /// `CT-nnn`.
    pub error_code: Option<String>,
    /// The error's text.
    pub error: Option<String>,
    /// Which column became which field.
    pub mapping: String,
    /// Options that differ from their defaults, as `clevertap.name = 'value'`.
    pub changed_options: Vec<String>,
    /// Of the rows that were not accepted, how many are in the files of `clevertap.failed_rows_to`.
    pub failed_rows_written: u64,
    /// A dry run's first three records.
    pub samples: Vec<String>,
    /// What was done to rows that were sent all the same.
    pub(crate) warnings: Vec<Warning>,
}

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// It has not ended.
    Running,
    /// Every row was accepted.
    Success,
    /// Custom lists: every row was accepted, and CleverTap mails what becomes of the lists.
    Submitted,
    /// Rows were rejected and skipped, the rest was accepted.
    Partial,
    /// It stopped, or rows are in doubt.
    Error,
    /// It was stopped by hand.
    Stopped,
    /// Its stream was dropped.
    Cancelled,
    /// Nothing was sent to be stored.
    DryRun,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "running",
            Self::Success => "success",
            Self::Submitted => "submitted",
            Self::Partial => "partial",
            Self::Error => "error",
            Self::Stopped => "stopped",
            Self::Cancelled => "cancelled",
            Self::DryRun => "dry_run",
        })
    }
}

/// A warning as `clevertap.warnings` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunWarning {
    /// The run; `None` where a query that reads drew it.
    pub run_id: Option<u64>,
    /// `CT-6nn`.
    pub code: String,
    /// The source column.
    pub column_name: String,
    /// How many rows; 0 where it speaks of a column or an event.
    pub rows: u64,
    /// One sentence.
    pub message: String,
}

/// Something done to rows that were sent all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Warning {
    /// `CT-6nn`.
    pub(crate) code: &'static str,
    /// The source column.
    pub(crate) column: String,
    /// How many rows.
    pub(crate) rows: u64,
    /// One sentence.
    pub(crate) message: String,
}

/// A run that the writing room updates while everybody may look.
#[derive(Debug)]
pub(crate) struct LiveRun {
    run: Mutex<Run>,
    /// Stops the statement.
    pub(crate) stop: Stop,
    /// Has it wait for no answer any more.
    pub(crate) abort: Stop,
    /// Whether a person stopped it.
    pub(crate) by_hand: AtomicBool,
    /// Told when it has ended.
    ended: CancellationToken,
}

impl LiveRun {
    pub(crate) fn get(&self) -> MutexGuard<'_, Run> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes whoever waits for its end.
    pub(crate) fn end(&self) {
        self.ended.cancel();
    }

    fn stop_by_hand(&self) {
        self.by_hand.store(true, Ordering::SeqCst);
        self.stop.stop();
    }

    fn abort_by_hand(&self) {
        self.stop_by_hand();
        self.abort.stop();
    }

    /// Counts warnings of one kind, column and message together.
    pub(crate) fn warn(&self, warnings: Vec<Warning>) {
        let mut run = self.get();
        for warning in warnings {
            match run.warnings.iter_mut().find(|w| w.code == warning.code && w.column == warning.column && w.message == warning.message) {
                Some(known) => known.rows += warning.rows,
                None => run.warnings.push(warning),
            }
        }
    }
}

/// The runs of an account.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    runs: Mutex<(u64, VecDeque<Arc<LiveRun>>)>,
    of_readers: Mutex<VecDeque<RunWarning>>,
    /// What was planned and may yet begin.
    planned: Mutex<Vec<Weak<PlannedRun>>>,
}

/// A run that a plan will be.
#[derive(Debug)]
pub(crate) struct PlannedRun {
    pub(crate) uid: Arc<str>,
    /// Whether it was stopped by hand before it began.
    stopped: AtomicBool,
}

impl Runs {
    /// Remembers a run that may begin, as long as its plan is there: it can be stopped already.
    pub(crate) fn plan(&self, uid: Arc<str>) -> Arc<PlannedRun> {
        let run = Arc::new(PlannedRun { uid, stopped: AtomicBool::new(false) });
        let mut planned = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
        planned.retain(|run| run.strong_count() > 0);
        planned.push(Arc::downgrade(&run));
        run
    }

    fn planned(&self, uid: &str) -> Option<Arc<PlannedRun>> {
        let planned = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
        planned.iter().filter_map(Weak::upgrade).find(|run| *run.uid == *uid)
    }

    /// Begins a run that was planned; `run` comes without its number. One that was stopped before is stopped.
    pub(crate) fn begin(&self, mut run: Run, planned: &PlannedRun) -> Arc<LiveRun> {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.0 += 1;
        run.run_id = runs.0;
        let live = Arc::new(LiveRun {
            run: Mutex::new(run),
            stop: Stop::default(),
            abort: Stop::default(),
            by_hand: AtomicBool::new(false),
            ended: CancellationToken::new(),
        });
        if planned.stopped.load(Ordering::SeqCst) {
            live.stop_by_hand();
        }
        if runs.1.len() == RUNS_MAX {
            runs.1.pop_front();
        }
        runs.1.push_back(Arc::clone(&live));
        live
    }

    /// As they stand, oldest first.
    pub(crate) fn snapshot(&self) -> Vec<Run> {
        let runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.1.iter().map(|run| run.get().clone()).collect()
    }

    /// Stops a run that has not ended; whether there was one.
    pub(crate) fn stop(&self, run_id: u64) -> bool {
        self.running(run_id).inspect(|run| run.stop_by_hand()).is_some()
    }

    /// The same, without waiting for what is in flight.
    pub(crate) fn abort(&self, run_id: u64) -> bool {
        self.running(run_id).inspect(|run| run.abort_by_hand()).is_some()
    }

    fn running(&self, run_id: u64) -> Option<Arc<LiveRun>> {
        let runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        let running = |run: &&Arc<LiveRun>| {
            let run = run.get();
            run.run_id == run_id && run.status == Status::Running
        };
        runs.1.iter().find(running).cloned()
    }

    /// The run of this id, as it stands.
    pub(crate) fn find(&self, run_uid: &str) -> Option<Run> {
        self.live(run_uid).map(|run| run.get().clone())
    }

    /// Stops the run of this id, unless it has ended; one that is only planned is stopped when it begins. Whether there was one.
    pub(crate) fn stop_uid(&self, run_uid: &str) -> bool {
        // Held throughout, so that none begins in between.
        let runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        match runs.1.iter().find(|run| *run.get().run_uid == *run_uid) {
            Some(run) if run.get().status == Status::Running => run.stop_by_hand(),
            Some(_) => return false,
            None => match self.planned(run_uid) {
                Some(planned) => planned.stopped.store(true, Ordering::SeqCst),
                None => return false,
            },
        }
        true
    }

    /// Waits until the run of this id has ended, and says how; `None` where there is none.
    pub(crate) async fn wait(&self, run_uid: &str) -> Option<Run> {
        let run = self.live(run_uid)?;
        run.ended.cancelled().await;
        Some(run.get().clone())
    }

    /// Whether none is running.
    pub(crate) fn is_idle(&self) -> bool {
        let runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.1.iter().all(|run| run.get().status != Status::Running)
    }

    /// Stops every run, and waits until all have ended.
    pub(crate) async fn shutdown(&self) {
        let runs: Vec<Arc<LiveRun>> = self.runs.lock().unwrap_or_else(PoisonError::into_inner).1.iter().cloned().collect();
        let running: Vec<_> = runs.into_iter().filter(|run| run.get().status == Status::Running).collect();
        running.iter().for_each(|run| run.stop_by_hand());
        for run in running {
            run.ended.cancelled().await;
        }
    }

    fn live(&self, run_uid: &str) -> Option<Arc<LiveRun>> {
        let runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.1.iter().find(|run| *run.get().run_uid == *run_uid).cloned()
    }

    /// Notes what a query that reads found, once for each code, column and message; the oldest go first.
    pub(crate) fn warn_reader(&self, code: &'static str, column: &str, rows: u64, message: String) {
        let mut warnings = self.of_readers.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |known: &&mut RunWarning| known.code == code && known.column_name == column && known.message == message;
        if let Some(known) = warnings.iter_mut().find(same) {
            known.rows += rows;
            return;
        }
        if warnings.len() == READER_WARNINGS_MAX {
            warnings.pop_front();
        }
        warnings.push_back(RunWarning { run_id: None, code: code.to_owned(), column_name: column.to_owned(), rows, message });
    }

    /// The warnings of all runs, and those of queries that read.
    pub(crate) fn warnings(&self) -> Vec<RunWarning> {
        let of = |run: Run| {
            run.warnings.into_iter().map(move |w| RunWarning {
                run_id: Some(run.run_id),
                code: w.code.to_owned(),
                column_name: w.column,
                rows: w.rows,
                message: w.message,
            })
        };
        let mut warnings: Vec<_> = self.snapshot().into_iter().flat_map(of).collect();
        warnings.extend(self.of_readers.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned());
        warnings
    }
}
