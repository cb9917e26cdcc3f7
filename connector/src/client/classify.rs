//! Classifies the result of an attempt, in the terms of the retry table.
//!
//! In: an answer or a failure. Out: [`AttemptOutcome`] and the end of a sentence for messages. The status alone proves nothing: CleverTap
//! answers many failures with 200, and a path that does not exist with an empty 200. So a small JSON body is parsed first, and a 2xx
//! counts only if the caller can read it.
//!
//! Of the HTTP status and the code in the body, the one that leaves more open decides: a `fail` with code 500 is a 500 whatever the HTTP
//! status is, and a 500 stays one whatever its body says. Where they contradict each other (a 404 that says `success`), nobody knows what
//! became of the request.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::answer_keys::{SAYS_OTHERWISE, says_error, says_otherwise};
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
    /// 5xx, 408, 409, 499, a code that means the same, or a contradiction: it may have been executed.
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

/// The keys of an answer that mark a failure. One that is there twice makes it unreadable.
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

impl<'a> Envelope<'a> {
    fn of(body: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    /// The envelope of a small body.
    fn of_small(body: &'a [u8]) -> Option<Self> {
        (body.len() <= ENVELOPE_BYTES_MAX).then(|| Self::of(body)).flatten()
    }

    fn status_is(&self, word: &str) -> bool {
        self.status.as_deref().is_some_and(|status| status.eq_ignore_ascii_case(word))
    }

    /// Whether it tells of records, and not of the whole request alone. `0` processed and none refused tells of none.
    fn tells_of_records(&self) -> bool {
        let is = |value: Option<&RawValue>, nothing: &[&str]| value.is_none_or(|value| nothing.contains(&value.get()));
        !(is(self.processed, &["0", "null"]) && is(self.unprocessed, &["[]", "null"]))
    }

    /// Whether it says that something was done.
    fn says_done(&self) -> bool {
        let has_processed = self.processed.is_some_and(|processed| !["0", "null"].contains(&processed.get()));
        self.status_is("success") || self.status_is("partial") || has_processed
    }

    /// The failure of the whole request.
    fn failure(&self) -> Option<Fail> {
        (self.status_is("fail") && !self.tells_of_records()).then(|| self.fail())
    }

    /// What it says of an error beside `success`.
    fn contradiction(&self) -> Option<Fail> {
        let says_error = says_error(self.error.map(RawValue::get), self.code.map(RawValue::get));
        (self.status_is("success") && says_error).then(|| self.fail())
    }

    fn fail(&self) -> Fail {
        let words = self.error.or(self.message).map(|value| ForeignText::of_json(value.get()));
        let code = self.code.filter(|code| code.get() != "null");
        let read = code.and_then(|code| code.get().trim_matches('"').parse().ok());
        Fail { code: read, is_unreadable: code.is_some() && read.is_none(), words }
    }
}

/// What an answer says of an error: a `"status": "fail"` for the whole request, or an error beside `success`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fail {
    /// The code, which is not always the HTTP status.
    pub(crate) code: Option<i64>,
    /// Whether it has a code that is no whole number.
    is_unreadable: bool,
    /// The text of CleverTap.
    pub(crate) words: Option<ForeignText>,
}

/// The failure of the whole request, if the answer has one.
pub(crate) fn failure_of(answer: &Answer) -> Option<Fail> {
    Envelope::of_small(&answer.body)?.failure()
}

/// The error that an answer names beside `success`: it contradicts itself.
pub(crate) fn contradiction_of(answer: &Answer) -> Option<Fail> {
    Envelope::of(&answer.body)?.contradiction()
}

/// Whether an answer says `success`, each key once, and names no error beside it.
pub(crate) fn is_success(answer: &Answer) -> bool {
    let is_one = |envelope: Envelope<'_>| envelope.status.as_deref() == Some("success") && envelope.contradiction().is_none();
    Envelope::of(&answer.body).is_some_and(is_one) && !says_otherwise(&answer.body)
}

/// An HTTP status after which the request may have been executed: of the server, or of a proxy whose connection ended (444, 460, 499).
const fn is_unclear_status(status: u16) -> bool {
    matches!(status, ..200 | 408 | 409 | 444 | 460 | 499 | 500..)
}

/// The beginnings of errors of requests that are not finished. Their code is 2, if they have one: reference 1.6.
pub(crate) const IN_PROGRESS: &[&str] = &["Request still in progress", "URL not generated"];

impl Fail {
    /// Whether it says that the request is not finished, or may have been executed. Codes from 509 on are those of records.
    fn is_unclear(&self) -> bool {
        self.is_unreadable || matches!(self.code, Some(2 | 202 | 408 | 409 | 499 | 500..=508 | 555)) || self.is_in_progress()
    }

    /// Whether it says that the request was not executed, since there are too many.
    fn is_throttling(&self) -> bool {
        self.code == Some(429) || self.error_is("Too many requests") || self.error_is("Too many concurrent requests")
    }

    /// Whether it says that the request is not finished.
    pub(crate) fn is_in_progress(&self) -> bool {
        self.code == Some(2) || IN_PROGRESS.iter().any(|text| self.error_begins(text))
    }

    fn error_is(&self, text: &str) -> bool {
        self.words.as_ref().is_some_and(|words| words.raw().trim().eq_ignore_ascii_case(text))
    }

    /// Whether the error begins with this text, in any case.
    pub(crate) fn error_begins(&self, text: &str) -> bool {
        let words = self.words.as_ref().map(|words| words.raw().trim_start()).unwrap_or_default();
        words.get(..text.len()).is_some_and(|start| start.eq_ignore_ascii_case(text))
    }

    fn quoted(&self) -> String {
        self.words.as_ref().map_or_else(|| " \"fail\" without a reason".to_owned(), |words| format!(" {:?}", words.to_string()))
    }

    fn coded(&self) -> String {
        self.code.map_or(String::new(), |code| format!(", code {code}"))
    }

    /// The text in lower case, to be searched.
    pub(crate) fn lowercase(&self) -> String {
        self.words.as_ref().map_or_else(String::new, |words| words.raw().to_lowercase())
    }
}

/// Classifies an answer. `understood` are codes and beginnings of errors of a `fail` that the caller handles itself, and HTTP statuses
/// without a body that say the same; an HTTP status that says something else is not understood. `readable` is called for a 2xx that is not
/// a failure.
pub(crate) fn classify(answer: &Answer, understood: (&[i64], &[&str]), readable: impl FnOnce(&Answer) -> bool) -> Classified {
    use AttemptOutcome::*;

    let status = answer.status;
    let retry_after = answer.retry_after;
    let envelope = if is_2xx(status) { Envelope::of_small(&answer.body) } else { Envelope::of(&answer.body) };
    let fail = envelope.as_ref().and_then(Envelope::failure);
    let beside = envelope.as_ref().and_then(Envelope::contradiction);
    let code = fail.as_ref().and_then(|fail| fail.code);

    let contradicts = !is_2xx(status) && envelope.as_ref().is_some_and(Envelope::says_done);
    // What is throttled is not executed, unless `success` stands beside it.
    let otherwise = answer.body.len() <= ENVELOPE_BYTES_MAX && says_otherwise(&answer.body);
    let unclear = otherwise
        || fail.as_ref().is_some_and(Fail::is_unclear)
        || beside.as_ref().is_some_and(|error| error.is_unclear() || error.is_throttling());
    let is_throttling = status == 429 || fail.as_ref().is_some_and(Fail::is_throttling);
    let throttled = is_throttling && !unclear && (!is_unclear_status(status) || status == 503);
    let said = code.or_else(|| answer.body.is_empty().then_some(i64::from(status)).filter(|_| !is_2xx(status)));
    let begins = |text| fail.as_ref().is_some_and(|fail| fail.error_begins(text));
    let understood = said.is_some_and(|code| understood.0.contains(&code)) || understood.1.iter().any(|error| begins(error));
    let understood = understood && agrees(status, said);
    let malformed =
        fail.as_ref().is_some_and(|fail| fail.error_is("Malformed request")) && (status == 400 || (is_2xx(status) && code == Some(400)));
    let outcome = match status {
        _ if contradicts => Broken { retry_after },
        _ if throttled => Throttled { retry_after },
        _ if understood => Readable,
        _ if unclear || is_unclear_status(status) => Broken { retry_after },
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
        _ if otherwise => format!("was answered {status} {SAYS_OTHERWISE}"),
        _ if contradicts => format!("was answered {status} with a body that says that it was done: that contradicts itself"),
        // The text of a 5xx is not actionable, and may be a page of a proxy.
        Broken { .. } if status >= 500 => format!("was answered {status}"),
        Unreadable if answer.body.is_empty() => format!("was answered {status} with an empty body"),
        Refused if (300..400).contains(&status) => format!("was answered {status}, a redirect, which is not followed"),
        _ => match (&fail, &beside) {
            (Some(fail), _) => format!("was answered{} (HTTP {status}{})", fail.quoted(), fail.coded()),
            (None, Some(error)) => {
                let words = error.words.as_ref().map_or_else(String::new, |words| format!(" {:?}", words.to_string()));
                format!("was answered \"success\" beside the error{words} (HTTP {status}{}): that contradicts itself", error.coded())
            }
            (None, None) if outcome == Unreadable && status == 202 => "was answered 202, and is not finished".to_owned(),
            (None, None) if outcome == Unreadable => format!("was answered {status} with a body that cannot be read"),
            (None, None) if outcome == Refused && matches!(status, 404 | 405) => {
                format!("was answered {status}, as where there is no such call: check the region and the endpoint of the account")
            }
            (None, None) => format!("was answered {status}"),
        },
    };
    Classified { outcome, what }
}

/// Whether an HTTP status and the code in the body, if there is one, can both be true. Codes below 100 are CleverTap's own.
fn agrees(status: u16, code: Option<i64>) -> bool {
    status == 200 || code == Some(i64::from(status)) || (status < 500 && code.is_none_or(|code| code < 100))
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

/// Whether an answer is a JSON object with a `status`, as all answers except those of `segments/*` are, and not a 202: that one is not
/// finished, unless it says so itself by `partial`.
pub(crate) fn has_status(answer: &Answer) -> bool {
    #[derive(Deserialize)]
    struct Status<'a> {
        #[serde(borrow)]
        status: &'a RawValue,
    }
    let Ok(Status { status }) = serde_json::from_slice(&answer.body) else { return false };
    answer.status != 202 || status.get().eq_ignore_ascii_case("\"partial\"")
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
        (404, "", AttemptOutcome::Refused, "was answered 404, as where there is no such call: check the region and the endpoint of the account"),
        (200, r#"{"status":"fail","error":"URL not generated, Please come back later"}"#, AttemptOutcome::Broken { retry_after: None }, r#"was answered "URL not generated, Please come back later" (HTTP 200)"#),
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
        (500, r#"{"status":"fail","error":"slow down","code":429}"#, AttemptOutcome::Broken { retry_after: None }, "was answered 500"),
        (500, r#"{"status":"fail","error":"Profile not found","code":409}"#, AttemptOutcome::Broken { retry_after: None }, "was answered 500"),
        (410, r#"{"status":"fail","error":"Gone","code":409}"#, AttemptOutcome::Broken { retry_after: None }, r#"was answered "Gone" (HTTP 410, code 409)"#),
        (200, r#"{"status":"fail","error":"An unknown error occurred","code":500}"#, AttemptOutcome::Broken { retry_after: None }, r#"was answered "An unknown error occurred" (HTTP 200, code 500)"#),
        (200, r#"{"status":"fail","error":"Profile data is incorrect","code":515}"#, AttemptOutcome::Refused, r#"was answered "Profile data is incorrect" (HTTP 200, code 515)"#),
        (408, "", AttemptOutcome::Broken { retry_after: None }, "was answered 408"),
        (499, "<html>", AttemptOutcome::Broken { retry_after: None }, "was answered 499"),
        (409, r#"{"status":"fail"}"#, AttemptOutcome::Broken { retry_after: None }, r#"was answered "fail" without a reason (HTTP 409)"#),
        (404, r#"{"status":"success","processed":3,"unprocessed":[]}"#, AttemptOutcome::Broken { retry_after: None }, "was answered 404 with a body that says that it was done: that contradicts itself"),
        (401, r#"{"status":"partial"}"#, AttemptOutcome::Broken { retry_after: None }, "was answered 401 with a body that says that it was done: that contradicts itself"),
        (400, r#"{"status":"fail","processed":3,"unprocessed":[]}"#, AttemptOutcome::Broken { retry_after: None }, "was answered 400 with a body that says that it was done: that contradicts itself"),
        (400, r#"{"status":"fail","processed":0,"unprocessed":[]}"#, AttemptOutcome::Refused, r#"was answered "fail" without a reason (HTTP 400)"#),
        (200, r#"{"status":"success","error":"Request still in progress"}"#, AttemptOutcome::Broken { retry_after: None }, r#"was answered "success" beside the error "Request still in progress" (HTTP 200): that contradicts itself"#),
        (200, r#"{"status":"success","code":429}"#, AttemptOutcome::Broken { retry_after: None }, r#"was answered "success" beside the error (HTTP 200, code 429): that contradicts itself"#),
        (202, r#"{"status":"success"}"#, AttemptOutcome::Unreadable, "was answered 202, and is not finished"),
        (413, "<html>", AttemptOutcome::TooLarge, "was answered 413"),
        (400, r#"{"status":"fail","error":"Malformed request","code":400}"#, AttemptOutcome::Malformed, r#"was answered "Malformed request" (HTTP 400, code 400)"#),
        (200, r#"{"status":"fail","error":"malformed request","code":400}"#, AttemptOutcome::Malformed, r#"was answered "malformed request" (HTTP 200, code 400)"#),
        (401, r#"{"status":"fail","error":"Passcode Invalid","code":401}"#, AttemptOutcome::Unauthorized, r#"was answered "Passcode Invalid" (HTTP 401, code 401)"#),
        (200, r#"{"status":"fail","error":"Invalid Credentials","code":401}"#, AttemptOutcome::Unauthorized, r#"was answered "Invalid Credentials" (HTTP 200, code 401)"#),
        (403, "", AttemptOutcome::Forbidden, "was answered 403"),
        (404, "<html>ann@example.com</html>", AttemptOutcome::Refused, "was answered 404, as where there is no such call: check the region and the endpoint of the account"),
        (302, "", AttemptOutcome::Refused, "was answered 302, a redirect, which is not followed"),
        (400, r#"{"status":"fail","error":"bad range","code":4002}"#, AttemptOutcome::Refused, r#"was answered "bad range" (HTTP 400, code 4002)"#),
        (200, r#"{"status":"fail","error":"[\"Invalid event : Foo\"]","code":400}"#, AttemptOutcome::Refused, r#"was answered "[\"Invalid event : Foo\"]" (HTTP 200, code 400)"#),
        (200, r#"{"status":"fail","error":"Request still in progress, please retry later","code":2}"#, AttemptOutcome::Readable, r#"was answered "Request still in progress, please retry later" (HTTP 200, code 2)"#),
        (400, r#"{"status":"fail","error":"Invalid email ann@example.com of 919812345678","code":400}"#, AttemptOutcome::Refused, r#"was answered "Invalid email … of …" (HTTP 400, code 400)"#),
        (200, r#"{"status":"fail","error":{"a":1}}"#, AttemptOutcome::Refused, r#"was answered "{\"a\":1}" (HTTP 200)"#),
    ];

    #[test]
    fn an_error_beside_success_is_one_unless_it_says_nothing() {
        let contradicts = |body: &'static str| contradiction_of(&Answer::new(200, body)).is_some();
        for body in [
            r#""error":"busy""#,
            r#""error":{"a":1}"#,
            r#""code":400"#,
            r#""code":"2""#,
            r#""error":"","code":202"#,
            r#""error":null,"code":-1"#,
        ] {
            assert!(contradicts(format!(r#"{{"status":"success",{body}}}"#).leak()), "{body}");
        }
        for body in [r#""error":null"#, r#""error":"""#, r#""code":200"#, r#""code":0,"error":[]"#, r#""message":"x""#] {
            assert!(!contradicts(format!(r#"{{"status":"success",{body}}}"#).leak()), "{body}");
        }
    }

    #[test]
    fn every_answer_has_one_outcome_and_one_description() {
        for &(status, body, outcome, what) in ANSWERS {
            let classified = classify(&Answer::new(status, body), (&[2, 409], &["no_such_thing"]), has_status);
            assert_eq!(classified, Classified { outcome, what: what.into() }, "{status} {body}");
        }
    }
}
