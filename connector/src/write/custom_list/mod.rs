//! Custom lists: rows -> one file per list -> get a URL, PUT the file, confirm the upload.
//!
//! In: rows of a list name and a member. Out: the number of rows of submitted lists. The file of a list must be complete, and its
//! size known, before it is sent. So rows are sorted by list and member (by DataFusion, which spills beyond a bounded part of
//! memory), and the file is spooled to the disk manager of DataFusion. Lists are sent one after the other.
//!
//! ```text
//! batches ─▶ members (MembersExec) ─▶ sort ─▶ writer (ListsExec) ─▶ spool ─▶ submit ─▶ settle
//! ```

mod members;
mod sort_memory;
mod spool;
mod submit;
mod writer;

use std::fmt;
use std::sync::Arc;

use arrow::compute::SortOptions;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexRequirement, OrderingRequirements, PhysicalSortRequirement};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties};
use futures::StreamExt;

use crate::error::Error;
use crate::options::DryRun;
use crate::single_partition::over_one_partition;
use crate::table::{List, Write};
use crate::write::exec::{CommitExec, accepted_schema, one_number, one_row};
use crate::write::job::Job;
use members::MembersExec;
use writer::Lists;

/// The plan of a write of lists.
///
/// # Errors
/// [`Error::Setting`] if no e-mail address is set to which CleverTap can report the outcome.
pub(crate) fn committed(input: Arc<dyn ExecutionPlan>, job: Job) -> Result<Arc<dyn ExecutionPlan>, Error> {
    if job.options.list_email.is_none() && job.options.dry_run == DryRun::Off {
        return Err(Error::Setting(
            "option \"clevertap.list_email\" is not set, and CleverTap tells what became of a custom list by e-mail alone, to an admin of the \
             account; SET clevertap.list_email = '…'"
                .into(),
        ));
    }
    let members = Arc::new(MembersExec::new(input, job.clone()));
    Ok(Arc::new(CommitExec::new(Arc::new(ListsExec::new(members, job)))))
}

/// What a plan node writes, if it writes lists.
pub(crate) fn job_of(plan: &Arc<dyn ExecutionPlan>) -> Option<&Job> {
    plan.downcast_ref::<ListsExec>().map(|node| &node.job)
}

/// The calls that write the table.
fn calls(job: &Job) -> Result<&'static List> {
    match &job.mapping.table.write {
        Some(Write::List(list)) => Ok(list),
        _ => Err(DataFusionError::Internal("a custom list of a table that makes none".into())),
    }
}

/// Sends the rows of [`MembersExec`], sorted by list and member.
#[derive(Debug)]
struct ListsExec {
    input: Arc<dyn ExecutionPlan>,
    job: Job,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl ListsExec {
    fn new(input: Arc<dyn ExecutionPlan>, job: Job) -> Self {
        Self { properties: one_row(&input, &accepted_schema()), input, job, metrics: ExecutionPlanMetricsSet::new() }
    }
}

impl DisplayAs for ListsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Job { mapping, options, .. } = &self.job;
        write!(f, "ListsExec: table={}, mode={}", mapping.qualified(), options.list_mode)?;
        if let Some(Write::List(List { url_path, completion_path, .. })) = &mapping.table.write {
            write!(f, ", calls=[POST {url_path}, PUT of the file, POST {completion_path}, once a list each]")?;
        }
        write!(f, ", fields=[{mapping}]")
    }
}

impl ExecutionPlan for ListsExec {
    over_one_partition!("ListsExec", input, |node, input| Self::new(input, node.job.clone()));

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        // Rejected rows have a NULL member, so they come first: they decide whether the list is sent.
        let first = SortOptions { descending: false, nulls_first: true };
        let by = |name: &str, at: usize| PhysicalSortRequirement::new(Arc::new(Column::new(name, at)), Some(first));
        vec![LexRequirement::new([by(members::LIST, 0), by(members::MEMBER, 1)]).map(OrderingRequirements::new)]
    }

    fn execute(&self, partition: usize, task: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 || self.input.output_partitioning().partition_count() != 1 {
            return Err(DataFusionError::Internal("ListsExec writes one partition".into()));
        }
        let input = self.input.execute(0, sort_memory::bounded(&task))?;
        let (job, calls) = (self.job.clone(), calls(&self.job)?);
        let counter = |name: &'static str| MetricBuilder::new(&self.metrics).global_counter(name);
        let metrics = ["requests", "retries", "bytes_sent", "accepted", "rejected", "in_doubt", "unsent"].map(counter);
        let written = futures::stream::once(async move {
            let accepted = Lists::begin(job, calls, metrics, &task).await?.write(input).await?;
            one_number(accepted_schema(), accepted)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(accepted_schema(), written.boxed())))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}
