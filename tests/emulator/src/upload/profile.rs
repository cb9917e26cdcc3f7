//! The rules for a record of type profile, after those that all records share (reference 4.2, 5.4).
//!
//! In: `profileData`. Out: the edits that the store makes, in the order of the keys.

use serde_json::{Number, Value};

use crate::json::{Json, Object};
use crate::report::Loss;
use crate::upload::clean::{Cleaner, KeyScope};
use crate::upload::codes::Reason;

/// The standard fields that hold one value: no list may be put there.
const SINGLE: [&str; 10] = ["Name", "Email", "Phone", "Gender", "Employed", "Education", "Married", "Age", "DOB", "Photo"];

/// One property's change.
#[derive(Debug)]
pub(crate) struct Edit {
    pub(crate) key: String,
    pub(crate) change: Change,
}

/// What a property's value asks for.
#[derive(Debug)]
pub(crate) enum Change {
    /// A plain value.
    Put(Value),
    /// `$set`, or a plain list.
    Replace(Vec<String>),
    /// `$add`.
    Add(Vec<String>),
    /// `$remove`.
    Remove(Vec<String>),
    /// `$delete`.
    Delete,
    /// `$incr`.
    Increase(Number),
    /// `$decr`.
    Decrease(Number),
}

/// Whether a property is one of CleverTap's own, which do not count towards the limit of custom ones.
pub(crate) fn is_standard(key: &str) -> bool {
    SINGLE.contains(&key)
        || matches!(key, "Tz" | "Timezone" | "Customer Type" | "category-unsubscribe" | "category-resubscribe")
        || key.starts_with("MSG-")
}

/// Checks the standard fields and reads the edits.
///
/// # Errors
///
/// 514 to 520 in their order; only the first is reported.
pub(crate) fn check(data: &Object<'_>, cleaner: &mut Cleaner) -> Result<(Option<String>, Vec<Edit>), Reason> {
    check_standard(data)?;
    let mut identity = None;
    let mut edits = Vec::with_capacity(data.len());
    for (key, value) in data {
        if *value == Json::Null {
            continue;
        }
        if key == "identity" {
            match super::identifier::identifier(value) {
                Some(text) => identity = Some(text.into_owned()),
                None => cleaner.note(Loss::ValueDropped, key),
            }
            continue;
        }
        let Some(clean) = cleaner.key(key, KeyScope::Profile) else {
            continue;
        };
        if let Some(change) = change(&clean, value, cleaner) {
            edits.push(Edit { key: clean.into_owned(), change });
        }
    }
    Ok((identity, edits))
}

fn check_standard(data: &Object<'_>) -> Result<(), Reason> {
    type Rule = (&'static str, Reason, fn(&Json<'_>) -> bool);
    const RULES: [Rule; 7] = [
        ("Gender", Reason::Gender, is_gender),
        ("Email", Reason::Email, |value| value.as_text().is_some_and(is_email)),
        ("Phone", Reason::Phone, |value| value.as_text().is_some_and(|text| phone_number(text).is_some())),
        ("Employed", Reason::Employed, is_yes_or_no),
        ("Education", Reason::Education, |value| matches!(value.as_text(), Some("School" | "College" | "Graduate"))),
        ("Married", Reason::Married, is_yes_or_no),
        ("Age", Reason::Age, is_age),
    ];
    for (key, reason, holds) in RULES {
        let Some((_, value)) = data.iter().find(|(name, _)| name == key) else {
            continue;
        };
        if *value != Json::Null && !is_delete(value) && !holds(value) {
            return Err(reason);
        }
    }
    Ok(())
}

fn is_delete(value: &Json<'_>) -> bool {
    matches!(value, Json::Object(object) if object.len() == 1 && object[0].0 == "$delete" && is_yes(&object[0].1))
}

/// The argument of `$delete`: 1, or `true` as the web SDK sends.
fn is_yes(value: &Json<'_>) -> bool {
    match value {
        Json::Bool(flag) => *flag,
        Json::Number(number) => number.as_u64() == Some(1),
        _ => false,
    }
}

fn is_gender(value: &Json<'_>) -> bool {
    const KNOWN: [&str; 9] = ["M", "F", "O", "U", "Male", "Female", "Other", "Others", "Unknown"];
    value.as_text().is_some_and(|text| KNOWN.iter().any(|known| known.eq_ignore_ascii_case(text)))
}

fn is_yes_or_no(value: &Json<'_>) -> bool {
    matches!(value.as_text(), Some("Y" | "N"))
}

fn is_age(value: &Json<'_>) -> bool {
    match value {
        Json::Number(number) => number.as_f64().is_some_and(|age| age >= 0.0),
        Json::Text(text) => !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()),
        _ => false,
    }
}

/// Whether a text is an e-mail address.
pub(crate) fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let has_top = domain.rsplit_once('.').is_some_and(|(_, top)| top.len() >= 2);
    let is_plain =
        |letter: char| !letter.is_whitespace() && !letter.is_control() && !matches!(letter, '@' | ',' | ';' | '<' | '>' | '"' | '(' | ')');
    !local.is_empty()
        && local.split('.').all(|part| !part.is_empty())
        && local.chars().all(is_plain)
        && has_top
        && domain.split('.').all(is_label)
}

/// A phone number without its plus, if it is one: `+`, more than 8 characters in all, at most 15 digits.
pub(crate) fn phone_number(text: &str) -> Option<u64> {
    let digits = text.strip_prefix('+')?;
    let fits = (8..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    if fits { digits.parse().ok() } else { None }
}

fn change(key: &str, value: &Json<'_>, cleaner: &mut Cleaner) -> Option<Change> {
    let is_category = matches!(key, "category-unsubscribe" | "category-resubscribe");
    if (is_category && !matches!(value, Json::Object(_)))
        || (key.starts_with("MSG-") && !matches!(value, Json::Bool(_)) && !is_delete(value))
    {
        cleaner.note(Loss::ValueDropped, key);
        return None;
    }
    match value {
        Json::Null => None,
        Json::Bool(_) | Json::Number(_) => Some(Change::Put(value.to_value())),
        Json::Text(text) => Some(Change::Put(Value::String(cleaner.value(key, text).to_owned()))),
        Json::List(items) => list(key, items, cleaner, Loss::ValueDropped).map(Change::Replace),
        Json::Object(_) if is_category => Some(Change::Put(value.to_value())),
        Json::Object(object) => {
            let [(operator, argument)] = &object[..] else {
                let is_operator = object.iter().any(|(name, _)| name.starts_with('$'));
                cleaner.note(if is_operator { Loss::OperatorIgnored } else { Loss::ValueDropped }, key);
                return None;
            };
            operate(key, operator, argument, cleaner)
        }
    }
}

fn operate(key: &str, operator: &str, argument: &Json<'_>, cleaner: &mut Cleaner) -> Option<Change> {
    match (operator, argument) {
        ("$set", Json::List(items)) => list(key, items, cleaner, Loss::OperatorIgnored).map(Change::Replace),
        ("$add", Json::List(items)) => list(key, items, cleaner, Loss::OperatorIgnored).map(Change::Add),
        ("$remove", Json::List(items)) => list(key, items, cleaner, Loss::OperatorIgnored).map(Change::Remove),
        ("$delete", argument) if is_yes(argument) => Some(Change::Delete),
        ("$incr", Json::Number(by)) if is_positive(by) => Some(Change::Increase(by.clone())),
        ("$decr", Json::Number(by)) if is_positive(by) => Some(Change::Decrease(by.clone())),
        _ => {
            let kind = if operator.starts_with('$') { Loss::OperatorIgnored } else { Loss::ValueDropped };
            cleaner.note(kind, key);
            None
        }
    }
}

fn is_positive(number: &Number) -> bool {
    number.as_f64().is_some_and(|number| number > 0.0)
}

/// The items of a multi-value as texts; none, with an entry, where no list may be or an item is nested.
fn list(key: &str, items: &[Json<'_>], cleaner: &mut Cleaner, loss: Loss) -> Option<Vec<String>> {
    if SINGLE.contains(&key) || !items.iter().all(Json::is_scalar) {
        cleaner.note(loss, key);
        return None;
    }
    let texts = items.iter().filter(|item| **item != Json::Null).map(|item| match item {
        Json::Text(text) => cleaner.value(key, text).to_owned(),
        other => other.to_value().to_string(),
    });
    Some(texts.collect())
}
