//! What a database says of a table, and which Arrow type its columns are.
//!
//! Types are those of the query that will read them, as the driver describes it (`execute_schema`), since drivers describe tables otherwise than
//! they read them. Nullability, keys and defaults are asked for in SQL where it is known.

use adbc_core::error::{Error as Fault, Status};
use adbc_core::{Connection, Statement};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};

use super::connect::Link;
use super::dialect::{Sql, is_plain};
use super::fault::is_absent;
use super::vendor::Vendor;
use crate::dialect::Dialect;
use crate::error::{Error, Result};
use crate::relation::{Column, Comparison, Listed, Relation, Unnamed};

/// Schemas of the database itself.
const OWN_SCHEMAS: &str = "('information_schema', 'pg_catalog', 'INFORMATION_SCHEMA')";

pub(super) fn list(link: &mut Link) -> Result<Vec<Listed>, Fault> {
    let (sql, names) = match link.product.vendor {
        Vendor::Snowflake => ("SHOW OBJECTS IN DATABASE".to_owned(), ["schema_name", "name", "kind"]),
        Vendor::Sqlite => (
            "SELECT 'main' AS s, name AS n, type AS k FROM main.sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
                .to_owned(),
            ["s", "n", "k"],
        ),
        Vendor::Postgres | Vendor::Other(_) => (
            format!("SELECT table_schema AS s, table_name AS n, table_type AS k FROM information_schema.tables WHERE table_schema NOT IN {OWN_SCHEMAS}"),
            ["s", "n", "k"],
        ),
    };
    let rows = link.texts(&sql, names)?;
    let listed = rows.into_iter().filter_map(|[schema, table, kind]| {
        Some(Listed { schema: schema?, table: table?, is_view: kind.is_some_and(|kind| kind.eq_ignore_ascii_case("view")) })
    });
    Ok(listed.filter(|listed| !OWN_SCHEMAS.contains(&format!("'{}'", listed.schema))).collect())
}

pub(super) fn relation(link: &mut Link, schema: &str, table: &str) -> Result<Option<Relation>, Fault> {
    match link.product.vendor {
        Vendor::Snowflake => snowflake(link, schema, table),
        Vendor::Postgres => postgres(link, schema, table),
        Vendor::Sqlite => sqlite(link, schema, table),
        Vendor::Other(_) => other(link, schema, table),
    }
}

fn found(schema: &str, table: &str, columns: Vec<Column>, key: Vec<String>, is_view: bool) -> Relation {
    Relation {
        database: String::new(),
        schema: schema.to_owned(),
        name: table.to_owned(),
        columns,
        key,
        rows: None,
        is_view,
        exists: true,
        is_transactional: true,
    }
}

/// The type that stands for all that hold the same values.
fn plain(data_type: &DataType) -> DataType {
    match data_type {
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::Dictionary(_, value) => plain(value),
        DataType::Timestamp(unit, Some(_)) => DataType::Timestamp(*unit, Some("UTC".into())),
        other => other.clone(),
    }
}

/// The columns of a query's answer, without an answer.
fn answer(link: &mut Link, sql: &str) -> Result<Schema, Fault> {
    let mut statement = link.connection.new_statement()?;
    statement.set_sql_query(sql)?;
    statement.execute_schema()
}

fn other(link: &mut Link, schema: &str, table: &str) -> Result<Option<Relation>, Fault> {
    let dialect = Sql::of(link.product.vendor);
    let sql = format!("SELECT * FROM {}.{}", dialect.name(schema), dialect.name(table));
    let described = answer(link, &sql).or_else(|error| match error.status {
        Status::NotImplemented => {
            let mut statement = link.connection.new_statement()?;
            statement.set_sql_query(format!("{sql} WHERE 1 = 0"))?;
            Ok(statement.execute()?.schema().as_ref().clone())
        }
        _ => Err(error),
    });
    let described = match described {
        Ok(described) => described,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    let column = |field: &std::sync::Arc<Field>| Column {
        name: field.name().clone(),
        stored: Some(field.name().clone()),
        data_type: plain(field.data_type()),
        nullable: true,
        sql_type: field.data_type().to_string(),
        is_cast: false,
        chars_max: None,
        unnamed: Unnamed::Null,
        comparison: Comparison::Never,
        is_loosely_equal: true,
    };
    Ok(Some(found(schema, table, described.fields().iter().map(column).collect(), Vec::new(), false)))
}

/// The comparison of a type that means the same here and there.
fn comparison(data_type: &DataType) -> Comparison {
    match data_type {
        DataType::Boolean | DataType::Date32 | DataType::Timestamp(..) => Comparison::Exact,
        data_type if data_type.is_floating() => Comparison::Float,
        data_type if data_type.is_numeric() => Comparison::Exact,
        DataType::Utf8 => Comparison::Text,
        _ => Comparison::Never,
    }
}

/// `20` of `VARCHAR(20)`.
fn number_in(sql_type: &str) -> Option<usize> {
    sql_type.split_once('(')?.1.split(')').next()?.parse().ok()
}

/// A name that is in small letters and is not there is the name in capitals, as Snowflake stores what is not quoted.
fn in_capitals(name: &str) -> Option<String> {
    is_plain(name).then(|| name.to_ascii_uppercase())
}

fn snowflake(link: &mut Link, schema: &str, table: &str) -> Result<Option<Relation>, Fault> {
    let dialect = Sql::of(Vendor::Snowflake);
    let Some(like) = dialect.text(table) else { return Ok(None) };
    // LIKE is wider than the name, and knows no case.
    let objects = link.texts(&format!("SHOW OBJECTS LIKE {like} IN DATABASE"), ["schema_name", "name", "kind", "rows"])?;
    let rank = |name: &str, found: &str| if name == found { Some(0) } else { (in_capitals(name).as_deref() == Some(found)).then_some(1) };
    let ranked = objects.into_iter().filter_map(|[in_schema, name, kind, rows]| {
        let (in_schema, name) = (in_schema?, name?);
        Some(((rank(table, &name)?, rank(schema, &in_schema)?), in_schema, name, kind, rows))
    });
    let Some((_, schema, table, kind, rows)) = ranked.min_by_key(|(rank, ..)| *rank) else { return Ok(None) };
    let place = format!("{}.{}", dialect.name(&schema), dialect.name(&table));
    let details = link.texts(&format!("DESCRIBE TABLE {place}"), ["name", "type", "kind", "null?", "default", "expression"])?;
    let described = answer(link, &format!("SELECT * FROM {place}"))?;
    let is_view = kind.is_some_and(|kind| kind.eq_ignore_ascii_case("view"));
    let mut keys =
        if is_view { Vec::new() } else { link.texts(&format!("SHOW PRIMARY KEYS IN TABLE {place}"), ["key_sequence", "column_name"])? };
    keys.sort_by_key(|[number, _]| number.as_deref().and_then(|number| number.parse::<u32>().ok()));

    let stored: Vec<_> = described.fields().iter().map(|field| field.name().clone()).collect();
    let shown = |name: &str| {
        let small = name.to_ascii_lowercase();
        if is_plain(&small) && name == name.to_ascii_uppercase() && !stored.contains(&small) { small } else { name.to_owned() }
    };
    let column = |field: &std::sync::Arc<Field>| {
        let row = details.iter().find(|[name, ..]| name.as_deref() == Some(field.name()));
        let detail = |at: usize| row.and_then(|row| row[at].clone());
        let sql_type = detail(1).unwrap_or_else(|| field.data_type().to_string());
        let is_object = ["VARIANT", "OBJECT", "ARRAY", "GEO", "MAP", "VECTOR"].iter().any(|word| sql_type.starts_with(word));
        let data_type = match (plain(field.data_type()), field.metadata().get("SNOWFLAKE_TYPE").map(String::as_str)) {
            // Its schema alone says that they have a zone.
            (DataType::Timestamp(unit, _), Some("timestamp_ntz")) => DataType::Timestamp(unit, None),
            (data_type, _) => data_type,
        };
        let is_digits = matches!(data_type, DataType::Timestamp(..) | DataType::Time64(_));
        // Read in microseconds, and compared there with all of its digits.
        let is_cut =
            matches!(data_type, DataType::Timestamp(TimeUnit::Microsecond, _)) && number_in(&sql_type).is_none_or(|digits| digits > 6);
        Column {
            name: shown(field.name()),
            stored: Some(field.name().clone()),
            nullable: detail(3).as_deref() != Some("N"),
            chars_max: if data_type == DataType::Utf8 && !is_object || is_digits { number_in(&sql_type) } else { None },
            unnamed: match (detail(2).as_deref(), detail(5), detail(4)) {
                (_, Some(_), _) | (Some("VIRTUAL_COLUMN" | "VIRTUAL"), ..) => Unnamed::Generated,
                (_, _, Some(_)) => Unnamed::Default,
                _ => Unnamed::Null,
            },
            comparison: if is_object || is_cut { Comparison::Never } else { comparison(&data_type) },
            is_loosely_equal: is_object || sql_type.contains("COLLATE"),
            is_cast: is_object,
            sql_type,
            data_type,
        }
    };
    let columns: Vec<_> = described.fields().iter().map(column).collect();
    let key = keys.into_iter().filter_map(|[_, name]| name.map(|name| shown(&name))).collect();
    Ok(Some(Relation { rows: rows.and_then(|rows| rows.parse().ok()), ..found(&schema, &table, columns, key, is_view) }))
}

fn postgres(link: &mut Link, schema: &str, table: &str) -> Result<Option<Relation>, Fault> {
    let dialect = Sql::of(Vendor::Postgres);
    let (Some(schema_text), Some(table_text)) = (dialect.text(schema), dialect.text(table)) else { return Ok(None) };
    let sql = format!(
        "SELECT a.attname::text AS name, pg_catalog.format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull::text AS not_null, \
         CASE WHEN a.attgenerated <> '' OR a.attidentity = 'a' THEN 'generated' WHEN a.atthasdef OR a.attidentity <> '' THEN 'default' END AS filled, \
         pg_catalog.array_position(i.indkey::int2[], a.attnum)::text AS place, c.relkind::text AS kind \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
         LEFT JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisprimary \
         WHERE n.nspname = {schema_text} AND c.relname = {table_text} AND c.relkind IN ('r', 'p', 'v', 'm', 'f') ORDER BY a.attnum"
    );
    let rows = link.texts(&sql, ["name", "type", "not_null", "filled", "place", "kind"])?;
    let Some([_, _, _, _, _, kind]) = rows.first() else { return Ok(None) };
    let is_view = matches!(kind.as_deref(), Some("v" | "m"));
    let (mut columns, mut key) = (Vec::new(), Vec::new());
    for [name, sql_type, not_null, filled, place, _] in rows {
        // A table may have no columns.
        let (Some(name), Some(sql_type)) = (name, sql_type) else { continue };
        if let Some(place) = place.and_then(|place| place.parse::<i32>().ok()) {
            key.push((place, name.clone()));
        }
        let data_type = postgres_type(&sql_type);
        let is_text = sql_type == "text" || sql_type.starts_with("character varying");
        columns.push(Column {
            stored: Some(name.clone()),
            nullable: not_null.as_deref() != Some("true"),
            chars_max: number_in(&sql_type).filter(|_| sql_type.starts_with("character")),
            unnamed: match filled.as_deref() {
                Some("generated") => Unnamed::Generated,
                Some(_) => Unnamed::Default,
                None => Unnamed::Null,
            },
            comparison: if data_type == DataType::Utf8 && !is_text { Comparison::Never } else { comparison(&data_type) },
            is_loosely_equal: !matches!(data_type, DataType::Boolean | DataType::Date32 | DataType::Timestamp(..))
                && !data_type.is_integer(),
            is_cast: data_type.is_decimal() || data_type == DataType::Utf8 && !is_text,
            name,
            sql_type,
            data_type,
        });
    }
    key.sort();
    let key = key.into_iter().map(|(_, name)| name).collect();
    Ok(Some(found(schema, table, columns, key, is_view)))
}

/// What the driver reads as it is. All else is cast to text there.
fn postgres_type(sql_type: &str) -> DataType {
    let timestamp = |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
    match sql_type {
        "boolean" => DataType::Boolean,
        "smallint" => DataType::Int16,
        "integer" => DataType::Int32,
        "bigint" => DataType::Int64,
        "real" => DataType::Float32,
        "double precision" => DataType::Float64,
        "bytea" => DataType::Binary,
        "date" => DataType::Date32,
        _ if sql_type.starts_with("timestamp") && sql_type.ends_with("without time zone") => timestamp(None),
        _ if sql_type.starts_with("timestamp") && sql_type.ends_with("with time zone") => timestamp(Some("UTC")),
        _ => decimal(sql_type, "numeric(", 38).unwrap_or(DataType::Utf8),
    }
}

/// `numeric(10,2)`.
fn decimal(sql_type: &str, word: &str, digits_max: u8) -> Option<DataType> {
    let (precision, scale) = sql_type.strip_prefix(word)?.strip_suffix(')')?.split_once(',')?;
    let (precision, scale): (u8, i8) = (precision.trim().parse().ok()?, scale.trim().parse().ok()?);
    (precision <= digits_max && scale >= 0 && scale.unsigned_abs() <= precision).then_some(DataType::Decimal128(precision, scale))
}

/// The driver takes types from the rows that it reads first, so a column is read by its declared type, and a value of another is an error.
fn sqlite(link: &mut Link, schema: &str, table: &str) -> Result<Option<Relation>, Fault> {
    let dialect = Sql::of(Vendor::Sqlite);
    let Some(name_text) = dialect.text(table).filter(|_| schema == "main") else { return Ok(None) };
    let sql = format!("SELECT type FROM main.sqlite_schema WHERE type IN ('table', 'view') AND name = {name_text}");
    let Some([kind]) = link.texts(&sql, ["type"])?.into_iter().next() else { return Ok(None) };
    let sql = format!(
        "SELECT name, type, \"notnull\" || '' AS n, dflt_value, pk || '' AS pk, hidden || '' AS hidden FROM pragma_table_xinfo({name_text}, 'main') WHERE hidden <> 1 ORDER BY cid"
    );
    let (mut columns, mut key) = (Vec::new(), Vec::new());
    for [name, declared, not_null, default, place, hidden] in link.texts(&sql, ["name", "type", "n", "dflt_value", "pk", "hidden"])? {
        let (Some(name), declared) = (name, declared.unwrap_or_default()) else { continue };
        if let Some(place) = place.and_then(|place| place.parse::<u32>().ok()).filter(|place| *place > 0) {
            key.push((place, name.clone(), declared.eq_ignore_ascii_case("integer")));
        }
        let data_type = sqlite_type(&declared);
        columns.push(Column {
            stored: Some(name.clone()),
            nullable: not_null.as_deref() == Some("0"),
            chars_max: None,
            unnamed: match (hidden.as_deref(), default) {
                (Some("2" | "3"), _) => Unnamed::Generated,
                (_, Some(_)) => Unnamed::Default,
                _ => Unnamed::Null,
            },
            comparison: match data_type {
                DataType::Int64 => Comparison::Exact,
                DataType::Utf8 if is_sqlite_text(&declared) => Comparison::Text,
                _ => Comparison::Never,
            },
            is_loosely_equal: true,
            // Its values may be of any type, and are read as text and not written.
            is_cast: data_type == DataType::Utf8 && !is_sqlite_text(&declared),
            sql_type: if declared.is_empty() { "of no type".to_owned() } else { declared },
            name,
            data_type,
        });
    }
    key.sort();
    if let [(_, name, true)] = &key[..]
        && let Some(column) = columns.iter_mut().find(|column| column.name == *name)
    {
        // The number of the row, which SQLite gives.
        (column.unnamed, column.nullable) = (Unnamed::Default, false);
    }
    let key = key.into_iter().map(|(_, name, _)| name).collect();
    Ok(Some(found(schema, table, columns, key, kind.as_deref() == Some("view"))))
}

fn is_sqlite_text(declared: &str) -> bool {
    let declared = declared.to_ascii_uppercase();
    !declared.contains("INT") && ["CHAR", "CLOB", "TEXT"].iter().any(|word| declared.contains(word))
}

fn sqlite_type(declared: &str) -> DataType {
    let upper = declared.to_ascii_uppercase();
    let has = |words: &[&str]| words.iter().any(|word| upper.contains(word));
    if has(&["INT"]) {
        DataType::Int64
    } else if !is_sqlite_text(declared) && has(&["BLOB"]) {
        DataType::Binary
    } else if !is_sqlite_text(declared) && has(&["REAL", "FLOA", "DOUB"]) {
        DataType::Float64
    } else {
        DataType::Utf8
    }
}

/// The column that a write makes for values of a type: what it takes, and its definition.
pub(super) fn made(vendor: Vendor, data_type: &DataType) -> Result<(DataType, String)> {
    let pair = |data_type, sql_type: &str| Ok((data_type, sql_type.to_owned()));
    let unit = if vendor == Vendor::Snowflake { TimeUnit::Nanosecond } else { TimeUnit::Microsecond };
    match (vendor, plain(data_type)) {
        (Vendor::Sqlite, data_type) if data_type.is_integer() && data_type != DataType::UInt64 => pair(DataType::Int64, "INTEGER"),
        (Vendor::Sqlite, data_type) if data_type.is_floating() => pair(DataType::Float64, "REAL"),
        (Vendor::Sqlite, DataType::Binary) => pair(DataType::Binary, "BLOB"),
        (Vendor::Sqlite, data_type) if !data_type.is_nested() => pair(DataType::Utf8, "TEXT"),
        (Vendor::Snowflake, data_type) if data_type.is_integer() => pair(DataType::Decimal128(38, 0), "NUMBER(38,0)"),
        (Vendor::Snowflake, data_type) if data_type.is_floating() => pair(DataType::Float64, "FLOAT"),
        (Vendor::Snowflake, DataType::Decimal128(precision, scale)) if scale >= 0 => {
            pair(DataType::Decimal128(precision, scale), &format!("NUMBER({precision},{scale})"))
        }
        (Vendor::Snowflake, DataType::Timestamp(_, None)) => pair(DataType::Timestamp(unit, None), "TIMESTAMP_NTZ(9)"),
        (Vendor::Snowflake, DataType::Timestamp(..)) => pair(DataType::Timestamp(unit, Some("UTC".into())), "TIMESTAMP_TZ(9)"),
        (Vendor::Snowflake, DataType::Binary) => pair(DataType::Binary, "BINARY"),
        (Vendor::Snowflake, DataType::Utf8 | DataType::Null) => pair(DataType::Utf8, "VARCHAR"),
        (Vendor::Postgres, DataType::Int8 | DataType::Int16 | DataType::UInt8) => pair(DataType::Int16, "smallint"),
        (Vendor::Postgres, DataType::Int32 | DataType::UInt16) => pair(DataType::Int32, "integer"),
        (Vendor::Postgres, DataType::Int64 | DataType::UInt32) => pair(DataType::Int64, "bigint"),
        (Vendor::Postgres, DataType::Float16 | DataType::Float32) => pair(DataType::Float32, "real"),
        (Vendor::Postgres, DataType::Float64) => pair(DataType::Float64, "double precision"),
        (Vendor::Postgres, DataType::Timestamp(_, None)) => pair(DataType::Timestamp(unit, None), "timestamp without time zone"),
        (Vendor::Postgres, DataType::Timestamp(..)) => pair(DataType::Timestamp(unit, Some("UTC".into())), "timestamp with time zone"),
        (Vendor::Postgres, DataType::Decimal128(precision, scale)) if scale >= 0 => {
            pair(DataType::Decimal128(precision, scale), &format!("numeric({precision},{scale})"))
        }
        (Vendor::Postgres, DataType::Binary) => pair(DataType::Binary, "bytea"),
        (Vendor::Postgres, DataType::Utf8 | DataType::Null) => pair(DataType::Utf8, "text"),
        (Vendor::Snowflake | Vendor::Postgres, DataType::Boolean) => pair(DataType::Boolean, "boolean"),
        (Vendor::Snowflake | Vendor::Postgres, DataType::Date32 | DataType::Date64) => pair(DataType::Date32, "date"),
        _ => Err(Error::Statement(format!("no column is made for {data_type} there; convert it in the SELECT, or make the table first"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_says_how_a_column_is_read() {
        assert_eq!(postgres_type("numeric(10,2)"), DataType::Decimal128(10, 2));
        assert_eq!(postgres_type("numeric(50,2)"), DataType::Utf8);
        assert_eq!(postgres_type("timestamp(3) with time zone"), DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));
        assert_eq!(postgres_type("uuid"), DataType::Utf8);
        assert_eq!(sqlite_type("POINT"), DataType::Int64);
        assert_eq!(sqlite_type("TEXT REAL"), DataType::Utf8);
        assert_eq!(number_in("VARCHAR(20) COLLATE 'en-ci'"), Some(20));
        assert_eq!(number_in("VARCHAR"), None);
    }

    #[test]
    fn a_name_in_small_letters_may_be_one_in_capitals() {
        assert_eq!(in_capitals("users_2").as_deref(), Some("USERS_2"));
        assert_eq!(in_capitals("Users"), None);
        assert_eq!(in_capitals("my users"), None);
    }
}
