//! The configuration: flags, the environment and `clevertap.toml`, in this order key by key.
//!
//! In: flags, a look-up of variables, the working folder. Out: [`Config`]: the accounts, the databases, the views of `[files]`, the `[options]`, the
//! `[syncs]`, the place of `state`, each with where it came from; or every fault of the file at once, with line and column.
//!
//! ```text
//! found      --config, else ./clevertap.toml, else ~/.config/clevertap-sql/clevertap.toml: one of them
//!   └─▶ file       one struct a section, read by `section` (TOML with places), `reader`, `options`, `passcode`, `syncs`, `value`
//!         ├─▶ databases  opened, and not connected to
//!         └─▶ account    what flags, variables and the file say of each account, and which one is used by default
//!               └─▶ accounts   opened, or not, and why
//! ```

mod account;
mod accounts;
mod databases;
mod file;
mod found;
mod options;
mod passcode;
mod reader;
mod section;
mod small_file;
#[cfg(feature = "syncs")]
mod syncs;
#[cfg(test)]
mod tests;
mod value;

use std::path::Path;

#[cfg(feature = "syncs")]
pub(crate) use self::syncs::ConfiguredSync;
pub(crate) use self::{
    account::{ACCOUNT_ID, AccountFlags, Described, DescribedAccounts, ENDPOINT, NAME, PASSCODE, REGION, TIME_ZONE},
    accounts::{Accounts, OpenAccount, how_to_set_an_account},
    databases::ConfiguredDatabase,
    file::{NamedPlace, VARIABLES},
    found::{FILE_NAME, FoundFile, Origin, shown, users_file, users_folder},
    options::OptionValue,
    passcode::PasscodePlace,
    value::{Source, Sourced, parse_name, parse_region, parse_time_zone, parse_variable},
};
use self::{file::FileConfig, found::users_state};
use crate::failure::Result;

/// What is in force.
#[derive(Debug, Default)]
pub(crate) struct Config {
    /// The file; `None` where there is none.
    pub(crate) file: Option<FoundFile>,
    pub(crate) described: DescribedAccounts,
    pub(crate) accounts: Accounts,
    pub(crate) databases: Vec<ConfiguredDatabase>,
    pub(crate) files: Vec<NamedPlace>,
    pub(crate) options: Vec<OptionValue>,
    /// Whether `--read-only` was given: no database is written either.
    pub(crate) read_only: bool,
    /// Where what is to be remembered between runs is kept; `None` where no home is known.
    pub(crate) state: Option<Sourced<String>>,
    #[cfg(feature = "syncs")]
    pub(crate) syncs: Vec<ConfiguredSync>,
}

impl Config {
    /// Finds and reads the file, and opens the accounts.
    ///
    /// # Errors
    /// [`Failure::Usage`](crate::failure::Failure::Usage): a file that is refused, its faults, flags that do not fit each other or the file.
    pub(crate) fn load(
        flag: Option<&Path>,
        working_folder: &Path,
        account: &AccountFlags,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        let variable = |name: &str| set(variable(name));
        Self::of_file(FoundFile::find(flag, working_folder, &variable)?, account, &variable)
    }

    /// As [`Config::load`], with this file.
    ///
    /// # Errors
    /// The same.
    pub(crate) fn of_file(found: Option<FoundFile>, account: &AccountFlags, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let variable = |name: &str| set(variable(name));
        let file = found.as_ref().map(FileConfig::read).transpose()?.unwrap_or_default();
        let described = account.describe(&file, &variable)?;
        let accounts = Accounts::open(&described, &variable)?;
        let default_state = || users_state(&variable).map(|path| Sourced::new(path.display().to_string(), Source::Default));
        let state = file.state.or_else(default_state);
        let databases = file.databases.into_iter().map(|database| database.open(account.read_only, &variable)).collect();
        let (files, options, read_only) = (file.files, file.options, account.read_only);
        #[cfg(feature = "syncs")]
        let syncs = file.syncs;
        Ok(Self {
            file: found,
            described,
            accounts,
            databases,
            files,
            options,
            read_only,
            state,
            #[cfg(feature = "syncs")]
            syncs,
        })
    }

    /// Where the ledger of syncs is, if it was said, or if its default folder is there.
    #[cfg(feature = "syncs")]
    pub(crate) fn ledger(&self) -> Option<String> {
        let state = self.state.as_ref()?;
        let is_there = state.from != Source::Default || Path::new(&state.value).is_dir();
        is_there.then(|| state.value.clone())
    }

    /// What is said once of a file that nobody has named: it lies in the working folder, whoever put it there.
    pub(crate) fn notice(&self) -> Option<String> {
        let file = self.file.as_ref().filter(|file| file.origin == Origin::WorkingFolder)?;
        let account = |account: &Described| {
            let at = account.endpoint.as_ref().map(|endpoint| endpoint.value.clone());
            let place = at.or_else(|| account.region.as_ref().map(|region| region.value.name().to_owned()));
            let place = place.map(|place| format!(" at {place}")).unwrap_or_default();
            format!("{} ({}{place})", account.name, account.id.value)
        };
        let accounts: Vec<String> = self.described.accounts.iter().filter(|account| account.at.is_some()).map(account).collect();
        let accounts = if accounts.is_empty() { "no account".to_owned() } else { accounts.join(", ") };
        Some(format!("{} of this folder is used: {accounts}", file.shown))
    }
}

/// A variable that is empty is none.
fn set(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}
