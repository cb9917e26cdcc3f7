//! A table over text files that are known.
//!
//! In: what was learnt of them. Out: a scan of their rows. INSERT adds files as DataFusion does.

use std::{collections::HashMap, sync::Arc};

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::{
    catalog::{Session, TableProvider},
    common::{Result, Statistics, plan_err, stats::Precision},
    datasource::TableType,
    logical_expr::{Expr, dml::InsertOp},
    physical_expr::{
        PhysicalExpr,
        expressions::{self, Column},
    },
    physical_plan::{ExecutionPlan, projection::ProjectionExec},
};
use datafusion_clevertap::{
    file_scan::FileScanExec,
    own_text::{DIFFERS, OWN_TEXT, SAME},
};

use super::{
    super::appended::{self, Folder},
    options::TextFormat,
    scan::TextScan,
    source::TextSource,
};

/// A scan with casts of the columns that are read as another type than is wanted.
fn cast(scan: Arc<dyn ExecutionPlan>, wanted: &Schema) -> Result<Arc<dyn ExecutionPlan>> {
    let read = scan.schema();
    if read.fields().iter().zip(wanted.fields()).all(|(read, wanted)| read.data_type() == wanted.data_type()) {
        return Ok(scan);
    }
    let columns = wanted.fields().iter().enumerate().map(|(at, field)| {
        let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(field.name(), at));
        Ok((expressions::cast(column, &read, field.data_type().clone())?, field.name().clone()))
    });
    Ok(Arc::new(ProjectionExec::try_new(columns.collect::<Result<Vec<_>>>()?, scan)?))
}

/// Marks a column of cells.
fn with_mark(field: &FieldRef, mark: &str) -> FieldRef {
    if field.data_type().is_nested() {
        return Arc::clone(field);
    }
    let mut metadata = field.metadata().clone();
    metadata.insert(OWN_TEXT.to_owned(), mark.to_owned());
    Arc::new(field.as_ref().clone().with_metadata(metadata))
}

/// Text files as a table. They are listed again by every statement that reads them.
#[derive(Debug, Clone)]
pub(crate) struct TextTable {
    source: TextSource,
    /// Columns of files, then those of folders.
    schema: SchemaRef,
    /// The same, then the cells' own texts of some columns, each under a name that a statement has for it.
    shown: SchemaRef,
    texts: Vec<(String, String)>,
    rows: usize,
    /// DataFusion's options of files that are written.
    written: HashMap<String, String>,
}

impl TextTable {
    /// A table of the columns that the files have, or of declared ones.
    ///
    /// # Errors
    /// As of [`TextSource::open`].
    pub(crate) async fn open(
        source: TextSource,
        state: &dyn Session,
        declared: Option<SchemaRef>,
        written: HashMap<String, String>,
    ) -> Result<Self> {
        let files = source.open(state, declared.as_ref()).await?;
        let rows = usize::try_from(files.layouts.rows()).unwrap_or(usize::MAX);
        let schema = match &declared {
            Some(declared) => files.declared_schema(declared),
            None => files.schema(),
        };
        // A whole number that was learnt comes back as it was written.
        let is_sure = |field: &Field| field.data_type().is_string() || declared.is_none() && *field.data_type() == DataType::Int64;
        // What folders name has no cell: its text is compared as DataFusion compares it.
        let cells = schema.fields().len() - files.partitions.fields.len();
        let fields = schema.fields().iter().enumerate().map(|(at, field)| match field.data_type().is_string() && at >= cells {
            true => Arc::clone(field),
            false => with_mark(field, if is_sure(field) { SAME } else { DIFFERS }),
        });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<FieldRef>>()));
        Ok(Self { shown: Arc::clone(&schema), texts: Vec::new(), schema, source, rows, written })
    }

    /// The same table with one more column, the last: what the cells of `column` are in the files. `None` of columns that folders name.
    pub(super) fn with_text(&self, column: &str, text: String) -> Option<Self> {
        self.schema.field_with_name(column).ok().filter(|field| field.metadata().contains_key(OWN_TEXT))?;
        let fields = self.shown.fields().iter().cloned().chain([Arc::new(Field::new(&text, DataType::Utf8View, true))]);
        let shown = Arc::new(Schema::new(fields.collect::<Vec<FieldRef>>()));
        let texts = self.texts.iter().cloned().chain([(column.to_owned(), text)]).collect();
        Some(Self { shown, texts, ..self.clone() })
    }

    fn format(&self) -> &'static str {
        match self.source.options.format {
            TextFormat::Csv => "csv",
            TextFormat::Json => "json",
        }
    }
}

#[async_trait]
impl TableProvider for TextTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.shown)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let projection = projection.cloned().unwrap_or_else(|| (0..self.shown.fields().len()).collect());
        let partitions = state.config().target_partitions();
        let files = self.source.open(state, Some(&self.schema)).await?;
        let wanted = self.shown.project(&projection)?;
        let (own, all, texts) = (files.columns.fields().len(), self.schema.fields().len(), self.texts.len());
        let files = files.with_texts(&self.texts)?;
        // The scan has the columns of folders last.
        let place = |at: usize| match at {
            at if at < own => at,
            at if at < all => at + texts,
            at => at - all + own,
        };
        let projection = projection.into_iter().map(place).collect();
        let scan = TextScan::new(Arc::new(files), projection, partitions, limit)?;
        cast(Arc::new(FileScanExec(Arc::new(scan))), &wanted)
    }

    fn statistics(&self) -> Option<Statistics> {
        // They are counted again by the scan.
        Some(Statistics { num_rows: Precision::Inexact(self.rows), ..Statistics::new_unknown(&self.shown) })
    }

    async fn insert_into(&self, state: &dyn Session, input: Arc<dyn ExecutionPlan>, op: InsertOp) -> Result<Arc<dyn ExecutionPlan>> {
        if !self.source.options.writing.is_plain() {
            return plan_err!("files that are compressed or in another encoding than UTF-8 are read, and not added to");
        }
        let files = self.source.open(state, Some(&self.schema)).await?;
        let folder = Folder {
            urls: &self.source.urls,
            ending: self.source.ending.as_deref().unwrap_or_default(),
            format: self.format(),
            options: &self.written,
            columns: files.columns,
            partitions: &files.partitions.fields,
        };
        appended::insert_into(folder, state, input, op).await
    }
}
