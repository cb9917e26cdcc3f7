//! Numbers: what type holds every digit of all of them.
//!
//! In: JSON numbers as they stand. Out: a type, or none, where they stay text.

use std::num::NonZeroU8;

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType};

/// What the numbers of one place have in common.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Numbers {
    min: i128,
    max: i128,
    /// Digits before the point, of any of them.
    whole_digits: usize,
    /// Digits behind it.
    scale: usize,
    has_point: bool,
    has_exponent: bool,
    /// Whether one is `-0`, whose sign only a `Float64` has.
    has_minus_zero: bool,
    /// Whether each is the number that a `Float64` makes of it.
    is_exact_float: bool,
}

impl Numbers {
    /// Of a single number.
    pub(super) fn of(number: &str) -> Self {
        let Parts { whole, fraction, exponent } = Parts::of(number);
        let is_whole = fraction.is_empty() && exponent.is_none();
        let digits = whole.trim_start_matches('-');
        let value = if is_whole { number.parse().ok() } else { Some(0) };
        Self {
            min: value.unwrap_or(0),
            max: value.unwrap_or(0),
            whole_digits: digits.trim_start_matches('0').len(),
            scale: fraction.len(),
            has_point: !fraction.is_empty(),
            has_exponent: exponent.is_some(),
            has_minus_zero: whole == "-0" && fraction.bytes().all(|digit| digit == b'0'),
            is_exact_float: is_exact_float(number, digits.len() + fraction.len(), exponent.is_some()),
        }
    }

    /// Of these and those.
    pub(super) fn merge(&mut self, other: Self) {
        *self = Self {
            min: self.min.min(other.min),
            max: self.max.max(other.max),
            whole_digits: self.whole_digits.max(other.whole_digits),
            scale: self.scale.max(other.scale),
            has_point: self.has_point || other.has_point,
            has_exponent: self.has_exponent || other.has_exponent,
            has_minus_zero: self.has_minus_zero || other.has_minus_zero,
            is_exact_float: self.is_exact_float && other.is_exact_float,
        };
    }

    /// The type; `None` where there is none that keeps all digits.
    pub(super) fn data_type(&self) -> Option<DataType> {
        let float = self.is_exact_float.then_some(DataType::Float64);
        if self.has_exponent || self.has_minus_zero {
            return float;
        }
        let precision = self.whole_digits + self.scale;
        let decimal = u8::try_from(precision).ok().filter(|precision| *precision <= DECIMAL128_MAX_PRECISION);
        if self.has_point {
            let precision = decimal.and_then(NonZeroU8::new).map_or(decimal.map(|_| 1), |precision| Some(precision.get()));
            let decimal = precision.zip(i8::try_from(self.scale).ok());
            return decimal.map(|(precision, scale)| DataType::Decimal128(precision, scale)).or(float);
        }
        if i64::try_from(self.min).is_ok() && i64::try_from(self.max).is_ok() && self.whole_digits < 20 {
            Some(DataType::Int64)
        } else if self.min >= 0 && u64::try_from(self.max).is_ok() && self.whole_digits < 21 {
            Some(DataType::UInt64)
        } else {
            decimal.map(|_| DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0))
        }
    }
}

/// The parts of a JSON number.
struct Parts<'a> {
    /// With its sign.
    whole: &'a str,
    fraction: &'a str,
    exponent: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(number: &'a str) -> Self {
        let (mantissa, exponent) = match number.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(exponent)),
            None => (number, None),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        Self { whole, fraction, exponent }
    }

    /// The number without superfluous zeros: its sign, its digits, and the power of ten behind them.
    fn normal(&self) -> Option<(bool, String, i64)> {
        let exponent: i64 = self.exponent.map_or(Some(0), |exponent| exponent.parse().ok())?;
        let digits = format!("{}{}", self.whole.trim_start_matches('-'), self.fraction);
        let digits = digits.trim_start_matches('0');
        let kept = digits.trim_end_matches('0');
        if kept.is_empty() {
            return Some((false, String::new(), 0));
        }
        let power = exponent - i64::try_from(self.fraction.len()).ok()? + i64::try_from(digits.len() - kept.len()).ok()?;
        Some((self.whole.starts_with('-'), kept.to_owned(), power))
    }
}

/// Whether a `Float64` writes itself as the same number.
fn is_exact_float(number: &str, digits: usize, has_exponent: bool) -> bool {
    // Every decimal number of so few digits comes back.
    if digits <= 15 && !has_exponent {
        return true;
    }
    let Some(float) = number.parse::<f64>().ok().filter(|float| float.is_finite()) else { return false };
    let written = format!("{float:e}");
    let (read, written) = (Parts::of(number).normal(), Parts::of(&written).normal());
    read.is_some() && read == written
}

/// The digits of a number at a scale that is not less than its own.
pub(super) fn scaled(number: &str, scale: i8) -> Option<i128> {
    let Parts { whole, fraction, exponent: None } = Parts::of(number) else { return None };
    let zeros = usize::try_from(scale).ok()?.checked_sub(fraction.len())?;
    let digits: String = whole.chars().chain(fraction.chars()).chain(std::iter::repeat_n('0', zeros)).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(numbers: &[&str]) -> Option<DataType> {
        let mut all = numbers.iter().map(|number| Numbers::of(number));
        let mut first = all.next().unwrap();
        all.for_each(|number| first.merge(number));
        first.data_type()
    }

    #[test]
    fn the_type_of_numbers_keeps_every_digit_of_each() {
        let decimal = |precision, scale| Some(DataType::Decimal128(precision, scale));
        for (numbers, expected) in [
            (&["1", "-9223372036854775808"][..], Some(DataType::Int64)),
            (&["9223372036854775807"], Some(DataType::Int64)),
            (&["18446744073709551615", "9007199254740993"], Some(DataType::UInt64)),
            (&["18446744073709551615", "-1"], decimal(38, 0)),
            (&["18446744073709551616"], decimal(38, 0)),
            (&["99999999999999999999999999999999999999"], decimal(38, 0)),
            (&["999999999999999999999999999999999999999"], None),
            (&["9007199254740993", "1.5"], decimal(17, 1)),
            (&["0.10", "0.001"], decimal(3, 3)),
            (&["0.0"], decimal(1, 1)),
            (&["1e5", "2"], Some(DataType::Float64)),
            (&["1E-300", "0.1"], Some(DataType::Float64)),
            (&["1e5", "9007199254740993"], None),
            (&["1e999"], None),
            (&["-0", "7"], Some(DataType::Float64)),
            (&["-0.0", "1.5"], Some(DataType::Float64)),
            (&["-0.00", "9007199254740993"], None),
            (&["0.30000000000000004", "12345678901234567890123.5"], decimal(40, 17).filter(|_| false)),
            (&["0.30000000000000004e0"], Some(DataType::Float64)),
            (&["0.300000000000000041e0"], None),
        ] {
            assert_eq!(of(numbers), expected, "{numbers:?}");
        }
        assert_eq!((scaled("-1.5", 3), scaled("7", 2), scaled("1e5", 2), scaled("0.001", 2)), (Some(-1500), Some(700), None, None));
    }
}
