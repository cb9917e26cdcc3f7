//! The cached schema of a project: its events, their properties, the properties of people, and the typed columns made from them.
//!
//! In: records of the schema call and sampled pages; `read/schema_discovery` fetches both. Out: the cache, shared by all sessions of the account
//! until the schema is read again. No request is made here, so that the account can hold the cache without depending on `read`.

mod types;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::time::Instant;

use crate::table::{Table, ValueForm};
use crate::tables;
pub(crate) use types::{Events, Properties, events, form, is_named};

/// An event property as a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TypedColumn {
    /// The name of the property and of the column.
    pub(crate) name: String,
    /// The object keys from the record to the value.
    pub(crate) path: Vec<String>,
    pub(crate) form: ValueForm,
}

/// The cache of one account.
#[derive(Debug, Default)]
pub(crate) struct ProjectSchema {
    known: Mutex<Known>,
    /// Held during a fetch, so that a concurrent caller finds the result instead of sending the same request.
    pub(crate) fetching: tokio::sync::Mutex<()>,
}

/// The cached values; `None` means not fetched yet.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) events: Option<Arc<Events>>,
    pub(crate) people: Option<Arc<Properties>>,
    /// Why a write could not fetch the schema. Later writes do not try again.
    pub(crate) unavailable: Option<String>,
    /// When the schema or a sample page could not be fetched.
    pub(crate) failed_at: Option<Instant>,
    /// Typed columns by event.
    pub(crate) typed: HashMap<String, Arc<[TypedColumn]>>,
}

impl ProjectSchema {
    pub(crate) fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores the records of a schema call.
    pub(crate) fn learn(&self, table: &Table, records: &[Value]) {
        let mut known = self.known();
        if std::ptr::eq(table, tables::event_schema()) {
            known.events = Some(Arc::new(events(records)));
            known.typed.clear();
        } else if std::ptr::eq(table, tables::profile_schema()) {
            known.people = Some(Arc::new(types::people(records)));
        }
    }

    /// Stores the properties that a write is about to create, as pairs of event and property. For properties of people the event is
    /// ignored.
    pub(crate) fn created(&self, of_events: bool, properties: Vec<(String, String)>) {
        let mut known = self.known();
        let Known { events, people, .. } = &mut *known;
        match (events, people) {
            (Some(events), _) if of_events => {
                let events = Arc::make_mut(events);
                for (event, name) in properties {
                    events.entry(event).or_default().properties.entry(name).or_default();
                }
            }
            (_, Some(people)) if !of_events => {
                let people = Arc::make_mut(people);
                properties.into_iter().for_each(|(_, name)| _ = people.entry(name).or_default());
            }
            _ => {}
        }
    }
}
