//! Which staged value the server could not cast: it does not say at which row it was.
//!
//! In: a transaction whose merge failed, and was undone. Out: the first row whose value its column's type does not take. Halves of the staged rows
//! are cast until one row is left.

use tokio_postgres::Client;

use super::connect::one_text;
use super::fault::is_of_a_value;
use super::steps;
use crate::error::Error;
use crate::relation::Column;
use crate::write::convert::value_error;
use crate::write::job::Job;

/// The first value that cannot be cast; `None` if all can be, or the server cannot be asked.
pub(super) async fn misfit(client: &Client, job: &Job) -> Option<Error> {
    let mut rows: u64 = one_text(client, &steps::count(job)).await.ok()??.parse().ok()?;
    let mut found = None;
    for column in job.columns.iter().filter(|column| column.is_cast) {
        // Of two columns the one whose row is the first.
        if let Some(row) = first(client, job, column, rows).await? {
            (rows, found) = (row, Some((row, column)));
        }
    }
    let (row, column) = found?;
    let fault = format!("is no value of its column's type, {}; WHERE leaves the row out", column.sql_type);
    Some(value_error(&job.relation, row, column, &fault))
}

/// The first row from 1 to `rows` whose value cannot be cast. The outer `None` is a server that cannot be asked.
async fn first(client: &Client, job: &Job, column: &Column, rows: u64) -> Option<Option<u64>> {
    let (mut first, mut last) = (1, rows);
    if first > last || casts(client, job, column, first, last).await? {
        return Some(None);
    }
    while first < last {
        let middle = first + (last - first) / 2;
        if casts(client, job, column, first, middle).await? {
            first = middle + 1;
        } else {
            last = middle;
        }
    }
    Some(Some(first))
}

async fn casts(client: &Client, job: &Job, column: &Column, first: u64, last: u64) -> Option<bool> {
    client.batch_execute("SAVEPOINT clevertap_cast").await.ok()?;
    let cast = client.batch_execute(&steps::cast(job, column, first, last)).await;
    client.batch_execute("ROLLBACK TO SAVEPOINT clevertap_cast").await.ok()?;
    match cast {
        Ok(()) => Some(true),
        Err(error) => is_of_a_value(&error).then_some(false),
    }
}
