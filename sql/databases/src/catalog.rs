//! Names to tables: a catalogue that asks the database when it is asked.
//!
//! In: names of schemas and tables. Out: tables, each described anew for each statement, so that a column that was added is there. A schema is
//! taken as given until a table of it is looked for: naming it costs nothing.
//!
//! DataFusion lists names without waiting (`information_schema`, `SHOW TABLES`). Then a thread of its own asks, and this one waits.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::common::DataFusionError;
use datafusion::error::Result;
use datafusion::logical_expr::TableType;

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
        let mut found = self.driver.describe(schema, table).await?;
        if found.is_none() && self.settings.create && self.settings.access == Access::Write {
            found = Some(Relation {
                database: String::new(),
                schema: schema.to_owned(),
                name: table.to_owned(),
                columns: Vec::new(),
                key: Vec::new(),
                rows: None,
                is_view: false,
                exists: false,
                is_transactional: true,
            });
        }
        let Some(relation) = found else { return Ok(None) };
        let relation = Relation { database: self.settings.name.clone(), ..relation };
        Ok(Some(Arc::new(DatabaseTable::new(relation, Arc::clone(&self.driver), self.settings.access))))
    }

    /// All tables, or none and a warning: whoever asks for names cannot be told of an error.
    fn list(&self) -> Vec<Listed> {
        let limit = self.settings.connect_timeout + Duration::from_secs(30);
        let ask = || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| Error::Unavailable(format!("no thread to list the tables with: {error}")))?;
            runtime.block_on(async {
                tokio::time::timeout(limit, self.driver.list())
                    .await
                    .unwrap_or_else(|_| Err(Error::Unavailable(format!("listing took more than {} s", limit.as_secs()))))
            })
        };
        let listed = std::thread::scope(|scope| scope.spawn(ask).join());
        match listed {
            Ok(Ok(listed)) => listed,
            Ok(Err(error)) => {
                tracing::warn!(database = self.settings.name, %error, "the tables of a database could not be listed");
                Vec::new()
            }
            Err(_) => Vec::new(),
        }
    }
}

/// The catalogue of a database.
pub(crate) struct Catalog(pub(crate) Arc<Reached>);

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalog").field("database", &self.0.settings.name).finish_non_exhaustive()
    }
}

impl CatalogProvider for Catalog {
    fn schema_names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.0.list().into_iter().map(|listed| listed.schema).collect();
        names.sort();
        names.dedup();
        names
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        // `information_schema` is DataFusion's own, of all catalogues.
        (name != "information_schema")
            .then(|| Arc::new(Schema { reached: Arc::clone(&self.0), name: name.to_owned() }) as Arc<dyn SchemaProvider>)
    }
}

struct Schema {
    reached: Arc<Reached>,
    name: String,
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema").field("database", &self.reached.settings.name).field("name", &self.name).finish_non_exhaustive()
    }
}

#[async_trait]
impl SchemaProvider for Schema {
    fn table_names(&self) -> Vec<String> {
        self.reached.list().into_iter().filter(|listed| listed.schema == self.name).map(|listed| listed.table).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        Ok(self.reached.table(&self.name, name).await?)
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        let found = self.reached.driver.describe(&self.name, name).await?;
        Ok(found.map(|relation| if relation.is_view { TableType::View } else { TableType::Base }))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.reached.list().into_iter().any(|listed| listed.schema == self.name && listed.table == name)
    }
}
