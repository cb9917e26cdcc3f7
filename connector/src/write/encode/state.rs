//! What is known of the row that is being written, and what is worth keeping between rows.

use std::collections::HashSet;

use super::fragment::Dictionary;
use super::names::KnownKeys;
use super::plan::Plan;
use super::time::Almanac;

#[derive(Debug, Default)]
pub(super) struct RowState {
    /// A text of the field was cut.
    pub(super) cut: bool,
    /// The row has an operator that must not be carried out twice.
    pub(super) duplicates: bool,
    /// Whether the row is the event that takes items; `None` where the table says so.
    pub(super) charged: Option<bool>,
    /// Fields whose text was cut in this row.
    pub(super) cuts: Vec<usize>,
    /// The field that brought the row over the number that draws a warning.
    pub(super) warned: Option<usize>,
    /// Fields of the open object so far.
    pub(super) count: usize,
    /// Keys that columns unfolded into this row.
    pub(super) unfolded: HashSet<String>,
    /// Whether an identifier was written.
    pub(super) identified: bool,
    /// Hash of the row's identifier.
    pub(super) identity: u64,
    /// For each field, the keys that it unfolded so far.
    pub(super) keys: Vec<KnownKeys>,
    /// Where JSON is written before it becomes text.
    pub(super) scratch: Vec<u8>,
    /// Where a cell, or a whole row, is written before it is copied to its place.
    pub(super) cell: Vec<u8>,
    /// When days begin.
    pub(super) almanac: Almanac,
    /// For each field, the dictionary that was written last.
    pub(super) dictionaries: Vec<Option<Dictionary>>,
}

/// A row that is being written.
#[derive(Debug)]
pub(super) struct Row<'a> {
    pub(super) plan: &'a Plan,
    pub(super) state: &'a mut RowState,
}

impl Row<'_> {
    /// Counts a field of the open object, or takes it back.
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
            almanac: Almanac::new(plan.context.clock),
            keys: vec![KnownKeys::new(); plan.fields.len()],
            dictionaries: vec![None; plan.fields.len()],
            ..Self::default()
        }
    }

    /// Forgets the row before.
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
