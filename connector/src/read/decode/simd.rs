//! Finds where strings and digits end, 32 bytes at a time: in portable code, and faster with AVX2.
//!
//! In: 32 bytes. Out: a bit for each byte. [`CpuFeatures`] is detected when a decoder is created; [`Lanes::run`] runs a kernel that is
//! compiled for these features. Everything here is inlined into the kernels, so that the check of the CPU is made once per kernel and not
//! once per 32 bytes.

#[cfg(target_arch = "x86_64")]
use crate::cpu::Avx2;

/// The instruction set to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CpuFeatures {
    /// Portable code.
    Words,
    /// AVX2 and BMI.
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
}

impl CpuFeatures {
    /// The fastest instruction set of this CPU.
    pub(super) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = Avx2::detect() {
            return Self::Avx2(avx2);
        }
        Self::Words
    }
}

/// Code for [`Lanes::run`]. Not a closure, because a closure may be compiled separately, without the CPU features.
pub(super) trait Kernel {
    type Output;

    /// Implementations must be `#[inline(always)]`.
    fn call(self) -> Self::Output;
}

/// Operations on 32 bytes. A value of the type proves that the CPU has the instructions.
pub(super) trait Lanes: Copy {
    /// Runs the kernel in code that is compiled for these instructions.
    fn run<K: Kernel>(self, kernel: K) -> K::Output;
    /// A bit for each byte that ends or breaks a string: quotes, backslashes, control characters.
    fn stops(self, chunk: &[u8; 32]) -> u32;
    /// A bit for each byte that is not a digit.
    fn non_digits(self, chunk: &[u8; 32]) -> u32;
    /// Whether the first `len` bytes equal those of `key`; `len` is at most 32.
    fn matches(self, chunk: &[u8; 32], key: &[u8; 32], len: u32) -> bool;
}

/// Portable code, which handles eight bytes at a time in an integer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words;

const ONES: u64 = u64::MAX / 0xff;
const TOPS: u64 = ONES << 7;

/// A bit for each byte. `mark` returns a word with the top bit of each marked byte set.
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
    fn run<K: Kernel>(self, kernel: K) -> K::Output {
        kernel.call()
    }

    #[inline(always)]
    fn stops(self, chunk: &[u8; 32]) -> u32 {
        marks(chunk, |word| {
            // Without its top bit, a byte overflows into it if it is at least `least`.
            let is_at_least = |word: u64, least: u8| ((word & !TOPS) + ONES * u64::from(0x80 - least)) | word;
            let quote = is_at_least(word ^ (ONES * u64::from(b'"')), 1);
            let backslash = is_at_least(word ^ (ONES * u64::from(b'\\')), 1);
            !(quote & backslash & is_at_least(word, b' ')) & TOPS
        })
    }

    #[inline(always)]
    fn non_digits(self, chunk: &[u8; 32]) -> u32 {
        // '0' to '9' become 0 to 9, and no other byte is below 10. The top bit is kept out of the sum.
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

    /// Compares all operations with a loop over single bytes.
    fn agree(chunk: &[u8; 32], key: &[u8; 32], lanes: impl Lanes) {
        let bits = |marked: fn(u8) -> bool| (0..32).fold(0, |bits, at| bits | u32::from(marked(chunk[at])) << at);
        assert_eq!(lanes.stops(chunk), bits(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)), "{chunk:?}");
        assert_eq!(lanes.non_digits(chunk), bits(|byte| !byte.is_ascii_digit()), "{chunk:?}");
        for len in 0..=32 {
            assert_eq!(lanes.matches(chunk, key, len as u32), chunk[..len] == key[..len], "{len} of {chunk:?} and {key:?}");
        }
    }

    #[test]
    fn all_instruction_sets_agree_with_a_loop_over_bytes() {
        let mut rng = StdRng::seed_from_u64(5);
        for _ in 0..if cfg!(miri) { 20 } else { 5_000 } {
            let mut chunk: [u8; 32] = rng.random();
            chunk[rng.random_range(0..32)] = b"\"\\\0\x1f 09/:\x7f\x80\xa2\xff"[rng.random_range(0..13)];
            let mut key = chunk;
            key[rng.random_range(0..32)] = rng.random();
            agree(&chunk, &key, Words);
            #[cfg(target_arch = "x86_64")]
            if let CpuFeatures::Avx2(avx2) = CpuFeatures::detect() {
                agree(&chunk, &key, avx2);
            }
        }
        let digits: [u8; 32] = std::array::from_fn(|at| b'0' + (at % 10) as u8);
        agree(&digits, &digits, Words);
    }
}
