//! Hostile files beside DuckDB, which reads all of a file too, as text: the same cells, or a refusal by both. What may differ is a list.
//!
//! `CLEVERTAP_BESIDE_FILES=2000` compares so many, `CLEVERTAP_SEED=n` begins with another.

use clevertap_files::csv::{Layout, Options};

use crate::generated::number;
use crate::python::Script;
use crate::{all, as_text, cells, load, scan};

/// What our refusal says of a file that DuckDB reads, and why it stands.
const STRICTER: [(&str, &str); 5] = [
    ("a byte is zero, as in no text file in UTF-8", "it is UTF-16, or no text"),
    ("and text follows, not a separator", "DuckDB drops spaces behind a closing quote; design.md 12 wants an error"),
    ("a backslash stands before a quote that closes its cell", "Spark means something else by it"),
    ("the line ends in another way (CR, or LF)", "DuckDB reads the line end of a last line alone as any other"),
    ("the record has ", "DuckDB drops one empty cell behind the last column"),
];

/// What we tell of a file that we read and DuckDB refuses, or reads with other cells.
const TOLD: [(&str, &str); 2] = [
    ("some lines end in LF and some in CR LF", "two files made one; DuckDB refuses it"),
    ("a space stands before a quote, so that it quotes nothing", "for DuckDB it quotes a cell without the space, in RFC 4180 it is text"),
];

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
    let mut counts = [0; 4];
    while let Some(name) = script.next() {
        let (data, delimiter, why) = (script.data(), script.byte(), script.text());
        let (names, theirs) = (script.texts(), script.cells());
        let options = Options { delimiter, ..Options::default() };
        let file = format!("CLEVERTAP_SEED={name} {:?}", String::from_utf8_lossy(&data));
        let outcome = match (read(&data, &options), why.as_str()) {
            (Ok((layout, ours)), "") => {
                assert_eq!(
                    layout.columns.iter().map(|column| &column.name).collect::<Vec<_>>(),
                    names.iter().collect::<Vec<_>>(),
                    "{file}"
                );
                let ours: Cells = if is_told(&layout, 1) { ours.into_iter().map(without_spaces).collect() } else { ours };
                assert_eq!(ours, theirs, "{file}");
                0
            }
            (Err(_), why) if !why.is_empty() => 1,
            (Err(told), _) => {
                assert!(STRICTER.iter().any(|(words, _)| told.contains(words)), "{told} {file} {theirs:?}");
                2
            }
            (Ok((layout, ours)), why) => {
                assert!(is_told(&layout, 0) || is_told(&layout, 1), "{why} {file} {ours:?}");
                3
            }
        };
        counts[outcome] += 1;
    }
    let [same, refused, stricter, wider] = counts;
    assert!(same * 3 > files && refused * 5 > files && stricter * 8 < files && wider * 20 < files, "{counts:?}");
}

fn is_told(layout: &Layout, which: usize) -> bool {
    layout.warnings.iter().any(|warning| warning.what.contains(TOLD[which].0))
}

/// The cell that others see in ` "x"`.
fn without_spaces(cell: Option<String>) -> Option<String> {
    let cell = cell?;
    let inner = cell.trim_start_matches(' ').strip_prefix('"').and_then(|inner| inner.strip_suffix('"'));
    Some(inner.filter(|_| cell.starts_with(' ')).map_or(cell.clone(), str::to_owned))
}
