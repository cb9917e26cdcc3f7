//! Scans of files by nodes of others than DataFusion, whose rows have places too.
//!
//! In: a [`FileScan`]. Out: a plan node that reads it, and of which it is known which files it reads, and in which order.

use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Statistics, config::ConfigOptions};
use datafusion::error::Result;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions};
use object_store::ObjectMeta;

/// A file that a scan reads, or a part of it that stands behind `rows_before` others.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ScannedFile {
    /// Where it is.
    pub store: ObjectStoreUrl,
    /// As it was listed.
    pub meta: ObjectMeta,
    /// Rows of the file before those that are read here.
    pub rows_before: u64,
}

impl ScannedFile {
    /// A file from its first row on.
    #[must_use]
    pub fn new(store: ObjectStoreUrl, meta: ObjectMeta) -> Self {
        Self { store, meta, rows_before: 0 }
    }

    /// A part of the file that stands behind so many of its rows.
    #[must_use]
    pub fn behind(self, rows_before: u64) -> Self {
        Self { rows_before, ..self }
    }
}

/// Reads files by itself: one after the other in each partition, each row as it stands there, none left out.
pub trait FileScan: DisplayAs + fmt::Debug + Send + Sync + 'static {
    /// Schema, partitions.
    fn properties(&self) -> &Arc<PlanProperties>;

    /// What each partition reads, in its order.
    fn files(&self) -> Vec<Vec<ScannedFile>>;

    /// The rows of a partition up to the limit.
    ///
    /// # Errors
    /// The partition is none.
    fn execute(&self, partition: usize, task: Arc<TaskContext>) -> Result<SendableRecordBatchStream>;

    /// The rows of one of the files of a partition, without a limit.
    ///
    /// # Errors
    /// There is none.
    fn execute_file(&self, partition: usize, file: usize, task: Arc<TaskContext>) -> Result<SendableRecordBatchStream>;

    /// The same scan in more partitions, where that is possible.
    fn repartitioned(&self, wanted: usize, config: &ConfigOptions) -> Option<Arc<dyn FileScan>>;

    /// The most rows that are read of each partition.
    fn limit(&self) -> Option<usize>;

    /// The same scan with another limit.
    fn with_limit(&self, limit: Option<usize>) -> Arc<dyn FileScan>;

    /// What is known of the rows of a partition, or of all.
    fn statistics(&self, partition: Option<usize>) -> Statistics;

    /// Figures of what was read.
    fn metrics(&self) -> Option<MetricsSet>;
}

/// The plan node of a [`FileScan`].
#[derive(Debug, Clone)]
pub struct FileScanExec(pub Arc<dyn FileScan>);

impl DisplayAs for FileScanExec {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_as(format, f)
    }
}

impl ExecutionPlan for FileScanExec {
    fn name(&self) -> &'static str {
        "FileScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.0.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(&self, _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>, _: ReplaceChildrenOptions) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn repartitioned(&self, wanted: usize, config: &ConfigOptions) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        Ok(self.0.repartitioned(wanted, config).map(|scan| Arc::new(Self(scan)) as _))
    }

    fn execute(&self, partition: usize, task: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.0.execute(partition, task)
    }

    fn metrics(&self) -> Option<MetricsSet> {
        self.0.metrics()
    }

    fn partition_statistics(&self, partition: Option<usize>) -> Result<Arc<Statistics>> {
        Ok(Arc::new(self.0.statistics(partition)))
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        Some(Arc::new(Self(self.0.with_limit(limit))))
    }

    fn fetch(&self) -> Option<usize> {
        self.0.limit()
    }
}
