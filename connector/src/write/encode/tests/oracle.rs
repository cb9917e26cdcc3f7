//! A second, naive encoder that works cell by cell. Both must write random batches of random types alike.
//!
//! It reads Arrow through other accessors (`ArrayRef::slice`, `list.value(row)`), uses chrono for times and serde_json for text, and
//! shares no line with the encoder. Bytes are compared, so that digits count; the output is also parsed by serde_json.

use arrow::array::*;
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::*;
use chrono::{DateTime, Datelike, TimeDelta, TimeZone};
use proptest::prelude::*;
use proptest::test_runner::Config;

use super::*;

/// The result for a value: nothing, its JSON, or the code of a reject.
type Cell = Result<Option<String>, &'static str>;

/// Resolves dictionaries and runs; `None` for NULL.
fn place(array: &ArrayRef, row: usize) -> Option<(ArrayRef, usize)> {
    if let Some(dictionary) = array.as_any_dictionary_opt() {
        let key = arrow::compute::cast(dictionary.keys(), &DataType::Int64).expect("keys");
        return if key.is_null(row) {
            None
        } else {
            place(dictionary.values(), usize::try_from(key.as_primitive::<Int64Type>().value(row)).expect("a key"))
        };
    }
    if let Some(runs) = array.as_run_opt::<Int32Type>() {
        return place(runs.values(), runs.get_physical_index(row));
    }
    (!array.is_null(row) && *array.data_type() != DataType::Null).then(|| (Arc::clone(array), row))
}

fn quote(text: &str) -> String {
    serde_json::to_string(text).expect("text")
}

fn bounded(text: &str, inside: bool) -> Result<String, &'static str> {
    if !inside && text.len() > 512 { Err("CT-507") } else { Ok(quote(text)) }
}

fn bytes(bytes: &[u8], inside: bool) -> Result<String, &'static str> {
    bounded(std::str::from_utf8(bytes).map_err(|_| "CT-509")?, inside)
}

fn float<T: serde::Serialize + Copy + Into<f64>>(value: T) -> Result<String, &'static str> {
    if value.into().is_finite() { Ok(serde_json::to_string(&value).expect("finite")) } else { Err("CT-506") }
}

fn date(instant: Option<DateTime<chrono::Utc>>, day: bool) -> Result<String, &'static str> {
    let instant = instant.filter(|instant| (1..=9999).contains(&instant.year())).ok_or("CT-508")?;
    let seconds = if day {
        Tz::Asia__Kolkata.from_local_datetime(&instant.naive_utc()).earliest().expect("no gaps at midnight").timestamp()
    } else {
        instant.timestamp()
    };
    let zero = if seconds > 0 && seconds.to_string().len() == 8 { "0" } else { "" };
    Ok(format!("\"$D_{zero}{seconds}\""))
}

fn instant(value: i64, per_second: i64) -> Option<DateTime<chrono::Utc>> {
    DateTime::from_timestamp(value.div_euclid(per_second), 0)
}

/// The JSON of a value; with `inside`, inside a text, where text length is not limited.
fn json(array: &ArrayRef, row: usize, inside: bool) -> Cell {
    let Some((array, row)) = place(array, row) else { return Ok(None) };
    macro_rules! number {
        ($type:ty) => {
            array.as_primitive::<$type>().value(row)
        };
    }
    Ok(Some(match array.data_type() {
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        DataType::Int8 => number!(Int8Type).to_string(),
        DataType::Int64 => number!(Int64Type).to_string(),
        DataType::UInt64 => number!(UInt64Type).to_string(),
        DataType::Float32 => float(number!(Float32Type))?,
        DataType::Float64 => float(number!(Float64Type))?,
        DataType::Decimal128(..) => array.as_primitive::<Decimal128Type>().value_as_string(row),
        DataType::Decimal256(..) => array.as_primitive::<Decimal256Type>().value_as_string(row),
        DataType::Utf8 => bounded(array.as_string::<i32>().value(row), inside)?,
        DataType::LargeUtf8 => bounded(array.as_string::<i64>().value(row), inside)?,
        DataType::Utf8View => bounded(array.as_string_view().value(row), inside)?,
        DataType::Binary => bytes(array.as_binary::<i32>().value(row), inside)?,
        DataType::BinaryView => bytes(array.as_binary_view().value(row), inside)?,
        DataType::Date32 => date(DateTime::UNIX_EPOCH.checked_add_signed(TimeDelta::days(number!(Date32Type).into())), true)?,
        DataType::Timestamp(TimeUnit::Second, _) => date(instant(number!(TimestampSecondType), 1), false)?,
        DataType::Timestamp(TimeUnit::Nanosecond, _) => date(instant(number!(TimestampNanosecondType), 1_000_000_000), false)?,
        DataType::List(_) => list(&array.as_list::<i32>().value(row), inside)?,
        DataType::ListView(_) => list(&array.as_list_view::<i32>().value(row), inside)?,
        DataType::FixedSizeList(..) => list(&array.as_fixed_size_list().value(row), inside)?,
        DataType::Struct(fields) => {
            let mut pairs = Vec::new();
            for (field, column) in fields.iter().zip(array.as_struct().columns()) {
                pairs.extend(json(column, row, inside)?.map(|value| format!("{}:{value}", quote(field.name()))));
            }
            format!("{{{}}}", pairs.join(","))
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let mut pairs = Vec::new();
            for entry in 0..entries.len() {
                let key = entries.column(0).as_string::<i32>().value(entry);
                pairs.extend(json(entries.column(1), entry, inside)?.map(|value| format!("{}:{value}", quote(key))));
            }
            format!("{{{}}}", pairs.join(","))
        }
        other => panic!("the generator makes no {other}"),
    }))
}

fn list(items: &ArrayRef, inside: bool) -> Result<String, &'static str> {
    let mut values = Vec::new();
    for at in 0..items.len() {
        values.extend(json(items, at, inside)?);
    }
    Ok(format!("[{}]", values.join(",")))
}

/// The value of a property, by the rules of its table.
fn property(array: &ArrayRef, row: usize, operators: bool) -> Cell {
    let Some((array, row)) = place(array, row) else { return Ok(None) };
    let items = match array.data_type() {
        DataType::List(_) => Some(array.as_list::<i32>().value(row)),
        DataType::ListView(_) => Some(array.as_list_view::<i32>().value(row)),
        DataType::FixedSizeList(..) => Some(array.as_fixed_size_list().value(row)),
        _ => None,
    };
    if let Some(items) = items.filter(|items| operators && !logical(items.data_type()).is_nested()) {
        let mut texts = Vec::new();
        for at in 0..items.len() {
            texts.extend(json(&items, at, false)?.map(|item| if item.starts_with('"') { item } else { quote(&item) }));
        }
        return Ok(Some(format!("{{\"$set\":[{}]}}", texts.join(","))));
    }
    if array.data_type().is_nested() {
        return bounded(&json(&array, row, true)?.unwrap_or_default(), false).map(Some);
    }
    json(&array, row, false)
}

fn logical(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, values) => logical(values),
        DataType::RunEndEncoded(_, values) => logical(values.data_type()),
        other => other,
    }
}

/// The record of a row, or the code of the first column at fault.
fn record(batch: &RecordBatch, row: usize, head: &str, operators: bool, nulls: Nulls) -> String {
    let mut data = Vec::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()).filter(|(field, _)| field.name().starts_with('c')) {
        match property(column, row, operators) {
            Ok(Some(value)) => data.push(format!("\"{}\":{value}", field.name())),
            Ok(None) if operators && nulls == Nulls::Delete => data.push(format!("\"{}\":{{\"$delete\":1}}", field.name())),
            Ok(None) => {}
            Err(code) => return code.into(),
        }
    }
    format!("{head}{{{}}}}}", data.join(","))
}

/// The type of a random column.
#[derive(Debug, Clone)]
enum Kind {
    Scalar(u8),
    Dictionary(Box<Self>),
    Runs(Box<Self>),
    List(Box<Self>),
    ListView(Box<Self>),
    Pairs(Box<Self>),
    Struct(Box<Self>, Box<Self>),
    Map(Box<Self>),
}

/// The random input of a cell.
type Seed = Option<(i64, String)>;

fn scalar(kind: u8, seeds: &[Seed]) -> ArrayRef {
    let texts = || seeds.iter().map(|seed| seed.as_ref().map(|(_, text)| text.as_str()));
    let raw =
        || seeds.iter().map(|seed| seed.as_ref().map(|(_, text)| if text.len() == 3 { b"\xff\xfe".as_slice() } else { text.as_bytes() }));
    let numbers = || seeds.iter().map(|seed| seed.as_ref().map(|(number, _)| *number));
    match kind {
        0 => Arc::new(texts().collect::<StringArray>()),
        1 => Arc::new(texts().collect::<LargeStringArray>()),
        2 => Arc::new(texts().collect::<StringViewArray>()),
        3 => Arc::new(raw().collect::<BinaryArray>()),
        4 => Arc::new(raw().collect::<BinaryViewArray>()),
        5 => Arc::new(numbers().map(|n| n.map(|n| n % 2 == 0)).collect::<BooleanArray>()),
        6 => Arc::new(numbers().map(|n| n.map(|n| (n % 128) as i8)).collect::<Int8Array>()),
        7 => Arc::new(numbers().collect::<Int64Array>()),
        8 => Arc::new(numbers().map(|n| n.map(i64::cast_unsigned)).collect::<UInt64Array>()),
        9 => Arc::new(numbers().map(|n| n.map(|n| f32::from_bits((n >> 32) as i32 as u32))).collect::<Float32Array>()),
        10 => Arc::new(numbers().map(|n| n.map(|n| f64::from_bits(n.cast_unsigned()))).collect::<Float64Array>()),
        11 => Arc::new(
            numbers()
                .map(|n| n.map(|n| i128::from(n) * 7_777_777_777))
                .collect::<Decimal128Array>()
                .with_precision_and_scale(38, 9)
                .expect("fits"),
        ),
        12 => Arc::new(
            numbers()
                .map(|n| n.map(|n| i256::from_i128(n.into())))
                .collect::<Decimal256Array>()
                .with_precision_and_scale(76, 30)
                .expect("fits"),
        ),
        13 => Arc::new(numbers().map(|n| n.map(|n| (n % 4_000_000) as i32)).collect::<Date32Array>()),
        14 => Arc::new(numbers().map(|n| n.map(|n| n % 300_000_000_000)).collect::<TimestampSecondArray>()),
        15 => Arc::new(numbers().map(|n| n.map(|n| (n % 100_000_000) as f64 / 100.0)).collect::<Float64Array>()),
        _ => Arc::new(numbers().collect::<TimestampNanosecondArray>().with_timezone("America/New_York")),
    }
}

/// An array with one row per seed.
fn build(kind: &Kind, seeds: &[Seed]) -> ArrayRef {
    let rows = seeds.len();
    let item = |items: &ArrayRef| Arc::new(Field::new("item", items.data_type().clone(), true));
    let nulls = || Some(NullBuffer::from_iter(seeds.iter().map(Option::is_some)));
    let twice = || seeds.iter().chain(seeds).cloned().collect::<Vec<_>>();
    match kind {
        Kind::Scalar(kind) => scalar(*kind, seeds),
        Kind::Dictionary(inner) => {
            let keys: Int32Array = (0..rows).map(|row| (row % 5 != 4).then_some(((row * 7 + 3) % rows.max(1)) as i32)).collect();
            Arc::new(DictionaryArray::new(keys, build(inner, seeds)))
        }
        Kind::Runs(inner) => {
            let values = build(inner, &seeds[..rows.div_ceil(2)]);
            let ends: Int32Array = (0..rows.div_ceil(2)).map(|run| (2 * run + 2).min(rows) as i32).collect::<Vec<_>>().into();
            Arc::new(RunArray::try_new(&ends, &values).expect("runs"))
        }
        Kind::List(inner) => {
            let items = build(inner, &twice());
            Arc::new(ListArray::new(item(&items), OffsetBuffer::from_lengths((0..rows).map(|row| row % 3)), items, nulls()))
        }
        Kind::ListView(inner) => {
            let items = build(inner, &twice());
            let starts: Vec<i32> = (0..rows).rev().map(|row| row as i32).collect();
            let sizes: Vec<i32> = (0..rows).map(|row| (row % 3).min(rows) as i32).collect();
            Arc::new(ListViewArray::new(item(&items), ScalarBuffer::from(starts), ScalarBuffer::from(sizes), items, nulls()))
        }
        Kind::Pairs(inner) => {
            let items = build(inner, &twice());
            Arc::new(FixedSizeListArray::new(item(&items), 2, items, nulls()))
        }
        Kind::Struct(one, other) => {
            let columns = vec![build(one, seeds), build(other, seeds)];
            let fields =
                vec![Field::new("a\"", columns[0].data_type().clone(), true), Field::new("b", columns[1].data_type().clone(), true)];
            Arc::new(StructArray::new(fields.into(), columns, nulls()))
        }
        Kind::Map(inner) => {
            let values = build(inner, &twice());
            let keys: ArrayRef = Arc::new((0..values.len()).map(|at| Some(format!("k{at}"))).collect::<StringArray>());
            let fields = vec![Field::new("keys", DataType::Utf8, false), Field::new("values", values.data_type().clone(), true)];
            let entries = StructArray::new(fields.into(), vec![keys, values], None);
            let field = Arc::new(Field::new("entries", entries.data_type().clone(), false));
            Arc::new(MapArray::new(field, OffsetBuffer::from_lengths((0..rows).map(|row| row % 3)), entries, nulls(), false))
        }
    }
}

fn kinds() -> impl Strategy<Value = Kind> {
    (0..=16u8).prop_map(Kind::Scalar).prop_recursive(2, 6, 2, |inner| {
        let one = || inner.clone().prop_map(Box::new);
        prop_oneof![
            one().prop_map(Kind::Dictionary),
            one().prop_map(Kind::Runs),
            one().prop_map(Kind::List),
            one().prop_map(Kind::ListView),
            one().prop_map(Kind::Pairs),
            (one(), one()).prop_map(|(a, b)| Kind::Struct(a, b)),
            one().prop_map(Kind::Map),
        ]
    })
}

fn seeds(rows: usize) -> impl Strategy<Value = Vec<Seed>> {
    let number = prop_oneof![-2_000_000_000i64..2_000_000_000, any::<i64>(), Just(i64::MIN), Just(i64::MAX), Just(0)];
    let text = prop_oneof![
        8 => "[a-z]{0,8}",
        4 => "[\\x00-\\x1f\"\\\\/\\x7f]{0,6}",
        4 => "[é\u{2028}\u{FFFD}\u{1F600}\u{10FFFF}]{0,4}",
        1 => Just("é".repeat(257)),
    ];
    prop::collection::vec(prop::option::weighted(0.8, (number, text)), rows)
}

/// The kinds of column that have a kernel.
fn common() -> impl Strategy<Value = Kind> {
    let text = || prop_oneof![Just(0u8), Just(1), Just(2)].prop_map(|kind| Box::new(Kind::Scalar(kind)));
    prop_oneof![
        4 => (0..=16u8).prop_map(Kind::Scalar),
        2 => text().prop_map(|kind| *kind),
        1 => text().prop_map(Kind::List),
        1 => (0..=16u8).prop_map(|kind| Kind::Dictionary(Box::new(Kind::Scalar(kind)))),
    ]
}

/// Texts around the chunk size, few with a byte that is escaped; numbers of all lengths.
fn common_seeds(rows: usize) -> impl Strategy<Value = Vec<Seed>> {
    let number =
        prop_oneof![(0..64u32, any::<i64>()).prop_map(|(shift, bits)| bits >> shift), Just(i64::MIN), 1_000_000_000..2_000_000_000i64,];
    let text = prop_oneof![
        12 => "[a-zé]{0,40}",
        4 => "[a-z]{28,36}",
        2 => "[ -~é]{60,70}",
        1 => "[a-z]{0,70}[\x00-\x1f\"\\\\/\x7f][a-z]{0,3}",
        1 => "[a-z]{510,514}",
    ];
    prop::collection::vec(prop::option::weighted(0.9, (number, text)), rows)
}

fn batches<K: Strategy<Value = Kind>, S: Strategy<Value = Vec<Seed>>>(
    rows: std::ops::Range<usize>,
    kinds: fn() -> K,
    seeds: fn(usize) -> S,
) -> impl Strategy<Value = (RecordBatch, Vec<Kind>)> {
    let columns = rows.prop_flat_map(move |rows| (Just(rows), prop::collection::vec((kinds(), seeds(rows)), 1..4)));
    columns.prop_map(|(rows, columns)| {
        let names: Vec<String> = (0..columns.len()).map(|at| format!("c{at}")).collect();
        let mut all: Vec<(&str, ArrayRef)> =
            vec![("identity", words(&vec!["u"; rows])), ("event_time", Arc::new(Int32Array::from(vec![1; rows])))];
        all.extend(names.iter().zip(&columns).map(|(name, (kind, seeds))| (name.as_str(), build(kind, seeds))));
        (batch(&all), columns.into_iter().map(|(kind, _)| kind).collect())
    })
}

const HEADS: [(&str, bool, &str); 2] = [
    ("profiles", true, r#"{"type":"profile","identity":"u","ts":1,"profileData":"#),
    ("events.Viewed", false, r#"{"type":"event","identity":"u","ts":1,"evtName":"Viewed","evtData":"#),
];

/// Number of random blocks: `CLEVERTAP_CASES`, or about a second of them.
fn cases() -> u32 {
    std::env::var("CLEVERTAP_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(48)
}

proptest! {
    #![proptest_config(Config { cases: cases(), failure_persistence: None, ..Config::default() })]

    #[test]
    fn blocks_are_written_as_a_naive_encoder_writes_them_whatever_the_processor(
        (batch, _kinds) in batches(1..200, common, common_seeds),
        deletes: bool,
        start in 0..64usize,
    ) {
        let rules = Rules { nulls: if deletes { Nulls::Delete } else { Nulls::Omit }, ..rules() };
        let start = start.min(batch.num_rows() - 1);
        let batch = batch.slice(start, batch.num_rows() - start);
        for (table, operators, head) in HEADS {
            let expected: Vec<String> = (0..batch.num_rows()).map(|row| record(&batch, row, head, operators, rules.nulls)).collect();
            let mut encoder = Encoder::new(&mapping(table, &batch), &batch.schema(), &rules).expect("compiles");
            // With the features of the processor, without them, and again in strips that have grown.
            for avx2 in [encoder.avx2, None, None] {
                encoder.avx2 = avx2;
                let found = lines(&encoder.encode(&batch).expect("read"));
                let found: Vec<&str> = found.iter().map(|line| if line.starts_with('{') { line.as_str() } else { code(line) }).collect();
                prop_assert_eq!(&found, &expected);
            }
        }
    }
}

proptest! {
    #![proptest_config(Config { cases: 256, failure_persistence: None, ..Config::default() })]

    #[test]
    fn random_batches_are_written_as_a_naive_encoder_writes_them((batch, _kinds) in batches(0..12, kinds, seeds), deletes: bool) {
        let rules = Rules { nulls: if deletes { Nulls::Delete } else { Nulls::Omit }, ..rules() };
        for (table, operators, head) in HEADS {
            let found = written(table, &batch, &rules).expect("every type of the generator can be written");
            for (row, line) in found.iter().enumerate() {
                let expected = record(&batch, row, head, operators, rules.nulls);
                if expected.starts_with('{') {
                    prop_assert_eq!(line, &expected);
                    prop_assert!(serde_json::from_str::<serde_json::Value>(line).is_ok());
                } else {
                    prop_assert_eq!(code(line), expected.as_str());
                }
            }
        }
    }
}
