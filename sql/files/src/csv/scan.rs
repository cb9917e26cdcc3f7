//! The first pass: every byte of a file, in pieces of any size.
//!
//! In: bytes. Out: the [`Layout`], or why the file is not read.

use std::sync::Arc;

use super::dialect::{Found, detect, separator_line};
use super::facts::Facts;
use super::fault::{ESCAPE, explain, quoted};
use super::feed::{Block, Feed, RECORD_BYTES_MAX};
use super::layout::{Column, Layout, Split};
use super::options::{Options, Types};
use super::structure::{Dialect, Fault};
use crate::error::TextError;

/// Bytes from which the separator is known.
const HEAD_BYTES: usize = 64 << 10;
/// Bytes of a range that is read by itself.
const SPLIT_BYTES: u64 = 8 << 20;
const BOM: &[u8] = b"\xef\xbb\xbf";

/// The first pass over a file. After an error it takes no more.
#[derive(Debug)]
pub struct Scan {
    file: Arc<str>,
    options: Options,
    state: State,
}

#[derive(Debug)]
enum State {
    Head(Vec<u8>),
    Body(Box<Body>),
}

impl Scan {
    /// A pass over the file of this name.
    pub fn new(file: impl Into<Arc<str>>, options: Options) -> Self {
        Self { file: file.into(), options, state: State::Head(Vec::new()) }
    }

    /// The next bytes of the file.
    ///
    /// # Errors
    /// The file is not one that can be read exactly: see [`csv`](super).
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), TextError> {
        match &mut self.state {
            State::Head(head) => {
                head.extend_from_slice(bytes);
                if head.len() >= HEAD_BYTES { self.begin(false) } else { Ok(()) }
            }
            State::Body(body) => body.push(bytes, &self.options).map_err(|fault| explain(&self.file, fault, &body.feed.machine)),
        }
    }

    /// The file has no more bytes.
    ///
    /// # Errors
    /// As [`push`](Self::push); and names of columns that are not unique. A file without a byte is no error here: its layout has no column.
    pub fn finish(mut self) -> Result<Layout, TextError> {
        if matches!(self.state, State::Head(_)) {
            self.begin(true)?;
        }
        match self.state {
            State::Body(body) => body.finish(&self.file, self.options),
            State::Head(_) => Err(TextError::new(&self.file, "the file was not read to its end")),
        }
    }

    /// Goes from the head to the body, once the separator is known.
    fn begin(&mut self, whole: bool) -> Result<(), TextError> {
        let State::Head(head) = &mut self.state else { return Ok(()) };
        refuse_other_formats(&self.file, head)?;
        let mut skipped = if head.starts_with(BOM) { BOM.len() } else { 0 };
        let (mut delimiter, mut line) = (self.options.delimiter, 1);
        if let Some((stated, len)) = separator_line(head.get(skipped..).unwrap_or_default()) {
            delimiter = delimiter.or(Some(stated));
            skipped += len;
            line = 2;
        }
        let text = head.get(skipped..).unwrap_or_default();
        let dialect = match detect(text, whole, delimiter, &self.options) {
            Found::Dialect(dialect) => dialect,
            Found::NeedsMore if head.len() <= RECORD_BYTES_MAX => return Ok(()),
            Found::NeedsMore => return Err(TextError::new(&self.file, "the first record does not end").line(line)),
            Found::Ambiguous(one, other) => {
                let what = format!("both {} and {} split all first records evenly", quoted(one), quoted(other));
                let remedy = format!("delimiter = {}, or the other", quoted(one));
                return Err(TextError::new(&self.file, what).line(line).remedy(remedy));
            }
        };
        let mut body = Body::new(&self.file, dialect, skipped as u64, line);
        let pushed = body.push(text, &self.options).map_err(|fault| explain(&self.file, fault, &body.feed.machine));
        self.state = State::Body(Box::new(body));
        pushed
    }
}

/// Errors for bytes that are no text in UTF-8, as their first bytes say.
fn refuse_other_formats(file: &Arc<str>, head: &[u8]) -> Result<(), TextError> {
    let utf16 = |which: &str| Err(TextError::new(file, "the file is in UTF-16").line(1).remedy(format!("encoding = '{which}' reads it")));
    match head {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => utf16("utf-16"),
        [first, 0, second, 0, ..] if *first != 0 && *second != 0 => utf16("utf-16le"),
        [0, first, 0, second, ..] if *first != 0 && *second != 0 => utf16("utf-16be"),
        [0x1f, 0x8b, ..] | [b'P', b'K', 3, 4, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] | [b'P', b'A', b'R', b'1', ..] => {
            let error = TextError::new(file, "the file is no text: it is compressed, a workbook, or Parquet");
            Err(error.remedy("give it the ending of what it is, as .csv.gz, or save it as CSV"))
        }
        _ => Ok(()),
    }
}

#[derive(Debug)]
struct Body {
    feed: Feed,
    columns: Columns,
}

/// What is known of the columns so far.
#[derive(Debug)]
struct Columns {
    file: Arc<str>,
    /// Cells of the first record.
    header: Option<Header>,
    facts: Vec<Facts>,
    rows: u64,
    splits: Vec<Split>,
    /// A separator that is text in a file of one column.
    other_separator: Option<(u8, u64)>,
}

#[derive(Debug)]
struct Header {
    line: u64,
    names: Vec<String>,
}

impl Body {
    fn new(file: &Arc<str>, dialect: Dialect, offset: u64, line: u64) -> Self {
        let columns =
            Columns { file: Arc::clone(file), header: None, facts: Vec::new(), rows: 0, splits: Vec::new(), other_separator: None };
        Self { feed: Feed::new(dialect, None, offset, line), columns }
    }

    fn push(&mut self, bytes: &[u8], options: &Options) -> Result<(), Fault> {
        let (columns, dialect) = (&mut self.columns, self.feed.machine.dialect);
        self.feed.push(bytes, |block| {
            columns.take(block, dialect, options);
            Ok(())
        })
    }

    fn finish(mut self, file: &Arc<str>, options: Options) -> Result<Layout, TextError> {
        let (columns, dialect) = (&mut self.columns, self.feed.machine.dialect);
        let ended = self.feed.finish(|block| {
            columns.take(block, dialect, &options);
            Ok(())
        });
        ended.map_err(|fault| explain(file, fault, &self.feed.machine))?;
        let machine = &self.feed.machine;
        if let (Some(_), Some(line)) = (machine.stray_quote, machine.backslash_closes) {
            return Err(TextError::new(file, "a backslash stands before a quote that closes its cell").line(line).remedy(ESCAPE));
        }
        let mut warnings = Vec::new();
        if let Some(line) = machine.stray_quote {
            warnings.push(TextError::new(file, "a quote inside of a cell that is not quoted is read as text").line(line));
        }
        let Columns { header, facts, rows, mut splits, other_separator, .. } = self.columns;
        let cells = facts.len();
        if let Some(line) = machine.blank_record {
            warnings.push(TextError::new(file, "a blank line of a file of one column is a row without a value").line(line));
        }
        if let (1, Some((separator, line))) = (cells, other_separator) {
            let what = format!("the file has one column, and {} in it is read as text", quoted(separator));
            warnings
                .push(TextError::new(file, what).line(line).remedy(format!("delimiter = {}, if it separates cells", quoted(separator))));
        }
        let names = names(file, header, &facts, rows, &options, &mut warnings)?;
        let mut columns = Vec::new();
        for (source, (name, facts)) in names.into_iter().zip(facts).enumerate() {
            if let Some(name) = name {
                columns.push(Column::settle(name, source, facts, options.types, &mut warnings));
            }
        }
        let bytes = self.feed.bytes();
        if splits.is_empty() {
            splits.push(Split { offset: bytes, row: 0, line: machine.record_line() });
        }
        Ok(Layout { file: Arc::clone(file), columns, rows, bytes, splits, warnings, dialect: machine.dialect, cells, options })
    }
}

impl Columns {
    fn take(&mut self, block: &Block<'_>, dialect: Dialect, options: &Options) {
        let mut first = 0;
        if self.facts.is_empty() {
            self.facts = vec![Facts::new(&self.file); block.columns];
            if options.has_header {
                let mut text = Vec::new();
                let names = block.cells.iter().take(block.columns).map(|cell| {
                    let bytes = cell.bytes(block.data);
                    let bytes = if cell.is_escaped() { dialect.unescape(bytes, &mut text) } else { bytes };
                    String::from_utf8_lossy(bytes).into_owned()
                });
                self.header = Some(Header { line: block.records.first().map_or(1, |record| record.line), names: names.collect() });
                first = 1;
            }
        }
        let Some(record) = block.records.get(first) else { return };
        let offset = block.offset + u64::from(record.start);
        if self.splits.last().is_none_or(|last| offset - last.offset >= SPLIT_BYTES) {
            self.splits.push(Split { offset, row: self.rows, line: record.line });
        }
        self.rows += (block.records.len() - first) as u64;
        if options.types == Types::Exact {
            for (column, facts) in self.facts.iter_mut().enumerate() {
                facts.scan(block, column, first, &options.null);
            }
        }
        if block.columns == 1 && self.other_separator.is_none() {
            self.other_separator = other_separator(block, dialect.delimiter);
        }
    }
}

/// A separator that is text in the only column.
fn other_separator(block: &Block<'_>, delimiter: u8) -> Option<(u8, u64)> {
    block.column(0).find_map(|(cell, record)| {
        let is_other = |byte: &&u8| matches!(**byte, b',' | b';' | b'\t' | b'|' | 1) && **byte != delimiter;
        cell.bytes(block.data).iter().find(is_other).map(|byte| (*byte, record.line))
    })
}

/// The names of the columns; `None` for one that has neither a name nor a value, as separators at the ends of all lines make.
fn names(
    file: &Arc<str>,
    header: Option<Header>,
    facts: &[Facts],
    rows: u64,
    options: &Options,
    warnings: &mut Vec<TextError>,
) -> Result<Vec<Option<String>>, TextError> {
    let numbered = |at: usize| format!("column_{}", at + 1);
    let Some(Header { line, names }) = header else { return Ok((0..facts.len()).map(|at| Some(numbered(at))).collect()) };
    let told = |what: String| TextError::new(file, what).line(line);
    if rows == 0 {
        warnings.push(told("the file has a header and no row".to_owned()));
    }
    if names.iter().any(|name| looks_like_a_value(name)) {
        warnings.push(told("the first line looks like a row, and is read as names of columns".to_owned()).remedy("has_header = false"));
    }
    let mut named: Vec<Option<String>> = Vec::new();
    for (at, name) in names.into_iter().enumerate() {
        // What the types do not look at is known to be empty only where they do.
        let is_empty = options.types == Types::Exact && facts[at].count(&super::facts::KINDS) == 0;
        let name = match name.trim() {
            "" if is_empty && at > 0 && at + 1 == facts.len() => {
                warnings.push(told(format!("column {} has neither a name nor a value, and is left out", at + 1)));
                None
            }
            "" => {
                warnings.push(told(format!("column {} has no name, and is called \"{}\"", at + 1, numbered(at))));
                Some(numbered(at))
            }
            trimmed => {
                if trimmed.len() < name.len() {
                    warnings.push(told(format!("the name \"{trimmed}\" has spaces around it, which are part of it")));
                }
                Some(name)
            }
        };
        if let Some(name) = &name {
            for (before, other) in named.iter().enumerate().filter_map(|(at, other)| Some((at, other.as_ref()?))) {
                if other == name {
                    let what = format!("columns {} and {} are both called \"{name}\"", before + 1, at + 1);
                    return Err(told(what).remedy("give one of them another name"));
                }
                if other.to_lowercase() == name.to_lowercase() {
                    warnings.push(told(format!("\"{other}\" and \"{name}\" differ only in case")));
                }
            }
        }
        named.push(name);
    }
    Ok(named)
}

/// Whether a name is a number or a day, as no name is.
fn looks_like_a_value(name: &str) -> bool {
    use super::cell::{number::number, time::date};
    let mut data = name.as_bytes().to_vec();
    data.resize(name.len() + super::mask::BLOCK, 0);
    !name.is_empty() && (number(&data, 0, name.len()).is_some() || date(&data, 0, name.len()).is_some())
}
