//! Where cells and records begin and end.
//!
//! In: bytes, each once, in pieces of any size. Out: the place of every cell, to a [`Sink`], or the first fault. RFC 4180, as Python's
//! `csv` and Excel read it: a quote opens a cell only as its first byte, and is text elsewhere in a cell that is not quoted; a quote in a
//! quoted cell is doubled, or stands behind the escape. Stricter than they are: nothing but a separator or a line end may follow a closing
//! quote, line ends are of one kind, and a quote that is never closed is a fault.

use super::lines::Looks;
use super::mask::{BLOCK, Needles};
use super::noticed::Noticed;
use super::options::CANDIDATES;

/// Where a cell stands in the buffer, without its quotes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell {
    start: u32,
    /// The topmost bit says whether quotes in the cell are doubled or escaped.
    len: u32,
}

const ESCAPED: u32 = 1 << 31;

impl Cell {
    #[inline(always)]
    pub(crate) fn start(self) -> usize {
        self.start as usize
    }

    #[inline(always)]
    pub(crate) fn len(self) -> usize {
        (self.len & !ESCAPED) as usize
    }

    /// The buffer has lost its first bytes.
    pub(crate) fn dropped(&mut self, bytes: usize) {
        self.start -= bytes as u32;
    }

    /// Whether the cell's text is not its bytes.
    #[inline(always)]
    pub(crate) fn is_escaped(self) -> bool {
        self.len & ESCAPED != 0
    }

    /// Whether it stands in quotes: separators and line ends are no quotes.
    pub(crate) fn is_quoted(self, data: &[u8], quote: u8) -> bool {
        self.start().checked_sub(1).and_then(|at| data.get(at)) == Some(&quote)
    }

    #[inline(always)]
    pub(crate) fn bytes(self, data: &[u8]) -> &[u8] {
        data.get(self.start()..self.start() + self.len()).unwrap_or_default()
    }
}

/// What ends a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineEnd {
    /// LF or CR LF.
    Lf,
    /// A lone CR, as on old Macs.
    Cr,
    /// The first that comes, while it is not known.
    Any,
}

/// The bytes that mean something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dialect {
    pub(crate) delimiter: u8,
    pub(crate) quote: u8,
    pub(crate) escape: Option<u8>,
    pub(crate) comment: Option<u8>,
    pub(crate) line_end: LineEnd,
}

/// In the place of [`quote`](super::Options::quote) where nothing quotes: a byte that no text has.
pub const NO_QUOTE: u8 = 0;

impl Dialect {
    /// Whether nothing quotes.
    pub(crate) fn is_quoteless(&self) -> bool {
        self.quote == NO_QUOTE
    }

    /// The text of a cell, made in `text` if it is not the cell's bytes.
    #[inline(always)]
    pub(crate) fn text<'b>(&self, cell: Cell, data: &'b [u8], text: &'b mut Vec<u8>) -> &'b [u8] {
        if cell.is_escaped() { self.unescape(cell.bytes(data), text) } else { cell.bytes(data) }
    }

    /// Whether the text of a cell is one of the marks that the author gave; `\N` is one where escapes mean something everywhere.
    #[inline(always)]
    pub(crate) fn is_null(&self, cell: Cell, data: &[u8], nulls: &[String]) -> bool {
        if cell.is_escaped() && self.is_quoteless() && cell.len() == 2 && cell.bytes(data).ends_with(b"N") {
            return true;
        }
        !nulls.is_empty() && {
            let mut text = Vec::new();
            let text = self.text(cell, data, &mut text);
            nulls.iter().any(|mark| mark.as_bytes() == text)
        }
    }

    /// The text of a cell whose quotes are doubled or escaped.
    pub(crate) fn unescape<'b>(&self, bytes: &[u8], text: &'b mut Vec<u8>) -> &'b [u8] {
        text.clear();
        let mut rest = bytes.iter().copied().peekable();
        if self.is_quoteless() {
            while let Some(byte) = rest.next() {
                let is_escape = self.escape == Some(byte);
                text.push(if is_escape { rest.next().map_or(byte, meant) } else { byte });
            }
            return text;
        }
        while let Some(byte) = rest.next() {
            match rest.peek() {
                Some(next) if self.escapes(byte, *next) => text.extend(rest.next()),
                _ => text.push(byte),
            }
        }
        text
    }

    /// Whether the first byte, in a quoted cell, says that the second one is text. An escape before another byte is text itself. A doubled
    /// quote is one quote even where there is an escape: it can be nothing else.
    #[inline(always)]
    fn escapes(&self, byte: u8, next: u8) -> bool {
        let is_quote = next == self.quote;
        byte == self.quote && is_quote || self.escape.is_some_and(|escape| byte == escape && (is_quote || next == escape))
    }
}

/// What an escape and a byte mean, for MySQL, PostgreSQL's COPY and Hive.
fn meant(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b't' => b'\t',
        b'r' => b'\r',
        b'b' => 8,
        b'f' => 12,
        b'v' => 11,
        b'0' => 0,
        b'Z' => 26,
        other => other,
    }
}

/// Takes what is found. Generic, so that counting does not pay for keeping.
pub(crate) trait Sink {
    fn cell(&mut self, cell: Cell);
    /// Whether a line without a byte is a record, of one empty cell.
    fn keeps_blank_lines(&self) -> bool {
        false
    }
    /// A record is complete.
    fn record(&mut self, record: Record) -> Result<(), Fault>;
}

/// A record whose cells have been given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record {
    /// Where it begins in the buffer.
    pub(crate) start: usize,
    pub(crate) line: u64,
    pub(crate) cells: usize,
    pub(crate) ends_with: LineEnd,
}

/// Why a file has no structure. The line is the one where the cell or record begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    OpenQuote(u64),
    TextBehindQuote {
        line: u64,
        at_line: u64,
    },
    Cells {
        line: u64,
        found: usize,
        expected: usize,
        looks: Looks,
        /// Of the first record.
        first: Looks,
    },
    /// A line that has as many cells as the others and is no row.
    NoRow {
        line: u64,
        looks: Looks,
    },
    MixedLineEnds(u64),
    TooLong(u64),
    NotUtf8(u64),
    Nul(u64),
    /// The second pass found something else than the first: see `rows`.
    Changed(u64),
    /// A cell is not of the type that was asked for its column.
    NotOfType {
        line: u64,
        output: usize,
    },
    /// A cell is empty in a column that was declared as one that has a value in each row.
    Missing {
        line: u64,
        output: usize,
    },
}

/// The machine. Positions are those of the buffer that it is shown.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) dialect: Dialect,
    needles: Needles,
    /// All bytes before it have been looked at.
    at: usize,
    record_start: usize,
    record_line: u64,
    cell_start: usize,
    cells: usize,
    line: u64,
    state: State,
    /// The line of the quote that is open, and whether it has text that is not its bytes.
    open_line: u64,
    escaped: bool,
    /// Whether nothing quotes, so that the escape means something everywhere: see [`Options::quote`](super::Options::quote).
    is_quoteless: bool,
    pub(crate) noticed: Noticed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Plain,
    Quoted,
    /// Behind the closing quote, which stands here.
    Closed(usize),
    Comment,
}

impl Machine {
    pub(crate) fn new(dialect: Dialect, line: u64) -> Self {
        Self {
            dialect,
            needles: Needles::new(dialect.delimiter, dialect.quote, dialect.escape),
            at: 0,
            record_start: 0,
            record_line: line,
            cell_start: 0,
            cells: 0,
            line,
            state: State::Plain,
            open_line: line,
            escaped: false,
            is_quoteless: dialect.is_quoteless(),
            noticed: Noticed::default(),
        }
    }

    /// Where the record begins that is not complete; what is before it may be dropped.
    pub(crate) fn record_start(&self) -> usize {
        self.record_start
    }

    pub(crate) fn record_line(&self) -> u64 {
        self.record_line
    }

    pub(crate) fn open_quote(&self) -> Option<u64> {
        (self.state == State::Quoted).then_some(self.open_line)
    }

    /// The buffer has lost its first bytes, none of them behind the start of the record.
    pub(crate) fn dropped(&mut self, bytes: usize) {
        self.at -= bytes;
        self.record_start -= bytes;
        self.cell_start -= bytes;
        if let State::Closed(at) = &mut self.state {
            *at -= bytes;
        }
    }

    /// Looks at the bytes up to `end`. Behind it the buffer has at least [`BLOCK`] bytes of whatever kind. The last byte waits for the next
    /// one unless it is the file's `last`.
    pub(crate) fn run(&mut self, data: &[u8], end: usize, last: bool, sink: &mut impl Sink) -> Result<(), Fault> {
        let mut at = self.at;
        if self.starts_comment(data, end) {
            self.state = State::Comment;
        }
        while at < end {
            let Some(block) = data.get(at..).and_then(|rest| rest.first_chunk::<BLOCK>()) else { break };
            let mut bits = self.needles.find(block);
            let len = BLOCK.min(end - at);
            if len < BLOCK {
                bits &= (1 << len) - 1;
            }
            let base = at;
            at += len;
            while bits != 0 {
                let place = base + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                if place + 1 == end && !last && (data[place] != self.dialect.delimiter && data[place] != b'\n') {
                    self.at = place;
                    return Ok(());
                }
                let next = if place + 1 < end { Some(data[place + 1]) } else { None };
                if let Some(skipped) = self.step(data, place, next, end, sink)? {
                    // The byte behind this one has been looked at.
                    if skipped < at {
                        bits &= u64::MAX << (skipped - base) << 1;
                    } else {
                        at = skipped + 1;
                    }
                }
            }
        }
        self.at = at;
        if last { self.finish(end, sink) } else { Ok(()) }
    }

    /// One byte that may mean something. `Some(place)` if the byte there, the next, belongs to it.
    #[inline(always)]
    fn step(&mut self, data: &[u8], at: usize, next: Option<u8>, end: usize, sink: &mut impl Sink) -> Result<Option<usize>, Fault> {
        let byte = data[at];
        match self.state {
            State::Plain => {
                if byte == self.dialect.delimiter {
                    self.push(at, sink);
                    self.cell_start = at + 1;
                } else if byte == b'\n' || byte == b'\r' {
                    return self.line_end(data, at, next, end, sink);
                } else if byte == self.dialect.quote {
                    if at == self.cell_start {
                        (self.state, self.open_line, self.escaped) = (State::Quoted, self.line, false);
                        self.cell_start = at + 1;
                        self.noticed.has_quotes = true;
                    } else {
                        let before = data.get(self.cell_start..at).unwrap_or_default();
                        self.noticed.stray_quote(self.line, before, next.is_none_or(|next| self.ends_cell(next)));
                    }
                } else if self.dialect.escape == Some(byte) && self.is_quoteless {
                    self.escaped = true;
                    if let Some(next) = next {
                        self.count_line(next, None);
                        return Ok(Some(at + 1));
                    }
                } else if self.dialect.escape == Some(byte) {
                    let quotes = next == Some(byte) || next == Some(self.dialect.quote);
                    let separates = |next: u8| self.ends_cell(next) || CANDIDATES.contains(&next);
                    self.noticed.plain_escape(self.line, next.filter(|next| !separates(*next)), quotes);
                    return Ok((next == Some(byte)).then_some(at + 1));
                }
            }
            State::Quoted => {
                if next.is_some_and(|next| self.dialect.escapes(byte, next)) {
                    self.note_backslash(data, at);
                    self.escaped = true;
                    return Ok(Some(at + 1));
                }
                if byte == self.dialect.quote {
                    if self.note_backslash(data, at) {
                        self.noticed.backslash_closes.get_or_insert(self.line);
                    }
                    self.state = State::Closed(at);
                    if next.is_some_and(|next| !self.ends_cell(next)) {
                        return Err(Fault::TextBehindQuote { line: self.open_line, at_line: self.line });
                    }
                } else {
                    self.count_line(byte, next);
                }
            }
            State::Closed(_) => {
                if byte == self.dialect.delimiter {
                    self.push(at, sink);
                    self.cell_start = at + 1;
                } else {
                    return self.line_end(data, at, next, end, sink);
                }
            }
            State::Comment => {
                if byte == b'\n' || byte == b'\r' {
                    let is_pair = byte == b'\r' && next == Some(b'\n');
                    let kind = if byte == b'\n' || is_pair { LineEnd::Lf } else { LineEnd::Cr };
                    if self.dialect.line_end == LineEnd::Any {
                        self.dialect.line_end = kind;
                    }
                    if self.dialect.line_end == kind {
                        self.line += 1;
                        self.next_record(data, at + 1 + usize::from(is_pair), end);
                    }
                    return Ok(is_pair.then_some(at + 1));
                }
            }
        }
        Ok(None)
    }

    #[inline(always)]
    fn ends_cell(&self, byte: u8) -> bool {
        byte == self.dialect.delimiter || byte == b'\n' || byte == b'\r'
    }

    /// Marks a backslash before the quote at `at`.
    fn note_backslash(&mut self, data: &[u8], at: usize) -> bool {
        let is_behind = self.dialect.escape.is_none() && at > self.cell_start && data[at - 1] == b'\\';
        if is_behind {
            self.noticed.backslash_quote = Some(self.line);
        }
        is_behind
    }

    #[inline(always)]
    fn count_line(&mut self, byte: u8, next: Option<u8>) {
        let ends = match self.dialect.line_end {
            LineEnd::Lf => byte == b'\n',
            LineEnd::Cr => byte == b'\r',
            LineEnd::Any => byte == b'\n' || byte == b'\r' && next != Some(b'\n'),
        };
        self.line += u64::from(ends);
    }

    #[inline(always)]
    fn line_end(&mut self, data: &[u8], at: usize, next: Option<u8>, end: usize, sink: &mut impl Sink) -> Result<Option<usize>, Fault> {
        let is_pair = data[at] == b'\r' && next == Some(b'\n');
        let kind = if data[at] == b'\n' || is_pair { LineEnd::Lf } else { LineEnd::Cr };
        if self.dialect.line_end == LineEnd::Any {
            self.dialect.line_end = kind;
        } else if kind != self.dialect.line_end {
            return Err(Fault::MixedLineEnds(self.line));
        }
        self.noticed.line_end(self.line, is_pair);
        let is_blank = self.state == State::Plain && self.cells == 0 && at == self.cell_start;
        if is_blank && sink.keeps_blank_lines() {
            self.noticed.blank_record.get_or_insert(self.line);
        }
        if !is_blank || sink.keeps_blank_lines() {
            self.push(at, sink);
            sink.record(Record { start: self.record_start, line: self.record_line, cells: self.cells, ends_with: kind })?;
        }
        self.line += 1;
        self.next_record(data, at + 1 + usize::from(is_pair), end);
        Ok(is_pair.then_some(at + 1))
    }

    #[inline(always)]
    fn next_record(&mut self, data: &[u8], start: usize, end: usize) {
        (self.record_start, self.cell_start, self.record_line, self.cells) = (start, start, self.line, 0);
        self.state = if self.starts_comment(data, end) { State::Comment } else { State::Plain };
    }

    /// Whether a comment begins here, at the start of a record. Asked again with the next bytes if there is no byte yet.
    #[inline(always)]
    fn starts_comment(&self, data: &[u8], end: usize) -> bool {
        let is_start =
            self.state == State::Plain && self.cells == 0 && self.cell_start == self.record_start || self.state == State::Comment;
        self.dialect.comment.is_some_and(|comment| is_start && self.record_start < end && data[self.record_start] == comment)
    }

    #[inline(always)]
    fn push(&mut self, at: usize, sink: &mut impl Sink) {
        let mut len = at - self.cell_start;
        if let State::Closed(end) = self.state {
            len = end - self.cell_start;
            self.state = State::Plain;
            if self.escaped {
                len |= ESCAPED as usize;
            }
        } else if self.is_quoteless && self.escaped {
            self.escaped = false;
            len |= ESCAPED as usize;
        }
        sink.cell(Cell { start: self.cell_start as u32, len: len as u32 });
        self.cells += 1;
    }

    /// The last record, which need not have a line end.
    fn finish(&mut self, end: usize, sink: &mut impl Sink) -> Result<(), Fault> {
        match self.state {
            State::Quoted => return Err(Fault::OpenQuote(self.open_line)),
            State::Comment => {}
            State::Plain if self.record_start == end => {}
            State::Plain | State::Closed(_) => {
                self.push(end, sink);
                let ends_with = self.dialect.line_end;
                sink.record(Record { start: self.record_start, line: self.record_line, cells: self.cells, ends_with })?;
            }
        }
        (self.record_start, self.cell_start, self.record_line, self.cells) = (end, end, self.line, 0);
        Ok(())
    }
}
