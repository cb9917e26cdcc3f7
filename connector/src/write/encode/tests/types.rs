//! Every Arrow type: how its values are written, or which remedy the refusal names.

use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::*;

use super::*;

type Half = <Float16Type as ArrowPrimitiveType>::Native;

fn array(array: impl Array + 'static) -> ArrayRef {
    Arc::new(array)
}

fn list_of(items: &ArrayRef) -> FieldRef {
    Arc::new(Field::new("item", items.data_type().clone(), true))
}

fn pair() -> StructArray {
    let fields = vec![Field::new("a", DataType::Utf8, true), Field::new("b", DataType::Int64, true)];
    let columns = vec![text(&[Some("x\""), None, Some("z")]), array(Int64Array::from(vec![Some(1), Some(2), None]))];
    StructArray::new(fields.into(), columns, Some(NullBuffer::from(vec![true, false, true])))
}

fn map() -> MapArray {
    let mut builder = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    builder.keys().append_value("k");
    builder.values().append_value(1);
    builder.keys().append_value("n");
    builder.values().append_null();
    builder.append(true).expect("a map");
    builder.append(false).expect("a map");
    builder.append(true).expect("a map");
    builder.finish()
}

fn letters() -> ArrayRef {
    text(&[Some("a"), None, Some("b"), Some("c")])
}

type Cases = Vec<(ArrayRef, &'static [&'static str])>;

/// Each value as property `X`: its JSON, nothing for NULL, or the code of the reject.
fn check(cases: Cases) {
    for (array, expected) in cases {
        let data_type = array.data_type().to_string();
        let expected: Vec<String> = expected
            .iter()
            .map(|value| if value.is_empty() || value.starts_with("CT-") { (*value).into() } else { format!("{{\"X\":{value}}}") })
            .collect();
        let found = properties_of("X", array, &rules()).expect("written");
        let shorten = |line: String| {
            if line == "{}" {
                String::new()
            } else if line.starts_with('{') {
                line
            } else {
                code(&line).into()
            }
        };
        let found: Vec<String> = found.into_iter().map(shorten).collect();
        assert_eq!(found, expected, "{data_type}");
    }
}

#[test]
fn booleans_and_numbers_are_written_with_all_their_digits() {
    check(vec![
        (array(NullArray::new(2)), &["", ""]),
        (array(BooleanArray::from(vec![Some(true), None, Some(false)])), &["true", "", "false"]),
        (array(Int8Array::from(vec![Some(i8::MIN), None, Some(7)])), &["-128", "", "7"]),
        (array(Int16Array::from(vec![i16::MIN])), &["-32768"]),
        (array(Int32Array::from(vec![i32::MAX])), &["2147483647"]),
        (array(Int64Array::from(vec![i64::MIN, i64::MAX])), &["-9223372036854775808", "9223372036854775807"]),
        (array(UInt8Array::from(vec![255])), &["255"]),
        (array(UInt16Array::from(vec![65_535])), &["65535"]),
        (array(UInt32Array::from(vec![u32::MAX])), &["4294967295"]),
        (array(UInt64Array::from(vec![u64::MAX])), &["18446744073709551615"]),
        (array(Float16Array::from(vec![Half::from_f32(0.1), Half::from_f32(-2.0)])), &["0.1", "-2.0"]),
        (array(Float32Array::from(vec![0.1, f32::MIN_POSITIVE])), &["0.1", "1.1754944e-38"]),
        (array(Float64Array::from(vec![Some(0.1), None, Some(-0.0), Some(1e300)])), &["0.1", "", "-0.0", "1e+300"]),
        (array(Decimal32Array::from(vec![-123]).with_precision_and_scale(5, 2).expect("fits")), &["-1.23"]),
        (array(Decimal64Array::from(vec![5]).with_precision_and_scale(10, 4).expect("fits")), &["0.0005"]),
        (
            array(
                Decimal128Array::from(vec![12_345_678_901_234_567_890_123_456_789_012_345_678])
                    .with_precision_and_scale(38, 1)
                    .expect("fits"),
            ),
            &["1234567890123456789012345678901234567.8"],
        ),
        (array(Decimal128Array::from(vec![12, 0]).with_precision_and_scale(5, -3).expect("fits")), &["12000", "0"]),
        (array(Decimal256Array::from(vec![i256::MINUS_ONE]).with_precision_and_scale(70, 70).expect("fits")), &[SMALL]),
    ]);
}

#[test]
fn texts_bytes_and_dictionaries_and_runs_of_them_are_written_as_text() {
    check(vec![
        (
            array(StringArray::from(vec![Some("\u{1}\n\"\\é\u{1F600}/"), None, Some("")])),
            &["\"\\u0001\\n\\\"\\\\é\u{1F600}/\"", "", "\"\""],
        ),
        (array(LargeStringArray::from(vec!["large"])), &["\"large\""]),
        (
            array(StringViewArray::from(vec![Some("short"), None, Some("longer than twelve bytes")])),
            &["\"short\"", "", "\"longer than twelve bytes\""],
        ),
        (array(BinaryArray::from(vec![Some(b"ab".as_slice()), None, Some(b"\xff")])), &["\"ab\"", "", "CT-509"]),
        (array(LargeBinaryArray::from(vec![b"ab".as_slice()])), &["\"ab\""]),
        (array(BinaryViewArray::from(vec![b"ab".as_slice(), b"\xc3"])), &["\"ab\"", "CT-509"]),
        (array(FixedSizeBinaryArray::try_from_iter([b"ab", b"cd"].into_iter()).expect("fits")), &["\"ab\"", "\"cd\""]),
        (
            array(DictionaryArray::<Int8Type>::new(Int8Array::from(vec![Some(1), None, Some(0), Some(3), Some(2)]), letters())),
            &["", "", "\"a\"", "\"c\"", "\"b\""],
        ),
        (array(DictionaryArray::<UInt64Type>::new(UInt64Array::from(vec![3]), letters())), &["\"c\""]),
        (
            array(
                RunArray::<Int16Type>::try_new(&Int16Array::from(vec![2, 3, 6]), &StringArray::from(vec![Some("x"), None, Some("y")]))
                    .expect("runs"),
            ),
            &["\"x\"", "\"x\"", "", "\"y\"", "\"y\"", "\"y\""],
        ),
        (array(RunArray::<Int64Type>::try_new(&Int64Array::from(vec![1, 2]), &Int8Array::from(vec![1, 2])).expect("runs")), &["1", "2"]),
    ]);
}

#[test]
fn dates_and_timestamps_are_written_as_epoch_seconds() {
    check(vec![
        (
            array(Date32Array::from(vec![Some(0), None, Some(-719_162), Some(i32::MAX)])),
            &["\"$D_-19800\"", "", "\"$D_-62135618008\"", "CT-508"],
        ),
        (array(Date64Array::from(vec![86_400_000, -1])), &["\"$D_66600\"", "\"$D_-106200\""]),
        (array(TimestampSecondArray::from(vec![Some(31_536_000), None, Some(i64::MAX)])), &["\"$D_031536000\"", "", "CT-508"]),
        (array(TimestampMillisecondArray::from(vec![-1, 1_999])), &["\"$D_-1\"", "\"$D_1\""]),
        (array(TimestampMicrosecondArray::from(vec![-1_000_001]).with_timezone("Europe/Berlin")), &["\"$D_-2\""]),
        (array(TimestampNanosecondArray::from(vec![1_767_225_600_999_999_999]).with_timezone("+02:00")), &["\"$D_1767225600\""]),
    ]);
}

#[test]
fn lists_are_multi_value_properties_and_structs_and_maps_are_json_text() {
    let nulls = || Some(NullBuffer::from(vec![true, false, true]));
    check(vec![
        (
            array(ListArray::new(list_of(&letters()), OffsetBuffer::from_lengths([2, 1, 1]), letters(), nulls())),
            &["{\"$set\":[\"a\"]}", "", "{\"$set\":[\"c\"]}"],
        ),
        (
            array(LargeListArray::new(list_of(&letters()), OffsetBuffer::from_lengths([0, 4]), letters(), None)),
            &["{\"$set\":[]}", "{\"$set\":[\"a\",\"b\",\"c\"]}"],
        ),
        (array(FixedSizeListArray::new(list_of(&letters()), 2, letters(), None)), &["{\"$set\":[\"a\"]}", "{\"$set\":[\"b\",\"c\"]}"]),
        (
            array(ListViewArray::new(list_of(&letters()), ScalarBuffer::from(vec![2, 0]), ScalarBuffer::from(vec![2, 1]), letters(), None)),
            &["{\"$set\":[\"b\",\"c\"]}", "{\"$set\":[\"a\"]}"],
        ),
        (
            array(LargeListViewArray::new(list_of(&letters()), ScalarBuffer::from(vec![0]), ScalarBuffer::from(vec![4]), letters(), None)),
            &["{\"$set\":[\"a\",\"b\",\"c\"]}"],
        ),
        (array(pair()), &["\"{\\\"a\\\":\\\"x\\\\\\\"\\\",\\\"b\\\":1}\"", "", "\"{\\\"a\\\":\\\"z\\\"}\""]),
        (array(map()), &["\"{\\\"k\\\":1}\"", "", "\"{}\""]),
    ]);
}

const SMALL: &str = "-0.0000000000000000000000000000000000000000000000000000000000000000000001";

#[test]
fn a_type_that_clevertap_has_no_value_for_is_refused_with_a_cast() {
    let union = UnionFields::try_new(vec![0], vec![Field::new("a", DataType::Int32, true)]).expect("a union");
    let inside = |data_type: DataType| Arc::new(Field::new("inside", data_type, true));
    let time = DataType::Time64(TimeUnit::Nanosecond);
    let types = [
        DataType::Time32(TimeUnit::Second),
        time.clone(),
        DataType::Duration(TimeUnit::Second),
        DataType::Interval(IntervalUnit::YearMonth),
        DataType::Interval(IntervalUnit::DayTime),
        DataType::Interval(IntervalUnit::MonthDayNano),
        DataType::Union(union, UnionMode::Dense),
        DataType::List(inside(time.clone())),
        DataType::LargeListView(inside(time.clone())),
        DataType::Struct(vec![inside(time.clone())].into()),
        DataType::Dictionary(Box::new(DataType::Int8), Box::new(time)),
    ];
    for data_type in types {
        let error = refused("profiles", &profiles_of("X", new_empty_array(&data_type)), &rules());
        assert!(error.starts_with("clevertap.profiles: column \"X\" has the type "), "{error}");
        assert!(error.contains("write CAST(\"X\" AS text)"), "{error}");
    }
}

#[test]
fn a_record_without_constant_keys_begins_with_its_first_field() {
    let addresses =
        [("type", words(&["email", "phone"])), ("value", words(&["a@example.org", "+91"])), ("status", words(&["Unsubscribe"; 2]))];
    assert_eq!(
        written("subscriptions", &batch(&addresses), &rules()).expect("written"),
        [r#"{"value":"a@example.org","type":"email","status":"Unsubscribe"}"#, r#"{"value":"+91","type":"phone","status":"Unsubscribe"}"#,]
    );
    let members = [("list_name", words(&["VIP", "VIP"])), ("identity", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef)];
    for record in written("custom_lists", &batch(&members), &rules()).expect("written") {
        serde_json::from_str::<std::collections::BTreeMap<String, String>>(&record).expect("an object of texts");
    }
}
