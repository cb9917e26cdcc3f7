//! Regions and their hosts. In: the short name of a region. Out: its host.
//!
//! A closed list without a default: a passcode is sent only to a host of this list, or to the endpoint that the operator set.
//! <https://developer.clevertap.com/docs/common-api-components>, read 2026-11-21. `sk1`, which only third-party code mentions, is
//! left out: it looks like a staging host, and can be set as an endpoint.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// The region of a project: the first part of the host of its dashboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Region {
    /// Europe, also called `eu` and `global`.
    Eu1,
    /// India.
    In1,
    /// Singapore.
    Sg1,
    /// United States.
    Us1,
    /// Indonesia.
    Aps3,
    /// Middle East.
    Mec1,
}

impl Region {
    /// Every region, in the order in which an error lists them.
    pub const ALL: [Self; 6] = [Self::Eu1, Self::In1, Self::Sg1, Self::Us1, Self::Aps3, Self::Mec1];

    /// The name, as the option `region` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Eu1 => "eu1",
            Self::In1 => "in1",
            Self::Sg1 => "sg1",
            Self::Us1 => "us1",
            Self::Aps3 => "aps3",
            Self::Mec1 => "mec1",
        }
    }

    /// The host of the API.
    pub fn host(self) -> &'static str {
        match self {
            // The documented table has the bare host; only the Node SDK uses `eu1.`.
            Self::Eu1 => "api.clevertap.com",
            Self::In1 => "in1.api.clevertap.com",
            Self::Sg1 => "sg1.api.clevertap.com",
            Self::Us1 => "us1.api.clevertap.com",
            Self::Aps3 => "aps3.api.clevertap.com",
            Self::Mec1 => "mec1.api.clevertap.com",
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Region {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "eu" | "global" => return Ok(Self::Eu1),
            _ => {}
        }
        Self::ALL.into_iter().find(|region| region.name() == text).ok_or_else(|| {
            Error::Setting(format!("option \"region\" is {text:?}; expected one of {}, or set \"endpoint\".", Self::listed()))
        })
    }
}

impl Region {
    /// `eu1, in1, …`
    pub(crate) fn listed() -> String {
        Self::ALL.map(Self::name).join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_region_has_its_host() {
        let hosts = Region::ALL.map(|region| format!("{region}={}", region.host())).join(" ");
        assert_eq!(
            hosts,
            "eu1=api.clevertap.com in1=in1.api.clevertap.com sg1=sg1.api.clevertap.com us1=us1.api.clevertap.com \
             aps3=aps3.api.clevertap.com mec1=mec1.api.clevertap.com"
        );
    }

    #[test]
    fn europe_has_two_aliases_and_the_error_for_a_wrong_name_lists_the_regions() {
        assert_eq!(["eu", "global", "eu1"].map(|name| name.parse::<Region>().ok()), [Some(Region::Eu1); 3]);
        assert_eq!(
            "eu-west".parse::<Region>().map_err(|error| error.to_string()),
            Err("option \"region\" is \"eu-west\"; expected one of eu1, in1, sg1, us1, aps3, mec1, or set \"endpoint\". [CT-101]".into())
        );
    }
}
