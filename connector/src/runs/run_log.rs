//! How far a load of files had come, beside its failed rows: so that the same statement over the same files can go on where it ended.
//!
//! In: what the settling room knows, now and then, at the end, and when it is dropped. Out: small files, each with all of it; the last one
//! counts. A process that was killed leaves what it knew up to a minute before. While a run goes on in a folder of this machine, it holds a lock
//! there, which ends with its process: so that nobody takes it for one that was killed.

use std::fs::{self, File, TryLockError};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::error::{Error, Result};
use crate::runs::row_ranges::RowRanges;
use crate::storage::{Folder, on_disk};

/// The ending of its files: no kind of file that is queried.
const ENDING: &str = ".log";
const STEM: &str = "_run-";
/// The ending of the file that a run holds a lock on.
const LOCK_ENDING: &str = ".lock";

/// How often it is written while a run goes on.
const EVERY: Duration = Duration::from_secs(60);

/// What is known of a run, for who goes on with it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunLog {
    /// The run.
    pub run_uid: String,
    /// When it began, in microseconds since 1970, and its number in its process.
    pub began: (i64, u64),
    /// The account's id.
    pub account: String,
    /// `clevertap.profiles`.
    pub table: String,
    /// [`fingerprint`] of the statement's text.
    pub statement: String,
    /// Of what the statement is a part: [`RunContext::script`].
    pub script: Option<String>,
    /// The files that are read.
    pub files: Vec<LoggedFile>,
    /// [`fingerprint`] of the conditions and limits; `None` where another run may read other rows, or in another order.
    pub order: Option<String>,
    /// Whether a row that is sent twice is stored twice.
    pub appends: bool,
    /// The run that this one goes on with.
    pub continues: Option<String>,
    /// Rows that are accepted, or whose failed rows are in the folder, as ranges: first and last, from 1. Those of the runs before are among them.
    pub settled: Vec<(u64, u64)>,
    /// Rows in doubt that the folder did not take: nothing else tells of them.
    #[serde(default)]
    pub unwritten_in_doubt: Vec<(u64, u64)>,
    /// Rows that were rejected, in this run and those that it goes on with.
    #[serde(default)]
    pub rejected: u64,
    /// Rows that are in doubt, in this run and those that it goes on with.
    #[serde(default)]
    pub in_doubt: u64,
    /// Whether it ended, or was dropped. If not, rows that are not settled may have left since.
    pub ended: bool,
    /// Whether every row of the source is settled.
    pub complete: bool,
    /// Whether its process is at work: known where the folder is one of this machine, whose file systems have locks.
    #[serde(skip)]
    pub running: bool,
}

/// A file as it was when it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LoggedFile {
    /// Its path or URL, without secrets.
    pub name: String,
    /// Its bytes.
    pub size: u64,
    /// Microseconds since 1970.
    pub modified: i64,
    /// What the store has for it.
    pub etag: Option<String>,
}

impl LoggedFile {
    pub(crate) fn new(name: &str, size: u64, modified: i64, etag: Option<String>) -> Self {
        Self { name: name.to_owned(), size, modified, etag }
    }
}

/// What a statement is a part of, and which run it goes on with: put one into a session with
/// `SessionConfig::set_extension(Arc::new(RunContext { … }))` before the statement is planned.
#[derive(Debug, Clone, Default)]
pub struct RunContext {
    /// Of what the statement is a part: kept in its [`RunLog`].
    pub script: Option<String>,
    /// The run that it goes on with: rows that this one settled are not sent. Where that cannot be done rightly, the statement is refused
    /// with nothing sent: another statement, other files, a source whose order is not known, events of a run that was killed.
    pub resume: Option<RunLog>,
}

impl RunLog {
    /// What the runs left in `folder`, each with the last that is known of it, oldest first.
    ///
    /// # Errors
    /// [`Error::Storage`] if the folder cannot be read.
    pub async fn read_all(folder: &Folder) -> Result<Vec<Self>> {
        let not_read = |why: String| Error::Storage(format!("what is known of the runs in {folder} was not read ({why})"));
        let files = folder.read_all(ENDING).await.map_err(|error| not_read(error.to_string()))?;
        let mut logs: Vec<Self> = Vec::new();
        for (name, bytes) in files.iter().filter(|(name, _)| name.starts_with(STEM)) {
            let log: Self = serde_json::from_slice(bytes).map_err(|error| not_read(format!("{name}: {error}")))?;
            // By name, those of a run follow each other.
            match logs.last_mut().filter(|last| last.run_uid == log.run_uid) {
                Some(last) => *last = log,
                None => logs.push(log),
            }
        }
        logs.sort_by_key(|log| log.began);
        for log in logs.iter_mut().filter(|log| !log.ended) {
            let lock = lock_path(folder, &log.run_uid).and_then(|path| File::open(path).ok());
            log.running = lock.is_some_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)));
        }
        Ok(logs)
    }
}

/// The same number for the same text, in any version of this crate: FNV-1a, as hexadecimal digits.
pub fn fingerprint(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}

/// How far a run has come.
#[derive(Debug, Default)]
pub(crate) struct RunProgress {
    pub(crate) settled: RowRanges,
    pub(crate) unwritten_in_doubt: RowRanges,
    /// Rows of this run.
    pub(crate) rejected: u64,
    /// Rows of this run.
    pub(crate) in_doubt: u64,
    /// Once the run has ended: whether every row is settled.
    pub(crate) end: Option<bool>,
}

/// The file that a run holds a lock on; a bucket has none.
fn lock_path(folder: &Folder, run_uid: &str) -> Option<PathBuf> {
    match folder {
        Folder::Local(folder) => Some(folder.join(format!("{STEM}{run_uid}{LOCK_ENDING}"))),
        Folder::Bucket { .. } => None,
    }
}

/// The lock of a run that is at work. Its file goes with it; that of a process that was killed stays, and nobody holds it.
#[derive(Debug)]
struct RunLock {
    path: PathBuf,
    _file: File,
}

impl RunLock {
    /// `None` where there are no locks.
    fn take(path: PathBuf) -> Option<Self> {
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).ok()?;
        file.try_lock().ok()?;
        Some(Self { path, _file: file })
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        fs::remove_file(&self.path).ok();
    }
}

/// Writes the log of a run.
#[derive(Debug)]
pub(crate) struct RunLogFile {
    folder: Folder,
    log: RunLog,
    /// Rejected and in doubt in the runs that this one goes on with.
    before: (u64, u64),
    parts: usize,
    due: Instant,
    lock: Option<RunLock>,
}

impl RunLogFile {
    pub(crate) fn new(folder: Folder, log: RunLog) -> Self {
        Self { folder, before: (log.rejected, log.in_doubt), log, parts: 0, due: Instant::now() + EVERY, lock: None }
    }

    /// Whether a minute has passed since it was written.
    pub(crate) fn is_due(&self) -> bool {
        self.due <= Instant::now()
    }

    /// Writes it; the first one, before a row leaves, takes the lock too.
    pub(crate) async fn write(&mut self, progress: RunProgress) -> Result<()> {
        let end = progress.end;
        let (name, bytes) = self.next(progress)?;
        let put = self.folder.put_new(&name, bytes).await;
        if let Some(path) = lock_path(&self.folder, &self.log.run_uid).filter(|_| self.parts == 1 && put.is_ok() && end.is_none()) {
            self.lock = on_disk(move || Ok(RunLock::take(path))).await.ok().flatten();
        }
        self.written(put)
    }

    /// The same before it returns; a bucket takes nothing so.
    pub(crate) fn write_now(&mut self, progress: RunProgress) -> Result<()> {
        let (name, bytes) = self.next(progress)?;
        let put = self.folder.put_new_now(&name, &bytes);
        self.written(put)
    }

    fn next(&mut self, RunProgress { settled, unwritten_in_doubt, rejected, in_doubt, end }: RunProgress) -> Result<(String, Vec<u8>)> {
        self.log.settled = settled.iter().collect();
        self.log.unwritten_in_doubt = unwritten_in_doubt.iter().collect();
        (self.log.rejected, self.log.in_doubt) = (self.before.0 + rejected, self.before.1 + in_doubt);
        (self.log.ended, self.log.complete) = (end.is_some(), end == Some(true));
        self.parts += 1;
        self.due = Instant::now() + EVERY;
        let bytes = serde_json::to_vec(&self.log).map_err(|error| Error::Internal(format!("a log of a run: {error}")))?;
        Ok((format!("{STEM}{}-{:06}{ENDING}", self.log.run_uid, self.parts), bytes))
    }

    fn written(&self, put: std::io::Result<()>) -> Result<()> {
        put.map_err(|error| {
            Error::Storage(format!("how far the load has come was not written to {} ({error}): it could not be gone on with.", self.folder))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_the_same_for_ever() {
        assert_eq!(fingerprint(""), "cbf29ce484222325");
        assert_eq!(fingerprint("foobar"), "85944171f73967e8");
    }
}
