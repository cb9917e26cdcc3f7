//! `/1/counts/*.json`: asked once, answered at once or after some polls (reference 8.1 to 8.5).
//!
//! What a question means is counted when it is asked; the polls only keep the answer back.

pub(crate) mod now;
pub(crate) mod pending;
mod top;
mod trends;

use std::sync::PoisonError;

use http::Method;
use serde_json::json;

use crate::answer::Answer;
use crate::api::Api;
use crate::emulator::Inner;
use crate::json::Json;
use crate::lock;
use crate::query::{Event, Query, Refusal, select};
use crate::report::Rule;
use crate::store::Database;
use crate::url_query::parameter;
use pending::PendingCount;

/// The first `req_id`: above 2^53, and odd, so that no float can hold it.
const FIRST_ID: i64 = 9_007_199_254_740_993;

/// Asks or polls.
pub(crate) fn run(inner: &Inner, api: Api, method: &Method, query: &str, body: &[u8]) -> Answer {
    if let Some(id) = parameter(query, "req_id") {
        lock(&inner.report).polls += 1;
        return poll(inner, api, id);
    }
    if method != Method::POST {
        return unknown(inner);
    }
    let answer = match ask(inner, api, body) {
        Ok(answer) => answer,
        Err(answer) => return answer,
    };
    if inner.settings.polls_until_ready == 0 {
        return answer;
    }
    let mut pending = lock(&inner.pending_counts);
    let id = FIRST_ID + 2 * pending.count;
    pending.count += 1;
    pending.by_id.insert(id, PendingCount { api, answer, asked_ms: inner.elapsed_ms(), polls: 0 });
    partial(id)
}

fn partial(id: i64) -> Answer {
    Answer::json(200, &json!({ "status": "partial", "req_id": id }))
}

fn unknown(inner: &Inner) -> Answer {
    lock(&inner.report).broke(Rule::RequestId);
    Answer::fail(400, "Invalid request id")
}

fn poll(inner: &Inner, api: Api, id: &str) -> Answer {
    let now_ms = inner.elapsed_ms();
    let life_ms = inner.settings.request_id_life_s.saturating_mul(1000);
    let mut pending = lock(&inner.pending_counts);
    pending.by_id.retain(|_, count| now_ms.saturating_sub(count.asked_ms) <= life_ms);
    let known = id.parse().ok().and_then(|id: i64| Some((id, pending.by_id.get_mut(&id)?)));
    match known.filter(|(_, count)| count.api == api) {
        None => unknown(inner),
        Some((id, count)) => {
            count.polls = count.polls.saturating_add(1);
            if count.polls < inner.settings.polls_until_ready { partial(id) } else { count.answer.clone() }
        }
    }
}

fn ask(inner: &Inner, api: Api, body: &[u8]) -> Result<Answer, Answer> {
    let refuse = |refusal: Refusal| {
        lock(&inner.report).broke(Rule::Body);
        refusal.answer()
    };
    let zone = inner.settings.time_zone;
    let tree = Json::parse(body).map_err(|_| {
        lock(&inner.report).broke(Rule::Malformed);
        Answer::fail(400, "Malformed request")
    })?;
    let more: &[&str] = match api {
        Api::Trends => &["unique", "sum_event_prop", "groups"],
        Api::Top => &["groups"],
        _ => &[],
    };
    let query = Query::read(&tree, Event::Required, more, inner.now(), zone).map_err(refuse)?;
    let devices = inner.devices.read().unwrap_or_else(PoisonError::into_inner);
    let mut database = lock(&inner.database);
    select::check_names(&query, &database, &inner.settings)?;
    match api {
        Api::CountEvents => Ok(count(select::events(&query, &mut database, &devices).len())),
        Api::CountProfiles => Ok(count(select::people(&query, &mut database, &devices, &[]).len())),
        Api::Trends => trends::run(&tree, &query, &mut database, &devices, zone).map_err(refuse),
        _ => top::run(&tree, &query, &mut database, &devices).map_err(refuse),
    }
}

fn count(count: usize) -> Answer {
    Answer::json(200, &json!({ "status": "success", "count": count }))
}

/// The groups of a trend or a top count: up to five, under names that the answer does not need itself.
///
/// # Errors
///
/// None, too many, a reserved name, something that is not an object.
fn groups<'t, 'b>(tree: &'t Json<'b>) -> Result<&'t [(std::borrow::Cow<'b, str>, Json<'b>)], Refusal> {
    let Some(Json::Object(groups)) = tree.get("groups") else {
        return Err(Refusal::new("groups is mandatory"));
    };
    if groups.is_empty() || groups.len() > 5 {
        return Err(Refusal::new("Invalid groups : 1 to 5 are allowed"));
    }
    for (name, group) in groups {
        if name.is_empty() || matches!(&**name, "status" | "req_id" | "error" | "code") || !matches!(group, Json::Object(_)) {
            return Err(Refusal(format!("Invalid group : {name}")));
        }
    }
    Ok(groups)
}

/// Refuses keys of a group that are not known.
fn check_keys(group: &Json<'_>, known: &[&str]) -> Result<(), Refusal> {
    let Json::Object(fields) = group else {
        return Err(Refusal::new("Invalid group"));
    };
    match fields.iter().find(|(key, _)| !known.contains(&&**key)) {
        None => Ok(()),
        Some((key, _)) => Err(Refusal(format!("Unknown key in group : {key}"))),
    }
}

/// The person behind each event of a selection.
fn person_of(database: &Database, place: u32) -> u32 {
    database.person_of(database.events[place as usize].identifier)
}
