//! Columns of text: views of 16 bytes, and the bytes of those texts that do not fit into a view.
//!
//! The bytes are copied out of the page, so that a small column does not keep a large page alive.

use std::sync::Arc;

use arrow::array::StringViewArray;
use arrow::buffer::{Buffer, NullBuffer, ScalarBuffer};

use super::span::{Kind, Span};
use super::value::meant;

/// Bytes that a view itself holds.
const INLINE_BYTES_MAX: usize = 12;

/// Texts of a page, while it is read.
#[derive(Debug, Default)]
pub(super) struct Texts {
    pub(super) views: Vec<u128>,
    pub(super) data: Vec<u8>,
}

impl Texts {
    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.views.clear();
        self.data.clear();
    }

    /// The array; what comes next will need as much room.
    pub(super) fn take(&mut self, nulls: Option<NullBuffer>) -> StringViewArray {
        let room = (self.views.len(), self.data.len());
        let views = std::mem::replace(&mut self.views, Vec::with_capacity(room.0));
        let mut data = std::mem::take(&mut self.data);
        data.shrink_to_fit();
        self.data.reserve(room.1 + 32);
        let buffers: Arc<[Buffer]> = if data.is_empty() { Arc::new([]) } else { Arc::new([Buffer::from_vec(data)]) };
        StringViewArray::new(ScalarBuffer::from(views), buffers, nulls)
    }
}

/// The view of a value's text: what a string means, anything else as it is written.
#[inline(always)]
pub(super) fn text(data: &mut Vec<u8>, bytes: &[u8], span: Span, scratch: &mut Vec<u8>) -> u128 {
    match span.kind() {
        Kind::Plain => view(data, bytes, span.start() + 1, span.end() - 1),
        Kind::Escaped => {
            let text = meant(bytes, span, scratch);
            view(data, text, 0, text.len())
        }
        _ => view(data, bytes, span.start(), span.end()),
    }
}

/// The view of `start..end`, which is copied to `data` if a view cannot hold it.
#[inline(always)]
pub(super) fn view(data: &mut Vec<u8>, bytes: &[u8], start: usize, end: usize) -> u128 {
    let len = end - start;
    let rest = bytes.get(start..).unwrap_or_default();
    if len <= INLINE_BYTES_MAX {
        let word = match rest.first_chunk() {
            Some(word) => u128::from_le_bytes(*word) & ((1 << (8 * len)) - 1),
            None => short(rest.get(..len).unwrap_or_default()),
        };
        return word << 32 | len as u128;
    }
    let offset = data.len();
    match rest.first_chunk::<32>() {
        // A copy of fixed size is two moves; what is too much is taken back.
        Some(chunk) if len <= 32 => {
            data.extend_from_slice(chunk);
            data.truncate(offset + len);
        }
        _ => data.extend_from_slice(rest.get(..len).unwrap_or_default()),
    }
    let prefix = rest.first_chunk().map_or(0, |prefix| u32::from_le_bytes(*prefix));
    (offset as u128) << 96 | u128::from(prefix) << 32 | len as u128
}

#[cold]
fn short(text: &[u8]) -> u128 {
    text.iter().rev().fold(0, |word, byte| word << 8 | u128::from(*byte))
}
