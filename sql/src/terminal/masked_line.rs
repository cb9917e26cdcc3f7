//! One line of a log on stderr, of this program or of a library (`RUST_LOG`).
//!
//! In: the pieces of a line. Out: the line, whole, without what URLs carry in secret, as a terminal may have it.

use std::io::{self, Write};

use datafusion_clevertap::redact::without_secrets;

use super::visible::Visible;

/// A line, written when it is dropped.
#[derive(Debug)]
pub(crate) struct MaskedLine<W: Write> {
    line: Vec<u8>,
    to: Visible<W>,
}

impl<W: Write> MaskedLine<W> {
    pub(crate) fn new(to: W) -> Self {
        Self { line: Vec::new(), to: Visible::new(to) }
    }
}

impl<W: Write> Write for MaskedLine<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W: Write> Drop for MaskedLine<W> {
    fn drop(&mut self) {
        let line = String::from_utf8_lossy(&self.line);
        // Where stderr is closed, there is nobody to tell.
        self.to.write_all(without_user_info(&without_secrets(&line)).as_bytes()).ok();
    }
}

/// `ada:pw@host` without its beginning, as libraries show the authority of a URL that they have taken apart.
fn without_user_info(line: &str) -> String {
    let is_border = |character: char| character.is_whitespace() || "\"'`()[]{}<>,;/=".contains(character);
    let mask = |piece: &str| match piece.rsplit_once('@') {
        Some((before, host)) if before.contains(':') => format!("…@{host}"),
        _ => piece.to_owned(),
    };
    line.split_inclusive(is_border).map(mask).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::captured::Captured;

    #[test]
    fn a_line_that_comes_in_pieces_shows_no_secret_and_no_control_character() {
        let captured = Captured::default();
        let mut line = MaskedLine::new(captured.clone());
        for piece in ["GET https://ada:p", "w@host/x.csv?X-Amz-Sig", "nature=0f3c&v=1 \u{1b}[2J\n"] {
            line.write_all(piece.as_bytes()).unwrap();
        }
        assert_eq!(captured.text(), "");
        drop(line);
        assert_eq!(captured.text(), "GET https://…@host/x.csv?X-Amz-Signature=…&v=1 \\u{1b}[2J\n");
        let taken_apart = "checkout (\"https\", ada:p@w@host:443) of ann@example.org at 10:00:00";
        assert_eq!(without_user_info(taken_apart), "checkout (\"https\", …@host:443) of ann@example.org at 10:00:00");
    }
}
