//! Numbers from the digits of a page.
//!
//! Up to 16 bytes are read at once, ending with the number; longer ones go the exact way of the standard library.

use super::span::JsonKind;

/// Which bytes count of the 16 that end with a number, by its length; the later eight first.
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

/// The eight bytes that end at `end`, '0' to '9' as 0 to 9, if the page has them.
#[inline(always)]
fn eight_before(bytes: &[u8], end: usize) -> Option<u64> {
    let word = bytes.get(..end)?.last_chunk()?;
    Some(u64::from_le_bytes(*word) ^ ZEROS)
}

/// The same of sixteen bytes, the later eight first, with 0 for all before the last `len`. `len` is at most 16.
#[inline(always)]
fn sixteen_before(bytes: &[u8], end: usize, len: usize) -> Option<(u64, u64)> {
    let both: &[u8; 16] = bytes.get(..end)?.last_chunk()?;
    let (late, early) = MASKS.get(len)?;
    let both = u128::from_le_bytes(*both);
    Some((((both >> 64) as u64 ^ ZEROS) & late, (both as u64 ^ ZEROS) & early))
}

/// Whether one of the bytes is above 9.
#[inline(always)]
fn has_others(digits: u64) -> bool {
    (digits | ((digits & !HIGH_HALVES) + SIXES)) & HIGH_HALVES != 0
}

/// The number whose eight digits are the bytes, the first the most significant: pairs of digits, then of pairs, then of those.
#[inline(always)]
fn eight(digits: u64) -> u64 {
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let high = (pairs & 0x0000_00ff_0000_00ff).wrapping_mul(100 + (1_000_000 << 32));
    let low = ((pairs >> 16) & 0x0000_00ff_0000_00ff).wrapping_mul(1 + (10_000 << 32));
    high.wrapping_add(low) >> 32
}

/// The eight digits that are the bytes of a word, 0 to 9, the first the lowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Eight(u64);

impl Eight {
    /// The eight digits `start..end`, if they are that.
    #[inline(always)]
    pub(super) fn new(bytes: &[u8], start: usize, end: usize) -> Option<Self> {
        let word = u64::from_le_bytes(*bytes.get(start..end)?.as_array()?) ^ ZEROS;
        (!has_others(word)).then_some(Self(word))
    }

    /// The fourteen digits `start..end`, if they are that: the first eight, and the last six after two zeros.
    #[inline(always)]
    pub(super) fn fourteen(bytes: &[u8], start: usize, end: usize) -> Option<(Self, Self)> {
        let all: &[u8; 14] = bytes.get(start..end)?.as_array()?;
        let first = u64::from_le_bytes(*all.first_chunk()?) ^ ZEROS;
        let last = (u64::from_le_bytes(*all.last_chunk()?) ^ ZEROS) & MASKS[6].0;
        (!has_others(first) && !has_others(last)).then_some((Self(first), Self(last)))
    }

    /// The number.
    pub(super) fn number(self) -> u64 {
        eight(self.0)
    }

    /// The four numbers of two digits.
    #[inline(always)]
    pub(super) fn pairs(self) -> [u64; 4] {
        let pairs = self.0 * 10 + (self.0 >> 8);
        [0, 16, 32, 48].map(|shift| pairs >> shift & 0xff)
    }
}

/// The digits `end - len .. end`, which are digits.
#[inline(always)]
fn digits(bytes: &[u8], end: usize, len: usize) -> Option<u64> {
    match sixteen_before(bytes, end, len) {
        Some((late, 0)) => Some(eight(late)),
        Some((late, early)) => Some(eight(early) * 100_000_000 + eight(late)),
        None => parse(bytes, end - len, end),
    }
}

/// The number `start..end`, if it is digits and nothing else.
#[inline(always)]
pub(super) fn checked_digits(bytes: &[u8], start: usize, end: usize) -> Option<u64> {
    let len = end.checked_sub(start).filter(|len| *len > 0)?;
    match sixteen_before(bytes, end, len) {
        Some((late, early)) if has_others(late) || has_others(early) => None,
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

/// The integer `start..end`, written as JSON writes one.
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

/// Powers of ten that a float holds exactly.
const TENS: [f64; 16] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// The float `start..end`, written as JSON writes a number; an integer that no float is, is none.
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

/// At most 15 digits and a point: the digits and the power of ten are exact, so that their quotient is the nearest float.
#[inline(always)]
fn short_decimal(bytes: &[u8], end: usize, len: usize) -> Option<f64> {
    if len > 8 {
        return middle_decimal(bytes, end, len);
    }
    let digits = eight_before(bytes, end)? & MASKS[len].0;
    // The first that is no digit, which must be the point and the only one.
    let marks = digits & HIGH_HALVES;
    let point = marks.trailing_zeros() & 56;
    if digits >> point & 0xff != u64::from(b'.' ^ b'0') || marks >> point > 0xff {
        return None;
    }
    // What is before the point moves up to what is after it.
    let before = (1 << point) - 1;
    let mantissa = eight((digits & before) << 8 | (digits & !before & !(0xff << point)));
    Some(mantissa as f64 / TENS[7 - (point / 8) as usize])
}

/// The same with more than eight bytes.
#[inline(never)]
fn middle_decimal(bytes: &[u8], end: usize, len: usize) -> Option<f64> {
    let text = bytes.get(end.checked_sub(len).filter(|_| len <= 16)?..end)?;
    let point = text.iter().position(|byte| *byte == b'.')?;
    let (whole, fraction) = (&text[..point], &text[point + 1..]);
    let digits = whole.iter().chain(fraction);
    let mantissa = digits.clone().all(u8::is_ascii_digit).then(|| digits.fold(0u64, |sum, digit| sum * 10 + u64::from(digit - b'0')))?;
    Some(mantissa as f64 / TENS.get(fraction.len())?)
}

/// A long integer, if a float holds it exactly.
#[cold]
fn whole_float(bytes: &[u8], start: usize, end: usize) -> Option<f64> {
    let text = std::str::from_utf8(bytes.get(start..end)?).ok()?;
    let float: f64 = text.parse().ok()?;
    (float.is_finite() && format!("{float:.0}") == text).then_some(float)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What kind of number a text is, if it is one as JSON writes it.
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

    /// The text at the end of a page, with and without enough bytes before it.
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
    fn floats_are_the_nearest_and_integers_must_be_held_exactly() {
        let near = |text: &str| both(text, |bytes, start, end| float(bytes, start, end, kind(text.as_bytes()).unwrap()));
        for text in ["0.1", "-0.5", "1234567.89", "12345678901234.5", "1.7976931348623157e308", "5e-324", "0.30000000000000004", "1E2"] {
            assert_eq!(near(text), Some(text.parse::<f64>().unwrap()), "{text}");
        }
        assert_eq!(near("9007199254740992"), Some(9_007_199_254_740_992.0));
        assert_eq!(near("9007199254740993"), None);
        assert_eq!(near("-0").map(f64::to_bits), Some((-0.0f64).to_bits()));
        assert_eq!(near("1e999"), None);
    }

    #[test]
    fn a_text_is_a_number_as_json_writes_it_or_not_at_all() {
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
