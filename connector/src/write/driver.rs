//! Driving a statement: reads batches, packs bodies, keeps as many under way as the account allows, settles them.
//!
//! In: the source's stream. Out: the accepted count, or the error that tells all four. One task owns all state; bodies travel
//! in tasks of their own, so that an answer is read while a batch is being encoded. Dropping the driver settles what it knows.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arrow::array::RecordBatch;
use datafusion::common::runtime::JoinSet;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::physical_plan::metrics::{Count, Time};
use futures::StreamExt;
use tokio::task::JoinError;
use tokio::time::Instant;

use crate::client::{Gate, Lane, Request, has_status};
use crate::error::{Error, Result};
use crate::fate::Fate;
use crate::runs::LiveRun;
use crate::table::{Order, Resend};
use crate::tables::{DRY_RUN, PROBE};
use crate::write::body::{Body, Packers};
use crate::write::deliver::{Delivery, Failed, RecordFate, Route};
use crate::write::encode::{Encoder, Reject, Row, identifier_of};
use crate::write::identities_in_flight::IdentitiesInFlight;
use crate::write::mapping::Mapping;
use crate::write::schema_check::Checker;
use crate::write::settle::{Failure, Settler, Stopped};

/// Bodies that are ready beyond those that hold a permit, so that one is there before a permit frees.
const READY: usize = 2;

/// Figures of EXPLAIN ANALYZE.
#[derive(Debug)]
pub(crate) struct Figures {
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

/// One statement's writing.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) mapping: Arc<Mapping>,
    pub(crate) encoder: Encoder,
    pub(crate) packer: Packers,
    /// `None`: a local dry run, nothing leaves.
    pub(crate) lane: Option<Arc<Lane>>,
    pub(crate) route: Route,
    /// Bodies that may hold a permit at once.
    pub(crate) width: usize,
    pub(crate) run: Arc<LiveRun>,
    pub(crate) settler: Settler,
    /// Compares what is about to be sent with CleverTap's schema.
    pub(crate) checker: Option<Checker>,
    pub(crate) memory: MemoryReservation,
    pub(crate) figures: Figures,
    pub(crate) progress: Progress,
}

/// What happens next.
enum Next {
    /// A body came to its end.
    Settled(Result<u32, JoinError>),
    /// The source has a batch, an error, or no more.
    Batch(Option<Result<RecordBatch, DataFusionError>>),
    /// Every body under way waits at the gate.
    AllHeld,
    /// Failed rows are to be written.
    EvidenceDue,
    /// The statement was stopped by hand.
    Stop,
}

/// What is under way.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    rows_read: u64,
    ready: VecDeque<Body>,
    tasks: JoinSet<u32>,
    under_way: HashMap<u32, Arc<Delivery>>,
    /// The number of the next body; those under way are never so many that one comes round.
    next: u32,
    /// IdentifierChoice records they hold, where order matters.
    identities: IdentitiesInFlight,
    stopped: Option<Stopped>,
    input_complete: bool,
    ended: bool,
    /// When the gate was held, and the probes since.
    held: Option<(Instant, u32)>,
}

impl Driver {
    /// Writes all of `input`.
    pub(crate) async fn drive(mut self, mut input: SendableRecordBatchStream) -> Result<u64> {
        loop {
            if self.run.stop.is_stopped() && self.progress.stopped.is_none() {
                // A body that was refused stops its lane at once, and says why when it is settled.
                let by_hand = self.run.by_hand.load(Ordering::SeqCst);
                self.stop(if by_hand { Stopped::because("The statement was stopped by hand") } else { Stopped::ByBody });
            }
            self.launch();
            self.write_evidence(false).await;
            let wants_rows = !self.progress.input_complete && self.progress.stopped.is_none() && self.progress.ready.len() < READY;
            if !wants_rows && self.progress.tasks.is_empty() {
                break;
            }
            match self.next(&mut input, wants_rows).await {
                Next::Settled(Ok(number)) => self.settle(number),
                Next::Settled(Err(error)) => {
                    self.stop(Stopped::because(format_args!("sending a body broke off: {error}")));
                }
                Next::Batch(Some(Ok(batch))) => {
                    self.begin_check(&batch).await;
                    self.take(&batch);
                    self.end_check();
                }
                Next::Batch(Some(Err(error))) => {
                    self.stop(error.into());
                }
                Next::Batch(None) => {
                    self.progress.input_complete = true;
                    self.progress.ready.extend(self.packer.finish());
                }
                Next::AllHeld => self.probe().await,
                Next::Stop | Next::EvidenceDue => {}
            }
        }
        drop(input);
        // A body whose task broke off came to no end of its own.
        let mut broken_off: Vec<u32> = self.progress.under_way.keys().copied().collect();
        broken_off.sort_unstable();
        broken_off.into_iter().for_each(|number| self.settle(number));
        self.write_evidence(true).await;
        self.progress.ended = true;
        let stopped = self.progress.stopped.take();
        self.report_figures();
        self.settler.end(stopped, self.progress.input_complete)
    }

    /// Waits for whatever comes first.
    async fn next(&mut self, input: &mut SendableRecordBatchStream, wants_rows: bool) -> Next {
        let _timer = self.figures.wait.timer();
        let goes_on = self.progress.stopped.is_none();
        let under_way = self.progress.tasks.len();
        let gate = self.lane.as_ref().filter(|_| goes_on && under_way > 0).map(|lane| lane.gate());
        let due = self.settler.file().and_then(|file| file.due());
        tokio::select! {
            biased;
            Some(done) = self.progress.tasks.join_next() => Next::Settled(done),
            () = self.run.stop.stopped(), if goes_on => Next::Stop,
            () = held(gate, under_way) => Next::AllHeld,
            () = due_at(due) => Next::EvidenceDue,
            batch = input.next(), if wants_rows => Next::Batch(batch),
        }
    }

    /// Asks CleverTap for its schema, the first time, unless the statement is stopped meanwhile.
    async fn begin_check(&mut self, batch: &RecordBatch) {
        let Some(checker) = self.checker.as_mut().filter(|_| batch.num_rows() > 0) else { return };
        tokio::select! {
            biased;
            () = checker.fetch() => checker.begin(batch),
            () = self.run.stop.stopped() => {}
        }
    }

    /// Tells what of a batch CleverTap's schema does not have, or stops for it, before a record of it leaves.
    fn end_check(&mut self) {
        match self.checker.as_mut().map(Checker::findings) {
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

    /// Encodes a batch, its records straight into the body that is begun, and packs what is full.
    fn take(&mut self, batch: &RecordBatch) {
        let first = self.progress.rows_read + 1;
        self.progress.rows_read += batch.num_rows() as u64;
        self.settler.read(batch.num_rows() as u64);
        let encode_time = self.figures.encode.clone();
        let begun = {
            let _timer = encode_time.timer();
            self.encoder.begin(batch)
        };
        let mut batch = match begun {
            Ok(batch) => batch,
            Err(error) => {
                for row in first..=self.progress.rows_read {
                    self.fail_without_record(row, &error);
                }
                return self.stop(error.into());
            }
        };
        let mut rows = Vec::new();
        let mut good = Vec::new();
        let mut row = first;
        while !batch.is_written() {
            {
                let _timer = encode_time.timer();
                let room = self.packer.room();
                self.encoder.write(&mut batch, room, self.packer.page(), &mut rows);
            }
            for encoded in rows.drain(..) {
                match encoded {
                    Row::Record(record) => {
                        let json = self.packer.json(&record);
                        if let Some(checker) = &mut self.checker
                            && checker.is_wanted((row - first) as usize)
                        {
                            checker.inspect(json);
                        }
                        if json.len() > self.packer.record_bytes_max() {
                            self.settler.reject(row, too_large(&self.mapping, json, self.packer.record_bytes_max()));
                            self.packer.drop();
                        } else {
                            self.sample(json);
                            if self.lane.is_none() {
                                good.push(row);
                                self.packer.drop();
                            } else {
                                self.packer.keep(&record, row);
                            }
                        }
                    }
                    Row::Reject(reject) => self.settler.reject(row, *reject),
                }
                row += 1;
            }
            self.progress.ready.extend(self.packer.pack());
        }
        self.run.warn(self.encoder.end(&batch));
        self.settler.accept(&good);
        if let Some(stopped) = self.settler.must_stop() {
            self.stop(stopped);
        }
    }

    fn fail_without_record(&mut self, row: u64, error: &Error) {
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

    /// Sends ready bodies on their way, in order, as far as width, memory and identities under way allow.
    fn launch(&mut self) {
        let Some(lane) = self.lane.clone() else { return };
        while self.progress.under_way.len() < self.width + READY {
            let Some(body) = self.progress.ready.front() else { return };
            let (number, ordered) = (self.progress.next, self.route.order == Order::ByIdentity);
            if ordered && !self.progress.identities.enter(number, body.identities()) {
                return;
            }
            if let Err(error) = self.memory.try_grow(body.bytes.len()) {
                if ordered {
                    self.progress.identities.leave(number, body.identities());
                }
                // Others may free memory; if only this body is left, it cannot go.
                if self.progress.under_way.is_empty() {
                    self.stop(error.into());
                }
                return;
            }
            let Some(body) = self.progress.ready.pop_front() else { return };
            self.progress.next = self.progress.next.wrapping_add(1);
            let delivery = Delivery::new(body);
            self.progress.under_way.insert(number, Arc::clone(&delivery));
            let (lane, route) = (Arc::clone(&lane), self.route.clone());
            self.progress.tasks.spawn(async move {
                delivery.run(lane, route).await;
                number
            });
        }
    }

    /// A body has come to its end.
    fn settle(&mut self, number: u32) {
        let Some(delivery) = self.progress.under_way.remove(&number) else { return };
        self.memory.shrink(delivery.body.bytes.len());
        if self.route.order == Order::ByIdentity {
            self.progress.identities.leave(number, delivery.body.identities());
        }
        self.count_fates(&delivery, "CT-403", "the statement ended");
        self.report_figures();
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
                RecordFate::Accepted => accepted.push(delivery.body.records[index].row),
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

    /// Takes no further rows: what is ready is unsent, what may have arrived goes on to its end.
    fn stop(&mut self, why: Stopped) {
        if !matches!(self.progress.stopped, None | Some(Stopped::ByBody)) {
            return;
        }
        self.progress.stopped = Some(why);
        self.run.stop.stop();
        self.leave_the_rest();
    }

    fn leave_the_rest(&mut self) {
        let rest: Vec<Body> = self.progress.ready.drain(..).chain(self.packer.finish()).collect();
        for body in rest {
            for index in 0..body.records.len() {
                self.fail_record(&body, index, Fate::Unsent, "CT-403".into(), "the statement stopped before this row was sent".into());
            }
        }
    }

    /// Every append under way waits at the gate: ask whether CleverTap is there again, and let one go.
    async fn probe(&mut self) {
        // The oldest, whatever the map's order: a run repeats by its seed.
        let oldest = self.progress.under_way.iter().min_by_key(|(number, _)| **number);
        let (Some(lane), Some(delivery)) = (self.lane.clone(), oldest.map(|(_, delivery)| Arc::clone(delivery))) else { return };
        let (since, tries) = *self.progress.held.get_or_insert_with(|| (Instant::now(), 0));
        self.progress.held = Some((since, tries + 1));
        let wait = lane.backoff(tries);
        let left = self.route.retry_for.saturating_sub(since.elapsed());
        if wait > left || left == Duration::ZERO {
            let why = format!(
                "POST {} lost its answers for {} s and did not come back; no further row was sent.",
                self.route.path,
                since.elapsed().as_secs()
            );
            return self.stop(Error::Unavailable(why).into());
        }
        if !lane.pause(wait).await {
            return;
        }
        let request = if self.route.path == PROBE.0 {
            // One record that waits to be sent, only to be looked at: `dryRun` stores nothing. Another one each time.
            let body = delivery.body.part(&[tries as usize % delivery.body.records.len()]);
            Route { query: &[DRY_RUN], ..self.route.clone() }.request(body, Resend::Idempotent)
        } else {
            // No other call can be tried without being carried out.
            Request::post(PROBE.0, PROBE.1, Resend::Idempotent).with(DRY_RUN.0, DRY_RUN.1)
        };
        // Nothing of it is stored, so that nobody waits for its end when the statement is stopped.
        let answer = tokio::select! {
            biased;
            () = self.run.stop.stopped() => return,
            answer = lane.fetch(&request, has_status) => answer,
        };
        match answer {
            Ok(_answer) => lane.gate().try_one(),
            // It did not like this one record, and proved nothing: the gate stays, and the next probe takes another.
            Err(Error::Refused(_)) if !self.run.stop.is_stopped() => {}
            Err(error) => self.stop(error.into()),
        }
    }

    /// Writes failed rows to their file, where they are due; a place that does not take them stops the statement.
    async fn write_evidence(&mut self, all: bool) {
        let Some(file) = self.settler.file() else { return };
        let due = file.due().is_some_and(|due| all || due <= Instant::now());
        if due && let Err(error) = file.write().await {
            tracing::warn!("{error}");
            self.stop(error.into());
        }
    }

    /// Brings the lane's figures into the run and the metrics.
    fn report_figures(&self) {
        let tally = self.run.get().tally;
        let fates = [
            (&self.figures.accepted, tally.accepted),
            (&self.figures.rejected, tally.rejected),
            (&self.figures.in_doubt, tally.in_doubt),
            (&self.figures.unsent, tally.unsent),
        ];
        for (figure, rows) in fates {
            figure.add((rows as usize).saturating_sub(figure.value()));
        }
        let Some(lane) = &self.lane else { return };
        let counts = lane.counts();
        let mut run = self.run.get();
        self.figures.requests.add((counts.requests - run.requests) as usize);
        self.figures.retries.add((counts.retries - run.retries) as usize);
        self.figures.bytes_sent.add((counts.bytes_sent - run.bytes_sent) as usize);
        (run.requests, run.retries, run.bytes_sent) = (counts.requests, counts.retries, counts.bytes_sent);
    }
}

impl Drop for Driver {
    /// The stream was dropped: sent and unanswered is in doubt, read and not sent is unsent.
    fn drop(&mut self) {
        if self.progress.ended {
            return;
        }
        // First the switch, then the fates: a body that has not left by now will not leave.
        self.run.stop.stop();
        self.progress.tasks.abort_all();
        let mut deliveries: Vec<_> = std::mem::take(&mut self.progress.under_way).into_iter().collect();
        deliveries.sort_unstable_by_key(|(number, _)| *number);
        for (_, delivery) in deliveries {
            self.count_fates(&delivery, "CT-403", "the query was dropped before this row's answer came");
        }
        self.leave_the_rest();
        self.report_figures();
        self.settler.cancelled();
    }
}

/// Ends when every body under way waits at the gate; never, where there is none to wait at.
async fn held(gate: Option<&Gate>, under_way: usize) {
    match gate {
        Some(gate) => gate.all_wait(under_way).await,
        None => futures::future::pending().await,
    }
}

async fn due_at(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => futures::future::pending().await,
    }
}

fn too_large(mapping: &Mapping, json: &[u8], bytes_max: usize) -> Reject {
    Reject {
        code: "CT-519",
        column: mapping.identifier().name.clone(),
        reason: format!("belongs to a record of {} bytes; a body takes {bytes_max}", json.len()),
        identifier: identifier_of(mapping, json),
        record: String::from_utf8_lossy(json).into_owned(),
    }
}
