//! `POST /upload_custom_list_segment_completed`: the file is there, make a list of it (reference 12.1, unknowns 6).
//!
//! A success says that the job will run, not that the file is good.

use serde_json::json;

use super::state::{Job, id};
use crate::answer::Answer;
use crate::emulator::Inner;
use crate::json::Json;
use crate::lock;
use crate::report::Rule;
use crate::upload::profile::is_email;
use crate::verdict::{parse, refuse};

/// Takes the word. From the moment that the fields can be read the name is taken, whatever becomes of the rest.
pub(crate) fn run(inner: &Inner, body: &[u8]) -> Answer {
    let request = match parse(inner, body) {
        Ok(request) => request,
        Err(answer) => return answer,
    };
    let field = |key: &str| request.get(key).and_then(Json::as_text).filter(|text| !text.is_empty());
    let [Some(name), Some(email), Some(filename), Some(_creator), Some(url)] = ["name", "email", "filename", "creator", "url"].map(field)
    else {
        return refuse(inner, Rule::ListFields, "name, email, filename, creator and url are mandatory");
    };
    if !is_email(email) {
        return refuse(inner, Rule::ListFields, "email is not valid");
    }
    let replace = match request.get("replace") {
        None => false,
        Some(Json::Bool(replace)) => *replace,
        Some(_) => return refuse(inner, Rule::ListFields, "replace should be true or false"),
    };
    let now = inner.now();
    let mut lists = lock(&inner.custom_lists);
    if !replace && lists.lists.iter().any(|list| list.name == name) {
        return Answer::fail_with(400, None, "duplicate_name");
    }
    let (place, list) = lists.named(name);
    if list.is_in_use {
        return Answer::fail_with(400, None, "The segment is used by a running campaign");
    }
    let wrong = |text: &str| refuse(inner, Rule::ListUrl, text);
    let Some((token, issued)) = lists.urls.iter_mut().find(|(_, issued)| issued.url == url) else {
        return wrong("url is not valid");
    };
    if issued.is_used {
        return wrong("url was used before");
    }
    if now >= issued.expires_at {
        return wrong("url has expired");
    }
    if issued.file.is_none() {
        return wrong("no file was uploaded to url");
    }
    issued.is_used = true;
    let token = token.clone();
    let due_at = now + inner.settings.list_delay_s.max(0);
    lists.jobs.push(Job { list: place, token, to: email.to_owned(), filename: filename.to_owned(), due_at });
    lists.lists[place].jobs += 1;
    drop(lists);
    lock(&inner.report).lists_completed += 1;
    Answer::json(200, &json!({ "status": "success", "segmentId": id(place) }))
}
