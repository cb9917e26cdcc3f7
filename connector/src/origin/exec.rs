//! Above the scan of files: each file is read by itself, so that its rows can be numbered.
//!
//! In: a scan of files. Out: its rows, with a last column of [`Place`]s. Where a scan leaves rows out by itself (a filter that Parquet
//! prunes by), or reads a part of a file, the file is known and the row is not.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig, FileScanConfigBuilder};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::SchedulingType;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::{Stream, StreamExt, TryStreamExt, stream};

use super::file_scan::{FileScan, FileScanExec};
use super::place::{PLACE, Place, SourceFile};

/// Numbers the rows of each file.
#[derive(Debug)]
pub(super) struct PlacesExec {
    scan: Arc<dyn ExecutionPlan>,
    /// Whether the rows of a file come as they stand in it.
    are_in_order: bool,
    properties: Arc<PlanProperties>,
}

impl PlacesExec {
    /// Above a scan of files; `None` above anything else.
    pub(super) fn above(scan: &Arc<dyn ExecutionPlan>, is_sorted: bool) -> Option<Self> {
        if scan.is::<FileScanExec>() {
            return Some(Self::new(Arc::clone(scan), true));
        }
        let config = config_of(scan)?;
        // DataFusion 55.2 has a scan read a file in another order only below a sort that stays.
        let are_in_order = !is_sorted && config.file_source.filter().is_none();
        Some(Self::new(Arc::clone(scan), are_in_order))
    }

    fn new(scan: Arc<dyn ExecutionPlan>, are_in_order: bool) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(with_place(&scan.schema())),
            Partitioning::UnknownPartitioning(scan.output_partitioning().partition_count()),
            scan.pipeline_behavior(),
            scan.boundedness(),
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        Self { scan, are_in_order, properties: Arc::new(properties) }
    }

    /// The files, as [`Place`]s number them.
    pub(super) fn files(&self) -> Vec<SourceFile> {
        if let Some(FileScanExec(scan)) = self.scan.downcast_ref() {
            return scan.files().iter().flatten().map(|file| SourceFile::new(&file.store, &file.meta)).collect();
        }
        let Some(config) = config_of(&self.scan) else { return Vec::new() };
        let files = config.file_groups.iter().flat_map(FileGroup::iter);
        files.map(|file| SourceFile::new(&config.object_store_url, &file.object_meta)).collect()
    }
}

pub(super) fn config_of(scan: &Arc<dyn ExecutionPlan>) -> Option<&FileScanConfig> {
    scan.downcast_ref::<DataSourceExec>()?.data_source().downcast_ref::<FileScanConfig>()
}

fn with_place(schema: &Schema) -> SchemaRef {
    let place = Arc::new(Field::new(PLACE, DataType::UInt64, false));
    let fields: Vec<_> = schema.fields().iter().cloned().chain([place]).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

impl DisplayAs for PlacesExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlacesExec: file and row for clevertap.failed_rows")
    }
}

impl ExecutionPlan for PlacesExec {
    fn name(&self) -> &'static str {
        "PlacesExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.scan]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(&self, _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::new(children.swap_remove(0), self.are_in_order)))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, task: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let schema = self.schema();
        if let Some(FileScanExec(scan)) = self.scan.downcast_ref() {
            return Ok(Box::pin(RecordBatchStreamAdapter::new(schema, placed_by_file(scan, partition, &task)?)));
        }
        let Some(config) = config_of(&self.scan) else {
            let unknown = |batch: Result<RecordBatch>| batch.and_then(|batch| placed(&batch, |_| Place::default()));
            return Ok(Box::pin(RecordBatchStreamAdapter::new(schema, self.scan.execute(partition, task)?.map(unknown))));
        };
        let before = config.file_groups.iter().take(partition).map(FileGroup::len).sum();
        let files = config.file_groups.get(partition).map(|group| group.files().to_vec()).unwrap_or_default();
        let reading = Reading {
            config: config.clone(),
            are_in_order: self.are_in_order,
            task,
            left: config.limit,
            next: before,
            files: files.into_iter(),
            current: None,
        };
        let batches = stream::try_unfold(reading, Reading::next);
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }
}

/// The rows of a partition of a scan of others, with their places.
fn placed_by_file(
    scan: &Arc<dyn FileScan>,
    partition: usize,
    task: &Arc<TaskContext>,
) -> Result<impl Stream<Item = Result<RecordBatch>> + Send + use<>> {
    let files = scan.files();
    let before: usize = files.iter().take(partition).map(Vec::len).sum();
    let of_partition = files.into_iter().nth(partition).unwrap_or_default();
    let (scan, task, limit) = (Arc::clone(scan), Arc::clone(task), scan.limit());
    let files = stream::iter(of_partition.into_iter().enumerate()).map(move |(at, file)| {
        let rows = scan.execute_file(partition, at, Arc::clone(&task))?;
        let mut read = file.rows_before;
        Ok::<_, DataFusionError>(rows.map(move |batch| {
            let batch = batch?;
            let first = read;
            read += batch.num_rows() as u64;
            placed(&batch, |row| Place::new(before + at, Some(first + row + 1)))
        }))
    });
    Ok(files.try_flatten().scan(limit, |left, batch| {
        let cut = batch.map(|batch| match left {
            None => Some(batch),
            Some(0) => None,
            Some(left) => {
                let taken = batch.num_rows().min(*left);
                *left -= taken;
                Some(batch.slice(0, taken))
            }
        });
        std::future::ready(cut.transpose())
    }))
}

/// The files of a partition, of which one is being read.
struct Reading {
    config: FileScanConfig,
    are_in_order: bool,
    task: Arc<TaskContext>,
    /// Rows that the limit of the scan leaves.
    left: Option<usize>,
    files: std::vec::IntoIter<PartitionedFile>,
    /// The number of the next file.
    next: usize,
    current: Option<Current>,
}

/// A file that is being read.
struct Current {
    rows: SendableRecordBatchStream,
    file: usize,
    /// Rows read of it, if they can be counted.
    read: Option<u64>,
}

impl Reading {
    async fn next(mut self) -> Result<Option<(RecordBatch, Self)>, DataFusionError> {
        loop {
            if self.left == Some(0) {
                return Ok(None);
            }
            let Some(current) = &mut self.current else {
                let Some(file) = self.files.next() else { return Ok(None) };
                self.current = Some(self.open(file)?);
                self.next += 1;
                continue;
            };
            let Some(batch) = current.rows.next().await.transpose()? else {
                self.current = None;
                continue;
            };
            let taken = self.left.map_or(batch.num_rows(), |left| left.min(batch.num_rows()));
            self.left = self.left.map(|left| left - taken);
            let (file, first) = (current.file, current.read);
            current.read = first.map(|read| read + taken as u64);
            let batch = placed(&batch.slice(0, taken), |at| Place::new(file, first.map(|read| read + at + 1)))?;
            return Ok(Some((batch, self)));
        }
    }

    fn open(&self, file: PartitionedFile) -> Result<Current> {
        let read = (self.are_in_order && file.range.is_none()).then_some(0);
        let one = FileScanConfigBuilder::from(self.config.clone())
            .with_file_groups(vec![FileGroup::new(vec![file])])
            .with_output_partitioning(None)
            .with_preserve_order(true)
            .with_limit(self.left)
            .build();
        let rows = DataSourceExec::from_data_source(one).execute(0, Arc::clone(&self.task))?;
        Ok(Current { rows, file: self.next, read })
    }
}

/// The batch with the place of each of its rows.
fn placed(batch: &RecordBatch, place: impl Fn(u64) -> Place) -> Result<RecordBatch> {
    let places = UInt64Array::from_iter_values((0..batch.num_rows() as u64).map(|at| place(at).to_column()));
    let columns: Vec<ArrayRef> = batch.columns().iter().cloned().chain([Arc::new(places) as _]).collect();
    Ok(RecordBatch::try_new(with_place(&batch.schema()), columns)?)
}
