//! Some rows side by side, each in a strip of its own: columns are written into the strips one after the other, then the strips
//! are laid end to end.
//!
//! A strip has a fixed width, so that a pass over a column needs no more than where each row ends; what is copied in pieces may
//! reach beyond that end, into room of the same strip. A row that does not fit its strip, or that a pass does not take, is
//! *left*: it is written afterwards, by itself.

use std::slice::ChunksExactMut;

use super::page::Page;

/// Rows of a block at most: one bit each in a word.
pub(super) const ROWS_MAX: usize = 64;
/// Rows of a block at least, however wide the strips.
const ROWS_MIN: usize = 8;
/// Bytes of all strips, so that they stay in a core's second cache.
const BYTES_MAX: usize = 256 << 10;
/// The widest strip: a row above is written by itself.
const WIDTH_MAX: usize = 64 << 10;
/// What a copy of fixed size takes, and what a strip is a multiple of.
const LINE: usize = 64;

/// Where a row ends that is left: beyond any strip, and so that small numbers may be added.
pub(super) const LEFT: usize = usize::MAX / 2;

/// Rows that are being written.
#[derive(Debug)]
pub(super) struct Block {
    bytes: Vec<u8>,
    width: usize,
    rows: usize,
    /// Where each row ends in its strip, or [`LEFT`].
    pub(super) ends: [usize; ROWS_MAX],
    /// Where the object that is open in each row begins.
    opened: [usize; ROWS_MAX],
    /// Hash of each row's identifier.
    pub(super) identities: [u64; ROWS_MAX],
    /// Rows that must not be stored twice, a bit each.
    pub(super) duplicates: u64,
    /// A row did not fit: the next block is wider.
    narrow: bool,
}

impl Block {
    /// IdentifierChoice rows have about `row_bytes` bytes; they may have more.
    pub(super) fn new(row_bytes: usize) -> Self {
        let mut block = Self {
            bytes: Vec::new(),
            width: 0,
            rows: 0,
            ends: [LEFT; ROWS_MAX],
            opened: [0; ROWS_MAX],
            identities: [0; ROWS_MAX],
            duplicates: 0,
            narrow: false,
        };
        block.widen(row_bytes);
        block
    }

    /// An odd number of cache lines, so that the ends of neighbours do not meet in one set of the cache.
    fn widen(&mut self, width: usize) {
        self.width = (width.min(WIDTH_MAX).div_ceil(LINE) | 1) * LINE;
        self.bytes.resize(self.width * self.rows_max(), 0);
        self.narrow = false;
    }

    /// Rows that a block takes.
    pub(super) fn rows_max(&self) -> usize {
        (BYTES_MAX / self.width).clamp(ROWS_MIN, ROWS_MAX)
    }

    /// Begins `rows` rows.
    pub(super) fn begin(&mut self, rows: usize) {
        if self.narrow && self.width < WIDTH_MAX {
            self.widen(2 * self.width);
        }
        self.rows = rows.min(self.rows_max());
        self.duplicates = 0;
        self.ends[..self.rows].fill(0);
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// One bit for each row.
    pub(super) fn all(&self) -> u64 {
        u64::MAX >> (ROWS_MAX - self.rows)
    }

    /// The strips, and where each row ends in its own. Not zipped: strips of no constant width would be counted, not walked.
    #[inline(always)]
    pub(super) fn strips(&mut self) -> (ChunksExactMut<'_, u8>, &mut [usize]) {
        (self.bytes.chunks_exact_mut(self.width), &mut self.ends[..self.rows])
    }

    /// One row's strip from where the row ends, if there are `more` bytes of it; else the row is left.
    pub(super) fn space(&mut self, at: usize, more: usize) -> Option<(&mut [u8], &mut usize)> {
        let end = &mut self.ends[at];
        match self.bytes[at * self.width..(at + 1) * self.width].get_mut(*end..*end + more) {
            Some(space) => Some((space, end)),
            None => {
                self.narrow |= *end != LEFT;
                *end = LEFT;
                None
            }
        }
    }

    /// Leaves the rows of these bits.
    pub(super) fn leave(&mut self, rows: u64) {
        bits(rows).for_each(|at| self.ends[at] = LEFT);
    }

    /// Adds to one row what is not of a fixed size; a row that has no room for it is left.
    pub(super) fn put(&mut self, at: usize, parts: &[&[u8]]) {
        let strip = &mut self.bytes[at * self.width..(at + 1) * self.width];
        let mut end = self.ends[at];
        if end == LEFT {
            return;
        }
        for part in parts {
            let Some(space) = strip.get_mut(end..end + part.len()) else {
                self.narrow = true;
                self.ends[at] = LEFT;
                return;
            };
            space.copy_from_slice(part);
            end += part.len();
        }
        self.ends[at] = end;
    }

    /// What was written of a row since it ended at `start`; nothing where the row is left.
    pub(super) fn tail(&self, at: usize, start: usize) -> Option<&[u8]> {
        self.bytes[at * self.width..(at + 1) * self.width].get(start..self.ends[at])
    }

    /// Adds the same bytes to the rows of these bits.
    pub(super) fn put_each(&mut self, rows: u64, bytes: &[u8]) {
        for at in bits(rows) {
            self.put(at, &[bytes]);
        }
    }

    /// An object begins in each row. Its brace comes last: it takes the place of the first field's comma.
    pub(super) fn open(&mut self) {
        self.opened = self.ends;
    }

    /// The strips, where each row ends, and where its object began.
    #[inline(always)]
    pub(super) fn strips_opened(&mut self) -> (ChunksExactMut<'_, u8>, &mut [usize], &[usize]) {
        (self.bytes.chunks_exact_mut(self.width), &mut self.ends[..self.rows], &self.opened[..self.rows])
    }

    /// Lays row after row at the end of `page`, a comma behind each, and tells of each row: where it is, or that it was left and
    /// is to be written there.
    #[inline(always)]
    pub(super) fn lay(&self, page: &mut Page, mut place: impl FnMut(Laid<'_>)) {
        let ends = &self.ends[..self.rows];
        let longest = ends.iter().filter(|end| **end != LEFT).max().copied().unwrap_or_default();
        // The same for all rows, so that no branch depends on a row's length.
        let copied = ((longest + 1).div_ceil(LINE) * LINE).min(self.width);
        page.reserve(self.rows * (longest + 1) + copied + 1);
        for (at, (strip, end)) in self.bytes.chunks_exact(self.width).zip(ends).enumerate() {
            if *end == LEFT {
                place(Laid::Left { page: &mut *page, at });
            } else {
                let (start, end) = page.push_piece(&strip[..copied], *end);
                place(Laid::Taken { at, start, end });
            }
        }
    }
}

/// What became of a row.
pub(super) enum Laid<'a> {
    Taken { at: usize, start: usize, end: usize },
    Left { page: &'a mut Page, at: usize },
}

/// The numbers of the bits that are set, the lowest first.
pub(super) fn bits(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        (word != 0).then(|| {
            let at = word.trailing_zeros() as usize;
            word &= word - 1;
            at
        })
    })
}
