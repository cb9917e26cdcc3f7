//! A read: the driver's own stream of batches, on a thread that may wait.
//!
//! In: a query. Out: its batches in the types that its columns were described with. A value that changes on the way there is an error with its
//! row, and so is what PostgreSQL's driver makes of an infinite day.

use std::sync::Arc;

use adbc_core::error::Error as Fault;
use adbc_core::options::{OptionStatement, OptionValue};
use adbc_core::{CancelHandle, Connection, Optionable, Statement};
use adbc_driver_manager::ManagedStatement;
use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::kernels::cmp::not_distinct;
use arrow::compute::{CastOptions, can_cast_types, cast_with_options};
use arrow::datatypes::DataType;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::sync::mpsc::Sender;

use super::calendar::first_beyond;
use super::connect::{Connector, Link, blocking};
use super::fault::{of_answer, of_statement};
use super::vendor::{Product, Vendor};
use crate::driver::Query;
use crate::error::{Doing, Error, Result, shown};

/// Batches that a driver may have ready, and bytes of one: without them Snowflake's has two hundred.
const READ_AHEAD: [(Vendor, &str, i64); 2] =
    [(Vendor::Snowflake, "adbc.rpc.result_queue_size", 8), (Vendor::Postgres, "adbc.postgresql.batch_size_hint_bytes", 4 << 20)];

const LENIENT: CastOptions<'static> = CastOptions { safe: true, format_options: arrow::util::display::FormatOptions::new() };

/// Reads. A stream that is dropped cancels the statement, and its thread ends.
pub(super) async fn read(
    connector: &Arc<Connector>,
    query: Query,
    task: &TaskContext,
) -> Result<BoxStream<'static, DataFusionResult<RecordBatch>>> {
    let mut link = connector.connect().await?;
    let (sql, qualified) = (query.sql.clone(), query.qualified.clone());
    let (link, statement) = blocking(move || {
        let prepared = prepare(&mut link, &sql);
        let statement = prepared.map_err(|error| of_statement(&error, &qualified, Doing::Reading, &link.product))?;
        Ok((link, statement))
    })
    .await?;
    let cancel = Cancel(Some(statement.get_cancel_handle()));
    let (rows_max, schema) = (task.session_config().batch_size().max(1), Arc::clone(&query.schema));
    let mut batches = RecordBatchReceiverStreamBuilder::new(schema, 2);
    let sender = batches.tx();
    batches.spawn_blocking(move || Ok(Reading { link, query, rows_max }.read(statement, &sender)?));
    Ok(futures::stream::unfold((batches.build(), cancel), |(mut batches, mut cancel)| async move {
        let batch = batches.next().await;
        if batch.is_none() {
            cancel.0 = None;
        }
        batch.map(|batch| (batch, (batches, cancel)))
    })
    .boxed())
}

fn prepare(link: &mut Link, sql: &str) -> Result<ManagedStatement, Fault> {
    let mut statement = link.connection.new_statement()?;
    for (vendor, option, value) in READ_AHEAD {
        if vendor == link.product.vendor {
            statement.set_option(OptionStatement::Other(option.into()), OptionValue::Int(value))?;
        }
    }
    statement.set_sql_query(sql)?;
    Ok(statement)
}

/// Cancels a statement when it is dropped before the answer's end. A driver may ask the server to, and that waits.
struct Cancel(Option<Box<dyn CancelHandle>>);

impl Drop for Cancel {
    fn drop(&mut self) {
        if let Some(handle) = self.0.take() {
            let cancel = move || {
                // A driver without it ends at its next batch.
                handle.try_cancel().ok();
            };
            std::thread::Builder::new().name("adbc-cancel".into()).spawn(cancel).ok();
        }
    }
}

struct Reading {
    link: Link,
    query: Query,
    rows_max: usize,
}

impl Reading {
    fn read(&self, mut statement: ManagedStatement, batches: &Sender<DataFusionResult<RecordBatch>>) -> Result<()> {
        let product = &self.link.product;
        let failed = |error| of_statement(&error, &self.query.qualified, Doing::Reading, product);
        let reader = statement.execute().map_err(failed)?;
        let mut before = 0;
        for batch in reader {
            let batch = batch.map_err(|error| of_answer(&error, &self.query.qualified, product))?;
            let batch = self.adapt(&batch, before, product)?;
            before += batch.num_rows();
            for at in (0..batch.num_rows()).step_by(self.rows_max) {
                let rows = batch.slice(at, self.rows_max.min(batch.num_rows() - at));
                if batches.blocking_send(Ok(rows)).is_err() {
                    // Nobody wants the rest.
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn adapt(&self, batch: &RecordBatch, before: usize, product: &Product) -> Result<RecordBatch> {
        let (schema, qualified) = (&self.query.schema, &self.query.qualified);
        let other = || Error::Unreadable(format!("{qualified}: the answer of {} has other columns than it was asked for", product.name));
        if !schema.fields().is_empty() && batch.num_columns() != schema.fields().len() {
            return Err(other());
        }
        let fault = |column: usize, at: usize, what: &str| {
            Error::Unreadable(format!(
                "{qualified}, row {} of the answer: \"{}\" {what}",
                before + at + 1,
                shown(schema.field(column).name())
            ))
        };
        let mut columns = Vec::with_capacity(schema.fields().len());
        for (column, field) in schema.fields().iter().enumerate() {
            let array = batch.column(column);
            let array = adapted(array, field.data_type()).map_err(|at| {
                let (from, to) = (array.data_type(), field.data_type());
                fault(column, at, &format!("came as {from} and is no {to}; a view of the database that casts it to text reads it"))
            })?;
            if product.vendor == Vendor::Postgres
                && let Some(at) = first_beyond(&array)
            {
                return Err(fault(
                    column,
                    at,
                    "is infinite or after the year 294246; a view of the database that casts it to text reads it",
                ));
            }
            columns.push(array);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(|_| other())
    }
}

/// The same values in another type, or the first row that is none of it.
fn adapted(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, usize> {
    let from = array.data_type();
    if from == to {
        return Ok(ArrayRef::clone(array));
    }
    if array.logical_null_count() == array.len() {
        // A driver may take any type for a column without values.
        return Ok(new_null_array(to, array.len()));
    }
    let has_other_zone = matches!((from, to), (DataType::Timestamp(_, from), DataType::Timestamp(_, to)) if from.is_some() != to.is_some());
    let first = || (0..array.len()).find(|at| array.is_valid(*at)).unwrap_or_default();
    if has_other_zone || !can_cast_types(from, to) {
        return Err(first());
    }
    let changed = |result: arrow::error::Result<ArrayRef>| result.map_err(|_| first());
    let there = changed(cast_with_options(array, to, &LENIENT))?;
    let back = changed(cast_with_options(&there, from, &LENIENT))?;
    // What is nested is compared by no kernel, and whole.
    if from.is_nested() {
        return if back.as_ref() == array.as_ref() { Ok(there) } else { Err(first()) };
    }
    let same = not_distinct(&back, array).map_err(|_| first())?;
    match same.values().iter().position(|same| !same) {
        Some(at) => Err(at),
        None => Ok(there),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Decimal128Array, Float64Array, Int64Array, StringArray, StringViewArray};

    fn is(array: impl Array + 'static, to: &DataType, expected: &Result<ArrayRef, usize>) {
        assert_eq!(&adapted(&(Arc::new(array) as ArrayRef), to), expected);
    }

    #[test]
    fn a_value_has_another_type_or_is_told_by_row() {
        is(StringViewArray::from(vec!["a"]), &DataType::Utf8, &Ok(Arc::new(StringArray::from(vec!["a"]))));
        is(Int64Array::from(vec![None, Some(1), Some((1 << 53) + 1)]), &DataType::Float64, &Err(2));
        is(Int64Array::from(vec![None, Some(2)]), &DataType::Boolean, &Err(1));
        is(Int64Array::from(vec![None, None]), &DataType::Utf8, &Ok(new_null_array(&DataType::Utf8, 2)));
        is(Float64Array::from(vec![0.1]), &DataType::Utf8, &Ok(Arc::new(StringArray::from(vec!["0.1"]))));
        let decimals = Decimal128Array::from(vec![150]).with_precision_and_scale(10, 2).expect("digits");
        is(StringArray::from(vec!["1.50"]), &DataType::Decimal128(10, 2), &Ok(Arc::new(decimals)));
        is(StringArray::from(vec![Some("1.50"), Some("NaN")]), &DataType::Decimal128(10, 2), &Err(1));
        is(StringArray::from(vec!["x"]), &DataType::Int64, &Err(0));
    }
}
