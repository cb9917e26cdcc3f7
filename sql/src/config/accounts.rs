//! The accounts of a session, opened.
//!
//! In: accounts as they are described, a look-up of variables. Out: those that are open, by their names; those that are not, with why; and
//! which one is used by default. Opening makes no request. An account that the file describes and that lacks its passcode stops nothing
//! but what uses it: the file is there for queries of files, too.

use chrono_tz::Tz;

use super::account::{Described, DescribedAccounts, NAME};
use crate::failure::{Failure, Result};
use datafusion_clevertap::{Account, AccountSettings, Secret};

/// An account that is open.
#[derive(Debug, Clone)]
pub(crate) struct OpenAccount {
    /// The schema of its tables.
    pub(crate) name: String,
    /// Its id as it was typed.
    pub(crate) id: String,
    pub(crate) account: Account,
}

/// An account that is not open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClosedAccount {
    pub(crate) name: String,
    /// A sentence.
    pub(crate) why: String,
    has_passcode: bool,
}

/// The accounts of a session.
#[derive(Debug, Clone, Default)]
pub(crate) struct Accounts {
    pub(crate) open: Vec<OpenAccount>,
    pub(crate) closed: Vec<ClosedAccount>,
    /// The name of the one that is used by default.
    pub(crate) default: Option<String>,
    /// The session's: that of the account that is used by default, open or not, else the one that all have.
    pub(crate) time_zone: Option<Tz>,
}

impl Accounts {
    /// Opens what is described.
    ///
    /// # Errors
    /// [`Failure::Usage`] for an account of flags and variables that cannot be opened.
    pub(super) fn open(described: &DescribedAccounts, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let mut accounts = Self {
            default: described.default.as_ref().map(|name| name.value.clone()),
            time_zone: described.time_zone().map(|zone| zone.value),
            ..Self::default()
        };
        for one in &described.accounts {
            let passcode = one.passcode.as_ref().map_err(Clone::clone).and_then(|place| place.value.read(variable));
            let has_passcode = passcode.is_ok();
            match (passcode.and_then(|passcode| one.open(passcode)), &one.at) {
                (Ok(opened), _) => accounts.open.push(opened),
                (Err(why), None) => return Err(Failure::Usage(why)),
                (Err(why), Some(at)) => {
                    let (name, why) = (one.name.clone(), format!("account {} ({at}) is not open: {why}", one.name));
                    accounts.closed.push(ClosedAccount { name, why, has_passcode });
                }
            }
        }
        Ok(accounts)
    }

    /// The account that is used by default; `None` where there is none, or nobody says which.
    pub(crate) fn by_default(&self) -> Option<&OpenAccount> {
        self.open.iter().find(|account| Some(&account.name) == self.default.as_ref())
    }

    /// The account of a command, which cannot do without.
    ///
    /// # Errors
    /// [`Failure::Usage`] says how to name one.
    pub(crate) fn into_default(mut self) -> Result<OpenAccount> {
        let Some(name) = self.default else {
            let open = self.open.iter().map(|one| one.name.as_str());
            let names: Vec<&str> = open.chain(self.closed.iter().map(|one| one.name.as_str())).collect();
            return Err(Failure::Usage(match names.is_empty() {
                true => format!("this command needs an account:\n{}", how_to_set_an_account()),
                false => {
                    format!("this command is about one account, and there are several: {}; --account NAME says which", names.join(", "))
                }
            }));
        };
        match self.open.iter().position(|account| account.name == name) {
            Some(at) => Ok(self.open.swap_remove(at)),
            None => Err(Failure::Usage(self.closed.into_iter().find(|one| one.name == name).map_or(name, |one| one.why))),
        }
    }

    /// Whether the passcode of this account is where it is said to be.
    pub(crate) fn has_passcode(&self, name: &str) -> bool {
        self.open.iter().any(|one| one.name == name) || self.closed.iter().any(|one| one.name == name && one.has_passcode)
    }
}

/// One account, of flags and variables alone.
impl From<Account> for OpenAccount {
    fn from(account: Account) -> Self {
        Self { name: NAME.to_owned(), id: account.id().to_owned(), account }
    }
}

impl From<OpenAccount> for Accounts {
    fn from(account: OpenAccount) -> Self {
        Self { default: Some(account.name.clone()), time_zone: account.account.time_zone(), open: vec![account], closed: Vec::new() }
    }
}

impl Described {
    /// Opens it.
    ///
    /// # Errors
    /// Why it cannot be opened, as a sentence.
    pub(crate) fn open(&self, passcode: Secret) -> Result<OpenAccount, String> {
        if self.region.is_none() && self.endpoint.is_none() {
            return Err("it has no region; region = \"in1\" in the file gives it one, and so does --region".to_owned());
        }
        let mut settings = AccountSettings::new().with_access(self.access.value);
        settings.endpoint = self.endpoint.as_ref().map(|endpoint| endpoint.value.clone());
        settings.time_zone = self.time_zone.as_ref().map(|zone| zone.value);
        let region = self.region.as_ref().map(|region| region.value);
        let account = Account::open(&self.id.value, passcode, region, settings).map_err(|error| error.to_string())?;
        Ok(OpenAccount { name: self.name.clone(), id: self.id.value.clone(), account })
    }
}

/// The lines to type that set an account; for hints.
pub(crate) fn how_to_set_an_account() -> String {
    use super::account::{ACCOUNT_ID, PASSCODE, REGION, TIME_ZONE};
    format!(
        "export {ACCOUNT_ID}=… {REGION}=… {TIME_ZONE}=…   (id and region: dashboard, Settings > Project; region: eu1, in1, sg1, us1, aps3, mec1)\n\
         read -rs {PASSCODE} && export {PASSCODE}   (so that it is in no history)\n\
         or clevertap-sql init, which asks for them and writes a file"
    )
}
