//! Tables that no catalogue has: files by their path, and the views of the configuration, opened when a statement names them.
//!
//! In: the session's catalogues, a factory of tables over files, the views. Out: the same catalogues with both. What lists tables asks for
//! none of them: DataFusion's `DynamicFileCatalog` would open each, and a bucket that is not there would end SHOW TABLES.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use datafusion::{
    catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider, UrlTableFactory},
    common::{DataFusionError, Result},
    datasource::{TableType, ViewTable, provider_as_source},
    logical_expr::LogicalPlanBuilder,
};

use crate::failure::sentence;

/// Views by name, each with the path or URL of its files.
pub(crate) type FileViews = BTreeMap<String, String>;

/// What every level needs.
struct Shared {
    factory: Arc<dyn UrlTableFactory>,
    /// Those that no statement has dropped.
    views: Mutex<FileViews>,
    /// The schema that the views are in: the one whose name statements leave out.
    schema: String,
}

impl Shared {
    fn views(&self) -> MutexGuard<'_, FileViews> {
        self.views.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn open(&self, path: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        self.factory.try_new(path).await
    }

    /// The view `name`: as `CREATE VIEW name AS SELECT * FROM 'path'` would make it.
    async fn view(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let Some(path) = self.views().get(name).cloned() else { return Ok(None) };
        let refused = |why: String| DataFusionError::Plan(format!("\"{name}\" of [files]: {why}"));
        // A folder is known by its slash.
        let folder = if path.ends_with('/') || !std::path::Path::new(&path).is_dir() { "" } else { "/" };
        let path = format!("{path}{folder}");
        let Some(files) = self.open(&path).await.map_err(|error| refused(sentence(&error)))? else {
            return Err(refused(format!("'{path}' names neither files nor a folder")));
        };
        let plan = LogicalPlanBuilder::scan(name, provider_as_source(files), None)?.build()?;
        Ok(Some(Arc::new(ViewTable::new(plan, Some(format!("SELECT * FROM '{}'", path.replace('\'', "''")))))))
    }
}

/// The session's catalogues, and tables over files.
#[derive(Clone)]
pub(super) struct FileCatalogs {
    inner: Arc<dyn CatalogProviderList>,
    shared: Arc<Shared>,
}

impl FileCatalogs {
    pub(super) fn new(inner: Arc<dyn CatalogProviderList>, factory: Arc<dyn UrlTableFactory>, views: FileViews, schema: String) -> Self {
        Self { inner, shared: Arc::new(Shared { factory, views: Mutex::new(views), schema }) }
    }
}

impl fmt::Debug for FileCatalogs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FileCatalogs").field(&self.inner).finish()
    }
}

impl CatalogProviderList for FileCatalogs {
    fn register_catalog(&self, name: String, catalog: Arc<dyn CatalogProvider>) -> Option<Arc<dyn CatalogProvider>> {
        self.inner.register_catalog(name, catalog)
    }

    fn catalog_names(&self) -> Vec<String> {
        self.inner.catalog_names()
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        let inner = self.inner.catalog(name)?;
        Some(Arc::new(FileCatalog { inner, shared: Arc::clone(&self.shared) }))
    }
}

/// One catalogue.
struct FileCatalog {
    inner: Arc<dyn CatalogProvider>,
    shared: Arc<Shared>,
}

impl fmt::Debug for FileCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FileCatalog").field(&self.inner).finish()
    }
}

impl CatalogProvider for FileCatalog {
    fn schema_names(&self) -> Vec<String> {
        self.inner.schema_names()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let inner = self.inner.schema(name)?;
        let has_views = name == self.shared.schema;
        Some(Arc::new(FileSchema { inner, has_views, shared: Arc::clone(&self.shared) }))
    }

    fn register_schema(&self, name: &str, schema: Arc<dyn SchemaProvider>) -> Result<Option<Arc<dyn SchemaProvider>>> {
        self.inner.register_schema(name, schema)
    }

    fn deregister_schema(&self, name: &str, cascade: bool) -> Result<Option<Arc<dyn SchemaProvider>>> {
        self.inner.deregister_schema(name, cascade)
    }
}

/// One schema.
struct FileSchema {
    inner: Arc<dyn SchemaProvider>,
    has_views: bool,
    shared: Arc<Shared>,
}

impl fmt::Debug for FileSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FileSchema").field(&self.inner).finish()
    }
}

impl FileSchema {
    /// Whether `name` is a view of the configuration, and no table of the session has taken its place.
    fn is_view(&self, name: &str) -> bool {
        self.has_views && self.shared.views().contains_key(name) && !self.inner.table_exist(name)
    }
}

#[async_trait]
impl SchemaProvider for FileSchema {
    fn owner_name(&self) -> Option<&str> {
        self.inner.owner_name()
    }

    fn table_names(&self) -> Vec<String> {
        let mut names = self.inner.table_names();
        if self.has_views {
            names.extend(self.shared.views().keys().filter(|name| !self.inner.table_exist(name)).cloned());
        }
        names
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        match self.inner.table(name).await? {
            Some(table) => Ok(Some(table)),
            None if self.is_view(name) => self.shared.view(name).await,
            None => self.shared.open(name).await,
        }
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        if self.is_view(name) { Ok(Some(TableType::View)) } else { self.inner.table_type(name).await }
    }

    fn register_table(&self, name: String, table: Arc<dyn TableProvider>) -> Result<Option<Arc<dyn TableProvider>>> {
        self.inner.register_table(name, table)
    }

    fn deregister_table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if self.is_view(name) {
            // For this session.
            self.shared.views().remove(name);
            return Ok(None);
        }
        self.inner.deregister_table(name)
    }

    fn table_exist(&self, name: &str) -> bool {
        self.inner.table_exist(name)
    }
}
