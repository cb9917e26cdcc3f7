//! Reads small answers, each held against the form of its call.
//!
//! In: an [`Answer`] and its [`AnswerForm`]. Out: [`Reply`], or an error that names the call, the HTTP status and the shape of the answer: its
//! keys and the kinds of their values, never a value. Pages of exports have the decoder, which checks as much.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::client::{Answer, is_otherwise, says_error, says_more};
use crate::error::{Error, Result};
use crate::foreign_text::ForeignText;
use crate::table::{AnswerForm, Payload};

/// Most keys that an error shows.
const KEYS_SHOWN: usize = 8;

/// The keys of an object, each with the text of its value, digits and all. A key that is there twice makes it unreadable: which of both is
/// meant, nobody can say.
#[derive(Debug, Default)]
pub(crate) struct UniqueKeys(BTreeMap<String, Box<RawValue>>);

impl<'de> Deserialize<'de> for UniqueKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = UniqueKeys;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<UniqueKeys, A::Error> {
                let mut keys = BTreeMap::new();
                while let Some((key, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    if keys.insert(key, value).is_some() {
                        return Err(serde::de::Error::custom("a key is there twice"));
                    }
                }
                Ok(UniqueKeys(keys))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

impl UniqueKeys {
    pub(crate) fn get(&self, key: &str) -> Option<&RawValue> {
        self.0.get(key).map(AsRef::as_ref)
    }

    pub(crate) fn remove(&mut self, key: &str) -> Option<Box<RawValue>> {
        self.0.remove(key)
    }

    pub(crate) fn into_inner(self) -> BTreeMap<String, Box<RawValue>> {
        self.0
    }

    /// Whether two keys differ in capitals alone.
    fn are_two_alike(&self) -> bool {
        let mut seen = BTreeSet::new();
        !self.0.keys().all(|key| seen.insert(key.to_lowercase()))
    }

    /// Whether a key holds an object or a list.
    fn holds_a_container(&self) -> bool {
        self.0.values().any(|value| value.get().starts_with(['{', '[']))
    }
}

/// Whether an answer has an object or a list beside its error, or cannot be read.
pub(crate) fn holds_something(answer: &Answer) -> bool {
    let keys = serde_json::from_slice::<UniqueKeys>(&answer.body);
    keys.map_or(!answer.body.is_empty(), |mut keys| {
        keys.remove("error");
        keys.holds_a_container()
    })
}

/// A good answer.
#[derive(Debug)]
pub(crate) enum Reply {
    Complete(Complete),
    /// CleverTap is not ready. The keys may hold the id of the request.
    Pending(UniqueKeys),
}

/// The keys of an answer that is complete, and what an error about it needs.
#[derive(Debug)]
pub(crate) struct Complete {
    call: String,
    answer: Answer,
    form: AnswerForm,
    keys: UniqueKeys,
}

/// Reads an answer of `call` (`GET /1/profile.json`). It is complete with HTTP 200 alone, and names no error beside what it holds.
///
/// # Errors
/// [`Error::Answer`] if it is not of the call's form.
pub(crate) fn read(call: impl fmt::Display, answer: &Answer, form: &AnswerForm) -> Result<Reply> {
    let call = call.to_string();
    let Ok(mut keys) = serde_json::from_slice::<UniqueKeys>(&answer.body) else {
        return Err(unexpected(&call, answer, "it is not a JSON object with each key once"));
    };
    let status = keys.get("status").map(|status| serde_json::from_str::<String>(status.get()));
    let is_one_of = |words: &[&str], status: &str| words.iter().any(|word| word.eq_ignore_ascii_case(status));
    match status {
        Some(Ok(status)) if is_one_of(form.pending, &status) => return Ok(Reply::Pending(keys)),
        Some(Ok(status)) if is_one_of(form.complete, &status) => {}
        Some(Ok(status)) if form.complete.is_empty() && status.eq_ignore_ascii_case("success") => {}
        None if form.complete.is_empty() => {}
        None => return Err(unexpected(&call, answer, "it has no status")),
        Some(_) => return Err(unexpected(&call, answer, "its status is of another word")),
    }
    if answer.status != 200 {
        return Err(unexpected(&call, answer, "its HTTP status is not 200"));
    }
    let said = |key| keys.get(key).map(RawValue::get);
    if says_error(said("error"), said("code")) {
        let words = said("error").map_or_else(String::new, |error| format!(" {:?}", ForeignText::of_json(error).to_string()));
        return Err(unexpected(&call, answer, &format!("it names the error{words} and is complete all the same")));
    }
    keys.remove("status");
    let known: Vec<&str> = [form.key(), form.total].into_iter().flatten().collect();
    if keys.0.iter().any(|(key, value)| is_otherwise(key, value.get(), &known)) {
        return Err(unexpected(&call, answer, "a key says something else than the ones that are read"));
    }
    Ok(Reply::Complete(Complete { call, answer: answer.clone(), form: *form, keys }))
}

/// Reads an answer of a call that is never pending.
///
/// # Errors
/// [`Error::Answer`] if it is not of the call's form.
pub(crate) fn read_complete(call: impl fmt::Display, answer: &Answer, form: &AnswerForm) -> Result<Complete> {
    let call = call.to_string();
    match read(&call, answer, form)? {
        Reply::Complete(complete) => Ok(complete),
        Reply::Pending(_) => Err(unexpected(&call, answer, "its status is of another word")),
    }
}

impl Complete {
    /// Whether it has this key.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.keys.get(key).is_some()
    }

    /// The error for this answer.
    pub(crate) fn unexpected(&self, why: &str) -> Error {
        unexpected(&self.call, &self.answer, why)
    }

    /// What stands under the key of the payload. `None` if there is nothing: it is `null`, or absent in an answer that has no other place
    /// for it.
    fn take(&mut self) -> Result<Option<Box<RawValue>>> {
        let key = self.form.key().unwrap_or_default();
        match self.keys.remove(key) {
            Some(value) if value.get() == "null" => Ok(None),
            Some(value) => Ok(Some(value)),
            None if self.keys.holds_a_container() => Err(self.unexpected(&format!("it has no \"{key}\""))),
            None => Ok(None),
        }
    }

    /// The record, an object that is not empty.
    pub(crate) fn record(mut self) -> Result<Option<Box<RawValue>>> {
        let Some(record) = self.take()? else { return Ok(None) };
        match serde_json::from_str::<UniqueKeys>(record.get()) {
            Ok(keys) if keys.are_two_alike() => Err(self.unexpected("two keys of its record differ in capitals alone")),
            Ok(keys) if !keys.0.is_empty() => Ok(Some(record)),
            _ => Err(self.unexpected(&format!("its \"{}\" is no object with keys", self.form.key().unwrap_or_default()))),
        }
    }

    /// The items of the list. `None` if the answer has none.
    pub(crate) fn list(mut self) -> Result<Option<Vec<Box<RawValue>>>> {
        let Some(list) = self.take()? else { return Ok(None) };
        let list = serde_json::from_str(list.get());
        list.map(Some).map_err(|_| self.unexpected(&format!("its \"{}\" is no list", self.form.key().unwrap_or_default())))
    }

    /// The error if a key says that there is more than this answer holds.
    pub(crate) fn says_more(&self) -> Option<Error> {
        let says_more = self.keys.0.iter().any(|(key, value)| says_more(key, value.get()));
        says_more.then(|| self.unexpected("a key says that there is more, and the list is not complete"))
    }

    /// The number under `key`, of all records or pages. `None` if the answer does not have one.
    pub(crate) fn total(&self, key: Option<&str>) -> Result<Option<u64>> {
        let Some((key, total)) = key.and_then(|key| Some((key, self.keys.get(key)?))).filter(|(_, total)| total.get() != "null") else {
            return Ok(None);
        };
        whole_number(total).map(Some).ok_or_else(|| self.unexpected(&format!("its \"{key}\" is no count")))
    }

    /// The number.
    pub(crate) fn count(mut self) -> Result<u64> {
        let key = self.form.key().unwrap_or_default();
        let count = self.keys.remove(key).and_then(|count| whole_number(&count));
        count.ok_or_else(|| self.unexpected(&format!("its \"{key}\" is no count")))
    }

    /// The object of a group.
    pub(crate) fn group(&self, name: &str) -> Result<UniqueKeys> {
        let group = self.keys.get(name).and_then(|group| serde_json::from_str(group.get()).ok());
        group.ok_or_else(|| self.unexpected("it has no object for a group that was asked for"))
    }

    /// Whether the answer itself is the record.
    pub(crate) fn is_itself(&self) -> bool {
        matches!(self.form.payload, Payload::Itself(_))
    }

    /// The answer itself, if its number is one.
    pub(crate) fn itself(self) -> Result<BTreeMap<String, Box<RawValue>>> {
        if let Payload::Itself(count) = self.form.payload
            && self.keys.get(count).and_then(whole_number).is_none()
        {
            return Err(self.unexpected(&format!("its \"{count}\" is no count")));
        }
        Ok(self.keys.into_inner())
    }
}

/// A count: a whole number from 0 on, as a number or as text.
pub(crate) fn whole_number(value: &RawValue) -> Option<u64> {
    let text = value.get();
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    text.parse::<u64>().ok().filter(|count| i64::try_from(*count).is_ok())
}

/// The error for an answer of another form.
pub(crate) fn unexpected(call: &str, answer: &Answer, why: &str) -> Error {
    Error::Answer(format!(
        "{call} was answered {} with {}, which this version does not read: {why}. Please report this.",
        answer.status,
        shape(&answer.body)
    ))
}

/// The keys of an answer and the kinds of their values; of `status` its word.
fn shape(body: &[u8]) -> String {
    if body.is_empty() {
        return "an empty body".into();
    }
    let Ok(keys) = serde_json::from_slice::<BTreeMap<String, &RawValue>>(body) else { return "something that is no JSON object".into() };
    let mut shown: Vec<String> = keys
        .iter()
        .take(KEYS_SHOWN)
        .map(|(key, value)| match key.as_str() {
            "status" => format!("\"status\": {}", serde_json::Value::from(ForeignText::of_json(value.get()).to_string())),
            key => format!("{}: {}", serde_json::Value::from(ForeignText::new(key).to_string()), kind(value)),
        })
        .collect();
    if keys.len() > KEYS_SHOWN {
        shown.push("…".into());
    }
    format!("{{{}}}", shown.join(", "))
}

fn kind(value: &RawValue) -> &'static str {
    match value.get().as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b'"') => "a text",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERSON: AnswerForm = AnswerForm::success(Payload::Record("record"));
    const EVENTS: AnswerForm = AnswerForm::success(Payload::List("events"));
    const COUNT: AnswerForm = AnswerForm::computed(Payload::Count("count"));

    fn record(body: &'static str) -> Result<Option<String>> {
        let answer = Answer::new(200, body);
        Ok(read_complete("GET /1/profile.json", &answer, &PERSON)?.record()?.map(|record| record.get().to_owned()))
    }

    #[test]
    fn nobody_is_said_in_no_other_form() {
        for nobody in [r#"{"status":"success","record":null}"#, r#"{"status":"success"}"#, r#"{"status":"SUCCESS","message":"x"}"#] {
            assert_eq!(record(nobody).unwrap(), None, "{nobody}");
        }
        assert_eq!(record(r#"{"status":"success","record":{"a":1}}"#).unwrap().as_deref(), Some(r#"{"a":1}"#));
        for other in [
            r#"{"status":"success","data":{"a":1}}"#,
            r#"{"status":"success","records":[]}"#,
            r#"{"status":"fail","processed":3}"#,
            r#"{"status":"partial"}"#,
            r#"{"record":null}"#,
            r#"{"status":null,"record":null}"#,
            r#"{"status":"success","record":[]}"#,
            r#"{"status":"success","record":{}}"#,
            r#"{"status":"success","record":"x"}"#,
            r#"{"status":"success","record":{"a":1},"record":null}"#,
            r#"{"status":"success","record":{"a":1,"a":2}}"#,
            r#"{"status":"success","record":null,"error":"busy"}"#,
            r#"{"status":"success","record":{"a":1},"error":["busy"]}"#,
            r#"{"status":"success","code":400}"#,
            "[]",
            "",
        ] {
            let error = record(other).expect_err(other).to_string();
            assert!(error.starts_with("GET /1/profile.json was answered 200 with "), "{error}");
        }
    }

    #[test]
    fn an_error_shows_keys_and_kinds_and_no_value() {
        let error =
            record(r#"{"status":"wEird ann@example.org","data":{"name":"Ann"},"n":4,"ann@example.org":"x"}"#).unwrap_err().to_string();
        assert_eq!(
            error,
            "GET /1/profile.json was answered 200 with {\"…\": a text, \"data\": an object, \"n\": a number, \"status\": \"wEird …\"}, which this \
             version does not read: its status is of another word. Please report this. [CT-304]"
        );
    }

    #[test]
    fn counts_are_whole_numbers_from_0_on() {
        let count = |body: &'static str| {
            let answer = Answer::new(200, body);
            match read("POST /1/counts/events.json", &answer, &COUNT)? {
                Reply::Complete(complete) => complete.count().map(Some),
                Reply::Pending(_) => Ok(None),
            }
        };
        assert_eq!(count(r#"{"status":"success","count":7}"#).unwrap(), Some(7));
        assert_eq!(count(r#"{"status":"success","count":"7"}"#).unwrap(), Some(7));
        assert_eq!(count(r#"{"status":"partial","req_id":7}"#).unwrap(), None);
        for other in ["-5", "1.5", "null", "\"\"", "[7]", "18446744073709551615"] {
            let body = format!(r#"{{"status":"success","count":{other}}}"#).leak();
            assert!(count(body).is_err(), "{other}");
        }
    }

    #[test]
    fn a_list_that_is_not_there_is_empty_if_nothing_else_could_be_it() {
        let list = |body: &'static str| {
            let answer = Answer::new(200, body);
            Ok::<_, Error>(read_complete("GET /getSchema", &answer, &EVENTS)?.list()?.map(|list| list.len()))
        };
        assert_eq!(list(r#"{"status":"success","events":[{},"a"]}"#).unwrap(), Some(2));
        assert_eq!(list(r#"{"status":"success","total_results":0}"#).unwrap(), None);
        assert!(list(r#"{"status":"success","eventz":[{}]}"#).is_err());
        assert!(list(r#"{"status":"success","events":{}}"#).is_err());
    }
}
