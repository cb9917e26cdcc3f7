//! The type that holds all values of two types, each as it is.
//!
//! In: what a column is in two files. Out: the wider of both, or a third; or where, down in lists and structs, there is none. No rule here loses
//! a digit, a point in time or a byte, so that the casts that follow from it need no second look.

use std::sync::Arc;

use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION,
    DataType::{self, *},
    Field, FieldRef, Fields, TimeUnit,
};

/// Why two types are not of one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Clash {
    /// The fields of structs that lead to it, from the column down.
    pub(super) fields: Vec<String>,
    pub(super) kind: ClashKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ClashKind {
    /// No type holds the values of both.
    Types(DataType, DataType),
    /// Fields of structs differ only in case.
    Case(String, String),
}

/// The narrowest type that holds the values of both. Where types are equal but for names within lists, it is the first.
///
/// # Errors
/// There is none.
pub(super) fn common(a: &DataType, b: &DataType) -> Result<DataType, Clash> {
    if a == b {
        return Ok(a.clone());
    }
    let none = || Clash { fields: Vec::new(), kind: ClashKind::Types(a.clone(), b.clone()) };
    match (a, b) {
        (Null, other) | (other, Null) => Ok(other.clone()),
        (Dictionary(_, a), Dictionary(_, b)) => common(a, b),
        (Dictionary(_, values), other) => common(values, other),
        (other, Dictionary(_, values)) => common(other, values),
        (Struct(a), Struct(b)) => Ok(Struct(structs(a, b)?)),
        (List(a), List(b)) => Ok(List(element(a, b)?)),
        (LargeList(a), LargeList(b) | List(b) | FixedSizeList(b, _)) | (List(a) | FixedSizeList(a, _), LargeList(b)) => {
            Ok(LargeList(element(a, b)?))
        }
        (FixedSizeList(a, size), FixedSizeList(b, other)) if size == other => Ok(FixedSizeList(element(a, b)?, *size)),
        (FixedSizeList(a, _), FixedSizeList(b, _) | List(b)) | (List(a), FixedSizeList(b, _)) => Ok(List(element(a, b)?)),
        (Map(a, sorted), Map(b, other)) if sorted == other => Ok(Map(entries(a, b).ok_or_else(none)??, *sorted)),
        (Timestamp(unit, zone), Timestamp(other, of_other)) if zone.is_some() == of_other.is_some() => {
            Ok(Timestamp(finer(*unit, *other), zone.clone()))
        }
        (Time32(_) | Time64(_), Time32(_) | Time64(_)) => time(a, b).ok_or_else(none),
        (Duration(unit), Duration(other)) => Ok(Duration(finer(*unit, *other))),
        (Date32 | Date64, Date32 | Date64) => Ok(Date64),
        _ if a.is_string() && b.is_string() => Ok(Utf8View),
        _ if is_bytes(a) && is_bytes(b) => Ok(BinaryView),
        _ => numbers(a, b).ok_or_else(none),
    }
}

fn is_bytes(data_type: &DataType) -> bool {
    matches!(data_type, Binary | LargeBinary | BinaryView | FixedSizeBinary(_))
}

fn finer(a: TimeUnit, b: TimeUnit) -> TimeUnit {
    let digits = |unit: &TimeUnit| match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    };
    if digits(&a) >= digits(&b) { a } else { b }
}

fn time(a: &DataType, b: &DataType) -> Option<DataType> {
    let unit = |data_type: &DataType| match data_type {
        Time32(unit) | Time64(unit) => Some(*unit),
        _ => None,
    };
    match finer(unit(a)?, unit(b)?) {
        unit @ (TimeUnit::Second | TimeUnit::Millisecond) => Some(Time32(unit)),
        unit => Some(Time64(unit)),
    }
}

/// The elements of two lists.
fn element(a: &FieldRef, b: &FieldRef) -> Result<FieldRef, Clash> {
    let data_type = common(a.data_type(), b.data_type())?;
    Ok(Arc::new(a.as_ref().clone().with_data_type(data_type).with_nullable(a.is_nullable() || b.is_nullable())))
}

/// The entries of two maps, which are structs of a key and a value under any names; `None` for what is no map.
fn entries(a: &FieldRef, b: &FieldRef) -> Option<Result<FieldRef, Clash>> {
    let (Struct(of_a), Struct(of_b)) = (a.data_type(), b.data_type()) else { return None };
    let merged = of_a.iter().zip(of_b).map(|(a, b)| element(a, b)).collect::<Result<Fields, _>>();
    Some(merged.map(|fields| Arc::new(a.as_ref().clone().with_data_type(Struct(fields)))))
}

/// The fields of two structs, by name: those of the first, then those that it lacks.
fn structs(a: &Fields, b: &Fields) -> Result<Fields, Clash> {
    let mut fields: Vec<FieldRef> = Vec::new();
    for field in a {
        fields.push(match b.iter().find(|other| other.name() == field.name()) {
            Some(other) => element(field, other).map_err(|mut clash| {
                clash.fields.insert(0, field.name().clone());
                clash
            })?,
            None => nullable(field),
        });
    }
    for field in b {
        let alike = a.iter().find(|other| other.name().to_lowercase() == field.name().to_lowercase());
        match alike {
            None => fields.push(nullable(field)),
            Some(other) if other.name() == field.name() => {}
            Some(other) => {
                let kind = ClashKind::Case(other.name().clone(), field.name().clone());
                return Err(Clash { fields: Vec::new(), kind });
            }
        }
    }
    Ok(fields.into())
}

pub(super) fn nullable(field: &Field) -> FieldRef {
    Arc::new(field.clone().with_nullable(true))
}

/// Integers by width and sign, floats, decimals. An integer is a float only where all integers of its width are.
fn numbers(a: &DataType, b: &DataType) -> Option<DataType> {
    match (integer(a), integer(b)) {
        (Some((bits, signed)), Some((others, other_signed))) if signed == other_signed => {
            Some(if bits >= others { a.clone() } else { b.clone() })
        }
        (Some((bits, signed)), Some((others, _))) => {
            // A signed type with one more bit than the unsigned one has.
            let (of_signed, of_unsigned) = if signed { (bits, others) } else { (others, bits) };
            match of_signed.max(of_unsigned * 2) {
                16 => Some(Int16),
                32 => Some(Int32),
                64 => Some(Int64),
                _ => Some(Decimal128(20, 0)),
            }
        }
        (Some((bits, _)), None) => with_integer(b, a, bits),
        (None, Some((bits, _))) => with_integer(a, b, bits),
        (None, None) => match (a, b) {
            (Float16 | Float32 | Float64, Float64) | (Float64, Float16 | Float32) => Some(Float64),
            (Float16, Float32) | (Float32, Float16) => Some(Float32),
            _ => decimals(digits(a)?, digits(b)?),
        },
    }
}

/// Bits and whether there is a sign.
fn integer(data_type: &DataType) -> Option<(u8, bool)> {
    Some(match data_type {
        Int8 => (8, true),
        Int16 => (16, true),
        Int32 => (32, true),
        Int64 => (64, true),
        UInt8 => (8, false),
        UInt16 => (16, false),
        UInt32 => (32, false),
        UInt64 => (64, false),
        _ => return None,
    })
}

/// A number that is no integer, and an integer of so many bits.
fn with_integer(other: &DataType, integer: &DataType, bits: u8) -> Option<DataType> {
    match (other, bits) {
        (Float16, 8) => Some(Float16),
        (Float16 | Float32, 8 | 16) => Some(Float32),
        (Float16 | Float32 | Float64, 8 | 16 | 32) => Some(Float64),
        _ => decimals(digits(other)?, digits(integer)?),
    }
}

/// Digits before and behind the point.
fn digits(data_type: &DataType) -> Option<(i16, i16)> {
    let whole = |digits| Some((digits, 0));
    match data_type {
        Decimal32(precision, scale) | Decimal64(precision, scale) | Decimal128(precision, scale) | Decimal256(precision, scale) => {
            Some((i16::from(*precision) - i16::from(*scale), i16::from(*scale)))
        }
        Int8 | UInt8 => whole(3),
        Int16 | UInt16 => whole(5),
        Int32 | UInt32 => whole(10),
        Int64 => whole(19),
        UInt64 => whole(20),
        _ => None,
    }
}

fn decimals(a: (i16, i16), b: (i16, i16)) -> Option<DataType> {
    let (before, behind) = (a.0.max(b.0), a.1.max(b.1));
    let (precision, scale) = (u8::try_from(before + behind).ok()?, i8::try_from(behind).ok()?);
    if precision <= DECIMAL128_MAX_PRECISION {
        return Some(Decimal128(precision, scale));
    }
    (precision <= DECIMAL256_MAX_PRECISION).then_some(Decimal256(precision, scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(of: DataType) -> DataType {
        List(Arc::new(Field::new_list_field(of, true)))
    }

    fn fields(of: &[(&str, DataType)]) -> DataType {
        Struct(of.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), true)).collect())
    }

    fn zoned(unit: TimeUnit) -> DataType {
        Timestamp(unit, Some("UTC".into()))
    }

    #[test]
    fn a_wider_type_holds_the_values_of_both() {
        use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
        let keyed = |key: DataType| Dictionary(Box::new(key), Box::new(Utf8));
        for (a, b, expected) in [
            (Int32, Int64, Int64),
            (Int8, Int16, Int16),
            (UInt8, UInt32, UInt32),
            (UInt8, Int8, Int16),
            (UInt16, Int8, Int32),
            (UInt32, Int64, Int64),
            (UInt32, Int32, Int64),
            (UInt64, Int8, Decimal128(20, 0)),
            (Float16, Float32, Float32),
            (Float32, Float64, Float64),
            (Int8, Float16, Float16),
            (Int16, Float16, Float32),
            (UInt16, Float32, Float32),
            (Int32, Float32, Float64),
            (UInt32, Float64, Float64),
            (Timestamp(Millisecond, None), Timestamp(Nanosecond, None), Timestamp(Nanosecond, None)),
            (Timestamp(Second, None), Timestamp(Microsecond, None), Timestamp(Microsecond, None)),
            (zoned(Millisecond), zoned(Microsecond), zoned(Microsecond)),
            (Time32(Second), Time32(Millisecond), Time32(Millisecond)),
            (Time32(Millisecond), Time64(Nanosecond), Time64(Nanosecond)),
            (Duration(Second), Duration(Millisecond), Duration(Millisecond)),
            (Date32, Date64, Date64),
            (Utf8, LargeUtf8, Utf8View),
            (Utf8View, keyed(Int32), Utf8View),
            (keyed(Int32), keyed(Int16), Utf8),
            (Dictionary(Box::new(Int8), Box::new(Int32)), Int64, Int64),
            (Binary, LargeBinary, BinaryView),
            (FixedSizeBinary(4), BinaryView, BinaryView),
            (FixedSizeBinary(4), FixedSizeBinary(8), BinaryView),
            (Decimal128(10, 2), Decimal128(12, 4), Decimal128(12, 4)),
            (Decimal128(10, 2), Decimal128(10, 4), Decimal128(12, 4)),
            (Decimal32(9, 2), Decimal64(18, 0), Decimal128(20, 2)),
            (Decimal128(38, 0), Decimal128(38, 10), Decimal256(48, 10)),
            (Decimal128(5, -2), Decimal128(3, 1), Decimal128(8, 1)),
            (Int32, Decimal128(10, 2), Decimal128(12, 2)),
            (UInt64, Decimal128(4, 2), Decimal128(22, 2)),
            (Null, Boolean, Boolean),
            (list(Int32), list(Int64), list(Int64)),
            (list(Null), list(Utf8), list(Utf8)),
            (LargeList(Arc::new(Field::new_list_field(Int32, true))), list(Int64), LargeList(Arc::new(Field::new_list_field(Int64, true)))),
            (FixedSizeList(Arc::new(Field::new_list_field(Int8, true)), 2), list(Int8), list(Int8)),
            (
                fields(&[("a", Int32), ("b", Utf8)]),
                fields(&[("c", Date32), ("a", Int64)]),
                fields(&[("a", Int64), ("b", Utf8), ("c", Date32)]),
            ),
            (list(fields(&[("a", Int32)])), list(fields(&[("a", Int64)])), list(fields(&[("a", Int64)]))),
        ] {
            assert_eq!(common(&a, &b).unwrap(), expected, "{a} and {b}");
            if a.is_nested() {
                assert!(common(&b, &a).is_ok(), "{b} and {a}");
            } else {
                assert_eq!(common(&b, &a).unwrap(), expected, "{b} and {a}");
            }
            assert_eq!(common(&expected, &b).unwrap(), expected, "what was widened holds the second still");
        }
    }

    #[test]
    fn what_would_lose_a_digit_or_a_meaning_has_no_common_type() {
        for (a, b) in [
            (Int64, Float64),
            (UInt64, Float64),
            (Int64, Float32),
            (Decimal128(5, 2), Float64),
            (Decimal256(76, 0), Decimal128(10, 2)),
            (Utf8, Int32),
            (Boolean, Int8),
            (Boolean, Utf8),
            (Binary, Utf8),
            (FixedSizeBinary(16), Utf8View),
            (Date32, Timestamp(TimeUnit::Second, None)),
            (Date32, Utf8),
            (Timestamp(TimeUnit::Second, None), zoned(TimeUnit::Second)),
            (Timestamp(TimeUnit::Millisecond, None), Int64),
            (list(Int32), Int32),
            (fields(&[("a", Int32)]), Utf8),
            (Interval(arrow::datatypes::IntervalUnit::DayTime), Duration(TimeUnit::Second)),
        ] {
            assert_eq!(common(&a, &b).unwrap_err().kind, ClashKind::Types(a.clone(), b.clone()));
            assert!(common(&b, &a).is_err(), "{b} and {a}");
        }
    }

    #[test]
    fn a_clash_within_structs_and_lists_is_found_by_its_fields() {
        let of = |leaf: DataType| fields(&[("at", list(fields(&[("n", leaf)])))]);
        let clash = common(&of(Int64), &of(Float64)).unwrap_err();
        assert_eq!(clash, Clash { fields: vec!["at".into(), "n".into()], kind: ClashKind::Types(Int64, Float64) });
        let clash = common(&fields(&[("City", Utf8)]), &fields(&[("city", Utf8)])).unwrap_err();
        assert_eq!(clash.kind, ClashKind::Case("City".into(), "city".into()));
    }
}
