//! Where a value stands in the page: eight bytes a value, made by the walk and read by the columns.

/// What a value is, as far as the walk saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
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

/// Start, length and [`Kind`] of a value's JSON text, quotes included. Zero is [`Kind::Absent`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Span(u64);

/// Bytes of a page, at most: what fits the length of a span.
pub(super) const PAGE_BYTES_MAX: usize = (1 << 29) - 1;

impl Span {
    /// No value.
    pub(super) const ABSENT: Self = Self(0);

    /// The value at `start..end` of a page that has no more than [`PAGE_BYTES_MAX`] bytes.
    #[inline(always)]
    pub(super) fn new(kind: Kind, start: usize, end: usize) -> Self {
        Self((kind as u64) << 61 | ((end - start) as u64) << 32 | start as u64)
    }

    #[inline(always)]
    pub(super) fn kind(self) -> Kind {
        match self.0 >> 61 {
            0 => Kind::Absent,
            1 => Kind::Null,
            2 => Kind::Plain,
            3 => Kind::Escaped,
            4 => Kind::Integer,
            5 => Kind::Decimal,
            6 => Kind::Truth,
            _ => Kind::Nest,
        }
    }

    /// Whether there is a value other than `null`.
    #[inline(always)]
    pub(super) fn is_value(self) -> bool {
        self.0 >> 61 > Kind::Null as u64
    }

    #[inline(always)]
    pub(super) fn is_absent(self) -> bool {
        self.0 == 0
    }

    #[inline(always)]
    pub(super) fn start(self) -> usize {
        self.0 as u32 as usize
    }

    #[inline(always)]
    pub(super) fn len(self) -> usize {
        (self.0 >> 32) as usize & PAGE_BYTES_MAX
    }

    #[inline(always)]
    pub(super) fn end(self) -> usize {
        self.start() + self.len()
    }
}
