//! What is noticed on the way through a file, to be told or refused at its end.
//!
//! In: bytes that others read in another way, each with its line. Out: the first lines of each kind.

/// Spaces before a quote that somebody may not have seen.
const SPACES_MAX: usize = 8;

#[derive(Debug, Default)]
pub(crate) struct Noticed {
    /// The first line without a byte that is a record.
    pub(crate) blank_record: Option<u64>,
    /// The first line with a quote as text in a cell that is not quoted.
    pub(crate) stray_quote: Option<u64>,
    /// The first of them where only spaces stand before the quote.
    pub(crate) spaced_quote: Option<u64>,
    /// The last line with a backslash before a quote of a quoted cell.
    pub(crate) backslash_quote: Option<u64>,
    /// The first line with a backslash before a quote that closes its cell.
    pub(crate) backslash_closes: Option<u64>,
    /// The first line behind it with a quote at the end of a cell that is not quoted: together they look like one cell with `\\"` in it.
    pub(crate) stray_closing: Option<u64>,
    /// The first line with an escape before itself or a quote in a cell that is not quoted: Python means it there, Spark does not.
    plain_escape: Option<u64>,
    /// The first line with one at the end of such a cell, which it would not end for programs that escape where others quote.
    end_escape: Option<u64>,
    /// Whether one stands before another byte, so that it is text there, and so in the whole file. `\N` is NULL for those who escape in place
    /// of quotes too.
    escape_is_text: bool,
    has_null_escape: bool,
    pub(crate) has_quotes: bool,
    /// Whether lines end in LF (1), in CR LF (2); and the first that does not end as those before it.
    line_ends: u8,
    pub(crate) other_line_end: Option<u64>,
}

impl Noticed {
    /// A quote in a cell that is not quoted, behind some of its bytes.
    pub(crate) fn stray_quote(&mut self, line: u64, before: &[u8], ends_cell: bool) {
        self.stray_quote.get_or_insert(line);
        if before.len() <= SPACES_MAX && before.iter().all(|byte| *byte == b' ') {
            self.spaced_quote.get_or_insert(line);
        }
        if self.backslash_closes.is_some() && ends_cell {
            self.stray_closing.get_or_insert(line);
        }
    }

    /// An escape in a cell that is not quoted, and the byte behind it, if that can be no separator; `quotes` if it would make that text in
    /// quotes.
    pub(crate) fn plain_escape(&mut self, line: u64, behind: Option<u8>, quotes: bool) {
        match behind {
            Some(_) if quotes => self.plain_escape = self.plain_escape.or(Some(line)),
            None => self.end_escape = self.end_escape.or(Some(line)),
            Some(b'N') => self.has_null_escape = true,
            Some(_) => self.escape_is_text = true,
        }
    }

    /// The line of an escape in a cell that is not quoted, if nothing in the file shows whether it is text.
    pub(crate) fn unsure_escape(&self) -> Option<u64> {
        let at_end = self.end_escape.filter(|_| !self.has_quotes);
        let is_text = self.escape_is_text || self.has_null_escape && self.has_quotes;
        self.plain_escape.or(at_end).filter(|_| !is_text)
    }

    /// A line that ends in LF, or in CR LF as a pair.
    #[inline(always)]
    pub(crate) fn line_end(&mut self, line: u64, is_pair: bool) {
        let line_end = 1 << u8::from(is_pair);
        if self.line_ends & line_end == 0 {
            if self.line_ends != 0 {
                self.other_line_end = Some(line);
            }
            self.line_ends |= line_end;
        }
    }
}
