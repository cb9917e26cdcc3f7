//! Uploads a file with PUT to a URL that CleverTap gave out, on another host.
//!
//! In: the URL, and the file, which can be read repeatedly. Out: nothing, once it is uploaded. The URL is presigned, so no header of
//! the account is sent with it. The file has no effect until another call confirms it, so any transient failure is retried. It needs
//! no permit: the budget of the account counts requests to CleverTap.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::stream::BoxStream;
use tokio::time::{Instant, timeout};
use url::Url;

use super::classify::{AttemptOutcome, Classified, classify};
use super::elapsed::Elapsed;
use super::lane::Lane;
use super::retry::{Arrived, Next, RetryContext};
use super::transport::{Answer, Put};
use crate::error::{Error, Result};
use crate::storage::is_loopback;
use crate::table::Resend;

/// Maximum size of an answer: an error in XML.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Minimum upload rate, for the timeout: a slower connection is considered broken.
const BYTES_PER_SECOND_MIN: u64 = 1 << 20;

/// A file to upload.
pub(crate) struct File<'a> {
    pub(crate) bytes: u64,
    /// Opens the file from its first byte.
    pub(crate) read: &'a (dyn Fn() -> Result<BoxStream<'static, std::io::Result<Bytes>>> + Sync),
}

impl Lane {
    /// Uploads `file` to `url`, in as many attempts as `retry_for` allows.
    ///
    /// # Errors
    /// [`Error::Answer`] for a URL that is not safe for data of people, [`Error::Refused`], [`Error::Setting`] or [`Error::Unavailable`].
    pub(crate) async fn put(&self, url: &str, file: &File<'_>) -> Result<()> {
        let url = self.check_url(url)?;
        let call = format!("PUT of a list's file to {}", url.host_str().unwrap_or_default());
        let limit = self.settings.timeout + Duration::from_secs(file.bytes / BYTES_PER_SECOND_MIN);
        let started_at = Instant::now();
        let mut attempts = 0;
        loop {
            attempts += 1;
            self.requests.fetch_add(1, Ordering::Relaxed);
            self.retries.fetch_add(u64::from(attempts > 1), Ordering::Relaxed);
            self.bytes_sent.fetch_add(file.bytes, Ordering::Relaxed);
            let put = Put {
                content_type: content_type(&url),
                url: url.clone(),
                bytes: file.bytes,
                body: (file.read)()?,
                timeout: limit,
                answer_bytes_max: ANSWER_BYTES_MAX,
            };
            let stopped = || Error::Unavailable(format!("{call} was not waited for: the statement stopped."));
            let answered = tokio::select! {
                biased;
                () = self.settings.stop.stopped() => return Err(stopped()),
                answered = timeout(limit, AssertUnwindSafe(async { self.client.transport.put(put).await }).catch_unwind()) => answered,
            };
            let classified = match answered {
                Ok(Ok(Ok(answer))) => classify(&answer, (&[], &[]), is_stored),
                Ok(Ok(Err(failure))) => failure.into(),
                Ok(Err(_)) => Classified { outcome: AttemptOutcome::Broke, what: "broke off: the account's transport panicked".into() },
                Err(_) => Classified { outcome: AttemptOutcome::Lost, what: format!("timed out after {}", Elapsed(limit)) },
            };
            let context = RetryContext {
                resend: Resend::Idempotent,
                attempts,
                elapsed: started_at.elapsed(),
                retry_for: self.settings.retry_for,
                arrived: Arrived::No,
                host_answered: true,
            };
            match self.client.next(classified.outcome, context) {
                Next::Done => return Ok(()),
                Next::Retry { after } => {
                    tracing::warn!(attempts, "{call} {}; trying again", classified.what);
                    if !self.pause(after).await {
                        return Err(stopped());
                    }
                }
                Next::Setup => return Err(Error::Setting(format!("{call} {}.", classified.what))),
                Next::Malformed | Next::TooLarge | Next::Unauthorized | Next::Refused => {
                    return Err(Error::Refused(format!("{call} {}.", classified.what)));
                }
                Next::InDoubt | Next::GaveUpInDoubt | Next::GaveUpUnsent => {
                    return Err(Error::Unavailable(format!("{call} {}, and did not pass in {attempts} attempts.", classified.what)));
                }
            }
        }
    }

    /// The URL, if it is safe: HTTPS, or loopback if the account is on loopback too.
    fn check_url(&self, url: &str) -> Result<Url> {
        let wrong = |why: &str| Error::Answer(format!("CleverTap gave out a URL for a list's file that {why}. Please report this."));
        let url = Url::parse(url).map_err(|_| wrong("is no URL"))?;
        match url.scheme() {
            "https" => Ok(url),
            "http" if is_loopback(&url) && is_loopback(&self.client.base) => Ok(url),
            _ => Err(wrong("is not https")),
        }
    }
}

/// Whether an answer says that the whole file is stored, now: not a 202 or a 206, and not the error that storages answer in XML.
fn is_stored(answer: &Answer) -> bool {
    const ERROR: &[u8] = b"<Error";
    matches!(answer.status, 200 | 201 | 204) && !answer.body.windows(ERROR.len()).any(|window| window == ERROR)
}

/// The `Content-Type`, if the signature covers it; a header that it does not cover would break it.
fn content_type(url: &Url) -> Option<&'static str> {
    let signed = url.query_pairs().find(|(name, _)| name.eq_ignore_ascii_case("X-Amz-SignedHeaders"));
    signed.is_some_and(|(_, names)| names.split(';').any(|name| name.eq_ignore_ascii_case("content-type"))).then_some("text/csv")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_stored_only_where_the_answer_says_that_it_is_whole() {
        let stored = |status, body: &'static str| is_stored(&Answer::new(status, body));
        assert!(stored(200, "") && stored(201, "") && stored(204, ""));
        assert!(!stored(202, "") && !stored(206, "") && !stored(200, "<?xml?><Error><Code>InternalError</Code></Error>"));
    }

    #[test]
    fn a_content_type_is_sent_only_if_it_is_signed() {
        let typed = |query: &str| content_type(&Url::parse(&format!("https://s3.example.org/x?{query}")).expect("a URL"));
        assert_eq!(typed("X-Amz-SignedHeaders=host"), None);
        assert_eq!(typed("X-Amz-SignedHeaders=content-type%3Bhost"), Some("text/csv"));
        assert_eq!(typed("Signature=abc"), None);
    }
}
