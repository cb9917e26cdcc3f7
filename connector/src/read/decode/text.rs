//! Columns of text: views of 16 bytes, and the bytes of those texts that do not fit into a view.
//!
//! The bytes are copied out of the page, so that a small column does not keep a large page alive.

#![expect(unsafe_code, reason = "arrow would look a second time at texts that were `str` when they came in")]

use std::hint::select_unpredictable;
use std::sync::Arc;

use arrow::array::StringViewArray;
use arrow::buffer::{Buffer, NullBuffer, ScalarBuffer};

use super::span::{Kind, Span};

/// Bytes that a view itself holds.
const INLINE_BYTES_MAX: usize = 12;
/// Bytes that are copied of a text whatever its length.
const COPY: usize = 64;

/// Texts of a page, while it is read. Views point into `data` only, and are made by [`short_view`] and [`any_view`] only.
#[derive(Debug, Default)]
pub(super) struct Texts {
    views: Vec<u128>,
    data: Vec<u8>,
    scratch: String,
}

impl Texts {
    /// Forgets all but the first `len` texts.
    pub(super) fn truncate(&mut self, len: usize) {
        self.views.truncate(len);
        if len == 0 {
            self.data.clear();
        }
    }

    /// Adds what strings mean, anything else as it is written, and an empty text for a span of nothing or null.
    #[inline(always)]
    pub(super) fn add(&mut self, page: &str, spans: &[Span]) {
        self.add_each(page, spans, |span| span);
    }

    /// Adds values as they are written, and an empty text for a span of nothing or null.
    #[inline(always)]
    pub(super) fn add_written(&mut self, page: &str, spans: &[Span]) {
        self.add_each(page, spans, Span::written);
    }

    #[inline(always)]
    fn add_each(&mut self, page: &str, spans: &[Span], cut: impl Fn(Span) -> Span) {
        let Self { views, data, scratch } = self;
        let before = views.len();
        views.resize(before + spans.len(), 0);
        for (view, span) in views[before..].iter_mut().zip(spans) {
            let span = cut(span.or_absent());
            *view = match short_view(data, page, span) {
                Some(view) => view,
                None => any_view(data, span.text(page, scratch)),
            };
        }
    }

    /// The array; what comes next will need as much room.
    pub(super) fn take(&mut self, nulls: Option<NullBuffer>) -> StringViewArray {
        let room = (self.views.len(), self.data.len());
        let views = ScalarBuffer::from(std::mem::replace(&mut self.views, Vec::with_capacity(room.0)));
        let data = std::mem::replace(&mut self.data, Vec::with_capacity(room.1));
        let fits = u32::try_from(data.len()).is_ok() && nulls.as_ref().is_none_or(|nulls| nulls.len() == views.len());
        let buffers: Arc<[Buffer]> = if data.is_empty() { Arc::new([]) } else { Arc::new([Buffer::from_vec(data)]) };
        if !fits {
            return StringViewArray::new(views, buffers, nulls);
        }
        // SAFETY: each view was made by `short_view` or `any_view`, from what is between two boundaries of a `str`: it holds that text, or
        // its first four bytes and where in `data` its copy begins. Of `data` only what no text needs is ever taken back, and offsets
        // fit as `data` does.
        unsafe { StringViewArray::new_unchecked(views, buffers, nulls) }
    }
}

/// Which bytes of the first four and the next eight a view holds, by the length of its text.
const MASKS: [(u32, u64); INLINE_BYTES_MAX + 1] = {
    let mut masks = [(u32::MAX, u64::MAX); INLINE_BYTES_MAX + 1];
    let mut len = 0;
    while len < INLINE_BYTES_MAX {
        let mask = (1u128 << (8 * len)) - 1;
        masks[len] = (mask as u32, (mask >> 32) as u64);
        len += 1;
    }
    masks
};

/// The view of a text without escapes, which is copied to `data` if a view cannot hold it.
///
/// No branch depends on the length: each text is copied, and taken back as far as it was not needed.
#[inline(always)]
fn short_view(data: &mut Vec<u8>, page: &str, span: Span) -> Option<u128> {
    let (start, len) = (span.start(), span.len());
    let ahead: &[u8; COPY + 1] = page.as_bytes().get(start..start + COPY + 1)?.first_chunk()?;
    // Both ends are between characters.
    if len > COPY || span.kind() == Kind::Escaped || !is_boundary(ahead[0]) || !is_boundary(ahead[len]) {
        return None;
    }
    let (offset, is_long) = (data.len(), len > INLINE_BYTES_MAX);
    data.extend_from_slice(&ahead[..COPY]);
    data.truncate(offset + select_unpredictable(is_long, len, 0));
    let (first, next) = MASKS[len.min(INLINE_BYTES_MAX)];
    let head = u128::from_le_bytes(*ahead.first_chunk()?);
    let rest = select_unpredictable(is_long, (offset as u64) << 32, (head >> 32) as u64 & next);
    Some(u128::from(rest) << 64 | u128::from(head as u32 & first) << 32 | len as u128)
}

/// Whether a character begins with the byte, or the byte is one.
#[inline(always)]
fn is_boundary(byte: u8) -> bool {
    !(0x80..0xc0).contains(&byte)
}

/// The view of any text.
#[inline(never)]
fn any_view(data: &mut Vec<u8>, text: &str) -> u128 {
    let mut view = [0; 16];
    view[..4].copy_from_slice(&(text.len() as u32).to_le_bytes());
    if text.len() <= INLINE_BYTES_MAX {
        view[4..4 + text.len()].copy_from_slice(text.as_bytes());
    } else {
        view[4..8].copy_from_slice(&text.as_bytes()[..4]);
        view[12..].copy_from_slice(&(data.len() as u32).to_le_bytes());
        data.extend_from_slice(text.as_bytes());
    }
    u128::from_le_bytes(view)
}
