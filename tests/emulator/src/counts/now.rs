//! `POST /1/now.json`: who did something in the last five minutes of the account's clock (reference 8.6).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use serde_json::{Map, Value, json};

use crate::answer::Answer;
use crate::emulator::Inner;
use crate::json::Json;
use crate::lock;
use crate::query::{Field, Refusal};
use crate::report::Rule;
use crate::store::Database;
use crate::upload::record::Devices;

/// Seconds that count as now.
const SPAN_S: i64 = 300;

/// Splits that may be asked for.
const SPLITS: [&str; 5] = ["user_type", "session_source", "browser", "os", "device"];

/// Answers at once.
pub(crate) fn run(inner: &Inner, body: &[u8]) -> Answer {
    let splits = match read(body) {
        Ok(splits) => splits,
        Err(refusal) => {
            lock(&inner.report).broke(Rule::Body);
            return refusal.answer();
        }
    };
    let now = inner.now();
    let devices = inner.devices.read().unwrap_or_else(PoisonError::into_inner);
    let mut database = lock(&inner.database);
    // Person and their last event.
    let mut active = BTreeMap::new();
    for (event, place) in database.events.iter().zip(0_u32..) {
        if event.ts > now - SPAN_S && event.ts <= now && !database.is_gone(event) {
            active.insert(database.person_of(event.identifier), place);
        }
    }
    let mut answer = Map::from_iter([("status".to_owned(), "success".into()), ("count".to_owned(), active.len().into())]);
    for split in splits {
        let parts = if split == "user_type" { user_types(&mut database, &active, now) } else { parts(&database, &devices, &active, split) };
        answer.insert(split.to_owned(), parts);
    }
    Answer::json(200, &answer)
}

fn read(body: &[u8]) -> Result<BTreeSet<&'static str>, Refusal> {
    let Ok(Json::Object(fields)) = Json::parse(body) else {
        return Err(Refusal::new("Malformed request"));
    };
    let mut splits = BTreeSet::new();
    for (key, value) in &fields {
        let split = SPLITS.into_iter().find(|split| split == key).ok_or_else(|| Refusal(format!("Unknown key in query : {key}")))?;
        match value {
            Json::Bool(true) => splits.insert(split),
            Json::Bool(false) => false,
            _ => return Err(Refusal(format!("{key} is true or false"))),
        };
    }
    Ok(splits)
}

fn user_types(database: &mut Database, active: &BTreeMap<u32, u32>, now: i64) -> Value {
    let by_person = database.by_person();
    let is_returning = |person: &&u32| by_person.events(**person).iter().any(|place| database.events[*place as usize].ts <= now - SPAN_S);
    let returning = active.keys().filter(is_returning).count();
    json!({ "new": active.len() - returning, "returning": returning })
}

fn parts(database: &Database, devices: &Devices, active: &BTreeMap<u32, u32>, split: &str) -> Value {
    let mut parts = BTreeMap::<String, u64>::new();
    for (person, place) in active {
        let value = match split {
            "os" => database.field(*person, Field::Technographic, "os", devices),
            "device" => database.field(*person, Field::Technographic, "model", devices),
            "session_source" => {
                let session = database.events[*place as usize].session.as_deref().unwrap_or("{}");
                serde_json::from_str::<Map<String, Value>>(session).unwrap_or_default().get("session_source").cloned()
            }
            _ => None,
        };
        let first = match &value {
            Some(Value::Array(items)) => items.first(),
            other => other.as_ref(),
        };
        if let Some(text) = first.and_then(Value::as_str) {
            *parts.entry(text.to_owned()).or_default() += 1;
        }
    }
    json!(parts)
}
