//! Text columns as `StringViewArray`: views of 16 bytes, and a buffer for texts that do not fit into a view.
//!
//! In: the spans of a block. Out: the array. Long texts are copied out of the page, so that a small column does not keep a large page
//! alive.
//!
//! What is unsafe, and why: the array is built without validating its texts again, because they come from a `str`. With the validation,
//! decoding a record of a page of events takes 1.56 times as long.

#![expect(unsafe_code, reason = "arrow would validate texts again that come from a `str`")]

use std::hint::select_unpredictable;
use std::sync::Arc;

use arrow::array::StringViewArray;
use arrow::buffer::{Buffer, NullBuffer, ScalarBuffer};

use super::simd::{Kernel, Lanes};
use super::span::ByteSpan;

/// The longest text that is stored in the view itself.
const INLINE_BYTES_MAX: usize = 12;
/// The most bytes that are copied before the length of a text is checked.
const COPY_BYTES_MAX: usize = 256;

/// A text column being built. Views point only into `data`, and are made only by [`short_view`] and [`any_view`].
#[derive(Debug, Default)]
pub(super) struct Texts {
    views: Vec<u128>,
    data: Vec<u8>,
    scratch: String,
}

impl Texts {
    /// Keeps only the first `len` texts.
    pub(super) fn truncate(&mut self, len: usize) {
        self.views.truncate(len);
        if len == 0 {
            self.data.clear();
        }
    }

    /// Adds the unescaped text of strings, the JSON text of other values, and an empty text for null and absent values.
    #[inline(always)]
    pub(super) fn add(&mut self, page: &str, spans: &[ByteSpan], lanes: impl Lanes) {
        self.add_each(page, spans, |span| span, lanes);
    }

    /// Adds the JSON text of values, and an empty text for null and absent values.
    #[inline(always)]
    pub(super) fn add_written(&mut self, page: &str, spans: &[ByteSpan], lanes: impl Lanes) {
        self.add_each(page, spans, ByteSpan::written, lanes);
    }

    #[inline(always)]
    fn add_each(&mut self, page: &str, spans: &[ByteSpan], cut: impl Fn(ByteSpan) -> ByteSpan + Copy, lanes: impl Lanes) {
        // Texts of one column tend to be of similar length. Choosing the copy length once per block avoids needlessly long copies.
        let mut longest = 0;
        for span in spans {
            longest = longest.max(cut(*span).len() as u32);
        }
        match longest as usize {
            0..=INLINE_BYTES_MAX => lanes.run(Add::<0, _> { texts: self, page, spans, cut }),
            13..=32 => lanes.run(Add::<32, _> { texts: self, page, spans, cut }),
            33..=64 => lanes.run(Add::<64, _> { texts: self, page, spans, cut }),
            _ => lanes.run(Add::<COPY_BYTES_MAX, _> { texts: self, page, spans, cut }),
        }
    }

    /// Takes the array. The next page is likely of similar size, so buffers of that capacity are left, with an eighth more for `data`:
    /// outgrowing it would copy the whole buffer.
    pub(super) fn take(&mut self, nulls: Option<NullBuffer>) -> StringViewArray {
        let room = (self.views.len(), self.data.len());
        let views = ScalarBuffer::from(std::mem::replace(&mut self.views, Vec::with_capacity(room.0)));
        let data = std::mem::replace(&mut self.data, Vec::with_capacity(room.1 + room.1 / 8 + COPY_BYTES_MAX));
        let fits = u32::try_from(data.len()).is_ok() && nulls.as_ref().is_none_or(|nulls| nulls.len() == views.len());
        let buffers: Arc<[Buffer]> = if data.is_empty() { Arc::new([]) } else { Arc::new([Buffer::from_vec(data)]) };
        if !fits {
            return StringViewArray::new(views, buffers, nulls);
        }
        // SAFETY: each view is zero, which is the empty text, or was made by `short_view` or `any_view` from a text between two character
        // boundaries of a `str`. A text of at most twelve bytes is in the view, followed by zeros. For a longer text, the view has its
        // first four bytes and the offset in `data` at which it was copied; only bytes after that copy were truncated, and `data` is not
        // truncated in any other way while there are views. Offsets fit 32 bits, because the length of `data` does. The null buffer has as
        // many bits as there are views.
        unsafe { StringViewArray::new_unchecked(views, buffers, nulls) }
    }
}

/// Adds texts, optimized for those of at most `COPY` bytes.
struct Add<'t, const COPY: usize, C> {
    texts: &'t mut Texts,
    page: &'t str,
    spans: &'t [ByteSpan],
    cut: C,
}

impl<const COPY: usize, C: Fn(ByteSpan) -> ByteSpan> Kernel for Add<'_, COPY, C> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { texts: Texts { views, data, scratch }, page, spans, cut } = self;
        // Moved to the stack, so that the compiler keeps its length in a register.
        let mut copies = std::mem::take(data);
        let before = views.len();
        views.resize(before + spans.len(), 0);
        for (view, span) in views[before..].iter_mut().zip(spans) {
            let span = cut(span.or_absent());
            *view = match short_view::<COPY>(&mut copies, page, span) {
                Some(view) => view,
                None => {
                    let (view, grown) = any_view(copies, span.text(page, scratch));
                    copies = grown;
                    view
                }
            };
        }
        *data = copies;
    }
}

/// Masks for the first four bytes of a text and the next eight, by its length. A text that is too long for a view has only the first four
/// in it.
const MASKS: [(u64, u64); INLINE_BYTES_MAX + 2] = {
    let mut masks = [(u64::MAX, 0); INLINE_BYTES_MAX + 2];
    let mut len = 0;
    while len <= INLINE_BYTES_MAX {
        let mask = (1u128 << (8 * len)) - 1;
        masks[len] = ((mask << 32) as u64, (mask >> 32) as u64);
        len += 1;
    }
    masks
};

/// The view of a text of at most `COPY` bytes without escapes. It is copied to `data` if it does not fit into the view.
///
/// No branch depends on the length: each text is copied, and then truncated to the bytes that are needed.
#[inline(always)]
fn short_view<const COPY: usize>(data: &mut Vec<u8>, page: &str, span: ByteSpan) -> Option<u128> {
    let (start, len) = (span.start(), span.plain_len());
    let ahead = page.as_bytes().get(start..start + COPY.max(INLINE_BYTES_MAX) + 1)?;
    // Both ends must be character boundaries.
    if !is_boundary(*ahead.get(len)?) || !is_boundary(*ahead.first()?) {
        return None;
    }
    let head: &[u8; INLINE_BYTES_MAX] = ahead.first_chunk()?;
    let (first, next) = (u32::from_le_bytes(*head.first_chunk()?), u64::from_le_bytes(*head.last_chunk()?));
    let (first_mask, next_mask) = MASKS[len.min(INLINE_BYTES_MAX + 1)];
    let low = u64::from(first) << 32 & first_mask | len as u64;
    let mut high = next & next_mask;
    if COPY > 0 {
        let (offset, is_long) = (data.len(), len > INLINE_BYTES_MAX);
        data.extend_from_slice(&ahead[..COPY]);
        data.truncate(offset + select_unpredictable(is_long, len, 0));
        high |= select_unpredictable(is_long, (offset as u64) << 32, 0);
    }
    Some(u128::from(high) << 64 | u128::from(low))
}

/// Whether the byte is the first one of a character.
#[inline(always)]
fn is_boundary(byte: u8) -> bool {
    !(0x80..0xc0).contains(&byte)
}

/// The view of any text, and `data` with the text appended if necessary.
#[inline(never)]
fn any_view(mut data: Vec<u8>, text: &str) -> (u128, Vec<u8>) {
    let mut view = [0; 16];
    view[..4].copy_from_slice(&(text.len() as u32).to_le_bytes());
    if text.len() <= INLINE_BYTES_MAX {
        view[4..4 + text.len()].copy_from_slice(text.as_bytes());
    } else {
        view[4..8].copy_from_slice(&text.as_bytes()[..4]);
        view[12..].copy_from_slice(&(data.len() as u32).to_le_bytes());
        data.extend_from_slice(text.as_bytes());
    }
    (u128::from_le_bytes(view), data)
}

#[cfg(test)]
mod tests {
    use arrow::array::Array;

    use super::super::simd::Words;
    use super::super::span::JsonKind;
    use super::*;

    #[test]
    fn texts_of_every_length_are_kept_at_every_position() {
        let most = if cfg!(miri) { 70 } else { 300 };
        // Characters of one to three bytes, so that texts end at all kinds of boundaries.
        let text = |len: usize| "aß€".chars().cycle().take(len).collect::<String>();
        let expected: Vec<String> = (0..most).map(text).collect();
        let page: String = expected.iter().map(|text| format!("\"{text}\"")).collect();
        let mut start = 0;
        let spans: Vec<ByteSpan> = expected
            .iter()
            .map(|text| {
                let begin = start;
                start += text.len() + 2;
                ByteSpan::new(JsonKind::Plain, begin, start)
            })
            .collect();
        let (mut unescaped, mut written, mut scattered) = (Texts::default(), Texts::default(), Texts::default());
        for block in spans.chunks(7) {
            unescaped.add(&page, block, Words);
            written.add_written(&page, block, Words);
        }
        // Short and long texts in one block.
        spans.iter().step_by(13).for_each(|span| scattered.add(&page, &[*span, ByteSpan::ABSENT, spans[2]], Words));
        let (unescaped, written, scattered) = (unescaped.take(None), written.take(None), scattered.take(None));
        for array in [&unescaped, &written, &scattered] {
            array.to_data().validate_full().expect("a valid array");
        }
        assert!(unescaped.iter().flatten().eq(&expected));
        assert!(written.iter().flatten().eq(expected.iter().map(|text| format!("\"{text}\"")).collect::<Vec<_>>().iter()));
        let expected = expected.iter().step_by(13).flat_map(|text| [text.as_str(), "", &expected[2]]);
        assert!(scattered.iter().flatten().eq(expected));
    }
}
