//! The ids of the runs that a plan will be.

use std::sync::Arc;

use datafusion::physical_plan::ExecutionPlan;

use crate::write::custom_list;
use crate::write::exec::WriteExec;

/// The ids of the runs that a plan will be, one for each of its nodes that write: known before it runs, so that whoever runs it can follow
/// them with [`Account::run`](crate::Account::run), [`Account::wait`](crate::Account::wait) and
/// [`Account::stop_run`](crate::Account::stop_run). A plan that is run again has new ones.
pub fn run_uids(plan: &Arc<dyn ExecutionPlan>) -> Vec<String> {
    let job = plan.downcast_ref::<WriteExec>().map(WriteExec::job).or_else(|| custom_list::job_of(plan));
    let own = job.map(|job| job.run_uids.planned().to_string());
    own.into_iter().chain(plan.children().into_iter().flat_map(run_uids)).collect()
}
