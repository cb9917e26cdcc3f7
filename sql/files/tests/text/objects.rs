//! Random records as Python's `json`, pandas, polars and DuckDB write them: each file is read as Python reads it, or refused.
//!
//! `CLEVERTAP_WRITTEN_JSON=20000` has so many written, `CLEVERTAP_SEED=n` begins with another.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Float64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use clevertap_files::TextError;
use clevertap_files::json::{Layout, Rows, Scan};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::generated::{as_typed, number};
use crate::pieces;
use crate::python::Script;

#[test]
fn every_record_of_every_writer_is_read_as_it_was_written_or_refused() {
    let (first, files) = (number("CLEVERTAP_SEED", 1), number("CLEVERTAP_WRITTEN_JSON", 1_000));
    let Some(mut script) = Script::start("objects.py", &[first.to_string(), files.to_string()]) else { return };
    let (mut rng, mut refused, mut typed) = (StdRng::seed_from_u64(first), 0, 0);
    while let Some(name) = script.next() {
        let (data, needs) = (script.data(), script.text());
        let (names, cells) = (script.texts(), script.cells());
        let file = format!("{name} {}", String::from_utf8_lossy(&data));
        let sizes: Vec<_> = (0..5).map(|_| rng.random_range(1..2_000)).collect();
        let layout = match scan(&name, &data, &sizes) {
            Ok(layout) => layout,
            Err(error) => {
                assert!(!needs.is_empty() && error.line.is_some() && error.to_string().contains(&needs), "{error} {file}");
                refused += 1;
                continue;
            }
        };
        assert!(needs.is_empty(), "{file}");
        assert_eq!(layout.columns().iter().map(|column| &column.name).collect::<Vec<_>>(), names.iter().collect::<Vec<_>>(), "{file}");
        typed += layout.columns().iter().filter(|column| column.data_type != DataType::Utf8View).count() as u64;
        let mut rows = cells.chunks(names.len().max(1));
        for batch in load(&name, &layout, &data, &sizes).unwrap_or_else(|error| panic!("{error} {file}")) {
            for row in 0..batch.num_rows() {
                let wanted = if names.is_empty() { &[] } else { rows.next().unwrap_or_else(|| panic!("too many rows {file}")) };
                for (column, (array, wanted)) in layout.columns().iter().zip(batch.columns().iter().zip(wanted)) {
                    let wanted = wanted.as_ref().map_or(Value::Null, |wanted| serde_json::from_str(wanted).expect("JSON"));
                    let is_same = if column.is_json && array.is_valid(row) {
                        is_json(array.as_string_view().value(row), &wanted)
                    } else {
                        is(array.as_ref(), row, &wanted)
                    };
                    assert!(is_same, "row {row} of {} {}: {wanted} {file}", column.name, column.data_type);
                }
            }
        }
        assert!(rows.next().is_none(), "too few rows {file}");
    }
    assert!(typed > files / 2 && refused * 50 > files && refused * 4 < files, "{typed} typed columns, {refused} refused");
}

fn scan(name: &str, data: &[u8], sizes: &[usize]) -> Result<Layout, TextError> {
    let mut scan = Scan::new(name);
    pieces(data, sizes).try_for_each(|piece| scan.push(piece))?;
    scan.finish()
}

fn load(name: &str, layout: &Layout, data: &[u8], sizes: &[usize]) -> Result<Vec<arrow::array::RecordBatch>, TextError> {
    let all: Vec<_> = (0..layout.columns().len()).collect();
    let mut rows = Rows::new(name, layout, layout.schema(), &all).with_batch_rows(3);
    let mut batches = Vec::new();
    for piece in pieces(data, sizes) {
        batches.extend(rows.push(piece)?);
    }
    batches.extend(rows.finish()?);
    Ok(batches)
}

/// Whether a value of an array is what was written: a number stands there as its digits behind `#`, a text as its characters behind `"`.
fn is(array: &dyn Array, row: usize, wanted: &Value) -> bool {
    if array.is_null(row) || wanted.is_null() {
        return array.is_null(row) && wanted.is_null();
    }
    let shown = || ArrayFormatter::try_new(array, &FormatOptions::new()).expect("a formatter").value(row).to_string();
    match (array.data_type(), wanted) {
        (DataType::List(_), Value::Array(wanted)) => {
            let elements = array.as_list::<i32>().value(row);
            elements.len() == wanted.len() && wanted.iter().enumerate().all(|(at, wanted)| is(elements.as_ref(), at, wanted))
        }
        (DataType::Struct(_), Value::Object(wanted)) => {
            let object = array.as_struct();
            let is_member =
                |(name, array): (&str, &arrow::array::ArrayRef)| is(array.as_ref(), row, wanted.get(name).unwrap_or(&Value::Null));
            wanted.keys().all(|name| object.column_names().contains(&name.as_str()))
                && object.column_names().into_iter().zip(object.columns()).all(is_member)
        }
        (DataType::Boolean, Value::Bool(wanted)) => shown() == wanted.to_string(),
        (DataType::Utf8View, Value::Bool(wanted)) => shown() == wanted.to_string(),
        (DataType::Utf8View, Value::String(wanted)) => wanted.get(1..) == Some(array.as_string_view().value(row)),
        (DataType::Float64, Value::String(wanted)) => {
            let wanted = wanted.strip_prefix('#').and_then(|digits| digits.parse::<f64>().ok());
            wanted.map(f64::to_bits) == Some(array.as_primitive::<Float64Type>().value(row).to_bits())
        }
        (DataType::Int64 | DataType::UInt64 | DataType::Decimal128(..), Value::String(wanted)) => {
            wanted.strip_prefix('#').map(|digits| as_typed(digits, array.data_type())) == Some(shown())
        }
        _ => false,
    }
}

/// Whether a value that is kept as JSON is what was written.
fn is_json(json: &str, wanted: &Value) -> bool {
    match wanted {
        Value::Null => json == "null",
        Value::Bool(wanted) => json == wanted.to_string(),
        Value::String(wanted) => match wanted.strip_prefix('#') {
            Some(digits) if !json.starts_with('"') => digits == json,
            _ => serde_json::from_str::<String>(json).ok().as_deref() == wanted.get(1..),
        },
        Value::Array(wanted) => {
            let elements: Vec<&RawValue> = serde_json::from_str(json).expect("a list");
            elements.len() == wanted.len() && elements.iter().zip(wanted).all(|(json, wanted)| is_json(json.get(), wanted))
        }
        Value::Object(wanted) => {
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(json).expect("an object");
            members.len() == wanted.len() && wanted.iter().all(|(name, wanted)| is_json(members[name].get(), wanted))
        }
        Value::Number(_) => false,
    }
}
