//! Arrow to literals of SQL.
//!
//! In: a row of batches whose columns have the types that `describe` gives them. Out: `(1, 'x', NULL)`. What Arrow holds and MySQL does not is an
//! error with its column and row.

use std::fmt::Write as _;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::temporal_conversions::{date32_to_datetime, timestamp_us_to_datetime};

use super::dialect::{DAY, INSTANT, date, text};
use crate::dialect::decimal;
use crate::error::Result;
use crate::relation::Column;
use crate::write::convert::value_error;
use crate::write::job::Job;

/// What is wrong with a value.
type Fault = &'static str;

const NO_YEAR: Fault = "is of a year that MySQL does not have: it takes those from 1 to 9999";
const NOT_FINITE: Fault = "is NaN or infinite, which MySQL cannot hold; CASE WHEN isnan(…) THEN NULL says that NULL is meant";

/// Adds a row, whose number is `row`.
pub(super) fn row(job: &Job, batch: &RecordBatch, at: usize, row: u64, out: &mut String) -> Result<()> {
    out.push('(');
    for (place, (array, column)) in batch.columns().iter().zip(&job.columns).enumerate() {
        if place > 0 {
            out.push(',');
        }
        cell(array, at, column, out).map_err(|fault| value_error(&job.relation, row, column, fault))?;
    }
    out.push(')');
    Ok(())
}

/// Writes a number.
macro_rules! number {
    ($array:ident, $at:ident, $out:ident, $type:ty) => {
        write!($out, "{}", $array.as_primitive::<$type>().value($at)).map_err(|_| "has no text")?
    };
}

fn cell(array: &dyn Array, at: usize, column: &Column, out: &mut String) -> Result<(), Fault> {
    if array.is_null(at) {
        out.push_str("NULL");
        return Ok(());
    }
    match array.data_type() {
        DataType::Int8 => number!(array, at, out, Int8Type),
        DataType::Int16 => number!(array, at, out, Int16Type),
        DataType::Int32 => number!(array, at, out, Int32Type),
        DataType::Int64 => number!(array, at, out, Int64Type),
        DataType::UInt8 => number!(array, at, out, UInt8Type),
        DataType::UInt16 => number!(array, at, out, UInt16Type),
        DataType::UInt32 => number!(array, at, out, UInt32Type),
        DataType::UInt64 => number!(array, at, out, UInt64Type),
        DataType::Float32 => match array.as_primitive::<Float32Type>().value(at) {
            // Its shortest digits may be a double that is greater than the greatest float.
            number if number.is_finite() => write!(out, "{:e}", f64::from(number)).map_err(|_| NOT_FINITE)?,
            _ => return Err(NOT_FINITE),
        },
        DataType::Float64 => match array.as_primitive::<Float64Type>().value(at) {
            number if number.is_finite() => write!(out, "{number:e}").map_err(|_| NOT_FINITE)?,
            _ => return Err(NOT_FINITE),
        },
        DataType::Decimal128(_, scale) => out.push_str(&decimal(&array.as_primitive::<Decimal128Type>().value(at).to_string(), *scale)),
        DataType::Decimal256(_, scale) => out.push_str(&decimal(&array.as_primitive::<Decimal256Type>().value(at).to_string(), *scale)),
        DataType::Utf8 => text(array.as_string::<i32>().value(at), out),
        DataType::Binary => {
            out.push_str("X'");
            for byte in array.as_binary::<i32>().value(at) {
                write!(out, "{byte:02x}").map_err(|_| "has no text")?;
            }
            out.push('\'');
        }
        DataType::Date32 => {
            let day = date32_to_datetime(array.as_primitive::<Date32Type>().value(at)).and_then(|day| date(day, DAY));
            out.push_str(&day.ok_or(NO_YEAR)?);
        }
        DataType::Timestamp(..) => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().value(at);
            let unit = 10_i64.pow(6 - u32::try_from(column.chars_max.unwrap_or(6).min(6)).unwrap_or(6));
            if micros % unit != 0 {
                return Err("has a finer fraction of a second than its column; date_trunc('second', …) takes it away");
            }
            let instant = timestamp_us_to_datetime(micros).and_then(|at| date(at, INSTANT));
            out.push_str(&instant.ok_or(NO_YEAR)?);
        }
        _ => return Err("has a type that is not written"),
    }
    Ok(())
}
