//! One output column: from where the values are to an Arrow array.
//!
//! In: the spans of a block of records. Out: at the end of the page an array. A value that does not fit is NULL and is counted;
//! an event without a time makes the page unreadable.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, TimestampSecondArray};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow::datatypes::{DataType, Field, TimeUnit};
use chrono_tz::Tz;

use super::fault::Unread;
use super::list::Lists;
use super::span::Span;
use super::text::{Texts, text, view};
use super::time::Days;
use super::value::{date, float, long, packed, truth};
use super::{Form, Slot};

/// The spans of some records of a page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block<'a> {
    pub(super) bytes: &'a [u8],
    /// `width` spans a record, the record itself first.
    pub(super) spans: &'a [Span],
    pub(super) width: usize,
}

/// A column while a page is read.
#[derive(Debug)]
pub(super) struct Column {
    name: String,
    form: Form,
    /// Where the value may be; the first that is one wins.
    nodes: Vec<u16>,
    zone: Option<Tz>,
    days: Days,
    rows: usize,
    /// A bit a row: whether it has a value. A block but the last has whole words.
    valid: Vec<u64>,
    values: Values,
    scratch: Vec<u8>,
    mismatches: u64,
}

#[derive(Debug)]
enum Values {
    Texts(Texts),
    Lists(Lists),
    Longs(Vec<i64>),
    Floats(Vec<f64>),
    Dates(Vec<i32>),
    Truths(Vec<bool>),
}

impl Column {
    /// The column of a slot whose paths lead to `nodes`.
    pub(super) fn new(slot: Slot, nodes: Vec<u16>, zone: Option<Tz>) -> Self {
        let values = match slot.form {
            Form::Text | Form::Json => Values::Texts(Texts::default()),
            Form::TextList => Values::Lists(Lists::default()),
            Form::Int64 | Form::Date | Form::PackedTime => Values::Longs(Vec::new()),
            Form::Float64 => Values::Floats(Vec::new()),
            Form::PackedDay => Values::Dates(Vec::new()),
            Form::Boolean => Values::Truths(Vec::new()),
        };
        let days = Days::new(zone.unwrap_or(Tz::UTC));
        let (valid, scratch) = (Vec::new(), Vec::new());
        Self { name: slot.name, form: slot.form, nodes, zone, days, rows: 0, valid, values, scratch, mismatches: 0 }
    }

    /// The column's Arrow field.
    pub(super) fn field(&self) -> Field {
        let kind = match self.form {
            Form::Text | Form::Json => DataType::Utf8View,
            Form::Int64 => DataType::Int64,
            Form::Float64 => DataType::Float64,
            Form::Boolean => DataType::Boolean,
            Form::Date | Form::PackedTime => DataType::Timestamp(TimeUnit::Second, Some(self.zone_name())),
            Form::PackedDay => DataType::Date32,
            Form::TextList => DataType::List(Lists::item()),
        };
        Field::new(&self.name, kind, true)
    }

    fn zone_name(&self) -> Arc<str> {
        self.zone.unwrap_or(Tz::UTC).name().into()
    }

    /// Forgets the page so far.
    pub(super) fn clear(&mut self) {
        (self.rows, self.mismatches) = (0, 0);
        self.valid.clear();
        match &mut self.values {
            Values::Texts(texts) => texts.clear(),
            Values::Lists(lists) => lists.clear(),
            Values::Longs(values) => values.clear(),
            Values::Floats(values) => values.clear(),
            Values::Dates(values) => values.clear(),
            Values::Truths(values) => values.clear(),
        }
    }

    /// Adds the rows of a block.
    ///
    /// # Errors
    /// A record has no time, and this column wants one.
    pub(super) fn push(&mut self, block: &Block<'_>) -> Result<(), Unread> {
        let before = (self.rows, self.valid.len());
        let (days, scratch, bytes) = (&mut self.days, &mut self.scratch, block.bytes);
        let mut fill = Fill { block, nodes: &self.nodes, valid: &mut self.valid, mismatches: &mut self.mismatches };
        match (&mut self.values, self.form) {
            (Values::Texts(texts), Form::Json) => {
                fill.with(&mut texts.views, |span| Some(view(&mut texts.data, bytes, span.start(), span.end())));
            }
            (Values::Texts(texts), _) => fill.with(&mut texts.views, |span| Some(text(&mut texts.data, bytes, span, scratch))),
            (Values::Lists(lists), _) => fill.with(&mut lists.lens, |span| lists.items.push(bytes, span, scratch)),
            (Values::Longs(longs), Form::Date) => fill.with(longs, |span| date(bytes, span, scratch, days)),
            (Values::Longs(longs), Form::PackedTime) => {
                fill.with(longs, |span| packed(bytes, span, scratch).and_then(|packed| days.packed_time(packed)));
            }
            (Values::Longs(longs), _) => fill.with(longs, |span| long(bytes, span, scratch)),
            (Values::Floats(floats), _) => fill.with(floats, |span| float(bytes, span, scratch)),
            (Values::Dates(dates), _) => {
                fill.with(dates, |span| packed(bytes, span, scratch).and_then(|packed| days.packed_day(packed)));
            }
            (Values::Truths(truths), _) => fill.with(truths, |span| truth(bytes, span, scratch)),
        }
        self.rows += block.spans.len() / block.width;
        if matches!(self.form, Form::PackedTime | Form::PackedDay) { self.check_times(block, before) } else { Ok(()) }
    }

    /// Refuses a block in which a row has no time. `before` it there were so many rows and words.
    fn check_times(&self, block: &Block<'_>, before: (usize, usize)) -> Result<(), Unread> {
        if self.form == Form::PackedTime && self.zone.is_none() {
            return Err(Unread::new("has times that need the project's time zone", 0));
        }
        let words = self.valid.iter().skip(before.1);
        let timed = words.map(|word| word.trailing_ones() as usize).enumerate().find(|(_, ones)| *ones < 64);
        let row = timed.map_or(usize::MAX, |(word, ones)| word * 64 + ones);
        let Some(spans) = block.spans.chunks(block.width).nth(row) else { return Ok(()) };
        let (record, span) = (before.0 + row, pick(spans, &self.nodes));
        Err(if span.is_value() {
            Unread::new(format!("record {record} has a {} that is no time", self.name), span.start())
        } else {
            Unread::new(format!("record {record} has no {}", self.name), pick(spans, &[0]).start())
        })
    }

    /// The array and the mismatches of the page. The column is empty then.
    pub(super) fn take(&mut self) -> (ArrayRef, u64) {
        let zone = self.zone_name();
        let room = self.rows;
        let nulls = nulls(std::mem::replace(&mut self.valid, Vec::with_capacity(room / 64 + 1)), room);
        let array: ArrayRef = match &mut self.values {
            Values::Texts(texts) => Arc::new(texts.take(nulls)),
            Values::Lists(lists) => Arc::new(lists.take(nulls)),
            Values::Longs(longs) if self.form == Form::Int64 => Arc::new(Int64Array::new(take(longs).into(), nulls)),
            Values::Longs(longs) => Arc::new(TimestampSecondArray::new(take(longs).into(), nulls).with_timezone(zone)),
            Values::Floats(floats) => Arc::new(Float64Array::new(take(floats).into(), nulls)),
            Values::Dates(dates) => Arc::new(Date32Array::new(take(dates).into(), nulls)),
            Values::Truths(truths) => Arc::new(BooleanArray::new(BooleanBuffer::from(take(truths)), nulls)),
        };
        self.rows = 0;
        (array, std::mem::take(&mut self.mismatches))
    }
}

/// The values, leaving room for as many.
fn take<T>(values: &mut Vec<T>) -> Vec<T> {
    let room = values.len();
    std::mem::replace(values, Vec::with_capacity(room))
}

fn nulls(valid: Vec<u64>, rows: usize) -> Option<NullBuffer> {
    let nulls = NullBuffer::new(BooleanBuffer::new(Buffer::from_vec(valid), 0, rows));
    (nulls.null_count() > 0).then_some(nulls)
}

/// The first of `nodes` that has a value in the record.
#[inline(always)]
fn pick(spans: &[Span], nodes: &[u16]) -> Span {
    let span = |node: &u16| spans.get(usize::from(*node)).copied().unwrap_or_default();
    match nodes {
        [only] => span(only),
        _ => nodes.iter().map(span).find(|span| span.is_value()).unwrap_or_default(),
    }
}

/// Where a block goes.
struct Fill<'a> {
    block: &'a Block<'a>,
    nodes: &'a [u16],
    valid: &'a mut Vec<u64>,
    mismatches: &'a mut u64,
}

impl Fill<'_> {
    /// A value a record, by `read`; a default where there is none or it does not fit.
    #[inline(always)]
    fn with<T: Default>(&mut self, values: &mut Vec<T>, mut read: impl FnMut(Span) -> Option<T>) {
        for records in self.block.spans.chunks(64 * self.block.width) {
            let mut word = 0;
            values.extend(records.chunks_exact(self.block.width).enumerate().map(|(bit, spans)| {
                let span = pick(spans, self.nodes);
                let value = if span.is_value() { read(span) } else { None };
                *self.mismatches += u64::from(span.is_value() & value.is_none());
                word |= u64::from(value.is_some()) << bit;
                value.unwrap_or_default()
            }));
            self.valid.push(word);
        }
    }
}
