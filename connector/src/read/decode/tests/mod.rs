//! Tests of the decoder by example; `oracle` compares it with serde_json on random pages.

mod oracle;
mod writer;

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Schema;
use arrow::util::pretty::pretty_format_batches;

use super::*;
use crate::table::ValueForm;

fn slot(name: &str, paths: &[&str], form: ValueForm) -> Slot {
    let path = |path: &&str| path.split('/').filter(|key| !key.is_empty()).map(str::to_owned).collect();
    Slot { name: name.to_owned(), paths: paths.iter().map(path).collect(), form }
}

fn decoder(slots: &[(&str, &[&str], ValueForm)], zone: Option<Tz>) -> PageDecoder {
    PageDecoder::new(slots.iter().map(|(name, paths, form)| slot(name, paths, *form)).collect(), "records", zone)
}

fn read(decoder: &mut PageDecoder, body: &str) -> Result<Page, String> {
    decoder.decode(&Bytes::from(body.to_owned())).map_err(|error| error.to_string())
}

/// The decoded page, printed as a table.
fn table(slots: &[(&str, &[&str], ValueForm)], body: &str) -> String {
    let mut decoder = decoder(slots, Some(Tz::Asia__Kolkata));
    let page = read(&mut decoder, body).expect("a page");
    let batch = RecordBatch::try_new(Arc::new(Schema::new(decoder.fields())), page.columns).expect("a batch");
    pretty_format_batches(&[batch]).expect("a table").to_string()
}

#[test]
fn an_event_page_becomes_typed_columns() {
    let page = r#"{"status":"success","next_cursor":"q0Zk%2B","records":[
        {"profile":{"objectId":"__g1","name":"Ada \u00e9","phone":14155550100},"ts":20260801103045,
         "event_props":{"Amount":12.50,"Qty":9007199254740993,"When":"$D_20260101","Ok":"TRUE","Tags":["a",1,null]}},
        {"event_props":{"Tags":"one","Amount":"7"},"ts":"20260801235959","profile":{"phone":"+1415"}}],"extra":[{}]}"#;
    let slots: &[(&str, &[&str], ValueForm)] = &[
        ("event_time", &["ts"], ValueForm::PackedTime),
        ("event_date", &["ts"], ValueForm::PackedDay),
        ("name", &["profile/name"], ValueForm::Text),
        ("phone", &["profile/phone"], ValueForm::Text),
        ("Amount", &["event_props/Amount"], ValueForm::Float64),
        ("Qty", &["event_props/Qty"], ValueForm::Int64),
        ("When", &["event_props/When"], ValueForm::Date),
        ("Ok", &["event_props/Ok"], ValueForm::Boolean),
        ("Tags", &["event_props/Tags"], ValueForm::TextList),
    ];
    let expected = "\
+---------------------------+------------+-------+-------------+--------+------------------+---------------------------+------+----------+
| event_time                | event_date | name  | phone       | Amount | Qty              | When                      | Ok   | Tags     |
+---------------------------+------------+-------+-------------+--------+------------------+---------------------------+------+----------+
| 2026-08-01T10:30:45+05:30 | 2026-08-01 | Ada é | 14155550100 | 12.5   | 9007199254740993 | 2026-01-01T00:00:00+05:30 | true | [a, 1, ] |
| 2026-08-01T23:59:59+05:30 | 2026-08-01 |       | +1415       |        |                  |                           |      | [one]    |
+---------------------------+------------+-------+-------------+--------+------------------+---------------------------+------+----------+";
    assert_eq!(table(slots, page), expected);
}

#[test]
fn the_first_path_with_a_value_wins_and_a_digit_is_a_key() {
    let page = r#"{"records":[{"objectId":null,"platformInfo":[{"objectId":"a"},{"objectId":"b"}]},
        {"platformInfo":[],"df":{"0":12}},{"objectId":"c","platformInfo":[{"objectId":"d"}]}]}"#;
    let slots: &[(&str, &[&str], ValueForm)] =
        &[("object_id", &["objectId", "platformInfo/*/objectId"], ValueForm::Text), ("zero", &["df/0"], ValueForm::Int64)];
    let expected = "\
+-----------+------+
| object_id | zero |
+-----------+------+
| a         |      |
|           | 12   |
| c         |      |
+-----------+------+";
    assert_eq!(table(slots, page), expected);
}

#[test]
fn the_last_of_repeated_keys_wins_and_replaces_all_of_the_earlier_value() {
    let page = r#"{"records":[{"a":1}],"records":[{"p":{"x":"old","y":1},"p":{"x":"new"},"a":2,"a":3},{"p":{"y":4},"p":null}]}"#;
    let slots: &[(&str, &[&str], ValueForm)] = &[
        ("p", &["p"], ValueForm::Json),
        ("x", &["p/x"], ValueForm::Text),
        ("y", &["p/y"], ValueForm::Int64),
        ("a", &["a"], ValueForm::Int64),
    ];
    let expected = "\
+-------------+-----+---+---+
| p           | x   | y | a |
+-------------+-----+---+---+
| {\"x\":\"new\"} | new |   | 3 |
|             |     |   |   |
+-------------+-----+---+---+";
    assert_eq!(table(slots, page), expected);
}

#[test]
fn the_cursor_is_unescaped_but_not_percent_decoded() {
    let cases = [
        (r#"{"status":"success"}"#, None, Some("success")),
        (r#"{"status":"success","cursor":"a%2Bb","records":[]}"#, Some("a%2Bb"), Some("success")),
        (r#"{"records":null,"cursor":"b\/c"}"#, Some("b/c"), None),
        (r#"{"cursor":""}"#, None, None),
        (r#"{"cursor":"a","status":5}"#, Some("a"), None),
        (" {} \n", None, None),
    ];
    for (body, cursor, status) in cases {
        let page = read(&mut decoder(&[], None), body).expect(body);
        assert_eq!((page.cursor.as_deref(), page.status.as_deref(), page.rows), (cursor, status, 0), "{body}");
        let page = read(&mut decoder(&[], None), &body.replace("\"cursor\"", "\"next_cursor\"")).expect(body);
        assert_eq!((page.next_cursor.as_deref(), page.cursor), (cursor, None), "{body}");
    }
}

#[test]
fn an_error_has_reason_and_offset_but_no_value() {
    let cases = [
        ("", "ends too early (at byte 0)"),
        ("[]", "is not a JSON object (at byte 0)"),
        (r#"{"records":[{"ts":20260101000000},{"a":"Ad"#, "ends in the middle of a record (at byte 42)"),
        (r#"{"records":[{"ts":20260101000000}] x"#, "has broken JSON (at byte 35)"),
        (r#"{"records":[5]}"#, "record 0 is not a JSON object (at byte 12)"),
        (r#"{"records":{}}"#, "has records that are not a list (at byte 11)"),
        (r#"{"records":[{"a":1e999}]}"#, "record 0 has a broken number (at byte 17)"),
        (r#"{"records":[{"a":"\ud800"}]}"#, "record 0 has a broken escape in a string (at byte 18)"),
        ("{\"a\":\"\n\"}", "has a control character in a string (at byte 6)"),
        (r#"{"cursor":7}"#, "has a cursor that is not text (at byte 10)"),
    ];
    for (body, expected) in cases {
        let mut decoder = decoder(&[("event_time", &["ts"], ValueForm::PackedTime)], Some(Tz::UTC));
        assert_eq!(read(&mut decoder, body).map(|page| page.rows), Err(expected.to_owned()), "{body}");
    }
    assert!(decoder(&[], None).decode(&Bytes::from_static(b"{\"a\":\"\xff\"}")).is_err());
    let mut zoneless = decoder(&[("event_time", &["ts"], ValueForm::PackedTime)], None);
    assert!(read(&mut zoneless, r#"{"records":[{"ts":20260101000000}]}"#).is_err());
}

#[test]
fn a_page_that_names_its_parts_otherwise_or_twice_is_told_of() {
    let oddity = |body: &str| read(&mut decoder(&[], None), body).expect(body).oddity;
    for body in [
        r#"{"status":"success"}"#,
        r#"{"status":"success","records":[{}],"took":5,"other":{"a":1}}"#,
        r#"{"status":"success","records":[],"previous_cursor":"a"}"#,
        r#"{"status":"success","next_cursor":"a","some_cursor":"b","message":"x"}"#,
        r#"{"status":"success","records":[{}],"has_more":false,"next":null,"nextPage":""}"#,
        r#"{"status":"success","cursor":"a","has_more":true}"#,
        r#"{"status":"success","records":[],"error":null,"code":200}"#,
    ] {
        assert_eq!(oddity(body), None, "{body}");
    }
    let twice = Some("a key is there twice");
    let more = Some("it says that there is more, and its cursor stands under another key");
    for (body, expected) in [
        (r#"{"records":[{}],"records":[]}"#, twice),
        (r#"{"status":"success","status":"fail"}"#, twice),
        (r#"{"next_cursor":"a","next_cursor":null}"#, twice),
        (r#"{"status":"success","recordz":[{}]}"#, Some("its records stand under another key")),
        (r#"{"status":"success","data":{"records":[]}}"#, Some("its records stand under another key")),
        (r#"{"records":[{}],"nextCursor":"a"}"#, more),
        (r#"{"records":[{}],"has_more":true}"#, more),
        (r#"{"records":[{}],"cursor":"b","next":{"page":2}}"#, more),
        (r#"{"records":[{}],"next":"b\n"}"#, more),
        (r#"{"records":[{}],"error":"shard 3 down"}"#, Some("it names an error")),
        (r#"{"error":{"a":1},"error":null}"#, Some("it names an error")),
        (r#"{"next_cursor":"a","code":2}"#, Some("it names an error")),
    ] {
        assert_eq!(oddity(body), expected, "{body}");
    }
}

#[test]
fn a_record_without_a_time_is_a_row_without_one() {
    let slots: &[(&str, &[&str], ValueForm)] =
        &[("event_time", &["ts"], ValueForm::PackedTime), ("event_date", &["ts"], ValueForm::PackedDay)];
    let page = r#"{"records":[{"ts":20260101000000},{"a":1},{"ts":20260101006000},{"ts":""},{"ts":null},{"ts":1767225600}]}"#;
    let page = read(&mut decoder(slots, Some(Tz::UTC)), page).expect("a page");
    assert_eq!((page.rows, page.mismatches), (6, vec![4, 4]));
    let times: Vec<_> = page.columns[0].as_primitive::<arrow::datatypes::TimestampSecondType>().iter().collect();
    assert_eq!(times, [Some(1_767_225_600), None, None, None, None, Some(1_767_225_600)]);
}

#[test]
fn the_first_element_of_a_list_with_a_value_counts() {
    let slots: &[(&str, &[&str], ValueForm)] = &[("d", &["objectId", "p/*/objectId"], ValueForm::Text)];
    let page = r#"{"records":[{"p":[{"platform":"iOS"},{"objectId":"d"},{"objectId":"e"}]},{"p":[{"objectId":null},[],5,{"a":[{}],"objectId":"f"}]},{"p":[]},{"p":[{}]}]}"#;
    let page = read(&mut decoder(slots, None), page).expect("a page");
    let found: Vec<_> = page.columns[0].as_string_view().iter().collect();
    assert_eq!(found, [Some("d"), Some("f"), None, None]);
}

#[test]
fn values_that_do_not_fit_are_null_and_counted() {
    let slots: &[(&str, &[&str], ValueForm)] = &[
        ("long", &["a"], ValueForm::Int64),
        ("float", &["a"], ValueForm::Float64),
        ("truth", &["a"], ValueForm::Boolean),
        ("date", &["a"], ValueForm::Date),
        ("list", &["a"], ValueForm::TextList),
        ("text", &["a"], ValueForm::Text),
    ];
    let page = r#"{"records":[{"a":"x"},{"a":1.5},{"a":9007199254740993},{"a":true},{"a":null},{},{"a":[[1]]},{"a":"007"}]}"#;
    let page = read(&mut decoder(slots, None), page).expect("a page");
    assert_eq!(page.mismatches, [5, 5, 5, 6, 1, 0]);
    let nulls: Vec<usize> = page.columns.iter().map(|column| column.null_count()).collect();
    assert_eq!(nulls, [7, 7, 7, 8, 3, 2]);
}

#[test]
fn nesting_is_bounded_as_in_serde_json() {
    for levels in [100, 123, 124, 125, 126, 127, 128, 129, 200] {
        for (path, open, close) in [("a", "[", "]"), ("b/c", "{\"k\":", "}")] {
            let value = format!("{}1{}", open.repeat(levels), close.repeat(levels));
            for body in [
                format!("{{\"records\":[{{\"{}\":{value}}}]}}", path.split('/').next_back().unwrap()),
                format!("{{\"records\":[],\"skipped\":{value}}}"),
                format!("{{\"records\":[{{\"b\":{{\"c\":{value}}}}}]}}"),
            ] {
                let read = read(&mut decoder(&[("x", &[path], ValueForm::Json)], None), &body);
                let is_valid = serde_json::from_str::<serde_json::Value>(&body).is_ok();
                assert_eq!(read.is_ok(), is_valid, "{levels} levels");
            }
        }
    }
}

#[test]
fn a_decoder_grows_and_shrinks_with_its_pages() {
    let slots: &[(&str, &[&str], ValueForm)] = &[
        ("n", &["n"], ValueForm::Int64),
        ("t", &["t"], ValueForm::Text),
        ("l", &["t"], ValueForm::TextList),
        ("w", &[""], ValueForm::Json),
    ];
    let mut decoder = decoder(slots, None);
    for rows in [0, 1, 63, 64, 65, 255, 256, 257, 1, 5_000, 700, 0] {
        let records: Vec<String> =
            (0..rows).map(|n| if n % 7 == 0 { "{}".to_owned() } else { format!("{{\"n\":{n},\"t\":\"text number {n}\"}}") }).collect();
        let page = read(&mut decoder, &format!("{{\"records\":[{}]}}", records.join(","))).expect("a page");
        assert_eq!((page.rows, page.columns.len()), (rows, 4));
        for (row, record) in records.iter().enumerate() {
            assert_eq!(page.columns[3].as_string_view().value(row), record);
            assert_eq!(page.columns[0].is_valid(row), row % 7 != 0);
            if row % 7 != 0 {
                assert_eq!(page.columns[1].as_string_view().value(row), format!("text number {row}"));
                assert_eq!(page.columns[2].as_list::<i32>().value(row).as_string_view().value(0), format!("text number {row}"));
            }
        }
    }
}

#[test]
fn no_slots_give_the_count_of_records() {
    let page = read(&mut decoder(&[], None), r#"{"records":[{},{"a":1},{"b":[{}]}]}"#).expect("a page");
    assert_eq!((page.rows, page.columns.len()), (3, 0));
}

#[test]
fn a_small_column_does_not_keep_the_page() {
    let page = format!("{{\"records\":[{{\"a\":\"a text of some length\",\"b\":\"{}\"}}]}}", "b".repeat(100_000));
    let page = read(&mut decoder(&[("a", &["a"], ValueForm::Text)], None), &page).expect("a page");
    assert!(page.columns[0].get_array_memory_size() < 1_000);
}

#[test]
fn a_decoder_is_send() {
    fn assert_send(_: impl Send) {}
    assert_send(decoder(&[], None));
}

#[test]
fn any_order_and_any_number_of_keys_is_read() {
    // More moves than are made per page, and more keys without a slot than are remembered.
    let record = |n: usize| {
        let mut members: Vec<String> = (0..100).map(|key| format!("\"unwanted {key}\":{n}")).collect();
        members.extend([format!("\"a\":{n}"), format!("\"b\":{{\"x\":\"{n}\",\"y\":{n}.5}}"), format!("\"c\":\"text {n}\"")]);
        let count = members.len();
        members.rotate_left(n * 37 % count);
        if n.is_multiple_of(3) {
            members.reverse();
        }
        format!("{{{}}}", members.join(","))
    };
    let slots: &[(&str, &[&str], ValueForm)] = &[
        ("a", &["a"], ValueForm::Int64),
        ("x", &["b/x"], ValueForm::Text),
        ("y", &["b/y"], ValueForm::Float64),
        ("c", &["c"], ValueForm::Text),
    ];
    let mut decoder = decoder(slots, None);
    for _ in 0..2 {
        let body = format!("{{\"records\":[{}]}}", (0..300).map(record).collect::<Vec<_>>().join(","));
        let page = read(&mut decoder, &body).expect("a page");
        for row in 0..300 {
            assert_eq!(page.columns[0].as_primitive::<arrow::datatypes::Int64Type>().value(row), row as i64);
            assert_eq!(page.columns[1].as_string_view().value(row), row.to_string());
            assert_eq!(page.columns[2].as_primitive::<arrow::datatypes::Float64Type>().value(row), row as f64 + 0.5);
            assert_eq!(page.columns[3].as_string_view().value(row), format!("text {row}"));
        }
    }
}
