//! Why a scan has none of the filters that it needs, although the query seems to have one.
//!
//! In: a physical plan, a scan in it, and the columns of the filters that it lacks. Out: a sentence, if a filter or a join above the scan
//! refers to one of these columns in a way that cannot be asked for, with what can be written instead.

use std::sync::Arc;

use datafusion::common::JoinType;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, CastExpr, Column, InListExpr, IsNotNullExpr, IsNullExpr, LikeExpr, NotExpr};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{PhysicalExpr, split_conjunction};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::limit::{GlobalLimitExec, LocalLimitExec};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};

use super::lossy_casts::LossyCast;
use crate::read::scan::ScanExec;

/// The sentence; `None` if nothing above the scan refers to one of `columns`.
pub(super) fn cause(plan: &Arc<dyn ExecutionPlan>, scan: &Arc<dyn ExecutionPlan>, columns: &[&str]) -> Option<String> {
    let mut above = Vec::new();
    path_to(plan, scan, &mut above);
    let mut is_limited = scan.downcast_ref::<ScanExec>().is_some_and(ScanExec::is_limited);
    // From the scan upwards.
    for (node, child) in above {
        if let Some(filter) = node.downcast_ref::<FilterExec>() {
            let found = split_conjunction(filter.predicate()).into_iter().find_map(|condition| of_condition(condition, columns));
            if found.is_some() {
                return found;
            }
        }
        let request_day = |name: &str| scan.downcast_ref::<ScanExec>().is_some_and(|scan| scan.is_request_day(name));
        if let Some(found) = of_join(node, child, columns, is_limited, &request_day) {
            return Some(found);
        }
        is_limited |= node.is::<WindowAggExec>()
            || node.is::<BoundedWindowAggExec>()
            || node.is::<GlobalLimitExec>()
            || node.is::<LocalLimitExec>()
            || node.fetch().is_some();
    }
    None
}

/// The nodes above `scan`, the nearest first, each with the number of the child that leads to it.
fn path_to<'p>(
    plan: &'p Arc<dyn ExecutionPlan>,
    scan: &Arc<dyn ExecutionPlan>,
    above: &mut Vec<(&'p Arc<dyn ExecutionPlan>, usize)>,
) -> bool {
    if Arc::ptr_eq(plan, scan) {
        return true;
    }
    for (index, child) in plan.children().into_iter().enumerate() {
        if path_to(child, scan, above) {
            above.push((plan, index));
            return true;
        }
    }
    false
}

/// What a column of a join is in the projection below it, which DataFusion makes for expressions that are joined on.
fn projected(side: &Arc<dyn PhysicalExpr>, input: &Arc<dyn ExecutionPlan>) -> Arc<dyn PhysicalExpr> {
    let Some(column) = side.downcast_ref::<Column>() else { return Arc::clone(side) };
    match (input.downcast_ref::<ProjectionExec>(), input.children().as_slice()) {
        (Some(projection), _) => projection.expr().get(column.index()).map_or_else(|| Arc::clone(side), |found| Arc::clone(&found.expr)),
        (None, [below]) if below.schema().fields().len() == input.schema().fields().len() => projected(side, below),
        _ => Arc::clone(side),
    }
}

/// The names of those of `columns` that `expr` refers to.
fn named<'c>(expr: &Arc<dyn PhysicalExpr>, columns: &[&'c str]) -> Vec<&'c str> {
    let found = collect_columns(expr);
    columns.iter().copied().filter(|name| found.iter().any(|column| column.name() == *name)).collect()
}

/// What is wrong with a condition of a WHERE clause.
fn of_condition(condition: &Arc<dyn PhysicalExpr>, columns: &[&str]) -> Option<String> {
    let names = named(condition, columns);
    let name = *names.first()?;
    if let Some(binary) = condition.downcast_ref::<BinaryExpr>() {
        if *binary.op() == Operator::Or {
            let each_names_one = split_disjunction(condition).into_iter().all(|side| !named(side, columns).is_empty());
            let remedy = if each_names_one {
                "write a SELECT for each side, with UNION between them"
            } else {
                "add a filter on it that holds for all of these rows"
            };
            return Some(format!("this query has {} under an OR, so that rows without it are asked for too: {remedy}", listed(&names)));
        }
        let side = if named(binary.left(), columns).is_empty() { binary.right() } else { binary.left() };
        return Some(match (is_column(side), is_cast(side), binary.op()) {
            (true, _, Operator::Eq) => format!("the filter on \"{name}\" has nothing to ask for: compare it with a value, by = or IN"),
            (true, ..) => format!("the filter on \"{name}\" is not = or IN, which can be asked for"),
            (false, true, _) => {
                format!("the filter is on a cast of \"{name}\", of which several texts may be one value: compare \"{name}\" itself")
            }
            _ => format!("the filter is on an expression of \"{name}\": compare \"{name}\" itself"),
        });
    }
    let is_other = condition.is::<LikeExpr>()
        || condition.is::<NotExpr>()
        || condition.is::<IsNullExpr>()
        || condition.is::<IsNotNullExpr>()
        || condition.downcast_ref::<InListExpr>().is_some_and(InListExpr::negated);
    Some(match condition.downcast_ref::<InListExpr>() {
        Some(list) if !list.negated() && is_cast(list.expr()) => {
            format!("the filter is on a cast of \"{name}\", of which several texts may be one value: compare \"{name}\" itself")
        }
        _ if is_other => format!("the filter on \"{name}\" is not = or IN, which can be asked for"),
        _ => format!("the filter is on an expression of \"{name}\": compare \"{name}\" itself"),
    })
}

/// The sides of ORs.
fn split_disjunction(condition: &Arc<dyn PhysicalExpr>) -> Vec<&Arc<dyn PhysicalExpr>> {
    match condition.downcast_ref::<BinaryExpr>().filter(|binary| *binary.op() == Operator::Or) {
        Some(binary) => split_disjunction(binary.left()).into_iter().chain(split_disjunction(binary.right())).collect(),
        None => vec![condition],
    }
}

/// What is wrong with a join, if it compares one of `columns` of the side that leads to the scan.
fn of_join(
    node: &Arc<dyn ExecutionPlan>,
    child: usize,
    columns: &[&str],
    is_limited: bool,
    is_request_day: &dyn Fn(&str) -> bool,
) -> Option<String> {
    let (pairs, join_type): (Vec<_>, JoinType) = if let Some(join) = node.downcast_ref::<HashJoinExec>() {
        (join.on().to_vec(), *join.join_type())
    } else if let Some(join) = node.downcast_ref::<SortMergeJoinExec>() {
        (join.on().to_vec(), join.join_type())
    } else {
        let join = node.downcast_ref::<NestedLoopJoinExec>()?;
        let compared = named(join.filter()?.expression(), columns);
        return (!compared.is_empty()).then(|| {
            format!(
                "the join compares {} by something else than an =, or under an OR: write a SELECT for each =, with UNION between them",
                listed(&compared)
            )
        });
    };
    let input = node.children()[child];
    let sides: Vec<_> = pairs.iter().map(|(left, right)| projected(if child == 0 { left } else { right }, input)).collect();
    let name = sides.iter().find_map(|side| named(side, columns).first().copied())?;
    let keeps_all = match child {
        0 => matches!(join_type, JoinType::Left | JoinType::LeftAnti | JoinType::LeftMark | JoinType::Full),
        _ => matches!(join_type, JoinType::Right | JoinType::RightAnti | JoinType::RightMark | JoinType::Full),
    };
    Some(if is_request_day(name) {
        format!(
            "rows have no \"{name}\" of their own that could be joined on, since it says which days are asked for: write \"{name}\" = (SELECT …) for \
             one day"
        )
    } else if keeps_all {
        format!(
            "the join on \"{name}\" takes rows that have no match too, as LEFT JOIN, NOT IN and NOT EXISTS do, so that its other side does not \
             say which to ask for"
        )
    } else if is_limited {
        format!(
            "a LIMIT or a window stands below the join on \"{name}\", so that the rows are to be chosen before the join can say which: put it above"
        )
    } else if sides.iter().any(is_cast) {
        format!("the join is on a cast of \"{name}\", of which several texts may be one value: compare \"{name}\" itself")
    } else if !sides.iter().any(is_column) {
        format!("the join is on an expression of \"{name}\": compare \"{name}\" itself")
    } else {
        format!("the other side of the join on \"{name}\" lacks a filter of its own, or does not end")
    })
}

fn is_column(expr: &Arc<dyn PhysicalExpr>) -> bool {
    expr.is::<Column>() || expr.downcast_ref::<CastExpr>().is_some_and(|cast| cast.cast_type().is_string() && is_column(cast.expr()))
}

/// Whether it is a column under a cast that changes it.
fn is_cast(expr: &Arc<dyn PhysicalExpr>) -> bool {
    if let Some(lossy) = expr.downcast_ref::<LossyCast>() {
        return is_cast(lossy.cast());
    }
    expr.downcast_ref::<CastExpr>().is_some_and(|cast| is_cast(cast.expr()) || (!cast.cast_type().is_string() && is_column(cast.expr())))
}

fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(" and ")
}
