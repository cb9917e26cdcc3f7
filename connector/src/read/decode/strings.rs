//! Maps where the strings of a page end, before the page is walked.
//!
//! In: the bytes of a page. Out: a bitmap of the bytes that end or break a string.

use super::simd::{Kernel, Lanes};

/// A bitmap with one bit for each byte of the page, set where a string stops.
///
/// Searching the bytes for the end of a string is a chain of dependent instructions, and the next member has to wait for its result. The
/// bitmap is built without such dependencies, 32 bytes at a time, and is quick to search.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct StringMap<'m>(&'m [u8]);

impl<'m> StringMap<'m> {
    pub(super) fn new<L: Lanes>(page: &str, bits: &'m mut Vec<u8>, lanes: L) -> Self {
        lanes.run(BuildMap { page: page.as_bytes(), bits, lanes });
        Self(bits)
    }

    /// The first stop at or after `at`, if it is near.
    #[inline(always)]
    pub(super) fn stop(&self, at: usize) -> Option<usize> {
        let ahead = u64::from_le_bytes(*self.0.get(at >> 3..(at >> 3) + 8)?.first_chunk()?) >> (at & 7);
        (ahead != 0).then(|| at + ahead.trailing_zeros() as usize)
    }
}

/// [`StringMap::new`].
struct BuildMap<'p, 'b, L> {
    page: &'p [u8],
    bits: &'b mut Vec<u8>,
    lanes: L,
}

impl<L: Lanes> Kernel for BuildMap<'_, '_, L> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { page, bits, lanes } = self;
        // The last bytes, less than 32, are not mapped; strings there take the general path.
        let chunks = page.as_chunks::<32>().0;
        bits.resize(chunks.len() * 4, 0);
        for (bits, chunk) in bits.as_chunks_mut::<4>().0.iter_mut().zip(chunks) {
            *bits = lanes.stops(chunk).to_le_bytes();
        }
    }
}
