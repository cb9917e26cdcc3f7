//! The paths of all slots as one tree of expected keys, and the order in which the keys came so far.
//!
//! In: paths. Out: nodes in preorder, so that what lies below node `n` is `n + 1 .. nodes[n].end`. Records of one answer are
//! written alike: after a key the one that came next so far is tried first, by one comparison. A key that was not foreseen is
//! looked up, and moved to where it was found. Keys that nobody wants are foreseen too, up to a bound.

use std::collections::HashMap;
use std::ops::Range;

use super::compact::Window;
use super::simd::Lanes;
use super::span::{BLOCK, ByteSpan};

/// Keys that nobody wants, remembered a node.
const UNWANTED_KEYS_MAX: usize = 64;
/// Look-ups a page in an object that is wanted as a whole only: where its keys are never the same, foreseeing them does not pay.
const VAIN_LOOK_UPS_MAX: usize = 1_000;
/// Foreseen keys to try before a key is looked up: those between may be missing in this record.
const TRIES_MAX: usize = 6;
/// Keys that are moved a page in an object: where they never come in the same order, moving them does not pay.
const MOVES_MAX: usize = 1_000;

/// Stands for the spans of a key that nobody wants: beyond all.
pub(super) const UNWANTED: usize = usize::MAX;

/// The compiled paths.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
}

/// A place in a record that a path leads to or through.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// One past the last node below.
    pub(super) end: usize,
    /// Whether paths lead further, by a key or into a list.
    is_inner: bool,
    /// The node of the first element, where a path has step "0".
    pub(super) first_element: Option<usize>,
    /// In the order in which they came.
    entries: Vec<Entry>,
    by_key: HashMap<Box<str>, usize>,
    /// Of each key, as `by_key` numbers them, the place in `entries`.
    places: Vec<usize>,
    unwanted: usize,
    /// Look-ups and moves in this page.
    look_ups: usize,
    moves: usize,
}

/// A key of an object.
#[derive(Debug)]
#[repr(align(64))] // A line of the cache, found by a shift.
pub(super) struct Entry {
    /// `"key":`, as far as it fits; bytes that are in no text where it does not fit, or would be written with escapes.
    text: [u8; 32],
    /// Its bytes, at most 32.
    len: u32,
    /// As `by_key` numbers it.
    key: u32,
    /// Where the spans of the node below are, or [`UNWANTED`].
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
    /// The tree of `paths`, and for each path its node.
    pub(super) fn new<'a>(paths: impl Iterator<Item = &'a [String]>) -> (Self, Vec<usize>) {
        let mut root = Twig::default();
        let mut count = 0;
        for (at, path) in paths.enumerate() {
            let mut twig = &mut root;
            for step in path {
                let found = twig.twigs.iter().position(|(key, _)| key == step);
                let index = found.unwrap_or_else(|| {
                    twig.twigs.push((step.clone(), Twig::default()));
                    twig.twigs.len() - 1
                });
                twig = &mut twig.twigs[index].1;
            }
            twig.paths.push(at);
            count = at + 1;
        }
        let (mut tree, mut places) = (Self { nodes: Vec::new() }, vec![0; count]);
        tree.grow(&root, &mut places);
        (tree, places)
    }

    fn grow(&mut self, twig: &Twig, places: &mut [usize]) -> usize {
        let at = self.nodes.len();
        twig.paths.iter().for_each(|path| places[*path] = at);
        self.nodes.push(Node { is_inner: !twig.twigs.is_empty(), ..Node::default() });
        for (key, below) in &twig.twigs {
            let child = self.grow(below, places);
            let node = &mut self.nodes[at];
            node.insert(key, node.entries.len(), child * BLOCK);
            if key == "0" {
                node.first_element = Some(child);
            }
        }
        self.nodes[at].end = self.nodes.len();
        at
    }

    /// A new page, perhaps of other records.
    pub(super) fn begin(&mut self) {
        self.nodes.iter_mut().for_each(|node| (node.look_ups, node.moves) = (0, 0));
    }

    /// Spans of a block of records: as many a node.
    pub(super) fn spans(&self) -> usize {
        self.nodes.len() * BLOCK
    }

    /// Whether keys are foreseen in the object whose span goes there; then what was below it before is forgotten.
    #[inline(always)]
    pub(super) fn goes_into(&self, spans: usize, row: &mut [ByteSpan]) -> bool {
        let Some(span) = row.get(spans) else { return false };
        if !span.is_absent() {
            self.forget_below(spans / BLOCK, row);
        }
        self.nodes[spans / BLOCK].foresees()
    }

    /// Forgets what is below `node` in this record, because its key came once more.
    #[cold]
    pub(super) fn forget_below(&self, node: usize, row: &mut [ByteSpan]) {
        (node + 1..self.nodes[node].end).for_each(|below| row[below * BLOCK] = ByteSpan::ABSENT);
    }
}

impl Node {
    /// The keys.
    #[inline(always)]
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Where the spans are of a key that was not foreseen at place `next`. From now on it is.
    #[cold]
    pub(super) fn look_up(&mut self, next: &mut usize, key: &str) -> usize {
        self.look_ups += 1;
        let Some(at) = self.by_key.get(key).map(|number| self.places[*number]) else {
            if self.unwanted < UNWANTED_KEYS_MAX {
                self.unwanted += 1;
                self.insert(key, *next, UNWANTED);
                *next += 1;
            }
            return UNWANTED;
        };
        let spans = self.entries[at].spans;
        if self.moves >= MOVES_MAX {
            *next = at + 1;
        } else if at < *next {
            self.entries[at..*next].rotate_left(1);
            self.moved(at..*next);
        } else {
            self.entries[*next..=at].rotate_right(1);
            self.moved(*next..at + 1);
            *next += 1;
        }
        spans
    }

    /// Adds a key at a place in the order.
    fn insert(&mut self, key: &str, at: usize, spans: usize) {
        let number = self.places.len();
        self.by_key.insert(key.into(), number);
        self.places.push(at);
        self.entries.insert(at, Entry::new(key, number, spans));
        self.moved(at..self.entries.len());
    }

    /// Notes which keys are in these places now.
    fn moved(&mut self, places: Range<usize>) {
        self.moves += 1;
        for at in places {
            self.places[self.entries[at].key as usize] = at;
        }
    }

    /// Whether to foresee the keys of an object here.
    #[inline(always)]
    pub(super) fn foresees(&self) -> bool {
        self.is_inner || self.look_ups < VAIN_LOOK_UPS_MAX
    }
}

/// Whether the bytes are a key that is foreseen at place `next`, with its colon: then how many of them, and where the spans of its
/// node are.
#[inline(always)]
pub(super) fn foreseen(entries: &[Entry], next: &mut usize, ahead: &Window, lanes: impl Lanes) -> Option<(usize, usize)> {
    let chunk = ahead.first_chunk()?;
    let mut entry = entries.get(*next)?;
    if !lanes.matches(chunk, &entry.text, entry.len) {
        // Those between are missing in this record.
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

/// A node while the tree grows.
#[derive(Debug, Default)]
struct Twig {
    paths: Vec<usize>,
    twigs: Vec<(String, Self)>,
}
