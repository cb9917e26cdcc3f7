//! The walk over a page's bytes: checks everything, keeps where the wanted values are.
//!
//! In: the page and an offset. Out: the offset after what was walked, or the fault. Nothing is copied and no value is made here.
//! What serde_json refuses is refused, in skipped values as well: the walk does not tell wanted from unwanted until a value is over.

use super::fault::{Fault, Why};
use super::simd::{Kernel, Lanes};
use super::span::JsonKind;
use super::strings::StringMap;

/// Objects and lists in each other, at most: as serde_json has it.
pub(super) const LEVELS_MAX: u32 = 127;
/// Digits that every 64-bit float has room for.
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
    /// A walk over the page.
    pub(super) fn new(page: &'a str, lanes: L) -> Self {
        Self { page, bytes: page.as_bytes(), lanes, map: StringMap::default() }
    }

    /// A fault at `at`; beyond the end it is that the bytes end.
    #[cold]
    pub(super) fn fault(&self, why: Why, at: usize) -> Fault {
        if at < self.bytes.len() { Fault { why, at } } else { Fault { why: Why::Ends, at: self.bytes.len() } }
    }

    #[inline(always)]
    pub(super) fn byte(&self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    #[inline(always)]
    fn chunk(&self, at: usize) -> Option<&'a [u8; 32]> {
        self.bytes.get(at..)?.first_chunk()
    }

    /// Past blanks.
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

    /// Past the `wanted` byte.
    #[inline(always)]
    pub(super) fn expect(&self, wanted: u8, at: usize) -> Result<usize, Fault> {
        if self.byte(at) == Some(wanted) { Ok(at + 1) } else { Err(self.fault(Why::Syntax, at)) }
    }

    /// A string whose quote is at `at`: past it, and whether it has escapes.
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

    /// The rest of a string that is long, has escapes, or stands near the end.
    #[inline(never)]
    fn long_text(&self, at: usize) -> Result<(usize, bool), Fault> {
        self.lanes.run(LongText(self, at))
    }

    /// Past the escape at `at`.
    fn escape(&self, at: usize) -> Result<usize, Fault> {
        match self.byte(at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
            Some(b'u') => {
                let unit = self.unit(at + 2)?;
                if !(0xd800..0xe000).contains(&unit) {
                    return Ok(at + 6);
                }
                let pair = unit < 0xdc00 && self.byte(at + 6) == Some(b'\\') && self.byte(at + 7) == Some(b'u');
                if pair && (0xdc00..0xe000).contains(&self.unit(at + 8)?) { Ok(at + 12) } else { Err(self.fault(Why::Escape, at)) }
            }
            _ => Err(self.fault(Why::Escape, at + 1)),
        }
    }

    /// Four hexadecimal digits.
    fn unit(&self, at: usize) -> Result<u32, Fault> {
        (at..at + 4).try_fold(0, |unit, at| {
            let digit = self.byte(at).and_then(|byte| char::from(byte).to_digit(16));
            digit.map(|digit| unit << 4 | digit).ok_or_else(|| self.fault(Why::Escape, at))
        })
    }

    /// How many digits stand at `at`.
    #[inline(always)]
    fn digits(&self, at: usize) -> usize {
        match self.chunk(at).map(|chunk| self.lanes.others(chunk).trailing_zeros() as usize) {
            Some(digits) if digits < 32 => digits,
            _ => self.bytes.get(at..).map_or(0, |rest| rest.iter().take_while(|byte| byte.is_ascii_digit()).count()),
        }
    }

    /// The number at `start`: what it is, and its end.
    #[inline(always)]
    fn number(&self, start: usize) -> Result<(JsonKind, usize), Fault> {
        let whole = start + usize::from(self.byte(start) == Some(b'-'));
        let digits = self.digits(whole);
        if digits == 0 || (digits > 1 && self.byte(whole) == Some(b'0')) {
            return Err(self.fault(Why::Number, whole));
        }
        let mut at = whole + digits;
        let mut kind = JsonKind::Integer;
        if self.byte(at) == Some(b'.') {
            kind = JsonKind::Decimal;
            let digits = self.digits(at + 1);
            at += 1 + digits;
            if digits == 0 {
                return Err(self.fault(Why::Number, at));
            }
        }
        if digits > SAFE_DIGITS || matches!(self.byte(at), Some(b'e' | b'E')) {
            return self.far_number(start, at, kind);
        }
        Ok((kind, at))
    }

    /// The number of which `start..at` is known, which may have an exponent and may lie beyond 64-bit floats.
    #[cold]
    fn far_number(&self, start: usize, mut at: usize, mut kind: JsonKind) -> Result<(JsonKind, usize), Fault> {
        if matches!(self.byte(at), Some(b'e' | b'E')) {
            kind = JsonKind::Decimal;
            at += 1;
            at += usize::from(matches!(self.byte(at), Some(b'+' | b'-')));
            let digits = self.digits(at);
            at += digits;
            if digits == 0 {
                return Err(self.fault(Why::Number, at));
            }
        }
        let held = self.bytes.get(start..at).is_some_and(|text| serde_json::from_slice::<f64>(text).is_ok());
        if held { Ok((kind, at)) } else { Err(Fault { why: Why::Number, at: start }) }
    }

    #[inline(always)]
    fn word(&self, at: usize, word: &[u8], kind: JsonKind) -> Result<(JsonKind, usize), Fault> {
        match self.bytes.get(at..at + word.len()) {
            Some(found) if found == word => Ok((kind, at + word.len())),
            Some(_) => Err(self.fault(Why::Syntax, at)),
            None => Err(self.fault(Why::Syntax, self.bytes.len())),
        }
    }

    /// Any value: what it is, and its end. `levels` are open around it.
    #[inline(always)]
    pub(super) fn value(&self, at: usize, levels: u32) -> Result<(JsonKind, usize), Fault> {
        if self.byte(at) == Some(b'"') {
            let (end, escaped) = self.text(at)?;
            return Ok((if escaped { JsonKind::Escaped } else { JsonKind::Plain }, end));
        }
        self.other(at, levels)
    }

    /// Any value that is no string.
    #[inline(always)]
    pub(super) fn other(&self, at: usize, levels: u32) -> Result<(JsonKind, usize), Fault> {
        match self.byte(at) {
            Some(b'-' | b'0'..=b'9') => self.number(at),
            Some(b'{' | b'[') => Ok((JsonKind::Nest, self.nest(at, levels)?)),
            _ => self.literal(at),
        }
    }

    #[inline(always)]
    fn literal(&self, at: usize) -> Result<(JsonKind, usize), Fault> {
        match self.byte(at) {
            Some(b't') => self.word(at, b"true", JsonKind::Truth),
            Some(b'f') => self.word(at, b"false", JsonKind::Truth),
            Some(b'n') => self.word(at, b"null", JsonKind::Null),
            _ => Err(self.fault(Why::Syntax, at)),
        }
    }

    /// Past the object or list at `at`. What is open is a bit each: one for an object.
    #[inline(never)]
    pub(super) fn nest(&self, at: usize, outside: u32) -> Result<usize, Fault> {
        self.lanes.run(Nest(self, at, outside))
    }

    /// Into the object or list at `at`, to what stands first in it.
    #[inline(always)]
    pub(super) fn enter(&self, open: u8, at: usize, levels: u32) -> Result<usize, Fault> {
        let inside = self.expect(open, at)?;
        if levels == LEVELS_MAX { Err(self.fault(Why::Deep, at)) } else { Ok(self.blanks(inside)) }
    }
}

/// [`Walk::long_text`].
struct LongText<'w, 'a, L>(&'w Walk<'a, L>, usize);

impl<L: Lanes> Kernel for LongText<'_, '_, L> {
    type Done = Result<(usize, bool), Fault>;

    #[inline(always)]
    fn work(self) -> Self::Done {
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
                _ => return Err(walk.fault(Why::Control, at)),
            }
            escaped = true;
        }
    }
}

/// [`Walk::nest`].
struct Nest<'w, 'a, L>(&'w Walk<'a, L>, usize, u32);

impl<L: Lanes> Kernel for Nest<'_, '_, L> {
    type Done = Result<usize, Fault>;

    #[inline(always)]
    fn work(self) -> Self::Done {
        let Self(walk, mut at, outside) = self;
        let (mut objects, mut levels) = (0u128, 0);
        loop {
            let swift = if objects & 1 == 1 { walk.compact_member(at) } else { None };
            match swift {
                Some(end) => at = end,
                None => {
                    // A value; in an object its key first.
                    if objects & 1 == 1 {
                        at = walk.blanks(walk.text(at)?.0);
                        at = walk.blanks(walk.expect(b':', at)?);
                    }
                    match walk.byte(at) {
                        Some(b'"') => at = walk.text(at)?.0,
                        Some(b'-' | b'0'..=b'9') => at = walk.number(at)?.1,
                        Some(open @ (b'{' | b'[')) => {
                            if outside + levels == LEVELS_MAX {
                                return Err(walk.fault(Why::Deep, at));
                            }
                            levels += 1;
                            objects = objects << 1 | u128::from(open == b'{');
                            at = walk.blanks(at + 1);
                            // '{' and '}', '[' and ']' are two apart.
                            if walk.byte(at) != Some(open + 2) {
                                continue;
                            }
                            (at, levels, objects) = (at + 1, levels - 1, objects >> 1);
                        }
                        _ => at = walk.literal(at)?.1,
                    }
                }
            }
            // What follows a value.
            while levels > 0 {
                at = walk.blanks(at);
                let close = if objects & 1 == 1 { b'}' } else { b']' };
                match walk.byte(at) {
                    Some(b',') => break,
                    Some(byte) if byte == close => (at, levels, objects) = (at + 1, levels - 1, objects >> 1),
                    _ => return Err(walk.fault(Why::Syntax, at)),
                }
            }
            if levels == 0 {
                return Ok(at);
            }
            at = walk.blanks(at + 1);
        }
    }
}
