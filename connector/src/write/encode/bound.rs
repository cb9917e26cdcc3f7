//! Binds the columns of a batch, and writes the values of dictionaries and runs once for many rows.
//!
//! In: a plan and a batch. Out: the [`Bound`] column of each field. A dictionary larger than its batch is not written beforehand,
//! since most of its values would be unused. If the next batch has the same dictionary, its fragments are reused.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::error::Result;

use super::bind::{self, Column};
use super::field;
use super::fragment::{Fragment, Fragments};
use super::record_plan::Plan;
use super::reject::Problem;
use super::role::Role;
use super::state::{Row, RowState};

/// Padding behind the last fragment, so that each can be copied in a chunk of this size.
const PADDING: usize = 64;
/// Length of a fragment that cannot be copied: larger than any buffer.
const NO_FRAGMENT: usize = usize::MAX / 2;

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
            None => vec![bind::bind(array, &mut state.day_cache)?],
            Some(_) => {
                let rest = &plan.fields[bound.len()..];
                let members: Vec<usize> =
                    rest.iter().take_while(|other| other.source == field.source).filter_map(|other| other.member).collect();
                bind::members(array, &members, &mut state.day_cache)?
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
    /// The bytes of the value at `at` without its key; `None` if it was not written beforehand or the row needs more than the bytes.
    pub(super) fn fragment(&self, at: usize, state: &mut RowState) -> Option<std::result::Result<&[u8], Box<Problem>>> {
        let Fragments { bytes, values, key_bytes, self_contained, .. } = self.fragments.as_deref()?;
        if !self_contained {
            return None;
        }
        let start = if at == 0 { 0 } else { values[at - 1].end };
        state.cut |= values[at].cut;
        Some(values[at].outcome.clone().map(|()| bytes.get(start + key_bytes..values[at].end).unwrap_or_default()))
    }

    /// The fragments of the values, if they were written beforehand.
    pub(super) fn fragments(&self) -> Option<&Fragments> {
        self.fragments.as_deref()
    }
}

impl Fragments {
    /// The fragments of a column that has an index, if they pay off.
    fn of(plan: &Plan, state: &mut RowState, field: usize, column: &Column, rows: usize) -> Option<Arc<Self>> {
        let compiled = &plan.fields[field];
        // A refused field is handled row by row: none of its values may be written.
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
        let self_contained = compiled.role == Role::Scalar;
        let mut fragments = Self { key_bytes: 1 + compiled.key.len(), self_contained, ..Self::default() };
        for at in 0..column.array.len() {
            let start = fragments.bytes.len();
            let mut row = Row { plan, state: &mut *state };
            row.state.cut = false;
            let outcome = if column.is_valid(at) {
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
            fragments.spans.push((start, if outcome.is_err() || state.cut { NO_FRAGMENT } else { end - start }));
            fragments.longest = fragments.longest.max(end - start);
            fragments.values.push(Fragment { end, outcome, cut: state.cut });
        }
        state.cut = false;
        fragments.bytes.resize(fragments.bytes.len() + PADDING, 0);
        fragments
    }
}
