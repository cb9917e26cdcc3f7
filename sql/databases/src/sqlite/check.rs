//! What is found when a file of SQLite is tried.

use rusqlite::Connection;
use tokio::time::Instant;

use crate::check::Finding;
use crate::error::shown;
use crate::settings::Access;
use crate::write::path::STAGE_PREFIX;

pub(super) fn check(connection: &Connection, place: &str, began: Instant, access: Access) -> rusqlite::Result<Vec<Finding>> {
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let mut findings = vec![Finding::reached(place, began.elapsed())];
    let journal: String = connection.query_row("PRAGMA main.journal_mode", [], |row| row.get(0))?;
    findings.push(Finding::good("server", format!("SQLite {}, compiled in; journal_mode {}", rusqlite::version(), shown(&journal))));
    let tables =
        count("SELECT count(*) FROM main.sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")?;
    let sees = format!("{tables} tables and views are seen");
    findings.push(match access {
        Access::Read => Finding::good("rights", sees),
        // The lock of a writer is taken and given back.
        Access::Write => match connection.execute_batch("BEGIN IMMEDIATE; ROLLBACK") {
            Ok(()) => Finding::good("rights", format!("{sees}; the file can be written")),
            Err(_) => Finding::refused("rights", format!("{sees}; the file cannot be written: look at its rights, and at who else writes")),
        },
    });
    let sql = "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND substr(name, 1, length(?1)) = ?1 ORDER BY 1";
    let mut statement = connection.prepare(sql)?;
    let left = statement.query_map([STAGE_PREFIX], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
    findings.push(Finding::staging(&left.iter().map(|name| shown(name)).collect::<Vec<_>>()));
    Ok(findings)
}
