//! Cells of JSON to Arrow, column by column.
//!
//! In: pages of `jobs.getQueryResults`, asked for instants in microseconds. Out: batches. A value that Arrow cannot hold is an error that names
//! its column and row.

use arrow::array::RecordBatch;
use arrow::datatypes::Date32Type;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{NaiveDate, NaiveDateTime};

use super::cell::Cell;
use crate::answer::Answer;
use crate::cells::{BROKEN, Cells, Fault, Form};
use crate::error::Result;

/// How BigQuery writes values.
const FORM: Form = Form {
    boolean: |text| match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(BROKEN),
    },
    binary: |text| STANDARD.decode(text).map_err(|_| BROKEN),
    date: |text| NaiveDate::parse_from_str(text, "%Y-%m-%d").map(Date32Type::from_naive_date).map_err(|_| BROKEN),
    wall: |text| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").map(|at| at.and_utc().timestamp_micros()).map_err(|_| BROKEN),
    instant: |text| text.parse().map_err(|_| BROKEN),
};

/// Adds a cell, and says how many bytes it has.
fn append(column: &mut Cells, cell: &Cell<'_>) -> Result<usize, Fault> {
    match (cell, column) {
        (Cell::Null, column) => {
            column.append_null();
            Ok(1)
        }
        (Cell::Text(text), column) => column.append_text(text, &FORM).map(|()| text.len()),
        (Cell::List(cells), Cells::List { items, offsets, valid, length, .. }) => {
            let mut bytes = 4;
            for cell in cells {
                bytes += append(items, cell)?;
            }
            *length = i32::try_from(cells.len()).ok().and_then(|added| length.checked_add(added)).ok_or(BROKEN)?;
            offsets.push(*length);
            valid.push(true);
            Ok(bytes)
        }
        (Cell::Record(cells), Cells::Struct { children, valid, .. }) if cells.len() == children.len() => {
            let mut bytes = 0;
            for (child, cell) in children.iter_mut().zip(cells) {
                bytes += append(child, cell)?;
            }
            valid.push(true);
            Ok(bytes)
        }
        _ => Err(BROKEN),
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

    /// Adds a row.
    pub(super) fn push(&mut self, row: &str) -> Result<()> {
        let Ok(Cell::Record(cells)) = serde_json::from_str::<Cell<'_>>(row) else { return Err(self.answer.fault(None, BROKEN)) };
        let mut bytes = 0;
        // A query of no columns answers with one of its own.
        for (at, column) in self.columns.iter_mut().enumerate() {
            let appended = cells.get(at).ok_or(BROKEN).and_then(|cell| append(column, cell));
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
    use std::sync::Arc;

    use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
    use arrow::util::display::array_value_to_string;

    use super::*;

    fn read(data_type: DataType, cell: &str) -> Result<String, String> {
        let schema = Arc::new(Schema::new(vec![Field::new("c", data_type, true)]));
        let mut decoder = Decoder::new(Answer::new("wh.d.t".into(), schema, 10)).expect("a decoder");
        decoder.push(&format!("{{\"f\":[{{\"v\":{cell}}}]}}")).map_err(|error| error.to_string())?;
        let batch = decoder.batch().expect("a batch").expect("a row");
        Ok(array_value_to_string(batch.column(0), 0).expect("a text"))
    }

    #[test]
    fn a_decimal_of_all_digits_is_exact_and_one_that_arrow_lacks_is_told() {
        let digits = "12345678901234567890123456789012345678.12345678901234567890123456789012345678";
        assert_eq!(read(DataType::Decimal256(76, 38), &format!("\"{digits}\"")).as_deref(), Ok(digits));
        let numeric = "-99999999999999999999999999999.999999999";
        assert_eq!(read(DataType::Decimal128(38, 9), &format!("\"{numeric}\"")).as_deref(), Ok(numeric));
        let error = read(DataType::Decimal256(76, 38), "\"578960446186580977117854925043439539266.5\"").expect_err("an error");
        assert!(error.contains("wh.d.t, row 1 of the answer: \"c\" is a number that no decimal of Arrow holds"), "{error}");
    }

    #[test]
    fn instants_are_whole_microseconds() {
        let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        assert_eq!(read(utc.clone(), "\"-62135596800000000\"").as_deref(), Ok("0001-01-01T00:00:00Z"));
        assert_eq!(read(utc.clone(), "\"253402300799999999\"").as_deref(), Ok("9999-12-31T23:59:59.999999Z"));
        // Seconds in floating point have lost digits.
        assert!(read(utc, "\"1.6E9\"").is_err());
        assert_eq!(read(DataType::Float64, "\"-Infinity\"").as_deref(), Ok("-inf"));
    }
}
