//! A connection to PostgreSQL.
//!
//! In: the settings. Out: a session that speaks UTF-8, or why there is none. No pool: a statement connects, and its connections end with it.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use datafusion::common::runtime::SpawnedTask;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio_postgres::config::SslMode;
use tokio_postgres::{CancelToken, Client, Config, SimpleQueryMessage};

use super::tls::{Handshake, Plain, client_config};
use super::{fault, pgpass};
use crate::error::{Error, Result};
use crate::settings::{Address, DatabaseSettings, Password, TlsMode};

/// How long nothing may be heard of a server before it is asked whether it is there.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// What connects.
pub(crate) struct Connector {
    pub(super) address: Address,
    password: Option<Password>,
    timeout: Duration,
    tls: Handshake,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("place", &self.address.place()).finish_non_exhaustive()
    }
}

impl Connector {
    pub(crate) fn new(settings: &DatabaseSettings) -> Result<Self> {
        let mut address = settings.address.clone();
        // Of a socket, the file system says who may connect.
        if address.is_socket() {
            address.tls = TlsMode::Disable;
        }
        let config = match address.tls {
            TlsMode::Disable => None,
            mode => Some(
                client_config(mode, settings.root_certificates.as_deref())
                    .map_err(|problem| Error::Setting(format!("database \"{}\": {problem}", settings.name)))?,
            ),
        };
        let tls = Handshake { config, host: address.host.clone() };
        Ok(Self { address, password: settings.password.clone(), timeout: settings.connect_timeout, tls })
    }

    pub(crate) async fn connect(self: &Arc<Self>) -> Result<Connection> {
        let place = self.address.place();
        let late = |_| {
            let seconds = self.timeout.as_secs();
            Error::Unavailable(format!(
                "{} at {place} did not answer within {seconds} s; look at host, port and firewall",
                self.address.kind.product()
            ))
        };
        tokio::time::timeout(self.timeout, self.login()).await.map_err(late)?
    }

    async fn login(self: &Arc<Self>) -> Result<Connection> {
        let user = self.address.user.clone().or_else(|| std::env::var("USER").ok()).unwrap_or_else(|| "postgres".to_owned());
        let mut config = Config::new();
        config.user(&user).dbname(&self.address.database).application_name("clevertap-sql").ssl_mode(match self.address.tls {
            TlsMode::Disable => SslMode::Disable,
            TlsMode::Prefer => SslMode::Prefer,
            _ => SslMode::Require,
        });
        if let Some(password) = self.password.clone().or_else(|| pgpass::password(&self.address, &user)) {
            config.password(password.reveal());
        }
        let stream = self.open().await?;
        let connected = config.connect_raw(stream, self.tls.clone()).await;
        let (client, connection) = connected.map_err(|error| fault::of_connecting(&error, &self.address))?;
        let driver = SpawnedTask::spawn(async move {
            // Whoever waits for an answer is told of the error.
            connection.await.ok();
        });
        Ok(Connection { cancel: client.cancel_token(), client, _driver: driver, connector: Arc::clone(self) })
    }

    async fn open(&self) -> Result<Plain> {
        let unreachable = |error: io::Error| {
            let (product, place) = (self.address.kind.product(), self.address.place());
            Error::Unavailable(format!("{product} at {place} cannot be reached: {}; look at host and port", error.kind()))
        };
        if self.address.is_socket() {
            #[cfg(unix)]
            {
                let path = PathBuf::from(&self.address.host).join(format!(".s.PGSQL.{}", self.address.port));
                return Ok(Plain::new(tokio::net::UnixStream::connect(path).await.map_err(unreachable)?));
            }
            #[cfg(not(unix))]
            return Err(unreachable(io::ErrorKind::Unsupported.into()));
        }
        let stream = TcpStream::connect((self.address.host.as_str(), self.address.port)).await.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 3);
        SockRef::from(&stream).set_tcp_keepalive(&keepalive).map_err(unreachable)?;
        Ok(Plain::new(stream))
    }
}

/// A session. It ends when it is dropped.
pub(crate) struct Connection {
    pub(crate) client: Client,
    cancel: CancelToken,
    _driver: SpawnedTask<()>,
    connector: Arc<Connector>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("connector", &self.connector).finish_non_exhaustive()
    }
}

/// How long a statement that is not wanted any more may take to end before its connection is closed.
const END_WITHIN: Duration = Duration::from_secs(10);

impl Connection {
    /// Has the server end what it is doing, while nobody waits for it; then `and_then` may use the connection.
    pub(crate) fn abandon<F: Future<Output = ()> + Send>(self, and_then: impl FnOnce(Self) -> F + Send + 'static) {
        // Without a runtime the connection is closed, and the server notices when it next sends.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if !self.client.is_closed() {
            runtime.spawn(tokio::time::timeout(END_WITHIN, async move {
                self.cancel().await;
                and_then(self).await;
            }));
        }
    }

    async fn cancel(&self) {
        let cancelled = async {
            let stream = self.connector.open().await.ok()?;
            self.cancel.cancel_query_raw(stream, self.connector.tls.clone()).await.ok()
        };
        // Closing the connection ends it too, if later.
        tokio::time::timeout(self.connector.timeout, cancelled).await.ok();
    }
}

/// The first cell of an answer, as text.
pub(super) async fn one_text(client: &Client, sql: &str) -> Result<Option<String>, tokio_postgres::Error> {
    let answer = client.simple_query(sql).await?;
    Ok(answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    }))
}
