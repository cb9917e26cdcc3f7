//! The columns of a batch, and what is written of them once for many rows: the values of a dictionary, of runs.
//!
//! In: a plan and a batch. Out: for each field its [`Bound`] column. A dictionary larger than the batch is left alone: most of it
//! would be written for nobody.

use arrow::array::RecordBatch;
use arrow::error::Result;

use super::bind::{self, Column};
use super::compile::Plan;
use super::field::{self, Row, State};
use super::reject::Problem;
use super::types::Role;

/// The column of a field in one batch.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) column: Column,
    fragments: Option<Fragments>,
}

/// Values as they were written, by their place.
#[derive(Debug, Default)]
struct Fragments {
    bytes: Vec<u8>,
    each: Vec<Fragment>,
}

#[derive(Debug)]
struct Fragment {
    end: usize,
    outcome: std::result::Result<(), Box<Problem>>,
    cut: bool,
}

/// Binds the column of each field.
pub(super) fn bind(plan: &Plan, state: &mut State, batch: &RecordBatch) -> Result<Vec<Bound>> {
    let mut bound: Vec<Bound> = Vec::with_capacity(plan.fields.len());
    while let Some(field) = plan.fields.get(bound.len()) {
        let array = batch.column(field.source);
        let columns = match field.member {
            None => vec![bind::bind(array, &plan.context.clock)?],
            Some(_) => {
                let rest = &plan.fields[bound.len()..];
                let wanted: Vec<usize> =
                    rest.iter().take_while(|other| other.source == field.source).filter_map(|other| other.member).collect();
                bind::members(array, &wanted, &plan.context.clock)?
            }
        };
        for column in columns {
            let fragments = Fragments::new(plan, state, bound.len(), &column, batch.num_rows());
            bound.push(Bound { column, fragments });
        }
    }
    Ok(bound)
}

impl Bound {
    /// What was written of the value at `at`, if it was.
    pub(super) fn fragment(&self, at: usize, state: &mut State) -> Option<std::result::Result<&[u8], Box<Problem>>> {
        let Fragments { bytes, each } = self.fragments.as_ref()?;
        let start = if at == 0 { 0 } else { each[at - 1].end };
        state.cut |= each[at].cut;
        Some(each[at].outcome.clone().map(|()| &bytes[start..each[at].end]))
    }
}

impl Fragments {
    fn new(plan: &Plan, state: &mut State, field: usize, column: &Column, rows: usize) -> Option<Self> {
        let places = column.array.len();
        if plan.fields[field].role != Role::Scalar || column.index.is_none() || places > rows {
            return None;
        }
        let mut fragments = Self::default();
        for at in 0..places {
            let start = fragments.bytes.len();
            let mut row = Row { plan, state: &mut *state };
            row.state.cut = false;
            let compiled = &plan.fields[field];
            let outcome = if column.holds(at) {
                field::write(&mut row, field, &compiled.role, compiled.style, &column.values, at, &mut fragments.bytes).map(drop)
            } else {
                Ok(())
            };
            if outcome.is_err() {
                fragments.bytes.truncate(start);
            }
            fragments.each.push(Fragment { end: fragments.bytes.len(), outcome, cut: state.cut });
        }
        state.cut = false;
        Some(fragments)
    }
}
