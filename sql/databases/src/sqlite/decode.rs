//! Values of SQLite to Arrow, column by column.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryBuilder, BooleanBuilder, Decimal128Builder, Float64Builder, Int64Builder, RecordBatch, StringBuilder};
use arrow::datatypes::DataType;
use rusqlite::types::ValueRef;

use crate::answer::Answer;
use crate::error::Result;

/// What is wrong with a value.
type Fault = &'static str;

const OTHER: Fault = "is of another type than its column; a view of the database with CAST(… AS TEXT) reads it";
const NO_BOOLEAN: Fault = "is a number that is neither 0 nor 1; a view of the database with CAST(… AS INTEGER) reads it";
const DIGITS: Fault = "has other digits than its column declares; a view of the database with CAST(… AS TEXT) reads it";
const NOT_UTF8: Fault = "is no UTF-8; a view of the database with CAST(… AS BLOB) reads it";

/// The cells of a column.
enum Cells {
    Boolean(BooleanBuilder),
    Int64(Int64Builder),
    Float64(Float64Builder),
    Decimal(Decimal128Builder, u8, usize),
    Text(StringBuilder),
    Binary(BinaryBuilder),
}

impl Cells {
    fn new(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Boolean => Self::Boolean(BooleanBuilder::new()),
            DataType::Int64 => Self::Int64(Int64Builder::new()),
            DataType::Float64 => Self::Float64(Float64Builder::new()),
            DataType::Decimal128(precision, scale) => {
                let cells = Decimal128Builder::new().with_data_type(data_type.clone());
                Self::Decimal(cells, *precision, usize::try_from(*scale).ok()?)
            }
            DataType::Utf8 => Self::Text(StringBuilder::new()),
            DataType::Binary => Self::Binary(BinaryBuilder::new()),
            _ => return None,
        })
    }

    /// Adds a cell, and says how many bytes it has.
    fn append(&mut self, value: ValueRef<'_>) -> Result<usize, Fault> {
        match (self, value) {
            (cells, ValueRef::Null) => cells.append_null(),
            (Self::Boolean(cells), ValueRef::Integer(number @ 0..=1)) => cells.append_value(number == 1),
            (Self::Boolean(_), ValueRef::Integer(_)) => return Err(NO_BOOLEAN),
            (Self::Int64(cells), ValueRef::Integer(number)) => cells.append_value(number),
            (Self::Float64(cells), ValueRef::Real(number)) => cells.append_value(number),
            (Self::Decimal(cells, precision, scale), value) => {
                let text = match value {
                    ValueRef::Integer(number) => number.to_string(),
                    // The shortest digits that are this double: those that were written, if they were no more than fifteen.
                    ValueRef::Real(number) => number.to_string(),
                    ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                    _ => return Err(OTHER),
                };
                cells.append_value(decimal(&text, *precision, *scale).ok_or(DIGITS)?);
            }
            (Self::Text(cells), ValueRef::Text(text)) => {
                cells.append_value(str::from_utf8(text).map_err(|_| NOT_UTF8)?);
                return Ok(text.len());
            }
            // Of a column that prefers no text.
            (Self::Text(cells), ValueRef::Integer(number)) => cells.append_value(number.to_string()),
            (Self::Text(cells), ValueRef::Real(number)) => cells.append_value(format!("{number:?}")),
            (Self::Binary(cells), ValueRef::Blob(bytes) | ValueRef::Text(bytes)) => {
                cells.append_value(bytes);
                return Ok(bytes.len());
            }
            _ => return Err(OTHER),
        }
        Ok(8)
    }

    fn append_null(&mut self) {
        match self {
            Self::Boolean(cells) => cells.append_null(),
            Self::Int64(cells) => cells.append_null(),
            Self::Float64(cells) => cells.append_null(),
            Self::Decimal(cells, ..) => cells.append_null(),
            Self::Text(cells) => cells.append_null(),
            Self::Binary(cells) => cells.append_null(),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Boolean(cells) => Arc::new(cells.finish()),
            Self::Int64(cells) => Arc::new(cells.finish()),
            Self::Float64(cells) => Arc::new(cells.finish()),
            Self::Decimal(cells, ..) => Arc::new(cells.finish()),
            Self::Text(cells) => Arc::new(cells.finish()),
            Self::Binary(cells) => Arc::new(cells.finish()),
        }
    }
}

/// The digits of a text without an exponent, as so many units of 10^-scale. `None` if they are more than there is room for.
fn decimal(text: &str, precision: u8, scale: usize) -> Option<i128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > scale || fraction.starts_with(['+', '-']) {
        return None;
    }
    let units: i128 = format!("{whole}{fraction:0<scale$}").parse().ok()?;
    (units.unsigned_abs() < 10_u128.pow(u32::from(precision))).then_some(units)
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

    pub(super) fn push(&mut self, row: &rusqlite::Row<'_>) -> Result<()> {
        let mut bytes = 0;
        for (at, cells) in self.columns.iter_mut().enumerate() {
            let appended = row.get_ref(at).map_err(|_| OTHER).and_then(|value| cells.append(value));
            bytes += appended.map_err(|fault| self.answer.fault(Some(at), fault))?;
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

#[cfg(test)]
mod tests {
    use super::decimal;

    #[test]
    fn digits_are_a_decimal_if_there_is_room_for_them() {
        assert_eq!(decimal("-0.5", 5, 2), Some(-50));
        assert_eq!(decimal("12.340", 5, 2), Some(1_234));
        assert_eq!(decimal("7", 5, 2), Some(700));
        assert_eq!(decimal("1.005", 5, 2), None);
        assert_eq!(decimal("1000", 5, 2), None);
        assert_eq!(decimal("1e5", 9, 2), None);
        assert_eq!(decimal("1.-5", 9, 2), None);
    }
}
