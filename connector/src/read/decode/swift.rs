//! The common case: members of objects as compact JSON writes them, each in one look at the bytes ahead.
//!
//! In: 128 bytes. Out: where the key and its value end in them, or nothing: then the walk goes the long way, which also finds out
//! what is wrong. Nothing is refused here.

use super::scan::{Lanes, Work};
use super::span::{Kind, PAGE_BYTES_MAX};
use super::walk::Walk;

/// What is looked at for one member: a key of 32 bytes, a value of 64, and what stands around them.
pub(super) type Window = [u8; 128];

impl<'a, L: Lanes> Walk<'a, L> {
    /// The bytes ahead, if there are as many.
    #[inline(always)]
    pub(super) fn window(&self, at: usize) -> Option<&'a Window> {
        // No page is so long that the sum could overflow, which spares a comparison.
        let at = at & PAGE_BYTES_MAX;
        self.page.as_bytes().get(at..at + 128)?.first_chunk()
    }

    /// The end of a key without escapes, and of its colon.
    #[inline(always)]
    pub(super) fn swift_key(&self, at: usize, window: &Window) -> Option<usize> {
        let (_, end) = self.swift_text(at, window, 0)?;
        (end < 36 && window[end] == b':').then_some(end + 1)
    }

    /// A string without escapes, a number without exponent, true, false or null.
    #[inline(always)]
    pub(super) fn swift_scalar(&self, at: usize, window: &Window, from: usize) -> Option<(Kind, usize)> {
        let from = from & 63;
        match window[from] {
            b'"' => self.swift_text(at, window, from),
            b'-' | b'0'..=b'9' => self.swift_number(window, from),
            _ => {
                let word = u32::from_le_bytes(*window[from..].first_chunk()?);
                const TRUE: u32 = u32::from_le_bytes(*b"true");
                const FALS: u32 = u32::from_le_bytes(*b"fals");
                const NULL: u32 = u32::from_le_bytes(*b"null");
                match word {
                    TRUE => Some((Kind::Truth, from + 4)),
                    FALS if window[from + 4] == b'e' => Some((Kind::Truth, from + 5)),
                    NULL => Some((Kind::Null, from + 4)),
                    _ => None,
                }
            }
        }
    }

    #[inline(always)]
    fn swift_text(&self, at: usize, window: &Window, from: usize) -> Option<(Kind, usize)> {
        let inside = from + 1;
        let end = inside + self.map.stop(at + inside).or_else(|| self.seek_stop(window, inside))?;
        (window[end & 127] == b'"' && window[from] == b'"').then_some((Kind::Plain, end + 1))
    }

    /// Where a string stops that the map does not show.
    #[inline(always)]
    fn seek_stop(&self, window: &Window, from: usize) -> Option<usize> {
        let mut stop = self.lanes.stop(window[from..].first_chunk()?);
        if stop == 32 {
            stop += self.lanes.stop(window[from + 32..].first_chunk()?);
        }
        (stop < 64).then_some(stop)
    }

    #[inline(always)]
    fn swift_number(&self, window: &Window, from: usize) -> Option<(Kind, usize)> {
        let minus = usize::from(window[from] == b'-');
        let others = self.lanes.others(window[from..].first_chunk()?) & !(minus as u32);
        let mut len = others.trailing_zeros() as usize;
        let digits = len - minus;
        if digits == 0 || (digits > 1 && window[from + minus] == b'0') {
            return None;
        }
        let mut kind = Kind::Integer;
        if window[(from + len) & 127] == b'.' {
            let whole = len;
            len = (others & others.wrapping_sub(1)).trailing_zeros() as usize;
            kind = Kind::Decimal;
            if len <= whole + 1 {
                return None;
            }
        }
        (len < 32 && window[(from + len) & 127] | 0x20 != b'e').then_some((kind, from + len))
    }
}

/// Where strings stop in a part of a page, a bit a byte.
///
/// To find the end of a string in the bytes takes a chain of instructions that the next member has to wait for. Bits are made
/// without waiting, 32 at once, and are quick to search.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Map<'m> {
    bits: &'m [u8],
    /// The offset of the first bit.
    begin: usize,
}

/// Bytes that are mapped at once: they stay in the cache until they are walked.
const MAP_BYTES: usize = 16 * 1024;
/// Bytes that should be mapped before a record.
const AHEAD_BYTES: usize = 2 * 1024;

impl<'m> Map<'m> {
    /// Whether what is mapped may end within a record that begins at `at`.
    #[inline(always)]
    pub(super) fn is_short(&self, at: usize) -> bool {
        at + AHEAD_BYTES > self.begin + self.bits.len() * 8
    }

    /// Maps the bytes from `at` on.
    pub(super) fn new<L: Lanes>(page: &str, at: usize, bits: &'m mut Vec<u8>, lanes: L) -> Self {
        let end = page.len().min(at + MAP_BYTES);
        bits.truncate(if L::MAPS { bits.len() } else { 0 });
        if L::MAPS
            && let Some(part) = page.as_bytes().get(at..end)
        {
            lanes.run(Mapping { part, bits, lanes });
        }
        Self { bits, begin: at }
    }

    /// How far from `at` the string that goes on there stops, if that is mapped and near.
    #[inline(always)]
    fn stop(&self, at: usize) -> Option<usize> {
        let bit = at.wrapping_sub(self.begin);
        let byte = bit >> 3;
        let near = u64::from_le_bytes(*self.bits.get(byte..byte + 8)?.first_chunk()?) >> (bit & 7);
        (near != 0).then_some(near.trailing_zeros() as usize)
    }
}

/// [`Map::new`].
struct Mapping<'p, 'b, L> {
    part: &'p [u8],
    bits: &'b mut Vec<u8>,
    lanes: L,
}

impl<L: Lanes> Work for Mapping<'_, '_, L> {
    type Done = ();

    #[inline(always)]
    fn work(self) {
        let Self { part, bits, lanes } = self;
        let chunks = part.as_chunks::<32>().0;
        bits.resize(chunks.len() * 4, 0);
        for (bits, chunk) in bits.as_chunks_mut::<4>().0.iter_mut().zip(chunks) {
            *bits = lanes.stops(chunk).to_le_bytes();
        }
    }
}
