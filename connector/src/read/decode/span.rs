//! The byte span of a value in the page.
//!
//! In: start, end and kind, from the walk. Out: the same for the columns, in eight bytes per value.

use super::escape::unescape;

/// Records per block: one word of a validity bitmap, and a part of the page that is still in the L1 cache.
pub(super) const BLOCK: usize = 64;

/// The kind of a JSON value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum JsonKind {
    /// The record has no such value.
    Absent,
    /// `null`.
    Null,
    /// A string without escapes.
    Plain,
    /// A string with escapes.
    Escaped,
    /// A number without fraction or exponent.
    Integer,
    /// A number with fraction or exponent.
    Decimal,
    /// `true` or `false`.
    Boolean,
    /// An object or an array.
    Nested,
}

/// Start, length and [`JsonKind`] of a value's JSON text; for a string, without its quotes. From the lowest bit: 29 bits of start, 29 of
/// length, one for a string with escapes, one unused, three of the kind, and one for a value that is not `null`. Zero is
/// [`JsonKind::Absent`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct ByteSpan(u64);

/// Bits of a start and of a length.
const BITS: u32 = 29;
/// The largest page, bounded by the start and the length of a span.
pub(super) const PAGE_BYTES_MAX: usize = (1 << BITS) - 1;
const KIND: u32 = 60;
const VALUE: u32 = 63;

/// What is added to length and start for each kind: its bits, and for a string the correction that leaves out the quotes.
const TAGS: [u64; 8] = {
    let mut tags = [0; 8];
    let mut kind = 0;
    while kind < 8 {
        tags[kind] = (kind as u64) << KIND;
        if kind > JsonKind::Null as usize {
            tags[kind] |= 1 << VALUE;
        }
        if kind == JsonKind::Escaped as usize {
            tags[kind] |= 1 << (2 * BITS);
        }
        if kind == JsonKind::Plain as usize || kind == JsonKind::Escaped as usize {
            tags[kind] = tags[kind] + 1 - (2 << BITS);
        }
        kind += 1;
    }
    tags
};

impl ByteSpan {
    pub(super) const ABSENT: Self = Self(0);

    /// `start..end` includes the quotes of a string. The page must have at most [`PAGE_BYTES_MAX`] bytes.
    #[inline(always)]
    pub(super) fn new(kind: JsonKind, start: usize, end: usize) -> Self {
        Self(TAGS[kind as usize].wrapping_add(((end - start) as u64) << BITS | start as u64))
    }

    /// The span of the JSON text: for a string, including its quotes and escapes.
    #[inline(always)]
    pub(super) fn written(self) -> Self {
        match self.kind() {
            JsonKind::Plain | JsonKind::Escaped => Self::new(JsonKind::Nested, self.start() - 1, self.end() + 1),
            _ => self,
        }
    }

    /// The unescaped text of a string, or the JSON text of any other value. A string with escapes is unescaped into `scratch`.
    pub(super) fn text<'a>(self, page: &'a str, scratch: &'a mut String) -> &'a str {
        let text = page.get(self.start()..self.end()).unwrap_or_default();
        if self.kind() != JsonKind::Escaped {
            return text;
        }
        scratch.clear();
        unescape(text, scratch);
        scratch
    }

    #[inline(always)]
    pub(super) fn kind(self) -> JsonKind {
        match self.0 >> KIND & 7 {
            0 => JsonKind::Absent,
            1 => JsonKind::Null,
            2 => JsonKind::Plain,
            3 => JsonKind::Escaped,
            4 => JsonKind::Integer,
            5 => JsonKind::Decimal,
            6 => JsonKind::Boolean,
            _ => JsonKind::Nested,
        }
    }

    /// Whether the value is present and not `null`.
    #[inline(always)]
    pub(super) fn is_value(self) -> bool {
        self.0 >> VALUE == 1
    }

    /// The span, or [`ByteSpan::ABSENT`] if the value is `null`.
    #[inline(always)]
    pub(super) fn or_absent(self) -> Self {
        if self.is_value() { self } else { Self::ABSENT }
    }

    #[inline(always)]
    pub(super) fn is_absent(self) -> bool {
        self.0 == 0
    }

    #[inline(always)]
    pub(super) fn start(self) -> usize {
        self.0 as usize & PAGE_BYTES_MAX
    }

    #[inline(always)]
    pub(super) fn len(self) -> usize {
        (self.0 >> BITS) as usize & PAGE_BYTES_MAX
    }

    /// The length, or more than any length if it is a string with escapes.
    #[inline(always)]
    pub(super) fn plain_len(self) -> usize {
        (self.0 >> BITS) as usize & (2 * PAGE_BYTES_MAX + 1)
    }

    #[inline(always)]
    pub(super) fn end(self) -> usize {
        self.start() + self.len()
    }
}
