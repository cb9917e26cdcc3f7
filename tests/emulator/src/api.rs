//! The endpoints that exist: path, methods and limit of each. Everything else is an unknown path.
//!
//! A new endpoint is one variant here, one file beside `profile_lookup.rs`, and one line in `door.rs`.

use http::Method;

use crate::Settings;
use crate::custom_lists;

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
    /// `POST /get_custom_list_segment_url`; its slots are those of the whole Custom List API.
    ListUrl,
    /// `POST /upload_custom_list_segment_completed`.
    ListComplete,
    /// `PUT` at a URL that `ListUrl` gave out.
    ListFile,
}

impl Api {
    pub(crate) const ALL: [Self; 9] = [
        Self::Upload,
        Self::Profile,
        Self::Subscribe,
        Self::Disassociate,
        Self::Demerge,
        Self::Delete,
        Self::ListUrl,
        Self::ListComplete,
        Self::ListFile,
    ];

    /// The API behind a path; none means that CleverTap answers 200 with an empty body.
    pub(crate) fn at(path: &str) -> Option<Self> {
        match path {
            // Both ways are written of (unknowns 1.14).
            "/1/get_custom_list_segment_url" => Some(Self::ListUrl),
            "/1/upload_custom_list_segment_completed" => Some(Self::ListComplete),
            _ if path.starts_with(custom_lists::file::PREFIX) => Some(Self::ListFile),
            _ => Self::ALL.into_iter().find(|api| api.path() == path),
        }
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
            Self::ListUrl => "/get_custom_list_segment_url",
            Self::ListComplete => "/upload_custom_list_segment_completed",
            Self::ListFile => custom_lists::file::PREFIX,
        }
    }

    /// Whether the path takes this method; all others are answered 405.
    pub(crate) fn takes(self, method: &Method) -> bool {
        match self {
            Self::Upload | Self::Subscribe | Self::Disassociate | Self::Demerge | Self::Delete | Self::ListUrl | Self::ListComplete => {
                method == Method::POST
            }
            Self::Profile => method == Method::GET,
            Self::ListFile => method == Method::PUT,
        }
    }

    /// The API whose slots a request takes.
    pub(crate) const fn lane(self) -> Self {
        match self {
            Self::ListComplete => Self::ListUrl,
            other => other,
        }
    }

    /// Requests in flight that the account may have here.
    pub(crate) const fn limit(self, settings: &Settings) -> usize {
        match self {
            Self::Upload => settings.upload_limit,
            Self::Profile => settings.read_limit,
            Self::Subscribe | Self::Disassociate | Self::Demerge | Self::Delete | Self::ListUrl | Self::ListComplete => {
                settings.write_limit
            }
            Self::ListFile => usize::MAX,
        }
    }
}
