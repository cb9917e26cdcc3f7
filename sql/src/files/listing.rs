//! Files, folders and buckets by path: `SELECT … FROM 's3://bucket/users.parquet'`.
//!
//! In: the name of a table that no catalogue has. Out: a table over the files: `text` for CSV and JSON, `parquet` for Parquet. DataFusion's own `enable_url_table` turns
//! every error into "no such table" and knows neither `.ndjson` nor `.tsv`; hence a factory of our own.

use std::{
    collections::HashMap,
    fmt,
    path::Path,
    sync::{Arc, OnceLock},
};

use async_trait::async_trait;
use clevertap_databases::Access;
#[cfg(feature = "delta")]
use clevertap_databases::delta::{AsOf, DeltaTableProvider};
use clevertap_files::csv::Types;
use datafusion::{
    catalog::{TableProvider, UrlTableFactory},
    common::{DataFusionError, Result, plan_err},
    datasource::listing::ListingTableUrl,
    execution::SessionState,
    prelude::SessionContext,
};
use object_store::ObjectMeta;

use super::{
    catalogs::{FileCatalogs, FileViews},
    lakehouse::{self, Lakehouse, OfFiles},
    listed,
    parquet::{factory::ParquetTableFactory, source::ParquetSource, table::ParquetTable},
    text::{
        decompress::{compression_of, ending},
        factory::{self, TextTableFactory, session_types},
        learn::Learning,
        options::{TextFormat, TextOptions},
        own_text,
    },
};
use crate::{failure::sentence, literals::literal};

/// How files with one ending are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileType {
    Parquet,
    Csv,
    /// Separated by tabs.
    Tsv,
    Json,
}

const FILE_TYPES: [(&str, FileType); 7] = [
    ("parquet", FileType::Parquet),
    ("pq", FileType::Parquet),
    ("csv", FileType::Csv),
    ("tsv", FileType::Tsv),
    ("ndjson", FileType::Json),
    ("jsonl", FileType::Json),
    ("json", FileType::Json),
];

/// The type of the cells of a CSV file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CsvCells {
    /// That of all of them, as `SET clevertap.csv_types` says.
    Typed,
    /// Text, unchanged.
    Text,
}

/// The session's state at the time a path is resolved.
type CurrentState = Box<dyn Fn() -> Option<SessionState> + Send + Sync>;

/// Lets `ctx` query files by path, and by the names of views; `access` is that to Delta tables.
pub(crate) fn enable_file_tables(
    ctx: SessionContext,
    cells: CsvCells,
    views: FileViews,
    access: Access,
) -> (SessionContext, Arc<Learning>) {
    let learning = Arc::new(Learning::default());
    let tables = Arc::new(FileTables { state: OnceLock::new(), cells, access, learning: Arc::clone(&learning) });
    let known = Arc::clone(ctx.state_ref().read().catalog_list());
    let schema = ctx.copied_config().options().catalog.default_schema.clone();
    let catalogs = Arc::new(FileCatalogs::new(known, Arc::clone(&tables) as Arc<dyn UrlTableFactory>, views, schema));
    let mut builder = ctx.into_state_builder().with_catalog_list(catalogs);
    for (name, format) in [("CSV", TextFormat::Csv), ("JSON", TextFormat::Json), ("NDJSON", TextFormat::Json)] {
        builder = builder.with_table_factory(name.to_owned(), Arc::new(TextTableFactory::new(format, &learning)));
    }
    builder = builder.with_table_factory("PARQUET".to_owned(), Arc::new(ParquetTableFactory(Arc::clone(&learning))));
    for factory in builder.table_factories().iter_mut().flat_map(HashMap::values_mut) {
        *factory = Arc::new(OfFiles(Arc::clone(factory)));
    }
    own_text::install(&mut builder);
    let ctx = SessionContext::new_with_state(builder.build());
    // Weak, since the state owns the catalogues, which own the factory.
    let state = ctx.state_weak_ref();
    let current: CurrentState = Box::new(move || state.upgrade().map(|state| state.read().clone()));
    if tables.state.set(current).is_err() {
        unreachable!("the cell was created above and is set once");
    }
    (ctx, learning)
}

/// Makes a table of a path that no catalogue has.
struct FileTables {
    state: OnceLock<CurrentState>,
    cells: CsvCells,
    access: Access,
    learning: Arc<Learning>,
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
        open(path, &state, self.cells, self.access, &self.learning)
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

fn file_type_of(path: &str) -> Option<FileType> {
    let last = ending(path)?.split('.').next()?;
    FILE_TYPES.iter().find(|(ending, _)| last.eq_ignore_ascii_case(ending)).map(|(_, file_type)| *file_type)
}

/// How a file of this machine is read whose name does not say what it is; `None` where there is none.
pub(crate) fn reads_as(path: &str) -> Option<String> {
    let name = literal(path);
    Path::new(path)
        .is_file()
        .then(|| format!("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION {name} reads it as CSV, and STORED AS JSON or PARQUET as those"))
}

/// The table over the file or folder at `path`. The first file of a folder with a known ending decides its format; a file that would
/// be misread under it, or left out although it looks like data, is refused.
async fn open(
    path: &str,
    state: &SessionState,
    cells: CsvCells,
    access: Access,
    learning: &Arc<Learning>,
) -> Result<Arc<dyn TableProvider>> {
    let url = ListingTableUrl::parse(path)?;
    let store = state.runtime_env().object_store(&url)?;
    match lakehouse::find(&url, store.as_ref()).await? {
        Some(Lakehouse::Delta) => return delta_table(path, access, state).await,
        Some(of_another) => return plan_err!("{}", of_another.refusal()),
        None => {}
    }
    let all = listed::all_of(&url, state, store.as_ref(), |file| file.location.filename().is_some_and(|name| file_type_of(name).is_some()))
        .await?;
    let known = |file: &ObjectMeta| {
        let name = file.location.filename()?;
        if listed::is_hidden(file, &url) { None } else { Some((file_type_of(name)?, ending(name)?.to_owned())) }
    };
    let Some((file_type, ending_read)) = all.iter().find_map(known) else {
        if all.is_empty() && file_type_of(path).is_some() {
            return plan_err!("there is no such file");
        }
        if let Some(read) = reads_as(path) {
            return plan_err!("its ending says nothing of its kind: {read}");
        }
        let endings: Vec<_> = FILE_TYPES.iter().map(|(ending, _)| format!(".{ending}")).collect();
        return plan_err!("no file is there whose name ends in {}", endings.join(", "));
    };
    let is_read = |file: &ObjectMeta| file.location.filename().and_then(ending) == Some(ending_read.as_str());
    if all.iter().any(|other| !is_read(other) && would_be_skipped(other, cells)) {
        let folder = match path.rsplit_once('/') {
            Some((folder, pattern)) if pattern.contains('*') => folder,
            _ => path.trim_end_matches('/'),
        };
        return plan_err!("its files do not all end in .{ending_read}; read each kind by itself, as in FROM '{folder}/*.{ending_read}'");
    }
    let format = match file_type {
        FileType::Parquet => {
            let source = ParquetSource::new(url, path, Some(ending_read), learning);
            return Ok(Arc::new(ParquetTable::open(source, state).await?));
        }
        FileType::Csv | FileType::Tsv => TextFormat::Csv,
        FileType::Json => TextFormat::Json,
    };
    let types = if cells == CsvCells::Text { Types::Text } else { session_types(state)? };
    let mut options = TextOptions::new(format, types);
    options.csv.has_header = state.config().options().catalog.has_header;
    options.writing.compression = compression_of(&ending_read);
    let mut written = HashMap::new();
    if file_type == FileType::Tsv {
        options.csv.delimiter = Some(b'\t');
        written.insert("format.delimiter".to_owned(), "\t".to_owned());
    }
    factory::open(url, &ending_read, options, written, learning, state).await
}

/// The table of Delta Lake in the folder.
#[cfg(feature = "delta")]
async fn delta_table(path: &str, access: Access, state: &SessionState) -> Result<Arc<dyn TableProvider>> {
    Ok(Arc::new(DeltaTableProvider::open(path, AsOf::Latest, access, state).await?))
}

#[cfg(not(feature = "delta"))]
#[expect(clippy::unused_async, reason = "as its other half")]
async fn delta_table(_: &str, _: Access, _: &SessionState) -> Result<Arc<dyn TableProvider>> {
    plan_err!("it is a Delta table, and this program was built without the feature \"delta\"")
}

/// Whether reading the folder would skip this file, of another ending, that looks like data: hidden files never do, and files that
/// are never read do only under [`CsvCells::Text`], where every row matters.
fn would_be_skipped(file: &ObjectMeta, cells: CsvCells) -> bool {
    let name = file.location.filename().unwrap_or_default();
    let is_data = file_type_of(name).is_some() || name.strip_suffix(".zip").is_some_and(|name| file_type_of(name).is_some());
    !name.starts_with(['.', '_']) && (cells == CsvCells::Text || is_data)
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
