//! Putting a file at a URL that CleverTap gave out, on somebody else's host.
//!
//! In: the URL, and the file as often as it is asked for. Out: nothing, once it is there. The URL is its own permission, so that
//! no header of the account goes with it; nothing is done with the file before another call says so, so that it is put again
//! after anything that may pass. It takes no place in the account's budget, which counts requests to CleverTap.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use tokio::time::{Instant, timeout};
use url::Url;

use super::classify::{CameBack, Classified, classify};
use super::connection::is_loopback;
use super::lane::Lane;
use super::retry::{Arrived, Next, SoFar};
use super::transport::Put;
use crate::error::{Error, Result};
use crate::table::Resend;

/// The largest answer: an error in XML.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// A second more for so many bytes: a line that is slower than this has broken.
const BYTES_A_SECOND: u64 = 1 << 20;

/// A file to be put somewhere.
pub(crate) struct File<'a> {
    pub(crate) bytes: u64,
    /// The file, from its first byte.
    pub(crate) read: &'a (dyn Fn() -> Result<BoxStream<'static, std::io::Result<Bytes>>> + Sync),
}

impl Lane {
    /// Puts `file` at `url`, in as many attempts as `retry_for` allows.
    ///
    /// # Errors
    /// [`Error::Answer`] for a URL that is not to be trusted with people, [`Error::Refused`], or [`Error::Unavailable`].
    pub(crate) async fn put(&self, url: &str, file: &File<'_>) -> Result<()> {
        let url = self.trusted(url)?;
        let call = format!("PUT of a list's file to {}", url.host_str().unwrap_or_default());
        let limit = self.settings.timeout + Duration::from_secs(file.bytes / BYTES_A_SECOND);
        let began = Instant::now();
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
                answered = timeout(limit, self.client.transport.put(put)) => answered,
            };
            let classified = match answered {
                Ok(Ok(answer)) => classify(&answer, (&[], &[]), |_| true),
                Ok(Err(failure)) => failure.into(),
                Err(_) => Classified { came_back: CameBack::Lost, what: format!("timed out after {} s", limit.as_secs()) },
            };
            let so_far = SoFar {
                resend: Resend::Idempotent,
                attempts,
                elapsed: began.elapsed(),
                retry_for: self.settings.retry_for,
                arrived: Arrived::No,
                host_answered: true,
            };
            match self.client.next(classified.came_back, so_far) {
                Next::Done => return Ok(()),
                Next::Retry { after } => {
                    tracing::warn!(attempts, "{call} {}; trying again", classified.what);
                    if !self.pause(after).await {
                        return Err(stopped());
                    }
                }
                Next::Malformed | Next::TooLarge | Next::Unauthorized | Next::Refused => {
                    return Err(Error::Refused(format!("{call} {}.", classified.what)));
                }
                Next::InDoubt | Next::GaveUpInDoubt | Next::GaveUpUnsent => {
                    return Err(Error::Unavailable(format!("{call} {}, and did not pass in {attempts} attempts.", classified.what)));
                }
            }
        }
    }

    /// The URL, if people may be sent there: HTTPS, or this machine where the account is on it too.
    fn trusted(&self, url: &str) -> Result<Url> {
        let wrong = |why: &str| Error::Answer(format!("CleverTap gave out a URL for a list's file that {why}. Please report this."));
        let url = Url::parse(url).map_err(|_| wrong("is no URL"))?;
        match url.scheme() {
            "https" => Ok(url),
            "http" if is_loopback(&url) && is_loopback(&self.client.base) => Ok(url),
            _ => Err(wrong("is not https")),
        }
    }
}

/// What the file is, where the signature holds that; a header that it does not hold would break it.
fn content_type(url: &Url) -> Option<&'static str> {
    let signed = url.query_pairs().find(|(name, _)| name.eq_ignore_ascii_case("X-Amz-SignedHeaders"));
    signed.is_some_and(|(_, names)| names.split(';').any(|name| name.eq_ignore_ascii_case("content-type"))).then_some("text/csv")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_type_is_sent_only_if_it_is_signed() {
        let typed = |query: &str| content_type(&Url::parse(&format!("https://s3.example.org/x?{query}")).expect("a URL"));
        assert_eq!(typed("X-Amz-SignedHeaders=host"), None);
        assert_eq!(typed("X-Amz-SignedHeaders=content-type%3Bhost"), Some("text/csv"));
        assert_eq!(typed("Signature=abc"), None);
    }
}
