//! A load arrives exactly: profiles and events from Parquet, made from a seed, are in the emulator value by value.
//!
//! `CLEVERTAP_ROUND_TRIP_ROWS` sets how many of each: a million, in a minute or two of a dev build, is `CLEVERTAP_ROUND_TRIP_ROWS=1000000`.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float32Array, Float64Array, Int8Array, Int32Array, Int64Array,
    LargeStringArray, ListArray, StringArray, StringViewArray, TimestampMicrosecondArray, TimestampMillisecondArray, UInt64Array,
};
use arrow::datatypes::{Int32Type, Int64Type};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use serde_json::{Map, Value, json};

use crate::world::{World, count};

/// Rows of each load, unless the environment says otherwise: what a dev build on two busy cores does within a minute.
const ROWS: u64 = 400_000;
/// Rows of a batch that is written to the file.
const BATCH: u64 = 10_000;
/// 00:00 UTC of the day 0 in the project's zone (UTC+05:30) is 19,800 seconds later than 00:00 there.
const ZONE_SECONDS: i64 = 19_800;
const START: i64 = 1_767_225_600;

fn rows() -> u64 {
    std::env::var("CLEVERTAP_ROUND_TRIP_ROWS").ok().and_then(|text| text.parse().ok()).unwrap_or(ROWS)
}

/// One row, as the source has it. The same for a file and for the check: it depends on the seed and its number alone.
#[derive(Debug, Clone)]
struct Row {
    number: u64,
    text: Option<String>,
    long: String,
    word: &'static str,
    tiny: Option<i8>,
    int: Option<i32>,
    big: i64,
    unsigned: u64,
    half: Option<f32>,
    float: f64,
    decimal: Option<i128>,
    flag: Option<bool>,
    day: Option<i32>,
    zoned_us: i64,
    naive_ms: Option<i64>,
    tags: Option<Vec<String>>,
}

/// A seed a row is cheap, so that a row can be made again when it is checked.
#[derive(Debug)]
struct SplitMix64(u64);

impl RngCore for SplitMix64 {
    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn next_u32(&mut self) -> u32 {
        (self.next_u64() >> 32) as u32
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        bytes.fill_with(|| self.next_u64() as u8);
    }
}

const WORDS: [&str; 5] = ["gold", "silver", "", "größer", "\"quoted\\\n\u{1}"];

impl Row {
    fn new(number: u64, stream: u64) -> Self {
        let mut rng = SplitMix64(number.wrapping_mul(2).wrapping_add(stream).wrapping_mul(0xD1B5_4A32_D192_ED03));
        // One bit each: half of the cells of these columns are NULL.
        let bits = rng.next_u64();
        let maybe = |bit: u32| bits >> bit & 1 == 1;
        let (text, tiny, int, half, decimal) = (maybe(0), maybe(1), maybe(2), maybe(3), maybe(4));
        let (flag, day, naive, tags) = (maybe(5), maybe(6), maybe(7), maybe(8));
        Self {
            number,
            text: text.then(|| {
                let length = rng.random_range(0..20);
                (0..length).map(|_| char::from_u32(rng.random_range(0x20..0x2FF)).unwrap_or('x')).collect()
            }),
            long: "é".repeat(rng.random_range(0..=30)),
            word: WORDS[rng.random_range(0..WORDS.len())],
            tiny: tiny.then(|| rng.random()),
            int: int.then(|| rng.random()),
            big: rng.random(),
            unsigned: rng.random(),
            half: half.then(|| f32::from(rng.random::<i16>()) / 8.0),
            // Few digits: serde_json, through which the emulator reads, may miss the last bit of more. See `floats_keep_their_last_bit`.
            float: format!("{}e{}", rng.random_range(-999_999_999..999_999_999_i64), rng.random_range(-12..12)).parse().expect("a number"),
            // Up to 16 digits, which a double in the emulator's answer keeps too; the digits of longer ones are `values.rs`.
            decimal: decimal.then(|| i128::from(rng.random_range(-999_999_999_999_i64..999_999_999_999))),
            flag: flag.then(|| rng.random()),
            day: day.then(|| rng.random_range(0..30_000)),
            zoned_us: rng.random_range(1_000_000_000_000_000..1_900_000_000_000_000),
            naive_ms: naive.then(|| rng.random_range(0..1_900_000_000_000)),
            tags: tags.then(|| {
                let length = rng.random_range(1..4);
                (0..length).map(|tag| format!("t{tag}")).collect()
            }),
        }
    }

    /// What CleverTap must have of it. Lists are sets of a person and JSON text of an event.
    fn expected(&self, is_event: bool) -> Map<String, Value> {
        let mut data = Map::new();
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                data.insert(key.to_owned(), value);
            }
        };
        put("Number", Some(json!(self.number)));
        put("Text", self.text.as_ref().map(|text| json!(text)));
        put("Long", Some(json!(self.long)));
        put("Word", Some(json!(self.word)));
        put("Tiny", self.tiny.map(|n| json!(n)));
        put("Int", self.int.map(|n| json!(n)));
        put("Big", Some(json!(self.big)));
        put("Unsigned", Some(json!(self.unsigned)));
        put("Half", self.half.map(|n| json!(f64::from(n))));
        put("Float", Some(json!(self.float)));
        put("Flag", self.flag.map(|flag| json!(flag)));
        put("Day", self.day.map(|day| date(i64::from(day) * 86_400 - ZONE_SECONDS)));
        put("Zoned", Some(date(self.zoned_us.div_euclid(1_000_000))));
        put("Naive", self.naive_ms.map(|ms| date(ms.div_euclid(1_000))));
        put("Decimal", self.decimal.map(|n| json!(decimal_text(n).parse::<f64>().expect("a number"))));
        put("Tags", self.tags.as_ref().map(|tags| if is_event { json!(json!(tags).to_string()) } else { json!(tags) }));
        data
    }
}

fn decimal_text(n: i128) -> String {
    format!("{}{}.{:04}", if n < 0 { "-" } else { "" }, n.abs() / 10_000, n.abs() % 10_000)
}

/// Rows as a batch.
fn batch(rows: &[Row], is_event: bool) -> RecordBatch {
    fn of<T, A: FromIterator<T> + arrow::array::Array + 'static>(rows: &[Row], value: impl Fn(&Row) -> T) -> ArrayRef {
        Arc::new(rows.iter().map(value).collect::<A>())
    }
    let words: DictionaryArray<Int32Type> = rows.iter().map(|row| row.word).collect();
    let tags = {
        let mut builder = arrow::array::ListBuilder::new(arrow::array::StringBuilder::new());
        for row in rows {
            builder.append_option(row.tags.as_ref().map(|tags| tags.iter().map(|tag| Some(tag.clone()))));
        }
        let list: ListArray = builder.finish();
        list
    };
    let decimals = rows.iter().map(|row| row.decimal).collect::<Decimal128Array>().with_precision_and_scale(20, 4).expect("a decimal");
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("identity", of::<_, StringArray>(rows, |row| Some(format!("id-{}", row.number)))),
        ("Number", of::<_, Int64Array>(rows, |row| i64::try_from(row.number).ok())),
        ("Text", of::<_, StringViewArray>(rows, |row| row.text.clone())),
        ("Long", of::<_, LargeStringArray>(rows, |row| Some(row.long.clone()))),
        ("Word", Arc::new(words)),
        ("Tiny", of::<_, Int8Array>(rows, |row| row.tiny)),
        ("Int", of::<_, Int32Array>(rows, |row| row.int)),
        ("Big", of::<_, Int64Array>(rows, |row| Some(row.big))),
        ("Unsigned", of::<_, UInt64Array>(rows, |row| Some(row.unsigned))),
        ("Half", of::<_, Float32Array>(rows, |row| row.half)),
        ("Float", of::<_, Float64Array>(rows, |row| Some(row.float))),
        ("Decimal", Arc::new(decimals)),
        ("Flag", of::<_, BooleanArray>(rows, |row| row.flag)),
        ("Day", of::<_, Date32Array>(rows, |row| row.day)),
        ("Zoned", Arc::new(rows.iter().map(|row| Some(row.zoned_us)).collect::<TimestampMicrosecondArray>().with_timezone("Asia/Kolkata"))),
        ("Naive", of::<_, TimestampMillisecondArray>(rows, |row| row.naive_ms)),
        ("Tags", Arc::new(tags)),
    ];
    if is_event {
        let seconds = rows.iter().map(|row| Some(START + i64::try_from(row.number).expect("small")));
        columns.push(("event_time", Arc::new(arrow::array::PrimitiveArray::<Int64Type>::from_iter(seconds))));
    }
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).expect("a batch")
}

fn write(path: &Path, rows: u64, is_event: bool, compression: Compression) {
    let properties = WriterProperties::builder().set_compression(compression).set_max_row_group_row_count(Some(70_000)).build();
    let schema = batch(&[], is_event).schema();
    let mut writer = ArrowWriter::try_new(File::create(path).expect("a file"), schema, Some(properties)).expect("a writer");
    for first in (0..rows).step_by(usize::try_from(BATCH).expect("small")) {
        let part: Vec<_> = (first..rows.min(first + BATCH)).map(|number| Row::new(number, u64::from(is_event))).collect();
        writer.write(&batch(&part, is_event)).expect("written");
    }
    writer.close().expect("closed");
}

/// A world that keeps no bodies, with the file as `source`.
async fn world(path: &Path) -> World {
    let world = World::without_call_log();
    world.ctx.register_parquet("source", path.to_str().expect("text"), Default::default()).await.expect("registered");
    world
}

/// Compares one stored row with its source and ticks it off.
fn check(seen: &mut [bool], differences: &mut Vec<String>, identity: &str, data: &Map<String, Value>, is_event: bool) {
    let number: Option<u64> = identity.strip_prefix("id-").and_then(|text| text.parse().ok());
    let Some(number) = number.filter(|number| usize::try_from(*number).is_ok_and(|n| n < seen.len())) else {
        differences.push(format!("nobody sent {identity}"));
        return;
    };
    let place = &mut seen[usize::try_from(number).expect("small")];
    if *place {
        differences.push(format!("row {number} is there twice"));
    }
    *place = true;
    let expected = Row::new(number, u64::from(is_event)).expected(is_event);
    if *data != expected {
        let keys: HashMap<_, _> = expected
            .iter()
            .filter(|(key, value)| data.get(*key) != Some(value))
            .map(|(key, value)| (key, (value, data.get(key))))
            .collect();
        differences.push(format!("row {number}: {keys:?}"));
    }
}

#[tokio::test(start_paused = true)]
async fn every_profile_of_a_file_arrives_exactly() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("people.parquet");
    write(&path, rows(), false, Compression::ZSTD(ZstdLevel::default()));
    let world = world(&path).await;
    let inserted = world.rows("INSERT INTO clevertap.profiles SELECT * FROM source").await;
    assert_eq!(count(&inserted), rows());
    let mut seen = vec![false; usize::try_from(rows()).expect("small")];
    let mut differences = Vec::new();
    world.emulator.for_each_profile(|person| {
        if differences.len() < 5 {
            let identity = person["identity"].as_str().unwrap_or_default();
            let none = Map::new();
            check(&mut seen, &mut differences, identity, person["profileData"].as_object().unwrap_or(&none), false);
        }
    });
    assert!(differences.is_empty(), "{differences:#?}");
    assert_eq!((seen.iter().filter(|seen| !**seen).count(), world.emulator.report().rules_broken.len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn every_event_of_a_file_arrives_exactly() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("events.parquet");
    write(&path, rows(), true, Compression::SNAPPY);
    let world = world(&path).await;
    let inserted = world.rows("INSERT INTO clevertap_events.\"Seen\" SELECT * FROM source").await;
    assert_eq!(count(&inserted), rows());
    let mut seen = vec![false; usize::try_from(rows()).expect("small")];
    let mut differences = Vec::new();
    world.emulator.for_each_event(|event| {
        if differences.len() < 5 {
            let data = event.data();
            let none = Map::new();
            check(&mut seen, &mut differences, event.identity, data.as_object().unwrap_or(&none), true);
            let number = data["Number"].as_i64().unwrap_or_default();
            if event.name != "Seen" || event.ts != START + number {
                differences.push(format!("row {number}: {} at {}", event.name, event.ts));
            }
        }
    });
    assert!(differences.is_empty(), "{differences:#?}");
    assert_eq!((seen.iter().filter(|seen| !**seen).count(), world.emulator.report().rules_broken.len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn floats_keep_their_last_bit() {
    let mut rng = StdRng::seed_from_u64(7);
    let floats: Vec<f64> = (0..5_000).map(|_| f64::from_bits(rng.random())).filter(|float| float.is_finite()).collect();
    let singles: Vec<f32> = (0..floats.len()).map(|_| rng.random::<f32>() * 1e6).collect();
    let names: Vec<_> = (0..floats.len()).map(|n| format!("id-{n}")).collect();
    let columns: [(&str, ArrayRef); 3] = [
        ("identity", Arc::new(StringArray::from(names))),
        ("Float", Arc::new(Float64Array::from(floats.clone()))),
        ("Single", Arc::new(Float32Array::from(singles.clone()))),
    ];
    let world = World::new();
    world.set("upload_concurrency", 1).await;
    world.ctx.register_batch("source", RecordBatch::try_from_iter(columns).expect("a batch")).expect("registered");
    world.rows("INSERT INTO clevertap.profiles SELECT * FROM source").await;
    let bodies: String = world.sent().into_iter().map(|call| call.body).collect();
    let texts = |key: &str| -> Vec<String> {
        let mark = format!("\"{key}\":");
        let after = bodies.split(mark.as_str()).skip(1);
        after.map(|rest| rest.split([',', '}']).next().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(
        texts("Float").iter().map(|text| text.parse::<f64>().map(f64::to_bits)).collect::<Vec<_>>(),
        floats.iter().map(|float| Ok(float.to_bits())).collect::<Vec<_>>()
    );
    // The shortest text of a single is what a reader gets back: 0.1, not 0.10000000149011612.
    assert_eq!(
        texts("Single").iter().map(|text| text.parse::<f32>()).collect::<Vec<_>>(),
        singles.iter().map(|single| Ok(*single)).collect::<Vec<_>>()
    );
    assert!(texts("Single").iter().all(|text| text.len() <= 14), "{:?}", texts("Single").into_iter().max_by_key(String::len));
}

/// `$D_<epoch seconds>`, with a leading zero where eight digits could be taken for a calendar date.
fn date(seconds: i64) -> Value {
    let digits = seconds.to_string();
    if digits.len() == 8 && seconds > 0 { json!(format!("$D_0{digits}")) } else { json!(format!("$D_{digits}")) }
}
