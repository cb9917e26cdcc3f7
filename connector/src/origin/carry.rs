//! Carries the places of rows from the scan of their files up to the write.
//!
//! In: the plan of a source. Out: the same plan with one more column, the last; `None` where a node in between makes rows of others.

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr_common::physical_expr::is_volatile;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, displayable, replace_children_if_necessary};

use super::exec::{PlacesExec, config_of};
use super::place::{PLACE, Source};
use crate::convert::{ConvertExec, keeps_rows};

/// `plan` with the places of its rows as its last column, if all of them are rows of files.
pub(crate) fn with_places(plan: &Arc<dyn ExecutionPlan>) -> Result<Option<(Arc<dyn ExecutionPlan>, Source)>> {
    let mut carried = Carried { source: Source { files: Vec::new(), order: Some(String::new()) }, is_sorted: false };
    Ok(carried.carry(plan)?.map(|plan| (plan, carried.source)))
}

struct Carried {
    source: Source,
    /// Whether a sort stands above, which DataFusion may have a scan do in part.
    is_sorted: bool,
}

impl Carried {
    fn carry(&mut self, plan: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        if let Some(scan) = PlacesExec::above(plan, self.is_sorted) {
            self.source.files = scan.files();
            let condition = config_of(plan).and_then(|config| config.file_source.filter());
            if plan.output_partitioning().partition_count() > 1 || condition.as_ref().is_some_and(is_volatile) {
                self.source.order = None;
            }
            self.decides(&format!("{condition:?}"));
            return Ok(Some(Arc::new(scan)));
        }
        let [input] = plan.children()[..] else { return Ok(None) };
        if !(keeps_rows(plan) || plan.is::<ConvertExec>() || plan.is::<FilterExec>()) {
            return Ok(None);
        }
        let projection = plan.downcast_ref::<ProjectionExec>();
        let filter = plan.downcast_ref::<FilterExec>();
        self.is_sorted |= plan.is::<SortExec>();
        if plan.is::<SortExec>() || filter.is_some_and(|filter| is_volatile(filter.predicate())) {
            self.source.order = None;
        }
        if projection.is_none() && !plan.is::<ConvertExec>() {
            self.decides(&displayable(plan.as_ref()).one_line().to_string());
        }
        let Some(carried) = self.carry(input)? else { return Ok(None) };
        if let Some(convert) = plan.downcast_ref::<ConvertExec>() {
            return Ok(Some(Arc::new(convert.with_last_of(carried)?)));
        }
        let last = carried.schema().fields().len() - 1;
        Ok(Some(if let Some(projection) = projection {
            let place = ProjectionExpr { expr: Arc::new(Column::new(PLACE, last)), alias: PLACE.to_owned() };
            let columns: Vec<_> = projection.expr().iter().cloned().chain([place]).collect();
            Arc::new(ProjectionExec::try_new(columns, carried)?)
        } else if let Some(filter) = filter {
            let kept = filter.projection().as_ref().map(|kept| kept.iter().copied().chain([last]).collect());
            let filter = FilterExecBuilder::new(Arc::clone(filter.predicate()), carried)
                .apply_projection(kept)?
                .with_default_selectivity(filter.default_selectivity())
                .with_batch_size(filter.batch_size())
                .with_fetch(filter.fetch());
            Arc::new(filter.build()?)
        } else {
            replace_children_if_necessary(Arc::clone(plan), vec![carried])?
        }))
    }

    fn decides(&mut self, what: &str) {
        if let Some(order) = &mut self.source.order {
            order.push_str(what);
            order.push('\n');
        }
    }
}
