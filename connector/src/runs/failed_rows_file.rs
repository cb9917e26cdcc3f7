//! Files of failed rows: Parquet in the folder or bucket that `clevertap.failed_rows_to` names.
//!
//! In: rows as they settle. Out: whole files, one for 10,000 rows or 10 s, and one at the end.

use std::io;
use std::time::Duration;

use arrow::array::RecordBatch;
use chrono::{DateTime, Utc};
use datafusion::execution::TaskContext;
use datafusion::execution::object_store::ObjectStoreUrl;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use tokio::time::Instant;
use url::{Position, Url};

use crate::error::{Error, Result};
use crate::fate::Fate;
use crate::runs::failed_rows::{FailedRow, batch};
use crate::storage::{Folder, shown};

/// Rows after which a file is written.
const FILE_ROWS: usize = 10_000;
/// Bytes after which a file is written, whatever its rows.
const FILE_BYTES: usize = 32 << 20;
/// Time after which a file is written, however few rows there are.
const FILE_AGE: Duration = Duration::from_secs(10);

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
    /// Rows of the file that is being written; 0 if none is.
    writing: usize,
    /// Rows that are in files.
    written: u64,
    /// Why the last file was not written.
    fault: Option<String>,
}

/// The folder that `SET clevertap.failed_rows_to` names, once it is known that files can be written there.
///
/// # Errors
/// [`Error::Setting`] if no store answers for the URL, [`Error::Storage`] if nothing can be written there: before a row is sent.
pub(crate) async fn folder(text: &str, task: &TaskContext) -> Result<Folder> {
    let store_of = |url: &Url| -> datafusion::error::Result<_> {
        // The store has its credentials; those of the URL would stand in the error.
        let root = ObjectStoreUrl::parse(format!("{}://{}", url.scheme(), &url[Position::BeforeHost..Position::BeforePath]))?;
        task.runtime_env().object_store(&root)
    };
    let store_of = |url: &Url| store_of(url).map_err(|error| format!("no store is registered for it ({error})"));
    let folder = Folder::parse(text, store_of)
        .map_err(|why| Error::Setting(format!("option \"clevertap.failed_rows_to\" is \"{}\", and {why}", shown(text))))?;
    folder.probe().await.map_err(|error| {
        Error::Storage(format!(
            "option \"clevertap.failed_rows_to\" is \"{folder}\", where nothing can be written ({error}); nothing was sent. Name a folder that \
             takes files"
        ))
    })?;
    Ok(folder)
}

impl FailedRowsFile {
    pub(crate) fn new(folder: Folder, run_id: u64, started_at: DateTime<Utc>) -> Self {
        let stem = format!("failed-{}-run{run_id}-{:016x}", started_at.format("%Y%m%dT%H%M%S%3f"), rand::random::<u64>());
        Self { folder, stem, parts: 0, rows: Vec::new(), bytes: 0, oldest: None, not_before: None, writing: 0, written: 0, fault: None }
    }

    /// Where they are.
    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Rows that are in files.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// The rows that are in no file yet, with their fates.
    pub(crate) fn unwritten(&self) -> impl Iterator<Item = (u64, Fate)> + '_ {
        self.rows.iter().map(|row| (row.row_number, row.fate))
    }

    /// Why the last file was not written, if it was not.
    pub(crate) fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// Where the `failed` rows of a run are: not in its files, where these were not written, and `why`. The last of them are in `table`,
    /// which has `kept` rows of the run.
    pub(crate) fn place(&self, failed: u64, why: Option<&str>, table: &str, kept: u64) -> String {
        let (folder, written) = (&self.folder, self.written);
        let missing = failed.saturating_sub(written);
        if missing == 0 {
            return folder.to_string();
        }
        let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
        format!(
            "{folder}: {written} of {failed} are there and {missing} are not{why}; of these the last {} are in {table} until this session \
             ends (clevertap.failed_rows_max): send those again, and not the whole load",
            kept.min(missing)
        )
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
    /// [`Error::Storage`] if the place does not take it; the rows stay, and `clevertap.failed_rows` has them too.
    pub(crate) async fn write(&mut self) -> Result<()> {
        while let Some((rows, name, file)) = self.next_file()? {
            self.not_before = Some(Instant::now() + FILE_AGE);
            self.writing = rows;
            let put = self.folder.put_new(&name, file).await;
            self.settle_file(rows, put)?;
        }
        Ok(())
    }

    /// The same before it returns: for a statement that was dropped.
    ///
    /// # Errors
    /// As for [`write`](Self::write); a bucket takes nothing so.
    pub(crate) fn write_now(&mut self) -> Result<()> {
        while let Some((rows, name, file)) = self.next_file()? {
            let put = match self.folder.put_new_now(&name, &file) {
                // The file that was being written when the statement was dropped has these very rows.
                Err(error) if self.writing > 0 && error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                put => put,
            };
            self.settle_file(rows, put)?;
        }
        Ok(())
    }

    /// The next file, with its name and the number of its rows.
    fn next_file(&self) -> Result<Option<(usize, String, Vec<u8>)>> {
        let rows = if self.writing > 0 { self.writing } else { self.rows.len().min(FILE_ROWS) };
        if rows == 0 {
            return Ok(None);
        }
        let file = parquet(&batch(&self.rows[..rows])?)?;
        Ok(Some((rows, format!("{}-{:05}.parquet", self.stem, self.parts + 1), file)))
    }

    fn settle_file(&mut self, rows: usize, put: io::Result<()>) -> Result<()> {
        self.writing = 0;
        if let Err(error) = put {
            let why = error.to_string();
            let folder = &self.folder;
            let told = format!("failed rows were not written to {folder} ({why}): no load goes on without its evidence.");
            self.fault = Some(why);
            return Err(Error::Storage(told));
        }
        self.parts += 1;
        self.written += rows as u64;
        self.bytes -= self.rows.drain(..rows).map(|row| row.bytes()).sum::<usize>();
        (self.not_before, self.oldest) = (None, self.oldest.filter(|_| !self.rows.is_empty()));
        Ok(())
    }
}

fn parquet(batch: &RecordBatch) -> Result<Vec<u8>> {
    let failed = |error: parquet::errors::ParquetError| Error::Internal(format!("failed rows could not become Parquet: {error}"));
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).map_err(failed)?;
    writer.write(batch).map_err(failed)?;
    writer.into_inner().map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn two_runs_of_one_number_and_moment_take_no_file_from_each_other() {
        let stem = || FailedRowsFile::new(Folder::Local(PathBuf::new()), 1, DateTime::UNIX_EPOCH).stem;
        assert_ne!(stem(), stem());
    }

    #[tokio::test]
    async fn a_file_that_was_being_written_when_its_statement_was_dropped_is_not_written_twice() {
        let folder = std::env::temp_dir().join(format!("clevertap-dropped-{}", std::process::id()));
        let mut file = FailedRowsFile::new(Folder::Local(folder.clone()), 1, DateTime::UNIX_EPOCH);
        (1..=5).for_each(|number| file.add(FailedRow::example(number)));
        // Polled once: the disk has it, and nobody waits for it.
        assert!(futures::FutureExt::now_or_never(file.write()).is_none());
        (6..=7).for_each(|number| file.add(FailedRow::example(number)));
        file.write_now().expect("written");
        assert_eq!(file.written(), 7);
        let files = || {
            std::fs::read_dir(&folder)
                .expect("a folder")
                .filter(|entry| !entry.as_ref().expect("an entry").file_name().to_string_lossy().starts_with('.'))
                .count()
        };
        assert_eq!(files(), 2);
        std::fs::remove_dir_all(folder).ok();
    }

    #[tokio::test]
    async fn a_file_holds_ten_thousand_rows_and_only_its_owner_reads_it() {
        let folder = std::env::temp_dir().join(format!("clevertap-failed-{}", std::process::id()));
        let mut file = FailedRowsFile::new(Folder::Local(folder.clone()), 1, DateTime::UNIX_EPOCH);
        (1..=10_001).for_each(|number| file.add(FailedRow::example(number)));
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
