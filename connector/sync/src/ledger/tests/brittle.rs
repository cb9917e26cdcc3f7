//! A bucket in memory that does not do as it should.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result,
};

/// It takes and gives files, but for what was asked of it.
#[derive(Debug)]
pub(super) struct Brittle {
    bucket: InMemory,
    /// So many puts of the next are answered 503.
    pub(super) refused_puts: AtomicI64,
    /// So many puts of the next are taken, and those after them answered 503.
    taken_puts: AtomicI64,
    /// So many puts of the next are done, and answered 503.
    pub(super) lost_puts: AtomicI64,
    /// So many gets of the next are answered 503.
    pub(super) refused_gets: AtomicI64,
    /// Files are not deleted.
    pub(super) keeps: AtomicBool,
    /// Conditions are answered 501.
    pub(super) has_no_conditions: AtomicBool,
    /// Conditions are passed by.
    pub(super) ignores_conditions: AtomicBool,
}

fn unavailable() -> Error {
    Error::Generic { store: "S3", source: "503 Service Unavailable".into() }
}

fn is_due(left: &AtomicI64) -> bool {
    left.fetch_sub(1, Ordering::SeqCst) > 0
}

impl Brittle {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            bucket: InMemory::new(),
            refused_puts: AtomicI64::new(0),
            taken_puts: AtomicI64::new(i64::MAX),
            lost_puts: AtomicI64::new(0),
            refused_gets: AtomicI64::new(0),
            keeps: AtomicBool::new(false),
            has_no_conditions: AtomicBool::new(false),
            ignores_conditions: AtomicBool::new(false),
        })
    }

    /// So many puts are taken, and no more.
    pub(super) fn fail_after(&self, puts: i64) {
        self.taken_puts.store(puts, Ordering::SeqCst);
    }
}

impl fmt::Display for Brittle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a brittle bucket")
    }
}

#[async_trait]
impl ObjectStore for Brittle {
    async fn put_opts(&self, path: &Path, bytes: PutPayload, mut options: PutOptions) -> Result<PutResult> {
        if options.mode == PutMode::Create && self.has_no_conditions.load(Ordering::SeqCst) {
            return Err(Error::NotImplemented { operation: "put if absent".into(), implementer: "a bucket".into() });
        }
        if self.ignores_conditions.load(Ordering::SeqCst) {
            options.mode = PutMode::Overwrite;
        }
        if is_due(&self.refused_puts) || self.taken_puts.fetch_sub(1, Ordering::SeqCst) <= 0 {
            return Err(unavailable());
        }
        let put = self.bucket.put_opts(path, bytes, options).await;
        if is_due(&self.lost_puts) { Err(unavailable()) } else { put }
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.bucket.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        if is_due(&self.refused_gets) {
            return Err(unavailable());
        }
        self.bucket.get_opts(path, options).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        if self.keeps.load(Ordering::SeqCst) {
            let refused = |path: Path| Err(Error::PermissionDenied { path: path.to_string(), source: "403".into() });
            return paths.and_then(move |path| futures::future::ready(refused(path))).boxed();
        }
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
