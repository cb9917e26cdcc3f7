//! Arrow to what MySQL takes rows as: lines of LOAD DATA, or literals of an INSERT.
//!
//! In: batches whose columns have the types that `describe` gives them. Out: `1\tx\t\N`, or `(1,'x',NULL)`, in chunks. What Arrow holds and MySQL
//! does not is an error with its column and row.

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

const PLACE: Fault = "is no member of its column's type, and MySQL would take its digits for the place of one";
const NO_YEAR: Fault = "is of a year that MySQL does not have: it takes those from 1 to 9999";
const NOT_FINITE: Fault = "is NaN or infinite, which MySQL cannot hold; CASE WHEN isnan(…) THEN NULL says that NULL is meant";

/// The form of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Of LOAD DATA: a line each, cells between tabs, bytes as hexadecimal digits.
    Lines,
    /// Of INSERT: literals between commas.
    Literals,
}

impl Form {
    /// About how many bytes one statement carries. Of INSERT a quarter of the packet that a server takes that was not asked to take more; a chunk of
    /// LOAD DATA goes in several packets.
    fn bytes(self) -> usize {
        match self {
            Self::Lines => 4 << 20,
            Self::Literals => 1 << 20,
        }
    }
}

/// Rows that one statement carries.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) text: String,
    /// The number of its first row in the source, from 1.
    pub(super) first_row: u64,
    pub(super) rows: u64,
}

/// The rows of a batch, whose first has the number `first_row`.
pub(super) fn chunks(form: Form, job: &Job, batch: &RecordBatch, first_row: u64) -> Result<Vec<Chunk>> {
    let mut chunks = Vec::new();
    let begun = |first_row| Chunk { text: String::new(), first_row, rows: 0 };
    let mut chunk = begun(first_row);
    for at in 0..batch.num_rows() {
        row(form, job, batch, at, first_row + at as u64, &mut chunk.text)?;
        chunk.rows += 1;
        if chunk.text.len() >= form.bytes() {
            let next = begun(chunk.first_row + chunk.rows);
            chunks.push(std::mem::replace(&mut chunk, next));
        }
    }
    chunks.extend((chunk.rows > 0).then_some(chunk));
    Ok(chunks)
}

fn row(form: Form, job: &Job, batch: &RecordBatch, at: usize, row: u64, out: &mut String) -> Result<()> {
    let (begin, between, end) = match form {
        Form::Lines => ("", '\t', '\n'),
        Form::Literals if out.is_empty() => ("(", ',', ')'),
        Form::Literals => (",(", ',', ')'),
    };
    out.push_str(begin);
    for (place, (array, column)) in batch.columns().iter().zip(&job.columns).enumerate() {
        if place > 0 {
            out.push(between);
        }
        cell(form, array, at, column, out).map_err(|fault| value_error(&job.relation, row, column, fault))?;
    }
    out.push(end);
    Ok(())
}

/// Adds what has no character that means something in either form.
fn plain(form: Form, text: &str, out: &mut String) {
    match form {
        Form::Lines => out.push_str(text),
        Form::Literals => out.extend(["'", text, "'"]),
    }
}

/// Adds a text to a line.
fn escaped(mut text: &str, out: &mut String) {
    while let Some((before, rest)) = text.find(['\\', '\t', '\n', '\0']).and_then(|at| text.split_at_checked(at)) {
        out.push_str(before);
        let mut rest = rest.chars();
        out.push_str(match rest.next() {
            Some('\t') => "\\t",
            Some('\n') => "\\n",
            Some('\0') => "\\0",
            _ => "\\\\",
        });
        text = rest.as_str();
    }
    out.push_str(text);
}

/// Whether a text of digits is none of the members of an ENUM or SET.
fn is_place(text: &str, column: &Column) -> bool {
    let is_list = ["enum(", "set("].iter().any(|list| column.sql_type.starts_with(list));
    is_list && !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) && !column.sql_type.contains(&format!("'{text}'"))
}

/// Writes a number.
macro_rules! number {
    ($array:ident, $at:ident, $out:ident, $type:ty) => {
        write!($out, "{}", $array.as_primitive::<$type>().value($at)).map_err(|_| "has no text")?
    };
}

fn cell(form: Form, array: &dyn Array, at: usize, column: &Column, out: &mut String) -> Result<(), Fault> {
    if array.is_null(at) {
        out.push_str(match form {
            Form::Lines => "\\N",
            Form::Literals => "NULL",
        });
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
        // The server takes digits for the place of a member.
        DataType::Utf8 if is_place(array.as_string::<i32>().value(at), column) => return Err(PLACE),
        DataType::Utf8 => match form {
            Form::Lines => escaped(array.as_string::<i32>().value(at), out),
            Form::Literals => text(array.as_string::<i32>().value(at), out),
        },
        DataType::Binary => {
            if form == Form::Literals {
                out.push('X');
            }
            let digits = array.as_binary::<i32>().value(at).iter().fold(String::new(), |mut digits, byte| {
                digits.extend([byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16).unwrap_or('0')));
                digits
            });
            plain(form, &digits, out);
        }
        DataType::Date32 => {
            let day = date32_to_datetime(array.as_primitive::<Date32Type>().value(at)).and_then(|day| date(day, DAY));
            plain(form, &day.ok_or(NO_YEAR)?, out);
        }
        DataType::Timestamp(..) => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().value(at);
            let instant = timestamp_us_to_datetime(micros).and_then(|at| date(at, INSTANT));
            plain(form, &instant.ok_or(NO_YEAR)?, out);
        }
        _ => return Err("has a type that is not written"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn what_means_something_in_a_line_is_escaped() {
        let mut line = String::new();
        escaped("\\N a\tb\nc\\ 'ü'", &mut line);
        assert_eq!(line, "\\\\N a\\tb\\nc\\\\ 'ü'");
    }
}
