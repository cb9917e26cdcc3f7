//! The lane: sends the requests of one statement.
//!
//! In: a [`Request`], and a function that decides whether its answer can be read. Out: [`Sent`]. Each attempt passes, in this order:
//! the stop of the statement, the gate (only appends, and without holding a permit), a permit of the budget of the account, the
//! network, the retry table. Dropping the future of a request drops its attempt and returns the permit.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures::FutureExt;
use tokio::time::{Instant, sleep, timeout};

use super::answer_bytes::answer_bytes_max;
use super::append_gate::{Gate, Pass};
use super::classify::{AttemptOutcome, Classified, classify};
use super::concurrency::{Api, Budget, Ended, Permit, Share};
use super::connection::Client;
use super::elapsed::Elapsed;
use super::request::Request;
use super::retry::{Arrived, Next, RetryContext};
use super::transport::Answer;
use crate::error::{Error, Result};
use crate::options::Options;
use crate::runs::Stop;
use crate::table::Resend;

/// Settings of a lane.
#[derive(Debug, Clone)]
pub(crate) struct LaneSettings {
    pub(crate) api: Api,
    /// Maximum attempts in flight of this lane; the limit of the account applies as well.
    pub(crate) in_flight_max: usize,
    /// Timeout of one attempt.
    pub(crate) timeout: Duration,
    /// Time in which attempts of a request may start, without the time at a held gate or before the first permit.
    pub(crate) retry_for: Duration,
    /// Ends requests that were never sent.
    pub(crate) stop: Stop,
    /// Holds appends back.
    pub(crate) gate: Gate,
}

impl LaneSettings {
    /// The settings of the session options, with a stop and a gate of its own.
    pub(crate) fn new(api: Api, options: &Options) -> Self {
        let upload = api.is_upload();
        Self {
            api,
            in_flight_max: if upload { options.upload_concurrency } else { options.read_concurrency },
            timeout: Duration::from_millis(options.timeout_ms),
            retry_for: Duration::from_millis(options.retry_for_ms),
            stop: Stop::default(),
            gate: Gate::default(),
        }
    }
}

/// The requests of one statement to one API of an account.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(super) client: Arc<Client>,
    budget: Arc<Budget>,
    share: Share,
    pub(super) settings: LaneSettings,
    pub(super) requests: AtomicU64,
    pub(super) retries: AtomicU64,
    throttled: AtomicU64,
    pub(super) bytes_sent: AtomicU64,
}

/// The counts of a lane.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Attempts.
    pub(crate) requests: u64,
    /// Attempts other than the first of their request.
    pub(crate) retries: u64,
    /// Attempts that were answered 429.
    pub(crate) throttled: u64,
    /// Body bytes of all attempts.
    pub(crate) bytes_sent: u64,
}

/// The result of a request.
#[derive(Debug)]
#[must_use]
pub(crate) struct Sent {
    pub(crate) outcome: Outcome,
    /// Number of attempts.
    #[cfg(test)]
    pub(crate) attempts: u32,
    /// Attempts answered 429.
    #[cfg(test)]
    pub(crate) throttled: u32,
    /// Whether an attempt without a readable answer, or an earlier request with the same records, may have been executed.
    pub(crate) may_have_arrived: bool,
    /// Whether it was the trial that passed a held gate.
    pub(crate) trial: bool,
}

/// How a request ended. `why` is a sentence without a full stop.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// An answer that can be read.
    Answered(Answer),
    /// 400 `Malformed request`.
    Malformed,
    /// 413.
    TooLarge,
    /// An append without a readable answer: in doubt.
    Lost {
        /// What happened.
        why: String,
    },
    /// Given up: in doubt if it may have arrived, else unsent.
    GaveUp {
        /// The last failure, and how often it was tried.
        why: String,
    },
    /// The statement stopped before it was sent.
    Unsent {
        /// What it waited for.
        why: String,
    },
    /// The request was refused; a retry would be too.
    Refused(Error),
    /// The credentials were refused.
    Unauthorized(Error),
}

/// The state of one request.
struct RequestState {
    attempts: u32,
    #[cfg(test)]
    throttled: u32,
    arrived: Arrived,
    /// Start of the first attempt, shifted by the time spent at a held gate since.
    started_at: Option<Instant>,
    /// The failure of the last attempt.
    last_failure: Option<String>,
}

/// Why no further attempt is made.
enum Blocked {
    Stopped,
    OutOfTime,
}

impl Lane {
    /// A lane with its own share of the budget.
    pub(crate) fn new(client: &Arc<Client>, settings: LaneSettings) -> Self {
        let client = Arc::clone(client);
        let budget = client.limits.budget(&client.host, &client.account, settings.api);
        let share = Share::new(settings.in_flight_max.min(settings.api.in_flight_max));
        let zero = || AtomicU64::new(0);
        Self { client, budget, share, settings, requests: zero(), retries: zero(), throttled: zero(), bytes_sent: zero() }
    }

    /// Maximum attempts in flight of this lane: further requests would only wait.
    pub(crate) fn in_flight_max(&self) -> usize {
        self.settings.in_flight_max.clamp(1, self.settings.api.in_flight_max)
    }

    /// Who sends them.
    pub(crate) fn client(&self) -> Arc<Client> {
        Arc::clone(&self.client)
    }

    /// Stops the lane: requests that were never sent end.
    pub(crate) fn stop(&self) {
        self.settings.stop.stop();
    }

    /// The gate that holds appends back.
    pub(crate) fn gate(&self) -> &Gate {
        &self.settings.gate
    }

    pub(crate) fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            requests: read(&self.requests),
            retries: read(&self.retries),
            throttled: read(&self.throttled),
            bytes_sent: read(&self.bytes_sent),
        }
    }

    /// For reads: retries until an answer is `readable`, or until `retry_for` has passed.
    ///
    /// # Errors
    ///
    /// `Unauthorized`, `Refused`, or `Unavailable` when trying was given up.
    pub(crate) async fn fetch(&self, request: &Request, readable: impl Fn(&Answer) -> bool) -> Result<Answer> {
        let sent = self.send(request, readable, Arrived::No, &AtomicBool::new(false)).await;
        match sent.outcome {
            Outcome::Answered(answer) => Ok(answer),
            Outcome::Malformed => Err(Error::Refused(format!("{} was answered 400 Malformed request.", self.describe(request)))),
            Outcome::TooLarge => Err(Error::Refused(format!("{} was answered 413 Content Too Large.", self.describe(request)))),
            Outcome::Lost { why } | Outcome::GaveUp { why } | Outcome::Unsent { why } => Err(Error::Unavailable(format!("{why}."))),
            Outcome::Refused(error) | Outcome::Unauthorized(error) => Err(error),
        }
    }

    /// Sends a request, in as many attempts as the retry table allows.
    ///
    /// `readable` decides whether a 2xx answer can be trusted; it is called once for each. `earlier` says whether another request
    /// with the same records may have been executed. `may_have_arrived` says, at any moment, whether an attempt may have arrived:
    /// code that drops the future first stops the lane, then reads it. What was not sent by then is never sent.
    pub(crate) async fn send(
        &self,
        request: &Request,
        readable: impl Fn(&Answer) -> bool,
        earlier: Arrived,
        may_have_arrived: &AtomicBool,
    ) -> Sent {
        let mut state = RequestState {
            attempts: 0,
            #[cfg(test)]
            throttled: 0,
            arrived: earlier,
            started_at: None,
            last_failure: None,
        };
        let mut pass = None;
        let outcome = loop {
            if let Err(error) = check_timers() {
                break Outcome::Refused(error);
            }
            let permit = match self.admit(request, &mut state, &mut pass).await {
                Ok(permit) => permit,
                Err(blocked) => break self.blocked(request, &state, &blocked),
            };
            // Store, then check: either the code that stops the lane sees the store, or this sees the stop.
            may_have_arrived.store(true, Ordering::SeqCst);
            if state.arrived == Arrived::No && self.settings.stop.is_stopped() {
                may_have_arrived.store(false, Ordering::SeqCst);
                break self.blocked(request, &state, &Blocked::Stopped);
            }
            if let Some(pass) = &mut pass {
                pass.mark_sent();
            }
            let (classified, answer) = self.attempt(request, permit, &mut state, &readable).await;
            if let (Some(pass), AttemptOutcome::NotSent | AttemptOutcome::Setup | AttemptOutcome::Throttled { .. }) =
                (&mut pass, classified.outcome)
            {
                pass.mark_not_executed();
            }
            let context = RetryContext {
                resend: request.resend,
                attempts: state.attempts,
                elapsed: state.elapsed(),
                retry_for: self.settings.retry_for,
                arrived: state.arrived,
                host_answered: self.client.host_answered(),
            };
            let next = self.client.next(classified.outcome, context);
            state.arrived = state.arrived.or(classified.outcome.arrived());
            if state.arrived == Arrived::No && proves_nothing_stored(classified.outcome) {
                may_have_arrived.store(false, Ordering::SeqCst);
            }
            let sentence = format!("{} {}", self.describe(request), classified.what);
            match (next, answer) {
                (Next::Done, Some(answer)) => break Outcome::Answered(answer),
                (Next::Retry { after }, _) => {
                    state.last_failure = Some(sentence);
                    if self.wait_before_retry(request, &state, after).await.is_err() {
                        break self.blocked(request, &state, &Blocked::Stopped);
                    }
                }
                (Next::Malformed, _) => break Outcome::Malformed,
                (Next::TooLarge, _) => break Outcome::TooLarge,
                (Next::InDoubt, _) => break Outcome::Lost { why: sentence },
                (Next::Unauthorized, _) => break Outcome::Unauthorized(self.unauthorized(request, &classified)),
                (Next::Refused, _) => break Outcome::Refused(Error::Refused(format!("{sentence}."))),
                (Next::Setup, _) => break Outcome::Refused(Error::Setting(format!("{sentence}."))),
                (Next::GaveUpInDoubt | Next::GaveUpUnsent | Next::Done, _) => {
                    break Outcome::GaveUp { why: format!("{sentence}{}", state.tried()) };
                }
            }
        };
        Sent {
            outcome,
            #[cfg(test)]
            attempts: state.attempts,
            #[cfg(test)]
            throttled: state.throttled,
            may_have_arrived: state.arrived == Arrived::Maybe,
            trial: pass.as_ref().is_some_and(Pass::is_trial),
        }
    }

    /// How long to wait before try `tries + 1` of something outside the retry table: 1, 2, 4 … 60 s, full jitter.
    pub(crate) fn backoff(&self, tries: u32) -> Duration {
        self.client.backoff(tries)
    }

    /// Waits; returns whether the statement goes on.
    pub(crate) async fn pause(&self, wait: Duration) -> bool {
        tokio::select! {
            biased;
            () = self.settings.stop.stopped() => false,
            () = sleep(wait) => true,
        }
    }

    /// Waits for the gate and a permit.
    async fn admit(&self, request: &Request, state: &mut RequestState, pass: &mut Option<Pass>) -> Result<Permit, Blocked> {
        loop {
            if request.resend == Resend::Appends {
                let waiting_since = Instant::now();
                let passed = tokio::select! {
                    biased;
                    () = self.settings.stop.stopped() => return Err(Blocked::Stopped),
                    passed = self.settings.gate.pass(pass.take()) => passed,
                };
                *pass = Some(passed);
                state.started_at = state.started_at.map(|started_at| started_at + waiting_since.elapsed());
            }
            let time_left = self.settings.retry_for.saturating_sub(state.elapsed());
            if state.started_at.is_some() && time_left.is_zero() {
                return Err(Blocked::OutOfTime);
            }
            let permit = tokio::select! {
                biased;
                () = self.settings.stop.stopped(), if state.arrived == Arrived::No => return Err(Blocked::Stopped),
                permit = self.budget.acquire(&self.share) => permit,
                () = sleep(time_left), if state.started_at.is_some() => {
                    return Err(Blocked::OutOfTime);
                }
            };
            // The gate may have been held while this waited for its permit.
            if pass.as_ref().is_none_or(Pass::is_valid) {
                return Ok(permit);
            }
        }
    }

    /// One attempt, from sending to the complete answer; updates all counts.
    async fn attempt(
        &self,
        request: &Request,
        permit: Permit,
        state: &mut RequestState,
        readable: impl Fn(&Answer) -> bool,
    ) -> (Classified, Option<Answer>) {
        let bytes = request.body.len() as u64;
        state.attempts += 1;
        let sent_at = Instant::now();
        state.started_at.get_or_insert(sent_at);
        permit.sent();
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.bytes_sent.fetch_add(bytes, Ordering::Relaxed);
        if state.attempts > 1 {
            self.retries.fetch_add(1, Ordering::Relaxed);
        }

        let call = self.client.call(request, self.settings.timeout, answer_bytes_max(request.path));
        // A transport is somebody else's code: its panic is a failure of the attempt.
        let sent = AssertUnwindSafe(async { self.client.transport.send(call).await }).catch_unwind();
        let (classified, answer) = match timeout(self.settings.timeout, sent).await {
            Ok(Err(_)) => (Classified { outcome: AttemptOutcome::Broke, what: "broke off: the account's transport panicked".into() }, None),
            Ok(Ok(Ok(answer))) => {
                self.client.note_answer();
                let answer = self.client.receive(request.path, answer);
                (classify(&answer, (request.understood, request.understood_errors), readable), Some(answer))
            }
            Ok(Ok(Err(failure))) => (failure.into(), None),
            Err(_) => {
                let what = format!("timed out after {} with the request sent", Elapsed(self.settings.timeout));
                (Classified { outcome: AttemptOutcome::Lost, what }, None)
            }
        };
        let ended = match classified.outcome {
            AttemptOutcome::Throttled { .. } => Ended::Throttled,
            AttemptOutcome::Broken { .. } | AttemptOutcome::Unreadable => Ended::Other,
            _ if answer.is_some() => Ended::Clean,
            _ => Ended::Other,
        };
        if request.resend == Resend::Appends && classified.outcome.arrived() == Arrived::Maybe {
            // Before the permit is returned, so that the next append finds the gate held.
            self.settings.gate.hold();
        }
        if matches!(
            classified.outcome,
            AttemptOutcome::Refused | AttemptOutcome::Unauthorized | AttemptOutcome::Forbidden | AttemptOutcome::Setup
        ) {
            // Before the permit is returned: the next request would be refused too.
            self.settings.stop.stop();
        }
        permit.settle(ended);
        if ended == Ended::Throttled {
            #[cfg(test)]
            {
                state.throttled += 1;
            }
            self.throttled.fetch_add(1, Ordering::Relaxed);
        }
        tracing::debug!(
            method = %request.method,
            path = request.path,
            bytes,
            ms = u64::try_from(sent_at.elapsed().as_millis()).unwrap_or(u64::MAX),
            status = answer.as_ref().map(|answer| answer.status),
            "request"
        );
        (classified, answer)
    }

    /// Waits before the next attempt.
    async fn wait_before_retry(&self, request: &Request, state: &RequestState, after: Duration) -> Result<(), Blocked> {
        tracing::warn!(
            method = %request.method,
            path = request.path,
            attempts = state.attempts,
            after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
            "{}; trying again",
            state.last_failure.as_deref().unwrap_or_default(),
        );
        tokio::select! {
            biased;
            () = self.settings.stop.stopped(), if state.arrived == Arrived::No => Err(Blocked::Stopped),
            () = sleep(after) => Ok(()),
        }
    }

    fn blocked(&self, request: &Request, state: &RequestState, blocked: &Blocked) -> Outcome {
        let last = state.last_failure.clone().unwrap_or_else(|| format!("{} was not sent", self.describe(request)));
        match blocked {
            Blocked::Stopped => Outcome::Unsent { why: format!("{last}, and the statement stopped") },
            Blocked::OutOfTime => Outcome::GaveUp { why: format!("{last}{}", state.tried()) },
        }
    }

    fn unauthorized(&self, request: &Request, classified: &Classified) -> Error {
        let (call, what, account) = (self.describe(request), &classified.what, self.client.account_hint());
        Error::Unauthorized(match classified.outcome {
            AttemptOutcome::Forbidden => {
                format!("{call} {what}: account \"{account}\" is not permitted to use it. The passcode may lack the right.")
            }
            _ => format!(
                "{call} {what}: {} refused account \"{account}\". The passcode may be wrong, or the account may live in another region.",
                self.client.host()
            ),
        })
    }

    /// `POST /1/upload to in1.api.clevertap.com`: without the query, which may identify a person.
    fn describe(&self, request: &Request) -> String {
        format!("{} {} to {}", request.method, request.path, self.client.host())
    }
}

/// Whether this runtime has timers, without which no statement can wait. There is no way to ask tokio but to try.
///
/// # Errors
/// [`Error::Setting`] if it has none.
pub(crate) fn check_timers() -> Result<()> {
    std::panic::catch_unwind(|| drop(sleep(Duration::ZERO))).map_err(|_| {
        Error::Setting(
            "this runtime has no timers, and nothing was sent: enable them (tokio::runtime::Builder::enable_all, or enable_time).".into(),
        )
    })
}

/// Whether the outcome proves that nothing was stored and that the attempt is over.
fn proves_nothing_stored(outcome: AttemptOutcome) -> bool {
    !matches!(outcome, AttemptOutcome::Readable) && outcome.arrived() == Arrived::No
}

impl RequestState {
    fn elapsed(&self) -> Duration {
        self.started_at.map_or(Duration::ZERO, |started_at| started_at.elapsed())
    }

    /// `; tried for 10 minutes (18 attempts)`, if there were several.
    fn tried(&self) -> String {
        match self.attempts {
            0 | 1 => String::new(),
            attempts => format!("; tried for {} ({attempts} attempts)", Elapsed(self.elapsed())),
        }
    }
}
