//! Two physical rules for scans that take from a join what they are asked for: keys of look-ups, names of events, days.
//!
//! [`SwapLookupSides`] runs after DataFusion's join selection. In: a hash join. Out: the same join with its sides swapped, if rows that are
//! looked up are the probe side and the other side may be larger, as it may be for a CSV file. At most `clevertap.lookups_max` rows are
//! looked up, so they are the side that a join keeps in memory.
//!
//! [`BindKeys`] runs last. In: the final plan. Out: the same plan, in which a [`CollectKeysExec`] collects the keys of one side of a join for
//! the scans of the other, or an error that names the missing filter. Nor may the look-ups of all branches be more than one query may.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{JoinType, NullEquality, stats::Precision};
use datafusion::error::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::IsNotNullExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::{HashJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, StatisticsArgs, StatisticsContext, replace_children_if_necessary};

use super::compared::Compared;
use super::why_missing;
use crate::read::collect_keys::{CollectKeysExec, Key};
use crate::read::scan::ScanExec;

/// Makes rows that are looked up the build side.
#[derive(Debug)]
pub(crate) struct SwapLookupSides;

impl SwapLookupSides {
    /// DataFusion's own choice of sides.
    pub(crate) const AFTER: &str = "join_selection";
}

impl PhysicalOptimizerRule for SwapLookupSides {
    fn name(&self) -> &'static str {
        "clevertap_swap_lookup_sides"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let Some(join) = node.downcast_ref::<HashJoinExec>().filter(|join| !join.null_aware) else { return Ok(Transformed::no(node)) };
            let Some(rows) = rows_looked_up(join.right()).filter(|_| rows_looked_up(join.left()).is_none()) else {
                return Ok(Transformed::no(node));
            };
            let others =
                StatisticsContext::new().compute(join.left().as_ref(), &StatisticsArgs::new()).ok().map(|statistics| statistics.num_rows);
            let is_small = matches!(others, Some(Precision::Exact(others) | Precision::Inexact(others)) if others <= rows);
            if is_small { Ok(Transformed::no(node)) } else { join.swap_inputs(*join.partition_mode()).map(Transformed::yes) }
        })
        .data()
    }
}

/// The most rows of `plan`, if it is look-ups without keys below nodes with one input.
fn rows_looked_up(plan: &Arc<dyn ExecutionPlan>) -> Option<usize> {
    match plan.children()[..] {
        [] => plan.downcast_ref::<ScanExec>().filter(|scan| scan.is_looked_up() && scan.is_missing_a_filter()).map(ScanExec::keys_max),
        [input] => rows_looked_up(input),
        _ => None,
    }
}

/// The name of [`BindKeys`]. DataFusion prefixes the errors of a rule with its name.
pub(crate) const BIND_KEYS: &str = "clevertap_bind_keys";

/// Gives scans the keys of joins. A scan that needs some, and has none and no join that could have them, is an error.
#[derive(Debug)]
pub(crate) struct BindKeys;

impl PhysicalOptimizerRule for BindKeys {
    fn name(&self) -> &'static str {
        BIND_KEYS
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let mut plan = plan;
        // A side whose own scans are complete gives keys first. Then also one that would be read whole.
        for givers in [Givers::Complete, Givers::Everybody] {
            loop {
                let bound = Arc::clone(&plan).transform_down(|node| {
                    Ok(match bind(&node, givers)? {
                        Some(bound) => Transformed::new(bound, true, TreeNodeRecursion::Stop),
                        None => Transformed::no(node),
                    })
                })?;
                plan = bound.data;
                if !bound.transformed {
                    break;
                }
            }
        }
        let mut scans = Vec::new();
        plan.apply(|node| {
            if let Some(scan) = node.downcast_ref::<ScanExec>() {
                if let Some(missing) = scan.missing()?.filter(|missing| missing.everybody.is_none()) {
                    return Err(missing.refusal(why_missing::cause(&plan, node, &missing.columns)).into());
                }
                scans.push(Arc::clone(node));
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        ScanExec::share_keys_max(scans.iter().filter_map(|node| node.downcast_ref::<ScanExec>()))?;
        Ok(plan)
    }
}

/// Which sides of joins may give keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Givers {
    /// Those whose scans lack no filter.
    Complete,
    /// Also those whose scans would read everybody.
    Everybody,
}

impl Givers {
    fn include(self, side: &Arc<dyn ExecutionPlan>) -> Result<bool> {
        let lacks = side.exists(|node| {
            let Some(scan) = node.downcast_ref::<ScanExec>() else { return Ok(false) };
            Ok(scan.missing()?.is_some_and(|missing| self == Self::Complete || missing.everybody.is_none()))
        })?;
        Ok(!lacks && !side.boundedness().is_unbounded())
    }
}

/// An equality of a join: what it compares on the side that takes keys, and on the side that gives them.
struct Pair<'a> {
    taken_by: &'a Arc<dyn PhysicalExpr>,
    given_by: &'a Arc<dyn PhysicalExpr>,
}

/// The join `node` with one side bound to the keys of the other; `None` if it is no join, or no scan takes any.
fn bind(node: &Arc<dyn ExecutionPlan>, givers: Givers) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let (on, join_type, nulls, is_null_aware) = if let Some(join) = node.downcast_ref::<HashJoinExec>() {
        (join.on(), *join.join_type(), join.null_equality(), join.null_aware)
    } else if let Some(join) = node.downcast_ref::<SortMergeJoinExec>() {
        (join.on(), join.join_type(), join.null_equality(), false)
    } else {
        return Ok(None);
    };
    let [left, right] = node.children()[..] else { return Ok(None) };
    let null_is_null = nulls == NullEquality::NullEqualsNull;
    // Rows without a match on the other side must not be in the result, since they are not asked for.
    let left_takes = matches!(
        join_type,
        JoinType::Inner | JoinType::LeftSemi | JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark
    );
    if left_takes && givers.include(right)? {
        let pairs = on.iter().map(|(left, right)| Pair { taken_by: left, given_by: right }).collect();
        if let Some(Sides { taker: left, giver: right }) = bind_side(left, right, pairs, null_is_null)? {
            return replace_children_if_necessary(Arc::clone(node), vec![left, right]).map(Some);
        }
    }
    let right_takes = matches!(
        join_type,
        JoinType::Inner | JoinType::RightSemi | JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark
    );
    if right_takes && givers.include(left)? {
        let pairs = on.iter().map(|(left, right)| Pair { taken_by: right, given_by: left }).collect();
        if let Some(Sides { taker: right, giver: mut left }) = bind_side(right, left, pairs, null_is_null)? {
            if is_null_aware {
                // NULL NOT IN (…) is NULL, unless nobody at all is in the list, which look-ups cannot tell.
                for (key, _) in on {
                    left = Arc::new(FilterExec::try_new(Arc::new(IsNotNullExpr::new(Arc::clone(key))), left)?);
                }
            }
            return replace_children_if_necessary(Arc::clone(node), vec![left, right]).map(Some);
        }
    }
    Ok(None)
}

/// Both sides of a join.
struct Sides {
    /// Its scans are restricted to keys.
    taker: Arc<dyn ExecutionPlan>,
    /// Its keys are collected.
    giver: Arc<dyn ExecutionPlan>,
}

/// Binds `taker` to the keys of `giver`; `None` if there is nothing to bind.
fn bind_side(
    taker: &Arc<dyn ExecutionPlan>,
    giver: &Arc<dyn ExecutionPlan>,
    pairs: Vec<Pair<'_>>,
    null_is_null: bool,
) -> Result<Option<Sides>> {
    let takers = |taker: &Arc<dyn ExecutionPlan>, compared: &Compared| {
        let takers = compared.takers(taker);
        takers.into_iter().filter(|taker| !null_is_null || !taker.may_be_null).collect::<Vec<_>>()
    };
    let mut pairs: Vec<_> = pairs.into_iter().filter_map(|pair| Some((Compared::of(pair.taken_by)?, pair.given_by))).collect();
    // One key is enough for a look-up: the first of the table's.
    pairs.sort_by_key(|(compared, _)| takers(taker, compared).iter().map(|taker| taker.rank).min());
    let mut taker = Arc::clone(taker);
    let mut collecting: Option<CollectKeysExec> = None;
    for (compared, given_by) in pairs {
        let takers = takers(&taker, &compared);
        let Some(keys_max) = takers.iter().map(|taker| taker.keys_max).max() else { continue };
        let collecting = collecting.get_or_insert_with(|| CollectKeysExec::new(Arc::clone(giver), keys_max));
        let taken_by = takers.into_iter().map(|taker| taker.column).collect::<Vec<_>>().join(", ");
        let index = collecting.add(Key { value: Arc::clone(given_by), taken_by });
        taker = compared.bind(&taker, collecting.collection(), index)?;
    }
    Ok(collecting.map(|collecting| Sides { taker, giver: Arc::new(collecting) }))
}
