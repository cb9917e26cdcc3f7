//! Drivers, what they reach, and clients of the tests' own.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use adbc_core::options::{AdbcVersion, OptionDatabase, OptionValue};
use adbc_core::{Connection, Database as _, Driver, Statement};
use adbc_driver_manager::{ManagedConnection, ManagedDriver};
use arrow::util::display::array_value_to_string;
use clevertap_databases::{Access, DatabaseSettings, Password};
use datafusion::prelude::SessionContext;

use crate::started::{Server, start};
pub(crate) use crate::statements::{refusal, rows, session_of, shown};

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/servers").join(name)
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("adbc")
}

/// The folder of the drivers' packages. `None`, and a line that says why, where they cannot be installed.
fn packages(more: &[&str]) -> Option<PathBuf> {
    let installed = Command::new("bash").arg(script("adbc.sh")).arg(folder()).args(more).output().expect("bash");
    let said = String::from_utf8_lossy(&installed.stderr).into_owned();
    if installed.status.code() == Some(3) {
        // To the stream itself, which is not captured: `.ci/run` counts these lines.
        writeln!(std::io::stderr(), "skipped: {}", said.trim()).expect("stderr");
        return None;
    }
    assert!(installed.status.success(), "{said}");
    Some(PathBuf::from(String::from_utf8_lossy(&installed.stdout).trim()))
}

fn library(packages: &Path, name: &str) -> String {
    packages.join(format!("adbc_driver_{name}/libadbc_driver_{name}.so")).display().to_string()
}

/// The path of the driver of SQLite or PostgreSQL.
pub(crate) fn driver(name: &str) -> Option<String> {
    static PACKAGES: OnceLock<Option<PathBuf>> = OnceLock::new();
    Some(library(PACKAGES.get_or_init(|| packages(&[])).as_ref()?, name))
}

/// A PostgreSQL, and the driver that reaches it.
pub(crate) fn postgres() -> Option<(&'static Server, String)> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    let driver = driver("postgresql")?;
    Some((SERVER.get_or_init(|| start("postgresql.sh")).as_ref()?, driver))
}

impl Server {
    /// Settings of this PostgreSQL, by the driver, as `shop`.
    pub(crate) fn settings(&self, driver: &str) -> DatabaseSettings {
        self.settings_at(driver, self.port)
    }

    pub(crate) fn settings_at(&self, driver: &str, port: u16) -> DatabaseSettings {
        let uri = format!("postgresql://test@127.0.0.1:{port}/postgres?sslmode=disable");
        DatabaseSettings::adbc("shop", driver).with_option("uri", uri).with_access(Access::Write)
    }

    /// A new schema with these tables.
    pub(crate) fn schema(&self, name: &str, sql: &str) {
        self.run(&format!("DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name}; SET search_path = {name}; {sql}"));
    }

    /// What the last statement answers, by the server's own client.
    pub(crate) fn run(&self, sql: &str) -> String {
        let mut client = Command::new("psql");
        client.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", "test", "-d", "postgres", "-c", sql]);
        let answer = client.args(["-p", &self.port.to_string()]).output().expect("a client");
        assert!(answer.status.success(), "{sql}: {}", String::from_utf8_lossy(&answer.stderr));
        String::from_utf8_lossy(&answer.stdout).trim_end().replace('\n', " ")
    }

    /// All rows of a table as one text, in their order.
    pub(crate) fn rows(&self, table: &str) -> String {
        self.run(&format!("SELECT coalesce(string_agg(t::text, ' ' ORDER BY t::text), '') FROM {table} t"))
    }

    /// Waits until a query answers so.
    pub(crate) async fn waits_for(&self, sql: &str, answer: &str) {
        for _ in 0..200 {
            if self.run(sql) == answer {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("{sql} is still {}", self.run(sql));
    }
}

/// What stands for Snowflake, and the driver that reaches it.
pub(crate) struct Snowflake {
    pub(crate) port: u16,
    pub(crate) driver: String,
}

/// fakesnow, once for all tests. `None`, and a line that says why, where it cannot be installed.
pub(crate) fn snowflake() -> Option<&'static Snowflake> {
    static SERVER: OnceLock<Option<Snowflake>> = OnceLock::new();
    let started = SERVER.get_or_init(|| {
        let packages = packages(&["snowflake"])?;
        let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address").port();
        let arguments = [port.to_string(), std::process::id().to_string()];
        let started = Command::new("bash").arg(script("fakesnow.sh")).arg(folder()).args(arguments).output().expect("bash");
        assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
        let server = Snowflake { port, driver: library(&packages, "snowflake") };
        server.peer().run("CREATE DATABASE IF NOT EXISTS WH");
        Some(server)
    });
    started.as_ref()
}

impl Snowflake {
    fn options(port: u16) -> [(&'static str, String); 6] {
        [
            ("username", "loader".into()),
            ("adbc.snowflake.sql.account", "acme".into()),
            ("adbc.snowflake.sql.uri.host", "127.0.0.1".into()),
            ("adbc.snowflake.sql.uri.port", port.to_string()),
            ("adbc.snowflake.sql.uri.protocol", "http".into()),
            ("adbc.snowflake.sql.db", "WH".into()),
        ]
    }

    /// Settings as `wh`.
    pub(crate) fn settings(&self) -> DatabaseSettings {
        self.settings_at(self.port)
    }

    pub(crate) fn settings_at(&self, port: u16) -> DatabaseSettings {
        let settings = DatabaseSettings::adbc("wh", &self.driver).with_password(Password::new("right horse")).with_access(Access::Write);
        let settings = settings.with_connect_timeout(std::time::Duration::from_secs(60));
        Self::options(port).into_iter().fold(settings, |settings, (key, value)| settings.with_option(key, value))
    }

    pub(crate) fn session(&self) -> SessionContext {
        session_of(self.settings())
    }

    /// A new schema with these tables.
    pub(crate) fn schema(&self, name: &str, tables: &[&str]) -> Peer {
        let mut peer = self.peer();
        peer.run(&format!("CREATE OR REPLACE SCHEMA WH.{name}"));
        peer.run(&format!("USE SCHEMA WH.{name}"));
        tables.iter().for_each(|sql| peer.run(sql));
        peer
    }

    /// A client of the test's own, by the same driver.
    pub(crate) fn peer(&self) -> Peer {
        let mut driver = ManagedDriver::load_dynamic_from_filename(&self.driver, None, AdbcVersion::V110).expect("the driver");
        let password = ("password", "right horse".to_owned());
        let options = Self::options(self.port).into_iter().chain([password]);
        let options = options.map(|(key, value)| (OptionDatabase::from(key), OptionValue::String(value)));
        let database = driver.new_database_with_opts(options).expect("a database");
        Peer(database.new_connection().expect("a connection"))
    }
}

/// A connection of a test's own.
pub(crate) struct Peer(ManagedConnection);

impl Peer {
    pub(crate) fn run(&mut self, sql: &str) {
        let mut statement = self.0.new_statement().expect("a statement");
        statement.set_sql_query(sql).expect("its SQL");
        statement.execute_update().unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// All rows of a query as one text.
    pub(crate) fn rows(&mut self, sql: &str) -> String {
        let mut statement = self.0.new_statement().expect("a statement");
        statement.set_sql_query(sql).expect("its SQL");
        let reader = statement.execute().unwrap_or_else(|error| panic!("{sql}: {error}"));
        let mut shown = Vec::new();
        for batch in reader {
            let batch = batch.expect("a batch");
            for at in 0..batch.num_rows() {
                let cells: Vec<_> = batch.columns().iter().map(|column| array_value_to_string(column, at).expect("a cell")).collect();
                shown.push(format!("({})", cells.join(",")));
            }
        }
        shown.join(" ")
    }
}
