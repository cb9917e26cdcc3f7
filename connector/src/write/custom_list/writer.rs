//! Writes lists: reads sorted rows, spools one list after the other, submits each, and gives its rows their fate.
//!
//! In: the stream of `MembersExec`, sorted. Out: the number of accepted rows, or the error with all four counts. A list is submitted
//! only after its last row was read and, unless rejects are skipped, only if none of its rows was rejected.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::UInt64Type;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::metrics::Count;
use futures::{FutureExt, StreamExt};
use serde_json::{Map, Value};

use super::members::Rejected;
use super::spool::{Member, Spool};
use super::submit::{Calls, Submitted};
use crate::error::Result;
use crate::fate::Fate;
use crate::options::DryRun;
use crate::runs::{LiveRun, Warning};
use crate::table::List;
use crate::write::job::Job;
use crate::write::settle::{Failure, Settler, Stopped};

/// The code of the warning for a submitted list.
const SUBMITTED: &str = "CT-603";

/// Rows settled at a time.
const SETTLE_ROWS: usize = 1_000;

/// The lists of one statement.
pub(super) struct Lists {
    job: Job,
    header: &'static str,
    /// The kind of the identifiers, as the file names it.
    kind: &'static str,
    task: Arc<TaskContext>,
    run: Arc<LiveRun>,
    settler: Settler,
    calls: Calls,
    metrics: [Count; 7],
    /// The list that is being spooled.
    open: Option<Spool>,
    /// The outcome of that list, while its rows are settled.
    ending: Option<Ending>,
    /// Set when no further list is submitted.
    stopped: Option<Stopped>,
    input_complete: bool,
    ended: bool,
}

/// The outcome of a list.
#[derive(Debug, Clone)]
enum Ending {
    Accepted,
    Failed { fate: Fate, code: String, reason: String },
}

/// The outcome of lists that are not submitted.
fn unsent() -> Ending {
    let reason = "the statement stopped before the list of this row was submitted";
    Ending::Failed { fate: Fate::Unsent, code: "CT-403".into(), reason: reason.into() }
}

impl Lists {
    /// Begins the run; no request is made.
    pub(super) async fn begin(job: Job, list: &'static List, metrics: [Count; 7], task: &Arc<TaskContext>) -> Result<Self> {
        let column = job.mapping.table.column_like(&job.mapping.identifier().name).map_or("", |column| column.name);
        let kind = list.kinds.iter().find(|(name, _)| *name == column).map_or("", |(_, kind)| *kind);
        let (run, settler) = Settler::begin(&job, task).await?;
        let calls = Calls::new(&job.relation.account, list, &job.options, &run.stop);
        let task = Arc::clone(task);
        Ok(Self {
            header: list.header,
            kind,
            task,
            run,
            settler: settler.of_lists(),
            calls,
            metrics,
            open: None,
            ending: None,
            stopped: None,
            input_complete: false,
            ended: false,
            job,
        })
    }

    /// Writes all of `input`.
    pub(super) async fn write(mut self, mut input: SendableRecordBatchStream) -> Result<u64> {
        if AssertUnwindSafe(self.read_rows(&mut input)).catch_unwind().await.is_err() {
            self.stop(Stopped::by_panic()).await;
            self.settler.rest(self.fate());
        }
        drop(input);
        self.ended = true;
        self.report_metrics();
        if let Err(error) = self.settler.write_failed_rows(true).await {
            self.stopped.get_or_insert(error.into());
        }
        let stopped = self.stopped.take();
        self.settler.end(stopped, self.input_complete)
    }

    /// Reads all rows. The sort read its complete input before its first row, so rows after a stop need a fate too.
    async fn read_rows(&mut self, input: &mut SendableRecordBatchStream) {
        let stop = self.run.stop.clone();
        let mut has_rows = false;
        loop {
            let batch = tokio::select! {
                biased;
                () = stop.stopped(), if self.stopped.is_none() => {
                    self.stop(Stopped::ByHand).await;
                    if has_rows { continue } else { return }
                }
                batch = input.next() => batch,
            };
            let taken = match batch {
                None => break,
                Some(Ok(batch)) => self.add_batch(&batch).await,
                Some(Err(error)) => Err(error.into()),
            };
            has_rows = true;
            if let Err(stopped) = taken {
                return self.stop(stopped).await;
            }
            if let Err(error) = self.settler.write_failed_rows(false).await {
                self.stop(error.into()).await;
            }
        }
        self.input_complete = true;
        if self.stopped.is_none()
            && let Err(stopped) = self.submit().await
        {
            self.stop(stopped).await;
        }
    }

    /// Submits no further list. The rows of the open one get the outcome if it is known; else they are unsent.
    async fn stop(&mut self, stopped: Stopped) {
        self.stopped.get_or_insert(stopped);
        if self.open.is_none() {
            return;
        }
        let ending = self.ending.take().unwrap_or_else(unsent);
        if let Err(error) = self.settle(ending).await {
            tracing::warn!("{error}");
            self.settler.rest(self.fate());
            (self.open, self.ending) = (None, None);
        }
    }

    /// Takes sorted rows: a new list name completes the previous list.
    ///
    /// # Errors
    /// An internal or disk error, after which no row can be taken.
    async fn add_batch(&mut self, batch: &RecordBatch) -> Result<(), Stopped> {
        let columns = (
            batch.column(0).as_string_view_opt(),
            batch.column(1).as_string_view_opt(),
            batch.column(2).as_primitive_opt::<UInt64Type>(),
            batch.column(3).as_string_view_opt(),
        );
        let (Some(lists), Some(members), Some(numbers), Some(rejects)) = columns else {
            return Err(DataFusionError::Internal("members of lists are of another type than announced".into()).into());
        };
        for at in 0..batch.num_rows() {
            let list = lists.is_valid(at).then(|| lists.value(at));
            let row = numbers.value(at);
            if self.stopped.is_none()
                && self.open.as_ref().is_some_and(|open| Some(open.name.as_str()) != list)
                && let Err(stopped) = self.submit().await
            {
                self.stop(stopped).await;
            }
            self.settler.read(1);
            if rejects.is_valid(at) {
                self.reject(row, rejects.value(at))?;
                if let Some(stopped) = self.settler.must_stop() {
                    self.stop(stopped).await;
                }
                continue;
            }
            let (Some(list), true) = (list, members.is_valid(at)) else {
                return Err(DataFusionError::Internal("a member without a list".into()).into());
            };
            let member = Member { row, id: members.value(at).to_owned() };
            if self.stopped.is_some() {
                self.fail(list, member, &unsent());
                continue;
            }
            let open = match &mut self.open {
                Some(open) => open,
                slot => slot.insert(Spool::open(&self.task, list, self.header).await?),
            };
            open.push(self.kind, &member).await?;
        }
        Ok(())
    }

    fn reject(&mut self, row: u64, reject: &str) -> Result<(), Stopped> {
        let rejected: Rejected =
            serde_json::from_str(reject).map_err(|error| Stopped::because(format_args!("a reject is not read back: {error}")))?;
        let Rejected { code, column, reason, identifier, record } = rejected;
        self.settler.fail(Failure { row: row.into(), fate: Fate::Rejected, code, reason, column: Some(column), identifier, record });
        Ok(())
    }

    /// Submits the open list, if any, and settles its rows.
    async fn submit(&mut self) -> Result<(), Stopped> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let file = open.finish_file().await?;
        if self.job.options.dry_run != DryRun::Off {
            return Ok(self.settle(Ending::Accepted).await?);
        }
        let submitted = tokio::select! {
            biased;
            submitted = self.calls.submit(&file) => Some(submitted),
            () = self.run.abort.stopped() => None,
        };
        // Dropped before its answer came.
        let Some(submitted) = submitted else {
            let ending = self.unanswered("the statement was stopped before this row's list was answered");
            self.settle(ending).await?;
            return Err(Stopped::ByHand);
        };
        match submitted {
            Submitted::Yes { segment } => {
                let segment = segment.map_or_else(String::new, |segment| format!(" (segment {segment})"));
                let message = format!(
                    "list \"{}\" was submitted with {} members{segment}; CleverTap mails what becomes of it to clevertap.list_email",
                    open.name, open.members
                );
                let warning = Warning { code: SUBMITTED, column: open.name.clone(), rows: open.members, message };
                self.run.warn(vec![warning]);
                Ok(self.settle(Ending::Accepted).await?)
            }
            Submitted::No { fate, code, reason, stop } => {
                self.settle(Ending::Failed { fate, code, reason }).await?;
                match stop {
                    // Whatever it waited for then.
                    Some(_) if fate == Fate::Unsent && self.run.by_hand.load(Ordering::SeqCst) => Err(Stopped::ByHand),
                    Some(error) => Err(error.into()),
                    None => self.settler.must_stop().map_or(Ok(()), Err),
                }
            }
        }
    }

    /// Settles the rows of the open list.
    async fn settle(&mut self, ending: Ending) -> Result<()> {
        self.report_metrics();
        self.ending = Some(ending);
        self.calls.may_have_arrived.store(false, Ordering::SeqCst);
        while let Some(open) = &self.open {
            let rows = open.next_rows(SETTLE_ROWS).await?;
            if !self.settle_rows(rows) {
                break;
            }
            // The rows of this list are settled nevertheless.
            if let Err(error) = self.settler.write_failed_rows(false).await {
                self.stopped.get_or_insert(error.into());
            }
        }
        Ok(())
    }

    /// Settles these rows of the open list; returns whether there may be more: after none it is closed.
    fn settle_rows(&mut self, rows: Vec<Member>) -> bool {
        let (Some(open), Some(ending), false) = (&self.open, &self.ending, rows.is_empty()) else {
            (self.open, self.ending) = (None, None);
            return false;
        };
        if matches!(ending, Ending::Accepted) {
            self.settler.accept(&rows.iter().map(|member| member.row).collect::<Vec<_>>());
            return true;
        }
        let (list, ending) = (open.name.clone(), ending.clone());
        rows.into_iter().for_each(|member| self.fail(&list, member, &ending));
        true
    }

    /// Gives a row the fate of its list, which was not accepted.
    fn fail(&mut self, list: &str, Member { row, id }: Member, ending: &Ending) {
        let Ending::Failed { fate, code, reason } = ending else { return };
        let mapping = &self.job.mapping;
        let member_key = &mapping.identifier().key;
        let list_key = mapping.fields.iter().find(|field| field.required).map_or(member_key, |field| &field.key);
        let record = Map::from_iter([(member_key.clone(), id.clone().into()), (list_key.clone(), list.into())]);
        let (fate, code, reason, record) = (*fate, code.clone(), reason.clone(), Value::Object(record).to_string());
        self.settler.fail(Failure { row: row.into(), fate, code, reason, column: None, identifier: Some(id), record });
    }

    /// The outcome of a list whose calls were dropped: in doubt if the last one was sent, else unsent.
    fn unanswered(&self, reason: &str) -> Ending {
        let fate = if self.calls.may_have_arrived.load(Ordering::SeqCst) { Fate::InDoubt } else { Fate::Unsent };
        Ending::Failed { fate, code: "CT-403".into(), reason: reason.into() }
    }

    /// The fate of the rows being settled; `None` if accepted.
    fn fate(&self) -> Option<Fate> {
        match &self.ending {
            Some(Ending::Accepted) => None,
            Some(Ending::Failed { fate, .. }) => Some(*fate),
            None => Some(Fate::Unsent),
        }
    }

    /// Copies requests and fates into the run and the metrics.
    fn report_metrics(&self) {
        let [requests, retries, bytes] = self.calls.counts();
        let mut run = self.run.get();
        (run.requests, run.retries, run.bytes_sent) = (requests, retries, bytes);
        let tally = run.tally;
        let now = [requests, retries, bytes, tally.accepted, tally.rejected, tally.in_doubt, tally.unsent];
        for (counter, now) in self.metrics.iter().zip(now) {
            counter.add(usize::try_from(now).unwrap_or(usize::MAX).saturating_sub(counter.value()));
        }
    }
}

impl Drop for Lists {
    /// The stream was dropped: a list is in doubt if its last call was sent, else unsent.
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        self.run.stop.stop();
        let dropped = self.unanswered("the query was dropped before this row's list was submitted");
        self.ending.get_or_insert(dropped);
        while let Some(open) = &self.open {
            match open.next_rows_now(SETTLE_ROWS) {
                Ok(rows) => {
                    self.settle_rows(rows);
                }
                Err(error) => {
                    tracing::warn!("{error}");
                    self.settler.rest(self.fate());
                    break;
                }
            }
        }
        self.report_metrics();
        self.settler.cancelled();
    }
}
