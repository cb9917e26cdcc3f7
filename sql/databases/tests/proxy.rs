//! A way to the server that breaks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use datafusion::common::runtime::{JoinSet, SpawnedTask};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Hands bytes on in both directions until so many have gone through, then cuts all connections, and those that come after it stand.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    _task: SpawnedTask<()>,
}

impl Proxy {
    /// Cuts once `bytes_max` bytes have gone through, in either direction.
    pub(crate) async fn start(server: u16, bytes_max: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let left = Arc::new(AtomicU64::new(bytes_max));
        let task = SpawnedTask::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let left = Arc::clone(&left);
                connections.spawn(async move {
                    let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else { return };
                    let ((client_in, client_out), (server_in, server_out)) = (client.into_split(), server.into_split());
                    tokio::select! {
                        () = pass(client_in, server_out, &left) => {}
                        () = pass(server_in, client_out, &left) => {}
                    }
                });
            }
        });
        Self { port, _task: task }
    }
}

async fn pass(mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin, left: &AtomicU64) {
    let mut buffer = [0; 4_096];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let before = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
            // It breaks once; what connects afterwards goes through.
            Some(if left == u64::MAX { left } else { left.saturating_sub(read as u64) })
        });
        let before = before.unwrap_or_default();
        let allowed = usize::try_from(before).unwrap_or(usize::MAX).min(read);
        if to.write_all(&buffer[..allowed]).await.is_err() {
            return;
        }
        if allowed < read {
            left.store(u64::MAX, Ordering::SeqCst);
            return;
        }
    }
}
