//! State of the row being written, and caches that are kept between rows.

use std::collections::HashSet;

use super::fragment::Dictionary;
use super::names::KnownKeys;
use super::record_plan::Plan;
use super::time::DayCache;

#[derive(Debug, Default)]
pub(super) struct RowState {
    /// Whether a text of the current field was cut.
    pub(super) cut: bool,
    /// Whether the row has an operator that must not be applied twice.
    pub(super) duplicates: bool,
    /// Whether the row is the event that takes items; `None` if the table has one event, which was checked when compiling.
    pub(super) charged: Option<bool>,
    /// Fields of this row with a text that was cut.
    pub(super) cuts: Vec<usize>,
    /// The field at which the row exceeded the warning limit.
    pub(super) warned: Option<usize>,
    /// Number of fields of the open object so far.
    pub(super) count: usize,
    /// Keys that were unfolded into this row.
    pub(super) unfolded: HashSet<String>,
    /// Whether an identifier was written.
    pub(super) identified: bool,
    /// Hash of the row's identifier.
    pub(super) identity: u64,
    /// Per field, the keys that it has unfolded so far.
    pub(super) keys: Vec<KnownKeys>,
    /// Buffer for JSON that becomes a text.
    pub(super) scratch: Vec<u8>,
    /// Buffer for a cell, or a row, before it is copied.
    pub(super) cell: Vec<u8>,
    pub(super) day_cache: DayCache,
    /// Per field, the last dictionary that was written.
    pub(super) dictionaries: Vec<Option<Dictionary>>,
}

/// A row that is being written.
#[derive(Debug)]
pub(super) struct Row<'a> {
    pub(super) plan: &'a Plan,
    pub(super) state: &'a mut RowState,
}

impl Row<'_> {
    /// Counts a field of the open object if it was written; else truncates `out` to `mark`.
    pub(super) fn count(&mut self, written: bool, mark: usize, out: &mut Vec<u8>) {
        if written {
            self.state.count += 1;
        } else {
            out.truncate(mark);
        }
    }
}

impl RowState {
    pub(super) fn of(plan: &Plan) -> Self {
        Self {
            day_cache: DayCache::new(plan.context.clock),
            keys: vec![KnownKeys::new(); plan.fields.len()],
            dictionaries: vec![None; plan.fields.len()],
            ..Self::default()
        }
    }

    /// Resets what belongs to the previous row.
    pub(super) fn begin(&mut self) {
        self.cut = false;
        self.cuts.clear();
        self.warned = None;
        self.duplicates = false;
        self.charged = None;
        self.count = 0;
        self.unfolded.clear();
        self.identity = 0;
        self.identified = false;
    }
}
