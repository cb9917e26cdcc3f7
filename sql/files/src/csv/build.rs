//! Cells to Arrow.
//!
//! In: the cells of one column, some rows at a time. Out: an array. A cell that is not of the type ends the reading; none becomes NULL but
//! empty ones and the author's marks. Where the first pass found the type, a value says all that its cell says; a declared one may say less, as 7
//! of `007`.

use std::fmt;
use std::sync::Arc;

use arrow::array::types::{
    ArrowPrimitiveType, Date32Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, Int64Array, PrimitiveArray, PrimitiveBuilder, StringBuilder, StringViewBuilder,
};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::kernels::cast_utils::Parser;
use arrow::datatypes::{DataType, TimeUnit};

use super::cell::boolean::boolean;
use super::cell::number::{DIGITS_MAX, decimal, integer};
use super::cell::time::{Instant, Zone, Zones, date, instant};
use super::feed::{Block, Place};
use super::structure::{Cell, Dialect};

/// The array of a column that is being filled.
#[derive(Debug)]
pub(crate) enum Builder {
    View(StringViewBuilder),
    Utf8(StringBuilder),
    Integer(Values<i64>),
    Decimal(Values<i128>, u8, u32),
    Boolean(Values<bool>),
    Date(Values<i32>),
    Instant(Values<i64>, TimeUnit, Option<Arc<str>>, Zones),
    /// A number of a declared type.
    Declared(Box<dyn Declared>),
}

/// The array of a declared number, as Arrow reads its text.
pub(crate) trait Declared: fmt::Debug + Send {
    /// Whether the text is one.
    fn append(&mut self, text: Option<&str>) -> bool;

    fn finish(&mut self) -> ArrayRef;
}

impl<T: ArrowPrimitiveType + Parser + fmt::Debug> Declared for PrimitiveBuilder<T> {
    fn append(&mut self, text: Option<&str>) -> bool {
        let value = text.map(T::parse);
        self.append_option(value.flatten());
        value.is_none_or(|value| value.is_some())
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.finish())
    }
}

/// Values, and which are none.
#[derive(Debug)]
pub(crate) struct Values<T> {
    values: Vec<T>,
    valid: Vec<bool>,
    has_nulls: bool,
}

impl<T: Default> Values<T> {
    fn new() -> Self {
        Self { values: Vec::new(), valid: Vec::new(), has_nulls: false }
    }

    #[inline(always)]
    fn push(&mut self, value: Option<T>) {
        self.has_nulls |= value.is_none();
        self.valid.push(value.is_some());
        self.values.push(value.unwrap_or_default());
    }

    fn take(&mut self) -> (Vec<T>, Option<NullBuffer>) {
        let valid = std::mem::take(&mut self.valid);
        let nulls = std::mem::take(&mut self.has_nulls).then(|| NullBuffer::from(valid));
        (std::mem::take(&mut self.values), nulls)
    }
}

/// A cell that its column cannot have.
#[derive(Debug)]
pub(crate) enum Odd {
    NotOfType { line: u64 },
    Missing { line: u64 },
}

impl Builder {
    /// `None` for a type that text is not read as. `was_found` is whether the first pass found the type.
    pub(crate) fn new(data_type: &DataType, was_found: bool) -> Option<Self> {
        fn declared<T: ArrowPrimitiveType + Parser + fmt::Debug>() -> Builder {
            Builder::Declared(Box::new(PrimitiveBuilder::<T>::new()))
        }
        Some(match data_type {
            DataType::Int8 => declared::<Int8Type>(),
            DataType::Int16 => declared::<Int16Type>(),
            DataType::Int32 => declared::<Int32Type>(),
            DataType::Int64 if !was_found => declared::<Int64Type>(),
            DataType::UInt8 => declared::<UInt8Type>(),
            DataType::UInt16 => declared::<UInt16Type>(),
            DataType::UInt32 => declared::<UInt32Type>(),
            DataType::UInt64 => declared::<UInt64Type>(),
            DataType::Float32 => declared::<Float32Type>(),
            DataType::Float64 => declared::<Float64Type>(),
            DataType::Utf8View => Self::View(StringViewBuilder::new()),
            DataType::Utf8 => Self::Utf8(StringBuilder::new()),
            DataType::Int64 => Self::Integer(Values::new()),
            DataType::Decimal128(precision, scale) if *precision <= DIGITS_MAX as u8 => {
                Self::Decimal(Values::new(), *precision, u32::try_from(*scale).ok()?)
            }
            DataType::Boolean => Self::Boolean(Values::new()),
            DataType::Date32 => Self::Date(Values::new()),
            DataType::Timestamp(unit, zone) => Self::Instant(Values::new(), *unit, zone.clone(), Zones::default()),
            _ => return None,
        })
    }

    /// Appends the cells of some records of one column.
    pub(crate) fn append(&mut self, block: &Block<'_>, cells: Cells<'_>) -> Result<(), Odd> {
        let data = block.data;
        match self {
            Self::View(builder) => cells.texts(block, |text| {
                builder.append_option(text);
                true
            }),
            Self::Utf8(builder) => cells.texts(block, |text| {
                builder.append_option(text);
                true
            }),
            Self::Declared(builder) => cells.texts(block, |text| builder.append(text)),
            Self::Integer(values) => cells.read(block, values, |at, len| integer(data, at, len)),
            Self::Decimal(values, precision, scale) => {
                let (bound, scale) = (10_i128.checked_pow((*precision).into()).unwrap_or(i128::MAX).unsigned_abs(), *scale);
                cells.read(block, values, |at, len| decimal(data, at, len, scale).filter(|value| value.unsigned_abs() < bound))
            }
            Self::Boolean(values) => cells.read(block, values, |at, len| boolean(data.get(at..at + len)?).map(|(value, _)| value)),
            Self::Date(values) => cells.read(block, values, |at, len| date(data, at, len)),
            Self::Instant(values, unit, zone, zones) => {
                let (unit, asked) = (*unit, if zone.is_some() { Zone::Stated } else { Zone::Unstated });
                cells.read(block, values, |at, len| {
                    instant(data, at, len, zones).filter(|instant| instant.zone == asked).and_then(|instant| in_unit(instant, unit))
                })
            }
        }
    }

    pub(crate) fn finish(&mut self) -> ArrayRef {
        match self {
            Self::View(builder) => Arc::new(builder.finish()),
            Self::Utf8(builder) => Arc::new(builder.finish()),
            Self::Declared(builder) => builder.finish(),
            Self::Integer(values) => Arc::new(primitive(values)),
            Self::Decimal(values, precision, scale) => {
                let (values, nulls) = values.take();
                let data_type = DataType::Decimal128(*precision, *scale as i8);
                Arc::new(Decimal128Array::new(values.into(), nulls).with_data_type(data_type))
            }
            Self::Boolean(values) => {
                let (values, nulls) = values.take();
                Arc::new(BooleanArray::new(BooleanBuffer::from(values), nulls))
            }
            Self::Date(values) => {
                let (values, nulls) = values.take();
                Arc::new(PrimitiveArray::<Date32Type>::new(values.into(), nulls))
            }
            Self::Instant(values, unit, zone, _) => {
                let (values, zone) = (primitive(values), zone.clone());
                match unit {
                    TimeUnit::Second => Arc::new(values.reinterpret_cast::<TimestampSecondType>().with_timezone_opt(zone)),
                    TimeUnit::Millisecond => Arc::new(values.reinterpret_cast::<TimestampMillisecondType>().with_timezone_opt(zone)),
                    TimeUnit::Microsecond => Arc::new(values.reinterpret_cast::<TimestampMicrosecondType>().with_timezone_opt(zone)),
                    TimeUnit::Nanosecond => Arc::new(values.reinterpret_cast::<TimestampNanosecondType>().with_timezone_opt(zone)),
                }
            }
        }
    }
}

fn primitive(values: &mut Values<i64>) -> Int64Array {
    let (values, nulls) = values.take();
    Int64Array::new(values.into(), nulls)
}

/// The instant in whole units; `None` if it has a part of one, or is too far away.
fn in_unit(instant: Instant, unit: TimeUnit) -> Option<i64> {
    let (of_second, nanos) = match unit {
        TimeUnit::Second => (1, 1_000_000_000),
        TimeUnit::Millisecond => (1_000, 1_000_000),
        TimeUnit::Microsecond => (1_000_000, 1_000),
        TimeUnit::Nanosecond => (1_000_000_000, 1),
    };
    let part = instant.nanos / nanos;
    (part * nanos == instant.nanos).then(|| instant.seconds.checked_mul(of_second)?.checked_add(part.into())).flatten()
}

/// The cells of one column in some records.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cells<'a> {
    pub(crate) column: usize,
    pub(crate) columns: usize,
    pub(crate) cells: &'a [Cell],
    pub(crate) records: &'a [Place],
    pub(crate) dialect: &'a Dialect,
    pub(crate) nulls: &'a [String],
    /// Whether a cell may be empty.
    pub(crate) nullable: bool,
}

impl Cells<'_> {
    #[inline(always)]
    fn each(&self) -> impl Iterator<Item = Cell> {
        self.cells.chunks_exact(self.columns).map(|cells| cells[self.column])
    }

    #[inline(always)]
    fn is_null(&self, data: &[u8], cell: Cell, record: &Place) -> Result<bool, Odd> {
        let is_null = cell.len() == 0 || self.dialect.is_null(cell, data, self.nulls);
        if is_null && !self.nullable { Err(Odd::Missing { line: record.line }) } else { Ok(is_null) }
    }

    #[inline(always)]
    fn read<T: Default>(
        &self,
        block: &Block<'_>,
        values: &mut Values<T>,
        mut read: impl FnMut(usize, usize) -> Option<T>,
    ) -> Result<(), Odd> {
        values.values.reserve(self.records.len());
        values.valid.reserve(self.records.len());
        for (cell, record) in self.each().zip(self.records) {
            if self.is_null(block.data, cell, record)? {
                values.push(None);
                continue;
            }
            match read(cell.start(), cell.len()) {
                Some(value) => values.push(Some(value)),
                None => return Err(Odd::NotOfType { line: record.line }),
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn texts(&self, block: &Block<'_>, mut append: impl FnMut(Option<&str>) -> bool) -> Result<(), Odd> {
        let mut unescaped = Vec::new();
        for (cell, record) in self.each().zip(self.records) {
            if self.is_null(block.data, cell, record)? {
                append(None);
                continue;
            }
            // Separators and quotes are ASCII, so that no cell cuts a character.
            let text = if cell.is_escaped() {
                std::str::from_utf8(self.dialect.unescape(cell.bytes(block.data), &mut unescaped)).ok()
            } else {
                block.text.get(cell.start()..cell.start() + cell.len())
            };
            if !text.is_some_and(|text| append(Some(text))) {
                return Err(Odd::NotOfType { line: record.line });
            }
        }
        Ok(())
    }
}
