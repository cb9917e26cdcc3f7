//! Settling: a fate for every row, counted, kept as evidence, and summed up at the end.
//!
//! In: rows as they are read and fates as they are known. Out: the run's figures, failed rows, and the statement's end. The
//! four fates add up to the rows read, also when the stream is dropped.

use std::fmt;
use std::sync::Arc;

use datafusion::error::DataFusionError;
use datafusion::execution::TaskContext;
use tokio::time::Instant;

use crate::account::Account;
use crate::client::check_timers;
use crate::error::{Error, Outcome, Result, STOPPED_BY_HAND, STORAGE, UNAVAILABLE};
use crate::fate::{Fate, Tally};
use crate::foreign_text::printable;
use crate::options::{DryRun, InDoubt, OnReject};
use crate::origin::{Source, SourceRow};
use crate::redact::without_values;
use crate::runs::failed_rows::FailedRow;
use crate::runs::failed_rows_file::{self, FailedRowsFile};
use crate::runs::row_ranges::RowRanges;
use crate::runs::run_log::{RunLog, RunLogFile, RunProgress};
use crate::runs::{LiveRun, Status};
use crate::table::Resend;
use crate::write::encode::Reject;
use crate::write::hooks::{FateWatch, SettledRows};
use crate::write::job::Job;

/// A row that was not accepted, with all that is known of it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) row: SourceRow,
    pub(crate) fate: Fate,
    pub(crate) code: String,
    pub(crate) reason: String,
    pub(crate) column: Option<String>,
    pub(crate) identifier: Option<String>,
    pub(crate) record: String,
}

/// Counts fates and keeps the evidence of one run.
#[derive(Debug)]
pub(crate) struct Settler {
    account: Account,
    /// `clevertap.failed_rows`.
    failed_rows_table: String,
    run: Arc<LiveRun>,
    run_id: u64,
    run_uid: Arc<str>,
    table: Arc<str>,
    /// The files that its rows are from.
    source: Option<Arc<Source>>,
    file: Option<FailedRowsFile>,
    log: Option<RunLogFile>,
    watch: Option<FateWatch>,
    watch_panicked: bool,
    on_reject: OnReject,
    failed_max: Option<u64>,
    kept_max: usize,
    dry: bool,
    /// Whether rows come in another order than that of the source, and accepted ones were only submitted.
    lists: bool,
    /// Whether its author decides if rows in doubt are sent again: they may be stored twice, and the session does not send them again.
    asks_in_doubt: bool,
    settled: RowRanges,
    first_reject: Option<String>,
    first_doubt: Option<String>,
}

impl Settler {
    /// Begins the run of `job`, and opens the place of its failed rows; no request is made.
    ///
    /// # Errors
    /// [`Error::Setting`] on a runtime without timers; those of [`failed_rows_file::folder`].
    pub(crate) async fn begin(job: &Job, task: &TaskContext) -> Result<(Arc<LiveRun>, Self)> {
        let Job { relation, options, watch, .. } = job;
        let account = &relation.account;
        check_timers()?;
        let folder = match &options.failed_rows_to {
            Some(to) => Some(failed_rows_file::folder(to, task).await?),
            None => None,
        };
        let planned = job.run_uids.take(account);
        let run = account.runs_kept().begin(job.new_run(&planned), &planned);
        let (run_id, run_uid, table, started_at) = {
            let run = run.get();
            (run.run_id, Arc::clone(&run.run_uid), Arc::from(run.table_name.as_str()), run.started_at)
        };
        let settler = Self {
            account: account.clone(),
            failed_rows_table: relation.sibling("failed_rows"),
            run: Arc::clone(&run),
            run_id,
            run_uid,
            table,
            source: None,
            file: folder.map(|folder| FailedRowsFile::new(folder, run_id, started_at)),
            log: None,
            watch: watch.clone(),
            watch_panicked: false,
            on_reject: options.on_reject,
            failed_max: options.failed_max,
            kept_max: options.failed_rows_max,
            dry: options.dry_run != DryRun::Off,
            lists: false,
            asks_in_doubt: options.in_doubt == InDoubt::Hold
                && job.mapping.table.write.as_ref().is_some_and(|write| write.record_spec().resend == Resend::Appends),
            settled: RowRanges::default(),
            first_reject: None,
            first_doubt: None,
        };
        Ok((run, settler))
    }

    /// For custom lists: their rows are sorted, so that a row number says nothing about those before it until all are settled,
    /// and what CleverTap accepted it has yet to look at.
    pub(crate) fn of_lists(mut self) -> Self {
        // The last call of a list is never sent again, whatever the session says.
        (self.lists, self.asks_in_doubt) = (true, false);
        self
    }

    /// For rows of files: failed rows say where they are from, and `log` how far the run has come. `settled` are rows that an earlier run
    /// settled.
    pub(crate) fn of_files(mut self, source: Option<Arc<Source>>, log: Option<RunLog>, settled: RowRanges) -> Self {
        let folder = self.file.as_ref().map(|file| file.folder().clone());
        let mut run = self.run.get();
        run.settled_through = settled.through();
        self.log = folder.zip(log).map(|(folder, log)| {
            let began = (run.started_at.timestamp_micros(), run.run_id);
            RunLogFile::new(folder, RunLog { run_uid: run.run_uid.to_string(), began, ..log })
        });
        drop(run);
        (self.source, self.settled) = (source, settled);
        self
    }

    /// Writes how far the run has come: before the first row, when a minute has passed, and at its end.
    ///
    /// # Errors
    /// [`Error::Storage`] if the place does not take it.
    pub(crate) async fn write_log(&mut self, at: LogAt) -> Result<()> {
        if !self.log.as_ref().is_some_and(|log| !matches!(at, LogAt::Run) || log.is_due()) {
            return Ok(());
        }
        let progress = self.progress(at);
        match &mut self.log {
            Some(log) => log.write(progress).await,
            None => Ok(()),
        }
    }

    /// What its log says of the run. A row whose failed row is in no file is not settled for who goes on: nothing else tells of it.
    fn progress(&self, at: LogAt) -> RunProgress {
        let mut tally = self.run.get().tally;
        let mut settled = self.settled.clone();
        let mut unwritten_in_doubt = RowRanges::default();
        let mut is_all_written = true;
        for (row, fate) in self.file.iter().flat_map(FailedRowsFile::unwritten) {
            is_all_written = false;
            settled.remove(row);
            match fate {
                Fate::Rejected => tally.rejected -= 1,
                Fate::InDoubt => {
                    tally.in_doubt -= 1;
                    unwritten_in_doubt.add(row, row);
                }
                Fate::Unsent => {}
            }
        }
        let end = match at {
            LogAt::End { input_complete } => Some(input_complete && tally.unsent == 0 && is_all_written),
            LogAt::Begin | LogAt::Run => None,
        };
        RunProgress { settled, unwritten_in_doubt, rejected: tally.rejected, in_doubt: tally.in_doubt, end }
    }

    fn note(&mut self, first: u64, last: u64) {
        if !self.lists {
            self.settled.add(first, last);
        }
    }

    /// Rows came from the source.
    pub(crate) fn read(&self, rows: u64) {
        self.run.get().tally.read += rows;
    }

    /// CleverTap accepted these rows, or, in a dry run, would have.
    pub(crate) fn accept(&mut self, rows: &[u64]) {
        // Those of a body follow each other, mostly.
        for run in rows.chunk_by(|row, next| row + 1 == *next) {
            if let [first, .., last] | [first @ last] = run {
                self.note(*first, *last);
            }
        }
        {
            let mut run = self.run.get();
            match self.dry {
                true => run.checked += rows.len() as u64,
                false => run.tally.accepted += rows.len() as u64,
            }
            run.settled_through = self.settled.through();
        }
        if self.watch.is_some() {
            self.tell_watch(&rows.iter().map(|row| (*row, None)).collect::<Vec<_>>());
        }
    }

    /// Calls the watch of the session, if there is one; the first panic is its last call.
    fn tell_watch(&mut self, rows: &[(u64, Option<Fate>)]) {
        let Some(watch) = self.watch.as_ref().filter(|_| !rows.is_empty()) else { return };
        let (account, table) = (self.account.id(), &*self.table);
        let settled = SettledRows { account, table, run_id: self.run_id, run_uid: &self.run_uid, dry_run: self.dry, rows };
        if watch.call(settled).is_err() {
            self.watch = None;
            self.watch_panicked = true;
        }
    }

    /// A row was refused before it was sent.
    pub(crate) fn reject(&mut self, row: SourceRow, reject: Reject) {
        let Reject { code, column, reason, identifier, record } = reject;
        self.fail(Failure { row, fate: Fate::Rejected, code: code.to_owned(), reason, column: Some(column), identifier, record });
    }

    /// A row was not accepted.
    pub(crate) fn fail(&mut self, failure: Failure) {
        let Failure { row: SourceRow { number: row, place }, fate, code, reason, column, identifier, record } = failure;
        // A dry run stores nothing, so that nothing of it is in doubt.
        let fate = if self.dry && fate == Fate::InDoubt { Fate::Unsent } else { fate };
        if fate != Fate::Unsent {
            self.note(row, row);
        }
        {
            let mut run = self.run.get();
            let count = match fate {
                Fate::Rejected => &mut run.tally.rejected,
                Fate::InDoubt => &mut run.tally.in_doubt,
                Fate::Unsent => &mut run.tally.unsent,
            };
            *count += 1;
            run.settled_through = self.settled.through();
        }
        match fate {
            Fate::Rejected => {
                let reason = printable(&reason);
                self.first_reject.get_or_insert_with(|| match &column {
                    Some(column) => format!("First reject: row {row}, column \"{column}\" {reason} ({code})"),
                    None => format!("First reject: row {row}, {code}: {reason}"),
                });
            }
            Fate::InDoubt => {
                self.first_doubt.get_or_insert_with(|| printable(&reason));
            }
            Fate::Unsent => {}
        }
        self.tell_watch(&[(row, Some(fate))]);
        let row = FailedRow {
            run_id: self.run_id,
            run_uid: Arc::clone(&self.run_uid),
            dry_run: self.dry,
            source_file: self.source.as_ref().and_then(|source| source.file_of(place)),
            source_row: place.row(),
            table_name: Arc::clone(&self.table),
            fate,
            row_number: row,
            identifier,
            code,
            reason,
            column_name: column,
            record,
            failed_at: self.account.clock().now(),
        };
        if let Some(file) = &mut self.file {
            file.add(row.clone());
        }
        self.account.failed_rows_kept().keep(row, self.kept_max);
    }

    /// Rows that were read and whose evidence is gone with the disk that held it have this fate; `None` is accepted.
    pub(crate) fn rest(&self, fate: Option<Fate>) {
        let mut run = self.run.get();
        let tally = run.tally;
        let settled = tally.accepted + run.checked + tally.rejected + tally.in_doubt + tally.unsent;
        let rows = tally.read.saturating_sub(settled);
        if rows == 0 {
            return;
        }
        tracing::warn!(rows, "rows are counted without evidence");
        *match fate {
            None => &mut run.tally.accepted,
            Some(Fate::Rejected) => &mut run.tally.rejected,
            Some(Fate::InDoubt) => &mut run.tally.in_doubt,
            Some(Fate::Unsent) => &mut run.tally.unsent,
        } += rows;
    }

    /// Why what has settled so far stops the statement, if it does: rows that failed, or a watch that panicked.
    pub(crate) fn must_stop(&self) -> Option<Stopped> {
        if self.watch_panicked {
            return Some(self.panicked());
        }
        let tally = self.run.get().tally;
        let stops = match self.on_reject {
            OnReject::Stop => tally.rejected > 0 && !self.dry,
            OnReject::Skip => self.failed_max.is_some_and(|max| tally.rejected + tally.in_doubt > max),
        };
        stops.then_some(Stopped::Rejects)
    }

    fn panicked(&self) -> Stopped {
        Stopped::because("The FateWatch of the session panicked, and was told of no further row")
    }

    /// When failed rows are to be written to a file; `None` while there are none, or no place for them.
    pub(crate) fn file_due(&self) -> Option<Instant> {
        self.file.as_ref()?.due()
    }

    /// Writes the failed rows that are due, or all of them.
    ///
    /// # Errors
    /// [`Error::Storage`] if their place does not take them: a statement stops for it.
    pub(crate) async fn write_failed_rows(&mut self, all: bool) -> Result<()> {
        let Some(file) = self.file.as_mut().filter(|file| file.due().is_some_and(|due| all || due <= Instant::now())) else {
            return Ok(());
        };
        let written = file.write().await;
        self.run.get().failed_rows_written = file.written();
        written
    }

    /// Where the rows can be read that were not accepted; why not in their files, unless the statement stopped for that.
    fn failed_rows_place(&self, tally: &Tally, stopped: Option<&Stopped>) -> String {
        let Some(file) = &self.file else { return self.failed_rows_table.clone() };
        let why = file.fault().filter(|_| !matches!(stopped, Some(Stopped::Cause { code: STORAGE, .. })));
        let failed = tally.rejected + tally.in_doubt + tally.unsent;
        file.place(failed, why, &self.failed_rows_table, self.account.failed_rows_kept().of_run(self.run_id))
    }

    /// Ends the run: its status, and the error that the statement ends in.
    ///
    /// # Errors
    /// [`Error::Stopped`] for `stopped`, [`Error::Rejected`] where rejects stopped it, [`Error::InDoubt`] if rows are in doubt.
    pub(crate) fn end(&mut self, stopped: Option<Stopped>, input_complete: bool) -> Result<u64> {
        let stopped = stopped.or_else(|| self.watch_panicked.then(|| self.panicked()));
        let (tally, checked, settled_through) = {
            let mut run = self.run.get();
            let tally = run.tally;
            if self.lists && input_complete && tally.accepted + tally.rejected + tally.in_doubt == tally.read {
                run.settled_through = run.tally.read;
            }
            (run.tally, run.checked, run.settled_through)
        };
        let failed_rows = self.failed_rows_place(&tally, stopped.as_ref());
        let outcome = || {
            Box::new(Outcome {
                table: self.table.to_string(),
                run_id: self.run_id,
                run_uid: Arc::clone(&self.run_uid),
                tally,
                checked,
                input_complete,
                settled_through,
                failed_rows: failed_rows.clone(),
            })
        };
        let error = match stopped {
            Some(Stopped::Rejects) => Some(Error::Rejected {
                first: self
                    .first_reject
                    .as_ref()
                    .or(self.first_doubt.as_ref())
                    .map_or_else(String::new, |first| first.trim_end_matches('.').to_owned()),
                remedy: match self.on_reject {
                    OnReject::Stop => {
                        format!("SET clevertap.on_reject = 'skip' to go on past rejects and read them from {}.", self.failed_rows_table)
                    }
                    OnReject::Skip => "More rows failed than clevertap.failed_max allows: mend them, or raise it.".to_owned(),
                },
                outcome: outcome(),
            }),
            // All had ended well when the word came.
            Some(Stopped::ByHand) if input_complete && tally.accepted == tally.read && !self.dry => None,
            Some(Stopped::ByHand) => Some(Error::Stopped {
                cause: "The statement was stopped by hand.".into(),
                code: STOPPED_BY_HAND,
                source: None,
                outcome: outcome(),
            }),
            Some(Stopped::ByBody) => {
                Some(Error::Stopped { cause: "The statement was stopped.".into(), code: "CT-403", source: None, outcome: outcome() })
            }
            // What is in doubt decides what to do next, and not that nobody answered.
            Some(Stopped::Cause { cause, code: UNAVAILABLE, .. }) if tally.in_doubt > 0 && self.asks_in_doubt => {
                Some(Error::InDoubt { why: cause, outcome: outcome() })
            }
            Some(Stopped::Cause { cause, code, source }) => Some(Error::Stopped { cause, code, source, outcome: outcome() }),
            None if tally.in_doubt > 0 => Some(Error::InDoubt { why: self.first_doubt.clone().unwrap_or_default(), outcome: outcome() }),
            None => None,
        };
        let mut run = self.run.get();
        run.finished_at = Some(self.account.clock().now());
        run.input_complete = input_complete;
        run.status = match &error {
            Some(Error::Stopped { code: STOPPED_BY_HAND, .. }) => Status::Stopped,
            Some(_) => Status::Error,
            None if self.dry => Status::DryRun,
            None if tally.rejected > 0 => Status::Partial,
            None if self.lists => Status::Submitted,
            None => Status::Success,
        };
        if let Some(error) = &error {
            (run.error_code, run.error) = (Some(error.code().to_owned()), Some(error.to_string()));
        }
        drop(run);
        self.run.end();
        error.map_or(Ok(tally.accepted), Err)
    }

    /// Ends the run of a stream that was dropped. Nobody waits for it, so that its failed rows are written now, where that can be.
    pub(crate) fn cancelled(&mut self) {
        let unwritten = self.file.as_mut().and_then(|file| file.write_now().err());
        let progress = self.progress(LogAt::End { input_complete: false });
        let logged = self.log.as_mut().and_then(|log| log.write_now(progress).err());
        let unwritten = unwritten.or(logged);
        let mut run = self.run.get();
        run.failed_rows_written = self.file.as_ref().map_or(0, FailedRowsFile::written);
        if let Some(error) = unwritten {
            tracing::warn!("{error}");
            (run.error_code, run.error) = (Some(error.code().to_owned()), Some(error.to_string()));
        }
        run.status = Status::Cancelled;
        run.finished_at = Some(self.account.clock().now());
        drop(run);
        self.run.end();
    }
}

/// When the log of a run is written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LogAt {
    Begin,
    Run,
    End { input_complete: bool },
}

/// Why a statement takes no further rows.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// A person, or the service that runs it.
    ByHand,
    /// Rows were rejected.
    Rejects,
    /// A body under way says why when it is settled.
    ByBody,
    /// Anything else, in its own words.
    Cause { cause: String, code: &'static str, source: Option<Box<dyn std::error::Error + Send + Sync>> },
}

/// The counts follow as a sentence of their own.
fn with_full_stop(cause: String) -> String {
    if cause.ends_with(['.', '!', '?']) { cause } else { cause + "." }
}

impl Stopped {
    /// For a cause that has no code of ours.
    pub(crate) fn because(cause: impl fmt::Display) -> Self {
        Self::Cause { cause: with_full_stop(cause.to_string()), code: "CT-403", source: None }
    }

    /// For a panic below; its text may hold values of people.
    pub(crate) fn by_panic() -> Self {
        Self::because(
            "A library that reads the source or computes broke off (a panic), which is a fault of a program and not of the statement",
        )
    }
}

impl From<DataFusionError> for Stopped {
    /// The error's own text comes first, without values; of one of ours without DataFusion's word for what it is.
    fn from(error: DataFusionError) -> Self {
        if let Some(ours) = Error::find(&error) {
            return Self::Cause { cause: with_full_stop(ours.sentence()), code: ours.code(), source: Some(Box::new(error)) };
        }
        // The error itself is not kept: whoever prints the chain of sources would print values of people.
        Self::because(without_values(&error.to_string()))
    }
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self::Cause { cause: with_full_stop(error.sentence()), code: error.code(), source: Some(Box::new(error)) }
    }
}
