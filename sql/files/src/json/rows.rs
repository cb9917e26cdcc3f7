//! The second pass.
//!
//! In: the bytes of a file whose layout is known, in pieces; the columns that are wanted. Out: batches, each value as the first pass saw it.

use std::sync::Arc;

use arrow::{
    array::{RecordBatch, RecordBatchOptions},
    datatypes::SchemaRef,
};

use super::{
    cells::Cells,
    layout::{Column, Layout},
    members::{Origin, members},
    records::Records,
    scan::utf8,
};
use crate::TextError;

const BATCH_ROWS: usize = 8_192;

/// Reads rows.
#[derive(Debug)]
pub struct Rows {
    file: Arc<str>,
    records: Records,
    batches: Batches,
}

#[derive(Debug)]
struct Batches {
    columns: Arc<[Column]>,
    /// For each column of the layout, which of the wanted ones it is.
    wanted_at: Vec<Vec<usize>>,
    schema: SchemaRef,
    cells: Vec<Cells>,
    rows: usize,
    rows_max: usize,
    done: Vec<RecordBatch>,
}

impl Rows {
    /// For a file of this name, with the layout of it or of all files of its folder. Field `n` of the schema is read from `columns[n]` of the
    /// layout's columns: as its type, or, where the field is `Utf8View`, with the characters that its values have in the file; of
    /// lists and objects those are their JSON.
    #[must_use]
    pub fn new(file: &str, layout: &Layout, schema: SchemaRef, columns: &[usize]) -> Self {
        let file: Arc<str> = file.into();
        let known = Arc::clone(layout.columns());
        let places = |of: usize| columns.iter().enumerate().filter(move |(_, at)| **at == of).map(|(wanted, _)| wanted);
        let wanted_at = (0..known.len()).map(|at| places(at).collect()).collect();
        let cells = columns.iter().zip(schema.fields()).map(|(at, field)| Cells::new(&known[*at], field.data_type())).collect();
        let batches = Batches { columns: known, wanted_at, schema, cells, rows: 0, rows_max: BATCH_ROWS, done: Vec::new() };
        Self { records: Records::new(&file), file, batches }
    }

    /// Rows of each batch but the last, in place of 8192.
    #[must_use]
    pub fn with_batch_rows(mut self, rows: usize) -> Self {
        self.batches.rows_max = rows.max(1);
        self
    }

    /// Reads the next bytes. Returns the batches that are complete.
    ///
    /// # Errors
    /// What is no JSON, or differs from the layout: then the file changed in the meantime.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<RecordBatch>, TextError> {
        let Self { file, records, batches } = self;
        records.push(bytes, |record, line| batches.add(record, &Origin { file: Arc::clone(file), line }))?;
        Ok(std::mem::take(&mut batches.done))
    }

    /// The end of the file. Returns the last batches.
    ///
    /// # Errors
    /// A record that is not closed.
    pub fn finish(mut self) -> Result<Vec<RecordBatch>, TextError> {
        self.batches.complete(&Origin { file: self.file, line: 1 })?;
        self.records.finish()?;
        Ok(self.batches.done)
    }
}

impl Batches {
    fn add(&mut self, record: &[u8], origin: &Origin) -> Result<(), TextError> {
        for (at, (name, value)) in members(utf8(record, origin)?, origin)?.into_iter().enumerate() {
            let is_there = self.columns.get(at).is_some_and(|column| column.name == name);
            let at = if is_there { Some(at) } else { self.columns.iter().position(|column| column.name == name) };
            let at = at.ok_or_else(|| origin.changed())?;
            for wanted in self.wanted_at.get(at).into_iter().flatten() {
                if let Some(cells) = self.cells.get_mut(*wanted) {
                    cells.append(value, origin)?;
                }
            }
        }
        self.rows += 1;
        for cells in &mut self.cells {
            cells.fill(self.rows);
        }
        if self.rows == self.rows_max {
            self.complete(origin)?;
        }
        Ok(())
    }

    fn complete(&mut self, origin: &Origin) -> Result<(), TextError> {
        if self.rows == 0 {
            return Ok(());
        }
        let arrays = self.cells.iter_mut().map(|cells| cells.finish(origin)).collect::<Result<Vec<_>, _>>()?;
        let rows = RecordBatchOptions::new().with_row_count(Some(self.rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &rows).map_err(|_| origin.changed())?;
        self.done.push(batch);
        self.rows = 0;
        Ok(())
    }
}
