//! The first pass: every byte of a file, in pieces of any size.
//!
//! In: bytes. Out: the [`Layout`], or why the file is not read.

use std::sync::Arc;

use super::dialect::{Found, detect, separator_line};
use super::facts::Facts;
use super::fault::{backslashes, escape, explain, no_row, quoted, too_long};
use super::feed::{Block, Feed, RECORD_BYTES_MAX};
use super::header::{Header, numbered};
use super::layout::{Column, Layout, Split};
use super::lines::{BOM, Looks, is_rule, no_row as looks_like_no_row};
use super::options::{Options, Types};
use super::structure::{Dialect, Fault, NO_QUOTE};
use crate::error::{TextError, option};

/// Bytes from which the separator is known.
const HEAD_BYTES: usize = 64 << 10;
/// Bytes of a range that is read by itself.
const SPLIT_BYTES: u64 = 8 << 20;

/// The first pass over a file. After an error it takes no more.
#[derive(Debug)]
pub struct Scan {
    file: Arc<str>,
    options: Options,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The first bytes, and how many there must be before the separator is looked for (again).
    Head(Vec<u8>, usize),
    Body(Box<Body>),
}

impl Scan {
    /// A pass over the file of this name.
    pub fn new(file: impl Into<Arc<str>>, options: Options) -> Self {
        // A quote that is its own escape is doubled, which is what no escape means.
        let escape = options.escape.filter(|escape| *escape != options.quote.unwrap_or(b'"'));
        Self { file: file.into(), options: Options { escape, ..options }, state: State::Head(Vec::new(), HEAD_BYTES) }
    }

    /// The next bytes of the file.
    ///
    /// # Errors
    /// The file is not one that can be read exactly: see [`csv`](super).
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), TextError> {
        match &mut self.state {
            State::Head(head, enough) => {
                head.extend_from_slice(bytes);
                if head.len() >= *enough { self.begin(false) } else { Ok(()) }
            }
            State::Body(body) => body.push(bytes, &self.options).map_err(|fault| explain(&self.file, fault, &body.feed.machine)),
        }
    }

    /// The file has no more bytes.
    ///
    /// # Errors
    /// As [`push`](Self::push); and names of columns that are not unique. A file without a byte is no error here: its layout has no column.
    pub fn finish(mut self) -> Result<Layout, TextError> {
        if matches!(self.state, State::Head(..)) {
            self.begin(true)?;
        }
        match self.state {
            State::Body(body) => body.finish(&self.file, self.options),
            State::Head(..) => Err(TextError::new(&self.file, "the file was not read to its end")),
        }
    }

    /// Goes from the head to the body, once the separator is known.
    fn begin(&mut self, whole: bool) -> Result<(), TextError> {
        let State::Head(head, enough) = &mut self.state else { return Ok(()) };
        refuse_options(&self.file, &self.options)?;
        refuse_other_formats(&self.file, head)?;
        let mut skipped = if head.starts_with(BOM) { BOM.len() } else { 0 };
        let (mut delimiter, mut line) = (self.options.delimiter, 1);
        if let Some((stated, len)) = separator_line(head.get(skipped..).unwrap_or_default()) {
            if let Some(other) = delimiter.filter(|other| *other != stated) {
                let what = format!("the first line says that {} separates, and delimiter is {}", quoted(stated), quoted(other));
                let remedy = format!("{}, or a line of names before it if it is a row", option("delimiter", &quoted(stated)));
                return Err(TextError::new(&self.file, what).line(1).remedy(remedy));
            }
            delimiter = Some(stated);
            skipped += len;
            line = 2;
        }
        let text = head.get(skipped..).unwrap_or_default();
        let (dialect, cells) = match detect(text, whole, delimiter, &self.options) {
            Found::Dialect(dialect, cells) => (dialect, cells),
            Found::NeedsMore if head.len() <= RECORD_BYTES_MAX => {
                *enough = 2 * head.len();
                return Ok(());
            }
            Found::NeedsMore => return Err(too_long(&self.file, line)),
            Found::Ambiguous(one, other) => {
                let what = format!("both {} and {} split all first records evenly", quoted(one), quoted(other));
                let remedy = format!("{}, or the other", option("delimiter", &quoted(one)));
                return Err(TextError::new(&self.file, what).line(line).remedy(remedy));
            }
        };
        // Blank lines before the first row of one cell are rows too, unless there are names before them.
        let cells = cells.filter(|cells| *cells == 1 && !self.options.has_header);
        let mut body = Body::new(&self.file, dialect, cells, skipped as u64, line);
        let pushed = body.push(text, &self.options).map_err(|fault| explain(&self.file, fault, &body.feed.machine));
        self.state = State::Body(Box::new(body));
        pushed
    }
}

/// Errors for bytes that cannot separate or quote.
fn refuse_options(file: &Arc<str>, options: &Options) -> Result<(), TextError> {
    let quote = Some(options.quote.unwrap_or(b'"')).filter(|quote| *quote != NO_QUOTE);
    let mut bytes: Vec<u8> = [options.delimiter, quote, options.escape, options.comment].into_iter().flatten().collect();
    let is_odd = bytes.iter().any(|byte| !byte.is_ascii() || matches!(byte, b'\n' | b'\r' | 0));
    // A number in which a digit is doubled would be one too.
    let is_value = options.escape.into_iter().chain(quote).any(|byte| byte.is_ascii_alphanumeric());
    let count = bytes.len();
    bytes.sort_unstable();
    bytes.dedup();
    if is_odd || is_value || bytes.len() < count {
        let error = TextError::new(file, "the separator, the quote, the escape or the mark of comments cannot be what it was set to");
        return Err(error.remedy("give different ASCII characters, no line end among them, and as quote or escape no letter or digit"));
    }
    Ok(())
}

/// Errors for bytes that are no text in UTF-8, as their first bytes say.
fn refuse_other_formats(file: &Arc<str>, head: &[u8]) -> Result<(), TextError> {
    let utf16 = |which: &str| {
        Err(TextError::new(file, "the file is in UTF-16").line(1).remedy(format!("{} reads it", option("encoding", &format!("'{which}'")))))
    };
    let first_line = head.strip_prefix(BOM).unwrap_or(head).split(|byte| matches!(byte, b'\n' | b'\r')).next().unwrap_or_default();
    let is_frame = is_rule(first_line.trim_ascii()) && first_line.contains(&b'+');
    match head {
        _ if is_frame || first_line.starts_with(b"-[ RECORD ") => {
            let error = TextError::new(file, "the first line is drawn, and no row").line(1);
            Err(error.remedy(no_row(Looks::Rule).unwrap_or_default()))
        }
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => utf16("utf-16"),
        [first, 0, second, 0, ..] if *first != 0 && *second != 0 => utf16("utf-16le"),
        [0, first, 0, second, ..] if *first != 0 && *second != 0 => utf16("utf-16be"),
        [0x1f, 0x8b, ..]
        | [0x28, 0xb5, 0x2f, 0xfd, ..]
        | [0xfd, b'7', b'z', b'X', b'Z', ..]
        | [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..]
        | [b'P', b'K', 3, 4, ..]
        | [0xd0, 0xcf, 0x11, 0xe0, ..]
        | [b'P', b'A', b'R', b'1', ..] => {
            let error = TextError::new(file, "the file is no text: it is compressed, a workbook, or Parquet");
            Err(error.remedy("give it the ending of what it is, as .csv.gz, or save it as CSV"))
        }
        _ if is_utf16(head, |pair| matches!(pair, [b'\n' | b'\r', 0])) => utf16("utf-16le"),
        _ if is_utf16(head, |pair| matches!(pair, [0, b'\n' | b'\r'])) => utf16("utf-16be"),
        _ => Ok(()),
    }
}

/// Whether there is a line end of two bytes, and every eighth byte is zero.
fn is_utf16(head: &[u8], is_line_end: impl Fn(&[u8; 2]) -> bool) -> bool {
    let zeros = head.iter().filter(|byte| **byte == 0).count();
    zeros > 0 && zeros * 8 >= head.len() && head.as_chunks().0.iter().any(is_line_end)
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
    /// The first record as it stands, if it is names; and where it stands again in a file of one column.
    header_line: Vec<u8>,
    name_again: Option<u64>,
    /// In a file with tabs, the first line with a backslash before a letter that MySQL writes for a line end or a tab.
    backslash: Option<u64>,
}

impl Body {
    fn new(file: &Arc<str>, dialect: Dialect, cells: Option<usize>, offset: u64, line: u64) -> Self {
        let columns = Columns {
            file: Arc::clone(file),
            header: None,
            facts: Vec::new(),
            rows: 0,
            splits: Vec::new(),
            other_separator: None,
            header_line: Vec::new(),
            name_again: None,
            backslash: None,
        };
        Self { feed: Feed::new(dialect, cells, offset, line), columns }
    }

    fn push(&mut self, bytes: &[u8], options: &Options) -> Result<(), Fault> {
        let (columns, dialect) = (&mut self.columns, self.feed.machine.dialect);
        self.feed.push(bytes, |block| columns.take(block, dialect, options))
    }

    fn finish(mut self, file: &Arc<str>, options: Options) -> Result<Layout, TextError> {
        let (columns, dialect) = (&mut self.columns, self.feed.machine.dialect);
        let ended = self.feed.finish(|block| columns.take(block, dialect, &options));
        ended.map_err(|fault| explain(file, fault, &self.feed.machine))?;
        let machine = &self.feed.machine;
        if let (Some(line), Some(other)) = (machine.noticed.backslash_closes, machine.noticed.stray_closing) {
            let what = format!("a backslash stands before a quote that closes its cell, and line {other} has one that opens none");
            return Err(TextError::new(file, what).line(line).remedy(format!("{}; or quote the cell of line {other}", escape())));
        }
        if let Some(line) = machine.noticed.unsure_escape() {
            let what = "the escape stands before others in cells that are not quoted, where some programs mean it and some do not";
            let remedy = "write the file with quotes around such cells";
            let or = if machine.noticed.has_quotes { String::new() } else { format!(", or {}", backslashes(dialect.delimiter)) };
            return Err(TextError::new(file, what).line(line).remedy(remedy.to_owned() + &or));
        }
        let mut warnings = Vec::new();
        if let Some(line) = machine.noticed.spaced_quote {
            let error = TextError::new(file, "a space stands before a quote, so that it quotes nothing and is read as text").line(line);
            warnings.push(error.remedy("remove spaces behind separators"));
        } else if let Some(line) = machine.noticed.stray_quote {
            warnings.push(TextError::new(file, "a quote inside of a cell that is not quoted is read as text").line(line));
        }
        if let Some(line) = machine.noticed.other_line_end {
            let what = "some lines end in LF and some in CR LF: a CR before the LF is no part of the last cell";
            warnings.push(TextError::new(file, what).line(line).remedy("quote cells that end in CR"));
        }
        let Columns { header, facts, rows, mut splits, other_separator, name_again, backslash, .. } = self.columns;
        let cells = facts.len();
        if let Some(line) = machine.noticed.blank_record {
            warnings.push(TextError::new(file, "a blank line of a file of one column is a row without a value").line(line));
        }
        if let (1, Some((separator, line))) = (cells, other_separator) {
            let what = format!("the file has one column, and {} in it is read as text", quoted(separator));
            warnings.push(
                TextError::new(file, what).line(line).remedy(format!("{}, if it separates cells", option("delimiter", &quoted(separator)))),
            );
        }
        if let Some(line) = name_again {
            let error = TextError::new(file, "the name of the column stands here again, as where files were joined, and is read as a row");
            warnings.push(error.line(line).remedy("remove the line if it is none"));
        }
        if let Some(line) = backslash {
            let what =
                "a backslash stands before a letter, as mysql --batch and PostgreSQL's COPY write line ends and tabs, and is read as text";
            warnings.push(TextError::new(file, what).line(line).remedy(backslashes(b'\t')));
        }
        let names_are_a_row = header.as_ref().is_some_and(Header::is_row);
        let names = match header {
            Some(header) => header.settle(file, &facts, rows, &mut warnings)?,
            None => (0..facts.len()).map(|at| Some(numbered(at))).collect(),
        };
        let mut columns = Vec::new();
        for (source, (name, facts)) in names.into_iter().zip(facts).enumerate() {
            let Some(name) = name else { continue };
            let told_as = if names_are_a_row { numbered(source) } else { name.clone() };
            columns.push(Column::settle(name, &told_as, source, facts, options.types));
        }
        let bytes = self.feed.bytes();
        if splits.is_empty() {
            splits.push(Split { offset: bytes, row: 0, line: machine.record_line() });
        }
        Ok(Layout {
            file: Arc::clone(file),
            columns,
            rows,
            bytes,
            splits,
            warnings,
            dialect: machine.dialect,
            cells,
            names_are_a_row,
            options,
        })
    }
}

impl Columns {
    /// # Errors
    /// A line is no row.
    fn take(&mut self, block: &Block<'_>, dialect: Dialect, options: &Options) -> Result<(), Fault> {
        let mut first = 0;
        if self.facts.is_empty() {
            if options.has_header {
                let mut text = Vec::new();
                let names = block
                    .cells
                    .iter()
                    .take(block.columns)
                    .map(|cell| String::from_utf8_lossy(dialect.text(*cell, block.data, &mut text)).into_owned());
                let header = Header { line: block.records.first().map_or(1, |record| record.line), names: names.collect() };
                if !header.is_row() && header.names.iter().any(|name| !name.trim().is_empty()) {
                    self.header_line = block.record(0).trim_ascii_end().to_vec();
                }
                self.header = Some(header);
                first = 1;
            }
            // Where all are text, those without a name may be left out, if they have no value.
            let is_text = |at: usize| {
                options.types == Types::Text
                    && self.header.as_ref().is_none_or(|header| header.names.get(at).is_some_and(|name| !name.trim().is_empty()))
            };
            let facts = |at: usize| if is_text(at) { Facts::new(&self.file).of_text() } else { Facts::new(&self.file) };
            self.facts = (0..block.columns).map(facts).collect();
        }
        self.refuse_what_is_no_row(block, first)?;
        let Some(record) = block.records.get(first) else { return Ok(()) };
        let offset = block.offset + u64::from(record.start);
        if self.splits.last().is_none_or(|last| offset - last.offset >= SPLIT_BYTES) {
            self.splits.push(Split { offset, row: self.rows, line: record.line });
        }
        self.rows += (block.records.len() - first) as u64;
        for (column, facts) in self.facts.iter_mut().enumerate() {
            facts.scan(block, column, first, &dialect, &options.null);
        }
        if block.columns == 1 && self.other_separator.is_none() {
            self.other_separator = other_separator(block, dialect.delimiter);
        }
        if dialect.delimiter == b'\t' && dialect.escape.is_none() && self.backslash.is_none() {
            self.backslash = escaped_letter(block, &dialect);
        }
        Ok(())
    }

    /// Lines that are left where files were joined, and those of one cell that programs write around rows.
    fn refuse_what_is_no_row(&mut self, block: &Block<'_>, first: usize) -> Result<(), Fault> {
        let begins_with = self.header_line.first().copied();
        for (at, record) in block.records.iter().enumerate().skip(first) {
            let start = block.data.get(record.start as usize).copied();
            let line = record.line;
            if start == BOM.first().copied() && block.record(at).starts_with(BOM) {
                return Err(Fault::NoRow { line, looks: Looks::Joined });
            }
            if start.is_some() && start == begins_with && block.record(at).trim_ascii_end() == self.header_line {
                if block.columns > 1 {
                    return Err(Fault::NoRow { line, looks: Looks::Names });
                }
                // One cell may be a name by chance.
                self.name_again.get_or_insert(line);
            }
            if block.columns == 1 && matches!(start, Some(b'(' | b'\\' | b'-' | b' ' | b'+')) {
                let looks = looks_like_no_row(block.record(at));
                // Dashes may be a value, but not below names of their width.
                if looks != Looks::Record && (looks != Looks::Rule || self.rows == 0 && at == first && self.header.is_some()) {
                    return Err(Fault::NoRow { line, looks });
                }
            }
        }
        Ok(())
    }
}

/// The first line with a backslash in a cell that is not quoted, before a letter that stands for a byte.
fn escaped_letter(block: &Block<'_>, dialect: &Dialect) -> Option<u64> {
    let bytes = block.text.as_bytes();
    let mut places = memchr::memchr_iter(b'\\', bytes).filter(|at| matches!(bytes.get(at + 1), Some(b'n' | b't' | b'r' | b'\\' | b'0')));
    let at = places.next()?;
    let record = block.records.partition_point(|record| record.start as usize <= at).checked_sub(1)?;
    let mut cells = block.cells.get(record * block.columns..(record + 1) * block.columns)?.iter();
    cells
        .any(|cell| !cell.is_quoted(block.data, dialect.quote) && cell.bytes(block.data).contains(&b'\\'))
        .then(|| block.records[record].line)
}

/// A separator that is text in the only column.
fn other_separator(block: &Block<'_>, delimiter: u8) -> Option<(u8, u64)> {
    block.column(0).find_map(|(cell, record)| {
        let is_other = |byte: &&u8| matches!(**byte, b',' | b';' | b'\t' | b'|' | 1) && **byte != delimiter;
        cell.bytes(block.data).iter().find(is_other).map(|byte| (*byte, record.line))
    })
}
