//! `/getSchema`: the project's event names and properties, from what is stored and what the settings add (reference 13).
//!
//! Types are taken from the first thousand events of a name and from the first thousand people.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::answer::Answer;
use crate::emulator::Inner;
use crate::lock;
use crate::report::Rule;
use crate::settings::{EventStatus, SchemaForm, Settings};
use crate::store::Database;
use crate::url_query::parameter;

/// Records that are looked into.
const LOOKED_MAX: usize = 1000;

/// Names and their types, the first one of each.
type Types = BTreeMap<String, String>;

/// Answers at once.
pub(crate) fn run(inner: &Inner, query: &str) -> Answer {
    let settings = &inner.settings;
    match parameter(query, "type") {
        Some("events") => {
            let mut database = lock(&inner.database);
            Answer::json(200, &json!({ "status": "success", "events": events(&mut database, settings) }))
        }
        Some("userProperties") => {
            let types = people(&lock(&inner.database));
            Answer::json(200, &json!({ "status": "success", "userProperties": listed(&types, SchemaForm::Objects) }))
        }
        _ => {
            lock(&inner.report).broke(Rule::Query);
            Answer::fail(400, "type is events or userProperties")
        }
    }
}

fn events(database: &mut Database, settings: &Settings) -> Vec<Value> {
    let mut found = BTreeMap::<String, (EventStatus, usize, Types)>::new();
    for event in &settings.schema_events {
        found.insert(event.name.clone(), (event.status, 0, event.properties.iter().cloned().collect()));
    }
    for name in 0..crate::store::number(database.names.len()) {
        let ordered = database.ordered(Some(name));
        let text = database.names[name as usize].to_string();
        let (_, count, types) = found.entry(text).or_insert((EventStatus::Active, 0, Types::new()));
        *count = ordered.list.len();
        for place in ordered.list.iter().take(LOOKED_MAX) {
            let data: Map<String, Value> = serde_json::from_str(&database.events[*place as usize].data).unwrap_or_default();
            add(types, &data);
        }
    }
    for name in &settings.discarded_events {
        found.entry(name.clone()).or_insert((EventStatus::Discarded, 0, Types::new())).0 = EventStatus::Discarded;
    }
    let shown = found.into_iter().map(|(name, (status, count, types))| {
        json!({ "name": name, "status": status.name(), "eventCount": count, "properties": listed(&types, settings.schema_form) })
    });
    shown.collect()
}

fn people(database: &Database) -> Types {
    let mut types = Types::new();
    for person in database.people.iter().flatten().take(LOOKED_MAX) {
        add(&mut types, &person.properties.map());
    }
    types
}

fn add(types: &mut Types, properties: &Map<String, Value>) {
    for (key, value) in properties {
        if !types.contains_key(key) {
            types.insert(key.clone(), data_type(value).to_owned());
        }
    }
}

/// The words are the emulator's: the reference shows none but `Number`.
fn data_type(value: &Value) -> &'static str {
    match value {
        Value::Number(_) => "Number",
        Value::Bool(_) => "Boolean",
        Value::String(text) if text.starts_with("$D_") => "Date",
        Value::Array(_) => "List",
        Value::Object(_) => "Object",
        Value::String(_) | Value::Null => "String",
    }
}

fn listed(types: &Types, form: SchemaForm) -> Vec<Value> {
    let show = |(name, kind): (&String, &String)| match form {
        SchemaForm::Objects => json!({ "name": name, "dataType": kind }),
        SchemaForm::Names => name.clone().into(),
    };
    types.iter().map(show).collect()
}
