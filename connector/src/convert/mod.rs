//! A value that cannot be made rejects its row, and not the statement.
//!
//! In: the plan of a source whose outermost select list calculates. Out: the same rows, and one more column, the last, which says what could not
//! be made of a row.
//!
//! DataFusion evaluates batches, so that `to_date(dob, '%d/%m/%Y')` would end the statement over one bad date among millions, and say its value.
//!
//! ```text
//! plan ─> held       first: the list stays above its input
//!      ─> converted  last: the list becomes exec, and its column goes up through what stands above
//! ```

mod exec;
mod held;

use std::sync::Arc;

use arrow::array::{Array, StringViewArray};
use arrow::datatypes::FieldRef;
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_expr_common::physical_expr::is_volatile;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::limit::{GlobalLimitExec, LocalLimitExec};
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, replace_children_if_necessary};

pub(crate) use self::exec::ConvertExec;
use self::exec::{UNMADE, may_fail};
use self::held::HeldExec;

/// A value that could not be made, as the column of [`ConvertExec`] says it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unmade<'u> {
    /// The place of its column in the select list.
    pub(crate) column: usize,
    /// The end of a sentence that begins with the column.
    pub(crate) reason: &'u str,
}

impl<'u> Unmade<'u> {
    /// Of a row.
    pub(crate) fn of(column: &'u StringViewArray, row: usize) -> Option<Self> {
        let text = column.is_valid(row).then(|| column.value(row))?;
        let (column, reason) = text.split_once(' ')?;
        Some(Self { column: column.parse().ok()?, reason })
    }
}

/// `plan` with its outermost select list held above its input; `None` where the list calculates nothing.
pub(crate) fn held(plan: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    if plan.is::<UnionExec>() {
        let inputs: Vec<_> = plan.children().into_iter().map(held).collect::<Result<_>>()?;
        if inputs.iter().all(Option::is_none) {
            return Ok(None);
        }
        let inputs = inputs.into_iter().zip(plan.children()).map(|(held, input)| held.unwrap_or_else(|| Arc::clone(input)));
        return replace_children_if_necessary(Arc::clone(plan), inputs.collect()).map(Some);
    }
    let Some(input) = input_of(plan).filter(|input| !input.is::<HeldExec>()) else { return Ok(None) };
    if let Some(list) = plan.downcast_ref::<ProjectionExec>() {
        let list = inlined(list)?;
        if list.expr().iter().any(|made| may_fail(&made.expr)) {
            let input = Arc::new(HeldExec { input: Arc::clone(list.input()) });
            return Ok(Some(Arc::new(ProjectionExec::try_new(list.expr().to_vec(), input)?)));
        }
    }
    held(input)?.map(|input| replace_children_if_necessary(Arc::clone(plan), vec![input])).transpose()
}

/// A list over a list as one: what several columns are made of stands in a list of its own, where it would fail for all rows.
fn inlined(list: &ProjectionExec) -> Result<ProjectionExec> {
    let is_inlined = |below: &&ProjectionExec| {
        // A random value is one wherever it is used.
        below.expr().iter().any(|made| may_fail(&made.expr)) && !below.expr().iter().any(|made| is_volatile(&made.expr))
    };
    let Some(below) = list.input().downcast_ref::<ProjectionExec>().filter(is_inlined) else {
        return ProjectionExec::try_new(list.expr().to_vec(), Arc::clone(list.input()));
    };
    let inline = |made: &ProjectionExpr| {
        let expr = Arc::clone(&made.expr).transform_up(|expr| {
            let column = expr.downcast_ref::<Column>().and_then(|column| below.expr().get(column.index()));
            Ok(column.map_or_else(|| Transformed::no(Arc::clone(&expr)), |made| Transformed::yes(Arc::clone(&made.expr))))
        })?;
        Ok(ProjectionExpr { expr: expr.data, alias: made.alias.clone() })
    };
    let exprs = list.expr().iter().map(inline).collect::<Result<Vec<_>>>()?;
    inlined(&ProjectionExec::try_new(exprs, Arc::clone(below.input()))?)
}

/// `plan` with the column of [`Unmade`] as its last one; `None` where no list is held, or what stands above it makes other columns.
pub(crate) fn converted(plan: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    if plan.is::<UnionExec>() {
        let inputs: Vec<_> = plan.children().into_iter().map(converted).collect::<Result<_>>()?;
        if inputs.iter().all(Option::is_none) {
            return Ok(None);
        }
        let inputs = inputs.into_iter().zip(plan.children());
        let inputs = inputs.map(|(converted, input)| converted.map_or_else(|| without_reasons(input), Ok)).collect::<Result<_>>()?;
        return UnionExec::try_new(inputs).map(Some);
    }
    let Some(input) = input_of(plan) else { return Ok(None) };
    let list = plan.downcast_ref::<ProjectionExec>();
    if let Some(list) = list
        && let Some(input) = released(input)?
    {
        return Ok(Some(Arc::new(ConvertExec::new(list, input)?)));
    }
    let Some(list) = list else {
        let Some(input) = converted(input)? else { return Ok(None) };
        return replace_children_if_necessary(Arc::clone(plan), vec![input]).map(Some);
    };
    // It leaves out columns of sorts, at most: others would not be where the reasons say.
    let is_same = |(at, made): (usize, &ProjectionExpr)| made.expr.downcast_ref::<Column>().is_some_and(|column| column.index() == at);
    if !list.expr().iter().enumerate().all(is_same) {
        return Ok(None);
    }
    let Some(input) = converted(input)? else { return Ok(None) };
    let last = ProjectionExpr { expr: Arc::new(Column::new(UNMADE, input.schema().fields().len() - 1)), alias: UNMADE.to_owned() };
    let exprs: Vec<_> = list.expr().iter().cloned().chain([last]).collect();
    Ok(Some(Arc::new(ProjectionExec::try_new(exprs, input)?)))
}

/// A plan of which every value can be made, with the column that says so.
fn without_reasons(plan: &Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let column =
        |(at, field): (usize, &FieldRef)| ProjectionExpr { expr: Arc::new(Column::new(field.name(), at)), alias: field.name().clone() };
    let nothing = ProjectionExpr { expr: Arc::new(Literal::new(ScalarValue::Utf8View(None))), alias: UNMADE.to_owned() };
    let exprs: Vec<_> = plan.schema().fields().iter().enumerate().map(column).chain([nothing]).collect();
    Ok(Arc::new(ProjectionExec::try_new(exprs, Arc::clone(plan))?))
}

/// The input of a list that is held, without the node that held it.
fn released(input: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    if let Some(held) = input.downcast_ref::<HeldExec>() {
        return Ok(Some(Arc::clone(&held.input)));
    }
    if !(input.is::<RepartitionExec>() || input.is::<CooperativeExec>() || input.is::<CoalescePartitionsExec>()) {
        return Ok(None);
    }
    let Some(below) = input.children().first().copied().map(released).transpose()?.flatten() else { return Ok(None) };
    replace_children_if_necessary(Arc::clone(input), vec![below]).map(Some)
}

fn input_of(plan: &Arc<dyn ExecutionPlan>) -> Option<&Arc<dyn ExecutionPlan>> {
    plan.children().first().copied().filter(|_| keeps_rows(plan))
}

/// Whether each row of a node is one of its input, with the same columns or others.
pub(crate) fn keeps_rows(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.is::<ProjectionExec>()
        || plan.is::<SortExec>()
        || plan.is::<GlobalLimitExec>()
        || plan.is::<LocalLimitExec>()
        || plan.is::<CoalescePartitionsExec>()
        || plan.is::<CooperativeExec>()
        || plan.is::<RepartitionExec>()
        || plan.is::<SortPreservingMergeExec>()
}
