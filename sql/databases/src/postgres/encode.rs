//! Arrow to binary COPY.
//!
//! In: batches whose columns have the types that `describe` gives them. Out: the bytes of `COPY … FROM STDIN BINARY`. What Arrow holds and
//! PostgreSQL does not is an error with its column and row: a date before 4713 BC, an instant after the year 294276, a part of a microsecond
//! in an interval.

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Decimal128Array, Decimal256Array, ListArray, PrimitiveArray, RecordBatch,
    StringArray,
};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, IntervalMonthDayNanoType,
    Time64MicrosecondType, TimestampMicrosecondType, UInt32Type,
};

use super::decode::{DAY_MICROS, EPOCH_DAYS, EPOCH_MICROS, SIGNATURE};
use crate::error::{Error, Result};
use crate::write::convert::value_error;
use crate::write::job::Job;

/// The first and the last day and instant, from the year 2000: 24 November 4714 BC, the years 5874897 and 294276.
const FIRST_DAY: i32 = -2_451_545;
const LAST_DAY: i32 = 2_145_031_948;
const FIRST_MICROS: i64 = -211_813_488_000_000_000;
const LAST_MICROS: i64 = 9_223_371_331_199_999_999;

/// What is wrong with a value.
type Fault = &'static str;

/// The cells of a column.
enum Cells<'a> {
    Boolean(&'a BooleanArray),
    Int16(&'a PrimitiveArray<Int16Type>),
    Int32(&'a PrimitiveArray<Int32Type>),
    Int64(&'a PrimitiveArray<Int64Type>),
    UInt32(&'a PrimitiveArray<UInt32Type>),
    Float32(&'a PrimitiveArray<Float32Type>),
    Float64(&'a PrimitiveArray<Float64Type>),
    Decimal128(&'a Decimal128Array, usize),
    Decimal256(&'a Decimal256Array, usize),
    Text(&'a StringArray),
    Binary(&'a BinaryArray),
    Date(&'a PrimitiveArray<Date32Type>),
    Timestamp(&'a PrimitiveArray<TimestampMicrosecondType>),
    Time(&'a PrimitiveArray<Time64MicrosecondType>),
    Interval(&'a PrimitiveArray<IntervalMonthDayNanoType>),
    List { lists: &'a ListArray, items: Box<Self>, oid: u32 },
}

fn primitive<T: ArrowPrimitiveType>(array: &ArrayRef) -> &PrimitiveArray<T> {
    array.as_primitive()
}

impl<'a> Cells<'a> {
    fn new(array: &'a ArrayRef) -> Option<Self> {
        let scale = |scale: i8| usize::try_from(scale).ok();
        Some(match array.data_type() {
            DataType::Boolean => Self::Boolean(array.as_boolean()),
            DataType::Int16 => Self::Int16(primitive(array)),
            DataType::Int32 => Self::Int32(primitive(array)),
            DataType::Int64 => Self::Int64(primitive(array)),
            DataType::UInt32 => Self::UInt32(primitive(array)),
            DataType::Float32 => Self::Float32(primitive(array)),
            DataType::Float64 => Self::Float64(primitive(array)),
            DataType::Decimal128(_, digits) => Self::Decimal128(primitive(array), scale(*digits)?),
            DataType::Decimal256(_, digits) => Self::Decimal256(primitive(array), scale(*digits)?),
            DataType::Utf8 => Self::Text(array.as_string()),
            DataType::Binary => Self::Binary(array.as_binary()),
            DataType::Date32 => Self::Date(primitive(array)),
            DataType::Timestamp(..) => Self::Timestamp(primitive(array)),
            DataType::Time64(_) => Self::Time(primitive(array)),
            DataType::Interval(_) => Self::Interval(primitive(array)),
            DataType::List(element) => {
                let lists = array.as_list::<i32>();
                Self::List { lists, items: Box::new(Self::new(lists.values())?), oid: oid(element.data_type())? }
            }
            _ => return None,
        })
    }

    fn array(&self) -> &dyn Array {
        match self {
            Self::Boolean(cells) => *cells,
            Self::Int16(cells) => *cells,
            Self::Int32(cells) => *cells,
            Self::Int64(cells) => *cells,
            Self::UInt32(cells) => *cells,
            Self::Float32(cells) => *cells,
            Self::Float64(cells) => *cells,
            Self::Decimal128(cells, _) => *cells,
            Self::Decimal256(cells, _) => *cells,
            Self::Text(cells) => *cells,
            Self::Binary(cells) => *cells,
            Self::Date(cells) => *cells,
            Self::Timestamp(cells) => *cells,
            Self::Time(cells) => *cells,
            Self::Interval(cells) => *cells,
            Self::List { lists, .. } => *lists,
        }
    }

    /// Writes a cell with its length.
    #[inline]
    fn write(&self, at: usize, out: &mut Vec<u8>) -> Result<(), Fault> {
        if self.array().is_null(at) {
            out.extend_from_slice(&(-1_i32).to_be_bytes());
            return Ok(());
        }
        match self {
            Self::Boolean(cells) => cell(out, &[u8::from(cells.value(at))]),
            Self::Int16(cells) => cell(out, &cells.value(at).to_be_bytes()),
            Self::Int32(cells) => cell(out, &cells.value(at).to_be_bytes()),
            Self::Int64(cells) => cell(out, &cells.value(at).to_be_bytes()),
            Self::UInt32(cells) => cell(out, &cells.value(at).to_be_bytes()),
            Self::Float32(cells) => cell(out, &cells.value(at).to_be_bytes()),
            Self::Float64(cells) => cell(out, &cells.value(at).to_be_bytes()),
            Self::Decimal128(cells, scale) => {
                let value = cells.value(at);
                match u64::try_from(value.unsigned_abs()) {
                    Ok(magnitude) if *scale <= 18 => small_numeric(magnitude, value < 0, *scale, out),
                    _ => numeric(&value.to_string(), *scale, out),
                }
            }
            Self::Decimal256(cells, scale) => numeric(&cells.value(at).to_string(), *scale, out),
            Self::Text(cells) => return bytes(out, cells.value(at).as_bytes()),
            Self::Binary(cells) => return bytes(out, cells.value(at)),
            Self::Date(cells) => {
                let days = cells.value(at).checked_sub(EPOCH_DAYS).filter(|days| (FIRST_DAY..=LAST_DAY).contains(days));
                cell(out, &days.ok_or("is a day before 4713 BC, which the database cannot hold")?.to_be_bytes());
            }
            Self::Timestamp(cells) => {
                let micros = cells.value(at).checked_sub(EPOCH_MICROS).filter(|micros| (FIRST_MICROS..=LAST_MICROS).contains(micros));
                cell(
                    out,
                    &micros.ok_or("is an instant that the database cannot hold: it takes those from 4713 BC to 294276")?.to_be_bytes(),
                );
            }
            Self::Time(cells) => match cells.value(at) {
                micros @ 0..=DAY_MICROS => cell(out, &micros.to_be_bytes()),
                _ => return Err("is no time of day"),
            },
            Self::Interval(cells) => {
                let value = cells.value(at);
                if value.nanoseconds % 1_000 != 0 {
                    return Err("has parts of a microsecond, which the database cannot hold");
                }
                out.extend_from_slice(&16_i32.to_be_bytes());
                out.extend_from_slice(&(value.nanoseconds / 1_000).to_be_bytes());
                out.extend_from_slice(&value.days.to_be_bytes());
                out.extend_from_slice(&value.months.to_be_bytes());
            }
            Self::List { lists, items, oid } => return list(lists, items, *oid, at, out),
        }
        Ok(())
    }
}

fn cell<const N: usize>(out: &mut Vec<u8>, bytes: &[u8; N]) {
    #[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "at most eight")]
    out.extend_from_slice(&(N as i32).to_be_bytes());
    out.extend_from_slice(bytes);
}

fn bytes(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Fault> {
    // PostgreSQL's own limit of a value, a gigabyte, is lower.
    let length = i32::try_from(bytes.len()).map_err(|_| "has more than two gigabytes")?;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

fn list(lists: &ListArray, items: &Cells<'_>, oid: u32, at: usize, out: &mut Vec<u8>) -> Result<(), Fault> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    let (from, to) = (lists.value_offsets()[at], lists.value_offsets()[at + 1]);
    let dimensions = i32::from(to > from);
    out.extend_from_slice(&dimensions.to_be_bytes());
    out.extend_from_slice(&1_i32.to_be_bytes());
    out.extend_from_slice(&oid.to_be_bytes());
    if dimensions == 1 {
        out.extend_from_slice(&(to - from).to_be_bytes());
        out.extend_from_slice(&1_i32.to_be_bytes());
        for item in from..to {
            items.write(usize::try_from(item).unwrap_or_default(), out)?;
        }
    }
    let length = i32::try_from(out.len() - start - 4).map_err(|_| "has more than two gigabytes")?;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

/// The number of an element's type.
fn oid(data_type: &DataType) -> Option<u32> {
    use tokio_postgres::types::Type;
    let found = match data_type {
        DataType::Boolean => Type::BOOL,
        DataType::Int16 => Type::INT2,
        DataType::Int32 => Type::INT4,
        DataType::Int64 => Type::INT8,
        DataType::UInt32 => Type::OID,
        DataType::Float32 => Type::FLOAT4,
        DataType::Float64 => Type::FLOAT8,
        DataType::Decimal128(..) | DataType::Decimal256(..) => Type::NUMERIC,
        DataType::Utf8 => Type::TEXT,
        DataType::Binary => Type::BYTEA,
        DataType::Date32 => Type::DATE,
        DataType::Timestamp(_, None) => Type::TIMESTAMP,
        DataType::Timestamp(_, Some(_)) => Type::TIMESTAMPTZ,
        DataType::Time64(_) => Type::TIME,
        DataType::Interval(_) => Type::INTERVAL,
        _ => return None,
    };
    Some(found.oid())
}

/// The head of a numeric: its length, how many groups of four digits, the first one's power of 10000, sign, digits behind the point.
fn numeric_head(out: &mut Vec<u8>, groups: usize, weight: i16, is_negative: bool, scale: usize) {
    let word = |number: usize| i16::try_from(number).unwrap_or_default().to_be_bytes();
    out.extend_from_slice(&i32::try_from(8 + 2 * groups).unwrap_or_default().to_be_bytes());
    out.extend_from_slice(&word(groups));
    out.extend_from_slice(&weight.to_be_bytes());
    out.extend_from_slice(&(if is_negative { 0x4000_u16 } else { 0 }).to_be_bytes());
    out.extend_from_slice(&word(scale));
}

/// A numeric of at most 64 bits, without a text in between.
fn small_numeric(magnitude: u64, is_negative: bool, scale: usize, out: &mut Vec<u8>) {
    // Groups begin at the point, so the last one is filled up.
    let filled = u128::from(magnitude) * [1, 1_000, 100, 10][scale % 4];
    let behind = scale.div_ceil(4);
    let (mut rest, mut groups, mut count) = (filled, [0_u16; 12], 0);
    while rest > 0 {
        groups[count] = u16::try_from(rest % 10_000).unwrap_or_default();
        rest /= 10_000;
        count += 1;
    }
    let weight = i16::try_from(count).unwrap_or_default() - i16::try_from(behind).unwrap_or_default() - 1;
    numeric_head(out, count, if count == 0 { 0 } else { weight }, is_negative, scale);
    for group in groups[..count].iter().rev() {
        out.extend_from_slice(&group.to_be_bytes());
    }
}

/// A numeric of any size, from its digits.
fn numeric(digits: &str, scale: usize, out: &mut Vec<u8>) {
    let (is_negative, digits) = digits.strip_prefix('-').map_or((false, digits), |digits| (true, digits));
    // As many digits before the point as make whole groups, and behind it.
    let before = digits.len().saturating_sub(scale);
    let padded = format!(
        "{}{}{digits}{}",
        "0".repeat((4 - before % 4) % 4),
        "0".repeat(scale.saturating_sub(digits.len())),
        "0".repeat((4 - scale % 4) % 4)
    );
    let group = |group: &[u8]| group.iter().fold(0_u16, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    let groups: Vec<u16> = padded.as_bytes().chunks(4).map(group).collect();
    let weight = i16::try_from(before.div_ceil(4)).unwrap_or_default() - 1;
    // Leading groups of zeros are left out.
    let zeros = groups.iter().take_while(|group| **group == 0).count();
    let weight = weight - i16::try_from(zeros).unwrap_or_default();
    let groups = &groups[zeros..];
    numeric_head(out, groups.len(), if groups.is_empty() { 0 } else { weight }, is_negative, scale);
    for group in groups {
        out.extend_from_slice(&group.to_be_bytes());
    }
}

/// What begins a COPY.
pub(super) fn begin(out: &mut Vec<u8>) {
    out.extend_from_slice(SIGNATURE);
    out.extend_from_slice(&[0; 8]);
}

/// What ends one.
pub(super) fn end(out: &mut Vec<u8>) {
    out.extend_from_slice(&(-1_i16).to_be_bytes());
}

/// A batch that is being encoded.
pub(super) struct Encoder<'b> {
    job: &'b Job,
    columns: Vec<Cells<'b>>,
    rows: usize,
    /// The number of the first row.
    first_row: u64,
    /// Whether each row is led by its number.
    is_numbered: bool,
    fields: i16,
    next: usize,
}

impl<'b> Encoder<'b> {
    pub(super) fn new(job: &'b Job, batch: &'b RecordBatch, first_row: u64, is_numbered: bool) -> Result<Self> {
        let unwritten = || Error::Statement(format!("{}: a column has a type that is not written", job.relation.qualified()));
        let columns = batch.columns().iter().map(Cells::new).collect::<Option<Vec<_>>>().ok_or_else(unwritten)?;
        let fields = i16::try_from(columns.len() + usize::from(is_numbered)).map_err(|_| unwritten())?;
        Ok(Self { job, columns, rows: batch.num_rows(), first_row, is_numbered, fields, next: 0 })
    }

    /// Encodes rows until `out` has about `bytes_max`, and says whether any are left.
    pub(super) fn encode(&mut self, out: &mut Vec<u8>, bytes_max: usize) -> Result<bool> {
        while self.next < self.rows {
            if out.len() >= bytes_max {
                return Ok(true);
            }
            out.extend_from_slice(&self.fields.to_be_bytes());
            let row = self.first_row + self.next as u64;
            if self.is_numbered {
                cell(out, &row.to_be_bytes());
            }
            for (at, cells) in self.columns.iter().enumerate() {
                cells.write(self.next, out).map_err(|fault| value_error(&self.job.relation, row, &self.job.columns[at], fault))?;
            }
            self.next += 1;
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_write_a_numeric_agree() {
        for scale in 0..=18 {
            for magnitude in [0, 1, 9, 10, 9_999, 10_000, 10_001, 123_456_789, 100_000_000, u64::MAX] {
                let (mut small, mut any) = (Vec::new(), Vec::new());
                small_numeric(magnitude, magnitude % 2 == 1, scale, &mut small);
                numeric(&format!("{}{magnitude}", if magnitude % 2 == 1 { "-" } else { "" }), scale, &mut any);
                assert_eq!(small, any, "{magnitude} of scale {scale}");
            }
        }
    }
}
