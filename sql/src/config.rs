//! The account, from flags and the environment.
//!
//! In: flags, a look-up of environment variables. Out: an open [`Account`], or `None` where none is named: files are
//! queried without one. A flag wins over its variable. The passcode has no flag, because a process list shows flags.

use chrono_tz::{TZ_VARIANTS, Tz};
use url::{Host, Url};

use crate::{
    failure::{Failure, Result},
    nearest::nearest,
};
use datafusion_clevertap::{Access, Account, AccountSettings, Region, Secret};

pub(crate) const ACCOUNT_ID: &str = "CLEVERTAP_ACCOUNT_ID";
pub(crate) const PASSCODE: &str = "CLEVERTAP_PASSCODE";
pub(crate) const REGION: &str = "CLEVERTAP_REGION";
pub(crate) const TIME_ZONE: &str = "CLEVERTAP_TIME_ZONE";
pub(crate) const ENDPOINT: &str = "CLEVERTAP_ENDPOINT";

/// Flags that name the account.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Account")]
pub(crate) struct AccountFlags {
    /// The account's id (or CLEVERTAP_ACCOUNT_ID). Its passcode comes from CLEVERTAP_PASSCODE alone
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

    /// Permit statements that erase (DELETE, demerges)
    #[arg(long, global = true)]
    pub(crate) allow_erase: bool,
}

/// The account that flags and environment name, with its id as it was typed.
#[derive(Debug, Clone)]
pub(crate) struct OpenAccount {
    pub(crate) id: String,
    pub(crate) account: Account,
}

impl AccountFlags {
    /// Opens the account that is named, if one is.
    ///
    /// # Errors
    /// [`Failure::Usage`] for half an account, an unknown region or an unknown time zone; each lists what is right.
    pub(crate) fn open(&self, variable: impl Fn(&str) -> Option<String>) -> Result<Option<OpenAccount>> {
        let variable = |name: &str| variable(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let or = |flag: &Option<String>, name: &str| flag.clone().or_else(|| variable(name));
        let id = or(&self.account_id, ACCOUNT_ID);
        let passcode = variable(PASSCODE);
        let region = or(&self.region, REGION);
        let endpoint = or(&self.endpoint, ENDPOINT).map(with_scheme);
        let time_zone = or(&self.time_zone, TIME_ZONE);

        if id.is_none() && passcode.is_none() && self.region.is_none() && self.endpoint.is_none() {
            return Ok(None);
        }
        let mut missing = Vec::new();
        if id.is_none() {
            missing.push(format!("the account's id (--account-id or {ACCOUNT_ID})"));
        }
        if passcode.is_none() {
            missing.push(format!("its passcode ({PASSCODE}; there is no flag)"));
        }
        if region.is_none() && endpoint.is_none() {
            missing.push(format!("its region (--region or {REGION}: the part before \".dashboard\" in the dashboard's address)"));
        }
        let (Some(id), Some(passcode), true) = (id, passcode, missing.is_empty()) else {
            return Err(Failure::Usage(format!("an account was named in part; it still needs {}", missing.join(", and "))));
        };
        let region = region.as_deref().map(parse_region).transpose()?;
        let time_zone = time_zone.as_deref().map(parse_time_zone).transpose()?;
        let mut settings = AccountSettings::new().with_access(self.access());
        (settings.endpoint, settings.time_zone) = (endpoint, time_zone);
        let account = Account::open(&id, Secret::new(passcode), region, settings).map_err(usage)?;
        Ok(Some(OpenAccount { id, account }))
    }

    fn access(&self) -> Access {
        match (self.read_only, self.allow_erase) {
            (true, _) => Access::Read,
            (false, true) => Access::Erase,
            (false, false) => Access::Write,
        }
    }
}

/// The lines to type that set an account; for hints.
pub(crate) fn how_to_set_an_account() -> String {
    format!(
        "export {ACCOUNT_ID}=… {REGION}=… {TIME_ZONE}=…   (id and region: dashboard, Settings > Project; region: eu1, in1, sg1, us1, aps3, mec1)\n\
         read -rs {PASSCODE} && export {PASSCODE}   (so that it is in no history)"
    )
}

#[expect(clippy::needless_pass_by_value, reason = "it is the argument of map_err")]
fn usage(error: impl ToString) -> Failure {
    Failure::Usage(error.to_string())
}

fn parse_region(text: &str) -> Result<Region> {
    let names = Region::ALL.map(Region::name);
    text.parse().map_err(|_| {
        // `india` and `us-east` begin like a region, though no region is spelled like them.
        let begins_alike =
            || names.into_iter().find(|name| text.get(..2).is_some_and(|start| name.starts_with(&start.to_ascii_lowercase())));
        let hint = nearest(text, names).or_else(begins_alike).map(|name| format!(". Did you mean {name}?")).unwrap_or_default();
        Failure::Usage(format!("region is \"{text}\"; expected one of {}{hint}", names.join(", ")))
    })
}

fn parse_time_zone(text: &str) -> Result<Tz> {
    text.parse().map_err(|_| {
        let hint = nearest(text, TZ_VARIANTS.map(Tz::name)).map(|name| format!(". Did you mean {name}?")).unwrap_or_default();
        Failure::Usage(format!("time zone is \"{text}\"; expected a name of the tz database, such as Asia/Kolkata or UTC{hint}"))
    })
}

/// `127.0.0.1:18080` -> `http://127.0.0.1:18080`; another host gets `https://`. A URL stays as it is.
fn with_scheme(endpoint: String) -> String {
    if endpoint.contains("://") {
        return endpoint;
    }
    let url = format!("http://{endpoint}");
    let is_loopback = Url::parse(&url).is_ok_and(|url| match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    });
    if is_loopback { url } else { format!("https://{endpoint}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSCODE_VALUE: &str = "TOP-SECRET-1";

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
        let flags = |read_only, allow_erase| AccountFlags { read_only, allow_erase, ..AccountFlags::default() }.access();
        assert_eq!([flags(false, false), flags(true, false), flags(false, true)], [Access::Write, Access::Read, Access::Erase]);
    }
}
