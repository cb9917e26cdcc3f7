//! A MariaDB for all tests of this binary.

use std::process::Command;
use std::sync::OnceLock;

use clevertap_databases::{Access, DatabaseSettings};
use datafusion::prelude::SessionContext;

use crate::started::{Server, start};
pub(crate) use crate::statements::{refusal, rows, session_of, shown};

/// The server. `None`, and a line that says why, where it cannot be installed.
pub(crate) fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(|| start("mariadb.sh")).as_ref()
}

/// A server of its own that lets no client send files, as MySQL is set up from the start.
pub(crate) fn server_without_files() -> Option<Server> {
    let server = start("mariadb.sh")?;
    server.run("SET GLOBAL local_infile = 0");
    Some(server)
}

impl Server {
    /// A URL without TLS.
    pub(crate) fn url(&self) -> String {
        format!("mysql://test@127.0.0.1:{}/mysql?sslmode=disable", self.port)
    }

    /// A new schema with these tables.
    pub(crate) fn schema(&self, name: &str, sql: &str) {
        self.run(&format!("DROP DATABASE IF EXISTS {name}; CREATE DATABASE {name} CHARACTER SET utf8mb4; USE {name}; {sql}"));
    }

    /// What statements answer, a line a row, by a client of the server's own.
    pub(crate) fn run(&self, sql: &str) -> String {
        let mut client = Command::new("mariadb");
        client.args(["--no-defaults", "-h127.0.0.1", "-utest", "-N", "-B", "--default-character-set=utf8mb4"]);
        let answer =
            client.arg(format!("-P{}", self.port)).args(["-e", &format!("SET time_zone = '+00:00'; {sql}")]).output().expect("a client");
        assert!(answer.status.success(), "{sql}: {}", String::from_utf8_lossy(&answer.stderr));
        String::from_utf8_lossy(&answer.stdout).trim_end().replace('\n', " ").replace('\t', ",")
    }

    /// Waits until a query answers so.
    pub(crate) async fn waits_for(&self, sql: &str, answer: &str) {
        for _ in 0..100 {
            if self.run(sql) == answer {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("{sql} is still {}", self.run(sql));
    }

    pub(crate) fn session(&self) -> SessionContext {
        session(&self.url(), Access::Write)
    }
}

/// A session with the database at `url` as `shop`.
pub(crate) fn session(url: &str, access: Access) -> SessionContext {
    session_of(DatabaseSettings::new("shop", url).expect("settings").with_access(access))
}
