//! What MySQL says of a query in its own SQL: its columns and their types.
//!
//! The text is prepared twice: by itself, which proves that it is one statement, and as a subquery, which proves that it only reads: a transaction
//! that is read only would not keep MySQL from a CREATE or a DROP, which ends it first. It is read as it stands, so that its ORDER BY counts, unless it
//! has a TIME, which is cast to text there as that of a table is.

use arrow::datatypes::{DataType, TimeUnit};
use mysql_async::consts::{ColumnFlags, ColumnType};
use mysql_async::prelude::Queryable;
use mysql_async::{Column, Conn};

use super::dialect::MysqlDialect;
use super::fault::of_query;
use crate::answer::{no_query, schema_of};
use crate::dialect::Dialect;
use crate::driver::Query;
use crate::error::{Error, Result, shown};

/// The set of characters of what is none.
const BYTES: u16 = 63;

pub(super) async fn describe(connection: &mut Conn, qualified: &str, sql: &str) -> Result<Query> {
    let prepared = connection.prep(sql).await.map_err(|error| of_query(&error, qualified))?;
    if prepared.num_params() > 0 {
        return Err(Error::Statement(format!("{qualified}: the query has parameters (?); write their values into it")));
    }
    let columns = prepared.columns();
    let typed =
        columns.iter().map(|column| Ok((column.name_str().into_owned(), data_type(column, qualified)?))).collect::<Result<Vec<_>>>()?;
    let schema = schema_of(qualified, typed)?;
    let read = |column: &Column| {
        let name = format!("q.{}", MysqlDialect.name(&column.name_str()));
        if is_time(column) { format!("CAST({name} AS CHAR CHARACTER SET utf8mb4)") } else { name }
    };
    let list: Vec<_> = columns.iter().map(read).collect();
    let text = sql.trim_end().trim_end_matches(';');
    // The text may end in a comment.
    let inside = format!("SELECT {} FROM (\n{text}\n) AS q", list.join(", "));
    if connection.prep(inside.as_str()).await.is_err() {
        return Err(no_query(qualified));
    }
    let sql = if columns.iter().any(is_time) { inside } else { text.to_owned() };
    Ok(Query { qualified: qualified.to_owned(), sql, schema })
}

fn is_time(column: &Column) -> bool {
    matches!(column.column_type(), ColumnType::MYSQL_TYPE_TIME | ColumnType::MYSQL_TYPE_TIME2)
}

fn data_type(column: &Column, qualified: &str) -> Result<DataType> {
    let is_unsigned = column.flags().contains(ColumnFlags::UNSIGNED_FLAG);
    let whole = |signed: DataType, unsigned: DataType| if is_unsigned { unsigned } else { signed };
    Ok(match column.column_type() {
        ColumnType::MYSQL_TYPE_TINY => whole(DataType::Int8, DataType::UInt8),
        ColumnType::MYSQL_TYPE_SHORT => whole(DataType::Int16, DataType::UInt16),
        ColumnType::MYSQL_TYPE_YEAR => DataType::Int16,
        ColumnType::MYSQL_TYPE_INT24 | ColumnType::MYSQL_TYPE_LONG => whole(DataType::Int32, DataType::UInt32),
        ColumnType::MYSQL_TYPE_LONGLONG => whole(DataType::Int64, DataType::UInt64),
        ColumnType::MYSQL_TYPE_FLOAT => DataType::Float32,
        ColumnType::MYSQL_TYPE_DOUBLE => DataType::Float64,
        ColumnType::MYSQL_TYPE_DECIMAL | ColumnType::MYSQL_TYPE_NEWDECIMAL => decimal(column, is_unsigned),
        ColumnType::MYSQL_TYPE_DATE | ColumnType::MYSQL_TYPE_NEWDATE => DataType::Date32,
        ColumnType::MYSQL_TYPE_DATETIME | ColumnType::MYSQL_TYPE_DATETIME2 => DataType::Timestamp(TimeUnit::Microsecond, None),
        ColumnType::MYSQL_TYPE_TIMESTAMP | ColumnType::MYSQL_TYPE_TIMESTAMP2 => {
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
        }
        ColumnType::MYSQL_TYPE_TIME
        | ColumnType::MYSQL_TYPE_TIME2
        | ColumnType::MYSQL_TYPE_NULL
        | ColumnType::MYSQL_TYPE_JSON
        | ColumnType::MYSQL_TYPE_ENUM
        | ColumnType::MYSQL_TYPE_SET => DataType::Utf8,
        ColumnType::MYSQL_TYPE_BIT | ColumnType::MYSQL_TYPE_GEOMETRY => DataType::Binary,
        ColumnType::MYSQL_TYPE_VARCHAR
        | ColumnType::MYSQL_TYPE_VAR_STRING
        | ColumnType::MYSQL_TYPE_STRING
        | ColumnType::MYSQL_TYPE_TINY_BLOB
        | ColumnType::MYSQL_TYPE_MEDIUM_BLOB
        | ColumnType::MYSQL_TYPE_LONG_BLOB
        | ColumnType::MYSQL_TYPE_BLOB => {
            if column.character_set() == BYTES {
                DataType::Binary
            } else {
                DataType::Utf8
            }
        }
        _ => {
            return Err(Error::Statement(format!(
                "{qualified}: column \"{}\" has a type that is not read; CAST(… AS CHAR) in the query makes it text",
                shown(&column.name_str())
            )));
        }
    })
}

/// The decimal of so many characters, of which a sign and a point are two.
fn decimal(column: &Column, is_unsigned: bool) -> DataType {
    let scale = i8::try_from(column.decimals()).unwrap_or(0);
    let signs = u32::from(scale > 0) + u32::from(!is_unsigned);
    let precision = u8::try_from(column.column_length().saturating_sub(signs)).unwrap_or(65).clamp(scale.unsigned_abs().max(1), 65);
    if precision <= 38 { DataType::Decimal128(precision, scale) } else { DataType::Decimal256(precision, scale) }
}
