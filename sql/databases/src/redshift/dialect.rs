//! SQL text of Redshift: of PostgreSQL 8 what both have, so that it runs on a PostgreSQL of today too.

use datafusion::common::ScalarValue;

use crate::dialect::{Dialect, decimal, quoted};
use crate::postgres::dialect::PostgresDialect;
use crate::relation::Column;

#[derive(Debug)]
pub(super) struct RedshiftDialect;

/// A text as an expression. A backslash means something inside of a literal there, and nothing to PostgreSQL: it stands outside.
pub(super) fn text(text: &str) -> Option<String> {
    if text.contains('\0') {
        return None;
    }
    let parts: Vec<_> = text.split('\\').map(|part| quoted(part, '\'')).collect();
    Some(if parts.len() == 1 { parts.into_iter().collect() } else { format!("({})", parts.join(" || chr(92) || ")) })
}

impl Dialect for RedshiftDialect {
    fn name(&self, name: &str) -> String {
        quoted(name, '"')
    }

    fn read(&self, column: &Column) -> String {
        let name = self.name(&column.name);
        match column.sql_type.as_str() {
            // The digits of its own text may be too few.
            "real" => format!("{name}::float8"),
            // Without the blanks that fill it up, which mean nothing.
            sql_type if sql_type.starts_with("character(") => format!("rtrim({name})"),
            "super" => format!("json_serialize({name})"),
            _ if column.is_cast => format!("{name}::varchar"),
            _ => name,
        }
    }

    fn compared(&self, column: &Column) -> String {
        self.name(&column.name)
    }

    fn literal(&self, value: &ScalarValue, column: &Column) -> Option<String> {
        match value {
            ScalarValue::Utf8(Some(value)) | ScalarValue::Utf8View(Some(value)) | ScalarValue::LargeUtf8(Some(value)) => text(value),
            // There a numeric without digits is one of eighteen, none behind the point.
            ScalarValue::Decimal128(Some(value), precision, scale) => {
                Some(format!("'{}'::numeric({precision},{scale})", decimal(&value.to_string(), *scale)))
            }
            value => PostgresDialect.literal(value, column),
        }
    }

    fn select(&self, expressions: &[String]) -> String {
        if expressions.is_empty() { "1".to_owned() } else { expressions.join(", ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relation::{Comparison, Unnamed};

    #[test]
    fn a_decimal_says_its_digits() {
        let column = Column {
            name: "n".into(),
            stored: None,
            data_type: arrow::datatypes::DataType::Decimal128(12, 2),
            nullable: true,
            sql_type: "numeric(12,2)".into(),
            is_cast: false,
            chars_max: None,
            unnamed: Unnamed::Null,
            comparison: Comparison::Exact,
            is_loosely_equal: false,
        };
        let literal = RedshiftDialect.literal(&ScalarValue::Decimal128(Some(-150), 12, 2), &column);
        assert_eq!(literal.as_deref(), Some("'-1.50'::numeric(12,2)"));
    }

    #[test]
    fn a_text_means_the_same_whatever_a_backslash_does() {
        assert_eq!(text("o'clock").as_deref(), Some("'o''clock'"));
        assert_eq!(text("a\\'b").as_deref(), Some("('a' || chr(92) || '''b')"));
        assert_eq!(text("a\0"), None);
    }
}
