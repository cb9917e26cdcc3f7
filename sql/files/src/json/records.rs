//! Bytes -> records: where each object at the top begins and ends.
//!
//! In: bytes in pieces of any size. Out: the bytes of each record, with the line in which it begins. Records stand one behind the other,
//! usually one a line, or are the elements of one list. What stands inside of a record is not looked at, but for quotes and braces.

use std::sync::Arc;

use memchr::{memchr_iter, memchr2, memchr3};

use crate::TextError;
use crate::error::option;

/// Bytes of a record. A file whose first brace is never closed is one record.
const RECORD_BYTES_MAX: usize = 256 << 20;

/// The UTF-8 byte order mark.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// Where the bytes have come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nothing but blanks so far.
    Start,
    /// Records without a list around them.
    Lines,
    /// In the list, where a record may come: its first, or one behind a comma.
    List { is_first: bool },
    /// In the list, behind a record.
    Behind,
    /// Behind the list.
    End,
    /// In a record, within so many braces; `is_text`: between quotes.
    Record { depth: u32, is_text: bool, in_list: bool },
}

/// Finds records.
#[derive(Debug)]
pub(super) struct Records {
    file: Arc<str>,
    /// From the beginning of the record, or of what was not looked at.
    pending: Vec<u8>,
    /// What of it was looked at.
    looked: usize,
    /// Line in which `pending` begins.
    line: u64,
    place: Place,
    /// The next byte stands behind a backslash.
    is_escaped: bool,
    is_bom_over: bool,
}

impl Records {
    pub(super) fn new(file: &Arc<str>) -> Self {
        Self { file: Arc::clone(file), pending: Vec::new(), looked: 0, line: 1, place: Place::Start, is_escaped: false, is_bom_over: false }
    }

    /// Looks at further bytes, and hands on each record that they complete.
    ///
    /// # Errors
    /// What is no record, told with its line; that of `each`.
    pub(super) fn push(&mut self, bytes: &[u8], mut each: impl FnMut(&[u8], u64) -> Result<(), TextError>) -> Result<(), TextError> {
        self.pending.extend_from_slice(bytes);
        if !self.is_bom_over {
            let may_be_bom = self.pending.len() < BOM.len() && BOM.starts_with(&self.pending);
            if self.pending.len() < 2 || may_be_bom {
                return Ok(());
            }
            self.skip_bom()?;
        }
        let mut begun = 0;
        while self.looked < self.pending.len() {
            match self.place {
                Place::Record { depth, is_text, in_list } => {
                    let Some(end) = self.look_inside(depth, is_text, in_list) else { continue };
                    let record = self.pending.get(begun..end).unwrap_or_default();
                    each(record, self.line)?;
                    self.line += lines(record);
                    begun = end;
                    self.place = if in_list { Place::Behind } else { Place::Lines };
                }
                _ => begun = self.look_between(begun)?,
            }
        }
        self.pending.drain(..begun);
        self.looked = self.pending.len();
        if self.pending.len() > RECORD_BYTES_MAX {
            return Err(self.error(format!("the object that begins here has more than {} MB", RECORD_BYTES_MAX >> 20)));
        }
        Ok(())
    }

    /// The end of the file.
    ///
    /// # Errors
    /// A record or a list that is not closed.
    pub(super) fn finish(mut self) -> Result<(), TextError> {
        if !self.is_bom_over {
            // A byte, or the beginning of a mark, which are no record but may be a blank, or begin one.
            self.skip_bom()?;
            self.push(&[], |_, _| Ok(()))?;
        }
        match self.place {
            Place::Record { is_text: true, .. } => Err(self.error("the object that begins here is never closed: a quote in it is open")),
            Place::Record { .. } => Err(self.error("the object that begins here is never closed")),
            Place::List { .. } | Place::Behind => Err(self.error("the list of records is never closed: the file ends before its ]")),
            Place::Start | Place::Lines | Place::End => Ok(()),
        }
    }

    /// Leaves a byte order mark out. One of UTF-16 is an error.
    fn skip_bom(&mut self) -> Result<(), TextError> {
        let utf_16 = match self.pending.as_slice() {
            [0, ..] => Some("utf-16be"),
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [_, 0, ..] => Some("utf-16"),
            _ => None,
        };
        if let Some(name) = utf_16 {
            return Err(self.error("the file is UTF-16").remedy(format!("{} reads it", option("encoding", &format!("'{name}'")))));
        }
        if self.pending.starts_with(BOM) {
            self.pending.drain(..BOM.len());
        }
        self.is_bom_over = true;
        Ok(())
    }

    /// Goes on inside of a record: up to the next quote or brace, or the end of what is there. Returns the end of the record, once it is found.
    fn look_inside(&mut self, depth: u32, is_text: bool, in_list: bool) -> Option<usize> {
        if std::mem::take(&mut self.is_escaped) {
            self.looked += 1;
        }
        let rest = self.pending.get(self.looked..).unwrap_or_default();
        let found = if is_text { memchr2(b'"', b'\\', rest) } else { memchr3(b'"', b'{', b'}', rest) };
        let Some(at) = found else {
            self.looked = self.pending.len();
            return None;
        };
        let place = |depth, is_text| Place::Record { depth, is_text, in_list };
        let found = rest.get(at);
        self.looked += at + 1;
        match found {
            // The character behind it may not be there yet.
            Some(b'\\') => self.is_escaped = true,
            Some(b'"') => self.place = place(depth, !is_text),
            Some(b'{') => self.place = place(depth + 1, false),
            _ if depth == 1 => return Some(self.looked),
            _ => self.place = place(depth - 1, false),
        }
        None
    }

    /// Goes on between records, by one byte that is no blank. Returns where the next record begins.
    fn look_between(&mut self, begun: usize) -> Result<usize, TextError> {
        let rest = self.pending.get(self.looked..).unwrap_or_default();
        let blanks = rest.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).unwrap_or(rest.len());
        let found = rest.get(blanks).copied();
        self.looked += blanks;
        self.line += lines(self.pending.get(begun..self.looked).unwrap_or_default());
        let record = |in_list| Place::Record { depth: 1, is_text: false, in_list };
        self.place = match (self.place, found) {
            (_, None) => return Ok(self.looked),
            (Place::Start | Place::Lines, Some(b'{')) => record(false),
            (Place::List { .. }, Some(b'{')) => record(true),
            (Place::Start, Some(b'[')) => Place::List { is_first: true },
            (Place::List { is_first: true } | Place::Behind, Some(b']')) => Place::End,
            (Place::Behind, Some(b',')) => Place::List { is_first: false },
            (Place::End, Some(_)) => return Err(self.error("something stands behind the list of records")),
            (Place::Behind, Some(_)) => return Err(self.error("no comma stands between two records of the list")),
            (Place::Lines, Some(b',')) => {
                return Err(self
                    .error("a comma stands between records")
                    .remedy("[ before the first and ] behind the last make a list of them"));
            }
            (_, Some(other)) => return Err(self.error(format!("{} stands where a record, {{…}}, is expected", kind(other)))),
        };
        let at = self.looked;
        self.looked += 1;
        Ok(if matches!(self.place, Place::Record { .. }) { at } else { self.looked })
    }

    fn error(&self, what: impl Into<String>) -> TextError {
        TextError::new(&self.file, what).line(self.line)
    }
}

/// What begins with a byte.
fn kind(byte: u8) -> &'static str {
    match byte {
        b'"' => "a text",
        b'-' | b'0'..=b'9' => "a number",
        b'[' => "a list",
        b',' => "a comma",
        b'n' => "null",
        b't' | b'f' => "true or false",
        0xef => "a byte order mark, as where files were joined, or another character",
        _ => "something that is no JSON",
    }
}

fn lines(bytes: &[u8]) -> u64 {
    memchr_iter(b'\n', bytes).count() as u64
}
