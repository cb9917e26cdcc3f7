//! Formats the numbers of a block at once, sixteen digits each, without a branch on the number of digits.
//!
//! In: unsigned numbers. Out: [`Texts`], sixteen bytes per number laid out by a [`Form`], and how many of these bytes count. Safe and
//! portable: loops over arrays of fixed size, with independent rows and 32-bit steps, so that the compiler vectorizes them.

use super::block::ROWS_MAX;

/// The smallest number of 17 digits.
pub(super) const SIXTEEN_DIGITS: u64 = 10_000_000_000_000_000;
/// The smallest number of 16 digits: with its point, a decimal of 15 digits has 16 bytes.
pub(super) const FIFTEEN_DIGITS: u64 = 1_000_000_000_000_000;

/// Bytes per number.
pub(super) const WIDTH: usize = 16;

/// One value per row.
type Rows = [u32; ROWS_MAX];

/// `0` in each byte.
const ZEROS: u128 = 0x3030_3030_3030_3030_3030_3030_3030_3030;

/// Where the digits of a number are in its sixteen bytes, first byte lowest: for integers, or for decimals of one scale.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    /// Mask of the digits before the point, which move one byte to the front to make room for it.
    before: [u32; 4],
    /// Mask of the digits that stay.
    after: [u32; 4],
    /// ASCII zero in each byte, except for the point.
    fixed: [u32; 4],
    /// Minimum number of digits, zeros included.
    least: u32,
    /// Length of the point: 0 or 1.
    point: u32,
}

/// A 128-bit word as four 32-bit words.
const fn quarters(word: u128) -> [u32; 4] {
    [word as u32, (word >> 32) as u32, (word >> 64) as u32, (word >> 96) as u32]
}

impl Form {
    /// Integers.
    pub(super) const INTEGER: Self = Self { before: quarters(0), after: quarters(u128::MAX), fixed: quarters(ZEROS), least: 1, point: 0 };

    /// Decimals with `scale` digits after the point; `None` if sixteen bytes do not hold them.
    pub(super) fn point(scale: i8) -> Option<Self> {
        let after = u32::try_from(scale).ok().filter(|after| (1..=14).contains(after))?;
        let at = 8 * (15 - after);
        let point = u128::from(b'0' ^ b'.') << at;
        Some(Self {
            before: quarters((1 << at) - 1),
            after: quarters(u128::MAX << (at + 8)),
            fixed: quarters(ZEROS ^ point),
            least: after + 1,
            point: 1,
        })
    }
}

/// The numbers of a block as text, right-aligned, and padding so that a chunk may be read from any position.
pub(super) type Texts = [u8; WIDTH * (ROWS_MAX + 1)];

/// Formats `numbers`, each of at most 16 digits, or 15 and a point. Returns the texts and their lengths.
#[inline(always)]
pub(super) fn texts(numbers: &[u64; ROWS_MAX], form: &Form) -> (Texts, Rows) {
    let (mut first, mut last): (Rows, Rows) = ([0; ROWS_MAX], [0; ROWS_MAX]);
    // Most columns hold either short or long numbers throughout, so this branch predicts well.
    let long = numbers.iter().fold(0, |all, number| all | number) >= EIGHT;
    if long {
        for ((first, last), number) in first.iter_mut().zip(&mut last).zip(numbers) {
            *first = (number / EIGHT) as u32;
            *last = (number % EIGHT) as u32;
        }
    } else {
        for (last, number) in last.iter_mut().zip(numbers) {
            *last = *number as u32;
        }
    }
    let lens = lens(&first, &last, form);
    let (a, b) = if long { eight(&first) } else { ([0; ROWS_MAX], [0; ROWS_MAX]) };
    let (c, d) = eight(&last);
    let Form { before, after, fixed, .. } = form;
    let mut texts = [0; WIDTH * (ROWS_MAX + 1)];
    for (text, ((a, b), (c, d))) in texts.as_chunks_mut::<WIDTH>().0.iter_mut().zip(a.iter().zip(&b).zip(c.iter().zip(&d))) {
        let moved = [a >> 8 | b << 24, b >> 8 | c << 24, c >> 8 | d << 24, d >> 8];
        for (at, (moved, stays)) in moved.into_iter().zip([a, b, c, d]).enumerate() {
            let quarter = (moved & before[at]) | (stays & after[at]) | fixed[at];
            text[4 * at..4 * at + 4].copy_from_slice(&quarter.to_le_bytes());
        }
    }
    (texts, lens)
}

/// The smallest number of nine digits.
const EIGHT: u64 = 100_000_000;

/// Text lengths of numbers, given their first eight digits and their last eight.
#[inline(always)]
fn lens(first: &Rows, last: &Rows, form: &Form) -> Rows {
    let mut lens = [0; ROWS_MAX];
    for ((len, first), last) in lens.iter_mut().zip(first).zip(last) {
        // Signed comparison: more processors have it as a vector instruction.
        let digits = |value: u32| {
            let at_least = |power: i32| u32::from(value.cast_signed() >= power);
            at_least(1)
                + at_least(10)
                + at_least(100)
                + at_least(1_000)
                + at_least(10_000)
                + at_least(100_000)
                + at_least(1_000_000)
                + at_least(10_000_000)
        };
        let (more, few) = (digits(*first), digits(*last));
        *len = (if more > 0 { 8 + more } else { few }).max(form.least) + form.point;
    }
    lens
}

/// The first four digits and the last four of numbers below 10^8.
#[inline(always)]
fn eight(values: &Rows) -> (Rows, Rows) {
    let (mut first, mut last) = ([0; ROWS_MAX], [0; ROWS_MAX]);
    for ((first, last), value) in first.iter_mut().zip(&mut last).zip(values) {
        let first_four = value / 10_000;
        *first = four(first_four);
        *last = four(value - 10_000 * first_four);
    }
    (first, last)
}

/// The four digits of a number below 10,000, the first in the lowest byte: split into two pairs, then each pair into two digits.
#[inline(always)]
fn four(value: u32) -> u32 {
    // 2^19 / 100 and 2^10 / 10, rounded up.
    let first = (value * 5_243) >> 19;
    let pairs = first | (value - 100 * first) << 16;
    let tens = ((pairs * 103) >> 10) & 0x000f_000f;
    tens | (pairs - 10 * tens) << 8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(number: u64, form: &Form) -> String {
        let mut numbers = [0; ROWS_MAX];
        numbers[7] = number;
        let (texts, lens) = texts(&numbers, form);
        let text = &texts.as_chunks::<WIDTH>().0[7];
        String::from_utf8(text[WIDTH - lens[7] as usize..].to_vec()).expect("digits")
    }

    /// Numbers of all lengths with equal probability.
    fn numbers() -> impl Strategy<Value = u64> {
        (0..64u32, any::<u64>()).prop_map(|(shift, bits)| bits >> shift)
    }

    fn check_integer(value: u64) {
        if value < SIXTEEN_DIGITS {
            assert_eq!(text(value, &Form::INTEGER), value.to_string());
        }
    }

    fn check_decimal(value: u64, scale: i8) {
        if value < FIFTEEN_DIGITS {
            let mut expected = Vec::new();
            super::super::cell::decimal(&mut expected, &value.to_string(), scale);
            assert_eq!(text(value, &Form::point(scale).expect("a scale")).into_bytes(), expected);
        }
    }

    #[test]
    fn numbers_at_the_edges_are_written_as_the_standard_library_writes_them() {
        for power in 0..20 {
            for value in [10u64.pow(power) - 1, 10u64.pow(power), 10u64.pow(power) + 1, u64::MAX >> power] {
                check_integer(value);
                (1..=14).for_each(|scale| check_decimal(value, scale));
            }
        }
    }

    #[test]
    fn every_number_of_four_digits_has_its_four_digits() {
        for value in 0..10_000 {
            assert_eq!(four(value) | 0x3030_3030, u32::from_le_bytes(*format!("{value:04}").as_bytes().first_chunk().expect("four")));
        }
    }

    proptest! {
        #[test]
        fn random_numbers_are_written_as_the_standard_library_writes_them(value in numbers(), scale in 1..=14i8) {
            check_integer(value);
            check_decimal(value, scale);
        }
    }
}
