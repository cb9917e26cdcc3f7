//! What MySQL or MariaDB says of a table, and which Arrow type each of its types is. A schema is what they call a database.

use arrow::datatypes::{DataType, TimeUnit};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row, from_row_opt};

use crate::error::{Error, Result};
use crate::relation::{Column, Comparison, Listed, Relation, Unnamed};

const LIST: &str = "\
SELECT table_schema, table_name, table_type <> 'BASE TABLE' FROM information_schema.tables
WHERE table_schema NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys') ORDER BY 1, 2";

const TABLE: &str = "\
SELECT table_type <> 'BASE TABLE', table_rows, coalesce(engine, '') FROM information_schema.tables WHERE table_schema = ? AND table_name = ?";

const COLUMNS: &str = "\
SELECT column_name, lower(data_type), lower(column_type), is_nullable = 'YES', column_default IS NOT NULL AND column_default <> 'NULL', lower(extra),
    CAST(character_maximum_length AS SIGNED), CAST(numeric_precision AS SIGNED), CAST(numeric_scale AS SIGNED), CAST(datetime_precision AS SIGNED),
    coalesce(character_set_name, '')
FROM information_schema.columns WHERE table_schema = ? AND table_name = ? ORDER BY ordinal_position";

const KEY: &str = "\
SELECT column_name FROM information_schema.statistics WHERE table_schema = ? AND table_name = ? AND index_name = 'PRIMARY' ORDER BY seq_in_index";

fn unread() -> Error {
    Error::Refused("MySQL describes a table in a form that this version does not read".into())
}

fn cells<T: mysql_async::prelude::FromRow>(row: Row) -> Result<T> {
    from_row_opt(row).map_err(|_| unread())
}

pub(super) async fn list(connection: &mut Conn) -> mysql_async::Result<Result<Vec<Listed>>> {
    let rows: Vec<Row> = connection.exec(LIST, ()).await?;
    let listed = |row| cells(row).map(|(schema, table, is_view)| Listed { schema, table, is_view });
    Ok(rows.into_iter().map(listed).collect())
}

pub(super) async fn relation(connection: &mut Conn, schema: &str, table: &str) -> mysql_async::Result<Result<Option<Relation>>> {
    let found: Option<Row> = connection.exec_first(TABLE, (schema, table)).await?;
    let Some(found) = found else { return Ok(Ok(None)) };
    let columns: Vec<Row> = connection.exec(COLUMNS, (schema, table)).await?;
    let key: Vec<String> = connection.exec(KEY, (schema, table)).await?;
    Ok(made_of(schema, table, found, columns, key).map(Some))
}

fn made_of(schema: &str, table: &str, found: Row, columns: Vec<Row>, key: Vec<String>) -> Result<Relation> {
    let (is_view, rows, engine): (bool, Option<u64>, String) = cells(found)?;
    Ok(Relation {
        database: String::new(),
        schema: schema.to_owned(),
        name: table.to_owned(),
        columns: columns.into_iter().map(column).collect::<Result<_>>()?,
        key,
        rows,
        is_view,
        exists: true,
        is_transactional: is_view || ["InnoDB", "ROCKSDB", "TokuDB", "ndbcluster"].contains(&engine.as_str()),
    })
}

fn column(row: Row) -> Result<Column> {
    type Described = (String, String, String, bool, bool, String, Option<i64>, Option<i64>, Option<i64>, Option<i64>, String);
    let (name, kind, sql_type, nullable, has_default, extra, chars, precision, scale, fraction, characters): Described = cells(row)?;
    let is_unsigned = sql_type.contains("unsigned");
    let whole = |signed: DataType, unsigned: DataType| (if is_unsigned { unsigned } else { signed }, Comparison::Exact);
    let (data_type, comparison) = match kind.as_str() {
        "tinyint" => whole(DataType::Int8, DataType::UInt8),
        "smallint" => whole(DataType::Int16, DataType::UInt16),
        // A number of two digits may be taken for a year of this century.
        "year" => (DataType::Int16, Comparison::Never),
        "mediumint" | "int" => whole(DataType::Int32, DataType::UInt32),
        "bigint" => whole(DataType::Int64, DataType::UInt64),
        // It is compared as the double that it is not.
        "float" => (DataType::Float32, Comparison::Never),
        "double" => (DataType::Float64, Comparison::Float),
        "decimal" => (decimal(precision, scale).ok_or_else(unread)?, Comparison::Exact),
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "enum" | "set" => {
            (DataType::Utf8, if characters == "utf8mb4" { Comparison::Text } else { Comparison::NarrowText })
        }
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" | "bit" => (DataType::Binary, Comparison::Never),
        "date" => (DataType::Date32, Comparison::Exact),
        "datetime" => (DataType::Timestamp(TimeUnit::Microsecond, None), Comparison::Exact),
        "timestamp" => (DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), Comparison::Exact),
        _ => (DataType::Utf8, Comparison::Never),
    };
    let is_temporal = matches!(data_type, DataType::Timestamp(..));
    let is_text = matches!(kind.as_str(), "char" | "varchar");
    Ok(Column {
        stored: None,
        is_cast: data_type == DataType::Utf8 && comparison == Comparison::Never,
        is_loosely_equal: false,
        // Of an instant, the digits of its fraction.
        chars_max: match (is_text, is_temporal) {
            (true, _) => chars.and_then(|chars| usize::try_from(chars).ok()),
            (_, true) => fraction.and_then(|digits| usize::try_from(digits).ok()),
            _ => None,
        },
        unnamed: if extra.contains("generated") && !extra.contains("default_generated") {
            Unnamed::Generated
        } else if has_default || extra.contains("auto_increment") || extra.contains("default_generated") {
            Unnamed::Default
        } else {
            Unnamed::Null
        },
        name,
        data_type,
        nullable,
        sql_type,
        comparison,
    })
}

fn decimal(precision: Option<i64>, scale: Option<i64>) -> Option<DataType> {
    let (precision, scale) = (u8::try_from(precision?).ok()?, i8::try_from(scale?).ok()?);
    Some(if precision <= 38 { DataType::Decimal128(precision, scale) } else { DataType::Decimal256(precision, scale) })
}

/// The column that a write makes for values of a type: what it takes, and its definition.
pub(super) fn made(data_type: &DataType) -> Result<(DataType, String)> {
    let (data_type, sql) = match data_type {
        DataType::Boolean | DataType::Int8 => (DataType::Int8, "tinyint"),
        DataType::UInt8 => (DataType::UInt8, "tinyint unsigned"),
        DataType::Int16 => (DataType::Int16, "smallint"),
        DataType::UInt16 => (DataType::UInt16, "smallint unsigned"),
        DataType::Int32 => (DataType::Int32, "int"),
        DataType::UInt32 => (DataType::UInt32, "int unsigned"),
        DataType::Int64 => (DataType::Int64, "bigint"),
        DataType::UInt64 => (DataType::UInt64, "bigint unsigned"),
        DataType::Float16 | DataType::Float32 => (DataType::Float32, "float"),
        DataType::Float64 => (DataType::Float64, "double"),
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale)
            if *precision <= 65 && (0..=30).contains(scale) && scale.unsigned_abs() <= *precision =>
        {
            return Ok((data_type.clone(), format!("decimal({precision},{scale})")));
        }
        DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => (DataType::Utf8, "longtext"),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => (DataType::Binary, "longblob"),
        DataType::Date32 | DataType::Date64 => (DataType::Date32, "date"),
        // A TIMESTAMP ends in 2038.
        DataType::Timestamp(..) => (DataType::Timestamp(TimeUnit::Microsecond, None), "datetime(6)"),
        DataType::Dictionary(_, value) => return made(value),
        data_type => {
            return Err(Error::Statement(format!(
                "no column of MySQL is made for {data_type}; convert it in the SELECT, or make the table first"
            )));
        }
    };
    Ok((data_type, sql.to_owned()))
}

/// The same for a column of the key: a text that MySQL takes for one, in which different texts are different keys.
pub(super) fn made_key(data_type: &DataType) -> Result<(DataType, String)> {
    let (data_type, sql) = made(data_type)?;
    let sql = match data_type {
        DataType::Utf8 => "varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin".to_owned(),
        DataType::Binary => "varbinary(255)".to_owned(),
        _ => sql,
    };
    Ok((data_type, sql))
}
