//! The kernel for columns of numbers, and what it writes for each kind of number.
//!
//! In: the values of a column and the strips of a [`Block`]. Out: the strips, and one bit per row that this kernel does not write: a
//! number of many digits. It is one of the [`super::kernels`], and as safe. First all numbers become digits, without a branch and
//! without a store that the next row waits for; then the digits are copied to the strips.

use super::avx2::Loop;
use super::block::{Block, ROWS_MAX};
use super::digits::{FIFTEEN_DIGITS, Form, SIXTEEN_DIGITS, WIDTH, texts};
use super::kernels::Key;
use super::reject::EPOCH_SECONDS_MAX;
use super::time::{is_a_day_as_seconds, may_be_a_calendar_day};
use super::value::LIKE_A_CALENDAR_DATE;

/// Numbers of one [`Form`], with a minus if negative, and `AFTER` behind each unless it is 0. If `TRIMMED`, a trailing zero is left
/// out.
pub(super) struct Numbers<'a, T, P, const K: usize, const AFTER: u8, const TRIMMED: bool> {
    pub(super) block: &'a mut Block,
    pub(super) key: Key<K>,
    pub(super) values: &'a [T],
    pub(super) valid: u64,
    pub(super) form: Form,
    /// A function, not a closure, since only a function can be marked `#[inline(always)]`.
    pub(super) part: P,
}

/// A number, taken apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts {
    /// Its digits; 0 if this kernel does not write it.
    digits: u64,
    /// [`MINUS`], [`COMMON`] and [`ZERO_FIRST`].
    flags: u32,
}

const MINUS: u32 = 1;
/// This kernel writes the number: it has few enough digits and is in range.
const COMMON: u32 = 2;
/// A leading zero is written, which takes the place of a digit.
const ZERO_FIRST: u32 = 4;

impl<T: Copy, P: Fn(T) -> Parts, const K: usize, const AFTER: u8, const TRIMMED: bool> Loop for Numbers<'_, T, P, K, AFTER, TRIMMED> {
    type Output = u64;

    #[inline(always)]
    fn run(self) -> u64 {
        let Self { block, key, values, valid, form, part } = self;
        let (mut digits, mut flags) = ([0; ROWS_MAX], [0; ROWS_MAX]);
        for ((digits, flags), value) in digits.iter_mut().zip(&mut flags).zip(values) {
            let parts = part(*value);
            (*digits, *flags) = (parts.digits, parts.flags);
        }
        let (texts, mut lens) = texts(&digits, &form);
        // Start of the text of each row.
        let mut begins = [0; ROWS_MAX];
        for (at, ((begin, len), flags)) in begins.iter_mut().zip(&mut lens).zip(&flags).enumerate() {
            *len += u32::from(flags & ZERO_FIRST != 0);
            *begin = (WIDTH * (at + 1)) as u32 - *len;
        }
        if TRIMMED {
            for (len, text) in lens.iter_mut().zip(texts.as_chunks::<WIDTH>().0) {
                *len -= u32::from(text[WIDTH - 1] == b'0');
            }
        }
        let key_len = key.len();
        let mut slow = 0;
        let (mut strips, ends) = block.strips();
        for (at, (end, ((from, len), flags))) in ends.iter_mut().zip(begins.iter().zip(&lens).zip(&flags)).enumerate() {
            let Some(strip) = strips.next() else { break };
            let (Some(space), Some(text)) = (strip.get_mut(*end..*end + K + WIDTH + 2), texts.get(*from as usize..*from as usize + WIDTH))
            else {
                slow |= 1 << at;
                continue;
            };
            let len = (*len as usize) & (2 * WIDTH - 1);
            key.copy(space);
            space[key_len] = b'-';
            let start = key_len + (flags & MINUS) as usize;
            space[start..start + WIDTH].copy_from_slice(text);
            if AFTER != 0 {
                space[start + len.min(WIDTH)] = AFTER;
            }
            let fast = flags & COMMON;
            slow |= u64::from(fast == 0) << at;
            let more = start + len + usize::from(AFTER != 0);
            *end += if (valid >> at) & 1 & u64::from(fast >> 1) != 0 { more } else { 0 };
        }
        slow & valid
    }
}

/// The parts of a number, which is common if its digits are below `limit`.
#[inline(always)]
fn parts(digits: u64, minus: bool, limit: u64) -> Parts {
    let common = digits < limit;
    Parts { digits: if common { digits } else { 0 }, flags: if minus { MINUS } else { 0 } | if common { COMMON } else { 0 } }
}

#[inline(always)]
pub(super) fn signed(value: i64) -> Parts {
    parts(value.unsigned_abs(), value < 0, SIXTEEN_DIGITS)
}

#[inline(always)]
pub(super) fn unsigned(value: u64) -> Parts {
    parts(value, false, SIXTEEN_DIGITS)
}

/// The instant of a record, in epoch seconds of at most ten digits.
#[inline(always)]
pub(super) fn seconds(value: i64) -> Parts {
    signed(if value <= EPOCH_SECONDS_MAX && !is_a_day_as_seconds(value) { value } else { i64::MAX })
}

/// The same of a whole number, which may be a day of the calendar: that is left to the cell writer.
#[inline(always)]
pub(super) fn whole_seconds(value: i64) -> Parts {
    signed(if value <= EPOCH_SECONDS_MAX && !may_be_a_calendar_day(value) { value } else { i64::MAX })
}

#[inline(always)]
pub(super) fn date(value: i64) -> Parts {
    let Parts { digits, flags } = signed(value);
    Parts { digits, flags: flags | if LIKE_A_CALENDAR_DATE.contains(&value) { ZERO_FIRST } else { 0 } }
}

#[inline(always)]
pub(super) fn decimal128(value: i128) -> Parts {
    let digits = value.unsigned_abs();
    parts(if digits >> 64 == 0 { digits as u64 } else { u64::MAX }, value < 0, FIFTEEN_DIGITS)
}

#[inline(always)]
pub(super) fn decimal64(value: i64) -> Parts {
    parts(value.unsigned_abs(), value < 0, FIFTEEN_DIGITS)
}

#[inline(always)]
pub(super) fn decimal32(value: i32) -> Parts {
    parts(value.unsigned_abs().into(), value < 0, FIFTEEN_DIGITS)
}

/// 2^52: adding it rounds a double to an integer, which is then in the low bits.
const ROUNDS: f64 = 4_503_599_627_370_496.0;

/// A double that is a decimal of two places; then these are its shortest digits.
///
/// `x` is the double nearest to `cents / 100`, since IEEE division rounds to the nearest. No two decimals of at most 15 digits have
/// the same double. So a shorter text for `x` could only be this one without its trailing zero.
#[inline(always)]
pub(super) fn cents(value: f64) -> Parts {
    let shifted = value.abs() * 100.0 + ROUNDS;
    let cents = shifted - ROUNDS;
    let common = (cents / 100.0 == value.abs()) & (cents < FIFTEEN_DIGITS as f64);
    let digits = shifted.to_bits() ^ ROUNDS.to_bits();
    let minus = (value.to_bits() >> 63) as u32;
    Parts { digits: if common { digits } else { 0 }, flags: (minus * MINUS) | if common { COMMON } else { 0 } }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the kernel writes for a double, if it does.
    fn written(value: f64) -> Option<String> {
        let Parts { digits, flags } = cents(value);
        let form = Form::point(2).expect("a scale");
        let (texts, lens) = texts(&[digits; ROWS_MAX], &form);
        let text = std::str::from_utf8(&texts[WIDTH - lens[0] as usize..WIDTH]).expect("digits");
        let minus = if flags & MINUS == 0 { "" } else { "-" };
        (flags & COMMON != 0).then(|| format!("{minus}{}", text.strip_suffix('0').unwrap_or(text)))
    }

    fn check_shortest(value: f64) {
        if let Some(text) = written(value) {
            assert_eq!(text, zmij::Buffer::new().format_finite(value));
        }
    }

    #[test]
    fn the_kernel_writes_prices_and_leaves_doubles_of_full_precision() {
        for value in [0.0, -0.0, 0.01, -0.1, 1.0, 19.99, 1234.5, 9_999_999_999_999.98] {
            assert!(written(value).is_some(), "{value}");
        }
        for value in [f64::NAN, f64::INFINITY, 1e-5, 0.1 + 0.2, 1.0 / 3.0, 1e13, 1e14, 1e300, f64::MIN_POSITIVE] {
            assert!(written(value).is_none(), "{value}");
        }
        (-100_000..100_000).for_each(|cents| check_shortest(f64::from(cents) / 100.0));
        for power in 0..20 {
            for value in [10u64.pow(power) - 1, 10u64.pow(power), 10u64.pow(power) + 1, u64::MAX >> power] {
                [0.01, 0.1, 1.0, -100.0].into_iter().for_each(|unit| check_shortest(value as f64 * unit));
            }
        }
    }

    proptest! {
        #[test]
        fn random_doubles_are_written_with_their_shortest_digits(bits: u64, shift in 0..64u32) {
            check_shortest((bits >> shift) as f64 / 100.0);
            check_shortest(f64::from_bits(bits));
        }
    }
}
