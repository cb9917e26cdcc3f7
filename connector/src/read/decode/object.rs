//! The walk through objects in which something is wanted, by the tree of expected keys.
//!
//! In: an offset and a node. Out: the offset after the object, and in the record's row where the wanted values are. What comes last
//! in an object wins: it overwrites what came before, and what was below that is forgotten.

use super::BLOCK;
use super::fault::{Fault, Why};
use super::scan::{Lanes, Work};
use super::span::{Kind, Span};
use super::tree::{Place, Tree, UNWANTED, foreseen};
use super::walk::{Walk, unescape};

/// What is kept of a record while it is walked.
#[derive(Debug)]
pub(super) struct Record<'r> {
    pub(super) tree: &'r mut Tree,
    /// A span a node, a block apart.
    pub(super) row: &'r mut [Span],
}

impl Record<'_> {
    /// Whether keys are foreseen in the object whose span goes there; then what was below it before is forgotten.
    #[inline(always)]
    fn goes_into(&mut self, spans: usize) -> bool {
        let Some(span) = self.row.get(spans) else { return false };
        if !span.is_absent() {
            self.tree.forget_below(spans / BLOCK, self.row);
        }
        self.tree.nodes[spans / BLOCK].foresees()
    }
}

/// Where the common case ended.
enum Next {
    /// Before a key.
    Key,
    /// Before a value, with where its spans are.
    Value(usize, usize),
    /// After a value.
    Separator,
}

impl<L: Lanes> Walk<'_, L> {
    /// The key at `at`, which was not foreseen, and its colon: where the spans of its node are, and the offset past both.
    #[inline(never)]
    fn unforeseen(&self, tree: &mut Tree, node: usize, mut place: Place, start: usize) -> Result<(Place, usize, usize), Fault> {
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

    /// The value at `at`, which `node` and perhaps nodes below it want. A key that came before in its object is forgotten.
    #[inline(always)]
    fn wanted(&self, record: &mut Record<'_>, node: usize, at: usize, levels: u32) -> Result<usize, Fault> {
        if !record.row[node * BLOCK].is_absent() {
            record.tree.forget_below(node, record.row);
        }
        let (kind, end) = match self.byte(at) {
            Some(b'"') => self.value(at, levels)?,
            Some(b'{' | b'[') => (Kind::Nest, self.wanted_nest(record, node, at, levels)?),
            _ => self.other(at, levels)?,
        };
        record.row[node * BLOCK] = Span::new(kind, at, end);
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
    place: Place,
    /// Where the object in it begins, and where its span goes.
    inner: usize,
    spans: usize,
}

/// Objects in each other that are walked without a call.
const FRAMES: usize = 4;

impl<L: Lanes> Work for Object<'_, '_, '_, L> {
    type Done = Result<usize, Fault>;

    #[inline(always)]
    fn work(self) -> Self::Done {
        let Self { walk, record, mut node, at, mut levels } = self;
        let (mut frames, mut depth) = ([Frame::default(); FRAMES], 0);
        let mut at = walk.enter(b'{', at, levels)?;
        let mut place = record.tree.nodes[node].start();
        let mut is_empty = walk.byte(at) == Some(b'}');
        loop {
            if !is_empty {
                let mut next = Next::Key;
                let entries = record.tree.nodes[node].entries();
                while let Some(window) = walk.window(at)
                    && let Some((value, spans)) = foreseen(entries, &mut place, window, walk.lanes)
                {
                    let Some((kind, end)) = walk.swift_scalar(at, window, value) else {
                        next = Next::Value(spans, at + value);
                        break;
                    };
                    if let Some(span) = record.row.get_mut(spans) {
                        let again = !span.is_absent();
                        *span = Span::new(kind, at + value, at + end);
                        if again {
                            record.tree.forget_below(spans / BLOCK, record.row);
                        }
                    }
                    at += end;
                    match window.get(end..end + 2) {
                        Some(b",\"") => at += 1,
                        _ => {
                            next = Next::Separator;
                            break;
                        }
                    }
                }
                if let Next::Key = next {
                    let spans;
                    (place, spans, at) = walk.unforeseen(record.tree, node, place, at)?;
                    next = Next::Value(spans, at);
                }
                if let Next::Value(spans, value) = next {
                    at = walk.blanks(value);
                    if walk.byte(at) == Some(b'{') && depth < FRAMES && record.goes_into(spans) {
                        frames[depth] = Frame { node, place, inner: at, spans };
                        (depth, levels, node) = (depth + 1, levels + 1, spans / BLOCK);
                        at = walk.enter(b'{', at, levels)?;
                        place = record.tree.nodes[node].start();
                        is_empty = walk.byte(at) == Some(b'}');
                        continue;
                    }
                    at = match spans {
                        UNWANTED => walk.value(at, levels + 1)?.1,
                        _ => walk.wanted(record, spans / BLOCK, at, levels + 1)?,
                    };
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
                        depth -= 1;
                        levels -= 1;
                        let outer = frames[depth];
                        (node, place) = (outer.node, outer.place);
                        record.row[outer.spans] = Span::new(Kind::Nest, outer.inner, at);
                    }
                    _ => return Err(walk.fault(Why::Syntax, at)),
                }
            }
        }
    }
}
