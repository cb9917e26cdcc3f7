//! SQL text of the databases that are known: Snowflake, PostgreSQL, SQLite. Of others, names alone.

use arrow::datatypes::{DataType, TimeUnit};
use arrow::temporal_conversions::{date32_to_datetime, timestamp_ns_to_datetime, timestamp_us_to_datetime};
use chrono::{Datelike, NaiveDateTime};
use datafusion::common::ScalarValue;

use super::vendor::Vendor;
use crate::dialect::{Dialect, decimal, quoted};
use crate::relation::{Column, Relation};

/// SQL text of a vendor.
#[derive(Debug)]
pub(super) struct Sql(pub(super) Vendor);

impl Sql {
    pub(super) fn of(vendor: Vendor) -> &'static Self {
        match vendor {
            Vendor::Snowflake => &Self(Vendor::Snowflake),
            Vendor::Postgres => &Self(Vendor::Postgres),
            Vendor::Sqlite => &Self(Vendor::Sqlite),
            Vendor::Other('`') => &Self(Vendor::Other('`')),
            Vendor::Other(_) => &Self(Vendor::Other('"')),
        }
    }

    /// A text as a literal. There is none with a NUL.
    pub(super) fn text(&self, text: &str) -> Option<String> {
        if text.contains('\0') {
            return None;
        }
        let quoted = quoted(text, '\'');
        Some(match self.0 {
            Vendor::Snowflake => quoted.replace('\\', "\\\\"),
            Vendor::Postgres if text.contains('\\') => format!("E{}", quoted.replace('\\', "\\\\")),
            _ => quoted,
        })
    }

    /// The schema of a table.
    pub(super) fn schema(&self, relation: &Relation) -> String {
        if relation.exists { self.name(&relation.schema) } else { self.made(&relation.schema) }
    }

    /// The name of a table or column that is made: what Snowflake would call it if it were not quoted.
    fn made(&self, name: &str) -> String {
        if self.0 == Vendor::Snowflake && is_plain(name) { self.name(&name.to_ascii_uppercase()) } else { self.name(name) }
    }
}

/// Whether it is a name that needs no quotes, in small letters.
pub(super) fn is_plain(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '$')
}

impl Dialect for Sql {
    fn name(&self, name: &str) -> String {
        quoted(name, if let Vendor::Other(quote) = self.0 { quote } else { '"' })
    }

    fn column(&self, column: &Column) -> String {
        column.stored.as_ref().map_or_else(|| self.made(&column.name), |stored| self.name(stored))
    }

    fn table(&self, relation: &Relation) -> String {
        let name = if relation.exists { self.name(&relation.name) } else { self.made(&relation.name) };
        format!("{}.{name}", self.schema(relation))
    }

    fn read(&self, column: &Column) -> String {
        let name = self.column(column);
        if column.is_cast && self.0 == Vendor::Postgres { format!("{name}::text") } else { name }
    }

    fn compared(&self, column: &Column) -> String {
        self.column(column)
    }

    fn literal(&self, value: &ScalarValue, column: &Column) -> Option<String> {
        if matches!(self.0, Vendor::Other(_)) {
            return None;
        }
        let is_sqlite = self.0 == Vendor::Sqlite;
        let typed = |text: &str, data_type: &str| format!("CAST('{text}' AS {data_type})");
        match value {
            ScalarValue::Boolean(Some(value)) if is_sqlite => Some(u8::from(*value).to_string()),
            ScalarValue::Boolean(Some(value)) => Some(value.to_string()),
            ScalarValue::Int16(Some(value)) => Some(value.to_string()),
            ScalarValue::Int32(Some(value)) => Some(value.to_string()),
            ScalarValue::Int64(Some(value)) => Some(value.to_string()),
            ScalarValue::Utf8(Some(value)) | ScalarValue::Utf8View(Some(value)) | ScalarValue::LargeUtf8(Some(value)) => self.text(value),
            _ if is_sqlite => None,
            // Never the digits of a real in a double: Snowflake has doubles alone.
            ScalarValue::Float32(Some(value)) => Some(typed(&format!("{value:e}"), "real")),
            ScalarValue::Float64(Some(value)) => Some(typed(&format!("{value:e}"), "double precision")),
            ScalarValue::Decimal128(Some(value), _, scale) => Some(decimal(&value.to_string(), *scale)),
            ScalarValue::Decimal256(Some(value), _, scale) => Some(decimal(&value.to_string(), *scale)),
            ScalarValue::Date32(Some(days)) => Some(typed(&date(date32_to_datetime(*days)?, "%Y-%m-%d")?, "date")),
            ScalarValue::TimestampMicrosecond(Some(at), _) => self.instant(timestamp_us_to_datetime(*at)?, column),
            ScalarValue::TimestampNanosecond(Some(at), _) => self.instant(timestamp_ns_to_datetime(*at)?, column),
            _ => None,
        }
    }

    /// There is no SELECT of nothing everywhere.
    fn select(&self, expressions: &[String]) -> String {
        if expressions.is_empty() { "1".to_owned() } else { expressions.join(", ") }
    }

    /// A VARIANT has a null of JSON besides.
    fn tells_null(&self, column: &Column) -> bool {
        match self.0 {
            Vendor::Other(_) => false,
            Vendor::Snowflake => !column.is_cast,
            _ => true,
        }
    }

    fn takes_limit(&self) -> bool {
        !matches!(self.0, Vendor::Other(_))
    }
}

impl Sql {
    fn instant(&self, at: NaiveDateTime, column: &Column) -> Option<String> {
        let DataType::Timestamp(unit, zone) = &column.data_type else { return None };
        let text = date(at, if *unit == TimeUnit::Nanosecond { "%Y-%m-%d %H:%M:%S%.9f" } else { "%Y-%m-%d %H:%M:%S%.6f" })?;
        Some(match (self.0, zone) {
            (Vendor::Snowflake, None) => format!("CAST('{text}' AS timestamp_ntz)"),
            (Vendor::Snowflake, Some(_)) => format!("CAST('{text} +00:00' AS timestamp_tz)"),
            (_, None) => format!("CAST('{text}' AS timestamp)"),
            (_, Some(_)) => format!("CAST('{text}+00' AS timestamptz)"),
        })
    }
}

/// In the years that every format of a date writes alike.
fn date(at: NaiveDateTime, format: &str) -> Option<String> {
    (1..=9_999).contains(&at.year()).then(|| at.format(format).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_a_literal_of_its_database() {
        assert_eq!(Sql(Vendor::Snowflake).text("o'c\\lock").as_deref(), Some("'o''c\\\\lock'"));
        assert_eq!(Sql(Vendor::Postgres).text("a\\b").as_deref(), Some("E'a\\\\b'"));
        assert_eq!(Sql(Vendor::Sqlite).text("a\\b").as_deref(), Some("'a\\b'"));
        assert_eq!(Sql(Vendor::Sqlite).text("a\0"), None);
    }

    #[test]
    fn what_is_made_in_snowflake_has_the_name_that_it_has_without_quotes() {
        let snowflake = Sql(Vendor::Snowflake);
        assert_eq!(snowflake.made("user_id"), "\"USER_ID\"");
        assert_eq!(snowflake.made("User"), "\"User\"");
        assert_eq!(snowflake.made("a b"), "\"a b\"");
        assert_eq!(Sql(Vendor::Postgres).made("user_id"), "\"user_id\"");
        assert_eq!(Sql(Vendor::Other('`')).name("a`b"), "`a``b`");
    }
}
