//! Batches of files with wide rows: fewer rows each, so that a few kilobytes that unfold to gigabytes are not in memory at once.
//!
//! In: a physical plan. Out: the same; a scan of Parquet whose rows are wide by the files' own figures reads fewer rows at a time.
//! DataFusion's memory pool knows nothing of what a scan decodes.

use std::sync::Arc;

use datafusion::{
    catalog::memory::DataSourceExec,
    common::{
        Result,
        stats::Precision,
        tree_node::{Transformed, TransformedResult, TreeNode},
    },
    config::ConfigOptions,
    datasource::physical_plan::{FileScanConfig, FileScanConfigBuilder},
    physical_optimizer::PhysicalOptimizerRule,
    physical_plan::{ExecutionPlan, Statistics},
};

/// Bytes of one batch, about.
const BATCH_BYTES: usize = 64 << 20;

/// The rule.
#[derive(Debug)]
pub(super) struct NarrowBatches;

impl PhysicalOptimizerRule for NarrowBatches {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let rows_max = config.execution.batch_size.into();
        plan.transform_up(|node| {
            let Some(narrowed) = narrowed(&node, rows_max) else { return Ok(Transformed::no(node)) };
            Ok(Transformed::yes(narrowed))
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "NarrowBatches"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The scan `node` with fewer rows a batch, if its rows are wide.
fn narrowed(node: &Arc<dyn ExecutionPlan>, rows_max: usize) -> Option<Arc<dyn ExecutionPlan>> {
    let scan = node.downcast_ref::<DataSourceExec>()?;
    let config = scan.data_source().downcast_ref::<FileScanConfig>()?;
    let files = config.file_groups.iter().flat_map(|group| group.files()).filter_map(|file| file.statistics.as_deref());
    let row_bytes = files.filter_map(row_bytes).max()?;
    let rows = (BATCH_BYTES / row_bytes.max(1)).max(1);
    if rows >= config.batch_size.unwrap_or(rows_max) {
        return None;
    }
    let config = FileScanConfigBuilder::from(config.clone()).with_batch_size(Some(rows)).build();
    Some(DataSourceExec::from_data_source(config))
}

/// The mean size of a row of a file, all columns of it.
fn row_bytes(file: &Statistics) -> Option<usize> {
    let known = |size: &Precision<usize>| size.get_value().copied();
    let bytes: usize = file.column_statistics.iter().filter_map(|column| known(&column.byte_size)).sum();
    bytes.checked_div(known(&file.num_rows)?)
}
