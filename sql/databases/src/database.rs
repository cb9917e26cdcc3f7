//! A database that a session may query and write: [`Database`].

use std::fmt;
use std::sync::Arc;

use datafusion::catalog::{CatalogProvider, TableProvider};
use datafusion::prelude::SessionContext;
use object_store::ObjectStore;

use crate::catalog::{Catalog, Reached};
use crate::dml::WriteOwnTypes;
use crate::driver::Driver;
use crate::error::{Error, Result};
use crate::options::WriteOptions;
use crate::settings::{DatabaseSettings, Kind};

/// A database, not connected to until a statement needs it.
#[derive(Clone)]
pub struct Database(Arc<Reached>);

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("settings", &self.0.settings).finish_non_exhaustive()
    }
}

impl Database {
    /// The database of these settings. Connects to nothing.
    ///
    /// # Errors
    /// [`Error::Setting`] if this build has no such database, or a file of certificates cannot be read.
    pub fn open(settings: DatabaseSettings) -> Result<Self> {
        let driver = driver(&settings, None)?;
        Ok(Self(Arc::new(Reached { settings, driver })))
    }

    /// The same with a store of the bucket that [`DatabaseSettings::staging`] names, rooted at the bucket: Redshift loads rows from there. Without
    /// one they go to it as INSERTs.
    ///
    /// # Errors
    /// As [`Database::open`], and [`Error::Setting`] if the staging is no folder of a bucket.
    pub fn open_with_store(settings: DatabaseSettings, store: Arc<dyn ObjectStore>) -> Result<Self> {
        let driver = driver(&settings, Some(store))?;
        Ok(Self(Arc::new(Reached { settings, driver })))
    }

    /// The catalogue, to be registered under a name: `ctx.register_catalog(name, database.catalog())`. INSERTs of a session that has no more than
    /// the catalogue give every column a value, NULL where the statement names none; [`Database::register`] leaves those to the database.
    #[must_use]
    pub fn catalog(&self) -> Arc<dyn CatalogProvider> {
        Arc::new(Catalog(Arc::clone(&self.0)))
    }

    /// Registers the catalogue under the name of the settings, with the rule and the options of writes: unlisted columns of an INSERT take the
    /// database's own defaults, and values reach it in their own types, so that one that does not fit is told by row.
    ///
    /// ```
    /// # use clevertap_databases::{Database, DatabaseSettings};
    /// # use datafusion::prelude::SessionContext;
    /// let ctx = SessionContext::new();
    /// Database::open(DatabaseSettings::new("shop", "postgres://reader@db.acme.example/shop")?)?.register(&ctx);
    /// assert!(ctx.catalog("shop").is_some());
    /// # Ok::<(), clevertap_databases::Error>(())
    /// ```
    pub fn register(&self, ctx: &SessionContext) {
        ctx.register_catalog(&self.0.settings.name, self.catalog());
        let state = ctx.state_ref();
        let is_registered = {
            let mut state = state.write();
            let extensions = &mut state.config_mut().options_mut().extensions;
            let is_registered = extensions.get::<WriteOptions>().is_some();
            if !is_registered {
                extensions.insert(WriteOptions::default());
            }
            is_registered
        };
        if !is_registered {
            ctx.add_analyzer_rule(Arc::new(WriteOwnTypes));
        }
    }

    /// A table, for who plans a write without SQL: with `create`, one that is not there yet too.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Unauthorized`] or [`Error::Refused`] if the database cannot be asked; [`Error::Statement`] if there is no such
    /// table.
    pub async fn table(&self, schema: &str, table: &str) -> Result<Arc<dyn TableProvider>> {
        self.0.table(schema, table).await?.ok_or_else(|| {
            let name = crate::error::shown(&format!("{}.{schema}.{table}", self.0.settings.name));
            Error::Statement(format!("{name} is not there; create = true lets a write make it"))
        })
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &DatabaseSettings {
        &self.0.settings
    }
}

#[cfg_attr(not(feature = "postgres"), expect(unused_variables, clippy::needless_pass_by_value, reason = "Redshift keeps it"))]
fn driver(settings: &DatabaseSettings, store: Option<Arc<dyn ObjectStore>>) -> Result<Arc<dyn Driver>> {
    match settings.kind() {
        #[cfg(feature = "postgres")]
        Kind::Postgres => Ok(Arc::new(crate::postgres::Postgres::new(settings)?)),
        #[cfg(feature = "postgres")]
        Kind::Redshift => Ok(Arc::new(crate::redshift::Redshift::new(settings, store)?)),
        #[cfg(feature = "mysql")]
        Kind::Mysql => Ok(Arc::new(crate::mysql::Mysql::new(settings)?)),
        #[cfg(feature = "sqlite")]
        Kind::Sqlite => Ok(Arc::new(crate::sqlite::Sqlite::new(settings))),
        #[cfg(feature = "bigquery")]
        Kind::Bigquery => Ok(Arc::new(crate::bigquery::Bigquery::new(settings)?)),
        #[expect(clippy::allow_attributes, reason = "of a build with all features nothing is left")]
        #[allow(unreachable_patterns, reason = "of a build with all features nothing is left")]
        kind => Err(Error::Setting(format!(
            "database \"{}\": this build has no {}; build it with --features adbc,bigquery,postgres,mysql,sqlite",
            settings.name,
            kind.product()
        ))),
    }
}
