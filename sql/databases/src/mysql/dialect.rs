//! SQL text of MySQL and MariaDB, in the session that `connect` sets up.

use arrow::temporal_conversions::{date32_to_datetime, timestamp_us_to_datetime};
use chrono::{Datelike, NaiveDateTime};
use datafusion::common::ScalarValue;

use crate::dialect::{Dialect, decimal, quoted};
use crate::relation::Column;

#[derive(Debug)]
pub(super) struct MysqlDialect;

/// A text as a literal.
pub(super) fn text(text: &str, out: &mut String) {
    out.push('\'');
    for character in text.chars() {
        match character {
            '\'' | '\\' => {
                out.push('\\');
                out.push(character);
            }
            '\0' => out.push_str("\\0"),
            character => out.push(character),
        }
    }
    out.push('\'');
}

/// A day or an instant, in the years that they have.
pub(super) fn date(at: NaiveDateTime, format: &str) -> Option<String> {
    (1..=9_999).contains(&at.year()).then(|| at.format(format).to_string())
}

pub(super) const DAY: &str = "%Y-%m-%d";
pub(super) const INSTANT: &str = "%Y-%m-%d %H:%M:%S%.6f";

impl Dialect for MysqlDialect {
    fn name(&self, name: &str) -> String {
        quoted(name, '`')
    }

    fn read(&self, column: &Column) -> String {
        let name = self.name(&column.name);
        if column.is_cast { format!("CAST({name} AS CHAR CHARACTER SET utf8mb4)") } else { name }
    }

    fn compared(&self, column: &Column) -> String {
        self.name(&column.name)
    }

    fn literal(&self, value: &ScalarValue, _: &Column) -> Option<String> {
        match value {
            ScalarValue::Int8(Some(value)) => Some(value.to_string()),
            ScalarValue::Int16(Some(value)) => Some(value.to_string()),
            ScalarValue::Int32(Some(value)) => Some(value.to_string()),
            ScalarValue::Int64(Some(value)) => Some(value.to_string()),
            ScalarValue::UInt8(Some(value)) => Some(value.to_string()),
            ScalarValue::UInt16(Some(value)) => Some(value.to_string()),
            ScalarValue::UInt32(Some(value)) => Some(value.to_string()),
            ScalarValue::UInt64(Some(value)) => Some(value.to_string()),
            ScalarValue::Float64(Some(value)) => Some(format!("{value:e}")),
            ScalarValue::Decimal128(Some(value), _, scale) => Some(decimal(&value.to_string(), *scale)),
            ScalarValue::Decimal256(Some(value), _, scale) => Some(decimal(&value.to_string(), *scale)),
            ScalarValue::Utf8(Some(value)) | ScalarValue::Utf8View(Some(value)) | ScalarValue::LargeUtf8(Some(value)) => {
                let mut literal = String::new();
                text(value, &mut literal);
                Some(literal)
            }
            ScalarValue::Date32(Some(days)) => Some(format!("DATE '{}'", date(date32_to_datetime(*days)?, DAY)?)),
            ScalarValue::TimestampMicrosecond(Some(at), _) => {
                Some(format!("TIMESTAMP '{}'", date(timestamp_us_to_datetime(*at)?, INSTANT)?))
            }
            _ => None,
        }
    }

    /// There is no SELECT of nothing.
    fn select(&self, expressions: &[String]) -> String {
        if expressions.is_empty() { "NULL".to_owned() } else { expressions.join(", ") }
    }
}
