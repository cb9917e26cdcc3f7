//! Reference encoders: arrow-json, with and without an encoder for `$D_`, and serde.
//!
//! In their favour, this is done outside of their times: columns are already nested like the record, constant values are a column,
//! and epoch seconds are integers.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, StructArray};
use arrow::datatypes::{DataType, Date32Type, Field, FieldRef, Fields, Schema, TimestampMillisecondType};
use arrow::error::ArrowError;
use arrow::json::WriterBuilder;
use arrow::json::writer::{Encoder, EncoderFactory, EncoderOptions, JsonArray, NullableEncoder};
use clevertap_benches::rows::plain;

use super::typed;

/// Records per body.
const BODY_ROWS: usize = 1_000;

/// The kind of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    Profiles,
    Events,
}

impl Table {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Profiles => "profiles",
            Self::Events => "events",
        }
    }
}

/// A batch prepared for the reference encoders.
pub(crate) struct Prepared {
    table: Table,
    flat: RecordBatch,
    nested: RecordBatch,
}

/// A batch nested like the record, with constant values as columns.
pub(crate) fn nested(table: Table, batch: &RecordBatch) -> RecordBatch {
    let column = |name: &str| (name.to_owned(), Arc::clone(batch.column_by_name(name).expect("a column")));
    let constant = |name: &str, value: &str| (name.to_owned(), Arc::new(StringArray::from(vec![value; batch.num_rows()])) as ArrayRef);
    let rest = |head: usize| -> Vec<(String, ArrayRef)> {
        let fields = batch.schema_ref().fields().iter().zip(batch.columns()).skip(head);
        fields.map(|(field, array)| (field.name().clone(), if field.name() == "Tags" { set(array) } else { Arc::clone(array) })).collect()
    };
    let nested = match table {
        Table::Profiles => vec![constant("type", "profile"), column("identity"), ("profileData".to_owned(), object(rest(1)))],
        Table::Events => vec![
            constant("type", "event"),
            column("identity"),
            ("ts".to_owned(), column("event_time").1),
            ("evtName".to_owned(), column("event_name").1),
            ("evtData".to_owned(), object(rest(3))),
        ],
    };
    RecordBatch::try_from_iter(nested).expect("columns of one length")
}

/// Slices of one body each.
pub(crate) fn slices(batch: &RecordBatch) -> impl Iterator<Item = RecordBatch> + '_ {
    (0..batch.num_rows()).step_by(BODY_ROWS).map(|start| batch.slice(start, BODY_ROWS.min(batch.num_rows() - start)))
}

/// A body written by arrow-json, with `$D_` dates or with its own.
pub(crate) fn arrow_json(slice: &RecordBatch, dates: bool) -> Vec<u8> {
    let mut builder = WriterBuilder::new();
    if dates {
        builder = builder.with_encoder_factory(Arc::new(Dates));
    }
    let mut writer = builder.build::<_, JsonArray>(Vec::with_capacity(300 * BODY_ROWS));
    writer.write(slice).expect("written");
    writer.finish().expect("finished");
    writer.into_inner()
}

impl Prepared {
    pub(crate) fn new(table: Table, batch: &RecordBatch) -> Self {
        let plain = batch.columns().iter().map(plain).collect::<Vec<_>>();
        let fields: Fields =
            batch.schema().fields().iter().zip(&plain).map(|(f, a)| Field::new(f.name(), a.data_type().clone(), true)).collect();
        let flat = RecordBatch::try_new(Arc::new(Schema::new(fields)), plain).expect("text is text");
        Self { table, flat, nested: nested(table, batch) }
    }

    /// Bodies written by arrow-json, with `$D_` dates or with its own.
    pub(crate) fn arrow_json(&self, dates: bool) -> Vec<Vec<u8>> {
        slices(&self.nested).map(|slice| arrow_json(&slice, dates)).collect()
    }

    /// Bodies written from a `serde_json::Value` per record.
    pub(crate) fn values(&self) -> Vec<Vec<u8>> {
        let write = |slice: RecordBatch| serde_json::to_vec(&typed::values(self.table, &slice)).expect("JSON");
        slices(&self.flat).map(write).collect()
    }

    /// Bodies written from structs with fields known at compile time.
    pub(crate) fn typed<E: std::fmt::Debug>(&self, write: impl Fn(&mut Vec<u8>, &typed::Records<'_>) -> Result<(), E>) -> Vec<Vec<u8>> {
        let write = |slice: RecordBatch| {
            let mut out = Vec::with_capacity(300 * BODY_ROWS);
            typed::with_records(self.table, &slice, |records| write(&mut out, records)).expect("JSON");
            out
        };
        slices(&self.flat).map(write).collect()
    }
}

fn object(columns: Vec<(String, ArrayRef)>) -> ArrayRef {
    let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) =
        columns.into_iter().map(|(name, array)| (Field::new(name, array.data_type().clone(), true), array)).unzip();
    Arc::new(StructArray::new(fields.into(), arrays, None))
}

/// `{"$set": list}`; NULL if the list is.
fn set(list: &ArrayRef) -> ArrayRef {
    let field = Field::new("$set", list.data_type().clone(), true);
    Arc::new(StructArray::new(vec![field].into(), vec![Arc::clone(list)], list.nulls().cloned()))
}

/// Writes dates and timestamps as `"$D_<epoch seconds>"`.
#[derive(Debug)]
struct Dates;

impl EncoderFactory for Dates {
    fn make_default_encoder<'a>(
        &self,
        _field: &'a FieldRef,
        array: &'a dyn Array,
        _options: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        let encoder: Box<dyn Encoder + 'a> = match array.data_type() {
            DataType::Date32 => {
                let values = array.as_primitive::<Date32Type>().values();
                Box::new(Date(move |row: usize| typed::day(values[row])))
            }
            DataType::Timestamp(..) => {
                let values = array.as_primitive::<TimestampMillisecondType>().values();
                Box::new(Date(move |row: usize| values[row].div_euclid(1_000)))
            }
            _ => return Ok(None),
        };
        Ok(Some(NullableEncoder::new(encoder, array.nulls().cloned())))
    }
}

struct Date<F>(F);

impl<F: Fn(usize) -> i64> Encoder for Date<F> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        let seconds = (self.0)(row);
        out.extend_from_slice(if (10_000_000..100_000_000).contains(&seconds) { b"\"$D_0" } else { b"\"$D_" });
        out.extend_from_slice(itoa::Buffer::new().format(seconds).as_bytes());
        out.push(b'"');
    }
}
