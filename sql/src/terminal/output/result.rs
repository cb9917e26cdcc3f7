//! One result, written as its batches come.
//!
//! In: batches, and where they go. Out: a format. The text of a plan shows no secret of a URL.

use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch, StringArray},
    compute::cast,
    csv,
    datatypes::{DataType, Field, Schema, SchemaRef},
    error::ArrowError,
    json::{
        self,
        writer::{JsonArray, LineDelimited},
    },
};
use datafusion_clevertap::{copy::in_microseconds, redact::without_secrets};
use parquet::arrow::ArrowWriter;

use super::super::layout::{self, TableWidth};
use crate::failure::{Failure, Result};

/// Rows of a result that the table format shows.
pub(crate) const TABLE_ROWS_MAX: usize = 1_000;

/// How many rows of a result are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowsWritten {
    All,
    /// The first [`TABLE_ROWS_MAX`]: there were more, and further batches need not be read.
    First,
}

impl RowsWritten {
    /// The sentence about rows that were left out.
    pub(crate) fn left_out(self) -> Option<String> {
        (self == Self::First).then(|| {
            format!("only the first {TABLE_ROWS_MAX} rows are shown; --format expanded, csv, tsv, json, ndjson and parquet write all")
        })
    }
}

/// Writes one result.
pub(crate) struct ResultWriter<'a> {
    schema: SchemaRef,
    results: &'a mut usize,
    writer: FormatWriter<'a>,
    empty: bool,
    reader_gone: Arc<AtomicBool>,
}

pub(super) enum FormatWriter<'a> {
    Table { to: &'a mut (dyn Write + Send), batches: Vec<RecordBatch>, rows: usize, width: TableWidth },
    Expanded { to: &'a mut (dyn Write + Send), rows: usize },
    Csv(Box<csv::Writer<&'a mut (dyn Write + Send)>>),
    Json(json::Writer<&'a mut (dyn Write + Send), JsonArray>),
    Ndjson(json::Writer<&'a mut (dyn Write + Send), LineDelimited>),
    Parquet(Box<ArrowWriter<&'a mut (dyn Write + Send)>>),
}

impl<'a> ResultWriter<'a> {
    pub(super) fn new(schema: SchemaRef, results: &'a mut usize, writer: FormatWriter<'a>, reader_gone: Arc<AtomicBool>) -> Self {
        Self { schema, results, writer, empty: true, reader_gone }
    }

    /// Writes a batch.
    ///
    /// # Errors
    /// A value that the format cannot hold, the disk's, or [`Failure::ReaderGone`].
    pub(crate) fn write(&mut self, batch: RecordBatch) -> Result<RowsWritten> {
        let written = self.write_batch(batch);
        if written.is_err() && self.reader_gone.load(Ordering::Relaxed) { Err(Failure::ReaderGone) } else { written }
    }

    fn write_batch(&mut self, batch: RecordBatch) -> Result<RowsWritten> {
        self.empty = false;
        let batch = without_secrets_of_plans(batch)?;
        match &mut self.writer {
            FormatWriter::Table { batches, rows, .. } => {
                let room = TABLE_ROWS_MAX - *rows;
                let is_cut = batch.num_rows() > room;
                let batch = if is_cut { batch.slice(0, room) } else { batch };
                *rows += batch.num_rows();
                batches.push(layout::shortened(&batch)?);
                return Ok(if is_cut { RowsWritten::First } else { RowsWritten::All });
            }
            FormatWriter::Expanded { to, rows } => {
                to.write_all(layout::expanded(&batch, *rows, usize::MAX)?.as_bytes())?;
                *rows += batch.num_rows();
            }
            FormatWriter::Csv(writer) => writer.write(&flat(&batch)?)?,
            FormatWriter::Json(writer) => writer.write(&batch)?,
            FormatWriter::Ndjson(writer) => writer.write(&batch)?,
            FormatWriter::Parquet(writer) => writer.write(&parquet_batch(&batch)?).map_err(parquet_error)?,
        }
        Ok(RowsWritten::All)
    }

    /// Ends the result: what is left is written.
    ///
    /// # Errors
    /// As of [`Self::write`].
    pub(crate) fn finish(self) -> Result<()> {
        let reader_gone = Arc::clone(&self.reader_gone);
        let finished = self.write_end();
        if finished.is_err() && reader_gone.load(Ordering::Relaxed) { Err(Failure::ReaderGone) } else { finished }
    }

    fn write_end(self) -> Result<()> {
        *self.results += 1;
        match self.writer {
            FormatWriter::Table { to, batches, width, .. } => {
                to.write_all(layout::table(&self.schema, &batches, width)?.as_bytes())?;
                to.flush()?;
            }
            FormatWriter::Csv(mut writer) => {
                if self.empty {
                    writer.write(&flat(&RecordBatch::new_empty(self.schema))?)?;
                }
                writer.into_inner().flush()?;
            }
            FormatWriter::Json(mut writer) => {
                writer.finish()?;
                let to = writer.into_inner();
                writeln!(to)?;
                to.flush()?;
            }
            FormatWriter::Ndjson(mut writer) => {
                writer.finish()?;
                writer.into_inner().flush()?;
            }
            FormatWriter::Expanded { to, rows } => {
                if rows == 0 {
                    to.write_all(layout::no_rows(&self.schema).as_bytes())?;
                }
                to.flush()?;
            }
            FormatWriter::Parquet(writer) => writer.into_inner().map_err(parquet_error)?.flush()?,
        }
        Ok(())
    }
}

/// The schema of the Parquet file, with instants in units that Parquet has.
pub(super) fn parquet_schema(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| match in_microseconds(field.data_type()) {
        Some(data_type) => Arc::new(field.as_ref().clone().with_data_type(data_type)),
        None => Arc::clone(field),
    });
    Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone()))
}

/// The batch in the types of [`parquet_schema`].
fn parquet_batch(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = parquet_schema(&batch.schema());
    let columns = batch.columns().iter().zip(schema.fields()).map(|(column, field)| cast(column, field.data_type()));
    RecordBatch::try_new(Arc::clone(&schema), columns.collect::<Result<_, _>>()?)
}

pub(super) fn parquet_error(error: parquet::errors::ParquetError) -> ArrowError {
    ArrowError::from(error)
}

/// The batch with lists, structs and maps as JSON text: CSV has no other way to hold them.
fn flat(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    if !batch.schema().fields().iter().any(|field| is_nested(field.data_type())) {
        return Ok(batch.clone());
    }
    let mut fields = Vec::with_capacity(batch.num_columns());
    let mut columns = Vec::with_capacity(batch.num_columns());
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        if is_nested(field.data_type()) {
            fields.push(Arc::new(Field::new(field.name(), DataType::Utf8, true)));
            columns.push(json_text(field, column)?);
        } else {
            fields.push(Arc::clone(field));
            columns.push(Arc::clone(column));
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

fn is_nested(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, values) => is_nested(values),
        kind => kind.is_nested(),
    }
}

fn json_text(field: &Arc<Field>, column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let options = json::EncoderOptions::default();
    let mut encoder = json::writer::make_encoder(field, column.as_ref(), &options)?;
    let mut texts = Vec::with_capacity(column.len());
    for row in 0..column.len() {
        texts.push(if encoder.is_null(row) {
            None
        } else {
            let mut text = Vec::new();
            encoder.encode(row, &mut text);
            Some(String::from_utf8(text).map_err(|error| ArrowError::ExternalError(Box::new(error)))?)
        });
    }
    Ok(Arc::new(StringArray::from(texts)))
}

/// The batch of an EXPLAIN, in which a file is named by its URL, with what the URL keeps secret masked; others as they are.
fn without_secrets_of_plans(batch: RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = batch.schema();
    let names: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let ["plan_type", "plan"] = names.as_slice() else { return Ok(batch) };
    let Some(plans) = batch.column(1).as_string_opt::<i32>() else { return Ok(batch) };
    let plans: StringArray = plans.iter().map(|plan| plan.map(without_secrets)).collect();
    RecordBatch::try_new(SchemaRef::clone(&schema), vec![Arc::clone(batch.column(0)), Arc::new(plans)])
}
