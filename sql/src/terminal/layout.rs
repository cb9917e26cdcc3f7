//! A result as text for people: a drawn table, or expanded rows with one line a column.
//!
//! In: the batches of a result. Out: text. A table wider than the terminal cannot be read, so it becomes expanded rows there.

use std::fmt::Write;

use arrow::{
    array::RecordBatch,
    datatypes::{Schema, SchemaRef},
    error::ArrowError,
    util::{
        display::{ArrayFormatter, FormatOptions},
        pretty::pretty_format_batches_with_schema,
    },
};

/// How wide a table may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TableWidth {
    /// In a file, in a pipe, or by `--format table`.
    Unlimited,
    /// The columns of the terminal.
    Terminal(usize),
}

impl TableWidth {
    /// The width of stdout, if it is a terminal.
    pub(super) fn of_stdout() -> Self {
        match console::Term::stdout().size_checked() {
            Some((_, columns)) => Self::Terminal(usize::from(columns)),
            None => Self::Unlimited,
        }
    }
}

/// The batches as a table, or as expanded rows where the table is wider than `width`.
///
/// # Errors
/// Arrow's, for a value that has no text.
pub(super) fn table(schema: &SchemaRef, batches: &[RecordBatch], width: TableWidth) -> Result<String, ArrowError> {
    let table = pretty_format_batches_with_schema(SchemaRef::clone(schema), batches)?.to_string();
    let columns = table.lines().map(|line| line.chars().count()).max().unwrap_or_default();
    match width {
        TableWidth::Terminal(width) if columns > width => {
            let mut text = String::new();
            let mut rows = 0;
            for batch in batches {
                text.push_str(&expanded(batch, rows)?);
                rows += batch.num_rows();
            }
            if rows == 0 {
                text = no_rows(schema);
            }
            Ok(text)
        }
        _ => Ok(table + "\n"),
    }
}

/// The line for a result without rows.
pub(super) fn no_rows(schema: &Schema) -> String {
    let names: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    format!("(no rows of {})\n", names.join(", "))
}

/// The rows of a batch, one line a column; `before` rows came before them.
///
/// # Errors
/// Arrow's, for a value that has no text.
pub(super) fn expanded(batch: &RecordBatch, before: usize) -> Result<String, ArrowError> {
    let options = FormatOptions::default();
    let schema = batch.schema();
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let cells = batch.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options));
    let cells: Vec<ArrayFormatter<'_>> = cells.collect::<Result<_, _>>()?;
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or_default();
    let mut text = String::new();
    for row in 0..batch.num_rows() {
        let heading = format!("-[ {} ]", before + row + 1);
        writeln!(text, "{heading:-<width$}", width = width + 3).map_err(format_error)?;
        for (name, cells) in names.iter().zip(&cells) {
            let cell = cells.value(row).try_to_string()?;
            // The further lines of a cell, such as those of a plan, stay below the first.
            for (line, label) in cell.split('\n').zip(std::iter::once(*name).chain(std::iter::repeat(""))) {
                let line = format!("{label:width$} | {line}");
                writeln!(text, "{}", line.trim_end()).map_err(format_error)?;
            }
        }
    }
    Ok(text)
}

fn format_error(error: std::fmt::Error) -> ArrowError {
    ArrowError::ExternalError(Box::new(error))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray};

    use super::*;

    fn batch() -> RecordBatch {
        RecordBatch::try_from_iter([
            ("plan_type", Arc::new(StringArray::from(vec![Some("physical"), None])) as ArrayRef),
            ("plan", Arc::new(StringArray::from(vec!["Projection\n  Scan", "x"]))),
            ("n", Arc::new(Int64Array::from(vec![1, 2]))),
        ])
        .unwrap()
    }

    const EXPANDED: &str = "\
-[ 1 ]------
plan_type | physical
plan      | Projection
          |   Scan
n         | 1
-[ 2 ]------
plan_type |
plan      | x
n         | 2
";

    #[test]
    fn a_table_wider_than_the_terminal_becomes_expanded_rows() {
        let batch = batch();
        let text = |width| table(&batch.schema(), std::slice::from_ref(&batch), width).unwrap();
        let drawn = text(TableWidth::Unlimited);
        assert!(drawn.starts_with("+-----------+"), "{drawn}");
        let columns = drawn.lines().next().unwrap().len();
        assert_eq!(text(TableWidth::Terminal(columns)), drawn);
        assert_eq!(text(TableWidth::Terminal(columns - 1)), EXPANDED);
    }

    #[test]
    fn rows_are_numbered_across_batches_and_a_result_without_rows_lists_its_columns() {
        let batch = batch();
        let two = [batch.slice(0, 1), batch.slice(1, 1)];
        assert_eq!(table(&batch.schema(), &two, TableWidth::Terminal(5)).unwrap(), EXPANDED);
        assert_eq!(table(&batch.schema(), &[], TableWidth::Terminal(5)).unwrap(), "(no rows of plan_type, plan, n)\n");
    }
}
