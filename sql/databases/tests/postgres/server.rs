//! A PostgreSQL for all tests of this binary, and clients of theirs.

use std::sync::OnceLock;

use clevertap_databases::{Access, DatabaseSettings};
use datafusion::common::runtime::SpawnedTask;
use datafusion::prelude::SessionContext;
use tokio_postgres::{Client, NoTls};

use crate::started::{Server, start};
pub(crate) use crate::statements::{refusal, rows, session_of, shown};

/// The server. `None`, and a line that says why, where it cannot be installed.
pub(crate) fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(|| start("postgresql.sh")).as_ref()
}

impl Server {
    /// A URL without TLS.
    pub(crate) fn url(&self) -> String {
        format!("postgres://test@127.0.0.1:{}/postgres?sslmode=disable", self.port)
    }

    /// A connection of the test's own, and a new schema.
    pub(crate) async fn schema(&self, name: &str) -> Peer {
        let peer = self.peer().await;
        peer.run(&format!("DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name}")).await;
        peer
    }

    pub(crate) async fn peer(&self) -> Peer {
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.expect("the server");
        let mut config = tokio_postgres::Config::new();
        config.user("test").dbname("postgres").ssl_mode(tokio_postgres::config::SslMode::Disable);
        let (client, connection) = config.connect_raw(stream, NoTls).await.expect("a session");
        let driver = SpawnedTask::spawn(async move {
            connection.await.ok();
        });
        Peer { client, _driver: driver }
    }

    /// A session with the database as `shop`, to read and to write.
    pub(crate) fn session(&self) -> SessionContext {
        session(&self.url(), Access::Write)
    }
}

/// A session with the database at `url` as `shop`. Batches are small, so that there are several.
pub(crate) fn session(url: &str, access: Access) -> SessionContext {
    session_of(DatabaseSettings::new("shop", url).expect("settings").with_access(access))
}

/// A client of the test's own.
pub(crate) struct Peer {
    pub(crate) client: Client,
    _driver: SpawnedTask<()>,
}

impl Peer {
    pub(crate) async fn run(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// One text.
    pub(crate) async fn text(&self, sql: &str) -> String {
        let rows = self.client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let row = rows.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("NULL").to_owned()),
            _ => None,
        });
        row.expect("a row")
    }

    /// Waits until a query answers so.
    pub(crate) async fn waits_for(&self, sql: &str, answer: &str) {
        for _ in 0..200 {
            if self.text(sql).await == answer {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("{sql} is still {}", self.text(sql).await);
    }

    /// All rows of a table as one text, in their order.
    pub(crate) async fn rows(&self, table: &str) -> String {
        self.text(&format!("SELECT coalesce(string_agg(t::text, ' ' ORDER BY t::text), '') FROM {table} t")).await
    }
}
