//! Random tables, and a writer with random habits.
//!
//! In: a random number. Out: a table whose types are known, and the bytes that Python's `csv`, or Spark, might write of it.

use arrow::datatypes::DataType;
use clevertap_files::csv::Options;
use rand::Rng;
use rand::rngs::StdRng;

/// One of these.
pub(crate) fn pick<T: Copy>(rng: &mut StdRng, these: &[T]) -> T {
    these[rng.random_range(0..these.len())]
}

/// Rows of cells; `None` is NULL.
pub(crate) type Cells = Vec<Vec<Option<String>>>;

/// What is written.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) names: Vec<String>,
    /// As they are before they are quoted.
    pub(crate) rows: Cells,
    /// The type of each column, where it has one for sure.
    pub(crate) types: Vec<Option<DataType>>,
}

impl Table {
    /// Some of its rows, with the columns in another order.
    pub(crate) fn part(&self, rows: std::ops::Range<usize>, order: &[usize]) -> Self {
        Self {
            names: order.iter().map(|at| self.names[*at].clone()).collect(),
            rows: self.rows[rows].iter().map(|row| order.iter().map(|at| row[*at].clone()).collect()).collect(),
            types: order.iter().map(|at| self.types[*at].clone()).collect(),
        }
    }
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

/// A random table. Its cells are told apart if they are `marked`.
pub(crate) fn table(rng: &mut StdRng, marked: bool) -> Table {
    let columns = rng.random_range(1..7);
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
    Table { names, rows, types }
}

/// How the files of a table are written and read, but for the separator.
pub(crate) fn habits(rng: &mut StdRng) -> Options {
    let null = if rng.random_bool(0.2) { vec!["\\N".to_owned()] } else { Vec::new() };
    Options { escape: rng.random_bool(0.2).then_some(b'\\'), null, ..Options::default() }
}

/// The bytes of a file.
pub(crate) fn write(rng: &mut StdRng, table: &Table, options: &Options, delimiter: u8) -> Vec<u8> {
    let (quote_all, end) = (rng.random_bool(0.3), pick(rng, &["\n", "\r\n", "\r"]));
    let (escape, mark, columns) = (options.escape, options.null.first(), table.names.len());
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
    let header = table.names.iter().map(|name| quoted(name, delimiter, escape, false)).collect();
    line(rng, header, table.rows.is_empty());
    for (at, row) in table.rows.iter().enumerate() {
        let cells = row.iter().map(|cell| written(rng, cell.as_ref())).collect();
        line(rng, cells, at + 1 == table.rows.len());
    }
    data.into_bytes()
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
