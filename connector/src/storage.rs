//! Where files of a statement go: a folder of this machine or a prefix in a bucket. A file is there whole, or not at all.
//!
//! In: a place as a user names it. Out: files that are written once, on this machine readable by their owner alone.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::execution::TaskContext;
use datafusion::execution::object_store::ObjectStoreUrl;
use object_store::{ObjectStore, ObjectStoreExt};
use url::Url;

use crate::error::{Error, Result};

/// A place that takes files.
#[derive(Debug, Clone)]
pub(crate) enum Folder {
    /// A folder of this machine.
    Local(PathBuf),
    /// A prefix in a bucket.
    Bucket {
        /// The bucket's store.
        store: Arc<dyn ObjectStore>,
        /// The prefix in it.
        prefix: object_store::path::Path,
        /// As the user wrote it.
        url: Url,
    },
}

impl Folder {
    /// Reads `SET clevertap.failed_rows_to`: a path, a `file://` URL, or the URL of a bucket that the session knows.
    ///
    /// # Errors
    /// [`Error::Setting`] if no store answers for the URL, or nothing can be written there.
    pub(crate) fn open(text: &str, task: &TaskContext) -> Result<Self> {
        let folder = Self::named(text, task)?;
        folder.check()?;
        Ok(folder)
    }

    fn named(text: &str, task: &TaskContext) -> Result<Self> {
        let Some(url) = Url::parse(text).ok().filter(|url| url.scheme().len() > 1) else {
            return Ok(Self::Local(PathBuf::from(text)));
        };
        if url.scheme() == "file" {
            let path = url
                .to_file_path()
                .map_err(|()| Error::Setting(format!("option \"clevertap.failed_rows_to\" is \"{text}\"; expected a folder")))?;
            return Ok(Self::Local(path));
        }
        let missing = |why: &dyn fmt::Display| {
            Error::Setting(format!("option \"clevertap.failed_rows_to\" is \"{text}\", and no store is registered for it ({why})"))
        };
        let root = ObjectStoreUrl::parse(&url[..url::Position::BeforePath]).map_err(|error| missing(&error))?;
        let store = task.runtime_env().object_store(&root).map_err(|error| missing(&error))?;
        let prefix = object_store::path::Path::from_url_path(url.path()).map_err(|error| missing(&error))?;
        Ok(Self::Bucket { store, prefix, url })
    }

    /// Whether files can be written there, as far as that can be found out without leaving anything: of a bucket, only a file can tell.
    ///
    /// # Errors
    /// [`Error::Setting`] if not: before a row is sent.
    fn check(&self) -> Result<()> {
        let Self::Local(folder) = self else { return Ok(()) };
        let mut there = folder.ancestors().map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
        let there = there.find(|folder| folder.exists()).unwrap_or(folder);
        let probe = there.join(format!(".clevertap-probe-{:016x}", rand::random::<u64>()));
        std::fs::File::create_new(&probe).and_then(|_| std::fs::remove_file(&probe)).map_err(|error| {
            Error::Setting(format!(
                "option \"clevertap.failed_rows_to\" is \"{self}\", where nothing can be written ({error}); nothing was sent. Name a folder that \
                 takes files"
            ))
        })
    }

    /// Writes a whole file, or none.
    ///
    /// # Errors
    /// [`Error::Setting`] if the place does not take it.
    pub(crate) async fn put(&self, name: &str, file: Vec<u8>) -> Result<()> {
        let failed = |why: &dyn fmt::Display| {
            Error::Setting(format!(
                "failed rows were not written to {self} ({why}). The last of them are in clevertap.failed_rows while the account is open: send \
                 those again, and not the whole load."
            ))
        };
        match self {
            Self::Local(folder) => write_private(folder, name, &file).map_err(|error| failed(&error)),
            Self::Bucket { store, prefix, .. } => {
                store.put(&prefix.clone().join(name), file.into()).await.map(drop).map_err(|error| failed(&error))
            }
        }
    }
}

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => write!(f, "{}", path.display()),
            Self::Bucket { url, .. } => write!(f, "{}", &url[..url::Position::AfterPath]),
        }
    }
}

/// Writes a whole file or none, readable by its owner alone.
fn write_private(folder: &Path, name: &str, file: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    std::fs::create_dir_all(folder)?;
    let part = folder.join(format!(".{name}.part"));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut writer = options.open(&part)?;
    writer.write_all(file)?;
    writer.sync_all()?;
    std::fs::rename(&part, folder.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_takes_no_files_is_told_and_one_that_does_is_left_as_it_was() {
        let here = std::env::temp_dir().join(format!("clevertap-place-{}", std::process::id()));
        let check = |path: PathBuf| Folder::Local(path).check();
        check(here.join("not/yet/there")).expect("a place");
        assert!(!here.exists());
        std::fs::write(&here, "a file").expect("written");
        let error = check(here.join("below")).expect_err("a file is no folder").to_string();
        std::fs::remove_file(&here).expect("removed");
        assert!(error.contains("nothing was sent") && error.contains("[CT-101]"), "{error}");
    }
}
