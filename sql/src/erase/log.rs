//! The log of erasures: what was asked of CleverTap for whom, and what came of it.
//!
//! In: what happens, one line each. Out: where each request stands. Lines are only ever added, as new objects of their own, so
//! that processes which write at once cannot overwrite each other, and a crash leaves what was true: a line goes before each
//! request that leaves (it may have been asked) and another after its answer.
//!
//! ```text
//! {"at":"2026-01-01T00:00:00Z","host":"…","account":"W-1","key":{"kind":"email","value":"a@b.c"},"what":"asking","person":{…}}
//! {"at":"2026-01-01T00:00:01Z",…,"what":"requested","requested_at":"2026-01-01T00:00:01Z"}
//! {"at":"2026-01-01T13:00:00Z",…,"what":"gone","requested_at":"2026-01-01T00:00:01Z"}
//! ```

use std::{collections::BTreeMap, fmt};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::place::Place;
use crate::{
    failure::{Failure, Result},
    people::Key,
};
use datafusion_clevertap::{Account, Clock};

/// How long CleverTap is waited for. It says a day, at hours when few are awake (`tables/profiles.rs` has the link): two days leave
/// no doubt, and for so long nobody is asked for twice.
pub(crate) const OPEN_FOR: TimeDelta = TimeDelta::hours(48);

/// What happened to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum What {
    /// Nobody has the key; nothing was sent.
    NotFound,
    /// The request is about to leave.
    Asking,
    /// CleverTap took it.
    Requested,
    /// Its answer was lost.
    InDoubt,
    /// It certainly did not arrive.
    Unsent,
    /// CleverTap, or we, refused it.
    Rejected,
    /// The person was looked up and is there.
    There,
    /// The person was looked up and is gone.
    Gone,
}

/// Something that happened, to be written down.
#[derive(Debug, Clone)]
pub(crate) struct Note {
    pub(crate) key: Key,
    pub(crate) what: What,
    /// Who is meant, where that is found out.
    pub(crate) person: Option<Key>,
    /// The request that it is about: a look at an older one says nothing of a newer one.
    pub(crate) requested_at: Option<DateTime<Utc>>,
}

/// A line of the log.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    at: DateTime<Utc>,
    host: String,
    account: String,
    key: Key,
    what: What,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    person: Option<Key>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    requested_at: Option<DateTime<Utc>>,
}

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    NotFound,
    Requested,
    Gone,
    StillThere,
    /// It may have been asked: the answer was lost, or we were cut off before it came.
    InDoubt,
    Unsent,
    Rejected,
}

impl State {
    /// In the order in which they are shown.
    pub(crate) const ALL: [Self; 7] =
        [Self::NotFound, Self::Requested, Self::Gone, Self::StillThere, Self::InDoubt, Self::Unsent, Self::Rejected];

    /// Whether the person may yet be erased, or may have been.
    pub(crate) fn is_open(self) -> bool {
        matches!(self, Self::Requested | Self::StillThere | Self::InDoubt)
    }
}

impl fmt::Display for State {
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

/// The request for one key, as its lines leave it.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    state: State,
    /// An earlier request may still be carried out: that a later one did not arrive says nothing of it.
    earlier: bool,
    pub(crate) person: Option<Key>,
    pub(crate) requested_at: Option<DateTime<Utc>>,
    pub(crate) checked_at: Option<DateTime<Utc>>,
    pub(crate) gone_at: Option<DateTime<Utc>>,
}

impl Request {
    /// Where it stands. A person who is there after [`OPEN_FOR`] is still there.
    pub(crate) fn state(&self) -> State {
        let overdue = self.until().zip(self.checked_at).is_some_and(|(until, checked)| checked >= until);
        if self.state == State::Requested && overdue { State::StillThere } else { self.state }
    }

    /// How long it is waited for.
    pub(crate) fn until(&self) -> Option<DateTime<Utc>> {
        Some(self.requested_at? + OPEN_FOR)
    }

    fn apply(&mut self, note: &Note, at: DateTime<Utc>) {
        let Note { what, person, requested_at, .. } = note;
        if person.is_some() {
            self.person.clone_from(person);
        }
        match what {
            What::Asking => {
                self.earlier |= matches!(self.state, State::Requested | State::InDoubt);
                (self.state, self.requested_at, self.gone_at) = (State::InDoubt, None, None);
            }
            What::Requested => (self.state, self.requested_at, self.gone_at) = (State::Requested, requested_at.or(Some(at)), None),
            What::InDoubt => self.state = State::InDoubt,
            What::Unsent | What::Rejected if self.earlier => self.state = State::InDoubt,
            What::Unsent => self.state = State::Unsent,
            What::Rejected => self.state = State::Rejected,
            What::NotFound => (self.state, self.earlier, self.checked_at) = (State::NotFound, false, Some(at)),
            // Of a request that was made anew meanwhile they say nothing.
            What::There | What::Gone if *requested_at != self.requested_at => {}
            What::There => self.checked_at = Some(at),
            What::Gone => (self.state, self.earlier, self.checked_at, self.gone_at) = (State::Gone, false, Some(at), Some(at)),
        }
    }
}

/// The log of one account, open.
#[derive(Debug)]
pub(crate) struct Log {
    place: Place,
    host: String,
    account: String,
    clock: Clock,
    /// Tells the objects of this process from those of another that writes in the same microsecond.
    process: u64,
    written: u32,
    requests: BTreeMap<Key, Request>,
}

impl Log {
    /// Reads all that is known of `account`.
    ///
    /// # Errors
    /// [`Failure::Failed`] if the place cannot be read, or holds what is no log.
    pub(crate) async fn open(place: Place, account: &Account) -> Result<Self> {
        let (host, id) = (account.host().to_owned(), account.id().to_owned());
        let mut log = Self {
            place: place.of(&host, &id),
            host,
            account: id,
            clock: account.clock(),
            process: rand::random(),
            written: 0,
            requests: BTreeMap::new(),
        };
        for (name, object) in log.place.all().await? {
            for (line, text) in object.split(|byte| *byte == b'\n').enumerate().filter(|(_, text)| !text.is_empty()) {
                let line: Line = serde_json::from_slice(text).map_err(|_| {
                    // Not serde's words, which may hold the value.
                    Failure::Failed(format!("line {} of {name} in {} is no line of a log of erasures", line + 1, log.place))
                })?;
                if (&line.host, &line.account) == (&log.host, &log.account) {
                    let Line { at, key, what, person, requested_at, .. } = line;
                    apply(&mut log.requests, &Note { key, what, person, requested_at }, at);
                }
            }
        }
        Ok(log)
    }

    /// Every request.
    pub(crate) fn requests(&self) -> &BTreeMap<Key, Request> {
        &self.requests
    }

    /// The request for `key`, if there was one.
    pub(crate) fn request(&self, key: &Key) -> Option<&Request> {
        self.requests.get(key)
    }

    /// Where the request for `key` stands.
    pub(crate) fn state(&self, key: &Key) -> Option<State> {
        self.request(key).map(Request::state)
    }

    /// Writes down what happened; it is in the log when this returns.
    ///
    /// # Errors
    /// [`Failure::Failed`] if the place does not take it.
    pub(crate) async fn note(&mut self, notes: &[Note]) -> Result<()> {
        if notes.is_empty() {
            return Ok(());
        }
        let at = self.clock.now();
        let mut object = Vec::new();
        for Note { key, what, person, requested_at } in notes.iter().cloned() {
            let requested_at = if what == What::Requested { requested_at.or(Some(at)) } else { requested_at };
            let (host, account) = (self.host.clone(), self.account.clone());
            let line = Line { at, host, account, key, what, person, requested_at };
            serde_json::to_writer(&mut object, &line).map_err(std::io::Error::from)?;
            object.push(b'\n');
        }
        let stem = format!("{}-{:016x}-{:06}", at.format("%Y%m%dT%H%M%S%6fZ"), self.process, self.written);
        self.written += 1;
        self.place.put(&stem, object).await?;
        for note in notes {
            apply(&mut self.requests, note, at);
        }
        Ok(())
    }

    /// What time it is.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }
}

impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place.fmt(f)
    }
}

fn apply(requests: &mut BTreeMap<Key, Request>, note: &Note, at: DateTime<Utc>) {
    let new = || Request { state: State::Unsent, earlier: false, person: None, requested_at: None, checked_at: None, gone_at: None };
    requests.entry(note.key.clone()).or_insert_with(new).apply(note, at);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::{memory::InMemory, path::Path};
    use url::Url;

    use super::*;
    use crate::people::Kind;
    use datafusion_clevertap::{AccountSettings, Region, Secret};

    fn account(id: &str) -> Account {
        Account::open(id, Secret::new("a-passcode"), Region::In1, AccountSettings::default()).unwrap()
    }

    fn key(value: &str) -> Key {
        Key::new(Kind::Identity, value)
    }

    fn note(value: &str, what: What) -> Note {
        Note { key: key(value), what, person: Some(key(value)), requested_at: None }
    }

    fn bucket() -> Place {
        Place::Bucket { store: Arc::new(InMemory::new()), prefix: Path::from("a/b"), url: Url::parse("s3://bucket/a/b").unwrap() }
    }

    #[tokio::test]
    async fn writers_at_once_lose_nothing_and_overwrite_nobody() {
        let folder = tempfile::tempdir().unwrap();
        for place in [bucket(), Place::Folder(folder.path().to_owned())] {
            let write = async |writer: usize| {
                let mut log = Log::open(place.clone(), &account("W-1")).await.unwrap();
                for n in 0..20 {
                    let value = format!("{writer}-{n}");
                    log.note(&[note(&value, What::Asking), note("both", What::Asking)]).await.unwrap();
                    log.note(&[note(&value, What::Requested), note("both", What::Requested)]).await.unwrap();
                }
            };
            futures::future::join_all((0..8).map(write)).await;
            let log = Log::open(place, &account("W-1")).await.unwrap();
            assert_eq!(log.requests().len(), 8 * 20 + 1);
            let open = log.requests().iter().filter(|(_, request)| request.state() == State::Requested).count();
            assert!(open >= 8 * 20, "{open}");
        }
    }

    #[tokio::test]
    async fn an_account_sees_its_own_requests_alone() {
        let place = bucket();
        Log::open(place.clone(), &account("W-1")).await.unwrap().note(&[note("a", What::Requested)]).await.unwrap();
        Log::open(place.clone(), &account("W-2")).await.unwrap().note(&[note("b", What::Requested)]).await.unwrap();
        let log = Log::open(place, &account("W-2")).await.unwrap();
        assert_eq!(log.requests().keys().collect::<Vec<_>>(), [&key("b")]);
    }

    #[tokio::test]
    async fn what_is_no_log_is_named_and_not_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::Folder(folder.path().to_owned());
        place.clone().of("in1.api.clevertap.com", "W-1").put("x", b"{\"key\":\"ada@example.org\"}\n".to_vec()).await.unwrap();
        let error = Log::open(place, &account("W-1")).await.unwrap_err().to_string();
        assert!(error.contains("line 1 of x.ndjson") && !error.contains("ada"), "{error}");
    }

    #[test]
    fn a_look_at_an_older_request_says_nothing_of_a_newer_one() {
        let (old, new) = (DateTime::UNIX_EPOCH, DateTime::UNIX_EPOCH + TimeDelta::hours(60));
        let mut requests = BTreeMap::new();
        let looked = |what, requested_at| Note { requested_at: Some(requested_at), ..note("a", what) };
        apply(&mut requests, &note("a", What::Requested), old);
        apply(&mut requests, &looked(What::There, old), new);
        assert_eq!(requests[&key("a")].state(), State::StillThere);
        apply(&mut requests, &note("a", What::Requested), new);
        apply(&mut requests, &looked(What::Gone, old), new);
        assert_eq!(requests[&key("a")].state(), State::Requested);
        apply(&mut requests, &looked(What::Gone, new), new);
        assert_eq!(requests[&key("a")].state(), State::Gone);
    }

    #[test]
    fn an_intent_without_its_answer_is_in_doubt() {
        let mut requests = BTreeMap::new();
        apply(&mut requests, &note("a", What::Asking), DateTime::UNIX_EPOCH);
        assert_eq!(requests[&key("a")].state(), State::InDoubt);
    }
}
