//! Text as a terminal may have it: what others wrote moves no cursor, rings no bell and turns no line around.
//!
//! In: text or bytes for a person. Out: the same, in which each control character is shown as its number (`\u{1b}`): C0, DEL, C1, and those
//! that change the direction of writing. Newline and tab stay, which are layout.
//!
//! All of stderr passes [`Visible`]; of stdout what is drawn for people, and every format where stdout is a terminal. Files and pipes get the
//! bytes of machine formats as they are.

use std::{
    borrow::Cow,
    fmt::Write as _,
    io::{self, Write},
};

use datafusion_clevertap::redact::is_control;

/// What is shown as its number: newline and tab are layout.
fn is_shown(character: char) -> bool {
    !matches!(character, '\n' | '\t') && is_control(character)
}

/// The text with its control characters shown.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_shown) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_shown(character) {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// A stream that shows control characters, and bytes that are no text.
#[derive(Debug)]
pub(crate) struct Visible<W> {
    to: W,
    /// The first bytes of a character whose last ones have not come yet.
    begun: Vec<u8>,
}

impl<W: Write> Visible<W> {
    pub(crate) fn new(to: W) -> Self {
        Self { to, begun: Vec::new() }
    }
}

impl<W: Write> Write for Visible<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begun.extend_from_slice(bytes);
        let all = std::mem::take(&mut self.begun);
        let mut chunks = all.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            self.to.write_all(visible(chunk.valid()).as_bytes())?;
            let is_begun = chunks.peek().is_none() && std::str::from_utf8(chunk.invalid()).is_err_and(|error| error.error_len().is_none());
            if is_begun {
                self.begun = chunk.invalid().to_vec();
            } else {
                let mut shown = String::new();
                chunk.invalid().iter().try_for_each(|byte| write!(shown, "\\x{byte:02x}")).map_err(io::Error::other)?;
                self.to.write_all(shown.as_bytes())?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::captured::Captured;

    #[test]
    fn control_characters_are_shown_and_layout_stays() {
        assert_eq!(visible("a\u{1b}[2Jb\u{7}\rc\u{8}\0\u{7f}"), "a\\u{1b}[2Jb\\u{7}\\u{d}c\\u{8}\\u{0}\\u{7f}");
        assert_eq!(visible("\u{80}\u{9b}31m\u{9f}\u{a0}"), "\\u{80}\\u{9b}31m\\u{9f}\u{a0}");
        assert_eq!(
            visible("\u{202a}\u{202e}\u{2066}\u{2069}\u{200e}\u{200f}\u{61c}"),
            "\\u{202a}\\u{202e}\\u{2066}\\u{2069}\\u{200e}\\u{200f}\\u{61c}"
        );
        assert_eq!(visible("Zoë 日本 😀\n\tx"), "Zoë 日本 😀\n\tx");
        assert_eq!(visible(&visible("\u{1b}")), "\\u{1b}");
    }

    #[test]
    fn a_character_may_come_in_pieces_and_what_is_no_text_is_shown() {
        let captured = Captured::default();
        let mut stream = Visible::new(captured.clone());
        for byte in "ë\u{9b}😀".bytes().chain([0x9b, b'x', 0xff, 0xf0, 0x9f, b'\n']) {
            stream.write_all(&[byte]).unwrap();
        }
        assert_eq!(captured.text(), "ë\\u{9b}😀\\x9bx\\xff\\xf0\\x9f\n");
    }
}
