//! Which accounts there are: what flags, the environment and the file say of each, and which of them is used by default.
//!
//! In: flags, a look-up of variables, the file. Out: [`Described`] accounts, nothing opened yet. A flag wins over its variable, and that over the
//! file, key by key, for one account: the one that the id names, else the one of `--account`, else the only one of the file. Flags and variables
//! with an id that the file does not have are an account of their own, named [`NAME`]. The passcode has no flag, because a process list shows
//! flags, and the one of `CLEVERTAP_PASSCODE` goes to no account but that of `CLEVERTAP_ACCOUNT_ID` where both are set.

use chrono_tz::Tz;

use super::{
    file::{AccountSection, FileConfig},
    passcode::PasscodePlace,
    value::{Source, Sourced, parse_region, parse_time_zone, with_scheme},
};
use crate::{
    failure::{Failure, Result},
    nearest::nearest,
};
use datafusion_clevertap::{Access, Region};

pub(crate) const ACCOUNT_ID: &str = "CLEVERTAP_ACCOUNT_ID";
pub(crate) const PASSCODE: &str = "CLEVERTAP_PASSCODE";
pub(crate) const REGION: &str = "CLEVERTAP_REGION";
pub(crate) const TIME_ZONE: &str = "CLEVERTAP_TIME_ZONE";
pub(crate) const ENDPOINT: &str = "CLEVERTAP_ENDPOINT";

/// The name of an account that no file names: the schema of its tables.
pub(crate) const NAME: &str = "clevertap";

/// Flags that name the account.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Account")]
pub(crate) struct AccountFlags {
    /// Which account of the file is used by default: by check, person, erase and resend, and for the session's time zone
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) account: Option<String>,

    /// The account's id (or CLEVERTAP_ACCOUNT_ID). Its passcode comes from CLEVERTAP_PASSCODE or the file, never from a flag
    #[arg(long, global = true, value_name = "ID")]
    pub(crate) account_id: Option<String>,

    /// Where the account lives, as in its dashboard's address: eu1, in1, sg1, us1, aps3, mec1 (or CLEVERTAP_REGION). There is no default
    #[arg(long, global = true)]
    pub(crate) region: Option<String>,

    /// Another host in place of the region's, such as a proxy or an emulator (or CLEVERTAP_ENDPOINT). It is sent the passcode
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) endpoint: Option<String>,

    /// The project's time zone, such as Asia/Kolkata (or CLEVERTAP_TIME_ZONE); also the session's
    #[arg(long, global = true, value_name = "ZONE")]
    pub(crate) time_zone: Option<String>,

    /// Refuse every statement that would write to CleverTap
    #[arg(long, global = true, conflicts_with = "allow_erase")]
    pub(crate) read_only: bool,

    /// Permit statements that erase (DELETE, demerges), unless the file's `access` says less
    #[arg(long, global = true)]
    pub(crate) allow_erase: bool,
}

/// One account as flags, variables and the file describe it.
#[derive(Debug, Clone)]
pub(crate) struct Described {
    /// The schema of its tables.
    pub(crate) name: String,
    /// Where the file names it; `None` where flags and variables alone do.
    pub(crate) at: Option<Source>,
    pub(crate) id: Sourced<String>,
    pub(crate) region: Option<Sourced<Region>>,
    pub(crate) endpoint: Option<Sourced<String>>,
    pub(crate) time_zone: Option<Sourced<Tz>>,
    /// Where its passcode is, and what says so; or why it has none.
    pub(crate) passcode: Result<Sourced<PasscodePlace>, String>,
    pub(crate) access: Sourced<Access>,
}

/// All accounts, and which one is used by default.
#[derive(Debug, Clone, Default)]
pub(crate) struct DescribedAccounts {
    pub(crate) accounts: Vec<Described>,
    /// Its name, and what chose it. `None` of no account, and of several that nobody chose from.
    pub(crate) default: Option<Sourced<String>>,
}

impl DescribedAccounts {
    /// The time zone of the session, and what says so: that of the account that is used by default, else the one that all have.
    pub(crate) fn time_zone(&self) -> Option<Sourced<Tz>> {
        let zone = |account: &Described| account.time_zone.clone();
        match &self.default {
            Some(name) => self.accounts.iter().find(|account| account.name == name.value).and_then(zone),
            None => {
                let first = self.accounts.first().and_then(zone)?;
                let is_of_all = self.accounts.iter().all(|account| zone(account).is_some_and(|zone| zone.value == first.value));
                is_of_all.then_some(first)
            }
        }
    }
}

/// What the environment says of an account.
#[derive(Debug)]
struct Variables {
    id: Option<String>,
    has_passcode: bool,
    region: Option<String>,
    endpoint: Option<String>,
    time_zone: Option<String>,
}

impl Variables {
    fn read(variable: &dyn Fn(&str) -> Option<String>) -> Self {
        Self {
            id: variable(ACCOUNT_ID),
            has_passcode: variable(PASSCODE).is_some(),
            region: variable(REGION),
            endpoint: variable(ENDPOINT),
            time_zone: variable(TIME_ZONE),
        }
    }

    /// Whether they speak of the account `id`: without an id of their own, they speak of the one that is used by default.
    fn are_of(&self, id: &str) -> bool {
        self.id.as_deref().is_none_or(|own| own == id)
    }

    fn region(&self) -> Option<Sourced<String>> {
        self.region.clone().map(|text| Sourced::new(text, Source::Variable(REGION)))
    }

    fn endpoint(&self) -> Option<Sourced<String>> {
        self.endpoint.clone().map(|text| Sourced::new(text, Source::Variable(ENDPOINT)))
    }

    fn time_zone(&self) -> Option<Sourced<String>> {
        self.time_zone.clone().map(|text| Sourced::new(text, Source::Variable(TIME_ZONE)))
    }
}

/// The account that flags and variables speak of.
enum Meant<'a> {
    /// One of the file.
    OfFile(&'a AccountSection, Source),
    /// None of the file.
    Apart,
    /// Several are in the file, and nothing says which.
    Open,
}

impl AccountFlags {
    /// What there is.
    ///
    /// # Errors
    /// [`Failure::Usage`] for half an account, an unknown region or time zone, a name that the file does not have, and for what speaks of one
    /// account where several are meant; each lists what is right.
    pub(crate) fn describe(&self, file: &FileConfig, variable: &dyn Fn(&str) -> Option<String>) -> Result<DescribedAccounts> {
        let variables = Variables::read(variable);
        let meant = self.meant(file, &variables)?;
        let apart = if matches!(meant, Meant::Apart) { self.describe_apart(&variables)? } else { None };
        let mut accounts = Vec::new();
        for section in &file.accounts {
            // The one that flags and variables describe takes the place of its namesake.
            if apart.as_ref().is_some_and(|apart| apart.name == section.name) {
                continue;
            }
            accounts.push(match &meant {
                Meant::OfFile(meant, _) if meant.name == section.name => self.describe_meant(section, &variables)?,
                _ => self.describe_other(section, &variables),
            });
        }
        let default = match (&meant, &apart) {
            (Meant::OfFile(section, why), _) => Some(Sourced::new(section.name.clone(), why.clone())),
            (_, Some(apart)) => Some(Sourced::new(apart.name.clone(), apart.id.from.clone())),
            _ => None,
        };
        accounts.extend(apart);
        Ok(DescribedAccounts { accounts, default })
    }

    fn flag(&self, value: &Option<String>, name: &'static str) -> Option<Sourced<String>> {
        value.clone().map(|text| Sourced::new(text, Source::Flag(name)))
    }

    fn id(&self, variables: &Variables) -> Option<Sourced<String>> {
        let of_variable = || variables.id.clone().map(|id| Sourced::new(id, Source::Variable(ACCOUNT_ID)));
        self.flag(&self.account_id, "--account-id").or_else(of_variable)
    }

    fn meant<'a>(&self, file: &'a FileConfig, variables: &Variables) -> Result<Meant<'a>> {
        let names = || file.accounts.iter().map(|account| account.name.as_str());
        let list = || names().collect::<Vec<_>>().join(", ");
        let id = self.id(variables);
        if let Some(name) = &self.account {
            let Some(section) = file.account(name) else {
                if name == NAME && id.is_some() {
                    return Ok(Meant::Apart);
                }
                let hint = nearest(name, names()).map(|name| format!(". Did you mean {name}?")).unwrap_or_default();
                let there = if file.accounts.is_empty() {
                    "no file names one (clevertap-sql init writes it)".to_owned()
                } else {
                    format!("there are {}", list())
                };
                return Err(Failure::Usage(format!("--account {name}: there is no account of this name; {there}{hint}")));
            };
            if self.account_id.as_ref().is_some_and(|id| *id != section.id.value) {
                return Err(Failure::Usage(format!(
                    "--account {name} and --account-id are two accounts ({} has another id); give one of them",
                    section.id.from
                )));
            }
            return Ok(Meant::OfFile(section, Source::Flag("--account")));
        }
        if let Some(id) = id {
            let with_id: Vec<&AccountSection> = file.accounts.iter().filter(|account| account.id.value == id.value).collect();
            return match with_id.as_slice() {
                [] => Ok(Meant::Apart),
                [one] => Ok(Meant::OfFile(one, id.from)),
                several => {
                    let list = several.iter().map(|account| account.name.as_str()).collect::<Vec<_>>().join(", ");
                    Err(Failure::Usage(format!(
                        "several accounts of the file have the id of {}: {list}; --account NAME says which is meant",
                        id.from
                    )))
                }
            };
        }
        match file.accounts.as_slice() {
            [] => Ok(Meant::Apart),
            [one] => Ok(Meant::OfFile(one, one.at.clone())),
            _ => {
                let of_one = [
                    (self.region.is_some(), "--region"),
                    (self.endpoint.is_some(), "--endpoint"),
                    (self.time_zone.is_some(), "--time-zone"),
                    (variables.region.is_some(), REGION),
                    (variables.endpoint.is_some(), ENDPOINT),
                    (variables.time_zone.is_some(), TIME_ZONE),
                ];
                match of_one.iter().find(|(is_set, _)| *is_set) {
                    Some((_, name)) => Err(Failure::Usage(format!(
                        "{name} speaks of one account, and the file has several: {}; --account NAME says which is meant",
                        list()
                    ))),
                    None => Ok(Meant::Open),
                }
            }
        }
    }

    /// The account of flags and variables alone, if they name one.
    fn describe_apart(&self, variables: &Variables) -> Result<Option<Described>> {
        let id = self.id(variables);
        let region = self.flag(&self.region, "--region").or_else(|| variables.region());
        let endpoint = self.flag(&self.endpoint, "--endpoint").or_else(|| variables.endpoint());
        let time_zone = self.flag(&self.time_zone, "--time-zone").or_else(|| variables.time_zone());
        if id.is_none() && !variables.has_passcode && self.region.is_none() && self.endpoint.is_none() {
            return Ok(None);
        }
        let mut missing = Vec::new();
        if id.is_none() {
            missing.push(format!("the account's id (--account-id or {ACCOUNT_ID})"));
        }
        if !variables.has_passcode {
            missing.push(format!("its passcode ({PASSCODE}; there is no flag)"));
        }
        if region.is_none() && endpoint.is_none() {
            missing.push(format!("its region (--region or {REGION}: the part before \".dashboard\" in the dashboard's address)"));
        }
        let (Some(id), true) = (id, missing.is_empty()) else {
            return Err(Failure::Usage(format!("an account was named in part; it still needs {}", missing.join(", and "))));
        };
        Ok(Some(Described {
            name: NAME.to_owned(),
            at: None,
            id,
            region: region.map(|region| region.try_map(|text| parse_region(&text))).transpose().map_err(Failure::Usage)?,
            endpoint: endpoint.map(|endpoint| Sourced::new(with_scheme(endpoint.value), endpoint.from)),
            time_zone: time_zone.map(|zone| zone.try_map(|text| parse_time_zone(&text))).transpose().map_err(Failure::Usage)?,
            passcode: Ok(named_by_nobody()),
            access: self.access(),
        }))
    }

    /// The account of the file that flags and variables speak of.
    fn describe_meant(&self, section: &AccountSection, variables: &Variables) -> Result<Described> {
        let are_its = variables.are_of(&section.id.value);
        let of_variable = |value: Option<Sourced<String>>| value.filter(|_| are_its);
        let region = self.flag(&self.region, "--region").or_else(|| of_variable(variables.region()));
        let endpoint = self.flag(&self.endpoint, "--endpoint").or_else(|| of_variable(variables.endpoint()));
        let time_zone = self.flag(&self.time_zone, "--time-zone").or_else(|| of_variable(variables.time_zone()));
        let region = region.map(|region| region.try_map(|text| parse_region(&text))).transpose().map_err(Failure::Usage)?;
        let time_zone = time_zone.map(|zone| zone.try_map(|text| parse_time_zone(&text))).transpose().map_err(Failure::Usage)?;
        let mut described = self.describe_other(section, variables);
        if let Some(access) = section.access.as_ref().filter(|access| self.allow_erase && access.value < Access::Erase) {
            return Err(Failure::Usage(format!(
                "--allow-erase is more than access = \"{}\" permits ({}); change it there",
                access.value, access.from
            )));
        }
        if let Some(id) = self.id(variables).filter(|id| id.value == section.id.value) {
            described.id = id;
            // With the id beside it, the variable is the passcode of this account.
            if variables.has_passcode && are_its {
                described.passcode = Ok(named_by_nobody());
            }
        }
        described.region = region.or(described.region);
        described.endpoint = endpoint.map(|endpoint| Sourced::new(with_scheme(endpoint.value), endpoint.from)).or(described.endpoint);
        described.time_zone = time_zone.or(described.time_zone);
        Ok(described)
    }

    /// An account as the file describes it.
    fn describe_other(&self, section: &AccountSection, variables: &Variables) -> Described {
        let place = section.passcode.clone().unwrap_or_else(named_by_nobody);
        // An id in the environment, or one that was typed, says whose the passcode in CLEVERTAP_PASSCODE is.
        let owner =
            variables.id.as_deref().map(|id| (id, ACCOUNT_ID)).or_else(|| self.account_id.as_deref().map(|id| (id, "--account-id")));
        let is_of_other =
            place.value == PasscodePlace::Variable(PASSCODE.to_owned()) && owner.is_some_and(|(id, _)| id != section.id.value);
        let passcode = match owner {
            Some((_, name)) if is_of_other => Err(format!(
                "{PASSCODE} is the passcode of the account that {name} names, and goes to no other; passcode_env names another variable"
            )),
            _ => Ok(place),
        };
        // What the file says is the most that is permitted; a flag can narrow it.
        let access = section.access.clone().filter(|_| !self.read_only).unwrap_or_else(|| self.access());
        Described {
            name: section.name.clone(),
            at: Some(section.at.clone()),
            id: section.id.clone(),
            region: section.region.clone(),
            endpoint: section.endpoint.clone(),
            time_zone: section.time_zone.clone(),
            passcode,
            access,
        }
    }

    /// What flags permit.
    fn access(&self) -> Sourced<Access> {
        match (self.read_only, self.allow_erase) {
            (true, _) => Sourced::new(Access::Read, Source::Flag("--read-only")),
            (false, true) => Sourced::new(Access::Erase, Source::Flag("--allow-erase")),
            (false, false) => Sourced::new(Access::default(), Source::Default),
        }
    }
}

/// `CLEVERTAP_PASSCODE`, which nobody has to name.
fn named_by_nobody() -> Sourced<PasscodePlace> {
    Sourced::new(PasscodePlace::Variable(PASSCODE.to_owned()), Source::Variable(PASSCODE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, OpenAccount};

    const PASSCODE_VALUE: &str = "TOP-SECRET-1";

    impl AccountFlags {
        /// The account without a file, opened.
        fn open(&self, variable: impl Fn(&str) -> Option<String>) -> Result<Option<OpenAccount>> {
            Ok(Config::of_file(None, self, &variable)?.accounts.by_default().cloned())
        }
    }

    fn environment(pairs: &[(&'static str, &'static str)]) -> impl Fn(&str) -> Option<String> {
        let pairs = pairs.to_vec();
        move |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    }

    const WHOLE: [(&str, &str); 4] = [(ACCOUNT_ID, "W-1"), (PASSCODE, PASSCODE_VALUE), (REGION, "in1"), (TIME_ZONE, "Asia/Kolkata")];

    #[test]
    fn the_environment_names_an_account_and_a_flag_wins_over_it() {
        let opened = AccountFlags::default().open(environment(&WHOLE)).unwrap().unwrap();
        assert_eq!(
            (opened.id.as_str(), opened.account.host(), opened.account.time_zone()),
            ("W-1", "in1.api.clevertap.com", Some(Tz::Asia__Kolkata))
        );
        let flags = AccountFlags { account_id: Some("W-2".into()), region: Some("sg1".into()), ..AccountFlags::default() };
        let opened = flags.open(environment(&WHOLE)).unwrap().unwrap();
        assert_eq!((opened.id.as_str(), opened.account.host()), ("W-2", "sg1.api.clevertap.com"));
    }

    #[test]
    fn nobody_needs_an_account_to_query_files() {
        assert!(AccountFlags::default().open(environment(&[(REGION, "in1"), (PASSCODE, " ")])).unwrap().is_none());
    }

    #[test]
    fn half_an_account_is_refused_with_the_other_half() {
        let error = AccountFlags::default().open(environment(&[(ACCOUNT_ID, "W-1")])).unwrap_err();
        assert!(matches!(&error, Failure::Usage(text) if text.contains(PASSCODE) && text.contains("--region")), "{error}");
    }

    #[test]
    fn there_is_no_default_region_but_an_endpoint_needs_none() {
        let without = [(ACCOUNT_ID, "W-1"), (PASSCODE, PASSCODE_VALUE)];
        assert!(AccountFlags::default().open(environment(&without)).is_err());
        let flags = AccountFlags { endpoint: Some("http://127.0.0.1:8080".into()), ..AccountFlags::default() };
        assert!(flags.open(environment(&without)).unwrap().is_some());
    }

    #[test]
    fn an_unknown_region_lists_the_regions() {
        let flags = AccountFlags { region: Some("eu-west".into()), ..AccountFlags::default() };
        let error = flags.open(environment(&WHOLE)).unwrap_err();
        assert!(matches!(&error, Failure::Usage(text) if text.contains("eu1, in1, sg1, us1, aps3, mec1")), "{error}");
    }

    #[test]
    fn an_unknown_region_names_the_nearest_which_then_works() {
        for (text, meant) in [("in", "in1"), ("IN1", "in1"), ("india", "in1"), ("aps", "aps3"), ("us-east-1", "us1"), ("eu-west", "eu1")] {
            let flags = AccountFlags { region: Some(text.into()), ..AccountFlags::default() };
            let text = flags.open(environment(&WHOLE)).unwrap_err().to_string();
            assert!(text.ends_with(&format!("expected one of eu1, in1, sg1, us1, aps3, mec1. Did you mean {meant}?")), "{text}");
            let flags = AccountFlags { region: Some(meant.into()), ..AccountFlags::default() };
            assert!(flags.open(environment(&WHOLE)).unwrap().is_some());
        }
        let flags = AccountFlags { region: Some("moon".into()), ..AccountFlags::default() };
        assert!(flags.open(environment(&WHOLE)).unwrap_err().to_string().ends_with("mec1"));
    }

    #[test]
    fn an_unknown_time_zone_says_what_one_looks_like_and_names_the_nearest() {
        let text = |zone: &str| {
            let flags = AccountFlags { time_zone: Some(zone.into()), ..AccountFlags::default() };
            flags.open(environment(&WHOLE)).unwrap_err().to_string()
        };
        assert!(text("IST+5").contains("Asia/Kolkata"));
        assert!(text("asia/kolkatta").ends_with("Did you mean Asia/Kolkata?"), "{}", text("asia/kolkatta"));
    }

    #[test]
    fn an_endpoint_without_a_scheme_gets_one() {
        let host = |endpoint: &str| {
            let flags = AccountFlags { endpoint: Some(endpoint.into()), ..AccountFlags::default() };
            flags.open(environment(&WHOLE)).map(|opened| opened.unwrap().account.host().to_owned()).map_err(|failure| failure.to_string())
        };
        for local in ["127.0.0.1:18080", "localhost:18080", "[::1]:18080", "http://127.0.0.1:18080"] {
            assert!(host(local).is_ok_and(|host| host.ends_with(":18080")), "{local}");
        }
        // Over https, which the connector demands of every other host.
        assert_eq!(host("proxy.example.org:8443").unwrap(), "proxy.example.org:8443");
        assert!(host("http://proxy.example.org").unwrap_err().contains("which would show the passcode to the network"));
        assert!(host("127.0.0.1:18080/1/upload").unwrap_err().contains("goes on after the host"));
    }

    #[test]
    fn the_passcode_is_in_no_debug_text() {
        let opened = AccountFlags::default().open(environment(&WHOLE)).unwrap();
        assert!(!format!("{opened:?}").contains(PASSCODE_VALUE));
    }

    #[test]
    fn access_follows_the_two_flags() {
        let flags = |read_only, allow_erase| AccountFlags { read_only, allow_erase, ..AccountFlags::default() }.access().value;
        assert_eq!([flags(false, false), flags(true, false), flags(false, true)], [Access::Write, Access::Read, Access::Erase]);
    }
}
