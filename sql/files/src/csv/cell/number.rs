//! Integers and decimals that come back digit by digit.
//!
//! In: a cell. Out: its digits before and behind the point, and its value. Not `007`, `+1`, `1E5`, `.5`, `5.`, `-0`, `-0.0`: a number would
//! lose what they say.

use super::{eight_digits, non_digits, word};

/// Digits of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Number {
    /// Before the point.
    pub(crate) whole: u32,
    /// Behind the point.
    pub(crate) scale: u32,
    pub(crate) is_negative: bool,
}

/// Digits that a decimal has.
pub(crate) const DIGITS_MAX: u32 = 38;

/// Checks the form of the `len` bytes at `at`, of which there is at least one.
#[inline(always)]
pub(crate) fn number(data: &[u8], at: usize, len: usize) -> Option<Number> {
    let is_negative = data[at] == b'-';
    let (at, len) = if is_negative { (at + 1, len - 1) } else { (at, len) };
    let point = match len {
        0 => return None,
        1..=8 => point((non_digits(word(data, at)) & (u64::MAX >> (64 - 8 * len))).into(), len),
        9..=16 => {
            let high = non_digits(word(data, at + 8)) & (u64::MAX >> (128 - 8 * len));
            point(u128::from(high) << 64 | u128::from(non_digits(word(data, at))), len)
        }
        17..=40 => {
            let bytes = data.get(at..at + len)?;
            let mut non_digits = bytes.iter().enumerate().filter(|(_, byte)| !byte.is_ascii_digit());
            let first = non_digits.next().map_or(len, |(at, _)| at);
            non_digits.next().is_none().then_some(first)
        }
        _ => None,
    }?;
    let (whole, scale) = (point, len.saturating_sub(point + 1));
    if whole == 0 || whole < len && (scale == 0 || data[at + whole] != b'.') {
        return None;
    }
    let starts_with_zero = data[at] == b'0';
    if starts_with_zero && whole > 1 || (whole + scale) as u32 > DIGITS_MAX {
        return None;
    }
    if starts_with_zero && is_negative && data.get(at..at + len)?.iter().all(|byte| matches!(byte, b'0' | b'.')) {
        return None;
    }
    Some(Number { whole: whole as u32, scale: scale as u32, is_negative })
}

/// The place of the only byte that is no digit, or `len`.
#[inline(always)]
fn point(non_digits: u128, len: usize) -> Option<usize> {
    if non_digits == 0 {
        return Some(len);
    }
    (non_digits & (non_digits - 1) == 0).then_some(non_digits.trailing_zeros() as usize / 8)
}

/// The value of a cell that is an integer.
#[inline(always)]
pub(crate) fn integer(data: &[u8], at: usize, len: usize) -> Option<i64> {
    let number = number(data, at, len)?;
    if number.scale > 0 || number.whole > 19 {
        return None;
    }
    let digits = at + usize::from(number.is_negative);
    let value = unsigned(data, digits, number.whole as usize);
    if number.is_negative { 0_i64.checked_sub_unsigned(value) } else { i64::try_from(value).ok() }
}

/// Up to 19 digits.
#[inline(always)]
fn unsigned(data: &[u8], at: usize, len: usize) -> u64 {
    let head = len % 8;
    let mut value = if head == 0 { 0 } else { eight_digits(word(data, at) << (64 - 8 * head)) };
    for eight in 0..len / 8 {
        value = value * 100_000_000 + eight_digits(word(data, at + head + 8 * eight));
    }
    value
}

/// The value of a cell with `scale` digits behind the point.
#[inline(always)]
pub(crate) fn decimal(data: &[u8], at: usize, len: usize, scale: u32) -> Option<i128> {
    let number = number(data, at, len)?;
    let missing = scale.checked_sub(number.scale)?;
    if number.whole + scale > DIGITS_MAX {
        return None;
    }
    let digits = at + usize::from(number.is_negative);
    let (whole, fraction) = (number.whole as usize, number.scale as usize);
    let value = if number.whole + number.scale <= 18 {
        let fraction_at = digits + whole + 1;
        let behind = if fraction == 0 { 0 } else { unsigned(data, fraction_at, fraction) };
        i128::from(unsigned(data, digits, whole)) * 10_i128.pow(number.scale) + i128::from(behind)
    } else {
        let bytes = data.get(digits..at + len)?.iter().filter(|byte| **byte != b'.');
        bytes.fold(0, |value, byte| value * 10 + i128::from(byte - b'0'))
    };
    let value = if missing == 0 { value } else { value.checked_mul(10_i128.pow(missing))? };
    Some(if number.is_negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::super::padded;
    use super::*;

    fn digits(text: &str) -> Option<(u32, u32)> {
        number(&padded(text), 0, text.len()).map(|number| (number.whole, number.scale))
    }

    #[test]
    fn a_number_is_one_whose_text_comes_back() {
        let numbers = [("0", 1, 0), ("7", 1, 0), ("-7", 1, 0), ("1.10", 1, 2), ("-0.5", 1, 1), ("0.0", 1, 1), ("12345678.12345678", 8, 8)];
        for (text, whole, scale) in numbers {
            assert_eq!(digits(text), Some((whole, scale)), "{text}");
        }
        for text in [
            "-",
            "007",
            "-07",
            "00",
            "-0",
            "-0.0",
            "-0.00",
            "+1",
            "1E5",
            "1e5",
            ".5",
            "5.",
            "-.5",
            "1.2.3",
            "1,5",
            " 1",
            "1 ",
            "0x1",
            "1_0",
            "١",
            "1-",
            "--1",
            "inf",
            "123456789012345678.",
            ".123456789012345678",
            "01234567890123456789",
            "-0.00000000000000000000",
        ] {
            assert_eq!(digits(text), None, "{text}");
        }
    }

    #[test]
    fn values_are_exact_at_every_length() {
        let all = "1234567890123456789012345678901234567890";
        for len in 1..=40 {
            let text = &all.as_bytes()[..len];
            let text = std::str::from_utf8(text).unwrap();
            for sign in ["", "-"] {
                let text = format!("{sign}{text}");
                let data = padded(&text);
                assert_eq!(integer(&data, 0, text.len()), text.parse().ok(), "{text}");
                assert_eq!(decimal(&data, 0, text.len(), 0), text.parse().ok().filter(|_| len <= 38), "{text}");
                for at in 1..len {
                    let mut text = text.clone();
                    text.insert(sign.len() + at, '.');
                    let scale = (len - at) as u32;
                    let without = text.replace('.', "").parse().ok().filter(|_| len <= 38);
                    assert_eq!(decimal(&padded(&text), 0, text.len(), scale), without, "{text}");
                    let wider = without.filter(|_| len < 38).map(|value: i128| value * 10);
                    assert_eq!(decimal(&padded(&text), 0, text.len(), scale + 1), wider, "{text}");
                }
            }
        }
        for (text, value) in
            [("9223372036854775807", Some(i64::MAX)), ("-9223372036854775808", Some(i64::MIN)), ("9223372036854775808", None)]
        {
            assert_eq!(integer(&padded(text), 0, text.len()), value);
        }
    }
}
