//! The paths of all slots as one tree of expected keys, and the order in which the keys came so far.
//!
//! In: paths. Out: nodes in preorder, so that what lies below node `n` is `n + 1 .. nodes[n].end`. Records of one answer are
//! written alike: after a key its successor of last time is tried first, by one comparison. A key that was not foreseen is
//! looked up, and becomes the successor. Keys that nobody wants are foreseen too, up to a bound.

use std::collections::HashMap;

use super::BLOCK;
use super::scan::Lanes;
use super::span::Span;
use super::swift::Window;

/// Keys that nobody wants, remembered a node.
const UNWANTED_KEYS_MAX: usize = 64;
/// Look-ups a page in an object that is wanted as a whole only: where its keys are never the same, foreseeing them does not pay.
const VAIN_LOOK_UPS_MAX: usize = 1_000;
/// Foreseen keys to try before a key is looked up: those between may be missing in this record.
const TRIES_MAX: usize = 6;
/// No entry.
const NONE: u16 = u16::MAX;

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
    entries: Vec<Entry>,
    by_key: HashMap<Box<str>, u16>,
    /// The entry that came first.
    first: u16,
    unwanted: usize,
    /// Look-ups in this page.
    look_ups: usize,
}

/// A key of an object.
#[derive(Debug)]
pub(super) struct Entry {
    /// `"key":`, as far as it fits.
    text: [u8; 32],
    /// Its bytes; more than 32, which never match, where it does not fit or would be written with escapes.
    len: u32,
    /// The entry that followed.
    next: u16,
    /// Where the spans of the node below are, or [`UNWANTED`].
    spans: usize,
}

impl Entry {
    fn new(key: &str, spans: usize) -> Self {
        let mut entry = Self { text: [0; 32], len: u32::MAX, next: NONE, spans };
        let plain = key.bytes().all(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20));
        let text = format!("\"{key}\":");
        if let Some(room) = entry.text.get_mut(..text.len()).filter(|_| plain) {
            room.copy_from_slice(text.as_bytes());
            entry.len = text.len() as u32;
        }
        entry
    }
}

/// Where in an object the walk is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    /// The entry of the last key.
    last: u16,
    /// The entry that is foreseen.
    next: u16,
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
        self.nodes.push(Node { first: NONE, is_inner: !twig.twigs.is_empty(), ..Node::default() });
        for (key, below) in &twig.twigs {
            let child = self.grow(below, places);
            let node = &mut self.nodes[at];
            node.by_key.insert(key.as_str().into(), node.entries.len() as u16);
            node.entries.push(Entry::new(key, child * BLOCK));
            if key == "0" {
                node.first_element = Some(child);
            }
        }
        self.nodes[at].end = self.nodes.len();
        at
    }

    /// A new page, perhaps of other records.
    pub(super) fn begin(&mut self) {
        self.nodes.iter_mut().for_each(|node| node.look_ups = 0);
    }

    /// Spans of a block of records: as many a node.
    pub(super) fn spans(&self) -> usize {
        self.nodes.len() * BLOCK
    }

    /// Forgets what is below `node` in this record, because its key came once more.
    #[cold]
    pub(super) fn forget_below(&self, node: usize, row: &mut [Span]) {
        (node + 1..self.nodes[node].end).for_each(|below| row[below * BLOCK] = Span::ABSENT);
    }
}

impl Node {
    /// Before the first key.
    #[inline(always)]
    pub(super) fn start(&self) -> Place {
        Place { last: NONE, next: self.first }
    }

    /// The keys.
    #[inline(always)]
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Where the spans are of a key that was not foreseen. From now on it is.
    #[cold]
    pub(super) fn look_up(&mut self, place: &mut Place, key: &str) -> usize {
        self.look_ups += 1;
        let at = match self.by_key.get(key) {
            Some(at) => *at,
            None if self.unwanted < UNWANTED_KEYS_MAX => {
                self.unwanted += 1;
                let at = self.entries.len() as u16;
                self.entries.push(Entry::new(key, UNWANTED));
                self.by_key.insert(key.into(), at);
                at
            }
            None => return UNWANTED,
        };
        let before = match self.entries.get_mut(usize::from(place.last)) {
            Some(last) => std::mem::replace(&mut last.next, at),
            None => std::mem::replace(&mut self.first, at),
        };
        let entry = &mut self.entries[usize::from(at)];
        if entry.next == NONE {
            entry.next = before;
        }
        *place = Place { last: at, next: entry.next };
        entry.spans
    }

    /// Whether to foresee the keys of an object here.
    #[inline(always)]
    pub(super) fn foresees(&self) -> bool {
        self.is_inner || self.look_ups < VAIN_LOOK_UPS_MAX
    }
}

/// Whether the bytes are a foreseen key with its colon: then how many of them, and where the spans of its
/// node are.
#[inline(always)]
pub(super) fn foreseen(entries: &[Entry], place: &mut Place, ahead: &Window, lanes: impl Lanes) -> Option<(usize, usize)> {
    let mut at = place.next;
    let chunk = ahead.first_chunk()?;
    for _ in 0..TRIES_MAX {
        let entry = entries.get(usize::from(at))?;
        if lanes.matches(chunk, &entry.text, entry.len) {
            *place = Place { last: at, next: entry.next };
            return Some((entry.len as usize, entry.spans));
        }
        at = entry.next;
    }
    None
}

/// A node while the tree grows.
#[derive(Debug, Default)]
struct Twig {
    paths: Vec<usize>,
    twigs: Vec<(String, Self)>,
}
