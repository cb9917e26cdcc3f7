//! Where the log of erasures is stored: a folder of this machine, or a prefix in a bucket.
//!
//! In: objects, each under a new name. Out: the same. An object is complete or absent, and never changes. In a folder it is a file that
//! only its owner can read, since it holds identifiers, and is on the disk before the call returns.

use std::{
    fmt,
    io::{self, Write},
    path::PathBuf,
    sync::Arc,
};

use datafusion::execution::object_store::ObjectStoreRegistry;
use futures::{StreamExt, TryStreamExt};
use object_store::{ObjectStore, ObjectStoreExt, PutMode, path::Path};
use url::{Position, Url};

use crate::{
    failure::{Failure, Result},
    files::object_stores::ObjectStores,
};

/// Names the store where no flag does.
pub(crate) const ERASURE_LOG: &str = "CLEVERTAP_ERASURE_LOG";
/// Objects that are read at once.
const READS_AT_ONCE: usize = 16;
/// The ending of an object's name.
const ENDING: &str = ".ndjson";

/// A folder or a prefix for objects.
#[derive(Debug, Clone)]
pub(crate) enum LogStore {
    Folder(PathBuf),
    Bucket { store: Arc<dyn ObjectStore>, prefix: Path, url: Url },
}

impl LogStore {
    /// The store that the flag names, else the environment, else the folder of the user's configuration.
    ///
    /// # Errors
    /// [`Failure::Usage`] for a URL of a scheme that is not supported, or where no home folder is known.
    pub(crate) fn open(flag: Option<&str>, variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let variable = |name: &str| variable(name).filter(|text| !text.trim().is_empty());
        let Some(text) = flag.map(str::to_owned).or_else(|| variable(ERASURE_LOG)) else {
            let home = || variable("HOME").map(|home| PathBuf::from(home).join(".config"));
            let Some(config) = variable("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute()).or_else(home) else {
                return Err(Failure::Usage(format!(
                    "there is no home to keep the log of erasures in: --log or {ERASURE_LOG} names a folder or a bucket"
                )));
            };
            return Ok(Self::Folder(config.join("clevertap-sql").join("erasures")));
        };
        let Some(url) = Url::parse(&text).ok().filter(|url| url.scheme().len() > 1) else {
            return Ok(Self::Folder(PathBuf::from(text)));
        };
        let usage = |why: &dyn fmt::Display| Failure::Usage(format!("the log of erasures cannot be kept there: {why}"));
        if url.scheme() == "file" {
            return url.to_file_path().map(Self::Folder).map_err(|()| usage(&"expected file:///path"));
        }
        let store = ObjectStores::default().get_store(&url).map_err(|error| usage(&error.strip_backtrace()))?;
        let prefix = Path::from_url_path(url.path()).map_err(|error| usage(&error))?;
        Ok(Self::Bucket { store, prefix, url })
    }

    /// The part of this store for `account` of `host`.
    pub(crate) fn for_account(self, host: &str, account: &str) -> Self {
        let plain = |text: &str| text.replace(|letter: char| !letter.is_ascii_alphanumeric() && !"-._".contains(letter), "_");
        let (host, account) = (plain(host), plain(account));
        match self {
            Self::Folder(folder) => Self::Folder(folder.join(host).join(account)),
            Self::Bucket { store, prefix, url } => Self::Bucket { store, prefix: prefix.join(host).join(account), url },
        }
    }

    /// Writes a new object.
    ///
    /// # Errors
    /// The disk's or the bucket's.
    pub(crate) async fn put(&self, stem: &str, object: Vec<u8>) -> Result<()> {
        let name = format!("{stem}{ENDING}");
        match self {
            Self::Folder(folder) => put_file(folder, &name, &object).map_err(|error| self.failed("written to", &error)),
            Self::Bucket { store, prefix, .. } => {
                let put = store.put_opts(&prefix.clone().join(name), object.into(), PutMode::Create.into()).await;
                put.map(drop).map_err(|error| self.failed("written to", &error))
            }
        }
    }

    /// Every object with its name, by name.
    ///
    /// # Errors
    /// The disk's or the bucket's.
    pub(crate) async fn read_all(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let mut all = match self {
            Self::Folder(folder) => read_files(folder).map_err(|error| self.failed("read from", &error))?,
            Self::Bucket { store, prefix, .. } => {
                let listed = store.list(Some(prefix)).try_filter(|object| std::future::ready(object.location.as_ref().ends_with(ENDING)));
                let read = listed.map_ok(|object| async move {
                    let bytes = store.get(&object.location).await?.bytes().await?;
                    let name = object.location.filename().unwrap_or_default().to_owned();
                    Ok::<_, object_store::Error>((name, bytes.to_vec()))
                });
                read.try_buffer_unordered(READS_AT_ONCE).boxed().try_collect().await.map_err(|error| self.failed("read from", &error))?
            }
        };
        all.sort();
        Ok(all)
    }

    fn failed(&self, what: &str, why: &dyn fmt::Display) -> Failure {
        Failure::Failed(format!("the log of erasures could not be {what} {self} ({why})"))
    }
}

impl fmt::Display for LogStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "{}", path.display()),
            // Without the password that the URL may hold.
            Self::Bucket { prefix, url, .. } => write!(f, "{}{}/{prefix}", url.scheme(), &url[Position::BeforeHost..Position::BeforePath]),
        }
    }
}

fn put_file(folder: &std::path::Path, name: &str, object: &[u8]) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    let mut file = tempfile::Builder::new().prefix(".").suffix(".part").tempfile_in(folder)?;
    file.write_all(object)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(folder.join(name)).map_err(|error| error.error)?;
    // The name has to survive a power cut, too. Where folders cannot be opened, there is nothing to sync.
    if let Ok(folder) = std::fs::File::open(folder) {
        folder.sync_all().ok();
    }
    Ok(())
}

fn read_files(folder: &std::path::Path) -> io::Result<Vec<(String, Vec<u8>)>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(ENDING) && !name.starts_with('.') {
            files.push((name, std::fs::read(entry.path())?));
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(flag: Option<&str>, pairs: &[(&str, &str)]) -> Result<String> {
        let variable = |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        LogStore::open(flag, variable).map(|store| store.for_account("127.0.0.1:80", "../W-1").to_string())
    }

    #[test]
    fn a_flag_wins_over_the_environment_and_both_over_the_home_folder() {
        let home = [("HOME", "/home/ada"), ("XDG_CONFIG_HOME", "")];
        assert_eq!(named(None, &home).unwrap(), "/home/ada/.config/clevertap-sql/erasures/127.0.0.1_80/.._W-1");
        assert_eq!(named(None, &[("XDG_CONFIG_HOME", "/x")]).unwrap(), "/x/clevertap-sql/erasures/127.0.0.1_80/.._W-1");
        assert_eq!(named(None, &[(ERASURE_LOG, "/var/log/e")]).unwrap(), "/var/log/e/127.0.0.1_80/.._W-1");
        assert_eq!(named(Some("here"), &[(ERASURE_LOG, "/var/log/e")]).unwrap(), "here/127.0.0.1_80/.._W-1");
        assert_eq!(named(None, &[]).unwrap_err().code(), 2);
        assert_eq!(named(Some("ftp://x/y"), &home).unwrap_err().code(), 2);
    }

    #[tokio::test]
    async fn only_its_owner_can_read_a_file_of_the_log_and_it_is_not_written_twice() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("a/b");
        let store = LogStore::Folder(folder.clone());
        assert!(store.read_all().await.unwrap().is_empty());
        store.put("1", b"one".to_vec()).await.unwrap();
        assert!(store.put("1", b"two".to_vec()).await.is_err());
        std::fs::write(folder.join(".2.part"), "half").unwrap();
        assert_eq!(store.read_all().await.unwrap(), [("1.ndjson".to_owned(), b"one".to_vec())]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&home.path().join("a")), mode(&folder), mode(&folder.join("1.ndjson"))), (0o700, 0o700, 0o600));
        }
    }
}
