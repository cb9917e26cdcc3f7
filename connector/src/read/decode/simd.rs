//! Where strings stop and digits end, 32 bytes at a time: on any machine, and faster where it has AVX2.
//!
//! [`CpuFeatures`] is what this machine can do, found when a decoder is made; [`Lanes::run`] runs code that is compiled for it. Inside, loads and comparisons are the compiler's business: everything here is inlined into the walk.

#[cfg(target_arch = "x86_64")]
use crate::cpu::Avx2;

/// What the machine can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CpuFeatures {
    /// What any machine can.
    Words,
    /// AVX2 and BMI.
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
}

impl CpuFeatures {
    /// The most that this machine can.
    pub(super) fn most() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = Avx2::detect() {
            return Self::Avx2(avx2);
        }
        Self::Words
    }
}

/// Kernel for [`Lanes::run`]. Not a closure, because a closure may be compiled on its own, for any machine.
pub(super) trait Kernel {
    /// What comes out.
    type Done;

    /// Does it; to be inlined always.
    fn work(self) -> Self::Done;
}

/// How 32 bytes are looked at. A value of the type is the proof that the machine can.
pub(super) trait Lanes: Copy {
    /// Does the work in code that is compiled for what the machine can.
    fn run<W: Kernel>(self, work: W) -> W::Done;
    /// The bytes that end or break a string, a bit each: quotes, backslashes, control characters.
    fn stops(self, chunk: &[u8; 32]) -> u32;
    /// The bytes that are no digits, a bit each.
    fn others(self, chunk: &[u8; 32]) -> u32;
    /// Whether the first `len` bytes are those of `key`; `len` is 32 at most.
    fn matches(self, chunk: &[u8; 32], key: &[u8; 32], len: u32) -> bool;
}

/// Eight bytes at a time in a plain integer, on any machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words;

const ONES: u64 = u64::MAX / 0xff;
const TOPS: u64 = ONES << 7;

/// A bit for each byte, from a word with the top bits of the marked ones.
#[inline(always)]
fn marks(chunk: &[u8; 32], mark: impl Fn(u64) -> u64) -> u32 {
    let mut bits = 0;
    for bytes in chunk.as_chunks::<8>().0.iter().rev() {
        // The product gathers the eight top bits in the top byte.
        let gathered = (mark(u64::from_le_bytes(*bytes)) >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        bits = bits << 8 | gathered as u32;
    }
    bits
}

impl Lanes for Words {
    #[inline(always)]
    fn run<W: Kernel>(self, work: W) -> W::Done {
        work.work()
    }

    #[inline(always)]
    fn stops(self, chunk: &[u8; 32]) -> u32 {
        marks(chunk, |word| {
            // A byte without its top bit comes over it if it is not zero, or not below ' '.
            let is_other = |word: u64, least: u8| ((word & !TOPS) + ONES * u64::from(0x80 - least)) | word;
            let quote = is_other(word ^ (ONES * u64::from(b'"')), 1);
            let backslash = is_other(word ^ (ONES * u64::from(b'\\')), 1);
            !(quote & backslash & is_other(word, b' ')) & TOPS
        })
    }

    #[inline(always)]
    fn others(self, chunk: &[u8; 32]) -> u32 {
        // '0' to '9' become 0 to 9 and only they stay below 10, with the top bit kept out of the sum.
        marks(chunk, |word| {
            let word = word ^ (ONES * u64::from(b'0'));
            (((word & !TOPS) + ONES * (0x80 - 10)) | word) & TOPS
        })
    }

    #[inline(always)]
    fn matches(self, chunk: &[u8; 32], key: &[u8; 32], len: u32) -> bool {
        let mut left = len;
        for (bytes, key) in chunk.as_chunks::<8>().0.iter().zip(key.as_chunks::<8>().0) {
            let differs = u64::from_le_bytes(*bytes) ^ u64::from_le_bytes(*key);
            if left <= 8 {
                return left == 0 || differs << (64 - 8 * left) == 0;
            }
            if differs != 0 {
                return false;
            }
            left -= 8;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    /// Bytes of which each way must say the same as a look at one after the other.
    fn agree(chunk: &[u8; 32], key: &[u8; 32], lanes: impl Lanes) {
        let bits = |marked: fn(u8) -> bool| (0..32).fold(0, |bits, at| bits | u32::from(marked(chunk[at])) << at);
        assert_eq!(lanes.stops(chunk), bits(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)), "{chunk:?}");
        assert_eq!(lanes.others(chunk), bits(|byte| !byte.is_ascii_digit()), "{chunk:?}");
        for len in 0..=32 {
            assert_eq!(lanes.matches(chunk, key, len as u32), chunk[..len] == key[..len], "{len} of {chunk:?} and {key:?}");
        }
    }

    #[test]
    fn each_way_sees_what_a_look_at_each_byte_sees() {
        let mut rng = StdRng::seed_from_u64(5);
        for _ in 0..if cfg!(miri) { 20 } else { 5_000 } {
            let mut chunk: [u8; 32] = rng.random();
            chunk[rng.random_range(0..32)] = b"\"\\\0\x1f 09/:\x7f\x80\xa2\xff"[rng.random_range(0..13)];
            let mut key = chunk;
            key[rng.random_range(0..32)] = rng.random();
            agree(&chunk, &key, Words);
            #[cfg(target_arch = "x86_64")]
            if let CpuFeatures::Avx2(avx2) = CpuFeatures::most() {
                agree(&chunk, &key, avx2);
            }
        }
        let digits: [u8; 32] = std::array::from_fn(|at| b'0' + (at % 10) as u8);
        agree(&digits, &digits, Words);
    }
}
