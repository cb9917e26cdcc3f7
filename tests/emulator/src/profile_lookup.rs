//! `GET /1/profile.json`: one person by identity, email or objectId (reference 7.2).

use std::sync::PoisonError;

use serde_json::json;

use crate::answer::Answer;
use crate::emulator::Inner;
use crate::lock;
use crate::report::Rule;
use crate::settings::UnknownProfile;
use crate::upload::identifier::IdentifierKind;
use crate::url_query::decode;

/// Looks one person up; the query must hold exactly one of the three keys.
pub(crate) fn run(inner: &Inner, query: &str) -> Answer {
    let keys: Vec<(&str, String)> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(key, _)| matches!(*key, "identity" | "email" | "objectId"))
        .filter_map(|(key, value)| Some((key, decode(value)?)))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    let [(key, value)] = &keys[..] else {
        lock(&inner.report).broke(Rule::Query);
        return Answer::fail(400, "Exactly one of identity, email and objectId is mandatory");
    };
    let devices = inner.devices.read().unwrap_or_else(PoisonError::into_inner);
    let mut database = lock(&inner.database);
    let person = match *key {
        "identity" => database.find(IdentifierKind::Identity, value),
        "email" => database.find_email(value),
        _ => database.find(IdentifierKind::ObjectId, value),
    };
    match person.and_then(|person| database.record(person, &devices)) {
        Some(record) => Answer::json(200, &json!({ "status": "success", "record": record })),
        None => match inner.settings.unknown_profile {
            UnknownProfile::NotFound => Answer::fail(404, "Profile not found"),
            UnknownProfile::Fail => Answer::fail_with(200, 404, "Profile not found"),
            UnknownProfile::Null => Answer::json(200, &json!({ "status": "success", "record": null })),
        },
    }
}
