//! What is known about a person: a map once somebody edits it, a text as long as nobody does.
//!
//! A map of ten properties takes a kilobyte and more, its text a quarter of that; three hundred thousand seeded people
//! stay texts, and an export copies them without looking inside.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::upload::profile::phone_number;

/// One person's properties, the standard ones included.
#[derive(Debug, Default)]
pub(crate) struct Properties {
    /// As it was seeded, until the first edit.
    packed: Option<Box<Packed>>,
    /// Key by key; empty as long as there is a text.
    open: Map<String, Value>,
}

/// A seeded person: three standard fields, and the rest as the text of a JSON object.
#[derive(Debug)]
pub(crate) struct Packed {
    pub(crate) name: Option<Box<str>>,
    pub(crate) email: Option<Box<str>>,
    pub(crate) phone: Option<Box<str>>,
    pub(crate) rest: Box<str>,
}

/// The standard fields that an export shows outside `profileData`.
pub(crate) const CONTACT: [&str; 3] = ["Name", "Email", "Phone"];

impl From<Packed> for Properties {
    fn from(packed: Packed) -> Self {
        Self { packed: Some(Box::new(packed)), open: Map::new() }
    }
}

impl Properties {
    /// The map, for edits.
    pub(crate) fn edit(&mut self) -> &mut Map<String, Value> {
        if let Some(packed) = self.packed.take() {
            self.open = packed.open();
        }
        &mut self.open
    }

    /// The map, for a look.
    pub(crate) fn map(&self) -> Cow<'_, Map<String, Value>> {
        match &self.packed {
            None => Cow::Borrowed(&self.open),
            Some(packed) => Cow::Owned(packed.open()),
        }
    }

    /// The map, for good.
    pub(crate) fn into_map(mut self) -> Map<String, Value> {
        std::mem::take(self.edit())
    }

    /// `Name`, `Email` or `Phone`, if it is a text.
    pub(crate) fn contact(&self, key: &str) -> Option<&str> {
        match &self.packed {
            None => self.open.get(key).and_then(Value::as_str),
            Some(packed) => match key {
                "Name" => packed.name.as_deref(),
                "Email" => packed.email.as_deref(),
                _ => packed.phone.as_deref(),
            },
        }
    }

    /// The same, if it is anything but a text: an upload may have put a number there.
    pub(crate) fn odd_contact(&self, key: &str) -> Option<&Value> {
        self.open.get(key).filter(|value| !value.is_string())
    }

    /// The phone number as an export shows it: digits alone.
    pub(crate) fn phone(&self) -> Option<&str> {
        let phone = self.contact("Phone")?;
        phone_number(phone)?;
        phone.strip_prefix('+')
    }

    /// `profileData` of an export: everything but the contact fields, as JSON text.
    pub(crate) fn rest(&self) -> Cow<'_, str> {
        match &self.packed {
            None => {
                let rest: BTreeMap<&String, &Value> = self.open.iter().filter(|(key, _)| !CONTACT.contains(&key.as_str())).collect();
                Cow::Owned(serde_json::to_string(&rest).unwrap_or_default())
            }
            Some(packed) => Cow::Borrowed(&packed.rest),
        }
    }
}

impl Packed {
    fn open(&self) -> Map<String, Value> {
        let mut map: Map<String, Value> = serde_json::from_str(&self.rest).unwrap_or_default();
        for (key, value) in CONTACT.into_iter().zip([&self.name, &self.email, &self.phone]) {
            if let Some(value) = value {
                map.insert(key.to_owned(), Value::from(&**value));
            }
        }
        map
    }
}
