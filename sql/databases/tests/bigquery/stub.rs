//! A server of HTTP whose answers a test makes up, or fetches from another one.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use datafusion::common::runtime::{JoinSet, SpawnedTask};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What was asked.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// With its query.
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// What is answered.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn json(status: u16, body: &str) -> Self {
        Self { status, headers: vec![("content-type".into(), "application/json".into())], body: body.into() }
    }
}

type Answering = Pin<Box<dyn Future<Output = Option<Reply>> + Send>>;
type Handler = Arc<dyn Fn(Request) -> Answering + Send + Sync>;

/// The server.
pub(crate) struct Stub {
    pub(crate) port: u16,
    _task: SpawnedTask<()>,
}

impl Stub {
    /// Answers as `handler` says; where it says `None`, the connection ends without an answer.
    pub(crate) async fn start<F: Future<Output = Option<Reply>> + Send + 'static>(
        handler: impl Fn(Request) -> F + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let handler: Handler = Arc::new(move |request| Box::pin(handler(request)));
        let task = SpawnedTask::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, Arc::clone(&handler)));
            }
        });
        Self { port, _task: task }
    }
}

async fn serve(mut stream: TcpStream, handler: Handler) {
    let Some(request) = Box::pin(request(&mut stream)).await else { return };
    let Some(reply) = handler(request).await else { return };
    let mut head = format!("HTTP/1.1 {} Said\r\ncontent-length: {}\r\nconnection: close\r\n", reply.status, reply.body.len());
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await.ok();
    stream.write_all(&reply.body).await.ok();
    stream.shutdown().await.ok();
}

async fn request(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        let mut buffer = [0; 4_096];
        let read = stream.read(&mut buffer).await.ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&buffer[..read]);
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<_> =
        lines.filter_map(|line| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()))).collect();
    let mut body = bytes.split_off(end + 4);
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, length)| length.parse().ok()).unwrap_or(0);
    while body.len() < length {
        let mut buffer = [0; 65_536];
        let read = stream.read(&mut buffer).await.ok().filter(|read| *read > 0)?;
        body.extend_from_slice(&buffer[..read]);
    }
    Some(Request { method, path, headers, body })
}

/// What another server answers to the same.
#[expect(clippy::disallowed_methods, reason = "the stand-in is on this machine, and its answers are small")]
pub(crate) async fn forward(request: &Request, port: u16) -> Reply {
    let method = reqwest::Method::from_bytes(request.method.as_bytes()).expect("a method");
    let mut call = reqwest::Client::new().request(method, format!("http://127.0.0.1:{port}{}", request.path)).body(request.body.clone());
    for (name, value) in request.headers.iter().filter(|(name, _)| name != "content-length" && name != "accept-encoding") {
        call = call.header(name, value);
    }
    let answer = call.send().await.expect("an answer");
    let kept = ["content-type", "location", "range"];
    let header = |name: &&str| Some(((*name).to_owned(), answer.headers().get(*name)?.to_str().ok()?.to_owned()));
    let headers = kept.iter().filter_map(header).collect();
    Reply { status: answer.status().as_u16(), headers, body: answer.bytes().await.expect("a body").to_vec() }
}
