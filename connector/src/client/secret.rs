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

    /// An answer without the passcode, should it repeat it: as it was sent, and as JSON may spell it. Of an answer without it nothing is copied.
    pub(super) fn stripped_from(&self, body: Bytes) -> Bytes {
        if self.0.len() < STRIPPED_BYTES_MIN {
            return body;
        }
        // Few answers are no UTF-8, and nobody reads those. The whole of a page is looked at, so it is done in the fastest way.
        let text = std::str::from_utf8(&body).map_or_else(|_| String::from_utf8_lossy(&body), Cow::Borrowed);
        let may_be_escaped = text.contains("\\u00") || self.0.contains(['"', '\\', '/']);
        if !text.contains(&self.0) && (!may_be_escaped || first_spelled(&text, &self.0, 0).is_none()) {
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

/// Where a text spells `secret` from `from` on: each character as it is, or as JSON may escape it.
fn first_spelled(text: &str, secret: &str, from: usize) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let ends = |start: usize| secret.bytes().try_fold(start, |at, expected| character_at(bytes, at, expected));
    (from..bytes.len()).find_map(|start| ends(start).map(|end| (start, end)))
}

/// The end of the character at `at`, if it is `expected`, which is ASCII: `-`, `\-` or `\u002d`.
fn character_at(bytes: &[u8], at: usize, expected: u8) -> Option<usize> {
    match bytes.get(at..)? {
        [b'\\', b'u', b'0', b'0', high, low, ..] => {
            let digit = |digit: u8| char::from(digit).to_digit(16);
            (digit(*high)? * 16 + digit(*low)? == u32::from(expected)).then_some(at + 6)
        }
        [b'\\', escaped, ..] if *escaped == expected => Some(at + 2),
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
        assert_eq!(strip("ab", r#"{"a":"abc"}"#), r#"{"a":"abc"}"#, "a passcode this short is a part of other words");
        let untouched = Bytes::from_static(b"{}");
        assert_eq!(Secret::new("ABC-DEF").stripped_from(untouched.clone()).as_ptr(), untouched.as_ptr());
    }
}
