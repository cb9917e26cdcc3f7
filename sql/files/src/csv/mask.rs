//! Finds the bytes that may mean something, 64 at a time.
//!
//! In: 64 bytes. Out: a bit for each that is one of the needles: separator, quote, line ends, escape. The comparison is a loop without a
//! branch, which compilers make vector instructions of on every processor.

/// Bytes that are looked at in one step.
pub(crate) const BLOCK: usize = 64;

/// The bytes that are looked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Needles([u8; 5]);

impl Needles {
    pub(crate) fn new(delimiter: u8, quote: u8, escape: Option<u8>) -> Self {
        Self([b'\n', b'\r', delimiter, quote, escape.unwrap_or(b'\n')])
    }

    /// A bit for each byte that is one of the needles.
    #[inline(always)]
    pub(crate) fn find(&self, block: &[u8; BLOCK]) -> u64 {
        let [a, b, c, d, e] = self.0;
        let found = block.map(|byte| u8::from((byte == a) | (byte == b) | (byte == c) | (byte == d) | (byte == e)));
        // The product gathers the lowest bits of eight bytes in the top byte.
        let gather = |eight: &[u8; 8]| u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        found.as_chunks::<8>().0.iter().enumerate().fold(0, |bits, (at, eight)| bits | gather(eight) << (8 * at))
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    #[test]
    fn the_mask_agrees_with_a_search_byte_by_byte() {
        let mut rng = StdRng::seed_from_u64(7);
        let needles = Needles::new(b';', b'"', Some(b'\\'));
        for _ in 0..2_000 {
            let block: [u8; BLOCK] =
                std::array::from_fn(|_| if rng.random() { rng.random() } else { b"\n\r;\"\\:,\x0b\x8a\xbb\0"[rng.random_range(0..11)] });
            let bits = (0..BLOCK).fold(0, |bits, at| bits | u64::from(b"\n\r;\"\\".contains(&block[at])) << at);
            assert_eq!(needles.find(&block), bits, "{block:?}");
        }
    }
}
