//! The emulator as a `Transport`: what a session of a test sends arrives there without a socket, so that a paused clock works and a run
//! repeats by its seed.
//!
//! In: calls of the connector. Out: what the emulator answers, or what a test scripted instead, with every call kept for the test to look
//! at. The tests themselves are in `it/`, one binary; the SQL files that it runs in `slt/`; the emulator in `emulator/`;
//! what tests of several crates start besides in `python`.

pub mod python;

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use clevertap_emulator::Emulator;
use datafusion_clevertap::transport::{Answer, Call, Failure, FailureKind, Put, Transport};
use futures::TryStreamExt;

/// A call as it was sent.
#[derive(Debug, Clone)]
pub struct SentCall {
    /// `GET`, `POST` or `PUT`.
    pub method: String,
    /// The path of its URL.
    pub path: String,
    /// The query of its URL.
    pub query: Option<String>,
    /// Without their values: one of them is the passcode.
    pub headers: Vec<&'static str>,
    /// Its body as text.
    pub body: String,
}

/// What a call meets instead of the emulator.
#[derive(Debug, Clone)]
pub enum Scripted {
    /// No answer.
    Fail(FailureKind, &'static str),
    /// An answer with this status and body.
    Answer(u16, &'static str),
    /// The emulator after all.
    PassOn,
}

/// Whether the calls are kept: nobody keeps the bodies of a million rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallLog {
    /// Each of them.
    Kept,
    /// None of them.
    Off,
}

/// Hands calls to an emulator.
#[derive(Debug)]
pub struct EmulatorTransport {
    emulator: Emulator,
    log: CallLog,
    sent: Mutex<Vec<SentCall>>,
    script: Mutex<VecDeque<Scripted>>,
    change: Mutex<Option<Change>>,
}

/// What happens to the emulator's answer to a call on its way.
struct Change(Box<ChangeAnswer>);

type ChangeAnswer = dyn FnMut(&SentCall, Answer) -> Answer + Send;

impl std::fmt::Debug for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Change")
    }
}

impl EmulatorTransport {
    /// A transport that leads to `emulator`.
    #[must_use]
    pub fn new(emulator: Emulator, log: CallLog) -> Self {
        Self { emulator, log, sent: Mutex::default(), script: Mutex::default(), change: Mutex::default() }
    }

    /// What the next calls meet, in their order.
    pub fn script(&self, steps: impl IntoIterator<Item = Scripted>) {
        lock(&self.script).extend(steps);
    }

    /// Has every answer of the emulator pass through `change`.
    pub fn change_answers(&self, change: impl FnMut(&SentCall, Answer) -> Answer + Send + 'static) {
        *lock(&self.change) = Some(Change(Box::new(change)));
    }

    /// The calls so far.
    #[must_use]
    pub fn sent(&self) -> Vec<SentCall> {
        lock(&self.sent).clone()
    }

    /// Forgets the calls so far.
    pub fn forget_sent(&self) {
        lock(&self.sent).clear();
    }

    fn keep(&self, call: SentCall) {
        if self.log == CallLog::Kept {
            lock(&self.sent).push(call);
        }
    }

    fn scripted(&self) -> Option<Result<Answer, Failure>> {
        match lock(&self.script).pop_front() {
            Some(Scripted::Fail(kind, what)) => Some(Err(Failure::new(kind, what))),
            Some(Scripted::Answer(status, body)) => Some(Ok(Answer::new(status, body))),
            Some(Scripted::PassOn) | None => None,
        }
    }
}

#[async_trait]
impl Transport for EmulatorTransport {
    async fn send(&self, call: Call) -> Result<Answer, Failure> {
        let sent = SentCall {
            method: call.method.to_string(),
            path: call.url.path().to_owned(),
            query: call.url.query().map(str::to_owned),
            headers: call.headers.iter().map(|(name, _)| *name).collect(),
            body: String::from_utf8_lossy(&call.body).into_owned(),
        };
        self.keep(sent.clone());
        if let Some(answered) = self.scripted() {
            return answered;
        }
        let answer = send(&self.emulator, call).await?;
        Ok(match &mut *lock(&self.change) {
            Some(Change(change)) => change(&sent, answer),
            None => answer,
        })
    }

    async fn put(&self, put: Put) -> Result<Answer, Failure> {
        let chunks: Vec<Bytes> = put.body.try_collect().await.map_err(|_| Failure::new(FailureKind::Lost, "was cut off"))?;
        let body = Bytes::from(chunks.concat());
        assert_eq!(body.len() as u64, put.bytes, "the length that is announced is the file's");
        self.keep(SentCall {
            method: "PUT".to_owned(),
            path: put.url.path().to_owned(),
            query: put.url.query().map(str::to_owned),
            headers: put.content_type.map(|_| "Content-Type").into_iter().collect(),
            body: String::from_utf8_lossy(&body).into_owned(),
        });
        if let Some(answered) = self.scripted() {
            return answered;
        }
        let mut request = http::Request::put(put.url.as_str()).header("Content-Length", put.bytes);
        if let Some(content_type) = put.content_type {
            request = request.header("Content-Type", content_type);
        }
        handle(&self.emulator, request.body(body)).await
    }
}

/// Sends a call to an emulator: for transports that do something of their own with it.
///
/// # Errors
///
/// The call is no request, or a fault cut the connection.
pub async fn send(emulator: &Emulator, call: Call) -> Result<Answer, Failure> {
    let mut request = http::Request::builder().method(call.method.to_string().as_str()).uri(call.url.as_str());
    for (name, value) in &call.headers {
        request = request.header(*name, value);
    }
    handle(emulator, request.body(call.body)).await
}

async fn handle(emulator: &Emulator, request: http::Result<http::Request<Bytes>>) -> Result<Answer, Failure> {
    let request = request.map_err(|_| Failure::new(FailureKind::NotSent, "is no request"))?;
    let answer = emulator.handle(request).await.map_err(|_| Failure::new(FailureKind::Lost, "was cut off"))?;
    Ok(Answer::new(answer.status().as_u16(), answer.into_body()))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// README.md of the project, so that its Rust blocks run as tests.
#[doc = include_str!("../README.md")]
#[cfg(doctest)]
#[derive(Debug)]
pub struct ProjectReadme;
