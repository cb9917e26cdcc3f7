//! Has failed rows say from which file they are, and which row of it.
//!
//! In: the final physical plan. Out: the same plan, in which the rows of files carry their places up to the write.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;

use crate::write::exec::WriteExec;

#[derive(Debug)]
pub(crate) struct RowPlaces;

impl PhysicalOptimizerRule for RowPlaces {
    fn name(&self) -> &'static str {
        "clevertap_row_places"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let placed = node.downcast_ref::<WriteExec>().map(WriteExec::with_places).transpose()?.flatten();
            Ok(placed.map_or_else(|| Transformed::no(node), |placed| Transformed::yes(Arc::new(placed) as _)))
        })
        .data()
    }
}
