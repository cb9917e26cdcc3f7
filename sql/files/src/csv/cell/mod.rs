//! What one cell is. One file a kind; both passes ask the same functions, so that they cannot differ.
//!
//! In: the bytes of a cell. Out: its value, if the value comes back as the same text; of instants, if it is sure.

pub(crate) mod boolean;
pub(crate) mod number;
pub(crate) mod text;
pub(crate) mod time;

const ONES: u64 = u64::MAX / 0xff;
const TOPS: u64 = ONES << 7;

/// Eight bytes of the buffer, the first the lowest. The buffer has them behind every cell.
#[inline(always)]
fn word(data: &[u8], at: usize) -> u64 {
    data.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// The topmost bit of each byte that is no digit.
#[inline(always)]
fn non_digits(word: u64) -> u64 {
    let word = word ^ (ONES * u64::from(b'0'));
    (((word & !TOPS) + ONES * (0x80 - 10)) | word) & TOPS
}

/// The number of eight digits; fewer stand behind zeros.
#[inline(always)]
fn eight_digits(word: u64) -> u64 {
    let pairs = (word & 0x0f0f_0f0f_0f0f_0f0f).wrapping_mul(2561) >> 8;
    let fours = (pairs & 0x00ff_00ff_00ff_00ff).wrapping_mul(6_553_601) >> 16;
    (fours & 0x0000_ffff_0000_ffff).wrapping_mul(42_949_672_960_001) >> 32
}

#[cfg(test)]
fn padded(text: &str) -> Vec<u8> {
    let mut data = text.as_bytes().to_vec();
    data.resize(text.len() + super::mask::BLOCK, b'7');
    data
}
