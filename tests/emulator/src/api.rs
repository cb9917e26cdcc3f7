//! The endpoints that exist: path, methods and limit of each. Everything else is an unknown path.
//!
//! A new endpoint is one variant here, one file, and one line in `handle.rs`.

use http::Method;

use crate::Settings;

/// Where the URLs of list files begin.
pub(crate) const LIST_FILE_PREFIX: &str = "/_presigned/";

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
    /// `POST /get_custom_list_segment_url`.
    ListUrl,
    /// `POST /upload_custom_list_segment_completed`.
    ListComplete,
    /// `PUT` at a URL that `ListUrl` gave out.
    ListFile,
    /// `/1/events.json`: opened by POST, walked by either.
    Events,
    /// `/1/profiles.json`: the same.
    Profiles,
    /// `/1/counts/events.json`: asked by POST, polled by either.
    CountEvents,
    /// `/1/counts/profiles.json`.
    CountProfiles,
    /// `/1/counts/trends.json`.
    Trends,
    /// `/1/counts/top.json`.
    Top,
    /// `POST /1/now.json`.
    Now,
    /// `POST /1/message/report.json`.
    MessageReport,
    /// `POST /1/targets/list.json`.
    Campaigns,
    /// `POST /1/targets/result.json`.
    CampaignResult,
    /// `POST /1/segments/list.json`.
    Segments,
    /// `/getSchema`, at the root.
    Schema,
    /// `GET /category-groups`, at the root.
    SubscriptionGroups,
    /// `GET /v1/contentBlock/list`, at the root.
    ContentBlocks,
}

impl Api {
    pub(crate) const ALL: [Self; 23] = [
        Self::Upload,
        Self::Profile,
        Self::Subscribe,
        Self::Disassociate,
        Self::Demerge,
        Self::Delete,
        Self::ListUrl,
        Self::ListComplete,
        Self::ListFile,
        Self::Events,
        Self::Profiles,
        Self::CountEvents,
        Self::CountProfiles,
        Self::Trends,
        Self::Top,
        Self::Now,
        Self::MessageReport,
        Self::Campaigns,
        Self::CampaignResult,
        Self::Segments,
        Self::Schema,
        Self::SubscriptionGroups,
        Self::ContentBlocks,
    ];

    /// The API behind a path; none means that CleverTap answers 200 with an empty body.
    pub(crate) fn at(path: &str) -> Option<Self> {
        match path {
            // Both ways are written of (unknowns 1.14).
            "/1/get_custom_list_segment_url" => Some(Self::ListUrl),
            "/1/upload_custom_list_segment_completed" => Some(Self::ListComplete),
            _ if path.starts_with(LIST_FILE_PREFIX) => Some(Self::ListFile),
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
            Self::ListFile => LIST_FILE_PREFIX,
            Self::Events => "/1/events.json",
            Self::Profiles => "/1/profiles.json",
            Self::CountEvents => "/1/counts/events.json",
            Self::CountProfiles => "/1/counts/profiles.json",
            Self::Trends => "/1/counts/trends.json",
            Self::Top => "/1/counts/top.json",
            Self::Now => "/1/now.json",
            Self::MessageReport => "/1/message/report.json",
            Self::Campaigns => "/1/targets/list.json",
            Self::CampaignResult => "/1/targets/result.json",
            Self::Segments => "/1/segments/list.json",
            Self::Schema => "/getSchema",
            Self::SubscriptionGroups => "/category-groups",
            Self::ContentBlocks => "/v1/contentBlock/list",
        }
    }

    /// Whether the path takes this method; all others are answered 405.
    pub(crate) fn takes(self, method: &Method) -> bool {
        let (is_post, is_get) = (method == Method::POST, method == Method::GET);
        match self {
            Self::Profile | Self::SubscriptionGroups | Self::ContentBlocks => is_get,
            // The schema's own page shows POST, the one client that was seen uses GET (reference 13).
            Self::Events | Self::Profiles | Self::CountEvents | Self::CountProfiles | Self::Trends | Self::Top | Self::Schema => {
                is_post || is_get
            }
            Self::Upload | Self::Subscribe | Self::Disassociate | Self::Demerge | Self::Delete | Self::ListUrl | Self::ListComplete => {
                is_post
            }
            Self::Now | Self::MessageReport | Self::Campaigns | Self::CampaignResult | Self::Segments => is_post,
            Self::ListFile => method == Method::PUT,
        }
    }

    /// Requests in flight that the account may have here.
    pub(crate) const fn limit(self, settings: &Settings) -> usize {
        match self {
            Self::Upload => settings.upload_limit,
            Self::Subscribe | Self::Disassociate | Self::Demerge | Self::Delete | Self::ListUrl | Self::ListComplete => {
                settings.write_limit
            }
            Self::ListFile => usize::MAX,
            _ => settings.read_limit,
        }
    }

    /// The API whose slots it takes: "Get User Profiles (cursor and single)" and "Custom List" are one line each of the
    /// table (reference 2).
    pub(crate) const fn slots(self) -> Self {
        match self {
            Self::Profile => Self::Profiles,
            Self::ListComplete => Self::ListUrl,
            other => other,
        }
    }
}
