//! What is known about a person: a map once somebody edits it, a text as long as nobody does.
//!
//! A map of ten properties takes a kilobyte and more, its text a quarter of that; three hundred thousand seeded people
//! stay texts, and an export copies them without looking inside.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::upload::profile::phone_number;

/// One person's properties, the standard ones included.
#[derive(Debug)]
pub(crate) enum Properties {
    /// Key by key, as uploads need it.
    Open(Map<String, Value>),
    /// As it was seeded.
    Packed(Box<Packed>),
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

impl Default for Properties {
    fn default() -> Self {
        Self::Open(Map::new())
    }
}

impl Properties {
    /// The map, for edits.
    pub(crate) fn edit(&mut self) -> &mut Map<String, Value> {
        if let Self::Packed(packed) = self {
            *self = Self::Open(packed.open());
        }
        match self {
            Self::Open(map) => map,
            Self::Packed(_) => unreachable!("it was opened above"),
        }
    }

    /// The map, for a look.
    pub(crate) fn map(&self) -> Cow<'_, Map<String, Value>> {
        match self {
            Self::Open(map) => Cow::Borrowed(map),
            Self::Packed(packed) => Cow::Owned(packed.open()),
        }
    }

    /// The map, for good.
    pub(crate) fn into_map(self) -> Map<String, Value> {
        match self {
            Self::Open(map) => map,
            Self::Packed(packed) => packed.open(),
        }
    }

    /// `Name`, `Email` or `Phone`, if it is a text.
    pub(crate) fn contact(&self, key: &str) -> Option<&str> {
        match self {
            Self::Open(map) => map.get(key).and_then(Value::as_str),
            Self::Packed(packed) => match key {
                "Name" => packed.name.as_deref(),
                "Email" => packed.email.as_deref(),
                _ => packed.phone.as_deref(),
            },
        }
    }

    /// The phone number as an export shows it: digits alone.
    pub(crate) fn phone(&self) -> Option<&str> {
        let phone = self.contact("Phone")?;
        phone_number(phone)?;
        phone.strip_prefix('+')
    }

    /// `profileData` of an export: everything but the contact fields, as JSON text.
    pub(crate) fn rest(&self) -> Cow<'_, str> {
        match self {
            Self::Open(map) => {
                let rest: BTreeMap<&String, &Value> = map.iter().filter(|(key, _)| !CONTACT.contains(&key.as_str())).collect();
                Cow::Owned(serde_json::to_string(&rest).unwrap_or_default())
            }
            Self::Packed(packed) => Cow::Borrowed(&packed.rest),
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
