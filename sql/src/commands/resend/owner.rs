//! Whose a failed row is: a folder may have the rows of several accounts, and each is sent to its own alone.

use std::collections::HashMap;

use crate::config::OpenAccount;
use datafusion_clevertap::runs::RunLog;

/// The account that rows are sent to.
#[derive(Debug)]
pub(super) struct Owner<'a> {
    account: &'a OpenAccount,
    /// The ids of the accounts of runs that left a log.
    ids: HashMap<&'a str, &'a str>,
}

impl<'a> Owner<'a> {
    pub(super) fn new(account: &'a OpenAccount, runs: &'a [RunLog]) -> Self {
        Self { account, ids: runs.iter().map(|run| (run.run_uid.as_str(), run.account.as_str())).collect() }
    }

    /// Whether the row is the account's: by the id in the log of its run, else by the name in front of its table.
    pub(super) fn has(&self, run_uid: &str, table_name: &str) -> bool {
        let OpenAccount { name, account, .. } = self.account;
        match self.ids.get(run_uid) {
            Some(id) => *id == account.id(),
            None => {
                let schema = table_name.split('.').next().unwrap_or_default();
                schema == name || schema.strip_suffix("_events") == Some(name)
            }
        }
    }
}
