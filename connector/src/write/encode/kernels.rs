//! The kernels: loops over the rows of a block, one for each common kind of column. Those of numbers are in `numbers`.
//!
//! In: the values of a column and the strips of a [`Block`]. Out: the strips, and one bit per row that is left to a slower path: a
//! long text, a byte to be escaped. The common case has no branch that depends on a value.
//!
//! All of it is safe: texts are read and strips are written in slices of fixed size, with one bounds check each. Everything is
//! inlined into the loop, which is compiled once with AVX2 and once without.

use arrow::array::OffsetSizeTrait;

use super::avx2::Loop;
use super::bind::List;
use super::block::{Block, DEFERRED, bits};
use super::fragment::Fragments;
use super::record_plan::Prefix;
use super::reject::LIST_ITEMS_MAX;

/// Bytes of a text that are checked and copied at once.
pub(super) const CHUNK: usize = 32;
/// Chunk for fragments, if some are longer than [`CHUNK`].
pub(super) const WIDE: usize = 2 * CHUNK;

/// The constant bytes before each value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key<const K: usize> {
    pub(super) bytes: [u8; K],
    pub(super) len: usize,
}

impl<const K: usize> Key<K> {
    /// The length; the `min` tells the compiler that it is in bounds.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.len.min(K)
    }

    /// Bytes that a strip needs for the key and `more` bytes.
    #[inline(always)]
    pub(super) fn room(&self, more: usize) -> usize {
        K.max(self.len + more)
    }

    #[inline(always)]
    pub(super) fn copy(&self, space: &mut [u8]) {
        space[..K].copy_from_slice(&self.bytes);
    }
}

/// Constant bytes in each row.
pub(super) struct Constant<'a> {
    pub(super) block: &'a mut Block,
    pub(super) prefix: Prefix,
}

impl Loop for Constant<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { block, prefix: Prefix { bytes, len } } = self;
        let mut overflowed = 0;
        let (mut strips, ends) = block.strips();
        for (at, end) in ends.iter_mut().enumerate() {
            let Some(strip) = strips.next() else { break };
            match strip.get_mut(*end..*end + bytes.len()) {
                Some(space) => {
                    space.copy_from_slice(&bytes);
                    *end += len;
                }
                None => overflowed |= 1 << at,
            }
        }
        block.put_each(overflowed, &bytes[..len]);
    }
}

/// The end of the open object in each row; its brace overwrites the comma of its first field.
pub(super) struct Close<'a> {
    pub(super) block: &'a mut Block,
    pub(super) prefix: Prefix,
}

impl Loop for Close<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { block, prefix: Prefix { bytes, len } } = self;
        let mut overflowed = 0;
        let (mut strips, ends, opened) = block.strips_opened();
        for (at, (end, opened)) in ends.iter_mut().zip(opened).enumerate() {
            let Some(strip) = strips.next() else { break };
            if let Some(first) = strip.get_mut(*opened) {
                *first = b'{';
                *end = (*end).max(opened + 1);
            }
            match strip.get_mut(*end..*end + 8) {
                Some(space) if len <= 8 => {
                    space.copy_from_slice(&bytes[..8]);
                    *end += len;
                }
                _ => overflowed |= 1 << at,
            }
        }
        block.put_each(overflowed, &bytes[..len]);
    }
}

/// The position of a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct TextSpan<'a> {
    data: &'a [u8],
    start: usize,
    len: usize,
}

impl<'a> TextSpan<'a> {
    #[inline(always)]
    pub(super) fn text(self) -> &'a [u8] {
        self.data.get(self.start..self.start + self.len).unwrap_or_default()
    }

    /// The first [`CHUNK`] bytes, unless the buffer ends before.
    #[inline(always)]
    fn chunk(self) -> Option<&'a [u8; CHUNK]> {
        chunk(self.data, self.start)
    }
}

#[inline(always)]
fn chunk<const C: usize>(data: &[u8], start: usize) -> Option<&[u8; C]> {
    data.get(start..start + C)?.first_chunk()
}

/// The positions of the texts of a column.
pub(super) trait Texts {
    fn span(&self, at: usize) -> TextSpan<'_>;
}

/// Offsets, and the data that they index.
#[derive(Clone, Copy)]
pub(super) struct Offsets<'a, O>(pub(super) &'a [O], pub(super) &'a [u8]);

impl<O: OffsetSizeTrait> Texts for Offsets<'_, O> {
    #[inline(always)]
    fn span(&self, at: usize) -> TextSpan<'_> {
        let start = self.0[at].as_usize();
        TextSpan { data: self.1, start, len: self.0[at + 1].as_usize() - start }
    }
}

/// Views, and the [`Views::buffers`] that they refer to.
#[derive(Clone, Copy)]
pub(super) struct Views<'a>(pub(super) &'a [u128], pub(super) &'a [&'a [u8]]);

impl Views<'_> {
    /// The views themselves, which hold texts of up to twelve bytes, then the buffers of the longer ones.
    pub(super) fn buffers<'a>(views: &'a [u8], buffers: &'a [arrow::buffer::Buffer]) -> Vec<&'a [u8]> {
        std::iter::once(views).chain(buffers.iter().map(|buffer| buffer.as_slice())).collect()
    }
}

impl Texts for Views<'_> {
    #[inline(always)]
    fn span(&self, at: usize) -> TextSpan<'_> {
        // Length, then either the text, or four bytes of it, a buffer index and an offset: 32 bits each.
        let view = self.0[at];
        let len = view as u32 as usize;
        let inline = len <= 12;
        let buffer = if inline { 0 } else { 1 + (view >> 64) as u32 as usize };
        let start = if inline { 16 * at + 4 } else { (view >> 96) as usize };
        TextSpan { data: self.1.get(buffer).copied().unwrap_or_default(), start, len }
    }
}

/// [`CHUNK`] ones, then [`CHUNK`] zeros: a window into them masks the bytes of a chunk that count.
const COUNTS: [u8; 2 * CHUNK] = {
    let mut counts = [0; 2 * CHUNK];
    let mut at = 0;
    while at < CHUNK {
        counts[at] = 1;
        at += 1;
    }
    counts
};

/// Whether the first `len` bytes need no escape in JSON.
#[inline(always)]
fn is_plain(chunk: &[u8; CHUNK], len: usize) -> bool {
    let Some(counts) = COUNTS[CHUNK - len.min(CHUNK)..].first_chunk::<CHUNK>() else { return false };
    // A scalar accumulator: an array of results would be written to memory.
    let mut found = 0;
    for (byte, counts) in chunk.iter().zip(counts) {
        found |= (u8::from(*byte < 0x20) | u8::from(*byte == b'"') | u8::from(*byte == b'\\')) & counts;
    }
    found == 0
}

/// Writes at most 32 bytes that need no quotes and no check.
#[inline(always)]
pub(super) fn short<const K: usize>(block: &mut Block, at: usize, key: &Key<K>, text: &[u8]) {
    let Some((space, end)) = block.space(at, key.room(CHUNK)) else { return };
    key.copy(space);
    let to = &mut space[key.len..key.len + CHUNK];
    // Two copies of fixed size that meet or overlap in the middle.
    match (text.first_chunk::<16>(), text.last_chunk::<16>()) {
        (Some(first), Some(last)) => {
            to[..16].copy_from_slice(first);
            to[text.len() - 16..text.len()].copy_from_slice(last);
        }
        _ => to[..text.len()].copy_from_slice(text),
    }
    *end += key.len + text.len();
}

/// [`is_plain`] for a text shorter than a chunk.
fn is_plain_short(text: &[u8]) -> bool {
    let mut chunk = [b' '; CHUNK];
    chunk[..text.len()].copy_from_slice(text);
    is_plain(&chunk, CHUNK)
}

/// Texts of `min` to `max` bytes, in quotes.
pub(super) struct Quoted<'a, T, const K: usize> {
    pub(super) block: &'a mut Block,
    pub(super) key: Key<K>,
    pub(super) texts: T,
    pub(super) first: usize,
    pub(super) valid: u64,
    pub(super) min: usize,
    pub(super) max: usize,
}

impl<T: Texts, const K: usize> Loop for Quoted<'_, T, K> {
    type Output = u64;

    #[inline(always)]
    fn run(self) -> u64 {
        let Self { block, key, texts, first, valid, min, max } = self;
        let key_len = key.len();
        let mut slow = 0;
        let (mut strips, ends) = block.strips();
        for (at, end) in ends.iter_mut().enumerate() {
            let Some(strip) = strips.next() else { break };
            let span = texts.span(first + at);
            let (Some(space), Some(chunk)) = (strip.get_mut(*end..*end + K + CHUNK + 1), span.chunk()) else {
                slow |= 1 << at;
                continue;
            };
            key.copy(space);
            space[key_len..key_len + CHUNK].copy_from_slice(chunk);
            let short = span.len.min(CHUNK);
            space[key_len + short] = b'"';
            let fast = u64::from(span.len >= min) & u64::from(span.len <= CHUNK) & u64::from(is_plain(chunk, short));
            slow |= (1 - fast) << at;
            *end += if (valid >> at) & fast & 1 == 1 { key_len + short + 1 } else { 0 };
        }
        let mut rest = 0;
        for at in bits(slow & valid) {
            let text = texts.span(first + at).text();
            if !(min..=max).contains(&text.len()) || !long(block, at, &key, text) {
                rest |= 1 << at;
            }
        }
        rest
    }
}

/// Writes a text longer than a chunk, or near the end of its buffer; false if a byte must be escaped.
#[inline(always)]
fn long<const K: usize>(block: &mut Block, at: usize, key: &Key<K>, text: &[u8]) -> bool {
    let Some((space, end)) = block.space(at, key.room(text.len().max(CHUNK) + 1)) else { return true };
    key.copy(space);
    let to = &mut space[key.len..key.len + text.len()];
    let plain = match (text.last_chunk::<CHUNK>(), to.last_chunk_mut::<CHUNK>()) {
        (Some(last), Some(to_last)) => {
            *to_last = *last;
            let mut plain = is_plain(last, CHUNK);
            for (chunk, to) in text.as_chunks::<CHUNK>().0.iter().zip(to.as_chunks_mut().0) {
                *to = *chunk;
                plain &= is_plain(chunk, CHUNK);
            }
            plain
        }
        _ => {
            to.copy_from_slice(text);
            is_plain_short(text)
        }
    };
    space[key.len + text.len()] = b'"';
    *end += if plain { key.len + text.len() + 1 } else { 0 };
    plain
}

/// Booleans: one of two constant fields.
pub(super) struct Booleans<'a> {
    pub(super) block: &'a mut Block,
    pub(super) yes: Prefix,
    pub(super) no: Prefix,
    pub(super) values: u64,
    pub(super) valid: u64,
}

impl Loop for Booleans<'_> {
    type Output = u64;

    #[inline(always)]
    fn run(self) -> u64 {
        let Self { block, yes, no, values, valid } = self;
        let mut slow = 0;
        let (mut strips, ends) = block.strips();
        for (at, end) in ends.iter_mut().enumerate() {
            let Some(strip) = strips.next() else { break };
            let prefix = if values >> at & 1 == 1 { &yes } else { &no };
            match strip.get_mut(*end..*end + prefix.bytes.len()) {
                Some(space) => {
                    space.copy_from_slice(&prefix.bytes);
                    *end += if valid >> at & 1 == 1 { prefix.len } else { 0 };
                }
                None => slow |= 1 << at,
            }
        }
        slow & valid
    }
}

/// The fragments of a dictionary or of runs, most of them no longer than `C` bytes. Returns the rows that are NULL.
pub(super) struct Pieces<'a, const C: usize> {
    pub(super) block: &'a mut Block,
    pub(super) fragments: &'a Fragments,
    pub(super) index: &'a [usize],
}

impl<const C: usize> Loop for Pieces<'_, C> {
    type Output = u64;

    #[inline(always)]
    fn run(self) -> u64 {
        let Self { block, fragments, index } = self;
        let (bytes, spans) = (fragments.bytes.as_slice(), fragments.spans.as_slice());
        let (mut slow, mut absent) = (0, 0);
        let (mut strips, ends) = block.strips();
        for (at, (end, place)) in ends.iter_mut().zip(index).enumerate() {
            let Some(strip) = strips.next() else { break };
            let (start, len) = spans.get(*place).copied().unwrap_or_default();
            absent |= u64::from(len == 0) << at;
            let (Some(space), Some(chunk)) = (strip.get_mut(*end..*end + C), chunk::<C>(bytes, start)) else {
                slow |= 1 << at;
                continue;
            };
            space.copy_from_slice(chunk);
            slow |= u64::from(len > C) << at;
            *end += if len <= C { len } else { 0 };
        }
        for at in bits(slow) {
            let (start, len) = spans.get(index[at]).copied().unwrap_or_default();
            match bytes.get(start..start + len) {
                Some(bytes) => block.put(at, &[bytes]),
                None => block.ends[at] = DEFERRED,
            }
        }
        absent
    }
}

/// Lists of texts of up to `max` bytes.
pub(super) struct Sets<'a, T, const K: usize> {
    pub(super) block: &'a mut Block,
    pub(super) key: Key<K>,
    pub(super) list: &'a List,
    pub(super) texts: T,
    pub(super) first: usize,
    pub(super) valid: u64,
    pub(super) max: usize,
}

impl<T: Texts, const K: usize> Loop for Sets<'_, T, K> {
    type Output = u64;

    #[inline(always)]
    fn run(self) -> u64 {
        let Self { block, key, list, texts, first, valid, max } = self;
        let (room, max, no_nulls) = (key.room(2), max.min(CHUNK), list.items.has_no_nulls());
        let mut slow = 0;
        let (mut strips, ends) = block.strips();
        for (at, end) in ends.iter_mut().enumerate() {
            let Some(strip) = strips.next() else { break };
            if valid >> at & 1 == 0 {
                continue;
            }
            let range = list.range(first + at);
            let mut next = *end + key.len;
            let mut fast = range.len() <= LIST_ITEMS_MAX;
            match strip.get_mut(*end..*end + room) {
                Some(space) => key.copy(space),
                None => fast = false,
            }
            let items_start = next;
            for item in range.start..range.end.min(range.start + LIST_ITEMS_MAX) {
                if !no_nulls && !list.items.is_valid(item) {
                    continue;
                }
                let span = texts.span(item);
                let (Some(space), Some(chunk)) = (strip.get_mut(next..next + CHUNK + 4), span.chunk()) else {
                    fast = false;
                    break;
                };
                space[0] = b'"';
                space[1..=CHUNK].copy_from_slice(chunk);
                let short = span.len.min(CHUNK);
                space[short + 1..short + 3].copy_from_slice(b"\",");
                fast &= span.len <= max && is_plain(chunk, short);
                next += short + 3;
            }
            next -= usize::from(next > items_start);
            match strip.get_mut(next..next + 2) {
                Some(space) if fast => {
                    space.copy_from_slice(b"]}");
                    *end = next + 2;
                }
                _ => slow |= 1 << at,
            }
        }
        slow
    }
}
