//! What all cells of a column have in common, so far.
//!
//! In: cells. Out: how many are of each kind, where the first of each stands, and what their type needs. A cell is first tried as what the
//! last one was. A column of which many cells are plain text is no longer looked at: it is text, and costs nothing.

use super::cell::boolean::{Spelling, boolean};
use super::cell::number::{Number, number};
use super::cell::text::{has_decimal_comma, null_mark, shape};
use super::cell::time::{Instant, Zone, Zones, date, instant, is_calendar_like};
use super::feed::Block;
use super::structure::Cell;
use std::sync::Arc;

/// What a cell that is not empty may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Number,
    Lower,
    Title,
    Upper,
    Date,
    /// An instant that does not state its zone.
    Local,
    /// An instant that does.
    Zoned,
    /// A number with a comma for its point.
    Comma,
    /// A well-known mark for nothing.
    Mark,
    Text,
}

pub(crate) const KINDS: [Kind; 10] =
    [Kind::Number, Kind::Lower, Kind::Title, Kind::Upper, Kind::Date, Kind::Local, Kind::Zoned, Kind::Comma, Kind::Mark, Kind::Text];

/// How many cells are of a kind, and where the first is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    pub(crate) count: u64,
    pub(crate) first: Option<(Arc<str>, u64)>,
}

/// Text cells after which a column is plain text, if they are also a tenth.
const TEXTS: u64 = 16;

#[derive(Debug, Clone)]
pub(crate) struct Facts {
    file: Arc<str>,
    seen: [Seen; KINDS.len()],
    /// The kind of the last cell.
    last: Kind,
    is_plain_text: bool,
    pub(crate) whole_max: u32,
    pub(crate) scale_min: u32,
    pub(crate) scale_max: u32,
    pub(crate) beyond_i64: bool,
    /// Every integer is one of the calendar.
    is_calendar_like: bool,
    pub(crate) fraction_max: u32,
    /// Instants of these seconds.
    pub(crate) earliest: i64,
    pub(crate) latest: i64,
    /// Every instant is written as Arrow would.
    pub(crate) all_plain: bool,
    pub(crate) mark: Option<&'static str>,
    pub(crate) shape: Option<String>,
    zones: Zones,
}

impl Facts {
    pub(crate) fn new(file: &Arc<str>) -> Self {
        Self {
            file: Arc::clone(file),
            seen: Default::default(),
            last: Kind::Number,
            is_plain_text: false,
            whole_max: 0,
            scale_min: u32::MAX,
            scale_max: 0,
            beyond_i64: false,
            is_calendar_like: true,
            fraction_max: 0,
            earliest: i64::MAX,
            latest: i64::MIN,
            all_plain: true,
            mark: None,
            shape: None,
            zones: Zones::default(),
        }
    }

    pub(crate) fn of(&self, kind: Kind) -> &Seen {
        &self.seen[kind as usize]
    }

    /// Cells of these kinds.
    pub(crate) fn count(&self, kinds: &[Kind]) -> u64 {
        kinds.iter().map(|kind| self.of(*kind).count).sum()
    }

    pub(crate) fn is_calendar_like(&self) -> bool {
        self.is_calendar_like && self.of(Kind::Number).count > 0 && self.scale_max == 0
    }

    /// Looks at the cells of a column. Empty ones say nothing, nor do those in `nulls`.
    pub(crate) fn scan(&mut self, block: &Block<'_>, column: usize, first: usize, nulls: &[String]) {
        if self.is_plain_text {
            return;
        }
        for (cell, record) in block.column(column).skip(first) {
            if cell.len() == 0 || !nulls.is_empty() && is_null(cell.bytes(block.data), nulls) {
                continue;
            }
            self.note(block.data, cell, record.line);
            if self.is_plain_text {
                return;
            }
        }
    }

    #[inline(always)]
    fn note(&mut self, data: &[u8], cell: Cell, line: u64) {
        let (at, len) = (cell.start(), cell.len());
        let as_before = match self.last {
            Kind::Number => number(data, at, len).map(|number| self.note_number(number, cell.bytes(data))),
            Kind::Date => date(data, at, len).map(|_| Kind::Date),
            Kind::Local | Kind::Zoned => instant(data, at, len, &mut self.zones).map(|instant| self.note_instant(instant)),
            Kind::Lower | Kind::Title | Kind::Upper => boolean(cell.bytes(data)).map(|(_, spelling)| spelled(spelling)),
            Kind::Comma | Kind::Mark | Kind::Text => None,
        };
        // A cell with an escaped quote has a quote, and is none of these.
        let kind = as_before.unwrap_or_else(|| self.classify(data, cell));
        self.last = kind;
        let seen = &mut self.seen[kind as usize];
        seen.count += 1;
        if seen.count == 1 {
            seen.first = Some((Arc::clone(&self.file), line));
        } else if kind == Kind::Text && seen.count > TEXTS {
            self.is_plain_text = self.count(&[Kind::Text]) * 10 > self.count(&KINDS);
        }
    }

    #[cold]
    fn classify(&mut self, data: &[u8], cell: Cell) -> Kind {
        let (at, len, bytes) = (cell.start(), cell.len(), cell.bytes(data));
        if let Some(number) = number(data, at, len) {
            self.note_number(number, bytes)
        } else if let Some(mark) = null_mark(bytes) {
            self.mark.get_or_insert(mark);
            Kind::Mark
        } else if let Some((_, spelling)) = boolean(bytes) {
            spelled(spelling)
        } else if date(data, at, len).is_some() {
            Kind::Date
        } else if let Some(instant) = instant(data, at, len, &mut self.zones) {
            self.note_instant(instant)
        } else if has_decimal_comma(bytes) {
            Kind::Comma
        } else {
            self.shape.get_or_insert_with(|| shape(bytes));
            Kind::Text
        }
    }

    #[inline(always)]
    fn note_number(&mut self, number: Number, cell: &[u8]) -> Kind {
        self.whole_max = self.whole_max.max(number.whole);
        self.scale_min = self.scale_min.min(number.scale);
        self.scale_max = self.scale_max.max(number.scale);
        if number.scale == 0 && number.whole >= 19 {
            self.beyond_i64 |= std::str::from_utf8(cell).is_ok_and(|text| text.parse::<i64>().is_err());
        }
        if self.is_calendar_like {
            self.is_calendar_like = is_calendar_like(cell);
        }
        Kind::Number
    }

    #[inline(always)]
    fn note_instant(&mut self, instant: Instant) -> Kind {
        self.fraction_max = self.fraction_max.max(instant.fraction);
        self.earliest = self.earliest.min(instant.seconds);
        self.latest = self.latest.max(instant.seconds);
        self.all_plain &= instant.is_plain;
        if instant.zone == Zone::Stated { Kind::Zoned } else { Kind::Local }
    }

    /// The facts of the same column in two files.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (seen, others) in self.seen.iter_mut().zip(&other.seen) {
            seen.count += others.count;
            if seen.first.is_none() {
                seen.first.clone_from(&others.first);
            }
        }
        self.is_plain_text |= other.is_plain_text;
        self.whole_max = self.whole_max.max(other.whole_max);
        self.scale_min = self.scale_min.min(other.scale_min);
        self.scale_max = self.scale_max.max(other.scale_max);
        self.beyond_i64 |= other.beyond_i64;
        self.is_calendar_like &= other.is_calendar_like;
        self.fraction_max = self.fraction_max.max(other.fraction_max);
        self.earliest = self.earliest.min(other.earliest);
        self.latest = self.latest.max(other.latest);
        self.all_plain &= other.all_plain;
        self.mark = self.mark.or(other.mark);
        self.shape = self.shape.take().or_else(|| other.shape.clone());
    }
}

fn spelled(spelling: Spelling) -> Kind {
    match spelling {
        Spelling::Lower => Kind::Lower,
        Spelling::Title => Kind::Title,
        Spelling::Upper => Kind::Upper,
    }
}

/// Whether the cell is one of the marks that the author gave.
#[inline(always)]
pub(crate) fn is_null(cell: &[u8], nulls: &[String]) -> bool {
    nulls.iter().any(|mark| mark.as_bytes() == cell)
}
