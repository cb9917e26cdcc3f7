//! A request from arrival to answer: admitted, delayed, spoilt by a fault, run, answered. Both entry points lead here.
//!
//! A request is admitted when its head is there, so that a slow body holds a slot. Everything after that happens in one
//! future: dropping it means that the client went away, frees the slot, and what was stored stays stored.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};

use crate::answer::Answer;
use crate::api::{Api, LIST_FILE_PREFIX};
use crate::emulator::{Emulator, Inner};
use crate::export::ExportRequest;
use crate::faults::{Plan, What, draw};
use crate::headers::{self, EntryPoint};
use crate::limits::Slot;
use crate::report::Rule;
use crate::settings::Settings;
use crate::{
    addresses, auth, campaigns, control, counts, custom_lists, delete, demerge, export, lists, lock, profile_lookup, schema, upload,
};

/// No answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// The connection was cut.
    Reset,
}

impl std::fmt::Display for Broken {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("the connection was cut")
    }
}

impl std::error::Error for Broken {}

/// A request whose head was read.
#[derive(Debug)]
pub(crate) struct PendingRequest {
    /// A slot of an API, or the answer that keeps the request out.
    admission: Result<(Api, Slot), Answer>,
    number: u64,
    inner: Arc<Inner>,
    is_open: bool,
}

impl Drop for PendingRequest {
    fn drop(&mut self) {
        if self.is_open {
            lock(&self.inner.report).abandoned += 1;
        }
    }
}

impl Emulator {
    /// In process: one request, one answer. Latency and faults apply; no socket is used. Dropping the future is a
    /// client that went away.
    ///
    /// # Errors
    ///
    /// [`Broken::Reset`] where a fault cuts the connection.
    pub async fn handle(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Broken> {
        let (head, body) = request.into_parts();
        let pending = self.admit(&head, EntryPoint::InProcess);
        self.settle(pending, &head, &body).await
    }

    /// Counts a request and gives it a slot; none for the emulator's own paths.
    pub(crate) fn admit(&self, head: &Parts, entry_point: EntryPoint) -> Option<PendingRequest> {
        let path = head.uri.path();
        if path.starts_with(control::PREFIX) {
            return None;
        }
        self.inner.elapsed_ms();
        let number = {
            let mut report = lock(&self.inner.report);
            report.requests += 1;
            // The rest of such a path opens a file to whoever reads it.
            let counted = if path.starts_with(LIST_FILE_PREFIX) { LIST_FILE_PREFIX } else { path };
            *report.requests_by_path.entry(counted.to_owned()).or_default() += 1;
            if headers::is_chunked(head, entry_point) {
                report.broke(Rule::Chunked);
            }
            report.requests
        };
        let admission = self.check(head, entry_point).map_err(|(rule, answer)| {
            lock(&self.inner.report).broke(rule);
            answer
        });
        Some(PendingRequest { admission, number, inner: Arc::clone(&self.inner), is_open: true })
    }

    /// The order: path, credentials, method, headers, limit; at the URL of a file its own rules.
    fn check(&self, head: &Parts, entry_point: EntryPoint) -> Result<(Api, Slot), (Rule, Answer)> {
        let settings = &self.inner.settings;
        let api = Api::at(head.uri.path()).ok_or_else(|| (Rule::Path, Answer::empty()))?;
        if api == Api::ListFile {
            custom_lists::file::check(&self.inner, head, entry_point)?;
        } else {
            self.check_account(api, head)?;
        }
        let slot = self.inner.lanes.enter(api, api.limit(settings));
        Ok((api, slot.ok_or_else(|| (Rule::InFlight, Answer::too_many()))?))
    }

    /// The part of it that is CleverTap's.
    fn check_account(&self, api: Api, head: &Parts) -> Result<(), (Rule, Answer)> {
        auth::check(&self.inner.settings, head).map_err(|answer| (Rule::Credentials, answer))?;
        if !api.takes(&head.method) {
            return Err((Rule::Method, Answer::fail(405, "Method Not Allowed")));
        }
        headers::check(head)
    }

    /// Runs an admitted request to its answer.
    pub(crate) async fn settle(&self, pending: Option<PendingRequest>, head: &Parts, body: &[u8]) -> Result<Response<Bytes>, Broken> {
        let Some(mut pending) = pending else {
            return Ok(control::run(self, head, body).respond(headers::takes_gzip(head)));
        };
        // Outlives the run: whoever hangs on a page keeps its chain.
        let mut export = ExportRequest::Opening;
        let ending = match &pending.admission {
            Ok((api, _)) => self.inner.run(*api, pending.number, head, body, &mut export).await,
            Err(answer) => {
                sleep(self.inner.latency_ms(pending.number)).await;
                Ending::Answer(answer.clone())
            }
        };
        let answer = match ending {
            Ending::Answer(answer) => Ok(answer),
            Ending::Reset => Err(Broken::Reset),
            Ending::Hang => std::future::pending().await,
        };
        pending.is_open = false;
        let mut report = lock(&self.inner.report);
        match answer {
            Ok(answer) => {
                *report.answers.entry(answer.status.as_u16()).or_default() += 1;
                drop(report);
                Ok(answer.respond(headers::takes_gzip(head)))
            }
            Err(broken) => {
                report.resets += 1;
                Err(broken)
            }
        }
    }
}

/// How a request ends.
enum Ending {
    Answer(Answer),
    Hang,
    Reset,
}

impl Inner {
    async fn run(&self, api: Api, number: u64, head: &Parts, body: &[u8], export: &mut ExportRequest) -> Ending {
        let query = head.uri.query().unwrap_or_default();
        if matches!(api, Api::Events | Api::Profiles) {
            *export = ExportRequest::of(self, query);
        }
        let plan = lock(&self.rules).plan(api.path(), query, body, self.elapsed_ms(), self.settings.seed);
        if plan.what.is_some() || plan.slow_ms > 0 {
            lock(&self.report).faults_fired += 1;
        }
        let latency_ms = self.latency_ms(number) + plan.slow_ms;
        sleep(latency_ms / 2).await;
        let ending = match plan.what.as_ref().and_then(before) {
            Some(ending) => ending,
            None => {
                let answer = self.answer(api, number, head, body, &plan, export);
                after(plan.what.as_ref(), answer)
            }
        };
        sleep(latency_ms - latency_ms / 2).await;
        ending
    }

    fn answer(&self, api: Api, number: u64, head: &Parts, body: &[u8], plan: &Plan, export: &ExportRequest) -> Answer {
        let query = head.uri.query().unwrap_or_default();
        self.catch_up();
        match api {
            Api::Upload => {
                {
                    let mut report = lock(&self.report);
                    report.body_bytes_peak = report.body_bytes_peak.max(body.len() as u64);
                }
                upload::run(self, query, body, plan, number)
            }
            Api::Profile => profile_lookup::run(self, query),
            Api::Events | Api::Profiles => export::run(self, api, &head.method, query, body, export, plan.what.as_ref()),
            Api::CountEvents | Api::CountProfiles | Api::Trends | Api::Top => counts::run(self, api, &head.method, query, body),
            Api::Now => counts::now::run(self, body),
            Api::MessageReport => campaigns::messages(self, body),
            Api::Campaigns => campaigns::list(self, body),
            Api::CampaignResult => campaigns::result(self, body),
            Api::Segments => lists::segments(self, body),
            Api::Schema => schema::run(self, query),
            Api::SubscriptionGroups => lists::subscription_groups(self),
            Api::ContentBlocks => lists::content_blocks(self, query),
            Api::Subscribe => addresses::subscribe(self, body, plan, number),
            Api::Disassociate => addresses::disassociate(self, body, plan, number),
            Api::Demerge => demerge::run(self, body),
            Api::Delete => delete::run(self, body),
            Api::ListUrl => custom_lists::url::run(self, head),
            Api::ListComplete => custom_lists::complete::run(self, body),
            Api::ListFile => custom_lists::file::run(self, head, body),
        }
    }

    /// The time that an answer takes; the same for the same seed and number.
    fn latency_ms(&self, number: u64) -> u64 {
        let Settings { latency_ms, jitter_ms, seed, .. } = self.settings;
        if jitter_ms == 0 {
            return latency_ms;
        }
        let jitter = (draw(seed, 0x1A7E, number) * (jitter_ms + 1) as f64) as u64;
        latency_ms + jitter
    }
}

/// A sleep on tokio's clock; none for zero, because a timer rounds up.
async fn sleep(ms: u64) {
    if ms > 0 {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}

/// Faults that keep a request from being run.
fn before(what: &What) -> Option<Ending> {
    let answer = match what {
        What::TooManyRequests => Answer::too_many(),
        What::ServerErrorBefore => server_error(),
        What::Unavailable => Answer::text(503, "text/html", "<html><head><title>503 Service Temporarily Unavailable</title></head></html>"),
        What::HangBefore => return Some(Ending::Hang),
        What::ResetBefore => return Some(Ending::Reset),
        What::GarbageBefore => garbage(),
        What::EmptyBefore => Answer::empty(),
        What::TooLarge => Answer::text(413, "text/html", "<html><head><title>413 Request Entity Too Large</title></head></html>"),
        What::MalformedIf { .. } => Answer::fail(400, "Malformed request"),
        What::TooManyUnderSuccess => Answer::fail_with(200, None, "Too many requests"),
        What::Refuse { status, code, error } => Answer::fail_with(*status, *code, error),
        What::Unauthorized => Answer::fail(401, "Invalid Credentials"),
        What::InProgress => export::in_progress(),
        What::ServerErrorAfter
        | What::HangAfter
        | What::ResetAfter
        | What::GarbageAfter
        | What::EmptyAfter
        | What::RecordError { .. }
        | What::UnprocessedUnderSuccess { .. }
        | What::Slow { .. }
        | What::WrongCounts { .. }
        | What::WrongNumbers { .. }
        | What::StorePrefix { .. }
        | What::RepeatCursor { .. }
        | What::ExpireCursor
        | What::EmptyPage
        | What::EndEarly
        | What::NoStatus => return None,
    };
    Some(Ending::Answer(answer))
}

/// Faults that replace the answer of a request that was run.
fn after(what: Option<&What>, answer: Answer) -> Ending {
    match what {
        Some(What::HangAfter) => Ending::Hang,
        Some(What::ResetAfter) => Ending::Reset,
        Some(What::ServerErrorAfter | What::StorePrefix { .. }) => Ending::Answer(server_error()),
        Some(What::GarbageAfter) => Ending::Answer(garbage()),
        Some(What::EmptyAfter) => Ending::Answer(Answer::empty()),
        Some(What::NoStatus) => Ending::Answer(answer.without_status()),
        _ => Ending::Answer(answer),
    }
}

fn server_error() -> Answer {
    Answer::fail(500, "An unknown error occurred")
}

fn garbage() -> Answer {
    Answer::text(200, "application/json;charset=utf-8", "{\"status\":\"succ")
}
