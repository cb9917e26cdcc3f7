//! Two physical rules for look-ups that take their keys from a join.
//!
//! [`SwapLookupSides`] runs after DataFusion's join selection. In: a hash join. Out: the same join with its sides swapped, if a look-up
//! without keys is the build side and the other side could provide the keys. DataFusion does not swap sides if it has no statistics, such
//! as for a CSV file.
//!
//! [`BindLookupFilters`] runs last. In: the final plan. Out: the same plan, with each look-up without keys bound to the dynamic filter of
//! the join that provides them, or an error that names the missing filter. Nor may the look-ups of all branches be more than one query may. Only the filter of a hash join is waited for: that of a sort
//! or an aggregate is complete only after the scan has ended, so waiting for it would never end.

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

/// Makes the side with the keys the build side, so that it is read before the look-up.
#[derive(Debug)]
pub(crate) struct SwapLookupSides;

impl SwapLookupSides {
    const AFTER: &str = "join_selection";

    /// Inserts the rule after DataFusion's join selection.
    pub(crate) fn add_to(rules: &mut Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>>) {
        let index = rules.iter().position(|rule| rule.name() == Self::AFTER).map_or(0, |at| at + 1);
        rules.insert(index, Arc::new(Self));
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
            // With these join types, look-up rows without a match are not in the result. So once the look-up is the probe side, the
            // join pushes its keys down to it as a filter.
            let pushes_keys = matches!(
                join.join_type(),
                JoinType::Inner | JoinType::LeftSemi | JoinType::Right | JoinType::RightSemi | JoinType::RightAnti
            );
            if pushes_keys && needs_join_keys(join.left()) && !needs_join_keys(join.right()) {
                join.swap_inputs(*join.partition_mode()).map(Transformed::yes)
            } else {
                Ok(Transformed::no(node))
            }
        })
        .data()
    }
}

/// Whether `plan` is a look-up without keys below nodes with one input, through which a filter can be pushed down.
fn needs_join_keys(plan: &Arc<dyn ExecutionPlan>) -> bool {
    match plan.children()[..] {
        [] => plan.downcast_ref::<ScanExec>().is_some_and(ScanExec::needs_join_keys),
        [input] => needs_join_keys(input),
        _ => false,
    }
}

/// The name of [`BindLookupFilters`]. DataFusion prefixes the errors of a rule with its name.
pub(crate) const BIND_LOOKUP_FILTERS: &str = "clevertap_bind_lookup_filters";

/// Binds look-ups to the dynamic filters of joins. A look-up with neither keys nor a join is an error.
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
        let mut join_filters = HashSet::new();
        plan.apply(|node| {
            if node.is::<HashJoinExec>() {
                join_filters.extend(node.dynamic_expressions_produced().iter().filter_map(|filter| filter.expression_id()));
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        let mut scans = Vec::new();
        plan.apply(|node| {
            if let Some(scan) = node.downcast_ref::<ScanExec>() {
                scan.bind_join_filter(&|filter| filter.expression_id().is_some_and(|id| join_filters.contains(&id)))?;
                scans.push(Arc::clone(node));
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        ScanExec::check_given_keys(scans.iter().filter_map(|node| node.downcast_ref::<ScanExec>()))?;
        Ok(plan)
    }
}
