//! The files that a table has, listed by every statement.
//!
//! In: places. Out: files in the order of their paths, each with what errors call it.

use std::sync::Arc;

use datafusion::{
    catalog::Session,
    common::{Result, plan_err},
    datasource::listing::ListingTableUrl,
};
use datafusion_clevertap::redact::without_secrets;
use futures::TryStreamExt;
use object_store::{ObjectMeta, ObjectStore};

use super::{lakehouse::refuse_files_of_tables, text::decompress::ending};

/// One file, as it was listed.
#[derive(Debug, Clone)]
pub(super) struct ListedFile {
    pub(super) meta: ObjectMeta,
    /// What errors call it.
    pub(super) name: Arc<str>,
    /// Its path below the place of the table; empty if it is the place.
    pub(super) below: String,
}

/// All files at a place, in the order of their paths: those of a folder, and of its folders that name columns.
///
/// # Errors
/// A folder has other folders with files that would be read, were they in it: nobody knows whether they are meant. The store's.
pub(super) async fn all_of(
    url: &ListingTableUrl,
    state: &dyn Session,
    store: &dyn ObjectStore,
    would_be_read: impl Fn(&ObjectMeta) -> bool,
) -> Result<Vec<ObjectMeta>> {
    let mut files: Vec<ObjectMeta> = match url.is_collection() || url.get_glob().is_some() {
        true => store.list(Some(url.prefix())).try_collect().await?,
        false => url.list_all_files(state, store, "").await?.try_collect().await?,
    };
    // A local folder is listed in any order.
    files.sort_by(|a, b| a.location.cmp(&b.location));
    let is_hidden = |part: &str| part.starts_with(['.', '_']) && !part.contains('=');
    for file in &files {
        let below: Vec<_> = url.strip_prefix(&file.location).into_iter().flatten().collect();
        let folder = below.iter().rev().skip(1).rev().find(|part| !part.contains('='));
        if let Some(folder) =
            folder.filter(|_| !below.iter().any(|part| is_hidden(part)) && would_be_read(file) && url.get_glob().is_none())
        {
            let (folder, ending) = (without_secrets(folder), ending(file.location.filename().unwrap_or_default()).unwrap_or_default());
            return plan_err!(
                "in it there is the folder {folder}/, and nobody says whether its files are meant: name what is, as in FROM '…/*.{ending}' or \
                 FROM '…/{folder}/'"
            );
        }
    }
    // DataFusion takes a pattern for that of one folder's files, unless it is told that folders below are meant.
    let is_of_one_folder = !url.get_glob().as_ref().is_some_and(|glob| glob.as_str().contains("**"));
    refuse_files_of_tables(&files, |file| url.contains(&file.location, is_of_one_folder))?;
    files.retain(|file| url.contains(&file.location, is_of_one_folder));
    Ok(files)
}

/// Whether a file is hidden (`.a.csv`, `_a.csv`), and neither it nor hidden ones are named.
pub(super) fn is_hidden(file: &ObjectMeta, url: &ListingTableUrl) -> bool {
    const HIDDEN: [char; 2] = ['.', '_'];
    let names_hidden = || {
        let glob = url.get_glob().as_ref();
        glob.is_some_and(|glob| glob.as_str().rsplit('/').next().is_some_and(|last| last.starts_with(HIDDEN)))
    };
    file.location.filename().is_some_and(|name| name.starts_with(HIDDEN)) && *url.prefix() != file.location && !names_hidden()
}

/// The files at some places of one store that have an ending; without one, all. A hidden one (`.a.csv`, `_a.csv`) is none of them, unless it is named.
///
/// # Errors
/// The store's.
pub(super) async fn list(
    urls: &[ListingTableUrl],
    state: &dyn Session,
    store: &dyn ObjectStore,
    wanted: Option<&str>,
) -> Result<Vec<ListedFile>> {
    let mut files = Vec::new();
    for url in urls {
        let is_wanted = |name: &str| wanted.is_none_or(|wanted| ending(name) == Some(wanted));
        let is_read = |meta: &ObjectMeta| !is_hidden(meta, url) && is_wanted(meta.location.filename().unwrap_or_default());
        for meta in all_of(url, state, store, is_read).await?.into_iter().filter(is_read) {
            let below: Vec<&str> = url.strip_prefix(&meta.location).into_iter().flatten().collect();
            let below = below.join("/");
            let name = if below.is_empty() { meta.location.filename().unwrap_or_default() } else { &below };
            files.push(ListedFile { name: without_secrets(name).into(), meta, below });
        }
    }
    Ok(files)
}
