//! What PostgreSQL says of a query in its own SQL: its columns and their types.
//!
//! The text is prepared twice: by itself, which proves that it is one statement, and as a subquery, which proves that it only reads. A type that is
//! read as text for want of a better one is cast there, as a column of a table is. The read itself is one of all reads: COPY, in the statement's snapshot,
//! in a transaction that cannot write.

use arrow::datatypes::DataType;
use tokio_postgres::Client;
use tokio_postgres::types::{Kind, Type};

use super::describe::{Known, array, known};
use super::fault::of_query;
use crate::answer::{no_query, schema_of};
use crate::driver::Query;
use crate::error::{Error, Result};

pub(super) async fn describe(client: &Client, qualified: &str, sql: &str) -> Result<Query> {
    let prepared = client.prepare(sql).await.map_err(|error| of_query(&error, qualified))?;
    if !prepared.params().is_empty() {
        return Err(Error::Statement(format!("{qualified}: the query has parameters ($1); write their values into it")));
    }
    let columns: Vec<_> = prepared.columns().iter().map(|column| (column, of_type(column.type_(), column.type_modifier()))).collect();
    let schema = schema_of(qualified, columns.iter().map(|(column, known)| (column.name().to_owned(), known.data_type.clone())))?;
    let read = |(at, (column, known)): (usize, &(&tokio_postgres::Column, Known))| match &known.data_type {
        DataType::List(_) if known.is_cast => format!("q.c{at}::text[]"),
        _ if known.is_cast || matches!(*column.type_(), Type::BPCHAR | Type::NAME) => format!("q.c{at}::text"),
        _ => format!("q.c{at}"),
    };
    let list: Vec<_> = columns.iter().enumerate().map(read).collect();
    let names: Vec<_> = (0..columns.len()).map(|at| format!("c{at}")).collect();
    // The text may end in a comment.
    let sql = format!("SELECT {} FROM (\n{}\n) AS q ({})", list.join(", "), sql.trim_end().trim_end_matches(';'), names.join(", "));
    if client.prepare(&sql).await.is_err() {
        return Err(no_query(qualified));
    }
    Ok(Query { qualified: qualified.to_owned(), sql, schema })
}

fn of_type(of: &Type, typmod: i32) -> Known {
    let is_enum = |of: &Type| matches!(of.kind(), Kind::Enum(_));
    match of.kind() {
        Kind::Domain(base) => of_type(base, -1),
        Kind::Array(element) => {
            let mut element = element;
            while let Kind::Domain(base) = element.kind() {
                element = base;
            }
            array(i64::from(element.oid()), typmod, is_enum(element))
        }
        _ => known(i64::from(of.oid()), typmod, is_enum(of)),
    }
}
