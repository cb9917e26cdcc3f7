//! A table as it is registered: which account, under which name, which table, which event, which columns.
//!
//! In: what the catalogue resolved. Out: what the rooms that read and write stand on; neither knows the catalogue.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::utils::quote_identifier;

use crate::account::Account;
use crate::project_schema::TypedColumn;
use crate::table::Table;

/// The name under which an account is registered: that of the schema of its tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SchemaName(Arc<str>);

impl SchemaName {
    pub(crate) fn new(name: &str) -> Self {
        Self(Arc::from(name))
    }

    /// The name of the schema of its events.
    pub(crate) fn of_events(&self) -> String {
        format!("{}_events", self.0)
    }

    /// A table of it, as SQL names it: `clevertap.profiles`.
    pub(crate) fn table(&self, table: &str) -> String {
        format!("{}.{table}", quote_identifier(&self.0))
    }

    /// An event of it, as SQL names it: `clevertap_events."Charged"`.
    pub(crate) fn event(&self, event: &str) -> String {
        format!("{}.\"{}\"", quote_identifier(&self.of_events()), event.replace('"', "\"\""))
    }
}

/// One table of an account.
#[derive(Debug, Clone)]
pub(crate) struct Relation {
    pub(crate) account: Account,
    pub(crate) schema_name: SchemaName,
    pub(crate) table: &'static Table,
    /// The event that every row is, in `clevertap_events."Name"`.
    pub(crate) event: Option<String>,
    /// The properties that are columns, behind the fixed ones.
    pub(crate) typed: Arc<[TypedColumn]>,
    pub(crate) schema: SchemaRef,
}

impl Relation {
    /// The table with its fixed columns.
    pub(crate) fn new(account: &Account, schema_name: &SchemaName, table: &'static Table, event: Option<&str>) -> Self {
        let schema = table.schema(account.time_zone().map(|zone| zone.name()));
        let (account, schema_name) = (account.clone(), schema_name.clone());
        Self { account, schema_name, table, event: event.map(Into::into), typed: Arc::from([]), schema }
    }

    /// As it is registered: `clevertap.profiles`, `clevertap_events."Charged"`.
    pub(crate) fn qualified(&self) -> String {
        match &self.event {
            Some(event) => self.schema_name.event(event),
            None => self.schema_name.table(self.table.name),
        }
    }

    /// Another table of the same account, as it is registered.
    pub(crate) fn sibling(&self, table: &str) -> String {
        self.schema_name.table(table)
    }
}
