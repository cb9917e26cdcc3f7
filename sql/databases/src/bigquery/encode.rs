//! Batches as the staging table takes them.
//!
//! In: batches whose columns have the types that `describe` gives them. Out: the same with the number of each row. What Arrow holds and BigQuery
//! does not is an error with its column and row: it would fail the load, or come back as another value.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Date32Type, Field, Schema, SchemaRef, Time64MicrosecondType, TimestampMicrosecondType};

use super::steps::row_column;
use crate::error::{Error, Result, shown};
use crate::relation::Column;
use crate::write::convert::value_error;
use crate::write::job::Job;

/// The days of the years 1 to 9999, which are those that BigQuery has.
const DAYS: std::ops::RangeInclusive<i32> = -719_162..=2_932_896;
const MICROS: std::ops::RangeInclusive<i64> = -62_135_596_800_000_000..=253_402_300_799_999_999;
const DAY_MICROS: i64 = 86_400_000_000;

const NO_YEAR: &str = "is of a year that BigQuery does not have: it takes those from 1 to 9999";
const NO_TIME: &str = "is no time of a day";
const NO_ARRAY: &str = "is NULL, and BigQuery has no arrays that are NULL: coalesce(…, make_array()) makes it an empty one";
const NO_ELEMENT: &str = "has a NULL in its list, which no array of BigQuery holds; array_compact takes it away";

/// Whether the job's columns can be written at all.
///
/// # Errors
/// [`Error::Statement`] for a key that BigQuery cannot tell rows apart by, and for a type inside of another that is text here.
pub(super) fn check(job: &Job) -> Result<()> {
    let refuse = |column: &Column, why: &str| {
        Err(Error::Statement(format!("{}: column \"{}\" is {}, {why}", job.relation.qualified(), shown(&column.name), column.sql_type)))
    };
    for column in &job.columns {
        let is_nested = matches!(column.data_type, DataType::List(_) | DataType::Struct(_));
        let has_no_order = column.is_cast || is_nested || column.data_type == DataType::Float64;
        if job.is_key(column) && has_no_order {
            return refuse(column, "by which BigQuery cannot tell rows apart; SET database.upsert_key names other columns");
        }
        if is_nested && ["JSON", "GEOGRAPHY", "INTERVAL", "RANGE<"].iter().any(|kind| column.sql_type.contains(kind)) {
            return refuse(column, "which is read and not written: what is inside would have to be cast; leave it out of the INSERT");
        }
    }
    Ok(())
}

/// The schema of what is loaded.
pub(super) fn schema(job: &Job) -> SchemaRef {
    let row = Field::new(row_column(job), DataType::Int64, true);
    let columns = job.columns.iter().map(|column| Field::new(&column.name, column.data_type.clone(), true));
    Arc::new(Schema::new(std::iter::once(row).chain(columns).collect::<Vec<_>>()))
}

/// A batch with the numbers of its rows, of which the first is `first_row`.
pub(super) fn numbered(job: &Job, schema: &SchemaRef, batch: &RecordBatch, first_row: u64) -> datafusion::error::Result<RecordBatch> {
    for (array, column) in batch.columns().iter().zip(&job.columns) {
        let is_array = matches!(column.data_type, DataType::List(_)) && array.null_count() > 0;
        let null = is_array.then(|| (0..array.len()).find(|at| array.is_null(*at))).flatten().map(|at| (at, NO_ARRAY));
        if let Some((at, why)) = null.or_else(|| misfit(array)) {
            return Err(value_error(&job.relation, first_row + at as u64, column, why).into());
        }
    }
    let first = first_row.cast_signed();
    let rows = Int64Array::from_iter_values((first..).take(batch.num_rows()));
    let columns = std::iter::once(Arc::new(rows) as ArrayRef).chain(batch.columns().iter().map(Arc::clone)).collect();
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

/// The first row with a value that BigQuery does not have, and why.
fn misfit(array: &dyn Array) -> Option<(usize, &'static str)> {
    let valid = |at: &usize| array.is_valid(*at);
    let rows = 0..array.len();
    match array.data_type() {
        DataType::Date32 => {
            let days = array.as_primitive::<Date32Type>();
            rows.filter(valid).find(|at| !DAYS.contains(&days.value(*at))).map(|at| (at, NO_YEAR))
        }
        DataType::Timestamp(..) => {
            let micros = array.as_primitive::<TimestampMicrosecondType>();
            rows.filter(valid).find(|at| !MICROS.contains(&micros.value(*at))).map(|at| (at, NO_YEAR))
        }
        DataType::Time64(_) => {
            let micros = array.as_primitive::<Time64MicrosecondType>();
            rows.filter(valid).find(|at| !(0..DAY_MICROS).contains(&micros.value(*at))).map(|at| (at, NO_TIME))
        }
        DataType::List(_) => {
            let lists = array.as_list::<i32>();
            rows.filter(valid).find_map(|at| {
                let items = lists.value(at);
                if items.null_count() > 0 { Some((at, NO_ELEMENT)) } else { misfit(&items).map(|(_, why)| (at, why)) }
            })
        }
        DataType::Struct(_) => {
            let structs = array.as_struct();
            structs.columns().iter().find_map(|child| {
                let lists = matches!(child.data_type(), DataType::List(_));
                let null = lists.then(|| (0..child.len()).find(|at| child.is_null(*at) && structs.is_valid(*at))).flatten();
                null.map(|at| (at, NO_ARRAY)).or_else(|| misfit(child).filter(|(at, _)| structs.is_valid(*at)))
            })
        }
        _ => None,
    }
}
