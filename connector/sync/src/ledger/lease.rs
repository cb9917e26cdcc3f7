//! Leases: one run of a sync at a time, across machines.
//!
//! In: a sync and who wants it. Out: a lease with a number that is greater than all before it; or who holds it, and until when. A lease is a file
//! that is created if it is absent, `leases/<sync>/<n>.json`, and renewed by its holder. One that was given back, has expired, or whose process
//! is gone is taken over by creating the next number. Whoever takes over commits that number to each table, behind which the old holder's
//! commits are refused: a laptop that wakes up after its lease harms nothing.

use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use datafusion::common::runtime::SpawnedTask;
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, PutMode};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

use super::Ledger;
use super::commit::{Commit, Fence, Operation, app_id};
use super::fault::{Doing, damaged, no_conditional_writes, of_store};
use super::files::read_bytes;
use super::holder::Holder;
use super::log::Version;
use super::schema::Table;
use super::store::LedgerStore;
use crate::error::{Error, Result};

const LIFE: TimeDelta = TimeDelta::minutes(5);
const LIFE_ON_THIS_CLOCK: Duration = Duration::from_secs(300);
const RENEWAL: Duration = Duration::from_secs(60);
/// After a renewal that the store did not take.
const RENEWAL_AGAIN: Duration = Duration::from_secs(10);
/// Two machines' clocks differ by less, or the fence decides.
const GRACE: TimeDelta = TimeDelta::seconds(60);
/// Others who take the same lease in the same instant.
const RACES_MAX: u32 = 8;

/// What a lease's file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Written {
    holder: Holder,
    number: u64,
    acquired_at: DateTime<Utc>,
    renewed_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    released: bool,
    /// Whether no holder before it can commit any more.
    fenced: bool,
    /// Which of the leases of a process it is.
    token: Uuid,
}

/// Leases that this process has, and has not dropped.
static LIVE: LazyLock<Mutex<HashSet<Uuid>>> = LazyLock::new(Mutex::default);

fn live() -> std::sync::MutexGuard<'static, HashSet<Uuid>> {
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is shared by a lease, its renewal and what writes under it.
#[derive(Debug)]
pub(super) struct LeaseState {
    ledger: Ledger,
    sync: String,
    number: u64,
    /// Milliseconds, by the clock of the wall, which may be set back.
    expires_at: AtomicI64,
    /// By the clock of this machine, which may stand still while it sleeps.
    renewed: Mutex<Instant>,
    is_lost: watch::Sender<bool>,
    commits: AtomicU64,
    /// Held while the file is overwritten; `true` once it was given back.
    is_released: tokio::sync::Mutex<bool>,
}

impl LeaseState {
    pub(super) fn sync(&self) -> &str {
        &self.sync
    }

    fn is_lost(&self) -> bool {
        let renewed = *self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over =
            self.ledger.now().timestamp_millis() >= self.expires_at.load(Ordering::SeqCst) || renewed.elapsed() >= LIFE_ON_THIS_CLOCK;
        if is_over {
            self.lose();
        }
        *self.is_lost.borrow()
    }

    pub(super) fn lose(&self) {
        self.is_lost.send_replace(true);
    }

    /// # Errors
    /// [`Error::Held`] if it is lost.
    pub(super) fn check(&self) -> Result<()> {
        if !self.is_lost() {
            return Ok(());
        }
        Err(Error::Held(format!(
            "the ledger {}: this run's lease of sync {} (number {}) was lost: it was not renewed in time, or another run took it over; run the \
             sync again, which goes on where this run committed last",
            self.ledger.place().shown(),
            self.sync,
            self.number
        )))
    }

    fn renewed(&self, expires_at: DateTime<Utc>, began: Instant) {
        self.expires_at.store(expires_at.timestamp_millis(), Ordering::SeqCst);
        *self.renewed.lock().unwrap_or_else(PoisonError::into_inner) = began;
    }

    /// Whether the lease still stands.
    async fn renew(&self, written: &mut Written) -> Result<bool> {
        let is_released = self.is_released.lock().await;
        if *is_released {
            return Ok(false);
        }
        let (now, began) = (self.ledger.now(), Instant::now());
        if numbers(&self.ledger, &self.sync).await?.into_iter().any(|number| number > self.number) {
            return Ok(false);
        }
        (written.renewed_at, written.expires_at) = (now, now + LIFE);
        overwrite(&self.ledger, &self.sync, written).await?;
        self.renewed(written.expires_at, began);
        drop(is_released);
        Ok(true)
    }

    async fn keep(self: Arc<Self>, mut written: Written) {
        let mut wait = RENEWAL;
        loop {
            tokio::time::sleep(wait).await;
            if self.is_lost() {
                return;
            }
            match self.renew(&mut written).await {
                Ok(true) => wait = RENEWAL,
                Ok(false) => return self.lose(),
                Err(error) => {
                    tracing::warn!(sync = self.sync, "a lease was not renewed, and is tried again until it expires: {error}");
                    wait = RENEWAL_AGAIN;
                }
            }
        }
    }
}

/// A run's right to a sync, until it is given back, dropped, or lost.
#[derive(Debug)]
pub struct Lease {
    state: Arc<LeaseState>,
    written: Written,
    _renewal: SpawnedTask<()>,
    _live: Live,
}

impl Lease {
    /// The sync that it is of.
    #[must_use]
    pub fn sync(&self) -> &str {
        &self.state.sync
    }

    /// Its number, greater than all before it.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.state.number
    }

    /// Whether another run may have the sync by now. What this one writes is refused from then on.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.state.is_lost()
    }

    /// Returns once it is lost.
    pub async fn lost(&self) {
        let mut lost = self.state.is_lost.subscribe();
        // A laptop that slept tells nobody: look, now and then.
        while !self.is_lost() {
            if let Ok(Err(_)) = tokio::time::timeout(Duration::from_secs(1), lost.changed()).await {
                return;
            }
        }
    }

    /// Gives it back.
    ///
    /// # Errors
    /// [`Error::Storage`]: then it expires by itself, or the next run of this machine takes it over once this process has ended.
    pub async fn release(self) -> Result<()> {
        if self.is_lost() {
            return Ok(());
        }
        let mut is_released = self.state.is_released.lock().await;
        *is_released = true;
        let written = Written { released: true, ..self.written.clone() };
        overwrite(&self.state.ledger, &self.state.sync, &written).await
    }

    pub(super) fn state(&self) -> &Arc<LeaseState> {
        &self.state
    }

    pub(super) fn fence(&self) -> Fence {
        Fence { sync: self.state.sync.clone(), number: self.state.number, lease: Some(Arc::clone(&self.state)) }
    }

    /// The order of a commit among all of its sync.
    pub(super) fn next_seq(&self) -> i64 {
        const COMMITS_MAX: u64 = 1_000_000;
        let commit = self.state.commits.fetch_add(1, Ordering::SeqCst).min(COMMITS_MAX - 1);
        i64::try_from(self.state.number * COMMITS_MAX + commit).unwrap_or(i64::MAX)
    }
}

/// That a lease of this process is not dropped.
#[derive(Debug)]
struct Live(Uuid);

impl Live {
    fn new() -> Self {
        let token = Uuid::new_v4();
        live().insert(token);
        Self(token)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        live().remove(&self.0);
    }
}

fn file(sync: &str, number: u64) -> String {
    format!("leases/{sync}/{number}.json")
}

async fn numbers(ledger: &Ledger, sync: &str) -> Result<Vec<u64>> {
    let folder = format!("leases/{sync}");
    let listed = LedgerStore::new(ledger.place()).list(Some(&ledger.place().path(&folder))).try_collect::<Vec<_>>().await;
    let listed = listed.map_err(|error| of_store(ledger.place(), &folder, Doing::Reading, &error))?;
    Ok(listed.iter().filter_map(|meta| meta.location.filename()?.strip_suffix(".json")?.parse().ok()).collect())
}

async fn overwrite(ledger: &Ledger, sync: &str, written: &Written) -> Result<()> {
    let name = file(sync, written.number);
    let put = LedgerStore::new(ledger.place()).put(&ledger.place().path(&name), json(written).into()).await;
    put.map(drop).map_err(|error| of_store(ledger.place(), &name, Doing::Writing, &error))
}

fn json(written: &Written) -> String {
    serde_json::to_string(written).unwrap_or_default()
}

async fn read(ledger: &Ledger, sync: &str, number: u64) -> Result<Option<Written>> {
    let name = file(sync, number);
    let Some(bytes) = read_bytes(ledger.place(), &name).await? else { return Ok(None) };
    let problem = "is damaged: it is no lease of this version";
    serde_json::from_slice(&bytes).map(Some).map_err(|_| damaged(ledger.place(), &name, problem))
}

impl Ledger {
    /// Takes the lease of a sync. It is renewed in the background, each minute, and lives for five.
    ///
    /// # Errors
    /// [`Error::Held`] that says who has it, since when, and until when; [`Error::Storage`], also of a store that refuses conditional writes;
    /// [`Error::Ledger`].
    pub async fn acquire(&self, sync: &str, holder: Holder) -> Result<Lease> {
        self.begin().await?;
        for _ in 0..RACES_MAX {
            let last = numbers(self, sync).await?.into_iter().max();
            let before = match last {
                // It was removed meanwhile: somebody took it over.
                Some(number) => match read(self, sync, number).await? {
                    Some(before) => Some(before),
                    None => continue,
                },
                None => None,
            };
            if let Some(before) = &before
                && !self.is_free(before)
            {
                return Err(held(self, sync, before));
            }
            let number = match last {
                Some(last) => last + 1,
                // The folder of leases may have been removed, and its numbers with it.
                None => self.greatest(sync).await? + 1,
            };
            let now = self.now();
            let live = Live::new();
            let written = Written {
                holder: holder.clone(),
                number,
                acquired_at: now,
                renewed_at: now,
                expires_at: now + LIFE,
                released: false,
                fenced: before.as_ref().is_none_or(|before| before.released && before.fenced),
                token: live.0,
            };
            if let Some(lease) = self.take(sync, written, live).await? {
                return Ok(lease);
            }
        }
        Err(Error::Held(format!(
            "the ledger {}: other runs of sync {sync} took its lease {RACES_MAX} times while this one looked; run it again when they have ended",
            self.place().shown()
        )))
    }

    /// Creates the lease's file; `None` if another came first.
    async fn take(&self, sync: &str, mut written: Written, live: Live) -> Result<Option<Lease>> {
        let began = Instant::now();
        let name = file(sync, written.number);
        let store = LedgerStore::new(self.place());
        let path = self.place().path(&name);
        match store.put_opts(&path, json(&written).into(), PutMode::Create.into()).await {
            Ok(_) => {}
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => return Ok(None),
            Err(object_store::Error::NotImplemented { .. } | object_store::Error::NotSupported { .. }) => {
                return Err(no_conditional_writes(self.place(), ""));
            }
            Err(error) => return Err(of_store(self.place(), &name, Doing::Writing, &error)),
        }
        let all = numbers(self, sync).await?;
        // The one that was looked at was taken over, and its successor's file removed, before this one was created.
        let is_late = all.iter().any(|number| *number > written.number);
        let fenced = match (is_late, written.fenced) {
            (true, _) => Ok(()),
            (false, true) => Ok(()),
            (false, false) => self.fence_off(sync, written.number).await,
        };
        if is_late || fenced.is_err() {
            if let Err(error) = store.delete(&path).await {
                tracing::warn!("a lease that was not used could not be removed, and expires: {error}");
            }
            return fenced.map(|()| None);
        }
        if !written.fenced {
            written.fenced = true;
            overwrite(self, sync, &written).await?;
        }
        for number in all.into_iter().filter(|number| *number < written.number) {
            if let Err(error) = store.delete(&self.place().path(&file(sync, number))).await {
                tracing::debug!("a former lease could not be removed, and is next time: {error}");
            }
        }
        let state = Arc::new(LeaseState {
            ledger: self.clone(),
            sync: sync.to_owned(),
            number: written.number,
            expires_at: AtomicI64::new(written.expires_at.timestamp_millis()),
            renewed: Mutex::new(began),
            is_lost: watch::Sender::new(false),
            commits: AtomicU64::new(0),
            is_released: tokio::sync::Mutex::new(false),
        });
        let renewal = SpawnedTask::spawn(Arc::clone(&state).keep(written.clone()));
        Ok(Some(Lease { state, written, _renewal: renewal, _live: live }))
    }

    fn is_free(&self, before: &Written) -> bool {
        let is_dropped = before.holder.is_this() && !live().contains(&before.token);
        before.released || is_dropped || before.holder.is_gone() || self.now() > before.expires_at + GRACE
    }

    /// Commits the number to each table, behind which the holders before it cannot commit. A table that is not there is made: the old holder
    /// might make it.
    async fn fence_off(&self, sync: &str, number: u64) -> Result<()> {
        let fence = Fence { sync: sync.to_owned(), number, lease: None };
        for table in Table::ALL {
            let mut commit = Commit::new(self.place(), table, fence.clone(), Operation::Append);
            while let Some(version) = commit.next().await? {
                commit.make(&version, Vec::new()).await?;
            }
        }
        Ok(())
    }

    /// The greatest number that was committed with.
    async fn greatest(&self, sync: &str) -> Result<u64> {
        let mut greatest = 0;
        for table in Table::ALL {
            if let Some(version) = Version::newest(self.place(), table, LedgerStore::new(self.place())).await? {
                let number = version.lease_of(self.place(), &app_id(sync)).await?;
                greatest = greatest.max(number.and_then(|number| u64::try_from(number).ok()).unwrap_or_default());
            }
        }
        Ok(greatest)
    }
}

fn held(ledger: &Ledger, sync: &str, by: &Written) -> Error {
    let shown = |instant: DateTime<Utc>| instant.to_rfc3339_opts(SecondsFormat::Secs, true);
    Error::Held(format!(
        "the ledger {}: sync {sync} is run by {} since {}; wait until it has ended, or, if that process is no more, until {}",
        ledger.place().shown(),
        by.holder.shown(),
        shown(by.acquired_at),
        shown(by.expires_at + GRACE)
    ))
}

impl Ledger {
    /// Does `work` with the lease of a sync.
    pub(crate) async fn under_lease<T>(&self, sync: &str, work: impl AsyncFnOnce(&Lease) -> Result<T>) -> Result<T> {
        let lease = self.acquire(sync, Holder::current()).await?;
        let done = work(&lease).await;
        let released = lease.release().await;
        let done = done?;
        released?;
        Ok(done)
    }
}
