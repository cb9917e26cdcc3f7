//! A database and how it is reached: its settings, and the driver that asks it.
//!
//! In: names of tables, questions. Out: tables as they are described now. Where DataFusion does not wait, a thread of its own asks.

use std::sync::Arc;
use std::time::Duration;

use datafusion::catalog::TableProvider;

use crate::driver::Driver;
use crate::error::Error;
use crate::relation::{Listed, Relation};
use crate::settings::{Access, DatabaseSettings};
use crate::table::DatabaseTable;

/// A database and how it is reached.
pub(crate) struct Reached {
    pub(crate) settings: DatabaseSettings,
    pub(crate) driver: Arc<dyn Driver>,
}

impl Reached {
    /// A table; `None` if it is not there, and a write would not make it.
    pub(crate) async fn table(&self, schema: &str, table: &str) -> Result<Option<Arc<dyn TableProvider>>, Error> {
        let found = self.described(schema, table).await?;
        let makes = self.settings.create && self.settings.access == Access::Write;
        Ok(found.or_else(|| makes.then(|| self.missing(schema, table))).map(|relation| Arc::new(self.provider(relation)) as _))
    }

    /// A table as the database describes it.
    pub(crate) async fn described(&self, schema: &str, table: &str) -> Result<Option<Relation>, Error> {
        let found = self.driver.describe(schema, table).await?;
        Ok(found.map(|relation| Relation { database: self.settings.name.clone(), ..relation }))
    }

    /// A table that is not there.
    pub(crate) fn missing(&self, schema: &str, table: &str) -> Relation {
        Relation {
            database: self.settings.name.clone(),
            schema: schema.to_owned(),
            name: table.to_owned(),
            columns: Vec::new(),
            key: Vec::new(),
            rows: None,
            is_view: false,
            exists: false,
            is_transactional: true,
        }
    }

    pub(crate) fn provider(&self, relation: Relation) -> DatabaseTable {
        DatabaseTable::new(relation, Arc::clone(&self.driver), self.settings.access)
    }

    /// Asks the database where nobody can wait for it: a thread of its own asks, and this one waits.
    pub(crate) fn ask<'a, T, F>(&'a self, question: impl FnOnce(&'a dyn Driver) -> F + Send) -> Result<T, Error>
    where
        T: Send,
        F: Future<Output = Result<T, Error>>,
    {
        let limit = self.settings.connect_timeout + Duration::from_secs(30);
        let gone = |why: String| Error::Unavailable(format!("database \"{}\": {why}", self.settings.name));
        let ask = || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| gone(format!("no thread to ask it with: {error}")))?;
            runtime.block_on(async {
                let answer = tokio::time::timeout(limit, question(self.driver.as_ref())).await;
                answer.unwrap_or_else(|_| Err(gone(format!("it did not answer within {} s", limit.as_secs()))))
            })
        };
        std::thread::scope(|scope| scope.spawn(ask).join()).unwrap_or_else(|_| Err(gone("asking it ended in a panic".into())))
    }

    /// All schemas, or none and a warning: whoever asks for names cannot be told of an error.
    pub(crate) fn schemas(&self) -> Vec<String> {
        self.ask(|driver| driver.schemas()).unwrap_or_else(|error| self.unlisted(&error))
    }

    /// All tables of a schema, or none and a warning.
    pub(crate) fn list_schema(&self, schema: &str) -> Vec<Listed> {
        self.ask(|driver| driver.list_schema(schema)).unwrap_or_else(|error| self.unlisted(&error))
    }

    fn unlisted<T>(&self, error: &Error) -> Vec<T> {
        tracing::warn!(database = self.settings.name, %error, "the tables of a database could not be listed");
        Vec::new()
    }
}
