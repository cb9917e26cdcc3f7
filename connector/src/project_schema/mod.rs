//! What is known of a project's schema: its events, the properties of each, those of people, and the typed columns made of them.
//!
//! In: records of the schema call, and what was seen in pages; `read/discover` asks for both. Out: what was learnt, kept for all
//! sessions of the account until the schema is read again. Nothing is asked here.

mod types;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::time::Instant;

use crate::table::{Table, ValueForm};
use crate::tables;
pub(crate) use types::{Events, Properties, events, form};

/// A property as a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TypedColumn {
    /// Its name, in the event and in SQL.
    pub(crate) name: String,
    /// The keys that lead to it in a record.
    pub(crate) path: Vec<String>,
    /// What its values become.
    pub(crate) form: ValueForm,
}

/// What is known of an account's project.
#[derive(Debug, Default)]
pub(crate) struct ProjectSchema {
    known: Mutex<Known>,
    /// Held while CleverTap is asked: whoever comes second finds what the first one learnt.
    pub(crate) asking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) events: Option<Arc<Events>>,
    pub(crate) people: Option<Arc<Properties>>,
    /// Why a write could not learn the schema; no write asks again.
    pub(crate) unavailable: Option<String>,
    /// When a property could not be looked at.
    pub(crate) failed_at: Option<Instant>,
    /// The typed columns of each event.
    pub(crate) typed: HashMap<String, Arc<[TypedColumn]>>,
}

impl ProjectSchema {
    pub(crate) fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the records of a schema call.
    pub(crate) fn learn(&self, table: &Table, records: &[Value]) {
        let mut known = self.known();
        if std::ptr::eq(table, tables::event_schema()) {
            known.events = Some(Arc::new(events(records)));
            known.typed.clear();
        } else if std::ptr::eq(table, tables::profile_schema()) {
            known.people = Some(Arc::new(types::people(records)));
        }
    }

    /// Keeps the properties that a write is about to create, each with its event, which for those of people means nothing.
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
