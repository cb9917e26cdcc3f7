//! A database that a session may query and write: [`Database`].

use std::fmt;
use std::sync::Arc;

use datafusion::catalog::{CatalogProvider, TableProvider};
use datafusion::common::TableReference;
use datafusion::prelude::SessionContext;
use object_store::ObjectStore;

use crate::catalog::Catalog;
use crate::check::{Finding, of_table};
use crate::dml::install;
use crate::driver::Driver;
use crate::error::{Error, Result, shown};
use crate::query::{DATABASE_QUERY, QueryFunction};
use crate::reached::Reached;
use crate::registered::{Detached, Registered};
use crate::settings::{Access, DatabaseSettings, Kind};

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
        Arc::new(Catalog { reached: Arc::clone(&self.0), detached: Arc::<Detached>::default() })
    }

    /// Registers the catalogue under the name of the settings, with the rule and the options of writes: unlisted columns of an INSERT take the
    /// database's own defaults, and values reach it in their own types, so that one that does not fit is told by row. The table function
    /// `database_query('shop', 'SELECT …')` takes what only the database can say, in its own SQL.
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
        let registered = Registered::of(&ctx.copied_config()).unwrap_or_else(|| Self::prepare(ctx));
        let detached = registered.add(&self.0);
        ctx.register_catalog(&self.0.settings.name, Arc::new(Catalog { reached: Arc::clone(&self.0), detached }));
    }

    /// What a session needs for its first database.
    fn prepare(ctx: &SessionContext) -> Arc<Registered> {
        let registered = Arc::<Registered>::default();
        ctx.register_udtf(DATABASE_QUERY, Arc::new(QueryFunction(Arc::clone(&registered))));
        ctx.state_ref().write().config_mut().set_extension(Arc::clone(&registered));
        install(ctx);
        registered
    }

    /// The database that a session has under this name; `None` if it has none, or has detached it.
    #[must_use]
    pub fn attached(ctx: &SessionContext, name: &str) -> Option<Self> {
        Registered::of(&ctx.copied_config())?.get(name).map(Self)
    }

    /// Takes the database of this name out of a session. Statements that were planned before go on; new ones find no table of it.
    ///
    /// ```
    /// # use clevertap_databases::{Database, DatabaseSettings};
    /// # use datafusion::prelude::SessionContext;
    /// # let ctx = SessionContext::new();
    /// Database::open(DatabaseSettings::new("shop", "sqlite:shop.db")?)?.register(&ctx);
    /// assert!(Database::detach(&ctx, "shop").is_some() && Database::attached(&ctx, "shop").is_none());
    /// # Ok::<(), clevertap_databases::Error>(())
    /// ```
    pub fn detach(ctx: &SessionContext, name: &str) -> Option<Self> {
        Registered::of(&ctx.copied_config())?.remove(name).map(Self)
    }

    /// Tries the database, and with `table` (`public.orders`, in SQL's spelling) what a statement meets that reads or writes it: whether it is
    /// reached, by which login, how private, its version, what the user may do there, the clock, staging tables that are left. The order is
    /// that of a person who looks for a fault; behind a refused connection nothing else is looked at. Nothing is changed.
    ///
    /// # Errors
    /// [`Error::Statement`] if `table` is no name of a table with its schema.
    pub async fn check(&self, table: Option<&str>) -> Result<Vec<Finding>> {
        let (settings, driver) = (&self.0.settings, &self.0.driver);
        let table = table.map(|table| self.schema_and_table(table)).transpose()?;
        let access = settings.access;
        let mut findings = match driver.check(access).await {
            Ok(findings) => findings,
            Err(error) => return Ok(Finding::unreached(&settings.address.place(), &error)),
        };
        let may = match (access, settings.create) {
            (Access::Read, _) => "read: INSERT is refused; access = \"write\" permits it",
            (Access::Write, false) => "read and write; tables that are missing are not made",
            (Access::Write, true) => "read and write; tables that are missing are made",
        };
        findings.push(Finding::good("access", may));
        if let Some((schema, table)) = table {
            findings.extend(self.check_table(&schema, &table).await);
        }
        Ok(findings)
    }

    async fn check_table(&self, schema: &str, table: &str) -> Vec<Finding> {
        let (settings, name) = (&self.0.settings, shown(&format!("{}.{schema}.{table}", self.0.settings.name)));
        let relation = match self.0.described(schema, table).await {
            Ok(Some(relation)) => relation,
            Ok(None) if settings.create && settings.access == Access::Write => {
                return vec![Finding::open("table", format!("{name} is not there; an INSERT makes it"))];
            }
            Ok(None) => return vec![Finding::refused("table", format!("{name} is not there, or the user may not see it"))],
            Err(error) => return vec![Finding::refused("table", error.to_string())],
        };
        let mut findings = of_table(&relation, settings.access);
        match self.0.driver.rights(&relation).await {
            Ok(Some(rights)) => findings.push(rights.finding(settings.access)),
            Ok(None) => {}
            Err(error) => findings.push(Finding::refused("rights", error.to_string())),
        }
        findings
    }

    fn schema_and_table(&self, text: &str) -> Result<(String, String)> {
        match TableReference::parse_str(text) {
            TableReference::Partial { schema, table } => Ok((schema.to_string(), table.to_string())),
            TableReference::Full { catalog, schema, table } if *catalog == *self.0.settings.name => {
                Ok((schema.to_string(), table.to_string()))
            }
            _ => Err(Error::Statement(format!("\"{}\" is no table with its schema; for example public.orders", shown(text)))),
        }
    }

    /// A table, for who plans a write without SQL: with `create`, one that is not there yet too.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Unauthorized`] or [`Error::Refused`] if the database cannot be asked; [`Error::Statement`] if there is no such
    /// table.
    pub async fn table(&self, schema: &str, table: &str) -> Result<Arc<dyn TableProvider>> {
        self.0.table(schema, table).await?.ok_or_else(|| {
            let name = shown(&format!("{}.{schema}.{table}", self.0.settings.name));
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
        #[cfg(feature = "adbc")]
        Kind::Adbc => Ok(Arc::new(crate::adbc::Adbc::new(settings)?)),
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
