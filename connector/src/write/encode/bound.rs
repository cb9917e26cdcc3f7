//! The columns of a batch, and what is written of them once for many rows: the values of a dictionary, of runs.
//!
//! In: a plan and a batch. Out: for each field its [`Bound`] column. A dictionary larger than its batch is left alone, since most
//! of it would be written for nobody; one that comes again with the next batch is kept.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::error::Result;

use super::bind::{self, Column};
use super::field;
use super::fragment::{Fragment, Fragments};
use super::plan::Plan;
use super::reject::Problem;
use super::role::Role;
use super::state::{Row, RowState};

/// Behind the last fragment, so that each can be copied in a piece of this size.
const ROOM: usize = 64;
/// The length of a fragment that there is not: no buffer holds it.
const NONE: usize = usize::MAX / 2;

/// The column of a field in one batch.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) column: Column,
    fragments: Option<Arc<Fragments>>,
}

/// Binds the column of each field.
pub(super) fn bind(plan: &Plan, state: &mut RowState, batch: &RecordBatch) -> Result<Vec<Bound>> {
    let mut bound: Vec<Bound> = Vec::with_capacity(plan.fields.len());
    while let Some(field) = plan.fields.get(bound.len()) {
        let array = batch.column(field.source);
        let columns = match field.member {
            None => vec![bind::bind(array, &mut state.almanac)?],
            Some(_) => {
                let rest = &plan.fields[bound.len()..];
                let wanted: Vec<usize> =
                    rest.iter().take_while(|other| other.source == field.source).filter_map(|other| other.member).collect();
                bind::members(array, &wanted, &mut state.almanac)?
            }
        };
        for column in columns {
            let fragments = Fragments::of(plan, state, bound.len(), &column, batch.num_rows());
            bound.push(Bound { column, fragments });
        }
    }
    Ok(bound)
}

impl Bound {
    /// What was written of the value at `at`, without its key, if it was and the row need not know more of it.
    pub(super) fn fragment(&self, at: usize, state: &mut RowState) -> Option<std::result::Result<&[u8], Box<Problem>>> {
        let Fragments { bytes, each, key, alone, .. } = self.fragments.as_deref()?;
        if !alone {
            return None;
        }
        let start = if at == 0 { 0 } else { each[at - 1].end };
        state.cut |= each[at].cut;
        Some(each[at].outcome.clone().map(|()| bytes.get(start + key..each[at].end).unwrap_or_default()))
    }

    /// All that was written of the values.
    pub(super) fn fragments(&self) -> Option<&Fragments> {
        self.fragments.as_deref()
    }
}

impl Fragments {
    /// Those of a column that has an index, if they are worth while.
    fn of(plan: &Plan, state: &mut RowState, field: usize, column: &Column, rows: usize) -> Option<Arc<Self>> {
        let compiled = &plan.fields[field];
        // What a refused field holds is looked at row by row: none of it may be written.
        if compiled.refused.is_some() || !matches!(compiled.role, Role::Scalar | Role::EventName) || column.index.is_none() {
            return None;
        }
        if let Some((array, fragments)) = &state.dictionaries[field]
            && Arc::ptr_eq(array, &column.array)
        {
            return Some(Arc::clone(fragments));
        }
        if column.array.len() > rows {
            return None;
        }
        let fragments = Arc::new(Self::new(plan, state, field, column));
        state.dictionaries[field] = Some((ArrayRef::clone(&column.array), Arc::clone(&fragments)));
        Some(fragments)
    }

    fn new(plan: &Plan, state: &mut RowState, field: usize, column: &Column) -> Self {
        let compiled = &plan.fields[field];
        let alone = compiled.role == Role::Scalar;
        let mut fragments = Self { key: 1 + compiled.key.len(), alone, ..Self::default() };
        for at in 0..column.array.len() {
            let start = fragments.bytes.len();
            let mut row = Row { plan, state: &mut *state };
            row.state.cut = false;
            let outcome = if column.holds(at) {
                fragments.bytes.push(b',');
                fragments.bytes.extend_from_slice(&compiled.key);
                field::write(&mut row, &compiled.role, compiled.style, &column.values, at, &mut fragments.bytes).map(drop)
            } else {
                Ok(())
            };
            if outcome.is_err() {
                fragments.bytes.truncate(start);
            }
            let end = fragments.bytes.len();
            fragments.spans.push((start, if outcome.is_err() || state.cut { NONE } else { end - start }));
            fragments.longest = fragments.longest.max(end - start);
            fragments.each.push(Fragment { end, outcome, cut: state.cut });
        }
        state.cut = false;
        fragments.bytes.resize(fragments.bytes.len() + ROOM, 0);
        fragments
    }
}
