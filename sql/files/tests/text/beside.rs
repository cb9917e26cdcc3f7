//! Hostile files beside DuckDB, which reads all of a file too, as text: the same cells, or a refusal by both. What may differ is a list.
//!
//! `CLEVERTAP_BESIDE_FILES=2000` compares so many, `CLEVERTAP_SEED=n` begins with another.

use clevertap_files::csv::{Layout, Options};

use crate::generated::number;
use crate::python::Script;
use crate::{all, as_text, cells, load, scan};

/// What our refusal says of a file that DuckDB reads, and why it stands.
const STRICTER: [(&str, &str); 7] = [
    ("the file is in UTF-16", "as the next, where zeros stand at line ends"),
    ("a byte is zero, as in no text file in UTF-8", "it is UTF-16, or no text"),
    ("and text follows, not a separator", "DuckDB drops spaces behind a closing quote; design.md 12 wants an error"),
    ("a backslash stands before a quote that closes its cell", "Spark means something else by it"),
    ("the line ends in another way (CR, or LF)", "DuckDB reads the line end of a last line alone as any other"),
    ("a byte order mark begins the line", "it is left where files were joined; DuckDB keeps it in the cell"),
    ("the record has ", "DuckDB drops one empty cell behind the last column"),
];

/// What we tell of a file that we read and DuckDB refuses, or reads with other cells.
const TOLD: [(&str, &str); 2] = [
    ("some lines end in LF and some in CR LF", "two files made one; DuckDB refuses it"),
    ("a space stands before a quote, so that it quotes nothing", "for DuckDB it quotes a cell without the space, in RFC 4180 it is text"),
];

/// Files that DuckDB refuses or misreads for what its first line is: its line ends are those of a line end in quotes, or a quote stands
/// behind a byte order mark.
fn is_misled(data: &[u8], options: &Options) -> bool {
    let quote = options.quote.unwrap_or(b'"');
    let Some(text) = data.strip_prefix(BOM) else {
        let mut reader =
            csv::ReaderBuilder::new().delimiter(options.delimiter.unwrap_or(b',')).quote(quote).has_headers(false).from_reader(data);
        let is_read = reader.read_byte_record(&mut csv::ByteRecord::new()).unwrap_or(false);
        let line_end = data.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        return is_read && line_end.is_some_and(|at| reader.position().byte() > at as u64 + 2);
    };
    text.first() == Some(&quote) || is_misled(text, options)
}

const BOM: &[u8] = b"\xef\xbb\xbf";

type Cells = Vec<Option<String>>;

fn read(data: &[u8], options: &Options) -> Result<(Layout, Cells), String> {
    let layout = scan("f.csv", data, options, &[7, 64, 1]).map_err(|error| error.to_string())?;
    let batches = load(&layout, data, &as_text(&layout), &all(&layout), &[64, 3]).unwrap_or_else(|error| panic!("{error}"));
    let cells = cells(&batches).concat();
    Ok((layout, cells))
}

#[test]
fn structure_is_what_duckdb_sees_or_both_refuse() {
    let (first, files) = (number("CLEVERTAP_SEED", 1), number("CLEVERTAP_BESIDE_FILES", 300));
    let Some(mut script) = Script::start("hostile.py", &[first.to_string(), files.to_string()]) else { return };
    let (mut counts, mut faults) = ([0; 4], Vec::new());
    while let Some(name) = script.next() {
        let (data, delimiter, quote, has_header) = (script.data(), script.byte(), script.byte(), script.text() == "yes");
        let (why, names, theirs) = (script.text(), script.texts(), script.cells());
        let options = Options { delimiter, quote, has_header, ..Options::default() };
        let (kind, is_known, found) = match (read(&data, &options), why.as_str()) {
            (Ok((layout, ours)), "") => {
                let names = if has_header { names } else { (1..=names.len()).map(|at| format!("column_{at}")).collect() };
                let ours: Cells =
                    if is_told(&layout, 1) { ours.into_iter().map(|cell| without_spaces(cell, quote)).collect() } else { ours };
                let same_names = layout.columns.iter().map(|column| &column.name).eq(&names);
                // Of a file of line ends alone nobody knows whether it is empty.
                let is_same = same_names && ours == theirs || layout.columns.is_empty() && theirs.iter().all(Option::is_none);
                // Such a cell of theirs may hold a line end.
                let is_cut = is_told(&layout, 1) && ours.len() != theirs.len();
                (0, is_same || is_cut || is_told(&layout, 0), format!("{ours:?}\n{theirs:?}"))
            }
            (Err(_), why) if !why.is_empty() => (1, true, String::new()),
            (Err(told), _) => (2, STRICTER.iter().any(|(words, _)| told.contains(words)), format!("{told}\n{theirs:?}")),
            (Ok((layout, ours)), why) => (3, is_told(&layout, 0) || is_told(&layout, 1), format!("{ours:?}\n{why}")),
        };
        counts[kind] += 1;
        if !is_known && !is_misled(&data, &options) {
            faults.push(format!("CLEVERTAP_SEED={name} {options:?}\n{:?}\n{found}\n", String::from_utf8_lossy(&data)));
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.into_iter().take(20).collect::<String>());
    let [same, refused, stricter, wider] = counts;
    assert!(same * 3 > files && refused * 5 > files && stricter * 8 < files && wider * 20 < files, "{counts:?}");
}

fn is_told(layout: &Layout, which: usize) -> bool {
    layout.warnings.iter().any(|warning| warning.what.contains(TOLD[which].0))
}

/// The cell that others see in ` "x"`.
fn without_spaces(cell: Option<String>, quote: Option<u8>) -> Option<String> {
    let (cell, quote) = (cell?, char::from(quote?));
    let inner = cell.trim_start_matches(' ').strip_prefix(quote).and_then(|inner| inner.strip_suffix(quote));
    let seen = inner.filter(|_| cell.starts_with(' ')).map_or(cell.clone(), str::to_owned);
    Some(seen).filter(|seen| !seen.is_empty())
}
