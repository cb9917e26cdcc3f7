//! Cells, records, separators, encodings.

use clevertap_files::csv::Options;

use crate::{read, read_with};

#[test]
fn an_open_quote_is_an_error_with_the_line_where_it_opens() {
    let mut file = "user_id,name\n".to_owned();
    for row in 1..=70 {
        file += &format!("u-{row},{}\n", if row == 50 { "\"Bob" } else { "Al" });
    }
    let never = "the quote that opens here is never closed; close it, or double a quote that is text";
    assert_eq!(read(&file), format!("error: f.csv, line 51: {never}"));
    assert_eq!(read(file.replace(',', "\t")), format!("error: f.csv, line 51: {never}"));
    assert_eq!(read("a\n\""), format!("error: f.csv, line 2: {never}"));
    assert_eq!(read("a,\"b\n1,2\n"), format!("error: f.csv, line 1: {never}"));
    assert_eq!(read("a;\"b\n1;2\n"), format!("error: f.csv, line 1: {never}"));
    assert_eq!(read("a,b\n1,\"x\n\n\n3,\"\"\n4,y"), format!("error: f.csv, line 2: {never}"));
}

#[test]
fn text_behind_a_closing_quote_is_an_error_with_the_line_where_the_quote_opens() {
    let told = |line: u64, place: &str| {
        format!(
            "error: f.csv, line {line}: the quote that opens a cell here is closed{place}, and text follows, not a separator; close the \
             cell before it, or double a quote that is text"
        )
    };
    let file = "id,name,city\nu-1,Al,Pune\nu-2,\"Bob,Delhi\nu-3,Cy,Goa\nu-4,\"Dee\",Agra\n";
    assert_eq!(read(file), told(3, " in line 5"));
    assert_eq!(read("a,b\n\"x\"y,2\n"), told(2, ""));
    assert_eq!(read("a,b\n1,\"x\" \n"), told(2, ""));
    assert_eq!(read("a,b\n1,\"x\" \"y\"\n"), told(2, ""));
}

#[test]
fn quotes_separators_and_line_ends_in_quoted_cells_are_text() {
    assert_eq!(read("a,b\r\n\"x \"\"y\"\"\",\"1,\r\n2\"\r\n\"\"\"\",\"\"\r\n"), "a Utf8View, b Utf8View\nx \"y\"|1,\r\n2\n\"|~");
    assert_eq!(read("\"a\"\"b\",\"c\nd\"\n1,2"), "a\"b Int64, c\nd Int64\n1|2");
    assert_eq!(read("a,b\n\"\"\"\"\"\",x"), "a Utf8View, b Utf8View\n\"\"|x");
}

#[test]
fn a_quote_inside_of_a_cell_that_is_not_quoted_is_text_and_told() {
    assert_eq!(
        read("id,size\n1,5\" disk\n2,O\"Neil\"\n"),
        "id Int64, size Utf8View\n1|5\" disk\n2|O\"Neil\"\n! f.csv, line 2: a quote inside of a cell that is not quoted is read as text"
    );
    assert_eq!(
        read("a,b\n1, \"x\"\n"),
        "a Int64, b Utf8View\n1| \"x\"\n! f.csv, line 2: a space stands before a quote, so that it quotes nothing and is read as text; \
         remove spaces behind separators"
    );
    // A space before the quote, and a separator behind it: two cells.
    assert!(
        read("a,b\n1, \"x,y\"\n").starts_with("error: f.csv, line 2: the record has 3 cells, the first one has 2 cells, separated by ','")
    );
}

#[test]
fn quotes_behind_backslashes_are_read_with_the_escape_that_the_message_names() {
    let escape = Options { escape: Some(b'\\'), ..Options::default() };
    for (file, line, right) in [
        ("id,note,city\nu-1,\"a \\\"quoted\\\" word\",Pune\n", 2, "u-1|a \"quoted\" word|Pune"),
        ("id,note,city\nu-1,x,Goa\nu-2,\"a\\\",b\",Pune\n", 3, "u-1|x|Goa\nu-2|a\",b|Pune"),
        ("id,note,city\nu-1,\"ends \\\"\",Pune\nu-2,\"\\\"begins\",Pune\n", 2, "u-1|ends \"|Pune\nu-2|\"begins|Pune"),
        ("id,note,city\nu-1,\"ends \\\"\",Pune\n", 2, "u-1|ends \"|Pune"),
    ] {
        let told = read(file);
        assert!(
            told.starts_with(&format!("error: f.csv, line {line}: "))
                && told.ends_with("backslash: OPTIONS (escape '\\') of CREATE EXTERNAL TABLE"),
            "{told}"
        );
        let read = read_with(file, &escape);
        assert_eq!(read.split_once('\n').unwrap().1, right);
    }
    assert_eq!(read_with("a,b\n1,\"x \"\"y\"\" \\\"z\\\"\"\n", &escape).lines().nth(1), Some("1|x \"y\" \"z\""));
    // Backslashes that are text elsewhere in the file are not the reason.
    let json = "a,b\n1,\"{\"\"x\"\":\"\"\\\"\"y\"\"}\"\n1,2,3\n";
    assert!(read(json).ends_with("quote cells with separators or line ends"));
    // In a file of one column both ways are possible.
    let both = "note\n\"a\\\"\nb\"\n";
    assert_eq!(
        read(both),
        "error: f.csv, line 2: a backslash stands before a quote that closes its cell, and line 3 has one that opens none; quotes in it \
         stand behind a backslash: OPTIONS (escape '\\') of CREATE EXTERNAL TABLE; or quote the cell of line 3"
    );
    assert_eq!(read_with(both, &escape), "note Utf8View\na\"\nb");
    assert_eq!(read("note\n\"C:\\\"\n\"5\"\" disk\"\n").split_once('\n').unwrap().1, "C:\\\n5\" disk");
    // A backslash before another byte is text, and one at the end of a cell is not an escape unless it is said to be.
    assert_eq!(read_with("a,b\n\"C:\\dir\\\\\",\\\"\nx,C:\\dir\n", &escape).lines().nth(1), Some("C:\\dir\\|\\\""));
    assert_eq!(read("a,b\n\"C:\\\",\\N1\n"), "a Utf8View, b Utf8View\nC:\\|\\N1");
}

#[test]
fn escapes_in_cells_that_are_not_quoted_are_text_only_where_the_file_shows_it() {
    let escape = Options { escape: Some(b'\\'), ..Options::default() };
    // Spark writes a backslash there as it is, Python and MySQL write it twice, and one before a quote, a separator, a line end.
    let told = |line: u64, separator: &str| {
        format!(
            "error: f.csv, line {line}: the escape stands before others in cells that are not quoted, where some programs mean it and some do \
             not; write the file with quotes around such cells, or OPTIONS (delimiter '{separator}', quote '', escape '\\') of CREATE EXTERNAL TABLE \
             reads what MySQL and PostgreSQL's COPY write, with a backslash in the place of quotes"
        )
    };
    for cell in ["C:\\\\dir", "5\\\" disk", "a\\\\", "C:\\"] {
        assert_eq!(read_with(format!("a,b\n1,\\N\n1,{cell}\n"), &escape), told(3, ","), "{cell}");
        assert_eq!(read_with(format!("a,b\n1,C:\\dir\n1,{cell}\n"), &escape).lines().nth(2), Some(&*format!("1|{cell}")), "{cell}");
    }
    assert_eq!(
        read_with("a,b\n1,\\N\n1,C:\\\\\n\"\",C:\n", &escape),
        "a Int64, b Utf8View\n1|\\N\n1|C:\\\\\n~|C:\n! f.csv, line 2, column \"b\": \"\\N\" is read as text; OPTIONS (null '\\N') of CREATE EXTERNAL TABLE makes it NULL"
    );
    // Nor does a separator show it, whichever was found.
    let line_ends = "p\\\nq;a\\;b\n1;2\n";
    assert_eq!(read_with(line_ends, &escape), told(1, ","));
    // Where cells are quoted, separators are not escaped.
    assert_eq!(read_with("a,b\n1,C:\\\n1,\"C:,\"\n", &escape), "a Int64, b Utf8View\n1|C:\\\n1|C:,");
    assert_eq!(read_with("a,b\n1,\"C:\\\\dir\"\n1,\"5\\\" disk\"\n", &escape), "a Int64, b Utf8View\n1|C:\\dir\n1|5\" disk");
}

#[test]
fn a_record_with_more_or_fewer_cells_than_the_first_is_an_error_with_its_line() {
    let told = |line: u64, found: &str| {
        format!(
            "error: f.csv, line {line}: the record has {found}, the first one has 3 cells, separated by ','; quote cells with separators or line ends"
        )
    };
    assert_eq!(read("a,b,c\n1,2,3\n1,2\n"), told(3, "2 cells"));
    assert_eq!(read("a,b,c\n1,2,3\n\"x\ny\",2,3\n1,2,3,4"), told(5, "4 cells"));
    assert_eq!(read("a,b,c\n1,2,3,\n"), told(2, "4 cells"));
    assert_eq!(
        read("a,b,c\n\n\n1,2,3\n   \n"),
        "error: f.csv, line 5: the record has 1 cell, the first one has 3 cells, separated by ','; remove the line if it is no row (a comment, a \
         total, the end mark of a dump), or quote cells with separators or line ends"
    );
    assert_eq!(
        read("note\nhello, world\n"),
        "error: f.csv, line 2: the record has 2 cells, the first one has 1 cell, separated by ','; quote cells with separators, give the \
         separator, as in OPTIONS (delimiter ';') of CREATE EXTERNAL TABLE, or remove what stands above the names of the columns"
    );
}

#[test]
fn the_separator_is_the_one_that_splits_all_records_evenly() {
    let rows = "a Int64, b Utf8View\n1|x\n2|y";
    for separator in [",", ";", "\t", "|"] {
        assert_eq!(read("a,b\n1,x\n2,y\n".replace(',', separator)), rows);
        // Others within cells do not count, nor do its own in quotes.
        let text = format!("a{separator}b\n1{separator}\"p{separator}q,;\t|\"\n2{separator}y\n");
        assert_eq!(read(&text).lines().nth(1).map(str::to_owned), Some(format!("1|p{separator}q,;\t|")));
    }
    let comma = read("price;count\n1,50;2\n2,75;3\n");
    assert!(
        comma.starts_with("price Utf8View, count Int64\n1,50|2\n2,75|3\n! f.csv, line 2, column \"price\": numbers with a comma"),
        "{comma}"
    );
    assert_eq!(read("sep=;\r\na;b\r\n1;x\r\n2;y\r\n"), rows);
    assert_eq!(read("\u{feff}\"sep=^\"\na^b\n1^x\n2^y\n"), rows);
    let comma = Options { delimiter: Some(b','), has_header: false, ..Options::default() };
    let told = "error: f.csv, line 1: the first line says that ';' separates, and delimiter is ','; OPTIONS (delimiter ';') of CREATE EXTERNAL TABLE, or a line of \
                names before it if it is a row";
    assert_eq!(read_with("sep=;\n1;x\n", &comma), told);
    assert_eq!(read_with("\"sep=;\"\n1,x\n", &comma), told);
    let named = Options { has_header: true, ..comma };
    assert_eq!(read_with("a\nsep=;\n1\n", &named).lines().nth(1), Some("sep=;"));
    assert!(read("sep=;\na;b\n1;2;3\n").starts_with("error: f.csv, line 3: the record has 3 cells"));
}

#[test]
fn a_separator_that_is_not_sure_is_never_a_silently_wrong_table() {
    assert_eq!(
        read("a,b;c\n1,2;3\n"),
        "error: f.csv, line 1: both ',' and ';' split all first records evenly; OPTIONS (delimiter ',') of CREATE EXTERNAL TABLE, or the other"
    );
    let semicolon = Options { delimiter: Some(b';'), ..Options::default() };
    assert_eq!(read_with("a,b;c\n1,2;3\n", &semicolon).lines().nth(1), Some("1,2|3"));
    // One column in which others may see two.
    for text in ["note\na;b\n", "note\n1|2\n3\n", "a:b\n1;2\n"] {
        let told = read(text);
        assert!(
            told.contains("! f.csv, line 2: the file has one column, and ") && told.contains("in it is read as text; OPTIONS (delimiter "),
            "{told}"
        );
    }
    // The separator was stated, and is another.
    let told = read_with("a,b\n1,2\n", &semicolon);
    assert!(told.contains("the file has one column, and ',' in it is read as text; OPTIONS (delimiter ',') of CREATE EXTERNAL TABLE, if it separates cells"), "{told}");
}

#[test]
fn line_ends_are_of_one_kind() {
    let rows = "a Int64, b Int64\n1|2\n3|4";
    for end in ["\n", "\r\n", "\r"] {
        assert_eq!(read(["a,b", "1,2", "3,4", ""].join(end)), rows);
        assert_eq!(read(["a,b", "1,2", "3,4"].join(end)), rows);
        assert_eq!(read(["", "a,b", "", "1,2", "", "", "3,4", "", ""].join(end)), rows);
    }
    // LF and CR LF end a line in the same way; a lone CR is a cell's, which would be quoted.
    let mixed = "some lines end in LF and some in CR LF: a CR before the LF is no part of the last cell; quote cells that end in CR";
    assert_eq!(read("a,b\n1,2\r\n3,4\n"), format!("{rows}\n! f.csv, line 2: {mixed}"));
    assert_eq!(read("a,b\r\n\"1\",2\r\n3,4\n"), format!("{rows}\n! f.csv, line 3: {mixed}"));
    assert_eq!(read("a,b\n1,\"2\r\"\n3,4\n"), "a Int64, b Utf8View\n1|2\r\n3|4");
    let told =
        "the line ends in another way (CR, or LF) than those before it; write one kind of line end, and quote cells that have others";
    assert_eq!(read("a,b\n1,2\r3,4\n"), format!("error: f.csv, line 2: {told}"));
    // Whichever separator the reason hides.
    let single = Options { quote: Some(b'\''), ..Options::default() };
    assert_eq!(read_with("a,b\t'p\nq'\nx,\t1\n\r\t2\n", &single), format!("error: f.csv, line 4: {told}"));
    assert_eq!(read("a,b\r1,2\n3,4\r"), format!("error: f.csv, line 2: {told}"));
    assert_eq!(read("a,b\n1,\"2\r3\"\n"), "a Int64, b Utf8View\n1|2\r3");
}

#[test]
fn a_blank_line_is_no_row_unless_the_file_has_one_column() {
    assert_eq!(read("\na,b\n,\n\n\"\",\"\"\n\n"), "a Utf8View, b Utf8View\n~|~\n~|~");
    assert_eq!(read("a\n1\n\"\"\n2\n"), "a Int64\n1\n~\n2");
    // As DuckDB and polars write NULL.
    let told = "! f.csv, line 4: a blank line of a file of one column is a row without a value";
    assert_eq!(read("\na\n1\n\n2\n\n"), format!("a Int64\n1\n~\n2\n~\n{told}"));
    assert_eq!(read("\r\na\r\n1\r\n\r\n2"), format!("a Int64\n1\n~\n2\n{told}"));
    // Before the first row too, where no names stand there.
    let headless = Options { has_header: false, ..Options::default() };
    assert_eq!(read_with("\n\n7\n\n", &headless), format!("column_1 Int64\n~\n~\n7\n~\n{}", told.replace('4', "1")));
    assert_eq!(read_with("\n\n7,8\n\n", &headless), "column_1 Int64, column_2 Int64\n7|8");
}

#[test]
fn comments_are_left_out_where_they_are_asked_for() {
    let comment = Options { comment: Some(b'#'), ..Options::default() };
    let file = "# by \"someone\na,b\n#1,2,3\n1,#2\n\"#3\",4\n# \"end";
    assert_eq!(read_with(file, &comment), "a Utf8View, b Utf8View\n1|#2\n#3|4");
    assert_eq!(read_with("a,b\n#\n1,2\n#", &comment), "a Int64, b Int64\n1|2");
}

#[test]
fn quotes_may_be_another_byte() {
    let single = Options { quote: Some(b'\''), ..Options::default() };
    assert_eq!(read_with("a,b\n'x,''y''',\"\n", &single), "a Utf8View, b Utf8View\nx,'y'|\"");
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_first_name() {
    assert_eq!(read("\u{feff}a,b\n1,2\n"), "a Int64, b Int64\n1|2");
    assert_eq!(read("\u{feff}\"a\",b\n1,2\n"), "a Int64, b Int64\n1|2");
}

#[test]
fn bytes_that_are_no_utf8_are_told_with_line_and_remedy() {
    let told = |line: u64| {
        format!(
            "error: f.csv, line {line}: bytes are no UTF-8; OPTIONS (encoding 'windows-1252') of CREATE EXTERNAL TABLE reads Western European text of Windows"
        )
    };
    assert_eq!(read(b"id,name\n1,Jos\xe9\n"), told(2));
    assert_eq!(read(b"id,na\xefve\n1,x\n"), told(1));
    assert_eq!(read(b"id,name\n1,\"x\ny\"\n2,\"a\n\x80\"\n"), told(5));
    // A better reason than the quote that the bytes open, and a character that is cut.
    assert_eq!(read(b"id,name\n1,\"Jos\xe9\n2,x\n"), told(2));
    assert_eq!(read(b"id,name\n1,x\n2,\xe2\x82"), told(3));
    assert_eq!(read("id,name\n1,€ñ😀\n"), "id Int64, name Utf8View\n1|€ñ😀");
}

#[test]
fn bytes_that_cannot_separate_or_quote_are_refused() {
    let odd = [
        Options { delimiter: Some(b'"'), ..Options::default() },
        Options { delimiter: Some(b'\n'), ..Options::default() },
        Options { delimiter: Some(0xa7), ..Options::default() },
        Options { delimiter: Some(b'\\'), escape: Some(b'\\'), ..Options::default() },
        Options { quote: Some(b'\r'), ..Options::default() },
        // A doubled digit is a digit, in a number that is not the cell's.
        Options { quote: Some(b'1'), ..Options::default() },
        Options { escape: Some(b'N'), ..Options::default() },
        // Rows whose first cell is empty, or quoted, are no comments.
        Options { delimiter: Some(b'#'), comment: Some(b'#'), ..Options::default() },
        Options { comment: Some(b'"'), ..Options::default() },
    ];
    for options in odd {
        let told = read_with("a,b\n", &options);
        assert!(told.starts_with("error: f.csv: the separator, the quote, the escape or the mark of comments cannot be"), "{told}");
    }
    let doubled = Options { escape: Some(b'"'), ..Options::default() };
    assert_eq!(read_with("a,b\n1,\"x \"\"y\"\"\"\n", &doubled).lines().nth(1), Some("1|x \"y\""));
}

#[test]
fn a_record_that_never_ends_is_told_and_not_held() {
    let mut scan = clevertap_files::csv::Scan::new("f.csv", Options::default());
    let piece = format!("{}\n", "x".repeat(1 << 20));
    scan.push(b"a,b\n1,\"").unwrap();
    let told = (0..100).find_map(|_| scan.push(piece.as_bytes()).err()).expect("an error");
    assert_eq!(told.to_string(), "f.csv, line 2: the record that begins here has more than 64 MB; probably a quote is never closed");
    // Nor where the separator is not yet known.
    let mut scan = clevertap_files::csv::Scan::new("f.csv", Options::default());
    scan.push(b"\"").unwrap();
    let told = (0..200).find_map(|_| scan.push(piece.as_bytes()).err()).expect("an error");
    assert_eq!(told.to_string(), "f.csv, line 1: the record that begins here has more than 64 MB; probably a quote is never closed");
}

#[test]
fn utf16_and_other_formats_are_told_with_what_reads_them() {
    let utf16 = |text: &str, mark: bool, bytes: fn(u16) -> [u8; 2]| {
        let mark = mark.then_some(0xfeff);
        mark.into_iter().chain(text.encode_utf16()).flat_map(bytes).collect::<Vec<u8>>()
    };
    for (mark, bytes, name) in [
        (true, u16::to_le_bytes as fn(u16) -> [u8; 2], "utf-16"),
        (true, u16::to_be_bytes, "utf-16"),
        (false, u16::to_le_bytes, "utf-16le"),
        (false, u16::to_be_bytes, "utf-16be"),
    ] {
        let said = read(utf16("id,name\r\n1,x\r\n", mark, bytes));
        assert_eq!(
            said,
            format!("error: f.csv, line 1: the file is in UTF-16; OPTIONS (encoding '{name}') of CREATE EXTERNAL TABLE reads it")
        );
    }
    // Without a mark, and without Latin letters at its beginning.
    for (bytes, name) in [(u16::to_le_bytes as fn(u16) -> [u8; 2], "utf-16le"), (u16::to_be_bytes, "utf-16be")] {
        let said = read(utf16("名前,市\r\n一,二\r\n", false, bytes));
        assert_eq!(
            said,
            format!("error: f.csv, line 1: the file is in UTF-16; OPTIONS (encoding '{name}') of CREATE EXTERNAL TABLE reads it")
        );
    }
    assert_eq!(
        read("a,b\n1,2\n3,\0\n"),
        "error: f.csv, line 3: a byte is zero, as in no text file in UTF-8; OPTIONS (encoding 'utf-16') of CREATE EXTERNAL TABLE reads UTF-16"
    );
    for magic in [&b"\x1f\x8b\x08\0"[..], b"PK\x03\x04zz", b"PAR1zz", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ", b"\xd0\xcf\x11\xe0", b"BZh91AY&SY"]
    {
        assert!(read(magic).starts_with("error: f.csv: the file is no text: it is compressed, a workbook, or Parquet"));
    }
}
