//! The keys by which `person` and `erase` name people, and look-ups by them.
//!
//! In: keys from flags or a file. Out: the people that CleverTap has, through SQL on the session; one request a key. No message holds
//! a key, since it belongs to a person.

use std::collections::HashMap;

use datafusion::{common::DataFusionError, error::Result};
use serde::{Deserialize, Serialize};

use crate::{
    engine::session::Session,
    literals::{cell, literal, literals},
};

/// Keys of one statement, so that its text stays small.
const KEYS_A_QUERY: usize = 500;

/// Which column a key is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KeyKind {
    /// The customer's own id.
    Identity,
    /// CleverTap's id of a device, which is all that somebody anonymous has.
    ObjectId,
    /// An address. Several people may have it, and CleverTap shows one of them.
    Email,
}

impl KeyKind {
    /// The most certain first.
    pub(crate) const ALL: [Self; 3] = [Self::Identity, Self::ObjectId, Self::Email];

    /// The column of `clevertap.profiles`.
    pub(crate) const fn column(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::ObjectId => "object_id",
            Self::Email => "email",
        }
    }
}

/// One person, by one key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct PersonKey {
    pub(crate) kind: KeyKind,
    pub(crate) value: String,
}

impl PersonKey {
    pub(crate) fn new(kind: KeyKind, value: impl Into<String>) -> Self {
        Self { kind, value: value.into() }
    }

    /// `identity = 'cust-1001'`.
    pub(crate) fn condition(&self) -> String {
        format!("{} = {}", self.kind.column(), literal(&self.value))
    }
}

/// The flags that name one person.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
pub(crate) struct PersonKeyFlags {
    /// The person with this identity
    #[arg(long, value_name = "ID", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    identity: Option<String>,

    /// The person with this address; CleverTap shows one, though several may have it
    #[arg(long, value_name = "ADDRESS", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    email: Option<String>,

    /// The person of this device, anonymous or not
    #[arg(long, value_name = "ID", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    object_id: Option<String>,
}

impl PersonKeyFlags {
    /// The key that was given.
    pub(crate) fn key(&self) -> Option<PersonKey> {
        let given = |kind, value: &Option<String>| value.clone().map(|value| PersonKey { kind, value });
        given(KeyKind::Identity, &self.identity)
            .or_else(|| given(KeyKind::Email, &self.email))
            .or_else(|| given(KeyKind::ObjectId, &self.object_id))
    }
}

/// Looks people up by their keys. Each one found is given by the key that a deletion takes: the identity, or the device of a person
/// who has none.
///
/// # Errors
/// The connector's.
pub(crate) async fn look_up(session: &Session, keys: &[PersonKey]) -> Result<HashMap<PersonKey, PersonKey>> {
    let mut found = HashMap::new();
    for kind in KeyKind::ALL {
        let values: Vec<&str> = keys.iter().filter(|key| key.kind == kind).map(|key| key.value.as_str()).collect();
        for chunk in values.chunks(KEYS_A_QUERY) {
            let (column, list, profiles) = (kind.column(), literals(chunk.iter().copied()), session.table("profiles"));
            let text = format!("SELECT {column} AS lookup_key, identity, object_id AS device FROM {profiles} WHERE {column} IN ({list})");
            for batch in session.rows(&text).await? {
                for row in 0..batch.num_rows() {
                    let cell = |column| cell(&batch, column, row).map(|text| text.filter(|text| !text.is_empty()));
                    let Some(value) = cell("lookup_key")? else { continue };
                    let person = match (cell("identity")?, cell("device")?) {
                        (Some(identity), _) => PersonKey::new(KeyKind::Identity, identity),
                        (None, Some(device)) => PersonKey::new(KeyKind::ObjectId, device),
                        (None, None) => {
                            let text = "CleverTap shows neither identity nor object_id of somebody who was looked up";
                            return Err(DataFusionError::Execution(text.into()));
                        }
                    };
                    found.insert(PersonKey::new(kind, value), person);
                }
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_in_a_key_stays_inside_its_literal() {
        let key = PersonKey::new(KeyKind::Identity, "o'brien' OR '1' = '1");
        assert_eq!(key.condition(), "identity = 'o''brien'' OR ''1'' = ''1'");
    }
}
