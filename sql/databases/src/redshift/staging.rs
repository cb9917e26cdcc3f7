//! The folder of a bucket where rows wait for COPY.
//!
//! In: the URL of the settings, a store that is handed in. Out: one file of Parquet a write, which goes when the write is over, however it ended.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, WriteMultipart};
use url::Url;

use crate::error::{Error, Result, shown};
use crate::settings::DatabaseSettings;
use crate::write::path::STAGE_PREFIX;

/// Bytes of a part, and how many are on their way at once.
const PART_BYTES: usize = 8 << 20;
const PARTS_MAX: usize = 4;
/// How long a file may take to go while nobody waits for it.
const REMOVE_WITHIN: Duration = Duration::from_secs(60);

/// A folder of a bucket.
#[derive(Clone)]
pub(super) struct Staging {
    store: Arc<dyn ObjectStore>,
    /// `s3://bucket`.
    bucket: String,
    folder: Path,
    pub(super) role: String,
}

impl fmt::Debug for Staging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Staging").field("bucket", &self.bucket).finish_non_exhaustive()
    }
}

impl Staging {
    /// The folder that the settings name, in a store of its bucket.
    pub(super) fn new(settings: &DatabaseSettings, store: Option<Arc<dyn ObjectStore>>) -> Result<Option<Self>> {
        let Some(url) = &settings.staging else { return Ok(None) };
        let refuse = |problem: &str| Error::Setting(format!("database \"{}\": {problem}", shown(&settings.name)));
        let parsed = Url::parse(url).ok().filter(|url| url.scheme() == "s3" && url.username().is_empty() && url.password().is_none());
        let Some((parsed, bucket)) = parsed.and_then(|url| Some((url.clone(), url.host_str()?.to_owned()))) else {
            return Err(refuse("its staging is no folder of a bucket, such as s3://acme-tmp/clevertap/; Redshift loads from S3"));
        };
        let store = store.ok_or_else(|| {
            refuse("its staging needs a store of the bucket, which this program does not have: Database::open_with_store")
        })?;
        let folder = Path::from_url_path(parsed.path()).map_err(|_| refuse("its staging has a path that no bucket has"))?;
        let role = settings.options.get("iam_role").cloned().unwrap_or_else(|| "default".to_owned());
        Ok(Some(Self { store, bucket: format!("s3://{bucket}"), folder, role }))
    }

    /// A file that is not there yet.
    pub(super) fn file(&self, name: &str) -> StagedFile {
        let path = self.folder.clone().join(format!("{STAGE_PREFIX}{name}.parquet"));
        StagedFile { store: Arc::clone(&self.store), url: format!("{}/{path}", self.bucket), path, is_gone: true, upload: None }
    }
}

/// A file. It is removed when this is dropped, if not before.
pub(super) struct StagedFile {
    store: Arc<dyn ObjectStore>,
    path: Path,
    /// As COPY names it.
    pub(super) url: String,
    is_gone: bool,
    upload: Option<WriteMultipart>,
}

fn failed(error: &object_store::Error) -> Error {
    let why = match error {
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
            "refused the account; look at its rights"
        }
        object_store::Error::NotFound { .. } => "has no such bucket; look at staging",
        _ => "failed",
    };
    Error::Unavailable(format!("the bucket of staging {why}. Nothing was changed"))
}

impl StagedFile {
    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if self.upload.is_none() {
            self.is_gone = false;
            let upload = self.store.put_multipart(&self.path).await.map_err(|error| failed(&error))?;
            self.upload = Some(WriteMultipart::new_with_chunk_size(upload, PART_BYTES));
        }
        if let Some(upload) = &mut self.upload {
            upload.wait_for_capacity(PARTS_MAX).await.map_err(|error| failed(&error))?;
            upload.write(bytes);
        }
        Ok(())
    }

    /// The file is there when this has ended.
    pub(super) async fn close(&mut self) -> Result<()> {
        match self.upload.take() {
            Some(upload) => upload.finish().await.map(|_| ()).map_err(|error| failed(&error)),
            None => Ok(()),
        }
    }

    pub(super) async fn remove(&mut self) {
        if !std::mem::replace(&mut self.is_gone, true) {
            removed(Arc::clone(&self.store), self.path.clone(), self.upload.take()).await;
        }
    }
}

async fn removed(store: Arc<dyn ObjectStore>, path: Path, upload: Option<WriteMultipart>) {
    let gone = match upload {
        // Parts of a file that was not finished are kept, and paid for, until they are given up.
        Some(upload) => upload.abort().await,
        None => store.delete(&path).await,
    };
    if let Err(error) = gone
        && !matches!(error, object_store::Error::NotFound { .. })
    {
        tracing::warn!(%path, "a file of staging could not be removed");
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if self.is_gone {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (store, path, upload) = (Arc::clone(&self.store), self.path.clone(), self.upload.take());
            runtime.spawn(tokio::time::timeout(REMOVE_WITHIN, removed(store, path, upload)));
        }
    }
}
