//! The accounts of a context, by the names under which they were registered.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use crate::account::Account;

/// Shared by the context and the states that were cloned from it.
#[derive(Debug, Default)]
pub(crate) struct Accounts(RwLock<BTreeMap<String, Account>>);

impl Accounts {
    pub(crate) fn find(&self, name: &str) -> Option<Account> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    pub(crate) fn names(&self) -> String {
        self.0.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect::<Vec<_>>().join(", ")
    }

    pub(crate) fn add(&self, name: &str, account: Account) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), account);
    }
}
