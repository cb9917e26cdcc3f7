//! The settings of an emulated project.
//!
//! Every number that the reference calls uncertain is a field here, with the reference's choice as its default.

mod project;
mod schema_rules;

use chrono_tz::Tz;
use serde_json::Value;

pub use project::{Campaign, EventStatus, SchemaEvent, SubscriptionGroup};
pub use schema_rules::{DataType, Need, PropertyReaction, PropertyRule, Reaction, SchemaRules};

/// Events that no export carries (unknowns 3.13).
const UNEXPORTABLE: [&str; 7] = [
    "Notification Sent",
    "Notification Viewed",
    "Notification Clicked",
    "Notification Delivered",
    "Notification Replied",
    "Notification Bounced",
    "Push Impressions",
];

/// How one emulated CleverTap project behaves. Build it with `Settings { seed: 7, ..Settings::default() }`.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The only account that exists here; default `TEST-123-456Z`.
    pub account_id: String,
    /// Its passcode; default `emulator-passcode`. It is in no report and in no answer.
    pub passcode: String,
    /// A second passcode that is known but has no rights: it is answered 403. Default: there is none.
    pub limited_passcode: Option<String>,
    /// The CleverTap hosts where the account lives, such as `in1.api.clevertap.com`. A request that names another
    /// CleverTap host is answered 401; hosts that are not CleverTap's (loopback) are never looked at. Empty, the
    /// default: every host is home.
    pub region_hosts: Vec<String>,
    /// The project's time zone; default UTC.
    pub time_zone: Tz,
    /// The account's clock when the first request arrives, in epoch seconds; it goes on with tokio's clock. The default
    /// is a fixed instant, 2026-01-01 00:00 UTC, so that runs repeat.
    pub started_at: i64,
    /// How long an answer takes, without the jitter; default 0. Half of it passes before storing, half after.
    pub latency_ms: u64,
    /// Up to so much is added to the latency, by the seed; default 0.
    pub jitter_ms: u64,
    /// Decides jitter and the faults with a probability; default 0.
    pub seed: u64,
    /// Uploads in flight at once; default 15 (reference section 2).
    pub upload_limit: usize,
    /// Requests in flight at once for each other API that reads; default 3.
    pub read_limit: usize,
    /// Properties of one event, above which it is refused with 522; default 100.
    pub event_properties_max: usize,
    /// Custom properties of one profile, above which further ones are dropped after the success; default 256.
    pub profile_properties_max: usize,
    /// Different event names of the project, above which further ones are dropped after the success; default 512.
    pub event_names_max: usize,
    /// Bytes of a property's text, above which it is cut after the success; default 512.
    pub value_bytes_max: usize,
    /// Event names that the project marked as discarded: refused with 528. Default: none.
    pub discarded_events: Vec<String>,
    /// Devices that the app's SDK has registered; an objectId that is not here is refused. Default: none.
    pub devices: Vec<Device>,
    /// What `GET /1/profile.json` says about somebody it does not know; default [`UnknownProfile::NotFound`].
    pub unknown_profile: UnknownProfile,
    /// What is kept of accepted records; default [`Store::Everything`].
    pub store: Store,
    /// Events that cannot be exported; default: the notification events of unknowns 3.13.
    pub unexportable_events: Vec<String>,
    /// How the last page of an export ends; default [`LastPage::Bare`].
    pub last_page: LastPage,
    /// Seconds that a chain of `events.json` lives; default 4 hours.
    pub events_cursor_life_s: u64,
    /// Seconds that it lives without being used; default 1 hour.
    pub events_cursor_idle_s: u64,
    /// Seconds that a chain of `profiles.json` lives; default 4 days.
    pub profiles_cursor_life_s: u64,
    /// Where `profiles.json` shows a person's objectId; default [`TopObjectId::Always`].
    pub top_object_id: TopObjectId,
    /// The poll of a count that brings its result; 0 answers the question at once. Default 2.
    pub polls_until_ready: u32,
    /// Seconds that a `req_id` lives; default 1 hour.
    pub request_id_life_s: u64,
    /// Events that the schema knows besides those that are stored. Default: none.
    pub schema_events: Vec<SchemaEvent>,
    /// How `getSchema` lists an event's properties; default [`SchemaForm::Objects`].
    pub schema_form: SchemaForm,
    /// What `message/report.json` is asked about: objects with `start_date` as `YYYY-MM-DD…` or `YYYYMMDD…`. Default: none.
    pub messages: Vec<Value>,
    /// The campaigns of `targets/list.json`. Default: none.
    pub campaigns: Vec<Campaign>,
    /// What `targets/result.json` says about a campaign without a result; default [`NoResult::ServerError`].
    pub no_result: NoResult,
    /// The rows of `/category-groups`. Default: none.
    pub subscription_groups: Vec<SubscriptionGroup>,
    /// The blocks of `/v1/contentBlock/list`: objects with `id` and `updatedAt`. Default: none.
    pub content_blocks: Vec<Value>,
    /// The segments of `segments/list.json`, before the custom lists. Default: none.
    pub segments: Vec<Value>,
    /// Requests in flight at once for each API that writes, the upload left out; default 3.
    pub write_limit: usize,
    /// How long after its request a deletion is carried out, in seconds of the account's clock; default 12 hours, never
    /// more than 24.
    pub deletion_delay_s: i64,
    /// How long after the word that its file is there a custom list is made, in seconds of the account's clock; default 60.
    pub list_delay_s: i64,
    /// How long the URL for a list's file holds, in seconds; default 24 hours.
    pub list_url_life_s: i64,
    /// Bytes of a list's file, above which it is refused; default 5 GB.
    pub list_bytes_max: usize,
    /// Where the URLs for files begin, such as `http://127.0.0.1:4000`. Default: where the request for one came to.
    pub presigned_base: Option<String>,
    /// What the project's schema does to accepted records; default: there is no schema, and all is kept.
    pub schema_rules: Option<SchemaRules>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            account_id: "TEST-123-456Z".to_owned(),
            passcode: "emulator-passcode".to_owned(),
            limited_passcode: None,
            region_hosts: Vec::new(),
            time_zone: Tz::UTC,
            started_at: 1_767_225_600,
            latency_ms: 0,
            jitter_ms: 0,
            seed: 0,
            upload_limit: 15,
            read_limit: 3,
            event_properties_max: 100,
            profile_properties_max: 256,
            event_names_max: 512,
            value_bytes_max: 512,
            discarded_events: Vec::new(),
            devices: Vec::new(),
            unknown_profile: UnknownProfile::NotFound,
            store: Store::Everything,
            unexportable_events: UNEXPORTABLE.map(str::to_owned).to_vec(),
            last_page: LastPage::Bare,
            events_cursor_life_s: 4 * 3600,
            events_cursor_idle_s: 3600,
            profiles_cursor_life_s: 4 * 86_400,
            top_object_id: TopObjectId::Always,
            polls_until_ready: 2,
            request_id_life_s: 3600,
            schema_events: Vec::new(),
            schema_form: SchemaForm::Objects,
            messages: Vec::new(),
            campaigns: Vec::new(),
            no_result: NoResult::ServerError,
            subscription_groups: Vec::new(),
            content_blocks: Vec::new(),
            segments: Vec::new(),
            write_limit: 3,
            deletion_delay_s: 12 * 60 * 60,
            list_delay_s: 60,
            list_url_life_s: 24 * 60 * 60,
            list_bytes_max: 5_000_000_000,
            presigned_base: None,
            schema_rules: None,
        }
    }
}

/// What is kept of accepted records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Store {
    /// Profiles, events and tokens can be looked up.
    Everything,
    /// Only counters, so that a load of ten million records fits.
    Counts,
}

/// The three forms of "no such person" that the reference knows (its section 7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownProfile {
    /// HTTP 404 with a `fail` body.
    NotFound,
    /// HTTP 200 with the same `fail` body.
    Fail,
    /// HTTP 200, `success`, and a `record` that is null.
    Null,
}

/// How a chain of pages ends (reference 6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastPage {
    /// A page of its own: `{"status":"success"}` and nothing else.
    Bare,
    /// The last records, on a page without `next_cursor`. Where there are no records, the page is bare.
    WithRecords,
}

/// Where an exported person shows an objectId (reference 7.1): `platformInfo` has it in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopObjectId {
    /// At the top of each record too.
    Always,
    /// At the top of each second person.
    Sometimes,
    /// Never at the top.
    Never,
}

/// The two readings of the schema's `properties` (reference 13 does not show them).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaForm {
    /// `[{"name":"Amount","dataType":"Number"}]`.
    Objects,
    /// `["Amount"]`.
    Names,
}

/// The three forms of "no result yet" (unknowns 1.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoResult {
    /// HTTP 500, `fail`, code 500.
    ServerError,
    /// HTTP 200, `success`, and an `error` with code 200.
    UnderSuccess,
    /// HTTP 409, as the documentation says.
    Conflict,
}

/// A device that an SDK registered.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// CleverTap's id of the device.
    pub object_id: String,
    /// What it runs: decides which token types it takes.
    pub platform: Platform,
    /// The person who is logged in on it.
    #[serde(default)]
    pub identity: Option<String>,
}

/// What a device runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Platform {
    /// Takes `fcm` and `gcm` tokens.
    Android,
    /// Takes `apns` tokens.
    Ios,
    /// Takes `chrome` tokens, with their keys.
    Web,
    /// Takes `wns` and `mpns` tokens.
    Windows,
}

impl Platform {
    /// The name that a profile's `platformInfo` carries.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Android => "Android",
            Self::Ios => "iOS",
            Self::Web => "Web",
            Self::Windows => "Windows",
        }
    }

    /// The token types that fit this platform.
    pub(crate) const fn token_types(self) -> &'static [&'static str] {
        match self {
            Self::Android => &["fcm", "gcm"],
            Self::Ios => &["apns"],
            Self::Web => &["chrome"],
            Self::Windows => &["wns", "mpns"],
        }
    }
}
