//! The first rows of a source, and what each would send.
//!
//! In: a definition. Out: rows and payloads. The query is not read any further than they take.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::SessionContext;
use datafusion_clevertap::payload::Payload;
use futures::TryStreamExt;

use super::prepared::Prepared;
use crate::definition::{Definition, RunOptions};
use crate::error::Result;
use crate::report::{Preview, PreviewedRow};
use crate::source::HIDDEN;

pub(super) async fn preview(ctx: &SessionContext, definition: &Definition, rows: usize) -> Result<Preview> {
    let prepared = Prepared::new(ctx, definition, &RunOptions::default()).await?;
    let mut stream = execute_stream(Arc::clone(&prepared.rows), prepared.session.task_ctx())?;
    let (mut shown, mut payloads, mut encoder) = (Vec::new(), Vec::new(), prepared.encoder()?);
    while payloads.len() < rows
        && let Some(batch) = stream.try_next().await?
    {
        let batch = batch.slice(0, batch.num_rows().min(rows - payloads.len()));
        let columns = batch.num_columns() - HIDDEN;
        let keys = batch.column(columns).as_string::<i32>();
        let source: RecordBatch = batch.project(&(0..columns).collect::<Vec<_>>())?;
        let mut row = 0;
        encoder.encode(&source, |payload| {
            let key = keys.is_valid(row).then(|| keys.value(row).to_owned());
            payloads.push(match payload {
                Payload::Record { json, .. } => PreviewedRow { key, payload: Some(String::from_utf8_lossy(json).into_owned()), code: None },
                Payload::Rejected { code } => PreviewedRow { key, payload: None, code: Some(code.to_owned()) },
                _ => PreviewedRow { key, payload: None, code: None },
            });
            row += 1;
        })?;
        shown.push(source);
    }
    Ok(Preview { rows: shown, payloads })
}
