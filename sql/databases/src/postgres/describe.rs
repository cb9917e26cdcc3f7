//! What PostgreSQL says of a table, and which Arrow type each of its types is.
//!
//! Types are exact or text. What binary COPY carries is a function of the Arrow type alone: where PostgreSQL's own type has another form
//! (`uuid`, `jsonb`, `inet`, `numeric` without digits …), it is cast to text on the way out and back on the way in.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, IntervalUnit, TimeUnit};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

use super::fault::of_statement;
use crate::error::{Doing, Error, Result};
use crate::relation::{Column, Comparison, Listed, Relation, Unnamed};

/// Tables and views of all schemas but those of the server itself.
const LIST: &str = "\
SELECT n.nspname::text, c.relname::text, c.relkind IN ('v', 'm')
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND n.nspname NOT LIKE 'pg\\_temp\\_%'
    AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
ORDER BY 1, 2";

const TABLE: &str = "\
SELECT c.oid::int8, c.relkind IN ('v', 'm'), c.reltuples::float8
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')";

/// Columns with their types, those of domains and arrays followed to what they stand on.
const COLUMNS: &str = "\
WITH RECURSIVE base AS (
    SELECT a.attnum, a.atttypid AS oid, a.atttypmod AS typmod, a.attnotnull AS not_null, 0 AS depth
    FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1::int8::oid AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT b.attnum, t.typbasetype, t.typtypmod, b.not_null OR t.typnotnull, b.depth + 1
    FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.oid WHERE t.typtype = 'd'
), resolved AS (SELECT DISTINCT ON (attnum) * FROM base ORDER BY attnum, depth DESC)
SELECT a.attname::text, t.oid::int8, r.typmod, t.typtype = 'e',
    CASE WHEN t.typcategory = 'A' AND t.typlen = -1 THEN t.typelem::int8 ELSE 0 END, coalesce(e.typtype = 'e', false),
    pg_catalog.format_type(a.atttypid, a.atttypmod), r.not_null,
    a.atthasdef OR a.attidentity <> '', a.attgenerated <> '' OR a.attidentity = 'a', coalesce(NOT l.collisdeterministic, false)
FROM resolved r
JOIN pg_catalog.pg_attribute a ON a.attrelid = $1::int8::oid AND a.attnum = r.attnum
JOIN pg_catalog.pg_type t ON t.oid = r.oid
LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem
LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
ORDER BY a.attnum";

const KEY: &str = "\
SELECT a.attname::text
FROM pg_catalog.pg_index i
CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place)
JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
WHERE i.indrelid = $1::int8::oid AND i.indisprimary AND k.place <= i.indnkeyatts
ORDER BY k.place";

pub(super) async fn list(client: &Client) -> Result<Vec<Listed>> {
    let rows = client.query_typed(LIST, &[]).await.map_err(|error| of_statement(&error, "the list of tables", Doing::Reading))?;
    rows.iter().map(|row| Ok(Listed { schema: cell(row, 0)?, table: cell(row, 1)?, is_view: cell(row, 2)? })).collect()
}

pub(super) async fn relation(client: &Client, schema: &str, table: &str) -> Result<Option<Relation>> {
    let qualified = format!("{schema}.{table}");
    let failed = |error| of_statement(&error, &qualified, Doing::Reading);
    let found = client.query_typed_opt(TABLE, &[(&schema, Type::TEXT), (&table, Type::TEXT)]).await.map_err(failed)?;
    let Some(found) = found else { return Ok(None) };
    let oid: i64 = cell(&found, 0)?;
    let rows: f64 = cell(&found, 2)?;
    let columns = client.query_typed(COLUMNS, &[(&oid, Type::INT8)]).await.map_err(failed)?;
    let key = client.query_typed(KEY, &[(&oid, Type::INT8)]).await.map_err(failed)?;
    Ok(Some(Relation {
        database: String::new(),
        schema: schema.to_owned(),
        name: table.to_owned(),
        columns: columns.iter().map(column).collect::<Result<_>>()?,
        key: key.iter().map(|row| cell(row, 0)).collect::<Result<_>>()?,
        // -1 before the first VACUUM or ANALYZE.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate")]
        rows: (rows >= 0.0).then_some(rows as u64),
        is_view: cell(&found, 1)?,
        exists: true,
        is_transactional: true,
    }))
}

fn cell<'r, T: tokio_postgres::types::FromSql<'r>>(row: &'r Row, at: usize) -> Result<T> {
    row.try_get(at).map_err(|_| Error::Refused("PostgreSQL describes a table in a form that this version does not read".into()))
}

fn column(row: &Row) -> Result<Column> {
    let (oid, typmod): (i64, i32) = (cell(row, 1)?, cell(row, 2)?);
    let (is_enum, element, is_element_enum): (bool, i64, bool) = (cell(row, 3)?, cell(row, 4)?, cell(row, 5)?);
    let known = if element == 0 { known(oid, typmod, is_enum) } else { array(element, typmod, is_element_enum) };
    let (has_default, is_generated, is_nondeterministic): (bool, bool, bool) = (cell(row, 8)?, cell(row, 9)?, cell(row, 10)?);
    Ok(Column {
        name: cell(row, 0)?,
        data_type: known.data_type,
        nullable: !cell::<bool>(row, 7)?,
        sql_type: cell(row, 6)?,
        stored: None,
        is_cast: known.is_cast,
        chars_max: known.chars_max,
        unnamed: match (is_generated, has_default) {
            (true, _) => Unnamed::Generated,
            (_, true) => Unnamed::Default,
            _ => Unnamed::Null,
        },
        comparison: known.comparison,
        is_loosely_equal: known.is_loosely_equal || is_nondeterministic,
    })
}

/// What is known of a type.
pub(super) struct Known {
    pub(super) data_type: DataType,
    comparison: Comparison,
    pub(super) is_cast: bool,
    chars_max: Option<usize>,
    is_loosely_equal: bool,
}

impl Known {
    fn exact(data_type: DataType) -> Self {
        Self { data_type, comparison: Comparison::Exact, is_cast: false, chars_max: None, is_loosely_equal: false }
    }

    fn never(data_type: DataType) -> Self {
        Self { comparison: Comparison::Never, ..Self::exact(data_type) }
    }

    /// Text, for want of a better type.
    fn cast() -> Self {
        Self { is_cast: true, is_loosely_equal: true, ..Self::never(DataType::Utf8) }
    }
}

pub(super) fn known(oid: i64, typmod: i32, is_enum: bool) -> Known {
    let text = || Known { comparison: Comparison::Text, ..Known::exact(DataType::Utf8) };
    let float = |data_type| Known { comparison: Comparison::Float, is_loosely_equal: true, ..Known::exact(data_type) };
    // The limit of a varchar or char has the four bytes of a length added.
    let chars_max = usize::try_from(typmod - 4).ok().filter(|_| typmod > 4);
    // Of a time it is the digits of a second.
    let digits = usize::try_from(typmod).ok();
    let oid = u32::try_from(oid).ok().and_then(Type::from_oid);
    match oid {
        _ if is_enum => text(),
        Some(Type::BOOL) => Known::exact(DataType::Boolean),
        Some(Type::INT2) => Known::exact(DataType::Int16),
        Some(Type::INT4) => Known::exact(DataType::Int32),
        Some(Type::INT8) => Known::exact(DataType::Int64),
        Some(Type::OID) => Known::exact(DataType::UInt32),
        Some(Type::FLOAT4) => float(DataType::Float32),
        Some(Type::FLOAT8) => float(DataType::Float64),
        Some(Type::NUMERIC) => numeric(typmod).map_or_else(Known::cast, Known::exact),
        Some(Type::TEXT) => text(),
        Some(Type::VARCHAR) => Known { chars_max, ..text() },
        // Without the blanks that fill it up, which mean nothing.
        Some(Type::BPCHAR) => Known { chars_max, is_loosely_equal: true, ..text() },
        Some(Type::NAME) => Known { comparison: Comparison::Never, ..text() },
        Some(Type::JSON | Type::XML) => Known { is_loosely_equal: true, ..Known::never(DataType::Utf8) },
        Some(Type::UUID) => Known { comparison: Comparison::Uuid, is_loosely_equal: false, ..Known::cast() },
        Some(Type::BYTEA) => Known::never(DataType::Binary),
        Some(Type::DATE) => Known::exact(DataType::Date32),
        Some(Type::TIMESTAMP) => Known { chars_max: digits, ..Known::exact(DataType::Timestamp(TimeUnit::Microsecond, None)) },
        Some(Type::TIMESTAMPTZ) => {
            Known { chars_max: digits, ..Known::exact(DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))) }
        }
        Some(Type::TIME) => Known { chars_max: digits, ..Known::never(DataType::Time64(TimeUnit::Microsecond)) },
        // A day of it is equal to 24 hours.
        Some(Type::INTERVAL) => Known { is_loosely_equal: true, ..Known::never(DataType::Interval(IntervalUnit::MonthDayNano)) },
        _ => Known::cast(),
    }
}

pub(super) fn array(element: i64, typmod: i32, is_enum: bool) -> Known {
    let element = known(element, typmod, is_enum);
    let data_type = DataType::List(Arc::new(Field::new_list_field(element.data_type, true)));
    // A limit of an element's length is told by the server.
    Known { comparison: Comparison::Never, is_loosely_equal: true, chars_max: None, data_type, ..element }
}

/// The decimal that holds a numeric with digits. One without has no limit that Arrow knows, and is text.
fn numeric(typmod: i32) -> Option<DataType> {
    let typmod = u32::try_from(typmod.checked_sub(4)?).ok()?;
    let precision = i32::try_from(typmod >> 16).ok()?;
    // Eleven bits, of which the first is the sign.
    let scale = i32::try_from(typmod & 0x7ff).ok()?;
    let scale = if scale >= 0x400 { scale - 0x800 } else { scale };
    let (precision, scale) = if scale < 0 { (precision - scale, 0) } else { (precision.max(scale), scale) };
    decimal(u8::try_from(precision).ok()?, i8::try_from(scale).ok()?)
}

fn decimal(precision: u8, scale: i8) -> Option<DataType> {
    match precision {
        1..=38 => Some(DataType::Decimal128(precision, scale)),
        39..=76 => Some(DataType::Decimal256(precision, scale)),
        _ => None,
    }
}

/// The column that a write makes for values of a type: what it takes, and its definition.
pub(crate) fn made(data_type: &DataType) -> Result<(DataType, String)> {
    let plain = |data_type: DataType| {
        let sql = binary_type(&data_type);
        Ok((data_type, sql))
    };
    match data_type {
        DataType::Int8 | DataType::UInt8 => plain(DataType::Int16),
        DataType::UInt16 => plain(DataType::Int32),
        DataType::UInt32 => plain(DataType::Int64),
        DataType::UInt64 => plain(DataType::Decimal128(20, 0)),
        DataType::Float16 => plain(DataType::Float32),
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..) => {
            let (precision, scale) = match data_type {
                DataType::Decimal32(p, s) | DataType::Decimal64(p, s) | DataType::Decimal128(p, s) | DataType::Decimal256(p, s) => (*p, *s),
                _ => (0, 0),
            };
            let (precision, scale) = if scale < 0 { (precision + scale.unsigned_abs(), 0) } else { (precision, scale) };
            plain(decimal(precision, scale).unwrap_or(DataType::Decimal256(76, scale)))
        }
        DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => plain(DataType::Utf8),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => plain(DataType::Binary),
        DataType::Date32 | DataType::Date64 => plain(DataType::Date32),
        DataType::Timestamp(_, None) => plain(DataType::Timestamp(TimeUnit::Microsecond, None)),
        DataType::Timestamp(_, Some(_)) => plain(DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
        DataType::Time32(_) | DataType::Time64(_) => plain(DataType::Time64(TimeUnit::Microsecond)),
        DataType::Interval(_) | DataType::Duration(_) => plain(DataType::Interval(IntervalUnit::MonthDayNano)),
        DataType::Dictionary(_, value) => made(value),
        DataType::List(element) | DataType::LargeList(element) | DataType::FixedSizeList(element, _) => match element.data_type() {
            DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => no_column(data_type),
            element => {
                let (element, sql) = made(element)?;
                Ok((DataType::List(Arc::new(Field::new_list_field(element, true))), format!("{sql}[]")))
            }
        },
        DataType::Boolean | DataType::Int16 | DataType::Int32 | DataType::Int64 | DataType::Float32 | DataType::Float64 => {
            plain(data_type.clone())
        }
        data_type => no_column(data_type),
    }
}

fn no_column<T>(data_type: &DataType) -> Result<T> {
    Err(Error::Statement(format!("no column of PostgreSQL is made for {data_type}; convert it in the SELECT, or make the table first")))
}

/// The type whose binary form a column of this Arrow type has on the way.
pub(super) fn binary_type(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "boolean".into(),
        DataType::Int16 => "smallint".into(),
        DataType::Int32 => "integer".into(),
        DataType::Int64 => "bigint".into(),
        DataType::UInt32 => "oid".into(),
        DataType::Float32 => "real".into(),
        DataType::Float64 => "double precision".into(),
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => format!("numeric({precision},{scale})"),
        DataType::Binary => "bytea".into(),
        DataType::Date32 => "date".into(),
        DataType::Timestamp(_, None) => "timestamp".into(),
        DataType::Timestamp(_, Some(_)) => "timestamptz".into(),
        DataType::Time64(_) => "time".into(),
        DataType::Interval(_) => "interval".into(),
        DataType::List(element) => format!("{}[]", binary_type(element.data_type())),
        _ => "text".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_numeric_is_the_decimal_that_holds_it_or_text() {
        let typmod = |precision: i32, scale: i32| ((precision << 16) | (scale & 0x7ff)) + 4;
        assert_eq!(numeric(typmod(10, 2)), Some(DataType::Decimal128(10, 2)));
        assert_eq!(numeric(typmod(3, 5)), Some(DataType::Decimal128(5, 5)));
        assert_eq!(numeric(typmod(2, -3)), Some(DataType::Decimal128(5, 0)));
        assert_eq!(numeric(typmod(50, 10)), Some(DataType::Decimal256(50, 10)));
        assert_eq!(numeric(typmod(90, 10)), None);
        assert_eq!(numeric(-1), None);
    }
}
