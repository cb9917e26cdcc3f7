//! The buffer that records are written to: written bytes, then initialized spare bytes.
//!
//! The spare bytes are zeroed once in the life of a buffer. So a record can be copied in chunks of fixed size that reach past its
//! end, and a buffer that is reused after its body was sent costs nothing to prepare.

/// A buffer with spare bytes.
#[derive(Debug, Default)]
pub(crate) struct Page {
    bytes: Vec<u8>,
    used: usize,
}

impl Page {
    /// An empty page that reuses `buffer`.
    pub(crate) fn new(buffer: Vec<u8>) -> Self {
        Self { bytes: buffer, used: 0 }
    }

    pub(crate) fn written(&self) -> &[u8] {
        &self.bytes[..self.used]
    }

    pub(crate) fn len(&self) -> usize {
        self.used
    }

    /// Ensures `more` spare bytes.
    #[inline]
    pub(crate) fn reserve(&mut self, more: usize) {
        let needed = self.used + more;
        if needed <= self.bytes.len() {
            return;
        }
        self.grow(needed);
    }

    #[cold]
    fn grow(&mut self, needed: usize) {
        if self.bytes.capacity() == 0 {
            // `vec!` gets zeroed pages from the operating system and does not clear them again.
            self.bytes = vec![0; needed];
        } else {
            self.bytes.resize(needed, 0);
        }
    }

    /// The spare bytes, at least `more`.
    #[inline]
    pub(crate) fn room(&mut self, more: usize) -> &mut [u8] {
        self.reserve(more);
        &mut self.bytes[self.used..]
    }

    /// Appends the first `len` bytes of `piece` and a comma. All of `piece` is copied, so that the copy has a fixed size. Returns the
    /// byte range.
    #[inline(always)]
    pub(crate) fn push_piece(&mut self, piece: &[u8], len: usize) -> (usize, usize) {
        let start = self.used;
        let room = self.room(piece.len() + 1);
        room[..piece.len()].copy_from_slice(piece);
        room[len] = b',';
        self.used = start + len + 1;
        (start, start + len)
    }

    /// Appends `bytes`.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.room(bytes.len())[..bytes.len()].copy_from_slice(bytes);
        self.used += bytes.len();
    }

    /// Truncates to `used` bytes.
    pub(crate) fn truncate(&mut self, used: usize) {
        self.used = self.used.min(used);
    }

    /// The written bytes.
    pub(crate) fn into_bytes(mut self) -> Vec<u8> {
        self.bytes.truncate(self.used);
        self.bytes
    }
}
