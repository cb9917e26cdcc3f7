//! A read: `COPY (SELECT …) TO STDOUT (FORMAT binary)`, decoded as it comes.
//!
//! The server is not read faster than batches are taken: tokio-postgres holds back what nobody asks for. A stream that is dropped before its end
//! has the server cancel the query.

use std::pin::Pin;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::error::Result as DataFusionResult;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use tokio_postgres::CopyOutStream;

use super::decode::Decoder;
use super::fault::of_statement;
use super::snapshot::{Lent, Statement};
use crate::answer::Answer;
use crate::driver::Query;
use crate::error::{Doing, Result};

/// A query that runs. It is ended when this is dropped before its end.
struct Running {
    lent: Option<Lent>,
    copy: Pin<Box<CopyOutStream>>,
    decoder: Decoder,
    qualified: String,
}

pub(super) async fn read(
    statement: Arc<Statement>,
    query: Query,
    rows_max: usize,
) -> Result<BoxStream<'static, DataFusionResult<RecordBatch>>> {
    let decoder = Decoder::new(Answer::new(query.qualified.clone(), query.schema, rows_max))?;
    let lent = statement.connection(&query.qualified).await?;
    let sql = format!("COPY ({}) TO STDOUT (FORMAT binary)", query.sql);
    let copy = lent.connection().client.copy_out(sql.as_str()).await;
    let copy = copy.map_err(|error| of_statement(&error, &query.qualified, Doing::Reading))?;
    let running = Running { lent: Some(lent), copy: Box::pin(copy), decoder, qualified: query.qualified };
    Ok(futures::stream::try_unfold(running, Running::next).boxed())
}

impl Running {
    async fn next(mut self) -> DataFusionResult<Option<(RecordBatch, Self)>> {
        while self.lent.is_some() {
            let message = self.copy.try_next().await.map_err(|error| of_statement(&error, &self.qualified, Doing::Reading));
            match message? {
                Some(message) => self.decoder.push(&message)?,
                None => self.lent.take().map_or((), Lent::give_back),
            }
            if self.decoder.is_full() {
                break;
            }
        }
        Ok(self.decoder.batch()?.map(|batch| (batch, self)))
    }
}
