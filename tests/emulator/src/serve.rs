//! The HTTP server: HTTP/1.1 on loopback.
//!
//! hyper itself and no framework, because a fault must be able to cut a connection, and because hyper drops a request's
//! future when its client goes away, which is what frees the slot.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::custom_lists;
use crate::emulator::Emulator;
use crate::handle::Broken;
use crate::headers::EntryPoint;
use crate::verdict::BODY_BYTES_MAX;

/// A listening emulator. Dropping it ends it at once, requests that hang included.
///
/// # Panics
///
/// Dropping it panics if a request made the emulator panic, because a client sees only a cut connection and may well take
/// that for a fault: the test that owns the server has to fail.
#[derive(Debug)]
pub struct Server {
    url: String,
    alarm: PanicFlag,
    _accepting: JoinSet<Infallible>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let is_raised = self.alarm.0.load(Ordering::SeqCst);
        assert!(!is_raised || std::thread::panicking(), "the emulator panicked over a request");
    }
}

/// Whether a connection ended in a panic.
#[derive(Debug, Clone, Default)]
struct PanicFlag(Arc<AtomicBool>);

impl Drop for PanicFlag {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::SeqCst);
        }
    }
}

impl Server {
    /// Where it listens, such as `http://127.0.0.1:40123`.
    #[must_use]
    pub fn url(&self) -> String {
        self.url.clone()
    }
}

impl Emulator {
    /// Listens on an address such as `127.0.0.1:0`.
    ///
    /// # Errors
    ///
    /// What the operating system says about the address.
    pub async fn serve(&self, address: &str) -> std::io::Result<Server> {
        let listener = TcpListener::bind(address).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let emulator = self.clone();
        let alarm = PanicFlag::default();
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, alarm.clone(), move |stream| talk(emulator.clone(), stream)));
        Ok(Server { url, alarm, _accepting: accepting })
    }

    async fn pending(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Broken> {
        let (head, body) = request.into_parts();
        let pending = self.admit(&head, EntryPoint::Http);
        let bytes_max = custom_lists::file::bytes_max(&self.inner, head.uri.path()).unwrap_or(BODY_BYTES_MAX);
        let body = read(body, bytes_max).await?;
        Ok(self.settle(pending, &head, &body).await?.map(Full::new))
    }
}

/// Takes connections for ever; the set ends them all when it is dropped.
async fn accept<F>(listener: TcpListener, alarm: PanicFlag, talk: impl Fn(TcpStream) -> F) -> Infallible
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // Out of sockets, or gone before it was taken: the next one may do.
                if let Ok((stream, _)) = accepted {
                    let (talk, alarm) = (talk(stream), alarm.clone());
                    connections.spawn(async move {
                        let _alarm = alarm;
                        talk.await;
                    });
                }
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

async fn talk(emulator: Emulator, stream: TcpStream) {
    // Without it small answers wait for acknowledgements.
    stream.set_nodelay(true).ok();
    let service = service_fn(|request| emulator.pending(request));
    // An error is a client that went away or a connection that a fault cut.
    http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
}

/// Reads a body to its end, but keeps no more than shows that it is too long.
async fn read(mut body: Incoming, bytes_max: usize) -> Result<Bytes, Broken> {
    let mut kept = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Broken::Reset)?.into_data() else {
            continue;
        };
        let room = (bytes_max + 1).saturating_sub(kept.len());
        kept.extend_from_slice(data.get(..room).unwrap_or(&data));
    }
    Ok(kept.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    #[should_panic(expected = "the emulator panicked over a request")]
    async fn a_panic_over_a_request_fails_the_test_that_owns_the_server() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let alarm = PanicFlag::default();
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, alarm.clone(), |_| async { panic!("as a handler would") }));
        let _server = Server { url: String::new(), alarm: alarm.clone(), _accepting: accepting };
        let _client = TcpStream::connect(address).await.unwrap();
        while !alarm.0.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
    }
}
