//! Calls over HTTPS, with reqwest.
//!
//! In: a [`Call`]. Out: an [`Answer`], or a [`Failure`] with a kind that is certain: only an error of connecting is "not sent". Connecting
//! (DNS, TCP, TLS) therefore ends before the attempt does, however short that is: the attempt's own end would not tell one from the other. A connection
//! that closes before its answer may have carried the request, even if it was idle before. hyper only repeats by itself what it has
//! not begun to write, and what the other end reports as not processed.
//!
//! Connections belong to the runtime that sends, or to the one that the account was given. Where that has no I/O, tokio panics when the
//! first connection is made: that is told as a setting.

use std::error::Error as StdError;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use chrono::DateTime;
use datafusion::common::runtime::SpawnedTask;
use futures::FutureExt;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use tokio::runtime::Handle;

use super::transport::{Answer, Call, Failure, FailureKind, Method, Put, Transport};
use crate::error::{Error, Result};

/// Idle connections kept: one per upload in flight.
const IDLE_MAX: usize = 16;

/// Shorter than the idle timeout of common load balancers (60 s), so that a connection is rarely closed just when it is reused.
const IDLE_FOR: Duration = Duration::from_secs(45);

/// The first allocation for an answer of unknown length.
const ANSWER_BYTES_GUESS: usize = 16 * 1024;

/// Where the host is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Network {
    /// On the internet: only HTTPS, with the proxy from the environment.
    Internet,
    /// On this machine: HTTP is allowed, and no proxy is used.
    Loopback,
}

/// A connection pool.
#[derive(Debug)]
pub(crate) struct Https {
    network: Network,
    connect_timeout: Duration,
    client: reqwest::Client,
    /// The pool of attempts that are shorter than connecting may take, with how long it may take there.
    hurried: Mutex<Option<(Duration, reqwest::Client)>>,
    /// The runtime whose I/O is used, instead of that of the statement.
    runtime: Option<Handle>,
}

impl Https {
    pub(crate) fn new(network: Network, connect_timeout: Duration, runtime: Option<Handle>) -> Result<Self> {
        let client = client(network, connect_timeout)?;
        Ok(Self { network, connect_timeout, client, hurried: Mutex::default(), runtime })
    }

    /// The pool for an attempt of `timeout`: one that has ended connecting, well or not, when three quarters of it are over.
    fn client(&self, timeout: Duration) -> std::result::Result<reqwest::Client, Failure> {
        let connect_timeout = timeout / 4 * 3;
        if connect_timeout >= self.connect_timeout {
            return Ok(self.client.clone());
        }
        let mut hurried = self.hurried.lock().unwrap_or_else(PoisonError::into_inner);
        match &*hurried {
            Some((of, client)) if *of == connect_timeout => Ok(client.clone()),
            _ => {
                let client =
                    client(self.network, connect_timeout).map_err(|error| unsent(&format!("was not sent: {}", error.sentence())))?;
                *hurried = Some((connect_timeout, client.clone()));
                Ok(client)
            }
        }
    }

    /// Sends on the account's runtime, or on this one. Dropping the future drops the request.
    async fn execute(&self, request: reqwest::RequestBuilder, bytes_max: usize) -> std::result::Result<Answer, Failure> {
        let sent = AssertUnwindSafe(exchange(request, bytes_max)).catch_unwind();
        let sent = match &self.runtime {
            None => sent.await,
            Some(runtime) => {
                let began = Arc::new(AtomicBool::new(false));
                let task = {
                    let (_entered, began) = (runtime.enter(), Arc::clone(&began));
                    SpawnedTask::spawn(async move {
                        began.store(true, Ordering::SeqCst);
                        sent.await
                    })
                };
                task.await.unwrap_or_else(|_| {
                    let (kind, what) = if began.load(Ordering::SeqCst) {
                        (FailureKind::Lost, "lost its answer: the runtime that the account was given has been shut down")
                    } else {
                        (
                            FailureKind::Setup,
                            "was not sent: the runtime that the account was given has been shut down. Open the account again",
                        )
                    };
                    Ok(Err(Failure::new(kind, what)))
                })
            }
        };
        sent.unwrap_or_else(|panic| if lacks_a_driver(&*panic) { Err(without_io()) } else { resume_unwind(panic) })
    }
}

/// A pool whose connections take this long to be made.
fn client(network: Network, connect_timeout: Duration) -> Result<reqwest::Client> {
    let builder = reqwest::Client::builder()
        .user_agent(concat!("datafusion-clevertap/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .connect_timeout(connect_timeout)
        .tcp_nodelay(true)
        .pool_max_idle_per_host(IDLE_MAX)
        .pool_idle_timeout(IDLE_FOR)
        .http2_adaptive_window(true);
    let builder = match network {
        Network::Internet => builder.https_only(true),
        Network::Loopback => builder.no_proxy(),
    };
    builder.build().map_err(|error| {
        Error::Setting(format!("TLS cannot be set up: {}. Are the root certificates of the system there?", root_cause(&error)))
    })
}

/// Whether this is the panic of tokio on a runtime that makes no connections, or keeps no time for them. There is no other way to ask.
fn lacks_a_driver(panic: &(dyn std::any::Any + Send)) -> bool {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.is_some_and(|text| ["IO is disabled", "timers are disabled", "no reactor running"].iter().any(|known| text.contains(known)))
}

fn without_io() -> Failure {
    let what = "was not sent: this runtime has no I/O, or no timers. Enable both (tokio::runtime::Builder::enable_all), or give the account a \
                runtime that has them (AccountSettings::with_runtime)";
    Failure::new(FailureKind::Setup, what)
}

#[async_trait]
impl Transport for Https {
    async fn send(&self, call: Call) -> std::result::Result<Answer, Failure> {
        let method = match call.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
        };
        let mut request = self.client(call.timeout)?.request(method, call.url);
        for (name, value) in call.headers {
            let mut value = HeaderValue::try_from(value).map_err(|_| unsent("has a header that HTTP cannot carry"))?;
            value.set_sensitive(true);
            request = request.header(HeaderName::from_bytes(name.as_bytes()).map_err(|_| unsent("has a header without a name"))?, value);
        }
        if call.method == Method::Post {
            // For an empty body hyper would not send it.
            request = request.header(CONTENT_LENGTH, call.body.len()).body(call.body);
        }
        self.execute(request, call.answer_bytes_max).await
    }

    async fn put(&self, put: Put) -> std::result::Result<Answer, Failure> {
        let mut request = self.client(put.timeout)?.put(put.url).header(CONTENT_LENGTH, put.bytes);
        if let Some(content_type) = put.content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        self.execute(request.body(reqwest::Body::wrap_stream(put.body)), put.answer_bytes_max).await
    }
}

async fn exchange(request: reqwest::RequestBuilder, bytes_max: usize) -> std::result::Result<Answer, Failure> {
    let response = request.send().await.map_err(failure)?;
    let status = response.status().as_u16();
    let retry_after = retry_after(response.headers());
    let body = read_capped(response, bytes_max).await?;
    Ok(Answer { status, body, retry_after })
}

/// Reads and decompresses the body of an answer, unless it is larger than the cap.
async fn read_capped(mut response: reqwest::Response, bytes_max: usize) -> std::result::Result<Bytes, Failure> {
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok());
    let mut body = BytesMut::with_capacity(announced.unwrap_or(ANSWER_BYTES_GUESS).min(bytes_max));
    while let Some(chunk) = response.chunk().await.map_err(failure)? {
        if chunk.len() > bytes_max - body.len() {
            return Err(Failure::new(FailureKind::TooLong, format!("was answered with more than {bytes_max} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// The `Retry-After` of the server: seconds, or a date, which is compared with the `Date` of the same answer and not with our clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = DateTime::parse_from_rfc2822(text).ok()?;
    let answered_at = DateTime::parse_from_rfc2822(headers.get(DATE)?.to_str().ok()?).ok()?;
    Some((until - answered_at).to_std().unwrap_or_default())
}

fn unsent(what: &str) -> Failure {
    Failure::new(FailureKind::Setup, what)
}

fn failure(error: reqwest::Error) -> Failure {
    let error = error.without_url();
    let cause = root_cause(&error);
    if error.is_builder() {
        return unsent(&format!("was not sent, since no request can be made of it ({cause})"));
    }
    if !error.is_connect() {
        return Failure::new(FailureKind::Lost, format!("lost its answer after it was sent ({cause})"));
    }
    // rustls is not a direct dependency, so the error type is not available; a wrong guess costs two more attempts.
    let kind = if cause.starts_with("invalid peer certificate") { FailureKind::Certificate } else { FailureKind::NotSent };
    Failure::new(kind, format!("could not connect ({cause})"))
}

/// The message of the innermost cause: from the system, TLS or HTTP, none of which knows the request.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &(dyn StdError + 'static) = error;
    loop {
        // `source()` of an `io::Error` skips the error that it wraps.
        let wrapped = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        match wrapped.map(|wrapped| wrapped as &(dyn StdError + 'static)).or_else(|| cause.source()) {
            Some(inner) => cause = inner,
            None => return cause.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use url::Url;

    use super::*;
    use crate::account::{Account, AccountSettings};
    use crate::client::{Api, Arrived, Lane, LaneSettings, Outcome, Request, Secret, has_status};
    use crate::options::Options;
    use crate::table::Resend;

    const CAP: usize = 1024;

    fn transport() -> Https {
        Https::new(Network::Loopback, Duration::from_secs(5), None).unwrap()
    }

    fn call(method: Method, port: u16) -> Call {
        Call {
            method,
            url: Url::parse(&format!("http://127.0.0.1:{port}/1/x?email=ann%40example.com")).unwrap(),
            headers: vec![("X-CleverTap-Passcode", "p4ss".to_owned())],
            body: Bytes::from_static(b"{\"d\":[]}"),
            timeout: Duration::from_secs(5),
            answer_bytes_max: CAP,
        }
    }

    /// Reads a request up to the end of its head, and its body of 8 bytes if it has one.
    async fn read_request(stream: &mut TcpStream) -> String {
        let mut text = Vec::new();
        let mut chunk = [0; 1024];
        loop {
            let read = stream.read(&mut chunk).await.unwrap();
            text.extend_from_slice(&chunk[..read]);
            let request = String::from_utf8_lossy(&text);
            if read == 0 || request.ends_with("\r\n\r\n") || request.ends_with("{\"d\":[]}") {
                return request.into_owned();
            }
        }
    }

    /// The result of a POST that is answered with these bytes before the connection is closed.
    async fn answered_with(bytes: &[u8]) -> (String, std::result::Result<Answer, Failure>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let request = read_request(&mut stream).await;
            // The client may have closed the connection already.
            stream.write_all(bytes).await.ok();
            request
        };
        let transport = transport();
        tokio::join!(serve, transport.send(call(Method::Post, port)))
    }

    async fn kind_of(bytes: &[u8]) -> FailureKind {
        let failure = answered_with(bytes).await.1.unwrap_err();
        assert!(!failure.what.contains("ann") && !failure.what.contains("127.0.0.1"), "{}", failure.what);
        failure.kind
    }

    /// A server that takes connections and says nothing on them.
    async fn mute() -> (TcpListener, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, port)
    }

    /// Appends in doubt stop a load, so that what never left is not one of them.
    #[tokio::test]
    async fn a_handshake_that_never_ends_is_not_sent_however_short_the_attempt() {
        let (_listener, port) = mute().await;
        let transport = transport();
        for timeout in [800, 801, 800].map(Duration::from_millis) {
            let call = Call { url: Url::parse(&format!("https://127.0.0.1:{port}/1/x")).unwrap(), timeout, ..call(Method::Post, port) };
            // As the lane ends it.
            let sent = tokio::time::timeout(timeout, transport.send(call)).await.expect("connecting ends before the attempt");
            let failure = sent.unwrap_err();
            assert_eq!(failure.kind, FailureKind::NotSent, "{}", failure.what);
        }
    }

    #[tokio::test]
    async fn an_attempt_that_connected_is_not_ended_by_the_time_for_connecting() {
        let (listener, port) = mute().await;
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_request(&mut stream).await;
            tokio::time::sleep(Duration::from_millis(350)).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        };
        let call = Call { timeout: Duration::from_millis(400), ..call(Method::Post, port) };
        let transport = transport();
        assert_eq!(tokio::join!(serve, transport.send(call)).1, Ok(Answer::new(200, "")));
    }

    #[tokio::test]
    async fn what_no_request_can_be_made_of_is_a_setting() {
        let transport = Https::new(Network::Internet, Duration::from_secs(5), None).unwrap();
        let failure = transport.send(call(Method::Post, 9)).await.unwrap_err();
        assert!(failure.kind == FailureKind::Setup && !failure.what.contains("ann"), "{}", failure.what);
    }

    #[tokio::test]
    async fn bodies_and_answers_are_transferred_completely() {
        let (request, answer) = answered_with(b"HTTP/1.1 503 No\r\nRetry-After: 7\r\nContent-Length: 3\r\n\r\nabc").await;
        assert_eq!(answer, Ok(Answer { status: 503, body: "abc".into(), retry_after: Some(Duration::from_secs(7)) }));
        let request = request.to_lowercase();
        assert!(request.starts_with("post /1/x?email=ann%40example.com http/1.1\r\n"), "{request}");
        for header in ["content-length: 8", "x-clevertap-passcode: p4ss", "user-agent: datafusion-clevertap/", "accept-encoding: gzip"] {
            assert!(request.contains(&format!("\r\n{header}")), "{header} in {request}");
        }
        assert!(!request.contains("transfer-encoding"), "{request}");
    }

    #[tokio::test]
    async fn no_redirect_is_followed() {
        let (_, answer) = answered_with(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n").await;
        assert_eq!(answer, Ok(Answer::new(302, "")));
    }

    #[tokio::test]
    async fn a_delay_may_be_a_date() {
        let (_, answer) = answered_with(
            b"HTTP/1.1 429 No\r\nDate: Wed, 21 Oct 2026 07:28:00 GMT\r\nRetry-After: Wed, 21 Oct 2026 07:29:30 GMT\r\nContent-Length: 0\r\n\r\n",
        )
        .await;
        assert_eq!(answer.map(|answer| answer.retry_after), Ok(Some(Duration::from_secs(90))));
    }

    #[tokio::test]
    async fn a_connection_that_closes_before_the_whole_answer_has_lost_it() {
        assert_eq!(kind_of(b"").await, FailureKind::Lost);
        assert_eq!(kind_of(b"HTTP/1.1 200 OK\r\nContent-Len").await, FailureKind::Lost);
        assert_eq!(kind_of(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"status\":").await, FailureKind::Lost);
        assert_eq!(kind_of(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n").await, FailureKind::Lost);
        assert_eq!(kind_of(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc").await, FailureKind::Lost);
        assert_eq!(kind_of(b"garbage\r\n\r\n").await, FailureKind::Lost);
    }

    #[tokio::test]
    async fn an_answer_over_the_cap_is_not_read() {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {CAP}\r\n\r\n");
        let (_, answer) = answered_with(&[head.as_bytes(), &[b'a'; CAP]].concat()).await;
        assert_eq!(answer.map(|answer| answer.body.len()), Ok(CAP));
        let endless = [b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), &[b'a'; CAP + 1]].concat();
        assert_eq!(kind_of(&endless).await, FailureKind::TooLong);
    }

    #[tokio::test]
    async fn the_cap_holds_after_decompression() {
        // 2,000 times `a`, compressed with gzip.
        let small = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x4b\x4c\x1c\x05\xa3\x60\x14\x8c\x82\x51\x30\x0a\x46\xc1\x50\x07\x00\x39\x3e\x13\xa8\xd0\x07\x00\x00";
        let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", small.len());
        assert_eq!(kind_of(&[head.as_bytes(), small].concat()).await, FailureKind::TooLong);
    }

    #[tokio::test]
    async fn an_answer_that_is_too_slow_is_lost_and_its_connection_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let settings = AccountSettings { endpoint: Some(endpoint), own_limits: true, ..AccountSettings::default() };
        let account = Account::open("A-1", Secret::new("p4ss"), None, settings).unwrap();
        let options = Options { timeout_ms: 200, ..Options::default() };
        let lane = Lane::new(account.client(), LaneSettings::new(Api::of("/1/upload"), &options));
        let request = Request::post("/1/upload", "{\"d\":[]}", Resend::Appends);
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_request(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{").await.unwrap();
            stream.read(&mut [0; 1]).await.ok()
        };
        let left = AtomicBool::new(false);
        let (closed, sent) = tokio::join!(serve, lane.send(&request, has_status, Arrived::No, &left));
        assert_eq!(closed, Some(0));
        let Outcome::Lost { why } = sent.outcome else { panic!("{sent:?}") };
        assert_eq!(why, format!("POST /1/upload to {} timed out after 200 ms with the request sent", account.host()));
    }

    #[tokio::test]
    async fn only_a_failure_to_connect_is_not_sent() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let failure = transport().send(call(Method::Post, port)).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::NotSent);
        assert!(failure.what.starts_with("could not connect (Connection refused"), "{}", failure.what);
    }

    #[tokio::test]
    async fn an_idle_connection_that_is_reset_with_the_request_on_it_has_lost_the_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_request(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await.unwrap();
            read_request(&mut stream).await;
        };
        let transport = transport();
        let calls = async {
            let first = transport.send(call(Method::Post, port)).await;
            (first.map(|answer| answer.status), transport.send(call(Method::Post, port)).await.map_err(|failure| failure.kind))
        };
        let ((), (first, second)) = tokio::join!(serve, calls);
        assert_eq!((first, second), (Ok(200), Err(FailureKind::Lost)));
    }

    #[tokio::test]
    async fn a_get_has_neither_body_nor_content_type() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serve = async { read_request(&mut listener.accept().await.unwrap().0).await.to_lowercase() };
        let transport = transport();
        let (request, _) = tokio::join!(serve, transport.send(call(Method::Get, port)));
        assert!(request.starts_with("get ") && !request.contains("content-") && request.ends_with("\r\n\r\n"), "{request}");
    }
}
