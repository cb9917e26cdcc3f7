//! Files as databases dump them, and files that somebody joined: read right, or refused with the line and what reads them.

use clevertap_files::csv::{Layout, NO_QUOTE, Options};

use crate::{read, read_with};

/// As the remedy of dumps says.
fn dump() -> Options {
    Options { delimiter: Some(b'\t'), quote: Some(NO_QUOTE), escape: Some(b'\\'), ..Options::default() }
}

const OPTION: &str =
    "OPTIONS (delimiter '\\t', quote '', escape '\\') of CREATE EXTERNAL TABLE reads what MySQL and PostgreSQL's COPY write";

#[test]
fn a_byte_order_mark_at_the_start_of_a_record_is_refused_with_its_line() {
    let told = |line: u64| {
        format!(
            "error: f.csv, line {line}: a byte order mark begins the line, as where files were joined; remove the mark, or read the files as they \
             were before: as a folder they are one table"
        )
    };
    assert_eq!(read("\u{feff}id,n\na,1\n\u{feff}id,n\nb,2\n"), told(3));
    assert_eq!(read("id,n\n\"a\nb\",1\n\u{feff}b,2\n"), told(4));
    assert_eq!(read("id\na\n\u{feff}b\n"), told(3));
    let headless = Options { has_header: false, ..Options::default() };
    assert_eq!(read_with("a,1\n\u{feff}b,2\n", &headless), told(2));
    // The first file had no line end.
    let joined = read("id,n\na,1\u{feff}id,n\nb,2\n");
    assert!(
        joined.starts_with("error: f.csv, line 2: the record has 3 cells") && joined.contains("remove the mark, or read the files"),
        "{joined}"
    );
    // Elsewhere it is text, and so it is in quotes.
    assert_eq!(read("id,n\na\u{feff},\u{feff}1\n\"\u{feff}b\",2\n").lines().nth(2), Some("\u{feff}b|2"));
}

#[test]
fn names_that_stand_again_are_refused_where_they_can_be_no_row() {
    let told = "error: f.csv, line 3: the names of the columns stand here again, as where files were joined; remove the line, or read the files as \
                they were before: as a folder they are one table";
    for file in
        ["id,visits\nu1,3\nid,visits\nu2,4\n", "\"id\",\"visits\"\r\n\"u1\",3\r\n\"id\",\"visits\"\r\n", "id;visits\nu1;3\nid;visits"]
    {
        assert_eq!(read(file), told, "{file}");
    }
    // A cell that is named like its column, and one column whose name may be a value.
    assert!(read("id,city\nid,Pune\nu2,city\n").starts_with("id Utf8View, city Utf8View\nid|Pune\nu2|city"));
    assert_eq!(
        read("city\nPune\ncity\nGoa\n"),
        "city Utf8View\nPune\ncity\nGoa\n! f.csv, line 3: the name of the column stands here again, as where files were joined, and is read as a \
         row; remove the line if it is none"
    );
    let headless = Options { has_header: false, ..Options::default() };
    assert!(read_with("a,b\na,b\n", &headless).starts_with("column_1 Utf8View, column_2 Utf8View\na|b\na|b"));
}

#[test]
fn what_psql_writes_around_rows_is_no_row() {
    for (file, line, remedy) in [
        ("id\nu1\nu2\n(2 rows)\n", 4, "remove the count of the rows, which psql -P footer=off does not write, or quote it if it is a row"),
        ("id\nu1\n(1 row)\n\n", 3, "remove the count of the rows"),
        ("id,n\nu1,2\n(1 row)\n", 3, "remove the count of the rows"),
        ("id\nu1\n\\.\n", 3, "remove the end mark of the dump, or quote it if it is a row"),
        ("id\tn\nu1\t2\n\\.\n", 3, "remove the end mark of the dump"),
        (
            " id | n \n----+---\n u1 | 2\n(1 row)\n",
            2,
            "the table is drawn for reading, as psql and mysql show it: write it with psql's \\copy",
        ),
        (" id \n----\n u1\n(1 row)\n", 2, "the table is drawn for reading"),
        ("+----+---+\n| id | n |\n+----+---+\n| u1 | 2 |\n+----+---+\n", 1, "the table is drawn for reading"),
        ("-[ RECORD 1 ]\nid | u1\nn  | 2\n", 1, "the table is drawn for reading"),
    ] {
        let told = read(file);
        assert!(told.starts_with(&format!("error: f.csv, line {line}: ")) && told.contains(remedy), "{file}: {told}");
    }
    // Quoted, or beside others, it is a value.
    assert_eq!(read("id\n\"(2 rows)\"\n\"\\.\"\n\"---\"\n"), "id Utf8View\n(2 rows)\n\\.\n---");
    assert!(read("id,n\nu1,(2 rows)\nu2,---\n").starts_with("id Utf8View, n Utf8View\nu1|(2 rows)"));
    assert!(read("id\nu1\n---\n").starts_with("id Utf8View\nu1\n---"));
    // As the remedies say.
    assert_eq!(read("id,n\nu1,2\n"), "id Utf8View, n Int64\nu1|2");
}

#[test]
fn dumps_with_backslashes_are_read_with_the_option_that_is_told() {
    // SELECT … INTO OUTFILE, and COPY … TO: a line end, a tab and a backslash stand behind a backslash.
    let cells = "id\tnote\tn\nu1\ta\\\nb\t1\nu2\t\\N\t\\N\nu3\tc\\\td\\\\e\t3\n";
    let right = "id Utf8View, note Utf8View, n Int64\nu1|a\nb|1\nu2|~|~\nu3|c\td\\e|3";
    let told = read(cells);
    assert!(told.starts_with("error: f.csv, line 2: ") && told.contains(OPTION), "{told}");
    assert_eq!(read_with(cells, &dump()), right);
    // mysql --batch writes letters.
    let letters = "id\tnote\tn\nu1\ta\\nb\t1\nu2\t\\N\t\\N\nu3\tc\\td\\\\e\t3\n";
    let told = read(letters);
    assert!(
        told.contains("! f.csv, line 2: a backslash stands before a letter, as mysql --batch and PostgreSQL's COPY write")
            && told.contains(OPTION),
        "{told}"
    );
    assert_eq!(read_with(letters, &dump()), right);
    // Neighbours: commas, a tab that is one too many, all controls, an end of the file behind an escape.
    let comma = Options { delimiter: Some(b','), ..dump() };
    assert!(read("id,note\nu1,a\\,b\n").contains("OPTIONS (delimiter ',', quote '', escape '\\')"));
    assert_eq!(read_with("id,note\nu1,a\\,b\nu2,\"x\"\n", &comma), "id Utf8View, note Utf8View\nu1|a,b\nu2|\"x\"");
    assert_eq!(read_with("id,note\nu1,\\b\\f\\v\\r\\q\\\\N\n", &comma).lines().nth(1), Some("u1|\u{8}\u{c}\u{b}\rq\\N"));
    assert_eq!(read_with("id,note\nu1,a\\", &comma).lines().nth(1), Some("u1|a\\"));
    assert_eq!(read_with("id,note\r\nu1,a\\\nb\r\n", &comma), "id Utf8View, note Utf8View\nu1|a\nb");
    // Lines are counted behind such a cell.
    assert!(read_with("id,note\nu1,a\\\nb\nu2,c,d\n", &comma).starts_with("error: f.csv, line 4: the record has 3 cells"));
    // `NULL`, as mysql --batch writes it, is told as any mark.
    assert!(read_with("id\tnote\nu1\tNULL\n", &dump()).contains("\"NULL\" is read as text; OPTIONS (null 'NULL')"));
    // In a file with quotes it is text, and in one without tabs.
    for text in ["id\tnote\nu1\t\"a\\nb\"\n", "id,note\nu1,C:\\new\n", "id\tnote\nu1\tC:\\Users\n"] {
        assert!(!read(text).contains("a backslash stands"), "{text}");
    }
}

#[test]
fn lines_and_cells_of_another_dialect_are_told_with_its_option() {
    let comment = Options { comment: Some(b'#'), ..Options::default() };
    for file in ["id,n\n# by somebody\nu1,2\n", "# by somebody\nid,n\nu1,2\n"] {
        let told = read(file);
        assert!(
            told.starts_with("error: f.csv, line ") && told.contains("OPTIONS (comment '#') of CREATE EXTERNAL TABLE leaves out"),
            "{told}"
        );
        assert_eq!(read_with(file, &comment), "id Utf8View, n Int64\nu1|2");
    }
    let quote = Options { quote: Some(b'\''), ..Options::default() };
    let file = "id,city,n\nu1,'Pune, Goa',1\n";
    assert!(read(file).ends_with("OPTIONS (quote '''') of CREATE EXTERNAL TABLE reads cells in apostrophes"), "{}", read(file));
    assert_eq!(read_with(file, &quote), "id Utf8View, city Utf8View, n Int64\nu1|Pune, Goa|1");
    let file = "'id','n'\n'u1','2'\n";
    assert!(
        read(file).contains("! f.csv, line 1: all names stand in marks, which are read as a part of them; OPTIONS (quote '''') of"),
        "{}",
        read(file)
    );
    assert_eq!(read_with(file, &quote), "id Utf8View, n Int64\nu1|2");
}

#[test]
fn a_folder_tells_marks_of_all_its_files_once() {
    let layout = |name: &str, text: &str| -> Layout { crate::scan(name, text.as_bytes(), &Options::default(), &[7]).unwrap() };
    let merged =
        Layout::merge(&[layout("a.csv", "id,city\nu1,Pune\n"), layout("b.csv", "id,city\nu2,\\N\n"), layout("c.csv", "id,city\nu3,\\N\n")]);
    let told: Vec<String> = merged.unwrap().warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "b.csv, line 2, column \"city\": \"\\N\" is read as text, in 2 cells; OPTIONS (null '\\N') of CREATE EXTERNAL TABLE makes it NULL"
        ]
    );
}
