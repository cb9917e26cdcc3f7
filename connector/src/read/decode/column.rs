//! One output column: from where the values are to an Arrow array.
//!
//! In: the spans of a block of records. Out: at the end of the page an array. A value that does not fit is NULL and is counted;
//! an event without a time makes the page unreadable.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, TimestampSecondArray};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow::datatypes::{DataType, Field, TimeUnit};
use chrono_tz::Tz;

use super::fault::PageError;
use super::list::Lists;
use super::simd::{Kernel, Lanes};
use super::span::{BLOCK, ByteSpan};
use super::text::Texts;
use super::time::Days;
use super::value::{date, day, float, long, time, truth};
use crate::table::ValueForm;

/// One output column of a page.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    /// The column's SQL name: for mismatch counts. Never a value.
    pub(crate) name: String,
    /// Where the value may be in a record: each a list of object keys; the first present and not null wins. A step "0" into an
    /// array means its first element.
    pub(crate) paths: Vec<Vec<String>>,
    pub(crate) form: ValueForm,
}

/// The spans of some records of a page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block<'a> {
    pub(super) page: &'a str,
    /// [`BLOCK`] spans a node; those of the records themselves first.
    pub(super) spans: &'a [ByteSpan],
    pub(super) records: usize,
}

/// A column while a page is read.
#[derive(Debug)]
pub(super) struct Column {
    name: String,
    form: ValueForm,
    /// Where the value may be; the first that is one wins.
    nodes: Vec<usize>,
    zone: Option<Tz>,
    days: Days,
    rows: usize,
    /// A bit a row: whether it has a value. A word is a block.
    valid: Vec<u64>,
    values: Values,
    scratch: String,
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
    pub(super) fn new(slot: Slot, nodes: Vec<usize>, zone: Option<Tz>) -> Self {
        let values = match slot.form {
            ValueForm::Text | ValueForm::Json => Values::Texts(Texts::default()),
            ValueForm::TextList => Values::Lists(Lists::default()),
            ValueForm::Int64 | ValueForm::Date | ValueForm::PackedTime => Values::Longs(Vec::new()),
            ValueForm::Float64 => Values::Floats(Vec::new()),
            ValueForm::PackedDay => Values::Dates(Vec::new()),
            ValueForm::Boolean => Values::Truths(Vec::new()),
        };
        let days = Days::new(zone.unwrap_or(Tz::UTC));
        let (valid, scratch) = (Vec::new(), String::new());
        Self { name: slot.name, form: slot.form, nodes, zone, days, rows: 0, valid, values, scratch, mismatches: 0 }
    }

    /// The column's Arrow field.
    pub(super) fn field(&self) -> Field {
        let kind = match self.form {
            ValueForm::Text | ValueForm::Json => DataType::Utf8View,
            ValueForm::Int64 => DataType::Int64,
            ValueForm::Float64 => DataType::Float64,
            ValueForm::Boolean => DataType::Boolean,
            ValueForm::Date | ValueForm::PackedTime => DataType::Timestamp(TimeUnit::Second, Some(self.zone_name())),
            ValueForm::PackedDay => DataType::Date32,
            ValueForm::TextList => DataType::List(Lists::item()),
        };
        Field::new(&self.name, kind, true)
    }

    fn zone_name(&self) -> Arc<str> {
        self.zone.unwrap_or(Tz::UTC).name().into()
    }

    /// Whether a zone is needed that is not there.
    pub(super) fn is_zoneless(&self) -> bool {
        self.form == ValueForm::PackedTime && self.zone.is_none()
    }

    /// Forgets the page so far.
    pub(super) fn clear(&mut self) {
        (self.rows, self.mismatches) = (0, 0);
        self.valid.clear();
        match &mut self.values {
            Values::Texts(texts) => texts.truncate(0),
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
    pub(super) fn push(&mut self, block: &Block<'_>, lanes: impl Lanes) -> Result<(), PageError> {
        lanes.run(Push(self, block, lanes))
    }

    /// Refuses a block in which a row has no time, if this column is one of times.
    fn check_times(&self, block: &Block<'_>, valid: u64) -> Result<(), PageError> {
        let row = valid.trailing_ones() as usize;
        if !matches!(self.form, ValueForm::PackedTime | ValueForm::PackedDay) || row >= block.records {
            return Ok(());
        }
        let record = self.rows + row;
        let found = self.nodes.iter().map(|node| block.of(*node)[row]).find(|span| span.is_value());
        Err(match found {
            Some(span) => PageError::new(format!("record {record} has a {} that is no time", self.name), span.start()),
            None => PageError::new(format!("record {record} has no {}", self.name), block.of(0)[row].start()),
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
            Values::Longs(longs) if self.form == ValueForm::Int64 => Arc::new(Int64Array::new(take(longs).into(), nulls)),
            Values::Longs(longs) => Arc::new(TimestampSecondArray::new(take(longs).into(), nulls).with_timezone(zone)),
            Values::Floats(floats) => Arc::new(Float64Array::new(take(floats).into(), nulls)),
            Values::Dates(dates) => Arc::new(Date32Array::new(take(dates).into(), nulls)),
            Values::Truths(truths) => Arc::new(BooleanArray::new(BooleanBuffer::from(take(truths)), nulls)),
        };
        self.rows = 0;
        (array, std::mem::take(&mut self.mismatches))
    }
}

/// [`Column::push`].
struct Push<'c, L>(&'c mut Column, &'c Block<'c>, L);

impl<L: Lanes> Kernel for Push<'_, L> {
    type Done = Result<(), PageError>;

    #[inline(always)]
    fn work(self) -> Self::Done {
        let Self(column, block, lanes) = self;
        let (days, scratch, page) = (&mut column.days, &mut column.scratch, block.page);
        let mut merged = [ByteSpan::ABSENT; BLOCK];
        let spans = match column.nodes[..] {
            [node] => block.of(node),
            _ => block.merge(&column.nodes, &mut merged),
        };
        let mut valid = 0;
        for (row, span) in spans.iter().enumerate() {
            valid |= u64::from(span.is_value()) << row;
        }
        let mut misfits = 0;
        // Adds a value a span, a default where there is none; a bit is set for what does not fit. Not a function that is given a
        // closure, because a closure may be compiled on its own, for any machine.
        macro_rules! fill {
            ($values:expr, |$span:ident| $read:expr) => {{
                let before = $values.len();
                $values.resize(before + spans.len(), Default::default());
                for (at, (value, span)) in $values[before..].iter_mut().zip(spans).enumerate() {
                    if span.is_value() {
                        let $span = *span;
                        match $read {
                            Some(read) => *value = read,
                            None => misfits |= 1u64 << at,
                        }
                    }
                }
            }};
        }
        match (&mut column.values, column.form) {
            (Values::Texts(texts), ValueForm::Json) => texts.add_written(page, spans, lanes),
            (Values::Texts(texts), _) => texts.add(page, spans, lanes),
            (Values::Lists(lists), _) => fill!(lists.lens, |span| lists.items.push(page, span)),
            (Values::Longs(longs), ValueForm::Date) => fill!(longs, |span| date(page, span, scratch, days)),
            (Values::Longs(longs), ValueForm::PackedTime) => fill!(longs, |span| time(page, span, scratch, days)),
            (Values::Longs(longs), _) => fill!(longs, |span| long(page, span)),
            (Values::Floats(floats), _) => fill!(floats, |span| float(page, span)),
            (Values::Dates(dates), _) => fill!(dates, |span| day(page, span, scratch, days)),
            (Values::Truths(truths), _) => fill!(truths, |span| truth(page, span, scratch)),
        }
        let timed = column.check_times(block, valid & !misfits);
        column.valid.push(valid & !misfits);
        column.mismatches += u64::from(misfits.count_ones());
        column.rows += block.records;
        timed
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

impl<'a> Block<'a> {
    /// The spans of a node.
    #[inline(always)]
    fn of(&self, node: usize) -> &'a [ByteSpan] {
        &self.spans[node * BLOCK..][..self.records]
    }

    /// Of each record the first of several nodes that has a value.
    fn merge<'b>(&self, nodes: &[usize], merged: &'b mut [ByteSpan; BLOCK]) -> &'b [ByteSpan] {
        for node in nodes.iter().rev() {
            for (merged, span) in merged.iter_mut().zip(self.of(*node)) {
                *merged = if span.is_value() { *span } else { *merged };
            }
        }
        &merged[..self.records]
    }
}
