//! A block of rows, each in a strip of its own. Columns are written into the strips one after the other; then the strips are copied
//! to the page, row by row.
//!
//! A strip has a fixed width, so that a pass over a column needs only the end of each row. A chunk may be copied past that end, into
//! unused bytes of the same strip. A row that does not fit its strip, or that a pass cannot write, is *deferred*: it is written on
//! its own afterwards.

use std::slice::ChunksExactMut;

use super::page::Page;

/// Maximum rows of a block: one bit each in a `u64`.
pub(super) const ROWS_MAX: usize = 64;
/// Minimum rows of a block, however wide the strips.
const ROWS_MIN: usize = 8;
/// Bytes of all strips, so that they stay in the L2 cache.
const BYTES_MAX: usize = 256 << 10;
/// The widest strip; a longer row is written on its own.
const WIDTH_MAX: usize = 64 << 10;
/// A cache line. The width of a strip is a multiple of it.
const LINE: usize = 64;

/// The end of a deferred row: beyond any strip, and small enough that adding a length does not overflow.
pub(super) const DEFERRED: usize = usize::MAX / 2;

#[derive(Debug)]
pub(super) struct Block {
    bytes: Vec<u8>,
    width: usize,
    rows: usize,
    /// The end of each row in its strip, or [`DEFERRED`].
    pub(super) ends: [usize; ROWS_MAX],
    /// Where the currently open object of each row begins.
    opened: [usize; ROWS_MAX],
    pub(super) identities: [u64; ROWS_MAX],
    /// One bit per row that must not be stored twice.
    pub(super) duplicates: u64,
    /// A row did not fit: the next block gets wider strips.
    overflowed: bool,
}

impl Block {
    /// For rows of about `row_bytes` bytes; the strips widen if rows are longer.
    pub(super) fn new(row_bytes: usize) -> Self {
        let mut block = Self {
            bytes: Vec::new(),
            width: 0,
            rows: 0,
            ends: [DEFERRED; ROWS_MAX],
            opened: [0; ROWS_MAX],
            identities: [0; ROWS_MAX],
            duplicates: 0,
            overflowed: false,
        };
        block.widen(row_bytes);
        block
    }

    /// An odd number of cache lines, so that the ends of neighbours do not meet in one set of the cache.
    fn widen(&mut self, width: usize) {
        self.width = (width.min(WIDTH_MAX).div_ceil(LINE) | 1) * LINE;
        self.bytes.resize(self.width * self.rows_max(), 0);
        self.overflowed = false;
    }

    /// Rows that fit a block.
    pub(super) fn rows_max(&self) -> usize {
        (BYTES_MAX / self.width).clamp(ROWS_MIN, ROWS_MAX)
    }

    /// Starts a block of `rows` rows, or of [`Self::rows_max`] if that is less.
    pub(super) fn begin(&mut self, rows: usize) {
        if self.overflowed && self.width < WIDTH_MAX {
            self.widen(2 * self.width);
        }
        self.rows = rows.min(self.rows_max());
        self.duplicates = 0;
        self.ends[..self.rows].fill(0);
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// One bit per row, all set.
    pub(super) fn all_rows(&self) -> u64 {
        u64::MAX >> (ROWS_MAX - self.rows)
    }

    /// The strips and the ends. Not zipped: for strips of a width that is not constant, the zip would compute each position instead
    /// of walking.
    #[inline(always)]
    pub(super) fn strips(&mut self) -> (ChunksExactMut<'_, u8>, &mut [usize]) {
        (self.bytes.chunks_exact_mut(self.width), &mut self.ends[..self.rows])
    }

    /// The next `more` bytes of one row, and its end. If they do not fit, the row is deferred.
    pub(super) fn space(&mut self, at: usize, more: usize) -> Option<(&mut [u8], &mut usize)> {
        let end = &mut self.ends[at];
        match self.bytes[at * self.width..(at + 1) * self.width].get_mut(*end..*end + more) {
            Some(space) => Some((space, end)),
            None => {
                self.overflowed |= *end != DEFERRED;
                *end = DEFERRED;
                None
            }
        }
    }

    pub(super) fn defer(&mut self, rows: u64) {
        bits(rows).for_each(|at| self.ends[at] = DEFERRED);
    }

    /// Appends parts of any length to one row. If they do not fit, the row is deferred.
    pub(super) fn put(&mut self, at: usize, parts: &[&[u8]]) {
        let strip = &mut self.bytes[at * self.width..(at + 1) * self.width];
        let mut end = self.ends[at];
        if end == DEFERRED {
            return;
        }
        for part in parts {
            let Some(space) = strip.get_mut(end..end + part.len()) else {
                self.overflowed = true;
                self.ends[at] = DEFERRED;
                return;
            };
            space.copy_from_slice(part);
            end += part.len();
        }
        self.ends[at] = end;
    }

    /// The bytes of a row from `start` to its end; `None` if the row is deferred.
    pub(super) fn tail(&self, at: usize, start: usize) -> Option<&[u8]> {
        self.bytes[at * self.width..(at + 1) * self.width].get(start..self.ends[at])
    }

    /// Appends the same bytes to the rows of these bits.
    pub(super) fn put_each(&mut self, rows: u64, bytes: &[u8]) {
        for at in bits(rows) {
            self.put(at, &[bytes]);
        }
    }

    /// Opens an object in each row. The brace is written on close, over the comma of its first field.
    pub(super) fn open(&mut self) {
        self.opened = self.ends;
    }

    /// The strips, the ends, and where the open objects begin.
    #[inline(always)]
    pub(super) fn strips_opened(&mut self) -> (ChunksExactMut<'_, u8>, &mut [usize], &[usize]) {
        (self.bytes.chunks_exact_mut(self.width), &mut self.ends[..self.rows], &self.opened[..self.rows])
    }

    /// Copies the rows to `page`, each followed by a comma, and calls `on_row` for each: with its range, or for a deferred row with
    /// the page to write it to.
    #[inline(always)]
    pub(super) fn copy_to(&self, page: &mut Page, mut on_row: impl FnMut(BlockRow<'_>)) {
        let ends = &self.ends[..self.rows];
        let longest = ends.iter().filter(|end| **end != DEFERRED).max().copied().unwrap_or_default();
        // The same length for all rows, so that no branch depends on the length of a row.
        let copied = ((longest + 1).div_ceil(LINE) * LINE).min(self.width);
        page.reserve(self.rows * (longest + 1) + copied + 1);
        for (at, (strip, end)) in self.bytes.chunks_exact(self.width).zip(ends).enumerate() {
            if *end == DEFERRED {
                on_row(BlockRow::Deferred { page: &mut *page, at });
            } else {
                let (start, end) = page.push_piece(&strip[..copied], *end);
                on_row(BlockRow::Written { at, start, end });
            }
        }
    }
}

/// A row of a block as [`Block::copy_to`] hands it out.
pub(super) enum BlockRow<'a> {
    Written { at: usize, start: usize, end: usize },
    Deferred { page: &'a mut Page, at: usize },
}

/// The positions of the set bits, lowest first.
pub(super) fn bits(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        (word != 0).then(|| {
            let at = word.trailing_zeros() as usize;
            word &= word - 1;
            at
        })
    })
}
