//! The world of this crate's tests: an emulated project, reached without a socket, so that a paused clock works.
//!
//! In: calls of the connector. Out: the emulator's answers. Every call is recorded, and a test may intercept calls and change answers.

use std::{
    collections::VecDeque,
    fmt, io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::DateTime;
use clevertap_emulator::{Emulator, Settings};
use futures::TryStreamExt;

use crate::terminal::console::{Console, Verbosity};
use datafusion_clevertap::{
    Access, Account, AccountSettings, Region, Secret,
    account::Clock,
    transport::{Answer, Call, Failure, FailureKind, Put, Transport},
};

/// Answers a call in place of the emulator, or leaves it to the emulator.
pub(crate) type Intercept = Box<dyn Fn(&Call) -> Option<Result<Answer, Failure>> + Send + Sync>;

/// Hands calls to the emulator in the same process.
#[derive(Default)]
pub(crate) struct EmulatorTransport {
    emulators: Mutex<Vec<(String, Emulator)>>,
    sent: Mutex<Vec<(String, String)>>,
    intercepts: Mutex<VecDeque<Intercept>>,
    /// Texts that are replaced in answers.
    replaced: Mutex<Vec<(String, String)>>,
}

impl fmt::Debug for EmulatorTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmulatorTransport")
    }
}

#[async_trait]
impl Transport for EmulatorTransport {
    async fn send(&self, call: Call) -> Result<Answer, Failure> {
        let (path, body) = (call.url.path().to_owned(), String::from_utf8_lossy(&call.body).into_owned());
        lock(&self.sent).push((path, body));
        let intercepted = lock(&self.intercepts).iter().find_map(|intercept| intercept(&call));
        if let Some(answered) = intercepted {
            return answered;
        }
        let account = call.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("x-clevertap-account-id"));
        let account = account.map(|(_, id)| id.clone()).unwrap_or_default();
        let emulator = lock(&self.emulators).iter().find(|(id, _)| *id == account).map(|(_, emulator)| emulator.clone());
        let emulator = emulator.expect("an account of this world");
        let mut request = http::Request::builder().method(call.method.to_string().as_str()).uri(call.url.as_str());
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        let request = request.body(call.body).expect("a request");
        let answer = emulator.handle(request).await.map_err(|_| Failure::new(FailureKind::Lost, "was cut off"))?;
        let (status, mut body) = (answer.status().as_u16(), String::from_utf8_lossy(answer.body()).into_owned());
        for (from, to) in lock(&self.replaced).iter() {
            body = body.replace(from, to);
        }
        Ok(Answer::new(status, body))
    }

    async fn put(&self, put: Put) -> Result<Answer, Failure> {
        let body: Vec<Bytes> = put.body.try_collect().await.expect("a file");
        // The URL has the signature of its project.
        let (_, emulator) = lock(&self.emulators).first().cloned().expect("an emulator");
        let mut request = http::Request::put(put.url.as_str()).header("content-length", put.bytes);
        if let Some(content_type) = put.content_type {
            request = request.header("content-type", content_type);
        }
        let request = request.body(Bytes::from(body.concat())).expect("a request");
        let answer = emulator.handle(request).await.map_err(|_| Failure::new(FailureKind::Lost, "was cut off"))?;
        Ok(Answer::new(answer.status().as_u16(), String::from_utf8_lossy(answer.body()).into_owned()))
    }
}

/// An emulated project and an account on it.
pub(crate) struct World {
    pub(crate) emulator: Emulator,
    pub(crate) account: Account,
    pub(crate) transport: Arc<EmulatorTransport>,
    id: String,
    /// Processes so far: each has random numbers of its own.
    opened: AtomicU64,
}

/// Of the first process.
const SEED: u64 = 7;

/// 2026-01-01 00:00 UTC.
pub(crate) const NOW: i64 = 1_767_225_600;

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Settings::default())
    }

    pub(crate) fn with(settings: Settings) -> Self {
        let zone = chrono_tz::Asia::Kolkata;
        let emulator = Emulator::new(Settings { time_zone: zone, seed: 7, ..settings });
        let id = emulator.settings().account_id.clone();
        let transport = Arc::new(EmulatorTransport::default());
        lock(&transport.emulators).push((id.clone(), emulator.clone()));
        let now = DateTime::from_timestamp(emulator.settings().started_at, 0).expect("an instant");
        let account = open(&id, &transport, Access::Erase, Clock::starting_at(now), SEED);
        Self { emulator, account, transport, id, opened: AtomicU64::new(SEED) }
    }

    /// A second project with the id `id`, reached as the first is.
    pub(crate) fn beside(&self, id: &str) -> Self {
        let settings = Settings { account_id: id.to_owned(), time_zone: chrono_tz::Asia::Kolkata, seed: SEED, ..Settings::default() };
        let (emulator, transport) = (Emulator::new(settings), Arc::clone(&self.transport));
        lock(&transport.emulators).push((id.to_owned(), emulator.clone()));
        // Numbers of its own, far from those of the first.
        let seed = SEED << 32;
        let account = open(id, &transport, Access::Erase, self.account.clock(), seed);
        Self { emulator, account, transport, id: id.to_owned(), opened: AtomicU64::new(seed) }
    }

    /// The same account as another process opens it, without what this one remembers.
    pub(crate) fn reopen(&self) -> Account {
        self.with_access(Access::Erase)
    }

    pub(crate) fn with_access(&self, access: Access) -> Account {
        open(&self.id, &self.transport, access, self.account.clock(), self.opened.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// The number of calls so far.
    pub(crate) fn sent(&self) -> usize {
        lock(&self.transport.sent).len()
    }

    /// The bodies of the calls to `path` so far.
    pub(crate) fn sent_to(&self, path: &str) -> Vec<String> {
        lock(&self.transport.sent).iter().filter(|(to, _)| to == path).map(|(_, body)| body.clone()).collect()
    }

    /// Asks `intercept` first for the answer of every call.
    pub(crate) fn intercept(&self, intercept: impl Fn(&Call) -> Option<Result<Answer, Failure>> + Send + Sync + 'static) {
        lock(&self.transport.intercepts).push_back(Box::new(intercept));
    }

    pub(crate) fn stop_intercepting(&self) {
        lock(&self.transport.intercepts).clear();
    }

    /// Replaces text in every answer.
    pub(crate) fn replace(&self, from: &str, to: &str) {
        lock(&self.transport.replaced).push((from.to_owned(), to.to_owned()));
    }
}

fn open(id: &str, transport: &Arc<EmulatorTransport>, access: Access, clock: Clock, seed: u64) -> Account {
    let settings = AccountSettings::new()
        .with_time_zone(chrono_tz::Asia::Kolkata)
        .with_transport(Arc::clone(transport) as Arc<dyn Transport>)
        .with_seed(seed)
        .with_access(access)
        .with_clock(clock)
        .with_own_limits(true);
    Account::open(id, Secret::new("emulator-passcode"), Region::In1, settings).expect("an account")
}

/// The text that went to stderr.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stderr(Arc<Mutex<Vec<u8>>>);

impl Stderr {
    pub(crate) fn console(&self) -> Console {
        Console::new(Verbosity::NoProgress, Box::new(self.clone()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&lock(&self.0)).into_owned()
    }
}

impl io::Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lock(&self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
