//! Makes COPY of our tables to files atomic: a file appears only if the scan succeeded.
//!
//! In: the final physical plan. Out: the same plan, in which each file writer above a [`ScanExec`] sits between two nodes. When its
//! input fails, DataFusion's writer finishes its files and returns the error afterwards. The result would be a valid file with half an
//! export, in place of an older one. So the node below the writer hides the error from it ([`HoldErrorExec`]), and the node above drops
//! the writer and returns the error ([`AbortOnErrorExec`]): a writer that is dropped before its end leaves no file.

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
            if !node.is::<DataSinkExec>() || !reads_clevertap(&node)? {
                return Ok(Transformed::no(node));
            }
            let failure = Arc::<SourceError>::default();
            let inputs = node.children().into_iter().map(|input| HoldErrorExec::wrap(input, &failure)).collect();
            let writer = node.replace_children(inputs, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))?;
            Ok(Transformed::yes(Arc::new(AbortOnErrorExec { writer, failure }) as _))
        })
        .data()
    }
}

/// Whether the plan contains a scan of ours.
fn reads_clevertap(plan: &Arc<dyn ExecutionPlan>) -> Result<bool> {
    plan.exists(|node| Ok(node.is::<ScanExec>()))
}

/// The error of the input, shared by the two nodes.
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

    /// Waits for an error. Never returns if the input does not fail.
    async fn reported(&self) -> DataFusionError {
        loop {
            self.reported.notified().await;
            if let Some(error) = self.error.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return error;
            }
        }
    }
}

/// The input of a writer. Instead of returning an error, its stream never ends.
#[derive(Debug)]
struct HoldErrorExec {
    source: Arc<dyn ExecutionPlan>,
    failure: Arc<SourceError>,
}

impl HoldErrorExec {
    fn wrap(source: &Arc<dyn ExecutionPlan>, failure: &Arc<SourceError>) -> Arc<dyn ExecutionPlan> {
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
        let batches = source.then(move |batch| {
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
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }
}

/// Drops the writer when its input fails.
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
        let batches = futures::stream::unfold(Some(writer), move |writer| {
            let failure = Arc::clone(&failure);
            async move {
                let mut writer = writer?;
                let next = tokio::select! {
                    biased;
                    error = failure.reported() => Err(error),
                    next = writer.next() => next?,
                };
                let is_ok = next.is_ok();
                Some((next, is_ok.then_some(writer)))
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }
}
