//! A second decoder, naive and slow, built on serde_json and chrono. Both decoders must agree on random pages.
//!
//! It checks with `serde_json::Value` that a page is JSON, walks it with `RawValue` so that digits and texts are exact, and shares no code
//! with the decoder. Pages are complete, truncated at each byte, or have one to three bytes changed. `CLEVERTAP_CASES` sets their number.

use std::cell;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use arrow::array::*;
use arrow::datatypes::*;
use chrono::{Datelike, NaiveDate, NaiveDateTime, TimeDelta, TimeZone};
use proptest::prelude::*;
use proptest::test_runner::Config;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::Value;
use serde_json::value::RawValue;

use super::writer::{mutate, page};
use super::*;
use crate::table::ValueForm;

const ZONE: Tz = Tz::Europe__Berlin;

const SLOTS: &[(&str, &[&str], ValueForm)] = &[
    ("record", &[""], ValueForm::Json),
    ("event_time", &["ts"], ValueForm::PackedTime),
    ("event_date", &["ts"], ValueForm::PackedDay),
    ("name", &["profile/name"], ValueForm::Text),
    ("identity", &["profile/identity", "identity"], ValueForm::Text),
    ("object_id", &["objectId", "platformInfo/*/objectId"], ValueForm::Text),
    ("profile", &["profile"], ValueForm::Json),
    ("properties", &["event_props"], ValueForm::Json),
    ("Amount", &["event_props/Amount"], ValueForm::Float64),
    ("amount_text", &["event_props/Amount"], ValueForm::Text),
    ("Qty", &["event_props/Qty"], ValueForm::Int64),
    ("Ok", &["event_props/Ok"], ValueForm::Boolean),
    ("When", &["event_props/When", "event_props/Qty"], ValueForm::Date),
    ("Tags", &["event_props/Tags"], ValueForm::TextList),
    ("long", &["event_props/a property whose name is longer than two words"], ValueForm::Float64),
];

/// A value as the tests compare it.
#[derive(Debug, Clone, PartialEq)]
enum Cell {
    Null,
    Text(String),
    Integer(i64),
    /// The bits of the float.
    Float(u64),
    Boolean(bool),
    Texts(Vec<Option<String>>),
}

/// A page as the tests compare it.
#[derive(Debug, PartialEq)]
struct Decoded {
    cells: Vec<Vec<Cell>>,
    /// `next_cursor`, `cursor`.
    cursors: [Option<String>; 2],
    status: Option<String>,
    mismatches: Vec<u64>,
}

fn decoded(page: Page) -> Decoded {
    let cell = |array: &ArrayRef, row: usize| match array.data_type() {
        _ if array.is_null(row) => Cell::Null,
        DataType::Utf8View => Cell::Text(array.as_string_view().value(row).to_owned()),
        DataType::Int64 => Cell::Integer(array.as_primitive::<Int64Type>().value(row)),
        DataType::Timestamp(TimeUnit::Second, _) => Cell::Integer(array.as_primitive::<TimestampSecondType>().value(row)),
        DataType::Date32 => Cell::Integer(array.as_primitive::<Date32Type>().value(row).into()),
        DataType::Float64 => Cell::Float(array.as_primitive::<Float64Type>().value(row).to_bits()),
        DataType::Boolean => Cell::Boolean(array.as_boolean().value(row)),
        DataType::List(_) => {
            Cell::Texts(array.as_list::<i32>().value(row).as_string_view().iter().map(|text| text.map(str::to_owned)).collect())
        }
        other => panic!("no slot is {other}"),
    };
    for column in &page.columns {
        column.to_data().validate_full().expect("a valid array");
        assert_eq!(column.len(), page.rows);
    }
    let cells = page.columns.iter().map(|column| (0..page.rows).map(|row| cell(column, row)).collect()).collect();
    Decoded { cells, cursors: [page.next_cursor, page.cursor], status: page.status, mismatches: page.mismatches }
}

/// The expected result; `None` if the page must be refused.
fn expected(body: &[u8]) -> Option<Decoded> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let Value::Object(object) = &value else { return None };
    let envelope: HashMap<String, &RawValue> = serde_json::from_slice(body).expect("an object");
    let records: Vec<&RawValue> = match object.get("records") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(records)) if records.iter().all(Value::is_object) => {
            serde_json::from_str(envelope["records"].get()).expect("a list")
        }
        Some(_) => return None,
    };
    let mut cursors = [None, None];
    for (cursor, key) in cursors.iter_mut().zip(["next_cursor", "cursor"]) {
        let found = object.get(key).filter(|value| !value.is_null()).map(|cursor| cursor.as_str().ok_or(()));
        *cursor = found.transpose().ok()?.filter(|cursor| !cursor.is_empty()).map(str::to_owned);
    }
    let mut mismatches = vec![0; SLOTS.len()];
    let mut cells = Vec::new();
    for ((_, paths, form), mismatches) in SLOTS.iter().zip(&mut mismatches) {
        let mut column = Vec::new();
        for record in &records {
            let raw = paths.iter().find_map(|path| find(record.get(), path.split('/').filter(|step| !step.is_empty())));
            let found = raw.map(|raw| convert(raw, *form));
            let is_required = matches!(form, ValueForm::PackedTime | ValueForm::PackedDay);
            match found.flatten() {
                Some(cell) => column.push(cell),
                None => {
                    *mismatches += u64::from(raw.is_some() || is_required);
                    column.push(Cell::Null);
                }
            }
        }
        cells.push(column);
    }
    let status = object.get("status").and_then(Value::as_str).map(str::to_owned);
    Some(Decoded { cells, cursors, status, mismatches })
}

/// The JSON text at a path, unless it is null.
fn find<'a, 'b>(raw: &'a str, mut steps: impl Iterator<Item = &'b str>) -> Option<&'a str> {
    let Some(step) = steps.next() else { return (raw != "null").then_some(raw) };
    let next = if raw.starts_with('{') {
        serde_json::from_str::<HashMap<String, &RawValue>>(raw).expect("an object").get(step).copied()
    } else if raw.starts_with('[') && step == "*" {
        let steps: Vec<&str> = steps.collect();
        let elements = serde_json::from_str::<Vec<&'a RawValue>>(raw).expect("a list");
        return elements.into_iter().find_map(|element| find(element.get(), steps.iter().copied()));
    } else {
        None
    };
    find(next?.get(), steps)
}

/// The text of the value, if it is a number.
fn number(raw: &str) -> Option<String> {
    let text = raw.to_owned();
    // A number that is too large for any form is a number too.
    let is_number =
        serde_json::from_str::<&RawValue>(&text).is_ok() && text.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    (is_number && text.trim() == text).then_some(text)
}

fn is_whole(number: &str) -> bool {
    !number.contains(['.', 'e', 'E'])
}

fn convert(raw: &str, form: ValueForm) -> Option<Cell> {
    let value: Value = serde_json::from_str(raw).expect("a value");
    let text = value.as_str();
    match form {
        ValueForm::Json => Some(Cell::Text(raw.to_owned())),
        ValueForm::Text => Some(Cell::Text(text.unwrap_or(raw).to_owned())),
        ValueForm::Int64 => number(raw).filter(|number| is_whole(number))?.parse().ok().map(Cell::Integer),
        ValueForm::Float64 => {
            let number = number(raw)?;
            let float: f64 = number.parse().ok().filter(|float: &f64| float.is_finite())?;
            let exact = match number.parse::<i128>() {
                Ok(whole) => float as i128 == whole && float.abs() < 1e37,
                Err(_) => !is_whole(&number) || format!("{float:.0}") == number,
            };
            exact.then_some(Cell::Float(float.to_bits()))
        }
        ValueForm::Boolean => match text.map(str::to_lowercase).as_deref().unwrap_or(raw) {
            "true" => Some(Cell::Boolean(true)),
            "false" => Some(Cell::Boolean(false)),
            _ => None,
        },
        ValueForm::Date => {
            let Some(text) = text else { return is_whole(raw).then(|| raw.parse().ok()).flatten().and_then(year).map(Cell::Integer) };
            let digits = text.strip_prefix("$D_").filter(|digits| !digits.starts_with('+'))?;
            // chrono's parser also accepts blanks.
            let is_date = digits.len() == 8 && digits.bytes().all(|digit| digit.is_ascii_digit());
            let date = is_date.then(|| NaiveDate::parse_from_str(digits, "%Y%m%d").ok()).flatten().filter(|day| day.year() > 0);
            match date {
                Some(day) => Some(Cell::Integer(local(day.and_hms_opt(0, 0, 0).expect("midnight")))),
                None => digits.parse().ok().and_then(year).map(Cell::Integer),
            }
        }
        ValueForm::PackedTime => moment(raw, text).map(|moment| Cell::Integer(moment.unwrap_or_else(local))),
        ValueForm::PackedDay => moment(raw, text).map(|moment| {
            let day =
                moment.map_or_else(|time| time.date(), |second| ZONE.timestamp_opt(second, 0).single().expect("an instant").date_naive());
            Cell::Integer(day.to_epoch_days().into())
        }),
        ValueForm::TextList => {
            let items = if raw.starts_with('[') { serde_json::from_str(raw).expect("a list") } else { vec![Value::Null] };
            let raws: Vec<&RawValue> =
                if raw.starts_with('[') { serde_json::from_str(raw).expect("a list") } else { vec![serde_json::from_str(raw).ok()?] };
            let item = |raw: &&RawValue| match serde_json::from_str(raw.get()).expect("a value") {
                Value::Null => Some(None),
                Value::String(text) => Some(Some(text)),
                Value::Array(_) | Value::Object(_) => None,
                _ => Some(Some(raw.get().to_owned())),
            };
            assert_eq!(items.len(), raws.len());
            if raw.starts_with('{') { None } else { raws.iter().map(item).collect::<Option<_>>().map(Cell::Texts) }
        }
    }
}

fn year(seconds: i64) -> Option<i64> {
    chrono::DateTime::from_timestamp(seconds, 0).filter(|time| (1..=9999).contains(&time.year())).map(|_| seconds)
}

/// An instant, or a time on the clock of the project: packed, or in one of the other forms.
fn moment(raw: &str, text: Option<&str>) -> Option<Result<i64, NaiveDateTime>> {
    if let Some(time) = packed(raw, text) {
        return Some(Err(time));
    }
    let written = raw.trim_matches('"');
    if written.bytes().all(|byte| byte.is_ascii_digit()) {
        let per_second = match written.len() {
            9 | 10 => 1,
            13 => 1_000,
            _ => return None,
        };
        return year(written.parse::<i64>().ok()? / per_second).map(Ok);
    }
    // Such a text is one in a thousand here, so that both use chrono's parsers.
    text.filter(|text| *text == written)?;
    if let Ok(at) = chrono::DateTime::parse_from_rfc3339(written) {
        return year(at.timestamp()).map(Ok);
    }
    let time = NaiveDateTime::parse_from_str(&written.replacen('T', " ", 1), "%Y-%m-%d %H:%M:%S%.f").ok()?;
    year(time.and_utc().timestamp()).map(|_| Err(time))
}

fn packed(raw: &str, text: Option<&str>) -> Option<NaiveDateTime> {
    let digits = text.unwrap_or(raw);
    let is_packed = digits.len() == 14 && digits.bytes().all(|digit| digit.is_ascii_digit());
    let (day, clock) = is_packed.then(|| digits.split_at(8))?;
    let day = NaiveDate::parse_from_str(day, "%Y%m%d").ok().filter(|day| day.year() > 0)?;
    let part = |at: usize| clock.get(at..at + 2).and_then(|part| part.parse().ok());
    day.and_hms_opt(part(0)?, part(2)?, part(4)?)
}

/// The earlier instant of an ambiguous time. A skipped time is shifted forward by the gap.
fn local(time: NaiveDateTime) -> i64 {
    let minutes = (0..).find(|minutes| ZONE.from_local_datetime(&(time - TimeDelta::minutes(*minutes))).latest().is_some());
    let back = TimeDelta::minutes(minutes.expect("a time before the gap"));
    let before = ZONE.from_local_datetime(&(time - back));
    (if back.is_zero() { before.earliest() } else { before.latest() }.expect("an instant") + back).timestamp()
}

/// Compares with two decoders: `reused` has read pages before, and a new one uses only portable code.
fn compare(reused: &mut PageDecoder, body: Vec<u8>) {
    let body = Bytes::from(body);
    let expected = expected(&body);
    let mut portable = decoder(SLOTS, Some(ZONE));
    portable.cpu = CpuFeatures::Words;
    for decoder in [&mut portable, reused] {
        let found = decoder.decode(&body);
        let result = match (&found, &expected) {
            (Err(_), None) => continue,
            _ => found.map(decoded).map_err(|error| error.to_string()),
        };
        let text = String::from_utf8_lossy(&body);
        match (&result, &expected) {
            (Ok(found), Some(expected)) => assert_eq!(found, expected, "of {text}"),
            (Ok(_), None) => panic!("read, but must be refused: {text}"),
            (Err(error), _) => panic!("{error}, but must be read: {text}"),
        }
    }
}

fn cases(fallback: u32) -> u32 {
    std::env::var("CLEVERTAP_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(fallback)
}

/// Runs `test` for this many seeds, with one decoder for all of them.
fn seeds(cases: u32, test: impl Fn(&mut PageDecoder, StdRng)) {
    let reused = Mutex::new(decoder(SLOTS, Some(ZONE)));
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    proptest!(config, |(seed: u64)| {
        test(&mut reused.lock().unwrap_or_else(PoisonError::into_inner), StdRng::seed_from_u64(seed));
    });
}

#[test]
fn a_random_page_is_decoded_as_by_serde_json() {
    let (read, rows) = (cell::Cell::new(0), cell::Cell::new(0));
    seeds(cases(2_000), |reused, mut rng| {
        let page = page(&mut rng);
        let found = expected(&page);
        read.set(read.get() + u32::from(found.is_some()));
        rows.set(rows.get() + found.map_or(0, |found| found.cells[0].len()));
        compare(reused, page);
    });
    // Otherwise the test would prove little.
    assert!(read.get() > cases(2_000) / 2 && rows.get() > read.get() as usize / 2, "{read:?} pages read, {rows:?} rows");
}

#[test]
fn a_truncated_page_is_refused_unless_it_is_still_a_page() {
    seeds(cases(2_000) / 200, |reused, mut rng| {
        let page = page(&mut rng);
        (0..page.len()).for_each(|end| compare(reused, page[..end].to_vec()));
    });
}

#[test]
fn a_page_with_changed_bytes_is_read_or_refused_as_by_serde_json() {
    seeds(cases(4_000), |reused, mut rng| {
        let mut page = page(&mut rng);
        mutate(&mut page, &mut rng);
        compare(reused, page);
    });
}
