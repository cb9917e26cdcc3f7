//! What all cells of a column have in common, so far.
//!
//! In: cells. Out: how many are of each kind, where the first of each stands, and what their type needs. A cell is first tried as what the
//! one before it was. A column of which many cells are plain text is no longer looked at: it is text, and costs nothing.

use std::sync::Arc;

use super::cell::boolean::{Spelling, boolean};
use super::cell::number::{Number, number};
use super::cell::text::{NULL_MARKS, decimal_comma, null_mark, odd_number, shape};
use super::cell::time::{Instant, Zone, Zones, date, instant};
use super::feed::{Block, Place};
use super::marks::Marks;
use super::structure::{Cell, Dialect};

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
    /// A number that no type gives back as it stands.
    Odd,
    /// A well-known mark for nothing.
    Mark,
    Text,
}

pub(crate) const KINDS: [Kind; 11] = [
    Kind::Number,
    Kind::Lower,
    Kind::Title,
    Kind::Upper,
    Kind::Date,
    Kind::Local,
    Kind::Zoned,
    Kind::Comma,
    Kind::Odd,
    Kind::Mark,
    Kind::Text,
];

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
    is_plain_text: bool,
    pub(crate) whole_max: u32,
    pub(crate) scale_max: u32,
    pub(crate) beyond_i64: bool,
    pub(crate) times: Times,
    /// Most digits before and behind a comma, and whether there are three behind each, as behind one that groups thousands.
    pub(crate) comma: (u32, u32),
    pub(crate) comma_groups: bool,
    pub(crate) mark: Option<&'static str>,
    /// Those that nobody quoted.
    pub(crate) marks: Marks,
    /// The first odd number, and the first other text.
    pub(crate) odd: Option<&'static str>,
    pub(crate) shape: Option<String>,
    zones: Zones,
}

impl Facts {
    pub(crate) fn new(file: &Arc<str>) -> Self {
        Self {
            file: Arc::clone(file),
            seen: Default::default(),
            is_plain_text: false,
            whole_max: 0,
            scale_max: 0,
            beyond_i64: false,
            times: Times::default(),
            comma: (0, 0),
            comma_groups: true,
            mark: None,
            marks: Marks::default(),
            odd: None,
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

    /// Has only the marks for no value looked for.
    pub(crate) fn of_text(self) -> Self {
        Self { is_plain_text: true, ..self }
    }

    /// Looks at the cells of a column. Empty ones say nothing, nor do those in `nulls`. Of plain text only the marks for no value are
    /// looked for.
    pub(crate) fn scan(&mut self, block: &Block<'_>, column: usize, first: usize, dialect: &Dialect, nulls: &[String]) {
        let data = block.data;
        let says = |cell: Cell| cell.len() > 0 && !dialect.is_null(cell, data, nulls);
        let mut cells = block.column(column).skip(first).filter(|(cell, _)| says(*cell));
        while !self.is_plain_text
            && let Some((cell, record)) = cells.next()
        {
            let kind = self.classify(dialect, data, cell, record.line);
            self.count_one(kind, record.line);
            self.run(kind, dialect, data, &mut cells);
        }
        for (cell, record) in cells {
            // Few texts are as short as the marks.
            if (2..=6).contains(&cell.len())
                && let Some(mark) = null_mark(cell.bytes(data))
            {
                self.note_mark(mark, cell.is_quoted(data, dialect.quote), record.line);
            }
        }
    }

    /// Looks at cells as long as they are of the kind, and at the one behind them.
    #[inline(always)]
    fn run<'b>(&mut self, kind: Kind, dialect: &Dialect, data: &[u8], cells: &mut impl Iterator<Item = (Cell, &'b Place)>) {
        let (mut like, mut zones) = (0, std::mem::take(&mut self.zones));
        let odd = match kind {
            Kind::Number => {
                let (mut whole_max, mut scale_max) = (0, 0);
                let odd = cells.find(|(cell, _)| {
                    // Those of more digits are looked at by themselves.
                    let Some(number) = number(data, cell.start(), cell.len()).filter(|number| number.whole < 19) else { return true };
                    whole_max = whole_max.max(number.whole);
                    scale_max = scale_max.max(number.scale);
                    like += 1;
                    false
                });
                self.whole_max = self.whole_max.max(whole_max);
                self.scale_max = self.scale_max.max(scale_max);
                odd
            }
            Kind::Date => cells.find(|(cell, _)| {
                let is_like = date(data, cell.start(), cell.len()).is_some();
                like += u64::from(is_like);
                !is_like
            }),
            Kind::Lower | Kind::Title | Kind::Upper => cells.find(|(cell, _)| {
                let is_like = boolean(cell.bytes(data)).is_some_and(|(_, spelling)| spelled(spelling) == kind);
                like += u64::from(is_like);
                !is_like
            }),
            Kind::Local | Kind::Zoned => {
                let mut times = Times::default();
                let odd = cells.find(|(cell, _)| {
                    let instant = instant(data, cell.start(), cell.len(), &mut zones);
                    let Some(instant) = instant.filter(|instant| of_zone(instant.zone) == kind) else { return true };
                    times.note(instant);
                    like += 1;
                    false
                });
                self.times.merge(&times);
                odd
            }
            Kind::Comma | Kind::Odd | Kind::Mark | Kind::Text => None,
        };
        self.zones = zones;
        self.seen[kind as usize].count += like;
        if let Some((cell, record)) = odd {
            let kind = self.classify(dialect, data, cell, record.line);
            self.count_one(kind, record.line);
        }
    }

    fn count_one(&mut self, kind: Kind, line: u64) {
        let seen = &mut self.seen[kind as usize];
        seen.count += 1;
        if seen.count == 1 {
            seen.first = Some((Arc::clone(&self.file), line));
        } else if matches!(kind, Kind::Text | Kind::Odd) && seen.count > TEXTS {
            self.is_plain_text = self.count(&[Kind::Text, Kind::Odd]) * 10 > self.count(&KINDS);
        }
    }

    /// What a cell is that is not known to be as the one before it. A cell with an escaped quote has a quote, and is text.
    fn classify(&mut self, dialect: &Dialect, data: &[u8], cell: Cell, line: u64) -> Kind {
        let (at, len, bytes) = (cell.start(), cell.len(), cell.bytes(data));
        if let Some(number) = number(data, at, len) {
            self.note_number(number, bytes);
            Kind::Number
        } else if let Some(mark) = null_mark(bytes) {
            self.mark.get_or_insert(NULL_MARKS[mark]);
            self.note_mark(mark, cell.is_quoted(data, dialect.quote), line);
            Kind::Mark
        } else if let Some((_, spelling)) = boolean(bytes) {
            spelled(spelling)
        } else if date(data, at, len).is_some() {
            Kind::Date
        } else if let Some(instant) = instant(data, at, len, &mut self.zones) {
            self.times.note(instant);
            of_zone(instant.zone)
        } else if let Some((whole, scale)) = decimal_comma(bytes) {
            self.comma = (self.comma.0.max(whole), self.comma.1.max(scale));
            self.comma_groups &= scale == 3 && whole <= 3 && !bytes.trim_ascii_start().starts_with(b"0");
            Kind::Comma
        } else if let Some(words) = odd_number(bytes) {
            self.odd.get_or_insert(words);
            Kind::Odd
        } else {
            self.shape.get_or_insert_with(|| shape(bytes));
            Kind::Text
        }
    }

    fn note_mark(&mut self, mark: usize, is_quoted: bool, line: u64) {
        if !is_quoted {
            self.marks.note(mark, &self.file, line);
        }
    }

    fn note_number(&mut self, number: Number, cell: &[u8]) {
        self.whole_max = self.whole_max.max(number.whole);
        self.scale_max = self.scale_max.max(number.scale);
        if number.scale == 0 && number.whole >= 19 {
            self.beyond_i64 |= std::str::from_utf8(cell).is_ok_and(|text| text.parse::<i64>().is_err());
        }
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
        self.scale_max = self.scale_max.max(other.scale_max);
        self.beyond_i64 |= other.beyond_i64;
        self.times.merge(&other.times);
        self.comma = (self.comma.0.max(other.comma.0), self.comma.1.max(other.comma.1));
        self.comma_groups &= other.comma_groups;
        self.mark = self.mark.or(other.mark);
        self.marks.merge(&other.marks);
        self.odd = self.odd.or(other.odd);
        self.shape = self.shape.take().or_else(|| other.shape.clone());
    }
}

/// What all instants have in common.
#[derive(Debug, Clone)]
pub(crate) struct Times {
    /// Digits of the fraction of a second.
    pub(crate) fraction_max: u32,
    /// In seconds.
    pub(crate) earliest: i64,
    pub(crate) latest: i64,
}

impl Default for Times {
    fn default() -> Self {
        Self { fraction_max: 0, earliest: i64::MAX, latest: i64::MIN }
    }
}

impl Times {
    #[inline(always)]
    fn note(&mut self, instant: Instant) {
        let (seconds, fraction_max) = (instant.seconds, instant.fraction);
        self.merge(&Self { fraction_max, earliest: seconds, latest: seconds });
    }

    #[inline(always)]
    fn merge(&mut self, other: &Self) {
        self.fraction_max = self.fraction_max.max(other.fraction_max);
        self.earliest = self.earliest.min(other.earliest);
        self.latest = self.latest.max(other.latest);
    }
}

fn of_zone(zone: Zone) -> Kind {
    match zone {
        Zone::Unstated => Kind::Local,
        Zone::Stated => Kind::Zoned,
    }
}

fn spelled(spelling: Spelling) -> Kind {
    match spelling {
        Spelling::Lower => Kind::Lower,
        Spelling::Title => Kind::Title,
        Spelling::Upper => Kind::Upper,
    }
}
