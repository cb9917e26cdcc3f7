//! Who asks: a token of Google's, from a key file or from the machine.
//!
//! In: the key of a service account, what `gcloud auth application-default login` has left, or the metadata server of a machine in Google's cloud.
//! Out: a bearer token, kept until shortly before it ends. Neither is in an error or a Debug.

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use crate::error::{Error, Result, shown};
use crate::settings::DatabaseSettings;

/// The variable that names a key file, as Google's own programs have it.
const KEY_FILE: &str = "GOOGLE_APPLICATION_CREDENTIALS";
/// The variable that names another metadata server.
const METADATA_HOST: &str = "GCE_METADATA_HOST";
const GOOGLE_TOKENS: &str = "https://oauth2.googleapis.com/token";
const SCOPE: &str = "https://www.googleapis.com/auth/bigquery";
/// The longest that Google lets a token of a key live.
const LIFE_SECONDS: u64 = 3_600;
/// How long before its end a token is renewed: a call that has it may take a while.
const RENEW_BEFORE: Duration = Duration::from_secs(300);
/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What a key file holds.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum KeyFile {
    ServiceAccount { client_email: String, private_key: String, private_key_id: Option<String>, token_uri: Option<String> },
    AuthorizedUser { client_id: String, client_secret: String, refresh_token: String },
}

/// Where tokens come from.
enum Source {
    /// Nowhere: the stand-in of a test asks for none.
    Nobody,
    Key(Box<Key>),
    Login {
        client_id: String,
        client_secret: String,
        refresh_token: String,
    },
    Machine {
        host: String,
    },
}

struct Key {
    email: String,
    key: EncodingKey,
    header: Header,
    tokens: Url,
}

struct Cached {
    token: String,
    renew_at: Instant,
}

/// Tokens, one at a time.
pub(super) struct Tokens {
    source: Source,
    cached: Mutex<Option<Cached>>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.source {
            Source::Nobody => "Tokens(none)",
            Source::Key(_) => "Tokens(key)",
            Source::Login { .. } => "Tokens(login)",
            Source::Machine { .. } => "Tokens(machine)",
        })
    }
}

#[derive(Serialize)]
struct Claims<'c> {
    iss: &'c str,
    scope: &'static str,
    aud: &'c str,
    iat: u64,
    exp: u64,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    #[serde(default = "life")]
    expires_in: u64,
}

fn life() -> u64 {
    LIFE_SECONDS
}

#[derive(Deserialize)]
struct Denied {
    error: String,
}

impl Tokens {
    /// Looks for a key: the settings' own, then the variable's file, then what `gcloud` has left, then the machine. Asks for no token.
    pub(super) fn new(settings: &DatabaseSettings) -> Result<Self> {
        let refuse = |problem: String| Error::Setting(format!("database \"{}\": {problem}", shown(&settings.name)));
        let source = match &settings.password {
            Some(key) => source(key.reveal(), "password_file", settings.endpoint.is_some()).map_err(refuse)?,
            None if settings.endpoint.is_some() => Source::Nobody,
            None => match key_file() {
                Some((place, path)) => {
                    let text = std::fs::read_to_string(&path)
                        .map_err(|error| refuse(format!("the key file of {place} cannot be read: {}", error.kind())))?;
                    source(&text, place, false).map_err(refuse)?
                }
                None => Source::Machine { host: std::env::var(METADATA_HOST).unwrap_or_else(|_| "metadata.google.internal".into()) },
            },
        };
        Ok(Self { source, cached: Mutex::new(None) })
    }

    /// A token; `None` if none is needed.
    pub(super) async fn token(&self, http: &reqwest::Client) -> Result<Option<String>> {
        if matches!(self.source, Source::Nobody) {
            return Ok(None);
        }
        // Whoever comes meanwhile waits for the same one.
        let mut cached = self.cached.lock().await;
        if let Some(cached) = cached.as_ref().filter(|cached| Instant::now() < cached.renew_at) {
            return Ok(Some(cached.token.clone()));
        }
        let granted = self.source.ask(http).await?;
        let life = Duration::from_secs(granted.expires_in.min(LIFE_SECONDS));
        let renew_at = Instant::now() + life.checked_sub(RENEW_BEFORE).unwrap_or(life / 2);
        *cached = Some(Cached { token: granted.access_token.clone(), renew_at });
        Ok(Some(granted.access_token))
    }

    /// A token was refused: the next call asks for another.
    pub(super) async fn forget(&self, token: &str) {
        let mut cached = self.cached.lock().await;
        if cached.as_ref().is_some_and(|cached| cached.token == token) {
            *cached = None;
        }
    }
}

/// A file that holds a key, and what names it.
fn key_file() -> Option<(&'static str, PathBuf)> {
    if let Some(path) = std::env::var_os(KEY_FILE).filter(|path| !path.is_empty()) {
        return Some((KEY_FILE, path.into()));
    }
    let folder = std::env::var_os("CLOUDSDK_CONFIG").map(PathBuf::from).or_else(|| Some(std::env::home_dir()?.join(".config/gcloud")))?;
    let path = folder.join("application_default_credentials.json");
    path.exists().then_some(("gcloud auth application-default login", path))
}

/// What a key file's text says. Its words are not repeated.
fn source(text: &str, place: &str, has_stand_in: bool) -> Result<Source, String> {
    let file: KeyFile = serde_json::from_str(text).map_err(|_| {
        format!(
            "what {place} has is no key file of Google's: JSON of type \"service_account\" or \"authorized_user\". The console makes one: IAM, service \
             accounts, keys"
        )
    })?;
    match file {
        KeyFile::AuthorizedUser { client_id, client_secret, refresh_token } => {
            Ok(Source::Login { client_id, client_secret, refresh_token })
        }
        KeyFile::ServiceAccount { client_email, private_key, private_key_id, token_uri } => {
            let key = EncodingKey::from_rsa_pem(private_key.as_bytes())
                .map_err(|_| format!("the private key that {place} has is no RSA key in PEM; download the key file again"))?;
            let tokens = Url::parse(token_uri.as_deref().unwrap_or(GOOGLE_TOKENS)).ok().filter(|url| is_trusted(url, has_stand_in));
            let tokens = tokens.ok_or_else(|| format!("the token_uri of the key that {place} has is not {GOOGLE_TOKENS}"))?;
            let header = Header { kid: private_key_id, ..Header::new(Algorithm::RS256) };
            Ok(Source::Key(Box::new(Key { email: client_email, key, header, tokens })))
        }
    }
}

/// Whether what a key signs may be sent there: a key file that somebody else wrote must not lead it away.
/// Other hosts of Google's hold what anybody puts there.
fn is_trusted(url: &Url, has_stand_in: bool) -> bool {
    const HOSTS: [&str; 3] = ["oauth2.googleapis.com", "www.googleapis.com", "accounts.google.com"];
    let is_googles = url.scheme() == "https" && url.host_str().is_some_and(|host| HOSTS.contains(&host));
    is_googles || (has_stand_in && is_loopback(url))
}

/// Whether a URL is of this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

impl Source {
    async fn ask(&self, http: &reqwest::Client) -> Result<Granted> {
        let refused = |problem: String| Error::Unauthorized(problem);
        match self {
            Self::Nobody => Err(refused("there is no key".into())),
            Self::Key(key) => {
                #[expect(clippy::disallowed_methods, reason = "a key is signed for the time of the machine")]
                let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.as_secs());
                let claims = Claims { iss: &key.email, scope: SCOPE, aud: key.tokens.as_str(), iat: now, exp: now + LIFE_SECONDS };
                let signed = jsonwebtoken::encode(&key.header, &claims, &key.key)
                    .map_err(|_| refused("the private key signs nothing; download the key file again".into()))?;
                let form = [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", signed.as_str())];
                granted(http.post(key.tokens.clone()).header("content-type", FORM).body(encoded(&form)), KEY_REFUSED).await
            }
            Self::Login { client_id, client_secret, refresh_token } => {
                let form = [
                    ("grant_type", "refresh_token"),
                    ("client_id", client_id),
                    ("client_secret", client_secret),
                    ("refresh_token", refresh_token),
                ];
                let request = http.post(GOOGLE_TOKENS).header("content-type", FORM).body(encoded(&form));
                granted(request, "gcloud auth application-default login renews the login").await
            }
            Self::Machine { host } => {
                // It is no further than the machine itself: no proxy stands between.
                let direct = reqwest::Client::builder().no_proxy().connect_timeout(Duration::from_secs(3)).build();
                let direct = direct.map_err(|_| Error::Unavailable("no connection to the metadata server can be set up".into()))?;
                let url = format!("http://{host}/computeMetadata/v1/instance/service-accounts/default/token?scopes={SCOPE}");
                let request = direct.get(url).header("metadata-flavor", "Google");
                granted(request, "the machine has no service account; give it one, or set password_file to a key").await.map_err(|error| match error {
                    Error::Unavailable(_) => refused(format!(
                        "no key for BigQuery was found, and this is no machine in Google's cloud: set password_file or {KEY_FILE} to the key file of a \
                         service account, or run gcloud auth application-default login"
                    )),
                    error => error,
                })
            }
        }
    }
}

const KEY_REFUSED: &str = "look at this machine's clock, and whether the key was deleted or its account disabled";

const FORM: &str = "application/x-www-form-urlencoded";

fn encoded(form: &[(&str, &str)]) -> String {
    /// Whatever a form gives a meaning to.
    const RESERVED: &AsciiSet =
        &CONTROLS.add(b' ').add(b'%').add(b'&').add(b'+').add(b'=').add(b':').add(b'/').add(b'?').add(b'#').add(b';');
    let pair = |(key, value): &(&str, &str)| format!("{key}={}", utf8_percent_encode(value, RESERVED));
    form.iter().map(pair).collect::<Vec<_>>().join("&")
}

/// How long a grant may be.
const GRANT_BYTES_MAX: usize = 1 << 20;

/// All of a small answer; `None` if it breaks off, or is none.
async fn whole(mut response: reqwest::Response) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if body.len() + chunk.len() > GRANT_BYTES_MAX {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    Some(body)
}

/// Asks for a token, three times where no answer comes.
async fn granted(request: reqwest::RequestBuilder, remedy: &str) -> Result<Granted> {
    const TRIES: u32 = 3;
    let unavailable = || Error::Unavailable("Google's tokens cannot be reached; look at the network, a proxy, a firewall".into());
    for attempt in 1..=TRIES {
        let Some(request) = request.try_clone() else { break };
        let answered = request.timeout(TIMEOUT).send().await;
        if let Ok(response) = answered {
            let status = response.status().as_u16();
            match whole(response).await {
                Some(body) if status == 200 => {
                    return serde_json::from_slice(&body)
                        .map_err(|_| Error::Unauthorized("Google grants a token in a form that this version does not read".into()));
                }
                Some(body) if status < 500 && status != 429 => {
                    let denied = serde_json::from_slice::<Denied>(&body).map_or_else(|_| status.to_string(), |denied| shown(&denied.error));
                    return Err(Error::Unauthorized(format!("Google grants no token ({denied}); {remedy}")));
                }
                _ => {}
            }
        }
        tokio::time::sleep(Duration::from_millis(300) * attempt).await;
    }
    Err(unavailable())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_leads_elsewhere_is_refused_and_nothing_of_it_is_repeated() {
        let said = |text: &str| source(text, "password_file", false).map(|_| ()).unwrap_err();
        assert!(said("hunter2").contains("is no key file of Google's"));
        let key = "{\"type\":\"service_account\",\"client_email\":\"hunter2\",\"private_key\":\"hunter2\"}";
        assert!(said(key).contains("is no RSA key in PEM") && !said(key).contains("hunter2"));
        let trusted = |url: &str| is_trusted(&Url::parse(url).expect("a URL"), false);
        assert!(trusted(GOOGLE_TOKENS) && !trusted("http://127.0.0.1:9/token") && !trusted("https://x.storage.googleapis.com/token"));
        assert!(is_trusted(&Url::parse("http://127.0.0.1:9/token").expect("a URL"), true));
        assert!(!trusted("https://evil.example/token") && !trusted("http://oauth2.googleapis.com/token"));
        assert!(!trusted("https://evilgoogleapis.com/token"));
    }

    #[test]
    fn a_form_is_encoded() {
        assert_eq!(encoded(&[("a", "b c&d=e"), ("f", "1/2")]), "a=b%20c%26d%3De&f=1%2F2");
    }
}
