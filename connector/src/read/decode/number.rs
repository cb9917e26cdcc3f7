//! Parses numbers.
//!
//! In: the range of a number in the page. Out: its value. The 16 bytes that end with the number are parsed at once; longer numbers go
//! through the standard library, which is exact but slower.

use super::span::JsonKind;

/// Masks for the digits in the 16 bytes that end with a number, by its length; the last eight bytes first.
const MASKS: [(u64, u64); 17] = {
    let mut masks = [(u64::MAX, u64::MAX); 17];
    let mut len = 0;
    while len < 16 {
        masks[len] = if len < 8 { (!(u64::MAX >> (8 * len)), 0) } else { (u64::MAX, !(u64::MAX >> (8 * (len - 8)))) };
        len += 1;
    }
    masks
};
const ZEROS: u64 = u64::from_ne_bytes([b'0'; 8]);
const HIGH_HALVES: u64 = u64::from_ne_bytes([0xf0; 8]);
const SIXES: u64 = u64::from_ne_bytes([6; 8]);

/// The eight bytes before `end`, with '0' to '9' as 0 to 9. `None` if there are fewer.
#[inline(always)]
fn eight_before(bytes: &[u8], end: usize) -> Option<u64> {
    let word = bytes.get(..end)?.last_chunk()?;
    Some(u64::from_le_bytes(*word) ^ ZEROS)
}

/// The sixteen bytes before `end` in the same form, the last eight first, with 0 before the last `len` bytes. `len` is at most 16.
#[inline(always)]
fn sixteen_before(bytes: &[u8], end: usize, len: usize) -> Option<(u64, u64)> {
    let both: &[u8; 16] = bytes.get(..end)?.last_chunk()?;
    let (late, early) = MASKS.get(len)?;
    let both = u128::from_le_bytes(*both);
    Some((((both >> 64) as u64 ^ ZEROS) & late, (both as u64 ^ ZEROS) & early))
}

/// Whether one of the bytes is above 9.
#[inline(always)]
fn has_non_digits(digits: u64) -> bool {
    (digits | ((digits & !HIGH_HALVES) + SIXES)) & HIGH_HALVES != 0
}

/// The number of eight digits, one per byte, the first byte the most significant. Combines digits to pairs, pairs to fours, fours to eight.
#[inline(always)]
fn eight(digits: u64) -> u64 {
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let high = (pairs & 0x0000_00ff_0000_00ff).wrapping_mul(100 + (1_000_000 << 32));
    let low = ((pairs >> 16) & 0x0000_00ff_0000_00ff).wrapping_mul(1 + (10_000 << 32));
    high.wrapping_add(low) >> 32
}

/// Eight digits as the bytes of a word, each 0 to 9, the first digit in the lowest byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Eight(u64);

impl Eight {
    /// `None` unless `start..end` is eight digits.
    #[inline(always)]
    pub(super) fn new(bytes: &[u8], start: usize, end: usize) -> Option<Self> {
        let word = u64::from_le_bytes(*bytes.get(start..end)?.as_array()?) ^ ZEROS;
        (!has_non_digits(word)).then_some(Self(word))
    }

    /// The first eight and the last six digits, the latter padded with two zeros. `None` unless `start..end` is fourteen digits.
    #[inline(always)]
    pub(super) fn fourteen(bytes: &[u8], start: usize, end: usize) -> Option<(Self, Self)> {
        let all: &[u8; 14] = bytes.get(start..end)?.as_array()?;
        let first = u64::from_le_bytes(*all.first_chunk()?) ^ ZEROS;
        let last = (u64::from_le_bytes(*all.last_chunk()?) ^ ZEROS) & MASKS[6].0;
        (!has_non_digits(first) && !has_non_digits(last)).then_some((Self(first), Self(last)))
    }

    pub(super) fn number(self) -> u64 {
        eight(self.0)
    }

    /// The four two-digit numbers.
    #[inline(always)]
    pub(super) fn pairs(self) -> [u64; 4] {
        let pairs = self.0 * 10 + (self.0 >> 8);
        [0, 16, 32, 48].map(|shift| pairs >> shift & 0xff)
    }
}

/// The number `end - len .. end`, which must be digits.
#[inline(always)]
fn digits(bytes: &[u8], end: usize, len: usize) -> Option<u64> {
    match sixteen_before(bytes, end, len) {
        Some((late, 0)) => Some(eight(late)),
        Some((late, early)) => Some(eight(early) * 100_000_000 + eight(late)),
        None => parse(bytes, end - len, end),
    }
}

/// The number `start..end`, or `None` if it is not all digits.
#[inline(always)]
pub(super) fn checked_digits(bytes: &[u8], start: usize, end: usize) -> Option<u64> {
    let len = end.checked_sub(start).filter(|len| *len > 0)?;
    match sixteen_before(bytes, end, len) {
        Some((late, early)) if has_non_digits(late) || has_non_digits(early) => None,
        Some((late, early)) => Some(eight(early) * 100_000_000 + eight(late)),
        None => {
            let is_number = bytes.get(start..end)?.iter().all(u8::is_ascii_digit);
            is_number.then(|| parse(bytes, start, end))?
        }
    }
}

#[cold]
fn parse<T: std::str::FromStr>(bytes: &[u8], start: usize, end: usize) -> Option<T> {
    std::str::from_utf8(bytes.get(start..end)?).ok()?.parse().ok()
}

/// The integer `start..end`, which must be valid JSON.
#[inline(always)]
pub(super) fn integer(bytes: &[u8], start: usize, end: usize) -> Option<i64> {
    let negative = bytes.get(start) == Some(&b'-');
    let len = end - start - usize::from(negative);
    if len > 16 {
        return parse(bytes, start, end);
    }
    let size = i64::try_from(digits(bytes, end, len)?).ok()?;
    Some(if negative { -size } else { size })
}

/// Powers of ten that a float represents exactly.
const TENS: [f64; 16] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// The float `start..end`, which must be valid JSON. `None` for an integer that a float cannot represent exactly.
#[inline(always)]
pub(super) fn float(bytes: &[u8], start: usize, end: usize, kind: JsonKind) -> Option<f64> {
    let negative = bytes.get(start) == Some(&b'-');
    let len = end - start - usize::from(negative);
    let size = match kind {
        JsonKind::Integer if len <= 15 => digits(bytes, end, len)? as f64,
        JsonKind::Integer => return whole_float(bytes, start, end),
        _ => match short_decimal(bytes, end, len) {
            Some(size) => size,
            None => return parse(bytes, start, end).filter(|float: &f64| float.is_finite()),
        },
    };
    Some(if negative { -size } else { size })
}

/// A decimal with at most 15 digits. The digits and the power of ten are exact floats, so their quotient is the nearest float.
#[inline(always)]
fn short_decimal(bytes: &[u8], end: usize, len: usize) -> Option<f64> {
    if len > 8 {
        return middle_decimal(bytes, end, len);
    }
    let digits = eight_before(bytes, end)? & MASKS[len].0;
    // The first byte that is not a digit must be the point, and the only one.
    let marks = digits & HIGH_HALVES;
    let point = marks.trailing_zeros() & 56;
    if digits >> point & 0xff != u64::from(b'.' ^ b'0') || marks >> point > 0xff {
        return None;
    }
    // The digits before the point move up to those after it.
    let before = (1 << point) - 1;
    let mantissa = eight((digits & before) << 8 | (digits & !before & !(0xff << point)));
    Some(mantissa as f64 / TENS[7 - (point / 8) as usize])
}

/// The same for more than eight bytes.
#[inline(never)]
fn middle_decimal(bytes: &[u8], end: usize, len: usize) -> Option<f64> {
    let text = bytes.get(end.checked_sub(len).filter(|_| len <= 16)?..end)?;
    let point = text.iter().position(|byte| *byte == b'.')?;
    let (whole, fraction) = (&text[..point], &text[point + 1..]);
    let digits = whole.iter().chain(fraction);
    let mantissa = digits.clone().all(u8::is_ascii_digit).then(|| digits.fold(0u64, |sum, digit| sum * 10 + u64::from(digit - b'0')))?;
    Some(mantissa as f64 / TENS.get(fraction.len())?)
}

/// A long integer, if a float represents it exactly.
#[cold]
fn whole_float(bytes: &[u8], start: usize, end: usize) -> Option<f64> {
    let text = std::str::from_utf8(bytes.get(start..end)?).ok()?;
    let float: f64 = text.parse().ok()?;
    (float.is_finite() && format!("{float:.0}") == text).then_some(float)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kind of number, if the text is a JSON number.
    fn kind(text: &[u8]) -> Option<JsonKind> {
        fn run(text: &[u8]) -> (&[u8], &[u8]) {
            text.split_at(text.iter().take_while(|byte| byte.is_ascii_digit()).count())
        }
        let (whole, mut rest) = run(text.strip_prefix(b"-").unwrap_or(text));
        if whole.is_empty() || (whole.len() > 1 && whole[0] == b'0') {
            return None;
        }
        let mut kind = JsonKind::Integer;
        if let [b'.', after @ ..] = rest {
            let (fraction, after) = run(after);
            if fraction.is_empty() {
                return None;
            }
            (kind, rest) = (JsonKind::Decimal, after);
        }
        if let [b'e' | b'E', after @ ..] = rest {
            let (exponent, after) = run(after.strip_prefix(b"+").or(after.strip_prefix(b"-")).unwrap_or(after));
            if exponent.is_empty() {
                return None;
            }
            (kind, rest) = (JsonKind::Decimal, after);
        }
        rest.is_empty().then_some(kind)
    }

    /// Reads the text at the end of a page and on its own, which takes the fast and the slow path.
    fn both<T: PartialEq + std::fmt::Debug>(text: &str, read: impl Fn(&[u8], usize, usize) -> T) -> T {
        let long = format!("{{\"records\":[{{\"a\":{text}");
        let found = read(long.as_bytes(), long.len() - text.len(), long.len());
        assert_eq!(found, read(text.as_bytes(), 0, text.len()), "{text}");
        found
    }

    #[test]
    fn integers_are_exact_to_the_last_bit() {
        let cases = ["0", "7", "-1", "12345678", "-123456789", "9007199254740993", "-9223372036854775808", "9223372036854775807"];
        for text in cases {
            assert_eq!(both(text, integer), Some(text.parse::<i64>().unwrap()), "{text}");
        }
        assert_eq!(both("9223372036854775808", integer), None);
        assert_eq!(both("-0", integer), Some(0));
    }

    #[test]
    fn floats_are_rounded_to_nearest_and_integers_must_be_exact() {
        let read = |text: &str| both(text, |bytes, start, end| float(bytes, start, end, kind(text.as_bytes()).unwrap()));
        for text in ["0.1", "-0.5", "1234567.89", "12345678901234.5", "1.7976931348623157e308", "5e-324", "0.30000000000000004", "1E2"] {
            assert_eq!(read(text), Some(text.parse::<f64>().unwrap()), "{text}");
        }
        assert_eq!(read("9007199254740992"), Some(9_007_199_254_740_992.0));
        assert_eq!(read("9007199254740993"), None);
        assert_eq!(read("-0").map(f64::to_bits), Some((-0.0f64).to_bits()));
        assert_eq!(read("1e999"), None);
    }

    #[test]
    fn only_json_numbers_are_numbers() {
        let kinds = [
            ("0", Some(JsonKind::Integer)),
            ("-10", Some(JsonKind::Integer)),
            ("1.50", Some(JsonKind::Decimal)),
            ("1e+5", Some(JsonKind::Decimal)),
            ("", None),
            ("-", None),
            ("007", None),
            ("+1", None),
            ("1.", None),
            (".5", None),
            ("1e", None),
            (" 1", None),
            ("inf", None),
        ];
        for (text, expected) in kinds {
            assert_eq!(kind(text.as_bytes()), expected, "{text}");
        }
    }
}
