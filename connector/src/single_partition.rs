//! Methods shared by all plan nodes over one partition of one input.

/// The methods of `ExecutionPlan` that these nodes share: the name, the only child, the requirement of a single input partition, no
/// expressions, and how the node is rebuilt over another child.
///
/// ```text
/// over_one_partition!("WriteExec", input, |node, input| Self::new(input, node.job.clone()));
/// ```
macro_rules! over_one_partition {
    ($name:literal, $input:ident, $rebuild:expr) => {
        fn name(&self) -> &'static str {
            $name
        }

        fn children(&self) -> Vec<&std::sync::Arc<dyn datafusion::physical_plan::ExecutionPlan>> {
            vec![&self.$input]
        }

        fn input_distribution_requirements(&self) -> datafusion::physical_plan::InputDistributionRequirements {
            datafusion::physical_plan::InputDistributionRequirements::new(vec![datafusion::physical_plan::Distribution::SinglePartition])
        }

        fn benefits_from_input_partitioning(&self) -> Vec<bool> {
            vec![false]
        }

        fn apply_expressions(
            &self,
            _: &mut dyn FnMut(
                &std::sync::Arc<dyn datafusion::physical_expr::PhysicalExpr>,
            ) -> datafusion::error::Result<datafusion::common::tree_node::TreeNodeRecursion>,
        ) -> datafusion::error::Result<datafusion::common::tree_node::TreeNodeRecursion> {
            Ok(datafusion::common::tree_node::TreeNodeRecursion::Continue)
        }

        fn replace_children(
            self: std::sync::Arc<Self>,
            mut children: Vec<std::sync::Arc<dyn datafusion::physical_plan::ExecutionPlan>>,
            _: datafusion::physical_plan::ReplaceChildrenOptions,
        ) -> datafusion::error::Result<std::sync::Arc<dyn datafusion::physical_plan::ExecutionPlan>> {
            let rebuild: fn(&Self, std::sync::Arc<dyn datafusion::physical_plan::ExecutionPlan>) -> Self = $rebuild;
            Ok(std::sync::Arc::new(rebuild(&self, children.swap_remove(0))))
        }

        fn with_new_children(
            self: std::sync::Arc<Self>,
            children: Vec<std::sync::Arc<dyn datafusion::physical_plan::ExecutionPlan>>,
        ) -> datafusion::error::Result<std::sync::Arc<dyn datafusion::physical_plan::ExecutionPlan>> {
            let recompute = datafusion::physical_plan::ChildrenPropertiesMode::Recompute;
            self.replace_children(children, datafusion::physical_plan::ReplaceChildrenOptions::new(recompute))
        }
    };
}

pub(crate) use over_one_partition;
