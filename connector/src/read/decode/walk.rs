//! The walk over a page's bytes: checks everything, keeps where the wanted values are.
//!
//! In: the page and an offset. Out: the offset after what was walked, or the fault. Nothing is copied and no value is made here.
//! What serde_json refuses is refused, in skipped values as well: the walk does not tell wanted from unwanted until a value is over.

use std::marker::PhantomData;

use super::fault::{Fault, Why};
use super::scan::Lanes;
use super::span::{Kind, Span};
use super::tree::{Place, Tree};

/// Objects and lists in each other, at most: as serde_json has it.
const LEVELS_MAX: u32 = 127;
/// Digits that every 64-bit float has room for.
const SAFE_DIGITS: usize = 300;

/// A page being walked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Walk<'a, L> {
    pub(super) bytes: &'a [u8],
    lanes: PhantomData<L>,
}

impl<'a, L: Lanes> Walk<'a, L> {
    /// A walk over `bytes`, which are UTF-8.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, lanes: PhantomData }
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
            let stop = L::stop(chunk);
            at += stop;
            if stop < 32 && self.byte(at) == Some(b'"') {
                return Ok((at + 1, false));
            }
        }
        self.long_text(at)
    }

    /// The rest of a string that is long, has escapes, or stands near the end.
    #[inline(never)]
    fn long_text(&self, mut at: usize) -> Result<(usize, bool), Fault> {
        let mut escaped = false;
        loop {
            match self.chunk(at) {
                Some(chunk) => {
                    let stop = L::stop(chunk);
                    at += stop;
                    if stop == 32 {
                        continue;
                    }
                }
                None => {
                    while matches!(self.byte(at), Some(byte) if byte >= b' ' && byte != b'"' && byte != b'\\') {
                        at += 1;
                    }
                }
            }
            match self.byte(at) {
                Some(b'"') => return Ok((at + 1, escaped)),
                Some(b'\\') => at = self.escape(at)?,
                _ => return Err(self.fault(Why::Control, at)),
            }
            escaped = true;
        }
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
        match self.chunk(at).map(L::digits) {
            Some(digits) if digits < 32 => digits,
            _ => self.bytes.get(at..).map_or(0, |rest| rest.iter().take_while(|byte| byte.is_ascii_digit()).count()),
        }
    }

    /// The number at `start`: what it is, and its end.
    #[inline(always)]
    fn number(&self, start: usize) -> Result<(Kind, usize), Fault> {
        let whole = start + usize::from(self.byte(start) == Some(b'-'));
        let digits = self.digits(whole);
        if digits == 0 || (digits > 1 && self.byte(whole) == Some(b'0')) {
            return Err(self.fault(Why::Number, whole));
        }
        let mut at = whole + digits;
        let mut kind = Kind::Integer;
        if self.byte(at) == Some(b'.') {
            kind = Kind::Decimal;
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
    fn far_number(&self, start: usize, mut at: usize, mut kind: Kind) -> Result<(Kind, usize), Fault> {
        if matches!(self.byte(at), Some(b'e' | b'E')) {
            kind = Kind::Decimal;
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
    fn word(&self, at: usize, word: &[u8], kind: Kind) -> Result<(Kind, usize), Fault> {
        match self.bytes.get(at..at + word.len()) {
            Some(found) if found == word => Ok((kind, at + word.len())),
            Some(_) => Err(self.fault(Why::Syntax, at)),
            None => Err(self.fault(Why::Syntax, self.bytes.len())),
        }
    }

    /// Any value: what it is, and its end. `levels` are open around it.
    #[inline(always)]
    pub(super) fn value(&self, at: usize, levels: u32) -> Result<(Kind, usize), Fault> {
        if self.byte(at) == Some(b'"') {
            let (end, escaped) = self.text(at)?;
            return Ok((if escaped { Kind::Escaped } else { Kind::Plain }, end));
        }
        self.other(at, levels)
    }

    /// Any value that is no string.
    #[inline(always)]
    fn other(&self, at: usize, levels: u32) -> Result<(Kind, usize), Fault> {
        match self.byte(at) {
            Some(b'-' | b'0'..=b'9') => self.number(at),
            Some(b'{' | b'[') => Ok((Kind::Nest, self.nest(at, levels)?)),
            _ => self.literal(at),
        }
    }

    #[inline(always)]
    fn literal(&self, at: usize) -> Result<(Kind, usize), Fault> {
        match self.byte(at) {
            Some(b't') => self.word(at, b"true", Kind::Truth),
            Some(b'f') => self.word(at, b"false", Kind::Truth),
            Some(b'n') => self.word(at, b"null", Kind::Null),
            _ => Err(self.fault(Why::Syntax, at)),
        }
    }

    /// Past the object or list at `at`. What is open is a bit each: one for an object.
    fn nest(&self, mut at: usize, outside: u32) -> Result<usize, Fault> {
        let (mut objects, mut levels) = (0u128, 0);
        loop {
            // A value; in an object its key first.
            if objects & 1 == 1 {
                at = self.blanks(self.text(at)?.0);
                at = self.blanks(self.expect(b':', at)?);
            }
            match self.byte(at) {
                Some(b'"') => at = self.text(at)?.0,
                Some(b'-' | b'0'..=b'9') => at = self.number(at)?.1,
                Some(open @ (b'{' | b'[')) => {
                    if outside + levels == LEVELS_MAX {
                        return Err(self.fault(Why::Deep, at));
                    }
                    levels += 1;
                    objects = objects << 1 | u128::from(open == b'{');
                    at = self.blanks(at + 1);
                    // '{' and '}', '[' and ']' are two apart.
                    if self.byte(at) != Some(open + 2) {
                        continue;
                    }
                    (at, levels, objects) = (at + 1, levels - 1, objects >> 1);
                }
                _ => at = self.literal(at)?.1,
            }
            // What follows a value.
            while levels > 0 {
                at = self.blanks(at);
                let close = if objects & 1 == 1 { b'}' } else { b']' };
                match self.byte(at) {
                    Some(b',') => break,
                    Some(byte) if byte == close => (at, levels, objects) = (at + 1, levels - 1, objects >> 1),
                    _ => return Err(self.fault(Why::Syntax, at)),
                }
            }
            if levels == 0 {
                return Ok(at);
            }
            at = self.blanks(at + 1);
        }
    }

    /// The key at `at` of an object, and its colon: the node it leads to, and the offset past both.
    #[inline(always)]
    fn key(&self, tree: &mut Tree, node: u16, place: &mut Place, at: usize) -> Result<(Option<u16>, usize), Fault> {
        if let Some(chunk) = self.chunk(at)
            && let Some((len, child)) = tree.nodes[usize::from(node)].foreseen(place, chunk)
        {
            return Ok((child, at + len));
        }
        self.unforeseen(tree, node, place, at)
    }

    #[inline(never)]
    fn unforeseen(&self, tree: &mut Tree, node: u16, place: &mut Place, start: usize) -> Result<(Option<u16>, usize), Fault> {
        let (end, escaped) = self.text(start)?;
        let at = self.expect(b':', self.blanks(end))?;
        let raw = &self.bytes[start + 1..end - 1];
        let child = if escaped {
            let mut key = Vec::new();
            unescape(raw, &mut key);
            tree.nodes[usize::from(node)].look_up(place, &key)
        } else {
            tree.nodes[usize::from(node)].look_up(place, raw)
        };
        Ok((child, at))
    }

    /// The object at `at`, whose wanted values go into `row`. `levels` are open around it.
    pub(super) fn object(&self, tree: &mut Tree, node: u16, at: usize, levels: u32, row: &mut [Span]) -> Result<usize, Fault> {
        let mut at = self.enter(b'{', at, levels)?;
        if self.byte(at) == Some(b'}') {
            return Ok(at + 1);
        }
        let mut place = Place::START;
        loop {
            let (child, value) = self.key(tree, node, &mut place, at)?;
            at = self.blanks(value);
            at = match child {
                None => self.value(at, levels + 1)?.1,
                Some(child) => self.wanted(tree, child, at, levels + 1, row)?,
            };
            at = self.blanks(at);
            match self.byte(at) {
                Some(b',') => at = self.blanks(at + 1),
                Some(b'}') => return Ok(at + 1),
                _ => return Err(self.fault(Why::Syntax, at)),
            }
        }
    }

    /// Into the object or list at `at`, to what stands first in it.
    #[inline(always)]
    pub(super) fn enter(&self, open: u8, at: usize, levels: u32) -> Result<usize, Fault> {
        let inside = self.expect(open, at)?;
        if levels == LEVELS_MAX { Err(self.fault(Why::Deep, at)) } else { Ok(self.blanks(inside)) }
    }

    /// The value at `at`, which `node` and perhaps nodes below it want. A key that came before in its object is forgotten.
    #[inline(always)]
    fn wanted(&self, tree: &mut Tree, node: u16, at: usize, levels: u32, row: &mut [Span]) -> Result<usize, Fault> {
        if !row[usize::from(node)].is_absent() {
            tree.forget(node, row);
        }
        let (kind, end) = match self.byte(at) {
            Some(b'"') => self.value(at, levels)?,
            Some(b'{' | b'[') => (Kind::Nest, self.wanted_nest(tree, node, at, levels, row)?),
            _ => self.other(at, levels)?,
        };
        row[usize::from(node)] = Span::new(kind, at, end);
        Ok(end)
    }

    #[inline(never)]
    fn wanted_nest(&self, tree: &mut Tree, node: u16, at: usize, levels: u32, row: &mut [Span]) -> Result<usize, Fault> {
        let (is_inner, first_element) = (tree.nodes[usize::from(node)].is_inner, tree.nodes[usize::from(node)].first_element);
        match (self.byte(at), first_element) {
            (Some(b'{'), _) if is_inner => self.object(tree, node, at, levels, row),
            (Some(b'['), Some(first)) => self.list(tree, first, at, levels, row),
            _ => self.nest(at, levels),
        }
    }

    /// The list at `at`, whose first element `first` wants.
    fn list(&self, tree: &mut Tree, first: u16, at: usize, levels: u32, row: &mut [Span]) -> Result<usize, Fault> {
        let mut at = self.enter(b'[', at, levels)?;
        if self.byte(at) == Some(b']') {
            return Ok(at + 1);
        }
        at = self.wanted(tree, first, at, levels + 1, row)?;
        loop {
            at = self.blanks(at);
            match self.byte(at) {
                Some(b',') => at = self.value(self.blanks(at + 1), levels + 1)?.1,
                Some(b']') => return Ok(at + 1),
                _ => return Err(self.fault(Why::Syntax, at)),
            }
        }
    }
}

/// What the inside of a string means, for one that was walked without a fault.
pub(super) fn unescape(raw: &[u8], out: &mut Vec<u8>) {
    let mut rest = raw;
    while let Some(plain) = rest.iter().position(|byte| *byte == b'\\') {
        let (before, escape) = rest.split_at(plain);
        out.extend_from_slice(before);
        let unit = |at: usize| {
            let digits = escape.get(at..at + 4).unwrap_or_default();
            digits.iter().fold(0, |unit, digit| unit << 4 | char::from(*digit).to_digit(16).unwrap_or(0))
        };
        let (one, used) = match escape.get(1) {
            Some(b'u') => match unit(2) {
                high @ 0xd800..0xe000 => (0x1_0000 + ((high & 0x3ff) << 10) + (unit(8) & 0x3ff), 12),
                one => (one, 6),
            },
            Some(b'b') => (0x08, 2),
            Some(b'f') => (0x0c, 2),
            Some(b'n') => (0x0a, 2),
            Some(b'r') => (0x0d, 2),
            Some(b't') => (0x09, 2),
            Some(same) => (u32::from(*same), 2),
            None => (0x5c, 1),
        };
        let one = char::from_u32(one).unwrap_or(char::REPLACEMENT_CHARACTER);
        out.extend_from_slice(one.encode_utf8(&mut [0; 4]).as_bytes());
        rest = escape.get(used..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}
