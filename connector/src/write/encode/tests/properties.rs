//! `properties`: a struct, a map or JSON text with keys that become fields beside the other columns.

use arrow::array::*;
use arrow::buffer::NullBuffer;
use arrow::datatypes::*;
use proptest::prelude::*;
use proptest::test_runner::Config;

use super::*;

fn map(rows: &[&[(&str, Option<&str>)]]) -> ArrayRef {
    let mut builder = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    for row in rows {
        for (key, value) in *row {
            builder.keys().append_value(key);
            builder.values().append_option(*value);
        }
        builder.append(true).expect("a map");
    }
    Arc::new(builder.finish())
}

fn fields(columns: Vec<(&str, ArrayRef)>, valid: Vec<bool>) -> ArrayRef {
    let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) =
        columns.into_iter().map(|(name, array)| (Field::new(name, array.data_type().clone(), true), array)).unzip();
    Arc::new(StructArray::new(fields.into(), arrays, Some(NullBuffer::from(valid))))
}

#[test]
fn the_same_keys_become_the_same_fields_whatever_their_arrow_type() {
    let cases = [
        (map(&[&[("email", Some("a@b")), ("Plan", Some("gold")), ("Left", None)]]), "map"),
        (words(&["{\"email\":\"a@b\",\"Plan\":\"gold\",\"Left\":null}"]), "text"),
        (fields(vec![("email", words(&["a@b"])), ("Plan", words(&["gold"])), ("Left", text(&[None]))], vec![true]), "struct"),
    ];
    for (array, kind) in cases {
        assert_eq!(
            properties_of("properties", Arc::clone(&array), &rules()).expect("written"),
            [r#"{"Email":"a@b","Plan":"gold"}"#],
            "{kind}"
        );
        let delete = Rules { nulls: Nulls::Delete, ..rules() };
        let expected = r#"{"Email":"a@b","Plan":"gold","Left":{"$delete":1}}"#;
        assert_eq!(properties_of("properties", array, &delete).expect("written"), [expected], "{kind}");
    }
}

#[test]
fn a_struct_that_is_null_has_no_fields_even_where_its_children_have_values() {
    let array = fields(vec![("Plan", words(&["a", "b", "c"])), ("Age", Arc::new(Int8Array::from(vec![1, 2, 3])))], vec![true, false, true]);
    let expected = [r#"{"Plan":"a","Age":1}"#, "{}", r#"{"Plan":"c","Age":3}"#];
    assert_eq!(properties_of("properties", Arc::clone(&array), &rules()).expect("written"), expected);
    let keys = Int8Array::from(vec![Some(2), None, Some(0), Some(1)]);
    let dictionary: ArrayRef = Arc::new(DictionaryArray::<Int8Type>::new(keys, array));
    let expected = [r#"{"Plan":"c","Age":3}"#, "{}", r#"{"Plan":"a","Age":1}"#, "{}"];
    assert_eq!(properties_of("properties", dictionary, &rules()).expect("written"), expected);
}

#[test]
fn json_values_are_written_by_the_rules_of_columns() {
    let cases = [
        (r#"{"N":123456789012345678901234567890.10}"#, r#"{"N":123456789012345678901234567890.10}"#),
        (r#"{"married":true,"MSG-sms":true}"#, r#"{"Married":"Y","MSG-sms":true}"#),
        (r#"{"Tags":["a",1,null,true]}"#, r#"{"Tags":{"$set":["a","1","true"]}}"#),
        (r#"{"V":{"$incr": 2}}"#, r#"{"V":{"$incr":2}}"#),
        (r#"{"V":{"$delete": 1}}"#, r#"{"V":{"$delete":1}}"#),
        (r#"{"V":{"$add": ["a"]},"W":{"$set":null}}"#, r#"{"V":{"$add":["a"]}}"#),
        (r#"{"V":{"a": [1, {"b":2}]}}"#, r#"{"V":"{\"a\":[1,{\"b\":2}]}"}"#),
        (r#"{"V":[{"b":2}]}"#, r#"{"V":"[{\"b\":2}]"}"#),
        (r#"{"category-unsubscribe":{"email":["x"]}}"#, r#"{"category-unsubscribe":{"email":["x"]}}"#),
        (r#"{"link_identity":7}"#, r#"{"identity":"7"}"#),
        (r"{}", r"{}"),
    ];
    for (text, expected) in cases {
        assert_eq!(properties_of("properties", words(&[text]), &rules()).expect("written"), [expected]);
    }
    let nested = Rules { nested: true, ..rules() };
    assert_eq!(
        properties_of("properties", words(&[r#"{"V":{"a": [1, {"b":2}]}}"#, r#"{"V":{"a":[[[1]]]}}"#]), &nested).expect("written"),
        [
            r#"{"V":{"a":[1,{"b":2}]}}"#,
            "CT-515 properties at the key \"V\" is nested deeper than 3 levels; send the inner part as text or as columns of its own"
        ]
    );
}

#[test]
fn a_key_that_cannot_be_a_name_rejects_its_row_alone() {
    let long = format!("{{\"{}\":1}}", "k".repeat(121));
    let cases = [
        (r#"{"a.b":1}"#, "CT-511 properties has the key \"a.b\", which has characters in its name"),
        (r#"{"":1}"#, "CT-511 properties has the key \"\", which has no name"),
        (&long, "CT-511 properties has the key"),
        (r#"{"identity":"x"}"#, "CT-511 properties has the key \"identity\", which would link two people for ever"),
        (r#"{"a":1,"a":2}"#, "CT-518 properties has the key \"a\" twice in one object"),
        (r#"{"email":1,"Email":2}"#, "CT-518 properties has the key \"Email\", which the row has already"),
        ("[1]", "CT-510 properties has a text that is not a JSON object"),
        ("null", "CT-510"),
        ("{", "CT-510"),
        (r#"{"V":{"$incr":0}}"#, "CT-514 properties at the key \"V\" has the operator $incr"),
        (r#"{"V":{"$delete":0}}"#, "CT-514"),
        (r#"{"link_identity":""}"#, "CT-501"),
    ];
    for (text, expected) in cases {
        let found = properties_of("properties", words(&["{\"a\":1}", text, "{\"b\":2}"]), &rules()).expect("written");
        assert!(found[1].starts_with(expected), "{text}: {}", found[1]);
        assert_eq!((found[0].as_str(), found[2].as_str()), ("{\"a\":1}", "{\"b\":2}"));
    }
    let found = properties_of("properties", fields(vec![("a.b", text(&[Some("x"), None]))], vec![true, true]), &rules()).expect("written");
    assert!(found[0].starts_with("CT-511") && found[1] == "{}", "{found:?}");
}

#[test]
fn a_key_that_a_column_has_already_rejects_the_row_and_says_which() {
    let of = |properties: ArrayRef| {
        batch(&[("identity", words(&["u"])), ("Mail", words(&["x"])), ("EMAIL", words(&["y"])), ("properties", properties)])
    };
    let expected = "CT-518 properties has the key \"Email\", which column \"EMAIL\" has already; leave one of them out";
    for properties in [map(&[&[("e-mail", Some("x"))]]), words(&["{\"Email\":1}"]), fields(vec![("email", words(&["x"]))], vec![true])] {
        assert_eq!(written("profiles", &of(properties), &rules()).expect("written"), [expected]);
    }
}

#[test]
fn keys_of_a_struct_are_checked_wherever_some_rows_have_none() {
    let cases = [("a.b", "CT-511"), ("identity", "CT-511"), ("email", "CT-518 properties has the key \"Email\", which column \"EMAIL\"")];
    for (key, expected) in cases {
        let array = fields(vec![(key, words(&["x", "y", "z"])), ("Plan", words(&["a", "b", "c"]))], vec![true, false, true]);
        let keys = Int8Array::from(vec![Some(0), None, Some(1), Some(2)]);
        let dictionary: ArrayRef = Arc::new(DictionaryArray::<Int8Type>::new(keys, ArrayRef::clone(&array)));
        for (properties, good) in [(array, vec![1]), (dictionary, vec![1, 2])] {
            let ids: Vec<String> = (0..properties.len()).map(|at| format!("p{at}")).collect();
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            let mails = words(&vec!["m@x"; ids.len()]);
            let of = batch(&[("identity", words(&ids)), ("EMAIL", mails), ("properties", properties)]);
            for (row, line) in written("profiles", &of, &rules()).expect("written").into_iter().enumerate() {
                assert_eq!(line.starts_with(expected), !good.contains(&row), "{key}, row {row}: {line}");
            }
        }
    }
}

#[test]
fn a_number_that_no_double_holds_rejects_its_row() {
    let found =
        properties_of("properties", words(&[r#"{"n":1e308}"#, r#"{"n":1e999}"#, r#"{"n":{"$incr":-1E400}}"#]), &rules()).expect("written");
    assert_eq!(found[0], r#"{"n":1e308}"#);
    assert!(found[1].starts_with("CT-5") && found[2].starts_with("CT-5"), "{found:?}");
}

#[test]
fn a_key_may_have_a_name_that_a_column_may_not() {
    assert_eq!(properties_of("properties", words(&[r#"{"column1":1}"#]), &rules()).expect("written"), [r#"{"column1":1}"#]);
}

#[test]
fn a_reject_keeps_properties_as_they_were_and_a_limit_counts_them() {
    let encoded = encode("profiles", &profiles_of("properties", words(&["{\"a.b\":1}"])), &rules()).expect("encodes");
    assert_eq!(rejects(&encoded)[0].record, r#"{"type":"profile","identity":"p0","profileData":{"properties":"{\"a.b\":1}"}}"#);
    let many: Vec<String> = (0..257).map(|at| format!("\"k{at}\":{at}")).collect();
    let found = properties_of("properties", words(&[&format!("{{{}}}", many.join(","))]), &rules()).expect("written");
    assert!(found[0].starts_with("CT-512 properties brings the row to 257 fields; CleverTap takes 256"), "{}", found[0]);
}

#[test]
fn two_columns_may_unfold_but_not_one_key() {
    let of = |key: &str| {
        batch(&[
            ("identity", words(&["u"])),
            ("properties", map(&[&[("a", Some("1"))]])),
            ("Properties", fields(vec![(key, words(&["2"]))], vec![true])),
        ])
    };
    assert_eq!(
        written("profiles", &of("b"), &rules()).expect("written"),
        [r#"{"type":"profile","identity":"u","profileData":{"a":"1","b":"2"}}"#]
    );
    assert!(
        written("profiles", &of("a"), &rules()).expect("written")[0]
            .starts_with("CT-518 Properties has the key \"a\", which the row has already")
    );
}

#[test]
fn properties_of_an_event_take_no_operator_and_no_items_but_those_of_charged() {
    let of = |text: &str| {
        batch(&[("identity", words(&["u"])), ("event_time", Arc::new(Int64Array::from(vec![1]))), ("properties", words(&[text]))])
    };
    let data = |table: &str, text: &str| {
        let line = written(table, &of(text), &rules()).expect("written").remove(0);
        line.split_once("\"evtData\":").map_or(line.clone(), |(_, data)| data.to_owned())
    };
    assert_eq!(data("events.Viewed", r#"{"Tags":["a"],"name":"x"}"#), r#"{"Tags":"[\"a\"]","name":"x"}}"#);
    assert!(data("events.Viewed", r#"{"V":{"$incr":1}}"#).starts_with("CT-511 properties at the key \"V\" holds the operator $incr"));
    assert!(data("events.Viewed", r#"{"items":[{"a":1}]}"#).starts_with("CT-516"));
    assert_eq!(data("events.Charged", r#"{"items":[{"a":1}]}"#), r#"{"Items":[{"a":1}]}}"#);
}

/// Texts that are JSON, nearly JSON, and anything.
fn texts() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i128>().prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| format!("{n:e}")),
        "[ -~é\u{1F600}\x00-\x1f]{0,6}".prop_map(|text| serde_json::to_string(&text).expect("text")),
        "\"\\\\u[0-9a-f]{4}\"",
    ];
    let key = prop_oneof![Just("email"), Just("$add"), Just("$incr"), Just("$delete"), Just("a"), Just("b"), Just("items"), Just("a.b")];
    let value = scalar.prop_recursive(3, 12, 3, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(" , "))),
            prop::collection::vec((key.clone(), inner), 0..4).prop_map(|pairs| format!(
                "{{{}}}",
                pairs.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect::<Vec<_>>().join(", ")
            )),
        ]
    });
    prop_oneof![value, "[\\[{}\\]\",:0-9a-z \\\\]{0,12}", any::<String>()]
}

proptest! {
    #![proptest_config(Config { cases: 256, failure_persistence: None, ..Config::default() })]

    #[test]
    fn for_any_text_as_properties_a_record_is_json_or_the_row_is_rejected(texts in prop::collection::vec(texts(), 1..4), nested: bool) {
        let rules = Rules { nested, ..rules() };
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let properties = || ("properties", words(&texts));
        let of = |time: bool| {
            let mut columns = vec![("identity", words(&vec!["u"; texts.len()])), properties()];
            columns.extend(time.then(|| ("event_time", Arc::new(Int8Array::from(vec![1; texts.len()])) as ArrayRef)));
            batch(&columns)
        };
        for (table, time) in [("profiles", false), ("events.Charged", true)] {
            for line in written(table, &of(time), &rules).expect("text is always a type of properties") {
                let parsed = serde_json::from_str::<std::collections::BTreeMap<String, &serde_json::value::RawValue>>(&line);
                prop_assert!(parsed.is_ok() || line.starts_with("CT-5"), "{}", line);
            }
        }
    }
}

#[test]
fn a_batch_of_other_types_than_announced_is_written_by_its_own_types() {
    let announced = profiles_of("X", words(&["a"]));
    let mut encoder = Encoder::new(&mapping("profiles", &announced), &announced.schema(), &rules()).expect("compiles");
    let mut list = ListBuilder::new(StringBuilder::new());
    list.append_value([Some("a")]);
    for (array, expected) in [
        (Arc::new(StringViewArray::from(vec!["a"])) as ArrayRef, r#"{"X":"a"}}"#),
        (Arc::new(list.finish()), r#"{"X":{"$set":["a"]}}}"#),
        (words(&["a"]), r#"{"X":"a"}}"#),
    ] {
        let found = lines(&encoder.encode(&profiles_of("X", array)).expect("written")).remove(0);
        assert!(found.ends_with(expected), "{found}");
    }
    let error = encoder.encode(&profiles_of("X", new_empty_array(&DataType::Duration(TimeUnit::Second)))).expect_err("refused").to_string();
    assert!(error.contains("write CAST(\"X\" AS text)"), "{error}");
}
