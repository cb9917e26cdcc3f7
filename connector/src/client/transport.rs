//! The seam between policy and network: one call goes out, one answer or one failure comes back.
//!
//! In: a [`Call`] with everything in it, credentials included. Out: an [`Answer`] of any status, or a [`Failure`] that says
//! whether the call can have arrived. A transport repeats nothing, follows no redirect and judges no answer: policy does. It
//! is a trait so that tests and embedders can answer in the process itself.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use url::Url;

/// What carries calls to CleverTap.
#[async_trait]
pub trait Transport: fmt::Debug + Send + Sync {
    /// Carries out one attempt and reads the whole answer.
    ///
    /// The caller drops the future when [`Call::timeout`] has passed; a transport need not watch it.
    ///
    /// # Errors
    ///
    /// A [`Failure`] if no whole answer came back. Its kind is [`FailureKind::NotSent`] only where it is certain that no byte
    /// of the request left: a row whose request may have left is sent again only if that is harmless.
    async fn send(&self, call: Call) -> Result<Answer, Failure>;

    /// Puts a file at a URL of another host, in one attempt, and reads the whole answer. Custom lists need it. A transport that
    /// does not implement it says so to whoever writes one.
    ///
    /// # Errors
    ///
    /// As of [`Transport::send`].
    async fn put(&self, _put: Put) -> Result<Answer, Failure> {
        Err(Failure::new(FailureKind::NotSent, "was not sent, since the account's transport puts no files"))
    }
}

/// A file on its way to a URL that is its own permission. It has no room for the headers of an account: neither its id nor its
/// passcode may reach another host.
pub struct Put {
    /// The full URL, with the signature in its query.
    pub url: Url,
    /// `Content-Type`, where the signature demands it.
    pub content_type: Option<&'static str>,
    /// `Content-Length`.
    pub bytes: u64,
    /// The file.
    pub body: BoxStream<'static, std::io::Result<Bytes>>,
    /// How long the attempt may take, from here to the last byte of the answer.
    pub timeout: Duration,
    /// The largest answer to read.
    pub answer_bytes_max: usize,
}

impl fmt::Debug for Put {
    /// No query, which holds the signature.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Put").field("host", &self.url.host_str()).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// The method of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// One attempt, ready to leave.
#[derive(Clone)]
pub struct Call {
    /// GET or POST.
    pub method: Method,
    /// The full URL, with the query.
    pub url: Url,
    /// The headers that policy sets, the passcode among them. `Content-Type` is there on a POST only.
    pub headers: Vec<(&'static str, String)>,
    /// The whole body; sent with `Content-Length`.
    pub body: Bytes,
    /// How long the attempt may take, from here to the last byte of the answer.
    pub timeout: Duration,
    /// The largest answer to read, after decompression.
    pub answer_bytes_max: usize,
}

impl fmt::Debug for Call {
    /// No header, no query, no body: they hold the passcode and values of people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("method", &self.method)
            .field("host", &self.url.host_str())
            .field("path", &self.url.path())
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// What came back, whatever its status.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The whole body, decompressed.
    pub body: Bytes,
    /// How long the server asked to wait, if it did.
    pub retry_after: Option<Duration>,
}

impl Answer {
    /// An answer without a wish to wait.
    pub fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Self { status, body: body.into(), retry_after: None }
    }
}

impl fmt::Debug for Answer {
    /// Without the body: it may hold values of people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("body_bytes", &self.body.len())
            .field("retry_after", &self.retry_after)
            .finish()
    }
}

/// Why no whole answer came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Whether the call can have arrived.
    pub kind: FailureKind,
    /// What happened, as the end of the sentence "POST /1/upload to host …". Without query, header or body.
    pub what: String,
}

/// Whether a call without an answer can have arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureKind {
    /// It certainly never left: no name, no connection, no TLS.
    NotSent,
    /// It never left because the certificate of the host is not trusted. It is not tried again.
    Certificate,
    /// It may have arrived: a reset, a broken answer.
    Lost,
    /// It arrived, and the answer is larger than [`Call::answer_bytes_max`]. Asking again would not help.
    TooLong,
}

impl Failure {
    /// A failure of this kind; `what` ends the sentence "POST /1/upload to host …".
    pub fn new(kind: FailureKind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into() }
    }
}
