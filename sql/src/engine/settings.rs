//! What a session is opened with.
//!
//! In: the configuration, or one account. Out: [`SessionSettings`].

use crate::config::{Accounts, Config, ConfiguredDatabase, NamedPlace, OpenAccount, OptionValue};
use datafusion_clevertap::Account;

/// What a session is opened with, besides where failed rows go.
#[derive(Debug, Default)]
pub(crate) struct SessionSettings {
    pub(crate) accounts: Accounts,
    /// Catalogues, connected to when a statement names them.
    pub(crate) databases: Vec<ConfiguredDatabase>,
    /// Views over files, opened when a statement names them.
    pub(crate) files: Vec<NamedPlace>,
    /// What SET sets before the first statement.
    pub(crate) options: Vec<OptionValue>,
    /// Whether ATTACH may not give a right to write.
    pub(crate) read_only: bool,
    /// Where the ledger of syncs is, whose tables the session has.
    #[cfg(feature = "syncs")]
    pub(crate) ledger: Option<String>,
}

impl SessionSettings {
    /// The folder of failed rows that the options name, where rows are written at all.
    pub(crate) fn failed_rows_to(&self) -> Option<String> {
        let option = self.options.iter().find(|option| option.name == "failed_rows_to" && !option.value.value.is_empty());
        option.filter(|_| !self.accounts.open.is_empty()).map(|option| option.value.value.clone())
    }
}

/// One account alone, as commands have it that make their own statements: `[options]` are not for them.
impl From<OpenAccount> for SessionSettings {
    fn from(account: OpenAccount) -> Self {
        Self { accounts: account.into(), ..Self::default() }
    }
}

impl From<Config> for SessionSettings {
    fn from(config: Config) -> Self {
        #[cfg(feature = "syncs")]
        let ledger = config.ledger();
        let Config { accounts, databases, files, options, read_only, .. } = config;
        Self {
            accounts,
            databases,
            files,
            options,
            read_only,
            #[cfg(feature = "syncs")]
            ledger,
        }
    }
}

/// An account that nobody has named, or none.
impl From<Option<Account>> for SessionSettings {
    fn from(account: Option<Account>) -> Self {
        Self { accounts: account.map(|account| OpenAccount::from(account).into()).unwrap_or_default(), ..Self::default() }
    }
}
