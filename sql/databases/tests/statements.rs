//! Statements of a test, and what comes of them.

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use clevertap_databases::{Database, DatabaseSettings};
use datafusion::error::Result;
use datafusion::prelude::{SessionConfig, SessionContext};

/// A session with the database under the name of its settings. Batches are small, so that there are several.
pub(crate) fn session_of(settings: DatabaseSettings) -> SessionContext {
    let ctx = SessionContext::new_with_config(SessionConfig::new().with_information_schema(true).with_batch_size(100));
    Database::open(settings).expect("a database").register(&ctx);
    ctx
}

pub(crate) async fn rows(ctx: &SessionContext, sql: &str) -> Result<Vec<RecordBatch>> {
    ctx.sql(sql).await?.collect().await
}

pub(crate) async fn shown(ctx: &SessionContext, sql: &str) -> String {
    let batches = rows(ctx, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    pretty_format_batches(&batches).expect("a table").to_string()
}

/// The error of a statement.
pub(crate) async fn refusal(ctx: &SessionContext, sql: &str) -> String {
    match rows(ctx, sql).await {
        Ok(_) => panic!("{sql} went through"),
        Err(error) => error.to_string(),
    }
}
