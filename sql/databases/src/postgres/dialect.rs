//! SQL text of PostgreSQL.

use arrow::temporal_conversions::{date32_to_datetime, timestamp_us_to_datetime};
use chrono::{Datelike, NaiveDateTime};
use datafusion::common::ScalarValue;

use arrow::datatypes::DataType;

use crate::dialect::{Dialect, decimal, quoted};
use crate::relation::{Column, Comparison};

#[derive(Debug)]
pub(crate) struct PostgresDialect;

/// A text as a literal, whatever `standard_conforming_strings` says. There is none with a NUL.
pub(super) fn text(text: &str) -> Option<String> {
    if text.contains('\0') {
        return None;
    }
    let quoted = quoted(text, '\'');
    Some(if text.contains('\\') { format!("E{}", quoted.replace('\\', "\\\\")) } else { quoted })
}

impl Dialect for PostgresDialect {
    fn name(&self, name: &str) -> String {
        quoted(name, '"')
    }

    fn read(&self, column: &Column) -> String {
        let name = self.name(&column.name);
        let is_text = |sql: &str| sql.starts_with("character(") || sql == "character" || sql == "name" || sql == "bpchar";
        match &column.data_type {
            DataType::List(_) if column.is_cast => format!("{name}::text[]"),
            DataType::Utf8 if column.is_cast || is_text(&column.sql_type) => format!("{name}::text"),
            _ => name,
        }
    }

    fn compared(&self, column: &Column) -> String {
        let name = self.name(&column.name);
        // A value that an enum does not have is an error there, and of a domain nothing is known.
        let is_plain_text = column.sql_type.starts_with("character") || column.sql_type == "text";
        if column.comparison == Comparison::Text && !is_plain_text { format!("{name}::text") } else { name }
    }

    fn literal(&self, value: &ScalarValue, column: &Column) -> Option<String> {
        match value {
            ScalarValue::Boolean(Some(value)) => Some(value.to_string()),
            ScalarValue::Int16(Some(value)) => Some(format!("'{value}'::int2")),
            ScalarValue::Int32(Some(value)) => Some(format!("'{value}'::int4")),
            ScalarValue::Int64(Some(value)) => Some(format!("'{value}'::int8")),
            ScalarValue::UInt32(Some(value)) => Some(format!("'{value}'::oid")),
            ScalarValue::Float32(Some(value)) => Some(format!("'{value:e}'::float4")),
            ScalarValue::Float64(Some(value)) => Some(format!("'{value:e}'::float8")),
            ScalarValue::Decimal128(Some(value), _, scale) => {
                Some(format!("{}::numeric", quoted(&decimal(&value.to_string(), *scale), '\'')))
            }
            ScalarValue::Decimal256(Some(value), _, scale) => {
                Some(format!("{}::numeric", quoted(&decimal(&value.to_string(), *scale), '\'')))
            }
            ScalarValue::Utf8(Some(value)) | ScalarValue::Utf8View(Some(value)) | ScalarValue::LargeUtf8(Some(value)) => {
                let text = text(value)?;
                Some(if column.comparison == Comparison::Uuid { format!("{text}::uuid") } else { text })
            }
            ScalarValue::Date32(Some(days)) => {
                let date = in_plain_years(date32_to_datetime(*days)?)?;
                Some(format!("'{}'::date", date.format("%Y-%m-%d")))
            }
            ScalarValue::TimestampMicrosecond(Some(at), zone) => {
                let at = in_plain_years(timestamp_us_to_datetime(*at)?)?.format("%Y-%m-%d %H:%M:%S%.6f").to_string();
                Some(if zone.is_some() { format!("'{at}+00'::timestamptz") } else { format!("'{at}'::timestamp") })
            }
            _ => None,
        }
    }
}

/// Years that every format of a date writes alike.
fn in_plain_years(at: NaiveDateTime) -> Option<NaiveDateTime> {
    (1..=9_999).contains(&at.year()).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_a_literal_in_every_setting() {
        assert_eq!(text("o'clock").as_deref(), Some("'o''clock'"));
        assert_eq!(text("a\\'b").as_deref(), Some("E'a\\\\''b'"));
        assert_eq!(text("a\0"), None);
    }
}
