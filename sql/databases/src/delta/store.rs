//! The store that one write goes through: whose commit it was, and what a write that failed leaves.
//!
//! In: the library's calls. Out: those of the session's store. A commit is a file that is created if it is not there. When the answer is lost and
//! the store's client asks again, it hears that the file is there, which the library takes for another writer's: it would commit once more, and
//! the rows would be there twice. So the file is looked at, and if it is what was sent, the commit is ours.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};

use super::place::LOG_FOLDER;

/// What became of the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Commit {
    /// There is none of ours.
    None,
    /// It is there.
    Made,
    /// The answer was lost, and it is not known whether it is or will be there.
    InDoubt,
}

#[derive(Debug)]
struct Seen {
    commit: Commit,
    /// Files of rows.
    written: Vec<Path>,
}

/// A store around the session's.
#[derive(Debug)]
pub(super) struct WriteStore {
    store: Arc<dyn ObjectStore>,
    /// Whether an answer cannot be lost: the store is a disk.
    is_local: bool,
    seen: Mutex<Seen>,
}

impl WriteStore {
    pub(super) fn new(store: &Arc<dyn ObjectStore>, is_local: bool) -> Self {
        Self { store: Arc::clone(store), is_local, seen: Mutex::new(Seen { commit: Commit::None, written: Vec::new() }) }
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn commit(&self) -> Commit {
        self.seen().commit
    }

    /// Removes the files of rows of a write that was not committed.
    pub(super) async fn remove_files(&self) {
        let written = std::mem::take(&mut self.seen().written);
        let mut removed = self.store.delete_stream(futures::stream::iter(written.into_iter().map(Ok)).boxed());
        while let Some(file) = removed.next().await {
            // An upload that was aborted has left none.
            if let Err(error) = file
                && !matches!(error, Error::NotFound { .. })
            {
                tracing::warn!("a file of a write that failed could not be removed; it is not of the table, and VACUUM removes it");
            }
        }
    }

    fn note(&self, location: &Path) {
        if location.parts().all(|part| part.as_ref() != LOG_FOLDER) {
            self.seen().written.push(location.clone());
        }
    }

    async fn put_commit(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let sent = payload.clone();
        let error = match self.store.put_opts(location, payload, options).await {
            Ok(put) => {
                self.seen().commit = Commit::Made;
                return Ok(put);
            }
            Err(error) => error,
        };
        match self.holds(location, sent).await {
            Ok(Some(true)) => {
                self.seen().commit = Commit::Made;
                Ok(PutResult { e_tag: None, version: None })
            }
            Ok(Some(false)) => Err(Error::AlreadyExists { path: location.to_string(), source: Box::new(error) }),
            Ok(None) if self.is_local || is_refusal(&error) => Err(error),
            Ok(None) | Err(_) => {
                self.seen().commit = Commit::InDoubt;
                // By another name than "it is there", upon which the library would commit once more.
                Err(Error::Generic { store: "Delta Lake", source: Box::new(error) })
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

fn is_commit(location: &Path, options: &PutOptions) -> bool {
    let mut parts: Vec<_> = location.parts().collect();
    let name = parts.pop();
    options.mode == PutMode::Create
        && parts.pop().is_some_and(|folder| folder.as_ref() == LOG_FOLDER)
        && name.is_some_and(|name| name.as_ref().strip_suffix(".json").is_some_and(|stem| stem.bytes().all(|byte| byte.is_ascii_digit())))
}

impl fmt::Display for WriteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for WriteStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        if is_commit(location, &options) {
            return self.put_commit(location, payload, options).await;
        }
        self.note(location);
        self.store.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(&self, location: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.note(location);
        self.store.put_multipart_opts(location, options).await
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
