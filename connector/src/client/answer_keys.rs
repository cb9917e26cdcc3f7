//! What the keys of an answer say, whatever call it answers.
//!
//! In: keys and their values, as JSON. Out: whether they say that something failed, that there is more, or something else than the keys that
//! are read. An answer that says two things is trusted in neither.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::value::RawValue;

/// Values that say nothing.
const NOTHING: [&str; 6] = ["null", "false", "\"\"", "0", "[]", "{}"];

/// The keys that every answer is read by.
const READ: [&str; 6] = ["status", "error", "code", "processed", "unprocessed", "record"];

/// Failures under another name than `error`.
const FAILURES: [&str; 5] = ["errors", "failed", "failures", "invalid", "errorcode"];

/// What is told of an answer that says two things.
pub(crate) const SAYS_OTHERWISE: &str = "with keys that say something else than the others: that contradicts itself";

/// Whether an `error` and a `code`, as JSON, say that something failed.
pub(crate) fn says_error(error: Option<&str>, code: Option<&str>) -> bool {
    let is_something = |value: &&str| !NOTHING.contains(value);
    let is_success = |code: &str| matches!(code.trim_matches('"').parse(), Ok(0 | 200 | 201 | 203..=299));
    error.filter(is_something).is_some() || code.filter(is_something).is_some_and(|code| !is_success(code))
}

/// Whether an object has keys that say something else than the ones that are read.
pub(crate) fn says_otherwise(body: &[u8]) -> bool {
    let Ok(keys) = serde_json::from_slice::<BTreeMap<String, &RawValue>>(body) else { return false };
    let mut seen = BTreeSet::new();
    keys.iter().any(|(key, value)| is_otherwise(key, value.get(), &[]) || !seen.insert(key.to_lowercase()))
}

/// Whether a key says something else than the ones that are read: it is one of them (or of `also`) in other letters, or a failure under another
/// name.
pub(crate) fn is_otherwise(key: &str, json: &str, also: &[&str]) -> bool {
    let lower = key.to_lowercase();
    let is_in_other_letters = |read: &&str| *read != key && *read == lower;
    READ.iter().chain(also).any(is_in_other_letters) || (FAILURES.contains(&lower.as_str()) && !NOTHING.contains(&json))
}

/// Whether a key says that this is not all: it looks like the cursor of a next page, like `has_more`, or like `truncated`.
pub(crate) fn says_more(key: &str, json: &str) -> bool {
    let key = key.to_lowercase();
    let is_of_the_rest = ["cursor", "next", "more", "truncated", "incomplete", "partial"].iter().any(|word| key.contains(word));
    is_of_the_rest && !key.contains("prev") && !NOTHING.contains(&json)
}
