//! Cells that come as text, to Arrow, column by column: what the databases whose answers are text have in common.
//!
//! In: texts, and how a database writes what each writes in its own way. Out: arrays. A text that is no value of its column is a fault, in words.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Decimal128Builder, Decimal256Builder, ListArray, PrimitiveBuilder, StringBuilder, StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::kernels::cast_utils::parse_decimal;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, FieldRef, Fields, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    Time64MicrosecondType, TimestampMicrosecondType,
};
use chrono::{NaiveTime, Timelike};

/// What is wrong with a value.
pub(crate) type Fault = &'static str;

pub(crate) const BROKEN: Fault = "has a form that this version does not read";
const NO_DECIMAL: Fault = "is a number that no decimal of Arrow holds; a view of the database that casts it to text reads it";

/// How a database writes what each writes in its own way.
pub(crate) struct Form {
    pub(crate) boolean: fn(&str) -> Result<bool, Fault>,
    pub(crate) binary: fn(&str) -> Result<Vec<u8>, Fault>,
    /// Days since 1970.
    pub(crate) date: fn(&str) -> Result<i32, Fault>,
    /// Microseconds since 1970 of a clock on a wall.
    pub(crate) wall: fn(&str) -> Result<i64, Fault>,
    /// Microseconds since 1970 in UTC.
    pub(crate) instant: fn(&str) -> Result<i64, Fault>,
}

/// The cells of a column.
pub(crate) enum Cells {
    Boolean(BooleanBuilder),
    Int16(PrimitiveBuilder<Int16Type>),
    Int32(PrimitiveBuilder<Int32Type>),
    Int64(PrimitiveBuilder<Int64Type>),
    Float32(PrimitiveBuilder<Float32Type>),
    Float64(PrimitiveBuilder<Float64Type>),
    Decimal128(Decimal128Builder, u8, i8),
    Decimal256(Decimal256Builder, u8, i8),
    Text(StringBuilder),
    Binary(BinaryBuilder),
    Date(PrimitiveBuilder<Date32Type>),
    Wall(PrimitiveBuilder<TimestampMicrosecondType>),
    Instant(PrimitiveBuilder<TimestampMicrosecondType>),
    Time(PrimitiveBuilder<Time64MicrosecondType>),
    List { field: FieldRef, items: Box<Self>, offsets: Vec<i32>, valid: Vec<bool>, length: i32 },
    Struct { fields: Fields, children: Vec<Self>, valid: Vec<bool> },
}

impl Cells {
    pub(crate) fn new(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Boolean => Self::Boolean(BooleanBuilder::new()),
            DataType::Int16 => Self::Int16(PrimitiveBuilder::new()),
            DataType::Int32 => Self::Int32(PrimitiveBuilder::new()),
            DataType::Int64 => Self::Int64(PrimitiveBuilder::new()),
            DataType::Float32 => Self::Float32(PrimitiveBuilder::new()),
            DataType::Float64 => Self::Float64(PrimitiveBuilder::new()),
            DataType::Decimal128(precision, scale) => {
                Self::Decimal128(Decimal128Builder::new().with_data_type(data_type.clone()), *precision, *scale)
            }
            DataType::Decimal256(precision, scale) => {
                Self::Decimal256(Decimal256Builder::new().with_data_type(data_type.clone()), *precision, *scale)
            }
            DataType::Utf8 => Self::Text(StringBuilder::new()),
            DataType::Binary => Self::Binary(BinaryBuilder::new()),
            DataType::Date32 => Self::Date(PrimitiveBuilder::new()),
            DataType::Timestamp(_, None) => Self::Wall(PrimitiveBuilder::new().with_data_type(data_type.clone())),
            DataType::Timestamp(_, Some(_)) => Self::Instant(PrimitiveBuilder::new().with_data_type(data_type.clone())),
            DataType::Time64(_) => Self::Time(PrimitiveBuilder::new()),
            DataType::List(field) => Self::List {
                field: Arc::clone(field),
                items: Box::new(Self::new(field.data_type())?),
                offsets: vec![0],
                valid: Vec::new(),
                length: 0,
            },
            DataType::Struct(fields) => Self::Struct {
                children: fields.iter().map(|field| Self::new(field.data_type())).collect::<Option<_>>()?,
                fields: fields.clone(),
                valid: Vec::new(),
            },
            _ => return None,
        })
    }

    pub(crate) fn append_text(&mut self, text: &str, form: &Form) -> Result<(), Fault> {
        match self {
            Self::Boolean(cells) => cells.append_value((form.boolean)(text)?),
            Self::Int16(cells) => cells.append_value(text.parse().map_err(|_| BROKEN)?),
            Self::Int32(cells) => cells.append_value(text.parse().map_err(|_| BROKEN)?),
            Self::Int64(cells) => cells.append_value(text.parse().map_err(|_| BROKEN)?),
            // It is written as the double that it is, whose digits are enough: those of its own may not be.
            #[expect(clippy::cast_possible_truncation, reason = "it was a float before")]
            Self::Float32(cells) => cells.append_value(float(text)? as f32),
            Self::Float64(cells) => cells.append_value(float(text)?),
            // The parser would cut them off.
            Self::Decimal128(_, _, scale) | Self::Decimal256(_, _, scale) if has_more_digits(text, *scale) => return Err(NO_DECIMAL),
            Self::Decimal128(cells, precision, scale) => {
                cells.append_value(parse_decimal::<Decimal128Type>(text, *precision, *scale).map_err(|_| NO_DECIMAL)?);
            }
            Self::Decimal256(cells, precision, scale) => {
                cells.append_value(parse_decimal::<Decimal256Type>(text, *precision, *scale).map_err(|_| NO_DECIMAL)?);
            }
            Self::Text(cells) => cells.append_value(text),
            Self::Binary(cells) => cells.append_value((form.binary)(text)?),
            Self::Date(cells) => cells.append_value((form.date)(text)?),
            Self::Wall(cells) => cells.append_value((form.wall)(text)?),
            Self::Instant(cells) => cells.append_value((form.instant)(text)?),
            Self::Time(cells) => {
                let time = NaiveTime::parse_from_str(text, "%H:%M:%S%.f").map_err(|_| BROKEN)?;
                cells.append_value(i64::from(time.num_seconds_from_midnight()) * 1_000_000 + i64::from(time.nanosecond() / 1_000));
            }
            Self::List { .. } | Self::Struct { .. } => return Err(BROKEN),
        }
        Ok(())
    }

    pub(crate) fn append_null(&mut self) {
        match self {
            Self::Boolean(cells) => cells.append_null(),
            Self::Int16(cells) => cells.append_null(),
            Self::Int32(cells) => cells.append_null(),
            Self::Int64(cells) => cells.append_null(),
            Self::Float32(cells) => cells.append_null(),
            Self::Float64(cells) => cells.append_null(),
            Self::Decimal128(cells, ..) => cells.append_null(),
            Self::Decimal256(cells, ..) => cells.append_null(),
            Self::Text(cells) => cells.append_null(),
            Self::Binary(cells) => cells.append_null(),
            Self::Date(cells) => cells.append_null(),
            Self::Wall(cells) | Self::Instant(cells) => cells.append_null(),
            Self::Time(cells) => cells.append_null(),
            Self::List { offsets, valid, length, .. } => {
                offsets.push(*length);
                valid.push(false);
            }
            Self::Struct { children, valid, .. } => {
                children.iter_mut().for_each(Self::append_null);
                valid.push(false);
            }
        }
    }

    pub(crate) fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Boolean(cells) => Arc::new(cells.finish()),
            Self::Int16(cells) => Arc::new(cells.finish()),
            Self::Int32(cells) => Arc::new(cells.finish()),
            Self::Int64(cells) => Arc::new(cells.finish()),
            Self::Float32(cells) => Arc::new(cells.finish()),
            Self::Float64(cells) => Arc::new(cells.finish()),
            Self::Decimal128(cells, ..) => Arc::new(cells.finish()),
            Self::Decimal256(cells, ..) => Arc::new(cells.finish()),
            Self::Text(cells) => Arc::new(cells.finish()),
            Self::Binary(cells) => Arc::new(cells.finish()),
            Self::Date(cells) => Arc::new(cells.finish()),
            Self::Wall(cells) | Self::Instant(cells) => Arc::new(cells.finish()),
            Self::Time(cells) => Arc::new(cells.finish()),
            Self::List { field, items, offsets, valid, length } => {
                *length = 0;
                let offsets = OffsetBuffer::new(std::mem::replace(offsets, vec![0]).into());
                let valid = NullBuffer::from(std::mem::take(valid));
                Arc::new(ListArray::new(Arc::clone(field), offsets, items.finish(), Some(valid)))
            }
            Self::Struct { fields, children, valid } => {
                let (rows, valid) = (valid.len(), NullBuffer::from(std::mem::take(valid)));
                let arrays: Vec<_> = children.iter_mut().map(Self::finish).collect();
                if arrays.is_empty() {
                    return Arc::new(StructArray::new_empty_fields(rows, Some(valid)));
                }
                Arc::new(StructArray::new(fields.clone(), arrays, Some(valid)))
            }
        }
    }
}

/// Whether digits that are no zeros stand behind the last of a decimal.
fn has_more_digits(text: &str, scale: i8) -> bool {
    let places = usize::try_from(scale).unwrap_or(0);
    text.split_once('.').is_some_and(|(_, digits)| digits.trim_end_matches('0').len() > places)
}

/// NaN and Infinity are parsed too. There all NaN are one; here a negative one would be less than all numbers.
fn float(text: &str) -> Result<f64, Fault> {
    let number: f64 = text.parse().map_err(|_| BROKEN)?;
    Ok(if number.is_nan() { f64::NAN } else { number })
}
