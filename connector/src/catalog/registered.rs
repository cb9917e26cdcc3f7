//! The accounts that are registered in a session: those whose schemas are in its default catalogue.
//!
//! In: a session. Out: accounts by name. A catalogue belongs to its contexts, and clones of a state share it unless they are given
//! another one: so the account of a name is the same however a statement reaches it, and each context has its own.

use std::sync::Arc;

use datafusion::catalog::{CatalogProvider, Session};
use datafusion::execution::context::SessionState;
use futures::FutureExt;

use super::provider::ClevertapTable;
use crate::account::Account;
use crate::relation::{Relation, SchemaName};

/// A table that every account has, and whose name hardly another schema knows.
const ANY_TABLE: &str = "phone_disassociations";

/// The default catalogue of a session.
#[derive(Debug)]
pub(crate) struct Registered(Arc<dyn CatalogProvider>);

impl Registered {
    /// `None` where the session is not DataFusion's own, or has no default catalogue.
    pub(crate) fn in_session(session: &dyn Session) -> Option<Self> {
        Self::in_state(session.as_any().downcast_ref::<SessionState>()?)
    }

    /// `None` where the state has no default catalogue.
    pub(crate) fn in_state(state: &SessionState) -> Option<Self> {
        state.catalog_list().catalog(&state.config_options().catalog.default_catalog).map(Self)
    }

    /// The account of this name.
    pub(crate) fn find(&self, name: &str) -> Option<(Account, SchemaName)> {
        // A schema of events has a table of any name, and would ask CleverTap for it.
        let schema = self.0.schema(name).filter(|schema| schema.table_exist(ANY_TABLE) && !schema.table_exist(""))?;
        // A session that reads files by path has wrapped its schemas, but not their tables. Ours are there at once; a schema that has to
        // wait for one is not ours.
        let table = schema.table(ANY_TABLE).now_or_never()?.ok()??;
        let Relation { account, schema_name, .. } = &table.downcast_ref::<ClevertapTable>()?.relation;
        Some((account.clone(), schema_name.clone()))
    }

    /// The names of all accounts, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.0.schema_names().into_iter().filter(|name| self.find(name).is_some()).collect();
        names.sort();
        names
    }

    /// The catalogue.
    pub(crate) fn catalog(&self) -> &Arc<dyn CatalogProvider> {
        &self.0
    }
}
