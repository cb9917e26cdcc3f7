//! `PUT` of a list's file at its URL: not CleverTap but a store of files, with other rules and XML for an answer.
//!
//! The signature in the query is the only key. Who sends the account's passcode along has given it away.

use http::Method;
use http::request::Parts;

use crate::answer::Answer;
use crate::api::LIST_FILE_PREFIX;
use crate::auth::text;
use crate::emulator::Inner;
use crate::headers::EntryPoint;
use crate::lock;
use crate::report::Rule;

/// Checks a request's head; it needs no credentials and takes no slot.
///
/// # Errors
///
/// The rule that was broken and the answer to give.
pub(crate) fn check(inner: &Inner, head: &Parts, entry_point: EntryPoint) -> Result<(), (Rule, Answer)> {
    if head.headers.keys().any(|name| name.as_str().starts_with("x-clevertap-")) {
        return Err((
            Rule::LeakedPasscode,
            refusal(403, "AccessDenied", "There were headers present in the request which were not signed"),
        ));
    }
    if head.method != Method::PUT {
        return Err((Rule::Method, refusal(403, "SignatureDoesNotMatch", "The signature is one for PUT")));
    }
    if head.headers.contains_key("transfer-encoding") {
        let text = "A header you provided implies functionality that is not implemented";
        return Err((Rule::Chunked, refusal(501, "NotImplemented", text)));
    }
    let has_length = match text(&head.headers, "content-length") {
        Some(length) => length.parse::<usize>().is_ok(),
        None => entry_point == EntryPoint::InProcess,
    };
    if !has_length {
        return Err((Rule::Chunked, refusal(411, "MissingContentLength", "You must provide the Content-Length HTTP header")));
    }
    let lists = lock(&inner.custom_lists);
    let issued = lists.urls.get(token(head)).filter(|issued| head.uri.query() == Some(&*issued.query));
    match issued {
        None => Err((Rule::ListUrl, refusal(403, "SignatureDoesNotMatch", "The URL is not the one that was signed"))),
        Some(issued) if inner.now() >= issued.expires_at => Err((Rule::ListUrl, refusal(403, "AccessDenied", "Request has expired"))),
        Some(_) => Ok(()),
    }
}

/// Keeps the file. Another one at the same URL takes its place.
pub(crate) fn run(inner: &Inner, head: &Parts, body: &[u8]) -> Answer {
    if body.len() > inner.settings.list_bytes_max {
        lock(&inner.report).broke(Rule::BodyBytes);
        return refusal(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size");
    }
    let file = inner.keep(body);
    if let Some(issued) = lock(&inner.custom_lists).urls.get_mut(token(head)) {
        issued.file = Some(file);
    }
    lock(&inner.report).put_bytes += body.len() as u64;
    Answer::text(200, "application/xml", "")
}

/// The bytes of a body that are kept at this path, one more than it may have.
pub(crate) fn bytes_max(inner: &Inner, path: &str) -> Option<usize> {
    path.starts_with(LIST_FILE_PREFIX).then_some(inner.settings.list_bytes_max)
}

fn token(head: &Parts) -> &str {
    head.uri.path().strip_prefix(LIST_FILE_PREFIX).unwrap_or_default()
}

fn refusal(status: u16, code: &str, message: &str) -> Answer {
    let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>");
    Answer::text(status, "application/xml", body)
}
