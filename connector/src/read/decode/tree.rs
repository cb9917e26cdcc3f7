//! The paths of all slots as one tree of expected keys, and the order in which the keys came so far.
//!
//! In: paths. Out: nodes in preorder, so that what lies below node `n` is `n + 1 .. nodes[n].end`. Records of one answer are
//! written alike: after a key its successor of last time is tried first, by comparing two words. A key that was not foreseen is
//! looked up, and becomes the successor. Keys that nobody wants are foreseen too, up to a bound.

use std::collections::HashMap;

use super::span::Span;

/// Keys that nobody wants, remembered a node.
const UNWANTED_KEYS_MAX: usize = 64;
/// Foreseen keys to try before a key is looked up: those between may be missing in this record.
const TRIES_MAX: usize = 6;
/// No entry.
const NONE: u16 = u16::MAX;

/// The compiled paths.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
}

/// A place in a record that a path leads to or through.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// One past the last node below.
    pub(super) end: u16,
    /// Whether paths lead further, by a key or into a list.
    pub(super) is_inner: bool,
    /// The node of the first element, where a path has step "0".
    pub(super) first_element: Option<u16>,
    entries: Vec<Entry>,
    by_key: HashMap<Box<[u8]>, u16>,
    /// The entry that came first.
    first: u16,
    unwanted: usize,
}

/// A key of an object.
#[derive(Debug)]
struct Entry {
    /// `"key":` as two words, and which of their bytes count. Never equal where the key is too long for them.
    words: [u128; 2],
    masks: [u128; 2],
    /// Bytes of `"key":`.
    len: usize,
    /// The node below, if it is wanted.
    child: Option<u16>,
    /// The entry that followed.
    next: u16,
}

impl Entry {
    fn new(key: &[u8], child: Option<u16>) -> Self {
        let mut entry = Self { words: [u128::MAX; 2], masks: [0; 2], len: key.len() + 3, child, next: NONE };
        let plain = key.iter().all(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20));
        if entry.len <= 32 && plain {
            let mut text = [0; 32];
            text[0] = b'"';
            text[1..=key.len()].copy_from_slice(key);
            text[key.len() + 1] = b'"';
            text[key.len() + 2] = b':';
            let counts: [u8; 32] = std::array::from_fn(|at| if at < entry.len { 0xff } else { 0 });
            entry.words = words(&text);
            entry.masks = words(&counts);
        }
        entry
    }
}

/// Two words of 16 bytes.
#[inline(always)]
pub(super) fn words(chunk: &[u8; 32]) -> [u128; 2] {
    let (low, high) = chunk.split_at(16);
    let word = |half: &[u8]| half.first_chunk().map_or(0, |half| u128::from_le_bytes(*half));
    [word(low), word(high)]
}

/// The last key of an object that is being walked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place(u16);

impl Place {
    /// Before the first key.
    pub(super) const START: Self = Self(NONE);
}

impl Tree {
    /// The tree of `paths`, and for each path its node.
    pub(super) fn new<'a>(paths: impl Iterator<Item = &'a [String]>) -> (Self, Vec<u16>) {
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

    fn grow(&mut self, twig: &Twig, places: &mut [u16]) -> u16 {
        let at = self.nodes.len() as u16;
        twig.paths.iter().for_each(|path| places[*path] = at);
        self.nodes.push(Node { first: NONE, is_inner: !twig.twigs.is_empty(), ..Node::default() });
        for (key, below) in &twig.twigs {
            let child = self.grow(below, places);
            let node = &mut self.nodes[usize::from(at)];
            node.by_key.insert(key.as_bytes().into(), node.entries.len() as u16);
            node.entries.push(Entry::new(key.as_bytes(), Some(child)));
            if key == "0" {
                node.first_element = Some(child);
            }
        }
        self.nodes[usize::from(at)].end = self.nodes.len() as u16;
        at
    }

    /// Spans of one record.
    pub(super) fn width(&self) -> usize {
        self.nodes.len()
    }

    /// Forgets what is below `node` in this record, because its key came once more.
    #[cold]
    pub(super) fn forget(&self, node: u16, row: &mut [Span]) {
        row[usize::from(node)..usize::from(self.nodes[usize::from(node)].end)].fill(Span::ABSENT);
    }
}

impl Node {
    /// Whether the bytes are a foreseen key with its colon: then how many of them, and its node.
    #[inline(always)]
    pub(super) fn foreseen(&self, place: &mut Place, chunk: &[u8; 32]) -> Option<(usize, Option<u16>)> {
        let [low, high] = words(chunk);
        let mut at = self.after(*place);
        for _ in 0..TRIES_MAX {
            let entry = self.entries.get(usize::from(at))?;
            if (low & entry.masks[0]) == entry.words[0] && (high & entry.masks[1]) == entry.words[1] {
                *place = Place(at);
                return Some((entry.len, entry.child));
            }
            at = entry.next;
        }
        None
    }

    /// The node of a key that was not foreseen. From now on it is.
    #[cold]
    pub(super) fn look_up(&mut self, place: &mut Place, key: &[u8]) -> Option<u16> {
        let at = match self.by_key.get(key) {
            Some(at) => *at,
            None if self.unwanted < UNWANTED_KEYS_MAX => {
                self.unwanted += 1;
                let at = self.entries.len() as u16;
                self.entries.push(Entry::new(key, None));
                self.by_key.insert(key.into(), at);
                at
            }
            None => return None,
        };
        let before = self.after(*place);
        match self.entries.get_mut(usize::from(place.0)) {
            Some(entry) => entry.next = at,
            None => self.first = at,
        }
        let entry = &mut self.entries[usize::from(at)];
        if entry.next == NONE {
            entry.next = before;
        }
        *place = Place(at);
        entry.child
    }

    #[inline(always)]
    fn after(&self, place: Place) -> u16 {
        self.entries.get(usize::from(place.0)).map_or(self.first, |entry| entry.next)
    }
}

/// A node while the tree grows.
#[derive(Debug, Default)]
struct Twig {
    paths: Vec<usize>,
    twigs: Vec<(String, Self)>,
}
