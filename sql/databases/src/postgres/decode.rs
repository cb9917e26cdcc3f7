//! Binary COPY to Arrow, column by column.
//!
//! In: the messages of `COPY … TO STDOUT BINARY`, of which none splits a row. Out: batches. A value that Arrow cannot hold is an error that names
//! its column and row: an infinite date, an instant beyond 64 bits of microseconds, NaN in a decimal, an array of several dimensions.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Decimal128Builder, Decimal256Builder, ListArray, PrimitiveBuilder, RecordBatch, StringBuilder,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{
    ArrowNativeType, ArrowNativeTypeOp, DataType, Date32Type, FieldRef, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    IntervalMonthDayNano, IntervalMonthDayNanoType, Time64MicrosecondType, TimestampMicrosecondType, UInt32Type, i256,
};

use crate::answer::Answer;
use crate::error::Result;

/// Days and microseconds from PostgreSQL's epoch, the year 2000, to that of Arrow.
pub(super) const EPOCH_DAYS: i32 = 10_957;
pub(super) const EPOCH_MICROS: i64 = 946_684_800_000_000;
pub(super) const DAY_MICROS: i64 = 86_400_000_000;

/// What begins each COPY: the signature, eleven bytes; then flags and the length of an extension that nobody has made yet.
pub(super) const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

/// What is wrong with a value, and what helps.
type Fault = &'static str;

const INFINITE: Fault = "is infinity, which is no date here; a view of the database with nullif(…, 'infinity') reads it as NULL";
const BEYOND: Fault = "is later than 64 bits of microseconds hold; a view of the database that casts it to text reads it";
const NO_NUMBER: Fault = "is NaN, which no decimal holds; a view of the database with nullif(…, 'NaN') reads it as NULL";
const MIDNIGHT: Fault = "is 24:00, which is no time of day here; a view of the database that casts it to text reads it";
const DIMENSIONS: Fault = "is an array of several dimensions; a view of the database that casts it to text reads it";
const NOT_UTF8: Fault = "is no UTF-8; the database may be of encoding SQL_ASCII";
const SPAN: Fault = "is an interval of more nanoseconds than 64 bits hold; a view of the database that casts it to text reads it";
const BROKEN: Fault = "has a form that this version does not read";

/// The cells of a column.
enum Cells {
    Boolean(BooleanBuilder),
    Int16(PrimitiveBuilder<Int16Type>),
    Int32(PrimitiveBuilder<Int32Type>),
    Int64(PrimitiveBuilder<Int64Type>),
    UInt32(PrimitiveBuilder<UInt32Type>),
    Float32(PrimitiveBuilder<Float32Type>),
    Float64(PrimitiveBuilder<Float64Type>),
    Decimal128(Decimal128Builder, i32),
    Decimal256(Decimal256Builder, i32),
    Text(StringBuilder),
    Binary(BinaryBuilder),
    Date(PrimitiveBuilder<Date32Type>),
    Timestamp(PrimitiveBuilder<TimestampMicrosecondType>),
    Time(PrimitiveBuilder<Time64MicrosecondType>),
    Interval(PrimitiveBuilder<IntervalMonthDayNanoType>),
    List { field: FieldRef, items: Box<Self>, offsets: Vec<i32>, valid: Vec<bool>, length: i32 },
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Fault> {
    bytes.try_into().map_err(|_| BROKEN)
}

/// Takes `N` bytes off the front.
fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], Fault> {
    let (taken, rest) = bytes.split_first_chunk::<N>().ok_or(BROKEN)?;
    *bytes = rest;
    Ok(*taken)
}

/// Takes a value with its length off the front; NULL has the length -1.
fn value<'b>(bytes: &mut &'b [u8]) -> Result<Option<&'b [u8]>, Fault> {
    match i32::from_be_bytes(take(bytes)?) {
        -1 => Ok(None),
        length => {
            let (value, rest) = usize::try_from(length).ok().and_then(|length| bytes.split_at_checked(length)).ok_or(BROKEN)?;
            *bytes = rest;
            Ok(Some(value))
        }
    }
}

impl Cells {
    fn new(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Boolean => Self::Boolean(BooleanBuilder::new()),
            DataType::Int16 => Self::Int16(PrimitiveBuilder::new()),
            DataType::Int32 => Self::Int32(PrimitiveBuilder::new()),
            DataType::Int64 => Self::Int64(PrimitiveBuilder::new()),
            DataType::UInt32 => Self::UInt32(PrimitiveBuilder::new()),
            DataType::Float32 => Self::Float32(PrimitiveBuilder::new()),
            DataType::Float64 => Self::Float64(PrimitiveBuilder::new()),
            DataType::Decimal128(_, scale) => {
                Self::Decimal128(Decimal128Builder::new().with_data_type(data_type.clone()), i32::from(*scale))
            }
            DataType::Decimal256(_, scale) => {
                Self::Decimal256(Decimal256Builder::new().with_data_type(data_type.clone()), i32::from(*scale))
            }
            DataType::Utf8 => Self::Text(StringBuilder::new()),
            DataType::Binary => Self::Binary(BinaryBuilder::new()),
            DataType::Date32 => Self::Date(PrimitiveBuilder::new()),
            DataType::Timestamp(..) => Self::Timestamp(PrimitiveBuilder::new().with_data_type(data_type.clone())),
            DataType::Time64(_) => Self::Time(PrimitiveBuilder::new()),
            DataType::Interval(_) => Self::Interval(PrimitiveBuilder::new()),
            DataType::List(field) => Self::List {
                field: Arc::clone(field),
                items: Box::new(Self::new(field.data_type())?),
                offsets: vec![0],
                valid: Vec::new(),
                length: 0,
            },
            _ => return None,
        })
    }

    /// Adds a cell.
    fn append(&mut self, cell: Option<&[u8]>) -> Result<(), Fault> {
        let Some(bytes) = cell else {
            self.append_null();
            return Ok(());
        };
        match self {
            Self::Boolean(cells) => cells.append_value(fixed::<1>(bytes)? != [0]),
            Self::Int16(cells) => cells.append_value(i16::from_be_bytes(fixed(bytes)?)),
            Self::Int32(cells) => cells.append_value(i32::from_be_bytes(fixed(bytes)?)),
            Self::Int64(cells) => cells.append_value(i64::from_be_bytes(fixed(bytes)?)),
            Self::UInt32(cells) => cells.append_value(u32::from_be_bytes(fixed(bytes)?)),
            // There all NaN are one; here a negative one would be less than all numbers.
            Self::Float32(cells) => {
                let number = f32::from_be_bytes(fixed(bytes)?);
                cells.append_value(if number.is_nan() { f32::NAN } else { number });
            }
            Self::Float64(cells) => {
                let number = f64::from_be_bytes(fixed(bytes)?);
                cells.append_value(if number.is_nan() { f64::NAN } else { number });
            }
            Self::Decimal128(cells, scale) => cells.append_value(numeric::<i128>(bytes, *scale)?),
            Self::Decimal256(cells, scale) => cells.append_value(numeric::<i256>(bytes, *scale)?),
            Self::Text(cells) => cells.append_value(str::from_utf8(bytes).map_err(|_| NOT_UTF8)?),
            Self::Binary(cells) => cells.append_value(bytes),
            Self::Date(cells) => match i32::from_be_bytes(fixed(bytes)?) {
                i32::MIN | i32::MAX => return Err(INFINITE),
                days => cells.append_value(days.checked_add(EPOCH_DAYS).ok_or(BEYOND)?),
            },
            Self::Timestamp(cells) => match i64::from_be_bytes(fixed(bytes)?) {
                i64::MIN | i64::MAX => return Err(INFINITE),
                micros => cells.append_value(micros.checked_add(EPOCH_MICROS).ok_or(BEYOND)?),
            },
            Self::Time(cells) => match i64::from_be_bytes(fixed(bytes)?) {
                DAY_MICROS.. => return Err(MIDNIGHT),
                micros => cells.append_value(micros),
            },
            Self::Interval(cells) => {
                let mut bytes = bytes;
                let micros = i64::from_be_bytes(take(&mut bytes)?);
                let days = i32::from_be_bytes(take(&mut bytes)?);
                let months = i32::from_be_bytes(fixed(bytes)?);
                // Infinite since PostgreSQL 17.
                if [i64::MIN, i64::MAX].contains(&micros) && [i32::MIN, i32::MAX].contains(&days) {
                    return Err(INFINITE);
                }
                cells.append_value(IntervalMonthDayNano::new(months, days, micros.checked_mul(1_000).ok_or(SPAN)?));
            }
            Self::List { items, offsets, valid, length, .. } => {
                let mut bytes = bytes;
                let dimensions = i32::from_be_bytes(take(&mut bytes)?);
                take::<8>(&mut bytes)?;
                let count = match dimensions {
                    0 => 0,
                    1 => {
                        let count = i32::from_be_bytes(take(&mut bytes)?);
                        take::<4>(&mut bytes)?;
                        count
                    }
                    _ => return Err(DIMENSIONS),
                };
                for _ in 0..count {
                    items.append(value(&mut bytes)?)?;
                }
                *length = length.checked_add(count).ok_or(BROKEN)?;
                offsets.push(*length);
                valid.push(true);
            }
        }
        Ok(())
    }

    fn append_null(&mut self) {
        match self {
            Self::Boolean(cells) => cells.append_null(),
            Self::Int16(cells) => cells.append_null(),
            Self::Int32(cells) => cells.append_null(),
            Self::Int64(cells) => cells.append_null(),
            Self::UInt32(cells) => cells.append_null(),
            Self::Float32(cells) => cells.append_null(),
            Self::Float64(cells) => cells.append_null(),
            Self::Decimal128(cells, _) => cells.append_null(),
            Self::Decimal256(cells, _) => cells.append_null(),
            Self::Text(cells) => cells.append_null(),
            Self::Binary(cells) => cells.append_null(),
            Self::Date(cells) => cells.append_null(),
            Self::Timestamp(cells) => cells.append_null(),
            Self::Time(cells) => cells.append_null(),
            Self::Interval(cells) => cells.append_null(),
            Self::List { offsets, valid, length, .. } => {
                offsets.push(*length);
                valid.push(false);
            }
        }
    }

    /// The column, and none of it stays.
    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Boolean(cells) => Arc::new(cells.finish()),
            Self::Int16(cells) => Arc::new(cells.finish()),
            Self::Int32(cells) => Arc::new(cells.finish()),
            Self::Int64(cells) => Arc::new(cells.finish()),
            Self::UInt32(cells) => Arc::new(cells.finish()),
            Self::Float32(cells) => Arc::new(cells.finish()),
            Self::Float64(cells) => Arc::new(cells.finish()),
            Self::Decimal128(cells, _) => Arc::new(cells.finish()),
            Self::Decimal256(cells, _) => Arc::new(cells.finish()),
            Self::Text(cells) => Arc::new(cells.finish()),
            Self::Binary(cells) => Arc::new(cells.finish()),
            Self::Date(cells) => Arc::new(cells.finish()),
            Self::Timestamp(cells) => Arc::new(cells.finish()),
            Self::Time(cells) => Arc::new(cells.finish()),
            Self::Interval(cells) => Arc::new(cells.finish()),
            Self::List { field, items, offsets, valid, length } => {
                let offsets = OffsetBuffer::new(std::mem::replace(offsets, vec![0]).into());
                let nulls = NullBuffer::from(std::mem::take(valid));
                *length = 0;
                Arc::new(ListArray::new(Arc::clone(field), offsets, items.finish(), Some(nulls)))
            }
        }
    }
}

/// A numeric as so many units of 10^-scale. Its digits are groups of four; the first has the weight 10000^weight.
fn numeric<N: ArrowNativeType + ArrowNativeTypeOp>(mut bytes: &[u8], scale: i32) -> Result<N, Fault> {
    let mut word = || take::<2>(&mut bytes).map(i16::from_be_bytes);
    let (groups, weight, sign, _) = (word()?, word()?, word()?, word()?);
    let is_negative = match sign.cast_unsigned() {
        0x0000 => false,
        0x4000 => true,
        _ => return Err(NO_NUMBER),
    };
    let power = |exponent: i32| (0..exponent).try_fold(1_usize, |power, _| power.checked_mul(10)).map(N::usize_as).ok_or(BROKEN);
    let add =
        |sum: N, factor: N, group: usize| sum.mul_checked(factor).and_then(|sum| sum.add_checked(N::usize_as(group))).map_err(|_| BROKEN);
    let mut sum = N::usize_as(0);
    let mut exponent = 0;
    for at in 0..i32::from(groups) {
        let group = usize::from(word()?.cast_unsigned());
        exponent = 4 * (i32::from(weight) - at) + scale;
        sum = match exponent {
            0.. => add(sum, N::usize_as(10_000), group)?,
            // Of the last group a part stands behind the last digit, where there are zeros alone.
            -3..=-1 => add(sum, power(4 + exponent)?, group / 10_usize.pow(exponent.unsigned_abs()))?,
            _ if group == 0 => sum,
            _ => return Err(BROKEN),
        };
    }
    for _ in 0..exponent.max(0) {
        sum = sum.mul_checked(N::usize_as(10)).map_err(|_| BROKEN)?;
    }
    if is_negative { sum.neg_checked().map_err(|_| BROKEN) } else { Ok(sum) }
}

/// Decodes the messages of one COPY.
pub(super) struct Decoder {
    answer: Answer,
    columns: Vec<Cells>,
    has_begun: bool,
}

impl Decoder {
    pub(super) fn new(answer: Answer) -> Result<Self> {
        Ok(Self { columns: answer.columns(Cells::new)?, answer, has_begun: false })
    }

    /// Takes a message.
    pub(super) fn push(&mut self, mut message: &[u8]) -> Result<()> {
        let broken = |decoder: &Self| decoder.answer.fault(None, BROKEN);
        if !self.has_begun {
            let rest = message.strip_prefix(SIGNATURE).and_then(|rest| rest.split_at_checked(8)).ok_or_else(|| broken(self))?;
            message = rest.1;
            self.has_begun = true;
        }
        while !message.is_empty() {
            let length = message.len();
            match i16::from_be_bytes(take(&mut message).map_err(|_| broken(self))?) {
                -1 => break,
                count if usize::try_from(count) == Ok(self.columns.len()) => {}
                _ => return Err(broken(self)),
            }
            for (at, cells) in self.columns.iter_mut().enumerate() {
                let appended = value(&mut message).and_then(|cell| cells.append(cell));
                appended.map_err(|fault| self.answer.fault(Some(at), fault))?;
            }
            self.answer.add_row(length - message.len());
        }
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
