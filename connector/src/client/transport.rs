//! The boundary between policy and network: one call goes out, one answer or one failure comes back.
//!
//! In: a complete [`Call`], credentials included. Out: an [`Answer`] of any status, or a [`Failure`] that says whether the call may
//! have arrived. A transport does not retry, does not follow redirects and does not judge answers: policy does. It is a trait so that
//! tests and embedders can answer in process.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use url::Url;

/// Sends calls to CleverTap.
#[async_trait]
pub trait Transport: fmt::Debug + Send + Sync {
    /// Makes one attempt and reads the complete answer.
    ///
    /// The caller drops the future after [`Call::timeout`]; a transport need not enforce it.
    ///
    /// # Errors
    ///
    /// A [`Failure`] if no complete answer came back. Its kind may be [`FailureKind::NotSent`] only if it is certain that no byte of
    /// the request was sent: such a request is always sent again, and otherwise rows might be duplicated.
    async fn send(&self, call: Call) -> Result<Answer, Failure>;

    /// Uploads a file with PUT to a URL of another host, in one attempt, and reads the complete answer. Custom lists need it; without
    /// an implementation, writing one fails with a message.
    ///
    /// # Errors
    ///
    /// As for [`Transport::send`].
    async fn put(&self, _put: Put) -> Result<Answer, Failure> {
        Err(Failure::new(FailureKind::Setup, "was not sent, since the account's transport puts no files; implement Transport::put"))
    }
}

/// A file to upload to a presigned URL. It has no account headers: neither id nor passcode may reach another host.
#[non_exhaustive]
pub struct Put {
    /// The full URL, with the signature in its query.
    pub url: Url,
    /// `Content-Type`, if the signature requires it.
    pub content_type: Option<&'static str>,
    /// `Content-Length`.
    pub bytes: u64,
    /// The file.
    pub body: BoxStream<'static, std::io::Result<Bytes>>,
    /// Timeout of the attempt, up to the last byte of the answer.
    pub timeout: Duration,
    /// Maximum size of the answer.
    pub answer_bytes_max: usize,
}

impl fmt::Debug for Put {
    /// Without the query, which holds the signature.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Put").field("host", &self.url.host_str()).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// The method of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Method {
    /// Without a body.
    Get,
    /// With a body of JSON.
    Post,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Get => "GET",
            Self::Post => "POST",
        })
    }
}

/// One attempt, ready to be sent.
#[derive(Clone)]
#[non_exhaustive]
pub struct Call {
    /// The HTTP method.
    pub method: Method,
    /// The full URL, with the query.
    pub url: Url,
    /// The headers that policy sets, including the passcode. Only a POST has `Content-Type`.
    pub headers: Vec<(&'static str, String)>,
    /// The complete body; sent with `Content-Length`.
    pub body: Bytes,
    /// Timeout of the attempt, up to the last byte of the answer.
    pub timeout: Duration,
    /// Maximum size of the answer after decompression.
    pub answer_bytes_max: usize,
}

impl fmt::Debug for Call {
    /// Without headers, query and body, which hold the passcode and values of people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("method", &self.method)
            .field("host", &self.url.host_str())
            .field("path", &self.url.path())
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// An answer of any status.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The complete body, decompressed.
    pub body: Bytes,
    /// `Retry-After`, if the server sent it.
    pub retry_after: Option<Duration>,
}

impl Answer {
    /// An answer without `Retry-After`.
    pub fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Self { status, body: body.into(), retry_after: None }
    }

    /// Sets [`retry_after`](Self::retry_after).
    #[must_use]
    pub fn with_retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }
}

impl fmt::Debug for Answer {
    /// Without the body, which may hold values of people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("body_bytes", &self.body.len())
            .field("retry_after", &self.retry_after)
            .finish()
    }
}

/// Why no complete answer came back.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// Whether the call may have arrived.
    pub kind: FailureKind,
    /// What happened, as the end of the sentence "POST /1/upload to host …". Never contains query, headers or body.
    pub what: String,
}

/// Whether a call without an answer may have arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureKind {
    /// It was certainly not sent: no DNS entry, no connection, no TLS.
    NotSent,
    /// It was not sent, because the certificate of the host is not trusted. It is not retried.
    Certificate,
    /// It was not sent, and cannot be as the process is set up: `what` says what is missing. The statement ends with
    /// [`Error::Setting`](crate::Error::Setting).
    Setup,
    /// It may have arrived: a reset, a broken answer.
    Lost,
    /// It arrived, and the answer is larger than [`Call::answer_bytes_max`]. A retry would not help.
    TooLong,
}

impl Failure {
    /// A failure of this kind; `what` ends the sentence "POST /1/upload to host …".
    pub fn new(kind: FailureKind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into() }
    }
}
