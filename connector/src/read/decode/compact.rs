//! The fast path for compact JSON: object members without whitespace and escapes.
//!
//! In: 128 bytes, and the map of where the strings of the page end. Out: where the key and its value end, or `None`: then the walk takes
//! the general path, which also reports errors. Nothing is rejected here.
//!
//! The time per member is bound by a data dependency: where a member begins depends on the one before. So its start depends on a look-up
//! in the map only. The processor checks its kind and its syntax while it already walks later members.

use super::simd::Lanes;
use super::span::{ByteSpan, JsonKind, PAGE_BYTES_MAX};
use super::walk::Walk;

/// The bytes examined for one member: a key of up to 32 bytes, a number of up to 32 bytes, and the punctuation around them.
pub(super) type Window = [u8; 128];

impl<'a, L: Lanes> Walk<'a, L> {
    /// The bytes at `at`, unless the page ends before.
    #[inline(always)]
    pub(super) fn window(&self, at: usize) -> Option<&'a Window> {
        // No page is larger, so the mask changes nothing. But it lets the compiler see that the sum below cannot overflow, which saves a
        // comparison.
        let at = at & PAGE_BYTES_MAX;
        self.bytes.get(at..at + 128)?.first_chunk()
    }

    /// The end of the member at `at`, if it is a key and a scalar, both without escapes.
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

    /// Walks a string, a number without exponent, true, false or null at `at + from`; `window` starts at `at`. Returns its span, its end,
    /// and where the next key begins if a comma follows.
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
                    TRUE => (JsonKind::Boolean, 4),
                    FALS if window[from + 4] == b'e' => (JsonKind::Boolean, 5),
                    NULL => (JsonKind::Null, 4),
                    _ => return None,
                };
                Some((ByteSpan::new(kind, start, start + len), start + len, start + len + 1))
            }
        }
    }

    /// A string whose end is not near, or not covered by the map.
    #[inline(never)]
    fn long_string(&self, start: usize) -> Option<(ByteSpan, usize, usize)> {
        let (end, escaped) = self.text(start).ok()?;
        Some((ByteSpan::new(if escaped { JsonKind::Escaped } else { JsonKind::Plain }, start, end), end, end + 1))
    }

    #[inline(always)]
    fn compact_number(&self, window: &Window, from: usize) -> Option<(JsonKind, usize)> {
        let number: &[u8; 33] = window[from..].first_chunk()?;
        let minus = usize::from(number[0] == b'-');
        let non_digits = self.lanes.non_digits(number.first_chunk()?) & !(minus as u32);
        let mut len = non_digits.trailing_zeros() as usize;
        let digits = len - minus;
        if digits == 0 || (digits > 1 && number[minus] == b'0') {
            return None;
        }
        let mut kind = JsonKind::Integer;
        if number[len] == b'.' {
            let whole = len;
            len = (non_digits & non_digits.wrapping_sub(1)).trailing_zeros() as usize;
            kind = JsonKind::Decimal;
            if len <= whole + 1 {
                return None;
            }
        }
        (len < 32 && number[len] | 0x20 != b'e').then_some((kind, len))
    }
}
