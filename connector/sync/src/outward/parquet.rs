//! A folder of Parquet: a file for each window.
//!
//! In: rows and their window. Out: `window=2026-11-01_2026-11-08/part-0.parquet`, in the place of the one that was there; or, in mode `replace`,
//! `part-0.parquet`, and no other. A file is there whole or not at all: it is uploaded, or written beside its name, and then named. The folder
//! says whose it is, `_clevertap-sync.json`, so that nothing of anybody else is replaced.

use std::sync::Arc;

use chrono::{DateTime, NaiveTime, Utc};
use datafusion_clevertap::chrono_tz::Tz;
use futures::TryStreamExt;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt, PutMode};
use parquet::arrow::AsyncArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde::{Deserialize, Serialize};

use super::spool::Spool;
use super::target::Write;
use super::window::Span;
use crate::definition::Mode;
use crate::error::{Error, Result};
use crate::ledger::{LedgerStore, Place, cut, innermost};

/// What says whose the folder is. Readers of Parquet leave out what begins with `_`.
const OWNER: &str = "_clevertap-sync.json";
const FILE: &str = "part-0.parquet";
/// A reader holds one group of a file at a time.
const GROUP_ROWS_MAX: usize = 128 * 1024;

#[derive(Debug, Serialize, Deserialize)]
struct Owner {
    sync: String,
}

/// A folder of Parquet.
#[derive(Debug)]
pub(super) struct Folder {
    place: Place,
    sync: String,
}

impl Folder {
    pub(super) fn new(place: Place, sync: &str) -> Self {
        Self { place, sync: sync.to_owned() }
    }

    fn of_store(&self, error: &(dyn std::error::Error + 'static)) -> Error {
        Error::Storage(format!(
            "sync \"{}\": the store of {} answered: {}; when it is well again, run the sync again",
            self.sync,
            self.place.shown(),
            innermost(error)
        ))
    }

    /// Whether the folder is of this sync; `false` if it is nobody's.
    ///
    /// # Errors
    /// [`Error::Definition`] if it is another's.
    pub(super) async fn check(&self) -> Result<bool> {
        let store = LedgerStore::new(&self.place);
        let wrong = |problem: &str| Err(Error::Definition(format!("sync \"{}\": the folder {} {problem}", self.sync, self.place.shown())));
        let read = async { store.get(&self.place.path(OWNER)).await?.bytes().await };
        match read.await {
            Ok(bytes) => match serde_json::from_slice::<Owner>(&bytes) {
                Ok(owner) if owner.sync == self.sync => Ok(true),
                Ok(owner) => wrong(&format!("is of the sync \"{}\"; give each sync a folder of its own", cut(&owner.sync))),
                Err(_) => wrong(&format!("has a damaged {OWNER}; it says {{\"sync\":\"…\"}}")),
            },
            Err(StoreError::NotFound { .. }) => match store.has_files(&self.place).await.map_err(|error| self.of_store(&error))? {
                false => Ok(false),
                true => wrong("has files that this sync did not write; name an empty one, or one that is not there"),
            },
            Err(error) => Err(self.of_store(&error)),
        }
    }

    async fn claim(&self) -> Result<()> {
        if self.check().await? {
            return Ok(());
        }
        let owner = serde_json::json!(Owner { sync: self.sync.clone() }).to_string();
        let created = LedgerStore::new(&self.place).put_opts(&self.place.path(OWNER), owner.into(), PutMode::Create.into()).await;
        match created {
            Ok(_) => Ok(()),
            // Another came first: whose is it?
            Err(StoreError::AlreadyExists { .. } | StoreError::Precondition { .. }) => self.check().await.map(drop),
            Err(error) => Err(self.of_store(&error)),
        }
    }

    /// # Errors
    /// [`Error::Definition`] if the folder is another's, [`Error::Storage`], [`Error::Held`].
    pub(super) async fn write(&self, write: &Write<'_>) -> Result<u64> {
        self.claim().await?;
        if write.lease.is_lost() {
            return Err(Error::Held(format!("sync \"{}\": its lease was lost while it read; run it again", self.sync)));
        }
        let name = match write.query.mode {
            Mode::Replace => FILE.to_owned(),
            _ => format!("window={}/{FILE}", window_name(write.span, write.query.zone, write.run_at)),
        };
        let path = self.place.path(&name);
        self.put(&path, write.rows).await?;
        if write.query.mode == Mode::Replace {
            self.remove_others(&path).await?;
        }
        Ok(write.rows.rows)
    }

    async fn put(&self, path: &Path, rows: &Spool) -> Result<()> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(GROUP_ROWS_MAX));
        let store = LedgerStore::new(&self.place) as Arc<dyn ObjectStore>;
        let file = BufWriter::new(store, path.clone());
        let told = |error: parquet::errors::ParquetError| self.of_store(&error);
        let mut writer = AsyncArrowWriter::try_new(file, Arc::clone(rows.schema()), Some(properties.build())).map_err(told)?;
        let mut batches = rows.stream()?;
        while let Some(batch) = batches.try_next().await? {
            writer.write(&batch).await.map_err(told)?;
        }
        writer.close().await.map(drop).map_err(told)
    }

    /// Files of windows that were written before.
    async fn remove_others(&self, kept: &Path) -> Result<()> {
        let store = LedgerStore::new(&self.place);
        let files: Vec<_> = store.list(Some(&self.place.path(""))).try_collect().await.map_err(|error| self.of_store(&error))?;
        for file in files.into_iter().map(|meta| meta.location).filter(|path| path != kept) {
            let below = self.place.below(&file);
            if below.starts_with("window=") && below.ends_with(&format!("/{FILE}")) {
                store.delete(&file).await.map_err(|error| self.of_store(&error))?;
            }
        }
        Ok(())
    }
}

/// Of days their dates, the last of which is not part of it; else instants.
fn window_name(span: Option<Span>, zone: Tz, run_at: DateTime<Utc>) -> String {
    let instant = |at: DateTime<Utc>| at.format("%Y%m%dT%H%M%S%.fZ").to_string();
    let Some(Span { from, to }) = span else { return instant(run_at) };
    let (first, last) = (from.with_timezone(&zone), to.with_timezone(&zone));
    if [first, last].iter().all(|at| at.time() == NaiveTime::MIN) {
        return format!("{}_{}", first.date_naive(), last.date_naive());
    }
    format!("{}_{}", instant(from), instant(to))
}
