//! One chain of pages, from its opening to its end.
//!
//! In: a window. Out: its batches, in order, into a channel. A cursor has one owner: this. While a page is decoded (off the async
//! threads) and waits for its reader, the next one is fetched.
//!
//! The end is the absence of a next cursor, and nothing else. A `fail`, an answer that cannot be read, one without a status, a
//! cursor that comes twice and a deadline are errors: an export is whole, or says that it is not. A cursor that has expired
//! opens its window anew as long as no row of the window has left; after that it is an error too.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use datafusion::common::ScalarValue;
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::{DataFusionError, Result};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::memory::{MemoryGuard, ReadMemory};
use super::peek::{could_be_a_page, peek_cursor};
use super::plan::ExportPlan;
use crate::client::{Answer, Lane, Request, failure_of};
use crate::error::Error;
use crate::read::counts;
use crate::read::decode::{Page, PageDecoder};
use crate::read::discover;
use crate::read::projection::{Constants, Seen, of_days};
use crate::read::query::{Window, event_query, poll_wait};
use crate::read::spec::{Counters, Scan};
use crate::table::Resend;
use crate::tables::query;

/// Where batches go, with what they hold of the memory.
pub(crate) type Sender = mpsc::Sender<Result<(RecordBatch, MemoryGuard)>>;

/// Codes of a `fail` that are read here: still in progress, a damaged cursor, and all that has only the one code 400.
const UNDERSTOOD: &[i64] = &[2, 3, 400];

/// How often a window is opened anew after its cursor expired.
const REOPENED_MAX: u32 = 3;

/// What all chains of one export share.
#[derive(Debug)]
pub(crate) struct Chains {
    pub(crate) plan: Arc<ExportPlan>,
    pub(crate) scan: Scan,
    pub(crate) lane: Lane,
    pub(crate) counters: Counters,
    pub(crate) memory: Arc<ReadMemory>,
    pub(crate) seen: Mutex<Seen>,
    /// Rows that went to the reader.
    pub(crate) handed: AtomicUsize,
    pub(crate) page_rows: usize,
    pub(crate) retry_for: Duration,
}

/// Why there is no page.
enum Broken {
    /// The cursor is older than its life.
    Expired,
    /// CleverTap does not export the event.
    NotExported(Error),
    /// Anything else.
    Failed(DataFusionError),
}

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<DataFusionError> for Broken {
    fn from(error: DataFusionError) -> Self {
        Self::Failed(error)
    }
}

/// A page that came, before it is decoded.
struct Fetched {
    body: Bytes,
    held: MemoryGuard,
}

/// How a chain ended.
enum Ended {
    /// At its end.
    Whole(PageDecoder),
    /// Nobody reads any more, or nobody will.
    PageError,
}

/// What a chain has done so far.
#[derive(Default)]
struct Progress {
    /// Hashes of the cursors: one that comes twice would go round for ever.
    seen: HashSet<u64>,
    hasher: RandomState,
    /// Records that came.
    records: usize,
    /// Whether a row left the scan.
    left: bool,
}

impl Chains {
    /// Runs a window to its end; `None` if nobody reads any more.
    ///
    /// # Errors
    /// Whatever keeps the window from being whole.
    pub(crate) async fn run(&self, window: &Window, decoder: PageDecoder, sender: &Sender) -> Result<Option<PageDecoder>> {
        let ended = match &window.event {
            Some(event) => self.window(window, event, decoder, &constants(Some(event), window), sender).await,
            None => self.sweep(window, decoder, sender).await,
        };
        ended.map_err(|broken| match broken {
            Broken::Failed(error) => error,
            Broken::NotExported(error) => error.into(),
            // `window` has turned it into words.
            Broken::Expired => DataFusionError::Internal("an expired cursor that nobody told of".into()),
        })
    }

    /// Every event of the project, one after the other. Those that are not exported have people whom nobody can list.
    async fn sweep(&self, window: &Window, mut decoder: PageDecoder, sender: &Sender) -> Result<Option<PageDecoder>, Broken> {
        let account = &self.scan.relation.account;
        let constants = constants(None, window);
        for event in discover::events_now(account, self.retry_for).await?.keys() {
            match self.window(window, event, decoder, &constants, sender).await {
                Ok(Some(used)) => decoder = used,
                Ok(None) => return Ok(None),
                Err(Broken::NotExported(_)) => {
                    decoder = self.plan.shape.decoder();
                    let table = self.scan.relation.qualified();
                    let message = format!("{table}: people who did nothing but events that CleverTap does not export are not listed");
                    account.runs_kept().warn_reader("CT-623", "", 1, message);
                }
                Err(broken) => return Err(broken),
            }
        }
        Ok(Some(decoder))
    }

    /// One event's window, opened anew where its cursor expired before a row had left.
    async fn window(
        &self,
        window: &Window,
        event: &str,
        mut decoder: PageDecoder,
        constants: &Constants,
        sender: &Sender,
    ) -> Result<Option<PageDecoder>, Broken> {
        let mut reopened = 0;
        loop {
            let mut progress = Progress::default();
            match self.chain(window, event, decoder, constants, &mut progress, sender).await {
                Ok(Ended::Whole(used)) => {
                    self.counters.add("records", progress.records);
                    if self.scan.options.verify_counts {
                        self.verify(window, event, progress.records).await?;
                    }
                    return Ok(Some(used));
                }
                Ok(Ended::PageError) => return Ok(None),
                Err(Broken::Expired) if !progress.left && reopened < REOPENED_MAX => {
                    reopened += 1;
                    self.counters.add("reopened", 1);
                    decoder = self.plan.shape.decoder();
                }
                Err(Broken::Expired) => {
                    let (first, last) = window.range;
                    return Err(Error::Unavailable(format!(
                        "the cursor of {} expired after {} records of \"{event}\" from {first} to {last}: the export is not complete. \
                         Ask for fewer days at once, or read faster",
                        self.scan.relation.qualified(),
                        progress.records
                    ))
                    .into());
                }
                Err(broken) => return Err(broken),
            }
        }
    }

    async fn chain(
        &self,
        window: &Window,
        event: &str,
        mut decoder: PageDecoder,
        constants: &Constants,
        progress: &mut Progress,
        sender: &Sender,
    ) -> Result<Ended, Broken> {
        self.counters.add("chains", 1);
        let opening = self.open(window, event);
        let fetched = self.fetch(&opening, event).await?;
        let (mut page, used, _held) = self.decode(fetched, decoder, &opening, event).await?;
        decoder = used;
        let Some(mut cursor) = page.cursor.take() else {
            return Err(Error::Answer(format!("POST {} was answered without a cursor. Please report this.", opening.path)).into());
        };
        progress.note(&cursor, opening.path)?;
        let mut asked = Request::get(self.plan.call.path).with_verbatim(query::CURSOR, cursor).understanding(UNDERSTOOD);
        let mut fetched = self.fetch(&asked, event).await?;
        loop {
            // The next page is asked for before this one is decoded, if its cursor can be found without, and if it will be wanted.
            let wanted = self.scan.limit.is_none();
            let peeked = peek_cursor(&fetched.body, self.plan.call.records).filter(|_| wanted).map(str::to_owned);
            if let Some(peeked) = &peeked {
                progress.note(peeked, asked.path)?;
            }
            let next = peeked
                .as_ref()
                .map(|peeked| Request::get(self.plan.call.path).with_verbatim(query::CURSOR, peeked.as_str()).understanding(UNDERSTOOD));
            let ahead = async {
                match &next {
                    Some(next) => Some(self.fetch(next, event).await),
                    None => None,
                }
            };
            let here = async {
                let (mut page, decoder, held) = self.decode(fetched, decoder, &asked, event).await?;
                progress.records += page.rows;
                let cursor = page.cursor.take();
                let goes_on = self.hand_on(&page, held, constants, progress, sender).await?;
                Ok::<_, Broken>((decoder, cursor, goes_on))
            };
            let (here, ahead) = tokio::join!(here, ahead);
            let (used, found, goes_on) = here?;
            decoder = used;
            if !goes_on {
                return Ok(Ended::PageError);
            }
            let Some(found) = found else { return Ok(Ended::Whole(decoder)) };
            cursor = found;
            fetched = match (ahead, peeked, next) {
                (Some(ahead), Some(peeked), Some(next)) if peeked == cursor => {
                    asked = next;
                    ahead?
                }
                _ => {
                    progress.note(&cursor, asked.path)?;
                    asked = Request::get(self.plan.call.path).with_verbatim(query::CURSOR, cursor).understanding(UNDERSTOOD);
                    self.fetch(&asked, event).await?
                }
            };
        }
    }

    /// The request that opens a chain.
    fn open(&self, window: &Window, event: &str) -> Request {
        let mut body = event_query(event, window);
        if !self.plan.conditions.is_empty() {
            let conditions = self.plan.conditions.iter().map(|condition| condition.json()).collect();
            body.insert(query::EVENT_PROPERTIES.into(), Value::Array(conditions));
        }
        let request = Request::post(self.plan.call.path, Value::Object(body).to_string(), Resend::Idempotent)
            .with(query::BATCH_SIZE, self.page_rows.to_string())
            .understanding(UNDERSTOOD);
        self.plan.parts.iter().fold(request, |request, (part, asked)| request.with(part, asked.to_string()))
    }

    /// A page that is ready, in as many tries as `retry_for_ms` allows.
    async fn fetch(&self, request: &Request, event: &str) -> Result<Fetched, Broken> {
        let began = Instant::now();
        let mut tries = 0;
        loop {
            self.counters.add("requests", 1);
            let answer = self.lane.fetch(request, could_be_a_page).await?;
            let Some(failure) = failure_of(&answer).map(|failure| (failure.code, failure.words.unwrap_or_default())) else {
                if answer.status != 202 {
                    let held = self.memory.hold(answer.body.len() * 2).await?;
                    return Ok(Fetched { body: answer.body, held });
                }
                self.wait(&mut tries, began, request).await?;
                continue;
            };
            match failure {
                (Some(2), _) => self.wait(&mut tries, began, request).await?,
                (code, words) => return Err(self.refused(code, &words, &answer, request, event).await),
            }
        }
    }

    /// Waits before a page is asked for again that is not ready.
    async fn wait(&self, tries: &mut u32, began: Instant, request: &Request) -> Result<(), Broken> {
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

    /// What a refusal means. All of them have the one code 400, so that the words must say it.
    async fn refused(&self, code: Option<i64>, words: &str, answer: &Answer, request: &Request, event: &str) -> Broken {
        let said = words.to_lowercase();
        let table = self.scan.relation.qualified();
        if said.contains("invalid event") {
            return Error::Refused(discover::unknown_event(&self.scan.relation, event).await).into();
        }
        if said.contains("export not allowed") {
            return Broken::NotExported(Error::Refused(format!(
                "{table}: CleverTap does not export the event \"{event}\" by API, as it is one of its own notification events. Its bucket \
                 exports hold them: read those files by path"
            )));
        }
        if code == Some(400) && said.contains("cursor") && request.verbatim.is_some() {
            return Broken::Expired;
        }
        let code = code.map_or(String::new(), |code| format!(", code {code}"));
        Error::Refused(format!("{} {} was answered {words:?} (HTTP {}{code}).", request.method, request.path, answer.status)).into()
    }

    /// Decodes a page off the async threads; one that cannot be read is asked for again, by the same cursor.
    async fn decode(
        &self,
        mut fetched: Fetched,
        mut decoder: PageDecoder,
        request: &Request,
        event: &str,
    ) -> Result<(Page, PageDecoder, MemoryGuard), Broken> {
        let began = Instant::now();
        let mut tries = 0;
        loop {
            let Fetched { body, held } = fetched;
            let task = SpawnedTask::spawn_blocking(move || {
                let page = decoder.decode(&body);
                (page, decoder)
            });
            let (page, used) = task.await.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))?;
            decoder = used;
            let unread = match page {
                Ok(page) if page.status.is_some() => return Ok((page, decoder, held)),
                Ok(_) => "it has no status".to_owned(),
                Err(unread) => unread.to_string(),
            };
            drop(held);
            if began.elapsed() >= self.retry_for {
                let call = format!("{} {}", request.method, request.path);
                return Err(Error::Unavailable(format!(
                    "{call} was answered with a page that cannot be read ({unread}), {} times: the export is not complete",
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

    /// Sends the rows of a page to the reader; whether there is one.
    async fn hand_on(
        &self,
        page: &Page,
        held: MemoryGuard,
        constants: &Constants,
        progress: &mut Progress,
        sender: &Sender,
    ) -> Result<bool> {
        let batch = self.plan.shape.batch(page, constants, &self.scan, self.plan.keep, &self.seen)?;
        self.counters.add("pages", 1);
        if batch.num_rows() == 0 {
            return Ok(!sender.is_closed());
        }
        progress.left = true;
        let handed = self.handed.fetch_add(batch.num_rows(), Ordering::Relaxed) + batch.num_rows();
        let enough = self.scan.limit.is_some_and(|limit| handed >= limit);
        Ok(sender.send(Ok((batch, held))).await.is_ok() && !enough)
    }

    /// Compares what came with what CleverTap counts.
    async fn verify(&self, window: &Window, event: &str, records: usize) -> Result<()> {
        let counted = counts::of_export(&self.scan, self.plan.call, event, window, &self.plan.conditions).await?;
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
    /// Notes a cursor.
    fn note(&mut self, cursor: &str, path: &str) -> Result<(), Error> {
        if self.seen.insert(self.hasher.hash_one(cursor)) {
            return Ok(());
        }
        Err(Error::Answer(format!(
            "GET {path} was answered with a cursor that it had given before: going on would never end, and the export is not complete. Please \
             report this."
        )))
    }
}

/// What is the same in every row of a window.
fn constants(event: Option<&str>, window: &Window) -> Constants {
    let mut constants = of_days(window.range);
    constants.insert("event_name", ScalarValue::Utf8View(event.map(str::to_owned)));
    constants
}
