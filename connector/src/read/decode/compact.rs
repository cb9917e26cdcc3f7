//! The common case: members of objects as compact JSON writes them.
//!
//! In: 128 bytes, and a map of where the strings of the page stop. Out: where the key and its value end, or nothing: then the walk
//! goes the long way, which also finds out what is wrong. Nothing is refused here.
//!
//! What this takes is decided by what each member has to wait for: where it begins. So no member waits for more than a look at the
//! map; what it is, and whether it is well formed, is found out while later ones are walked already.

use super::simd::Lanes;
use super::span::{ByteSpan, JsonKind, PAGE_BYTES_MAX};
use super::walk::Walk;

/// What is looked at for one member: a key of 32 bytes, a number of as many, and what stands around them.
pub(super) type Window = [u8; 128];

impl<'a, L: Lanes> Walk<'a, L> {
    /// The bytes ahead, if there are as many.
    #[inline(always)]
    pub(super) fn window(&self, at: usize) -> Option<&'a Window> {
        // No page is so long that the sum could overflow, which spares a comparison.
        let at = at & PAGE_BYTES_MAX;
        self.bytes.get(at..at + 128)?.first_chunk()
    }

    /// The member at `at`, if it is a key and a scalar, both without escapes: its end.
    #[inline(always)]
    pub(super) fn compact_member(&self, at: usize) -> Option<usize> {
        let window = self.window(at)?;
        let end = self.map.stop(at + 1)?;
        let len = end - at;
        if window[0] != b'"' || len > 32 || window[len] != b'"' || window[len + 1] != b':' {
            return None;
        }
        Some(self.compact_scalar(window, at, len + 2)?.1)
    }

    /// A string, a number without exponent, true, false or null, which begins at `from` in what is at `at`: where it is, its end, and
    /// where the next key must begin if a comma follows.
    #[inline(always)]
    pub(super) fn compact_scalar(&self, window: &Window, at: usize, from: usize) -> Option<(ByteSpan, usize, usize)> {
        let from = from & 63;
        let start = at + from;
        match window[from] {
            b'"' => match self.map.stop(start + 1) {
                Some(end) if self.byte(end) == Some(b'"') => Some((ByteSpan::new(JsonKind::Plain, start, end + 1), end + 1, end + 2)),
                Some(_) => None,
                None => self.long_string(start),
            },
            b'-' | b'0'..=b'9' => {
                let (kind, len) = self.compact_number(window, from)?;
                Some((ByteSpan::new(kind, start, start + len), start + len, self.map.stop(start).unwrap_or(usize::MAX)))
            }
            _ => {
                let word = u32::from_le_bytes(*window[from..].first_chunk()?);
                const TRUE: u32 = u32::from_le_bytes(*b"true");
                const FALS: u32 = u32::from_le_bytes(*b"fals");
                const NULL: u32 = u32::from_le_bytes(*b"null");
                let (kind, len) = match word {
                    TRUE => (JsonKind::Truth, 4),
                    FALS if window[from + 4] == b'e' => (JsonKind::Truth, 5),
                    NULL => (JsonKind::Null, 4),
                    _ => return None,
                };
                Some((ByteSpan::new(kind, start, start + len), start + len, start + len + 1))
            }
        }
    }

    /// A string whose end is not near, or not on the map.
    #[inline(never)]
    fn long_string(&self, start: usize) -> Option<(ByteSpan, usize, usize)> {
        let (end, escaped) = self.text(start).ok()?;
        Some((ByteSpan::new(if escaped { JsonKind::Escaped } else { JsonKind::Plain }, start, end), end, end + 1))
    }

    #[inline(always)]
    fn compact_number(&self, window: &Window, from: usize) -> Option<(JsonKind, usize)> {
        let number: &[u8; 33] = window[from..].first_chunk()?;
        let minus = usize::from(number[0] == b'-');
        let others = self.lanes.others(number.first_chunk()?) & !(minus as u32);
        let mut len = others.trailing_zeros() as usize;
        let digits = len - minus;
        if digits == 0 || (digits > 1 && number[minus] == b'0') {
            return None;
        }
        let mut kind = JsonKind::Integer;
        if number[len] == b'.' {
            let whole = len;
            len = (others & others.wrapping_sub(1)).trailing_zeros() as usize;
            kind = JsonKind::Decimal;
            if len <= whole + 1 {
                return None;
            }
        }
        (len < 32 && number[len] | 0x20 != b'e').then_some((kind, len))
    }
}
