//! SQL text of BigQuery.

use arrow::temporal_conversions::{date32_to_datetime, timestamp_us_to_datetime};
use chrono::{Datelike, NaiveDateTime};
use datafusion::common::ScalarValue;

use crate::dialect::{Dialect, decimal};
use crate::relation::{Column, Relation};

/// SQL text, with tables of a project.
#[derive(Debug)]
pub(super) struct BigqueryDialect {
    pub(super) project: String,
}

/// A name between backticks.
pub(super) fn name(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 2);
    text.push('`');
    for character in name.chars() {
        if matches!(character, '`' | '\\') {
            text.push('\\');
        }
        text.push(character);
    }
    text.push('`');
    text
}

/// A text as a literal. Of control characters those alone that have a letter.
pub(super) fn text(text: &str) -> Option<String> {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('\'');
    for character in text.chars() {
        match character {
            '\'' | '\\' => {
                literal.push('\\');
                literal.push(character);
            }
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            '\t' => literal.push_str("\\t"),
            character if character.is_control() => return None,
            character => literal.push(character),
        }
    }
    literal.push('\'');
    Some(literal)
}

impl Dialect for BigqueryDialect {
    fn name(&self, text: &str) -> String {
        name(text)
    }

    fn read(&self, column: &Column) -> String {
        let name = name(&column.name);
        match column.sql_type.as_str() {
            "GEOGRAPHY" => format!("ST_ASTEXT({name})"),
            // As it is written again, whatever form instants have in the answer.
            sql_type if sql_type == "INTERVAL" || sql_type.starts_with("RANGE<") => format!("CAST({name} AS STRING)"),
            _ => name,
        }
    }

    fn compared(&self, column: &Column) -> String {
        name(&column.name)
    }

    fn literal(&self, value: &ScalarValue, column: &Column) -> Option<String> {
        match value {
            ScalarValue::Boolean(Some(value)) => Some(value.to_string()),
            // The least number is the opposite of one that is too great.
            ScalarValue::Int64(Some(value)) => (*value != i64::MIN).then(|| value.to_string()),
            ScalarValue::Float64(Some(value)) => Some(format!("{value:e}")),
            ScalarValue::Decimal128(Some(value), _, scale) => {
                let keyword = if column.sql_type.starts_with("BIG") { "BIGNUMERIC" } else { "NUMERIC" };
                Some(format!("{keyword} '{}'", decimal(&value.to_string(), *scale)))
            }
            ScalarValue::Decimal256(Some(value), _, scale) => Some(format!("BIGNUMERIC '{}'", decimal(&value.to_string(), *scale))),
            ScalarValue::Utf8(Some(value)) | ScalarValue::Utf8View(Some(value)) | ScalarValue::LargeUtf8(Some(value)) => text(value),
            ScalarValue::Date32(Some(days)) => Some(format!("DATE '{}'", in_years(date32_to_datetime(*days)?)?.format("%Y-%m-%d"))),
            ScalarValue::TimestampMicrosecond(Some(at), zone) => {
                let at = in_years(timestamp_us_to_datetime(*at)?)?.format("%Y-%m-%d %H:%M:%S%.6f");
                Some(if zone.is_some() { format!("TIMESTAMP '{at}+00'") } else { format!("DATETIME '{at}'") })
            }
            _ => None,
        }
    }

    /// There is no SELECT of nothing.
    fn select(&self, expressions: &[String]) -> String {
        if expressions.is_empty() { "1".to_owned() } else { expressions.join(", ") }
    }

    fn table(&self, relation: &Relation) -> String {
        self.table_of(&relation.schema, &relation.name)
    }
}

impl BigqueryDialect {
    /// A table of a dataset.
    pub(super) fn table_of(&self, dataset: &str, table: &str) -> String {
        format!("{}.{}.{}", name(&self.project), name(dataset), name(table))
    }
}

/// The years that BigQuery has.
fn in_years(at: NaiveDateTime) -> Option<NaiveDateTime> {
    (1..=9_999).contains(&at.year()).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_texts_end_where_they_should() {
        assert_eq!(name("a`; DROP"), "`a\\`; DROP`");
        assert_eq!(text("o'clock\\\n").as_deref(), Some("'o\\'clock\\\\\\n'"));
        assert_eq!(text("a\u{1}"), None);
        assert_eq!(BigqueryDialect { project: "acme-1".into() }.table_of("crm", "users"), "`acme-1`.`crm`.`users`");
    }
}
