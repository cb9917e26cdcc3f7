//! SQL text of SQLite.

use datafusion::common::ScalarValue;

use crate::dialect::{Dialect, quoted};
use crate::relation::Column;

#[derive(Debug)]
pub(super) struct SqliteDialect;

impl Dialect for SqliteDialect {
    fn name(&self, name: &str) -> String {
        quoted(name, '"')
    }

    fn read(&self, column: &Column) -> String {
        self.name(&column.name)
    }

    fn compared(&self, column: &Column) -> String {
        self.name(&column.name)
    }

    fn literal(&self, value: &ScalarValue, _: &Column) -> Option<String> {
        match value {
            ScalarValue::Boolean(Some(value)) => Some(u8::from(*value).to_string()),
            ScalarValue::Int64(Some(value)) => Some(value.to_string()),
            ScalarValue::Utf8(Some(value)) | ScalarValue::Utf8View(Some(value)) | ScalarValue::LargeUtf8(Some(value)) => {
                (!value.contains('\0')).then(|| quoted(value, '\''))
            }
            _ => None,
        }
    }

    /// There is no SELECT of nothing.
    fn select(&self, expressions: &[String]) -> String {
        if expressions.is_empty() { "NULL".to_owned() } else { expressions.join(", ") }
    }
}
