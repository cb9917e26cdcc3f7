//! The rows of a source as a driver ingests them: numbered, and in types that the staging table takes as they are.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, PrimitiveArray, RecordBatch, RecordBatchReader};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Field, Float64Type, Schema, SchemaRef, Time64NanosecondType, TimeUnit, TimestampMicrosecondType,
    TimestampNanosecondType,
};
use arrow::error::ArrowError;
use tokio::sync::mpsc::Receiver;

use super::calendar::first_beyond;
use super::steps::{ROW, is_staged_as_text, staged};
use super::vendor::Vendor;
use crate::error::{Error, Result};
use crate::relation::Column;
use crate::write::convert::value_error;
use crate::write::job::Job;

/// Encodes batches of a job.
#[derive(Debug)]
pub(super) struct Encoder {
    job: Arc<Job>,
    vendor: Vendor,
    schema: SchemaRef,
}

impl Encoder {
    pub(super) fn new(job: &Arc<Job>, vendor: Vendor) -> Self {
        let column = |(at, column): (usize, &Column)| {
            let data_type = if is_staged_as_text(vendor, column) { DataType::Utf8 } else { column.data_type.clone() };
            Field::new(staged(at), data_type, true)
        };
        let columns = job.columns.iter().enumerate().map(column);
        let fields: Vec<_> = [Field::new(ROW, DataType::Int64, true)].into_iter().chain(columns).collect();
        Self { job: Arc::clone(job), vendor, schema: Arc::new(Schema::new(fields)) }
    }

    pub(super) fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// The batch with its rows' numbers.
    ///
    /// # Errors
    /// [`Error::Value`] with the first row whose value the driver or the database would make another of.
    pub(super) fn encode(&self, batch: &RecordBatch, first_row: u64) -> Result<RecordBatch> {
        let numbers = Int64Array::from_iter_values((first_row..).take(batch.num_rows()).map(u64::cast_signed));
        let mut columns: Vec<ArrayRef> = vec![Arc::new(numbers)];
        for (array, column) in batch.columns().iter().zip(&self.job.columns) {
            if let Some((at, why)) = self.misfit(array, column) {
                return Err(value_error(&self.job.relation, first_row + at as u64, column, &why));
            }
            let is_text = is_staged_as_text(self.vendor, column);
            let refused = |_| Error::Statement(format!("{}: {} is not written as text", self.job.relation.qualified(), array.data_type()));
            columns.push(if is_text { cast(array, &DataType::Utf8).map_err(refused)? } else { ArrayRef::clone(array) });
        }
        RecordBatch::try_new(self.schema(), columns)
            .map_err(|_| Error::Statement(format!("{}: the rows have other types than were planned", self.job.relation.qualified())))
    }

    /// The first value that would become another.
    fn misfit(&self, array: &ArrayRef, column: &Column) -> Option<(usize, String)> {
        match (self.vendor, array.data_type()) {
            (Vendor::Postgres, _) => {
                first_beyond(array).map(|at| (at, "is before 4714 BC, where the calendar of PostgreSQL begins".to_owned()))
            }
            (Vendor::Sqlite, DataType::Float64) => {
                let numbers = array.as_primitive::<Float64Type>();
                let nan = (0..numbers.len()).find(|at| numbers.is_valid(*at) && numbers.value(*at).is_nan())?;
                Some((nan, "is NaN, which SQLite stores as NULL; nanvl(…, NULL) says that this is meant".to_owned()))
            }
            (Vendor::Snowflake, data_type) => {
                let digits = column.chars_max.and_then(|digits| u32::try_from(digits).ok()).unwrap_or(9);
                let at = match data_type {
                    DataType::Timestamp(TimeUnit::Nanosecond, _) => finer::<TimestampNanosecondType>(array, 9, digits),
                    DataType::Timestamp(TimeUnit::Microsecond, _) => finer::<TimestampMicrosecondType>(array, 6, digits),
                    DataType::Time64(TimeUnit::Nanosecond) => finer::<Time64NanosecondType>(array, 9, digits),
                    _ => None,
                }?;
                Some((at, format!("has more digits of a second than {} holds; date_trunc takes them away", column.sql_type)))
            }
            _ => None,
        }
    }
}

/// The first value that has digits of a second behind the last that a column keeps.
fn finer<T: ArrowPrimitiveType<Native = i64>>(array: &ArrayRef, unit: u32, digits: u32) -> Option<usize> {
    let step = 10_i64.pow(unit.saturating_sub(digits));
    let values: &PrimitiveArray<T> = array.as_primitive();
    (0..values.len()).find(|at| values.is_valid(*at) && values.value(*at) % step != 0)
}

/// What a source hands to a driver.
#[derive(Debug)]
pub(super) enum Piece {
    Rows(RecordBatch),
    /// There are no more. A source that is gone without saying so has failed.
    End,
}

/// The batches that a driver asks for, on its own thread.
#[derive(Debug)]
pub(super) struct Pieces {
    pub(super) schema: SchemaRef,
    pub(super) pieces: Receiver<Piece>,
    pub(super) is_over: bool,
}

impl Iterator for Pieces {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        match self.pieces.blocking_recv() {
            Some(Piece::Rows(batch)) => Some(Ok(batch)),
            Some(Piece::End) => {
                self.is_over = true;
                None
            }
            None => {
                self.is_over = true;
                Some(Err(ArrowError::ExternalError("the source failed".into())))
            }
        }
    }
}

impl RecordBatchReader for Pieces {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digit_that_a_column_does_not_keep_is_found() {
        let array: ArrayRef = Arc::new(arrow::array::TimestampNanosecondArray::from(vec![None, Some(-1_500_000), Some(1_500_001)]));
        assert_eq!(finer::<TimestampNanosecondType>(&array, 9, 9), None);
        assert_eq!(finer::<TimestampNanosecondType>(&array, 9, 4), Some(2));
        assert_eq!(finer::<TimestampNanosecondType>(&array, 9, 0), Some(1));
    }

    #[test]
    fn a_source_that_is_gone_without_an_end_has_failed() {
        let pieces = |said: Vec<Piece>| {
            let (sender, pieces) = tokio::sync::mpsc::channel(2);
            said.into_iter().for_each(|piece| sender.try_send(piece).expect("room"));
            drop(sender);
            Pieces { schema: Arc::new(Schema::empty()), pieces, is_over: false }.map(|piece| piece.is_ok()).collect::<Vec<_>>()
        };
        assert_eq!(pieces(vec![Piece::End]), [] as [bool; 0]);
        assert_eq!(pieces(Vec::new()), [false]);
    }
}
