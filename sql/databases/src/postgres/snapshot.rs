//! One snapshot a statement.
//!
//! The first scan of a statement begins a transaction (REPEATABLE READ, READ ONLY) and exports its snapshot; every other takes it over. A
//! statement is the `TaskContext` that DataFusion runs it with: while it lives, another scan may begin, a join's second side after its first is
//! read. So the connections stay open, and are used again, until it is gone or nothing was read for ten minutes.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use datafusion::execution::TaskContext;
use tokio::sync::OnceCell;
use tokio::time::Instant;
use tokio_postgres::SimpleQueryMessage;

use super::connect::{Connection, Connector};
use super::fault::of_statement;
use crate::error::{Doing, Error, Result};

/// How often it is looked whether a statement is over.
const LOOK: Duration = Duration::from_millis(100);
/// How long a connection waits for the next scan.
const IDLE_MAX: Duration = Duration::from_secs(600);
/// Where a scan that is cancelled goes back to, so that its transaction, and with it the snapshot, lives on.
const SAVEPOINT: &str = "clevertap_read";

/// The reads of one statement.
pub(super) struct Statement {
    connector: Arc<Connector>,
    snapshot: OnceCell<String>,
    idle: Mutex<Idle>,
}

struct Idle {
    connections: Vec<Connection>,
    since: Instant,
    /// How many connections are in use.
    busy: usize,
    is_over: bool,
}

impl fmt::Debug for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Statement").finish_non_exhaustive()
    }
}

/// The statements that run.
#[derive(Debug, Default)]
pub(super) struct Statements(Mutex<Vec<(Weak<TaskContext>, Weak<Statement>)>>);

impl Statements {
    /// The statement of a task.
    pub(super) fn of(&self, task: &Arc<TaskContext>, connector: &Arc<Connector>) -> Arc<Statement> {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|(task, statement)| task.strong_count() > 0 && statement.strong_count() > 0);
        let task = Arc::downgrade(task);
        let known = running.iter().find(|(other, _)| Weak::ptr_eq(other, &task)).and_then(|(_, statement)| statement.upgrade());
        if let Some(statement) = known.filter(|statement| !statement.idle().is_over) {
            return statement;
        }
        let idle = Idle { connections: Vec::new(), since: Instant::now(), busy: 0, is_over: false };
        let statement = Arc::new(Statement { connector: Arc::clone(connector), snapshot: OnceCell::new(), idle: Mutex::new(idle) });
        running.retain(|(other, _)| !Weak::ptr_eq(other, &task));
        running.push((Weak::clone(&task), Arc::downgrade(&statement)));
        watch(Arc::clone(&statement), task);
        statement
    }
}

/// Keeps the statement, and its connections, until its task is gone.
#[expect(
    clippy::disallowed_methods,
    reason = "it ends with the statement's task, which is what it waits for; it asks nothing of the server"
)]
fn watch(statement: Arc<Statement>, task: Weak<TaskContext>) {
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(LOOK).await;
            let mut idle = statement.idle();
            if task.strong_count() == 0 || (idle.busy == 0 && idle.since.elapsed() > IDLE_MAX) {
                idle.is_over = true;
                idle.connections.clear();
                return;
            }
        }
    });
}

impl Statement {
    fn idle(&self) -> std::sync::MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_back(&self, connection: Connection) {
        let mut idle = self.idle();
        if !idle.is_over {
            idle.connections.push(connection);
        }
    }

    /// A connection that sees the statement's snapshot.
    pub(super) async fn connection(self: &Arc<Self>, qualified: &str) -> Result<Lent> {
        let lend = |connection| {
            self.idle().busy += 1;
            Lent { connection: Some(connection), statement: Arc::clone(self) }
        };
        let waiting = self.idle().connections.pop();
        if let Some(connection) = waiting.filter(|connection| !connection.client.is_closed()) {
            return Ok(lend(connection));
        }
        let mut first = None;
        let begin = async {
            let connection = self.connector.connect().await?;
            let snapshot = export(&connection, qualified).await?;
            first = Some(connection);
            Ok::<_, Error>(snapshot)
        };
        let snapshot = self.snapshot.get_or_try_init(|| begin).await?;
        if let Some(connection) = first {
            return Ok(lend(connection));
        }
        let connection = self.connector.connect().await?;
        let sql = format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '{snapshot}'; SAVEPOINT {SAVEPOINT}");
        connection.client.batch_execute(&sql).await.map_err(|error| of_statement(&error, qualified, Doing::Reading))?;
        Ok(lend(connection))
    }
}

async fn export(connection: &Connection, qualified: &str) -> Result<String> {
    let sql = format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT pg_catalog.pg_export_snapshot(); SAVEPOINT {SAVEPOINT}");
    let answer = connection.client.simple_query(&sql).await.map_err(|error| of_statement(&error, qualified, Doing::Reading))?;
    let name = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    // It stands in a statement as it is.
    name.filter(|name| name.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-'))
        .map(str::to_owned)
        .ok_or_else(|| Error::Refused(format!("{qualified}: PostgreSQL names a snapshot in a form that this version does not read")))
}

/// A connection that one scan uses.
#[derive(Debug)]
pub(super) struct Lent {
    connection: Option<Connection>,
    statement: Arc<Statement>,
}

impl Lent {
    pub(super) fn connection(&self) -> &Connection {
        self.connection.as_ref().expect("a connection until it is given back")
    }

    /// Gives it back: its query has ended.
    pub(super) fn give_back(mut self) {
        if let Some(connection) = self.connection.take() {
            self.statement.take_back(connection);
        }
    }
}

impl Drop for Lent {
    /// A query that has not ended is ended; then another may use the connection.
    fn drop(&mut self) {
        let mut idle = self.statement.idle();
        idle.busy -= 1;
        idle.since = Instant::now();
        drop(idle);
        let (Some(connection), statement) = (self.connection.take(), Arc::clone(&self.statement)) else { return };
        connection.abandon(async move |connection: Connection| {
            // This waits behind the query, which ends now.
            if connection.client.batch_execute(&format!("ROLLBACK TO SAVEPOINT {SAVEPOINT}")).await.is_ok() {
                statement.take_back(connection);
            }
        });
    }
}
