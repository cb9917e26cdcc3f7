//! Values of the configuration as people write them, and where each came from.
//!
//! In: texts of flags, variables, files. Out: typed values, or the sentence that says what is right.

use std::fmt;

use chrono_tz::{TZ_VARIANTS, Tz};
use url::{Host, Url};

use crate::nearest::nearest;
use datafusion_clevertap::{Access, Region};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// `--region`.
    Flag(&'static str),
    /// `CLEVERTAP_REGION`.
    Variable(&'static str),
    /// `clevertap.toml:4`.
    File(String),
    /// Nobody said anything else.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flag(name) | Self::Variable(name) => name,
            Self::File(place) => place,
            Self::Default => "default",
        })
    }
}

/// A value, and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sourced<T> {
    pub(crate) value: T,
    pub(crate) from: Source,
}

impl<T> Sourced<T> {
    pub(super) fn new(value: T, from: Source) -> Self {
        Self { value, from }
    }

    /// The same place, with what `parse` makes of the value.
    pub(super) fn try_map<U>(self, parse: impl FnOnce(T) -> Result<U, String>) -> Result<Sourced<U>, String> {
        Ok(Sourced { value: parse(self.value)?, from: self.from })
    }
}

pub(crate) fn parse_region(text: &str) -> Result<Region, String> {
    let names = Region::ALL.map(Region::name);
    text.parse().map_err(|_| {
        // `india` and `us-east` begin like a region, though no region is spelled like them.
        let begins_alike =
            || names.into_iter().find(|name| text.get(..2).is_some_and(|start| name.starts_with(&start.to_ascii_lowercase())));
        let hint = nearest(text, names).or_else(begins_alike).map(|name| format!(". Did you mean {name}?")).unwrap_or_default();
        format!("region is \"{text}\"; expected one of {}{hint}", names.join(", "))
    })
}

pub(crate) fn parse_time_zone(text: &str) -> Result<Tz, String> {
    text.parse().map_err(|_| {
        let hint = nearest(text, TZ_VARIANTS.map(Tz::name)).map(|name| format!(". Did you mean {name}?")).unwrap_or_default();
        format!("time zone is \"{text}\"; expected a name of the tz database, such as Asia/Kolkata or UTC{hint}")
    })
}

pub(super) fn parse_access(text: &str) -> Result<Access, String> {
    let levels = [Access::Read, Access::Write, Access::Erase];
    let found = levels.into_iter().find(|level| level.to_string() == text);
    found.ok_or_else(|| format!("access is \"{text}\"; expected read, write or erase"))
}

/// `127.0.0.1:18080` -> `http://127.0.0.1:18080`; another host gets `https://`. A URL stays as it is.
pub(super) fn with_scheme(endpoint: String) -> String {
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

/// Names of schemas that are there, or that commands make.
const TAKEN: [&str; 3] = ["public", "information_schema", "resend"];

/// A name that SQL takes without quotes, for the schema of an account or for a view.
///
/// # Errors
/// What a name looks like.
pub(crate) fn parse_name(text: &str) -> Result<String, String> {
    let is_plain = text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_');
    if !is_plain {
        return Err(format!("\"{text}\" is no name here; expected small letters, digits and _, with a letter first: shop_eu"));
    }
    if TAKEN.contains(&text) {
        return Err(format!("\"{text}\" is the name of a schema that is there already; choose another one"));
    }
    Ok(text.to_owned())
}

/// The name of a variable. A passcode in its place is not shown.
pub(crate) fn parse_variable(text: &str) -> Result<String, String> {
    let is_name = !text.starts_with(|first: char| first.is_ascii_digit())
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    if is_name {
        return Ok(text.to_owned());
    }
    Err("passcode_env is not the name of a variable; expected one, as CLEVERTAP_PASSCODE, and the passcode in the variable".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_needs_no_quotes_in_sql() {
        assert_eq!(parse_name("shop_eu2"), Ok("shop_eu2".to_owned()));
        for name in ["Shop", "2shop", "shop-eu", "", "é", "a b", "public", "information_schema"] {
            assert!(parse_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn access_is_one_of_three_words() {
        assert_eq!(parse_access("read"), Ok(Access::Read));
        assert_eq!(parse_access("all").unwrap_err(), "access is \"all\"; expected read, write or erase");
    }
}
