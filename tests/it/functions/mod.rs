//! What a user types and sees: every `ct_*` function through SQL.

mod operators;
mod phone;
mod written;

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::prelude::SessionContext;

/// A session that knows the functions, and the columns as the table `t`.
fn session(columns: Vec<(&str, ArrayRef)>) -> Result<SessionContext> {
    let mut ctx = SessionContext::new();
    datafusion_clevertap_udfs::register(&mut ctx)?;
    if !columns.is_empty() {
        ctx.register_batch("t", RecordBatch::try_from_iter(columns)?)?;
    }
    Ok(ctx)
}

async fn rows(ctx: &SessionContext, sql: &str) -> Result<Vec<RecordBatch>> {
    ctx.sql(sql).await?.collect().await
}

/// The type and the nullability of the one column that `sql` selects: those planned, which the rows must share.
async fn column_type(ctx: &SessionContext, sql: &str) -> Result<(DataType, bool)> {
    let frame = ctx.sql(sql).await?;
    let planned = Arc::clone(frame.schema().inner());
    for batch in frame.collect().await? {
        assert_eq!(batch.column(0).data_type(), planned.field(0).data_type(), "{sql}");
    }
    Ok((planned.field(0).data_type().clone(), planned.field(0).is_nullable()))
}

/// What the function says, without DataFusion's words around it.
async fn error(ctx: &SessionContext, sql: &str) -> String {
    let message = match rows(ctx, sql).await {
        Ok(_) => return format!("no error: {sql}"),
        Err(error) => error.strip_backtrace(),
    };
    let inner = message.rsplit(" error: ").next().unwrap_or_default();
    let inner = inner.rsplit("Error during planning: ").next().unwrap_or_default();
    inner.split(". No function matches").next().unwrap_or_default().to_owned()
}
