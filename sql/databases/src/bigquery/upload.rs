//! A file that becomes a load job as it is made.
//!
//! In: bytes, as they come. Out: the job that has begun. Google's resumable upload takes them in chunks of a size that memory bears; a chunk whose
//! answer was lost is asked about, and what has arrived is not sent again. The job begins with the last chunk, and not without it.

use std::sync::Arc;

use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderMap, LOCATION, RANGE};
use serde_json::Value;
use url::Url;

use super::client::{Again, Answer, Client, parsed, pause, unread};
use super::fault::Failure;
use super::jobs::Running;
use super::wire::Job;

/// Bytes of a chunk: a multiple of 256 KiB, as Google asks for.
const CHUNK_BYTES: usize = 8 << 20;
/// How often a chunk is sent.
const TRIES: u32 = 6;

/// An upload that is under way.
pub(super) struct Upload {
    client: Arc<Client>,
    session: Url,
    /// How many bytes Google has.
    arrived: u64,
    /// What follows them.
    waiting: Vec<u8>,
}

impl Upload {
    /// Begins the upload of what `running` will load.
    pub(super) async fn begin(client: &Arc<Client>, running: &Running, configuration: &Value) -> Result<Self, Failure> {
        let (url, body) = (client.upload_url(), running.body(configuration).to_string());
        let request = |http: &reqwest::Client| {
            let request = http.post(url.clone()).header(CONTENT_TYPE, "application/json; charset=UTF-8");
            request.header("x-upload-content-type", "application/octet-stream").body(body.clone())
        };
        // A session that nobody uses ends by itself.
        let answer = client.upload(request, Again::Harmless).await?;
        let session = answer.headers.get(LOCATION).and_then(|to| to.to_str().ok()).and_then(|to| Url::parse(to).ok());
        // Our token goes to no other server.
        let session = session.filter(|session| client.is_own(session)).ok_or_else(|| Failure::Unasked(unread()))?;
        Ok(Self { client: Arc::clone(client), session, arrived: 0, waiting: Vec::new() })
    }

    /// Adds bytes, and sends those that fill a chunk.
    pub(super) async fn push(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.waiting.extend_from_slice(bytes);
        // The last chunk has a byte at the least, so that there is one.
        while self.waiting.len() > CHUNK_BYTES {
            self.send(CHUNK_BYTES, None).await?;
        }
        Ok(())
    }

    /// Sends the rest. [`Failure::Lost`] if the job may have begun.
    pub(super) async fn finish(mut self) -> Result<Job, Failure> {
        let total = self.arrived + self.waiting.len() as u64;
        while !self.waiting.is_empty() {
            let chunk = self.waiting.len().min(CHUNK_BYTES);
            if let Some(job) = self.send(chunk, Some(total)).await? {
                return Ok(job);
            }
        }
        Err(Failure::Lost("has the whole file and began no job".into()))
    }

    /// Sends so many of the bytes that wait. The answer to the last ones is the job.
    async fn send(&mut self, bytes: usize, total: Option<u64>) -> Result<Option<Job>, Failure> {
        let end = self.arrived + bytes as u64;
        for attempt in 1.. {
            let sent = bytes_from(end, self.arrived);
            let chunk = bytes::Bytes::copy_from_slice(&self.waiting[..sent]);
            let range = format!("bytes {}-{}/{}", self.arrived, end - 1, total.map_or("*".to_owned(), |total| total.to_string()));
            let answered = match self.put(chunk, &range, Again::Ask).await {
                // What has arrived must not be sent again.
                Err(Failure::Lost(_)) if attempt < TRIES => {
                    pause(attempt, None).await;
                    let asked = format!("bytes */{}", total.map_or("*".to_owned(), |total| total.to_string()));
                    self.put(bytes::Bytes::new(), &asked, Again::Harmless).await
                }
                answered => answered,
            };
            match answered {
                Ok(answer) if answer.status.is_success() => {
                    self.waiting.clear();
                    return parsed(&answer.body).map(Some);
                }
                Ok(answer) => {
                    let arrived = arrived(&answer.headers);
                    // What has arrived was never less before, nor more than what was sent.
                    let new = arrived.checked_sub(self.arrived).filter(|_| arrived <= end).ok_or_else(|| Failure::Unasked(unread()))?;
                    self.waiting.drain(..usize::try_from(new).unwrap_or(usize::MAX).min(self.waiting.len()));
                    self.arrived = arrived;
                    if arrived == end {
                        return Ok(None);
                    }
                    if new == 0 && attempt >= TRIES {
                        return Err(Failure::Lost("took no more of a file".into()));
                    }
                }
                // The session is gone, with what it had; if it was the last chunk, its job may have begun.
                Err(Failure::Refused(refusal)) if refusal.is_not_found() || refusal.status == 410 => {
                    return Err(Failure::Lost("has forgotten an upload".into()));
                }
                Err(failure) => return Err(failure),
            }
        }
        unreachable!("tries end")
    }

    async fn put(&self, bytes: bytes::Bytes, range: &str, again: Again) -> Result<Answer, Failure> {
        let request = |http: &reqwest::Client| {
            let request = http.put(self.session.clone()).header(CONTENT_RANGE, range);
            request.header("content-length", bytes.len()).body(bytes.clone())
        };
        self.client.upload(request, again).await
    }
}

fn bytes_from(end: u64, arrived: u64) -> usize {
    usize::try_from(end - arrived).unwrap_or(usize::MAX)
}

/// How many bytes Google says that it has: `bytes=0-41` are 42.
fn arrived(headers: &HeaderMap) -> u64 {
    let range = headers.get(RANGE).and_then(|range| range.to_str().ok());
    range.and_then(|range| range.rsplit_once('-')?.1.trim().parse::<u64>().ok()).map_or(0, |last| last + 1)
}
