//! The walk through objects in which something is wanted, by the tree of expected keys.
//!
//! In: an offset and a node. Out: the offset after the object, and in the record's row where the wanted values are. What comes last
//! in an object wins: it overwrites what came before, and what was below that is forgotten.

use super::escape::unescape;
use super::fault::{Fault, Why};
use super::simd::{Kernel, Lanes};
use super::span::{BLOCK, ByteSpan, JsonKind};
use super::tree::{Tree, UNWANTED, foreseen};
use super::walk::{LEVELS_MAX, Walk};

/// What is kept of a record while it is walked.
#[derive(Debug)]
pub(super) struct Record<'r> {
    pub(super) tree: &'r mut Tree,
    /// A span a node, a block apart.
    pub(super) row: &'r mut [ByteSpan],
}

/// Where the common case ended: the walk goes on byte by byte until it is over.
enum Next {
    /// Before a key.
    Key,
    /// Before a value, with where its spans are.
    Value(usize, usize),
    /// After a value.
    Separator,
}

impl<L: Lanes> Walk<'_, L> {
    /// The key at `start`, which was not foreseen at `place` of the object's keys, and its colon: the next place, where the spans of its
    /// node are, and the offset past both.
    #[inline(never)]
    fn unforeseen(&self, tree: &mut Tree, node: usize, mut place: usize, start: usize) -> Result<(usize, usize, usize), Fault> {
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

    /// The object at `at`, whose wanted values go into `record`. `levels` are open around it.
    #[inline(never)]
    pub(super) fn object(&self, record: &mut Record<'_>, node: usize, at: usize, levels: u32) -> Result<usize, Fault> {
        self.lanes.run(Object { walk: self, record, node, at, levels })
    }

    /// The value at `at`, whose spans go there, if it is wanted.
    #[inline(never)]
    fn any(&self, record: &mut Record<'_>, spans: usize, at: usize, levels: u32) -> Result<usize, Fault> {
        if spans == UNWANTED { Ok(self.value(at, levels)?.1) } else { self.wanted(record, spans / BLOCK, at, levels) }
    }

    /// The value at `at`, which `node` and perhaps nodes below it want. A key that came before in its object is forgotten.
    #[inline(always)]
    fn wanted(&self, record: &mut Record<'_>, node: usize, at: usize, levels: u32) -> Result<usize, Fault> {
        if !record.row[node * BLOCK].is_absent() {
            record.tree.forget_below(node, record.row);
        }
        let (kind, end) = match self.byte(at) {
            Some(b'"') => self.value(at, levels)?,
            Some(b'{' | b'[') => (JsonKind::Nest, self.wanted_nest(record, node, at, levels)?),
            _ => self.other(at, levels)?,
        };
        record.row[node * BLOCK] = ByteSpan::new(kind, at, end);
        Ok(end)
    }

    #[inline(never)]
    fn wanted_nest(&self, record: &mut Record<'_>, node: usize, at: usize, levels: u32) -> Result<usize, Fault> {
        let (foresees, first_element) = (record.tree.nodes[node].foresees(), record.tree.nodes[node].first_element);
        match (self.byte(at), first_element) {
            (Some(b'{'), _) if foresees => self.object(record, node, at, levels),
            (Some(b'['), Some(first)) => self.list(record, first, at, levels),
            _ => self.nest(at, levels),
        }
    }

    /// The list at `at`, whose first element `first` wants.
    fn list(&self, record: &mut Record<'_>, first: usize, at: usize, levels: u32) -> Result<usize, Fault> {
        let mut at = self.enter(b'[', at, levels)?;
        if self.byte(at) == Some(b']') {
            return Ok(at + 1);
        }
        at = self.wanted(record, first, at, levels + 1)?;
        loop {
            at = self.blanks(at);
            match self.byte(at) {
                Some(b',') => at = self.value(self.blanks(at + 1), levels + 1)?.1,
                Some(b']') => return Ok(at + 1),
                _ => return Err(self.fault(Why::Syntax, at)),
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

/// An object in which the walk is somewhere deeper.
#[derive(Debug, Clone, Copy, Default)]
struct Frame {
    node: usize,
    place: usize,
    /// Where the object in it begins, and where its span goes.
    inner: usize,
    spans: usize,
}

/// Objects in each other that are walked without a call.
const FRAMES: usize = 4;

impl<L: Lanes> Kernel for Object<'_, '_, '_, L> {
    type Done = Result<usize, Fault>;

    #[inline(always)]
    fn work(self) -> Self::Done {
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
                    let Some((value, spans)) = foreseen(entries, &mut place, window, walk.lanes) else { break Next::Key };
                    let Some((span, end, next)) = walk.compact_scalar(window, at, value) else {
                        let inner = at + value;
                        if window[value & 63..].first_chunk() == Some(b"{\"") && depth < FRAMES && tree.goes_into(spans, row) {
                            frames[depth] = Frame { node, place, inner, spans };
                            (depth, levels, node, place) = (depth + 1, levels + 1, spans / BLOCK, 0);
                            if levels < LEVELS_MAX {
                                (entries, at) = (tree.nodes[node].entries(), inner + 1);
                                continue;
                            }
                            return Err(walk.fault(Why::Deep, inner));
                        }
                        break Next::Value(spans, inner);
                    };
                    if let Some(place) = row.get_mut(spans) {
                        let again = !place.is_absent();
                        *place = span;
                        if again {
                            tree.forget_below(spans / BLOCK, row);
                        }
                    }
                    // `next` is the first stop after a number, so not before its comma's end. KeyFilter for `==`, the compiler would take the one
                    // for the other, and the next member would wait for the end of this.
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
                                row[outer.spans] = ByteSpan::new(JsonKind::Nest, outer.inner, at);
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
                        let (next, spans, value) = walk.unforeseen(record.tree, node, place, walk.blanks(at))?;
                        place = next;
                        Some((spans, value))
                    }
                };
                if let Some((spans, value)) = value {
                    at = walk.blanks(value);
                    if walk.byte(at) == Some(b'{') && depth < FRAMES && record.tree.goes_into(spans, record.row) {
                        frames[depth] = Frame { node, place, inner: at, spans };
                        (depth, levels, node, place) = (depth + 1, levels + 1, spans / BLOCK, 0);
                        at = walk.enter(b'{', at, levels)?;
                        is_empty = walk.byte(at) == Some(b'}');
                        continue;
                    }
                    at = walk.any(record, spans, at, levels + 1)?;
                }
            }
            is_empty = false;
            // What follows a value.
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
                        record.row[outer.spans] = ByteSpan::new(JsonKind::Nest, outer.inner, at);
                    }
                    _ => return Err(walk.fault(Why::Syntax, at)),
                }
            }
        }
    }
}
