//! The loop over a block's rows whose values are numbers, and what makes digits of each kind of number.
//!
//! In: the values of a column, and the strips of a [`Block`]. Out: the strips, and one bit for each row that is not common: a number
//! of many digits. It is one of the [`super::loops`], and as safe as they are.

use super::block::Block;
use super::digits::{self, Digits, Point};
use super::kernel::Loop;
use super::loops::Key;
use super::reject::EPOCH_SECONDS_MAX;
use super::value::LIKE_A_CALENDAR_DATE;

/// Numbers: what `digits` says of each, a minus before it where it says so, and `AFTER` behind it, if that is not 0.
pub(super) struct Numbers<'a, T, W, D, const K: usize, const AFTER: u8> {
    pub(super) block: &'a mut Block,
    pub(super) key: Key<K>,
    pub(super) values: &'a [T],
    pub(super) valid: u64,
    pub(super) with: W,
    /// A function and no closure, since only a function can be told to be inlined.
    pub(super) digits: D,
}

impl<T: Copy, W: Copy, D: Fn(T, W) -> (bool, Option<Digits>), const K: usize, const AFTER: u8> Loop for Numbers<'_, T, W, D, K, AFTER> {
    type Found = u64;

    #[inline(always)]
    fn run(self) -> u64 {
        let Self { block, key, values, valid, with, digits } = self;
        let room = key.room(18);
        let mut hard = 0;
        let (mut strips, ends) = block.strips();
        for (at, (end, value)) in ends.iter_mut().zip(values).enumerate() {
            let Some(strip) = strips.next() else { break };
            let (minus, digits) = digits(*value, with);
            let Some(space) = strip.get_mut(*end..*end + room) else {
                hard |= 1 << at;
                continue;
            };
            let easy = digits.is_some();
            let Digits { text, len } = digits.unwrap_or(Digits { text: 0, len: 0 });
            key.copy(space);
            space[key.len] = b'-';
            let start = key.len + usize::from(minus);
            space[start..start + 16].copy_from_slice(&text.to_le_bytes());
            if AFTER != 0 {
                space[start + len] = AFTER;
            }
            hard |= u64::from(!easy) << at;
            *end += if valid >> at & 1 == 1 && easy { start + len + usize::from(AFTER != 0) } else { 0 };
        }
        hard & valid
    }
}

#[inline(always)]
pub(super) fn signed(value: i64, (): ()) -> (bool, Option<Digits>) {
    (value < 0, digits::whole(value.unsigned_abs()))
}

#[inline(always)]
pub(super) fn unsigned(value: u64, (): ()) -> (bool, Option<Digits>) {
    (false, digits::whole(value))
}

/// The instant of a record.
#[inline(always)]
pub(super) fn seconds(value: i64, (): ()) -> (bool, Option<Digits>) {
    let digits = digits::whole(value.unsigned_abs());
    (value < 0, if value <= EPOCH_SECONDS_MAX { digits } else { None })
}

#[inline(always)]
pub(super) fn date(value: i64, (): ()) -> (bool, Option<Digits>) {
    (value < 0, digits::whole_after_zero(value.unsigned_abs(), LIKE_A_CALENDAR_DATE.contains(&value)))
}

#[inline(always)]
pub(super) fn decimal128(value: i128, point: Point) -> (bool, Option<Digits>) {
    let digits = value.unsigned_abs();
    (value < 0, digits::decimal(if digits >> 64 == 0 { digits as u64 } else { u64::MAX }, &point))
}

#[inline(always)]
pub(super) fn decimal64(value: i64, point: Point) -> (bool, Option<Digits>) {
    (value < 0, digits::decimal(value.unsigned_abs(), &point))
}

#[inline(always)]
pub(super) fn decimal32(value: i32, point: Point) -> (bool, Option<Digits>) {
    (value < 0, digits::decimal(value.unsigned_abs().into(), &point))
}

#[inline(always)]
pub(super) fn cents(value: f64, point: Point) -> (bool, Option<Digits>) {
    (value.is_sign_negative(), digits::cents(value.abs(), &point))
}
