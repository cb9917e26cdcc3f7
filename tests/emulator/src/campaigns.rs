//! Message reports and campaigns, as the settings list them (reference 11).

use serde_json::{Map, Value, json};

use crate::answer::Answer;
use crate::emulator::Inner;
use crate::json::Json;
use crate::lock;
use crate::query::{Refusal, day, days};
use crate::report::Rule;
use crate::settings::NoResult;

/// The lists that narrow a message report, and the words that each takes; none: any word.
const FILTERS: [(&str, &str, &[&str]); 5] = [
    (
        "channel",
        "channel",
        &[
            "push",
            "email",
            "sms",
            "browser",
            "audiences",
            "inapp",
            "webhooks",
            "whatsapp",
            "web_pop_up",
            "web_exit_intent",
            "web_native_display",
            "web_inbox",
            "tiktok",
        ],
    ),
    ("delivery", "delivery", &["one_time", "inaction", "action", "recurring", "property_time", "api", "multiple_dates"]),
    ("status", "status", &["scheduled", "running", "stopped", "completed"]),
    ("message_type", "message_type", &["single", "ab", "message_on_user_property"]),
    ("label", "labels", &[]),
];

/// `POST /1/message/report.json`.
pub(crate) fn messages(inner: &Inner, body: &[u8]) -> Answer {
    answer(inner, body, |tree| {
        check_keys(tree, &["from", "to", "channel", "delivery", "status", "message_type", "label", "daily"])?;
        let (from, to) = (text_day(tree, "from")?, text_day(tree, "to")?);
        check_order(from, to)?;
        let is_daily = match tree.get("daily") {
            None => false,
            Some(Json::Bool(flag)) => *flag,
            Some(_) => return Err(Refusal::new("daily is true or false")),
        };
        let mut filters = Vec::new();
        for (key, column, words) in FILTERS {
            if let Some(wanted) = words_of(tree, key, words)? {
                filters.push((column, wanted));
            }
        }
        let mut found = Vec::new();
        for message in inner.settings.messages.iter().filter_map(Value::as_object) {
            let is_there = started(message).is_some_and(|day| (from..=to).contains(&day));
            if is_there && filters.iter().all(|(column, wanted)| has(message, column, wanted)) {
                let mut message = message.clone();
                if !is_daily {
                    message.remove("daily");
                }
                found.push(message);
            }
        }
        Ok(Answer::json(200, &json!({ "status": "success", "total_results": found.len(), "messages": found })))
    })
}

/// `POST /1/targets/list.json`.
pub(crate) fn list(inner: &Inner, body: &[u8]) -> Answer {
    answer(inner, body, |tree| {
        check_keys(tree, &["from", "to"])?;
        let (from, to) = (day(tree, "from")?, day(tree, "to")?);
        check_order(from, to)?;
        let mut targets = Vec::new();
        for campaign in inner.settings.campaigns.iter().filter(|campaign| (from..=to).contains(&i64::from(campaign.day))) {
            let mut target = campaign.more.clone();
            target.insert("id".to_owned(), campaign.id.into());
            target.insert("name".to_owned(), campaign.name.clone().into());
            target.insert("scheduled_on".to_owned(), campaign.scheduled_on.clone().into());
            target.insert("status".to_owned(), campaign.status.clone().into());
            targets.push(target);
        }
        Ok(Answer::json(200, &json!({ "status": "success", "targets": targets })))
    })
}

/// `POST /1/targets/result.json`.
pub(crate) fn result(inner: &Inner, body: &[u8]) -> Answer {
    answer(inner, body, |tree| {
        check_keys(tree, &["id"])?;
        let id = match tree.get("id") {
            Some(Json::Number(id)) => id.as_i64(),
            _ => None,
        };
        let Some(campaign) = inner.settings.campaigns.iter().find(|campaign| Some(campaign.id) == id) else {
            return Err(Refusal::new("Invalid campaign id"));
        };
        Ok(match (&campaign.result, inner.settings.no_result) {
            (Some(result), _) => Answer::json(200, &json!({ "status": "success", "result": result })),
            (None, NoResult::ServerError) => Answer::fail(500, "This target has no result as of yet"),
            (None, NoResult::UnderSuccess) => {
                Answer::json(200, &json!({ "status": "success", "error": "This target hasn't been completed", "code": 200 }))
            }
            (None, NoResult::Conflict) => Answer::fail(409, "This target has no result as of yet"),
        })
    })
}

/// Reads a body and notes what is wrong with it.
pub(crate) fn answer(inner: &Inner, body: &[u8], run: impl FnOnce(&Json<'_>) -> Result<Answer, Refusal>) -> Answer {
    let refused = match Json::parse(body) {
        Ok(tree @ Json::Object(_)) => match run(&tree) {
            Ok(answer) => return answer,
            Err(refusal) => (Rule::Body, refusal),
        },
        _ => (Rule::Malformed, Refusal::new("Malformed request")),
    };
    lock(&inner.report).broke(refused.0);
    refused.1.answer()
}

/// Refuses keys that the path does not take.
pub(crate) fn check_keys(tree: &Json<'_>, known: &[&str]) -> Result<(), Refusal> {
    match tree {
        Json::Object(fields) => match fields.iter().find(|(key, _)| !known.contains(&&**key)) {
            None => Ok(()),
            Some((key, _)) => Err(Refusal(format!("Unknown key in query : {key}"))),
        },
        _ => Err(Refusal::new("Malformed request")),
    }
}

fn check_order(from: i64, to: i64) -> Result<(), Refusal> {
    if from > to { Err(Refusal::new("Invalid date range : from is after to")) } else { Ok(()) }
}

/// A day as text, which the documentation asks for, or as a number, which works too (unknowns 1.13).
fn text_day(tree: &Json<'_>, key: &str) -> Result<i64, Refusal> {
    let Some(Json::Text(text)) = tree.get(key) else {
        return day(tree, key);
    };
    let packed = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    packed.filter(|packed| days::date(*packed).is_some()).ok_or_else(|| Refusal(format!("Invalid date : {key} is YYYYMMDD")))
}

fn words_of(tree: &Json<'_>, key: &str, known: &[&str]) -> Result<Option<Vec<String>>, Refusal> {
    let items = match tree.get(key) {
        None => return Ok(None),
        Some(Json::List(items)) => items,
        Some(_) => return Err(Refusal(format!("{key} is a list"))),
    };
    let mut words = Vec::with_capacity(items.len());
    for item in items {
        match item.as_text() {
            Some(word) if known.is_empty() || known.contains(&word) => words.push(word.to_owned()),
            _ => return Err(Refusal(format!("Invalid {key}"))),
        }
    }
    Ok(Some(words))
}

/// The day on which a message started.
fn started(message: &Map<String, Value>) -> Option<i64> {
    let date = message.get("start_date")?.as_str()?;
    let digits: String = date.chars().filter(char::is_ascii_digit).take(8).collect();
    digits.parse().ok().filter(|packed| days::date(*packed).is_some())
}

/// `One Time` is what `one_time` asks for.
fn has(message: &Map<String, Value>, column: &str, wanted: &[String]) -> bool {
    let is_wanted = |value: &Value| {
        value.as_str().is_some_and(|text| {
            let plain = text.to_lowercase().replace([' ', '-'], "_");
            wanted.iter().any(|word| *word == plain || *word == text)
        })
    };
    match message.get(column) {
        Some(Value::Array(items)) => items.iter().any(is_wanted),
        Some(value) => is_wanted(value),
        None => false,
    }
}
