//! The log of erasures: every request, and the state that it reached.
//!
//! In: events, one line each. Out: the state of each request. Lines are only ever added, in new objects, so that processes that
//! write at the same time cannot overwrite each other, and a crash leaves the truth: one line is written before a request leaves
//! (from then on it may have arrived) and another after its answer.
//!
//! ```text
//! {"at":"2026-01-01T00:00:00Z","host":"…","account":"W-1","key":{"kind":"email","value":"a@b.c"},"what":"asking","person":{…}}
//! {"at":"2026-01-01T00:00:01Z",…,"what":"requested","requested_at":"2026-01-01T00:00:01Z"}
//! {"at":"2026-01-01T13:00:00Z",…,"what":"gone","requested_at":"2026-01-01T00:00:01Z"}
//! ```

use std::{collections::BTreeMap, fmt};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{super::person_key::PersonKey, log_store::LogStore};
use crate::failure::{Failure, Result};
use datafusion_clevertap::{Account, account::Clock};

/// How long a request is open. CleverTap promises a day (`tables/profiles.rs` has the link); two days leave no doubt, and until then
/// nobody is requested twice.
pub(crate) const OPEN_FOR: TimeDelta = TimeDelta::hours(48);

/// An event of one request; its name is what the log holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogEvent {
    /// Nobody has the key; nothing was sent.
    NotFound,
    /// The request is about to leave.
    Asking,
    /// CleverTap accepted it.
    Requested,
    /// Its answer was lost.
    InDoubt,
    /// It did certainly not arrive.
    Unsent,
    /// CleverTap or the connector refused it.
    Rejected,
    /// The person was looked up and is there.
    There,
    /// The person was looked up and is gone.
    Gone,
}

/// An event to be logged.
#[derive(Debug, Clone)]
pub(crate) struct LogEntry {
    pub(crate) key: PersonKey,
    pub(crate) what: LogEvent,
    /// The person behind the key, once a look-up has found them.
    pub(crate) person: Option<PersonKey>,
    /// The request that the event belongs to: a look-up for an older request does not change a newer one.
    pub(crate) requested_at: Option<DateTime<Utc>>,
}

/// A line of the log.
#[derive(Debug, Serialize, Deserialize)]
struct LogLine {
    at: DateTime<Utc>,
    host: String,
    account: String,
    key: PersonKey,
    what: LogEvent,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    person: Option<PersonKey>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    requested_at: Option<DateTime<Utc>>,
}

/// The state of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RequestState {
    NotFound,
    Requested,
    Gone,
    StillThere,
    /// It may have arrived: its answer was lost, or the process ended before it.
    InDoubt,
    Unsent,
    Rejected,
}

impl RequestState {
    /// In the order of the report.
    pub(crate) const ALL: [Self; 7] =
        [Self::NotFound, Self::Requested, Self::Gone, Self::StillThere, Self::InDoubt, Self::Unsent, Self::Rejected];

    /// Whether the person may be erased by it, now or later.
    pub(crate) fn is_open(self) -> bool {
        matches!(self, Self::Requested | Self::StillThere | Self::InDoubt)
    }
}

impl fmt::Display for RequestState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NotFound => "not found",
            Self::Requested => "requested",
            Self::Gone => "gone",
            Self::StillThere => "still there",
            Self::InDoubt => "in doubt",
            Self::Unsent => "unsent",
            Self::Rejected => "rejected",
        })
    }
}

/// The request for one key, after all its lines.
#[derive(Debug, Clone)]
pub(crate) struct ErasureRequest {
    state: RequestState,
    /// An earlier request may still be carried out, whatever happens to a later one.
    earlier_is_open: bool,
    pub(crate) person: Option<PersonKey>,
    pub(crate) requested_at: Option<DateTime<Utc>>,
    pub(crate) checked_at: Option<DateTime<Utc>>,
    pub(crate) gone_at: Option<DateTime<Utc>>,
}

impl ErasureRequest {
    /// Its state. A person who is found after [`OPEN_FOR`] is still there.
    pub(crate) fn state(&self) -> RequestState {
        let overdue = self.until().zip(self.checked_at).is_some_and(|(until, checked)| checked >= until);
        if self.state == RequestState::Requested && overdue { RequestState::StillThere } else { self.state }
    }

    /// When it stops being open.
    pub(crate) fn until(&self) -> Option<DateTime<Utc>> {
        Some(self.requested_at? + OPEN_FOR)
    }

    /// Whether CleverTap has accepted it, and its time is not over.
    pub(crate) fn is_pending(&self, now: DateTime<Utc>) -> bool {
        self.state() == RequestState::Requested && self.until().is_some_and(|until| now < until)
    }

    fn apply(&mut self, entry: &LogEntry, at: DateTime<Utc>) {
        let LogEntry { what, person, requested_at, .. } = entry;
        if person.is_some() {
            self.person.clone_from(person);
        }
        match what {
            LogEvent::Asking => {
                self.earlier_is_open |= matches!(self.state, RequestState::Requested | RequestState::InDoubt);
                (self.state, self.requested_at, self.gone_at) = (RequestState::InDoubt, None, None);
            }
            LogEvent::Requested => {
                (self.state, self.requested_at, self.gone_at) = (RequestState::Requested, requested_at.or(Some(at)), None)
            }
            LogEvent::InDoubt => self.state = RequestState::InDoubt,
            LogEvent::Unsent | LogEvent::Rejected if self.earlier_is_open => self.state = RequestState::InDoubt,
            LogEvent::Unsent => self.state = RequestState::Unsent,
            LogEvent::Rejected => self.state = RequestState::Rejected,
            LogEvent::NotFound => (self.state, self.earlier_is_open, self.checked_at) = (RequestState::NotFound, false, Some(at)),
            // They belong to an older request.
            LogEvent::There | LogEvent::Gone if *requested_at != self.requested_at => {}
            LogEvent::There => self.checked_at = Some(at),
            LogEvent::Gone => {
                (self.state, self.earlier_is_open, self.checked_at, self.gone_at) = (RequestState::Gone, false, Some(at), Some(at))
            }
        }
    }
}

/// The log of one account, open.
#[derive(Debug)]
pub(crate) struct ErasureLog {
    store: LogStore,
    host: String,
    account: String,
    clock: Clock,
    /// In the names of objects, so that two processes that write in the same microsecond do not collide.
    process: u64,
    written: u32,
    requests: BTreeMap<PersonKey, ErasureRequest>,
}

impl ErasureLog {
    /// Reads all requests of `account`.
    ///
    /// # Errors
    /// [`Failure::Failed`] if the store cannot be read, or holds a file that is no log.
    pub(crate) async fn open(store: LogStore, account: &Account) -> Result<Self> {
        let (host, id) = (account.host().to_owned(), account.id().to_owned());
        let mut log = Self {
            store: store.for_account(&host, &id).await?,
            host,
            account: id,
            clock: account.clock(),
            process: rand::random(),
            written: 0,
            requests: BTreeMap::new(),
        };
        for (name, object) in log.store.read_all().await? {
            for (line, text) in object.split(|byte| *byte == b'\n').enumerate().filter(|(_, text)| !text.is_empty()) {
                let line: LogLine = serde_json::from_slice(text).map_err(|_| {
                    // serde's message may hold the value.
                    Failure::Failed(format!("line {} of {name} in {} is no line of a log of erasures", line + 1, log.store))
                })?;
                if (&line.host, &line.account) == (&log.host, &log.account) {
                    let LogLine { at, key, what, person, requested_at, .. } = line;
                    apply(&mut log.requests, &LogEntry { key, what, person, requested_at }, at);
                }
            }
        }
        Ok(log)
    }

    /// Proves that entries can be appended: before the first request, since none leaves that is not logged.
    ///
    /// # Errors
    /// [`Failure::Failed`] if the store takes no objects.
    pub(crate) async fn prove_writable(&self) -> Result<()> {
        let nothing_sent = |failure: Failure| Failure::Failed(format!("{failure}: nothing was sent. --log names another place"));
        self.store.prove_writable().await.map_err(nothing_sent)
    }

    pub(crate) fn requests(&self) -> &BTreeMap<PersonKey, ErasureRequest> {
        &self.requests
    }

    pub(crate) fn request(&self, key: &PersonKey) -> Option<&ErasureRequest> {
        self.requests.get(key)
    }

    /// The state of the request for `key`.
    pub(crate) fn state(&self, key: &PersonKey) -> Option<RequestState> {
        self.request(key).map(ErasureRequest::state)
    }

    /// Appends entries; they are on the disk or in the bucket when this returns.
    ///
    /// # Errors
    /// [`Failure::Failed`] if the store refuses the object.
    pub(crate) async fn append(&mut self, entries: &[LogEntry]) -> Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let at = self.clock.now();
        let mut object = Vec::new();
        for LogEntry { key, what, person, requested_at } in entries.iter().cloned() {
            let requested_at = if what == LogEvent::Requested { requested_at.or(Some(at)) } else { requested_at };
            let (host, account) = (self.host.clone(), self.account.clone());
            let line = LogLine { at, host, account, key, what, person, requested_at };
            serde_json::to_writer(&mut object, &line).map_err(std::io::Error::from)?;
            object.push(b'\n');
        }
        let stem = format!("{}-{:016x}-{:06}", at.format("%Y%m%dT%H%M%S%6fZ"), self.process, self.written);
        self.written += 1;
        self.store.put(&stem, object).await?;
        for entry in entries {
            apply(&mut self.requests, entry, at);
        }
        Ok(())
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }
}

impl fmt::Display for ErasureLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

fn apply(requests: &mut BTreeMap<PersonKey, ErasureRequest>, entry: &LogEntry, at: DateTime<Utc>) {
    let new = || ErasureRequest {
        state: RequestState::Unsent,
        earlier_is_open: false,
        person: None,
        requested_at: None,
        checked_at: None,
        gone_at: None,
    };
    requests.entry(entry.key.clone()).or_insert_with(new).apply(entry, at);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::{memory::InMemory, path::Path};
    use url::Url;

    use super::*;
    use crate::commands::person_key::KeyKind;
    use datafusion_clevertap::storage::Folder;
    use datafusion_clevertap::{AccountSettings, Region, Secret};

    fn account(id: &str) -> Account {
        Account::open(id, Secret::new("a-passcode"), Region::In1, AccountSettings::default()).unwrap()
    }

    fn key(value: &str) -> PersonKey {
        PersonKey::new(KeyKind::Identity, value)
    }

    fn entry(value: &str, what: LogEvent) -> LogEntry {
        LogEntry { key: key(value), what, person: Some(key(value)), requested_at: None }
    }

    fn bucket() -> LogStore {
        LogStore(Folder::Bucket {
            store: Arc::new(InMemory::new()),
            prefix: Path::from("a/b"),
            url: Url::parse("s3://bucket/a/b").unwrap(),
        })
    }

    #[tokio::test]
    async fn writers_at_once_lose_nothing_and_overwrite_nobody() {
        let folder = tempfile::tempdir().unwrap();
        for store in [bucket(), LogStore(Folder::Local(folder.path().to_owned()))] {
            let write = async |writer: usize| {
                let mut log = ErasureLog::open(store.clone(), &account("W-1")).await.unwrap();
                for n in 0..20 {
                    let value = format!("{writer}-{n}");
                    log.append(&[entry(&value, LogEvent::Asking), entry("both", LogEvent::Asking)]).await.unwrap();
                    log.append(&[entry(&value, LogEvent::Requested), entry("both", LogEvent::Requested)]).await.unwrap();
                }
            };
            futures::future::join_all((0..8).map(write)).await;
            let log = ErasureLog::open(store, &account("W-1")).await.unwrap();
            assert_eq!(log.requests().len(), 8 * 20 + 1);
            let open = log.requests().iter().filter(|(_, request)| request.state() == RequestState::Requested).count();
            assert!(open >= 8 * 20, "{open}");
        }
    }

    #[tokio::test]
    async fn an_account_sees_its_own_requests_alone() {
        let store = bucket();
        ErasureLog::open(store.clone(), &account("W-1")).await.unwrap().append(&[entry("a", LogEvent::Requested)]).await.unwrap();
        ErasureLog::open(store.clone(), &account("W-2")).await.unwrap().append(&[entry("b", LogEvent::Requested)]).await.unwrap();
        let log = ErasureLog::open(store, &account("W-2")).await.unwrap();
        assert_eq!(log.requests().keys().collect::<Vec<_>>(), [&key("b")]);
    }

    #[tokio::test]
    async fn a_file_that_is_no_log_is_named_and_not_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let store = LogStore(Folder::Local(folder.path().to_owned()));
        let of_account = store.clone().for_account("in1.api.clevertap.com", "W-1").await.unwrap();
        of_account.put("x", b"{\"key\":\"ada@example.org\"}\n".to_vec()).await.unwrap();
        let error = ErasureLog::open(store, &account("W-1")).await.unwrap_err().to_string();
        assert!(error.contains("line 1 of x.ndjson") && !error.contains("ada"), "{error}");
    }

    #[test]
    fn a_look_up_for_an_older_request_does_not_change_a_newer_one() {
        let (old, new) = (DateTime::UNIX_EPOCH, DateTime::UNIX_EPOCH + TimeDelta::hours(60));
        let mut requests = BTreeMap::new();
        let looked = |what, requested_at| LogEntry { requested_at: Some(requested_at), ..entry("a", what) };
        apply(&mut requests, &entry("a", LogEvent::Requested), old);
        apply(&mut requests, &looked(LogEvent::There, old), new);
        assert_eq!(requests[&key("a")].state(), RequestState::StillThere);
        apply(&mut requests, &entry("a", LogEvent::Requested), new);
        apply(&mut requests, &looked(LogEvent::Gone, old), new);
        assert_eq!(requests[&key("a")].state(), RequestState::Requested);
        apply(&mut requests, &looked(LogEvent::Gone, new), new);
        assert_eq!(requests[&key("a")].state(), RequestState::Gone);
    }

    #[test]
    fn an_intent_without_its_answer_is_in_doubt() {
        let mut requests = BTreeMap::new();
        apply(&mut requests, &entry("a", LogEvent::Asking), DateTime::UNIX_EPOCH);
        assert_eq!(requests[&key("a")].state(), RequestState::InDoubt);
    }
}
