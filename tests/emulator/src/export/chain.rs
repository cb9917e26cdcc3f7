//! Chains of pages: what was frozen when an export was opened, how long its cursors live, who is fetching right now.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use crate::api::Api;
use crate::export::cursor::Cursor;
use crate::export::flags::Flags;
use crate::lock;
use crate::query::select::Selection;
use crate::settings::Settings;

/// All chains of a project.
#[derive(Debug, Clone, Default)]
pub(crate) struct Chains(Arc<Mutex<Vec<Chain>>>);

#[derive(Debug)]
struct Chain {
    api: Api,
    /// None once it has expired: what it held is let go.
    frozen: Option<Arc<Snapshot>>,
    opened_ms: u64,
    used_ms: u64,
    is_busy: bool,
}

/// The records of a chain, and how they are cut into pages.
#[derive(Debug)]
pub(crate) struct Snapshot {
    selection: Selection,
    /// Records of each partition on each page; 0 takes the cap off (reference 6.4).
    quota: usize,
    pub(crate) flags: Flags,
}

impl Snapshot {
    pub(crate) const fn new(selection: Selection, quota: usize, flags: Flags) -> Self {
        Self { selection, quota, flags }
    }

    /// Pages that carry records.
    pub(crate) fn pages(&self) -> usize {
        let longest = self.selection.ranges.iter().map(Range::len).max().unwrap_or_default();
        if self.quota == 0 { longest.min(1) } else { longest.div_ceil(self.quota) }
    }

    /// The places of one page's records, partition after partition.
    pub(crate) fn page(&self, page: usize) -> impl Iterator<Item = u32> {
        let quota = if self.quota == 0 { usize::MAX } else { self.quota };
        self.selection.ranges.iter().flat_map(move |range| {
            let start = range.start.saturating_add(page.saturating_mul(quota)).min(range.end);
            let end = start.saturating_add(quota).min(range.end);
            self.selection.part(start..end).iter().copied()
        })
    }
}

/// What a cursor is good for.
#[derive(Debug)]
pub(crate) enum CursorState {
    Live(Arc<Snapshot>),
    Expired,
    Unknown,
}

impl Chains {
    /// Starts a chain; its first cursor leads to page 0.
    pub(crate) fn open(&self, api: Api, frozen: Snapshot, now_ms: u64, settings: &Settings) -> Cursor {
        let mut chains = lock(&self.0);
        for chain in chains.iter_mut() {
            chain.expire(now_ms, settings);
        }
        chains.push(Chain { api, frozen: Some(Arc::new(frozen)), opened_ms: now_ms, used_ms: now_ms, is_busy: false });
        Cursor { chain: crate::store::number(chains.len() - 1), page: 0, detour: 0 }
    }

    /// Uses a cursor.
    pub(crate) fn find(&self, api: Api, cursor: Cursor, now_ms: u64, settings: &Settings) -> CursorState {
        let mut chains = lock(&self.0);
        let Some(chain) = chains.get_mut(cursor.chain as usize).filter(|chain| chain.api == api) else {
            return CursorState::Unknown;
        };
        chain.expire(now_ms, settings);
        match &chain.frozen {
            None => CursorState::Expired,
            // The page after the last one is the bare end; behind it there is nothing.
            Some(frozen) if cursor.page as usize > frozen.pages() => CursorState::Unknown,
            Some(frozen) => {
                let frozen = Arc::clone(frozen);
                chain.used_ms = now_ms;
                CursorState::Live(frozen)
            }
        }
    }

    /// Ends a chain before its time.
    pub(crate) fn expire(&self, cursor: Cursor) {
        if let Some(chain) = lock(&self.0).get_mut(cursor.chain as usize) {
            chain.frozen = None;
        }
    }

    /// Whether such a chain was ever opened.
    pub(crate) fn knows(&self, cursor: Cursor) -> bool {
        (cursor.chain as usize) < lock(&self.0).len()
    }

    /// Marks a chain as being fetched from, until the hold is dropped; none if it is already.
    pub(crate) fn hold(&self, cursor: Cursor) -> Option<Hold> {
        let mut chains = lock(&self.0);
        let chain = chains.get_mut(cursor.chain as usize)?;
        if chain.is_busy {
            return None;
        }
        chain.is_busy = true;
        Some(Hold { chains: self.clone(), chain: cursor.chain as usize })
    }
}

impl Chain {
    fn expire(&mut self, now_ms: u64, settings: &Settings) {
        let (life_s, idle_s) = match self.api {
            Api::Events => (settings.events_cursor_life_s, Some(settings.events_cursor_idle_s)),
            _ => (settings.profiles_cursor_life_s, None),
        };
        let is_over = |since_ms: u64, seconds: u64| now_ms.saturating_sub(since_ms) > seconds.saturating_mul(1000);
        if is_over(self.opened_ms, life_s) || idle_s.is_some_and(|idle_s| is_over(self.used_ms, idle_s)) {
            self.frozen = None;
        }
    }
}

/// A chain that is being fetched from.
#[derive(Debug)]
pub(crate) struct Hold {
    chains: Chains,
    chain: usize,
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(chain) = lock(&self.chains.0).get_mut(self.chain) {
            chain.is_busy = false;
        }
    }
}
