//! A PostgreSQL for all tests of this binary, each in a schema of its own.
//!
//! It ends, by its process id, when this process has: a script of the workspace watches it.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use clevertap_databases::{Access, Database, DatabaseSettings};
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::Result;
use datafusion::prelude::{SessionConfig, SessionContext};
use tokio_postgres::{Client, NoTls};

/// The server.
pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) folder: PathBuf,
    /// Whether it speaks TLS: there is an openssl that makes certificates.
    pub(crate) has_tls: bool,
}

/// The server. `None`, and a line that says why, where it cannot be installed.
pub(crate) fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(start).as_ref()
}

fn start() -> Option<Server> {
    let folder = tempfile::tempdir().expect("a folder").keep();
    // The server has a user of its own.
    std::fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("permissions");
    let has_tls = crate::certificates::make_certificates(&folder);
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address").port();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/servers/postgresql.sh");
    let arguments = [port.to_string(), std::process::id().to_string()];
    let started = Command::new("bash").arg(script).arg(&folder).args(arguments).output().expect("bash");
    let said = String::from_utf8_lossy(&started.stderr).into_owned();
    if started.status.code() == Some(3) {
        // To the stream itself, which is not captured: `.ci/run` counts these lines.
        writeln!(std::io::stderr(), "skipped: {}", said.trim()).expect("stderr");
        return None;
    }
    assert!(started.status.success(), "{said}");
    Some(Server { port, folder, has_tls })
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

pub(crate) fn session_of(settings: DatabaseSettings) -> SessionContext {
    let ctx = SessionContext::new_with_config(SessionConfig::new().with_information_schema(true).with_batch_size(100));
    Database::open(settings).expect("a database").register(&ctx);
    ctx
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

pub(crate) async fn rows(ctx: &SessionContext, sql: &str) -> Result<Vec<RecordBatch>> {
    ctx.sql(sql).await?.collect().await
}

pub(crate) async fn shown(ctx: &SessionContext, sql: &str) -> String {
    let batches = rows(ctx, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    pretty_format_batches(&batches).expect("a table").to_string()
}

/// The error of a statement.
pub(crate) async fn refusal(ctx: &SessionContext, sql: &str) -> String {
    match rows(ctx, sql).await {
        Ok(_) => panic!("{sql} went through"),
        Err(error) => error.to_string(),
    }
}
