//! Marks for no value, and odd numbers: what makes text of a column, or goes out as text, is told.

use clevertap_files::csv::{NULL_MARKS, Options, Types};

use crate::{read, read_with, scan, typed};

fn told(file: &str, options: &Options) -> Vec<String> {
    let all = read_with(file, options);
    all.lines().filter_map(|line| line.strip_prefix("! ")).map(str::to_owned).collect()
}

#[test]
fn a_mark_for_no_value_among_texts_is_told_and_null_with_the_option_that_is_told() {
    for mark in &NULL_MARKS[..13] {
        let file = format!("id,city\nu1,Pune\nu2,{mark}\nu3,Goa\nu4,{mark}\n");
        let remedy = format!("OPTIONS (null '{mark}') of CREATE EXTERNAL TABLE makes it NULL");
        assert_eq!(
            told(&file, &Options::default()),
            [format!("f.csv, line 3, column \"city\": \"{mark}\" is read as text, in 2 cells; {remedy}")]
        );
        // Without types, too.
        let text = Options { types: Types::Text, ..Options::default() };
        assert_eq!(told(&file, &text).len(), 1, "{mark}");
        let mended = read_with(&file, &Options { null: vec![(*mark).to_owned()], ..Options::default() });
        assert_eq!(mended, "id Utf8View, city Utf8View\nu1|Pune\nu2|~\nu3|Goa\nu4|~");
    }
    // Also where it is all that there is, and where it is the identifier.
    let alone = "id,city\n\\N,NULL\n";
    assert_eq!(
        told(alone, &Options::default()),
        [
            "f.csv, line 2, column \"id\": \"\\N\" is read as text; OPTIONS (null '\\N') of CREATE EXTERNAL TABLE makes it NULL",
            "f.csv, line 2, column \"city\": \"NULL\" is read as text; OPTIONS (null 'NULL') of CREATE EXTERNAL TABLE makes it NULL"
        ]
    );
}

#[test]
fn a_mark_in_quotes_is_text_on_purpose() {
    assert!(told("id,city\nu1,\"NULL\"\nu2,\"\\N\"\nu3,Goa\n", &Options::default()).is_empty());
    assert!(told("city\n\"None\"\nGoa\n", &Options::default()).is_empty());
    let single = Options { quote: Some(b'\''), ..Options::default() };
    assert!(told("id,city\nu1,'NULL'\nu2,Goa\n", &single).is_empty());
    // One that nobody quoted is told, and counted alone.
    let mixed = told("id,city\nu1,\"NULL\"\nu2,NULL\nu3,Goa\n", &Options::default());
    assert!(mixed[0].starts_with("f.csv, line 3, column \"city\": \"NULL\" is read as text; "), "{mixed:?}");
    // What only looks like a mark, or may be meant.
    for city in ["null island", "NONE", "nun", "NA", "-", "?", "n", "\\n", "\\NN"] {
        assert!(told(&format!("id,city\nu1,{city}\nu2,Goa\n"), &Options::default()).is_empty(), "{city}");
    }
}

#[test]
fn marks_far_behind_the_first_texts_are_counted_all() {
    let mut file = "id,name\n".to_owned();
    for row in 0..5_000 {
        file += &format!("u{row},name {row}\n");
    }
    file += "u-x,\\N\nu-y,None\n\\N,x\n";
    for sizes in [&[1 << 20][..], &[999], &[64]] {
        let layout = scan("f.csv", file.as_bytes(), &Options::default(), sizes).unwrap();
        let warnings: Vec<String> = layout.columns.iter().flat_map(|column| &column.warnings).map(ToString::to_string).collect();
        assert_eq!(
            warnings,
            [
                "f.csv, line 5004, column \"id\": \"\\N\" is read as text; OPTIONS (null '\\N') of CREATE EXTERNAL TABLE makes it NULL",
                "f.csv, line 5002, column \"name\": \"\\N\" and \"None\" are read as text, in 2 cells; OPTIONS (null_regex '^(\\\\N|None)$') of \
                 CREATE EXTERNAL TABLE makes them NULL"
            ]
        );
    }
}

#[test]
fn a_number_that_no_type_gives_back_is_told_however_small_the_file_is() {
    for (odd, words) in [
        ("1e5", "a number with an exponent"),
        ("-2.5E-3", "a number with an exponent"),
        ("007", "a number that begins with 0"),
        ("+5", "a number that begins with +"),
        ("\"1,234.50\"", "a number with grouped digits"),
        ("1'000", "a number with grouped digits"),
        ("1_000", "a number with grouped digits"),
        (".5", "a number without digits on one side of its point"),
        ("5.", "a number without digits on one side of its point"),
        ("-0.0", "minus zero"),
        ("5 ", "a number with a blank beside it"),
    ] {
        let said = typed(&["12", odd]);
        assert_eq!(said, format!("Utf8View\n! f.csv, line 3, column \"c\": {words} makes \"c\" text"), "{odd}");
        assert_eq!(typed(&[odd, "", "12", odd]), said.replace("line 3", "line 2"), "{odd}");
        // Alone they are texts of one kind, as postcodes are.
        assert_eq!(typed(&[odd, odd]), "Utf8View", "{odd}");
    }
    // A mark beside them is told by itself.
    let both = typed(&["12", "\\N", "1e5"]);
    assert!(
        both.contains("line 4, column \"c\": a number with an exponent makes \"c\" text") && both.contains("\"\\N\" is read as text"),
        "{both}"
    );
    for cells in [["12", "x1e5"], ["12", "1e"], ["12", "2026-1-5"], ["12", "12:30"]] {
        assert_eq!(typed(&cells), "Utf8View", "{cells:?}");
    }
}

#[test]
fn a_comma_that_groups_thousands_is_told_with_both_readings() {
    assert_eq!(
        read("id;n\na;1,000\nb;20\n"),
        "id Utf8View, n Utf8View\na|1,000\nb|20\n! f.csv, line 2, column \"n\": numbers with a comma make \"n\" text; \
         CAST(replace(\"n\", ',', '') AS BIGINT) reads them, if the comma groups thousands, and CAST(replace(\"n\", ',', '.') AS DECIMAL(38,3)) \
         if it is the decimal one"
    );
    assert!(read("id;n\na;1,000\nb;2.5\n").contains("CAST(replace(\"n\", ',', '') AS DECIMAL(5,1)) reads them"));
    for decimal in ["0,125", "12,5", "1234,567"] {
        assert!(read(format!("id;n\na;1,000\nb;{decimal}\n")).contains("reads them, if the comma is the decimal one"), "{decimal}");
    }
}
