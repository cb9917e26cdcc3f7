//! Calls of BigQuery's REST API: tokens, time limits, tries.
//!
//! In: a method, a path, a body. Out: the answer's bytes, or why there are none. What was answered 429, or with a server's failure, is asked
//! again after a pause that doubles, as Google asks for. What must not be done twice is not asked again here once it may have been done.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use super::fault::{Failure, Refusal};
use super::token::Tokens;
use crate::error::{Error, Result, shown};
use crate::settings::DatabaseSettings;
use crate::unique::random;

const GOOGLE: &str = "https://bigquery.googleapis.com";
/// How often a call is tried.
const TRIES: u32 = 7;
/// How often a server is looked for that nobody hears.
const CONNECTS: u32 = 3;
const PAUSE_FIRST: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(32);
/// How long nothing may be heard of an answer. Whoever waits for a job is answered within twenty seconds.
const SILENCE_MAX: Duration = Duration::from_secs(120);
/// Most bytes of an answer. A page of rows has about ten million.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// Whether a call may be made twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    Harmless,
    /// Whoever made it asks first what became of it.
    Ask,
}

/// BigQuery, as one account sees it.
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    tokens: Tokens,
    /// Whose tables are read and written.
    pub(super) project: String,
    /// Who pays for the jobs.
    pub(super) payer: String,
    pub(super) location: Option<String>,
    pub(super) default_dataset: Option<String>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("project", &self.project).field("tokens", &self.tokens).finish_non_exhaustive()
    }
}

impl Client {
    pub(super) fn new(settings: &DatabaseSettings) -> Result<Self> {
        let option = |key: &str| settings.options.get(key).cloned();
        let project = settings.address.database.clone();
        let agent = concat!("clevertap-databases/", env!("CARGO_PKG_VERSION"), " (gzip)");
        let builder = reqwest::Client::builder()
            .user_agent(agent)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(settings.connect_timeout)
            .read_timeout(SILENCE_MAX)
            .tcp_nodelay(true);
        let builder = if settings.endpoint.is_some() { builder.no_proxy() } else { builder.https_only(true) };
        let set_up = |_| {
            Error::Setting(format!("database \"{}\": TLS cannot be set up; are the system's certificates there?", shown(&settings.name)))
        };
        let base = Url::parse(settings.endpoint.as_deref().unwrap_or(GOOGLE));
        Ok(Self {
            http: builder.build().map_err(set_up)?,
            base: base.map_err(|_| Error::Setting("the endpoint is no URL".into()))?,
            tokens: Tokens::new(settings)?,
            payer: option("billing_project").unwrap_or_else(|| project.clone()),
            project,
            location: option("location"),
            default_dataset: option("default_dataset"),
        })
    }

    /// The URL of `/bigquery/v2/projects/PROJECT/…`.
    pub(super) fn url(&self, project: &str, steps: &[&str], query: &[(&str, &str)]) -> Url {
        self.url_below(&["bigquery", "v2", "projects", project], steps, query)
    }

    /// The URL that an upload begins with.
    pub(super) fn upload_url(&self) -> Url {
        self.url_below(&["upload", "bigquery", "v2", "projects", &self.payer], &["jobs"], &[("uploadType", "resumable")])
    }

    fn url_below(&self, root: &[&str], steps: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        // The base is one of http or https, which have paths.
        if let Ok(mut path) = url.path_segments_mut() {
            path.clear().extend(root).extend(steps);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// Whether a URL is of the server that has our token.
    pub(super) fn is_own(&self, url: &Url) -> bool {
        url.origin() == self.base.origin()
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, url: Url) -> Result<T, Failure> {
        parsed(&self.call(Method::GET, url, None, Again::Harmless).await?)
    }

    pub(super) async fn call(&self, method: Method, url: Url, body: Option<&Value>, again: Again) -> Result<Bytes, Failure> {
        let request = || {
            let request = self.http.request(method.clone(), url.clone());
            match body {
                Some(body) => request.header("content-type", "application/json").body(body.to_string()),
                // Without its length a POST is refused.
                None if method == Method::POST => request.header("content-length", "0"),
                None => request,
            }
        };
        Ok(self.tried(request, again, |status| status.is_success()).await?.body)
    }

    /// A PUT or POST of an upload, whose answers may be others than success.
    pub(super) async fn upload(&self, request: impl Fn(&reqwest::Client) -> RequestBuilder, again: Again) -> Result<Answer, Failure> {
        self.tried(|| request(&self.http), again, |status| status.is_success() || status == StatusCode::PERMANENT_REDIRECT).await
    }

    async fn tried(
        &self,
        request: impl Fn() -> RequestBuilder,
        again: Again,
        is_good: impl Fn(StatusCode) -> bool,
    ) -> Result<Answer, Failure> {
        let mut has_new_token = false;
        for attempt in 1.. {
            let token = self.tokens.token(&self.http).await.map_err(Failure::Unasked)?;
            let mut request = request();
            if let Some(token) = &token {
                request = request.bearer_auth(token);
            }
            let mut wait = None;
            let failure = match answer(request).await {
                Ok(answer) if is_good(answer.status) => return Ok(answer),
                Ok(answer) => {
                    if let Some(token) = token.filter(|_| answer.status == StatusCode::UNAUTHORIZED && !has_new_token) {
                        // It may have been withdrawn before its end.
                        has_new_token = true;
                        self.tokens.forget(&token).await;
                        continue;
                    }
                    wait = answer.wait();
                    let refusal = Refusal::of(answer.status.as_u16(), &answer.body);
                    match again {
                        Again::Ask if answer.status.is_server_error() => {
                            return Err(Failure::Lost(format!("failed ({})", answer.status.as_u16())));
                        }
                        _ if refusal.is_too_fast() || answer.status.is_server_error() => Failure::Refused(refusal),
                        _ => return Err(Failure::Refused(refusal)),
                    }
                }
                Err(Unanswered::NotSent) if attempt >= CONNECTS => return Err(Failure::Unasked(self.unreachable())),
                Err(Unanswered::NotSent) => Failure::Unasked(self.unreachable()),
                Err(Unanswered::Lost) if again == Again::Ask => return Err(Failure::Lost("gave no answer".into())),
                Err(Unanswered::Lost) => Failure::Lost("gave no answer".into()),
            };
            if attempt >= TRIES {
                return Err(failure);
            }
            pause(attempt, wait).await;
        }
        unreachable!("tries end")
    }

    fn unreachable(&self) -> Error {
        let place = self.base.host_str().unwrap_or_default();
        Error::Unavailable(format!("BigQuery at {} cannot be reached; look at the network, a proxy, a firewall", shown(place)))
    }
}

/// An answer.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    /// How long the server asks to wait.
    fn wait(&self) -> Option<Duration> {
        self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
    }
}

/// Waits before a try that is not the first: twice as long each time, and not in step with others.
pub(super) async fn pause(attempt: u32, wait: Option<Duration>) {
    let doubled = PAUSE_FIRST.saturating_mul(1 << attempt.saturating_sub(1).min(10)).min(PAUSE_MAX);
    let jitter = doubled.mul_f64((random() % 1_000) as f64 / 2_000.0);
    tokio::time::sleep(wait.unwrap_or(doubled).min(PAUSE_MAX * 2) + jitter).await;
}

enum Unanswered {
    NotSent,
    Lost,
}

async fn answer(request: RequestBuilder) -> Result<Answer, Unanswered> {
    let sent = request.send().await;
    let mut response = sent.map_err(|error| if error.is_connect() { Unanswered::NotSent } else { Unanswered::Lost })?;
    let (status, headers) = (response.status(), response.headers().clone());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|_| Unanswered::Lost)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(Unanswered::Lost);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, headers, body: body.into() })
}

/// An answer's contents.
pub(super) fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|_| Failure::Unasked(unread()))
}

/// An answer has another form than the documented one.
pub(super) fn unread() -> Error {
    Error::Refused("BigQuery answers in a form that this version does not read; please report this".into())
}
