//! SQLite as a user relies on it: SQL in, rows back, under faults.

mod filters;
mod types;
mod writes;

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use clevertap_databases::{Access, Database, DatabaseSettings};
use datafusion::error::Result;
use datafusion::prelude::{SessionConfig, SessionContext};
use rusqlite::Connection;

/// A file of a test's own, in a folder that ends with it.
struct File {
    folder: tempfile::TempDir,
}

impl File {
    fn new(sql: &str) -> Self {
        let file = Self { folder: tempfile::tempdir().expect("a folder") };
        file.peer().execute_batch(sql).expect("its tables");
        file
    }

    fn path(&self) -> String {
        self.folder.path().join("shop 😀.db").display().to_string()
    }

    fn peer(&self) -> Connection {
        Connection::open(self.path()).expect("the file")
    }

    fn settings(&self) -> DatabaseSettings {
        DatabaseSettings::new("shop", &format!("sqlite:{}", self.path())).expect("settings").with_access(Access::Write)
    }

    fn session(&self) -> SessionContext {
        session(self.settings())
    }

    /// All rows of a table as one text.
    fn rows(&self, columns: &str, table: &str) -> String {
        let sql =
            format!("SELECT coalesce(group_concat('(' || concat_ws(',', {columns}) || ')', ' ' ORDER BY {columns}), '') FROM {table}");
        self.peer().query_row(&sql, [], |row| row.get(0)).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }
}

fn session(settings: DatabaseSettings) -> SessionContext {
    let ctx = SessionContext::new_with_config(SessionConfig::new().with_information_schema(true).with_batch_size(100));
    Database::open(settings).expect("a database").register(&ctx);
    ctx
}

async fn rows(ctx: &SessionContext, sql: &str) -> Result<Vec<RecordBatch>> {
    ctx.sql(sql).await?.collect().await
}

async fn shown(ctx: &SessionContext, sql: &str) -> String {
    let batches = rows(ctx, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    pretty_format_batches(&batches).expect("a table").to_string()
}

/// The error of a statement.
async fn refusal(ctx: &SessionContext, sql: &str) -> String {
    match rows(ctx, sql).await {
        Ok(_) => panic!("{sql} went through"),
        Err(error) => error.to_string(),
    }
}
