//! Classifies the result of an attempt, in the terms of the retry table.
//!
//! In: an answer or a failure. Out: [`AttemptOutcome`] and the end of a sentence for messages. The status alone proves nothing: CleverTap
//! answers many failures with 200, and a path that does not exist with an empty 200. So a small JSON body is parsed first, and a 2xx
//! counts only if the caller can read it.

use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::transport::{Answer, Failure, FailureKind};
use crate::foreign_text::ForeignText;

/// The outcome of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AttemptOutcome {
    /// It was not sent.
    NotSent,
    /// It was not sent and never will be: the certificate is not trusted.
    Certificate,
    /// It was not sent and never will be, as the process is set up.
    Setup,
    /// 429: not executed.
    Throttled {
        /// `Retry-After` of the answer.
        retry_after: Option<Duration>,
    },
    /// 5xx: it may have been executed.
    Broken {
        /// `Retry-After` of the answer.
        retry_after: Option<Duration>,
    },
    /// No answer, although it may have been sent.
    Lost,
    /// The transport panicked: it may have been sent, and will not do better.
    Broke,
    /// A 2xx that the caller cannot read.
    Unreadable,
    /// An answer larger than the cap.
    TooLong,
    /// A 2xx that the caller can read.
    Readable,
    /// 400 with `Malformed request`.
    Malformed,
    /// 413.
    TooLarge,
    /// 401.
    Unauthorized,
    /// 403.
    Forbidden,
    /// Any other 4xx, a 3xx, or a `fail`.
    Refused,
}

/// The outcome of an attempt, with its description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Classified {
    /// The row of the retry table.
    pub(crate) outcome: AttemptOutcome,
    /// The end of the sentence "POST /1/upload to host …".
    pub(crate) what: String,
}

/// Larger bodies are not searched for a failure: those are short, and a page of an export is not parsed twice.
const ENVELOPE_BYTES_MAX: usize = 64 * 1024;

/// The keys of an answer that mark a failure.
#[derive(Debug, Default, Deserialize)]
struct Envelope<'a> {
    #[serde(default)]
    status: Option<String>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(borrow, default)]
    code: Option<&'a RawValue>,
    #[serde(borrow, default)]
    processed: Option<&'a RawValue>,
    #[serde(borrow, default)]
    unprocessed: Option<&'a RawValue>,
}

impl Envelope<'_> {
    /// Whether it tells of records, and not of the whole request alone. `0` processed and none refused tells of none.
    fn tells_of_records(&self) -> bool {
        let is = |value: Option<&RawValue>, nothing: &[&str]| value.is_none_or(|value| nothing.contains(&value.get()));
        !(is(self.processed, &["0", "null"]) && is(self.unprocessed, &["[]", "null"]))
    }
}

/// A `"status": "fail"` for the whole request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fail {
    /// The code, which is not always the HTTP status.
    pub(crate) code: Option<i64>,
    /// The text of CleverTap.
    pub(crate) words: Option<ForeignText>,
}

/// The failure of the whole request, if the answer has one.
pub(crate) fn failure_of(answer: &Answer) -> Option<Fail> {
    Fail::of(&answer.body)
}

impl Fail {
    fn of(body: &[u8]) -> Option<Self> {
        if body.len() > ENVELOPE_BYTES_MAX {
            return None;
        }
        let envelope: Envelope<'_> = serde_json::from_slice(body).ok()?;
        if envelope.tells_of_records() || !envelope.status.as_deref().is_some_and(|status| status.eq_ignore_ascii_case("fail")) {
            return None;
        }
        let words = envelope.error.or(envelope.message).map(|value| ForeignText::of_json(value.get()));
        Some(Self { code: envelope.code.and_then(|code| code.get().trim_matches('"').parse().ok()), words })
    }

    fn error_is(&self, text: &str) -> bool {
        self.words.as_ref().is_some_and(|words| words.raw().trim().eq_ignore_ascii_case(text))
    }

    /// Whether the error begins with this text, in any case.
    pub(crate) fn error_begins(&self, text: &str) -> bool {
        let words = self.words.as_ref().map(|words| words.raw().trim_start()).unwrap_or_default();
        words.get(..text.len()).is_some_and(|start| start.eq_ignore_ascii_case(text))
    }

    /// The text in lower case, to be searched.
    pub(crate) fn lowercase(&self) -> String {
        self.words.as_ref().map_or_else(String::new, |words| words.raw().to_lowercase())
    }
}

/// Classifies an answer. `understood` are codes and beginnings of errors of a `fail` that the caller handles itself, and HTTP statuses
/// without a body that say the same; `readable` is called for a 2xx that is not a failure.
pub(crate) fn classify(answer: &Answer, understood: (&[i64], &[&str]), readable: impl FnOnce(&Answer) -> bool) -> Classified {
    use AttemptOutcome::*;

    let status = answer.status;
    let retry_after = answer.retry_after;
    let fail = Fail::of(&answer.body);
    let code = fail.as_ref().and_then(|fail| fail.code);
    let error_is = |text| fail.as_ref().is_some_and(|fail| fail.error_is(text));

    let throttled = status == 429 || code == Some(429) || error_is("Too many requests") || error_is("Too many concurrent requests");
    let said = code.or_else(|| answer.body.is_empty().then_some(i64::from(status)).filter(|_| !is_2xx(status)));
    let begins = |text| fail.as_ref().is_some_and(|fail| fail.error_begins(text));
    let understood = said.is_some_and(|code| understood.0.contains(&code)) || understood.1.iter().any(|error| begins(error));
    let malformed = error_is("Malformed request") && (status == 400 || (is_2xx(status) && code == Some(400)));
    let outcome = match status {
        _ if throttled => Throttled { retry_after },
        _ if understood => Readable,
        500.. => Broken { retry_after },
        413 => TooLarge,
        _ if malformed => Malformed,
        401 => Unauthorized,
        403 => Forbidden,
        200..300 => match (&fail, code) {
            (Some(_), Some(401)) => Unauthorized,
            (Some(_), Some(403)) => Forbidden,
            (Some(_), _) => Refused,
            (None, _) if readable(answer) => Readable,
            (None, _) => Unreadable,
        },
        _ => Refused,
    };
    let what = match outcome {
        Throttled { .. } => "was answered 429 Too Many Requests".to_owned(),
        Unreadable if answer.body.is_empty() => format!("was answered {status} with an empty body"),
        Unreadable => format!("was answered {status} with a body that cannot be read"),
        Refused if (300..400).contains(&status) => format!("was answered {status}, a redirect, which is not followed"),
        // The text of a 5xx is not actionable, and may be a page of a proxy.
        Broken { .. } => format!("was answered {status}"),
        _ => match &fail {
            Some(Fail { code, words }) => {
                let words =
                    words.as_ref().map_or_else(|| " \"fail\" without a reason".to_owned(), |words| format!(" {:?}", words.to_string()));
                let code = code.map_or(String::new(), |code| format!(", code {code}"));
                format!("was answered{words} (HTTP {status}{code})")
            }
            None => format!("was answered {status}"),
        },
    };
    Classified { outcome, what }
}

fn is_2xx(status: u16) -> bool {
    (200..300).contains(&status)
}

impl From<Failure> for Classified {
    fn from(failure: Failure) -> Self {
        let outcome = match failure.kind {
            FailureKind::NotSent => AttemptOutcome::NotSent,
            FailureKind::Certificate => AttemptOutcome::Certificate,
            FailureKind::Setup => AttemptOutcome::Setup,
            FailureKind::Lost => AttemptOutcome::Lost,
            FailureKind::TooLong => AttemptOutcome::TooLong,
        };
        Self { outcome, what: failure.what }
    }
}

/// Whether an answer is a JSON object with a `status`, as all answers except those of `segments/*` are.
pub(crate) fn has_status(answer: &Answer) -> bool {
    #[derive(Deserialize)]
    struct Status {
        #[serde(rename = "status")]
        _status: IgnoredAny,
    }
    serde_json::from_slice::<Status>(&answer.body).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Status, body, outcome and description.
    #[rustfmt::skip]
    const ANSWERS: &[(u16, &str, AttemptOutcome, &str)] = &[
        (200, r#"{"status":"success","processed":2,"unprocessed":[]}"#, AttemptOutcome::Readable, "was answered 200"),
        (202, r#"{"status":"partial","req_id":384649162721759}"#, AttemptOutcome::Readable, "was answered 202"),
        (200, r#"{"status":"fail","processed":0,"unprocessed":[{}]}"#, AttemptOutcome::Readable, "was answered 200"),
        (200, r#"{"status":"fail","processed":1,"unprocessed":[]}"#, AttemptOutcome::Readable, "was answered 200"),
        (200, r#"{"status":"fail","processed":0,"unprocessed":[]}"#, AttemptOutcome::Refused, r#"was answered "fail" without a reason (HTTP 200)"#),
        (409, "", AttemptOutcome::Readable, "was answered 409"),
        (404, "", AttemptOutcome::Refused, "was answered 404"),
        (200, r#"{"status":"fail","error":"no_such_thing here"}"#, AttemptOutcome::Readable, r#"was answered "no_such_thing here" (HTTP 200)"#),
        (200, "", AttemptOutcome::Unreadable, "was answered 200 with an empty body"),
        (200, "<html>ann@example.com</html>", AttemptOutcome::Unreadable, "was answered 200 with a body that cannot be read"),
        (200, "{}", AttemptOutcome::Unreadable, "was answered 200 with a body that cannot be read"),
        (429, "<html>", AttemptOutcome::Throttled { retry_after: None }, "was answered 429 Too Many Requests"),
        (200, r#"{"status":"fail","error":"Too many requests"}"#, AttemptOutcome::Throttled { retry_after: None }, "was answered 429 Too Many Requests"),
        (503, r#"{"status":"fail","error":"TOO MANY concurrent requests"}"#, AttemptOutcome::Throttled { retry_after: None }, "was answered 429 Too Many Requests"),
        (400, r#"{"status":"fail","error":"slow down","code":429}"#, AttemptOutcome::Throttled { retry_after: None }, "was answered 429 Too Many Requests"),
        (500, r#"{"status":"fail","error":"An unknown error occurred","code":500}"#, AttemptOutcome::Broken { retry_after: None }, "was answered 500"),
        (503, "<html>ann@example.com</html>", AttemptOutcome::Broken { retry_after: None }, "was answered 503"),
        (413, "<html>", AttemptOutcome::TooLarge, "was answered 413"),
        (400, r#"{"status":"fail","error":"Malformed request","code":400}"#, AttemptOutcome::Malformed, r#"was answered "Malformed request" (HTTP 400, code 400)"#),
        (200, r#"{"status":"fail","error":"malformed request","code":400}"#, AttemptOutcome::Malformed, r#"was answered "malformed request" (HTTP 200, code 400)"#),
        (401, r#"{"status":"fail","error":"Passcode Invalid","code":401}"#, AttemptOutcome::Unauthorized, r#"was answered "Passcode Invalid" (HTTP 401, code 401)"#),
        (200, r#"{"status":"fail","error":"Invalid Credentials","code":401}"#, AttemptOutcome::Unauthorized, r#"was answered "Invalid Credentials" (HTTP 200, code 401)"#),
        (403, "", AttemptOutcome::Forbidden, "was answered 403"),
        (404, "<html>ann@example.com</html>", AttemptOutcome::Refused, "was answered 404"),
        (302, "", AttemptOutcome::Refused, "was answered 302, a redirect, which is not followed"),
        (400, r#"{"status":"fail","error":"bad range","code":4002}"#, AttemptOutcome::Refused, r#"was answered "bad range" (HTTP 400, code 4002)"#),
        (200, r#"{"status":"fail","error":"[\"Invalid event : Foo\"]","code":400}"#, AttemptOutcome::Refused, r#"was answered "[\"Invalid event : Foo\"]" (HTTP 200, code 400)"#),
        (200, r#"{"status":"fail","error":"Request still in progress, please retry later","code":2}"#, AttemptOutcome::Readable, r#"was answered "Request still in progress, please retry later" (HTTP 200, code 2)"#),
        (400, r#"{"status":"fail","error":"Invalid email ann@example.com of 919812345678","code":400}"#, AttemptOutcome::Refused, r#"was answered "Invalid email … of …" (HTTP 400, code 400)"#),
        (200, r#"{"status":"fail","error":{"a":1}}"#, AttemptOutcome::Refused, r#"was answered "{\"a\":1}" (HTTP 200)"#),
    ];

    #[test]
    fn every_answer_has_one_outcome_and_one_description() {
        for &(status, body, outcome, what) in ANSWERS {
            let classified = classify(&Answer::new(status, body), (&[2, 409], &["no_such_thing"]), has_status);
            assert_eq!(classified, Classified { outcome, what: what.into() }, "{status} {body}");
        }
    }
}
