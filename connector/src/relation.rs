//! A table as it is registered: which account, which table, which event, which columns.
//!
//! In: what the catalogue resolved. Out: what the rooms that read and write stand on; neither knows the catalogue.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use crate::account::Account;
use crate::project_schema::TypedColumn;
use crate::table::Table;

/// One table of an account.
#[derive(Debug, Clone)]
pub(crate) struct Relation {
    pub(crate) account: Account,
    pub(crate) table: &'static Table,
    /// The event that every row is, in `clevertap_events."Name"`.
    pub(crate) event: Option<String>,
    /// The properties that are columns, behind the fixed ones.
    pub(crate) typed: Arc<[TypedColumn]>,
    pub(crate) schema: SchemaRef,
}

impl Relation {
    /// The table with its fixed columns.
    pub(crate) fn new(account: &Account, table: &'static Table, event: Option<&str>) -> Self {
        let schema = table.schema(account.time_zone().map(|zone| zone.name()));
        Self { account: account.clone(), table, event: event.map(Into::into), typed: Arc::from([]), schema }
    }

    /// `clevertap.profiles`, `clevertap_events."Charged"`.
    pub(crate) fn qualified(&self) -> String {
        self.table.qualified(self.event.as_deref())
    }
}
