//! Results, as text on stdout or in a file.
//!
//! In: the batches of a result, one after the other. Out: a table, CSV, TSV, JSON or NDJSON. All but the table are written
//! as batches come, whatever the result's size; a table needs the width of its columns first, so it shows no more than
//! [`TABLE_ROWS_MAX`] rows.

use std::{
    fmt,
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::{
    array::{ArrayRef, RecordBatch, StringArray},
    csv,
    datatypes::{DataType, Field, Schema, SchemaRef},
    error::ArrowError,
    json::{
        self,
        writer::{JsonArray, LineDelimited},
    },
    util::pretty::pretty_format_batches_with_schema,
};

use crate::{
    failure::{Failure, Result},
    files::atomic_file::{AtomicFile, FileAccess},
};

/// Rows of a result that the table format shows.
pub(crate) const TABLE_ROWS_MAX: usize = 1_000;

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Drawn, for people; the first 1000 rows of a result.
    Table,
    /// Comma-separated, with a header; lists and structs as JSON.
    Csv,
    /// Tab-separated, with a header.
    Tsv,
    /// One array a result, one result a line.
    Json,
    /// One object a row, one row a line.
    Ndjson,
}

/// Where results go.
pub(crate) struct Output {
    format: Format,
    destination: Destination,
}

enum Destination {
    /// stdout, a device or a pipe: written as batches come.
    Stream(Box<dyn Write + Send>),
    /// A file that takes its name after the last result.
    File(AtomicFile),
}

impl Destination {
    fn writer(&mut self) -> &mut (dyn Write + Send) {
        match self {
            Self::Stream(to) => to,
            Self::File(file) => file,
        }
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("format", &self.format).finish_non_exhaustive()
    }
}

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
        (self == Self::First)
            .then(|| format!("only the first {TABLE_ROWS_MAX} rows are shown; --format csv, tsv, json and ndjson write all"))
    }
}

impl Output {
    /// Results in `format` to stdout, or to the file at `path`, which is there when they are [`Self::close`]d.
    ///
    /// # Errors
    /// [`Failure::Failed`] if the file cannot be made.
    pub(crate) fn open(format: Format, path: Option<&Path>, access: FileAccess) -> Result<Self> {
        let destination = match path {
            None => Destination::Stream(Box::new(BufWriter::new(io::stdout()))),
            Some(path) if path == Path::new("-") => Destination::Stream(Box::new(BufWriter::new(io::stdout()))),
            // A device or a pipe cannot be replaced at the end.
            Some(path) if path.metadata().is_ok_and(|there| !there.is_file()) => {
                let file = File::options().write(true).open(path).map_err(|error| Failure::file(path, &error))?;
                Destination::Stream(Box::new(BufWriter::new(file)))
            }
            Some(path) => Destination::File(AtomicFile::create(path, access)?),
        };
        Ok(Self { format, destination })
    }

    /// Gives the file its name. Where the results `failed`, an older file of that name stays, and the results up to the error, if
    /// there are any, go to a file beside it, whose path comes back.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn close(self, failed: bool) -> Result<Option<PathBuf>> {
        match self.destination {
            Destination::File(file) if !failed => file.finish().map(|()| None),
            Destination::File(file) if !file.is_empty() => file.keep_partial().map(Some),
            _ => Ok(None),
        }
    }

    /// Begins a result whose rows look like `schema`.
    pub(crate) fn begin(&mut self, schema: SchemaRef) -> ResultWriter<'_> {
        let to = self.destination.writer();
        let json = || json::WriterBuilder::new().with_explicit_nulls(true);
        let writer = match self.format {
            Format::Table => FormatWriter::Table { to, batches: Vec::new(), rows: 0 },
            Format::Csv => FormatWriter::Csv(Box::new(csv::WriterBuilder::new().build(to))),
            Format::Tsv => FormatWriter::Csv(Box::new(csv::WriterBuilder::new().with_delimiter(b'\t').build(to))),
            Format::Json => FormatWriter::Json(json().build(to)),
            Format::Ndjson => FormatWriter::Ndjson(json().build(to)),
        };
        ResultWriter { schema, writer, empty: true }
    }

    /// Writes a line of text between results; for `check` and `demo`.
    ///
    /// # Errors
    /// The disk's, or [`Failure::ReaderGone`].
    pub(crate) fn say(&mut self, text: fmt::Arguments<'_>) -> Result<()> {
        let to = self.destination.writer();
        writeln!(to, "{text}")?;
        Ok(to.flush()?)
    }
}

/// Writes one result.
pub(crate) struct ResultWriter<'a> {
    schema: SchemaRef,
    writer: FormatWriter<'a>,
    empty: bool,
}

enum FormatWriter<'a> {
    Table { to: &'a mut (dyn Write + Send), batches: Vec<RecordBatch>, rows: usize },
    Csv(Box<csv::Writer<&'a mut (dyn Write + Send)>>),
    Json(json::Writer<&'a mut (dyn Write + Send), JsonArray>),
    Ndjson(json::Writer<&'a mut (dyn Write + Send), LineDelimited>),
}

impl ResultWriter<'_> {
    /// Writes a batch.
    ///
    /// # Errors
    /// A value that the format cannot hold, the disk's, or [`Failure::ReaderGone`].
    pub(crate) fn write(&mut self, batch: RecordBatch) -> Result<RowsWritten> {
        self.empty = false;
        match &mut self.writer {
            FormatWriter::Table { batches, rows, .. } => {
                let room = TABLE_ROWS_MAX - *rows;
                let is_cut = batch.num_rows() > room;
                let batch = if is_cut { batch.slice(0, room) } else { batch };
                *rows += batch.num_rows();
                batches.push(batch);
                return Ok(if is_cut { RowsWritten::First } else { RowsWritten::All });
            }
            FormatWriter::Csv(writer) => writer.write(&flat(&batch)?)?,
            FormatWriter::Json(writer) => writer.write(&batch)?,
            FormatWriter::Ndjson(writer) => writer.write(&batch)?,
        }
        Ok(RowsWritten::All)
    }

    /// Ends the result: what is left is written.
    ///
    /// # Errors
    /// As of [`Self::write`].
    pub(crate) fn finish(self) -> Result<()> {
        match self.writer {
            FormatWriter::Table { to, batches, .. } => {
                writeln!(to, "{}", pretty_format_batches_with_schema(self.schema, &batches)?)?;
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
        }
        Ok(())
    }
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use arrow::array::{Float64Array, Int64Array, ListBuilder, StringBuilder};

    use super::*;

    /// What was written.
    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn batch() -> RecordBatch {
        let mut tags = ListBuilder::new(StringBuilder::new());
        tags.append_value([Some("a"), Some("b, c")]);
        tags.append_null();
        RecordBatch::try_from_iter([
            ("id", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef),
            ("name", Arc::new(StringArray::from(vec![Some("Zoë\t\"Z\""), None]))),
            ("score", Arc::new(Float64Array::from(vec![0.5, 2.0]))),
            ("tags", Arc::new(tags.finish())),
        ])
        .unwrap()
    }

    fn written(format: Format, batches: &[RecordBatch]) -> String {
        let captured = Captured::default();
        let mut output = Output { format, destination: Destination::Stream(Box::new(captured.clone())) };
        let mut result = output.begin(batch().schema());
        for batch in batches {
            result.write(batch.clone()).unwrap();
        }
        result.finish().unwrap();
        String::from_utf8(captured.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn csv_has_a_header_and_lists_as_json() {
        let expected = "id,name,score,tags\n1,\"Zoë\t\"\"Z\"\"\",0.5,\"[\"\"a\"\",\"\"b, c\"\"]\"\n2,,2.0,\n";
        assert_eq!(written(Format::Csv, &[batch()]), expected);
    }

    #[test]
    fn tsv_is_separated_by_tabs() {
        assert!(written(Format::Tsv, &[batch()]).starts_with("id\tname\tscore\ttags\n1\t"));
    }

    #[test]
    fn json_is_one_array_in_one_line_and_a_null_keeps_its_key() {
        let expected = "[{\"id\":1,\"name\":\"Zoë\\t\\\"Z\\\"\",\"score\":0.5,\"tags\":[\"a\",\"b, c\"]},{\"id\":2,\"name\":null,\"score\":2.0,\"tags\":null}]\n";
        assert_eq!(written(Format::Json, &[batch()]), expected);
    }

    #[test]
    fn ndjson_is_one_object_a_line_across_batches() {
        assert_eq!(written(Format::Ndjson, &[batch(), batch()]).lines().count(), 4);
    }

    #[test]
    fn a_result_without_rows_is_still_a_result() {
        assert_eq!(written(Format::Csv, &[]), "id,name,score,tags\n");
        assert_eq!(written(Format::Json, &[]), "[]\n");
        assert_eq!(written(Format::Ndjson, &[]), "");
        assert!(written(Format::Table, &[]).contains("| id | name | score | tags |"));
    }

    #[test]
    fn a_table_shows_the_first_rows_and_says_when_there_were_more() {
        let ids = |rows: i64| RecordBatch::try_from_iter([("id", Arc::new(Int64Array::from_iter_values(0..rows)) as ArrayRef)]).unwrap();
        let captured = Captured::default();
        let mut output = Output { format: Format::Table, destination: Destination::Stream(Box::new(captured.clone())) };
        let mut result = output.begin(ids(0).schema());
        assert_eq!(result.write(ids(999)).unwrap(), RowsWritten::All);
        assert_eq!(result.write(ids(1)).unwrap(), RowsWritten::All);
        assert_eq!(result.write(ids(1)).unwrap(), RowsWritten::First);
        result.finish().unwrap();
        assert_eq!(captured.0.lock().unwrap().iter().filter(|byte| **byte == b'\n').count(), TABLE_ROWS_MAX + 4);
    }
}
