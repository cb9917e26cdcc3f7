//! Names to tables: a catalogue that asks the database when it is asked.
//!
//! In: names of schemas and tables. Out: tables, each described anew for each statement, so that a column that was added is there. A schema is
//! taken as given until a table of it is looked for: naming it costs nothing.
//!
//! DataFusion lists names without waiting (`information_schema`, `SHOW TABLES`).

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::common::DataFusionError;
use datafusion::error::Result;
use datafusion::logical_expr::TableType;

use crate::reached::Reached;
use crate::registered::Detached;
use crate::relation::Listed;

/// The catalogue of a database.
pub(crate) struct Catalog {
    pub(crate) reached: Arc<Reached>,
    /// Set when a session has detached it.
    pub(crate) detached: Arc<Detached>,
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalog").field("database", &self.reached.settings.name).finish_non_exhaustive()
    }
}

impl CatalogProvider for Catalog {
    fn schema_names(&self) -> Vec<String> {
        if self.detached.is_set() {
            return Vec::new();
        }
        let mut names = self.reached.schemas();
        names.sort();
        names.dedup();
        names
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        // `information_schema` is DataFusion's own, of all catalogues.
        (name != "information_schema" && !self.detached.is_set())
            .then(|| Arc::new(Schema::new(&self.reached, name)) as Arc<dyn SchemaProvider>)
    }
}

struct Schema {
    reached: Arc<Reached>,
    name: String,
    /// What was listed last. DataFusion asks for the names, and then for the type of each: that is one question to the database.
    listed: Mutex<Vec<Listed>>,
}

impl Schema {
    fn new(reached: &Arc<Reached>, name: &str) -> Self {
        Self { reached: Arc::clone(reached), name: name.to_owned(), listed: Mutex::default() }
    }

    fn was_view(&self, table: &str) -> Option<bool> {
        let listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        listed.iter().find(|listed| listed.table == table).map(|listed| listed.is_view)
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema").field("database", &self.reached.settings.name).field("name", &self.name).finish_non_exhaustive()
    }
}

#[async_trait]
impl SchemaProvider for Schema {
    fn table_names(&self) -> Vec<String> {
        let listed = self.reached.list_schema(&self.name);
        let names = listed.iter().map(|listed| listed.table.clone()).collect();
        *self.listed.lock().unwrap_or_else(PoisonError::into_inner) = listed;
        names
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        Ok(self.reached.table(&self.name, name).await?)
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        let is_view = match self.was_view(name) {
            Some(is_view) => Some(is_view),
            None => self.reached.driver.describe(&self.name, name).await?.map(|relation| relation.is_view),
        };
        Ok(is_view.map(|is_view| if is_view { TableType::View } else { TableType::Base }))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.reached.list_schema(&self.name).iter().any(|listed| listed.table == name)
    }
}
