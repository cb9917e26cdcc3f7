//! Bytes that are written from the front, with room behind them: what records are written to.
//!
//! The room is bytes like any other, set to zero once in the life of a buffer. So a record is copied in pieces of a fixed size
//! that may reach beyond its end, and a buffer that comes back from a body that was sent costs nothing.

/// A buffer with room.
#[derive(Debug, Default)]
pub(crate) struct Page {
    bytes: Vec<u8>,
    used: usize,
}

impl Page {
    /// An empty page in a buffer, whose bytes are forgotten.
    pub(crate) fn new(buffer: Vec<u8>) -> Self {
        Self { bytes: buffer, used: 0 }
    }

    /// What was written.
    pub(crate) fn written(&self) -> &[u8] {
        &self.bytes[..self.used]
    }

    /// How much was written.
    pub(crate) fn len(&self) -> usize {
        self.used
    }

    /// Makes room for `more` bytes.
    #[inline]
    pub(crate) fn reserve(&mut self, more: usize) {
        let wanted = self.used + more;
        if wanted <= self.bytes.len() {
            return;
        }
        self.grow(wanted);
    }

    #[cold]
    fn grow(&mut self, wanted: usize) {
        if self.bytes.capacity() == 0 {
            // From the allocator as zeros: fresh pages of the system are.
            self.bytes = vec![0; wanted];
        } else {
            self.bytes.resize(wanted, 0);
        }
    }

    /// The room behind what was written, at least `more` bytes.
    #[inline]
    pub(crate) fn room(&mut self, more: usize) -> &mut [u8] {
        self.reserve(more);
        &mut self.bytes[self.used..]
    }

    /// Writes the first `len` bytes of `piece`, all of which is copied, and a comma; tells where they are.
    #[inline(always)]
    pub(crate) fn push_piece(&mut self, piece: &[u8], len: usize) -> (usize, usize) {
        let start = self.used;
        let room = self.room(piece.len() + 1);
        room[..piece.len()].copy_from_slice(piece);
        room[len] = b',';
        self.used = start + len + 1;
        (start, start + len)
    }

    /// Writes `bytes`.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.room(bytes.len())[..bytes.len()].copy_from_slice(bytes);
        self.used += bytes.len();
    }

    /// Forgets what was written from `used` on.
    pub(crate) fn truncate(&mut self, used: usize) {
        self.used = self.used.min(used);
    }

    /// What was written, as a buffer of its own.
    pub(crate) fn into_bytes(mut self) -> Vec<u8> {
        self.bytes.truncate(self.used);
        self.bytes
    }
}
