//! What is found when MySQL or MariaDB is tried.
//!
//! Rights come from users, roles and patterns of names, so they are not computed: EXPLAIN needs those of what it explains, and runs nothing. A
//! temporary table is made to see whether it can be, and ends with the session.

use chrono::Utc;
use mysql_async::prelude::{FromRow, Queryable};
use mysql_async::{Conn, Row, from_row_opt};
use tokio::time::Instant;

use super::connect::Connector;
use super::dialect::MysqlDialect;
use super::fault::of_statement;
use crate::check::{Finding, Rights};
use crate::dialect::Dialect;
use crate::error::{Doing, Error, Result, shown};
use crate::relation::{Relation, Unnamed};
use crate::settings::Access;
use crate::write::path::STAGE_PREFIX;

const SERVER: &str = "\
SELECT CURRENT_USER(), @@version, @@version_comment, @@global.read_only, @@local_infile, UNIX_TIMESTAMP(NOW(6)) + 0e0";

const TABLES: &str = "\
SELECT COUNT(*) FROM information_schema.tables WHERE table_schema NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys')";

const STAGING: &str = "\
SELECT CONCAT(table_schema, '.', table_name) FROM information_schema.tables WHERE LEFT(table_name, CHAR_LENGTH(?)) = ? AND table_type = 'BASE TABLE' ORDER BY 1";

fn failed(error: &mysql_async::Error) -> Error {
    of_statement(error, "the check", Doing::Reading, None)
}

fn cells<T: FromRow>(row: Option<Row>) -> Result<T> {
    let unread = || Error::Refused("MySQL describes itself in a form that this version does not read".into());
    row.and_then(|row| from_row_opt(row).ok()).ok_or_else(unread)
}

pub(super) async fn check(connector: &Connector, access: Access) -> Result<Vec<Finding>> {
    let began = Instant::now();
    let mut connection = connector.connect().await?;
    let mut findings = vec![Finding::reached(&connector.address.place(), began.elapsed())];
    let sent = (Utc::now(), Instant::now());
    type Server = (String, String, String, i64, i64, f64);
    let found = connection.query_first(SERVER).await.map_err(|error| failed(&error))?;
    // The clock was read about in the middle between question and answer.
    let here = sent.0.timestamp_micros() as f64 / 1e6 + sent.1.elapsed().as_secs_f64() / 2.0;
    let (user, version, comment, read_only, local_infile, there): Server = cells(found)?;
    findings.push(Finding::good("login", format!("as {}", shown(&user))));
    let tls = connection.query_first("SHOW SESSION STATUS LIKE 'Ssl_version'").await.map_err(|error| failed(&error))?;
    let (_, tls): (String, String) = cells(tls)?;
    findings.push(Finding::tls(Some(&tls), connector.address.is_local()));
    let product = if version.contains("MariaDB") { "MariaDB" } else { "MySQL" };
    findings.push(Finding::good("server", shown(&format!("{product} {version} ({comment})"))));
    let tables = connection.query_first(TABLES).await.map_err(|error| failed(&error))?;
    let (tables,): (u64,) = cells(tables)?;
    let sees = format!("{tables} tables and views are seen");
    findings.push(match access {
        Access::Write if read_only != 0 => Finding::refused("rights", "the server is read only; write to the primary"),
        Access::Write if !makes_temporary(&mut connection, &connector.address.database).await => Finding::open(
            "rights",
            format!(
                "{sees}; temporary tables may not be made, so appends alone are written: GRANT CREATE TEMPORARY TABLES in the database"
            ),
        ),
        Access::Write => Finding::good("rights", format!("{sees}; temporary tables may be made")),
        Access::Read => Finding::good("rights", sees),
    });
    let says = if local_infile == 0 { "off; rows go as INSERTs, at about half the pace" } else { "on; rows go by LOAD DATA LOCAL" };
    findings.push(Finding::good("local_infile", says));
    findings.push(Finding::clock(there, here));
    let left: Vec<String> = connection.exec(STAGING, (STAGE_PREFIX, STAGE_PREFIX)).await.map_err(|error| failed(&error))?;
    findings.push(Finding::staging(&left.iter().map(|name| shown(name)).collect::<Vec<_>>()));
    Ok(findings)
}

async fn makes_temporary(connection: &mut Conn, schema: &str) -> bool {
    let table = format!("{}.{STAGE_PREFIX}check", MysqlDialect.name(schema));
    let made = connection.query_drop(format!("CREATE TEMPORARY TABLE {table} (number int)")).await.is_ok();
    made && connection.query_drop(format!("DROP TEMPORARY TABLE {table}")).await.is_ok()
}

/// What EXPLAIN may explain.
pub(super) async fn rights(connection: &mut Conn, relation: &Relation) -> Rights {
    let table = MysqlDialect.table(relation);
    let column = relation.columns.iter().find(|column| column.unnamed != Unnamed::Generated);
    let column = column.map(|column| MysqlDialect.name(&column.name)).unwrap_or_default();
    let mut may = async |statement: String| connection.query_drop(format!("EXPLAIN {statement}")).await.is_ok();
    Rights {
        select: may(format!("SELECT * FROM {table} WHERE false")).await,
        insert: may(format!("INSERT INTO {table} ({column}) SELECT NULL FROM DUAL WHERE false")).await,
        update: may(format!("UPDATE {table} SET {column} = NULL WHERE false")).await,
        delete: may(format!("DELETE FROM {table} WHERE false")).await,
    }
}
