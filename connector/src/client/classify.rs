//! What an attempt came back with, in the words of the retry table.
//!
//! In: an answer or a failure. Out: [`CameBack`] and the end of a sentence for people. The status alone proves nothing: CleverTap
//! answers many failures with 200, and a path that does not exist with 200 and nothing. So a small JSON body is read first, and
//! a 2xx is believed only if whoever sent the request can read it.

use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::transport::{Answer, Failure, FailureKind};

/// What an attempt came back with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CameBack {
    /// It never left.
    NotSent,
    /// It never left, and never will: the certificate is not trusted.
    Certificate,
    /// 429: not carried out.
    Throttled {
        /// The server's own delay.
        retry_after: Option<Duration>,
    },
    /// 5xx: it may have been carried out.
    Broken {
        /// The server's own delay.
        retry_after: Option<Duration>,
    },
    /// No answer, after it may have been sent.
    Lost,
    /// A 2xx that its sender cannot read.
    Unreadable,
    /// An answer larger than the cap.
    TooLong,
    /// A 2xx that its sender can read.
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

/// What an attempt came back with, and how to say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Classified {
    /// The row of the retry table.
    pub(crate) came_back: CameBack,
    /// The end of the sentence "POST /1/upload to host …".
    pub(crate) what: String,
}

/// Bodies above this are not searched for a failure: those are short, and an export's page is not read twice.
const ENVELOPE_BYTES_MAX: usize = 64 * 1024;

/// The most of CleverTap's own words that a message repeats.
const WORDS_CHARS_MAX: usize = 200;

/// The part of an answer that says whether it is a failure.
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
    #[serde(default)]
    processed: Option<IgnoredAny>,
    #[serde(default)]
    unprocessed: Option<IgnoredAny>,
}

/// A `"status": "fail"` that speaks of the whole request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fail {
    /// Its code, which is not always the HTTP status.
    pub(crate) code: Option<i64>,
    /// CleverTap's own words, without line breaks and not without end.
    pub(crate) words: Option<String>,
}

/// The failure of the whole request that an answer tells, if it tells one.
pub(crate) fn failure_of(answer: &Answer) -> Option<Fail> {
    Fail::of(&answer.body)
}

impl Fail {
    fn of(body: &[u8]) -> Option<Self> {
        if body.len() > ENVELOPE_BYTES_MAX {
            return None;
        }
        let envelope: Envelope<'_> = serde_json::from_slice(body).ok()?;
        let records = envelope.processed.is_some() || envelope.unprocessed.is_some();
        if records || !envelope.status.as_deref().is_some_and(|status| status.eq_ignore_ascii_case("fail")) {
            return None;
        }
        let words = envelope.error.or(envelope.message).map(|value| words(value.get()));
        Some(Self { code: envelope.code.and_then(|code| code.get().trim_matches('"').parse().ok()), words })
    }

    fn says(&self, text: &str) -> bool {
        self.words.as_deref().is_some_and(|words| words.trim().eq_ignore_ascii_case(text))
    }
}

/// CleverTap's own words, without line breaks and not without end.
fn words(json: &str) -> String {
    let text = serde_json::from_str::<String>(json).unwrap_or_else(|_| json.to_owned());
    let mut kept: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(WORDS_CHARS_MAX).collect();
    if text.chars().nth(WORDS_CHARS_MAX).is_some() {
        kept.push('…');
    }
    kept
}

/// Reads an answer as far as policy needs it. `understood` are codes and errors of a `fail` that the sender reads by itself;
/// `readable` is asked about a 2xx that is no failure.
pub(crate) fn classify(answer: &Answer, understood: (&[i64], &[&str]), readable: impl FnOnce(&Answer) -> bool) -> Classified {
    use CameBack::*;

    let status = answer.status;
    let retry_after = answer.retry_after;
    let fail = Fail::of(&answer.body);
    let code = fail.as_ref().and_then(|fail| fail.code);
    let says = |text| fail.as_ref().is_some_and(|fail| fail.says(text));

    let throttled = status == 429 || code == Some(429) || says("Too many requests") || says("Too many concurrent requests");
    let understood = code.is_some_and(|code| understood.0.contains(&code)) || understood.1.iter().any(|error| says(error));
    let malformed = says("Malformed request") && (status == 400 || (is_2xx(status) && code == Some(400)));
    let came_back = match status {
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
    let what = match came_back {
        Throttled { .. } => "was answered 429 Too Many Requests".to_owned(),
        Unreadable if answer.body.is_empty() => format!("was answered {status} with an empty body"),
        Unreadable => format!("was answered {status} with a body that cannot be read"),
        Refused if (300..400).contains(&status) => format!("was answered {status}, a redirect, which is not followed"),
        // The text of a 5xx says nothing to act on, and may be a page of somebody else's.
        Broken { .. } => format!("was answered {status}"),
        _ => match &fail {
            Some(Fail { code, words }) => {
                let words = words.as_ref().map_or(String::new(), |words| format!(" {words:?}"));
                let code = code.map_or(String::new(), |code| format!(", code {code}"));
                format!("was answered{words} (HTTP {status}{code})")
            }
            None => format!("was answered {status}"),
        },
    };
    Classified { came_back, what }
}

fn is_2xx(status: u16) -> bool {
    (200..300).contains(&status)
}

impl From<Failure> for Classified {
    fn from(failure: Failure) -> Self {
        let came_back = match failure.kind {
            FailureKind::NotSent => CameBack::NotSent,
            FailureKind::Certificate => CameBack::Certificate,
            FailureKind::Lost => CameBack::Lost,
            FailureKind::TooLong => CameBack::TooLong,
        };
        Self { came_back, what: failure.what }
    }
}

/// Whether an answer is a JSON object with a `status`, which every answer but those of `segments/*` has.
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

    /// Status, body, how it is classified, and how it is said.
    #[rustfmt::skip]
    const ANSWERS: &[(u16, &str, CameBack, &str)] = &[
        (200, r#"{"status":"success","processed":2,"unprocessed":[]}"#, CameBack::Readable, "was answered 200"),
        (202, r#"{"status":"partial","req_id":384649162721759}"#, CameBack::Readable, "was answered 202"),
        (200, r#"{"status":"fail","processed":0,"unprocessed":[{}]}"#, CameBack::Readable, "was answered 200"),
        (200, "", CameBack::Unreadable, "was answered 200 with an empty body"),
        (200, "<html>ann@example.com</html>", CameBack::Unreadable, "was answered 200 with a body that cannot be read"),
        (200, "{}", CameBack::Unreadable, "was answered 200 with a body that cannot be read"),
        (429, "<html>", CameBack::Throttled { retry_after: None }, "was answered 429 Too Many Requests"),
        (200, r#"{"status":"fail","error":"Too many requests"}"#, CameBack::Throttled { retry_after: None }, "was answered 429 Too Many Requests"),
        (503, r#"{"status":"fail","error":"TOO MANY concurrent requests"}"#, CameBack::Throttled { retry_after: None }, "was answered 429 Too Many Requests"),
        (400, r#"{"status":"fail","error":"slow down","code":429}"#, CameBack::Throttled { retry_after: None }, "was answered 429 Too Many Requests"),
        (500, r#"{"status":"fail","error":"An unknown error occurred","code":500}"#, CameBack::Broken { retry_after: None }, "was answered 500"),
        (503, "<html>ann@example.com</html>", CameBack::Broken { retry_after: None }, "was answered 503"),
        (413, "<html>", CameBack::TooLarge, "was answered 413"),
        (400, r#"{"status":"fail","error":"Malformed request","code":400}"#, CameBack::Malformed, r#"was answered "Malformed request" (HTTP 400, code 400)"#),
        (200, r#"{"status":"fail","error":"malformed request","code":400}"#, CameBack::Malformed, r#"was answered "malformed request" (HTTP 200, code 400)"#),
        (401, r#"{"status":"fail","error":"Passcode Invalid","code":401}"#, CameBack::Unauthorized, r#"was answered "Passcode Invalid" (HTTP 401, code 401)"#),
        (200, r#"{"status":"fail","error":"Invalid Credentials","code":401}"#, CameBack::Unauthorized, r#"was answered "Invalid Credentials" (HTTP 200, code 401)"#),
        (403, "", CameBack::Forbidden, "was answered 403"),
        (404, "<html>ann@example.com</html>", CameBack::Refused, "was answered 404"),
        (302, "", CameBack::Refused, "was answered 302, a redirect, which is not followed"),
        (400, r#"{"status":"fail","error":"bad range","code":4002}"#, CameBack::Refused, r#"was answered "bad range" (HTTP 400, code 4002)"#),
        (200, r#"{"status":"fail","error":"[\"Invalid event : Foo\"]","code":400}"#, CameBack::Refused, r#"was answered "[\"Invalid event : Foo\"]" (HTTP 200, code 400)"#),
        (200, r#"{"status":"fail","error":"Request still in progress, please retry later","code":2}"#, CameBack::Readable, r#"was answered "Request still in progress, please retry later" (HTTP 200, code 2)"#),
        (200, r#"{"status":"fail","error":{"a":1}}"#, CameBack::Refused, r#"was answered "{\"a\":1}" (HTTP 200)"#),
    ];

    #[test]
    fn every_answer_has_one_row_of_the_table() {
        for &(status, body, came_back, what) in ANSWERS {
            let said = classify(&Answer::new(status, body), (&[2], &["no_such_thing"]), has_status);
            assert_eq!(said, Classified { came_back, what: what.into() }, "{status} {body}");
        }
    }
}
