//! Keeps the rows of `(SELECT … LIMIT 4 OFFSET 3)` under an order of its own.
//!
//! In: a physical plan before DataFusion enforces orders. Out: the same plan, with a node above each LIMIT with an OFFSET that stands below
//! a sort. DataFusion 55.2 pushes the sort below the limit and keeps as many rows as the limit gives, of which the offset then skips some
//! (apache/datafusion#24958). A node that keeps no order is not passed by a sort.

use std::fmt;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::limit::GlobalLimitExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties, Statistics, StatisticsArgs,
    replace_children_if_necessary,
};

use crate::single_partition::over_one_partition;

#[derive(Debug)]
pub(crate) struct KeepOffset;

impl KeepOffset {
    /// The rule of DataFusion that enforces orders.
    pub(crate) const BEFORE: &str = "EnsureRequirements";
}

impl PhysicalOptimizerRule for KeepOffset {
    fn name(&self) -> &'static str {
        "clevertap_keep_offset"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        // A limit at the top of a plan, as most are, has nothing above it that could be pushed down.
        plan.transform_down(|node| {
            let orders = node.is::<SortExec>() || node.required_input_ordering().iter().any(Option::is_some);
            if !orders {
                return Ok(Transformed::no(node));
            }
            let children: Vec<_> = node.children().into_iter().map(|child| guarded(Arc::clone(child))).collect::<Result<_>>()?;
            replace_children_if_necessary(node, children).map(Transformed::yes)
        })
        .data()
    }
}

/// The plan with a node above each of its limits that skip rows.
fn guarded(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_down(|node| {
        let skips = node.downcast_ref::<GlobalLimitExec>().is_some_and(|limit| limit.skip() > 0);
        if node.is::<KeepOffsetExec>() {
            return Ok(Transformed::new(node, false, TreeNodeRecursion::Jump));
        }
        Ok(if skips {
            Transformed::new(Arc::new(KeepOffsetExec::new(node)) as _, true, TreeNodeRecursion::Jump)
        } else {
            Transformed::no(node)
        })
    })
    .data()
}

/// Hands on the rows of a limit, in no order that a sort could rely on.
#[derive(Debug)]
struct KeepOffsetExec {
    limit: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl KeepOffsetExec {
    fn new(limit: Arc<dyn ExecutionPlan>) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(limit.schema()),
            limit.output_partitioning().clone(),
            limit.pipeline_behavior(),
            limit.boundedness(),
        );
        Self { limit, properties: Arc::new(properties) }
    }
}

impl DisplayAs for KeepOffsetExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeepOffsetExec")
    }
}

impl ExecutionPlan for KeepOffsetExec {
    over_one_partition!("KeepOffsetExec", limit, |_, limit| Self::new(limit));

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn statistics_from_inputs(&self, inputs: &[Arc<Statistics>], _: &StatisticsArgs) -> Result<Arc<Statistics>> {
        Ok(inputs.first().map_or_else(|| Arc::new(Statistics::new_unknown(&self.schema())), Arc::clone))
    }

    fn execute(&self, partition: usize, task: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.limit.execute(partition, task)
    }
}
