//! The passcode: given as text, used only in the headers of a call, and never part of a message.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

use crate::error::{Error, Result};

/// A shorter passcode is not looked for in answers: it would be found in words that are not it.
const STRIPPED_BYTES_MIN: usize = 4;

/// The passcode of a CleverTap account. It has no `Display`, its `Debug` hides the value, and only `client/` reads it.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// The passcode is not trimmed, so that exactly what was given is sent.
    pub fn new(passcode: impl Into<String>) -> Self {
        Self(passcode.into())
    }

    /// The passcode itself, for a header.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }

    /// An answer without the passcode, should it repeat it: as it was sent, as JSON may spell it, also in a text that holds JSON, and as a URL
    /// may. Of an answer without it nothing is copied.
    pub(super) fn stripped_from(&self, body: Bytes) -> Bytes {
        if self.0.len() < STRIPPED_BYTES_MIN {
            return body;
        }
        // Few answers are no UTF-8, and nobody reads those. The whole of a page is looked at, so it is done in the fastest way.
        let text = std::str::from_utf8(&body).map_or_else(|_| String::from_utf8_lossy(&body), Cow::Borrowed);
        let is_encoded = |c: char| !c.is_ascii_alphanumeric() && !"-._~".contains(c);
        let may_be_spelled =
            text.contains("\\u00") || self.0.contains(['"', '\\', '/']) || (self.0.contains(is_encoded) && text.contains('%'));
        if !text.contains(&self.0) && (!may_be_spelled || first_spelled(&text, &self.0, 0).is_none()) {
            return body;
        }
        let (mut kept, mut from) = (String::with_capacity(text.len()), 0);
        while let Some((start, end)) = first_spelled(&text, &self.0, from) {
            kept.extend([text.get(from..start).unwrap_or_default(), "…"]);
            from = end;
        }
        (kept + text.get(from..).unwrap_or_default()).into()
    }

    /// Refuses a passcode that no header can carry, without showing it.
    pub(super) fn check(&self) -> Result<()> {
        if self.0.is_empty() {
            return Err(Error::Setting("the passcode is empty; it is found in the dashboard under Settings, Passcode.".into()));
        }
        if !header_safe(&self.0) {
            return Err(Error::Setting(
                "the passcode holds a blank, a line break or another character that a header cannot carry; it may have been copied \
                 with its line end."
                    .into(),
            ));
        }
        Ok(())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Whether a header can carry the text: visible ASCII only.
pub(super) fn header_safe(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Where a text spells `secret` from `from` on: as it is, or each character as JSON or a URL may write it.
fn first_spelled(text: &str, secret: &str, from: usize) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let ends = |start: usize| match bytes.get(start..)?.starts_with(secret.as_bytes()) {
        true => Some(start + secret.len()),
        // Of backslashes in a row any number is one: each escaping doubles them.
        false => secret.bytes().zip(std::iter::once(0).chain(secret.bytes())).try_fold(start, |at, (expected, before)| match expected {
            b'\\' if before == b'\\' => Some(at),
            _ => character_at(bytes, at, expected),
        }),
    };
    let may_begin =
        |start: &usize| bytes.get(*start).is_some_and(|byte| matches!(byte, b'\\' | b'%') || secret.as_bytes().first() == Some(byte));
    (from..bytes.len()).filter(may_begin).find_map(|start| ends(start).map(|end| (start, end)))
}

/// The end of the character at `at`, if it is `expected`, which is ASCII: `-`, `\-`, `\u002d` or `%2d`. A text in a text is escaped once more,
/// so that any number of backslashes may be in front, and `25` behind the `%`.
fn character_at(bytes: &[u8], at: usize, expected: u8) -> Option<usize> {
    let is_hex = |high: u8, low: u8| {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        digit(high).zip(digit(low)).is_some_and(|(high, low)| high * 16 + low == u32::from(expected))
    };
    let backslashes = bytes.get(at..)?.iter().take_while(|byte| **byte == b'\\').count();
    let at = at + backslashes;
    match bytes.get(at..)? {
        [b'u', b'0', b'0', high, low, ..] if backslashes > 0 && is_hex(*high, *low) => Some(at + 5),
        _ if expected == b'\\' && backslashes > 0 => Some(at),
        [b'%', encoded @ ..] if expected != b'%' || encoded.starts_with(b"25") => {
            let mut end = at + 1;
            while expected != b'%' && bytes.get(end..)?.starts_with(b"25") {
                end += 2;
            }
            is_hex(*bytes.get(end)?, *bytes.get(end + 1)?).then_some(end + 2)
        }
        [plain, ..] if *plain == expected => Some(at + 1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_repeats_the_passcode_loses_it_in_every_spelling_of_json() {
        let strip = |passcode: &str, body: &'static str| {
            String::from_utf8(Secret::new(passcode).stripped_from(Bytes::from_static(body.as_bytes())).to_vec()).unwrap()
        };
        assert_eq!(strip("ABC-DEF", r#"{"error":"Passcode ABC-DEF invalid: ABC-DEF"}"#), r#"{"error":"Passcode … invalid: …"}"#);
        assert_eq!(strip("a/b\"c", r#"{"error":"a/b\"c and a\/b\"c"}"#), r#"{"error":"… and …"}"#);
        assert_eq!(strip("ABC-DEF", r#"{"error":"ABC\u002dDEF \u0041BC-\u0044EF \u00e9"}"#), r#"{"error":"… … \u00e9"}"#);
        // Escaped once more, and as a URL carries it, once and twice.
        let odd = r#"Kq"7\zW9"#;
        let as_json = |text: &str| serde_json::to_string(text).unwrap();
        let nested = as_json(&as_json(&as_json(odd)));
        let body =
            format!(r#"{{"error":{nested},{}:1,"url":"a?p=Kq%227%5czW9&q=Kq%25227%255CzW9","u":"\\u004bq\\\"7\\\\zW9"}}"#, as_json(odd));
        let stripped = strip(odd, body.leak());
        assert!(serde_json::from_str::<serde_json::Value>(&stripped).is_ok(), "{stripped}");
        assert!(!stripped.contains("zW9"), "{stripped}");
        assert_eq!(strip("a%b&c", r#"{"a":"a%b&c a%25b%26c a\u0025b&c %61b"}"#), r#"{"a":"… … … %61b"}"#);
        assert_eq!(strip(r"a\\b", r#"{"a":"a\\\\b"}"#), r#"{"a":"…"}"#);
        assert_eq!(strip("ab", r#"{"a":"abc"}"#), r#"{"a":"abc"}"#, "a passcode this short is a part of other words");
        let untouched = Bytes::from_static(b"{}");
        assert_eq!(Secret::new("ABC-DEF").stripped_from(untouched.clone()).as_ptr(), untouched.as_ptr());
    }
}
