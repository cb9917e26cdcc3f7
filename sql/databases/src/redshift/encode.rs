//! Batches as the staging table takes them: as VALUES, or as the columns of a file.
//!
//! In: batches whose columns have the types that `describe` gives them. Out: text of SQL, or batches with the number of each row. What Arrow holds
//! and Redshift does not is an error with its column and row.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, Time64MicrosecondType, TimeUnit};
use arrow::temporal_conversions::time64us_to_time;
use datafusion::common::ScalarValue;
use datafusion::error::Result as DataFusionResult;

use super::dialect::{RedshiftDialect, text};
use super::steps::row_column;
use crate::dialect::Dialect;
use crate::error::Result;
use crate::relation::Column;
use crate::write::convert::value_error;
use crate::write::job::Job;

const NO_TEXT: &str = "has no form that Redshift takes: it has the years from 1 to 9999";
const TOO_LONG: &str = "has more bytes than its column takes, which counts bytes and not characters; left(…) shortens it";

/// Whether texts are as long as their columns take, in bytes.
pub(super) fn check(job: &Job, batch: &RecordBatch, first_row: u64) -> Result<()> {
    for (array, column) in batch.columns().iter().zip(&job.columns) {
        let (Some(max), Some(texts)) = (column.chars_max, array.as_string_opt::<i32>()) else { continue };
        if let Some(at) = (0..texts.len()).find(|at| texts.is_valid(*at) && texts.value(*at).len() > max) {
            return Err(value_error(&job.relation, first_row + at as u64, column, TOO_LONG));
        }
    }
    Ok(())
}

/// Adds a row as `(1, 'x', NULL)`, led by its number.
pub(super) fn row(job: &Job, batch: &RecordBatch, at: usize, row: u64, out: &mut String) -> DataFusionResult<()> {
    out.push_str(&format!("({row}"));
    for (array, column) in batch.columns().iter().zip(&job.columns) {
        let value = if array.is_null(at) { Some("NULL".to_owned()) } else { literal(array, at, column)? };
        out.push(',');
        out.push_str(&value.ok_or_else(|| value_error(&job.relation, row, column, NO_TEXT))?);
    }
    out.push(')');
    Ok(())
}

fn literal(array: &ArrayRef, at: usize, column: &Column) -> DataFusionResult<Option<String>> {
    Ok(match array.data_type() {
        DataType::Binary => {
            let digits: String = array.as_binary::<i32>().value(at).iter().map(|byte| format!("{byte:02x}")).collect();
            Some(if column.sql_type == "bytea" { format!("decode('{digits}', 'hex')") } else { format!("from_hex('{digits}')") })
        }
        DataType::Time64(_) => time64us_to_time(array.as_primitive::<Time64MicrosecondType>().value(at))
            .map(|time| format!("'{}'", time.format("%H:%M:%S%.6f"))),
        DataType::Utf8 => text(array.as_string::<i32>().value(at)),
        DataType::Timestamp(unit, _) => {
            // The zone is added by the merge.
            let wall = cast(&array.slice(at, 1), &DataType::Timestamp(*unit, None))?;
            RedshiftDialect.literal(&ScalarValue::try_from_array(&wall, 0)?, column)
        }
        _ => RedshiftDialect.literal(&ScalarValue::try_from_array(array, at)?, column),
    })
}

/// The schema of the files: instants without a zone, times of day as texts.
pub(super) fn schema(job: &Job) -> SchemaRef {
    let field = |column: &Column| Field::new(&column.name, filed(&column.data_type), true);
    let row = Field::new(row_column(job), DataType::Int64, true);
    Arc::new(Schema::new(std::iter::once(row).chain(job.columns.iter().map(field)).collect::<Vec<_>>()))
}

fn filed(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Timestamp(..) => DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Time64(_) => DataType::Utf8,
        data_type => data_type.clone(),
    }
}

/// A batch with the numbers of its rows, of which the first is `first_row`.
pub(super) fn numbered(schema: &SchemaRef, batch: &RecordBatch, first_row: u64) -> DataFusionResult<RecordBatch> {
    let rows = Int64Array::from_iter_values((first_row.cast_signed()..).take(batch.num_rows()));
    let mut columns = vec![Arc::new(rows) as ArrayRef];
    for array in batch.columns() {
        columns.push(cast(array, &filed(array.data_type()))?);
    }
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}
