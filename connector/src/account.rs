//! An account of CleverTap: what is shared by everything that uses it.
//!
//! In: id, passcode, region. Out: the client with its budgets, the clock, the time zone, the access level. Clones are one
//! account. Opening one makes no request.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::access::Access;
use crate::client::{Client, ClientSettings, LimitNow, Region, Secret, Transport};
use crate::error::Result;
use crate::options::Options;
use crate::project_schema::ProjectSchema;
use crate::runs::failed_rows::{FailedRow, KeptRows};
use crate::runs::{Run, RunWarning, Runs};
use crate::scope::{Ceilings, Scope};

/// One account, as many clones as you like.
///
/// ```
/// # use datafusion_clevertap::{Access, Account, AccountSettings, Region, Secret};
/// let passcode = Secret::new("ABC-DEF-GHIJ");
/// let settings = AccountSettings::new().with_access(Access::Read);
/// let account = Account::open("ABC-12D-345Z", passcode, Region::In1, settings)?;
/// assert_eq!(account.host(), "in1.api.clevertap.com");
/// # Ok::<(), datafusion_clevertap::Error>(())
/// ```
#[derive(Clone)]
pub struct Account {
    inner: Arc<Inner>,
}

/// What the clones share.
struct Inner {
    access: Access,
    /// From the outermost; each is kept to.
    scopes: Vec<Scope>,
    time_zone: Option<Tz>,
    clock: Clock,
    client: Arc<Client>,
    runs: Runs,
    failed_rows: KeptRows,
    project_schema: ProjectSchema,
}

/// What an account may be given besides id, passcode and region.
///
/// ```
/// use datafusion_clevertap::{Access, AccountSettings};
///
/// let settings = AccountSettings::new().with_access(Access::Read).with_time_zone(chrono_tz::Asia::Kolkata);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AccountSettings {
    /// Sent to instead of the region's host: an emulator, or a host that the regions lack. HTTPS, or this machine. Default: the
    /// region's host.
    pub endpoint: Option<String>,
    /// The project's time zone, which CleverTap does not tell. Without one, `event_time` cannot be read. Default: none.
    pub time_zone: Option<Tz>,
    /// What SQL may do. Default: read and write, but not erase.
    pub access: Access,
    /// Carries calls instead of HTTPS: for tests, and for embedders with a network of their own. Default: HTTPS.
    pub transport: Option<Arc<dyn Transport>>,
    /// The runtime that HTTPS makes its connections on, for statements that run on one without I/O, as of a service that keeps
    /// computing apart. Default: the one that runs the statement.
    pub runtime: Option<Handle>,
    /// Holds the jitter of retries fixed. Default: from the system.
    pub seed: Option<u64>,
    /// How long connecting may take, TLS included. Default: 5 s, so that a wrong host is noticed soon.
    pub connect_timeout: Duration,
    /// What time it is. Default: the system's.
    pub clock: Clock,
    /// Keeps the limits of requests in flight apart from those of other accounts of this process with the same host and id: for
    /// tests that run in parallel. Default: shared, since CleverTap counts them together.
    pub own_limits: bool,
}

impl Default for AccountSettings {
    fn default() -> Self {
        Self {
            endpoint: None,
            time_zone: None,
            access: Access::default(),
            transport: None,
            runtime: None,
            seed: None,
            connect_timeout: Duration::from_secs(5),
            clock: Clock::default(),
            own_limits: false,
        }
    }
}

impl AccountSettings {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`endpoint`](Self::endpoint).
    #[must_use]
    pub fn with_endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// Sets [`time_zone`](Self::time_zone).
    #[must_use]
    pub fn with_time_zone(mut self, time_zone: Tz) -> Self {
        self.time_zone = Some(time_zone);
        self
    }

    /// Sets [`access`](Self::access).
    #[must_use]
    pub fn with_access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// Sets [`transport`](Self::transport).
    #[must_use]
    pub fn with_transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Sets [`runtime`](Self::runtime).
    #[must_use]
    pub fn with_runtime(mut self, runtime: Handle) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// Sets [`seed`](Self::seed).
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Sets [`connect_timeout`](Self::connect_timeout).
    #[must_use]
    pub fn with_connect_timeout(mut self, connect_timeout: Duration) -> Self {
        self.connect_timeout = connect_timeout;
        self
    }

    /// Sets [`clock`](Self::clock).
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Sets [`own_limits`](Self::own_limits).
    #[must_use]
    pub fn with_own_limits(mut self, own_limits: bool) -> Self {
        self.own_limits = own_limits;
        self
    }
}

/// What time it is, for what is written down: when a run started, which day today is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    held: Option<(DateTime<Utc>, Instant)>,
}

impl Clock {
    /// A clock that shows `time` now and goes on with tokio's, which a test can pause.
    pub fn starting_at(time: DateTime<Utc>) -> Self {
        Self { held: Some((time, Instant::now())) }
    }

    /// The time.
    pub fn now(&self) -> DateTime<Utc> {
        match self.held {
            None => Utc::now(),
            Some((time, since)) => time + since.elapsed(),
        }
    }
}

impl Account {
    /// Opens an account. `region` may be `None` where [`AccountSettings::endpoint`] is set, which goes before it.
    ///
    /// # Errors
    ///
    /// `Error::Setting` if id or passcode cannot be sent in a header, if there is neither region nor endpoint, if the endpoint
    /// is not a plain HTTPS host, or if the system's root certificates are missing.
    pub fn open(id: impl Into<String>, passcode: Secret, region: impl Into<Option<Region>>, settings: AccountSettings) -> Result<Self> {
        let AccountSettings { endpoint, time_zone, access, transport, runtime, seed, connect_timeout, clock, own_limits } = settings;
        let (region, endpoint) = (region.into(), endpoint.as_deref());
        let settings = ClientSettings { region, endpoint, transport, runtime, connect_timeout, seed, own_limits };
        let client = Arc::new(Client::new(id.into(), passcode, settings)?);
        let (runs, failed_rows, project_schema) = (Runs::default(), KeptRows::default(), ProjectSchema::default());
        Ok(Self { inner: Arc::new(Inner { access, scopes: Vec::new(), time_zone, clock, client, runs, failed_rows, project_schema }) })
    }

    /// A part of this account for one tenant. It shares connections and budget with it, and has an access level, ceilings, runs, failed
    /// rows, warnings and `stop` of its own: nobody reads statements or records of another scope. A scope of a scope keeps to both.
    ///
    /// ```
    /// use datafusion_clevertap::scope::{Ceilings, Scope};
    /// use datafusion_clevertap::{Access, Account, AccountSettings, Region, Secret};
    ///
    /// let account = Account::open("ABC-12D-345Z", Secret::new("a-passcode"), Region::In1, AccountSettings::default())?;
    /// let scope = Scope::new("acme").with_access(Access::Read).with_ceilings(Ceilings::new().with_delete_rows_max(10));
    /// let tenant = account.scoped(scope);
    /// assert_eq!((tenant.access(), account.access()), (Access::Read, Access::Write));
    /// # Ok::<(), datafusion_clevertap::Error>(())
    /// ```
    #[must_use]
    pub fn scoped(&self, scope: Scope) -> Self {
        let Inner { access, scopes, time_zone, clock, client, .. } = self.inner.as_ref();
        let inner = Inner {
            access: scope.access.min(*access),
            scopes: scopes.iter().cloned().chain([scope]).collect(),
            time_zone: *time_zone,
            clock: *clock,
            client: Arc::clone(client),
            runs: Runs::default(),
            failed_rows: KeptRows::default(),
            project_schema: ProjectSchema::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The options of a session, within the account's scope.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) for an option that was set beyond its ceiling.
    pub(crate) fn within_scope(&self, options: Options) -> Result<Options> {
        self.inner.scopes.iter().try_fold(options, |options, scope| scope.check(options))
    }

    /// The tenant of the outermost scope whose ceilings are such, so that no remedy proposes what a scope forbids.
    pub(crate) fn whose_scope(&self, is_bound: impl Fn(&Ceilings) -> bool) -> Option<&str> {
        self.inner.scopes.iter().find(|scope| is_bound(&scope.ceilings)).map(|scope| scope.tenant.as_str())
    }

    /// The account id.
    pub fn id(&self) -> &str {
        self.inner.client.account()
    }

    /// The host that its requests go to, with the port where that is not the usual one.
    pub fn host(&self) -> &str {
        self.inner.client.host()
    }

    /// What SQL may do.
    pub fn access(&self) -> Access {
        self.inner.access
    }

    /// The project's time zone, if it was given.
    pub fn time_zone(&self) -> Option<Tz> {
        self.inner.time_zone
    }

    /// What time it is.
    pub fn clock(&self) -> Clock {
        self.inner.clock
    }

    /// Its runs as they stand, oldest first: `clevertap.runs`.
    pub fn runs(&self) -> Vec<Run> {
        self.inner.runs.snapshot()
    }

    /// Stops a running statement: it takes no further rows, what may have arrived goes on to its end, and the statement ends
    /// in an error that tells the four counts. Whether there was such a run.
    pub fn stop(&self, run_id: u64) -> bool {
        self.inner.runs.stop(run_id)
    }

    /// Stops a running statement as [`Account::stop`] does, and waits for no answer: rows that may have arrived are in doubt, failed rows are
    /// written, and the statement ends. Whether there was such a run.
    pub fn abort(&self, run_id: u64) -> bool {
        self.inner.runs.abort(run_id)
    }

    /// The run of this id, as it stands; `None` where this account has none, or no longer remembers it.
    pub fn run(&self, run_uid: &str) -> Option<Run> {
        self.inner.runs.find(run_uid)
    }

    /// Stops the run of this id, as [`Account::stop`] does. A run that has not begun is stopped when it begins, with no row sent. Whether
    /// there was such a run, or a plan that will be it.
    pub fn stop_run(&self, run_uid: &str) -> bool {
        self.inner.runs.stop_uid(run_uid)
    }

    /// Waits until the run of this id has ended; `None` where there is none. A plan that never runs has no run: see
    /// [`run_uids`](crate::run_uids).
    pub async fn wait(&self, run_uid: &str) -> Option<Run> {
        self.inner.runs.wait(run_uid).await
    }

    /// Stops all statements that write, and waits for their end, so that each row has its fate and its evidence; whether all of them
    /// ended within this time. Statements go on to be taken: stop those first. What is waiting to be tried again ends when its attempt does, or
    /// after `retry_for_ms`. Where statements run, it needs the timers of a tokio runtime.
    pub async fn shutdown(&self, within: Duration) -> bool {
        if self.inner.runs.is_idle() {
            return true;
        }
        tokio::time::timeout(within, self.inner.runs.shutdown()).await.is_ok()
    }

    /// The last rows of this run that were read and not accepted.
    pub fn failed_rows_of(&self, run_uid: &str) -> Vec<FailedRow> {
        self.failed_rows().into_iter().filter(|row| *row.run_uid == *run_uid).collect()
    }

    /// The last rows that were read and not accepted: `clevertap.failed_rows`.
    pub fn failed_rows(&self) -> Vec<FailedRow> {
        self.inner.failed_rows.snapshot()
    }

    /// What was done to rows that were sent all the same, and what queries that read found odd: `clevertap.warnings`.
    pub fn warnings(&self) -> Vec<RunWarning> {
        self.inner.runs.warnings()
    }

    /// An id for a run, unique for good: a UUID of version 7.
    pub(crate) fn new_run_uid(&self) -> Arc<str> {
        let millis = u64::try_from(self.clock().now().timestamp_millis()).unwrap_or_default();
        uuid::Builder::from_unix_timestamp_millis(millis, &self.inner.client.random_bytes()).into_uuid().to_string().into()
    }

    /// Its budgets: `clevertap.limits`.
    pub(crate) fn limits(&self) -> Vec<LimitNow> {
        self.inner.client.limits()
    }

    pub(crate) fn runs_kept(&self) -> &Runs {
        &self.inner.runs
    }

    pub(crate) fn failed_rows_kept(&self) -> &KeptRows {
        &self.inner.failed_rows
    }

    pub(crate) fn project_schema(&self) -> &ProjectSchema {
        &self.inner.project_schema
    }

    pub(crate) fn client(&self) -> &Arc<Client> {
        &self.inner.client
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("id", &self.id())
            .field("host", &self.host())
            .field("access", &self.access())
            .field("tenant", &self.inner.scopes.last().map(|scope| &scope.tenant))
            .finish_non_exhaustive()
    }
}
