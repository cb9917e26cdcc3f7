//! Values of the binary protocol to Arrow, column by column.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryBuilder, Decimal128Builder, Decimal256Builder, PrimitiveBuilder, RecordBatch, StringBuilder};
use arrow::compute::kernels::cast_utils::parse_decimal;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use chrono::{NaiveDate, NaiveDateTime};
use mysql_async::Value;

use crate::answer::Answer;
use crate::error::Result;

/// What is wrong with a value.
type Fault = &'static str;

const NO_DATE: Fault = "is no day of a calendar, such as 0000-00-00; a view of the database with nullif(…, '0000-00-00') reads it as NULL";
const NOT_UTF8: Fault = "is no UTF-8; a view of the database with CAST(… AS BINARY) reads it";
const BROKEN: Fault = "has a form that this version does not read";

/// The cells of a column.
enum Cells {
    Int8(PrimitiveBuilder<Int8Type>),
    Int16(PrimitiveBuilder<Int16Type>),
    Int32(PrimitiveBuilder<Int32Type>),
    Int64(PrimitiveBuilder<Int64Type>),
    UInt8(PrimitiveBuilder<UInt8Type>),
    UInt16(PrimitiveBuilder<UInt16Type>),
    UInt32(PrimitiveBuilder<UInt32Type>),
    UInt64(PrimitiveBuilder<UInt64Type>),
    Float32(PrimitiveBuilder<Float32Type>),
    Float64(PrimitiveBuilder<Float64Type>),
    Decimal128(Decimal128Builder, u8, i8),
    Decimal256(Decimal256Builder, u8, i8),
    Text(StringBuilder),
    Binary(BinaryBuilder),
    Date(PrimitiveBuilder<Date32Type>),
    Timestamp(PrimitiveBuilder<TimestampMicrosecondType>),
}

fn whole<T: TryFrom<i128>>(value: &Value) -> Result<T, Fault> {
    let number = match value {
        Value::Int(number) => i128::from(*number),
        Value::UInt(number) => i128::from(*number),
        _ => return Err(BROKEN),
    };
    T::try_from(number).map_err(|_| BROKEN)
}

fn bytes(value: &Value) -> Result<&[u8], Fault> {
    match value {
        Value::Bytes(bytes) => Ok(bytes),
        _ => Err(BROKEN),
    }
}

fn text(value: &Value) -> Result<&str, Fault> {
    str::from_utf8(bytes(value)?).map_err(|_| NOT_UTF8)
}

fn instant(value: &Value) -> Result<NaiveDateTime, Fault> {
    let Value::Date(year, month, day, hour, minute, second, micros) = value else { return Err(BROKEN) };
    let day = NaiveDate::from_ymd_opt(i32::from(*year), u32::from(*month), u32::from(*day)).ok_or(NO_DATE)?;
    day.and_hms_micro_opt(u32::from(*hour), u32::from(*minute), u32::from(*second), *micros).ok_or(NO_DATE)
}

impl Cells {
    fn new(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Int8 => Self::Int8(PrimitiveBuilder::new()),
            DataType::Int16 => Self::Int16(PrimitiveBuilder::new()),
            DataType::Int32 => Self::Int32(PrimitiveBuilder::new()),
            DataType::Int64 => Self::Int64(PrimitiveBuilder::new()),
            DataType::UInt8 => Self::UInt8(PrimitiveBuilder::new()),
            DataType::UInt16 => Self::UInt16(PrimitiveBuilder::new()),
            DataType::UInt32 => Self::UInt32(PrimitiveBuilder::new()),
            DataType::UInt64 => Self::UInt64(PrimitiveBuilder::new()),
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
            DataType::Timestamp(..) => Self::Timestamp(PrimitiveBuilder::new().with_data_type(data_type.clone())),
            _ => return None,
        })
    }

    /// Adds a cell.
    fn append(&mut self, value: &Value) -> Result<(), Fault> {
        let is_null = matches!(value, Value::NULL);
        match self {
            Self::Int8(cells) => cells.append_option(if is_null { None } else { Some(whole(value)?) }),
            Self::Int16(cells) => cells.append_option(if is_null { None } else { Some(whole(value)?) }),
            Self::Int32(cells) => cells.append_option(if is_null { None } else { Some(whole(value)?) }),
            Self::Int64(cells) => cells.append_option(if is_null { None } else { Some(whole(value)?) }),
            Self::UInt8(cells) => cells.append_option(if is_null { None } else { Some(whole(value)?) }),
            Self::UInt16(cells) => cells.append_option(if is_null { None } else { Some(whole(value)?) }),
            Self::UInt32(cells) => cells.append_option(if is_null { None } else { Some(whole(value)?) }),
            Self::UInt64(cells) => cells.append_option(if is_null { None } else { Some(whole(value)?) }),
            Self::Float32(cells) => match value {
                Value::NULL => cells.append_null(),
                Value::Float(number) => cells.append_value(*number),
                _ => return Err(BROKEN),
            },
            Self::Float64(cells) => match value {
                Value::NULL => cells.append_null(),
                Value::Double(number) => cells.append_value(*number),
                _ => return Err(BROKEN),
            },
            Self::Decimal128(cells, precision, scale) => {
                let parse = |text: &str| parse_decimal::<Decimal128Type>(text, *precision, *scale).map_err(|_| BROKEN);
                cells.append_option(if is_null { None } else { Some(parse(text(value)?)?) });
            }
            Self::Decimal256(cells, precision, scale) => {
                let parse = |text: &str| parse_decimal::<Decimal256Type>(text, *precision, *scale).map_err(|_| BROKEN);
                cells.append_option(if is_null { None } else { Some(parse(text(value)?)?) });
            }
            Self::Text(cells) => cells.append_option(if is_null { None } else { Some(text(value)?) }),
            Self::Binary(cells) => cells.append_option(if is_null { None } else { Some(bytes(value)?) }),
            Self::Date(cells) => {
                let day = |value| instant(value).map(|at| Date32Type::from_naive_date(at.date()));
                cells.append_option(if is_null { None } else { Some(day(value)?) });
            }
            Self::Timestamp(cells) => {
                let micros = |value| instant(value).map(|at| at.and_utc().timestamp_micros());
                cells.append_option(if is_null { None } else { Some(micros(value)?) });
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Int8(cells) => Arc::new(cells.finish()),
            Self::Int16(cells) => Arc::new(cells.finish()),
            Self::Int32(cells) => Arc::new(cells.finish()),
            Self::Int64(cells) => Arc::new(cells.finish()),
            Self::UInt8(cells) => Arc::new(cells.finish()),
            Self::UInt16(cells) => Arc::new(cells.finish()),
            Self::UInt32(cells) => Arc::new(cells.finish()),
            Self::UInt64(cells) => Arc::new(cells.finish()),
            Self::Float32(cells) => Arc::new(cells.finish()),
            Self::Float64(cells) => Arc::new(cells.finish()),
            Self::Decimal128(cells, ..) => Arc::new(cells.finish()),
            Self::Decimal256(cells, ..) => Arc::new(cells.finish()),
            Self::Text(cells) => Arc::new(cells.finish()),
            Self::Binary(cells) => Arc::new(cells.finish()),
            Self::Date(cells) => Arc::new(cells.finish()),
            Self::Timestamp(cells) => Arc::new(cells.finish()),
        }
    }
}

/// Decodes the rows of one query.
pub(super) struct Decoder {
    answer: Answer,
    columns: Vec<Cells>,
}

impl Decoder {
    pub(super) fn new(answer: Answer) -> Result<Self> {
        Ok(Self { columns: answer.columns(Cells::new)?, answer })
    }

    pub(super) fn push(&mut self, row: &[Option<Value>]) -> Result<()> {
        let mut bytes = 0;
        for (at, cells) in self.columns.iter_mut().enumerate() {
            let value = row.get(at).and_then(Option::as_ref).ok_or(BROKEN);
            bytes += value.map_or(0, |value| if let Value::Bytes(bytes) = value { bytes.len() } else { 8 });
            value.and_then(|value| cells.append(value)).map_err(|fault| self.answer.fault(Some(at), fault))?;
        }
        self.answer.add_row(bytes);
        Ok(())
    }

    /// Whether there are enough rows for a batch.
    pub(super) fn is_full(&self) -> bool {
        self.answer.is_full()
    }

    /// The rows since the last batch, if there are any.
    pub(super) fn batch(&mut self) -> datafusion::error::Result<Option<RecordBatch>> {
        self.answer.batch(|| self.columns.iter_mut().map(Cells::finish).collect())
    }
}
