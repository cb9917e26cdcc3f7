//! COPY … TO a folder that has files of the same kind already.
//!
//! In: the plan of a COPY as it is in SQL. Out: the same plan, whose files are written by a format around its own. Before it writes, it
//! looks into the folder. Readers read a folder whole, so rows beside older ones are doubled rows, and that has to be said:
//!
//! | option | files that are there |
//! |---|---|
//! | none | the statement is refused |
//! | `OPTIONS (append true)` | stay |
//! | `OPTIONS (overwrite true)` | are deleted, once all new ones are there |
//!
//! A single file (`TO 'x.parquet'`) is replaced, and keeps who may read it.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{GetExt, Statistics};
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::datasource::file_format::{FileFormat, FileFormatFactory, file_type_to_format, format_as_file_type};
use datafusion::datasource::listing::ListingTableUrl;
use datafusion::datasource::physical_plan::{FileScanConfig, FileSinkConfig, FileSource};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_expr::LexRequirement;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::copy::rights::KeepRightsExec;
use crate::error::Error;
use crate::single_partition::over_one_partition;
use crate::storage::shown;

/// What becomes of files that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Existing {
    Refused,
    Kept,
    Replaced,
}

/// Makes each COPY of a plan look into its folder first.
///
/// # Errors
/// [`Error::Setting`] for an option that is neither true nor false, or for both.
pub(crate) fn look_first(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_down(|plan| {
        let LogicalPlan::Copy(mut copy) = plan else { return Ok(Transformed::no(plan)) };
        if copy.output_url.starts_with("clevertap://") {
            return Ok(Transformed::no(LogicalPlan::Copy(copy)));
        }
        let existing = match (option(&mut copy.options, "append")?, option(&mut copy.options, "overwrite")?) {
            (true, true) => return Err(Error::Setting("COPY takes one of append and overwrite".into()).into()),
            (true, false) => Existing::Kept,
            (false, true) => Existing::Replaced,
            (false, false) => Existing::Refused,
        };
        let format = file_type_to_format(&copy.file_type)?;
        copy.file_type = format_as_file_type(Arc::new(IntoFolder { format, existing }));
        Ok(Transformed::yes(LogicalPlan::Copy(copy)))
    })
    .map(|transformed| transformed.data)
}

/// Takes an option of ours out of those of the format.
fn option(options: &mut HashMap<String, String>, name: &str) -> Result<bool> {
    match options.remove(&format!("format.{name}")).as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Error::Setting(format!("the option {name} of COPY is true or false: OPTIONS ({name} true)")).into()),
    }
}

/// A format whose writer looks into the folder first.
#[derive(Debug)]
struct IntoFolder {
    format: Arc<dyn FileFormatFactory>,
    existing: Existing,
}

impl GetExt for IntoFolder {
    fn get_ext(&self) -> String {
        self.format.get_ext()
    }
}

impl FileFormatFactory for IntoFolder {
    fn create(&self, session: &dyn Session, options: &HashMap<String, String>) -> Result<Arc<dyn FileFormat>> {
        Ok(Arc::new(IntoFolderFormat { format: self.format.create(session, options)?, existing: self.existing }))
    }

    fn default(&self) -> Arc<dyn FileFormat> {
        Arc::new(IntoFolderFormat { format: FileFormatFactory::default(self.format.as_ref()), existing: self.existing })
    }
}

#[derive(Debug)]
struct IntoFolderFormat {
    format: Arc<dyn FileFormat>,
    existing: Existing,
}

#[async_trait]
impl FileFormat for IntoFolderFormat {
    fn get_ext(&self) -> String {
        self.format.get_ext()
    }

    fn get_ext_with_compression(&self, compression: &FileCompressionType) -> Result<String> {
        self.format.get_ext_with_compression(compression)
    }

    fn compression_type(&self) -> Option<FileCompressionType> {
        self.format.compression_type()
    }

    async fn infer_schema(
        &self,
        session: &dyn Session,
        store: &Arc<dyn ObjectStore>,
        files: &[object_store::ObjectMeta],
    ) -> Result<SchemaRef> {
        self.format.infer_schema(session, store, files).await
    }

    async fn infer_stats(
        &self,
        session: &dyn Session,
        store: &Arc<dyn ObjectStore>,
        schema: SchemaRef,
        file: &object_store::ObjectMeta,
    ) -> Result<Statistics> {
        self.format.infer_stats(session, store, schema, file).await
    }

    async fn create_physical_plan(&self, session: &dyn Session, scan: FileScanConfig) -> Result<Arc<dyn ExecutionPlan>> {
        self.format.create_physical_plan(session, scan).await
    }

    async fn create_writer_physical_plan(
        &self,
        input: Arc<dyn ExecutionPlan>,
        session: &dyn Session,
        sink: FileSinkConfig,
        order: Option<LexRequirement>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let folder = sink.table_paths.first().cloned();
        let is_single =
            sink.table_partition_cols.is_empty() && folder.as_ref().is_some_and(|folder| sink.file_output_mode.single_file_output(folder));
        let single = folder.clone().filter(|_| is_single);
        let ending = format!(".{}", sink.file_extension.trim_start_matches('.'));
        let name = shown(&sink.original_url);
        let writer = self.format.create_writer_physical_plan(input, session, sink, order).await?;
        Ok(match folder.filter(|_| !is_single && self.existing != Existing::Kept) {
            Some(folder) => Arc::new(IntoFolderExec { writer, place: Place { folder, ending, name }, existing: self.existing }),
            None => single.map_or(Arc::clone(&writer), |file| KeepRightsExec::around(writer, &file)),
        })
    }

    fn file_source(&self, schema: TableSchema) -> Arc<dyn FileSource> {
        self.format.file_source(schema)
    }
}

/// Where files are written.
#[derive(Debug, Clone)]
struct Place {
    folder: ListingTableUrl,
    /// Of the files that count: readers of a folder look at no others.
    ending: String,
    /// As the user wrote it.
    name: String,
}

impl Place {
    fn store(&self, task: &TaskContext) -> Result<Arc<dyn ObjectStore>> {
        task.runtime_env().object_store(&self.folder)
    }

    /// The files that are there.
    async fn files(&self, store: &dyn ObjectStore) -> Result<Vec<Path>> {
        let listed = store
            .list(Some(self.folder.prefix()))
            .try_filter_map(|file| std::future::ready(Ok(self.counts(&file.location).then_some(file.location))));
        match listed.try_collect().await {
            Err(object_store::Error::NotFound { .. }) => Ok(Vec::new()),
            listed => Ok(listed?),
        }
    }

    /// Whether who reads the folder reads this file: in it, or in folders of partitions, and of the kind.
    fn counts(&self, file: &Path) -> bool {
        let Some(inside) = file.prefix_match(self.folder.prefix()) else { return false };
        let parts: Vec<_> = inside.collect();
        let Some((name, folders)) = parts.split_last() else { return false };
        let name = name.as_ref();
        folders.iter().all(|folder| folder.as_ref().contains('=')) && name.ends_with(&self.ending) && !name.starts_with(['.', '_'])
    }

    fn refusal(&self, files: usize) -> Error {
        let (name, ending) = (&self.name, &self.ending);
        let held = if files == 1 { format!("a file *{ending}") } else { format!("{files} files *{ending}") };
        Error::Setting(format!(
            "'{name}' has {held} already, and whoever reads it would read old and new rows together: COPY … OPTIONS (overwrite true) \
             replaces them once all rows are written, OPTIONS (append true) keeps them"
        ))
    }
}

/// Looks into the folder, runs the writer, and deletes what it replaces.
#[derive(Debug)]
struct IntoFolderExec {
    writer: Arc<dyn ExecutionPlan>,
    place: Place,
    existing: Existing,
}

impl DisplayAs for IntoFolderExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let existing = if self.existing == Existing::Replaced { "replaces" } else { "refuses" };
        write!(f, "IntoFolderExec: {existing} files that are there")
    }
}

impl ExecutionPlan for IntoFolderExec {
    over_one_partition!("IntoFolderExec", writer, |node, writer| Self { writer, place: node.place.clone(), existing: node.existing });

    fn properties(&self) -> &Arc<PlanProperties> {
        self.writer.properties()
    }

    fn execute(&self, partition: usize, task: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (writer, place, existing) = (Arc::clone(&self.writer), self.place.clone(), self.existing);
        let written = async move {
            let store = place.store(&task)?;
            let before = place.files(store.as_ref()).await?;
            if existing == Existing::Refused && !before.is_empty() {
                return Err(place.refusal(before.len()).into());
            }
            let rows: Vec<_> = writer.execute(partition, task)?.try_collect().await?;
            for file in &before {
                store.delete(file).await?;
            }
            Ok::<_, DataFusionError>(futures::stream::iter(rows).map(Ok))
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), futures::stream::once(written).try_flatten())))
    }
}
