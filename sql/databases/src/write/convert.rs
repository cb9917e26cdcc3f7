//! From the source's types to the columns', without a loss that nobody asked for.
//!
//! In: an array of the source, the column it is written to. Out: an array of the column's type, or the first row whose value does not fit, and
//! why. What a conversion would change is refused: a fraction in a whole number, digits behind the last of a decimal, an integer that a float
//! does not hold, a part of a microsecond. What is inexact by nature is rounded: a float in a decimal, a double in a
//! real.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, ListArray, UInt64Array};
use arrow::compute::kernels::cmp::not_distinct;
use arrow::compute::{CastOptions, cast, cast_with_options, take};
use arrow::datatypes::{
    ArrowNativeType, ArrowPrimitiveType, DECIMAL256_MAX_PRECISION, DataType, FieldRef, Float64Type, Time64MicrosecondType, TimeUnit,
    TimestampMicrosecondType, TimestampNanosecondType,
};

use crate::error::{Error, Result, shown};
use crate::relation::{Column, Relation};

/// Kinds of types, each of which is written to its own kind, and to or from text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Null,
    Number,
    Text,
    Boolean,
    /// Days and instants.
    Calendar,
    Time,
    Interval,
    Binary,
    List,
    Other,
}

fn family(data_type: &DataType) -> Family {
    match data_type {
        DataType::Null => Family::Null,
        data_type if data_type.is_numeric() => Family::Number,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Family::Text,
        DataType::Boolean => Family::Boolean,
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => Family::Calendar,
        DataType::Time32(_) | DataType::Time64(_) => Family::Time,
        DataType::Interval(_) | DataType::Duration(_) => Family::Interval,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => Family::Binary,
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => Family::List,
        DataType::Dictionary(_, value) => family(value),
        _ => Family::Other,
    }
}

/// Whether a type of the source can be written to a column at all.
///
/// # Errors
/// A sentence that names both.
pub(crate) fn check_type(from: &DataType, column: &Column) -> Result<(), String> {
    let fits = match (from, &column.data_type) {
        (DataType::List(from) | DataType::LargeList(from) | DataType::FixedSizeList(from, _), DataType::List(to)) => {
            can_become(from.data_type(), to.data_type())
        }
        (from, to) => can_become(from, to),
    };
    if fits {
        return Ok(());
    }
    Err(format!("column \"{}\" is {} and the source has {from}; convert it in the SELECT", shown(&column.name), column.sql_type))
}

fn can_become(from: &DataType, to: &DataType) -> bool {
    let fits = match (family(from), family(to)) {
        (Family::Null, _) | (Family::Text, Family::Binary) => true,
        (Family::Other | Family::List, _) | (_, Family::Other) => is_held(from, to),
        (Family::Binary, other) | (other, Family::Binary) => other == Family::Binary,
        (_, Family::Text) | (Family::Text, _) => true,
        // A boolean of MySQL.
        (Family::Boolean, _) if to == &DataType::Int8 => true,
        (from, to) => from == to,
    };
    fits && (from == to || arrow::compute::can_cast_types(from, to))
}

/// Whether a type holds every value of another as it is, down to the fields of a struct.
fn is_held(from: &DataType, to: &DataType) -> bool {
    let items = |data_type: &DataType| match data_type {
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => Some(field.data_type().clone()),
        _ => None,
    };
    match (from, to) {
        (DataType::Struct(from), DataType::Struct(to)) => {
            from.len() == to.len()
                && from.iter().zip(to).all(|(from, to)| from.name() == to.name() && is_held(from.data_type(), to.data_type()))
        }
        (DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View, DataType::Utf8) => true,
        (DataType::Binary | DataType::LargeBinary | DataType::BinaryView, DataType::Binary) => true,
        (DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt8 | DataType::UInt16 | DataType::UInt32, DataType::Int64) => {
            true
        }
        (DataType::Float32, DataType::Float64) => true,
        (from, to) => match (items(from), items(to)) {
            (Some(from), Some(to)) => is_held(&from, &to),
            _ => from == to,
        },
    }
}

/// One column of one batch.
#[derive(Debug)]
pub(crate) struct Conversion<'c> {
    pub(crate) column: &'c Column,
    pub(crate) qualified: &'c Relation,
    /// The number of the batch's first row in the source, from 1.
    pub(crate) first_row: u64,
    pub(crate) is_key: bool,
}

/// Why a column cannot be converted.
enum Misfit {
    /// A value, and what is wrong with it.
    At(usize, String),
    /// The source's type.
    Type(DataType),
}

const LENIENT: CastOptions<'static> = CastOptions { safe: true, format_options: arrow::util::display::FormatOptions::new() };

impl Conversion<'_> {
    /// The same values in the column's type.
    ///
    /// # Errors
    /// [`Error::Value`] with the first row that does not fit.
    pub(crate) fn convert(&self, array: &ArrayRef) -> Result<ArrayRef> {
        let to = &self.column.data_type;
        let converted =
            if array.data_type() == to { ArrayRef::clone(array) } else { self.cast_to(array, to).map_err(|misfit| self.told(misfit))? };
        if converted.null_count() > 0
            && (!self.column.nullable || self.is_key)
            && let Some(at) = (0..converted.len()).find(|at| converted.is_null(*at))
        {
            let why = if self.is_key { "which is of the key, is NULL" } else { "is NULL, and the column is NOT NULL" };
            return Err(self.refuse(at, &format!("{why}; coalesce gives it a value, or WHERE leaves the row out")));
        }
        match to {
            DataType::Timestamp(TimeUnit::Microsecond, _) => self.check_fraction::<TimestampMicrosecondType>(&converted)?,
            DataType::Time64(TimeUnit::Microsecond) => self.check_fraction::<Time64MicrosecondType>(&converted)?,
            DataType::Utf8 => self.check_texts(&converted)?,
            DataType::List(element) if element.data_type() == &DataType::Utf8 => {
                let lists = converted.as_list::<i32>();
                let has_nul = |at: &usize| {
                    lists.is_valid(*at) && lists.value(*at).as_string::<i32>().iter().flatten().any(|text| text.contains('\0'))
                };
                if lists.values().as_string::<i32>().value_data().contains(&0)
                    && let Some(at) = (0..lists.len()).find(has_nul)
                {
                    return Err(self.refuse(at, "has a list with a NUL character, which the database cannot store"));
                }
            }
            _ => {}
        }
        Ok(converted)
    }

    fn told(&self, misfit: Misfit) -> Error {
        match misfit {
            Misfit::At(at, why) => self.refuse(at, &why),
            Misfit::Type(from) => {
                let column = shown(&self.column.name);
                let qualified = self.qualified.qualified();
                Error::Statement(format!("{qualified}: column \"{column}\" is {} and the source has {from}", self.column.sql_type))
            }
        }
    }

    fn cast_to(&self, array: &ArrayRef, to: &DataType) -> Result<ArrayRef, Misfit> {
        let unsupported = |_| Misfit::Type(array.data_type().clone());
        match (array.data_type(), to) {
            // A dictionary's values are looked at one by one.
            (DataType::Dictionary(_, value), _) => {
                let values = cast(array, value).map_err(unsupported)?;
                return if values.data_type() == to { Ok(values) } else { self.cast_to(&values, to) };
            }
            (DataType::List(from) | DataType::LargeList(from) | DataType::FixedSizeList(from, _), DataType::List(element)) => {
                let lists = cast(array, &DataType::List(FieldRef::clone(from))).map_err(unsupported)?;
                return self.cast_elements(&lists, element);
            }
            _ => {}
        }
        let converted = cast_with_options(array, to, &LENIENT).map_err(unsupported)?;
        let lost = |at: &usize| array.is_valid(*at) && converted.is_null(*at);
        if converted.null_count() > array.logical_null_count()
            && let Some(at) = (0..array.len()).find(lost)
        {
            return Err(Misfit::At(at, format!("is {} that {} cannot hold", noun(array.data_type()), self.column.sql_type)));
        }
        match self.changed(array, &converted).map_err(unsupported)? {
            Some((at, why)) => Err(Misfit::At(at, why)),
            None => Ok(converted),
        }
    }

    /// Lists whose elements are looked at as a column's values are; one that does not fit is told by the row of its list.
    fn cast_elements(&self, lists: &ArrayRef, element: &FieldRef) -> Result<ArrayRef, Misfit> {
        let unsupported = |_| Misfit::Type(lists.data_type().clone());
        // Of a slice, and of lists that are NULL, elements may be left that are in no list.
        let rows = UInt64Array::from_iter_values(0..lists.len() as u64);
        let lists = take(lists, &rows, None).map_err(unsupported)?;
        let lists = lists.as_list::<i32>();
        let elements = self.cast_to(lists.values(), element.data_type()).map_err(|misfit| match misfit {
            Misfit::At(at, why) => {
                let row = lists.value_offsets().partition_point(|offset| offset.as_usize() <= at).saturating_sub(1);
                Misfit::At(row, format!("has an element that {why}"))
            }
            misfit => misfit,
        })?;
        let cast = ListArray::try_new(FieldRef::clone(element), lists.offsets().clone(), elements, lists.nulls().cloned());
        Ok(Arc::new(cast.map_err(unsupported)?))
    }

    /// The first row whose value became another.
    fn changed(&self, from: &ArrayRef, to: &ArrayRef) -> arrow::error::Result<Option<(usize, String)>> {
        let by_round_trip = |why: String| {
            let back = cast_with_options(to, from.data_type(), &LENIENT)?;
            Ok(first_false(&not_distinct(&back, from)?).map(|at| (at, why)))
        };
        match (from.data_type(), to.data_type()) {
            (float, whole) if float.is_floating() && whole.is_integer() => {
                let numbers = cast(from, &DataType::Float64)?;
                let numbers = numbers.as_primitive::<Float64Type>();
                let fraction = (0..numbers.len()).find(|at| numbers.is_valid(*at) && numbers.value(*at).fract() != 0.0);
                Ok(fraction.map(|at| (at, "has a fraction, and the column takes whole numbers; round() takes it away".into())))
            }
            (DataType::Float64, DataType::Float32) => {
                let (wide, narrow) = (from.as_primitive::<Float64Type>(), cast(to, &DataType::Float64)?);
                let narrow = narrow.as_primitive::<Float64Type>();
                let overflow =
                    (0..wide.len()).find(|at| wide.is_valid(*at) && wide.value(*at).is_finite() && !narrow.value(*at).is_finite());
                Ok(overflow.map(|at| (at, format!("is a number that {} cannot hold", self.column.sql_type))))
            }
            (whole, float) if whole.is_integer() && float.is_floating() => by_round_trip(format!(
                "is a whole number that {} does not hold exactly; CAST it to double says that this is meant",
                self.column.sql_type
            )),
            (decimal, whole) if decimal.is_decimal() && whole.is_integer() => {
                by_round_trip("has a fraction, and the column takes whole numbers; round() takes it away".into())
            }
            (decimal, DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale)) if decimal.is_decimal() => {
                by_round_trip(format!("has more than {scale} digits behind the point; round(…, {scale}) takes them away"))
            }
            // Text is rounded, and cut, as it is parsed.
            (text, DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale)) if text.is_string() => {
                let digits = i16::from(DECIMAL256_MAX_PRECISION) - i16::from(*precision) + i16::from(*scale);
                let wide = DataType::Decimal256(DECIMAL256_MAX_PRECISION, i8::try_from(digits).unwrap_or(*scale));
                let (exact, taken) = (cast_with_options(from, &wide, &LENIENT)?, cast_with_options(to, &wide, &LENIENT)?);
                let changed = first_false(&not_distinct(&exact, &taken)?);
                Ok(changed.map(|at| {
                    (at, format!("has more than {scale} digits behind the point; round(…, {scale}) of a number takes them away"))
                }))
            }
            (text, DataType::Timestamp(TimeUnit::Microsecond, zone)) if text.is_string() => {
                let exact = cast_with_options(from, &DataType::Timestamp(TimeUnit::Nanosecond, zone.clone()), &LENIENT)?;
                let instants = exact.as_primitive::<TimestampNanosecondType>();
                let cut = (0..instants.len()).find(|at| instants.is_valid(*at) && instants.value(*at) % 1_000 != 0);
                Ok(cut.map(|at| (at, "has parts of a microsecond, which the column cannot hold".into())))
            }
            (decimal, float) if decimal.is_decimal() && float.is_floating() => by_round_trip(format!(
                "is a decimal that {} does not hold exactly; CAST it to double says that this is meant",
                self.column.sql_type
            )),
            (DataType::Timestamp(..), DataType::Date32) => {
                by_round_trip("has a time of day, and the column takes days; date_trunc('day', …) takes it away".into())
            }
            (DataType::Timestamp(TimeUnit::Nanosecond, _), DataType::Timestamp(TimeUnit::Microsecond, _)) => by_round_trip(
                "has parts of a microsecond, which the column cannot hold; date_trunc('microsecond', …) takes them away".into(),
            ),
            (DataType::Time64(TimeUnit::Nanosecond), DataType::Time64(TimeUnit::Microsecond)) => {
                by_round_trip("has parts of a microsecond, which the column cannot hold".into())
            }
            _ => Ok(None),
        }
    }

    /// A column with fewer digits of a second than six rounds, or cuts.
    fn check_fraction<T: ArrowPrimitiveType<Native = i64>>(&self, values: &ArrayRef) -> Result<()> {
        let Some(digits) = self.column.chars_max.and_then(|digits| u32::try_from(digits).ok()).filter(|digits| *digits < 6) else {
            return Ok(());
        };
        let (values, unit) = (values.as_primitive::<T>(), 10_i64.pow(6 - digits));
        match (0..values.len()).find(|at| values.is_valid(*at) && values.value(*at) % unit != 0) {
            Some(at) => Err(self.refuse(at, "has a finer fraction of a second than its column; date_trunc('second', …) takes it away")),
            None => Ok(()),
        }
    }

    fn check_texts(&self, texts: &ArrayRef) -> Result<()> {
        let texts = texts.as_string::<i32>();
        if texts.value_data().contains(&0)
            && let Some(at) = (0..texts.len()).find(|at| texts.is_valid(*at) && texts.value(*at).contains('\0'))
        {
            return Err(
                self.refuse(at, "has a NUL character, which the database cannot store; regexp_replace(…, '\\x00', '', 'g') takes it away")
            );
        }
        let Some(max) = self.column.chars_max else { return Ok(()) };
        // No text has more characters than bytes.
        let too_long = |at: &usize| texts.is_valid(*at) && texts.value(*at).len() > max && texts.value(*at).chars().count() > max;
        match (0..texts.len()).find(too_long) {
            Some(at) => Err(self.refuse(at, &format!("has more than {max} characters; left(…, {max}) shortens it"))),
            None => Ok(()),
        }
    }

    /// An error at a row of the batch.
    pub(crate) fn refuse(&self, at: usize, why: &str) -> Error {
        value_error(self.qualified, self.first_row + at as u64, self.column, why)
    }
}

/// A value of a source's row, from 1, that does not fit its column.
pub(crate) fn value_error(relation: &Relation, row: u64, column: &Column, why: &str) -> Error {
    Error::Value(format!("{}, row {row} of the source: \"{}\" {why}. Nothing was changed", relation.qualified(), shown(&column.name)))
}

fn first_false(same: &BooleanArray) -> Option<usize> {
    same.values().iter().position(|same| !same)
}

fn noun(data_type: &DataType) -> &'static str {
    match family(data_type) {
        Family::Number => "a number",
        Family::Text => "a text",
        Family::Calendar => "a date",
        Family::Interval => "an interval",
        _ => "a value",
    }
}
