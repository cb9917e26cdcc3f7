//! Files, folders and buckets by path: `SELECT … FROM 's3://bucket/users.parquet'`.
//!
//! In: the name of a table that no catalogue has. Out: a `ListingTable` over the files. DataFusion's own `enable_url_table` turns
//! every error into "no such table" and knows neither `.ndjson` nor `.tsv`; hence a factory of our own.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Arc, OnceLock},
};

use arrow::datatypes::{DataType, Fields, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::{
    catalog::{DynamicFileCatalog, TableProvider, UrlTableFactory},
    common::{DataFusionError, Result, plan_err},
    datasource::{
        ViewTable,
        listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl},
        provider_as_source,
    },
    execution::SessionState,
    functions::core::expr_fn::nullif,
    logical_expr::{Expr, LogicalPlanBuilder, lit},
    prelude::SessionContext,
};
use datafusion_clevertap::copy::NULL_PARTITION;
use futures::TryStreamExt;
use object_store::ObjectMeta;

use super::csv_sniff::{CsvDialect, CsvHints, sniff};
use crate::failure::sentence;

/// How files with one ending are read.
struct FileType {
    ending: &'static str,
    format: &'static str,
    delimiter: Option<&'static str>,
}

const fn file_type(ending: &'static str, format: &'static str) -> FileType {
    FileType { ending, format, delimiter: None }
}

const FILE_TYPES: [FileType; 7] = [
    file_type("parquet", "parquet"),
    file_type("pq", "parquet"),
    file_type("csv", "csv"),
    FileType { ending: "tsv", format: "csv", delimiter: Some("\t") },
    file_type("ndjson", "json"),
    file_type("jsonl", "json"),
    file_type("json", "json"),
];

/// Endings behind those of [`FILE_TYPES`], of files that have to be decompressed first.
const COMPRESSED: [&str; 5] = [".gz", ".bz2", ".xz", ".zst", ".zip"];

/// The type of the cells of a CSV file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CsvCells {
    /// Inferred from what they look like.
    Inferred,
    /// Text, unchanged.
    Text,
}

/// The session's state at the time a path is resolved.
type CurrentState = Box<dyn Fn() -> Option<SessionState> + Send + Sync>;

/// Lets `ctx` query files by path.
pub(crate) fn enable_file_tables(ctx: SessionContext, cells: CsvCells) -> SessionContext {
    let tables = Arc::new(FileTables { state: OnceLock::new(), cells });
    let known = Arc::clone(ctx.state_ref().read().catalog_list());
    let catalogs = Arc::new(DynamicFileCatalog::new(known, Arc::clone(&tables) as Arc<dyn UrlTableFactory>));
    let ctx = SessionContext::new_with_state(ctx.into_state_builder().with_catalog_list(catalogs).build());
    // Weak, since the state owns the catalogues, which own the factory.
    let state = ctx.state_weak_ref();
    let current: CurrentState = Box::new(move || state.upgrade().map(|state| state.read().clone()));
    if tables.state.set(current).is_err() {
        unreachable!("the cell was created above and is set once");
    }
    ctx
}

/// Makes a table of a path that no catalogue has.
struct FileTables {
    state: OnceLock<CurrentState>,
    cells: CsvCells,
}

impl fmt::Debug for FileTables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileTables")
    }
}

#[async_trait]
impl UrlTableFactory for FileTables {
    async fn try_new(&self, path: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if !is_path(path) {
            return Ok(None);
        }
        let Some(state) = self.state.get().and_then(|current| current()) else { return Ok(None) };
        open(path, &state, self.cells)
            .await
            .map(Some)
            .map_err(|error| DataFusionError::Plan(format!("'{path}' was not opened: {}", sentence(&error))))
    }
}

/// Whether the name of a table is a path. A folder needs a slash, so that a mistyped table is not taken for one; `engine/rewrites` adds
/// it to a folder in single quotes.
pub(crate) fn is_path(name: &str) -> bool {
    name.contains(['/', '\\']) || file_type_of(name).is_some()
}

fn file_type_of(path: &str) -> Option<&'static FileType> {
    let (_, last) = path.rsplit_once('.')?;
    FILE_TYPES.iter().find(|file_type| last.eq_ignore_ascii_case(file_type.ending))
}

/// The table over the file or folder at `path`. The first file of a folder with a known ending decides its format; a file that would
/// be misread under it, or left out although it looks like data, is refused.
async fn open(path: &str, state: &SessionState, cells: CsvCells) -> Result<Arc<dyn TableProvider>> {
    let url = ListingTableUrl::parse(path)?;
    let store = state.runtime_env().object_store(&url)?;
    let mut all: Vec<ObjectMeta> = url.list_all_files(state, store.as_ref(), "").await?.try_collect().await?;
    // A local folder is listed in any order.
    all.sort_by(|a, b| a.location.cmp(&b.location));
    let Some((file_type, ending)) = all.iter().find_map(|file| Some((file_type_of(file.location.as_ref())?, file.location.extension()?)))
    else {
        if all.is_empty() && file_type_of(path).is_some() {
            return plan_err!("there is no such file");
        }
        let endings: Vec<_> = FILE_TYPES.iter().map(|file_type| format!(".{}", file_type.ending)).collect();
        return plan_err!("no file is there whose name ends in {}", endings.join(", "));
    };
    let (files, others): (Vec<_>, Vec<_>) = all.iter().cloned().partition(|file| file.location.extension() == Some(ending));
    if others.iter().any(|other| would_be_skipped(other, cells)) {
        let folder = match path.rsplit_once('/') {
            Some((folder, pattern)) if pattern.contains('*') => folder,
            _ => path.trim_end_matches('/'),
        };
        return plan_err!("its files do not all end in .{ending}; read each kind by itself, as in FROM '{folder}/*.{ending}'");
    }
    let Some(factory) = state.get_file_format_factory(file_type.format) else {
        return plan_err!("this build does not read {}", file_type.format);
    };
    let mut options: HashMap<String, String> =
        file_type.delimiter.map(|delimiter| ("format.delimiter".to_owned(), delimiter.to_owned())).into_iter().collect();
    match file_type.format {
        // Without a record to infer from, every column is text.
        "csv" if cells == CsvCells::Text => drop(options.insert("format.schema_infer_max_rec".to_owned(), "0".to_owned())),
        // All of them: a column that begins after the first thousand would be missing without a word.
        "json" => drop(options.insert("format.schema_infer_max_rec".to_owned(), usize::MAX.to_string())),
        _ => {}
    }
    let listing = ListingOptions::new(factory.create(state, &options)?).with_file_extension(ending);
    let config = ListingTableConfig::new(url).with_listing_options(listing);
    let mut config = config.infer_partitions_from_path(state).await?.infer_schema(state).await?;
    if file_type.format == "csv" {
        let delimiter = file_type.delimiter.map_or(b',', |delimiter| delimiter.as_bytes()[0]);
        let dialect = CsvDialect { delimiter, has_header: state.config().options().catalog.has_header };
        let hints = sniff(store.as_ref(), &files, dialect).await?;
        config.file_schema = config.file_schema.map(|schema| apply_hints(&schema, &hints));
    }
    with_null_partitions(Arc::new(ListingTable::try_new(config)?), &all)
}

/// The table with NULL in the place of the partitions that Hive, and COPY, name so for want of a value.
fn with_null_partitions(table: Arc<dyn TableProvider>, files: &[ObjectMeta]) -> Result<Arc<dyn TableProvider>> {
    let folders = files.iter().flat_map(|file| file.location.parts().filter_map(|part| part.as_ref().split_once('=').map(own)));
    let nulls: HashSet<String> = folders.filter(|(_, value)| value == NULL_PARTITION).map(|(column, _)| column).collect();
    if nulls.is_empty() {
        return Ok(table);
    }
    let rows = LogicalPlanBuilder::scan("files", provider_as_source(table), None)?;
    let columns = rows.schema().columns().into_iter().map(|column| match nulls.contains(&column.name) {
        true => nullif(Expr::Column(column.clone()), lit(NULL_PARTITION)).alias(column.name),
        false => Expr::Column(column),
    });
    let columns: Vec<_> = columns.collect();
    Ok(Arc::new(ViewTable::new(rows.project(columns)?.build()?, None)))
}

fn own((column, value): (&str, &str)) -> (String, String) {
    (column.to_owned(), value.to_owned())
}

/// Whether reading the folder would skip this file, of another ending, that looks like data: hidden files never do, and files that
/// are never read do only under [`CsvCells::Text`], where every row matters.
fn would_be_skipped(file: &ObjectMeta, cells: CsvCells) -> bool {
    let name = file.location.filename().unwrap_or_default();
    let decompressed = COMPRESSED.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
    !name.starts_with(['.', '_']) && (cells == CsvCells::Text || file_type_of(decompressed).is_some())
}

/// The schema with text where a number, or a mix of timestamps with and without a zone, would change the cells, and with zoned
/// timestamps where all cells state their zone.
fn apply_hints(schema: &Schema, hints: &CsvHints) -> SchemaRef {
    let fields = schema.fields().iter().enumerate().map(|(at, field)| {
        let with_type = |data_type| Arc::new(field.as_ref().clone().with_data_type(data_type));
        match field.data_type() {
            DataType::Int64 if hints.leading_zeros.contains(&at) => with_type(DataType::Utf8),
            DataType::Timestamp(_, None) if hints.with_zone.contains(&at) && hints.without_zone.contains(&at) => with_type(DataType::Utf8),
            DataType::Timestamp(unit, None) if hints.with_zone.contains(&at) => {
                with_type(DataType::Timestamp(*unit, Some("+00:00".into())))
            }
            _ => Arc::clone(field),
        }
    });
    Arc::new(Schema::new_with_metadata(fields.collect::<Fields>(), schema.metadata().clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_partition_without_a_value_comes_back_as_null() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("out");
        let session = crate::engine::session::Session::open(None, None).unwrap();
        let rows = "(VALUES ('a', 1), (NULL, 2), ('', 3), ('a', 4)) v(s, n)";
        session.rows(&format!("COPY (SELECT * FROM {rows}) TO '{}/' STORED AS PARQUET PARTITIONED BY (s)", place.display())).await.unwrap();
        let text = |rows: Vec<arrow::array::RecordBatch>| arrow::util::pretty::pretty_format_batches(&rows).unwrap().to_string();
        for condition in ["true", "s IS NULL", "s = 'a'", "s IS NOT NULL AND n < 4"] {
            let query = |table: &str| format!("SELECT s, n FROM {table} WHERE {condition} ORDER BY n");
            let back = text(session.rows(&query(&format!("'{}/'", place.display()))).await.unwrap());
            assert_eq!(back, text(session.rows(&query(rows)).await.unwrap()), "{condition}");
        }
    }

    #[test]
    fn a_mistyped_table_is_not_taken_for_a_folder() {
        assert!(["users.parquet", "data/", "./x", "s3://b/k", "a.NDJSON"].into_iter().all(is_path));
        assert!(!["users", "evnts", "App Launched", "v1.2"].into_iter().any(is_path));
    }
}
