//! What SQLite says of a table, and which Arrow type its columns are.
//!
//! SQLite gives a type to each value, and to a column no more than a preference. A column is read by its declared type, and a value that is of
//! another is an error with its row. Days and instants have no type there: they are text, as they are written.

use arrow::datatypes::DataType;
use rusqlite::{Connection, OptionalExtension};

use crate::error::{Error, Result};
use crate::relation::{Column, Comparison, Listed, Relation, Unnamed};

/// The only schema of a file.
pub(super) const SCHEMA: &str = "main";

/// What stands for the type of a column that declares none.
const NO_TYPE: &str = "of no type";

/// Most digits of a decimal that a double gives back as they were.
const DOUBLE_DIGITS: u8 = 15;

pub(super) fn list(connection: &Connection) -> rusqlite::Result<Vec<Listed>> {
    let sql = "SELECT name, type = 'view' FROM main.sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY 1";
    let mut statement = connection.prepare(sql)?;
    let listed = statement.query_map([], |row| Ok(Listed { schema: SCHEMA.to_owned(), table: row.get(0)?, is_view: row.get(1)? }))?;
    listed.collect()
}

pub(super) fn relation(connection: &Connection, schema: &str, table: &str) -> rusqlite::Result<Option<Relation>> {
    if schema != SCHEMA {
        return Ok(None);
    }
    // Names are matched without case there, and with it here.
    let sql = "SELECT type = 'view' FROM main.sqlite_schema WHERE type IN ('table', 'view') AND name = ?1";
    let Some(is_view) = connection.query_row(sql, [table], |row| row.get::<_, bool>(0)).optional()? else { return Ok(None) };
    let sql = "SELECT name, type, \"notnull\", dflt_value IS NOT NULL, pk, hidden FROM pragma_table_xinfo(?1, 'main') WHERE hidden <> 1 ORDER BY cid";
    let mut statement = connection.prepare(sql)?;
    let mut key = Vec::new();
    let mut columns = Vec::new();
    let mut rows = statement.query([table])?;
    while let Some(row) = rows.next()? {
        let (name, declared): (String, String) = (row.get(0)?, row.get(1)?);
        let (not_null, has_default, place, hidden): (bool, bool, u32, u32) = (row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?);
        if place > 0 {
            key.push((place, name.clone(), declared.eq_ignore_ascii_case("integer")));
        }
        let data_type = data_type(&declared);
        columns.push(Column {
            nullable: !not_null,
            comparison: match data_type {
                DataType::Int64 | DataType::Boolean => Comparison::Exact,
                DataType::Utf8 if is_text(&declared) => Comparison::Text,
                // The digits of a double are read in another way there than here.
                _ => Comparison::Never,
            },
            sql_type: if declared.is_empty() { NO_TYPE.to_owned() } else { declared },
            data_type,
            name,
            stored: None,
            is_cast: false,
            chars_max: None,
            unnamed: match (hidden, has_default) {
                (2 | 3, _) => Unnamed::Generated,
                (_, true) => Unnamed::Default,
                _ => Unnamed::Null,
            },
            is_loosely_equal: true,
        });
    }
    key.sort();
    // An INTEGER PRIMARY KEY is the number of the row, which SQLite gives.
    if let [(_, name, true)] = &key[..]
        && let Some(column) = columns.iter_mut().find(|column| column.name == *name)
    {
        (column.unnamed, column.nullable) = (Unnamed::Default, false);
    }
    Ok(Some(Relation {
        database: String::new(),
        schema: schema.to_owned(),
        name: table.to_owned(),
        columns,
        key: key.into_iter().map(|(_, name, _)| name).collect(),
        rows: None,
        is_view,
        exists: true,
        is_transactional: true,
    }))
}

fn is_text(declared: &str) -> bool {
    let declared = declared.to_ascii_uppercase();
    ["CHAR", "CLOB", "TEXT"].iter().any(|word| declared.contains(word))
}

/// Whether a column of this type makes a number of a text that is one.
pub(super) fn prefers_numbers(declared: &str) -> bool {
    !is_text(declared) && declared != NO_TYPE && data_type(declared) == DataType::Utf8
}

/// By SQLite's own rules of preference, with BOOLEAN and decimals that a double holds. What is left may hold anything, and is text.
pub(super) fn data_type(declared: &str) -> DataType {
    let upper = declared.to_ascii_uppercase();
    let has = |words: &[&str]| words.iter().any(|word| upper.contains(word));
    if has(&["INT"]) {
        DataType::Int64
    } else if is_text(declared) {
        DataType::Utf8
    } else if has(&["BLOB"]) {
        DataType::Binary
    } else if has(&["REAL", "FLOA", "DOUB"]) {
        DataType::Float64
    } else if has(&["BOOL"]) {
        DataType::Boolean
    } else {
        decimal(&upper).unwrap_or(DataType::Utf8)
    }
}

/// `DECIMAL(10, 2)`.
fn decimal(declared: &str) -> Option<DataType> {
    let digits = declared.strip_prefix("DECIMAL").or_else(|| declared.strip_prefix("NUMERIC"))?.trim();
    let (precision, scale) = digits.strip_prefix('(')?.strip_suffix(')')?.split_once(',')?;
    let (precision, scale): (u8, i8) = (precision.trim().parse().ok()?, scale.trim().parse().ok()?);
    (precision <= DOUBLE_DIGITS && scale >= 0 && scale.unsigned_abs() <= precision).then_some(DataType::Decimal128(precision, scale))
}

/// The column that a write makes for values of a type: what it takes, and its definition.
pub(super) fn made(data_type: &DataType) -> Result<(DataType, String)> {
    Ok(match data_type {
        DataType::UInt64 => (DataType::Utf8, "TEXT".into()),
        data_type if data_type.is_integer() => (DataType::Int64, "INTEGER".into()),
        data_type if data_type.is_floating() => (DataType::Float64, "REAL".into()),
        DataType::Boolean => (DataType::Boolean, "BOOLEAN".into()),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => (DataType::Binary, "BLOB".into()),
        DataType::Dictionary(_, value) => made(value)?,
        // SQLite has no type that holds these as they are.
        data_type if data_type.is_temporal() || data_type.is_decimal() || data_type.is_null() => (DataType::Utf8, "TEXT".into()),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => (DataType::Utf8, "TEXT".into()),
        data_type => {
            return Err(Error::Statement(format!(
                "no column of SQLite is made for {data_type}; convert it in the SELECT, or make the table first"
            )));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declared_type_says_how_a_column_is_read() {
        assert_eq!(data_type("BIGINT UNSIGNED"), DataType::Int64);
        assert_eq!(data_type("varchar(10)"), DataType::Utf8);
        assert_eq!(data_type("decimal(10, 2)"), DataType::Decimal128(10, 2));
        assert_eq!(data_type("DECIMAL(20,2)"), DataType::Utf8);
        assert_eq!(data_type("NUMERIC"), DataType::Utf8);
        assert_eq!(data_type("DATETIME"), DataType::Utf8);
        assert_eq!(data_type("boolean"), DataType::Boolean);
        assert_eq!(data_type("double precision"), DataType::Float64);
        assert_eq!(data_type(""), DataType::Utf8);
    }
}
