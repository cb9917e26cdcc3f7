//! Delivers one body: attempts, halves and retries, until every record of it has a fate.
//!
//! In: a [`Body`]. Out: a [`Delivery`], which knows the fate of each record at any moment, so that a dropped stream can still settle.
//! What is sent again and what is in doubt follows from the table of `client/retry.rs` and from the [`Resend`] of each record.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::client::{Answer, Arrived, Lane, Outcome, Request};
use crate::error::Error;
use crate::fate::Fate;
use crate::table::{BodyForm, Order, Resend};
use crate::write::body::Body;
use crate::write::response::{INTERNAL_ERROR, Verdict, verdicts};

/// Records refused as malformed in one body, with none accepted, after which the fault is not in the records.
const MALFORMED_MAX: usize = 20;

/// How the bodies of one statement are delivered.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    pub(crate) path: &'static str,
    pub(crate) form: BodyForm,
    pub(crate) query: &'static [(&'static str, &'static str)],
    pub(crate) order: Order,
    /// Whether the first refused record stops the statement.
    pub(crate) stop_on_reject: bool,
    /// `SET clevertap.in_doubt = 'resend'`, or a dry run, which stores nothing. Never for a table that erases.
    pub(crate) resend: bool,
    pub(crate) retry_for: Duration,
}

impl Route {
    /// The request with `body`.
    pub(crate) fn request(&self, body: Bytes, resend: Resend) -> Request {
        let request = Request::post(self.path, body, resend);
        self.query.iter().fold(request, |request, (name, value)| request.with(name, *value))
    }
}

/// A body in flight, and the fates of its records so far.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) body: Body,
    state: Mutex<State>,
    /// Whether an attempt of records without a fate may have arrived.
    may_have_arrived: Arc<AtomicBool>,
}

#[derive(Debug)]
struct State {
    fates: Vec<Option<RecordFate>>,
    /// Whether the record may be stored although it has no fate: the answer of an attempt was lost, or it was overwritten.
    lost: Vec<bool>,
    /// Records that are being sent again. Until that ends, each may overwrite a later record of the same identity.
    resending: Vec<usize>,
    /// Why the statement must stop, if it must.
    stop: Option<Error>,
}

/// The fate of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RecordFate {
    Accepted,
    /// Boxed: few records fail, and the fates of an accepted body stay small.
    Failed(Box<Failed>),
}

/// Why a record was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failed {
    pub(crate) fate: Fate,
    pub(crate) code: String,
    pub(crate) reason: String,
}

impl RecordFate {
    fn failed(fate: Fate, code: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Failed(Box::new(Failed { fate, code: code.into(), reason: reason.into() }))
    }
}

/// Some records of a body that are sent in one request.
#[derive(Debug)]
struct Piece {
    indices: Vec<usize>,
    /// Whether an earlier attempt may have arrived.
    arrived: bool,
    /// Whether it has been refused as malformed before.
    malformed: bool,
    /// When a record of it was first answered 555.
    internal_since: Option<Instant>,
    /// Number of retries because of 555.
    internal_tries: u32,
}

/// The result of one request.
struct Attempted {
    outcome: Outcome,
    /// Whether its records may be stored.
    arrived: bool,
    /// Whether it was the trial that passed a held gate.
    is_trial: bool,
    resend: Resend,
    /// The verdict on each record, or why the answer cannot be trusted.
    verdicts: Result<Vec<Verdict>, String>,
}

/// What a delivery does next.
enum NextStep {
    /// Send these pieces, besides those that wait.
    Pieces(Vec<Piece>),
    /// Send nothing more: this piece and those that wait were never sent.
    Unsent { piece: Piece, why: String },
    /// Stop the statement. This piece, if any, and those that wait keep what is known of them.
    Stop { piece: Option<Piece>, error: Error },
}

impl Delivery {
    pub(crate) fn new(body: Body) -> Arc<Self> {
        let (fates, lost) = (vec![None; body.records.len()], vec![false; body.records.len()]);
        Arc::new(Self {
            body,
            state: Mutex::new(State { fates, lost, resending: Vec::new(), stop: None }),
            may_have_arrived: Arc::default(),
        })
    }

    /// The fate of each record now. A record without one is in doubt if its body was sent or it was lost before, else unsent.
    pub(crate) fn fates(&self, code: &str, reason: &str) -> Vec<RecordFate> {
        let may_have_arrived = self.may_have_arrived.load(Ordering::SeqCst);
        let unresolved = |lost: bool| {
            let fate = if may_have_arrived || lost { Fate::InDoubt } else { Fate::Unsent };
            RecordFate::failed(fate, code, reason)
        };
        let state = self.state();
        let identity = |at: usize| self.body.records[at].identity;
        let overwritten =
            |at: usize| may_have_arrived && state.resending.iter().any(|earlier| *earlier < at && identity(*earlier) == identity(at));
        let fate = |(at, (fate, lost)): (usize, (&Option<RecordFate>, &bool))| match fate {
            Some(RecordFate::Accepted) if overwritten(at) => unresolved(true),
            Some(fate) => fate.clone(),
            None => unresolved(*lost),
        };
        state.fates.iter().zip(&state.lost).enumerate().map(fate).collect()
    }

    /// The error that stops the statement, if this body has one.
    pub(crate) fn take_stop(&self) -> Option<Error> {
        self.state().stop.take()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends the body until every record has a fate.
    pub(crate) async fn run(self: Arc<Self>, lane: Arc<Lane>, route: Route) {
        let all: Vec<usize> = (0..self.body.records.len()).collect();
        let mut pieces = vec![Piece { indices: all, arrived: false, malformed: false, internal_since: None, internal_tries: 0 }];
        let mut malformed_records = 0;
        while let Some(piece) = pieces.pop() {
            if let Some(tries) = piece.internal_tries.checked_sub(1) {
                let wait = lane.backoff(tries);
                let spent = piece.internal_since.is_some_and(|since| since.elapsed() + wait > route.retry_for);
                if spent || !lane.pause(wait).await {
                    self.give_up_on_internal_errors(&piece);
                    continue;
                }
            }
            let attempted = self.attempt(&piece, &lane, &route).await;
            if let Outcome::GaveUp { .. } = &attempted.outcome {
                lane.stop();
            }
            match self.apply(piece, attempted, &lane, &route, &mut malformed_records) {
                NextStep::Pieces(more) => pieces.extend(more),
                NextStep::Unsent { piece, why } => {
                    pieces.push(piece);
                    return self.fail_unsent(&pieces, "CT-403", &format!("{why}."));
                }
                NextStep::Stop { piece, error } => {
                    pieces.extend(piece);
                    return self.stop(&pieces, error);
                }
            }
        }
    }

    /// Sends one request with the records of `piece`, and reads the verdicts.
    async fn attempt(&self, piece: &Piece, lane: &Lane, route: &Route) -> Attempted {
        let part = self.body.part(&piece.indices);
        let resend = self.resend(piece, route);
        let request = route.request(part, resend);
        let earlier = if piece.arrived { Arrived::Maybe } else { Arrived::No };
        let read = Mutex::new(Err(String::new()));
        let readable = |answer: &Answer| {
            let verdicts = match answer.status {
                200 => verdicts(route.form, &answer.body, piece.indices.len(), |at| self.body.object(piece.indices[at])),
                status => Err(format!("was answered {status}, and is not finished")),
            };
            let readable = verdicts.is_ok();
            let rejects = |verdict: &Verdict| matches!(verdict, Verdict::Refused { code, .. } if *code != INTERNAL_ERROR);
            if route.stop_on_reject && verdicts.as_ref().is_ok_and(|verdicts| verdicts.iter().any(rejects)) {
                // Before the permit is released, so that no further body leaves.
                lane.stop();
            }
            *read.lock().unwrap_or_else(PoisonError::into_inner) = verdicts;
            readable
        };
        if piece.internal_tries > 0 && route.order == Order::ByIdentity {
            self.state().resending.clone_from(&piece.indices);
        }
        let sent = lane.send(&request, readable, earlier, &self.may_have_arrived).await;
        let verdicts = read.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.state();
        if sent.may_have_arrived {
            for &at in &piece.indices {
                state.lost[at] = true;
                self.overwrite(&mut state, piece, at, route);
            }
        }
        state.resending.clear();
        Attempted { arrived: sent.may_have_arrived, is_trial: sent.trial, outcome: sent.outcome, resend, verdicts }
    }

    /// Gives the records of `piece` the fates that follow from the attempt, and returns what to send next.
    fn apply(&self, mut piece: Piece, attempted: Attempted, lane: &Lane, route: &Route, malformed_records: &mut usize) -> NextStep {
        let Attempted { outcome, arrived, is_trial, resend, verdicts } = attempted;
        match outcome {
            Outcome::Answered(_) => {
                if resend == Resend::Appends {
                    match is_trial {
                        true => lane.gate().open(),
                        false if lane.gate().is_held() => lane.gate().try_one(),
                        false => {}
                    }
                }
                let to_resend = self.settle(&piece, &verdicts.unwrap_or_default(), route);
                self.may_have_arrived.store(false, Ordering::SeqCst);
                NextStep::Pieces(to_resend.into_iter().collect())
            }
            Outcome::Lost { why } => {
                // If an answer came that cannot be trusted, it says why.
                let why = match verdicts {
                    Err(unread) if !unread.is_empty() => format!("POST {} {unread}", route.path),
                    _ => why,
                };
                // Only a piece with appends is lost. Its idempotent records are sent again on their own.
                let is_append = |at: &&usize| self.body.records[**at].resend == Resend::Appends;
                let (appends, rest): (Vec<_>, Vec<_>) = piece.indices.iter().partition(is_append);
                self.fail(&appends, Fate::InDoubt, "CT-402", &format!("{why}."));
                NextStep::Pieces(if rest.is_empty() { Vec::new() } else { vec![Piece { indices: rest, arrived: true, ..piece }] })
            }
            Outcome::Malformed | Outcome::TooLarge if !piece.malformed => {
                NextStep::Pieces(vec![Piece { malformed: true, arrived, ..piece }])
            }
            outcome @ (Outcome::Malformed | Outcome::TooLarge) => {
                let [record] = piece.indices[..] else {
                    let second = piece.indices.split_off(piece.indices.len() / 2);
                    let first = std::mem::take(&mut piece.indices);
                    let half = |indices, internal_since| Piece { indices, arrived, internal_since, ..piece };
                    return NextStep::Pieces(vec![half(second, None), half(first, piece.internal_since)]);
                };
                self.refuse_malformed(record, &outcome);
                *malformed_records += 1;
                if *malformed_records == MALFORMED_MAX && !self.any_accepted() {
                    let what = format!("POST {} refused {MALFORMED_MAX} records of one body as malformed", route.path);
                    let error = Error::Refused(format!("{what} and took none: it is not the records."));
                    return NextStep::Stop { piece: None, error };
                }
                NextStep::Pieces(Vec::new())
            }
            Outcome::Unsent { why } => NextStep::Unsent { piece, why },
            Outcome::GaveUp { why } => NextStep::Stop { piece: Some(piece), error: Error::Unavailable(format!("{why}.")) },
            Outcome::Refused(error) | Outcome::Unauthorized(error) => NextStep::Stop { piece: Some(piece), error },
        }
    }

    /// Rejects a record that was alone in its request.
    fn refuse_malformed(&self, record: usize, outcome: &Outcome) {
        let code = if matches!(outcome, Outcome::TooLarge) { "CLEVERTAP-413" } else { "CLEVERTAP-400" };
        let reason = "Malformed request: CleverTap did not read this record, alone in its request";
        self.fail(&[record], Fate::Rejected, code, reason);
    }

    fn resend(&self, piece: &Piece, route: &Route) -> Resend {
        let append = |at: &usize| self.body.records[*at].resend == Resend::Appends;
        if !route.resend && piece.indices.iter().any(append) { Resend::Appends } else { Resend::Idempotent }
    }

    /// The record at `at` was sent again and may be stored, so it may have overwritten later records of its identity: these are in
    /// doubt until they are accepted again.
    fn overwrite(&self, state: &mut State, piece: &Piece, at: usize, route: &Route) {
        if piece.internal_tries == 0 || route.order != Order::ByIdentity {
            return;
        }
        let identity = self.body.records[at].identity;
        for later in at + 1..self.body.records.len() {
            if self.body.records[later].identity == identity && state.fates[later] == Some(RecordFate::Accepted) {
                (state.fates[later], state.lost[later]) = (None, true);
            }
        }
    }

    /// Applies the verdicts to `piece`; returns the piece to send again because of 555.
    fn settle(&self, piece: &Piece, verdicts: &[Verdict], route: &Route) -> Option<Piece> {
        let mut to_resend: Vec<usize> = Vec::new();
        let mut state = self.state();
        for (&at, verdict) in piece.indices.iter().zip(verdicts) {
            let record = self.body.records[at];
            match verdict {
                Verdict::Accepted => {
                    self.overwrite(&mut state, piece, at, route);
                    state.fates[at] = Some(RecordFate::Accepted);
                    // If an earlier record of this identity is sent again, this one must follow it, or the earlier one would win.
                    let follows = route.order == Order::ByIdentity
                        && record.resend == Resend::Idempotent
                        && to_resend.iter().any(|&earlier| self.body.records[earlier].identity == record.identity);
                    if follows {
                        to_resend.push(at);
                    }
                }
                Verdict::Refused { code: INTERNAL_ERROR, .. } => {
                    // Sent again, it would be applied after a later append of its identity, which cannot be repeated behind it:
                    // reject it instead.
                    let overtakes = route.order == Order::ByIdentity
                        && !route.resend
                        && piece.indices.iter().any(|&later| {
                            let later_record = self.body.records[later];
                            later > at && later_record.identity == record.identity && later_record.resend == Resend::Appends
                        });
                    if overtakes {
                        let fate = if state.lost[at] { Fate::InDoubt } else { Fate::Rejected };
                        let reason = "CleverTap answered with an internal error, and a later row of this person, which must not be sent twice, \
                                      was sent behind it";
                        state.fates[at] = Some(RecordFate::failed(fate, "CLEVERTAP-555", reason));
                    } else {
                        to_resend.push(at);
                    }
                }
                Verdict::Refused { code, reason } => {
                    let reason = match reason.raw() {
                        "" => "CleverTap refused the record without a text".to_owned(),
                        text => text.to_owned(),
                    };
                    state.fates[at] = Some(RecordFate::failed(Fate::Rejected, format!("CLEVERTAP-{code}"), reason));
                }
            }
        }
        (!to_resend.is_empty()).then(|| Piece {
            indices: to_resend,
            arrived: false,
            malformed: false,
            internal_since: piece.internal_since.or_else(|| Some(Instant::now())),
            internal_tries: piece.internal_tries + 1,
        })
    }

    /// Gives up on records answered with 555 until the end. Those lost or overwritten meanwhile are in doubt.
    fn give_up_on_internal_errors(&self, piece: &Piece) {
        let reason = "CleverTap answered with an internal error for this record each time it was sent";
        self.fail(&piece.indices, Fate::Rejected, "CLEVERTAP-555", reason);
    }

    fn any_accepted(&self) -> bool {
        self.state().fates.contains(&Some(RecordFate::Accepted))
    }

    /// Gives `fate` to those records that have none; a record that was lost before is in doubt.
    fn fail(&self, indices: &[usize], fate: Fate, code: &str, reason: &str) {
        let mut state = self.state();
        for &at in indices {
            if state.fates[at].is_none() {
                let fate = if state.lost[at] { Fate::InDoubt } else { fate };
                state.fates[at] = Some(RecordFate::failed(fate, code, reason));
            }
        }
    }

    /// Marks the remaining records as unsent.
    fn fail_unsent(&self, pieces: &[Piece], code: &str, reason: &str) {
        pieces.iter().for_each(|piece| self.fail(&piece.indices, Fate::Unsent, code, reason));
    }

    /// Marks the remaining records as unsent, and stops the statement with `error`.
    fn stop(&self, pieces: &[Piece], error: Error) {
        self.fail_unsent(pieces, error.code(), &error.to_string());
        self.state().stop = Some(error);
    }
}
