//! Random tables as Python's `csv`, pandas, polars, DuckDB and Spark write them: each file is read exactly as it was written, or refused.
//! There is no third outcome.
//!
//! `CLEVERTAP_WRITTEN_FILES=20000` has so many written, `CLEVERTAP_SEED=n` begins with another.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use clevertap_files::csv::Options;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::generated::{AMBIGUOUS, UNSURE_ESCAPE, as_typed, number};
use crate::python::Script;
use crate::{all, as_text, cells, load, scan};

/// A refusal that is right: of which files, what it says, how many of a thousand may meet it, and why.
type Refusal = (fn(&Written) -> bool, &'static str, u64, &'static str);

const REFUSALS: [Refusal; 7] = [
    (|_| true, AMBIGUOUS, 20, "two separators make a table, and nobody said which"),
    (|_| true, UNSURE_ESCAPE, 60, "Python escapes where it does not quote, Spark does not"),
    (Written::has_lone_cr, "the line ends in another way (CR, or LF)", 40, "pandas, polars and Spark quote no cell for a lone CR in it"),
    (Written::has_mark, "a byte order mark begins the line", 40, "a text that begins with one is not told from what joins files"),
    (|_| true, "the line looks like one that programs write around rows", 2, "dashes below a name are drawn"),
    (|written| written.name.contains("python_escaping"), "the record has ", 30, "a separator behind an escape separates"),
    (Written::has_lone_cr, "the record has ", 2, "such a CR in the first record is taken for what ends lines"),
];

/// A file, how its author would state it, and what was written.
struct Written {
    name: String,
    data: Vec<u8>,
    options: Options,
    /// What the refusal says, of a file that is in another encoding.
    needs: String,
    columns: Vec<String>,
    /// Row by row: `t` and text, `f` and a float, `i` and nanoseconds since 1970.
    cells: Vec<Option<String>>,
}

impl Written {
    /// The text that a cell of text is to be read as. An empty text is NULL, as is one that is the mark of NULL: no reader can tell them apart
    /// in the files of all writers.
    fn text<'w>(&self, cell: &'w str) -> Option<&'w str> {
        cell.strip_prefix('t').filter(|text| !text.is_empty() && !self.options.null.iter().any(|null| null == text))
    }

    fn has_lone_cr(&self) -> bool {
        self.data.windows(2).any(|two| two[0] == b'\r' && two[1] != b'\n')
    }

    /// Whether a record begins with a byte order mark.
    fn has_mark(&self) -> bool {
        self.data.starts_with("\u{feff}\u{feff}".as_bytes())
            || self.data.windows(4).any(|four| matches!(four[0], b'\n' | b'\r') && four[1..] == *b"\xef\xbb\xbf")
    }

    fn rows(&self) -> Vec<Vec<Option<&str>>> {
        let is_value = |cell: &&str| !cell.starts_with('t') || self.text(cell).is_some();
        let rows = self.cells.chunks(self.columns.len());
        rows.map(|cells| cells.iter().map(|cell| cell.as_deref().filter(is_value)).collect()).collect()
    }
}

impl fmt::Debug for Written {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {:?} {:?} {:?}", self.name, self.options, String::from_utf8_lossy(&self.data), self.cells)
    }
}

fn next(script: &mut Script) -> Option<Written> {
    let name = script.next()?;
    let (data, needs) = (script.data(), script.text());
    let (delimiter, quote, escape) = (script.byte(), script.byte(), script.byte());
    let (null, has_header) = (script.texts(), script.text() == "yes");
    let options = Options { delimiter, quote, escape, null, has_header, ..Options::default() };
    Some(Written { name, data, options, needs, columns: script.texts(), cells: script.cells() })
}

#[test]
fn every_file_of_every_writer_is_read_as_it_was_written_or_refused() {
    let (first, files) = (number("CLEVERTAP_SEED", 1), number("CLEVERTAP_WRITTEN_FILES", 1_000));
    let Some(mut script) = Script::start("delimited.py", &[first.to_string(), files.to_string()]) else { return };
    let (mut refusals, mut in_other_encodings, mut typed) = (BTreeMap::new(), 0, 0);
    let mut rng = StdRng::seed_from_u64(first);
    while let Some(written) = next(&mut script) {
        let sizes: Vec<_> = (0..5).map(|_| rng.random_range(1..2_000)).collect();
        match check(&written, &sizes) {
            Ok(columns) => typed += columns,
            Err(told) if !written.needs.is_empty() && told.contains(&written.needs) => in_other_encodings += 1,
            Err(told) => {
                let known = REFUSALS.iter().position(|(is_of, words, ..)| is_of(&written) && told.contains(words));
                *refusals.entry(known.unwrap_or_else(|| panic!("{told} {written:?}"))).or_insert(0) += 1;
            }
        }
    }
    for (at, (_, words, most, _)) in REFUSALS.into_iter().enumerate() {
        let found = refusals.get(&at).copied().unwrap_or(0);
        assert!(found * 1_000 <= most * files.max(1_000), "{found} of {files} files: {words}");
    }
    assert!(typed > files / 2 && in_other_encodings * 50 > files, "{typed} typed columns, {in_other_encodings} in other encodings");
}

/// Panics if the file is read as another; returns how many columns have a type that is not text, or why the file was refused.
fn check(written: &Written, sizes: &[usize]) -> Result<u64, String> {
    let Written { name, data, options, columns, .. } = written;
    let layout = scan(name, data, options, sizes).map_err(|error| {
        assert!(*error.file == **name && error.line.is_some(), "{error}");
        error.to_string()
    })?;
    assert!(written.needs.is_empty(), "read without {} {written:?}", written.needs);
    let cells_of_rows = written.rows();
    if columns.is_empty() || layout.columns.is_empty() {
        // Of a file of line ends alone nobody knows whether it is empty.
        assert!(!options.has_header && cells_of_rows.iter().flatten().all(Option::is_none), "{written:?}");
        return Ok(0);
    }
    assert_eq!(layout.columns.iter().map(|column| &column.name).collect::<Vec<_>>(), columns.iter().collect::<Vec<_>>(), "{written:?}");
    // pandas, Spark and polars quote no cell for a CR that would be one with the line end: told, and nobody can read it.
    let is_cr_lost = layout.warnings.iter().any(|warning| warning.what.starts_with("some lines end in LF and some in CR LF"));
    let last = columns.len() - 1;
    let load = |schema| {
        let loaded = load(&layout, data, &schema, &all(&layout), sizes);
        loaded.unwrap_or_else(|error| panic!("{error} {written:?}"))
    };
    let texts = cells(&load(as_text(&layout)));
    assert_eq!(texts.len(), cells_of_rows.len(), "{written:?}");
    let batches = load(Arc::new(layout.schema()));
    let shown = cells(&batches);
    for (at, column) in layout.columns.iter().enumerate() {
        let instants = nanoseconds(&batches, at);
        for (row, wanted) in cells_of_rows.iter().enumerate() {
            let (text, place) = (texts[row][at].as_deref(), format!("row {row}, {} {}", column.name, column.data_type));
            let without_cr = wanted[at].and_then(|wanted| wanted.strip_suffix('\r')).filter(|_| is_cr_lost && at == last);
            if without_cr.is_some_and(|wanted| written.text(wanted) == text) {
                continue;
            }
            match wanted[at].map(|wanted| wanted.split_at(1)) {
                None => assert_eq!(text, None, "{place} {written:?}"),
                Some(("t", wanted)) => assert_eq!(text, Some(wanted), "{place} {written:?}"),
                Some(("f", wanted)) => {
                    let float = |text: &str| text.parse::<f64>().map(f64::to_bits).ok();
                    assert_eq!(text.and_then(float), float(wanted), "{place} {written:?}");
                }
                Some((_, wanted)) => {
                    let instant = instants.as_ref().and_then(|instants| instants[row]);
                    assert_eq!(instant, wanted.parse().ok(), "{place} {written:?}");
                }
            }
            if !matches!(column.data_type, DataType::Timestamp(..)) {
                assert_eq!(shown[row][at], text.map(|text| as_typed(text, &column.data_type)), "{place} {written:?}");
            }
        }
    }
    Ok(layout.columns.iter().filter(|column| column.data_type != DataType::Utf8View).count() as u64)
}

/// The instants of a column of days or times.
fn nanoseconds(batches: &[RecordBatch], at: usize) -> Option<Vec<Option<i128>>> {
    let mut all = Vec::new();
    for batch in batches {
        let array = batch.column(at);
        let unit = match array.data_type() {
            DataType::Date32 => 86_400_000_000_000,
            DataType::Timestamp(TimeUnit::Second, _) => 1_000_000_000,
            DataType::Timestamp(TimeUnit::Millisecond, _) => 1_000_000,
            DataType::Timestamp(TimeUnit::Microsecond, _) => 1_000,
            DataType::Timestamp(TimeUnit::Nanosecond, _) => 1,
            _ => return None,
        };
        let days = arrow::compute::cast(array, &DataType::Int32).ok().filter(|_| array.data_type() == &DataType::Date32);
        let numbers = arrow::compute::cast(days.as_ref().unwrap_or(array), &DataType::Int64).expect("numbers");
        all.extend(numbers.as_primitive::<Int64Type>().iter().map(|number| number.map(|number| i128::from(number) * unit)));
    }
    Some(all)
}
