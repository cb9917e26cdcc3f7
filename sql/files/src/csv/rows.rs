//! The second pass: some ranges of a file, in pieces of any size.
//!
//! In: bytes, from a [`Split`](super::Split) to another. Out: batches of the asked columns, every cell as the first pass read it. Whatever
//! disagrees with the layout is an error: the file changed.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, SchemaRef};

use super::build::{Builder, Cells, Odd};
use super::fault::changed;
use super::feed::{Block, Feed};
use super::layout::{Column, Layout};
use super::options::{Options, Types};
use super::structure::{Fault, LineEnd};
use crate::error::TextError;

const BATCH_ROWS: usize = 8192;
/// Bytes of the file from which a batch is complete, however few rows it has.
const BATCH_BYTES: usize = 32 << 20;

/// The second pass over some splits of a file. After an error it takes no more.
#[derive(Debug)]
pub struct Rows {
    file: Arc<str>,
    feed: Feed,
    batches: Batches,
    /// What the first pass found here.
    rows: u64,
    end: u64,
    is_last: bool,
}

impl Rows {
    /// A pass over the bytes of [`Layout::byte_range`] of the same splits. Field `n` of the schema is read from `columns[n]` of the layout's
    /// columns, which may be of the field's type, or narrower, as [`Merged`](super::Merged) makes it; and any column is read as `Utf8View` or
    /// `Utf8`, with its cells' own characters.
    ///
    /// # Errors
    /// A field has a type that text is not read as.
    pub fn new(layout: &Layout, schema: SchemaRef, columns: &[usize], splits: Range<usize>) -> Result<Self, TextError> {
        if schema.fields().len() != columns.len() {
            let what = format!("{} columns were asked for by {} fields", columns.len(), schema.fields().len());
            return Err(TextError::new(&layout.file, what));
        }
        let outputs = schema.fields().iter().zip(columns).map(|(field, column)| {
            let column =
                layout.columns.get(*column).ok_or_else(|| TextError::new(&layout.file, "a column was asked for that is not there"))?;
            let was_found = holds(column, field.data_type(), layout.options.types);
            let builder = Builder::new(field.data_type(), was_found).ok_or_else(|| {
                let what = format!("text is not read as {}", field.data_type());
                TextError::new(&layout.file, what).column(field.name()).remedy("read the column as text, and cast it")
            })?;
            Ok(Output { source: column.source, builder, was_found, nullable: field.is_nullable() })
        });
        let outputs = outputs.collect::<Result<_, _>>()?;
        let (start, end) = (layout.start(splits.start), layout.start(splits.end));
        let batches = Batches {
            schema,
            outputs,
            options: layout.options.clone(),
            batch_rows: BATCH_ROWS,
            pending: 0,
            pending_bytes: 0,
            rows: 0,
            ready: Vec::new(),
        };
        Ok(Self {
            file: Arc::clone(&layout.file),
            feed: Feed::new(layout.dialect, Some(layout.cells), start.offset, start.line),
            batches,
            rows: end.row - start.row,
            end: end.offset,
            is_last: splits.end >= layout.splits.len(),
        })
    }

    /// Rows of each batch but the last, in place of 8192. A batch of long rows has fewer.
    #[must_use]
    pub fn with_batch_rows(mut self, rows: usize) -> Self {
        self.batches.batch_rows = rows.max(1);
        self
    }

    /// The next bytes. Returns the batches that are complete.
    ///
    /// # Errors
    /// The file is not the one that the first pass read; or a cell is not of a type that was declared for its column.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<RecordBatch>, TextError> {
        let (batches, dialect) = (&mut self.batches, self.feed.machine.dialect);
        let taken = self.feed.push(bytes, |block| batches.take(block, &dialect));
        self.told(taken)?;
        if self.feed.bytes() > self.end || self.batches.rows > self.rows {
            return Err(self.changed());
        }
        Ok(std::mem::take(&mut self.batches.ready))
    }

    /// There are no more bytes. Returns the last batches.
    ///
    /// # Errors
    /// As [`push`](Self::push); and there were fewer bytes or rows than the first pass found.
    pub fn finish(mut self) -> Result<Vec<RecordBatch>, TextError> {
        let ends_in_a_record = !self.is_last && !self.feed.is_empty() && self.feed.machine.dialect.line_end != LineEnd::Cr;
        if ends_in_a_record || self.feed.bytes() != self.end {
            return Err(self.changed());
        }
        let (batches, dialect) = (&mut self.batches, self.feed.machine.dialect);
        let taken = self.feed.finish(|block| batches.take(block, &dialect));
        self.told(taken)?;
        if self.batches.rows != self.rows {
            return Err(self.changed());
        }
        let flushed = self.batches.flush(self.feed.machine.record_line());
        self.told(flushed)?;
        Ok(self.batches.ready)
    }

    fn changed(&self) -> TextError {
        changed(&self.file, self.feed.machine.record_line())
    }

    fn told(&self, taken: Result<(), Fault>) -> Result<(), TextError> {
        taken.map_err(|fault| match fault {
            Fault::NotOfType { line, output } => {
                let field = self.batches.schema.field(output);
                let error = TextError::new(&self.file, format!("a cell is no {}", field.data_type())).line(line).column(field.name());
                error.remedy("declare the column as VARCHAR, or mend the cell")
            }
            Fault::Missing { line, output } => {
                let error = TextError::new(&self.file, "a cell is empty, and the column was declared NOT NULL").line(line);
                error.column(self.batches.schema.field(output).name()).remedy("declare the column without NOT NULL, or mend the cell")
            }
            Fault::Changed(line) => changed(&self.file, line),
            _ => self.changed(),
        })
    }
}

/// Whether the first pass found that every cell is of the type.
fn holds(column: &Column, asked: &DataType, types: Types) -> bool {
    let is_empty = types == Types::Exact && column.facts.count(&super::facts::KINDS) == 0;
    is_empty
        || column.data_type == *asked
        || matches!(asked, DataType::Utf8 | DataType::Utf8View)
        || match (&column.data_type, asked) {
            (DataType::Int64 | DataType::Decimal128(..), DataType::Decimal128(precision, scale)) => {
                let (facts, scale) = (&column.facts, i64::from(*scale));
                i64::from(facts.scale_max) <= scale && i64::from(facts.whole_max) + scale <= i64::from(*precision)
            }
            (DataType::Timestamp(unit, zone), DataType::Timestamp(asked, asked_zone)) => {
                unit <= asked && zone.is_some() == asked_zone.is_some()
            }
            _ => false,
        }
}

#[derive(Debug)]
struct Output {
    /// The place among the cells of a record.
    source: usize,
    builder: Builder,
    nullable: bool,
    was_found: bool,
}

/// Rows that become batches.
#[derive(Debug)]
struct Batches {
    schema: SchemaRef,
    outputs: Vec<Output>,
    options: Options,
    batch_rows: usize,
    /// Rows in the builders.
    pending: usize,
    pending_bytes: usize,
    rows: u64,
    ready: Vec<RecordBatch>,
}

impl Batches {
    fn take(&mut self, block: &Block<'_>, dialect: &super::structure::Dialect) -> Result<(), Fault> {
        let mut first = 0;
        while first < block.records.len() {
            let end = block.records.len().min(first + self.batch_rows - self.pending);
            let cells = block.cells.get(first * block.columns..end * block.columns).unwrap_or_default();
            let records = block.records.get(first..end).unwrap_or_default();
            for (at, output) in self.outputs.iter_mut().enumerate() {
                let nulls = &self.options.null;
                let (column, nullable) = (output.source, output.nullable);
                let cells = Cells { column, columns: block.columns, cells, records, dialect, nulls, nullable };
                output.builder.append(block, cells).map_err(|odd| match odd {
                    Odd::NotOfType { line } if output.was_found => Fault::Changed(line),
                    Odd::NotOfType { line } => Fault::NotOfType { line, output: at },
                    Odd::Missing { line } => Fault::Missing { line, output: at },
                })?;
            }
            self.pending += records.len();
            self.rows += records.len() as u64;
            if self.pending == self.batch_rows {
                self.flush(block.line())?;
            }
            first = end;
        }
        self.pending_bytes += block.text.len();
        if self.pending_bytes >= BATCH_BYTES {
            self.flush(block.line())?;
        }
        Ok(())
    }

    fn flush(&mut self, line: u64) -> Result<(), Fault> {
        if self.pending == 0 {
            return Ok(());
        }
        let arrays = self.outputs.iter_mut().map(|output| output.builder.finish()).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.pending));
        (self.pending, self.pending_bytes) = (0, 0);
        // Each array was made for its field, so that this does not happen; were it to, the rows would not be lost without a word.
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options);
        self.ready.push(batch.map_err(|_| Fault::Changed(line))?);
        Ok(())
    }
}
