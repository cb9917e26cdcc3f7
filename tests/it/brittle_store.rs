//! A bucket that takes some files and then no more: a disk that fills up, a right that is taken away.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use async_trait::async_trait;
use datafusion::execution::object_store::ObjectStoreUrl;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, Result,
};

use crate::world::World;

/// A bucket in memory that takes so many files more.
#[derive(Debug)]
pub(crate) struct BrittleStore {
    bucket: InMemory,
    takes: AtomicI64,
    /// Whether it takes small files of text all the same, as a full disk may.
    takes_logs: AtomicBool,
}

impl BrittleStore {
    /// As `s3://acme` of a session.
    pub(crate) fn of(world: &World, takes: i64) -> Arc<Self> {
        let store = Arc::new(Self { bucket: InMemory::new(), takes: AtomicI64::new(takes), takes_logs: AtomicBool::new(false) });
        world.ctx.register_object_store(ObjectStoreUrl::parse("s3://acme").expect("a URL").as_ref(), Arc::clone(&store) as _);
        store
    }

    /// Logs are taken however full it is.
    pub(crate) fn always_take_logs(&self) {
        self.takes_logs.store(true, Ordering::SeqCst);
    }

    /// From now on it takes so many files more.
    pub(crate) fn take(&self, files: i64) {
        self.takes.store(files, Ordering::SeqCst);
    }
}

impl fmt::Display for BrittleStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a brittle store")
    }
}

#[async_trait]
impl ObjectStore for BrittleStore {
    async fn put_opts(&self, path: &Path, bytes: PutPayload, options: PutOptions) -> Result<PutResult> {
        let is_log = self.takes_logs.load(Ordering::SeqCst) && path.as_ref().ends_with(".log");
        if is_log || self.takes.fetch_sub(1, Ordering::SeqCst) > 0 {
            return self.bucket.put_opts(path, bytes, options).await;
        }
        Err(Error::PermissionDenied { path: path.to_string(), source: "403 Forbidden".into() })
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.bucket.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.bucket.get_opts(path, options).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.bucket.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.bucket.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.bucket.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.bucket.copy_opts(from, to, options).await
    }
}
