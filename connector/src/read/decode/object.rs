//! Walks objects that contain needed values, guided by the tree of expected keys.
//!
//! In: an offset and a node. Out: the offset after the object, and the spans of needed values in the record's row. If a key is repeated,
//! the last one wins, as in serde_json: it overwrites the span, and the spans below the earlier value are cleared.

use super::escape::unescape;
use super::fault::{Fault, FaultKind};
use super::simd::{Kernel, Lanes};
use super::span::{BLOCK, ByteSpan, JsonKind};
use super::tree::{NOT_NEEDED, Tree, match_expected};
use super::walk::{LEVELS_MAX, Walk};

/// The record being walked.
#[derive(Debug)]
pub(super) struct Record<'r> {
    pub(super) tree: &'r mut Tree,
    /// One span for each node, [`BLOCK`] apart.
    pub(super) row: &'r mut [ByteSpan],
}

/// Where the fast path stopped and the general path continues.
enum Next {
    /// Before a key.
    Key,
    /// Before a value: the index of its spans, and its offset.
    Value(usize, usize),
    /// After a value.
    Separator,
}

impl<L: Lanes> Walk<'_, L> {
    /// Walks the key at `start`, which is not the one expected at `place`, and its colon. Returns the next place, the index of the key's
    /// spans, and the offset after the colon.
    #[inline(never)]
    fn unexpected_key(&self, tree: &mut Tree, node: usize, mut place: usize, start: usize) -> Result<(usize, usize, usize), Fault> {
        let (end, escaped) = self.text(start)?;
        let at = self.expect(b':', self.blanks(end))?;
        let raw = self.page.get(start + 1..end - 1).unwrap_or_default();
        let node = &mut tree.nodes[node];
        let spans = if escaped {
            let mut key = String::new();
            unescape(raw, &mut key);
            node.look_up(&mut place, &key)
        } else {
            node.look_up(&mut place, raw)
        };
        Ok((place, spans, at))
    }

    /// Walks the object at `at` and stores the spans of needed values in `record`. `levels` is the nesting depth around it.
    #[inline(never)]
    pub(super) fn object(&self, record: &mut Record<'_>, node: usize, at: usize, levels: u32) -> Result<usize, Fault> {
        self.lanes.run(Object { walk: self, record, node, at, levels })
    }

    /// Walks the value at `at`, and stores its span if `spans` is not [`NOT_NEEDED`].
    #[inline(never)]
    fn value_of(&self, record: &mut Record<'_>, spans: usize, at: usize, levels: u32) -> Result<usize, Fault> {
        if spans == NOT_NEEDED { Ok(self.value(at, levels)?.1) } else { self.needed(record, spans / BLOCK, at, levels) }
    }

    /// Walks the value at `at` and stores its span in `node`, and those of values inside in the nodes below. Spans of an earlier value of
    /// the same key are cleared.
    #[inline(always)]
    fn needed(&self, record: &mut Record<'_>, node: usize, at: usize, levels: u32) -> Result<usize, Fault> {
        if !record.row[node * BLOCK].is_absent() {
            record.tree.forget_below(node, record.row);
        }
        let (kind, end) = match self.byte(at) {
            Some(b'"') => self.value(at, levels)?,
            Some(b'{' | b'[') => (JsonKind::Nested, self.needed_nested(record, node, at, levels)?),
            _ => self.non_string(at, levels)?,
        };
        record.row[node * BLOCK] = ByteSpan::new(kind, at, end);
        Ok(end)
    }

    #[inline(never)]
    fn needed_nested(&self, record: &mut Record<'_>, node: usize, at: usize, levels: u32) -> Result<usize, Fault> {
        let (expects_keys, element) = (record.tree.nodes[node].expects_keys(), record.tree.nodes[node].element);
        match (self.byte(at), element) {
            (Some(b'{'), _) if expects_keys => self.object(record, node, at, levels),
            (Some(b'['), Some(element)) => self.list(record, element, at, levels),
            _ => self.nest(at, levels),
        }
    }

    /// Walks the list at `at` and stores the span of its first element with a value in the node `element`.
    fn list(&self, record: &mut Record<'_>, element: usize, at: usize, levels: u32) -> Result<usize, Fault> {
        let mut at = self.enter(b'[', at, levels)?;
        if self.byte(at) == Some(b']') {
            return Ok(at + 1);
        }
        at = self.needed(record, element, at, levels + 1)?;
        loop {
            at = self.blanks(at);
            match self.byte(at) {
                Some(b',') if record.tree.has_value(element, record.row) => at = self.value(self.blanks(at + 1), levels + 1)?.1,
                Some(b',') => at = self.needed(record, element, self.blanks(at + 1), levels + 1)?,
                Some(b']') => return Ok(at + 1),
                _ => return Err(self.fault(FaultKind::Syntax, at)),
            }
        }
    }
}

/// [`Walk::object`].
struct Object<'w, 'a, 'r, L> {
    walk: &'w Walk<'a, L>,
    record: &'w mut Record<'r>,
    node: usize,
    at: usize,
    levels: u32,
}

/// An object around the one being walked.
#[derive(Debug, Clone, Copy, Default)]
struct Frame {
    node: usize,
    place: usize,
    /// The offset of the inner object, and the index of its span.
    inner: usize,
    spans: usize,
}

/// Nested objects that are walked without recursion.
const FRAMES: usize = 4;

impl<L: Lanes> Kernel for Object<'_, '_, '_, L> {
    type Output = Result<usize, Fault>;

    #[inline(always)]
    fn call(self) -> Self::Output {
        let Self { walk, record, mut node, at, mut levels } = self;
        let walk = *walk;
        let (mut frames, mut depth) = ([Frame::default(); FRAMES], 0);
        let mut at = walk.enter(b'{', at, levels)?;
        let mut place = 0;
        let mut is_empty = walk.byte(at) == Some(b'}');
        loop {
            if !is_empty {
                let Record { tree, row } = &mut *record;
                let mut entries = tree.nodes[node].entries();
                let next = 'common: loop {
                    let Some(window) = walk.window(at) else { break Next::Key };
                    let Some((value, spans)) = match_expected(entries, &mut place, window, walk.lanes) else { break Next::Key };
                    let Some((span, end, next)) = walk.compact_scalar(window, at, value) else {
                        let inner = at + value;
                        if window[value & 63..].first_chunk() == Some(b"{\"") && depth < FRAMES && tree.enters(spans, row) {
                            frames[depth] = Frame { node, place, inner, spans };
                            (depth, levels, node, place) = (depth + 1, levels + 1, spans / BLOCK, 0);
                            if levels < LEVELS_MAX {
                                (entries, at) = (tree.nodes[node].entries(), inner + 1);
                                continue;
                            }
                            return Err(walk.fault(FaultKind::TooDeep, inner));
                        }
                        break Next::Value(spans, inner);
                    };
                    if let Some(place) = row.get_mut(spans) {
                        let is_repeated = !place.is_absent();
                        *place = span;
                        if is_repeated {
                            tree.forget_below(spans / BLOCK, row);
                        }
                    }
                    // `next` is the first stop after a number, so it is never before `end + 1`. With `==`, the compiler would use one value
                    // for the other, and the start of the next member would depend on the end of this one.
                    if walk.byte(end) == Some(b',') && next <= end + 1 {
                        at = next;
                        continue;
                    }
                    at = end;
                    loop {
                        match walk.byte(at) {
                            Some(b',') => break,
                            Some(b'}') if depth > 0 => {
                                at += 1;
                                (depth, levels) = (depth - 1, levels - 1);
                                let outer = frames[depth];
                                (node, place) = (outer.node, outer.place);
                                row[outer.spans] = ByteSpan::new(JsonKind::Nested, outer.inner, at);
                                entries = tree.nodes[node].entries();
                            }
                            _ => break 'common Next::Separator,
                        }
                    }
                    at += 1;
                };
                let value = match next {
                    Next::Separator => None,
                    Next::Value(spans, value) => Some((spans, value)),
                    Next::Key => {
                        let (next, spans, value) = walk.unexpected_key(record.tree, node, place, walk.blanks(at))?;
                        place = next;
                        Some((spans, value))
                    }
                };
                if let Some((spans, value)) = value {
                    at = walk.blanks(value);
                    if walk.byte(at) == Some(b'{') && depth < FRAMES && record.tree.enters(spans, record.row) {
                        frames[depth] = Frame { node, place, inner: at, spans };
                        (depth, levels, node, place) = (depth + 1, levels + 1, spans / BLOCK, 0);
                        at = walk.enter(b'{', at, levels)?;
                        is_empty = walk.byte(at) == Some(b'}');
                        continue;
                    }
                    at = walk.value_of(record, spans, at, levels + 1)?;
                }
            }
            is_empty = false;
            // After a value.
            loop {
                at = walk.blanks(at);
                match walk.byte(at) {
                    Some(b',') => {
                        at = walk.blanks(at + 1);
                        break;
                    }
                    Some(b'}') if depth == 0 => return Ok(at + 1),
                    Some(b'}') => {
                        at += 1;
                        (depth, levels) = (depth - 1, levels - 1);
                        let outer = frames[depth];
                        (node, place) = (outer.node, outer.place);
                        record.row[outer.spans] = ByteSpan::new(JsonKind::Nested, outer.inner, at);
                    }
                    _ => return Err(walk.fault(FaultKind::Syntax, at)),
                }
            }
        }
    }
}
