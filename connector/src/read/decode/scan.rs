//! Where a string or a run of digits ends, 32 bytes at a time.

/// How 32 bytes are looked at.
pub(super) trait Lanes: Copy {
    /// The first byte that ends or breaks a string: a quote, a backslash, a control character; 32 if there is none.
    fn stop(chunk: &[u8; 32]) -> usize;
    /// How many digits the bytes begin with.
    fn digits(chunk: &[u8; 32]) -> usize;
}

/// Eight bytes at a time in a plain integer, on any machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words;

const ONES: u64 = u64::MAX / 0xff;
const TOPS: u64 = ONES << 7;

/// The top bit of each byte that is zero; exact up to and with the lowest of them.
#[inline(always)]
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & TOPS
}

#[inline(always)]
fn first(chunk: &[u8; 32], mark: impl Fn(u64) -> u64) -> usize {
    for (at, bytes) in chunk.as_chunks::<8>().0.iter().enumerate() {
        let marks = mark(u64::from_le_bytes(*bytes));
        if marks != 0 {
            return at * 8 + (marks.trailing_zeros() >> 3) as usize;
        }
    }
    32
}

impl Lanes for Words {
    #[inline(always)]
    fn stop(chunk: &[u8; 32]) -> usize {
        first(chunk, |word| {
            let control = word.wrapping_sub(ONES * 0x20) & !word & TOPS;
            zeros(word ^ (ONES * u64::from(b'"'))) | zeros(word ^ (ONES * u64::from(b'\\'))) | control
        })
    }

    #[inline(always)]
    fn digits(chunk: &[u8; 32]) -> usize {
        // '0' to '9' become 0 to 9 and only they stay below 10, with the top bit kept out of the sum.
        first(chunk, |word| {
            let word = word ^ (ONES * u64::from(b'0'));
            (((word & !TOPS) + ONES * (0x80 - 10)) | word) & TOPS
        })
    }
}
