//! A result as text for people: a drawn table, or expanded rows with one line a column.
//!
//! In: the batches of a result. Out: text. A table wider than the terminal cannot be read, so it becomes expanded rows there.

use std::{
    fmt::{self, Write},
    sync::Arc,
};

use arrow::{
    array::{ArrayRef, AsArray, ByteView, RecordBatch, RecordBatchOptions, StringArray, StringBuilder, StringViewArray},
    datatypes::{DataType, Field, Fields, Schema, SchemaRef},
    error::ArrowError,
    util::{
        display::{ArrayFormatter, FormatOptions},
        pretty::pretty_format_batches_with_schema,
    },
};

use super::visible::visible;

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

/// Characters of all cells of a table in a file or a pipe: whoever wants to have all of a long text takes another format.
const TABLE_CHARS_MAX: usize = 8_000_000;
/// Of these each cell has its share, within bounds. Whatever draws the table counts widths in 16 bits.
const CELL_CHARS: std::ops::RangeInclusive<usize> = 1_000..=30_000;

/// The batches as a table, or as expanded rows where the table is wider than `width`. A cell beyond its share of [`TABLE_CHARS_MAX`] is cut.
///
/// # Errors
/// Arrow's, for a value that has no text.
pub(super) fn table(schema: &SchemaRef, batches: &[RecordBatch], width: TableWidth) -> Result<String, ArrowError> {
    match drawn(schema, batches, width)? {
        Some(table) => Ok(table),
        None => {
            let mut text = String::new();
            let mut rows = 0;
            for batch in batches {
                text.push_str(&expanded(batch, rows, *CELL_CHARS.end())?);
                rows += batch.num_rows();
            }
            if rows == 0 {
                text = no_rows(schema);
            }
            Ok(text)
        }
    }
}

/// The table; `None` if it is wider than `width`, which is known before it is drawn.
fn drawn(schema: &SchemaRef, batches: &[RecordBatch], width: TableWidth) -> Result<Option<String>, ArrowError> {
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let share = TABLE_CHARS_MAX / (rows * schema.fields().len()).max(1);
    let share = share.clamp(*CELL_CHARS.start(), *CELL_CHARS.end());
    let fields: Fields = schema.fields().iter().map(|field| Field::new(visible(field.name()), DataType::Utf8, true)).collect();
    let schema = SchemaRef::new(Schema::new(fields));
    let mut texts = Vec::with_capacity(batches.len());
    for batch in batches {
        let mut columns = Vec::with_capacity(batch.num_columns());
        for column in batch.columns() {
            let cells = ArrayFormatter::try_new(column.as_ref(), &OPTIONS)?;
            let mut shown = StringBuilder::new();
            for row in 0..batch.num_rows() {
                let cell = cut(&cells, row, share)?;
                if matches!(width, TableWidth::Terminal(width) if cell.lines().any(|line| line.chars().count() > width)) {
                    return Ok(None);
                }
                shown.append_value(cell);
            }
            columns.push(Arc::new(shown.finish()) as ArrayRef);
        }
        let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        texts.push(RecordBatch::try_new_with_options(SchemaRef::clone(&schema), columns, &rows)?);
    }
    let table = pretty_format_batches_with_schema(schema, &texts)?.to_string();
    let is_wider = matches!(width, TableWidth::Terminal(width) if table.lines().any(|line| line.chars().count() > width));
    Ok((!is_wider).then(|| table + "\n"))
}

const OPTIONS: FormatOptions<'_> = FormatOptions::new();

/// The first characters of a cell, with `…` behind them if there are more.
fn cut(cells: &ArrayFormatter<'_>, row: usize, chars_max: usize) -> Result<String, ArrowError> {
    /// Takes so many characters, and then fails: the rest is not even formatted.
    struct Cut {
        text: String,
        left: usize,
        is_cut: bool,
    }
    impl Write for Cut {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            for character in text.chars() {
                let Some(left) = self.left.checked_sub(1) else {
                    self.is_cut = true;
                    return Err(fmt::Error);
                };
                self.left = left;
                self.text.push(character);
            }
            Ok(())
        }
    }
    let mut cut = Cut { text: String::new(), left: chars_max, is_cut: false };
    let written = cells.value(row).write(&mut cut);
    if cut.is_cut {
        cut.text.push('…');
    } else {
        written?;
    }
    Ok(visible(&cut.text).into_owned())
}

/// The line for a result without rows.
pub(super) fn no_rows(schema: &Schema) -> String {
    let names: Vec<_> = schema.fields().iter().map(|field| visible(field.name())).collect();
    format!("(no rows of {})\n", names.join(", "))
}

/// The batch without the ends of texts that a table does not show: it is kept until all of the table is there.
pub(super) fn shortened(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    // One more than is shown, so that the cell is seen to be cut.
    let kept = |text: &str| text.char_indices().nth(CELL_CHARS.end() + 1).map_or(text.len(), |(end, _)| end);
    let columns = batch.columns().iter().map(|column| {
        let short = match column.data_type() {
            DataType::Utf8View => {
                let texts = column.as_string_view();
                let is_long = texts.views().iter().any(|view| ByteView::from(*view).length as usize > *CELL_CHARS.end());
                is_long.then(|| {
                    let cut = texts.iter().map(|text| text.map(|text| text.get(..kept(text)).unwrap_or(text)));
                    Arc::new(cut.collect::<StringViewArray>()) as ArrayRef
                })
            }
            DataType::Utf8 => {
                let texts = column.as_string::<i32>();
                let is_long = texts.offsets().lengths().any(|length| length > *CELL_CHARS.end());
                is_long.then(|| {
                    let cut = texts.iter().map(|text| text.map(|text| text.get(..kept(text)).unwrap_or(text)));
                    Arc::new(cut.collect::<StringArray>()) as ArrayRef
                })
            }
            _ => None,
        };
        short.unwrap_or_else(|| Arc::clone(column))
    });
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(batch.schema(), columns.collect(), &rows)
}

/// The rows of a batch, one line a column, cells of up to so many characters; `before` rows came before them.
///
/// # Errors
/// Arrow's, for a value that has no text.
pub(super) fn expanded(batch: &RecordBatch, before: usize, chars_max: usize) -> Result<String, ArrowError> {
    let schema = batch.schema();
    let names: Vec<_> = schema.fields().iter().map(|field| visible(field.name())).collect();
    let cells = batch.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &OPTIONS));
    let cells: Vec<ArrayFormatter<'_>> = cells.collect::<Result<_, _>>()?;
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or_default();
    let mut text = String::new();
    for row in 0..batch.num_rows() {
        let heading = format!("-[ {} ]", before + row + 1);
        writeln!(text, "{heading:-<width$}", width = width + 3).map_err(format_error)?;
        for (name, cells) in names.iter().zip(&cells) {
            let cell = cut(cells, row, chars_max)?;
            // The further lines of a cell, such as those of a plan, stay below the first.
            for (line, label) in cell.split('\n').zip(std::iter::once(name.as_ref()).chain(std::iter::repeat(""))) {
                let line = format!("{label:width$} | {line}");
                writeln!(text, "{}", line.trim_end()).map_err(format_error)?;
            }
        }
    }
    Ok(text)
}

fn format_error(error: fmt::Error) -> ArrowError {
    ArrowError::ExternalError(Box::new(error))
}

#[cfg(test)]
mod tests {
    use arrow::array::Int64Array;

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
