//! Uploads to a disk or a bucket: one that is dropped leaves no file that is half written, and why one failed is kept.
//!
//! In: calls of DataFusion. Out: those of the store below. An upload that is dropped removes its hidden file at once: `object_store` leaves
//! that to a thread of the runtime, which a process that ends after a signal does not wait for. DataFusion says of a disk that is full only
//! that something could not be finalized, so the disk's own words are kept for the error.

use std::{
    fmt,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, RenameOptions, Result, UploadPart, path::Path,
};

/// Why the last upload that failed did.
#[derive(Debug, Clone, Default)]
pub(crate) struct UploadError(Arc<Mutex<Option<String>>>);

impl UploadError {
    /// The error, once.
    pub(crate) fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn keep<T>(&self, result: Result<T>) -> Result<T> {
        if let Err(error) = &result {
            // The first has the cause.
            self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| error.to_string());
        }
        result
    }
}

/// A store with its uploads watched.
#[derive(Debug)]
pub(super) struct Uploads {
    store: Arc<dyn ObjectStore>,
    error: UploadError,
}

impl Uploads {
    pub(super) fn watched(store: impl ObjectStore, error: &UploadError) -> Arc<dyn ObjectStore> {
        Arc::new(Self { store: Arc::new(store), error: error.clone() })
    }
}

/// An upload that removes its file when it is dropped before its end.
#[derive(Debug)]
struct Upload {
    /// Taken by `drop` alone.
    upload: Box<dyn MultipartUpload>,
    error: UploadError,
}

/// In the place of an upload that was taken.
#[derive(Debug)]
struct Ended;

impl Drop for Upload {
    fn drop(&mut self) {
        let upload: Box<dyn MultipartUpload> = std::mem::replace(&mut self.upload, Box::new(Ended));
        // On a thread that knows no runtime, the file is removed before `drop` returns.
        if let Ok(outside) = std::thread::Builder::new().spawn(move || drop(upload)) {
            outside.join().ok();
        }
    }
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (part, error) = (self.upload.put_part(data), self.error.clone());
        Box::pin(async move { error.keep(part.await) })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let completed = self.upload.complete().await;
        self.error.keep(completed)
    }

    async fn abort(&mut self) -> Result<()> {
        self.upload.abort().await
    }
}

#[async_trait]
impl MultipartUpload for Ended {
    fn put_part(&mut self, _: PutPayload) -> UploadPart {
        Box::pin(std::future::ready(Err(object_store::Error::NotImplemented { operation: "put_part".into(), implementer: "Ended".into() })))
    }

    async fn complete(&mut self) -> Result<PutResult> {
        Err(object_store::Error::NotImplemented { operation: "complete".into(), implementer: "Ended".into() })
    }

    async fn abort(&mut self) -> Result<()> {
        Ok(())
    }
}

impl fmt::Display for Uploads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for Uploads {
    async fn put_multipart_opts(&self, location: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let upload = self.error.keep(self.store.put_multipart_opts(location, options).await)?;
        Ok(Box::new(Upload { upload, error: self.error.clone() }))
    }

    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        // That a name is taken is an answer, and no failure.
        match self.store.put_opts(location, payload, options).await {
            taken @ Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => taken,
            put => self.error.keep(put),
        }
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

#[cfg(test)]
mod tests {
    use object_store::{ObjectStoreExt, local::LocalFileSystem};

    use super::*;

    #[tokio::test]
    async fn an_upload_that_is_dropped_leaves_no_file_and_one_that_ends_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = Path::from_absolute_path(folder.path().join("x.csv")).unwrap();
        let names = || std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect::<Vec<_>>();
        let files = Uploads::watched(LocalFileSystem::new(), &UploadError::default());
        let mut upload = files.put_multipart(&path).await.unwrap();
        upload.put_part("a,b".into()).await.unwrap();
        assert_eq!(names().len(), 1, "{:?}", names());
        drop(upload);
        assert!(names().is_empty(), "{:?}", names());
        let mut upload = files.put_multipart(&path).await.unwrap();
        upload.put_part("a,b".into()).await.unwrap();
        upload.complete().await.unwrap();
        drop(upload);
        assert_eq!(names(), ["x.csv"]);
    }
}
