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
    whole::{Readers, WholeFile},
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
    to: To,
}

enum To {
    /// As it comes.
    Flow(Box<dyn Write + Send>),
    /// A file that is there when the last result is.
    Whole(WholeFile),
}

impl To {
    fn writer(&mut self) -> &mut (dyn Write + Send) {
        match self {
            Self::Flow(to) => to,
            Self::Whole(file) => file,
        }
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("format", &self.format).finish_non_exhaustive()
    }
}

/// Whether a result wants its next batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum More {
    /// Yes.
    Wanted,
    /// No: as many rows as are shown have come.
    Enough,
}

impl More {
    /// What is said where rows were left out.
    pub(crate) fn left_out(self) -> Option<String> {
        (self == Self::Enough)
            .then(|| format!("only the first {TABLE_ROWS_MAX} rows are shown; --format csv, tsv, json and ndjson write all"))
    }
}

impl Output {
    /// Results in `format` to stdout, or to the file at `path`, which is there when they are [`Self::close`]d.
    ///
    /// # Errors
    /// [`Failure::Failed`] if the file cannot be made.
    pub(crate) fn open(format: Format, path: Option<&Path>, readers: Readers) -> Result<Self> {
        let to = match path {
            None => To::Flow(Box::new(BufWriter::new(io::stdout()))),
            Some(path) if path == Path::new("-") => To::Flow(Box::new(BufWriter::new(io::stdout()))),
            // A device or a pipe has no later.
            Some(path) if path.metadata().is_ok_and(|there| !there.is_file()) => {
                let file = File::options().write(true).open(path).map_err(|error| Failure::file(path, &error))?;
                To::Flow(Box::new(BufWriter::new(file)))
            }
            Some(path) => To::Whole(WholeFile::begin(path, readers)?),
        };
        Ok(Self { format, to })
    }

    /// Puts the file in its place. Where the results `failed`, its place is left as it was, and those up to the error are put beside it,
    /// if there are any: where, comes back.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn close(self, failed: bool) -> Result<Option<PathBuf>> {
        match self.to {
            To::Whole(file) if !failed => file.finish().map(|()| None),
            To::Whole(file) if !file.is_empty() => file.give_up().map(Some),
            _ => Ok(None),
        }
    }

    /// Begins a result whose rows look like `schema`.
    pub(crate) fn begin(&mut self, schema: SchemaRef) -> Answer<'_> {
        let to = self.to.writer();
        let json = || json::WriterBuilder::new().with_explicit_nulls(true);
        let shape = match self.format {
            Format::Table => Shape::Table { to, batches: Vec::new(), rows: 0 },
            Format::Csv => Shape::Csv(Box::new(csv::WriterBuilder::new().build(to))),
            Format::Tsv => Shape::Csv(Box::new(csv::WriterBuilder::new().with_delimiter(b'\t').build(to))),
            Format::Json => Shape::Json(json().build(to)),
            Format::Ndjson => Shape::Ndjson(json().build(to)),
        };
        Answer { schema, shape, empty: true }
    }

    /// Puts `text` between results; for `check` and `demo`, which talk.
    ///
    /// # Errors
    /// The disk's, or [`Failure::ReaderGone`].
    pub(crate) fn say(&mut self, text: fmt::Arguments<'_>) -> Result<()> {
        let to = self.to.writer();
        writeln!(to, "{text}")?;
        Ok(to.flush()?)
    }
}

/// One result on its way out.
pub(crate) struct Answer<'a> {
    schema: SchemaRef,
    shape: Shape<'a>,
    empty: bool,
}

enum Shape<'a> {
    Table { to: &'a mut (dyn Write + Send), batches: Vec<RecordBatch>, rows: usize },
    Csv(Box<csv::Writer<&'a mut (dyn Write + Send)>>),
    Json(json::Writer<&'a mut (dyn Write + Send), JsonArray>),
    Ndjson(json::Writer<&'a mut (dyn Write + Send), LineDelimited>),
}

impl Answer<'_> {
    /// Writes a batch.
    ///
    /// # Errors
    /// A value that the format cannot hold, the disk's, or [`Failure::ReaderGone`].
    pub(crate) fn write(&mut self, batch: RecordBatch) -> Result<More> {
        self.empty = false;
        match &mut self.shape {
            Shape::Table { batches, rows, .. } => {
                let room = TABLE_ROWS_MAX - *rows;
                let enough = batch.num_rows() > room;
                let batch = if enough { batch.slice(0, room) } else { batch };
                *rows += batch.num_rows();
                batches.push(batch);
                return Ok(if enough { More::Enough } else { More::Wanted });
            }
            Shape::Csv(writer) => writer.write(&flat(&batch)?)?,
            Shape::Json(writer) => writer.write(&batch)?,
            Shape::Ndjson(writer) => writer.write(&batch)?,
        }
        Ok(More::Wanted)
    }

    /// Ends the result: what is left is written.
    ///
    /// # Errors
    /// As of [`Self::write`].
    pub(crate) fn finish(self) -> Result<()> {
        match self.shape {
            Shape::Table { to, batches, .. } => {
                writeln!(to, "{}", pretty_format_batches_with_schema(self.schema, &batches)?)?;
                to.flush()?;
            }
            Shape::Csv(mut writer) => {
                if self.empty {
                    writer.write(&flat(&RecordBatch::new_empty(self.schema))?)?;
                }
                writer.into_inner().flush()?;
            }
            Shape::Json(mut writer) => {
                writer.finish()?;
                let to = writer.into_inner();
                writeln!(to)?;
                to.flush()?;
            }
            Shape::Ndjson(mut writer) => {
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

    /// A file that can be looked into.
    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
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
        let paper = Paper::default();
        let mut output = Output { format, to: To::Flow(Box::new(paper.clone())) };
        let mut answer = output.begin(batch().schema());
        for batch in batches {
            answer.write(batch.clone()).unwrap();
        }
        answer.finish().unwrap();
        String::from_utf8(paper.0.lock().unwrap().clone()).unwrap()
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
        let paper = Paper::default();
        let mut output = Output { format: Format::Table, to: To::Flow(Box::new(paper.clone())) };
        let mut answer = output.begin(ids(0).schema());
        assert_eq!(answer.write(ids(999)).unwrap(), More::Wanted);
        assert_eq!(answer.write(ids(1)).unwrap(), More::Wanted);
        assert_eq!(answer.write(ids(1)).unwrap(), More::Enough);
        answer.finish().unwrap();
        assert_eq!(paper.0.lock().unwrap().iter().filter(|byte| **byte == b'\n').count(), TABLE_ROWS_MAX + 4);
    }
}
