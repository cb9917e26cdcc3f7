//! Reads one chain of pages from its first request to its end.
//!
//! In: a window. Out: its batches, in order, into a channel. Each cursor is used by one chain only. While a page is decoded (off the async
//! threads) and waits for its reader, the next page is fetched.
//!
//! Only a page without a next cursor ends a chain. A `fail`, an unreadable answer, an answer without a status, a repeated cursor and a
//! timeout are errors: an export is either complete or fails. If a cursor expires, its window is read again from the start, as long as no
//! row of it has been sent. After that it is an error too.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::{DataFusionError, Result};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::chain_error::ChainError;
use super::follow::{Earlier, Follow, follow, is_no_page, is_partial};
use super::memory::{MemoryGuard, ReadMemory};
use super::next_cursor::{could_be_a_page, peek_cursor};
use super::windows::ExportPlan;
use crate::client::{Answer, Fail, IN_PROGRESS, Lane, Request, failure_of};
use crate::error::Error;
use crate::read::answer::unexpected;
use crate::read::counts;
use crate::read::decode::{Page, PageDecoder};
use crate::read::projection::{Constants, SeenPeople, day_constants};
use crate::read::query::{Window, event_query, poll_wait};
use crate::read::schema_discovery;
use crate::read::spec::{Counters, Scan};
use crate::table::Resend;
use crate::tables::query;

/// The channel to the reader: batches with the guards of their memory.
pub(crate) type Sender = mpsc::Sender<Result<(RecordBatch, MemoryGuard)>>;

/// Codes of a `fail` that are handled here: 2 is still in progress, 3 is a damaged cursor, 400 is everything else.
const UNDERSTOOD: &[i64] = &[2, 3, 400];

/// How often a window is read again because its cursor expired.
const REOPENED_MAX: u32 = 3;

/// The state that all chains of one export share.
#[derive(Debug)]
pub(crate) struct Chains {
    pub(crate) plan: Arc<ExportPlan>,
    pub(crate) scan: Scan,
    pub(crate) lane: Lane,
    pub(crate) counters: Counters,
    pub(crate) memory: Arc<ReadMemory>,
    pub(crate) seen: Mutex<SeenPeople>,
    pub(crate) rows_sent: AtomicUsize,
    pub(crate) page_rows: usize,
    pub(crate) retry_for: Duration,
}

/// A page before decoding.
struct Fetched {
    answer: Answer,
    guard: MemoryGuard,
}

/// How a chain ended.
enum ChainEnd {
    /// All pages were read. Returns the decoder for reuse.
    Complete(PageDecoder),
    /// The reader is gone, or has enough rows.
    Stopped,
}

/// The progress of one chain.
#[derive(Default)]
struct Progress {
    /// Hashes of the cursors so far: a repeated cursor would be an endless loop.
    cursors: HashSet<u64>,
    hasher: RandomState,
    /// Records received.
    records: usize,
    /// Whether a row was sent to the reader, so that the window cannot be read again.
    has_sent: bool,
    /// Whether a page was `partial` and named the next one.
    is_partial: bool,
}

impl Chains {
    /// Reads a window to its end and returns the decoder for reuse. `None` if the reader needs no more rows.
    ///
    /// # Errors
    /// Any reason for which the window is not complete.
    pub(crate) async fn run(&self, window: &Window, decoder: PageDecoder, sender: &Sender) -> Result<Option<PageDecoder>> {
        let result = match &window.event {
            Some(event) => self.read_window(window, event, decoder, &constants(Some(event), window), sender).await,
            None => self.read_all_events(window, decoder, sender).await,
        };
        result.map_err(|error| match error {
            ChainError::Other(error) => error,
            ChainError::NotExported(error) => error.into(),
            // `read_window` turns it into another error.
            ChainError::Expired => DataFusionError::Internal("an expired cursor that nobody told of".into()),
        })
    }

    /// Reads every event of the project, one after the other. Events that CleverTap does not export are skipped with a warning, as are people
    /// who did no other event.
    async fn read_all_events(&self, window: &Window, mut decoder: PageDecoder, sender: &Sender) -> Result<Option<PageDecoder>, ChainError> {
        let account = &self.scan.relation.account;
        let is_of_events = self.plan.call.time.is_some();
        if !is_of_events {
            let message = format!(
                "{}: these are the people of the project's events; who did none that CleverTap exports is not among them",
                self.scan.relation.qualified()
            );
            account.runs_kept().warn_reader("CT-624", "", 1, message);
        }
        for event in schema_discovery::events_now(account, self.retry_for).await?.keys() {
            let constants = constants(is_of_events.then_some(event.as_str()), window);
            match self.read_window(window, event, decoder, &constants, sender).await {
                Ok(Some(used)) => decoder = used,
                Ok(None) => return Ok(None),
                Err(ChainError::NotExported(_)) => {
                    decoder = self.plan.projection.decoder();
                    let table = self.scan.relation.qualified();
                    let message = match is_of_events {
                        true => format!("{table}: events that CleverTap does not export are not read, \"{event}\" among them"),
                        false => format!("{table}: people who did nothing but events that CleverTap does not export are not listed"),
                    };
                    account.runs_kept().warn_reader("CT-623", "", 1, message);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Some(decoder))
    }

    /// Reads a window of one event. If its cursor expires before a row was sent, it is read again.
    async fn read_window(
        &self,
        window: &Window,
        event: &str,
        mut decoder: PageDecoder,
        constants: &Constants,
        sender: &Sender,
    ) -> Result<Option<PageDecoder>, ChainError> {
        let mut reopened = 0;
        loop {
            let mut progress = Progress::default();
            match self.read_chain(window, event, decoder, constants, &mut progress, sender).await {
                Ok(ChainEnd::Complete(used)) => {
                    self.counters.add("records", progress.records);
                    if self.scan.options.verify_counts {
                        self.verify(window, event, progress.records).await?;
                    }
                    return Ok(Some(used));
                }
                Ok(ChainEnd::Stopped) => return Ok(None),
                Err(ChainError::Expired) if !progress.has_sent && reopened < REOPENED_MAX => {
                    reopened += 1;
                    self.counters.add("reopened", 1);
                    decoder = self.plan.projection.decoder();
                }
                Err(ChainError::Expired) => {
                    let (first, last) = window.range;
                    return Err(Error::Unavailable(format!(
                        "the cursor of {} expired after {} records of \"{event}\" from {first} to {last}: the export is not complete. \
                         Ask for fewer days at once, or read faster",
                        self.scan.relation.qualified(),
                        progress.records
                    ))
                    .into());
                }
                Err(error) if progress.has_opened() => return Err(error.of_page()),
                Err(error) => return Err(error),
            }
        }
    }

    async fn read_chain(
        &self,
        window: &Window,
        event: &str,
        mut decoder: PageDecoder,
        constants: &Constants,
        progress: &mut Progress,
        sender: &Sender,
    ) -> Result<ChainEnd, ChainError> {
        self.counters.add("chains", 1);
        let mut request = self.open(window, event);
        let mut fetched = self.fetch(&request, event).await?;
        // Since the last record came, and how often CleverTap was asked since.
        let (mut quiet_since, mut quiet_pages) = (Instant::now(), 0);
        loop {
            // The next page is requested before this one is decoded, if its cursor can be found early. Not with a limit: then the next
            // page may not be needed.
            let prefetch = self.scan.limit.is_none();
            let peeked = peek_cursor(&fetched.answer.body, self.plan.call.records).filter(|_| prefetch).map(str::to_owned);
            if let Some(peeked) = &peeked {
                progress.note(peeked, request.path)?;
            }
            let next = peeked.as_ref().map(|peeked| self.page(peeked.as_str()));
            let next_page = async {
                match &next {
                    Some(next) => Some(self.fetch(next, event).await),
                    None => None,
                }
            };
            let this_page = async {
                let (mut page, decoder, guard) = self.decode(fetched, decoder, &request, event).await?;
                progress.records += page.rows;
                let knows_cursor = page.cursor.as_ref().is_some_and(|cursor| progress.knows(cursor));
                let earlier = Earlier { is_partial_chain: progress.is_partial, knows_cursor };
                let follow = follow(&mut page, &request, earlier)?;
                progress.is_partial |= is_partial(&page) && matches!(follow, Follow::Cursor(_));
                let rows = page.rows;
                let wants_more = self.send(&page, guard, constants, progress, sender).await?;
                Ok::<_, ChainError>((decoder, follow, rows, wants_more))
            };
            let (this_page, next_page) = tokio::join!(this_page, next_page);
            let (used, follow, rows, wants_more) = this_page?;
            decoder = used;
            if !wants_more {
                return Ok(ChainEnd::Stopped);
            }
            let is_opening = request.verbatim.is_none();
            if rows > 0 || is_opening {
                (quiet_since, quiet_pages) = (Instant::now(), 0);
            }
            let cursor = match follow {
                Follow::End => return Ok(ChainEnd::Complete(decoder)),
                Follow::NotReady => {
                    self.wait(&mut quiet_pages, quiet_since, &request).await?;
                    fetched = self.fetch(&request, event).await?;
                    continue;
                }
                Follow::Cursor(cursor) => cursor,
            };
            if rows == 0 && !is_opening {
                self.wait_between_empty_pages(&mut quiet_pages, quiet_since, &request).await?;
            }
            fetched = match (next_page, peeked, next) {
                (Some(next_page), Some(peeked), Some(next)) if peeked == cursor => {
                    request = next;
                    next_page?
                }
                _ => {
                    progress.note(&cursor, request.path)?;
                    request = self.page(cursor);
                    self.fetch(&request, event).await?
                }
            };
        }
    }

    /// The request for the page of a cursor.
    fn page(&self, cursor: impl Into<String>) -> Request {
        let request = Request::get(self.plan.call.path).with_verbatim(query::CURSOR, cursor);
        request.understanding(UNDERSTOOD).understanding_errors(IN_PROGRESS)
    }

    /// The first request of a chain.
    fn open(&self, window: &Window, event: &str) -> Request {
        let mut body = event_query(event, window);
        if !self.plan.conditions.is_empty() {
            let conditions = self.plan.conditions.iter().map(|condition| condition.json()).collect();
            body.insert(query::EVENT_PROPERTIES.into(), Value::Array(conditions));
        }
        let request = Request::post(self.plan.call.path, Value::Object(body).to_string(), Resend::Idempotent)
            .with(query::BATCH_SIZE, self.page_rows.to_string())
            .understanding(UNDERSTOOD)
            .understanding_errors(IN_PROGRESS);
        self.plan.parts.iter().fold(request, |request, (part, is_requested)| request.with(part, is_requested.to_string()))
    }

    /// Fetches a page. While it is not ready, it is requested again for `retry_for_ms`.
    async fn fetch(&self, request: &Request, event: &str) -> Result<Fetched, ChainError> {
        let began = Instant::now();
        let mut tries = 0;
        loop {
            self.counters.add("requests", 1);
            let answer = self.lane.fetch(request, could_be_a_page).await?;
            let Some(failure) = failure_of(&answer) else {
                if !matches!(answer.status, 200 | 202) {
                    let call = format!("{} {}", request.method, request.path);
                    return Err(unexpected(&call, &answer, "its HTTP status is not 200, and the export is not complete").into());
                }
                if answer.status == 200 {
                    let guard = self.memory.reserve(answer.body.len() * 2).await?;
                    return Ok(Fetched { answer, guard });
                }
                self.wait(&mut tries, began, request).await?;
                continue;
            };
            if failure.is_in_progress() {
                self.wait(&mut tries, began, request).await?;
            } else {
                return Err(self.refusal(&failure, &answer, request, event).await);
            }
        }
    }

    /// Waits before requesting a page again that was not ready.
    async fn wait(&self, tries: &mut u32, began: Instant, request: &Request) -> Result<(), ChainError> {
        *tries += 1;
        self.counters.add("not_ready", 1);
        if began.elapsed() >= self.retry_for {
            return Err(Error::Unavailable(format!(
                "{} {} was still in progress after {} s ({tries} tries): the export is not complete. SET clevertap.retry_for_ms to wait longer",
                request.method,
                request.path,
                began.elapsed().as_secs()
            ))
            .into());
        }
        self.lane.pause(poll_wait(*tries)).await;
        Ok(())
    }

    /// Waits after a page without records that names another one: each wait is longer, and `retry_for_ms` without a record is the end.
    async fn wait_between_empty_pages(&self, pages: &mut u32, since: Instant, request: &Request) -> Result<(), ChainError> {
        *pages += 1;
        if since.elapsed() >= self.retry_for {
            return Err(Error::Unavailable(format!(
                "{} {} was answered with {pages} pages without a record, each with a cursor to the next, in {} s: the export is not complete. \
                 SET clevertap.retry_for_ms to wait longer",
                request.method,
                request.path,
                since.elapsed().as_secs()
            ))
            .into());
        }
        if let Some(repeated) = pages.checked_sub(1).filter(|repeated| *repeated > 0) {
            self.lane.pause(poll_wait(repeated)).await;
        }
        Ok(())
    }

    /// The error for a refusal. Most have the same code 400, so the message must be parsed.
    async fn refusal(&self, failure: &Fail, answer: &Answer, request: &Request, event: &str) -> ChainError {
        let (code, lowercase) = (failure.code, failure.lowercase());
        let table = self.scan.relation.qualified();
        if lowercase.contains("invalid event") {
            return Error::Refused(schema_discovery::unknown_event(&self.scan.relation, event).await).into();
        }
        if lowercase.contains("export not allowed") {
            return ChainError::NotExported(Error::Refused(format!(
                "{table}: CleverTap does not export the event \"{event}\" by API, as it is one of its own notification events. Its bucket \
                 exports hold them: read those files by path"
            )));
        }
        if code == Some(400) && lowercase.contains("cursor") && request.verbatim.is_some() {
            return ChainError::Expired;
        }
        let code = code.map_or(String::new(), |code| format!(", code {code}"));
        let words = failure.words.as_ref().map_or_else(String::new, ToString::to_string);
        Error::Refused(format!("{} {} was answered {words:?} (HTTP {}{code}).", request.method, request.path, answer.status)).into()
    }

    /// Decodes a page off the async threads. A page that cannot be read is requested again with the same cursor.
    async fn decode(
        &self,
        mut fetched: Fetched,
        mut decoder: PageDecoder,
        request: &Request,
        event: &str,
    ) -> Result<(Page, PageDecoder, MemoryGuard), ChainError> {
        let began = Instant::now();
        let mut tries = 0;
        loop {
            let Fetched { mut answer, guard } = fetched;
            let client = self.lane.client();
            let task = SpawnedTask::spawn_blocking(move || {
                answer.body = client.without_passcode(answer.body);
                (decoder.decode(&answer.body), decoder, answer)
            });
            let (page, used, answer) = task.await.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))?;
            decoder = used;
            let problem = match page {
                Ok(page) => {
                    if let Some(why) = is_no_page(&page) {
                        let call = format!("{} {}", request.method, request.path);
                        let why = format!("{why}, and the export is not complete");
                        return Err(unexpected(&call, &answer, &why).into());
                    }
                    if page.status.is_some() {
                        return Ok((page, decoder, guard));
                    }
                    "it has no status".to_owned()
                }
                Err(error) => error.to_string(),
            };
            drop(guard);
            if began.elapsed() >= self.retry_for {
                let call = format!("{} {}", request.method, request.path);
                return Err(Error::Unavailable(format!(
                    "{call} was answered with a page that cannot be read ({problem}), {} times: the export is not complete",
                    tries + 1
                ))
                .into());
            }
            tries += 1;
            self.counters.add("unreadable", 1);
            self.lane.pause(self.lane.backoff(tries)).await;
            fetched = self.fetch(request, event).await?;
        }
    }

    /// Sends the rows of a page to the reader. Returns whether it needs more.
    async fn send(&self, page: &Page, guard: MemoryGuard, constants: &Constants, progress: &mut Progress, sender: &Sender) -> Result<bool> {
        let batch = self.plan.projection.batch(page, constants, &self.scan, self.plan.keep, &self.seen)?;
        self.counters.add("pages", 1);
        if batch.num_rows() == 0 {
            return Ok(!sender.is_closed());
        }
        progress.has_sent = true;
        let rows_sent = self.rows_sent.fetch_add(batch.num_rows(), Ordering::Relaxed) + batch.num_rows();
        let enough = self.scan.limit.is_some_and(|limit| rows_sent >= limit);
        Ok(sender.send(Ok((batch, guard))).await.is_ok() && !enough)
    }

    /// Compares the number of exported records with CleverTap's count. A difference is a warning.
    async fn verify(&self, window: &Window, event: &str, records: usize) -> Result<()> {
        let counted = counts::count_window(&self.scan, self.plan.call, event, window, &self.plan.conditions).await?;
        let (first, last) = window.range;
        self.counters.add("counted", usize::try_from(counted).unwrap_or(usize::MAX));
        if counted != records as u64 {
            let message = format!(
                "{}: \"{event}\" from {first} to {last} exported {records} records of {counted} counted: the export may not be complete",
                self.scan.relation.qualified()
            );
            self.scan.relation.account.runs_kept().warn_reader("CT-622", "", records as u64, message);
        }
        Ok(())
    }
}

impl Progress {
    /// Whether a cursor was seen before.
    fn knows(&self, cursor: &str) -> bool {
        self.cursors.contains(&self.hasher.hash_one(cursor))
    }

    /// Whether a cursor was given: CleverTap has taken the export on.
    fn has_opened(&self) -> bool {
        !self.cursors.is_empty()
    }

    /// Remembers a cursor.
    ///
    /// # Errors
    /// [`Error::Answer`] if it was seen before.
    fn note(&mut self, cursor: &str, path: &str) -> Result<(), Error> {
        if self.cursors.insert(self.hasher.hash_one(cursor)) {
            return Ok(());
        }
        Err(Error::Answer(format!(
            "GET {path} was answered with a cursor that it had given before: going on would never end, and the export is not complete. Please \
             report this."
        )))
    }
}

/// The constants of a window's rows.
fn constants(event: Option<&str>, window: &Window) -> Constants {
    let mut constants = day_constants(window.range);
    constants.insert("event_name", ScalarValue::Utf8View(event.map(str::to_owned)));
    constants
}
