//! The files that a table has, listed by every statement.
//!
//! In: places. Out: files in the order of their paths, each with what errors call it.

use std::sync::Arc;

use datafusion::{catalog::Session, common::Result, datasource::listing::ListingTableUrl};
use datafusion_clevertap::redact::without_secrets;
use futures::TryStreamExt;
use object_store::{ObjectMeta, ObjectStore};

use super::text::decompress::ending;

/// One file, as it was listed.
#[derive(Debug, Clone)]
pub(super) struct ListedFile {
    pub(super) meta: ObjectMeta,
    /// What errors call it.
    pub(super) name: Arc<str>,
    /// Its path below the place of the table; empty if it is the place.
    pub(super) below: String,
}

/// The files at some places of one store that have an ending; without one, all that are not hidden.
///
/// # Errors
/// The store's.
pub(super) async fn list(
    urls: &[ListingTableUrl],
    state: &dyn Session,
    store: &dyn ObjectStore,
    wanted: Option<&str>,
) -> Result<Vec<ListedFile>> {
    let is_read = |name: &str, meta: &ObjectMeta| match wanted {
        Some(wanted) => ending(name) == Some(wanted),
        None => !name.starts_with(['.', '_']) || urls.iter().any(|url| *url.prefix() == meta.location),
    };
    let mut files = Vec::new();
    for url in urls {
        let mut listed: Vec<ObjectMeta> = url.list_all_files(state, store, "").await?.try_collect().await?;
        // A local folder is listed in any order.
        listed.sort_by(|a, b| a.location.cmp(&b.location));
        for meta in listed.into_iter().filter(|meta| is_read(meta.location.filename().unwrap_or_default(), meta)) {
            let below: Vec<&str> = url.strip_prefix(&meta.location).into_iter().flatten().collect();
            let below = below.join("/");
            let name = if below.is_empty() { meta.location.filename().unwrap_or_default() } else { &below };
            files.push(ListedFile { name: without_secrets(name).into(), meta, below });
        }
    }
    Ok(files)
}
