//! A file of what was read is there only if all of it was: COPY of our tables into files.
//!
//! In: the plan as it will run. Out: where it writes files of what a scan of ours reads, the same between two nodes. DataFusion ends
//! the files well when its source fails, and tells of the failure afterwards, so that half an export would stand where an older
//! file was, and could be read. So below the writer a failure is kept from it ([`HoldErrorExec`]), and above it the writer is dropped for it
//! ([`AbortOnErrorExec`]): what is dropped before its end leaves no file.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::datasource::sink::DataSinkExec;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};
use futures::StreamExt;
use tokio::sync::Notify;

use crate::read::scan::ScanExec;
use crate::single_partition::over_one_partition;

#[derive(Debug)]
pub(crate) struct AtomicCopy;

impl PhysicalOptimizerRule for AtomicCopy {
    fn name(&self) -> &'static str {
        "clevertap_atomic_copy"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            if !node.is::<DataSinkExec>() || !reads(&node)? {
                return Ok(Transformed::no(node));
            }
            let failure = Arc::<SourceError>::default();
            let held = node.children().into_iter().map(|input| HoldErrorExec::held(input, &failure)).collect();
            let writer = node.replace_children(held, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))?;
            Ok(Transformed::yes(Arc::new(AbortOnErrorExec { writer, failure }) as _))
        })
        .data()
    }
}

/// Whether rows of ours come out of a plan.
fn reads(plan: &Arc<dyn ExecutionPlan>) -> Result<bool> {
    plan.exists(|node| Ok(node.is::<ScanExec>()))
}

/// What the source failed with, between the two nodes.
#[derive(Debug, Default)]
struct SourceError {
    error: Mutex<Option<DataFusionError>>,
    reported: Notify,
}

impl SourceError {
    fn report(&self, error: DataFusionError) {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.reported.notify_one();
    }

    /// Waits for one, for ever if there is none.
    async fn reported(&self) -> DataFusionError {
        loop {
            self.reported.notified().await;
            if let Some(error) = self.error.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return error;
            }
        }
    }
}

/// The source of a writer, which never fails: it only does not end.
#[derive(Debug)]
struct HoldErrorExec {
    source: Arc<dyn ExecutionPlan>,
    failure: Arc<SourceError>,
}

impl HoldErrorExec {
    fn held(source: &Arc<dyn ExecutionPlan>, failure: &Arc<SourceError>) -> Arc<dyn ExecutionPlan> {
        Arc::new(Self { source: Arc::clone(source), failure: Arc::clone(failure) })
    }
}

impl DisplayAs for HoldErrorExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HoldErrorExec")
    }
}

impl ExecutionPlan for HoldErrorExec {
    over_one_partition!("HoldErrorExec", source, |node, source| Self { source, failure: Arc::clone(&node.failure) });

    fn properties(&self) -> &Arc<PlanProperties> {
        self.source.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn execute(&self, partition: usize, task: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (source, failure) = (self.source.execute(partition, task)?, Arc::clone(&self.failure));
        let schema = source.schema();
        let held = source.then(move |batch| {
            let failure = Arc::clone(&failure);
            async move {
                match batch {
                    Ok(batch) => Ok(batch),
                    Err(error) => {
                        failure.report(error);
                        std::future::pending().await
                    }
                }
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, held)))
    }
}

/// A writer that is dropped when its source fails.
#[derive(Debug)]
struct AbortOnErrorExec {
    writer: Arc<dyn ExecutionPlan>,
    failure: Arc<SourceError>,
}

impl DisplayAs for AbortOnErrorExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AbortOnErrorExec: no file unless all is read")
    }
}

impl ExecutionPlan for AbortOnErrorExec {
    over_one_partition!("AbortOnErrorExec", writer, |node, writer| Self { writer, failure: Arc::clone(&node.failure) });

    fn properties(&self) -> &Arc<PlanProperties> {
        self.writer.properties()
    }

    fn execute(&self, partition: usize, task: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (writer, failure) = (self.writer.execute(partition, task)?, Arc::clone(&self.failure));
        let schema = writer.schema();
        let written = futures::stream::unfold(Some(writer), move |writer| {
            let failure = Arc::clone(&failure);
            async move {
                let mut writer = writer?;
                let next = tokio::select! {
                    biased;
                    error = failure.reported() => Err(error),
                    next = writer.next() => next?,
                };
                let goes_on = next.is_ok();
                Some((next, goes_on.then_some(writer)))
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, written)))
    }
}
