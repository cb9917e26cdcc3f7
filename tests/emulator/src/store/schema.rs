//! What the project's schema does to records that were a success: nothing, or a property or the whole event is gone, and
//! only the Error Stream tells (reference 4.6).

use std::collections::BTreeMap;

use serde_json::Value;

use crate::json::{Json, Object};
use crate::report::Loss;
use crate::settings::{DataType, Need, PropertyReaction, PropertyRule, Reaction, SchemaRules};
use crate::upload::clean::Cleaner;
use crate::upload::profile::{Change, Edit, is_standard};

impl DataType {
    fn of(value: &Json<'_>) -> Option<Self> {
        match value {
            Json::Null => None,
            Json::Bool(_) => Some(Self::Boolean),
            Json::Number(_) => Some(Self::Number),
            Json::Text(text) => Some(text_type(text)),
            Json::List(_) | Json::Object(_) => Some(Self::List),
        }
    }

    /// The type that a change of a user property asks for; a removal asks for none.
    fn of_change(change: &Change) -> Option<Self> {
        match change {
            Change::Put(Value::Bool(_)) => Some(Self::Boolean),
            Change::Put(Value::Number(_)) | Change::Increase(_) | Change::Decrease(_) => Some(Self::Number),
            Change::Put(Value::String(text)) => Some(text_type(text)),
            Change::Put(Value::Array(_) | Value::Object(_)) | Change::Replace(_) | Change::Add(_) | Change::Remove(_) => Some(Self::List),
            Change::Put(Value::Null) | Change::Delete => None,
        }
    }
}

fn text_type(text: &str) -> DataType {
    let is_date = text.strip_prefix("$D_").is_some_and(|seconds| seconds.parse::<i64>().is_ok());
    if is_date { DataType::Date } else { DataType::Text }
}

impl SchemaRules {
    /// An event's data as the schema lets it be; none if the event is gone.
    pub(crate) fn event(&self, name: &str, data: Box<str>, cleaner: &mut Cleaner) -> Option<Box<str>> {
        let Some(defined) = self.events.get(name) else {
            cleaner.note(Loss::UndefinedEvent, name);
            return (self.undefined_event == Reaction::Accept).then_some(data);
        };
        let Ok(Json::Object(fields)) = Json::parse(data.as_bytes()) else {
            return Some(data);
        };
        let all = fields.len();
        let kept = self.properties(defined, fields, cleaner)?;
        for (key, rule) in defined {
            if rule.need == Need::Mandatory && !kept.iter().any(|(name, _)| name == key) {
                cleaner.note(Loss::MandatoryMissing, key);
                if self.mandatory_missing == Reaction::Drop {
                    return None;
                }
            }
        }
        if kept.len() == all {
            return Some(data);
        }
        serde_json::to_string(&Json::Object(kept)).ok().map(String::into_boxed_str)
    }

    /// The properties that are kept; none if the event is gone.
    fn properties<'a>(&self, defined: &BTreeMap<String, PropertyRule>, fields: Object<'a>, cleaner: &mut Cleaner) -> Option<Object<'a>> {
        let mut kept = Vec::with_capacity(fields.len());
        for (key, value) in fields {
            let (loss, reaction) = match defined.get(&*key) {
                None => (Loss::UndefinedProperty, self.undefined_property),
                Some(rule) if DataType::of(&value).is_some_and(|kind| kind != rule.kind) => {
                    (Loss::MistypedProperty, self.mistyped_property)
                }
                Some(_) => {
                    kept.push((key, value));
                    continue;
                }
            };
            cleaner.note(loss, &key);
            match reaction {
                PropertyReaction::Accept => kept.push((key, value)),
                PropertyReaction::DropProperty => {}
                PropertyReaction::DropEvent => return None,
            }
        }
        Some(kept)
    }

    /// The edits of a profile that are kept.
    pub(crate) fn edits(&self, mut edits: Vec<Edit>, cleaner: &mut Cleaner) -> Vec<Edit> {
        edits.retain(|Edit { key, change }| {
            if is_standard(key) {
                return true;
            }
            let (loss, reaction) = match (self.user_properties.get(key), DataType::of_change(change)) {
                (None, _) => (Loss::UndefinedUserProperty, self.undefined_user_property),
                (Some(defined), Some(kind)) if *defined != kind => (Loss::MistypedUserProperty, self.mistyped_user_property),
                (Some(_), _) => return true,
            };
            cleaner.note(loss, key);
            reaction == Reaction::Accept
        });
        edits
    }
}
