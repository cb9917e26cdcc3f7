//! Pieces of any size become blocks of whole records.
//!
//! In: bytes as they come. Out: blocks, each valid UTF-8, with the place of every cell. At most a block and one record are held.

use super::lines::{Looks, looks};
use super::mask::BLOCK;
use super::structure::{Cell, Dialect, Fault, LineEnd, Machine, Record, Sink};

/// Bytes that are looked at before their cells are: few enough to be still in the second cache then.
const PIECE_BYTES: usize = 128 << 10;
/// What one record may take. More is a quote that is never closed.
pub(crate) const RECORD_BYTES_MAX: usize = 64 << 20;

/// Cells of whole records, each with as many as the first.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// Cells of a record; `None` before the first one.
    columns: Option<usize>,
    cells: Vec<Cell>,
    records: Vec<Place>,
}

/// Where a record begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) start: u32,
    pub(crate) line: u64,
}

impl Sink for Index {
    #[inline(always)]
    fn cell(&mut self, cell: Cell) {
        self.cells.push(cell);
    }

    #[inline(always)]
    fn keeps_blank_lines(&self) -> bool {
        self.columns == Some(1)
    }

    #[inline(always)]
    fn record(&mut self, record: Record) -> Result<(), Fault> {
        let expected = *self.columns.get_or_insert(record.cells);
        if record.cells != expected {
            return Err(Fault::Cells { line: record.line, found: record.cells, expected, looks: Looks::Record, first: Looks::Record });
        }
        self.records.push(Place { start: record.start as u32, line: record.line });
        Ok(())
    }
}

/// Whole records.
#[derive(Debug)]
pub(crate) struct Block<'a> {
    /// The records, and at least [`BLOCK`] more bytes, so that a cell can be loaded in words.
    pub(crate) data: &'a [u8],
    /// The records.
    pub(crate) text: &'a str,
    pub(crate) columns: usize,
    pub(crate) cells: &'a [Cell],
    pub(crate) records: &'a [Place],
    /// Bytes of the input before this block.
    pub(crate) offset: u64,
}

impl Block<'_> {
    /// The line of the last record.
    pub(crate) fn line(&self) -> u64 {
        self.records.last().map_or(0, |record| record.line)
    }

    /// The bytes of a record, and of its line end.
    pub(crate) fn record(&self, at: usize) -> &[u8] {
        let start = |at: usize| self.records.get(at).map_or(self.text.len(), |record| record.start as usize);
        self.data.get(start(at)..start(at + 1)).unwrap_or_default()
    }

    /// The cells of one column, each with its record.
    #[inline(always)]
    pub(crate) fn column(&self, at: usize) -> impl Iterator<Item = (Cell, &Place)> {
        self.cells.chunks_exact(self.columns).map(move |cells| cells[at]).zip(self.records)
    }
}

/// The bytes before the first line end.
fn first_line(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| matches!(byte, b'\n' | b'\r')).next().unwrap_or_default()
}

#[derive(Debug)]
pub(crate) struct Feed {
    pub(crate) machine: Machine,
    index: Index,
    /// Bytes from `len` on are room, and whatever was there.
    buffer: Vec<u8>,
    len: usize,
    /// Bytes of the input before the buffer, and the line where the buffer begins.
    offset: u64,
    line: u64,
    /// What the first record looks like, and the last byte of the last one, without its line end.
    first: Option<Looks>,
    before: Option<u8>,
}

impl Feed {
    /// Reads from a record's start. `columns` is known if the first record has been seen.
    pub(crate) fn new(dialect: Dialect, columns: Option<usize>, offset: u64, line: u64) -> Self {
        let index = Index { columns, ..Index::default() };
        Self { machine: Machine::new(dialect, line), index, buffer: vec![0; BLOCK], len: 0, offset, line, first: None, before: None }
    }

    /// Bytes of the input so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.offset + self.len as u64
    }

    /// Whether all records are complete.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn push(&mut self, bytes: &[u8], mut take: impl FnMut(&Block<'_>) -> Result<(), Fault>) -> Result<(), Fault> {
        bytes.chunks(PIECE_BYTES).try_for_each(|piece| {
            let len = self.len + piece.len();
            if self.buffer.len() < len + BLOCK {
                self.buffer.resize((len + BLOCK).next_power_of_two(), 0);
            }
            self.buffer[self.len..len].copy_from_slice(piece);
            self.len = len;
            self.run(false, &mut take)
        })
    }

    pub(crate) fn finish(&mut self, mut take: impl FnMut(&Block<'_>) -> Result<(), Fault>) -> Result<(), Fault> {
        self.run(true, &mut take)
    }

    fn run(&mut self, last: bool, take: &mut impl FnMut(&Block<'_>) -> Result<(), Fault>) -> Result<(), Fault> {
        let ran = self.machine.run(&self.buffer, self.len, last, &mut self.index);
        let end = self.machine.record_start();
        if let Err(fault) = ran {
            // Bytes that are no text are the better reason.
            let all = self.buffer.get(..self.len).unwrap_or_default();
            let told = self.not_text(all, false).unwrap_or_else(|| self.with_looks(fault));
            // What is wrong with records before it is told first.
            self.hand_on(end, take)?;
            return Err(told);
        }
        if end > 0 {
            self.hand_on(end, take)?;
            self.drop_records(end);
        }
        if self.len > RECORD_BYTES_MAX {
            return Err(Fault::TooLong(self.machine.open_quote().unwrap_or(self.line)));
        }
        Ok(())
    }

    /// Hands on the records, which end before `end`.
    fn hand_on(&mut self, end: usize, take: &mut impl FnMut(&Block<'_>) -> Result<(), Fault>) -> Result<(), Fault> {
        let whole = self.buffer.get(..end).unwrap_or_default();
        let has_nul = memchr::memchr(0, whole).is_some();
        let text = simdutf8::basic::from_utf8(whole).ok().filter(|_| !has_nul);
        let text = text.ok_or_else(|| self.not_text(whole, true).unwrap_or(Fault::NotUtf8(self.line)))?;
        let columns = self.index.columns.unwrap_or_default();
        let whole_cells = columns * self.index.records.len();
        if !self.index.records.is_empty() {
            let (cells, records) = (self.index.cells.get(..whole_cells).unwrap_or_default(), &self.index.records);
            if self.first.is_none() {
                let line = records.first().and_then(|record| whole.get(record.start as usize..)).unwrap_or_default();
                self.first = Some(looks(first_line(line), None, self.machine.dialect.delimiter));
            }
            self.before = whole.trim_ascii_end().last().copied();
            take(&Block { data: &self.buffer, text, columns, cells, records, offset: self.offset })?;
        }
        Ok(())
    }

    fn drop_records(&mut self, end: usize) {
        let whole_cells = self.index.columns.unwrap_or_default() * self.index.records.len();
        self.index.records.clear();
        self.index.cells.drain(..whole_cells);
        self.index.cells.iter_mut().for_each(|cell| cell.dropped(end));
        self.buffer.copy_within(end..self.len, 0);
        self.machine.dropped(end);
        (self.len, self.offset, self.line) = (self.len - end, self.offset + end as u64, self.machine.record_line());
    }

    /// A fault of a record's cells, with what the record looks like.
    fn with_looks(&self, fault: Fault) -> Fault {
        let Fault::Cells { line, found, expected, .. } = fault else { return fault };
        let (start, dialect) = (self.machine.record_start(), &self.machine.dialect);
        let (whole, record) = self.buffer.get(..self.len).unwrap_or_default().split_at_checked(start).unwrap_or_default();
        let first = self.index.records.first().and_then(|first| whole.get(first.start as usize..)).unwrap_or_default();
        let before = whole.trim_ascii_end().last().copied().or(self.before);
        Fault::Cells {
            line,
            found,
            expected,
            looks: looks(first_line(record), before, dialect.delimiter),
            first: self.first.unwrap_or_else(|| looks(first_line(first), None, dialect.delimiter)),
        }
    }

    /// Why bytes at the start of the buffer are no text. A character may be cut at the end unless they are `whole`.
    fn not_text(&self, bytes: &[u8], whole: bool) -> Option<Fault> {
        let line_end = if self.machine.dialect.line_end == LineEnd::Cr { b'\r' } else { b'\n' };
        let line = |end: usize| self.line + bytes.iter().take(end).filter(|byte| **byte == line_end).count() as u64;
        if let Some(at) = memchr::memchr(0, bytes) {
            return Some(Fault::Nul(line(at)));
        }
        let error = simdutf8::compat::from_utf8(bytes).err()?;
        (whole || error.error_len().is_some()).then(|| Fault::NotUtf8(line(error.valid_up_to())))
    }
}
