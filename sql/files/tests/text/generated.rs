//! Random tables through random writers: each is read exactly as it was written, or refused. There is no third outcome.
//!
//! `CLEVERTAP_TEXT_FILES=20000` writes so many files, `CLEVERTAP_SEED=n` begins with another.

use std::sync::Arc;

use arrow::datatypes::DataType;
use clevertap_files::csv::{Layout, Options};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::tables::{Cells, Table, habits, pick, table, write};
use crate::{all, as_text, cells, load, scan};

/// Refusals of files that could be two tables, or cells of two texts.
pub(crate) const AMBIGUOUS: &str = " split all first records evenly; ";
pub(crate) const UNSURE_ESCAPE: &str = "the escape stands before others in cells that are not quoted";

/// A number from the environment.
pub(crate) fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// A file, how to read it, and what is in it.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) data: Vec<u8>,
    pub(crate) options: Options,
    table: Table,
    delimiter: u8,
}

/// A random file. Its cells are told apart if they are `marked`.
pub(crate) fn written(rng: &mut StdRng, marked: bool) -> Written {
    let (table, habits, delimiter) = (table(rng, marked), habits(rng), pick(rng, b",;\t|"));
    let data = write(rng, &table, &habits, delimiter);
    let is_stated = table.names.len() == 1 || rng.random_bool(0.3);
    Written { data, options: Options { delimiter: is_stated.then_some(delimiter), ..habits }, table, delimiter }
}

/// The rows that the `csv` crate sees behind the first record, with as many cells as are asked for.
pub(crate) fn by_csv_crate(data: &[u8], delimiter: u8, options: &Options, columns: usize) -> Result<Cells, csv::Error> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .double_quote(options.escape.is_none())
        .escape(options.escape)
        .from_reader(data.strip_prefix("\u{feff}".as_bytes()).unwrap_or(data));
    let text = |cell: &[u8]| {
        let text = String::from_utf8_lossy(cell);
        (!text.is_empty() && !options.null.iter().any(|null| *null == text)).then(|| text.into_owned())
    };
    reader.byte_records().map(|record| Ok(record?.iter().take(columns).map(text).collect())).collect()
}

/// Without rows of one column that have no value: the `csv` crate does not see blank lines.
pub(crate) fn without_blank_lines(rows: &Cells) -> Cells {
    rows.iter().filter(|row| row.len() > 1 || row.iter().any(Option::is_some)).cloned().collect()
}

#[test]
fn every_file_is_read_as_it_was_written_or_refused() {
    let (first, files) = (number("CLEVERTAP_SEED", 1), number("CLEVERTAP_TEXT_FILES", 1_000));
    let (mut refused, mut typed) = (0, 0);
    for seed in first..first + files {
        let mut rng = StdRng::seed_from_u64(seed);
        let written = written(&mut rng, false);
        let sizes: Vec<_> = (0..5).map(|_| rng.random_range(1..200)).collect();
        match check(&written, &sizes) {
            Ok(types) => typed += types,
            Err(told) => {
                let is_known = [AMBIGUOUS, UNSURE_ESCAPE].iter().any(|words| told.contains(words));
                assert!(is_known, "CLEVERTAP_SEED={seed}: {told}\n{written:?}");
                refused += 1;
            }
        }
    }
    assert!(refused * 50 <= files && typed * 2 > files, "{refused} of {files} refused, {typed} columns of a type");
}

/// Panics if the file is read as another; returns how many columns have a type that is not text, or why the file was refused.
fn check(written: &Written, sizes: &[usize]) -> Result<u64, String> {
    let Written { data, options, table: Table { names, rows, types }, delimiter } = written;
    let layout = scan("f.csv", data, options, sizes).map_err(|error| error.to_string())?;
    assert_eq!(layout.delimiter(), *delimiter, "{written:?}");
    assert_eq!(layout.columns.iter().map(|column| &column.name).collect::<Vec<_>>(), names.iter().collect::<Vec<_>>(), "{written:?}");
    let read = cells(&load(&layout, data, &as_text(&layout), &all(&layout), sizes).unwrap_or_else(|error| panic!("{error} {written:?}")));
    assert_eq!(&read, rows, "{written:?}");
    let read =
        cells(&load(&layout, data, &Arc::new(layout.schema()), &all(&layout), sizes).unwrap_or_else(|error| panic!("{error} {written:?}")));
    for (at, column) in layout.columns.iter().enumerate() {
        if let Some(right) = &types[at] {
            assert_eq!(&column.data_type, right, "{} {written:?}", column.name);
        }
        for (row, right) in read.iter().zip(rows) {
            let right = right[at].as_ref().map(|text| as_typed(text, &column.data_type));
            assert_eq!(row[at], right, "{} {written:?}", column.name);
        }
    }
    if options.escape.is_none() {
        let theirs = by_csv_crate(data, *delimiter, options, names.len()).unwrap_or_else(|error| panic!("{error} {written:?}"));
        assert_eq!(without_blank_lines(rows), without_blank_lines(&theirs), "{written:?}");
    }
    Ok(layout.columns.iter().filter(|column| column.data_type != DataType::Utf8View).count() as u64)
}

#[test]
fn a_folder_is_read_as_its_files_were_written() {
    let (first, folders) = (number("CLEVERTAP_SEED", 1), number("CLEVERTAP_TEXT_FILES", 1_000) / 4);
    'folders: for seed in first..first + folders {
        let mut rng = StdRng::seed_from_u64(seed ^ 0xf01d);
        let (whole, habits) = (table(&mut rng, false), habits(&mut rng));
        let mut bounds: Vec<_> = (0..rng.random_range(0..3)).map(|_| rng.random_range(0..=whole.rows.len())).collect();
        bounds.extend([0, whole.rows.len()]);
        bounds.sort_unstable();
        let mut files = Vec::new();
        for bounds in bounds.windows(2) {
            let mut order: Vec<_> = (0..whole.names.len()).collect();
            order.rotate_left(rng.random_range(0..whole.names.len()));
            let (part, delimiter) = (whole.part(bounds[0]..bounds[1], &order), pick(&mut rng, b",;\t|"));
            let data = write(&mut rng, &part, &habits, delimiter);
            let options = Options { delimiter: Some(delimiter), ..habits.clone() };
            match scan("f.csv", &data, &options, &[77]) {
                Ok(layout) => files.push((layout, data)),
                Err(error) if error.what.contains(UNSURE_ESCAPE) => continue 'folders,
                Err(error) => panic!("CLEVERTAP_SEED={seed}: {error}"),
            }
        }
        let layouts: Vec<_> = files.iter().map(|(layout, _)| layout.clone()).collect();
        let merged = Layout::merge(&layouts).unwrap_or_else(|error| panic!("CLEVERTAP_SEED={seed}: {error}"));
        let schema = Arc::new(merged.schema());
        let mut read = Vec::new();
        for ((layout, data), sources) in files.iter().zip(&merged.sources) {
            let batches = load(layout, data, &schema, sources, &[77]).unwrap_or_else(|error| panic!("CLEVERTAP_SEED={seed}: {error}"));
            read.extend(cells(&batches));
        }
        let order: Vec<_> = merged.columns.iter().map(|column| whole.names.iter().position(|name| *name == column.name)).collect();
        let order: Vec<_> = order.into_iter().flatten().collect();
        let right = whole.part(0..whole.rows.len(), &order);
        for (at, column) in merged.columns.iter().enumerate() {
            if let Some(right) = &right.types[at] {
                assert_eq!(&column.data_type, right, "CLEVERTAP_SEED={seed}: {}", column.name);
            }
            let texts = right.rows.iter().map(|row| row[at].as_ref().map(|text| as_typed(text, &column.data_type)));
            assert_eq!(read.iter().map(|row| row[at].clone()).collect::<Vec<_>>(), texts.collect::<Vec<_>>(), "CLEVERTAP_SEED={seed}");
        }
    }
}

/// How Arrow writes the value that the text says.
pub(crate) fn as_typed(text: &str, data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => text.to_lowercase(),
        DataType::Timestamp(_, None) => text.replace(' ', "T"),
        DataType::Timestamp(_, Some(_)) => {
            let text = text.replace(" UTC", "Z").replace(" +00:00", "Z");
            let text = if text.ends_with("+02") { text + ":00" } else { text };
            let at = chrono::DateTime::parse_from_str(&text.replace('Z', "+0000"), "%Y-%m-%d %H:%M:%S%z").expect("an instant");
            at.to_utc().format("%Y-%m-%dT%H:%M:%SZ").to_string()
        }
        DataType::Decimal128(_, scale) => {
            let fraction = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
            let point = if fraction == 0 && *scale > 0 { "." } else { "" };
            format!("{text}{point}{}", "0".repeat(*scale as usize - fraction))
        }
        _ => text.to_owned(),
    }
}
