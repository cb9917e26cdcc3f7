//! What a project holds besides people and events, and no request creates here: schema, campaigns, subscription groups.

use serde_json::{Map, Value};

/// An event of the project's schema.
#[derive(Debug, Clone)]
pub struct SchemaEvent {
    /// Its name.
    pub name: String,
    /// Whether it may still be sent.
    pub status: EventStatus,
    /// Its properties, each with its data type, such as `Number`, `String`, `Boolean`, `Date`.
    pub properties: Vec<(String, String)>,
}

impl SchemaEvent {
    /// An active event without properties.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), status: EventStatus::Active, properties: Vec::new() }
    }
}

/// The status of an event in the schema. Only `Settings::discarded_events` refuses uploads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventStatus {
    /// In use.
    Active,
    /// Not sent for a while.
    Inactive,
    /// No longer taken; its history is still exported.
    Discarded,
}

impl EventStatus {
    /// The word of the schema.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::Inactive => "Inactive",
            Self::Discarded => "Discarded",
        }
    }
}

/// A campaign (reference 11.2).
#[derive(Debug, Clone)]
pub struct Campaign {
    /// Its number; may be above 2^53.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// The day for which it is scheduled, `YYYYMMDD`: what `from` and `to` select by.
    pub day: u32,
    /// The same as the list shows it.
    pub scheduled_on: String,
    /// `scheduled`, `pending`, `running`, `paused`, `stopped` or `completed`.
    pub status: String,
    /// Further keys of the list.
    pub more: Map<String, Value>,
    /// What `targets/result.json` brings; none means that there is no result yet.
    pub result: Option<Value>,
}

impl Campaign {
    /// A completed campaign without a result.
    #[must_use]
    pub fn new(id: i64, name: &str, day: u32) -> Self {
        Self {
            id,
            name: name.to_owned(),
            day,
            scheduled_on: day.to_string(),
            status: "completed".to_owned(),
            more: Map::new(),
            result: None,
        }
    }
}

/// A row of `/category-groups` (reference 10.3).
#[derive(Debug, Clone, serde::Serialize)]
pub struct SubscriptionGroup {
    /// Its number.
    pub key: i64,
    /// Its name.
    pub name: String,
    /// The channels that it holds for.
    pub channels: Vec<String>,
}
