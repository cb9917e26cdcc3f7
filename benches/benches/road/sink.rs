//! The sink: a process that counts records and answers after a delay, like an account that never reaches its limits. It only counts
//! the records of a body.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

/// The start of each profile record.
const RECORD: &[u8] = br#"{"type":"profile""#;

/// What a sink has received since the last query.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) rows: u64,
    pub(crate) requests: u64,
    pub(crate) in_flight_peak: u64,
    /// From the first request to the last answer.
    pub(crate) seconds: f64,
}

/// State of the sink.
#[derive(Debug, Default)]
struct Counts {
    seen: Seen,
    in_flight: u64,
    first: Option<Instant>,
}

/// A sink that runs until it is dropped.
pub(crate) struct Sink {
    child: Child,
    pub(crate) url: String,
}

impl Sink {
    /// Starts a sink that answers an upload after `latency_ms` milliseconds.
    pub(crate) fn start(latency_ms: u64) -> Self {
        let program = std::env::current_exe().expect("a path");
        let mut child = Command::new(program)
            .args(["sink", &latency_ms.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process of this program");
        let mut port = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut port).expect("a line");
        Self { child, url: format!("http://127.0.0.1:{}", port.trim()) }
    }

    /// What it has received since the last query.
    #[expect(clippy::disallowed_methods, reason = "the answers of a sink of this program are small")]
    pub(crate) async fn seen(&self) -> Seen {
        let answer = reqwest::get(format!("{}/seen", self.url)).await.expect("an answer").bytes().await.expect("a body");
        serde_json::from_slice(&answer).expect("what this program writes")
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.child.kill().and_then(|()| self.child.wait()).expect("a process of this program");
    }
}

/// Runs a sink, and prints its port.
#[expect(clippy::print_stdout, reason = "the parent process reads the port there")]
pub(crate) async fn serve(latency: Duration) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("{}", listener.local_addr().expect("an address").port());
    let counts = Arc::new(Mutex::new(Counts::default()));
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        connections.spawn(connection(stream, Arc::clone(&counts), latency));
    }
}

/// Serves one connection until it is closed.
async fn connection(mut stream: TcpStream, counts: Arc<Mutex<Counts>>, latency: Duration) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (from, mut to) = stream.split();
    let mut from = tokio::io::BufReader::with_capacity(256 << 10, from);
    let (mut head, mut body) = (String::new(), Vec::new());
    loop {
        head.clear();
        while !head.ends_with("\r\n\r\n") {
            if from.read_line(&mut head).await? == 0 {
                return Ok(());
            }
        }
        let locked = || counts.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = if head.starts_with("POST /1/upload") {
            {
                let mut counts = locked();
                counts.first.get_or_insert_with(Instant::now);
                counts.in_flight += 1;
                counts.seen.in_flight_peak = counts.seen.in_flight_peak.max(counts.in_flight);
            }
            let until = Instant::now() + latency;
            body.resize(length(&head), 0);
            from.read_exact(&mut body).await?;
            let rows = memchr::memmem::find_iter(&body, RECORD).count() as u64;
            if !latency.is_zero() {
                tokio::time::sleep_until(until).await;
            }
            let mut counts = locked();
            counts.in_flight -= 1;
            counts.seen.rows += rows;
            counts.seen.requests += 1;
            counts.seen.seconds = counts.first.map_or(0.0, |first| first.elapsed().as_secs_f64());
            format!(r#"{{"status":"success","processed":{rows},"unprocessed":[]}}"#)
        } else if head.starts_with("GET /seen") {
            let counts = std::mem::take(&mut *locked());
            serde_json::to_string(&counts.seen).expect("JSON")
        } else {
            r#"{"status":"success","userProperties":[]}"#.to_owned()
        };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", answer.len());
        to.write_all((head + &answer).as_bytes()).await?;
    }
}

/// The body length from the header.
fn length(head: &str) -> usize {
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().expect("a number"))
    };
    head.lines().find_map(header).unwrap_or_default()
}
