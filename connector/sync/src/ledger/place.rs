//! Where a ledger is.
//!
//! In: a path or URL, the stores of a session. Out: the folder in the session's own store, with its credentials, its endpoint, its timeouts.

use std::fmt;
use std::sync::Arc;

use datafusion::catalog::Session;
use datafusion::datasource::listing::ListingTableUrl;
use deltalake_core::logstore::{LogStoreRef, StorageConfig, default_logstore};
use object_store::ObjectStore;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use url::Url;

use crate::error::{Error, Result};

/// The folder of a ledger, in a store.
#[derive(Clone)]
pub(crate) struct Place {
    url: Url,
    store: Arc<dyn ObjectStore>,
    folder: Path,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("shown", &self.shown()).finish_non_exhaustive()
    }
}

impl Place {
    /// The folder of a ledger at a path or URL.
    ///
    /// # Errors
    /// [`Error::Storage`] if it is none, or in a store that the session does not have.
    pub(super) fn new(location: &str, session: &dyn Session) -> Result<Self> {
        Self::of("the ledger's place", location, session)
    }

    /// The folder at a path or URL; `what` it is, messages say.
    ///
    /// # Errors
    /// As of [`new`](Self::new).
    pub(crate) fn of(what: &str, location: &str, session: &dyn Session) -> Result<Self> {
        // Behind `?` a key may stand, and before `@` a password.
        let bare = location.split(['?', '#']).next().and_then(|bare| bare.rsplit('@').next()).unwrap_or_default();
        let wrong = |problem: &str| Error::Storage(format!("{what} {}: {problem}", cut(bare)));
        let neither = "this is neither a path nor a URL; name a folder, or s3://bucket/folder/";
        let listed = ListingTableUrl::parse(location).map_err(|_| wrong(neither))?;
        if listed.get_glob().is_some() {
            return Err(wrong("this is a pattern; name the folder"));
        }
        let mut url = Url::parse(listed.as_str()).map_err(|_| wrong(neither))?;
        if matches!(url.scheme(), "http" | "https") {
            return Err(wrong("web servers do not list their files; name a folder, or s3://, gs:// or az://"));
        }
        if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("it is named by its folder alone; leave out a user, and what begins with ? or #"));
        }
        // The library takes it for an escape, and looks elsewhere.
        if url.path().contains("%25") {
            return Err(wrong("its path has a %; rename the folder"));
        }
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        let folder = Path::from_url_path(url.path()).map_err(|_| wrong("this is no path of a store; name a folder"))?;
        let store = session.runtime_env().object_store(listed.object_store()).map_err(|error| {
            let line = error.strip_backtrace();
            wrong(&format!("{}; register its store with the session", cut(line.lines().next().unwrap_or_default())))
        })?;
        Ok(Self { url, store, folder })
    }

    /// For messages.
    pub(crate) fn shown(&self) -> String {
        match self.url.to_file_path() {
            Ok(path) if self.is_local() => cut(&path.display().to_string()),
            _ => cut(self.url.as_str()),
        }
    }

    /// Whether it is on a disk of this machine.
    pub(crate) fn is_local(&self) -> bool {
        self.url.scheme() == "file"
    }

    /// The session's store.
    pub(crate) fn session_store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// A folder or file below.
    pub(crate) fn path(&self, below: &str) -> Path {
        below.split('/').filter(|part| !part.is_empty()).fold(self.folder.clone(), |path, part| path.join(part))
    }

    /// The part of a path that is below.
    pub(crate) fn below(&self, path: &Path) -> String {
        let rest = path.as_ref().strip_prefix(self.folder.as_ref()).unwrap_or(path.as_ref());
        rest.trim_start_matches('/').to_owned()
    }

    /// The log of the table in the folder `table`, or in this folder itself, read and written through `store`.
    pub(crate) fn log(&self, table: &str, store: Arc<dyn ObjectStore>) -> Result<LogStoreRef> {
        let url = if table.is_empty() { Ok(self.url.clone()) } else { self.url.join(&format!("{table}/")) };
        let url = url.map_err(|_| Error::Storage(format!("{}: {table} is no folder of it; name the ledger's folder", self.shown())))?;
        let below: Arc<dyn ObjectStore> = Arc::new(PrefixStore::new(Arc::clone(&store), self.path(table)));
        Ok(default_logstore(below, store, &url, &StorageConfig::default()))
    }
}

/// A text as it is shown in a message: of a line's length, without control characters.
pub(crate) fn cut(text: &str) -> String {
    const CHARS_MAX: usize = 200;
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(CHARS_MAX).collect();
    if text.chars().nth(CHARS_MAX).is_some() { line + "…" } else { line }
}
