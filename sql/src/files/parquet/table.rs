//! A table over Parquet files.
//!
//! In: their columns, and what a statement wants of them. Out: DataFusion's scan of the files, with casts to the table's types, statistics,
//! and without the files whose folders are not wanted. INSERT adds a file.

use std::{collections::HashMap, sync::Arc};

use arrow::{
    array::{ArrayRef, AsArray, BooleanArray, RecordBatch},
    datatypes::{Fields, Schema, SchemaRef},
};
use async_trait::async_trait;
use datafusion::{
    catalog::{Session, TableProvider},
    common::{DFSchema, Result, ScalarValue, Statistics, project_schema},
    datasource::{
        TableType,
        listing::{PartitionedFile, helpers::expr_applicable_for_cols},
        physical_plan::{FileGroup, FileScanConfigBuilder},
        table_schema::TableSchemaBuilder,
    },
    logical_expr::{Expr, TableProviderFilterPushDown, dml::InsertOp},
    physical_plan::{ExecutionPlan, empty::EmptyExec},
};

use super::{
    super::appended::{self, Folder},
    adapt::AdapterFactory,
    source::{FORMAT, ParquetFiles, ParquetSource},
};

/// Parquet files as a table. They are listed again by every statement that reads them.
#[derive(Debug)]
pub(crate) struct ParquetTable {
    source: ParquetSource,
    /// Columns of files, then those of folders.
    schema: SchemaRef,
    /// Columns of folders.
    partitions: Vec<String>,
}

impl ParquetTable {
    /// A table of the columns that the files have.
    ///
    /// # Errors
    /// As of [`ParquetSource::open`].
    pub(crate) async fn open(source: ParquetSource, state: &dyn Session) -> Result<Self> {
        let files = source.open(state, None).await?;
        let partitions = files.partitions.fields.iter().map(|field| field.name().clone()).collect();
        Ok(Self { schema: files.schema(), source, partitions })
    }

    /// Whether the names of folders alone say what comes of a condition.
    fn is_of_folders(&self, condition: &Expr) -> bool {
        let names: Vec<&str> = self.partitions.iter().map(String::as_str).collect();
        !names.is_empty() && !condition.is_volatile() && expr_applicable_for_cols(&names, condition)
    }
}

#[async_trait]
impl TableProvider for ParquetTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| match self.is_of_folders(filter) {
            true => TableProviderFilterPushDown::Exact,
            false => TableProviderFilterPushDown::Inexact,
        };
        Ok(filters.iter().map(support).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let files = self.source.open(state, Some(&self.schema)).await?;
        let of_folders: Vec<&Expr> = filters.iter().filter(|filter| self.is_of_folders(filter)).collect();
        let wanted = files.wanted(&wanted(&files, &of_folders, state)?);
        if wanted.is_empty() {
            return Ok(Arc::new(EmptyExec::new(project_schema(&self.schema, projection)?)));
        }
        let with_statistics = state.config().collect_statistics();
        let known = |files: &mut dyn Iterator<Item = &PartitionedFile>| match with_statistics {
            true => Statistics::try_merge_iter(files.filter_map(|file| file.statistics.as_deref()), &self.schema),
            false => Ok(Statistics::new_unknown(&self.schema)),
        };
        let statistics = known(&mut wanted.iter())?;
        let groups = FileGroup::new(wanted).split_files(state.config().target_partitions()).into_iter().map(|group| {
            let statistics = known(&mut group.iter())?;
            Ok(group.with_statistics(Arc::new(statistics)))
        });
        let groups = groups.collect::<Result<_>>()?;
        let columns = TableSchemaBuilder::from(&files.columns).with_table_partition_cols(files.partitions.fields.clone()).build();
        let config = FileScanConfigBuilder::new(self.source.url.object_store(), files.format.file_source(columns))
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .with_expr_adapter(Some(Arc::new(AdapterFactory)))
            .build();
        files.format.create_physical_plan(state, config).await
    }

    async fn insert_into(&self, state: &dyn Session, input: Arc<dyn ExecutionPlan>, op: InsertOp) -> Result<Arc<dyn ExecutionPlan>> {
        let files = self.source.open(state, Some(&self.schema)).await?;
        let folder = Folder {
            urls: std::slice::from_ref(&self.source.url),
            ending: self.source.ending.as_deref().unwrap_or_default(),
            format: FORMAT,
            options: &HashMap::new(),
            columns: files.columns,
            partitions: &files.partitions.fields,
        };
        appended::insert_into(folder, state, input, op).await
    }
}

/// For each file, whether the values of its folder fulfil all conditions: one that comes out as NULL is not fulfilled.
fn wanted(files: &ParquetFiles, conditions: &[&Expr], state: &dyn Session) -> Result<Vec<bool>> {
    let values = &files.partitions.values;
    let mut wanted = vec![true; values.len()];
    if conditions.is_empty() {
        return Ok(wanted);
    }
    let schema = Arc::new(Schema::new(files.partitions.fields.iter().cloned().collect::<Fields>()));
    let column = |at| ScalarValue::iter_to_array(values.iter().filter_map(|values| values.get(at).cloned()));
    let columns: Vec<ArrayRef> = (0..schema.fields().len()).map(column).collect::<Result<_>>()?;
    let folders = RecordBatch::try_new(Arc::clone(&schema), columns)?;
    let schema = DFSchema::try_from(schema)?;
    for condition in conditions {
        let fulfilled = state.create_physical_expr((*condition).clone(), &schema)?.evaluate(&folders)?.into_array(values.len())?;
        let fulfilled: &BooleanArray = fulfilled.as_boolean();
        for (wanted, fulfilled) in wanted.iter_mut().zip(fulfilled) {
            *wanted &= fulfilled == Some(true);
        }
    }
    Ok(wanted)
}
