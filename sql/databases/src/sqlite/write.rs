//! A write: rows into a temporary table, then one transaction.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type};
use async_trait::async_trait;
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::SendableRecordBatchStream;
use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::describe::prefers_numbers;
use super::fault;
use super::steps::steps;
use crate::dialect::decimal;
use crate::error::{Doing, Error, Result};
use crate::write::convert::value_error;
use crate::write::job::Job;
use crate::write::path::{Session, Steps, load};
use crate::write::rows::Rows;

/// Writes all of `input` or nothing.
pub(super) async fn write(connection: Connection, job: Arc<Job>, input: SendableRecordBatchStream) -> DataFusionResult<u64> {
    let mut rows = Rows::new(input, &job);
    let mut session = File { connection: Some(connection), job: Arc::clone(&job) };
    load(&mut session, &job, &steps(&job), &mut rows).await
}

struct File {
    connection: Option<Connection>,
    job: Arc<Job>,
}

impl File {
    /// Runs what waits for the disk where waiting is no harm. What it leaves undone is rolled back when the connection is dropped.
    async fn run<R: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Connection, &Job) -> Result<R> + Send + 'static,
    ) -> DataFusionResult<R> {
        let (Some(mut connection), job) = (self.connection.take(), Arc::clone(&self.job)) else {
            return Err(Error::Unavailable(format!("{}: an earlier step did not end", self.job.relation.qualified())).into());
        };
        let task = SpawnedTask::spawn_blocking(move || (work(&mut connection, &job), connection));
        let (result, connection) = task.join().await.map_err(|error| datafusion::error::DataFusionError::ExecutionJoin(Box::new(error)))?;
        self.connection = Some(connection);
        Ok(result?)
    }
}

fn failed(job: &Job) -> impl Fn(rusqlite::Error) -> Error {
    let place = job.relation.qualified();
    move |error| fault::of(&error, &place, Doing::Writing)
}

#[async_trait]
impl Session for File {
    async fn execute(&mut self, sql: &str) -> DataFusionResult<()> {
        let sql = sql.to_owned();
        self.run(move |connection, job| connection.execute_batch(&sql).map_err(failed(job))).await
    }

    async fn ingest(&mut self, steps: &Steps, rows: &mut Rows) -> DataFusionResult<u64> {
        self.execute("BEGIN").await?;
        let mut taken = 0;
        loop {
            let first_row = rows.sent + 1;
            let Some(batch) = rows.next().await? else { break };
            let sql = steps.ingest.clone();
            taken += self.run(move |connection, job| ingest(connection, &sql, job, &batch, first_row)).await?;
        }
        self.execute("COMMIT").await?;
        Ok(taken)
    }

    async fn merge(&mut self, steps: &Steps) -> DataFusionResult<()> {
        let steps = steps.merge.clone();
        let merge = move |connection: &mut Connection, job: &Job| {
            connection.execute_batch("BEGIN IMMEDIATE").map_err(failed(job))?;
            for sql in &steps {
                connection.execute_batch(sql).map_err(failed(job))?;
            }
            connection.execute_batch("COMMIT").map_err(failed(job))
        };
        self.run(merge).await
    }
}

fn ingest(connection: &Connection, sql: &str, job: &Job, batch: &RecordBatch, first_row: u64) -> Result<u64> {
    let failed = failed(job);
    let mut insert = connection.prepare(sql).map_err(&failed)?;
    let prefers_numbers: Vec<_> = job.columns.iter().map(|column| prefers_numbers(&column.sql_type)).collect();
    let mut taken = 0;
    for at in 0..batch.num_rows() {
        let row = first_row + at as u64;
        insert.raw_bind_parameter(1, row.cast_signed()).map_err(&failed)?;
        for (place, array) in batch.columns().iter().enumerate() {
            let refuse = |why| value_error(&job.relation, row, &job.columns[place], why);
            bind(&mut insert, place + 2, (array, at), prefers_numbers[place], refuse, &failed)?;
        }
        taken += insert.raw_execute().map_err(&failed)? as u64;
    }
    Ok(taken)
}

/// Most digits of a number that a double gives back as they were.
const DOUBLE_DIGITS: usize = 15;

fn bind(
    insert: &mut rusqlite::Statement<'_>,
    place: usize,
    (array, at): (&dyn Array, usize),
    prefers_numbers: bool,
    refuse: impl Fn(&'static str) -> Error,
    failed: impl Fn(rusqlite::Error) -> Error,
) -> Result<()> {
    let text;
    let value = match array.data_type() {
        _ if array.is_null(at) => ValueRef::Null,
        DataType::Boolean => ValueRef::Integer(i64::from(array.as_boolean().value(at))),
        DataType::Int64 => ValueRef::Integer(array.as_primitive::<Int64Type>().value(at)),
        DataType::Float64 => match array.as_primitive::<Float64Type>().value(at) {
            number if number.is_nan() => return Err(refuse("is NaN, which SQLite stores as NULL; nanvl(…, NULL) says that this is meant")),
            number => ValueRef::Real(number),
        },
        DataType::Decimal128(_, scale) => {
            text = decimal(&array.as_primitive::<Decimal128Type>().value(at).to_string(), *scale);
            ValueRef::Text(text.as_bytes())
        }
        DataType::Binary => ValueRef::Blob(array.as_binary::<i32>().value(at)),
        DataType::Utf8 => match array.as_string::<i32>().value(at) {
            text if prefers_numbers && loses_digits(text) => {
                return Err(refuse("is a number of more digits than SQLite's doubles hold; a column of type TEXT keeps them"));
            }
            text => ValueRef::Text(text.as_bytes()),
        },
        _ => return Err(refuse("has a type that is not written")),
    };
    insert.raw_bind_parameter(place, rusqlite::types::ToSqlOutput::Borrowed(value)).map_err(failed)
}

/// Whether a column that prefers numbers would make another of a text.
fn loses_digits(text: &str) -> bool {
    let digits = text.trim_start_matches(['-', '+', '0', '.']).bytes().filter(u8::is_ascii_digit).count();
    digits > DOUBLE_DIGITS && text.parse::<f64>().is_ok() && text.parse::<i64>().is_err()
}
