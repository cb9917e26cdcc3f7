//! Has a value that cannot be made reject its row.
//!
//! In: a physical plan before projections are pushed into the scans of files. Out: the same plan, in which they are not, where rows are written;
//! and, once it is optimized, a node of ours that evaluates them.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;

use crate::write::exec::WriteExec;

/// Keeps the select lists of writes above their inputs.
#[derive(Debug)]
pub(crate) struct HoldSelectLists;

impl PhysicalOptimizerRule for HoldSelectLists {
    fn name(&self) -> &'static str {
        "clevertap_hold_select_lists"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        rewritten(plan, WriteExec::with_held_list)
    }
}

/// Has those that were kept looked at row by row.
#[derive(Debug)]
pub(crate) struct RowConversions;

impl PhysicalOptimizerRule for RowConversions {
    fn name(&self) -> &'static str {
        "clevertap_row_conversions"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        rewritten(plan, WriteExec::with_conversions)
    }
}

fn rewritten(plan: Arc<dyn ExecutionPlan>, with: impl Fn(&WriteExec) -> Result<Option<WriteExec>>) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|node| {
        let write = node.downcast_ref::<WriteExec>().map(&with).transpose()?.flatten();
        Ok(write.map_or_else(|| Transformed::no(node), |write| Transformed::yes(Arc::new(write) as _)))
    })
    .data()
}
