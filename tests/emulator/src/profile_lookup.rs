//! `GET /1/profile.json`: one person by identity, email or objectId (reference 7.2).

use std::sync::PoisonError;

use serde_json::json;

use crate::answer::Answer;
use crate::emulator::Inner;
use crate::lock;
use crate::report::Rule;
use crate::settings::UnknownProfile;
use crate::upload::record::Kind;

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
    let mut books = lock(&inner.books);
    let person = match *key {
        "identity" => books.find(Kind::Identity, value),
        "email" => books.find_email(value),
        _ => books.find(Kind::ObjectId, value),
    };
    match person.and_then(|person| books.record(person, &devices)) {
        Some(record) => Answer::json(200, &json!({ "status": "success", "record": record })),
        None => match inner.settings.unknown_profile {
            UnknownProfile::NotFound => Answer::fail(404, "Profile not found"),
            UnknownProfile::Fail => Answer::fail_with(200, 404, "Profile not found"),
            UnknownProfile::Null => Answer::json(200, &json!({ "status": "success", "record": null })),
        },
    }
}

/// Percent-decoding as a form does it: a bare plus is a blank.
pub(crate) fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}
