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
        let escaped = self.0.replace('\\', "\\\\").replace('"', "\\\"");
        let slashed = escaped.replace('/', "\\/");
        let mut spellings = vec![self.0.as_str(), &escaped, &slashed];
        spellings.dedup();
        if !spellings.iter().any(|spelling| text.contains(spelling)) {
            return body;
        }
        spellings.into_iter().fold(text.into_owned(), |text, spelling| text.replace(spelling, "…")).into()
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
        assert_eq!(strip("ab", r#"{"a":"abc"}"#), r#"{"a":"abc"}"#, "a passcode this short is a part of other words");
        let untouched = Bytes::from_static(b"{}");
        assert_eq!(Secret::new("ABC-DEF").stripped_from(untouched.clone()).as_ptr(), untouched.as_ptr());
    }
}
