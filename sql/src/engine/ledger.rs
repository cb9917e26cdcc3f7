//! What syncs remember, in a session: the tables `sync_runs`, `sync_rows` and `dead_letters` beside those of the account that is used by
//! default.
//!
//! In: where the ledger is. Out: tables that are looked for when a statement names them: a bucket that is not there stops nothing else, and no
//! folder is made.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use datafusion::{
    catalog::{MemorySchemaProvider, SchemaProvider, TableProvider},
    common::{DataFusionError, Result as DataFusionResult},
    datasource::TableType,
    execution::{SessionStateBuilder, runtime_env::RuntimeEnv},
    prelude::{SessionConfig, SessionContext},
};
use tokio::sync::OnceCell;

use datafusion_clevertap_sync::ledger::Ledger;

/// Its tables.
const TABLES: [&str; 3] = ["sync_runs", "sync_rows", "dead_letters"];

/// A schema, and the tables of a ledger in it.
struct LedgerSchema {
    inner: Arc<dyn SchemaProvider>,
    place: String,
    runtime: Arc<RuntimeEnv>,
    config: SessionConfig,
    opened: OnceCell<Ledger>,
}

impl fmt::Debug for LedgerSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LedgerSchema").field("inner", &self.inner).finish_non_exhaustive()
    }
}

/// Puts the tables of the ledger at `place` into the schema `name`, which is made if it is not there.
///
/// # Errors
/// DataFusion's.
pub(super) fn register(ctx: &SessionContext, name: &str, place: &str) -> DataFusionResult<()> {
    let config = ctx.copied_config();
    let Some(catalog) = ctx.catalog(&config.options().catalog.default_catalog) else { return Ok(()) };
    let inner = catalog.schema(name).unwrap_or_else(|| Arc::new(MemorySchemaProvider::new()));
    let schema = LedgerSchema { inner, place: place.to_owned(), runtime: ctx.runtime_env(), config, opened: OnceCell::new() };
    catalog.register_schema(name, Arc::new(schema)).map(drop)
}

impl LedgerSchema {
    async fn ledger(&self) -> DataFusionResult<&Ledger> {
        let open = async {
            let state = SessionStateBuilder::new().with_runtime_env(Arc::clone(&self.runtime)).with_config(self.config.clone()).build();
            Ledger::open(&self.place, &state).await.map_err(|error| DataFusionError::External(Box::new(error)))
        };
        self.opened.get_or_try_init(|| open).await
    }
}

#[async_trait]
impl SchemaProvider for LedgerSchema {
    fn owner_name(&self) -> Option<&str> {
        self.inner.owner_name()
    }

    fn table_names(&self) -> Vec<String> {
        self.inner.table_names().into_iter().chain(TABLES.map(str::to_owned)).collect()
    }

    async fn table(&self, name: &str) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
        if !TABLES.contains(&name) {
            return self.inner.table(name).await;
        }
        Ok(self.ledger().await?.tables().into_iter().find(|(table, _)| *table == name).map(|(_, provider)| provider))
    }

    async fn table_type(&self, name: &str) -> DataFusionResult<Option<TableType>> {
        if TABLES.contains(&name) { Ok(Some(TableType::Base)) } else { self.inner.table_type(name).await }
    }

    fn register_table(&self, name: String, table: Arc<dyn TableProvider>) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
        self.inner.register_table(name, table)
    }

    fn deregister_table(&self, name: &str) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
        self.inner.deregister_table(name)
    }

    fn table_exist(&self, name: &str) -> bool {
        TABLES.contains(&name) || self.inner.table_exist(name)
    }
}
