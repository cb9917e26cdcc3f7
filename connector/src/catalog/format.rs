//! `STORED AS CLEVERTAP`: COPY TO and CREATE EXTERNAL TABLE, which a plain `SessionContext` has too.
//!
//! In: a URL `clevertap://<registered name>/<table>`, or `…/events/<event name>`. Out: the table's write plan, with the
//! columns' names taken as they are.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider, TableProviderFactory};
use datafusion::common::parsers::CompressionTypeVariant;
use datafusion::common::{GetExt, Statistics};
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::datasource::file_format::{FileFormat, FileFormatFactory};
use datafusion::datasource::physical_plan::{FileScanConfig, FileSinkConfig, FileSource, JsonSource};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::CreateExternalTable;
use datafusion::physical_expr::LexRequirement;
use datafusion::physical_plan::ExecutionPlan;
use object_store::{ObjectMeta, ObjectStore};
use percent_encoding::percent_decode_str;
use url::Url;

use crate::catalog::provider::{ClevertapTable, ColumnMatching};
use crate::catalog::registered::Registered;
use crate::error::Error;
use crate::tables;
use crate::write::job::Job;

/// The name after STORED AS.
pub(crate) const FORMAT: &str = "CLEVERTAP";

/// Finds the table that a URL means.
fn table_of(location: &str, session: &dyn Session) -> Result<ClevertapTable, Error> {
    let wrong = |problem: &str| Error::Setting(format!("\"{location}\" {problem}; expected clevertap://<registered name>/<table>"));
    let url = Url::parse(location).map_err(|_| wrong("is not a URL"))?;
    if url.scheme() != "clevertap" {
        return Err(wrong("does not begin with clevertap://"));
    }
    let registered = Registered::in_session(session).ok_or_else(|| wrong("was met in a session that has no catalogue of its own"))?;
    // A URL has its host in lower case where the scheme is a known one; this one's is as it was written, but for escapes.
    let name = percent_decode_str(url.host_str().unwrap_or_default()).decode_utf8_lossy().into_owned();
    let Some((account, schema_name)) = registered.find(&name) else {
        return Err(wrong(&format!("names an account that is not registered (there are: {})", registered.names().join(", "))));
    };
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("holds a ? or a #, which end the path of a URL: write %3F and %23"));
    }
    let path = percent_decode_str(url.path().trim_matches('/'));
    let path = path.decode_utf8().map_err(|_| wrong("has escapes that are not UTF-8"))?;
    let (table, event) = match path.split_once('/') {
        Some((table, event)) => (table.to_owned(), Some(event.to_owned())),
        None => (path.clone().into_owned(), None),
    };
    // A URL forgets `.` and `..`, and what stands before the second.
    let written = location.splitn(4, '/').nth(3).map(|path| percent_decode_str(path.trim_matches('/')).decode_utf8_lossy());
    if written.is_some_and(|written| written != path) {
        return Err(wrong("has a segment of dots: names cannot be told apart from it"));
    }
    let table = tables::find(&table).ok_or_else(|| wrong(&format!("names the table \"{table}\", which is not there")))?;
    if event.is_some() && !std::ptr::eq(table, tables::events()) {
        return Err(wrong("names an event of a table that has none"));
    }
    Ok(ClevertapTable::new(&account, &schema_name, table, event.as_deref()))
}

/// Option names as DataFusion hands them over: `format.on_reject`, `clevertap.on_reject`.
fn options_of(options: &HashMap<String, String>) -> Vec<(String, String)> {
    let short = |name: &String| name.strip_prefix("format.").unwrap_or(name).to_owned();
    let mut options: Vec<_> = options.iter().map(|(name, value)| (short(name), value.clone())).collect();
    options.sort();
    options
}

/// Makes [`ClevertapFormat`]s.
#[derive(Debug)]
pub(crate) struct ClevertapFormatFactory;

impl GetExt for ClevertapFormatFactory {
    fn get_ext(&self) -> String {
        FORMAT.to_lowercase()
    }
}

impl FileFormatFactory for ClevertapFormatFactory {
    fn create(&self, _session: &dyn Session, options: &HashMap<String, String>) -> Result<Arc<dyn FileFormat>> {
        Ok(Arc::new(ClevertapFormat { options: options_of(options) }))
    }

    fn default(&self) -> Arc<dyn FileFormat> {
        Arc::new(ClevertapFormat { options: Vec::new() })
    }
}

/// A "file format" that is written by sending it.
#[derive(Debug)]
struct ClevertapFormat {
    options: Vec<(String, String)>,
}

fn only_written<T>() -> Result<T> {
    Err(Error::Filter("STORED AS CLEVERTAP is written with COPY … TO, and read by the table's own name".into()).into())
}

#[async_trait]
impl FileFormat for ClevertapFormat {
    fn get_ext(&self) -> String {
        FORMAT.to_lowercase()
    }

    fn get_ext_with_compression(&self, compression: &FileCompressionType) -> Result<String> {
        match compression.get_variant() {
            CompressionTypeVariant::UNCOMPRESSED => Ok(self.get_ext()),
            other => Err(DataFusionError::Configuration(format!("CleverTap takes no {other} compression"))),
        }
    }

    fn compression_type(&self) -> Option<FileCompressionType> {
        None
    }

    async fn infer_schema(&self, _session: &dyn Session, _store: &Arc<dyn ObjectStore>, _objects: &[ObjectMeta]) -> Result<SchemaRef> {
        only_written()
    }

    async fn infer_stats(
        &self,
        _session: &dyn Session,
        _store: &Arc<dyn ObjectStore>,
        _schema: SchemaRef,
        _object: &ObjectMeta,
    ) -> Result<Statistics> {
        only_written()
    }

    async fn create_writer_physical_plan(
        &self,
        input: Arc<dyn ExecutionPlan>,
        session: &dyn Session,
        sink: FileSinkConfig,
        _order: Option<LexRequirement>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut table = table_of(&sink.original_url, session)?;
        table.options.clone_from(&self.options);
        Ok(table.write(session, input, sink.insert_op)?)
    }

    async fn create_physical_plan(&self, _session: &dyn Session, _scan: FileScanConfig) -> Result<Arc<dyn ExecutionPlan>> {
        only_written()
    }

    /// Called by reads alone, which [`Self::infer_schema`] has refused before.
    fn file_source(&self, schema: TableSchema) -> Arc<dyn FileSource> {
        Arc::new(JsonSource::new(schema))
    }
}

/// CREATE EXTERNAL TABLE: a table whose columns the user declares.
#[derive(Debug)]
pub(crate) struct ClevertapTableFactory;

#[async_trait]
impl TableProviderFactory for ClevertapTableFactory {
    async fn create(&self, session: &dyn Session, command: &CreateExternalTable) -> Result<Arc<dyn TableProvider>> {
        let [location] = &command.locations[..] else {
            return Err(Error::Setting(format!(
                "CREATE EXTERNAL TABLE {} names {} locations; a table of CleverTap has one",
                command.name,
                command.locations.len()
            ))
            .into());
        };
        let mut table = table_of(location, session)?;
        table.relation.schema = Arc::clone(command.schema.inner());
        if table.relation.schema.fields().is_empty() {
            return Err(Error::Unwritable(format!(
                "CREATE EXTERNAL TABLE {} declares no columns; list them with their types: (identity text, …)",
                command.name
            ))
            .into());
        }
        if let Some(column) = command.column_defaults.keys().min() {
            return Err(Error::Unwritable(format!(
                "CREATE EXTERNAL TABLE {} gives \"{column}\" a DEFAULT, which no row would get; say the value in the INSERT",
                command.name
            ))
            .into());
        }
        table.matching = ColumnMatching::Declared;
        table.options = options_of(&command.options);
        // A wrong name or value, or a column that cannot be written, is told now.
        let options = table.effective_options(session)?;
        Job::new(&table.statement, &table.relation, &table.relation.schema, &options)?;
        Ok(Arc::new(table))
    }
}
