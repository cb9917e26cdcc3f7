//! The project's schema: its events and their properties, and those of people, as the schema call tells them.
//!
//! In: records of that call. Out: names, each with CleverTap's word for its type. The words are not documented: what is not known
//! here has no type.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::table::{Source, Table, ValueForm};
use crate::tables;

/// Properties by name, each with CleverTap's word for its type, if it told one.
pub(crate) type Properties = BTreeMap<String, Option<String>>;

/// Events by name.
pub(crate) type Events = BTreeMap<String, Event>;

/// An event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// Whether CleverTap drops its records in silence.
    pub(crate) discarded: bool,
    /// What it was sent with.
    pub(crate) properties: Properties,
}

/// Records by event: each is one property of it, or none.
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

/// Records as the properties of people.
pub(crate) fn people(records: &[Value]) -> Properties {
    records.iter().filter_map(|record| property(tables::profile_schema(), record)).collect()
}

fn property(table: &Table, record: &Value) -> Option<(String, Option<String>)> {
    let name = text(table, record, "property_name")?;
    Some((name.to_owned(), text(table, record, "property_type").map(str::to_owned)))
}

/// What a column of the schema's table has in a record.
fn text<'a>(table: &Table, record: &'a Value, name: &str) -> Option<&'a str> {
    let column = table.columns.iter().find(|column| column.name == name)?;
    let pointers: &[&str] = match &column.source {
        Source::At(pointer) => std::slice::from_ref(pointer),
        Source::Either(pointers) => pointers,
        _ => return None,
    };
    pointers.iter().find_map(|pointer| record.pointer(pointer).and_then(Value::as_str))
}

/// The form behind CleverTap's word for a type.
pub(crate) fn form(word: &str) -> Option<ValueForm> {
    Some(match word.to_lowercase().as_str() {
        "string" | "text" | "str" => ValueForm::Text,
        "int" | "integer" | "long" => ValueForm::Int64,
        "number" | "num" | "numeric" | "float" | "double" | "decimal" => ValueForm::Float64,
        "bool" | "boolean" => ValueForm::Boolean,
        "date" | "datetime" | "timestamp" => ValueForm::Date,
        _ => return None,
    })
}
