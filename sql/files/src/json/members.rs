//! A record -> its members: names and values, each value as it stands in the file.
//!
//! In: the JSON of an object or a list. Out: slices of it. All syntax is checked here; a name that comes twice is an error, since one of
//! its values would be lost.

use std::{borrow::Cow, fmt, sync::Arc};

use memchr::memchr;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::TextError;

/// Where a record is.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    pub(super) file: Arc<str>,
    /// Its first line.
    pub(super) line: u64,
}

impl Origin {
    pub(super) fn error(&self, what: impl Into<String>) -> TextError {
        TextError::new(&self.file, what).line(self.line)
    }

    /// The second pass sees something else than the first did.
    pub(super) fn changed(&self) -> TextError {
        self.error("the file changed while it was read")
    }

    /// What serde says of `json`, which begins in this line. It says nothing of the values.
    fn syntax(&self, json: &str, error: &serde_json::Error) -> TextError {
        let text = error.to_string();
        let what = text.split(" at line ").next().unwrap_or(&text);
        let line = json.split('\n').nth(error.line().saturating_sub(1)).unwrap_or_default();
        // The column is the last byte that was read.
        let rest = line.get(error.column().saturating_sub(1)..).unwrap_or_default();
        let is_no_number = ["NaN", "Infinity", "-Infinity", "nan", "inf"].iter().any(|text| rest.trim_start().starts_with(text))
            || line.get(error.column().saturating_sub(2)..).is_some_and(|rest| rest.starts_with("-I"));
        let at = Self { line: self.line + error.line().saturating_sub(1) as u64, ..self.clone() };
        if is_no_number {
            at.error("NaN and Infinity are no JSON").remedy("null in their place is read as NULL")
        } else {
            at.error(format!("this is no JSON: {what}"))
        }
    }
}

/// The members of an object in their order.
pub(super) type Members<'a> = Vec<(Cow<'a, str>, &'a str)>;

/// Splits an object.
///
/// # Errors
/// Its syntax; a name that comes twice.
pub(super) fn members<'a>(json: &'a str, origin: &Origin) -> Result<Members<'a>, TextError> {
    let Object(members) = serde_json::from_str(json).map_err(|error| origin.syntax(json, &error))?;
    let is_twice = |(at, (name, _)): (usize, &(Cow<'_, str>, &str))| members.iter().take(at).any(|(other, _)| other == name);
    let is_any_twice = if members.len() < 32 {
        members.iter().enumerate().any(is_twice)
    } else {
        let mut names: Vec<&str> = members.iter().map(|(name, _)| name.as_ref()).collect();
        names.sort_unstable();
        names.windows(2).any(|pair| pair.first() == pair.last())
    };
    if is_any_twice {
        return Err(origin.error("an object has two members of one name"));
    }
    Ok(members)
}

/// Splits a list.
///
/// # Errors
/// Its syntax.
pub(super) fn elements<'a>(json: &'a str, origin: &Origin) -> Result<Vec<&'a str>, TextError> {
    let elements: Vec<&'a RawValue> = serde_json::from_str(json).map_err(|error| origin.syntax(json, &error))?;
    Ok(elements.into_iter().map(RawValue::get).collect())
}

/// The text of a JSON string, quotes included.
///
/// # Errors
/// Half of a surrogate pair, which is no character.
pub(super) fn text<'a>(json: &'a str, origin: &Origin) -> Result<Cow<'a, str>, TextError> {
    let inner = json.get(1..json.len().saturating_sub(1)).unwrap_or_default();
    if memchr(b'\\', inner.as_bytes()).is_none() {
        return Ok(Cow::Borrowed(inner));
    }
    // Its escapes were checked with the record, but for this.
    let what = "a text holds half of a surrogate pair (\\ud800 to \\udfff), which is no character";
    let text: String = serde_json::from_str(json).map_err(|_| origin.error(what))?;
    Ok(Cow::Owned(text))
}

struct Object<'a>(Members<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<'a>(std::marker::PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for Members<'a> {
            type Value = Object<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut members = Vec::new();
                while let Some((Name(name), value)) = map.next_entry::<Name<'a>, &'a RawValue>()? {
                    members.push((name, value.get()));
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(Members(std::marker::PhantomData))
    }
}

/// A name, borrowed where it has no escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Cow<'de, str>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(text))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Cow::Owned(text.to_owned()))
            }
        }
        deserializer.deserialize_str(Text).map(Self)
    }
}
