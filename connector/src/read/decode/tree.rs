//! The paths of all slots as one tree of keys, in the order in which keys are expected.
//!
//! In: paths. Out: nodes in preorder, so that the nodes below `n` are `n + 1 .. nodes[n].end`. The records of one answer usually have
//! their keys in the same order. So after a key, the one that followed it so far is tried first, with one comparison. Any other key is
//! looked up in a map and moved to the position where it was found. Keys that no slot needs are expected too, up to a limit, because most
//! keys of a record are such.

use std::collections::HashMap;
use std::ops::Range;

use super::compact::Window;
use super::simd::Lanes;
use super::span::{BLOCK, ByteSpan};

/// Most keys per node that are remembered although no slot needs them.
const NOT_NEEDED_KEYS_MAX: usize = 64;
/// Most look-ups per page in an object of which no inner value is needed. If its keys always differ, expecting them does not pay.
const LOOK_UPS_MAX: usize = 1_000;
/// Expected keys to try before a key is looked up, as some may be missing in this record.
const TRIES_MAX: usize = 6;
/// Most moves of keys per page and object. If the order always differs, moving keys does not pay.
const MOVES_MAX: usize = 1_000;

/// The span index of a key that no slot needs. It is beyond all spans.
pub(super) const NOT_NEEDED: usize = usize::MAX;

#[derive(Debug)]
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
}

/// A position in a record at the end of a path or on the way.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// One past the last node below.
    pub(super) end: usize,
    /// Whether paths continue below, by a key or into a list.
    is_inner: bool,
    /// The node of the list elements, if a path has the step "*".
    pub(super) element: Option<usize>,
    /// In the order in which they are expected.
    entries: Vec<Entry>,
    by_key: HashMap<Box<str>, usize>,
    /// The index in `entries` of each key, by the number that `by_key` gives it.
    places: Vec<usize>,
    not_needed: usize,
    /// Look-ups in this page.
    look_ups: usize,
    /// Moves in this page.
    moves: usize,
}

/// A key of an object.
#[derive(Debug)]
#[repr(align(64))] // One cache line, whose address is computed by a shift.
pub(super) struct Entry {
    /// `"key":`. If it does not fit or would need escapes, bytes that occur in no text, so that it never matches.
    text: [u8; 32],
    /// The length of `text`.
    len: u32,
    /// The number that `by_key` gives it.
    key: u32,
    /// The index of the first span of the node below, or [`NOT_NEEDED`].
    spans: usize,
}

impl Entry {
    fn new(key: &str, number: usize, spans: usize) -> Self {
        let mut entry = Self { text: [0xff; 32], len: 32, key: number as u32, spans };
        let plain = key.bytes().all(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20));
        let text = format!("\"{key}\":");
        if let Some(room) = entry.text.get_mut(..text.len()).filter(|_| plain) {
            room.copy_from_slice(text.as_bytes());
            entry.len = text.len() as u32;
        }
        entry
    }
}

impl Tree {
    /// The tree of `paths`, and the node of each path.
    pub(super) fn new<'a>(paths: impl Iterator<Item = &'a [String]>) -> (Self, Vec<usize>) {
        let mut root = PathNode::default();
        let mut count = 0;
        for (at, path) in paths.enumerate() {
            let mut path_node = &mut root;
            for step in path {
                let found = path_node.children.iter().position(|(key, _)| key == step);
                let index = found.unwrap_or_else(|| {
                    path_node.children.push((step.clone(), PathNode::default()));
                    path_node.children.len() - 1
                });
                path_node = &mut path_node.children[index].1;
            }
            path_node.paths.push(at);
            count = at + 1;
        }
        let (mut tree, mut nodes) = (Self { nodes: Vec::new() }, vec![0; count]);
        tree.add(&root, &mut nodes);
        (tree, nodes)
    }

    /// Adds a node and those below, and sets the node of each path.
    fn add(&mut self, path_node: &PathNode, nodes_of_paths: &mut [usize]) -> usize {
        let at = self.nodes.len();
        path_node.paths.iter().for_each(|path| nodes_of_paths[*path] = at);
        self.nodes.push(Node { is_inner: !path_node.children.is_empty(), ..Node::default() });
        for (key, child) in &path_node.children {
            let child = self.add(child, nodes_of_paths);
            let node = &mut self.nodes[at];
            node.insert(key, node.entries.len(), child * BLOCK);
            if key == "*" {
                node.element = Some(child);
            }
        }
        self.nodes[at].end = self.nodes.len();
        at
    }

    /// Resets the limits: the next page may have other records.
    pub(super) fn begin_page(&mut self) {
        self.nodes.iter_mut().for_each(|node| (node.look_ups, node.moves) = (0, 0));
    }

    /// The number of spans for a block of records.
    pub(super) fn spans(&self) -> usize {
        self.nodes.len() * BLOCK
    }

    /// Whether keys are expected in the object with this span index. Clears the spans below it, in case its key is repeated.
    #[inline(always)]
    pub(super) fn enters(&self, spans: usize, row: &mut [ByteSpan]) -> bool {
        let Some(span) = row.get(spans) else { return false };
        if !span.is_absent() {
            self.forget_below(spans / BLOCK, row);
        }
        self.nodes[spans / BLOCK].expects_keys()
    }

    /// Whether this record has a value at `node` or, if paths continue there, below it.
    pub(super) fn has_value(&self, node: usize, row: &[ByteSpan]) -> bool {
        let Node { end, is_inner, .. } = self.nodes[node];
        let first = if is_inner { node + 1 } else { node };
        (first..end).any(|node| row[node * BLOCK].is_value())
    }

    /// Clears the spans below `node` in this record, because its key is repeated.
    #[cold]
    pub(super) fn forget_below(&self, node: usize, row: &mut [ByteSpan]) {
        (node + 1..self.nodes[node].end).for_each(|below| row[below * BLOCK] = ByteSpan::ABSENT);
    }
}

impl Node {
    #[inline(always)]
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Looks up a key that was not expected at index `next`, and expects it there from now on. Returns its span index.
    #[cold]
    pub(super) fn look_up(&mut self, next: &mut usize, key: &str) -> usize {
        self.look_ups += 1;
        let Some(at) = self.by_key.get(key).map(|number| self.places[*number]) else {
            if self.not_needed < NOT_NEEDED_KEYS_MAX {
                self.not_needed += 1;
                self.insert(key, *next, NOT_NEEDED);
                *next += 1;
            }
            return NOT_NEEDED;
        };
        let spans = self.entries[at].spans;
        if self.moves >= MOVES_MAX {
            *next = at + 1;
        } else if at < *next {
            self.entries[at..*next].rotate_left(1);
            self.update_places(at..*next);
        } else {
            self.entries[*next..=at].rotate_right(1);
            self.update_places(*next..at + 1);
            *next += 1;
        }
        spans
    }

    /// Inserts a key at an index of the order.
    fn insert(&mut self, key: &str, at: usize, spans: usize) {
        let number = self.places.len();
        self.by_key.insert(key.into(), number);
        self.places.push(at);
        self.entries.insert(at, Entry::new(key, number, spans));
        self.update_places(at..self.entries.len());
    }

    /// Updates `places` for the keys at these indices.
    fn update_places(&mut self, indices: Range<usize>) {
        self.moves += 1;
        for at in indices {
            self.places[self.entries[at].key as usize] = at;
        }
    }

    /// Whether to walk an object here by its expected keys.
    #[inline(always)]
    pub(super) fn expects_keys(&self) -> bool {
        self.is_inner || self.look_ups < LOOK_UPS_MAX
    }
}

/// Matches a key and its colon against the expected ones from index `next` on. Returns their length and the span index.
#[inline(always)]
pub(super) fn match_expected(entries: &[Entry], next: &mut usize, ahead: &Window, lanes: impl Lanes) -> Option<(usize, usize)> {
    let chunk = ahead.first_chunk()?;
    let mut entry = entries.get(*next)?;
    if !lanes.matches(chunk, &entry.text, entry.len) {
        // Keys in between are missing in this record.
        let mut tries = 1;
        loop {
            entry = entries.get(*next + tries)?;
            if lanes.matches(chunk, &entry.text, entry.len) {
                break;
            }
            tries += 1;
            if tries == TRIES_MAX {
                return None;
            }
        }
        *next += tries;
    }
    *next += 1;
    Some((entry.len as usize, entry.spans))
}

/// A node of the paths, before the tree is numbered.
#[derive(Debug, Default)]
struct PathNode {
    paths: Vec<usize>,
    children: Vec<(String, Self)>,
}
