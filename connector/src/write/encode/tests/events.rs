//! Events: names, times, items; lists and structs as text; too many properties.

use arrow::array::*;
use arrow::datatypes::*;

use super::*;
use crate::table::Resend;

fn instants(values: &[Option<i64>]) -> ArrayRef {
    Arc::new(TimestampMillisecondArray::from(values.to_vec()).with_timezone("UTC"))
}

fn event(columns: &[(&str, ArrayRef)]) -> RecordBatch {
    let rows = columns[0].1.len();
    let mut all = vec![("identity", words(&vec!["u"; rows])), ("event_time", instants(&vec![Some(1_000); rows]))];
    all.extend(columns.iter().map(|(name, array)| (*name, Arc::clone(array))));
    batch(&all)
}

fn items(rows: &[Option<&[(&str, i64)]>]) -> ArrayRef {
    let fields = vec![Field::new("Name", DataType::Utf8, true), Field::new("Quantity", DataType::Int64, true)];
    let mut builder = ListBuilder::new(StructBuilder::from_fields(fields, 0));
    for row in rows {
        for (name, quantity) in row.unwrap_or_default() {
            builder.values().field_builder::<StringBuilder>(0).expect("text").append_value(name);
            builder.values().field_builder::<Int64Builder>(1).expect("integers").append_value(*quantity);
            builder.values().append(true);
        }
        builder.append(row.is_some());
    }
    Arc::new(builder.finish())
}

#[test]
fn an_event_has_its_name_from_the_table_or_from_a_column() {
    let named = event(&[("Amount", Arc::new(Float64Array::from(vec![9.5])) as ArrayRef)]);
    let expected = r#"{"type":"event","identity":"u","ts":1,"evtName":"Viewed Item","evtData":{"Amount":9.5}}"#;
    assert_eq!(written("events.Viewed Item", &named, &rules()).expect("written"), [expected]);
    let column = event(&[("Amount", Arc::new(Float64Array::from(vec![9.5])) as ArrayRef), ("event_name", words(&["Viewed Item"]))]);
    assert_eq!(written("events", &column, &rules()).expect("written"), [expected]);
    let Row::Record(record) = &encode("events", &column, &rules()).expect("written").rows[0] else { panic!("a record") };
    assert_eq!(record.resend, Resend::Appends);
}

#[test]
fn a_name_that_no_event_may_have_is_rejected_or_refused() {
    let long = "n".repeat(513);
    let names = text(&[None, Some(" "), Some(&long), Some("a.b$"), Some("fine")]);
    let found = written("events", &event(&[("event_name", names)]), &rules()).expect("written");
    let expected = [
        "CT-505 event_name is NULL; expected the name of an event",
        "CT-505 event_name is empty; expected the name of an event",
        "CT-505 event_name has 513 bytes; the name of an event has 512 at most",
        "CT-505 event_name has characters that the name of an event does not take: . $; translate replaces them",
        r#"{"type":"event","identity":"u","ts":1,"evtName":"fine","evtData":{}}"#,
    ];
    assert_eq!(found, expected);
    let error = refused("events.a|b", &event(&[("Amount", words(&["x"]))]), &rules());
    assert!(error.contains("the name of the event has characters that the name of an event does not take: |"), "{error}");
}

#[test]
fn an_event_time_is_an_instant_or_epoch_seconds() {
    let of = |array: ArrayRef, rules: &Rules| {
        let found = written("events.Viewed", &batch(&[("identity", words(&vec!["u"; array.len()])), ("event_time", array)]), rules);
        let time = |line: String| {
            line.split_once("\"ts\":").map_or(line.clone(), |(_, rest)| rest.split(',').next().unwrap_or_default().to_owned())
        };
        found.expect("written").into_iter().map(time).collect::<Vec<_>>()
    };
    assert_eq!(of(instants(&[Some(-1), Some(1_767_225_600_999)]), &rules()), ["-1", "1767225600"]);
    assert_eq!(of(Arc::new(UInt32Array::from(vec![1_767_225_600])), &rules()), ["1767225600"]);
    let milliseconds = "CT-504 event_time is above 9999999999 and looks like milliseconds; expected epoch seconds. Divide it by 1000, or use to_timestamp_millis";
    assert_eq!(of(Arc::new(Int64Array::from(vec![9_999_999_999, 10_000_000_000])), &rules()), ["9999999999", milliseconds]);
    assert_eq!(of(Arc::new(UInt64Array::from(vec![u64::MAX])), &rules()), [milliseconds]);
    let day = "CT-504 event_time looks like a day of the calendar, written as a number; expected epoch seconds. Read it with ct_event_time, its format \
               ('yyyymmdd' or 'yyyymmddhh') and its zone";
    let minutes = day.replace("'yyyymmdd' or 'yyyymmddhh'", "'yyyymmddhhmi'");
    let seconds_of_day = day.replace("'yyyymmdd' or 'yyyymmddhh'", "'yyyymmddhhmiss'");
    let days = Int64Array::from(vec![
        20_260_101,
        19_700_101,
        20_991_231,
        2_026_010_105,
        202_601_012_359,
        20_260_101_235_959,
        20_260_230,
        20_261_301,
        2_026_010_124,
        19_691_231,
        21_000_101,
    ]);
    let seconds = ["20260230", "20261301", "2026010124", "19691231", "21000101"];
    assert_eq!(of(Arc::new(days), &rules()), [&[day; 4][..], &[&minutes, &seconds_of_day], &seconds[..]].concat());
    let milliseconds_of_day = seconds_of_day.replace("Read it", "Divide it by 1000, and read it");
    assert_eq!(of(Arc::new(Int64Array::from(vec![20_260_101_235_959_123])), &rules()), [milliseconds_of_day]);
    assert_eq!(of(Arc::new(Int64Array::from(vec![20_260_230_235_959])), &rules()), [milliseconds]);
    assert_eq!(of(Arc::new(UInt64Array::from(vec![20_260_101])), &rules()), [day]);
    // The same days that were read as seconds, by to_timestamp.
    let august = "CT-504 event_time is an instant of August 1970, as a day such as 20260105 is when it is read as seconds. Read it with ct_event_time, its \
                  format ('yyyymmdd' or 'yyyymmddhh') and its zone";
    let days = TimestampSecondArray::from(vec![20_260_101, 19_500_000, 21_200_000]).with_timezone("UTC");
    assert_eq!(of(Arc::new(days), &rules()), [august, "19500000", "21200000"]);
    let null = "CT-503 event_time is NULL; expected the time of the event. What ct_event_time or TRY_CAST does not read is NULL, too; WHERE leaves such rows out";
    assert_eq!(of(instants(&[None, Some(0)]), &rules()), [null, "0"]);

    let naive: ArrayRef = Arc::new(TimestampSecondArray::from(vec![0]));
    assert_eq!(of(Arc::clone(&naive), &Rules { naive_time: NaiveTime::Utc, ..rules() }), ["0"]);
    assert_eq!(of(naive, &Rules { naive_time: NaiveTime::Project, ..rules() }), ["-19800"]);
}

#[test]
fn a_time_that_is_not_an_instant_is_refused_with_a_remedy() {
    let unzoned = Rules { time_zone: None, ..rules() };
    let project = Rules { naive_time: NaiveTime::Project, ..unzoned.clone() };
    let naive = DataType::Timestamp(TimeUnit::Second, None);
    let cases = [
        ("event_time", naive.clone(), rules(), "write \"event_time\" AT TIME ZONE 'UTC'"),
        ("event_time", naive.clone(), project.clone(), "set time_zone, or SET clevertap.naive_time = 'utc'"),
        ("event_time", DataType::Date32, rules(), "write CAST(\"event_time\" AS timestamp) AT TIME ZONE 'UTC'"),
        ("event_time", DataType::Float64, rules(), "CAST(\"event_time\" AS bigint)"),
        ("event_time", DataType::Utf8, rules(), "ct_event_time(\"event_time\", 'yyyy-mm-dd hh:mi:ss', 'UTC')"),
        ("Born", DataType::Date32, unzoned, "set time_zone, or write CAST(\"Born\" AS text)"),
        ("Born", naive, project, "set time_zone"),
    ];
    for (name, data_type, rules, expected) in cases {
        let mut columns = vec![("identity", words(&[]))];
        if name != "event_time" {
            columns.push(("event_time", instants(&[])));
        }
        columns.push((name, new_empty_array(&data_type)));
        let error = refused("events.Viewed", &batch(&columns), &rules);
        assert!(error.starts_with("clevertap_events.\"Viewed\": column \"") && error.contains(expected), "{error}");
    }
}

#[test]
fn lists_and_structs_are_text_and_null_is_left_out() {
    let mut list = ListBuilder::new(StringBuilder::new());
    list.append_value([Some("a"), None, Some("\"")]);
    let columns = event(&[("Tags", Arc::new(list.finish()) as ArrayRef), ("Note", text(&[None]))]);
    let expected = r#"{"type":"event","identity":"u","ts":1,"evtName":"Viewed","evtData":{"Tags":"[\"a\",\"\\\"\"]"}}"#;
    assert_eq!(written("events.Viewed", &columns, &Rules { nulls: Nulls::Delete, ..rules() }).expect("written"), [expected]);
}

#[test]
fn an_operator_is_refused_in_an_event() {
    let operand: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let operator = StructArray::new(vec![Field::new("$incr", DataType::Int64, true)].into(), vec![operand], None);
    let error = refused("events.Viewed", &event(&[("Visits", Arc::new(operator) as ArrayRef)]), &rules());
    assert!(error.contains("holds the operator $incr, which properties of people take alone"), "{error}");
}

#[test]
fn items_are_objects_of_the_event_charged_alone() {
    let list = || items(&[Some(&[("Assam", 2), ("Oolong", 1)]), None, Some(&[])]);
    let objects = r#"[{"Name":"Assam","Quantity":2},{"Name":"Oolong","Quantity":1}]"#;
    let found = written("events.Charged", &event(&[("items", list())]), &rules()).expect("written");
    let data: Vec<&str> = found.iter().map(|line| line.split_once("\"evtData\":").expect("an event").1).collect();
    assert_eq!(data, [format!("{{\"Items\":{objects}}}}}").as_str(), "{}}", "{\"Items\":[]}}"]);

    let named = event(&[("items", list()), ("event_name", words(&["Viewed", "Viewed", "Charged"]))]);
    let found = written("events", &named, &rules()).expect("written");
    assert_eq!(found[0], "CT-516 items has items, which the event Charged takes alone; leave them NULL for other events");
    assert!(found[1].starts_with('{') && found[2].contains("\"Items\":[]"));

    let many = vec![("x", 1); 257];
    let found = written("events.Charged", &event(&[("items", items(&[Some(&many)]))]), &rules()).expect("written");
    assert_eq!(found, ["CT-513 items has 257 items; CleverTap takes 256. array_slice shortens a list"]);
}

#[test]
fn items_may_be_json_text_of_flat_objects() {
    let texts = words(&["[ {\"Name\": \"Assam\", \"Id\": 12345678901234567890123} ]", "[{\"a\":[]}]", "[1]", "{}", "x"]);
    let found = written("events.Charged", &event(&[("items", texts)]), &rules()).expect("written");
    assert!(found[0].ends_with(r#""evtData":{"Items":[{"Name":"Assam","Id":12345678901234567890123}]}}"#), "{}", found[0]);
    let codes: Vec<&str> = found[1..].iter().map(|line| code(line)).collect();
    assert_eq!(codes, ["CT-515", "CT-510", "CT-510", "CT-510"]);
    let nested = refused("events.Charged", &event(&[("items", Arc::new(Int8Array::from(vec![1])) as ArrayRef)]), &rules());
    assert!(nested.contains("items are a list of structs or JSON text"), "{nested}");
}

#[test]
fn more_properties_than_usual_draw_a_warning_and_too_many_a_reject() {
    let names: Vec<String> = (0..257).map(|at| format!("p{at}")).collect();
    let columns = |count: usize| {
        let last = text(&[Some("x"), None]);
        let mut columns: Vec<(&str, ArrayRef)> = names[..count - 1].iter().map(|name| (name.as_str(), words(&["x", "x"]))).collect();
        columns.push((names[count - 1].as_str(), last));
        event(&columns)
    };
    let encoded = encode("events.Viewed", &columns(101), &rules()).expect("written");
    let [warning] = encoded.warnings.as_slice() else { panic!("one warning") };
    assert_eq!((warning.code, warning.rows, warning.column.as_str()), ("CT-602", 1, "p100"));
    assert!(encode("events.Viewed", &columns(100), &rules()).expect("written").warnings.is_empty());
    let encoded = encode("events.Viewed", &columns(257), &rules()).expect("written");
    assert_eq!(rejects(&encoded)[0].code, "CT-512");
    assert!(matches!(encoded.rows[1], Row::Record(_)));
    assert_eq!(encoded.warnings[0].rows, 1);
}
