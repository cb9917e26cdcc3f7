//! Behaviour of the encoder: the input is a batch, and the text of its records is compared.
//!
//! Every batch is also encoded in slices, and the records must be the same: offsets are where array code goes wrong.

mod events;
mod oracle;
mod profiles;
mod properties;
mod types;

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use arrow::datatypes::{Field, Schema};
use chrono_tz::Tz;

use super::{Encoder, Page, Reject, Row, Rules, Warning, identifier_of};
use crate::error::Result;
use crate::options::{LongValues, NaiveTime, NullMarks, Nulls};
use crate::tables;
use crate::write::mapping::{IdentifierChoice, Mapping};

/// The result of encoding a batch.
#[derive(Debug)]
struct Encoded {
    /// The records, each followed by a comma.
    bytes: Vec<u8>,
    rows: Vec<Row>,
    warnings: Vec<Warning>,
}

impl Encoder {
    /// Writes all of `batch`, in several calls of different sizes.
    fn encode(&mut self, batch: &RecordBatch) -> Result<Encoded> {
        let mut bound = self.begin(batch)?;
        let (mut page, mut rows) = (Page::default(), Vec::new());
        for rows_max in [1, 3, 70, usize::MAX] {
            self.write(&mut bound, rows_max, &mut page, &mut rows);
        }
        assert!(bound.is_written());
        let warnings = self.end(&bound);
        Ok(Encoded { bytes: page.into_bytes(), rows, warnings })
    }
}

/// Default options, in a project in India.
fn rules() -> Rules {
    Rules {
        nulls: Nulls::Omit,
        nested: false,
        naive_time: NaiveTime::Refuse,
        long_values: LongValues::Reject,
        null_marks: NullMarks::Reject,
        time_zone: Some(Tz::Asia__Kolkata),
    }
}

fn text(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn words(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn batch(columns: &[(&str, ArrayRef)]) -> RecordBatch {
    let fields: Vec<Field> = columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    let options = RecordBatchOptions::new().with_row_count(columns.first().map(|(_, array)| array.len()));
    let arrays = columns.iter().map(|(_, array)| Arc::clone(array)).collect();
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options).expect("columns of one length")
}

fn mapping(table: &str, batch: &RecordBatch) -> Mapping {
    let (table, event) = match table.split_once('.') {
        Some((table, event)) => (table, Some(event)),
        None => (table, None),
    };
    let qualified = event.map_or_else(|| format!("clevertap.{table}"), |event| format!("clevertap_events.\"{event}\""));
    Mapping::new(tables::find(table).expect("a table"), event, qualified, &batch.schema(), IdentifierChoice::OneColumn).expect("a mapping")
}

/// Encodes for `table`, or for the event of `events.Name`.
fn encode(table: &str, batch: &RecordBatch, rules: &Rules) -> Result<Encoded> {
    Encoder::new(&mapping(table, batch), &batch.schema(), rules)?.encode(batch)
}

/// One line per row: its record, or `CT-nnn column reason`.
fn lines(encoded: &Encoded) -> Vec<String> {
    let line = |row: &Row| match row {
        Row::Record(record) => String::from_utf8(encoded.bytes[record.range()].to_vec()).expect("UTF-8"),
        Row::Reject(reject) => format!("{} {} {}", reject.code, reject.column, reject.reason),
    };
    encoded.rows.iter().map(line).collect()
}

/// The [`lines`] of the batch, after checking that slices and single rows give the same.
fn written(table: &str, batch: &RecordBatch, rules: &Rules) -> Result<Vec<String>> {
    let encoded = encode(table, batch, rules)?;
    let mut next = 0;
    for row in &encoded.rows {
        match row {
            Row::Record(record) => {
                assert_eq!(record.range().start, next);
                assert_eq!(encoded.bytes[record.range().end], b',');
                next = record.range().end + 1;
            }
            Row::Reject(reject) => assert!(serde_json::from_str::<serde_json::Value>(&reject.record).is_ok(), "{}", reject.record),
        }
    }
    assert_eq!(encoded.bytes.len(), next);
    let expected = lines(&encoded);
    let mut encoder = Encoder::new(&mapping(table, batch), &batch.schema(), rules)?;
    for start in 0..batch.num_rows() {
        let sliced = encoder.encode(&batch.slice(start, batch.num_rows() - start))?;
        assert_eq!(lines(&sliced), expected[start..], "rows from {start}");
        let alone = encoder.encode(&batch.slice(start, 1))?;
        assert_eq!(lines(&alone), expected[start..=start], "row {start}");
    }
    Ok(expected)
}

/// Profiles with an `identity` and one column.
fn profiles_of(name: &str, array: ArrayRef) -> RecordBatch {
    let ids: Vec<String> = (0..array.len()).map(|at| format!("p{at}")).collect();
    batch(&[("identity", Arc::new(StringArray::from(ids))), (name, array)])
}

/// The content of `profileData` for each row, or the reject.
fn properties_of(name: &str, array: ArrayRef, rules: &Rules) -> Result<Vec<String>> {
    let inside = |line: String| match line.split_once("\"profileData\":") {
        Some((_, data)) => data.strip_suffix('}').expect("a record").to_owned(),
        None => line,
    };
    Ok(written("profiles", &profiles_of(name, array), rules)?.into_iter().map(inside).collect())
}

/// Why the column cannot be written.
fn refused(table: &str, batch: &RecordBatch, rules: &Rules) -> String {
    encode(table, batch, rules).expect_err("refused").to_string()
}

fn rejects(encoded: &Encoded) -> Vec<&Reject> {
    encoded.rows.iter().filter_map(|row| if let Row::Reject(reject) = row { Some(reject.as_ref()) } else { None }).collect()
}

/// The `CT-nnn` of a rejected line.
fn code(line: &str) -> &str {
    line.split(' ').next().unwrap_or_default()
}
