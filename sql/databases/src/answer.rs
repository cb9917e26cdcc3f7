//! The rows of an answer that has not been handed on yet: how many there are, when they are a batch, and where a fault is.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};

use crate::error::{Error, Result, shown};

/// Once a batch has so many bytes it is handed on, however few its rows.
const BATCH_BYTES_MAX: usize = 8 << 20;

/// What the columns of a query's answer are read as.
///
/// # Errors
/// [`Error::Statement`] if there is none, or if two have one name.
pub(crate) fn schema_of(qualified: &str, columns: impl IntoIterator<Item = (String, DataType)>) -> Result<SchemaRef> {
    let fields: Vec<_> = columns.into_iter().map(|(name, data_type)| Field::new(name, data_type, true)).collect();
    if fields.is_empty() {
        return Err(no_query(qualified));
    }
    let twice = fields.iter().enumerate().find(|(at, field)| fields[..*at].iter().any(|before| before.name() == field.name()));
    match twice {
        Some((_, field)) => Err(Error::Statement(format!(
            "{qualified}: the query answers with two columns \"{}\"; AS in it gives one another name",
            shown(field.name())
        ))),
        None => Ok(Arc::new(Schema::new(fields))),
    }
}

/// A text that is anything but one query.
pub(crate) fn no_query(qualified: &str) -> Error {
    Error::Statement(format!("{qualified} takes one query, a SELECT, WITH or VALUES, and nothing that writes or stands behind a semicolon"))
}

/// What is counted of an answer while its rows are decoded.
#[derive(Debug)]
pub(crate) struct Answer {
    qualified: String,
    schema: SchemaRef,
    /// Rows of batches that were handed on, and of this one.
    before: usize,
    rows: usize,
    bytes: usize,
    rows_max: usize,
}

impl Answer {
    pub(crate) fn new(qualified: String, schema: SchemaRef, rows_max: usize) -> Self {
        Self { qualified, schema, before: 0, rows: 0, bytes: 0, rows_max: rows_max.max(1) }
    }

    /// What collects the cells of each column.
    pub(crate) fn columns<C>(&self, new: impl Fn(&DataType) -> Option<C>) -> Result<Vec<C>> {
        let unread = |name: &str| Error::Unreadable(format!("{}: column \"{}\" has a type that is not read", self.qualified, shown(name)));
        let column = |field: &FieldRef| new(field.data_type()).ok_or_else(|| unread(field.name()));
        self.schema.fields().iter().map(column).collect()
    }

    /// A row has been decoded, of so many bytes.
    pub(crate) fn add_row(&mut self, bytes: usize) {
        self.rows += 1;
        self.bytes += bytes;
    }

    /// What is wrong with a column of the row that is being decoded; without one, with the row.
    pub(crate) fn fault(&self, column: Option<usize>, fault: &str) -> Error {
        let row = self.before + self.rows + 1;
        let column = column.map_or("the row", |at| self.schema.field(at).name());
        Error::Unreadable(format!("{}, row {row} of the answer: \"{}\" {fault}", self.qualified, shown(column)))
    }

    /// Whether there are enough rows for a batch.
    pub(crate) fn is_full(&self) -> bool {
        self.rows >= self.rows_max || self.bytes >= BATCH_BYTES_MAX
    }

    /// The rows since the last batch, if there are any.
    pub(crate) fn batch(&mut self, columns: impl FnOnce() -> Vec<ArrayRef>) -> datafusion::error::Result<Option<RecordBatch>> {
        if self.rows == 0 {
            return Ok(None);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        self.before += self.rows;
        (self.rows, self.bytes) = (0, 0);
        Ok(Some(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns(), &options)?))
    }
}
