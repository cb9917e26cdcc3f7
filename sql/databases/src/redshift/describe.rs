//! What Redshift says of a table, and which Arrow type each of its types is. Its catalogue is PostgreSQL's of 2005: what is asked of it is asked of
//! any PostgreSQL alike.

use arrow::datatypes::{DataType, TimeUnit};
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

use super::dialect::text;
use crate::error::{Doing, Error, Result};
use crate::postgres::describe::made as postgres_made;
use crate::postgres::fault::of_statement_at;
use crate::relation::{Column, Comparison, Listed, Relation, Unnamed};
use crate::settings::Kind;

/// The most bytes of a text.
const TEXT: &str = "varchar(65535)";

const LIST: &str = "\
SELECT n.nspname, c.relname, c.relkind = 'v' FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'v') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'pg_internal') AND n.nspname NOT LIKE 'pg!_temp!_%' ESCAPE '!'
ORDER BY 1, 2";

async fn rows(client: &Client, sql: &str, place: &str) -> Result<Vec<SimpleQueryRow>> {
    let messages = client.simple_query(sql).await.map_err(|error| of_statement_at(Kind::Redshift, &error, place, Doing::Reading))?;
    let row = |message| if let SimpleQueryMessage::Row(row) = message { Some(row) } else { None };
    Ok(messages.into_iter().filter_map(row).collect())
}

fn cell(row: &SimpleQueryRow, at: usize) -> Result<&str> {
    row.get(at).ok_or_else(|| Error::Refused("Redshift describes a table in a form that this version does not read".into()))
}

pub(super) async fn list(client: &Client) -> Result<Vec<Listed>> {
    let listed = |row: &SimpleQueryRow| {
        Ok(Listed { schema: cell(row, 0)?.to_owned(), table: cell(row, 1)?.to_owned(), is_view: cell(row, 2)? == "t" })
    };
    rows(client, LIST, "the list of tables").await?.iter().map(listed).collect()
}

pub(super) async fn relation(client: &Client, schema: &str, table: &str) -> Result<Option<Relation>> {
    let (Some(in_schema), Some(of_name)) = (text(schema), text(table)) else { return Ok(None) };
    let place = format!("{schema}.{table}");
    let found = format!(
        "SELECT c.oid, c.relkind = 'v', c.reltuples FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = {in_schema} AND c.relname = {of_name} AND c.relkind IN ('r', 'v')"
    );
    let found = rows(client, &found, &place).await?;
    let Some(found) = found.first() else { return Ok(None) };
    let oid: u32 = cell(found, 0)?.parse().map_err(|_| Error::Refused("Redshift describes a table without its number".into()))?;
    let columns = format!(
        "SELECT a.attname, t.typname, a.atttypmod, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull, a.atthasdef \
         FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
         WHERE a.attrelid = {oid} AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
    );
    let key = format!(
        "SELECT a.attname FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey) \
         WHERE k.conrelid = {oid} AND k.contype = 'p' ORDER BY a.attnum"
    );
    let (columns, key) = (rows(client, &columns, &place).await?, rows(client, &key, &place).await?);
    Ok(Some(Relation {
        database: String::new(),
        schema: schema.to_owned(),
        name: table.to_owned(),
        columns: columns.iter().map(column).collect::<Result<_>>()?,
        key: key.iter().map(|row| cell(row, 0).map(str::to_owned)).collect::<Result<_>>()?,
        // Of a table that was never analysed it is not known.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate")]
        rows: found.get(2).and_then(|rows| rows.parse::<f64>().ok()).filter(|rows| *rows > 0.0).map(|rows| rows as u64),
        is_view: cell(found, 1)? == "t",
        exists: true,
        is_transactional: true,
    }))
}

fn column(row: &SimpleQueryRow) -> Result<Column> {
    let typmod: i32 = cell(row, 2)?.parse().unwrap_or(-1);
    let sql_type = cell(row, 3)?.to_owned();
    // The limit of a varchar has the four bytes of a length added.
    let bytes_max = usize::try_from(typmod - 4).ok().filter(|_| typmod > 4);
    let exact = |data_type| (data_type, Comparison::Exact);
    let (data_type, comparison) = match cell(row, 1)? {
        "bool" => exact(DataType::Boolean),
        "int2" => exact(DataType::Int16),
        "int4" => exact(DataType::Int32),
        "int8" => exact(DataType::Int64),
        "float4" => (DataType::Float32, Comparison::Float),
        "float8" => (DataType::Float64, Comparison::Float),
        "numeric" => match numeric(typmod) {
            Some(data_type) => exact(data_type),
            None => (DataType::Utf8, Comparison::Never),
        },
        "varchar" | "text" | "bpchar" => (DataType::Utf8, Comparison::Text),
        "bytea" | "varbyte" => (DataType::Binary, Comparison::Never),
        "date" => exact(DataType::Date32),
        "timestamp" => exact(DataType::Timestamp(TimeUnit::Microsecond, None)),
        "timestamptz" => exact(DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
        "time" => (DataType::Time64(TimeUnit::Microsecond), Comparison::Never),
        // `super` and what else there is, as text.
        _ => (DataType::Utf8, Comparison::Never),
    };
    let is_cast = data_type == DataType::Utf8 && comparison == Comparison::Never;
    Ok(Column {
        name: cell(row, 0)?.to_owned(),
        stored: None,
        nullable: cell(row, 4)? != "t",
        chars_max: if comparison == Comparison::Text { bytes_max } else { None },
        unnamed: if cell(row, 5)? == "t" { Unnamed::Default } else { Unnamed::Null },
        is_loosely_equal: is_cast || comparison == Comparison::Float,
        data_type,
        sql_type,
        is_cast,
        comparison,
    })
}

/// The decimal of a numeric, which has 38 digits at the most there.
fn numeric(typmod: i32) -> Option<DataType> {
    let typmod = typmod.checked_sub(4).filter(|typmod| *typmod >= 0)?;
    let (precision, scale) = (u8::try_from(typmod >> 16).ok()?, i8::try_from(typmod & 0xffff).ok()?);
    (1..=38).contains(&precision).then_some(DataType::Decimal128(precision, scale))
}

/// The column that a write makes for values of a type: what it takes, and its definition.
pub(super) fn made(data_type: &DataType) -> Result<(DataType, String)> {
    match postgres_made(data_type)? {
        (DataType::Utf8, _) => Ok((DataType::Utf8, TEXT.to_owned())),
        (DataType::Binary, _) => Ok((DataType::Binary, "varbyte(1024000)".to_owned())),
        (DataType::List(_) | DataType::Decimal256(..) | DataType::Interval(_), _) => Err(Error::Statement(format!(
            "no column of Redshift is made for {data_type}; convert it in the SELECT, or make the table first"
        ))),
        made => Ok(made),
    }
}
