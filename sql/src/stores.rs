//! Files, folders and buckets by path: `SELECT … FROM 's3://bucket/users.parquet'`.
//!
//! In: the name of a table that no catalogue knows, or the address of a bucket. Out: a table over the files, and a store that
//! is opened when it is first asked for, with credentials from the environment. DataFusion's own `enable_url_table` takes
//! every error for "no such table" and knows neither `.ndjson` nor `.tsv`; hence a factory of our own.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use arrow::datatypes::{DataType, Fields, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::{
    catalog::{DynamicFileCatalog, TableProvider, UrlTableFactory},
    common::{DataFusionError, Result, plan_err},
    datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl},
    execution::{SessionState, object_store::ObjectStoreRegistry},
    prelude::SessionContext,
};
use futures::TryStreamExt;
use object_store::{ObjectMeta, ObjectStore, local::LocalFileSystem};
use url::{Position, Url};

use crate::{
    failure::sentence,
    heads::{self, Dialect, Marks},
};

/// How files with one ending are read.
struct Reader {
    ending: &'static str,
    format: &'static str,
    delimiter: Option<&'static str>,
}

const fn reader(ending: &'static str, format: &'static str) -> Reader {
    Reader { ending, format, delimiter: None }
}

const READERS: [Reader; 7] = [
    reader("parquet", "parquet"),
    reader("pq", "parquet"),
    reader("csv", "csv"),
    Reader { ending: "tsv", format: "csv", delimiter: Some("\t") },
    reader("ndjson", "json"),
    reader("jsonl", "json"),
    reader("json", "json"),
];

/// Endings behind those of [`READERS`], of files that have to be unpacked first.
const PACKED: [&str; 5] = [".gz", ".bz2", ".xz", ".zst", ".zip"];

/// What the cells of a CSV file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CsvCells {
    /// What they look like.
    Inferred,
    /// Text, as it stands there.
    Text,
}

/// Gives the session's state as it is when a path is met.
type CurrentState = Box<dyn Fn() -> Option<SessionState> + Send + Sync>;

/// Lets `ctx` query files by path.
pub(crate) fn enable_paths(ctx: SessionContext, cells: CsvCells) -> SessionContext {
    let paths = Arc::new(Paths { state: OnceLock::new(), cells });
    let known = Arc::clone(ctx.state_ref().read().catalog_list());
    let catalogs = Arc::new(DynamicFileCatalog::new(known, Arc::clone(&paths) as Arc<dyn UrlTableFactory>));
    let ctx = SessionContext::new_with_state(ctx.into_state_builder().with_catalog_list(catalogs).build());
    // Weak, since the state holds the catalogues, which hold the paths.
    let state = ctx.state_weak_ref();
    let current: CurrentState = Box::new(move || state.upgrade().map(|state| state.read().clone()));
    if paths.state.set(current).is_err() {
        unreachable!("it was made above and is set once");
    }
    ctx
}

/// Makes a table of a path that no catalogue knows.
struct Paths {
    state: OnceLock<CurrentState>,
    cells: CsvCells,
}

impl fmt::Debug for Paths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Paths")
    }
}

#[async_trait]
impl UrlTableFactory for Paths {
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

/// Whether a name is meant as a path. A folder needs a slash, so that a mistyped table is not taken for one.
fn is_path(name: &str) -> bool {
    name.contains(['/', '\\']) || reader_of(name).is_some()
}

fn reader_of(path: &str) -> Option<&'static Reader> {
    let (_, last) = path.rsplit_once('.')?;
    READERS.iter().find(|reader| last.eq_ignore_ascii_case(reader.ending))
}

/// The table over the file or folder at `path`. A folder's format is that of its first file that has one; a file that would be read
/// wrongly along with it, or left out where it looks like one to be read, is refused.
async fn open(path: &str, state: &SessionState, cells: CsvCells) -> Result<Arc<dyn TableProvider>> {
    let url = ListingTableUrl::parse(path)?;
    let store = state.runtime_env().object_store(&url)?;
    let all: Vec<ObjectMeta> = url.list_all_files(state, store.as_ref(), "").await?.try_collect().await?;
    let Some((reader, ending)) = all.iter().find_map(|file| Some((reader_of(file.location.as_ref())?, file.location.extension()?))) else {
        if all.is_empty() && reader_of(path).is_some() {
            return plan_err!("there is no such file");
        }
        let endings: Vec<_> = READERS.iter().map(|reader| format!(".{}", reader.ending)).collect();
        return plan_err!("no file is there whose name ends in {}", endings.join(", "));
    };
    let (files, others): (Vec<_>, Vec<_>) = all.iter().cloned().partition(|file| file.location.extension() == Some(ending));
    if others.iter().any(|other| is_missed(other, cells)) {
        return plan_err!("its files do not all end in .{ending}; read each kind by itself, as in '*.{ending}'");
    }
    let Some(factory) = state.get_file_format_factory(reader.format) else {
        return plan_err!("this build does not read {}", reader.format);
    };
    let mut options: HashMap<String, String> =
        reader.delimiter.map(|delimiter| ("format.delimiter".to_owned(), delimiter.to_owned())).into_iter().collect();
    match reader.format {
        // Without a record to infer from, every column is text.
        "csv" if cells == CsvCells::Text => drop(options.insert("format.schema_infer_max_rec".to_owned(), "0".to_owned())),
        // All of them: a column that begins after the first thousand would be missed without a word.
        "json" => drop(options.insert("format.schema_infer_max_rec".to_owned(), usize::MAX.to_string())),
        _ => {}
    }
    let listing = ListingOptions::new(factory.create(state, &options)?).with_file_extension(ending);
    let config = ListingTableConfig::new(url).with_listing_options(listing);
    let mut config = config.infer_partitions_from_path(state).await?.infer_schema(state).await?;
    if reader.format == "csv" {
        let delimiter = reader.delimiter.map_or(b',', |delimiter| delimiter.as_bytes()[0]);
        let dialect = Dialect { delimiter, has_header: state.config().options().catalog.has_header };
        let marks = heads::marks(store.as_ref(), &files, dialect).await?;
        config.file_schema = config.file_schema.map(|schema| as_marked(&schema, &marks));
    }
    Ok(Arc::new(ListingTable::try_new(config)?))
}

/// Whether who reads the folder would miss this file, of another ending: hidden files are none of it, and of those that are never read
/// only who wants every row is told.
fn is_missed(file: &ObjectMeta, cells: CsvCells) -> bool {
    let name = file.location.filename().unwrap_or_default();
    let packed = PACKED.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
    !name.starts_with(['.', '_']) && (cells == CsvCells::Text || reader_of(packed).is_some())
}

/// The schema with text where a number, or an instant of a zone among others, would not come back as it stands there, and with instants
/// of a zone where they say it.
fn as_marked(schema: &Schema, marks: &Marks) -> SchemaRef {
    let fields = schema.fields().iter().enumerate().map(|(at, field)| {
        let read = |kind| Arc::new(field.as_ref().clone().with_data_type(kind));
        match field.data_type() {
            DataType::Int64 if marks.zero_led.contains(&at) => read(DataType::Utf8),
            DataType::Timestamp(_, None) if marks.zoned.contains(&at) && marks.zoneless.contains(&at) => read(DataType::Utf8),
            DataType::Timestamp(unit, None) if marks.zoned.contains(&at) => read(DataType::Timestamp(*unit, Some("+00:00".into()))),
            _ => Arc::clone(field),
        }
    });
    Arc::new(Schema::new_with_metadata(fields.collect::<Fields>(), schema.metadata().clone()))
}

/// Opens a bucket when it is first asked for.
pub(crate) struct Stores {
    open: Mutex<HashMap<String, Arc<dyn ObjectStore>>>,
}

impl Default for Stores {
    fn default() -> Self {
        Self { open: Mutex::new(HashMap::from([("file://".to_owned(), Arc::new(LocalFileSystem::new()) as Arc<dyn ObjectStore>)])) }
    }
}

impl fmt::Debug for Stores {
    /// Without addresses: they may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stores").field("open", &self.stores().len()).finish()
    }
}

impl Stores {
    fn stores(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<dyn ObjectStore>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Scheme, user and host. The user too: in `abfs://container@account.…` it is the container.
fn address(url: &Url) -> String {
    url[..Position::BeforePath].to_owned()
}

impl ObjectStoreRegistry for Stores {
    fn register_store(&self, url: &Url, store: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        self.stores().insert(address(url), store)
    }

    fn deregister_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        match self.stores().remove(&address(url)) {
            Some(store) => Ok(store),
            None => plan_err!("no store is open for {}://", url.scheme()),
        }
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        let mut stores = self.stores();
        if let Some(store) = stores.get(&address(url)) {
            return Ok(Arc::clone(store));
        }
        let store = connect(url)?;
        stores.insert(address(url), Arc::clone(&store));
        Ok(store)
    }
}

#[cfg(feature = "cloud")]
fn connect(url: &Url) -> Result<Arc<dyn ObjectStore>> {
    let store: Box<dyn ObjectStore> = match url.scheme() {
        // Not by `parse_url_opts`: it takes the bucket out of some hosts' paths, which DataFusion leaves in.
        "http" | "https" => {
            let plain = object_store::ClientOptions::new().with_allow_http(url.scheme() == "http");
            let built = object_store::http::HttpBuilder::new().with_url(address(url)).with_client_options(plain).build();
            Box::new(built.map_err(DataFusionError::from)?)
        }
        "s3" | "s3a" | "gs" | "az" | "adl" | "azure" | "abfs" | "abfss" => {
            object_store::parse_url_opts(url, credentials(std::env::vars())).map_err(DataFusionError::from)?.0
        }
        other => return not_read(other),
    };
    Ok(store.into())
}

#[cfg(not(feature = "cloud"))]
fn connect(url: &Url) -> Result<Arc<dyn ObjectStore>> {
    match url.scheme() {
        scheme @ ("http" | "https" | "s3" | "s3a" | "gs" | "az" | "adl" | "azure" | "abfs" | "abfss") => {
            plan_err!("{scheme}:// needs the feature \"cloud\", without which this program was built")
        }
        other => not_read(other),
    }
}

fn not_read(scheme: &str) -> Result<Arc<dyn ObjectStore>> {
    plan_err!("{scheme}:// is not read; expected a path, s3://, gs://, az://, abfs:// or https://")
}

/// The variables that the stores know. Others are kept from them: `TOKEN` or `ENDPOINT` would be taken for a setting too.
#[cfg(feature = "cloud")]
fn credentials(variables: impl Iterator<Item = (String, String)>) -> Vec<(String, String)> {
    let theirs = |name: &str| ["AWS_", "GOOGLE_", "AZURE_"].iter().any(|prefix| name.to_ascii_uppercase().starts_with(prefix));
    variables.filter(|(name, value)| theirs(name) && !value.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_table_is_not_taken_for_a_folder() {
        assert!(["users.parquet", "data/", "./x", "s3://b/k", "a.NDJSON"].into_iter().all(is_path));
        assert!(!["users", "evnts", "App Launched", "v1.2"].into_iter().any(is_path));
    }

    #[test]
    fn a_scheme_that_is_not_read_lists_those_that_are() {
        let error = Stores::default().get_store(&Url::parse("hdfs://host/x").unwrap()).unwrap_err();
        assert!(error.to_string().contains("s3://, gs://, az://"), "{error}");
    }

    #[cfg(feature = "cloud")]
    #[test]
    fn only_variables_of_the_clouds_reach_a_store() {
        let all =
            [("AWS_REGION", "x"), ("CLEVERTAP_PASSCODE", "p"), ("TOKEN", "t"), ("AZURE_STORAGE_ACCOUNT_NAME", "a"), ("AWS_PROFILE", "")];
        let kept = credentials(all.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(kept.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["AWS_REGION", "AZURE_STORAGE_ACCOUNT_NAME"]);
    }

    #[cfg(feature = "cloud")]
    #[test]
    fn two_containers_of_one_account_are_two_stores() {
        let stores = Stores::default();
        for container in ["one", "two"] {
            let url = Url::parse(&format!("abfs://{container}@account.dfs.core.windows.net/x.csv")).unwrap();
            stores.get_store(&url).unwrap();
        }
        assert_eq!(stores.stores().len(), 3);
    }
}
