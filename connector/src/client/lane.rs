//! What one statement sends through.
//!
//! In: a [`Request`], and a judgement whether its answer can be read. Out: [`Sent`]. Each attempt passes, in this order: the
//! statement's stop, the gate (appends only, holding no place), a place in the account's budget, the network, the retry table.
//! Dropping the future of a request drops its attempt and gives the place back.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::classify::{CameBack, Classified, classify};
use super::connection::Client;
use super::gate::{Gate, Pass};
use super::limits::{Api, Budget, Ended, Permit, Share};
use super::request::Request;
use super::retry::{Arrived, Next, SoFar};
use super::transport::Answer;
use crate::error::{Error, Result};
use crate::options::Options;
use crate::runs::Stop;
use crate::table::Resend;

/// The largest answer to an upload: a thousand refused records, each with its reason.
const UPLOAD_ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;

/// The largest answer of a read: an export's page of 5,000 events.
const READ_ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What a statement may ask of its lane.
#[derive(Debug, Clone)]
pub(crate) struct LaneSettings {
    /// The API that it calls.
    pub(crate) api: Api,
    /// Attempts in flight, of this lane alone; the account's limit holds as well.
    pub(crate) in_flight_max: usize,
    /// Time of one attempt.
    pub(crate) timeout: Duration,
    /// Time in which a request's attempts start, without the time at a held gate or before the first place.
    pub(crate) retry_for: Duration,
    /// The largest answer to read.
    pub(crate) answer_bytes_max: usize,
    /// Ends what never left.
    pub(crate) stop: Stop,
    /// Holds appends back.
    pub(crate) gate: Gate,
}

impl LaneSettings {
    /// As the session's options say, with switches of its own that nobody has touched.
    pub(crate) fn new(api: Api, options: &Options) -> Self {
        let upload = api.is_upload();
        Self {
            api,
            in_flight_max: if upload { options.upload_concurrency } else { options.read_concurrency },
            timeout: Duration::from_millis(options.timeout_ms),
            retry_for: Duration::from_millis(options.retry_for_ms),
            answer_bytes_max: if upload { UPLOAD_ANSWER_BYTES_MAX } else { READ_ANSWER_BYTES_MAX },
            stop: Stop::default(),
            gate: Gate::default(),
        }
    }
}

/// The way of one statement to one API of an account.
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

/// What went through a lane so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Attempts.
    pub(crate) requests: u64,
    /// Attempts that were not the first of their request.
    pub(crate) retries: u64,
    /// Attempts that were answered 429.
    pub(crate) throttled: u64,
    /// Bytes of bodies, of every attempt.
    pub(crate) bytes_sent: u64,
}

/// How a request ended.
#[derive(Debug)]
#[must_use]
pub(crate) struct Sent {
    /// How.
    pub(crate) outcome: Outcome,
    /// Attempts that it took.
    #[cfg(test)]
    pub(crate) attempts: u32,
    /// Of these, answered 429.
    #[cfg(test)]
    pub(crate) throttled: u32,
    /// Whether an attempt without an answer to believe, or an earlier one of the same records, may have been carried out.
    pub(crate) may_have_arrived: bool,
    /// Whether it was the one that passed a held gate.
    pub(crate) trial: bool,
}

/// How a request ended. `why` is a sentence without a full stop.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// With an answer that can be read.
    Answered(Answer),
    /// 400 `Malformed request`.
    Malformed,
    /// 413.
    TooLarge,
    /// An append without an answer to believe: in doubt.
    Lost {
        /// What happened.
        why: String,
    },
    /// Trying is over: in doubt if it may have arrived, else unsent.
    GaveUp {
        /// What happened last, and how often it was tried.
        why: String,
    },
    /// The statement stopped before it left.
    Unsent {
        /// What it waited for.
        why: String,
    },
    /// The request was refused, and will be again.
    Refused(Error),
    /// The credentials were refused.
    Unauthorized(Error),
}

/// What one request went through so far.
struct Journey {
    attempts: u32,
    #[cfg(test)]
    throttled: u32,
    arrived: Arrived,
    /// When the first attempt began, later by the time spent at a held gate since.
    began: Option<Instant>,
    /// What the last attempt came back with.
    last: Option<String>,
}

/// Why no attempt follows.
enum Barred {
    Stopped,
    Late,
}

impl Lane {
    /// A lane with a share of its own in the account's budget.
    pub(crate) fn new(client: &Arc<Client>, settings: LaneSettings) -> Self {
        let client = Arc::clone(client);
        let budget = client.limits.budget(&client.host, &client.account, settings.api);
        let share = Share::new(settings.in_flight_max.min(settings.api.in_flight_max));
        let zero = || AtomicU64::new(0);
        Self { client, budget, share, settings, requests: zero(), retries: zero(), throttled: zero(), bytes_sent: zero() }
    }

    /// The attempts that may be in flight in this lane: more requests than this only wait.
    pub(crate) fn in_flight_max(&self) -> usize {
        self.settings.in_flight_max.clamp(1, self.settings.api.in_flight_max)
    }

    /// Ends what never left.
    pub(crate) fn stop(&self) {
        self.settings.stop.stop();
    }

    /// The switch that holds appends back.
    pub(crate) fn gate(&self) -> &Gate {
        &self.settings.gate
    }

    /// What went through so far.
    pub(crate) fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            requests: read(&self.requests),
            retries: read(&self.retries),
            throttled: read(&self.throttled),
            bytes_sent: read(&self.bytes_sent),
        }
    }

    /// Reads: repeats until there is an answer that `readable` believes, or until `retry_for` is over.
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

    /// Gets a request done, in as many attempts as the retry table allows.
    ///
    /// `readable` says whether a 2xx answer can be believed; it is asked once for each. `earlier` says whether another request
    /// with the same records may have been carried out. `left` says, at any moment, whether an attempt may have arrived: whoever
    /// drops the future reads it after having stopped the lane, and what has not left by then does not leave.
    pub(crate) async fn send(&self, request: &Request, readable: impl Fn(&Answer) -> bool, earlier: Arrived, left: &AtomicBool) -> Sent {
        let mut journey = Journey {
            attempts: 0,
            #[cfg(test)]
            throttled: 0,
            arrived: earlier,
            began: None,
            last: None,
        };
        let mut pass = None;
        let outcome = loop {
            let permit = match self.admit(request, &mut journey, &mut pass).await {
                Ok(permit) => permit,
                Err(barred) => break self.barred(request, &journey, &barred),
            };
            // Either whoever stops the lane sees that this left, or this sees that the lane was stopped.
            left.store(true, Ordering::SeqCst);
            if journey.arrived == Arrived::No && self.settings.stop.is_stopped() {
                left.store(false, Ordering::SeqCst);
                break self.barred(request, &journey, &Barred::Stopped);
            }
            if let Some(pass) = &mut pass {
                pass.leave();
            }
            let (classified, answer) = self.attempt(request, permit, &mut journey, &readable).await;
            if let (Some(pass), CameBack::NotSent | CameBack::Throttled { .. }) = (&mut pass, classified.came_back) {
                pass.come_back();
            }
            let so_far = SoFar {
                resend: request.resend,
                attempts: journey.attempts,
                elapsed: journey.elapsed(),
                retry_for: self.settings.retry_for,
                arrived: journey.arrived,
                host_answered: self.client.host_answered(),
            };
            let next = self.client.next(classified.came_back, so_far);
            journey.arrived = journey.arrived.or(classified.came_back.arrived());
            if journey.arrived == Arrived::No && answer_is_no_storing(classified.came_back) {
                left.store(false, Ordering::SeqCst);
            }
            let sentence = format!("{} {}", self.describe(request), classified.what);
            match (next, answer) {
                (Next::Done, Some(answer)) => break Outcome::Answered(answer),
                (Next::Retry { after }, _) => {
                    journey.last = Some(sentence);
                    if self.rest(request, &journey, after).await.is_err() {
                        break self.barred(request, &journey, &Barred::Stopped);
                    }
                }
                (Next::Malformed, _) => break Outcome::Malformed,
                (Next::TooLarge, _) => break Outcome::TooLarge,
                (Next::InDoubt, _) => break Outcome::Lost { why: sentence },
                (Next::Unauthorized, _) => break Outcome::Unauthorized(self.unauthorized(request, &classified)),
                (Next::Refused, _) => break Outcome::Refused(Error::Refused(format!("{sentence}."))),
                (Next::GaveUpInDoubt | Next::GaveUpUnsent | Next::Done, _) => {
                    break Outcome::GaveUp { why: format!("{sentence}{}", journey.tried()) };
                }
            }
        };
        Sent {
            outcome,
            #[cfg(test)]
            attempts: journey.attempts,
            #[cfg(test)]
            throttled: journey.throttled,
            may_have_arrived: journey.arrived == Arrived::Maybe,
            trial: pass.as_ref().is_some_and(Pass::is_trial),
        }
    }

    /// How long to wait before try `tries + 1` of something that the retry table does not know: 1, 2, 4 … 60 s, full jitter.
    pub(crate) fn backoff(&self, tries: u32) -> Duration {
        self.client.backoff(tries)
    }

    /// Waits; whether the statement goes on.
    pub(crate) async fn pause(&self, wait: Duration) -> bool {
        tokio::select! {
            biased;
            () = self.settings.stop.stopped() => false,
            () = sleep(wait) => true,
        }
    }

    /// Waits for everything that an attempt needs.
    async fn admit(&self, request: &Request, journey: &mut Journey, pass: &mut Option<Pass>) -> Result<Permit, Barred> {
        loop {
            if request.resend == Resend::Appends {
                let waits_since = Instant::now();
                let passed = tokio::select! {
                    biased;
                    () = self.settings.stop.stopped() => return Err(Barred::Stopped),
                    passed = self.settings.gate.pass(pass.take()) => passed,
                };
                *pass = Some(passed);
                journey.began = journey.began.map(|began| began + waits_since.elapsed());
            }
            let time_left = self.settings.retry_for.saturating_sub(journey.elapsed());
            if journey.began.is_some() && time_left.is_zero() {
                return Err(Barred::Late);
            }
            let permit = tokio::select! {
                biased;
                () = self.settings.stop.stopped(), if journey.arrived == Arrived::No => return Err(Barred::Stopped),
                permit = self.budget.acquire(&self.share) => permit,
                () = sleep(time_left), if journey.began.is_some() => {
                    return Err(Barred::Late);
                }
            };
            // The gate may have closed while this waited for its place.
            if pass.as_ref().is_none_or(Pass::is_valid) {
                return Ok(permit);
            }
        }
    }

    /// One attempt, from send to the whole answer, with its traces in every count.
    async fn attempt(
        &self,
        request: &Request,
        permit: Permit,
        journey: &mut Journey,
        readable: impl Fn(&Answer) -> bool,
    ) -> (Classified, Option<Answer>) {
        let bytes = request.body.len() as u64;
        journey.attempts += 1;
        let sent_at = Instant::now();
        journey.began.get_or_insert(sent_at);
        permit.sent();
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.bytes_sent.fetch_add(bytes, Ordering::Relaxed);
        if journey.attempts > 1 {
            self.retries.fetch_add(1, Ordering::Relaxed);
        }

        let call = self.client.call(request, self.settings.timeout, self.settings.answer_bytes_max);
        let (classified, answer) = match timeout(self.settings.timeout, self.client.transport.send(call)).await {
            Ok(Ok(answer)) => {
                self.client.note_answer();
                (classify(&answer, (request.understood, request.understood_errors), readable), Some(answer))
            }
            Ok(Err(failure)) => (failure.into(), None),
            Err(_) => {
                let what = format!("timed out after {} with the request sent", Elapsed(self.settings.timeout));
                (Classified { came_back: CameBack::Lost, what }, None)
            }
        };
        let ended = match classified.came_back {
            CameBack::Throttled { .. } => Ended::Throttled,
            CameBack::Broken { .. } | CameBack::Unreadable => Ended::Otherwise,
            _ if answer.is_some() => Ended::Clean,
            _ => Ended::Otherwise,
        };
        if request.resend == Resend::Appends && classified.came_back.arrived() == Arrived::Maybe {
            // Before its place is free: the next append must find the gate held.
            self.settings.gate.hold();
        }
        if matches!(classified.came_back, CameBack::Refused | CameBack::Unauthorized | CameBack::Forbidden) {
            // Before its place is free: the next would be refused too.
            self.settings.stop.stop();
        }
        permit.settle(ended);
        if ended == Ended::Throttled {
            #[cfg(test)]
            {
                journey.throttled += 1;
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
    async fn rest(&self, request: &Request, journey: &Journey, after: Duration) -> Result<(), Barred> {
        tracing::warn!(
            method = %request.method,
            path = request.path,
            attempts = journey.attempts,
            after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
            "{}; trying again",
            journey.last.as_deref().unwrap_or_default(),
        );
        tokio::select! {
            biased;
            () = self.settings.stop.stopped(), if journey.arrived == Arrived::No => Err(Barred::Stopped),
            () = sleep(after) => Ok(()),
        }
    }

    fn barred(&self, request: &Request, journey: &Journey, barred: &Barred) -> Outcome {
        let last = journey.last.clone().unwrap_or_else(|| format!("{} was not sent", self.describe(request)));
        match barred {
            Barred::Stopped => Outcome::Unsent { why: format!("{last}, and the statement stopped") },
            Barred::Late => Outcome::GaveUp { why: format!("{last}{}", journey.tried()) },
        }
    }

    fn unauthorized(&self, request: &Request, classified: &Classified) -> Error {
        let (call, what, account) = (self.describe(request), &classified.what, self.client.account_hint());
        Error::Unauthorized(match classified.came_back {
            CameBack::Forbidden => {
                format!("{call} {what}: account \"{account}\" is not permitted to use it. The passcode may lack the right.")
            }
            _ => format!(
                "{call} {what}: {} refused account \"{account}\". The passcode may be wrong, or the account may live in another region.",
                self.client.host()
            ),
        })
    }

    /// `POST /1/upload to in1.api.clevertap.com`: no query, since that may name a person.
    fn describe(&self, request: &Request) -> String {
        format!("{} {} to {}", request.method, request.path, self.client.host())
    }
}

/// Whether what came back proves that nothing was stored, and that the attempt is over.
fn answer_is_no_storing(came_back: CameBack) -> bool {
    !matches!(came_back, CameBack::Readable) && came_back.arrived() == Arrived::No
}

impl Journey {
    fn elapsed(&self) -> Duration {
        self.began.map_or(Duration::ZERO, |began| began.elapsed())
    }

    /// `; tried for 10 minutes (18 attempts)`, if there was more than one.
    fn tried(&self) -> String {
        match self.attempts {
            0 | 1 => String::new(),
            attempts => format!("; tried for {} ({attempts} attempts)", Elapsed(self.elapsed())),
        }
    }
}

/// A length of time as people say it.
struct Elapsed(Duration);

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.as_secs(), self.0.as_millis()) {
            (0, ms) => write!(f, "{ms} ms"),
            (seconds @ ..120, _) => write!(f, "{seconds} s"),
            (seconds, _) => write!(f, "{} minutes", seconds / 60),
        }
    }
}
