//! Profiles: identifiers, multi-value properties, operators, NULLs, limits.

use arrow::array::*;
use arrow::datatypes::*;

use super::*;
use crate::table::Resend;

fn ints(values: &[Option<i64>]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn lists(rows: &[Option<Vec<Option<&str>>>]) -> ArrayRef {
    let mut builder = ListBuilder::new(StringBuilder::new());
    for row in rows {
        match row {
            Some(items) => builder.append_value(items.iter().copied()),
            None => builder.append_null(),
        }
    }
    Arc::new(builder.finish())
}

fn operator(name: &str, operand: ArrayRef) -> ArrayRef {
    let field = Field::new(name, operand.data_type().clone(), true);
    Arc::new(StructArray::new(vec![field].into(), vec![operand], None))
}

fn delete() -> Rules {
    Rules { nulls: Nulls::Delete, ..rules() }
}

#[test]
fn a_record_has_its_own_fields_first_and_its_properties_in_the_order_of_the_columns() {
    let batch = batch(&[
        ("Plan", words(&["gold", "free"])),
        ("event_time", ints(&[Some(1_767_225_600), None])),
        ("employed", Arc::new(BooleanArray::from(vec![Some(true), Some(false)]))),
        ("identity", words(&["u1", "u2"])),
        ("email", text(&[Some("a@example.org"), None])),
        ("MSG-sms", Arc::new(BooleanArray::from(vec![Some(false), None]))),
    ]);
    assert_eq!(
        written("profiles", &batch, &rules()).expect("written"),
        [
            r#"{"type":"profile","identity":"u1","ts":1767225600,"profileData":{"Plan":"gold","Employed":"Y","Email":"a@example.org","MSG-sms":false}}"#,
            r#"{"type":"profile","identity":"u2","profileData":{"Plan":"free","Employed":"N"}}"#,
        ]
    );
}

#[test]
fn a_profile_without_properties_is_written() {
    let batch = batch(&[("object_id", words(&["__g0"]))]);
    assert_eq!(written("profiles", &batch, &rules()).expect("written"), [r#"{"type":"profile","objectId":"__g0","profileData":{}}"#]);
    assert_eq!(lines(&encode("profiles", &batch.slice(0, 0), &rules()).expect("written")), Vec::<String>::new());
}

#[test]
fn identifiers_are_text_and_equal_ones_have_equal_hashes_whatever_their_type() {
    let dictionary: DictionaryArray<Int32Type> = ["42", "7", "42"].into_iter().collect();
    let arrays: [ArrayRef; 5] = [
        words(&["42", "7", "42"]),
        ints(&[Some(42), Some(7), Some(42)]),
        Arc::new(UInt8Array::from(vec![42, 7, 42])),
        Arc::new(dictionary),
        Arc::new(BinaryViewArray::from(vec![b"42".as_slice(), b"7", b"42"])),
    ];
    let mut seen = Vec::new();
    for array in arrays {
        let batch = batch(&[("identity", array)]);
        assert_eq!(written("profiles", &batch, &rules()).expect("written")[0], r#"{"type":"profile","identity":"42","profileData":{}}"#);
        let encoded = encode("profiles", &batch, &rules()).expect("written");
        let hashes: Vec<u64> = encoded.rows.iter().map(|row| if let Row::Record(record) = row { record.identity } else { 0 }).collect();
        assert!(hashes[0] == hashes[2] && hashes[0] != hashes[1]);
        seen.push(hashes);
        let Row::Record(first) = &encoded.rows[0] else { panic!("a record") };
        let mapping = mapping("profiles", &batch);
        assert_eq!(identifier_of(&mapping, &encoded.bytes[first.range()]).as_deref(), Some("42"));
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn with_several_identifier_columns_the_first_that_is_not_null_is_used() {
    let keys =
        batch(&[("identity", text(&[Some("a"), None, Some("c"), None])), ("object_id", text(&[Some("g1"), Some("g2"), None, None]))]);
    let mut columns: Vec<(&str, ArrayRef)> = vec![("Plan", words(&["p", "q", "r", "s"]))];
    columns.extend([("identity", Arc::clone(keys.column(0))), ("object_id", Arc::clone(keys.column(1)))]);
    let people = batch(&columns);
    let encoded = |table: &str, batch: &RecordBatch| {
        let mapping = Mapping::new(
            tables::find(table).expect("a table"),
            None,
            format!("clevertap.{table}"),
            &batch.schema(),
            IdentifierChoice::FirstThere,
        )
        .expect("a mapping");
        Encoder::new(&mapping, &batch.schema(), &rules()).and_then(|mut encoder| encoder.encode(batch)).expect("encoded")
    };
    assert_eq!(
        lines(&encoded("profiles", &people)),
        [
            r#"{"type":"profile","identity":"a","profileData":{"Plan":"p"}}"#,
            r#"{"type":"profile","objectId":"g2","profileData":{"Plan":"q"}}"#,
            r#"{"type":"profile","identity":"c","profileData":{"Plan":"r"}}"#,
            "CT-501 identity is NULL; expected an identifier. WHERE leaves such rows out",
        ]
    );
    let alone = batch(&[("identity", Arc::clone(keys.column(0))), ("Plan", words(&["p", "q", "r", "s"]))]);
    let of_one = encoded("profiles", &alone);
    assert_eq!(
        rejects(&of_one).iter().map(|reject| (reject.code, reject.column.as_str())).collect::<Vec<_>>(),
        [("CT-501", "identity"); 2]
    );
    let insert = encode("profiles", &alone, &rules()).expect("encoded");
    assert_eq!(lines(&of_one), lines(&insert));
}

#[test]
fn an_identifier_of_another_type_is_refused() {
    for data_type in [DataType::Boolean, DataType::Decimal256(10, 0), DataType::Date32] {
        let error = refused("profiles", &batch(&[("identity", new_empty_array(&data_type))]), &rules());
        assert!(error.contains("an identifier is text or a whole number; write CAST(\"identity\" AS text)"), "{error}");
    }
}

#[test]
fn a_whole_number_identifies_whatever_its_type_and_a_fraction_does_not() {
    let id = |id: &str| format!("{{\"type\":\"profile\",\"identity\":\"{id}\",\"profileData\":{{}}}}");
    let other = "CT-501 identity is no whole number, or has more digits than its type keeps; an identifier is text or a whole number";
    let doubles =
        Float64Array::from(vec![101.0, 640.0, -0.0, 1.5, f64::NAN, f64::INFINITY, 9_007_199_254_740_991.0, 9_007_199_254_740_992.0]);
    let decimals = Decimal128Array::from(vec![10_100, 10_150]).with_precision_and_scale(10, 2).expect("fits");
    for (ids, expected) in [
        (
            Arc::new(doubles) as ArrayRef,
            vec![id("101"), id("640"), id("0"), other.into(), other.into(), other.into(), id("9007199254740991"), other.into()],
        ),
        (Arc::new(decimals), vec![id("101"), other.into()]),
        (Arc::new(Float32Array::from(vec![16_777_215.0, 16_777_216.0])), vec![id("16777215"), other.into()]),
    ] {
        assert_eq!(written("profiles", &batch(&[("identity", ids)]), &rules()).expect("written"), expected);
    }
}

#[test]
fn rows_without_identifier_are_rejected_whether_first_last_or_all() {
    let good = |id: &str| format!("{{\"type\":\"profile\",\"identity\":\"{id}\",\"profileData\":{{}}}}");
    let null = "CT-501 identity is NULL; expected an identifier. WHERE leaves such rows out".to_owned();
    let empty = "CT-501 identity is empty; expected an identifier. WHERE leaves such rows out".to_owned();
    let cases = [
        (text(&[None, Some("b"), Some("")]), vec![null.clone(), good("b"), empty]),
        (text(&[None, None]), vec![null.clone(), null.clone()]),
        (Arc::new(NullArray::new(2)), vec![null.clone(), null]),
    ];
    for (ids, expected) in cases {
        assert_eq!(written("profiles", &batch(&[("identity", ids)]), &rules()).expect("written"), expected);
    }
    let long = written("profiles", &batch(&[("identity", words(&["x".repeat(1_025).as_str()]))]), &rules()).expect("written");
    assert_eq!(long, ["CT-502 identity has 1025 bytes; an identifier has 1024 at most"]);
}

#[test]
fn an_identifier_that_stands_for_no_value_is_rejected_in_every_type_of_text() {
    let marks = ["\\N", "NULL", "null", "None", "nan", "NaN", "N/A", "#N/A", "<NA>", "NA", "-", "?", "(null)"];
    let names = ["null-7", "nulls", "\\n", "Na", "none", "n", "NULL ", "--", "a\"b"];
    let all: Vec<&str> = marks.iter().chain(&names).copied().collect();
    let dictionary: DictionaryArray<Int32Type> = all.iter().copied().collect();
    let arrays: [ArrayRef; 4] =
        [words(&all), Arc::new(LargeStringArray::from(all.clone())), Arc::new(StringViewArray::from(all.clone())), Arc::new(dictionary)];
    for ids in arrays {
        for table in ["profiles", "demerges"] {
            let found = written(table, &batch(&[("identity", Arc::clone(&ids))]), &rules()).expect("written");
            for (at, mark) in marks.iter().enumerate() {
                assert!(
                    found[at].starts_with("CT-522 identity is a mark such as NULL or \\N, which stands for no value"),
                    "{mark}: {}",
                    found[at]
                );
            }
            assert!(found[marks.len()..].iter().all(|record| !record.starts_with("CT-")), "{found:?}");
        }
        let send = Rules { null_marks: NullMarks::Send, ..rules() };
        let found = written("profiles", &batch(&[("identity", Arc::clone(&ids))]), &send).expect("written");
        assert!(found[0].contains(r#""identity":"\\N""#) && found.iter().all(|record| !record.starts_with("CT-")), "{found:?}");
    }
    // So is one that is linked, and one among properties.
    let linked = batch(&[("identity", words(&["a"])), ("link_identity", words(&["NULL"]))]);
    assert!(written("profiles", &linked, &rules()).expect("written")[0].starts_with("CT-522 link_identity"));
}

#[test]
fn a_reject_names_the_first_column_at_fault_and_keeps_the_values_as_text() {
    let batch = batch(&[
        ("Score", Arc::new(Float64Array::from(vec![f64::NAN]))),
        ("identity", words(&["u\"1"])),
        ("event_time", ints(&[Some(1_767_225_600_000)])),
        ("Born", Arc::new(TimestampSecondArray::from(vec![i64::MAX]).with_timezone("Europe/Berlin"))),
        ("Plan", words(&["gold"])),
    ]);
    let encoded = encode("profiles", &batch, &rules()).expect("encodes");
    assert!(encoded.bytes.is_empty());
    assert_eq!(
        rejects(&encoded),
        [&Reject {
            code: "CT-506",
            column: "Score".into(),
            reason: "is NaN or infinite; expected a finite number. nullif or CASE leaves it out".into(),
            identifier: Some("u\"1".into()),
            record: r#"{"type":"profile","identity":"u\"1","ts":"1767225600000","profileData":{"Score":"NaN","Born":"9223372036854775807","Plan":"gold"}}"#.into(),
        }]
    );
}

#[test]
fn null_is_left_out_or_deletes_the_property_but_never_another_field() {
    let batch = batch(&[
        ("identity", words(&["u"])),
        ("event_time", ints(&[None])),
        ("link_identity", text(&[None])),
        ("Plan", text(&[None])),
        ("married", Arc::new(BooleanArray::from(vec![None]))),
        ("Tags", lists(&[None])),
        ("Visits", operator("$incr", ints(&[None]))),
        ("category_unsubscribe", text(&[None])),
    ]);
    assert_eq!(written("profiles", &batch, &rules()).expect("written"), [r#"{"type":"profile","identity":"u","profileData":{}}"#]);
    assert_eq!(
        written("profiles", &batch, &delete()).expect("written"),
        [r#"{"type":"profile","identity":"u","profileData":{"Plan":{"$delete":1},"Married":{"$delete":1},"Tags":{"$delete":1}}}"#]
    );
}

#[test]
fn lists_are_sets_of_text_whose_nulls_are_left_out() {
    let texts = lists(&[Some(vec![Some("a"), None, Some("b")]), Some(vec![]), Some(vec![Some("x"); 101])]);
    assert_eq!(
        properties_of("Tags", texts, &rules()).expect("written"),
        [
            r#"{"Tags":{"$set":["a","b"]}}"#,
            r#"{"Tags":{"$set":[]}}"#,
            "CT-513 Tags has 101 items; CleverTap takes 100. array_slice shortens a list"
        ]
    );
    let mut numbers = ListBuilder::new(Int16Builder::new());
    numbers.append_value([Some(1), None, Some(-2)]);
    assert_eq!(properties_of("Tags", Arc::new(numbers.finish()), &rules()).expect("written"), [r#"{"Tags":{"$set":["1","-2"]}}"#]);
    let mut truths = ListBuilder::new(BooleanBuilder::new());
    truths.append_value([Some(true)]);
    assert_eq!(properties_of("Tags", Arc::new(truths.finish()), &rules()).expect("written"), [r#"{"Tags":{"$set":["true"]}}"#]);
}

#[test]
fn operators_are_sent_as_such_and_only_increments_must_not_be_repeated() {
    let cases: [(&str, ArrayRef, &str, Resend); 7] = [
        ("$add", lists(&[Some(vec![Some("a"), None])]), r#"{"$add":["a"]}"#, Resend::Idempotent),
        ("$remove", lists(&[Some(vec![Some("a")])]), r#"{"$remove":["a"]}"#, Resend::Idempotent),
        ("$set", lists(&[Some(vec![])]), r#"{"$set":[]}"#, Resend::Idempotent),
        ("$incr", ints(&[Some(2)]), r#"{"$incr":2}"#, Resend::Appends),
        ("$decr", Arc::new(Float64Array::from(vec![0.5])), r#"{"$decr":0.5}"#, Resend::Appends),
        ("$delete", ints(&[Some(1)]), r#"{"$delete":1}"#, Resend::Idempotent),
        ("$delete", Arc::new(BooleanArray::from(vec![true])), r#"{"$delete":1}"#, Resend::Idempotent),
    ];
    for (name, operand, expected, resend) in cases {
        let array = operator(name, operand);
        assert_eq!(properties_of("X", Arc::clone(&array), &rules()).expect("written"), [format!("{{\"X\":{expected}}}")]);
        let encoded = encode("profiles", &profiles_of("X", array), &rules()).expect("written");
        let Row::Record(record) = &encoded.rows[0] else { panic!("a record") };
        assert_eq!(record.resend, resend, "{name}");
    }
    let nothing = encode("profiles", &profiles_of("X", operator("$incr", ints(&[None, Some(1)]))), &rules()).expect("written");
    let resends: Vec<Resend> =
        nothing.rows.iter().map(|row| if let Row::Record(record) = row { record.resend } else { panic!("a record") }).collect();
    assert_eq!(resends, [Resend::Idempotent, Resend::Appends]);
}

#[test]
fn an_operator_rejects_an_operand_and_refuses_a_type_that_it_does_not_accept() {
    let number = "CT-514 X has the operator $incr with something else than a number above 0; $incr adds and $decr subtracts";
    assert_eq!(properties_of("X", operator("$incr", ints(&[Some(0), Some(-1)])), &rules()).expect("written"), [number, number]);
    let one = "CT-514 X has the operator $delete with something else than 1; NULL leaves the property as it is";
    assert_eq!(properties_of("X", operator("$delete", ints(&[Some(0)])), &rules()).expect("written"), [one]);
    let nan = operator("$incr", Arc::new(Float32Array::from(vec![f32::NAN])));
    assert!(properties_of("X", nan, &rules()).expect("written")[0].starts_with("CT-506"));
    let many = operator("$add", lists(&[Some(vec![Some("x"); 101])]));
    assert!(properties_of("X", many, &rules()).expect("written")[0].starts_with("CT-513"));
    for (name, operand, expected) in [("$add", words(&["a"]), "as ct_add makes it"), ("$incr", words(&["1"]), "as ct_incr makes it")] {
        let error = refused("profiles", &profiles_of("X", operator(name, operand)), &rules());
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn long_texts_are_rejected_or_cut_at_a_character_and_counted() {
    let long = "é".repeat(300);
    let array = || words(&["short", &long, &long]);
    let reason = "CT-507 X has 600 bytes of text; CleverTap keeps 512. SET clevertap.long_values = 'cut' sends the first 512";
    assert_eq!(properties_of("X", array(), &rules()).expect("written"), [r#"{"X":"short"}"#, reason, reason]);
    let cut = Rules { long_values: LongValues::Cut, ..rules() };
    let odd = format!("a{long}");
    let expected = format!("{{\"X\":\"a{}\"}}", "é".repeat(255));
    assert_eq!(properties_of("X", words(&[&odd]), &cut).expect("written"), [expected]);
    let dictionary: DictionaryArray<Int32Type> = ["short", &long, &long].into_iter().collect();
    for array in [array(), Arc::new(dictionary) as ArrayRef, lists(&[None, Some(vec![Some(&long)]), Some(vec![Some("a"), Some(&long)])])] {
        let warnings = encode("profiles", &profiles_of("X", array), &cut).expect("written").warnings;
        assert_eq!((warnings.len(), warnings[0].code, warnings[0].rows, warnings[0].column.as_str()), (1, "CT-601", 2, "X"));
    }
    assert!(properties_of("X", words(&["x".repeat(512).as_str()]), &rules()).expect("written")[0].starts_with("{\"X\""));
}

#[test]
fn nested_values_are_json_text_or_objects_of_three_levels() {
    let leaf = operator("c", words(&["d"]));
    let two = operator("b", leaf);
    let nested = Rules { nested: true, ..rules() };
    let three = operator("a", Arc::clone(&two));
    assert_eq!(properties_of("X", Arc::clone(&three), &rules()).expect("written"), [r#"{"X":"{\"a\":{\"b\":{\"c\":\"d\"}}}"}"#]);
    assert_eq!(properties_of("X", Arc::clone(&three), &nested).expect("written"), [r#"{"X":{"a":{"b":{"c":"d"}}}}"#]);
    assert!(properties_of("X", operator("z", three), &nested).expect("written")[0].starts_with("CT-515 X is nested deeper than 3 levels"));
}

#[test]
fn an_object_field_is_an_object_whatever_its_arrow_type() {
    let object = operator("email", lists(&[Some(vec![Some("offers")])]));
    let expected = r#"{"category-unsubscribe":{"email":["offers"]}}"#;
    assert_eq!(properties_of("category_unsubscribe", object, &rules()).expect("written"), [expected]);
    let texts = words(&[" {\"email\" : [\"offers\"]} ", "[1]", "{"]);
    let reason = "CT-510 category_unsubscribe has a text that is not a JSON object; a struct or a map says it without quoting";
    assert_eq!(properties_of("category_unsubscribe", texts, &rules()).expect("written"), [expected, reason, reason]);
}

#[test]
fn a_token_has_no_length_limit_and_is_required() {
    let long = "t".repeat(600);
    let batch = batch(&[
        ("object_id", words(&["o1", "o2"])),
        ("token", text(&[Some(&long), None])),
        ("token_type", words(&["fcm", "chrome"])),
        ("keys", text(&[None, Some("{\"p256dh\":\"x\"}")])),
    ]);
    let found = written("device_tokens", &batch, &rules()).expect("written");
    assert_eq!(found[0], format!("{{\"type\":\"token\",\"objectId\":\"o1\",\"tokenData\":{{\"id\":\"{long}\",\"type\":\"fcm\"}}}}"));
    assert_eq!(found[1], "CT-517 token is NULL; every record has this field. WHERE leaves such rows out");
}

#[test]
fn a_linked_identity_is_text_or_left_out_but_never_empty() {
    assert_eq!(properties_of("link_identity", ints(&[Some(7), None]), &delete()).expect("written"), [r#"{"identity":"7"}"#, "{}"]);
    let empty = "CT-501 link_identity is empty; expected an identifier. WHERE leaves such rows out";
    assert_eq!(properties_of("link_identity", words(&[""]), &rules()).expect("written"), [empty]);
}

#[test]
fn a_dictionary_rejects_the_rows_that_refer_to_a_value_at_fault_and_no_others() {
    let values = Arc::new(Float64Array::from(vec![Some(1.5), Some(f64::INFINITY), None])) as ArrayRef;
    let dictionary = DictionaryArray::<UInt8Type>::new(UInt8Array::from(vec![Some(0), Some(1), Some(2), None, Some(0)]), values);
    let found = properties_of("X", Arc::new(dictionary), &rules()).expect("written");
    let codes: Vec<&str> = found.iter().map(|line| code(line)).collect();
    assert_eq!(codes, [r#"{"X":1.5}"#, "CT-506", "{}", "{}", r#"{"X":1.5}"#]);
}
