//! Files of this machine, of which none is left that is half written.
//!
//! In: calls of DataFusion. Out: those of [`LocalFileSystem`], but that an upload which is dropped removes its hidden file at once. The one
//! of `object_store` leaves that to a thread of the runtime, which a process that ends after a signal does not wait for.

use std::{fmt, ops::Range};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, RenameOptions, Result, UploadPart, local::LocalFileSystem, path::Path,
};

/// The files of this machine.
#[derive(Debug, Default)]
pub(super) struct LocalFiles(LocalFileSystem);

/// An upload that removes its file when it is dropped before its end.
#[derive(Debug)]
struct Upload {
    /// Taken by `drop` alone.
    upload: Box<dyn MultipartUpload>,
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
        self.upload.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.upload.complete().await
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

impl fmt::Display for LocalFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for LocalFiles {
    async fn put_multipart_opts(&self, location: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Ok(Box::new(Upload { upload: self.0.put_multipart_opts(location, options).await? }))
    }

    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.0.put_opts(location, payload, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.0.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.0.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.0.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.0.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.0.rename_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;

    use super::*;

    #[tokio::test]
    async fn an_upload_that_is_dropped_leaves_no_file_and_one_that_ends_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = Path::from_absolute_path(folder.path().join("x.csv")).unwrap();
        let names = || std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect::<Vec<_>>();
        let files = LocalFiles::default();
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
