//! Which look-ups wait for a join: two physical rules.
//!
//! The first, behind DataFusion's choice of sides. In: a hash join. Out: the same with its sides changed, where a look-up without keys
//! is read first and the other side could tell them: DataFusion leaves the sides as they are where it knows no size, as of a CSV file.
//!
//! The second, the last of all. In: the plan as it will run. Out: the same plan, each look-up without keys of its own bound to the join
//! that will know them, or an error that says what the query lacks. Only a hash join's filter is waited for: that of a sort or of an
//! aggregate is complete when the scan has ended, and waiting for it would never end.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::JoinType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::HashJoinExec;

use crate::read::scan::ScanExec;

/// Reads the side of a join that has the keys before the look-up that wants them.
#[derive(Debug)]
pub(crate) struct SwapLookupSides;

impl SwapLookupSides {
    /// The rule behind which it stands.
    const BEHIND: &str = "join_selection";

    /// Adds it to DataFusion's rules.
    pub(crate) fn add_to(rules: &mut Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>>) {
        let behind = rules.iter().position(|rule| rule.name() == Self::BEHIND).map_or(0, |at| at + 1);
        rules.insert(behind, Arc::new(Self));
    }
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
            let Some(join) = node.downcast_ref::<HashJoinExec>() else { return Ok(Transformed::no(node)) };
            // Of these the other side's keys leave out what this side need not tell.
            let hands_on = matches!(
                join.join_type(),
                JoinType::Inner | JoinType::LeftSemi | JoinType::Right | JoinType::RightSemi | JoinType::RightAnti
            );
            if hands_on && is_keyless(join.left()) && !is_keyless(join.right()) {
                join.swap_inputs(*join.partition_mode()).map(Transformed::yes)
            } else {
                Ok(Transformed::no(node))
            }
        })
        .data()
    }
}

/// Whether a look-up without keys is read there, with nothing in between that a filter of keys does not pass.
fn is_keyless(plan: &Arc<dyn ExecutionPlan>) -> bool {
    match plan.children()[..] {
        [] => plan.downcast_ref::<ScanExec>().is_some_and(ScanExec::is_keyless),
        [input] => is_keyless(input),
        _ => false,
    }
}

/// The name of [`BindLookupFilters`], which DataFusion puts before its errors.
pub(crate) const BIND_LOOKUP_FILTERS: &str = "clevertap_bind_lookup_filters";

/// Binds look-ups to the filters of joins, and refuses those that have neither keys nor a join.
#[derive(Debug)]
pub(crate) struct BindLookupFilters;

impl PhysicalOptimizerRule for BindLookupFilters {
    fn name(&self) -> &'static str {
        BIND_LOOKUP_FILTERS
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let mut joined = HashSet::new();
        plan.apply(|node| {
            if node.is::<HashJoinExec>() {
                joined.extend(node.dynamic_expressions_produced().iter().filter_map(|filter| filter.expression_id()));
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        plan.apply(|node| {
            if let Some(scan) = node.downcast_ref::<ScanExec>() {
                scan.settle(&|filter| filter.expression_id().is_some_and(|id| joined.contains(&id)))?;
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(plan)
    }
}
