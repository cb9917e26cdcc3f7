//! Values as SQL text, and cells as text.
//!
//! In: texts that go into a statement or a command line; a batch. Out: quoted literals and arguments; the text of one cell.

use arrow::{array::RecordBatch, error::ArrowError, util::display::array_value_to_string};

/// Text as a SQL literal: `'o''brien'`.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Texts as the list of an `IN (…)`.
pub(crate) fn literals<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    texts.into_iter().map(literal).collect::<Vec<_>>().join(", ")
}

/// A text as one argument in a shell: `a.csv`, `'my files/a.csv'`.
pub(crate) fn argument(text: &str) -> String {
    let is_plain = |character: char| character.is_alphanumeric() || "-_./:@%+=,~".contains(character);
    if !text.is_empty() && text.chars().all(is_plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
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

    #[test]
    fn an_argument_is_one_word_of_a_shell() {
        for (text, expected) in [("failed/", "failed/"), ("my files", "'my files'"), ("it's", r"'it'\''s'"), ("", "''"), ("$(x)", "'$(x)'")]
        {
            assert_eq!(argument(text), expected);
        }
    }
}
