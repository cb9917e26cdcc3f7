//! CREATE EXTERNAL TABLE … STORED AS CSV and JSON.
//!
//! In: the statement. Out: a table of its columns, or, where it declares none, of those of the files. Where there are no files yet, and in
//! unbounded tables, DataFusion's own.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use async_trait::async_trait;
use datafusion::{
    catalog::{Session, TableProvider, TableProviderFactory},
    common::{Result, plan_err},
    datasource::{listing::ListingTableUrl, listing_table_factory::ListingTableFactory},
    logical_expr::CreateExternalTable,
};
use futures::TryStreamExt;

use super::{
    decompress::compression_of,
    learn::Learning,
    options::{TextFormat, TextOptions, types},
    source::TextSource,
    table::TextTable,
};

/// Makes tables of text files.
#[derive(Debug)]
pub(crate) struct TextTableFactory {
    format: TextFormat,
    learning: Arc<Learning>,
}

impl TextTableFactory {
    pub(crate) fn new(format: TextFormat, learning: &Arc<Learning>) -> Self {
        Self { format, learning: Arc::clone(learning) }
    }
}

#[async_trait]
impl TableProviderFactory for TextTableFactory {
    async fn create(&self, state: &dyn Session, statement: &CreateExternalTable) -> Result<Arc<dyn TableProvider>> {
        let urls: Vec<ListingTableUrl> = statement.locations.iter().map(ListingTableUrl::parse).collect::<Result<_>>()?;
        let mut options = TextOptions::new(self.format, session_types(state)?);
        options.csv.has_header = state.config().options().catalog.has_header;
        options.take(&statement.options.clone().into_iter().collect::<BTreeMap<_, _>>())?;
        let written = of_datafusion(&statement.options);
        if statement.unbounded || !has_files(state, &urls).await? {
            let statement = CreateExternalTable { options: written, ..statement.clone() };
            return ListingTableFactory::new().create(state, &statement).await;
        }
        if options.writing.compression.is_none() {
            options.writing.compression = statement.locations.first().and_then(|location| compression_of(location));
        }
        let declared = statement.schema.as_arrow();
        let declared = (!declared.fields().is_empty()).then(|| Arc::new(declared.clone()));
        let source = TextSource { urls, ending: None, options, learning: Arc::clone(&self.learning) };
        Ok(Arc::new(TextTable::open(source, state, declared, written).await?))
    }
}

/// The types of CSV columns in this session: `SET clevertap.csv_types`.
pub(crate) fn session_types(state: &dyn Session) -> Result<clevertap_files::csv::Types> {
    let options = state.config_options().extensions.get::<datafusion_clevertap::Options>();
    options.map_or(Ok(clevertap_files::csv::Types::Exact), |options| types(&options.csv_types.to_string()))
}

async fn has_files(state: &dyn Session, urls: &[ListingTableUrl]) -> Result<bool> {
    for url in urls {
        let store = state.runtime_env().object_store(url)?;
        if url.list_all_files(state, store.as_ref(), "").await?.try_next().await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The options that DataFusion has too.
fn of_datafusion(options: &HashMap<String, String>) -> HashMap<String, String> {
    let ours = ["null", "types", "encoding"];
    let name = |name: &str| name.strip_prefix("format.").unwrap_or(name).to_lowercase();
    options.iter().filter(|(key, _)| !ours.contains(&name(key).as_str())).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// A table of the files with one ending at a place.
///
/// # Errors
/// As of [`TextTable::open`].
pub(crate) async fn open(
    url: ListingTableUrl,
    ending: &str,
    options: TextOptions,
    written: HashMap<String, String>,
    learning: &Arc<Learning>,
    state: &dyn Session,
) -> Result<Arc<dyn TableProvider>> {
    if ending.is_empty() {
        return plan_err!("files without an ending are not read by their path");
    }
    let source = TextSource { urls: vec![url], ending: Some(ending.to_owned()), options, learning: Arc::clone(learning) };
    Ok(Arc::new(TextTable::open(source, state, None, written).await?))
}
