//! What a message says, and what it never says.

use clevertap_files::csv::Options;

use crate::{read, read_with, typed};

#[test]
fn one_null_mark_that_makes_a_column_text_is_told_with_the_option_that_reads_it() {
    let file = "id\tcity\tvisits\tat\nu-1\tPune\t3\t2026-01-05\nu-2\t\\N\t\\N\t\\N\n";
    let told = "! f.csv, line 3, column \"visits\": \"\\N\" makes \"visits\" text; OPTIONS (null '\\N') of CREATE EXTERNAL TABLE makes it NULL\n\
                ! f.csv, line 3, column \"at\": \"\\N\" makes \"at\" text; OPTIONS (null '\\N') of CREATE EXTERNAL TABLE makes it NULL";
    let read = read(file);
    assert!(read.starts_with("id Utf8View, city Utf8View, visits Utf8View, at Utf8View") && read.ends_with(told), "{read}");
    let nulls = Options { null: vec!["\\N".to_owned()], ..Options::default() };
    let mended = read_with(file, &nulls);
    assert_eq!(mended, "id Utf8View, city Utf8View, visits Int64, at Date32\nu-1|Pune|3|2026-01-05\nu-2|~|~|~");
    for mark in ["NULL", "null", "NA", "N/A", "n/a", "-", "None", "nan", "#N/A", "?"] {
        let said = typed(&["1", "2", mark, "4", "", mark]);
        assert_eq!(
            said,
            format!(
                "Utf8View\n! f.csv, line 4, column \"c\": \"{mark}\" makes \"c\" text; OPTIONS (null '{mark}') of CREATE EXTERNAL TABLE makes it NULL"
            )
        );
    }
    // However many there are, and wherever they begin.
    let mut many = vec!["NA"; 300];
    many.push("7");
    assert!(
        typed(&many).ends_with(
            "! f.csv, line 2, column \"c\": \"NA\" makes \"c\" text; OPTIONS (null 'NA') of CREATE EXTERNAL TABLE makes it NULL"
        )
    );
}

#[test]
fn one_odd_cell_is_told_by_its_line_and_its_shape() {
    let mut cells = vec!["17"; 50];
    cells.insert(20, "Anna-7f3a");
    assert_eq!(typed(&cells), "Utf8View\n! f.csv, line 22, column \"c\": a text of 9 characters makes \"c\" text");
    cells.insert(10, "2026-01-05");
    assert_eq!(typed(&cells), "Utf8View\n! f.csv, line 12, column \"c\": a day makes \"c\" text");
    let mut times = vec!["2026-01-05 10:00:00"; 20];
    times.push("soon");
    assert_eq!(typed(&times), "Utf8View\n! f.csv, line 22, column \"c\": a text of 4 characters makes \"c\" text");
}

#[test]
fn plain_text_is_no_odd_number() {
    for cells in [&["Pune", "Goa", "7"][..], &["a", "-", "b"], &["x1", "12", "x2", "13"], &["NA", "NA"], &["-"]] {
        assert_eq!(typed(cells), "Utf8View", "{cells:?}");
    }
    let names: Vec<_> = (0..500).map(|at| if at < 100 { format!("name {at}") } else { at.to_string() }).collect();
    assert_eq!(typed(&names.iter().map(String::as_str).collect::<Vec<_>>()), "Utf8View");
}

#[test]
fn a_decimal_comma_is_told_with_the_expression_that_reads_it() {
    assert_eq!(
        read("id;price\na;1,50\nb;20\nc;3,75\n"),
        "id Utf8View, price Utf8View\na|1,50\nb|20\nc|3,75\n\
         ! f.csv, line 2, column \"price\": numbers with a comma make \"price\" text; CAST(replace(\"price\", ',', '.') AS DECIMAL(4,2)) \
         reads them, if the comma is the decimal one"
    );
}

#[test]
fn headers_without_names_rows_or_differences_are_told() {
    assert_eq!(read("a,b\n"), "a Utf8View, b Utf8View\n! f.csv, line 1: the file has a header and no row");
    assert_eq!(read("a,b"), "a Utf8View, b Utf8View\n! f.csv, line 1: the file has a header and no row");
    assert_eq!(
        read("id,b,id\n1,2,3\n"),
        "error: f.csv, line 1, column \"id\": columns 1 and 3 have the same name; give one of them another"
    );
    assert_eq!(read("id,Id\n1,2\n"), "id Int64, Id Int64\n1|2\n! f.csv, line 1: \"id\" and \"Id\" differ only in case");
    assert_eq!(
        read(",a, b\n0,1,2\n"),
        "column_1 Int64, a Int64,  b Int64\n0|1|2\n! f.csv, line 1: column 1 has no name, and is called \"column_1\"\n\
         ! f.csv, line 1: the name of column 3 has spaces around it, which are part of it"
    );
    assert_eq!(
        read("a,b,\n1,2,\n3,4,\n"),
        "a Int64, b Int64\n1|2\n3|4\n! f.csv, line 1: column 3 has neither a name nor a value, and is left out"
    );
    assert!(read("a,b,\n1,2,\n3,4,5\n").contains("column 3 has no name, and is called \"column_3\""));
    assert!(read("column_2,\n1,2\n").starts_with("error: f.csv, line 1, column \"column_2\": columns 1 and 2 have the same name"));
    assert!(read(",a,,b,,\n,1,,2,,\n").starts_with("a Int64, b Int64\n1|2\n! "));
    assert_eq!(read(",\n,\n"), "error: f.csv, line 1: the file has neither names of columns nor values");
}

#[test]
fn a_file_without_a_header_is_told_and_read_with_the_option_that_the_message_names() {
    let file = "17,a@example.org\n18,b@example.org\n";
    let told = read(file);
    assert!(
        told.ends_with("! f.csv, line 1: the first line looks like a row, and is read as names of columns; OPTIONS (has_header false) of CREATE EXTERNAL TABLE"),
        "{told}"
    );
    // What may be somebody's is not repeated.
    for row in ["+4917,x,+4917\n", "a@example.org,1,1\n", "u-1,2026-01-05,u-1\n"] {
        let told = read(row.to_owned() + row);
        assert!(
            told.starts_with("error: f.csv, line 1: columns ")
                && told.ends_with(" have the same name; OPTIONS (has_header false) of CREATE EXTERNAL TABLE"),
            "{told}"
        );
    }
    let told = read("a@example.org,17\nb@example.org,18\nc@example.org,NA\n");
    assert!(told.ends_with("! f.csv, line 3, column \"column_2\": \"NA\" makes \"column_2\" text; OPTIONS (null 'NA') of CREATE EXTERNAL TABLE makes it NULL"), "{told}");
    assert!(!read("17,Anna,ANNA\n18,x,y\n").contains("differ"));
    let headless = Options { has_header: false, ..Options::default() };
    assert_eq!(read_with(file, &headless), "column_1 Int64, column_2 Utf8View\n17|a@example.org\n18|b@example.org");
}

#[test]
fn a_file_without_a_byte_has_no_column() {
    for empty in ["", "\u{feff}", "\n\n", "\r\n"] {
        assert_eq!(read(empty), "", "{empty:?}");
    }
}
