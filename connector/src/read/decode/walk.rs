//! Walks over a page's bytes and checks that they are JSON.
//!
//! In: the page and an offset. Out: the offset after the walked part, or the fault. Nothing is copied and no value is made here.
//! Whatever serde_json rejects is rejected, in skipped values too: until a value ends, the walk treats needed and other values alike.

use super::fault::{Fault, FaultKind};
use super::simd::{Kernel, Lanes};
use super::span::JsonKind;
use super::strings::StringMap;

/// The deepest nesting of objects and lists, the same as in serde_json.
pub(super) const LEVELS_MAX: u32 = 127;
/// A number with at most this many digits and no exponent is always within the range of a 64-bit float.
const SAFE_DIGITS: usize = 300;

/// A page being walked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Walk<'a, L> {
    pub(super) page: &'a str,
    pub(super) bytes: &'a [u8],
    pub(super) lanes: L,
    pub(super) map: StringMap<'a>,
}

impl<'a, L: Lanes> Walk<'a, L> {
    pub(super) fn new(page: &'a str, lanes: L) -> Self {
        Self { page, bytes: page.as_bytes(), lanes, map: StringMap::default() }
    }

    /// A fault at `at`; beyond the end of the page it becomes [`FaultKind::UnexpectedEnd`].
    #[cold]
    pub(super) fn fault(&self, kind: FaultKind, at: usize) -> Fault {
        if at < self.bytes.len() { Fault { kind, at } } else { Fault { kind: FaultKind::UnexpectedEnd, at: self.bytes.len() } }
    }

    #[inline(always)]
    pub(super) fn byte(&self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    #[inline(always)]
    fn chunk(&self, at: usize) -> Option<&'a [u8; 32]> {
        self.bytes.get(at..)?.first_chunk()
    }

    /// Skips whitespace.
    #[inline(always)]
    pub(super) fn blanks(&self, at: usize) -> usize {
        match self.byte(at) {
            Some(0..=b' ') => self.some_blanks(at),
            _ => at,
        }
    }

    fn some_blanks(&self, mut at: usize) -> usize {
        while matches!(self.byte(at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            at += 1;
        }
        at
    }

    /// Skips the `expected` byte.
    #[inline(always)]
    pub(super) fn expect(&self, expected: u8, at: usize) -> Result<usize, Fault> {
        if self.byte(at) == Some(expected) { Ok(at + 1) } else { Err(self.fault(FaultKind::Syntax, at)) }
    }

    /// Walks the string at `at`. Returns the offset after it, and whether it has escapes.
    #[inline(always)]
    pub(super) fn text(&self, at: usize) -> Result<(usize, bool), Fault> {
        let mut at = self.expect(b'"', at)?;
        if let Some(chunk) = self.chunk(at) {
            let stop = self.lanes.stops(chunk).trailing_zeros() as usize;
            at += stop;
            if stop < 32 && self.byte(at) == Some(b'"') {
                return Ok((at + 1, false));
            }
        }
        self.long_text(at)
    }

    /// The rest of a string that is long, has escapes, or is near the end of the page.
    #[inline(never)]
    fn long_text(&self, at: usize) -> Result<(usize, bool), Fault> {
        self.lanes.run(LongText(self, at))
    }

    /// Walks the escape at `at`.
    fn escape(&self, at: usize) -> Result<usize, Fault> {
        match self.byte(at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
            Some(b'u') => {
                let unit = self.unit(at + 2)?;
                if !(0xd800..0xe000).contains(&unit) {
                    return Ok(at + 6);
                }
                let pair = unit < 0xdc00 && self.byte(at + 6) == Some(b'\\') && self.byte(at + 7) == Some(b'u');
                if pair && (0xdc00..0xe000).contains(&self.unit(at + 8)?) { Ok(at + 12) } else { Err(self.fault(FaultKind::Escape, at)) }
            }
            _ => Err(self.fault(FaultKind::Escape, at + 1)),
        }
    }

    /// The UTF-16 code unit of four hexadecimal digits.
    fn unit(&self, at: usize) -> Result<u32, Fault> {
        (at..at + 4).try_fold(0, |unit, at| {
            let digit = self.byte(at).and_then(|byte| char::from(byte).to_digit(16));
            digit.map(|digit| unit << 4 | digit).ok_or_else(|| self.fault(FaultKind::Escape, at))
        })
    }

    /// The number of digits at `at`.
    #[inline(always)]
    fn digits(&self, at: usize) -> usize {
        match self.chunk(at).map(|chunk| self.lanes.non_digits(chunk).trailing_zeros() as usize) {
            Some(digits) if digits < 32 => digits,
            _ => self.bytes.get(at..).map_or(0, |rest| rest.iter().take_while(|byte| byte.is_ascii_digit()).count()),
        }
    }

    /// Walks the number at `start`. Returns its kind and its end.
    #[inline(always)]
    fn number(&self, start: usize) -> Result<(JsonKind, usize), Fault> {
        let whole = start + usize::from(self.byte(start) == Some(b'-'));
        let digits = self.digits(whole);
        if digits == 0 || (digits > 1 && self.byte(whole) == Some(b'0')) {
            return Err(self.fault(FaultKind::Number, whole));
        }
        let mut at = whole + digits;
        let mut kind = JsonKind::Integer;
        if self.byte(at) == Some(b'.') {
            kind = JsonKind::Decimal;
            let digits = self.digits(at + 1);
            at += 1 + digits;
            if digits == 0 {
                return Err(self.fault(FaultKind::Number, at));
            }
        }
        if digits > SAFE_DIGITS || matches!(self.byte(at), Some(b'e' | b'E')) {
            return self.large_number(start, at, kind);
        }
        Ok((kind, at))
    }

    /// Continues a number after `start..at`. It may have an exponent and may be out of the range of 64-bit floats.
    #[cold]
    fn large_number(&self, start: usize, mut at: usize, mut kind: JsonKind) -> Result<(JsonKind, usize), Fault> {
        if matches!(self.byte(at), Some(b'e' | b'E')) {
            kind = JsonKind::Decimal;
            at += 1;
            at += usize::from(matches!(self.byte(at), Some(b'+' | b'-')));
            let digits = self.digits(at);
            at += digits;
            if digits == 0 {
                return Err(self.fault(FaultKind::Number, at));
            }
        }
        let is_f64 = self.bytes.get(start..at).is_some_and(|text| serde_json::from_slice::<f64>(text).is_ok());
        if is_f64 { Ok((kind, at)) } else { Err(Fault { kind: FaultKind::Number, at: start }) }
    }

    #[inline(always)]
    fn keyword(&self, at: usize, keyword: &[u8], kind: JsonKind) -> Result<(JsonKind, usize), Fault> {
        match self.bytes.get(at..at + keyword.len()) {
            Some(found) if found == keyword => Ok((kind, at + keyword.len())),
            Some(_) => Err(self.fault(FaultKind::Syntax, at)),
            None => Err(self.fault(FaultKind::Syntax, self.bytes.len())),
        }
    }

    /// Walks any value. Returns its kind and its end. `levels` is the nesting depth around it.
    #[inline(always)]
    pub(super) fn value(&self, at: usize, levels: u32) -> Result<(JsonKind, usize), Fault> {
        if self.byte(at) == Some(b'"') {
            let (end, escaped) = self.text(at)?;
            return Ok((if escaped { JsonKind::Escaped } else { JsonKind::Plain }, end));
        }
        self.non_string(at, levels)
    }

    /// Walks any value that is not a string.
    #[inline(always)]
    pub(super) fn non_string(&self, at: usize, levels: u32) -> Result<(JsonKind, usize), Fault> {
        match self.byte(at) {
            Some(b'-' | b'0'..=b'9') => self.number(at),
            Some(b'{' | b'[') => Ok((JsonKind::Nested, self.nest(at, levels)?)),
            _ => self.literal(at),
        }
    }

    #[inline(always)]
    fn literal(&self, at: usize) -> Result<(JsonKind, usize), Fault> {
        match self.byte(at) {
            Some(b't') => self.keyword(at, b"true", JsonKind::Boolean),
            Some(b'f') => self.keyword(at, b"false", JsonKind::Boolean),
            Some(b'n') => self.keyword(at, b"null", JsonKind::Null),
            _ => Err(self.fault(FaultKind::Syntax, at)),
        }
    }

    /// Walks the object or list at `at`. `outside` is the nesting depth around it.
    #[inline(never)]
    pub(super) fn nest(&self, at: usize, outside: u32) -> Result<usize, Fault> {
        self.lanes.run(Nested(self, at, outside))
    }

    /// Enters the object or list at `at`. Returns the offset of its first token.
    #[inline(always)]
    pub(super) fn enter(&self, open: u8, at: usize, levels: u32) -> Result<usize, Fault> {
        let inside = self.expect(open, at)?;
        if levels == LEVELS_MAX { Err(self.fault(FaultKind::TooDeep, at)) } else { Ok(self.blanks(inside)) }
    }
}

/// [`Walk::long_text`].
struct LongText<'w, 'a, L>(&'w Walk<'a, L>, usize);

impl<L: Lanes> Kernel for LongText<'_, '_, L> {
    type Output = Result<(usize, bool), Fault>;

    #[inline(always)]
    fn call(self) -> Self::Output {
        let Self(walk, mut at) = self;
        let mut escaped = false;
        loop {
            match walk.chunk(at) {
                Some(chunk) => {
                    let stop = walk.lanes.stops(chunk).trailing_zeros() as usize;
                    at += stop;
                    if stop == 32 {
                        continue;
                    }
                }
                None => {
                    while matches!(walk.byte(at), Some(byte) if byte >= b' ' && byte != b'"' && byte != b'\\') {
                        at += 1;
                    }
                }
            }
            match walk.byte(at) {
                Some(b'"') => return Ok((at + 1, escaped)),
                Some(b'\\') => at = walk.escape(at)?,
                _ => return Err(walk.fault(FaultKind::Control, at)),
            }
            escaped = true;
        }
    }
}

/// [`Walk::nest`].
struct Nested<'w, 'a, L>(&'w Walk<'a, L>, usize, u32);

impl<L: Lanes> Kernel for Nested<'_, '_, L> {
    type Output = Result<usize, Fault>;

    #[inline(always)]
    fn call(self) -> Self::Output {
        let Self(walk, mut at, outside) = self;
        // One bit for each open level: 1 for an object, 0 for a list.
        let (mut objects, mut levels) = (0u128, 0);
        loop {
            let compact = if objects & 1 == 1 { walk.compact_member(at) } else { None };
            match compact {
                Some(end) => at = end,
                None => {
                    // In an object, a key comes before the value.
                    if objects & 1 == 1 {
                        at = walk.blanks(walk.text(at)?.0);
                        at = walk.blanks(walk.expect(b':', at)?);
                    }
                    match walk.byte(at) {
                        Some(b'"') => at = walk.text(at)?.0,
                        Some(b'-' | b'0'..=b'9') => at = walk.number(at)?.1,
                        Some(open @ (b'{' | b'[')) => {
                            if outside + levels == LEVELS_MAX {
                                return Err(walk.fault(FaultKind::TooDeep, at));
                            }
                            levels += 1;
                            objects = objects << 1 | u128::from(open == b'{');
                            at = walk.blanks(at + 1);
                            // In ASCII, '}' is '{' + 2 and ']' is '[' + 2.
                            if walk.byte(at) != Some(open + 2) {
                                continue;
                            }
                            (at, levels, objects) = (at + 1, levels - 1, objects >> 1);
                        }
                        _ => at = walk.literal(at)?.1,
                    }
                }
            }
            // After a value.
            while levels > 0 {
                at = walk.blanks(at);
                let close = if objects & 1 == 1 { b'}' } else { b']' };
                match walk.byte(at) {
                    Some(b',') => break,
                    Some(byte) if byte == close => (at, levels, objects) = (at + 1, levels - 1, objects >> 1),
                    _ => return Err(walk.fault(FaultKind::Syntax, at)),
                }
            }
            if levels == 0 {
                return Ok(at);
            }
            at = walk.blanks(at + 1);
        }
    }
}
