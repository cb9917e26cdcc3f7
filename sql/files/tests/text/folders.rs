//! Many files as one table.

use std::sync::Arc;

use clevertap_files::csv::{Layout, Options};

use crate::{cells, load, scan};

/// What a folder is: columns with types, rows, what was told of types; or the error.
fn read(files: &[(&str, &str)]) -> String {
    let options = Options::default();
    let layouts = files.iter().map(|(name, text)| scan(name, text.as_bytes(), &options, &[5])).collect::<Result<Vec<_>, _>>();
    let layouts = layouts.unwrap_or_else(|error| panic!("{error}"));
    let merged = match Layout::merge(&layouts) {
        Ok(merged) => merged,
        Err(error) => return format!("error: {error}"),
    };
    let schema = Arc::new(merged.schema());
    let columns: Vec<_> = merged.columns.iter().map(|column| format!("{} {}", column.name, column.data_type)).collect();
    let mut lines = vec![columns.join(", ")];
    for ((layout, sources), (_, text)) in layouts.iter().zip(&merged.sources).zip(files) {
        if layout.columns.is_empty() {
            continue;
        }
        let batches = load(layout, text.as_bytes(), &schema, sources, &[7]).unwrap_or_else(|error| panic!("{error}"));
        assert!(batches.iter().all(|batch| batch.schema() == schema));
        lines.extend(cells(&batches).iter().map(|row| row.iter().map(|cell| cell.as_deref().unwrap_or("~")).collect::<Vec<_>>().join("|")));
    }
    lines.extend(merged.warnings.iter().map(|warning| format!("! {warning}")));
    lines.join("\n")
}

#[test]
fn files_are_matched_by_name_in_any_order_and_with_any_separator() {
    assert_eq!(
        read(&[("a.csv", "id,city\n1,Pune\n"), ("b.csv", "city;id\nGoa;2\n"), ("c.csv", ""), ("d.csv", "id,city\n")]),
        "id Int64, city Utf8View\n1|Pune\n2|Goa\n! d.csv, line 1: the file has a header and no row"
    );
}

#[test]
fn types_widen_as_if_the_files_were_one() {
    assert_eq!(read(&[("a.csv", "c\n1\n"), ("b.csv", "c\n1.25\n")]), "c Decimal128(3, 2)\n1.00\n1.25");
    assert_eq!(read(&[("a.csv", "c\n1.5\n"), ("b.csv", "c\n12345678901234567890\n")]), "c Decimal128(21, 1)\n1.5\n12345678901234567890.0");
    assert_eq!(read(&[("a.csv", "c\n\"\"\n"), ("b.csv", "c\n7\n")]), "c Int64\n~\n7");
    assert_eq!(
        read(&[("a.csv", "c\n2026-01-05T10:00:00\n"), ("b.csv", "c\n2026-01-05 10:00:00.25\n")]),
        "c Timestamp(ms)\n2026-01-05T10:00:00\n2026-01-05T10:00:00.250"
    );
    let mut numbers = "c\n".to_owned();
    numbers += &"1.50\n".repeat(20);
    let text = read(&[("a.csv", &numbers), ("b.csv", "c\n00123\n")]);
    assert!(
        text.starts_with("c Utf8View\n1.50\n1.50") && text.contains("\n00123\n! b.csv, line 2, column \"c\": a number that begins with 0"),
        "{text}"
    );
}

#[test]
fn what_does_not_mix_in_a_file_does_not_mix_in_a_folder() {
    assert_eq!(
        read(&[("a.csv", "c\n2026-01-05\n"), ("b.csv", "\nc\n2026-01-05 10:00:00\n")]).split_once('\n').unwrap().1,
        "2026-01-05\n2026-01-05 10:00:00\n! b.csv, line 3, column \"c\": days and times are mixed, which makes \"c\" text"
    );
    assert_eq!(
        read(&[("a.csv", "c\n2026-01-05 10:00:00\n"), ("b.csv", "c\n2026-01-05 10:00:00 UTC\n")]).lines().last(),
        Some("! b.csv, line 2, column \"c\": some times state their zone and some do not, which makes \"c\" text")
    );
    assert_eq!(read(&[("a.csv", "c\ntrue\n"), ("b.csv", "c\nTrue\n")]).lines().next(), Some("c Utf8View"));
}

#[test]
fn files_of_different_tables_are_an_error_that_names_both() {
    let first = ("a.csv", "id,Email\n1,x\n");
    for (other, told) in [
        ("id,Email,plan\n1,x,p\n", "a.csv: the file has no column \"plan\", which b.csv has"),
        ("id\n1\n", "b.csv: the file has no column \"Email\", which a.csv has"),
        ("id,email\n1,x\n", "a.csv: the column is called \"Email\" here and \"email\" in b.csv"),
    ] {
        assert_eq!(read(&[first, ("b.csv", other)]), format!("error: {told}; read files with different columns by themselves"));
    }
}

#[test]
fn a_row_that_is_read_as_a_header_is_not_repeated() {
    let told = "the file begins with other names of columns than b.csv, and one of them with a row; OPTIONS (has_header false) of CREATE EXTERNAL TABLE, if all do";
    for (one, other) in [("id,email\n", "17,a@example.org\n"), ("17,a@example.org\n", "18,b@example.org\n"), ("u-1,+4917\n", "u-2,x\n")] {
        assert_eq!(read(&[("a.csv", one), ("b.csv", other)]), format!("error: a.csv: {told}"));
    }
}

#[test]
fn a_folder_of_empty_files_has_no_columns() {
    assert_eq!(read(&[("a.csv", "")]), "error: a.csv: the file is empty: it has no header");
    assert_eq!(read(&[("a.csv", ""), ("b.csv", "\n")]), "error: a.csv: this file and all others are empty: they have no header");
}

#[test]
fn what_is_to_be_told_of_many_files_is_told_once() {
    let told = read(&[("a.csv", "a,b\n1,x\"y\n"), ("b.csv", "a,b\n"), ("c.csv", "a,b\n1,x\"y\n"), ("d.csv", "a,b\n"), ("e.csv", "a,b\n")]);
    let told: Vec<_> = told.lines().filter(|line| line.starts_with('!')).collect();
    assert_eq!(
        told,
        [
            "! a.csv, line 2: a quote inside of a cell that is not quoted is read as text, and so in another file",
            "! b.csv, line 1: the file has a header and no row, and so in 2 other files",
        ]
    );
}
