//! What happens to names, keys and values that are accepted but not kept as they came (reference 4.4, 4.5; unknowns 2.9-2.11).
//!
//! All of it is silent on the wire: the caller collects entries for the Error Stream.

use std::borrow::Cow;

use crate::json::{Json, Object};
use crate::report::{Entry, Loss};

/// Bytes of a property key.
const KEY_BYTES_MAX: usize = 120;
/// Bytes of an event name.
const NAME_BYTES_MAX: usize = 512;

/// Where a key stands: profiles refuse one character more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyScope {
    /// An event's property.
    Event,
    /// A profile's property.
    Profile,
}

/// The Error Stream's pen, with the one limit that is a setting.
#[derive(Debug)]
pub(crate) struct Cleaner {
    pub(crate) value_bytes_max: usize,
    pub(crate) entries: Vec<Entry>,
}

impl Cleaner {
    /// Notes a loss.
    pub(crate) fn note(&mut self, kind: Loss, key: &str) {
        self.entries.push(Entry { kind, key: key.to_owned() });
    }

    /// An event's name as it is kept; empty if nothing is left.
    pub(crate) fn name<'a>(&mut self, name: &'a str) -> Cow<'a, str> {
        self.short(name, KeyScope::Event, NAME_BYTES_MAX)
    }

    /// A property's key as it is kept; none if nothing is left.
    pub(crate) fn key<'a>(&mut self, key: &'a str, place: KeyScope) -> Option<Cow<'a, str>> {
        let kept = self.short(key, place, KEY_BYTES_MAX);
        if kept.is_empty() {
            self.note(Loss::KeyDropped, key);
            return None;
        }
        Some(kept)
    }

    /// A text value as it is kept.
    pub(crate) fn value<'a>(&mut self, key: &str, text: &'a str) -> &'a str {
        if text.len() <= self.value_bytes_max {
            return text;
        }
        self.note(Loss::ValueCut, key);
        text.split_at(text.floor_char_boundary(self.value_bytes_max)).0
    }

    /// A flat object as it is kept: no nulls, clean keys, short values. Of keys that become equal the last stays.
    pub(crate) fn properties<'a>(&mut self, object: &'a Object<'_>) -> Object<'a> {
        let mut kept: Object<'a> = Vec::with_capacity(object.len());
        for (key, value) in object {
            if *value == Json::Null {
                continue;
            }
            let Some(clean) = self.key(key, KeyScope::Event) else {
                continue;
            };
            let value = match value {
                Json::Text(text) => Json::Text(Cow::Borrowed(self.value(key, text))),
                Json::List(items) => Json::List(items.iter().map(|item| self.item(item)).collect()),
                other => other.clone(),
            };
            if let Cow::Owned(_) = clean {
                kept.retain(|(name, _)| *name != clean);
            } else if kept.iter().any(|(name, _)| matches!(name, Cow::Owned(owned) if *owned == clean)) {
                kept.retain(|(name, _)| *name != clean);
            }
            kept.push((clean, value));
        }
        kept
    }

    fn item<'a>(&mut self, item: &'a Json<'_>) -> Json<'a> {
        match item {
            Json::Object(object) => Json::Object(self.properties(object)),
            other => other.clone(),
        }
    }

    fn short<'a>(&mut self, text: &'a str, place: KeyScope, bytes_max: usize) -> Cow<'a, str> {
        let is_forbidden = |letter: char| match letter {
            '%' | '>' | '<' | '!' | '|' | '&' | '.' | ':' | ';' | '$' | '\'' | '"' | '\\' => true,
            '#' => place == KeyScope::Profile,
            _ => false,
        };
        let mut kept = Cow::Borrowed(text);
        if text.contains(is_forbidden) {
            self.note(Loss::CharactersStripped, text);
            kept = Cow::Owned(text.chars().filter(|letter| !is_forbidden(*letter)).collect());
        }
        if kept.len() > bytes_max {
            self.note(Loss::KeyCut, text);
            let mut owned = kept.into_owned();
            owned.truncate(owned.floor_char_boundary(bytes_max));
            kept = Cow::Owned(owned);
        }
        kept
    }
}
