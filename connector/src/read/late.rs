//! Which look-ups wait for a join: the last physical rule.
//!
//! In: the plan as it will run. Out: the same plan, each look-up without keys of its own bound to the join that will know them,
//! or an error that says what the query lacks. Only a hash join's filter is waited for: that of a sort or of an aggregate is
//! complete when the scan has ended, and waiting for it would never end.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::HashJoinExec;

use crate::read::scan::ScanExec;

/// See the module.
#[derive(Debug)]
pub(crate) struct KeysFromJoins;

impl PhysicalOptimizerRule for KeysFromJoins {
    fn name(&self) -> &'static str {
        "clevertap_keys_from_joins"
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
