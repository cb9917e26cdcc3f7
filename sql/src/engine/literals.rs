//! Values as SQL text, and cells as text.
//!
//! In: texts that go into a statement; a batch. Out: quoted literals; the text of one cell.

use arrow::{array::RecordBatch, error::ArrowError, util::display::array_value_to_string};

/// Text as a SQL literal: `'o''brien'`.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Texts as the list of an `IN (…)`.
pub(crate) fn literals<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    texts.into_iter().map(literal).collect::<Vec<_>>().join(", ")
}

/// A cell as text; `None` is NULL.
///
/// # Errors
/// Arrow's, for a value that has no text.
pub(crate) fn cell(batch: &RecordBatch, column: &str, row: usize) -> Result<Option<String>, ArrowError> {
    let Some(column) = batch.column_by_name(column) else {
        return Err(ArrowError::SchemaError(format!("no column is named {column}")));
    };
    if column.is_null(row) { Ok(None) } else { array_value_to_string(column, row).map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_stays_inside_its_literal() {
        assert_eq!(literals(["a", "b'"]), "'a', 'b'''");
    }
}
