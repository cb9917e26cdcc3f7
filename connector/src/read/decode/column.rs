//! Builds one output column: from byte spans to an Arrow array.
//!
//! In: the spans of a block of records. Out: an array at the end of the page. A value that does not fit becomes NULL and is counted,
//! and so is a time that is not there: no time is made up, and no record left out.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, TimestampSecondArray};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow::datatypes::{DataType, Field, TimeUnit};
use chrono_tz::Tz;

use super::list::Lists;
use super::simd::{Kernel, Lanes};
use super::span::{BLOCK, ByteSpan};
use super::text::Texts;
use super::time::Days;
use super::value::{boolean, date, day, float, int64, time};
use crate::table::ValueForm;

/// One output column of a page.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    /// The SQL name of the column, used in messages.
    pub(crate) name: String,
    /// Paths to the value in a record, as object keys. The first path with a value other than null wins. In a list, the step "*" is its
    /// first element that holds a value of one of the paths through it.
    pub(crate) paths: Vec<Vec<String>>,
    pub(crate) form: ValueForm,
}

/// The spans of a block of records.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block<'a> {
    pub(super) page: &'a str,
    /// [`BLOCK`] spans for each node. Those of the records themselves come first.
    pub(super) spans: &'a [ByteSpan],
    pub(super) records: usize,
}

/// A column being built.
#[derive(Debug)]
pub(super) struct Column {
    name: String,
    form: ValueForm,
    /// The nodes of the slot's paths; the first with a value wins.
    nodes: Vec<usize>,
    zone: Option<Tz>,
    days: Days,
    rows: usize,
    /// The validity bitmap; one word for each block.
    valid: Vec<u64>,
    values: Values,
    scratch: String,
    mismatches: u64,
}

#[derive(Debug)]
enum Values {
    Texts(Texts),
    Lists(Lists),
    Int64s(Vec<i64>),
    Floats(Vec<f64>),
    Dates(Vec<i32>),
    Booleans(Vec<bool>),
}

impl Column {
    /// `nodes` are those of the slot's paths.
    pub(super) fn new(slot: Slot, nodes: Vec<usize>, zone: Option<Tz>) -> Self {
        let values = match slot.form {
            ValueForm::Text | ValueForm::Json => Values::Texts(Texts::default()),
            ValueForm::TextList => Values::Lists(Lists::default()),
            ValueForm::Int64 | ValueForm::Date | ValueForm::PackedTime => Values::Int64s(Vec::new()),
            ValueForm::Float64 => Values::Floats(Vec::new()),
            ValueForm::PackedDay => Values::Dates(Vec::new()),
            ValueForm::Boolean => Values::Booleans(Vec::new()),
        };
        let days = Days::new(zone);
        let (valid, scratch) = (Vec::new(), String::new());
        Self { name: slot.name, form: slot.form, nodes, zone, days, rows: 0, valid, values, scratch, mismatches: 0 }
    }

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

    /// Whether the column needs a time zone and has none.
    pub(super) fn is_zoneless(&self) -> bool {
        self.form == ValueForm::PackedTime && self.zone.is_none()
    }

    /// Discards the rows of the page so far.
    pub(super) fn clear(&mut self) {
        (self.rows, self.mismatches) = (0, 0);
        self.valid.clear();
        match &mut self.values {
            Values::Texts(texts) => texts.truncate(0),
            Values::Lists(lists) => lists.clear(),
            Values::Int64s(values) => values.clear(),
            Values::Floats(values) => values.clear(),
            Values::Dates(values) => values.clear(),
            Values::Booleans(values) => values.clear(),
        }
    }

    /// Adds the rows of a block.
    pub(super) fn push(&mut self, block: &Block<'_>, lanes: impl Lanes) {
        lanes.run(Push(self, block, lanes));
    }

    /// Takes the array and the number of mismatches, and leaves the column empty.
    pub(super) fn take(&mut self) -> (ArrayRef, u64) {
        let zone = self.zone_name();
        let room = self.rows;
        let nulls = nulls(std::mem::replace(&mut self.valid, Vec::with_capacity(room / 64 + 1)), room);
        let array: ArrayRef = match &mut self.values {
            Values::Texts(texts) => Arc::new(texts.take(nulls)),
            Values::Lists(lists) => Arc::new(lists.take(nulls)),
            Values::Int64s(int64s) if self.form == ValueForm::Int64 => Arc::new(Int64Array::new(take(int64s).into(), nulls)),
            Values::Int64s(int64s) => Arc::new(TimestampSecondArray::new(take(int64s).into(), nulls).with_timezone(zone)),
            Values::Floats(floats) => Arc::new(Float64Array::new(take(floats).into(), nulls)),
            Values::Dates(dates) => Arc::new(Date32Array::new(take(dates).into(), nulls)),
            Values::Booleans(booleans) => Arc::new(BooleanArray::new(BooleanBuffer::from(take(booleans)), nulls)),
        };
        self.rows = 0;
        (array, std::mem::take(&mut self.mismatches))
    }
}

/// [`Column::push`].
struct Push<'c, L>(&'c mut Column, &'c Block<'c>, L);

impl<L: Lanes> Kernel for Push<'_, L> {
    type Output = ();

    #[inline(always)]
    fn call(self) -> Self::Output {
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
        // Pushes one value for each span, a default if there is none, and sets a bit of `misfits` for values that do not fit. A macro and
        // not a function with a closure, because a closure may be compiled separately, without the CPU features of this kernel.
        macro_rules! fill {
            ($values:expr, |$span:ident| $convert:expr) => {{
                let before = $values.len();
                $values.resize(before + spans.len(), Default::default());
                for (at, (value, span)) in $values[before..].iter_mut().zip(spans).enumerate() {
                    if span.is_value() {
                        let $span = *span;
                        match $convert {
                            Some(converted) => *value = converted,
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
            (Values::Int64s(int64s), ValueForm::Date) => fill!(int64s, |span| date(page, span, scratch, days)),
            (Values::Int64s(int64s), ValueForm::PackedTime) => fill!(int64s, |span| time(page, span, scratch, days)),
            (Values::Int64s(int64s), _) => fill!(int64s, |span| int64(page, span)),
            (Values::Floats(floats), _) => fill!(floats, |span| float(page, span)),
            (Values::Dates(dates), _) => fill!(dates, |span| day(page, span, scratch, days)),
            (Values::Booleans(booleans), _) => fill!(booleans, |span| boolean(page, span, scratch)),
        }
        column.valid.push(valid & !misfits);
        // A record without its time is told of as one that has another value there.
        let is_time = matches!(column.form, ValueForm::PackedTime | ValueForm::PackedDay);
        let without = if is_time { !valid } else { 0 } & records_mask(block.records);
        column.mismatches += u64::from((misfits | without).count_ones());
        column.rows += block.records;
    }
}

/// A bit for each record of a block.
fn records_mask(records: usize) -> u64 {
    u64::MAX.checked_shr(u32::try_from(BLOCK - records).unwrap_or(0)).unwrap_or(0)
}

/// Takes the values and leaves a buffer of the same capacity, as the next page is likely of the same size.
fn take<T>(values: &mut Vec<T>) -> Vec<T> {
    let room = values.len();
    std::mem::replace(values, Vec::with_capacity(room))
}

fn nulls(valid: Vec<u64>, rows: usize) -> Option<NullBuffer> {
    let nulls = NullBuffer::new(BooleanBuffer::new(Buffer::from_vec(valid), 0, rows));
    (nulls.null_count() > 0).then_some(nulls)
}

impl<'a> Block<'a> {
    #[inline(always)]
    fn of(&self, node: usize) -> &'a [ByteSpan] {
        &self.spans[node * BLOCK..][..self.records]
    }

    /// For each record, the span of the first node that has a value.
    fn merge<'b>(&self, nodes: &[usize], merged: &'b mut [ByteSpan; BLOCK]) -> &'b [ByteSpan] {
        for node in nodes.iter().rev() {
            for (merged, span) in merged.iter_mut().zip(self.of(*node)) {
                *merged = if span.is_value() { *span } else { *merged };
            }
        }
        &merged[..self.records]
    }
}
