//! The columns of a batch as typed arrays: each is downcast once per batch, never per cell.
//!
//! In: an array of any type that [`super::compile`] accepts. Out: a [`Column`]: dictionaries and runs as an index, times as epoch
//! seconds, lists of every layout as ranges, struct keys encoded. A list keeps only the items that the batch refers to, so that a
//! slice of a large array costs only what it holds.

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryViewArray, BooleanArray, Decimal32Array, Decimal64Array, Decimal128Array, Decimal256Array,
    FixedSizeBinaryArray, Float16Array, Float32Array, Float64Array, Int64Array, LargeBinaryArray, LargeStringArray, PrimitiveArray,
    RunArray, StringArray, StringViewArray, UInt64Array,
};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::{
    ArrowNativeType, ArrowPrimitiveType, DataType, Int8Type, Int16Type, Int32Type, Int64Type, RunEndIndexType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow::error::{ArrowError, Result};

use super::block::bits;
use super::cell;
use super::reject::{Checked, not_text};
use super::time::{DayCache, seconds};

/// In an index: NULL.
const NULL_INDEX: usize = usize::MAX;

/// A column, or a child of one.
#[derive(Debug)]
pub(super) struct Column {
    /// Per row, the index of its value in `values`; `None` if that is the row number.
    pub(super) index: Option<Vec<usize>>,
    nulls: Option<NullBuffer>,
    /// The values without dictionary or runs, to show a rejected one as text.
    pub(super) array: ArrayRef,
    pub(super) values: Values,
}

/// The values of a column. At a NULL they are arbitrary.
#[derive(Debug)]
pub(super) enum Values {
    Null,
    Bool(BooleanArray),
    Int(Int64Array),
    UInt(UInt64Array),
    Half(Float16Array),
    Single(Float32Array),
    Double(Float64Array),
    Decimal32(Decimal32Array),
    Decimal64(Decimal64Array),
    Decimal128(Decimal128Array),
    Decimal256(Decimal256Array),
    Text(StringArray),
    LargeText(LargeStringArray),
    TextView(StringViewArray),
    Bytes(BinaryArray),
    LargeBytes(LargeBinaryArray),
    BytesView(BinaryViewArray),
    FixedBytes(FixedSizeBinaryArray),
    /// Dates and timestamps, as epoch seconds.
    Seconds(Vec<i64>),
    List(Box<List>),
    Struct(Vec<Member>),
    Map(Box<Map>),
}

#[derive(Debug)]
pub(super) struct List {
    ranges: Ranges,
    pub(super) items: Column,
}

#[derive(Debug)]
pub(super) struct Map {
    ranges: Ranges,
    pub(super) keys: Column,
    pub(super) values: Column,
}

/// A field of a struct.
#[derive(Debug)]
pub(super) struct Member {
    /// `"name":`.
    pub(super) key: Vec<u8>,
    pub(super) column: Column,
}

/// First item and exclusive last item of each list.
#[derive(Debug)]
struct Ranges(Vec<(usize, usize)>);

impl Column {
    /// The index of the value of `row` in [`Self::values`]; `None` is NULL.
    pub(super) fn at(&self, row: usize) -> Option<usize> {
        let at = self.index.as_ref().map_or(row, |index| index[row]);
        (at != NULL_INDEX && self.is_valid(at)).then_some(at)
    }

    /// One bit per row from `first` on that is not NULL. All bits are set if the column has an index.
    pub(super) fn valid(&self, first: usize, rows: usize) -> u64 {
        match &self.nulls {
            _ if matches!(self.values, Values::Null) && self.index.is_none() => 0,
            Some(nulls) if self.index.is_none() => word(nulls.inner(), first, rows),
            _ => low_bits(rows),
        }
    }

    /// Whether no value is NULL.
    pub(super) fn has_no_nulls(&self) -> bool {
        self.nulls.is_none() && !matches!(self.values, Values::Null)
    }

    /// Whether the value at this index of [`Self::values`] is not NULL.
    pub(super) fn is_valid(&self, at: usize) -> bool {
        !matches!(self.values, Values::Null) && self.nulls.as_ref().is_none_or(|nulls| nulls.is_valid(at))
    }
}

impl List {
    pub(super) fn range(&self, at: usize) -> std::ops::Range<usize> {
        self.ranges.0[at].0..self.ranges.0[at].1
    }
}

impl Map {
    pub(super) fn range(&self, at: usize) -> std::ops::Range<usize> {
        self.ranges.0[at].0..self.ranges.0[at].1
    }
}

impl Values {
    /// The text at `at`; `None` if the values are not text or bytes.
    pub(super) fn text(&self, at: usize) -> Option<Checked<&str>> {
        let bytes = match self {
            Self::Text(array) => return Some(Ok(array.value(at))),
            Self::LargeText(array) => return Some(Ok(array.value(at))),
            Self::TextView(array) => return Some(Ok(array.value(at))),
            Self::Bytes(array) => array.value(at),
            Self::LargeBytes(array) => array.value(at),
            Self::BytesView(array) => array.value(at),
            Self::FixedBytes(array) => array.value(at),
            _ => return None,
        };
        Some(std::str::from_utf8(bytes).map_err(|_| not_text()))
    }
}

/// Binds one array.
///
/// # Errors
/// A type that compiling does not accept, or keys that Arrow cannot cast.
pub(super) fn bind(array: &ArrayRef, day_cache: &mut DayCache) -> Result<Column> {
    let (index, array) = unwrap(array)?;
    let values = match array.data_type() {
        DataType::Null => Values::Null,
        DataType::Boolean => Values::Bool(array.as_boolean().clone()),
        DataType::Int8 => Values::Int(array.as_primitive::<Int8Type>().unary(i64::from)),
        DataType::Int16 => Values::Int(array.as_primitive::<Int16Type>().unary(i64::from)),
        DataType::Int32 => Values::Int(array.as_primitive::<Int32Type>().unary(i64::from)),
        DataType::Int64 => Values::Int(array.as_primitive().clone()),
        DataType::UInt8 => Values::UInt(array.as_primitive::<UInt8Type>().unary(u64::from)),
        DataType::UInt16 => Values::UInt(array.as_primitive::<UInt16Type>().unary(u64::from)),
        DataType::UInt32 => Values::UInt(array.as_primitive::<UInt32Type>().unary(u64::from)),
        DataType::UInt64 => Values::UInt(array.as_primitive().clone()),
        DataType::Float16 => Values::Half(array.as_primitive().clone()),
        DataType::Float32 => Values::Single(array.as_primitive().clone()),
        DataType::Float64 => Values::Double(array.as_primitive().clone()),
        DataType::Decimal32(..) => Values::Decimal32(array.as_primitive().clone()),
        DataType::Decimal64(..) => Values::Decimal64(array.as_primitive().clone()),
        DataType::Decimal128(..) => Values::Decimal128(array.as_primitive().clone()),
        DataType::Decimal256(..) => Values::Decimal256(array.as_primitive().clone()),
        DataType::Utf8 => Values::Text(array.as_string().clone()),
        DataType::LargeUtf8 => Values::LargeText(array.as_string().clone()),
        DataType::Utf8View => Values::TextView(array.as_string_view().clone()),
        DataType::Binary => Values::Bytes(array.as_binary().clone()),
        DataType::LargeBinary => Values::LargeBytes(array.as_binary().clone()),
        DataType::BinaryView => Values::BytesView(array.as_binary_view().clone()),
        DataType::FixedSizeBinary(_) => Values::FixedBytes(array.as_fixed_size_binary().clone()),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let (ranges, used) = offsets(list.offsets());
            Values::List(Box::new(List { ranges, items: bind(&list.values().slice(used.start, used.len()), day_cache)? }))
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            let (ranges, used) = offsets(list.offsets());
            Values::List(Box::new(List { ranges, items: bind(&list.values().slice(used.start, used.len()), day_cache)? }))
        }
        DataType::ListView(_) => {
            let list = array.as_list_view::<i32>();
            bind_list(views(list.offsets(), list.sizes()), list.nulls(), list.values(), day_cache)?
        }
        DataType::LargeListView(_) => {
            let list = array.as_list_view::<i64>();
            bind_list(views(list.offsets(), list.sizes()), list.nulls(), list.values(), day_cache)?
        }
        DataType::FixedSizeList(_, size) => {
            let (list, size) = (array.as_fixed_size_list(), size.as_usize());
            bind_list((0..list.len()).map(|at| (at * size, (at + 1) * size)).collect(), list.nulls(), list.values(), day_cache)?
        }
        DataType::Struct(fields) => {
            let columns = fields.iter().zip(array.as_struct().columns());
            let bound = columns.map(|(field, column)| Ok(Member { key: cell::key(field.name()), column: bind(column, day_cache)? }));
            Values::Struct(bound.collect::<Result<_>>()?)
        }
        DataType::Map(..) => {
            let map = array.as_map();
            let (ranges, used) = offsets(map.offsets());
            let keys = bind(&map.keys().slice(used.start, used.len()), day_cache)?;
            let values = bind(&map.values().slice(used.start, used.len()), day_cache)?;
            Values::Map(Box::new(Map { ranges, keys, values }))
        }
        other => match seconds(&array, day_cache) {
            Some(seconds) => Values::Seconds(seconds),
            None => return Err(ArrowError::NotYetImplemented(format!("values of the type {other}"))),
        },
    };
    Ok(Column { index, nulls: array.nulls().cloned(), array, values })
}

/// The fields of a struct as columns of their own: NULL where the struct is NULL.
pub(super) fn members(array: &ArrayRef, fields: &[usize], day_cache: &mut DayCache) -> Result<Vec<Column>> {
    let (index, array) = unwrap(array)?;
    let rows = index.as_ref().map_or(array.len(), Vec::len);
    let place = |row: usize| {
        let at = index.as_ref().map_or(row, |index| index[row]);
        if at == NULL_INDEX || array.is_null(at) { NULL_INDEX } else { at }
    };
    let outer: Option<Vec<usize>> = (index.is_some() || array.nulls().is_some()).then(|| (0..rows).map(place).collect());
    let columns = array.as_struct().columns();
    fields
        .iter()
        .map(|field| {
            let mut column = bind(&columns[*field], day_cache)?;
            if let Some(outer) = &outer {
                column.index = Some(match column.index.take() {
                    None => outer.clone(),
                    Some(inner) => compose(outer.clone(), &inner),
                });
            }
            Ok(column)
        })
        .collect()
}

/// The lowest `rows` bits set, 1 to 64.
pub(super) fn low_bits(rows: usize) -> u64 {
    u64::MAX >> (64 - rows.clamp(1, 64))
}

/// `rows` bits of `values` from `first` on, 64 at most.
pub(super) fn word(values: &BooleanBuffer, first: usize, rows: usize) -> u64 {
    let start = values.offset() + first;
    let bytes = &values.values()[start / 8..];
    let word = match bytes.first_chunk() {
        Some(bytes) => u128::from_le_bytes(*bytes),
        None => {
            let mut low = [0; 16];
            low[..bytes.len()].copy_from_slice(bytes);
            u128::from_le_bytes(low)
        }
    };
    (word >> (start % 8)) as u64 & low_bits(rows)
}

/// Resolves dictionaries and runs: the index of each row, and the values.
fn unwrap(array: &ArrayRef) -> Result<(Option<Vec<usize>>, ArrayRef)> {
    let (mut index, mut array) = (None, ArrayRef::clone(array));
    loop {
        let (places, values) = match array.data_type() {
            DataType::Dictionary(..) => {
                let dictionary = array.as_any_dictionary();
                let keys = dictionary.keys();
                let mut places = match keys.data_type() {
                    DataType::Int8 => places(keys.as_primitive::<Int8Type>()),
                    DataType::Int16 => places(keys.as_primitive::<Int16Type>()),
                    DataType::Int32 => places(keys.as_primitive::<Int32Type>()),
                    DataType::Int64 => places(keys.as_primitive::<Int64Type>()),
                    DataType::UInt8 => places(keys.as_primitive::<UInt8Type>()),
                    DataType::UInt16 => places(keys.as_primitive::<UInt16Type>()),
                    DataType::UInt32 => places(keys.as_primitive::<UInt32Type>()),
                    _ => places(keys.as_primitive::<UInt64Type>()),
                };
                if let Some(nulls) = keys.nulls().filter(|nulls| nulls.null_count() > 0) {
                    for first in (0..places.len()).step_by(64) {
                        let places = &mut places[first..];
                        bits(!word(nulls.inner(), first, places.len().min(64)) & low_bits(places.len()))
                            .for_each(|at| places[at] = NULL_INDEX);
                    }
                }
                (places, ArrayRef::clone(dictionary.values()))
            }
            DataType::RunEndEncoded(ends, _) => match ends.data_type() {
                DataType::Int16 => runs(array.as_run::<Int16Type>()),
                DataType::Int32 => runs(array.as_run::<Int32Type>()),
                _ => runs(array.as_run::<Int64Type>()),
            },
            _ => return Ok((index, array)),
        };
        index = Some(match index.take() {
            None => places,
            Some(outer) => compose(outer, &places),
        });
        array = values;
    }
}

/// Keys as an index; at a NULL it is arbitrary.
fn places<K: ArrowPrimitiveType>(keys: &PrimitiveArray<K>) -> Vec<usize> {
    keys.values().iter().map(|key| key.as_usize()).collect()
}

fn runs<R: RunEndIndexType>(array: &RunArray<R>) -> (Vec<usize>, ArrayRef) {
    let ends = array.run_ends();
    let mut places = Vec::with_capacity(array.len());
    if !array.is_empty() {
        let first = ends.get_start_physical_index();
        for (run, end) in ends.sliced_values().enumerate() {
            places.resize(end.as_usize(), first + run);
        }
    }
    (places, ArrayRef::clone(array.values()))
}

fn compose(mut outer: Vec<usize>, inner: &[usize]) -> Vec<usize> {
    for place in &mut outer {
        if *place != NULL_INDEX {
            *place = inner[*place];
        }
    }
    outer
}

/// The range of each list, and the range of items that they cover.
fn offsets<O: ArrowNativeType>(offsets: &[O]) -> (Ranges, std::ops::Range<usize>) {
    let at = |offset: Option<&O>| offset.map_or(0, |offset| offset.as_usize());
    let (first, last) = (at(offsets.first()), at(offsets.last()));
    let ends = offsets.iter().map(|offset| offset.as_usize() - first);
    (Ranges(ends.clone().zip(ends.skip(1)).collect()), first..last)
}

fn views<O: ArrowNativeType>(offsets: &[O], sizes: &[O]) -> Vec<(usize, usize)> {
    offsets.iter().zip(sizes).map(|(start, size)| (start.as_usize(), start.as_usize() + size.as_usize())).collect()
}

fn bind_list(mut ranges: Vec<(usize, usize)>, nulls: Option<&NullBuffer>, items: &ArrayRef, day_cache: &mut DayCache) -> Result<Values> {
    let used = rebase(&mut ranges, nulls);
    let items = bind(&items.slice(used.start, used.len()), day_cache)?;
    Ok(Values::List(Box::new(List { ranges: Ranges(ranges), items })))
}

/// The range of items that any list refers to; the ranges are rebased to its start.
fn rebase(ranges: &mut [(usize, usize)], nulls: Option<&NullBuffer>) -> std::ops::Range<usize> {
    let (mut first, mut last) = (usize::MAX, 0);
    for (at, range) in ranges.iter_mut().enumerate() {
        if range.0 == range.1 || nulls.is_some_and(|nulls| nulls.is_null(at)) {
            *range = (0, 0);
        } else {
            first = first.min(range.0);
            last = last.max(range.1);
        }
    }
    let first = first.min(last);
    for range in ranges.iter_mut().filter(|range| range.0 != range.1) {
        *range = (range.0 - first, range.1 - first);
    }
    first..last
}
