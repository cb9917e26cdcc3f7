//! Random tables through random writers: each is read exactly as it was written, or refused. There is no third outcome.
//!
//! `CLEVERTAP_TEXT_FILES=20000` writes so many files, `CLEVERTAP_SEED=n` begins with another.

use std::sync::Arc;

use arrow::datatypes::DataType;
use clevertap_files::csv::Options;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::{all, as_text, cells, load, scan};

/// A number from the environment.
pub(crate) fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// One of these.
pub(crate) fn pick<T: Copy>(rng: &mut StdRng, these: &[T]) -> T {
    these[rng.random_range(0..these.len())]
}

/// A file, how to read it, and what is in it.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) data: Vec<u8>,
    pub(crate) options: Options,
    names: Vec<String>,
    /// As they were before they were quoted; `None` is NULL.
    rows: Cells,
    /// The type of each column, where it has one for sure.
    types: Vec<Option<DataType>>,
    delimiter: u8,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Integers,
    Decimals(u32),
    Booleans,
    Days,
    Local(char),
    Zoned,
    Marked,
    Text,
}

fn cell(rng: &mut StdRng, kind: Kind) -> String {
    let day =
        |rng: &mut StdRng| format!("{:04}-{:02}-{:02}", rng.random_range(1..=9999), rng.random_range(1..=12), rng.random_range(1..=28));
    let time = |rng: &mut StdRng| format!("{:02}:{:02}:{:02}", rng.random_range(0..24), rng.random_range(0..60), rng.random_range(0..60));
    match kind {
        Kind::Integers => (rng.random::<i64>() >> rng.random_range(0..64)).to_string().replace("-0", "0"),
        Kind::Decimals(scale) => {
            let value: i64 = rng.random::<i64>() >> rng.random_range(1..60);
            let digits = format!("{:0width$}", value.unsigned_abs(), width = scale as usize + 1);
            let (whole, fraction) = digits.split_at(digits.len() - scale as usize);
            format!("{}{whole}.{fraction}", if value < 0 { "-" } else { "" })
        }
        Kind::Booleans => rng.random::<bool>().to_string(),
        Kind::Days => day(rng),
        Kind::Local(between) => format!("{}{between}{}", day(rng), time(rng)),
        Kind::Zoned => {
            let zone = pick(rng, &["Z", "+05:30", "-0800", " UTC", " +00:00", "+02"]);
            format!("{} {}{zone}", day(rng), time(rng))
        }
        // Letters that are found again in whatever is said of the file.
        Kind::Marked => format!("zq{:08x}zq", rng.random::<u32>()),
        Kind::Text => {
            const PARTS: [&str; 22] = [
                "a", "Pune", " ", "x y", ",", ";", "\t", "|", "\"", "\"\"", "\n", "\r\n", "é", "😀", "\\", "'", "#", "007", "1.5", "-",
                "NULL", "sep=",
            ];
            (0..rng.random_range(1..5)).map(|_| pick(rng, &PARTS)).collect()
        }
    }
}

/// What is the type of a column of such cells.
fn type_of(kind: Kind) -> Option<DataType> {
    use arrow::datatypes::TimeUnit::Second;
    match kind {
        Kind::Integers => Some(DataType::Int64),
        Kind::Booleans => Some(DataType::Boolean),
        Kind::Days => Some(DataType::Date32),
        Kind::Local(_) => Some(DataType::Timestamp(Second, None)),
        Kind::Zoned => Some(DataType::Timestamp(Second, Some("+00:00".into()))),
        Kind::Decimals(_) | Kind::Marked | Kind::Text => None,
    }
}

/// A random file. Its cells are told apart if they are `marked`.
pub(crate) fn write(rng: &mut StdRng, marked: bool) -> Written {
    let delimiter = pick(rng, b",;\t|");
    let end = pick(rng, &["\n", "\r\n", "\r"]);
    let columns = rng.random_range(1..7);
    let escape = rng.random_bool(0.2).then_some(b'\\');
    let null = if rng.random_bool(0.2) { vec!["\\N".to_owned()] } else { Vec::new() };
    let kinds = [
        Kind::Integers,
        Kind::Decimals(2),
        Kind::Decimals(9),
        Kind::Booleans,
        Kind::Days,
        Kind::Local(' '),
        Kind::Local('T'),
        Kind::Zoned,
        Kind::Text,
        Kind::Text,
        Kind::Text,
    ];
    let kinds: Vec<_> = (0..columns).map(|_| if marked { Kind::Marked } else { pick(rng, &kinds) }).collect();
    let mut types: Vec<_> = kinds.iter().map(|kind| type_of(*kind)).collect();
    let odd = (rng.random_bool(0.3) && !marked).then(|| rng.random_range(0..columns));
    let count = if rng.random_bool(0.05) { rng.random_range(300..1500) } else { rng.random_range(0..30) };
    let mut rows: Vec<Vec<_>> =
        (0..count).map(|_| kinds.iter().map(|kind| if rng.random_bool(0.1) { None } else { Some(cell(rng, *kind)) }).collect()).collect();
    if let (Some(column), Some(row)) = (odd, (count > 0).then(|| rng.random_range(0..count))) {
        let odd =
            pick(rng, &["007", "+1", "1E5", "-0", "abc", "12345678901234567890123456789012345678901", " 1", "2026-02-30", "0x1", "N/A"]);
        rows[row][column] = Some(odd.to_owned());
        types[column] = Some(DataType::Utf8View);
    }
    for (column, data_type) in types.iter_mut().enumerate() {
        if rows.iter().all(|row| row[column].is_none()) {
            *data_type = Some(DataType::Utf8View);
        }
    }
    let names: Vec<_> = (0..columns).map(|at| format!("{}{at}", pick(rng, &["c", "a name ", "ü", "x\"y", "p\nq"]))).collect();
    let (quote_all, mark) = (rng.random_bool(0.3), null.first().cloned());
    let written = |rng: &mut StdRng, cell: Option<&String>| match cell {
        None if mark.is_some() && rng.random() => "\\N".to_owned(),
        None => if columns == 1 && rng.random() || quote_all { "\"\"" } else { "" }.to_owned(),
        Some(cell) => quoted(cell, delimiter, escape, quote_all || rng.random_bool(0.1)),
    };
    let mut data = if rng.random_bool(0.2) { "\u{feff}".to_owned() } else { String::new() };
    let mut line = |rng: &mut StdRng, cells: Vec<String>, is_last: bool| {
        let line = cells.join(&char::from(delimiter).to_string());
        data += &line;
        if !is_last || line.is_empty() || rng.random_bool(0.8) {
            data += end;
        }
    };
    let header = names.iter().map(|name| quoted(name, delimiter, escape, false)).collect();
    line(rng, header, rows.is_empty());
    for (at, row) in rows.iter().enumerate() {
        let cells = row.iter().map(|cell| written(rng, cell.as_ref())).collect();
        line(rng, cells, at + 1 == rows.len());
    }
    let stated = columns == 1 || rng.random_bool(0.3);
    let options = Options { delimiter: stated.then_some(delimiter), escape, null, ..Options::default() };
    Written { data: data.into_bytes(), options, names, rows, types, delimiter }
}

/// As Python's `csv` quotes, and Spark.
fn quoted(cell: &str, delimiter: u8, escape: Option<u8>, always: bool) -> String {
    let needs = cell.bytes().any(|byte| byte == delimiter || matches!(byte, b'"' | b'\n' | b'\r'));
    match escape {
        _ if !always && !needs => cell.to_owned(),
        None => format!("\"{}\"", cell.replace('"', "\"\"")),
        Some(_) => format!("\"{}\"", cell.replace('\\', "\\\\").replace('"', "\\\"")),
    }
}

/// Rows of cells; `None` is NULL.
pub(crate) type Cells = Vec<Vec<Option<String>>>;

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
        let written = write(&mut rng, false);
        let sizes: Vec<_> = (0..5).map(|_| rng.random_range(1..200)).collect();
        match check(&written, &sizes) {
            Ok(types) => typed += types,
            Err(told) => {
                assert!(told.contains(" split all first records evenly; "), "CLEVERTAP_SEED={seed}: {told}\n{written:?}");
                refused += 1;
            }
        }
    }
    assert!(refused * 50 <= files && typed * 2 > files, "{refused} of {files} refused, {typed} columns of a type");
}

/// Panics if the file is read as another; returns how many columns have a type that is not text, or why the file was refused.
fn check(written: &Written, sizes: &[usize]) -> Result<u64, String> {
    let Written { data, options, names, rows, types, delimiter } = written;
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

/// How Arrow writes the value that the text says.
fn as_typed(text: &str, data_type: &DataType) -> String {
    match data_type {
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
