//! The store that a ledger reads and writes through: what a disk must have before a call returns, and whose commit it was.
//!
//! In: calls of the library and of this room. Out: those of the session's store. On a disk, a file is written beside its name, flushed, and then
//! named: after a power cut it is there whole, or not at all. A commit is a file that is created if it is not there; when its answer is lost
//! and the store's client asks again, it hears that the file is there, so the file is looked at: if it is what was sent, the commit is ours.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use datafusion::common::runtime::SpawnedTask;
use futures::TryStreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart,
};
use url::Url;
use uuid::Uuid;

use super::place::Place;

/// The folder of a table's log.
pub(crate) const LOG_FOLDER: &str = "_delta_log";

/// What became of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Created {
    /// There is none of ours.
    No,
    /// It is there.
    Yes,
    /// The answer was lost, and it is not known whether it is or will be there.
    InDoubt,
}

/// A store around the session's.
#[derive(Debug)]
pub(crate) struct LedgerStore {
    store: Arc<dyn ObjectStore>,
    /// Where files are written before they are named; of a disk alone.
    staging: Option<Path>,
    created: AtomicU8,
}

impl LedgerStore {
    pub(crate) fn new(place: &Place) -> Arc<Self> {
        let staging = place.is_local().then(|| place.path(".staged"));
        Arc::new(Self { store: Arc::clone(place.session_store()), staging, created: AtomicU8::new(0) })
    }

    /// Whether the folder has a file; not one that was left where files are staged.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn has_files(&self, place: &Place) -> Result<bool> {
        let mut listed = self.store.list(Some(&place.path("")));
        while let Some(file) = listed.try_next().await? {
            if self.staging.as_ref().is_none_or(|staging| !file.location.prefix_matches(staging)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What became of the commit that was made through this store.
    pub(crate) fn created(&self) -> Created {
        match self.created.load(Ordering::SeqCst) {
            0 => Created::No,
            1 => Created::Yes,
            _ => Created::InDoubt,
        }
    }

    /// Creates a file if it is absent. One that is there with these bytes is ours, too: an answer was lost.
    async fn create(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let saw = |created: u8| {
            if is_commit(location) {
                self.created.store(created, Ordering::SeqCst);
            }
        };
        let sent = payload.clone();
        let error = match self.put(location, payload, options).await {
            Ok(put) => {
                saw(1);
                return Ok(put);
            }
            Err(error) => error,
        };
        match self.holds(location, sent).await {
            Ok(Some(true)) => {
                saw(1);
                Ok(PutResult { e_tag: None, version: None })
            }
            Ok(Some(false)) => Err(Error::AlreadyExists { path: location.to_string(), source: Box::new(error) }),
            Ok(None) if self.staging.is_some() || is_refusal(&error) => Err(error),
            Ok(None) | Err(_) => {
                saw(2);
                // By another name than "it is there", upon which the library would commit once more.
                Err(Error::Generic { store: "ledger", source: Box::new(error) })
            }
        }
    }

    /// Whether the file is what was sent; `None` if there is no file.
    async fn holds(&self, location: &Path, sent: PutPayload) -> Result<Option<bool>> {
        match self.store.get(location).await {
            Ok(found) => Ok(Some(found.bytes().await? == Bytes::from(sent))),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn put(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let Some(staging) = &self.staging else { return self.store.put_opts(location, payload, options).await };
        let staged = staging.clone().join(Uuid::new_v4().to_string());
        let put = async {
            self.store.put(&staged, payload).await?;
            flush(vec![staged.clone()]).await?;
            match options.mode {
                PutMode::Create => self.store.copy_opts(&staged, location, CopyOptions::new().with_mode(CopyMode::Create)).await,
                _ => self.store.rename(&staged, location).await,
            }
        };
        let put = put.await;
        if (put.is_err() || options.mode == PutMode::Create)
            && let Err(error) = self.store.delete(&staged).await
            && !matches!(error, Error::NotFound { .. })
        {
            tracing::warn!("a file in .staged/ of the ledger could not be removed; nothing reads it, and a vacuum removes it");
        }
        put?;
        flush_folders(location, staging).await?;
        Ok(PutResult { e_tag: None, version: None })
    }
}

fn is_commit(location: &Path) -> bool {
    let mut parts: Vec<_> = location.parts().collect();
    let is_json = parts.pop().is_some_and(|name| name.as_ref().ends_with(".json"));
    is_json && parts.pop().is_some_and(|folder| folder.as_ref() == LOG_FOLDER)
}

/// Whether the store has answered, and stored nothing.
fn is_refusal(error: &Error) -> bool {
    matches!(
        error,
        Error::PermissionDenied { .. }
            | Error::Unauthenticated { .. }
            | Error::NotFound { .. }
            | Error::NotImplemented { .. }
            | Error::NotSupported { .. }
            | Error::InvalidPath { .. }
    )
}

/// A file of a store that is a disk.
fn file(location: &Path) -> Option<PathBuf> {
    let mut url = Url::parse("file:///").ok()?;
    url.path_segments_mut().ok()?.pop_if_empty().extend(location.as_ref().split('/'));
    url.to_file_path().ok()
}

/// The folders of a new file, up to the ledger's own, each of which has a new name in it, perhaps.
async fn flush_folders(location: &Path, staging: &Path) -> Result<()> {
    let depth = staging.parts().count().saturating_sub(1);
    let parts: Vec<_> = location.parts().collect();
    let folders = (depth..parts.len()).rev().map(|length| parts.iter().take(length).cloned().collect()).collect();
    flush(folders).await
}

/// Returns when the disk has them.
async fn flush(locations: Vec<Path>) -> Result<()> {
    let flushed = SpawnedTask::spawn_blocking(move || {
        locations.iter().filter_map(file).try_for_each(|path| match std::fs::File::open(path).and_then(|file| file.sync_all()) {
            // Some file systems cannot flush a folder, and Windows does not open one.
            Err(error) if is_no_flush(&error) => Ok(()),
            flushed => flushed,
        })
    });
    let told = |source: Box<dyn std::error::Error + Send + Sync>| Error::Generic { store: "LocalFileSystem", source };
    flushed.await.map_err(|error| told(Box::new(error)))?.map_err(|error| told(Box::new(error)))
}

fn is_no_flush(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
    error.kind() == Unsupported || error.kind() == InvalidInput || (cfg!(not(unix)) && error.kind() == PermissionDenied)
}

/// An upload in parts, to a disk.
#[derive(Debug)]
struct Upload {
    upload: Box<dyn MultipartUpload>,
    location: Path,
    staging: Path,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.upload.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let put = self.upload.complete().await?;
        flush(vec![self.location.clone()]).await?;
        flush_folders(&self.location, &self.staging).await?;
        Ok(put)
    }

    async fn abort(&mut self) -> Result<()> {
        self.upload.abort().await
    }
}

impl fmt::Display for LedgerStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for LedgerStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        match options.mode {
            PutMode::Create => self.create(location, payload, options).await,
            _ => self.put(location, payload, options).await,
        }
    }

    async fn put_multipart_opts(&self, location: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let upload = self.store.put_multipart_opts(location, options).await?;
        Ok(match &self.staging {
            Some(staging) => Box::new(Upload { upload, location: location.clone(), staging: staging.clone() }),
            None => upload,
        })
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.store.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.store.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.store.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.store.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.store.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.store.rename_opts(from, to, options).await
    }
}
