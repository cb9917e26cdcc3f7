//! Numbers as digits, without a branch on how many they are: sixteen at a time, in one 128-bit word.
//!
//! In: a number. Out: [`Digits`], or nothing where the number is not one of the many that have this short form; then
//! [`super::cell`] writes it. Safe and portable; a column of numbers is a loop over these functions.

/// A word whose lowest bytes are text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Digits {
    /// The text, its first byte lowest.
    pub(super) text: u128,
    /// How many bytes of it count, at most 16.
    pub(super) len: usize,
}

/// The first number that has 17 digits.
const SIXTEEN_DIGITS: u64 = 10_000_000_000_000_000;
/// The first number that has 16 digits: with its point, a decimal has 16 bytes.
const FIFTEEN_DIGITS: u64 = 1_000_000_000_000_000;

/// `0` in each byte.
const ZEROS: u128 = 0x3030_3030_3030_3030_3030_3030_3030_3030;

/// The four digits of each number below 10,000, the first in the lowest byte: 40 KB, of which a column needs some.
static FOUR: [u32; 10_000] = {
    let mut four = [0; 10_000];
    let mut value = 0;
    while value < 10_000 {
        four[value as usize] = (value / 1_000) | (value / 100 % 10) << 8 | (value / 10 % 10) << 16 | (value % 10) << 24;
        value += 1;
    }
    four
};

/// Eight digits of a number below 10^8.
#[inline(always)]
fn eight(value: u64) -> u64 {
    u64::from(FOUR[(value / 10_000 % 10_000) as usize]) | u64::from(FOUR[(value % 10_000) as usize]) << 32
}

#[inline(always)]
fn sixteen(value: u64) -> u128 {
    let (high, low) = (value / 100_000_000, value % 100_000_000);
    u128::from(eight(high)) | (u128::from(eight(low)) << 64)
}

/// Drops the first `skip` bytes.
#[inline(always)]
fn from(text: u128, skip: u32) -> Digits {
    Digits { text: text >> (8 * skip), len: 16 - skip as usize }
}

/// The same number if it is below `limit`, else any that is.
#[inline(always)]
fn below(value: u64, limit: u64) -> u64 {
    if value < limit { value } else { 0 }
}

/// A whole number without a sign.
#[inline(always)]
pub(super) fn whole(value: u64) -> Option<Digits> {
    whole_after_zero(value, false)
}

/// The same with a zero before it where `zero` says so; then it must have fewer than 16 digits.
#[inline(always)]
pub(super) fn whole_after_zero(value: u64, zero: bool) -> Option<Digits> {
    let digits = sixteen(below(value, SIXTEEN_DIGITS));
    let skip = (digits | (1 << 120)).trailing_zeros() / 8;
    let digits = from(digits | ZEROS, skip - u32::from(zero & (skip > 0)));
    if value < SIXTEEN_DIGITS { Some(digits) } else { None }
}

/// Where the point of decimals of one scale is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    /// The bytes before the point, after it, and the point.
    before: u128,
    after: u128,
    point: u128,
    /// The digit before the point, which is written even where it is zero.
    units: u128,
}

impl Point {
    /// Of decimals with `scale` digits after the point; `None` where a word does not hold them.
    pub(super) fn at(scale: i8) -> Option<Self> {
        let after = u32::try_from(scale).ok().filter(|after| (1..=14).contains(after))?;
        let at = 8 * (15 - after);
        Some(Self { before: (1 << at) - 1, after: !0 << (at + 8), point: u128::from(b'.') << at, units: 1 << (at - 8) })
    }
}

/// A decimal without a sign: `value` has its digits, `point` its scale.
#[inline(always)]
pub(super) fn decimal(value: u64, point: &Point) -> Option<Digits> {
    let digits = sixteen(below(value, FIFTEEN_DIGITS));
    // The first of the sixteen is zero: what is before the point moves into its place.
    let (before, after) = ((digits >> 8) & point.before, digits & point.after);
    let skip = (before | point.units).trailing_zeros() / 8;
    let text = ((before | ZEROS) & point.before) | point.point | ((after | ZEROS) & point.after);
    let digits = from(text, skip);
    if value < FIFTEEN_DIGITS { Some(digits) } else { None }
}

/// A double without its sign that is a decimal of two places: its shortest digits are these.
///
/// `x` is the double nearest to `cents / 100`, since IEEE division rounds to the nearest; and of decimals with at most 15
/// digits no two have the same double. So a shorter text that stands for `x` would be this one.
#[inline(always)]
pub(super) fn cents(value: f64, point: &Point) -> Option<Digits> {
    let cents = (value * 100.0 + 0.5) as i64;
    let same = cents as f64 / 100.0 == value;
    let Digits { text, len } = decimal(cents.cast_unsigned(), point)?;
    let ends_in_zero = usize::from(cents.cast_unsigned().is_multiple_of(10));
    if same { Some(Digits { text, len: len - ends_in_zero }) } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(digits: Digits) -> String {
        String::from_utf8(digits.text.to_le_bytes()[..digits.len].to_vec()).expect("digits")
    }

    /// Numbers of every length alike.
    fn numbers() -> impl Strategy<Value = u64> {
        (0..64u32, any::<u64>()).prop_map(|(shift, bits)| bits >> shift)
    }

    fn is_whole(value: u64) {
        assert_eq!(whole(value).map(text), (value < SIXTEEN_DIGITS).then(|| value.to_string()));
        if value < SIXTEEN_DIGITS / 10 {
            assert_eq!(whole_after_zero(value, true).map(text), Some(format!("0{value}")));
        }
    }

    fn is_decimal(value: u64, scale: i8) {
        let found = decimal(value, &Point::at(scale).expect("a scale")).map(text);
        let mut expected = Vec::new();
        super::super::cell::decimal(&mut expected, &value.to_string(), scale);
        assert_eq!(found, (value < FIFTEEN_DIGITS).then(|| String::from_utf8(expected).expect("digits")));
    }

    fn is_shortest(value: f64) {
        if let Some(digits) = cents(value, &Point::at(2).expect("a scale")) {
            assert_eq!(text(digits), zmij::Buffer::new().format_finite(value));
        }
    }

    #[test]
    fn numbers_at_the_edges_are_written_as_the_standard_library_writes_them() {
        for power in 0..20 {
            for value in [10u64.pow(power) - 1, 10u64.pow(power), 10u64.pow(power) + 1, u64::MAX >> power] {
                is_whole(value);
                (1..=14).for_each(|scale| is_decimal(value, scale));
                [0.01, 0.1, 1.0, 100.0].into_iter().for_each(|unit| is_shortest(value as f64 * unit));
            }
        }
        (0..100_000).for_each(|cents| is_shortest(f64::from(cents) / 100.0));
    }

    #[test]
    fn a_price_is_one_of_the_many_and_full_precision_is_not() {
        let point = Point::at(2).expect("a scale");
        for value in [0.0, 0.01, 0.1, 1.0, 19.99, 1234.5, 9_999_999_999_999.98] {
            assert!(cents(value, &point).is_some(), "{value}");
        }
        for value in [f64::NAN, f64::INFINITY, 1e-5, 0.1 + 0.2, 1.0 / 3.0, 1e13, 1e300, f64::MIN_POSITIVE] {
            assert!(cents(value, &point).is_none(), "{value}");
        }
    }

    proptest! {
        #[test]
        fn random_numbers_are_written_as_the_standard_library_writes_them(value in numbers(), scale in 1..=14i8, bits: u64) {
            is_whole(value);
            is_decimal(value, scale);
            is_shortest(value as f64 / 100.0);
            is_shortest(f64::from_bits(bits >> 1));
        }
    }
}
