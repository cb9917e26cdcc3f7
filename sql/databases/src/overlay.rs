//! One table laid over a session's catalogues, for the time of one statement.
//!
//! In: a list of catalogues, a name, a table. Out: the same list, in which the name is that table. Nothing else sees it.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::error::Result;
use datafusion::logical_expr::TableType;

/// What lies over.
#[derive(Clone)]
pub(crate) struct Laid {
    pub(crate) catalog: String,
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) table: Arc<dyn TableProvider>,
}

/// One level of names, and what lies over it.
pub(crate) struct Overlay<P: ?Sized> {
    inner: Arc<P>,
    laid: Laid,
}

impl<P: ?Sized> Overlay<P> {
    pub(crate) fn new(inner: Arc<P>, laid: Laid) -> Self {
        Self { inner, laid }
    }
}

impl<P: fmt::Debug + ?Sized> fmt::Debug for Overlay<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Overlay").field(&self.inner).finish()
    }
}

impl CatalogProviderList for Overlay<dyn CatalogProviderList> {
    fn register_catalog(&self, name: String, catalog: Arc<dyn CatalogProvider>) -> Option<Arc<dyn CatalogProvider>> {
        self.inner.register_catalog(name, catalog)
    }

    fn catalog_names(&self) -> Vec<String> {
        self.inner.catalog_names()
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        let inner = self.inner.catalog(name)?;
        Some(if name == self.laid.catalog { Arc::new(Overlay::new(inner, self.laid.clone())) } else { inner })
    }
}

impl CatalogProvider for Overlay<dyn CatalogProvider> {
    fn schema_names(&self) -> Vec<String> {
        self.inner.schema_names()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let inner = self.inner.schema(name)?;
        Some(if name == self.laid.schema { Arc::new(Overlay::new(inner, self.laid.clone())) } else { inner })
    }
}

#[async_trait]
impl SchemaProvider for Overlay<dyn SchemaProvider> {
    fn table_names(&self) -> Vec<String> {
        self.inner.table_names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if name == self.laid.name { Ok(Some(Arc::clone(&self.laid.table))) } else { self.inner.table(name).await }
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        if name == self.laid.name { Ok(Some(self.laid.table.table_type())) } else { self.inner.table_type(name).await }
    }

    fn table_exist(&self, name: &str) -> bool {
        name == self.laid.name || self.inner.table_exist(name)
    }
}
