//! Folders that are tables of Delta Lake or Iceberg: their files are not all rows of the table, and reading or writing them one by one would be wrong.
//!
//! In: a place. Out: whether it is such a table, or is in one. A Delta table is known by the log in its `_delta_log`, an Iceberg table by the
//! metadata in its `metadata`. A file that is removed from such a table stays in its folder, so a folder of one is never read as files.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::{
    catalog::{Session, TableProvider, TableProviderFactory},
    common::{DataFusionError, Result, plan_err},
    datasource::listing::ListingTableUrl,
    logical_expr::{CreateExternalTable, LogicalPlan},
};
use datafusion_clevertap::redact::without_secrets;
use futures::{TryStreamExt, future::join_all};
use object_store::{
    ObjectMeta, ObjectStore,
    path::{Path, PathPart},
};

const DELTA_LOG: &str = "_delta_log";
const ICEBERG_METADATA: &str = "metadata";

/// What a place is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lakehouse {
    /// The folder of a Delta table.
    Delta,
    /// A folder or a file in that of a Delta table, a pattern of its files; with the table's folder.
    InDelta(String),
    /// The folder of an Iceberg table, or something in it.
    Iceberg(String),
}

impl Lakehouse {
    /// Why its files are not read, or not written.
    pub(super) fn refusal(&self) -> String {
        match self {
            Self::Delta => "it is a Delta table: name its folder alone, or CREATE EXTERNAL TABLE … STORED AS DELTA".into(),
            Self::InDelta(table) => format!(
                "it is in the Delta table {table}, whose log says which of its files count: name the table's folder, as in FROM '…/{table}/' or \
                 INSERT INTO '…/{table}/'"
            ),
            Self::Iceberg(table) => format!(
                "{table} is an Iceberg table, which this program neither reads nor writes: files that were removed from it would be read too. Copy its \
                 rows to Parquet, or to a Delta table, with what wrote it"
            ),
        }
    }
}

/// What `url` is, if it is no mere folder or file.
///
/// # Errors
/// The store's, for a folder itself. What is above it may be hidden from whoever may read it.
pub(super) async fn find(url: &ListingTableUrl, store: &dyn ObjectStore) -> Result<Option<Lakehouse>> {
    // A web server lists nothing.
    if matches!(url.scheme(), "http" | "https") {
        return Ok(None);
    }
    let parts: Vec<_> = url.prefix().parts().map(|part| part.as_ref().to_owned()).collect();
    let is_folder = url.get_glob().is_none();
    let mut asked = Vec::new();
    for count in (0..=parts.len()).rev() {
        asked.push(look(parts[..count].to_vec(), store));
    }
    for (folder, delta, iceberg) in join_all(asked).await {
        let is_itself = folder.len() == parts.len();
        // What is above may be hidden from whoever may read the place, and a disk calls it an error to look into a file.
        let is_hidden = |error: &object_store::Error| {
            use object_store::Error::{NotFound, PermissionDenied, Unauthenticated};
            url.scheme() == "file" || matches!(error, NotFound { .. } | PermissionDenied { .. } | Unauthenticated { .. })
        };
        let known = |found: Found| match found {
            Err(error) if !(is_itself && url.is_collection()) && is_hidden(&error) => Ok(false),
            found => found,
        };
        let name = || without_secrets(folder.last().map_or("", String::as_str)).to_string();
        if known(delta)? {
            return Ok(Some(if is_itself && is_folder { Lakehouse::Delta } else { Lakehouse::InDelta(name()) }));
        }
        if known(iceberg)? {
            return Ok(Some(Lakehouse::Iceberg(name())));
        }
    }
    Ok(None)
}

/// Whether a store finds something.
type Found = Result<bool, object_store::Error>;

/// A folder, and whether it is a table of Delta Lake, or of Iceberg.
async fn look(folder: Vec<String>, store: &dyn ObjectStore) -> (Vec<String>, Found, Found) {
    let (delta, iceberg) = tokio::join!(has_log(&folder, store), has_iceberg_metadata(&folder, store));
    (folder, delta, iceberg)
}

/// A folder in `folder`, whose steps are spelled as the store spells them.
fn below(folder: &[String], name: &str) -> Path {
    folder.iter().filter_map(|step| PathPart::parse(step).ok()).chain([PathPart::from(name)]).collect()
}

async fn has_log(folder: &[String], store: &dyn ObjectStore) -> Found {
    let mut files = store.list(Some(&below(folder, DELTA_LOG)));
    while let Some(file) = files.try_next().await? {
        if is_log(&file.location) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a file is a commit or a checkpoint.
fn is_log(file: &Path) -> bool {
    file.filename().is_some_and(|name| name.get(..20).is_some_and(|version| version.bytes().all(|byte| byte.is_ascii_digit())))
}

async fn has_iceberg_metadata(folder: &[String], store: &dyn ObjectStore) -> Found {
    let mut files = store.list(Some(&below(folder, ICEBERG_METADATA)));
    while let Some(file) = files.try_next().await? {
        if is_iceberg_metadata(&file.location) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_iceberg_metadata(file: &Path) -> bool {
    file.filename().is_some_and(|name| name.ends_with(".metadata.json") || name == "version-hint.text")
}

/// Whether one of the files that a place lists, before those that match are chosen, makes another of them a file of a table.
///
/// # Errors
/// A file that is read is in the folder of a table.
pub(super) fn refuse_files_of_tables(listed: &[ObjectMeta], is_read: impl Fn(&ObjectMeta) -> bool) -> Result<()> {
    let mut tables: Vec<(&str, bool)> = Vec::new();
    for file in listed {
        let path = file.location.as_ref();
        let (folder, is_delta) = match (is_log(&file.location), is_iceberg_metadata(&file.location)) {
            (true, _) => (DELTA_LOG, true),
            (_, true) => (ICEBERG_METADATA, false),
            _ => continue,
        };
        // The folder of the table, with its slash; that of the store is empty.
        let table = path
            .rsplit_once('/')
            .and_then(|(above, _)| above.strip_suffix(folder))
            .filter(|table| table.is_empty() || table.ends_with('/'));
        if let Some(table) = table
            && tables.last().is_none_or(|(last, _)| *last != table)
        {
            tables.push((table, is_delta));
        }
    }
    let table_of = |file: &ObjectMeta| tables.iter().find(|(table, _)| file.location.as_ref().starts_with(*table));
    match listed.iter().filter(|file| is_read(file)).find_map(table_of) {
        Some((table, is_delta)) => {
            let name = without_secrets(table.trim_end_matches('/').rsplit('/').next().unwrap_or_default()).to_string();
            plan_err!("{}", if *is_delta { Lakehouse::InDelta(name) } else { Lakehouse::Iceberg(name) }.refusal())
        }
        None => Ok(()),
    }
}

/// Refuses a COPY into the folder of a table.
///
/// # Errors
/// The place is one, or in one.
pub(crate) async fn refuse_copies(plan: &LogicalPlan, state: &dyn Session) -> Result<()> {
    let mut targets = Vec::new();
    let mut plans = vec![plan];
    while let Some(plan) = plans.pop() {
        if let LogicalPlan::Copy(copy) = plan
            && !copy.output_url.starts_with("clevertap://")
        {
            targets.push(copy.output_url.clone());
        }
        plans.extend(plan.inputs());
    }
    for target in targets {
        refuse(&target, state).await?;
    }
    Ok(())
}

async fn refuse(location: &str, state: &dyn Session) -> Result<()> {
    let url = ListingTableUrl::parse(location)?;
    let store = state.runtime_env().object_store(&url)?;
    let found = match find(&url, store.as_ref()).await {
        // Who may put files there and not list them can still do so: what is read is listed anyway.
        Err(DataFusionError::ObjectStore(error)) if matches!(*error, object_store::Error::PermissionDenied { .. }) => None,
        found => found?,
    };
    match found {
        Some(found) => plan_err!("'{}': {}", without_secrets(location), found.refusal()),
        None => Ok(()),
    }
}

/// A factory of tables over files, that makes none over a table's.
#[derive(Debug)]
pub(super) struct OfFiles(pub(super) Arc<dyn TableProviderFactory>);

#[async_trait]
impl TableProviderFactory for OfFiles {
    async fn create(&self, state: &dyn Session, statement: &CreateExternalTable) -> Result<Arc<dyn TableProvider>> {
        for location in &statement.locations {
            refuse(location, state).await?;
        }
        self.0.create(state, statement).await
    }
}

#[cfg(all(test, feature = "delta"))]
mod tests;
