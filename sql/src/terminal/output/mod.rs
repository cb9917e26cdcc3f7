//! Results, as text on stdout or in a file.
//!
//! In: the batches of a result, one after the other. Out: one of the formats. All but the table are written as batches come,
//! whatever the size of the result; a table needs the width of its columns first, so it shows no more than [`result::TABLE_ROWS_MAX`] rows.
//!
//! ```text
//! mod ─> result   one result in its format
//!          └─> ../layout   tables and expanded rows
//! ```

mod result;

use std::{
    fmt,
    fs::File,
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::{csv, datatypes::SchemaRef, json};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    file::properties::WriterProperties,
};

pub(crate) use self::result::RowsWritten;
use self::result::{FormatWriter, ResultWriter, parquet_error, parquet_schema};
use super::{
    format::Format,
    layout::TableWidth,
    visible::{Visible, visible},
    watched::Watched,
};
use crate::{
    failure::{Failure, Result},
    files::atomic_file::{AtomicFile, FileAccess},
};

/// Where results go.
pub(crate) struct Output {
    format: Format,
    table_width: TableWidth,
    destination: Destination,
    /// Results that are complete.
    results: usize,
}

enum Destination {
    /// stdout, a device or a pipe: written as batches come.
    Stream(Watched),
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

impl Output {
    /// Results in `format` to stdout, or to the file at `path`, which is there when they are [`Self::close`]d. Without a format the
    /// ending of the file names it; else it is a table, or expanded rows where a table is wider than the terminal.
    ///
    /// # Errors
    /// [`Failure::Usage`] if the ending names no format, or for Parquet on a terminal; [`Failure::Failed`] if the file cannot be created.
    pub(crate) fn open(format: Option<Format>, path: Option<&Path>, access: FileAccess) -> Result<Self> {
        let path = path.filter(|path| *path != Path::new("-"));
        let (format, table_width) = match (format, path) {
            (Some(format), _) => (format, TableWidth::Unlimited),
            (None, Some(path)) => (Format::of_path(path)?.unwrap_or(Format::Table), TableWidth::Unlimited),
            (None, None) => (Format::Table, TableWidth::of_stdout()),
        };
        if format == Format::Parquet && path.is_none() && io::stdout().is_terminal() {
            return Err(Failure::Usage("Parquet is not text, and stdout is a terminal; -o FILE writes it to a file".into()));
        }
        let destination = match path {
            None => Destination::Stream(Watched::new(for_whom(io::stdout()))),
            // A device or a pipe cannot be replaced at the end.
            Some(path) if path.metadata().is_ok_and(|there| !there.is_file()) => {
                let file = File::options().write(true).open(path).map_err(|error| Failure::file(path, &error))?;
                Destination::Stream(Watched::new(for_whom(file)))
            }
            Some(path) => Destination::File(AtomicFile::create(path, access)?),
        };
        Ok(Self { format, table_width, destination, results: 0 })
    }

    /// Gives the file its name. Where the results `failed`, an older file of that name stays, and the results up to the error, if
    /// there are any, go to a file beside it, whose path comes back.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn close(self, failed: bool) -> Result<Option<PathBuf>> {
        match self.destination {
            Destination::File(file) if !failed => file.finish().map(|()| None),
            // Half a Parquet file cannot be read.
            Destination::File(_) if self.format == Format::Parquet && self.results == 0 => Ok(None),
            Destination::File(file) if !file.is_empty() => file.keep_partial().map(Some),
            _ => Ok(None),
        }
    }

    /// Begins a result with the columns of `schema`.
    ///
    /// # Errors
    /// A column that the format cannot hold; a second result for Parquet, which holds one.
    pub(crate) fn begin(&mut self, schema: SchemaRef) -> Result<ResultWriter<'_>> {
        if self.format == Format::Parquet && self.results > 0 {
            return Err(Failure::Failed(
                "a Parquet file holds one result, and this statement has the second; COPY (SELECT …) TO 'x.parquet' writes a file of its own"
                    .into(),
            ));
        }
        let reader_gone = match &self.destination {
            Destination::Stream(stream) => stream.reader_gone(),
            Destination::File(_) => Arc::default(),
        };
        let to = self.destination.writer();
        let json = || json::WriterBuilder::new().with_explicit_nulls(true);
        let writer = match self.format {
            Format::Table => FormatWriter::Table { to, batches: Vec::new(), rows: 0, width: self.table_width },
            Format::Expanded => FormatWriter::Expanded { to, rows: 0 },
            Format::Csv => FormatWriter::Csv(Box::new(csv::WriterBuilder::new().build(to))),
            Format::Tsv => FormatWriter::Csv(Box::new(csv::WriterBuilder::new().with_delimiter(b'\t').build(to))),
            Format::Json => FormatWriter::Json(json().build(to)),
            Format::Ndjson => FormatWriter::Ndjson(json().build(to)),
            Format::Parquet => {
                let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
                FormatWriter::Parquet(Box::new(ArrowWriter::try_new(to, parquet_schema(&schema), Some(properties)).map_err(parquet_error)?))
            }
        };
        Ok(ResultWriter::new(schema, &mut self.results, writer, reader_gone))
    }

    /// Writes a line of text between results; for `check` and `demo`.
    ///
    /// # Errors
    /// The disk's, or [`Failure::ReaderGone`].
    pub(crate) fn say(&mut self, text: fmt::Arguments<'_>) -> Result<()> {
        let to = self.destination.writer();
        writeln!(to, "{}", visible(&text.to_string()))?;
        Ok(to.flush()?)
    }

    /// Writes a value as one line of JSON.
    ///
    /// # Errors
    /// The disk's, or [`Failure::ReaderGone`].
    #[cfg(feature = "syncs")]
    pub(crate) fn json(&mut self, value: &impl serde::Serialize) -> Result<()> {
        let line = serde_json::to_string(value).map_err(|error| Failure::Failed(error.to_string()))?;
        let to = self.destination.writer();
        writeln!(to, "{line}")?;
        Ok(to.flush()?)
    }
}

/// The stream itself; for a person at a terminal, one that shows control characters.
pub(crate) fn for_whom(stream: impl Write + IsTerminal + Send + 'static) -> Box<dyn Write + Send> {
    if stream.is_terminal() { Box::new(Visible::new(stream)) } else { Box::new(stream) }
}

#[cfg(test)]
mod tests {
    use arrow::{
        array::{ArrayRef, Float64Array, Int64Array, ListBuilder, RecordBatch, StringArray, StringBuilder},
        compute::cast,
        datatypes::{DataType, TimeUnit},
    };
    use parquet::arrow::arrow_reader::ParquetRecordBatchReader;

    use super::*;
    use crate::terminal::captured::Captured;

    fn stream(format: Format, to: &Captured) -> Output {
        Output { format, table_width: TableWidth::Unlimited, destination: Destination::Stream(Watched::new(to.clone())), results: 0 }
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
        let mut output = stream(format, &captured);
        let mut result = output.begin(batch().schema()).unwrap();
        for batch in batches {
            result.write(batch.clone()).unwrap();
        }
        result.finish().unwrap();
        captured.text()
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
        let mut output = stream(Format::Table, &captured);
        let mut result = output.begin(ids(0).schema()).unwrap();
        assert_eq!(result.write(ids(999)).unwrap(), RowsWritten::All);
        assert_eq!(result.write(ids(1)).unwrap(), RowsWritten::All);
        assert_eq!(result.write(ids(1)).unwrap(), RowsWritten::First);
        result.finish().unwrap();
        assert_eq!(captured.text().lines().count(), result::TABLE_ROWS_MAX + 4);
    }

    #[test]
    fn expanded_rows_are_all_written_and_numbered() {
        let text = written(Format::Expanded, &[batch(), batch()]);
        assert!(text.starts_with("-[ 1 ]--\nid    | 1\nname  | ") && text.contains("-[ 4 ]--\n"), "{text}");
        assert_eq!(written(Format::Expanded, &[]), "(no rows of id, name, score, tags)\n");
    }

    #[test]
    fn a_reader_that_goes_away_is_no_error_of_any_format() {
        /// Takes some bytes, and then nobody reads any more.
        struct Head(usize);
        impl Write for Head {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::BrokenPipe)?;
                Ok(bytes.len())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        for format in [Format::Csv, Format::Tsv, Format::Json, Format::Ndjson, Format::Expanded, Format::Parquet, Format::Table] {
            let destination = Destination::Stream(Watched::new(Head(10)));
            let mut output = Output { format, table_width: TableWidth::Unlimited, destination, results: 0 };
            let ended = output
                .begin(batch().schema())
                .and_then(|mut writer| (0..1_000).try_for_each(|_| writer.write(batch()).map(drop)).and_then(|()| writer.finish()));
            let flushed = ended.and_then(|()| output.say(format_args!("")));
            assert!(matches!(flushed, Err(Failure::ReaderGone)), "{format:?}: {flushed:?}");
        }
    }

    #[test]
    fn a_file_is_in_the_format_of_its_ending_unless_a_format_is_given() {
        let folder = tempfile::tempdir().unwrap();
        let text = |name: &str, format| {
            let path = folder.path().join(name);
            let mut output = Output::open(format, Some(&path), FileAccess::Default).unwrap();
            let mut result = output.begin(batch().schema()).unwrap();
            result.write(batch()).unwrap();
            result.finish().unwrap();
            output.close(false).unwrap();
            std::fs::read(path).unwrap()
        };
        assert!(text("x.csv", None).starts_with(b"id,name,score,tags\n"));
        assert!(text("x.ndjson", None).starts_with(b"{\"id\":1"));
        assert!(text("x.txt", None).starts_with(b"+----"));
        assert!(text("out", None).starts_with(b"+----"));
        assert!(text("x.parquet", None).starts_with(b"PAR1"));
        assert!(text("x.xlsx", Some(Format::Csv)).starts_with(b"id,name,score,tags\n"));
        let refused = Output::open(None, Some(&folder.path().join("y.xlsx")), FileAccess::Default).unwrap_err();
        assert!(refused.code() == 2 && refused.to_string().contains("--format csv"), "{refused}");
        assert!(!folder.path().join("y.xlsx").exists());
    }

    #[test]
    fn instants_in_seconds_are_instants_in_a_parquet_file_also_inside_of_lists() {
        let at = |unit| DataType::Timestamp(unit, Some(Arc::from("Asia/Kolkata")));
        let list = |unit| DataType::new_list(at(unit), true);
        let seconds = Arc::new(Int64Array::from(vec![Some(1_790_000_000), None])) as ArrayRef;
        let instants = cast(&seconds, &at(TimeUnit::Second)).unwrap();
        let lists = cast(&instants, &list(TimeUnit::Second)).unwrap();
        let rows = RecordBatch::try_from_iter([("one", Arc::clone(&instants)), ("some", Arc::clone(&lists))]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.parquet");
        let mut output = Output::open(None, Some(&path), FileAccess::Default).unwrap();
        let mut result = output.begin(rows.schema()).unwrap();
        result.write(rows).unwrap();
        result.finish().unwrap();
        output.close(false).unwrap();
        let mut back = ParquetRecordBatchReader::try_new(File::open(path).unwrap(), 10).unwrap();
        let back = back.next().unwrap().unwrap();
        assert_eq!(back.column(0), &cast(&instants, &at(TimeUnit::Microsecond)).unwrap());
        assert_eq!(back.column(1), &cast(&lists, &list(TimeUnit::Microsecond)).unwrap());
    }
}
