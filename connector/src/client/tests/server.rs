//! An in-process server that answers by a script and records what it received.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep};

use super::{MS, OK};
use crate::client::transport::{Answer, Call, Failure, FailureKind, Transport};

/// Given the index of a call, from 0, and the number of calls in flight: the delay and the answer.
type Script = dyn Fn(usize, usize) -> (Duration, Result<Answer, Failure>) + Send + Sync;

pub(super) struct Server {
    script: Box<Script>,
    pub(super) seen: Mutex<Seen>,
}

#[derive(Default)]
pub(super) struct Seen {
    pub(super) in_flight: usize,
    pub(super) peak: usize,
    /// When each call arrived, and its body.
    pub(super) calls: Vec<(Instant, Bytes)>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Server")
    }
}

struct InFlight<'a>(&'a Server);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.seen.lock().unwrap().in_flight -= 1;
    }
}

#[async_trait::async_trait]
impl Transport for Server {
    async fn send(&self, call: Call) -> Result<Answer, Failure> {
        let (delay, answer) = {
            let mut seen = self.seen.lock().unwrap();
            seen.in_flight += 1;
            seen.peak = seen.peak.max(seen.in_flight);
            seen.calls.push((Instant::now(), call.body));
            (self.script)(seen.calls.len() - 1, seen.in_flight)
        };
        let _in_flight = InFlight(self);
        sleep(delay).await;
        answer
    }
}

impl Server {
    pub(super) fn new(script: impl Fn(usize, usize) -> (Duration, Result<Answer, Failure>) + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { script: Box::new(script), seen: Mutex::default() })
    }

    /// Gives these answers in turn, each after 100 ms, then success.
    pub(super) fn answers(first: Vec<Result<Answer, Failure>>) -> Arc<Self> {
        Self::new(move |call, _| (100 * MS, first.get(call).cloned().unwrap_or_else(success)))
    }

    pub(super) fn calls(&self) -> usize {
        self.seen.lock().unwrap().calls.len()
    }

    pub(super) fn peak(&self) -> usize {
        self.seen.lock().unwrap().peak
    }
}

pub(super) fn success() -> Result<Answer, Failure> {
    Ok(Answer::new(200, OK))
}

pub(super) fn status(status: u16) -> Result<Answer, Failure> {
    Ok(Answer::new(status, ""))
}

pub(super) fn not_sent() -> Result<Answer, Failure> {
    Err(Failure::new(FailureKind::NotSent, "could not connect (refused)"))
}
