//! The schemas that an account is registered as: its tables, and its events.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::error::Result;
use datafusion::logical_expr::TableType;

use super::provider::{ClevertapTable, ColumnMatching};
use super::system_tables::SYSTEM_TABLES;
use crate::account::Account;
use crate::read::schema_discovery;
use crate::relation::SchemaName;
use crate::tables::{self, TABLES};

/// The schema `clevertap`: the tables of CleverTap and the system tables.
#[derive(Debug)]
pub(crate) struct FixedTables {
    pub(crate) account: Account,
    pub(crate) schema_name: SchemaName,
}

#[async_trait]
impl SchemaProvider for FixedTables {
    fn table_names(&self) -> Vec<String> {
        TABLES.iter().map(|table| table.name).chain(SYSTEM_TABLES.iter().map(|table| table.name)).map(Into::into).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if let Some(table) = tables::find(name) {
            return Ok(Some(Arc::new(ClevertapTable::new(&self.account, &self.schema_name, table, None))));
        }
        SYSTEM_TABLES.iter().find(|table| table.name == name).map(|table| table.provider(&self.account, &self.schema_name)).transpose()
    }

    fn table_exist(&self, name: &str) -> bool {
        tables::find(name).is_some() || SYSTEM_TABLES.iter().any(|table| table.name == name)
    }
}

/// The schema `clevertap_events`: any name is an event that can be written.
#[derive(Debug)]
pub(crate) struct EventTables {
    pub(crate) account: Account,
    pub(crate) schema_name: SchemaName,
    /// The names that this session has used: listing all would cost a request.
    used: Mutex<BTreeSet<String>>,
}

impl EventTables {
    pub(crate) fn new(account: Account, schema_name: SchemaName) -> Self {
        Self { account, schema_name, used: Mutex::default() }
    }
}

#[async_trait]
impl SchemaProvider for EventTables {
    fn table_names(&self) -> Vec<String> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if schema_discovery::is_to_write() {
            return Ok(Some(Arc::new(ClevertapTable::new(&self.account, &self.schema_name, tables::events(), Some(name)))));
        }
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
        Ok(Some(Arc::new(ClevertapTable::discovered(&self.account, &self.schema_name, name).await)))
    }

    async fn table_type(&self, _name: &str) -> Result<Option<TableType>> {
        Ok(Some(TableType::Base))
    }

    fn table_exist(&self, _name: &str) -> bool {
        true
    }
}

/// The table of this name to write to: nothing is asked about an event for that. A session that reads files by path has wrapped the schema.
pub(crate) async fn to_write(schema: &dyn SchemaProvider, name: &str) -> Result<Option<ClevertapTable>> {
    let provider = schema_discovery::to_write(schema.table(name)).await?;
    Ok(provider.and_then(|provider| {
        provider.downcast_ref::<ClevertapTable>().filter(|table| table.matching == ColumnMatching::ByPosition).cloned()
    }))
}
