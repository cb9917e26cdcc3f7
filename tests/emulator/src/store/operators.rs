//! One property's edit, applied (reference 5.4).

use serde_json::{Map, Number, Value};

use crate::report::Loss;
use crate::upload::clean::Cleaner;
use crate::upload::profile::{Change, Edit, is_standard};

/// Items of a multi-value; the oldest go first.
const ITEMS_MAX: usize = 100;

/// Changes one property of a person.
pub(crate) fn apply(properties: &mut Map<String, Value>, edit: Edit, custom_max: usize, cleaner: &mut Cleaner) {
    let Edit { key, change } = edit;
    let old = properties.get(&key);
    let new = match change {
        Change::Put(value) => Some(value),
        Change::Replace(items) => Some(keep_newest(&key, distinct(Vec::new(), items), cleaner)),
        Change::Add(items) => Some(keep_newest(&key, distinct(list(old), items), cleaner)),
        Change::Remove(items) => {
            let mut rest = list(old);
            rest.retain(|item| !items.contains(item));
            if rest.is_empty() { None } else { Some(strings(rest)) }
        }
        Change::Delete => None,
        Change::Increase(by) => match step(old, &by, Sign::Plus) {
            Some(number) => Some(number),
            None => return cleaner.note(Loss::OperatorIgnored, &key),
        },
        Change::Decrease(by) => match step(old, &by, Sign::Minus) {
            Some(number) => Some(number),
            None => return cleaner.note(Loss::OperatorIgnored, &key),
        },
    };
    let Some(new) = new else {
        properties.remove(&key);
        return;
    };
    if old.is_none() && !is_standard(&key) && properties.len() >= custom_max {
        let custom = properties.keys().filter(|key| !is_standard(key)).count();
        if custom >= custom_max {
            return cleaner.note(Loss::ProfileProperties, &key);
        }
    }
    properties.insert(key, new);
}

/// The items of a list; a scalar becomes a list of one text.
fn list(value: Option<&Value>) -> Vec<String> {
    match value {
        None => Vec::new(),
        Some(Value::Array(items)) => items.iter().map(text).collect(),
        Some(other) => vec![text(other)],
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn strings(items: Vec<String>) -> Value {
    Value::Array(items.into_iter().map(Value::String).collect())
}

fn distinct(mut list: Vec<String>, items: Vec<String>) -> Vec<String> {
    for item in items {
        if !list.contains(&item) {
            list.push(item);
        }
    }
    list
}

fn keep_newest(key: &str, mut list: Vec<String>, cleaner: &mut Cleaner) -> Value {
    if list.len() > ITEMS_MAX {
        cleaner.note(Loss::ListShortened, key);
        list.drain(..list.len() - ITEMS_MAX);
    }
    strings(list)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    Plus,
    Minus,
}

/// The sum, whole as long as both are; a missing number counts as 0, anything else has no sum.
fn step(old: Option<&Value>, by: &Number, sign: Sign) -> Option<Value> {
    let zero = Number::from(0);
    let old = match old {
        None => &zero,
        Some(Value::Number(number)) => number,
        Some(_) => return None,
    };
    if let (Some(old), Some(by)) = (old.as_i64(), by.as_i64()) {
        let sum = if sign == Sign::Plus { old.checked_add(by) } else { old.checked_sub(by) };
        if let Some(sum) = sum {
            return Some(sum.into());
        }
    }
    let (old, by) = (old.as_f64()?, by.as_f64()?);
    let sum = if sign == Sign::Plus { old + by } else { old - by };
    Number::from_f64(sum).map(Value::Number)
}
