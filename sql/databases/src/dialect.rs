//! What one database's SQL text has of its own.

use std::fmt::Debug;

use datafusion::common::ScalarValue;

use crate::relation::{Column, Relation};

/// SQL text of a database.
pub(crate) trait Dialect: Debug + Send + Sync {
    /// A name, quoted.
    fn name(&self, name: &str) -> String;

    /// The name of a column there, quoted.
    fn column(&self, column: &Column) -> String {
        self.name(&column.name)
    }

    /// The expression that reads a column as its Arrow type.
    fn read(&self, column: &Column) -> String;

    /// The expression that a filter compares.
    fn compared(&self, column: &Column) -> String;

    /// A value that a filter compares a column with. `None` if it has no text that means the same there.
    fn literal(&self, value: &ScalarValue, column: &Column) -> Option<String>;

    /// The list of a SELECT of these expressions, of which there may be none.
    fn select(&self, expressions: &[String]) -> String {
        expressions.join(", ")
    }

    /// Whether what is NULL here is NULL there.
    fn tells_null(&self, _: &Column) -> bool {
        true
    }

    /// Whether `LIMIT 3` stands at the end of a query.
    fn takes_limit(&self) -> bool {
        true
    }

    /// A table with its schema.
    fn table(&self, relation: &Relation) -> String {
        format!("{}.{}", self.name(&relation.schema), self.name(&relation.name))
    }
}

/// Names quoted by `quote`, which is doubled inside.
pub(crate) fn quoted(name: &str, quote: char) -> String {
    let mut text = String::with_capacity(name.len() + 2);
    text.push(quote);
    for character in name.chars() {
        if character == quote {
            text.push(quote);
        }
        text.push(character);
    }
    text.push(quote);
    text
}

/// Digits of a decimal with `scale` digits behind the point.
pub(crate) fn decimal(digits: &str, scale: i8) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    match usize::try_from(scale) {
        Ok(0) => format!("{sign}{digits}"),
        Ok(scale) => {
            let padded = format!("{digits:0>width$}", width = scale + 1);
            let (whole, fraction) = padded.split_at(padded.len() - scale);
            format!("{sign}{whole}.{fraction}")
        }
        Err(_) => format!("{sign}{digits}{}", "0".repeat(usize::from(scale.unsigned_abs()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_decimals_are_written_out() {
        assert_eq!(quoted("a\"b", '"'), "\"a\"\"b\"");
        assert_eq!(decimal("-5", 2), "-0.05");
        assert_eq!(decimal("1234", 2), "12.34");
        assert_eq!(decimal("7", 0), "7");
        assert_eq!(decimal("7", -2), "700");
    }
}
