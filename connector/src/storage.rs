//! Where files of a statement go: a folder of this machine or a prefix in a bucket. A file is there whole, or not at all, and is
//! written once.
//!
//! In: a place as a user names it. Out: files; on this machine in folders and files that their owner alone can read, and on the disk
//! before the call returns. The disk is not waited for on a thread that runs futures. Files are about people: none goes over plain HTTP
//! to another machine, nor through a link that leads elsewhere.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, fs};

use datafusion::common::runtime::SpawnedTask;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutPayload};
use url::{Host, Position, Url};

use crate::foreign_text::printable;
use crate::redact::without_secrets;

/// Files of a bucket that are read at once.
const READS_AT_ONCE: usize = 16;

/// Most characters of an error of a bucket: its path and the status stand in front.
const ERROR_CHARS_MAX: usize = 500;

/// Bytes that prove that a disk takes files: more than a full one has left over.
const PROBE_BYTES: usize = 64 << 10;

/// How long a bucket may take to prove it. A store tries for minutes on its own where nobody listens.
const PROBE_FOR: Duration = Duration::from_secs(20);

/// A folder of this machine, or a prefix in a bucket.
#[derive(Debug, Clone)]
pub enum Folder {
    /// A folder, which is made with the first file.
    Local(PathBuf),
    /// A prefix.
    Bucket {
        /// The bucket.
        store: Arc<dyn ObjectStore>,
        /// The prefix in it.
        prefix: Path,
        /// As the user wrote it: shown without user name and password.
        url: Url,
    },
}

impl Folder {
    /// Reads a path, a `file://` URL, or another URL, for which `store_of` has the store.
    ///
    /// # Errors
    /// What is wrong with the URL, or what `store_of` says.
    pub fn parse<E: fmt::Display>(text: &str, store_of: impl FnOnce(&Url) -> Result<Arc<dyn ObjectStore>, E>) -> Result<Self, String> {
        let Some(url) = url_of(text) else { return Ok(Self::Local(PathBuf::from(text))) };
        if url.scheme() == "file" {
            return url.to_file_path().map(Self::Local).map_err(|()| "a folder of this machine is file:///path".to_owned());
        }
        check_encrypted(&url)?;
        let store = store_of(&url).map_err(|error| error.to_string())?;
        let prefix = Path::from_url_path(url.path()).map_err(|error| error.to_string())?;
        Ok(Self::Bucket { store, prefix, url })
    }

    /// The folder of this name in it.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        match self {
            Self::Local(path) => Self::Local(path.join(name)),
            Self::Bucket { store, prefix, url } => {
                Self::Bucket { store: Arc::clone(store), prefix: prefix.clone().join(name), url: url.clone() }
            }
        }
    }

    /// Refuses what is no folder, such as a FIFO, and a link that leads out of the folder that it is in.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotADirectory`] with the reason, or the disk's.
    pub async fn check(&self) -> io::Result<()> {
        let Self::Local(folder) = self else { return Ok(()) };
        let folder = folder.clone();
        on_disk(move || check_folder(&folder)).await
    }

    /// Proves that files can be written there, by writing one and removing it. Who may put files into a bucket and not remove them keeps
    /// one, whose name begins with a dot.
    ///
    /// # Errors
    /// The disk's or the bucket's; [`io::ErrorKind::TimedOut`] where nobody answers.
    pub async fn probe(&self) -> io::Result<()> {
        let name = format!(".clevertap-probe-{:016x}", rand::random::<u64>());
        let (store, prefix) = match self {
            Self::Local(folder) => {
                let folder = folder.clone();
                return on_disk(move || probe_disk(&folder, &name)).await;
            }
            Self::Bucket { store, prefix, .. } => (store, prefix),
        };
        let proved = async {
            self.put_new(&name, b"files can be written here".to_vec()).await?;
            if let Err(error) = store.delete(&prefix.clone().join(name.as_str())).await {
                tracing::debug!("the bucket takes files and lets none be removed: {error}");
            }
            Ok(())
        };
        let late = || io::Error::new(io::ErrorKind::TimedOut, format!("no answer in {} s", PROBE_FOR.as_secs()));
        tokio::time::timeout(PROBE_FOR, proved).await.unwrap_or_else(|_| Err(late()))
    }

    /// Writes a new file before it returns: for who cannot wait, since its statement was dropped. A bucket takes none so.
    ///
    /// # Errors
    /// The disk's; [`io::ErrorKind::Unsupported`] for a bucket.
    pub(crate) fn put_new_now(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Local(folder) => write_new(folder, name, bytes),
            Self::Bucket { .. } => Err(io::Error::new(io::ErrorKind::Unsupported, "a dropped statement sends nothing to a bucket")),
        }
    }

    /// Writes a new file.
    ///
    /// # Errors
    /// The disk's or the bucket's; [`io::ErrorKind::AlreadyExists`] where a file has the name, which all stores but plain HTTP can tell.
    pub async fn put_new(&self, name: &str, bytes: Vec<u8>) -> io::Result<()> {
        match self {
            Self::Local(folder) => {
                let (folder, name) = (folder.clone(), name.to_owned());
                on_disk(move || write_new(&folder, &name, &bytes)).await
            }
            Self::Bucket { store, prefix, .. } => {
                let (path, bytes) = (prefix.clone().join(name), PutPayload::from(bytes));
                let put = match store.put_opts(&path, bytes.clone(), PutMode::Create.into()).await {
                    // A server of files over HTTP does not know what is new.
                    Err(object_store::Error::NotImplemented { .. }) => store.put(&path, bytes).await,
                    put => put,
                };
                put.map(drop).map_err(|error| match error {
                    object_store::Error::AlreadyExists { .. } => io::Error::new(io::ErrorKind::AlreadyExists, error),
                    error => told(&error),
                })
            }
        }
    }

    /// Every file whose name ends so, with its name, by name; none where there is no such folder.
    ///
    /// # Errors
    /// The disk's or the bucket's.
    pub async fn read_all(&self, ending: &'static str) -> io::Result<Vec<(String, Vec<u8>)>> {
        let mut all = match self {
            Self::Local(folder) => {
                let folder = folder.clone();
                on_disk(move || read_files(&folder, ending)).await?
            }
            Self::Bucket { store, prefix, .. } => {
                let listed = store.list(Some(prefix)).try_filter(|file| std::future::ready(file.location.as_ref().ends_with(ending)));
                let read = listed.map_ok(|file| async move {
                    let bytes = store.get(&file.location).await?.bytes().await?;
                    Ok::<_, object_store::Error>((file.location.filename().unwrap_or_default().to_owned(), bytes.to_vec()))
                });
                read.try_buffer_unordered(READS_AT_ONCE).boxed().try_collect().await.map_err(|error| told(&error))?
            }
        };
        all.sort();
        Ok(all)
    }
}

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => write!(f, "{}", path.display()),
            Self::Bucket { prefix, url, .. } => {
                write!(f, "{}://{}/{prefix}", url.scheme(), &url[Position::BeforeHost..Position::BeforePath])
            }
        }
    }
}

/// The URL that a place is; a path is none, `C:\x` neither.
fn url_of(place: &str) -> Option<Url> {
    Url::parse(place).ok().filter(|url| url.scheme().len() > 1)
}

/// An error of a bucket: its first line, for behind that stands what the server answered, a page of HTML perhaps.
fn told(error: &object_store::Error) -> io::Error {
    let text = error.to_string();
    let line: String = text.lines().next().unwrap_or_default().chars().take(ERROR_CHARS_MAX).collect();
    io::Error::other(printable(&without_secrets(&line)))
}

/// Refuses a URL over which files about people would go in clear to another machine.
///
/// # Errors
/// Why, as the end of a sentence.
pub fn check_encrypted(url: &Url) -> Result<(), String> {
    match url.scheme() {
        "http" if !is_loopback(url) => Err("http:// would carry people in clear: name it by https://".into()),
        _ => Ok(()),
    }
}

/// Whether a URL leads to this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether a place is a path or a `file://` URL.
pub(crate) fn is_local(place: &str) -> bool {
    url_of(place).is_none_or(|url| url.scheme() == "file")
}

/// A place as it may be shown: without the user name, the password and the query of a URL.
pub(crate) fn shown(place: &str) -> String {
    match url_of(place) {
        Some(url) => format!("{}://{}", url.scheme(), &url[Position::BeforeHost..Position::AfterPath]),
        None => place.to_owned(),
    }
}

/// Runs `work` where waiting for the disk holds nobody up.
///
/// # Errors
/// Those of `work`; where it panicked, one that says so.
pub(crate) async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    SpawnedTask::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// Writes a file into the folder, or where the folder would be made, and removes it.
fn probe_disk(folder: &std::path::Path, name: &str) -> io::Result<()> {
    check_folder(folder)?;
    let above = folder.ancestors().map(|path| if path.as_os_str().is_empty() { std::path::Path::new(".") } else { path });
    let here = above.into_iter().find(|path| path.exists()).unwrap_or(folder);
    let probe = here.join(name);
    let written = write_private(&probe, &[b'x'; PROBE_BYTES]);
    let removed = fs::remove_file(&probe);
    written.and(removed)
}

fn check_folder(folder: &std::path::Path) -> io::Result<()> {
    // A slash at the end would lead through a link.
    let folder: &std::path::Path = &folder.components().collect::<PathBuf>();
    let other = |what: &str| Err(io::Error::new(io::ErrorKind::NotADirectory, what));
    match fs::symlink_metadata(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(there) if there.is_symlink() && leads_away(folder) => other("it is a link that leads out of its folder; name where it leads to"),
        Ok(_) if !folder.is_dir() => other("it is there and is no folder"),
        Ok(_) => Ok(()),
    }
}

/// Whether a link leads out of the folder that it is in, or nowhere.
fn leads_away(link: &std::path::Path) -> bool {
    let above = link.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(std::path::Path::new("."));
    match (fs::canonicalize(above), fs::canonicalize(link)) {
        (Ok(above), Ok(target)) => !target.starts_with(above),
        _ => true,
    }
}

fn write_new(folder: &std::path::Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    check_folder(folder)?;
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    let part = folder.join(format!(".{name}-{:016x}.part", rand::random::<u64>()));
    let written = write_private(&part, bytes).and_then(|()| {
        let path = folder.join(name);
        // A link takes no name that is taken, which a renaming would. Where there are no links, the name is looked at first.
        match fs::hard_link(&part, &path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists || path.exists() => {
                Err(io::Error::new(io::ErrorKind::AlreadyExists, error))
            }
            Err(_) => fs::rename(&part, &path),
            Ok(()) => fs::remove_file(&part),
        }
    });
    if written.is_err() {
        fs::remove_file(&part).ok();
    }
    written?;
    // The name has to survive a power cut, too. Where folders cannot be opened, there is nothing to sync.
    if let Ok(folder) = fs::File::open(folder) {
        folder.sync_all().ok();
    }
    Ok(())
}

fn write_private(path: &std::path::Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = fs::File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn read_files(folder: &std::path::Path, ending: &str) -> io::Result<Vec<(String, Vec<u8>)>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(ending) && !name.starts_with('.') {
            // A FIFO would be waited for without end, and a link may show files of others.
            let kind = entry.file_type()?;
            let path = entry.path();
            if kind.is_symlink() && leads_away(&path) || !path.is_file() {
                let what = format!("{name} is no file, or a link that leads out of its folder");
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
            files.push((name, fs::read(path)?));
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    fn temporary(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("clevertap-storage-{name}-{:016x}", rand::random::<u64>()))
    }

    #[test]
    fn what_a_bucket_answers_is_cut_to_a_line() {
        let page = format!("<html>\n<p>ada@example.org</p>\n{}", "x".repeat(5_000));
        let shown = told(&object_store::Error::Generic { store: "HTTP", source: page.into() }).to_string();
        assert!(shown.contains("<html>") && !shown.contains(['\n', '@', 'x']), "{shown}");
    }

    #[tokio::test]
    async fn a_file_is_its_owners_alone_and_is_not_written_twice() {
        let home = temporary("home");
        let bucket = Folder::parse("s3://user:pw@acme/log/", |_| Ok::<_, io::Error>(Arc::new(InMemory::new()) as _)).unwrap();
        assert_eq!(bucket.child("eu1").to_string(), "s3://acme/log/eu1");
        for folder in [Folder::Local(home.clone()).child("a").child("b"), bucket.child("a")] {
            assert!(folder.read_all(".ndjson").await.unwrap().is_empty());
            folder.put_new("1.ndjson", b"one".to_vec()).await.unwrap();
            assert_eq!(folder.put_new("1.ndjson", b"two".to_vec()).await.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(folder.read_all(".ndjson").await.unwrap(), [("1.ndjson".to_owned(), b"one".to_vec())]);
        }
        assert_eq!(fs::read_dir(home.join("a/b")).unwrap().count(), 1, "nothing else is left");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: PathBuf| path.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(home.join("a")), mode(home.join("a/b")), mode(home.join("a/b/1.ndjson"))), (0o700, 0o700, 0o600));
        }
        fs::remove_dir_all(home).unwrap();
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_link_out_of_its_folder_and_what_is_no_folder_take_no_files() {
        let (home, elsewhere) = (temporary("links"), temporary("elsewhere"));
        for folder in [home.join("inside"), elsewhere.clone()] {
            fs::create_dir_all(folder).unwrap();
        }
        for (link, to) in [("away", elsewhere.clone()), ("near", home.join("inside")), ("nowhere", home.join("not/there"))] {
            std::os::unix::fs::symlink(to, home.join(link)).unwrap();
        }
        for (place, refused) in [("away", "a link"), ("away/", "a link"), ("nowhere", "a link"), ("near", ""), ("inside", ""), ("new", "")]
        {
            let folder = Folder::Local(home.join(place));
            for tried in [folder.probe().await, folder.put_new(&format!("{}.txt", place.len()), vec![1]).await] {
                match refused {
                    "" => tried.unwrap(),
                    why => assert!(tried.unwrap_err().to_string().contains(why), "{place}"),
                }
            }
        }
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
        let device = Folder::Local("/dev/null".into()).probe().await.unwrap_err();
        assert!(device.to_string().contains("is no folder"), "{device}");
        for folder in [home, elsewhere] {
            fs::remove_dir_all(folder).unwrap();
        }
    }

    #[tokio::test]
    async fn a_place_that_takes_no_files_is_told_and_one_that_does_is_left_as_it_was() {
        let here = temporary("place");
        Folder::Local(here.join("not/yet/there")).probe().await.expect("a place");
        assert!(!here.exists());
        fs::write(&here, "a file").expect("written");
        Folder::Local(here.join("below")).probe().await.expect_err("a file is no folder");
        fs::remove_file(&here).expect("removed");
    }
}
