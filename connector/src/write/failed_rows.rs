//! Evidence: every row that was read and not accepted.
//!
//! In: rows as they settle. Out: `clevertap.failed_rows` (the last of them, in memory), and, where the user named a folder or
//! bucket, Parquet files that hold all of them, so that an unattended load can be explained and sent again next morning.

use std::collections::VecDeque;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arrow::array::{ArrayRef, RecordBatch, StringViewArray, TimestampMicrosecondArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use chrono::{DateTime, Utc};
use datafusion::execution::TaskContext;
use datafusion::execution::object_store::ObjectStoreUrl;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use tokio::time::Instant;
use url::Url;

use crate::error::{Error, Result};

/// Bytes that the rows kept in memory may have.
const KEPT_BYTES_MAX: usize = 64 << 20;
/// Rows after which a file is written.
const FILE_ROWS: usize = 10_000;
/// Bytes after which a file is written, whatever its rows.
const FILE_BYTES: usize = 32 << 20;
/// Time after which a file is written, however few rows there are.
const FILE_AGE: Duration = Duration::from_secs(10);

/// What became of a row that was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Refused, by CleverTap or before it was sent.
    Rejected,
    /// The answer was lost: it may be stored.
    InDoubt,
    /// It certainly is not stored.
    Unsent,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rejected => "rejected",
            Self::InDoubt => "in_doubt",
            Self::Unsent => "unsent",
        })
    }
}

/// A row that was read and not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedRow {
    /// Its run.
    pub run_id: u64,
    /// `clevertap.profiles`.
    pub table_name: Arc<str>,
    /// What became of it.
    pub fate: Fate,
    /// 1-based, in the order in which the statement read its rows.
    pub row_number: u64,
    /// The row's identifier.
    pub identifier: Option<String>,
    /// `CLEVERTAP-515`, or ours, `CT-nnn`.
    pub code: String,
    /// Why, as a sentence.
    pub reason: String,
    /// The source column, where one is to blame.
    pub column_name: Option<String>,
    /// The record as it was or would have been sent, JSON.
    pub record: String,
    /// When it settled.
    pub failed_at: DateTime<Utc>,
}

impl FailedRow {
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.record.len() + self.reason.len() + self.identifier.as_ref().map_or(0, String::len)
    }
}

/// The last failed rows of an account.
#[derive(Debug, Default)]
pub(crate) struct KeptRows {
    kept: Mutex<(usize, VecDeque<FailedRow>)>,
}

impl KeptRows {
    /// Keeps `row`; forgets the oldest beyond `rows_max` rows or 64 MiB.
    pub(crate) fn keep(&self, row: FailedRow, rows_max: usize) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.0 += row.bytes();
        kept.1.push_back(row);
        while kept.1.len() > rows_max || kept.0 > KEPT_BYTES_MAX {
            let Some(oldest) = kept.1.pop_front() else { break };
            kept.0 -= oldest.bytes();
            tracing::trace!(run_id = oldest.run_id, "a failed row is no longer kept in memory");
        }
    }

    /// All that are kept, oldest first.
    pub(crate) fn snapshot(&self) -> Vec<FailedRow> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).1.iter().cloned().collect()
    }
}

/// The schema of `clevertap.failed_rows` and of its files.
pub(crate) fn schema() -> SchemaRef {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8View, nullable);
    Arc::new(Schema::new(vec![
        Field::new("run_id", DataType::UInt64, false),
        text("table_name", false),
        text("fate", false),
        Field::new("row_number", DataType::UInt64, false),
        text("identifier", true),
        text("code", false),
        text("reason", false),
        text("column_name", true),
        text("record", false),
        Field::new("failed_at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
    ]))
}

/// Failed rows as a batch of [`schema`].
pub(crate) fn batch(rows: &[FailedRow]) -> Result<RecordBatch> {
    fn text<'a>(values: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
        Arc::new(values.collect::<StringViewArray>())
    }
    let fates: Vec<String> = rows.iter().map(|row| row.fate.to_string()).collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.run_id))),
        text(rows.iter().map(|row| Some(row.table_name.as_ref()))),
        text(fates.iter().map(|fate| Some(fate.as_str()))),
        Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.row_number))),
        text(rows.iter().map(|row| row.identifier.as_deref())),
        text(rows.iter().map(|row| Some(row.code.as_str()))),
        text(rows.iter().map(|row| Some(row.reason.as_str()))),
        text(rows.iter().map(|row| row.column_name.as_deref())),
        text(rows.iter().map(|row| Some(row.record.as_str()))),
        Arc::new(TimestampMicrosecondArray::from_iter_values(rows.iter().map(|row| row.failed_at.timestamp_micros())).with_timezone("UTC")),
    ];
    RecordBatch::try_new(schema(), columns).map_err(|error| Error::Answer(format!("failed rows do not fit their own schema: {error}")))
}

/// Where the files of failed rows go.
#[derive(Debug, Clone)]
pub(crate) enum Folder {
    /// A folder of this machine.
    Local(PathBuf),
    /// A prefix in a bucket.
    Bucket {
        /// The bucket's store.
        store: Arc<dyn ObjectStore>,
        /// The prefix in it.
        prefix: object_store::path::Path,
        /// As the user wrote it.
        url: Url,
    },
}

impl Folder {
    /// Reads `SET clevertap.failed_rows_to`: a path, a `file://` URL, or the URL of a bucket that the session knows.
    ///
    /// # Errors
    /// [`Error::Setting`] if no store answers for the URL, or nothing can be written there.
    pub(crate) fn open(text: &str, task: &TaskContext) -> Result<Self> {
        let folder = Self::named(text, task)?;
        folder.check()?;
        Ok(folder)
    }

    fn named(text: &str, task: &TaskContext) -> Result<Self> {
        let Some(url) = Url::parse(text).ok().filter(|url| url.scheme().len() > 1) else {
            return Ok(Self::Local(PathBuf::from(text)));
        };
        if url.scheme() == "file" {
            let path = url
                .to_file_path()
                .map_err(|()| Error::Setting(format!("option \"clevertap.failed_rows_to\" is \"{text}\"; expected a folder")))?;
            return Ok(Self::Local(path));
        }
        let missing = |why: &dyn fmt::Display| {
            Error::Setting(format!("option \"clevertap.failed_rows_to\" is \"{text}\", and no store is registered for it ({why})"))
        };
        let root = ObjectStoreUrl::parse(&url[..url::Position::BeforePath]).map_err(|error| missing(&error))?;
        let store = task.runtime_env().object_store(&root).map_err(|error| missing(&error))?;
        let prefix = object_store::path::Path::from_url_path(url.path()).map_err(|error| missing(&error))?;
        Ok(Self::Bucket { store, prefix, url })
    }

    /// Whether files can be written there, as far as that can be found out without leaving anything: of a bucket, only a file can tell.
    ///
    /// # Errors
    /// [`Error::Setting`] if not: before a row is sent.
    fn check(&self) -> Result<()> {
        let Self::Local(folder) = self else { return Ok(()) };
        let mut there = folder.ancestors().map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
        let there = there.find(|folder| folder.exists()).unwrap_or(folder);
        let probe = there.join(format!(".clevertap-probe-{:016x}", rand::random::<u64>()));
        std::fs::File::create_new(&probe).and_then(|_| std::fs::remove_file(&probe)).map_err(|error| {
            Error::Setting(format!(
                "option \"clevertap.failed_rows_to\" is \"{self}\", where nothing can be written ({error}); nothing was sent. Name a folder that \
                 takes files"
            ))
        })
    }

    async fn put(&self, name: &str, file: Vec<u8>) -> Result<()> {
        let failed = |why: &dyn fmt::Display| {
            Error::Setting(format!(
                "failed rows were not written to {self} ({why}). The last of them are in clevertap.failed_rows while the account is open: send \
                 those again, and not the whole load."
            ))
        };
        match self {
            Self::Local(folder) => write_private(folder, name, &file).map_err(|error| failed(&error)),
            Self::Bucket { store, prefix, .. } => {
                store.put(&prefix.clone().join(name), file.into()).await.map(drop).map_err(|error| failed(&error))
            }
        }
    }
}

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => write!(f, "{}", path.display()),
            Self::Bucket { url, .. } => write!(f, "{}", &url[..url::Position::AfterPath]),
        }
    }
}

/// Writes a whole file or none, readable by its owner alone.
fn write_private(folder: &Path, name: &str, file: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    std::fs::create_dir_all(folder)?;
    let part = folder.join(format!(".{name}.part"));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut writer = options.open(&part)?;
    writer.write_all(file)?;
    writer.sync_all()?;
    std::fs::rename(&part, folder.join(name))
}

/// Collects failed rows and writes a file now and then.
#[derive(Debug)]
pub(crate) struct FailedRowsFile {
    folder: Folder,
    /// `failed-20261122T101500123-run7-` and a number by chance: with the part's number, a name that no other run takes, whatever
    /// account, process or machine it is of.
    stem: String,
    parts: usize,
    rows: Vec<FailedRow>,
    bytes: usize,
    oldest: Option<Instant>,
    /// After a file could not be written: when to try again.
    not_before: Option<Instant>,
}

impl FailedRowsFile {
    pub(crate) fn new(folder: Folder, run_id: u64, started_at: DateTime<Utc>) -> Self {
        let stem = format!("failed-{}-run{run_id}-{:016x}", started_at.format("%Y%m%dT%H%M%S%3f"), rand::random::<u64>());
        Self { folder, stem, parts: 0, rows: Vec::new(), bytes: 0, oldest: None, not_before: None }
    }

    /// Where the files are, as the user named it.
    pub(crate) fn place(&self) -> String {
        self.folder.to_string()
    }

    pub(crate) fn add(&mut self, row: FailedRow) {
        self.oldest.get_or_insert_with(Instant::now);
        self.bytes += row.bytes();
        self.rows.push(row);
    }

    /// When the next file is due: at once if it is full, never if there is nothing to write.
    pub(crate) fn due(&self) -> Option<Instant> {
        let oldest = self.oldest?;
        let due = if self.rows.len() >= FILE_ROWS || self.bytes >= FILE_BYTES { oldest } else { oldest + FILE_AGE };
        Some(self.not_before.map_or(due, |at| due.max(at)))
    }

    /// Writes what there is.
    ///
    /// # Errors
    /// [`Error::Setting`] if the place does not take it; the rows stay, and `clevertap.failed_rows` has them too.
    pub(crate) async fn write(&mut self) -> Result<()> {
        while !self.rows.is_empty() {
            let rows = self.rows.len().min(FILE_ROWS);
            let file = parquet(&batch(&self.rows[..rows])?)?;
            self.not_before = Some(Instant::now() + FILE_AGE);
            self.folder.put(&format!("{}-{:05}.parquet", self.stem, self.parts + 1), file).await?;
            self.not_before = None;
            self.parts += 1;
            self.rows.drain(..rows);
        }
        (self.bytes, self.oldest) = (0, None);
        Ok(())
    }
}

fn parquet(batch: &RecordBatch) -> Result<Vec<u8>> {
    let failed = |error: parquet::errors::ParquetError| Error::Setting(format!("failed rows could not become Parquet: {error}"));
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).map_err(failed)?;
    writer.write(batch).map_err(failed)?;
    writer.into_inner().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: u64) -> FailedRow {
        FailedRow {
            run_id: 1,
            table_name: "clevertap.events".into(),
            fate: Fate::Unsent,
            row_number: number,
            identifier: None,
            code: "CT-303".into(),
            reason: "gave up".into(),
            column_name: None,
            record: "{}".into(),
            failed_at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn the_oldest_rows_are_forgotten_first() {
        let kept = KeptRows::default();
        (1..=5).for_each(|number| kept.keep(row(number), 3));
        assert_eq!(kept.snapshot().iter().map(|row| row.row_number).collect::<Vec<_>>(), [3, 4, 5]);
    }

    #[test]
    fn two_runs_of_one_number_and_moment_take_no_file_from_each_other() {
        let stem = || FailedRowsFile::new(Folder::Local(PathBuf::new()), 1, DateTime::UNIX_EPOCH).stem;
        assert_ne!(stem(), stem());
    }

    #[test]
    fn a_place_that_takes_no_files_is_told_and_one_that_does_is_left_as_it_was() {
        let here = std::env::temp_dir().join(format!("clevertap-place-{}", std::process::id()));
        let check = |path: PathBuf| Folder::Local(path).check();
        check(here.join("not/yet/there")).expect("a place");
        assert!(!here.exists());
        std::fs::write(&here, "a file").expect("written");
        let error = check(here.join("below")).expect_err("a file is no folder").to_string();
        std::fs::remove_file(&here).expect("removed");
        assert!(error.contains("nothing was sent") && error.contains("[CT-101]"), "{error}");
    }

    #[tokio::test]
    async fn a_file_holds_ten_thousand_rows_and_only_its_owner_reads_it() {
        let folder = std::env::temp_dir().join(format!("clevertap-failed-{}", std::process::id()));
        let mut file = FailedRowsFile::new(Folder::Local(folder.clone()), 1, DateTime::UNIX_EPOCH);
        (1..=10_001).for_each(|number| file.add(row(number)));
        file.write().await.expect("written");
        assert!(file.due().is_none());
        let mut names: Vec<_> = std::fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
        names.sort();
        assert_eq!(names.len(), 2);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&names[0]).expect("a file").permissions().mode() & 0o777, 0o600);
        }
        std::fs::remove_dir_all(folder).expect("removed");
    }
}
