//! The loops over a block's rows, one for each of the common kinds of column; those of numbers are in `numbers`.
//!
//! In: the values of a column, and the strips of a [`Block`]. Out: the strips, and one bit for each row that is not common: a long
//! text, a byte to be escaped. The common case is done without a branch that depends on a value.
//!
//! All of it is safe: a text is read, and a strip written, in slices of a fixed size whose bounds are checked once. It is compiled
//! for each [`super::avx2::Avx2`] that there may be, so everything is inlined into the loop that is compiled there.

use arrow::array::OffsetSizeTrait;

use super::avx2::Loop;
use super::bind::List;
use super::block::{Block, LEFT, bits};
use super::fragment::Fragments;
use super::plan::Prefix;
use super::reject::LIST_ITEMS_MAX;

/// Bytes of a text that are looked at, and copied, at once.
pub(super) const CHUNK: usize = 32;
/// The same of what was written before, where some of it is longer.
pub(super) const WIDE: usize = 2 * CHUNK;

/// What stands before each value, in one piece.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key<const K: usize> {
    pub(super) bytes: [u8; K],
    pub(super) len: usize,
}

impl<const K: usize> Key<K> {
    /// How many bytes of it count, which is known to be no more than there are.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.len.min(K)
    }

    /// Bytes that a strip must have for it and `more`.
    #[inline(always)]
    pub(super) fn room(&self, more: usize) -> usize {
        K.max(self.len + more)
    }

    #[inline(always)]
    pub(super) fn copy(&self, space: &mut [u8]) {
        space[..K].copy_from_slice(&self.bytes);
    }
}

/// The same bytes in each row.
pub(super) struct Constant<'a> {
    pub(super) block: &'a mut Block,
    pub(super) prefix: Prefix,
}

impl Loop for Constant<'_> {
    type Found = ();

    #[inline(always)]
    fn run(self) {
        let Self { block, prefix: Prefix { bytes, len } } = self;
        let mut narrow = 0;
        let (mut strips, ends) = block.strips();
        for (at, end) in ends.iter_mut().enumerate() {
            let Some(strip) = strips.next() else { break };
            match strip.get_mut(*end..*end + bytes.len()) {
                Some(space) => {
                    space.copy_from_slice(&bytes);
                    *end += len;
                }
                None => narrow |= 1 << at,
            }
        }
        block.put_each(narrow, &bytes[..len]);
    }
}

/// The end of the object that was opened in each row, whose brace takes the place of its first field's comma.
pub(super) struct Close<'a> {
    pub(super) block: &'a mut Block,
    pub(super) prefix: Prefix,
}

impl Loop for Close<'_> {
    type Found = ();

    #[inline(always)]
    fn run(self) {
        let Self { block, prefix: Prefix { bytes, len } } = self;
        let mut narrow = 0;
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
                _ => narrow |= 1 << at,
            }
        }
        block.put_each(narrow, &bytes[..len]);
    }
}

/// Where a text is.
#[derive(Debug, Clone, Copy)]
pub(super) struct TextSpan<'a> {
    data: &'a [u8],
    start: usize,
    len: usize,
}

impl<'a> TextSpan<'a> {
    /// The text itself.
    #[inline(always)]
    pub(super) fn text(self) -> &'a [u8] {
        self.data.get(self.start..self.start + self.len).unwrap_or_default()
    }

    /// As much as is copied at once, unless the buffer ends before.
    #[inline(always)]
    fn chunk(self) -> Option<&'a [u8; CHUNK]> {
        chunk(self.data, self.start)
    }
}

#[inline(always)]
fn chunk<const C: usize>(data: &[u8], start: usize) -> Option<&[u8; C]> {
    data.get(start..start + C)?.first_chunk()
}

/// Where the texts of a column are.
pub(super) trait Texts {
    fn span(&self, at: usize) -> TextSpan<'_>;
}

/// Offsets, and what they count in.
#[derive(Clone, Copy)]
pub(super) struct Offsets<'a, O>(pub(super) &'a [O], pub(super) &'a [u8]);

impl<O: OffsetSizeTrait> Texts for Offsets<'_, O> {
    #[inline(always)]
    fn span(&self, at: usize) -> TextSpan<'_> {
        let start = self.0[at].as_usize();
        TextSpan { data: self.1, start, len: self.0[at + 1].as_usize() - start }
    }
}

/// Views, and what [`Views::named`] says that they name.
#[derive(Clone, Copy)]
pub(super) struct Views<'a>(pub(super) &'a [u128], pub(super) &'a [&'a [u8]]);

impl Views<'_> {
    /// The views themselves, which hold texts of up to twelve bytes, and then the buffers of the longer ones.
    pub(super) fn named<'a>(views: &'a [u8], buffers: &'a [arrow::buffer::Buffer]) -> Vec<&'a [u8]> {
        std::iter::once(views).chain(buffers.iter().map(|buffer| buffer.as_slice())).collect()
    }
}

impl Texts for Views<'_> {
    #[inline(always)]
    fn span(&self, at: usize) -> TextSpan<'_> {
        // Length, then either the text or four bytes of it, the number of a buffer, and where in it: 32 bits each.
        let view = self.0[at];
        let len = view as u32 as usize;
        let inline = len <= 12;
        let buffer = if inline { 0 } else { 1 + (view >> 64) as u32 as usize };
        let start = if inline { 16 * at + 4 } else { (view >> 96) as usize };
        TextSpan { data: self.1.get(buffer).copied().unwrap_or_default(), start, len }
    }
}

/// As many ones and as many zeros as a chunk has bytes: from where its zeros begin for a length, which bytes of it count.
const COUNTS: [u8; 2 * CHUNK] = {
    let mut counts = [0; 2 * CHUNK];
    let mut at = 0;
    while at < CHUNK {
        counts[at] = 1;
        at += 1;
    }
    counts
};

/// Whether the first `len` bytes stand for themselves in JSON.
#[inline(always)]
fn is_plain(chunk: &[u8; CHUNK], len: usize) -> bool {
    let Some(counts) = COUNTS[CHUNK - len.min(CHUNK)..].first_chunk::<CHUNK>() else { return false };
    // One word for all: an array of the findings would be written to memory.
    let mut found = 0;
    for (byte, counts) in chunk.iter().zip(counts) {
        found |= (u8::from(*byte < 0x20) | u8::from(*byte == b'"') | u8::from(*byte == b'\\')) & counts;
    }
    found == 0
}

/// Fewer than 33 bytes that need no quotes and no look at them.
#[inline(always)]
pub(super) fn short<const K: usize>(block: &mut Block, at: usize, key: &Key<K>, text: &[u8]) {
    let Some((space, end)) = block.space(at, key.room(CHUNK)) else { return };
    key.copy(space);
    let to = &mut space[key.len..key.len + CHUNK];
    // Two copies of a fixed size that meet, or overlap, in the middle.
    match (text.first_chunk::<16>(), text.last_chunk::<16>()) {
        (Some(first), Some(last)) => {
            to[..16].copy_from_slice(first);
            to[text.len() - 16..text.len()].copy_from_slice(last);
        }
        _ => to[..text.len()].copy_from_slice(text),
    }
    *end += key.len + text.len();
}

/// The same of a text that is shorter than a chunk.
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
    type Found = u64;

    #[inline(always)]
    fn run(self) -> u64 {
        let Self { block, key, texts, first, valid, min, max } = self;
        let key_len = key.len();
        let mut hard = 0;
        let (mut strips, ends) = block.strips();
        for (at, end) in ends.iter_mut().enumerate() {
            let Some(strip) = strips.next() else { break };
            let span = texts.span(first + at);
            let (Some(space), Some(chunk)) = (strip.get_mut(*end..*end + K + CHUNK + 1), span.chunk()) else {
                hard |= 1 << at;
                continue;
            };
            key.copy(space);
            space[key_len..key_len + CHUNK].copy_from_slice(chunk);
            let short = span.len.min(CHUNK);
            space[key_len + short] = b'"';
            let easy = u64::from(span.len >= min) & u64::from(span.len <= CHUNK) & u64::from(is_plain(chunk, short));
            hard |= (1 - easy) << at;
            *end += if (valid >> at) & easy & 1 == 1 { key_len + short + 1 } else { 0 };
        }
        let mut rest = 0;
        for at in bits(hard & valid) {
            let text = texts.span(first + at).text();
            if !(min..=max).contains(&text.len()) || !long(block, at, &key, text) {
                rest |= 1 << at;
            }
        }
        rest
    }
}

/// A text of more than a chunk, or at the end of its buffer; false where it has bytes to be escaped.
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

/// Booleans: the one field or the other.
pub(super) struct Booleans<'a> {
    pub(super) block: &'a mut Block,
    pub(super) yes: Prefix,
    pub(super) no: Prefix,
    pub(super) truths: u64,
    pub(super) valid: u64,
}

impl Loop for Booleans<'_> {
    type Found = u64;

    #[inline(always)]
    fn run(self) -> u64 {
        let Self { block, yes, no, truths, valid } = self;
        let mut hard = 0;
        let (mut strips, ends) = block.strips();
        for (at, end) in ends.iter_mut().enumerate() {
            let Some(strip) = strips.next() else { break };
            let prefix = if truths >> at & 1 == 1 { &yes } else { &no };
            match strip.get_mut(*end..*end + prefix.bytes.len()) {
                Some(space) => {
                    space.copy_from_slice(&prefix.bytes);
                    *end += if valid >> at & 1 == 1 { prefix.len } else { 0 };
                }
                None => hard |= 1 << at,
            }
        }
        hard & valid
    }
}

/// What the values of a dictionary or of runs were written as, most with no more than `C` bytes; rows that have none come back.
pub(super) struct Pieces<'a, const C: usize> {
    pub(super) block: &'a mut Block,
    pub(super) fragments: &'a Fragments,
    pub(super) index: &'a [usize],
}

impl<const C: usize> Loop for Pieces<'_, C> {
    type Found = u64;

    #[inline(always)]
    fn run(self) -> u64 {
        let Self { block, fragments, index } = self;
        let (bytes, spans) = (fragments.bytes.as_slice(), fragments.spans.as_slice());
        let (mut hard, mut absent) = (0, 0);
        let (mut strips, ends) = block.strips();
        for (at, (end, place)) in ends.iter_mut().zip(index).enumerate() {
            let Some(strip) = strips.next() else { break };
            let (start, len) = spans.get(*place).copied().unwrap_or_default();
            absent |= u64::from(len == 0) << at;
            let (Some(space), Some(chunk)) = (strip.get_mut(*end..*end + C), chunk::<C>(bytes, start)) else {
                hard |= 1 << at;
                continue;
            };
            space.copy_from_slice(chunk);
            hard |= u64::from(len > C) << at;
            *end += if len <= C { len } else { 0 };
        }
        for at in bits(hard) {
            let (start, len) = spans.get(index[at]).copied().unwrap_or_default();
            match bytes.get(start..start + len) {
                Some(bytes) => block.put(at, &[bytes]),
                None => block.ends[at] = LEFT,
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
    type Found = u64;

    #[inline(always)]
    fn run(self) -> u64 {
        let Self { block, key, list, texts, first, valid, max } = self;
        let (room, max, all_there) = (key.room(2), max.min(CHUNK), list.items.is_full());
        let mut hard = 0;
        let (mut strips, ends) = block.strips();
        for (at, end) in ends.iter_mut().enumerate() {
            let Some(strip) = strips.next() else { break };
            if valid >> at & 1 == 0 {
                continue;
            }
            let range = list.range(first + at);
            let mut next = *end + key.len;
            let mut easy = range.len() <= LIST_ITEMS_MAX;
            match strip.get_mut(*end..*end + room) {
                Some(space) => key.copy(space),
                None => easy = false,
            }
            let begun = next;
            for item in range.start..range.end.min(range.start + LIST_ITEMS_MAX) {
                if !all_there && !list.items.holds(item) {
                    continue;
                }
                let span = texts.span(item);
                let (Some(space), Some(chunk)) = (strip.get_mut(next..next + CHUNK + 4), span.chunk()) else {
                    easy = false;
                    break;
                };
                space[0] = b'"';
                space[1..=CHUNK].copy_from_slice(chunk);
                let short = span.len.min(CHUNK);
                space[short + 1..short + 3].copy_from_slice(b"\",");
                easy &= span.len <= max && is_plain(chunk, short);
                next += short + 3;
            }
            next -= usize::from(next > begun);
            match strip.get_mut(next..next + 2) {
                Some(space) if easy => {
                    space.copy_from_slice(b"]}");
                    *end = next + 2;
                }
                _ => hard |= 1 << at,
            }
        }
        hard
    }
}
