//! A type is that of every cell, or text.

use clevertap_files::csv::{Options, Types};

use crate::{all, as_text, cells, load, read, read_with, scan, typed};

/// Types without what was told.
fn bare(cells: &[&str]) -> String {
    typed(cells).lines().next().unwrap_or_default().to_owned()
}

#[test]
fn one_cell_that_no_number_gives_back_makes_the_column_text() {
    for (odd, words) in [
        ("00123", "a number that begins with 0"),
        ("+493012345", "a number that begins with +"),
        ("1E5", "a number with an exponent"),
        ("-0", "minus zero"),
        ("007.50", "a number that begins with 0"),
        ("\"007\"", "a number that begins with 0"),
        (" 7", "a number with a blank beside it"),
        ("12345678901234567890123456789012345678901", "a number with too many digits"),
    ] {
        let mut file = "user_id,note\n".to_owned();
        for _ in 0..900 {
            file += &format!("20000,{}\n", "x".repeat(80));
        }
        file += &format!("{odd},left us\n");
        let layout = scan("f.csv", file.as_bytes(), &Options::default(), &[9_999]).unwrap();
        let rows = cells(&load(&layout, file.as_bytes(), &std::sync::Arc::new(layout.schema()), &all(&layout), &[9_999]).unwrap());
        assert_eq!(rows[900][0].as_deref(), Some(odd.trim_matches('"')), "{odd}");
        assert_eq!(rows[0][0].as_deref(), Some("20000"));
        assert!(layout.warnings.is_empty());
        let told = layout.columns[0].warnings.iter().map(ToString::to_string).collect::<String>();
        assert_eq!(told, format!("f.csv, line 902, column \"user_id\": {words} makes \"user_id\" text"));
    }
}

#[test]
fn decimals_keep_their_digits() {
    assert_eq!(read("c,d\n1.10,x\n3.40,x\n"), "c Decimal128(3, 2), d Utf8View\n1.10|x\n3.40|x");
    assert_eq!(bare(&["1.10", "12.25", "-3.40"]), "Decimal128(4, 2)");
    assert_eq!(bare(&["1.5", "1.10", "3"]), "Decimal128(3, 2)");
    assert_eq!(bare(&["9007199254740993", "1.5"]), "Decimal128(17, 1)");
    assert_eq!(bare(&["1.10", "1E5"]), "Utf8View");
    assert_eq!(bare(&["007", "1.5"]), "Utf8View");
    assert_eq!(bare(&[".5", "1.5"]), "Utf8View");
    assert_eq!(bare(&["1,234.50", "1.5"].map(|cell| cell.replace(',', "'")).iter().map(String::as_str).collect::<Vec<_>>()), "Utf8View");
}

#[test]
fn integers_beyond_int64_keep_their_digits() {
    assert_eq!(bare(&["9223372036854775807", "-9223372036854775808"]), "Int64");
    assert_eq!(bare(&["9223372036854775808"]), "Decimal128(19, 0)");
    assert_eq!(bare(&["5", "7", "9223372036854775808", "8"]), "Decimal128(19, 0)");
    assert_eq!(bare(&["18446744073709551615", "9007199254740993"]), "Decimal128(20, 0)");
    assert_eq!(bare(&["-9223372036854775809", "1.5"]), "Decimal128(20, 1)");
    assert_eq!(
        typed(&["12345678901234567890123456789012345678", "0.5"]),
        "Utf8View\n! f.csv, line 2, column \"c\": numbers of together 39 digits make \"c\" text"
    );
    let read = read("c,d\n99999999999999999999999999999999999999,x\n-1,y\n");
    assert_eq!(read, "c Decimal128(38, 0), d Utf8View\n99999999999999999999999999999999999999|x\n-1|y");
}

#[test]
fn quotes_make_no_type_and_no_value() {
    assert_eq!(read("c,d\n\"1\",\"true\"\n2,false\n\"\",\n"), "c Int64, d Boolean\n1|true\n2|false\n~|~");
    assert_eq!(read("c,d\n\"1,5\",\"2026-01-05\"\nx,2026-01-06\n").lines().next(), Some("c Utf8View, d Date32"));
}

#[test]
fn booleans_are_spelled_alike() {
    assert_eq!(typed(&["true", "false"]), "Boolean");
    assert_eq!(typed(&["True", "False"]), "Boolean");
    assert_eq!(typed(&["TRUE", "FALSE"]), "Boolean");
    assert_eq!(
        typed(&["true", "False"]),
        "Utf8View\n! f.csv, line 3, column \"c\": true and false, spelled in more than one way, make \"c\" text"
    );
    assert_eq!(bare(&["t", "f"]), "Utf8View");
    assert_eq!(bare(&["yes", "no"]), "Utf8View");
    assert_eq!(bare(&["true", "1"]), "Utf8View");
}

#[test]
fn days_are_real_and_do_not_mix_with_times() {
    assert_eq!(typed(&["2026-01-05", "2024-02-29"]), "Date32");
    assert_eq!(bare(&["2026-01-05", "2026-02-30"]), "Utf8View");
    assert_eq!(bare(&["05.01.2026"]), "Utf8View");
    assert_eq!(bare(&["01/02/2026"]), "Utf8View");
    let mut days = vec!["2026-01-05"; 1_200];
    for time in ["2026-01-05 10:00:00", "2026-01-05T01:00:00+05:30", "2026-01-05 10:00:00 UTC"] {
        days.push(time);
        assert_eq!(typed(&days), "Utf8View\n! f.csv, line 1202, column \"c\": days and times are mixed, which makes \"c\" text");
        days.pop();
    }
}

#[test]
fn times_are_the_instants_that_their_zones_say() {
    let file = "local,zoned\n\
        2026-01-01 00:00:00,2026-01-01 00:00:00 UTC\n\
        2026-01-01 00:00:00,2026-01-01 00:00:00 Europe/Berlin\n\
        2026-01-01 00:00:00,2026-01-01T00:00:00+05:30\n\
        2026-01-01 00:00:00,2026-01-01 00:00:00 -0800\n";
    assert_eq!(
        read(file),
        "local Timestamp(s), zoned Timestamp(s, \"+00:00\")\n\
         2026-01-01T00:00:00|2026-01-01T00:00:00Z\n\
         2026-01-01T00:00:00|2025-12-31T23:00:00Z\n\
         2026-01-01T00:00:00|2025-12-31T18:30:00Z\n\
         2026-01-01T00:00:00|2026-01-01T08:00:00Z"
    );
    assert_eq!(typed(&["2026-01-01T00:00:00", "2026-01-01T01:00:00"]), "Timestamp(s)");
    assert_eq!(typed(&["2026-01-01T00:00:00Z"]), "Timestamp(s, \"+00:00\")");
    assert_eq!(typed(&["2026-01-01T00:00:00.5"]), "Timestamp(ms)");
    assert_eq!(typed(&["2026-01-01T00:00:00.123456", "2026-01-01T00:00:00"]), "Timestamp(µs)");
    assert_eq!(typed(&["2026-01-01T00:00:00.123456789Z"]), "Timestamp(ns, \"+00:00\")");
    // Digits that no type has, and a local time that came twice.
    assert_eq!(bare(&["2026-01-01T00:00:00.1234567891"]), "Utf8View");
    assert_eq!(bare(&["2026-10-25 02:30:00 Europe/Berlin"]), "Utf8View");
    assert!(typed(&["9999-12-31T00:00:00.123456789"]).contains("nanoseconds of years before 1678 or after 2261 make \"c\" text"));
}

#[test]
fn a_column_in_which_some_times_state_their_zone_is_text_and_told() {
    let mut times = vec!["2026-01-05T10:00:00"; 100];
    times.push("2026-01-05T10:00:00+05:30");
    let told = "Utf8View\n! f.csv, line 102, column \"c\": some times state their zone and some do not, which makes \"c\" text";
    assert_eq!(typed(&times), told);
    times.reverse();
    assert_eq!(typed(&times), told.replace("102", "3"));
    assert!(typed(&["2026-01-05 10:00:00 UTC", "2026-01-05 10:00:00"]).contains("some times state their zone"));
}

#[test]
fn integers_of_the_calendar_are_integers_that_are_marked() {
    assert_eq!(typed(&["20260101", "20261231"]), "Int64");
    assert_eq!(typed(&["2026010105"]), "Int64");
    assert_eq!(typed(&["20260101235959", ""]), "Int64");
    for number in ["1767225600", "1767225600000", "20261301", "20260101.0", "2026"] {
        assert!(!typed(&["20260101", number]).contains("calendar"), "{number}");
    }
}

#[test]
fn a_column_without_a_value_is_text() {
    assert_eq!(read("a,b\n,1\n\"\",2\n"), "a Utf8View, b Int64\n~|1\n~|2");
}

#[test]
fn null_marks_of_the_author_are_null_in_every_type() {
    let nulls = Options { null: vec!["\\N".to_owned(), "-999".to_owned()], ..Options::default() };
    let file = "a,b,c\n1,2026-01-05,x\n\\N,\\N,\\N\n-999,\"\\N\",\"-999\"\n";
    assert_eq!(read_with(file, &nulls), "a Int64, b Date32, c Utf8View\n1|2026-01-05|x\n~|~|~\n~|~|~");
    // The text of a cell is what the mark is compared with, however the file writes it.
    let escaped = Options { escape: Some(b'\\'), ..nulls };
    assert_eq!(read_with("a,b\n1,\"\\\\N\"\n\"\\\\N\",\\N\n", &escaped), "a Int64, b Utf8View\n1|~\n~|~");
    let quote = Options { null: vec!["\"\"".to_owned()], ..Options::default() };
    assert_eq!(read_with("a,b\n1,x\n\"\"\"\"\"\",\"\"\n", &quote), "a Int64, b Utf8View\n1|x\n~|~");
}

#[test]
fn without_types_every_cell_is_its_own_characters() {
    let text = Options { types: Types::Text, ..Options::default() };
    assert_eq!(read_with("a,b\n007,2026-01-05\n1E5,\n", &text), "a Utf8View, b Utf8View\n007|2026-01-05\n1E5|~");
}

#[test]
fn any_column_is_read_as_text_as_it_is_written() {
    let file = b"a,b,c,d\n1.5,True,2026-01-05 10:00:00 UTC,12\n2,False,2026-01-06 10:00:00+01,\"3\"\n";
    let layout = scan("f.csv", file, &Options::default(), &[50]).unwrap();
    let types: Vec<_> = layout.columns.iter().map(|column| column.data_type.to_string()).collect();
    assert_eq!(types, ["Decimal128(2, 1)", "Boolean", "Timestamp(s, \"+00:00\")", "Int64"]);
    let rows = cells(&load(&layout, file, &as_text(&layout), &all(&layout), &[50]).unwrap());
    let rows: Vec<Vec<_>> = rows.iter().map(|row| row.iter().map(|cell| cell.as_deref().unwrap_or("~")).collect()).collect();
    assert_eq!(rows, [["1.5", "True", "2026-01-05 10:00:00 UTC", "12"], ["2", "False", "2026-01-06 10:00:00+01", "3"]]);
}
