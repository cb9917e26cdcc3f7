//! A read: rows of text, decoded as they come.
//!
//! Redshift has no COPY to its client, and a cursor's rows wait on its leader until the last is there; a plain query's come as they are taken. A
//! stream that is dropped before its end has Redshift cancel the query.

use std::pin::Pin;

use arrow::array::RecordBatch;
use arrow::datatypes::Date32Type;
use chrono::{Datelike, NaiveDate, NaiveDateTime};
use datafusion::error::Result as DataFusionResult;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use tokio_postgres::{SimpleQueryMessage, SimpleQueryStream};

use crate::answer::Answer;
use crate::cells::{BROKEN, Cells, Fault, Form};
use crate::driver::Query;
use crate::error::{Doing, Result};
use crate::postgres::connect::Connection;
use crate::postgres::fault::of_statement_at;
use crate::settings::Kind;

/// How Redshift writes values, in the session that `connect` sets up.
const FORM: Form = Form {
    boolean: |text| match text {
        "t" => Ok(true),
        "f" => Ok(false),
        _ => Err(BROKEN),
    },
    binary: hexadecimal,
    date: |text| in_era(text, |text| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()).map(Date32Type::from_naive_date),
    wall: |text| in_era(text, instant).map(|at| at.and_utc().timestamp_micros()),
    instant: |text| {
        let utc = text.replacen("+00", "", 1);
        in_era(&utc, instant).map(|at| at.and_utc().timestamp_micros())
    },
};

fn instant(text: &str) -> Option<NaiveDateTime> {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").ok()
}

/// A day before the year 1 is one of the year 44 BC, which is -43.
fn in_era<D: Datelike>(text: &str, parse: fn(&str) -> Option<D>) -> Result<D, Fault> {
    match text.strip_suffix(" BC") {
        None => parse(text).ok_or(BROKEN),
        Some(text) => parse(text).and_then(|at| at.with_year(1 - at.year())).ok_or(BROKEN),
    }
}

/// With PostgreSQL's `\x` before it, or without.
fn hexadecimal(text: &str) -> Result<Vec<u8>, Fault> {
    let digits = text.strip_prefix("\\x").unwrap_or(text).as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).ok_or(BROKEN);
    if !digits.len().is_multiple_of(2) {
        return Err(BROKEN);
    }
    digits.chunks_exact(2).map(|pair| Ok((digit(pair[0])? << 4) | digit(pair[1])?)).collect()
}

/// A query that runs. It is ended when this is dropped before its end.
struct Running {
    connection: Option<Connection>,
    rows: Pin<Box<SimpleQueryStream>>,
    columns: Vec<Cells>,
    answer: Answer,
    qualified: String,
}

pub(super) async fn read(
    connection: Connection,
    query: Query,
    rows_max: usize,
) -> Result<BoxStream<'static, DataFusionResult<RecordBatch>>> {
    let answer = Answer::new(query.qualified.clone(), query.schema, rows_max);
    let columns = answer.columns(Cells::new)?;
    let rows = connection.client.simple_query_raw(&query.sql).await;
    let rows = rows.map_err(|error| of_statement_at(Kind::Redshift, &error, &query.qualified, Doing::Reading))?;
    let running = Running { connection: Some(connection), rows: Box::pin(rows), columns, answer, qualified: query.qualified };
    Ok(futures::stream::try_unfold(running, Running::next).boxed())
}

impl Running {
    async fn next(mut self) -> DataFusionResult<Option<(RecordBatch, Self)>> {
        while self.connection.is_some() && !self.answer.is_full() {
            let message = self.rows.try_next().await;
            match message.map_err(|error| of_statement_at(Kind::Redshift, &error, &self.qualified, Doing::Reading))? {
                Some(SimpleQueryMessage::Row(row)) => {
                    let mut bytes = 0;
                    for (at, column) in self.columns.iter_mut().enumerate() {
                        match row.get(at) {
                            None => column.append_null(),
                            Some(text) => {
                                bytes += text.len();
                                column.append_text(text, &FORM).map_err(|fault| self.answer.fault(Some(at), fault))?;
                            }
                        }
                    }
                    self.answer.add_row(bytes);
                }
                Some(_) => {}
                None => self.connection = None,
            }
        }
        let columns = &mut self.columns;
        Ok(self.answer.batch(|| columns.iter_mut().map(Cells::finish).collect())?.map(|batch| (batch, self)))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.abandon(async |_| {});
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_redshift_writes_them() {
        assert_eq!(hexadecimal("\\x00fF"), Ok(vec![0, 255]));
        assert_eq!(hexadecimal("00ff"), Ok(vec![0, 255]));
        assert!(hexadecimal("0").is_err() && hexadecimal("zz").is_err());
        assert_eq!((FORM.instant)("1969-12-31 23:59:59.999999+00"), Ok(-1));
        assert_eq!((FORM.date)("0044-03-15 BC"), Ok(Date32Type::from_naive_date(NaiveDate::from_ymd_opt(-43, 3, 15).expect("a day"))));
        assert!((FORM.wall)("infinity").is_err());
    }
}
