//! Both passes over files as people have them, as random ones are, and over broken ones.

use std::sync::Arc;

use arrow::{
    array::RecordBatch,
    datatypes::{DataType, Field, Schema},
    util::display::{ArrayFormatter, FormatOptions},
};

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

use super::*;
use crate::TextError;

/// Both passes, in pieces of so many bytes.
fn read_in(text: &[u8], piece: usize, rows_max: usize) -> Result<(Layout, Vec<RecordBatch>), TextError> {
    let mut scan = Scan::new("f.json");
    text.chunks(piece).try_for_each(|bytes| scan.push(bytes))?;
    let layout = scan.finish()?;
    let all: Vec<usize> = (0..layout.columns().len()).collect();
    let mut rows = Rows::new("f.json", &layout, layout.schema(), &all).with_batch_rows(rows_max);
    let mut batches = Vec::new();
    for bytes in text.chunks(piece) {
        batches.extend(rows.push(bytes)?);
    }
    batches.extend(rows.finish()?);
    Ok((layout, batches))
}

fn shown(layout: &Layout, batches: &[RecordBatch]) -> String {
    let names = layout.columns().iter().map(|column| {
        let json = if column.is_json { " JSON" } else { "" };
        format!("{} {}{json}", column.name, column.data_type)
    });
    let options = FormatOptions::new().with_null("NULL");
    let rows = batches.iter().flat_map(|batch| {
        let cells: Vec<_> = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        (0..batch.num_rows())
            .map(|row| cells.iter().map(|cells| cells.value(row).to_string()).collect::<Vec<_>>().join(" | "))
            .collect::<Vec<_>>()
    });
    [names.collect::<Vec<_>>().join(", ")].into_iter().chain(rows).collect::<Vec<_>>().join("\n")
}

/// What is read, or the error; the same in pieces of any size.
fn read(text: &str) -> String {
    read_bytes(text.as_bytes())
}

fn read_bytes(text: &[u8]) -> String {
    let of = |piece, rows_max| match read_in(text, piece, rows_max) {
        Ok((layout, batches)) => shown(&layout, &batches),
        Err(error) => error.to_string(),
    };
    let whole = of(text.len().max(1), 8_192);
    for piece in (1..text.len().min(40)).chain([64]) {
        assert_eq!(of(piece, 3), whole, "in pieces of {piece}");
    }
    whole
}

#[test]
fn records_stand_in_lines_behind_each_other_or_in_a_list() {
    let expected = "a Int64, b Utf8View\n1 | x\n2 | NULL\nNULL | }{\"";
    for text in [
        "{\"a\":1,\"b\":\"x\"}\n{\"a\":2}\n{\"b\":\"}{\\\"\"}\n",
        "{\"a\":1,\"b\":\"x\"}\r\n\r\n{\"a\":2,\"b\":null}\r\n{\"b\":\"}{\\\"\"}",
        "{\"a\":1,\"b\":\"x\"}{\"a\":2}{\"b\":\"}{\\\"\"}",
        "[{\"a\":1,\"b\":\"x\"},{\"a\":2},{\"b\":\"}{\\\"\"}]",
        "\u{feff}[\n  {\n    \"a\": 1,\n    \"b\": \"x\"\n  },\n  {\"a\": 2},\n  {\"b\": \"}{\\\"\"}\n]\n",
        "\u{feff}{\"a\":1,\"b\":\"x\"}\n{\"a\":2}\n{\"b\":\"}{\\u0022\"}\n",
    ] {
        assert_eq!(read(text), expected, "{text}");
    }
    assert_eq!(read(""), "");
    assert_eq!(read("\u{feff}"), "");
    assert_eq!(read("[]"), "");
    assert_eq!(read("{}\n{}\n"), "\n\n");
    // A whole file of fewer bytes than a mark has.
    assert_eq!(read("{}"), "\n");
    assert_eq!(read("{"), "f.json, line 1: the object that begins here is never closed");
}

#[test]
fn every_digit_of_every_number_is_kept() {
    assert_eq!(read("{\"n\":18446744073709551615}\n{\"n\":9007199254740993}"), "n UInt64\n18446744073709551615\n9007199254740993");
    assert_eq!(read("{\"n\":9007199254740993}\n{\"n\":1.5}"), "n Decimal128(17, 1)\n9007199254740993.0\n1.5");
    assert_eq!(read("{\"n\":1e2}\n{\"n\":0.5}"), "n Float64\n100.0\n0.5");
    assert_eq!(read("{\"n\":1e2}\n{\"n\":9007199254740993}"), "n Utf8View\n1e2\n9007199254740993");
    let long = "123456789012345678901234567890123456789012345";
    assert_eq!(read(&format!("{{\"n\":{long}}}\n{{\"n\":7}}")), format!("n Utf8View\n{long}\n7"));
    assert_eq!(read("{\"n\":[1,2.50]}\n{\"n\":[{}]}"), "n Utf8View JSON\n[1,2.50]\n[{}]");
}

#[test]
fn columns_of_mixed_kinds_keep_every_value() {
    assert_eq!(read("{\"identity\":101}\n{\"identity\":\"102\"}\n{\"identity\":true}"), "identity Utf8View\n101\n102\ntrue");
    assert_eq!(
        read("{\"p\":[{\"sku\":\"a\"}]}\n{\"p\":{\"sku\":\"b\"}}\n{\"p\":\"c\"}"),
        "p Utf8View JSON\n[{\"sku\":\"a\"}]\n{\"sku\":\"b\"}\n\"c\""
    );
    // Deep inside, a text among numbers is a text, and a list among texts makes all of the column JSON.
    assert_eq!(
        read("{\"p\":[{\"n\":1,\"q\":1.5}]}\n{\"p\":[{\"n\":\"x\"},null]}\n{\"p\":null}\n{\"p\":[]}"),
        "p List(Struct(\"n\": Utf8View, \"q\": Decimal128(2, 1)))\n[{n: 1, q: 1.5}]\n[{n: x, q: NULL}, NULL]\nNULL\n[]"
    );
    assert_eq!(read("{\"p\":[{\"n\":[1]}]}\n{\"p\":[{\"n\":\"x\"}]}"), "p Utf8View JSON\n[{\"n\":[1]}]\n[{\"n\":\"x\"}]");
    let (layout, _) = read_in(b"{\"a\":1,\"Plan\":1}\n\n{\"a\":\"x\",\"plan\":2}\n", 7, 10).unwrap();
    let warnings: Vec<String> = layout.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "f.json, line 3, column \"a\": a text here, a number in line 1: all its values are read as text",
            "f.json, column \"plan\": its name differs from \"Plan\" in case alone: they are two columns"
        ]
    );
}

#[test]
fn a_column_that_begins_late_is_a_column_and_one_of_nulls_too() {
    let text = format!("{}{{\"late\":\"x\",\"id\":8}}\n", "{\"id\":7,\"none\":null}\n".repeat(3_000));
    let (layout, batches) = read_in(text.as_bytes(), 1_000, 1_024).unwrap();
    let names: Vec<_> = layout.columns().iter().map(|column| (column.name.as_str(), column.data_type.clone())).collect();
    assert_eq!(names, [("id", DataType::Int64), ("none", DataType::Utf8View), ("late", DataType::Utf8View)]);
    assert_eq!((layout.rows(), batches.iter().map(RecordBatch::num_rows).sum::<usize>()), (3_001, 3_001));
}

#[test]
fn what_is_no_json_is_told_with_its_line_and_without_its_content() {
    let row = "{\"id\":1}\n";
    for (text, expected) in [
        ("{\"secret\":NaN}\n", "f.json, line 2: NaN and Infinity are no JSON; null in their place is read as NULL"),
        ("{\"secret\":-Infinity}\n", "f.json, line 2: NaN and Infinity are no JSON; null in their place is read as NULL"),
        ("{\"secret\":\"secret\",}\n", "f.json, line 2: this is no JSON: trailing comma"),
        ("{\"a\":1\n,\"secret\" \"secret\"}\n", "f.json, line 3: this is no JSON: expected `:`"),
        ("{'secret':1}\n", "f.json, line 2: this is no JSON: key must be a string"),
        (
            "{\"secret\":\"\\ud800secret\"}\n",
            "f.json, line 2: a text holds half of a surrogate pair (\\ud800 to \\udfff), which is no character",
        ),
        ("{\"secret\":1,\"secret\":2}\n", "f.json, line 2: an object has two members of one name"),
        ("{\"a\":{\"secret\":1,\"s\\u0065cret\":2}}\n", "f.json, line 2: an object has two members of one name"),
        ("{\"secret\":1\n{\"id\":2}\n", "f.json, line 2: the object that begins here is never closed"),
        ("{\"secret\":\"1}\n", "f.json, line 2: the object that begins here is never closed: a quote in it is open"),
        ("\"secret\"\n", "f.json, line 2: a text stands where a record, {…}, is expected"),
        ("[1]\n", "f.json, line 2: a list stands where a record, {…}, is expected"),
        ("secret\n", "f.json, line 2: something that is no JSON stands where a record, {…}, is expected"),
        (",{\"id\":2}\n", "f.json, line 2: a comma stands between records; [ before the first and ] behind the last make a list of them"),
    ] {
        assert_eq!(read(&format!("{row}{text}")), expected, "{text}");
    }
    for (text, expected) in [
        ("[{\"id\":1}\n{\"id\":2}]", "f.json, line 2: no comma stands between two records of the list"),
        ("[{\"id\":1},\n]", "f.json, line 2: something that is no JSON stands where a record, {…}, is expected"),
        ("[{\"id\":1},\n{\"id\":2}\n", "f.json, line 3: the list of records is never closed: the file ends before its ]"),
        ("[{\"id\":1}]\n[", "f.json, line 2: something stands behind the list of records"),
        ("[1,2]", "f.json, line 1: a number stands where a record, {…}, is expected"),
    ] {
        assert_eq!(read(text), expected, "{text}");
    }
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(101), "]".repeat(101));
    assert_eq!(read(&deep), "f.json, line 1: lists and objects are more than 50 deep in each other");
    let deeper = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(read(&deeper), read(&deep));
}

#[test]
fn other_encodings_are_told_with_the_option_that_reads_them() {
    let utf_16: Vec<u8> = "\u{feff}{\"a\":1}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(read_bytes(&utf_16), "f.json, line 1: the file is UTF-16; OPTIONS (encoding 'utf-16') of CREATE EXTERNAL TABLE reads it");
    assert_eq!(
        read_bytes(&utf_16[2..]),
        "f.json, line 1: the file is UTF-16; OPTIONS (encoding 'utf-16') of CREATE EXTERNAL TABLE reads it"
    );
    let utf_16be: Vec<u8> = "{\"a\":1}".encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert_eq!(
        read_bytes(&utf_16be),
        "f.json, line 1: the file is UTF-16; OPTIONS (encoding 'utf-16be') of CREATE EXTERNAL TABLE reads it"
    );
    assert_eq!(
        read_bytes(b"{\"a\":1}\n{\"a\":\n\"Zo\xeb\"}\n"),
        "f.json, line 3: these bytes are no UTF-8; OPTIONS (encoding 'windows-1252') of CREATE EXTERNAL TABLE reads what Windows wrote"
    );
}

#[test]
fn only_wanted_columns_are_built_in_the_order_that_is_wanted() {
    let text = b"{\"a\":1,\"b\":\"x\",\"c\":[1]}\n{\"c\":[2],\"b\":\"y\"}\n";
    let (layout, _) = read_in(text, 9, 10).unwrap();
    for (projection, expected) in [(&[2, 0][..], "[1] | 1\n[2] | NULL"), (&[1], "x\ny"), (&[], "\n")] {
        let mut rows = Rows::new("f.json", &layout, Arc::new(layout.schema().project(projection).unwrap()), projection);
        assert_eq!(rows.push(text).unwrap(), []);
        let batches = rows.finish().unwrap();
        assert_eq!(batches[0].num_rows(), 2);
        assert_eq!(shown(&layout, &batches).split_once('\n').unwrap().1, expected);
    }
}

#[test]
fn any_column_is_read_as_text_with_the_characters_of_its_file() {
    let text = b"{\"n\":1.5,\"b\":true,\"l\":[1, 2],\"t\":\"x\"}\n{\"n\":1.10,\"t\":null}\n";
    let (layout, _) = read_in(text, 100, 10).unwrap();
    let fields = ["n", "n", "b", "l", "t"].map(|name| Field::new(name, DataType::Utf8View, true));
    let mut rows = Rows::new("f.json", &layout, Arc::new(Schema::new(fields.to_vec())), &[0, 0, 1, 2, 3]);
    rows.push(text).unwrap();
    let shown = shown(&layout, &rows.finish().unwrap());
    assert_eq!(shown.split_once('\n').unwrap().1, "1.5 | 1.5 | true | [1, 2] | x\n1.10 | 1.10 | NULL | NULL | NULL");
}

#[test]
fn a_file_that_changed_between_the_passes_is_an_error_and_no_value_is_lost() {
    for (first, then) in [
        ("{\"a\":1}", "{\"a\":\"x\"}"),
        ("{\"a\":1}", "{\"a\":1.5}"),
        ("{\"a\":1.5}", "{\"a\":1.55}"),
        ("{\"a\":true}", "{\"a\":1}"),
        ("{\"a\":\"x\"}", "{\"a\":[1]}"),
        ("{\"a\":[1]}", "{\"a\":[\"x\"]}"),
        ("{\"a\":{\"b\":1}}", "{\"a\":1}"),
        ("{\"a\":1}", "{\"b\":1}"),
    ] {
        let (layout, _) = read_in(first.as_bytes(), 100, 10).unwrap();
        let mut rows = Rows::new("f.json", &layout, layout.schema(), &[0]);
        let read = rows.push(then.as_bytes()).and_then(|_| rows.finish());
        assert_eq!(read.unwrap_err().to_string(), "f.json, line 1: the file changed while it was read", "{first} {then}");
    }
}

#[test]
fn files_of_a_folder_have_the_columns_of_all_of_them() {
    let layouts = ["{\"a\":1,\"b\":1}", "{\"b\":\"x\",\"c\":2.5}", "{\"a\":2.25}"].map(|text| read_in(text.as_bytes(), 5, 10).unwrap().0);
    let merged = Layout::merge(&layouts).unwrap();
    let columns: Vec<_> = merged.columns().iter().map(|column| format!("{} {}", column.name, column.data_type)).collect();
    assert_eq!((columns.join(", "), merged.rows()), ("a Decimal128(3, 2), b Utf8View, c Decimal128(2, 1)".into(), 3));
}

/// A value as it stands, of one of all kinds; the same number again comes from the same seed.
fn value(rng: &mut StdRng, kinds: &[u8], depth: usize) -> String {
    let nested = |rng: &mut StdRng| (0..rng.random_range(0..3)).map(|_| value(rng, &[0, 1, 2, 3, 4, 5, 6], depth + 1)).collect::<Vec<_>>();
    match *kinds.choose(rng).unwrap() {
        0 => "null".into(),
        1 => ["true", "false"].choose(rng).unwrap().to_string(),
        2 => format!("{}", rng.random_range(-1_000..1_000_i64)),
        3 => format!("{}{}.{:03}", ["", "-"].choose(rng).unwrap(), rng.random_range(0..u64::MAX), rng.random_range(0..1_000)),
        4 => ["\"\"", "\"x\"", "\"007\"", "\"Zo\\u00eb \\\"q\\\" {}[],\"", "\"a\\nb\"", "\"日本\""].choose(rng).unwrap().to_string(),
        5 if depth < 3 => format!("[{}]", nested(rng).join(", ")),
        6 if depth < 3 => {
            let members = nested(rng).into_iter().enumerate().map(|(at, value)| format!("\"m{at}\" :{value}"));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        _ => "1e2".into(),
    }
}

/// What a cell of `data_type` is to show for a value.
fn expected(value: Option<&str>, column: &Column) -> String {
    let Some(value) = value.filter(|value| *value != "null") else { return "NULL".into() };
    match &column.data_type {
        _ if column.is_json => value.to_owned(),
        DataType::Utf8View if value.starts_with('"') => serde_json::from_str::<String>(value).unwrap(),
        DataType::Decimal128(_, scale) => {
            let scale = usize::try_from(*scale).unwrap();
            let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
            if scale == 0 { whole.to_owned() } else { format!("{whole}.{fraction:0<scale$}") }
        }
        DataType::Float64 => format!("{:?}", value.parse::<f64>().unwrap()),
        _ => value.to_owned(),
    }
}

#[test]
fn random_files_are_read_as_they_were_written() {
    let files = std::env::var("CLEVERTAP_FILES").ok().and_then(|text| text.parse().ok()).unwrap_or(300);
    for seed in 0..files {
        let mut rng = StdRng::seed_from_u64(seed);
        let all: [&[u8]; 8] = [&[0, 1], &[0, 2], &[2, 3], &[0, 2, 7], &[4], &[0, 2, 4, 1], &[5], &[0, 1, 2, 3, 4, 5, 6]];
        let columns: Vec<(String, &[u8])> =
            (0..rng.random_range(1..6)).map(|at| (format!("c{at}"), *all.choose(&mut rng).unwrap())).collect();
        let rows: Vec<Vec<Option<String>>> = (0..rng.random_range(1..20))
            .map(|_| columns.iter().map(|(_, kinds)| rng.random_bool(0.9).then(|| value(&mut rng, kinds, 0))).collect())
            .collect();
        let records = rows.iter().map(|row| {
            let members = columns.iter().zip(row).filter_map(|((name, _), value)| Some(format!("\"{name}\":{}", value.as_ref()?)));
            format!("{{{}}}", members.collect::<Vec<_>>().join([",", " ,\n ", ", "].choose(&mut rng).unwrap()))
        });
        let records: Vec<String> = records.collect();
        let text = match rng.random_range(0..3) {
            0 => records.join("\n"),
            1 => format!("\u{feff}[{}]\n", records.join(",\n")),
            _ => records.join("\r\n") + "\r\n",
        };
        let (layout, batches) = read_in(text.as_bytes(), rng.random_range(1..100), rng.random_range(1..30)).unwrap();
        for (at, column) in layout.columns().iter().enumerate() {
            if matches!(column.data_type, DataType::List(_) | DataType::Struct(_)) {
                continue;
            }
            let place = columns.iter().position(|(name, _)| *name == column.name).unwrap();
            let wanted: Vec<String> = rows.iter().map(|row| expected(row[place].as_deref(), column)).collect();
            let options = FormatOptions::new().with_null("NULL");
            let cells = batches.iter().flat_map(|batch| {
                let cells = ArrayFormatter::try_new(batch.column(at), &options).unwrap();
                (0..batch.num_rows()).map(|row| cells.value(row).to_string()).collect::<Vec<_>>()
            });
            assert_eq!(cells.collect::<Vec<_>>(), wanted, "seed {seed}, {column:?}: {text}");
        }
    }
}

/// Records of a file that is JSON from its first byte to its last.
fn records_by_serde(bytes: &[u8]) -> Option<u64> {
    let values =
        serde_json::Deserializer::from_slice(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)).into_iter::<serde_json::Value>();
    values.map(|value| Some(value.ok()?.as_array().map_or(1, |records| records.len() as u64))).sum()
}

#[test]
fn broken_files_are_read_or_told_and_never_quoted() {
    let files = std::env::var("CLEVERTAP_BROKEN_FILES").ok().and_then(|text| text.parse().ok()).unwrap_or(20_000);
    let good = "[{\"sEcrEt1\":\"sEcrEt2\\u00eb\",\"n\":[1,2.5e3,{\"sEcrEt3\":null}]},\n{\"sEcrEt1\":true,\"n\":\"sEcrEt4\"}]\n{\"n\":-1}"
        .as_bytes();
    let mut rng = StdRng::seed_from_u64(5);
    for _ in 0..files {
        let mut bytes = good.to_vec();
        for _ in 0..rng.random_range(1..4) {
            let at = rng.random_range(0..bytes.len().max(1));
            if bytes.is_empty() {
                break;
            }
            match rng.random_range(0..4) {
                0 => drop(bytes.remove(at)),
                1 => bytes[at] = rng.random(),
                2 => bytes.insert(at, *b"{}[]\",:\\\n0-eE.\xff\0ntf".choose(&mut rng).unwrap()),
                _ => bytes.truncate(at.max(1)),
            }
        }
        let shown = String::from_utf8_lossy(&bytes);
        match read_in(&bytes, rng.random_range(1..60), 2) {
            Ok((layout, _)) => assert_eq!(records_by_serde(&bytes), Some(layout.rows()), "{shown}"),
            Err(error) => {
                let text = error.to_string();
                assert!(!text.contains("sEcr") && !text.contains("Et"), "{text}");
                assert!(!text.contains("changed"), "{text}: {shown}");
            }
        }
    }
}
