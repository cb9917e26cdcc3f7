//! People as they are named on the command line and in files, and looking them up.
//!
//! In: keys. Out: who is there, through SQL on the session; one request a key. A key is in no message: it is a person's.

use std::collections::HashMap;

use arrow::{array::RecordBatch, error::ArrowError, util::display::array_value_to_string};
use datafusion::{common::DataFusionError, error::Result};
use serde::{Deserialize, Serialize};

use crate::session::Session;

/// Keys of one statement: few enough for its text to stay small.
const KEYS_A_QUERY: usize = 500;

/// What a person is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// The customer's own id.
    Identity,
    /// CleverTap's id of a device, which is all that somebody anonymous has.
    ObjectId,
    /// An address. Several people may have it, and CleverTap shows one of them.
    Email,
}

impl Kind {
    /// The more certain first.
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
pub(crate) struct Key {
    pub(crate) kind: Kind,
    pub(crate) value: String,
}

impl Key {
    pub(crate) fn new(kind: Kind, value: impl Into<String>) -> Self {
        Self { kind, value: value.into() }
    }

    /// `identity = 'cust-1001'`.
    pub(crate) fn condition(&self) -> String {
        format!("{} = {}", self.kind.column(), literal(&self.value))
    }
}

/// One key of a command, of three.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
pub(crate) struct Named {
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

impl Named {
    /// The key that was given.
    pub(crate) fn key(&self) -> Option<Key> {
        let given = |kind, value: &Option<String>| value.clone().map(|value| Key { kind, value });
        given(Kind::Identity, &self.identity).or_else(|| given(Kind::Email, &self.email)).or_else(|| given(Kind::ObjectId, &self.object_id))
    }
}

/// Text as SQL has it.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Texts as a list of SQL.
pub(crate) fn literals<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    texts.into_iter().map(literal).collect::<Vec<_>>().join(", ")
}

/// A cell as text; `None` is NULL.
///
/// # Errors
/// Arrow's, for a value that has no text.
pub(crate) fn cell(batch: &RecordBatch, column: &str, row: usize) -> Result<Option<String>, ArrowError> {
    let Some(column) = batch.column_by_name(column) else {
        return Err(ArrowError::SchemaError(format!("no column is named {column}")));
    };
    if column.is_null(row) { Ok(None) } else { array_value_to_string(column, row).map(Some) }
}

/// Looks everybody up. Who is there is told by the key that a deletion takes: the identity, or the device of somebody who has
/// none; who was asked for by their identity is known by just that.
///
/// # Errors
/// The connector's.
pub(crate) async fn look_up(session: &Session, keys: &[Key]) -> Result<HashMap<Key, Key>> {
    let mut found = HashMap::new();
    for kind in Kind::ALL {
        let asked: Vec<&str> = keys.iter().filter(|key| key.kind == kind).map(|key| key.value.as_str()).collect();
        for chunk in asked.chunks(KEYS_A_QUERY) {
            let (column, list) = (kind.column(), literals(chunk.iter().copied()));
            let text =
                format!("SELECT {column} AS asked, identity, object_id AS device FROM clevertap.profiles WHERE {column} IN ({list})");
            for batch in session.rows(&text).await? {
                for row in 0..batch.num_rows() {
                    let cell = |column| cell(&batch, column, row);
                    let Some(asked) = cell("asked")? else { continue };
                    let person = match (cell("identity")?, cell("device")?) {
                        (Some(identity), _) => Key::new(Kind::Identity, identity),
                        (None, Some(device)) => Key::new(Kind::ObjectId, device),
                        (None, None) => {
                            let text = "CleverTap shows neither identity nor object_id of somebody who was looked up";
                            return Err(DataFusionError::Execution(text.into()));
                        }
                    };
                    found.insert(Key::new(kind, asked), person);
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
        let key = Key::new(Kind::Identity, "o'brien' OR '1' = '1");
        assert_eq!(key.condition(), "identity = 'o''brien'' OR ''1'' = ''1'");
        assert_eq!(literals(["a", "b'"]), "'a', 'b'''");
    }
}
