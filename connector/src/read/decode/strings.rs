//! A map of where the strings of a page stop, made before the page is walked.

use super::simd::{Kernel, Lanes};

/// Where strings stop in a page, a bit a byte.
///
/// To find the end of a string in the bytes takes a chain of instructions that the next member has to wait for. Bits are made
/// without waiting, 32 at once, and are quick to search.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct StringMap<'m>(&'m [u8]);

impl<'m> StringMap<'m> {
    /// The map of a page.
    pub(super) fn new<L: Lanes>(page: &str, bits: &'m mut Vec<u8>, lanes: L) -> Self {
        lanes.run(Mapping { page: page.as_bytes(), bits, lanes });
        Self(bits)
    }

    /// Where the string that goes on at `at` stops, if that is near.
    #[inline(always)]
    pub(super) fn stop(&self, at: usize) -> Option<usize> {
        let near = u64::from_le_bytes(*self.0.get(at >> 3..(at >> 3) + 8)?.first_chunk()?) >> (at & 7);
        (near != 0).then(|| at + near.trailing_zeros() as usize)
    }
}

/// [`StringMap::new`].
struct Mapping<'p, 'b, L> {
    page: &'p [u8],
    bits: &'b mut Vec<u8>,
    lanes: L,
}

impl<L: Lanes> Kernel for Mapping<'_, '_, L> {
    type Done = ();

    #[inline(always)]
    fn work(self) {
        let Self { page, bits, lanes } = self;
        // What is left of a page is not mapped: no string is looked for there.
        let chunks = page.as_chunks::<32>().0;
        bits.resize(chunks.len() * 4, 0);
        for (bits, chunk) in bits.as_chunks_mut::<4>().0.iter_mut().zip(chunks) {
            *bits = lanes.stops(chunk).to_le_bytes();
        }
    }
}
