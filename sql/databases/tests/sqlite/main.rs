//! SQLite as a user relies on it: SQL in, rows back, under faults.

#[path = "../conditions.rs"]
mod conditions;
mod filters;
mod queries;
#[path = "../statements.rs"]
mod statements;
mod types;
mod writes;

use clevertap_databases::{Access, DatabaseSettings};
use datafusion::prelude::SessionContext;
use rusqlite::Connection;

use statements::{refusal, rows, session_of as session, shown};

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
