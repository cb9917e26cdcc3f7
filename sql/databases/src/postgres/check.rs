//! What is found when PostgreSQL is tried.

use std::sync::Arc;

use chrono::Utc;
use tokio::time::Instant;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

use super::connect::Connector;
use super::fault::of_statement;
use crate::check::{Finding, Rights};
use crate::error::{Doing, Error, Result, shown};
use crate::relation::Relation;
use crate::settings::Access;
use crate::write::path::STAGE_PREFIX;

const SERVER: &str = "\
SELECT current_user::text, split_part(version(), ' on ', 1), pg_catalog.pg_is_in_recovery(), current_setting('transaction_read_only')::boolean,
    pg_catalog.has_database_privilege(current_database(), 'TEMP'), extract(epoch FROM clock_timestamp())::float8,
    (SELECT s.version::text FROM pg_catalog.pg_stat_ssl s WHERE s.pid = pg_catalog.pg_backend_pid())";

const TABLES: &str = "\
SELECT count(*), count(*) FILTER (WHERE pg_catalog.has_table_privilege(c.oid, 'SELECT')),
    count(*) FILTER (WHERE pg_catalog.has_table_privilege(c.oid, 'INSERT'))
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
    AND n.nspname NOT LIKE 'pg\\_temp\\_%' AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')";

/// Temporary ones end with their sessions.
const STAGING: &str = "\
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE pg_catalog.starts_with(c.relname::text, $1) AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't' ORDER BY 1";

const RIGHTS: &str = "\
SELECT pg_catalog.has_table_privilege(c.oid, 'SELECT'), pg_catalog.has_table_privilege(c.oid, 'INSERT'),
    pg_catalog.has_table_privilege(c.oid, 'UPDATE'), pg_catalog.has_table_privilege(c.oid, 'DELETE')
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2";

fn failed(error: &tokio_postgres::Error) -> Error {
    of_statement(error, "the check", Doing::Reading)
}

fn cell<'r, T: tokio_postgres::types::FromSql<'r>>(row: &'r Row, at: usize) -> Result<T> {
    row.try_get(at).map_err(|_| Error::Refused("PostgreSQL describes itself in a form that this version does not read".into()))
}

async fn row(client: &Client, sql: &str, parameters: &[(&(dyn tokio_postgres::types::ToSql + Sync), Type)]) -> Result<Row> {
    let found = client.query_typed_opt(sql, parameters).await.map_err(|error| failed(&error))?;
    found.ok_or_else(|| Error::Refused("the table was dropped meanwhile".into()))
}

pub(super) async fn check(connector: &Arc<Connector>, access: Access) -> Result<Vec<Finding>> {
    let began = Instant::now();
    let connection = connector.connect().await?;
    let mut findings = vec![Finding::reached(&connector.address.place(), began.elapsed())];
    let client = &connection.client;
    let sent = (Utc::now(), Instant::now());
    let server = row(client, SERVER, &[]).await?;
    // The clock was read about in the middle between question and answer.
    let here = sent.0.timestamp_micros() as f64 / 1e6 + sent.1.elapsed().as_secs_f64() / 2.0;
    findings.push(Finding::good("login", format!("as {}", shown(cell(&server, 0)?))));
    findings.push(Finding::tls(cell(&server, 6)?, connector.address.is_local()));
    findings.push(Finding::good("server", shown(cell(&server, 1)?)));
    let (is_standby, is_read_only): (bool, bool) = (cell(&server, 2)?, cell(&server, 3)?);
    let tables = row(client, TABLES, &[]).await?;
    let counts: (i64, i64, i64) = (cell(&tables, 0)?, cell(&tables, 1)?, cell(&tables, 2)?);
    let may = format!("of {} tables and views {} may be read, {} written", counts.0, counts.1, counts.2);
    findings.push(match access {
        Access::Write if is_standby => Finding::refused("rights", "the server is a standby, which is read only; write to the primary"),
        Access::Write if is_read_only => {
            Finding::refused("rights", "transactions of this user are read only; ALTER ROLE … SET default_transaction_read_only = off")
        }
        Access::Write if !cell::<bool>(&server, 4)? => Finding::open(
            "rights",
            format!(
                "{may}; temporary tables may not be made, so only plain appends are written: GRANT TEMP ON DATABASE … TO … in the database"
            ),
        ),
        Access::Write => Finding::good("rights", format!("{may}; temporary tables may be made")),
        Access::Read => Finding::good("rights", may),
    });
    findings.push(Finding::clock(cell(&server, 5)?, here));
    let left = client.query_typed(STAGING, &[(&STAGE_PREFIX, Type::TEXT)]).await.map_err(|error| failed(&error))?;
    let left = left.iter().map(|row| Ok(shown(cell(row, 0)?))).collect::<Result<Vec<_>>>()?;
    findings.push(Finding::staging(&left));
    Ok(findings)
}

pub(super) async fn rights(client: &Client, relation: &Relation) -> Result<Rights> {
    let rights = row(client, RIGHTS, &[(&relation.schema, Type::TEXT), (&relation.name, Type::TEXT)]).await?;
    Ok(Rights { select: cell(&rights, 0)?, insert: cell(&rights, 1)?, update: cell(&rights, 2)?, delete: cell(&rights, 3)? })
}
