//! The rest of a record: the keys that no column takes.
//!
//! In: a record and the JSON pointers of the columns. Out: an object of what is left, in CleverTap's own digits: a number is never read, so
//! that none is rounded.

use std::collections::BTreeMap;

use serde_json::value::{RawValue, to_raw_value};

use crate::table::{Source, Table};

/// The keys of a record, with the text of their values.
pub(crate) type RawRecord = BTreeMap<String, Box<RawValue>>;

/// The JSON pointers of the columns of a table.
pub(crate) fn pointers_of(table: &Table) -> Vec<&'static str> {
    let pointers = table.read_columns().flat_map(|column| match &column.source {
        Source::At(pointer) => std::slice::from_ref(pointer),
        Source::LookupKey(pointers) | Source::Either(pointers) => pointers,
        Source::Filter | Source::Rest | Source::Nowhere => &[],
    });
    pointers.copied().collect()
}

/// The keys at none of the pointers. An object of which nothing is left is left out.
pub(crate) fn rest(record: &RawRecord, pointers: &[&str]) -> RawRecord {
    let mut left = RawRecord::new();
    for (key, value) in record {
        // Of a pointer that goes through this key, what is below it.
        let found: Vec<Option<&str>> = pointers
            .iter()
            .filter_map(|pointer| {
                let steps = pointer.strip_prefix('/')?;
                let first = steps.split('/').next()?;
                (first == key).then(|| steps.get(first.len()..).filter(|below| !below.is_empty()))
            })
            .collect();
        if found.contains(&None) {
            continue;
        }
        let inner = if found.is_empty() { None } else { serde_json::from_str::<RawRecord>(value.get()).ok() };
        match inner {
            None => _ = left.insert(key.clone(), value.clone()),
            Some(inner) => {
                let inner = rest(&inner, &found.into_iter().flatten().collect::<Vec<_>>());
                left.extend((!inner.is_empty()).then(|| Some((key.clone(), to_raw_value(&inner).ok()?))).flatten());
            }
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_column_takes_is_left_with_all_its_digits() {
        let left =
            |record: &str, pointers: &[&str]| serde_json::to_string(&rest(&serde_json::from_str(record).unwrap(), pointers)).unwrap();
        let record = r#"{"ts":1,"n":12345678901234567890123,"profile":{"name":"Ann","df":{"0":1.10}},"event_props":{"a":1}}"#;
        assert_eq!(left(record, &["/ts", "/profile/name", "/event_props"]), r#"{"n":12345678901234567890123,"profile":{"df":{"0":1.10}}}"#);
        assert_eq!(left(record, &["/ts", "/n", "/profile", "/event_props"]), "{}");
        assert_eq!(left(r#"{"profile":{"name":"Ann"}}"#, &["/profile/name"]), "{}");
        assert_eq!(left(r#"{"profile":"Ann"}"#, &["/profile/name"]), r#"{"profile":"Ann"}"#);
    }
}
