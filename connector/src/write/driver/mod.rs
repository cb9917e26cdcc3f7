//! Drives a statement: reads batches, packs bodies, keeps as many in flight as the account allows, settles them.
//!
//! In: the stream of the source. Out: the number of accepted rows, or the error with all four counts. One task owns all state. Bodies
//! are sent in tasks of their own, so that an answer is read while a batch is encoded. A panic below the driver ends the statement as an
//! error does. On drop, the driver settles what it knows.
//!
//! ```text
//! source ─> mod ─> tasks of bodies ─> settle
//!            └─> probe   asks whether CleverTap answers again, while appends wait
//! ```

use std::collections::{HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::RecordBatch;
use datafusion::common::runtime::JoinSet;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::physical_plan::metrics::{Count, Time};
use futures::{FutureExt, StreamExt};
use tokio::task::JoinError;
use tokio::time::Instant;

use crate::client::Lane;
use crate::error::{Error, Result};
use crate::fate::Fate;
use crate::origin::SourceRow;
use crate::runs::LiveRun;
use crate::table::Order;
use crate::write::body::{Body, Packers};
use crate::write::deliver::{Delivery, Failed, RecordFate, Route};
use crate::write::encode::{Encoder, Row, identifier_of};
use crate::write::identities_in_flight::IdentitiesInFlight;
use crate::write::mapping::Mapping;
use crate::write::schema_check::Checker;
use crate::write::settle::{Failure, LogAt, Settler, Stopped};

mod parts;
mod probe;
mod rejects;

use self::parts::Part;
pub(crate) use self::parts::SourceRows;

/// Bodies kept ready beyond those that hold a permit, so that one is there when a permit is released.
const READY: usize = 2;

/// The metrics of EXPLAIN ANALYZE.
#[derive(Debug)]
pub(crate) struct WriteMetrics {
    pub(crate) encode: Time,
    pub(crate) wait: Time,
    pub(crate) requests: Count,
    pub(crate) retries: Count,
    pub(crate) bytes_sent: Count,
    pub(crate) accepted: Count,
    pub(crate) rejected: Count,
    pub(crate) in_doubt: Count,
    pub(crate) unsent: Count,
}

/// The write of one statement.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) mapping: Arc<Mapping>,
    pub(crate) encoder: Encoder,
    /// Numbers the rows of the source.
    pub(crate) rows: SourceRows,
    pub(crate) packer: Packers,
    /// `None` for a local dry run, which sends nothing.
    pub(crate) lane: Option<Arc<Lane>>,
    pub(crate) route: Route,
    /// Maximum bodies with a permit at once.
    pub(crate) width: usize,
    pub(crate) run: Arc<LiveRun>,
    pub(crate) settler: Settler,
    /// Compares records with CleverTap's schema before they are sent.
    pub(crate) checker: Option<Checker>,
    pub(crate) memory: MemoryReservation,
    pub(crate) metrics: WriteMetrics,
    pub(crate) progress: Progress,
}

/// An event that the driver waits for.
enum Next {
    /// The task of a body ended.
    Settled(Result<u32, JoinError>),
    /// A batch of the source, an error, or its end.
    Batch(Option<Result<RecordBatch, DataFusionError>>),
    /// Every body in flight waits at the gate.
    AllHeld,
    /// Failed rows are due to be written.
    FailedRowsDue,
    /// The statement was stopped by hand.
    Stop,
    /// What is in flight is not waited for any more.
    Abort,
}

/// State of a write in progress.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    ready: VecDeque<Body>,
    tasks: JoinSet<u32>,
    in_flight: HashMap<u32, Arc<Delivery>>,
    /// Number of the next body. It may wrap around: never so many are in flight that a number repeats.
    next: u32,
    /// Identities of the bodies in flight, if order matters.
    identities: IdentitiesInFlight,
    stopped: Option<Stopped>,
    input_complete: bool,
    ended: bool,
    /// Whether a panic stopped it.
    panicked: bool,
    /// When the gate was first held, and the number of probes since.
    held: Option<(Instant, u32)>,
}

impl Driver {
    /// Writes all of `input`.
    pub(crate) async fn drive(mut self, mut input: SendableRecordBatchStream) -> Result<u64> {
        self.write_log(LogAt::Begin).await;
        // After a panic, as of a library that reads a file, what is in flight is waited for; after a second one it is not.
        while AssertUnwindSafe(self.work(&mut input)).catch_unwind().await.is_err() {
            if std::mem::replace(&mut self.progress.panicked, true) {
                break;
            }
            self.stop(Stopped::by_panic());
        }
        drop(input);
        self.progress.tasks.abort_all();
        // Bodies with tasks that panicked or were aborted are not settled yet.
        let mut unsettled: Vec<u32> = self.progress.in_flight.keys().copied().collect();
        unsettled.sort_unstable();
        unsettled.into_iter().for_each(|number| self.settle(number));
        if self.progress.panicked {
            // Those of the batch over which it broke off.
            self.settler.rest(Some(Fate::Unsent));
        }
        self.write_failed_rows(true).await;
        self.write_log(LogAt::End { input_complete: self.progress.input_complete }).await;
        self.progress.ended = true;
        let stopped = self.progress.stopped.take();
        self.report_metrics();
        self.settler.end(stopped, self.progress.input_complete)
    }

    /// Reads, sends and settles until nothing is left to wait for.
    async fn work(&mut self, input: &mut SendableRecordBatchStream) {
        loop {
            if self.run.stop.is_stopped() && self.progress.stopped.is_none() {
                // A refused body stops its lane at once, and gives the reason when it is settled.
                let by_hand = self.run.by_hand.load(Ordering::SeqCst);
                self.stop(if by_hand { Stopped::ByHand } else { Stopped::ByBody });
            }
            self.launch();
            self.write_failed_rows(false).await;
            self.write_log(LogAt::Run).await;
            let wants_rows = !self.progress.input_complete && self.progress.stopped.is_none() && self.progress.ready.len() < READY;
            if !wants_rows && self.progress.tasks.is_empty() {
                break;
            }
            match self.next(input, wants_rows).await {
                Next::Settled(Ok(number)) => self.settle(number),
                Next::Settled(Err(error)) => {
                    self.stop(Stopped::because(format_args!("sending a body broke off: {error}")));
                }
                Next::Batch(Some(Ok(batch))) => {
                    for part in self.rows.parts(&batch) {
                        self.begin_check(&part.batch).await;
                        self.encode(&part);
                        self.end_check();
                        if self.progress.stopped.is_some() {
                            break;
                        }
                    }
                }
                Next::Batch(Some(Err(error))) => {
                    self.stop(error.into());
                }
                Next::Batch(None) => {
                    self.progress.input_complete = true;
                    self.progress.ready.extend(self.packer.finish());
                }
                Next::AllHeld => self.probe().await,
                Next::Abort => return,
                Next::Stop | Next::FailedRowsDue => {}
            }
        }
    }

    /// Waits for the next event.
    async fn next(&mut self, input: &mut SendableRecordBatchStream, wants_rows: bool) -> Next {
        let _timer = self.metrics.wait.timer();
        let is_running = self.progress.stopped.is_none();
        let in_flight = self.progress.tasks.len();
        let gate = self.lane.as_ref().filter(|_| is_running && in_flight > 0).map(|lane| lane.gate());
        let due = self.settler.file_due();
        tokio::select! {
            biased;
            Some(done) = self.progress.tasks.join_next() => Next::Settled(done),
            () = self.run.stop.stopped(), if is_running => Next::Stop,
            () = self.run.abort.stopped(), if !is_running => Next::Abort,
            () = probe::all_held(gate, in_flight) => Next::AllHeld,
            () = due_at(due) => Next::FailedRowsDue,
            batch = input.next(), if wants_rows => Next::Batch(batch),
        }
    }

    /// Fetches the schema of CleverTap the first time, unless the statement is stopped meanwhile.
    async fn begin_check(&mut self, batch: &RecordBatch) {
        let Some(checker) = self.checker.as_mut().filter(|_| batch.num_rows() > 0) else { return };
        tokio::select! {
            biased;
            () = checker.fetch() => checker.begin(batch),
            () = self.run.stop.stopped() => {}
        }
    }

    /// Adds the findings of the schema check as warnings, or stops for them, before a record of the batch is sent.
    fn end_check(&mut self) {
        match self.checker.as_mut().map(Checker::take_findings) {
            None => {}
            Some(Ok(found)) if found.is_empty() => {}
            Some(Ok(found)) => {
                self.run.warn(found);
                if let Some(checker) = self.checker.as_ref().filter(|_| self.is_dry()) {
                    self.run.get().mapping = checker.mapping();
                }
            }
            Some(Err(error)) => self.stop(error.into()),
        }
    }

    /// Encodes rows directly into the current body, and packs what is full.
    fn encode(&mut self, part: &Part) {
        self.settler.read(part.batch.num_rows() as u64);
        let encode_time = self.metrics.encode.clone();
        let bound = {
            let _timer = encode_time.timer();
            self.encoder.begin(&part.batch)
        };
        let mut batch = match bound {
            Ok(batch) => batch,
            Err(error) => {
                for at in 0..part.batch.num_rows() {
                    self.fail_without_record(part.row(at), &error);
                }
                return self.stop(error.into());
            }
        };
        let mut rows = Vec::new();
        let mut accepted = Vec::new();
        let mut at = 0;
        while !batch.is_written() {
            {
                let _timer = encode_time.timer();
                let room = self.packer.room();
                self.encoder.write(&mut batch, room, self.packer.page(), &mut rows);
            }
            for encoded in rows.drain(..) {
                let row = part.row(at);
                let unmade = part.unmade(at);
                match encoded {
                    Row::Record(record) if let Some(unmade) = unmade => {
                        self.settler.reject(row, rejects::unmade(&self.mapping, unmade, self.packer.json(&record)));
                        self.packer.drop();
                    }
                    Row::Reject(reject) if let Some(unmade) = unmade => {
                        self.settler.reject(row, rejects::unmade(&self.mapping, unmade, reject.record.as_bytes()));
                    }
                    Row::Record(record) => {
                        let json = self.packer.json(&record);
                        if let Some(checker) = &mut self.checker
                            && checker.is_selected(at)
                        {
                            checker.inspect(json);
                        }
                        if json.len() > self.packer.record_bytes_max() {
                            self.settler.reject(row, rejects::too_large(&self.mapping, json, self.packer.record_bytes_max()));
                            self.packer.drop();
                        } else {
                            self.sample(json);
                            if self.lane.is_none() {
                                accepted.push(row.number);
                                self.packer.drop();
                            } else {
                                self.packer.keep(&record, row);
                            }
                        }
                    }
                    Row::Reject(reject) => self.settler.reject(row, *reject),
                }
                at += 1;
            }
            self.progress.ready.extend(self.packer.pack());
        }
        self.run.warn(self.encoder.end(&batch));
        self.settler.accept(&accepted);
        if let Some(stopped) = self.settler.must_stop() {
            self.stop(stopped);
        }
    }

    fn fail_without_record(&mut self, row: SourceRow, error: &Error) {
        let code = error.code().to_owned();
        let reason = error.to_string();
        self.settler.fail(Failure { row, fate: Fate::Unsent, code, reason, column: None, identifier: None, record: "{}".into() });
    }

    fn is_dry(&self) -> bool {
        !self.route.query.is_empty() || self.lane.is_none()
    }

    /// Keeps the first three records of a dry run.
    fn sample(&self, json: &[u8]) {
        if self.is_dry() {
            let mut run = self.run.get();
            if run.samples.len() < 3 {
                run.samples.push(String::from_utf8_lossy(json).into_owned());
            }
        }
    }

    /// Sends ready bodies in order, as far as width, memory and the identities in flight allow.
    fn launch(&mut self) {
        let Some(lane) = self.lane.clone() else { return };
        while self.progress.in_flight.len() < self.width + READY {
            let Some(body) = self.progress.ready.front() else { return };
            let (number, ordered) = (self.progress.next, self.route.order == Order::ByIdentity);
            if ordered && !self.progress.identities.enter(number, body.identities()) {
                return;
            }
            if let Err(error) = self.memory.try_grow(body.bytes.len()) {
                if ordered {
                    self.progress.identities.leave(number, body.identities());
                }
                // Other bodies may free memory. If none is in flight, this one can never be sent.
                if self.progress.in_flight.is_empty() {
                    self.stop(error.into());
                }
                return;
            }
            let Some(body) = self.progress.ready.pop_front() else { return };
            self.progress.next = self.progress.next.wrapping_add(1);
            let delivery = Delivery::new(body);
            self.progress.in_flight.insert(number, Arc::clone(&delivery));
            let (lane, route) = (Arc::clone(&lane), self.route.clone());
            self.progress.tasks.spawn(async move {
                delivery.run(lane, route).await;
                number
            });
        }
    }

    /// Settles a body that has ended.
    fn settle(&mut self, number: u32) {
        let Some(delivery) = self.progress.in_flight.remove(&number) else { return };
        self.memory.shrink(delivery.body.bytes.len());
        if self.route.order == Order::ByIdentity {
            self.progress.identities.leave(number, delivery.body.identities());
        }
        self.count_fates(&delivery, "CT-403", "the statement ended before this row's answer came");
        self.report_metrics();
        let stop = delivery.take_stop();
        if let Some(delivery) = Arc::into_inner(delivery) {
            self.packer.recycle(delivery.body.bytes);
        }
        if let Some(error) = stop {
            self.stop(error.into());
        }
        if let Some(stopped) = self.settler.must_stop() {
            self.stop(stopped);
        }
    }

    fn count_fates(&mut self, delivery: &Delivery, code: &str, reason: &str) {
        let mut accepted = Vec::with_capacity(delivery.body.records.len());
        for (index, fate) in delivery.fates(code, reason).into_iter().enumerate() {
            match fate {
                RecordFate::Accepted => accepted.push(delivery.body.records[index].row.number),
                RecordFate::Failed(failed) => {
                    let Failed { fate, code, reason } = *failed;
                    self.fail_record(&delivery.body, index, fate, code, reason);
                }
            }
        }
        if !accepted.is_empty() {
            self.progress.held = None;
        }
        self.settler.accept(&accepted);
    }

    fn fail_record(&mut self, body: &Body, index: usize, fate: Fate, code: String, reason: String) {
        let json = body.object(index);
        let identifier = identifier_of(&self.mapping, &json);
        let record = String::from_utf8_lossy(&json).into_owned();
        self.settler.fail(Failure { row: body.records[index].row, fate, code, reason, column: None, identifier, record });
    }

    /// Reads no further rows. Ready bodies are unsent; bodies that may have arrived run to their end.
    fn stop(&mut self, why: Stopped) {
        if !matches!(self.progress.stopped, None | Some(Stopped::ByBody)) {
            return;
        }
        self.progress.stopped = Some(why);
        self.run.stop.stop();
        self.fail_remaining();
    }

    fn fail_remaining(&mut self) {
        let rest: Vec<Body> = self.progress.ready.drain(..).chain(self.packer.finish()).collect();
        for body in rest {
            for index in 0..body.records.len() {
                self.fail_record(&body, index, Fate::Unsent, "CT-403".into(), "the statement stopped before this row was sent".into());
            }
        }
    }

    /// Writes failed rows to their file when due; an error stops the statement.
    async fn write_failed_rows(&mut self, all: bool) {
        if let Err(error) = self.settler.write_failed_rows(all).await {
            tracing::warn!("{error}");
            self.stop(error.into());
        }
    }

    /// Writes how far it has come; an error stops the statement.
    async fn write_log(&mut self, at: LogAt) {
        if let Err(error) = self.settler.write_log(at).await {
            tracing::warn!("{error}");
            self.stop(error.into());
        }
    }

    /// Copies the counts of the lane into the run and the metrics.
    fn report_metrics(&self) {
        let tally = self.run.get().tally;
        let fates = [
            (&self.metrics.accepted, tally.accepted),
            (&self.metrics.rejected, tally.rejected),
            (&self.metrics.in_doubt, tally.in_doubt),
            (&self.metrics.unsent, tally.unsent),
        ];
        for (counter, rows) in fates {
            counter.add((rows as usize).saturating_sub(counter.value()));
        }
        let Some(lane) = &self.lane else { return };
        let counts = lane.counts();
        let mut run = self.run.get();
        self.metrics.requests.add((counts.requests - run.requests) as usize);
        self.metrics.retries.add((counts.retries - run.retries) as usize);
        self.metrics.bytes_sent.add((counts.bytes_sent - run.bytes_sent) as usize);
        (run.requests, run.retries, run.bytes_sent) = (counts.requests, counts.retries, counts.bytes_sent);
    }
}

impl Drop for Driver {
    /// The stream was dropped: sent and unanswered rows are in doubt, rows that were read and not sent are unsent.
    fn drop(&mut self) {
        if self.progress.ended {
            return;
        }
        // First stop, then read the fates: a body that has not been sent by now never is.
        self.run.stop.stop();
        self.progress.tasks.abort_all();
        let mut deliveries: Vec<_> = std::mem::take(&mut self.progress.in_flight).into_iter().collect();
        deliveries.sort_unstable_by_key(|(number, _)| *number);
        for (_, delivery) in deliveries {
            self.count_fates(&delivery, "CT-403", "the query was dropped before this row's answer came");
        }
        self.fail_remaining();
        self.report_metrics();
        self.settler.cancelled();
    }
}

async fn due_at(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => futures::future::pending().await,
    }
}
