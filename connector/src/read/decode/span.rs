//! Where a value stands in the page: eight bytes a value, made by the walk and read by the columns.

use super::escape::unescape;

/// Records whose spans are kept at once: a word of validity, and a part of the page that is still in the first cache.
pub(super) const BLOCK: usize = 64;

/// What a value is, as far as the walk saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum JsonKind {
    /// No such value in this record.
    Absent,
    /// `null`.
    Null,
    /// A string without escapes.
    Plain,
    /// A string with escapes.
    Escaped,
    /// A number without fraction and exponent.
    Integer,
    /// A number with fraction or exponent.
    Decimal,
    /// `true` or `false`.
    Truth,
    /// An object or an array.
    Nest,
}

/// Start, length and [`JsonKind`] of a value's JSON text, of a string without its quotes: 29 bits of where it starts, 29 of how long it is,
/// one for escapes, one that is free, three of the kind, one for a value that is not `null`. Zero is [`JsonKind::Absent`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct ByteSpan(u64);

/// Bits of a start and of a length.
const BITS: u32 = 29;
/// Bytes of a page, at most: what fits the length of a span.
pub(super) const PAGE_BYTES_MAX: usize = (1 << BITS) - 1;
const KIND: u32 = 60;
const VALUE: u32 = 63;

/// What a kind adds to length and start: its bits, and for a string what leaves out the quotes.
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
    /// No value.
    pub(super) const ABSENT: Self = Self(0);

    /// The value at `start..end`, with its quotes, of a page that has no more than [`PAGE_BYTES_MAX`] bytes.
    #[inline(always)]
    pub(super) fn new(kind: JsonKind, start: usize, end: usize) -> Self {
        Self(TAGS[kind as usize].wrapping_add(((end - start) as u64) << BITS | start as u64))
    }

    /// The value as it is written: a string with its quotes and escapes.
    #[inline(always)]
    pub(super) fn written(self) -> Self {
        match self.kind() {
            JsonKind::Plain | JsonKind::Escaped => Self::new(JsonKind::Nest, self.start() - 1, self.end() + 1),
            _ => self,
        }
    }

    /// What a string means, anything else as it is written. A string with escapes is made in `scratch`.
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
            6 => JsonKind::Truth,
            _ => JsonKind::Nest,
        }
    }

    /// Whether there is a value other than `null`.
    #[inline(always)]
    pub(super) fn is_value(self) -> bool {
        self.0 >> VALUE == 1
    }

    /// The value, or [`ByteSpan::ABSENT`] if it is `null`.
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

    /// The length, or more than any length where a string has escapes.
    #[inline(always)]
    pub(super) fn plain_len(self) -> usize {
        (self.0 >> BITS) as usize & (2 * PAGE_BYTES_MAX + 1)
    }

    #[inline(always)]
    pub(super) fn end(self) -> usize {
        self.start() + self.len()
    }
}
