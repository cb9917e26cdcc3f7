//! Files that INSERT adds to a folder.
//!
//! In: a table of files, rows. Out: DataFusion's plan that writes a file more.

use std::{collections::HashMap, sync::Arc};

use arrow::datatypes::{FieldRef, SchemaRef};
use datafusion::{
    catalog::{Session, TableProvider},
    common::{Result, plan_err},
    datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl},
    execution::SessionState,
    logical_expr::dml::InsertOp,
    physical_plan::ExecutionPlan,
};

/// The table that files are added to.
#[derive(Debug)]
pub(super) struct Folder<'f> {
    pub(super) urls: &'f [ListingTableUrl],
    pub(super) ending: &'f str,
    pub(super) format: &'static str,
    /// DataFusion's options of files that are written.
    pub(super) options: &'f HashMap<String, String>,
    pub(super) columns: SchemaRef,
    pub(super) partitions: &'f [FieldRef],
}

/// The plan that writes `input` as a file of its own.
///
/// # Errors
/// The session writes no such files; the rows have other columns; the table is one file.
pub(super) async fn insert_into(
    folder: Folder<'_>,
    state: &dyn Session,
    input: Arc<dyn ExecutionPlan>,
    op: InsertOp,
) -> Result<Arc<dyn ExecutionPlan>> {
    let Folder { urls, ending, format, options, columns, partitions } = folder;
    let factory = state.as_any().downcast_ref::<SessionState>().and_then(|state| state.get_file_format_factory(format));
    let Some(factory) = factory else { return plan_err!("this session writes no {format}") };
    let partitions = partitions.iter().map(|field| (field.name().clone(), field.data_type().clone()));
    let listing = ListingOptions::new(factory.create(state, options)?).with_file_extension(ending);
    let listing = listing.with_table_partition_cols(partitions.collect());
    let config = ListingTableConfig::new_with_multi_paths(urls.to_vec());
    ListingTable::try_new(config.with_listing_options(listing).with_schema(columns))?.insert_into(state, input, op).await
}
