//! People who were erased leave the ledger.
//!
//! In: their identifiers. Out: the hashes of the keys that are theirs, in every sync, and what the ledger forgot of them. A key that was made of
//! several columns is a JSON list of their texts.

use std::collections::{BTreeSet, HashSet};

use arrow::array::AsArray;
use futures::TryStreamExt;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::hash::{self, Hash};
use crate::ledger::{Forgotten, Holder, Ledger};

pub(super) async fn forget(ledger: &Ledger, identifiers: &[String]) -> Result<Forgotten> {
    let people = People(identifiers.iter().map(String::as_str).collect());
    let mut keys: BTreeSet<Hash> = identifiers.iter().map(|identifier| hash::of_key(identifier)).collect();
    for sync in ledger.syncs().await? {
        if let Some(mut rows) = ledger.rows_of(&sync, &["key"]).await? {
            while let Some(batch) = rows.try_next().await.map_err(Error::from)? {
                let texts = batch.column(0).as_string::<i32>();
                keys.extend(texts.iter().flatten().filter(|key| people.have_key(key)).map(hash::of_key));
            }
        }
        for leftover in ledger.leftovers(&sync).await? {
            keys.extend(leftover.keys.iter().filter(|(key, ..)| people.have_key(key)).map(|(_, key_hash, _)| *key_hash));
        }
        let letters = ledger.dead_letters(&sync).await?;
        keys.extend(
            letters.iter().filter(|letter| people.have_key(&letter.key) || people.are_in(&letter.record)).map(|letter| letter.key_hash),
        );
    }
    let keys: Vec<Hash> = keys.into_iter().collect();
    ledger.forget(&keys, None, &Holder::current()).await
}

/// Identifiers of people.
struct People<'i>(HashSet<&'i str>);

impl People<'_> {
    fn have_key(&self, key: &str) -> bool {
        self.0.contains(key)
            || (key.starts_with('[')
                && serde_json::from_str::<Vec<String>>(key).is_ok_and(|parts| parts.iter().any(|part| self.0.contains(part.as_str()))))
    }

    /// Whether one of them is a text or a number anywhere in a record.
    fn are_in(&self, record: &str) -> bool {
        serde_json::from_str::<Value>(record).is_ok_and(|record| self.are_in_value(&record))
    }

    fn are_in_value(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => self.0.contains(text.as_str()),
            Value::Number(number) => self.0.contains(number.to_string().as_str()),
            Value::Array(values) => values.iter().any(|value| self.are_in_value(value)),
            Value::Object(fields) => fields.values().any(|value| self.are_in_value(value)),
            Value::Null | Value::Bool(_) => false,
        }
    }
}
