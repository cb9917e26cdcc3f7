//! The endpoints that exist: path, methods and limit of each. Everything else is an unknown path.
//!
//! A new endpoint is one variant here, one file beside `profile_lookup.rs`, and one line in `door.rs`.

use http::Method;

use crate::Settings;

/// One API of CleverTap; in-flight limits are counted for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Api {
    /// `POST /1/upload`.
    Upload,
    /// `GET /1/profile.json`.
    Profile,
    /// `POST /1/subscribe`.
    Subscribe,
    /// `POST /1/disassociate`.
    Disassociate,
    /// `POST /1/demerge/profiles.json`.
    Demerge,
    /// `POST /1/delete/profiles.json`.
    Delete,
}

impl Api {
    pub(crate) const ALL: [Self; 6] = [Self::Upload, Self::Profile, Self::Subscribe, Self::Disassociate, Self::Demerge, Self::Delete];

    /// The API behind a path; none means that CleverTap answers 200 with an empty body.
    pub(crate) fn at(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|api| api.path() == path)
    }

    /// The path as the reference writes it.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Upload => "/1/upload",
            Self::Profile => "/1/profile.json",
            Self::Subscribe => "/1/subscribe",
            Self::Disassociate => "/1/disassociate",
            Self::Demerge => "/1/demerge/profiles.json",
            Self::Delete => "/1/delete/profiles.json",
        }
    }

    /// Whether the path takes this method; all others are answered 405.
    pub(crate) fn takes(self, method: &Method) -> bool {
        match self {
            Self::Upload | Self::Subscribe | Self::Disassociate | Self::Demerge | Self::Delete => method == Method::POST,
            Self::Profile => method == Method::GET,
        }
    }

    /// Requests in flight that the account may have here.
    pub(crate) const fn limit(self, settings: &Settings) -> usize {
        match self {
            Self::Upload => settings.upload_limit,
            Self::Profile => settings.read_limit,
            Self::Subscribe | Self::Disassociate | Self::Demerge | Self::Delete => settings.write_limit,
        }
    }
}
