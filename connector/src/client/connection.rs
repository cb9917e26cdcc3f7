//! The connection to one account: its host, its credentials, its transport, its budgets.
//!
//! In: [`ClientSettings`]. Out: a [`Client`], which turns requests into calls. Nothing is sent here.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::runtime::Handle;
use url::Url;

use super::answer_bytes::is_export;
use super::classify;
use super::concurrency::{LimitNow, Limits};
#[cfg(feature = "https")]
use super::http::{Https, Network};
use super::regions::Region;
use super::request::Request;
use super::retry;
use super::secret::{self, Secret};
use super::transport::{Answer, Call, Method, Transport};
use crate::error::{Error, Result};
use crate::storage::is_loopback;

/// Larger pages of an export are searched for the passcode where they are decoded.
const SEARCHED_AT_ONCE_BYTES_MAX: usize = 64 * 1024;

/// One account: its host, its credentials, its transport, its budgets.
#[derive(Debug)]
pub(crate) struct Client {
    pub(super) account: String,
    passcode: Secret,
    pub(super) base: Url,
    pub(super) host: String,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) limits: Arc<Limits>,
    /// The jitter of retries.
    rng: Mutex<StdRng>,
    /// Ids of runs, apart from the jitter: planning a statement changes no wait.
    ids: Mutex<StdRng>,
    /// Whether the host has ever answered. Until then, its name may be wrong.
    answered: AtomicBool,
}

/// Settings of a [`Client`], besides account and passcode.
#[derive(Debug)]
pub(crate) struct ClientSettings<'a> {
    /// The region; ignored if there is an endpoint.
    pub(crate) region: Option<Region>,
    /// An endpoint instead of a region.
    pub(crate) endpoint: Option<&'a str>,
    /// A transport instead of HTTPS.
    pub(crate) transport: Option<Arc<dyn Transport>>,
    /// The runtime whose I/O HTTPS uses, instead of that of the statement.
    pub(crate) runtime: Option<Handle>,
    /// Timeout of connecting.
    pub(crate) connect_timeout: Duration,
    /// Seed of the jitter, instead of a random one.
    pub(crate) seed: Option<u64>,
    /// Whether it has budgets of its own, not those of the process.
    pub(crate) own_limits: bool,
}

impl Client {
    /// Checks everything that can be checked without a request.
    pub(crate) fn new(account: String, passcode: Secret, settings: ClientSettings<'_>) -> Result<Self> {
        if account.is_empty() || !secret::header_safe(&account) {
            return Err(Error::Setting(format!(
                "the account id is {account:?}; expected the project id of the dashboard, such as \"ABC-12D-345Z\"."
            )));
        }
        passcode.check()?;
        let base = match (settings.endpoint, settings.region) {
            (Some(endpoint), _) => endpoint_url(endpoint)?,
            (None, Some(region)) => Url::parse(&format!("https://{}", region.host())).map_err(|error| Error::Setting(error.to_string()))?,
            (None, None) => {
                return Err(Error::Setting(format!(
                    "option \"region\" is not set; expected one of {}, or set \"endpoint\".",
                    Region::listed()
                )));
            }
        };
        let host = match (base.host_str().unwrap_or_default(), base.port()) {
            (host, Some(port)) => format!("{host}:{port}"),
            // Both names of this host share one budget.
            ("eu1.api.clevertap.com", None) => Region::Eu1.host().to_owned(),
            (host, None) => host.to_owned(),
        };
        let transport = match settings.transport {
            Some(transport) => transport,
            None => https(&base, settings.connect_timeout, settings.runtime)?,
        };
        Ok(Self {
            account,
            passcode,
            base,
            host,
            transport,
            limits: if settings.own_limits { Arc::default() } else { Limits::shared() },
            rng: Mutex::new(settings.seed.map_or_else(StdRng::from_os_rng, StdRng::seed_from_u64)),
            ids: Mutex::new(settings.seed.map_or_else(StdRng::from_os_rng, |seed| StdRng::seed_from_u64(seed.wrapping_add(1)))),
            answered: AtomicBool::new(false),
        })
    }

    /// The account id.
    pub(crate) fn account(&self) -> &str {
        &self.account
    }

    /// The host, with its port unless that is the default.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The rows of `clevertap.limits`.
    pub(crate) fn limits(&self) -> Vec<LimitNow> {
        self.limits.snapshot(&self.host, &self.account)
    }

    /// The account id as a message shows it: `W12-…-5Z`.
    pub(super) fn account_hint(&self) -> String {
        let chars: Vec<char> = self.account.chars().collect();
        match chars.as_slice() {
            [a, b, c, _, _, .., y, z] => format!("{a}{b}{c}-…-{y}{z}"),
            _ => "…".to_owned(),
        }
    }

    /// The call for one attempt at a request, with the credentials.
    pub(super) fn call(&self, request: &Request, timeout: Duration, answer_bytes_max: usize) -> Call {
        let mut headers =
            vec![("X-CleverTap-Account-Id", self.account.clone()), ("X-CleverTap-Passcode", self.passcode.reveal().to_owned())];
        if request.method == Method::Post {
            headers.push(("Content-Type", "application/json; charset=utf-8".to_owned()));
        }
        Call { method: request.method, url: request.url(&self.base), headers, body: request.body.clone(), timeout, answer_bytes_max }
    }

    /// What is done with an answer before anybody reads it: the passcode is taken out, should the answer repeat it. A large page of an export
    /// is left to who decodes it, off the async threads.
    pub(super) fn receive(&self, path: &str, mut answer: Answer) -> Answer {
        if answer.body.len() <= SEARCHED_AT_ONCE_BYTES_MAX || !is_export(path) {
            answer.body = self.without_passcode(answer.body);
        }
        answer
    }

    /// A body without the passcode.
    pub(crate) fn without_passcode(&self, body: Bytes) -> Bytes {
        self.passcode.stripped_from(body)
    }

    pub(super) fn backoff(&self, tries: u32) -> Duration {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        retry::wait(tries + 1, &mut *rng)
    }

    /// Ten random bytes, for the id of a run.
    pub(crate) fn random_bytes(&self) -> [u8; 10] {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).random()
    }

    pub(super) fn host_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    pub(super) fn note_answer(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    pub(super) fn next(&self, outcome: classify::AttemptOutcome, context: retry::RetryContext) -> retry::Next {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        retry::next(outcome, context, &mut *rng)
    }
}

#[cfg(feature = "https")]
fn https(base: &Url, connect_timeout: Duration, runtime: Option<Handle>) -> Result<Arc<dyn Transport>> {
    let network = if is_loopback(base) { Network::Loopback } else { Network::Internet };
    Ok(Arc::new(Https::new(network, connect_timeout, runtime)?))
}

#[cfg(not(feature = "https"))]
fn https(_: &Url, _: Duration, _: Option<Handle>) -> Result<Arc<dyn Transport>> {
    Err(Error::Setting(
        "this build sends nothing by itself: give the account a transport (AccountSettings::with_transport), or enable the feature \"https\" \
         of datafusion-clevertap."
            .into(),
    ))
}

/// Checks that a passcode may be sent to this endpoint: HTTPS, or loopback.
fn endpoint_url(text: &str) -> Result<Url> {
    let wrong = |why: &str| Error::Setting(format!("option \"endpoint\" {why}; expected a URL such as \"https://in1.api.clevertap.com\"."));
    let url = Url::parse(text).map_err(|_| wrong("is no URL"))?;
    if url.host_str().is_none() {
        return Err(wrong("has no host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("holds a user name or a password"));
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("goes on after the host"));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err(wrong("is http, which would show the passcode to the network")),
        _ => Err(wrong("is not https")),
    }
}
