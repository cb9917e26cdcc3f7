//! Events and properties as the schema call returns them.
//!
//! In: records of that call. Out: names, each with CleverTap's type name. The type names are not documented, so a property with an
//! unfamiliar one has no type.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::table::{Source, Table, ValueForm};
use crate::tables;

/// Properties by name, each with CleverTap's type name if the record has one.
pub(crate) type Properties = BTreeMap<String, Option<String>>;

/// Events by name.
pub(crate) type Events = BTreeMap<String, Event>;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// Whether CleverTap silently drops records of this event.
    pub(crate) discarded: bool,
    /// The properties that records of this event have had.
    pub(crate) properties: Properties,
}

/// Groups records by event. A record is one property of its event, or an event without properties.
pub(crate) fn events(records: &[Value]) -> Events {
    let mut events = Events::new();
    for record in records {
        let table = tables::event_schema();
        let Some(name) = text(table, record, "event_name") else { continue };
        let event = events.entry(name.to_owned()).or_default();
        event.discarded |= text(table, record, "status").is_some_and(|status| status.eq_ignore_ascii_case(tables::DISCARDED));
        event.properties.extend(property(table, record));
    }
    events
}

/// Whether a record of an event names it.
pub(crate) fn is_named(record: &Value) -> bool {
    text(tables::event_schema(), record, "event_name").is_some()
}

pub(crate) fn people(records: &[Value]) -> Properties {
    records.iter().filter_map(|record| property(tables::profile_schema(), record)).collect()
}

fn property(table: &Table, record: &Value) -> Option<(String, Option<String>)> {
    let name = text(table, record, "property_name")?;
    Some((name.to_owned(), text(table, record, "property_type").map(str::to_owned)))
}

/// The value of a table column in a record.
fn text<'a>(table: &Table, record: &'a Value, name: &str) -> Option<&'a str> {
    let column = table.columns.iter().find(|column| column.name == name)?;
    let pointers: &[&str] = match &column.source {
        Source::At(pointer) => std::slice::from_ref(pointer),
        Source::Either(pointers) => pointers,
        _ => return None,
    };
    pointers.iter().find_map(|pointer| record.pointer(pointer).and_then(Value::as_str))
}

/// The value form for CleverTap's type name.
pub(crate) fn form(type_name: &str) -> Option<ValueForm> {
    Some(match type_name.to_lowercase().as_str() {
        "string" | "text" | "str" => ValueForm::Text,
        "int" | "integer" | "long" => ValueForm::Int64,
        "number" | "num" | "numeric" | "float" | "double" | "decimal" => ValueForm::Float64,
        "bool" | "boolean" => ValueForm::Boolean,
        "date" | "datetime" | "timestamp" => ValueForm::Date,
        _ => return None,
    })
}
