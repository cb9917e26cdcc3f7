//! Numbers as digits, without a branch on how many they are: those of a block at once, sixteen digits each.
//!
//! In: numbers without signs. Out: [`Texts`], sixteen bytes a number with what a [`Form`] puts between its digits, and how many of
//! these bytes count. Safe and portable: loops over arrays of a fixed size, whose rows do not wait for each other and have 32 bits
//! for each step, so that a compiler makes vectors of them.

use super::block::ROWS_MAX;

/// The first number that has 17 digits.
pub(super) const SIXTEEN_DIGITS: u64 = 10_000_000_000_000_000;
/// The first number that has 16 digits: with its point, a decimal has 16 bytes.
pub(super) const FIFTEEN_DIGITS: u64 = 1_000_000_000_000_000;

/// Bytes of a number.
pub(super) const WIDTH: usize = 16;

/// Something of each row.
type Rows = [u32; ROWS_MAX];

/// `0` in each byte.
const ZEROS: u128 = 0x3030_3030_3030_3030_3030_3030_3030_3030;

/// How the digits of numbers stand in their sixteen bytes, the first byte lowest: of whole numbers, of decimals of one scale.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    /// Where the digits before a point are: a byte further to the front, since the point takes one.
    before: [u32; 4],
    /// Where digits stay.
    after: [u32; 4],
    /// A zero in each byte, but for the point.
    fixed: [u32; 4],
    /// Digits that are written even where they are zeros.
    least: u32,
    /// Bytes of the point.
    point: u32,
}

/// A word of sixteen bytes as four.
const fn quarters(word: u128) -> [u32; 4] {
    [word as u32, (word >> 32) as u32, (word >> 64) as u32, (word >> 96) as u32]
}

impl Form {
    /// Of whole numbers.
    pub(super) const WHOLE: Self = Self { before: quarters(0), after: quarters(u128::MAX), fixed: quarters(ZEROS), least: 1, point: 0 };

    /// Of decimals with `scale` digits after the point; `None` where sixteen bytes do not hold them.
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

/// The numbers of a block as text, each at the end of its bytes, and room behind the last for a piece of as many bytes.
pub(super) type Texts = [u8; WIDTH * (ROWS_MAX + 1)];

/// The digits of `numbers`, each of which has at most 16, or 15 and a point, and how many bytes they take.
#[inline(always)]
pub(super) fn texts(numbers: &[u64; ROWS_MAX], form: &Form) -> (Texts, Rows) {
    let (mut first, mut last): (Rows, Rows) = ([0; ROWS_MAX], [0; ROWS_MAX]);
    // What one block of a column has no need of, its others seldom have.
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

/// The first number that has nine digits.
const EIGHT: u64 = 100_000_000;

/// The bytes of numbers, of which these are the first eight digits and the last eight.
#[inline(always)]
fn lens(first: &Rows, last: &Rows, form: &Form) -> Rows {
    let mut lens = [0; ROWS_MAX];
    for ((len, first), last) in lens.iter_mut().zip(first).zip(last) {
        // Compared as numbers that have a sign, which more processors compare many of at once.
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
        let thousands = value / 10_000;
        *first = four(thousands);
        *last = four(value - 10_000 * thousands);
    }
    (first, last)
}

/// The four digits of a number below 10,000, the first in the lowest byte: two pairs, then two digits of each pair.
#[inline(always)]
fn four(value: u32) -> u32 {
    // 2^19 / 100 and a little; 2^10 / 10 and a little.
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

    /// Numbers of every length alike.
    fn numbers() -> impl Strategy<Value = u64> {
        (0..64u32, any::<u64>()).prop_map(|(shift, bits)| bits >> shift)
    }

    fn is_whole(value: u64) {
        if value < SIXTEEN_DIGITS {
            assert_eq!(text(value, &Form::WHOLE), value.to_string());
        }
    }

    fn is_decimal(value: u64, scale: i8) {
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
                is_whole(value);
                (1..=14).for_each(|scale| is_decimal(value, scale));
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
            is_whole(value);
            is_decimal(value, scale);
        }
    }
}
