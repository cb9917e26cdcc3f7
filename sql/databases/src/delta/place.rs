//! Where a table is.
//!
//! In: a path or URL, the stores of a session. Out: the log of the table there, through the session's own store: its credentials, its endpoint,
//! its timeouts.

use std::fmt;
use std::sync::Arc;

use datafusion::catalog::Session;
use datafusion::datasource::listing::ListingTableUrl;
use deltalake_core::logstore::{LogStoreRef, StorageConfig, default_logstore};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectMeta, ObjectStore};
use url::Url;

use crate::error::{Error, Result, shown};

/// The folder that holds the log of a table.
pub(super) const LOG_FOLDER: &str = "_delta_log";

/// The folder of a table, in a store.
#[derive(Clone)]
pub(super) struct Place {
    url: Url,
    store: Arc<dyn ObjectStore>,
    /// Where it is in the store.
    folder: Path,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("shown", &self.shown()).finish_non_exhaustive()
    }
}

impl Place {
    /// The folder at a path or URL.
    ///
    /// # Errors
    /// [`Error::Statement`] if it is none, or in a store that holds no tables; [`Error::Setting`] if the session has no such store.
    pub(super) fn new(location: &str, state: &dyn Session) -> Result<Self> {
        // Behind `?` a key may stand, and before `@` a password.
        let bare = location.split(['?', '#']).next().and_then(|bare| bare.rsplit('@').next()).unwrap_or_default();
        let wrong = |problem: &str| Error::Statement(format!("{}: {problem}", shown(bare)));
        let listed = ListingTableUrl::parse(location).map_err(|_| wrong("this is neither a path nor a URL"))?;
        if listed.get_glob().is_some() {
            return Err(wrong("a Delta table is a folder, and this is a pattern; name the folder"));
        }
        let mut url = Url::parse(listed.as_str()).map_err(|_| wrong("this is neither a path nor a URL"))?;
        if matches!(url.scheme(), "http" | "https") {
            return Err(wrong(
                "a Delta table is on a disk or in a bucket: web servers do not list their files. Name it by s3://, gs:// or az://",
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("a Delta table is named by its folder alone; leave out what begins with ? or #"));
        }
        // The library knows a store by its host alone, and would take another container's.
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("a Delta table is named without a user; for Azure by az://container/folder/"));
        }
        // The library takes it for an escape, and looks elsewhere.
        if url.path().contains("%25") {
            return Err(wrong("a Delta table's path has no %; rename its folder"));
        }
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        let folder = Path::from_url_path(url.path()).map_err(|_| wrong("this is no path of a store"))?;
        let store = state.runtime_env().object_store(listed.object_store());
        let store = store.map_err(|error| Error::Setting(format!("{}: {}", shown(url.as_str()), first_line(&error.strip_backtrace()))))?;
        Ok(Self { url, store, folder })
    }

    /// Whether it is the same folder.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.url == other.url
    }

    /// The place for messages.
    pub(super) fn shown(&self) -> String {
        match self.url.to_file_path() {
            Ok(path) if self.url.scheme() == "file" => shown(&path.display().to_string()),
            _ => shown(self.url.as_str()),
        }
    }

    pub(super) fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    pub(super) fn is_local(&self) -> bool {
        self.url.scheme() == "file"
    }

    /// The log of the table, read and written through `store`: the place's own, or one around it.
    pub(super) fn log(&self, store: Arc<dyn ObjectStore>) -> LogStoreRef {
        let below: Arc<dyn ObjectStore> = Arc::new(PrefixStore::new(Arc::clone(&store), self.folder.clone()));
        default_logstore(below, store, &self.url, &StorageConfig::default())
    }

    /// A file of the folder, or of one below, if there is one.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn any_file(&self) -> object_store::Result<Option<ObjectMeta>> {
        self.store.list(Some(&self.folder)).try_next().await
    }
}

fn first_line(text: &str) -> String {
    shown(text.lines().next().unwrap_or_default())
}
