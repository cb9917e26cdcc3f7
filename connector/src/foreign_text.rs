//! Text from outside: what CleverTap or a bucket says in its own words.
//!
//! In: a text of anybody. Out: the same, cut to a line's length, without addresses and numbers of people and without what a URL carries in
//! secret. [`Display`](std::fmt::Display) is for messages and shows no control character; [`ForeignText::raw`] is for evidence, which keeps
//! them. The passcode is gone before: [`Client::receive`](crate::client::Client::receive) takes it out of every answer.

use std::fmt;

use crate::redact::{is_control, without_addresses, without_secrets};

/// Most characters of a text that are kept.
const CHARS_MAX: usize = 200;

/// A text from outside that is safe to keep.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ForeignText(String);

impl ForeignText {
    /// The text as it may be kept.
    pub(crate) fn new(text: &str) -> Self {
        // What is cut away is not looked at: a text may be long.
        let end = text.char_indices().nth(CHARS_MAX).map(|(end, _)| end);
        let line = without_secrets(text.get(..end.unwrap_or(text.len())).unwrap_or_default());
        let line = without_addresses(&line);
        Self(if end.is_some() { format!("{line}…") } else { line })
    }

    /// A JSON value: the text of a string, or the JSON of anything else.
    pub(crate) fn of_json(json: &str) -> Self {
        match serde_json::from_str::<String>(json) {
            Ok(text) => Self::new(&text),
            Err(_) => Self::new(json),
        }
    }

    /// The text, control characters included.
    pub(crate) fn raw(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ForeignText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.0))
    }
}

/// The text with a blank for each character that is not to be shown.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if is_control(c) { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_and_shows_neither_people_nor_control_characters() {
        let shown = |text: &str| ForeignText::new(text).to_string();
        assert_eq!(shown("Invalid email ann@example.com of 919812345678"), "Invalid email … of …");
        assert_eq!(shown("a\u{1b}[31mb\u{7}\u{85}\u{202e}c"), "a [31mb   c");
        assert_eq!(shown("PUT https://ada:pw@host/x?X-Amz-Signature=0f failed"), "PUT … failed");
        assert_eq!(shown("PUT https://host/x?token=0f failed"), "PUT https://host/x?token=… failed");
        assert_eq!(ForeignText::new("a\u{7}").raw(), "a\u{7}");
        assert_eq!(shown(&"é".repeat(201)), format!("{}…", "é".repeat(200)));
        assert_eq!(shown(&"é".repeat(200)), "é".repeat(200));
        assert_eq!(ForeignText::of_json(r#""a\"b""#).to_string(), "a\"b");
        assert_eq!(ForeignText::of_json(r#"{"a":1}"#).to_string(), "{\"a\":1}");
    }
}
