//! The log of what was sent again, beside the failed rows.
//!
//! In: which rows are about to be sent, and which were accepted. Out: how each failed row stands. Files are only ever added, one number
//! after the other: a process that was killed leaves the truth (rows that were about to be sent and of which nothing more is known are
//! in doubt), and of two processes at once, the one that comes second to a number stops.
//!
//! ```text
//! {"claims":{"by":"019a…","first":1,"of":"0199…","rows":[[3,8],[11,11]]}}    rows 3 to 8 and 11 of a run are rows 1 to 7 of the run `by`
//! {"accepted":{"by":"019a…","rows":[[1,6]]}}
//! {"ended":{"by":"019a…","read":6}}                                          row 7 of it was not taken any more
//! ```

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Result};
use datafusion_clevertap::storage::Folder;

/// The ending of a file of the log: no kind of file that is queried, so that `FROM 'failed/'` reads the failed rows alone.
const ENDING: &str = ".log";
const STEM: &str = "_resent-";

/// Ranges of row numbers, first and last.
pub(super) type Ranges = Vec<(u64, u64)>;

/// A failed row: its run, and its number in it.
pub(super) type RowKey = (String, u64);

/// The failed rows of some runs.
pub(super) type FailedRows = HashMap<String, HashSet<u64>>;

/// A row of a run that sent rows again.
type Claim = (Arc<str>, u64);

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum LogLine {
    /// These rows of the run `of` are about to leave as rows of the run `by`, which numbers them from `first`.
    Claims { by: String, first: u64, of: String, rows: Ranges },
    /// Rows of the run `by` that CleverTap accepted.
    Accepted { by: String, rows: Ranges },
    /// The run `by` has ended, and its rows after `read` never left.
    Ended { by: String, read: u64 },
}

/// How a failed row stands, by the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nobody sent it again.
    Open,
    /// It was accepted, or is a failed row of a later run.
    Done,
    /// It was about to be sent again, and nothing more is known: it may be stored.
    Lost,
}

/// The log of one folder.
#[derive(Debug)]
pub(in crate::commands) struct ResendLog {
    folder: Folder,
    /// The number of the next file.
    next: u64,
    /// Which row of which run each failed row became, the last one last.
    claims: HashMap<String, HashMap<u64, Vec<Claim>>>,
    accepted: HashMap<String, BTreeMap<u64, u64>>,
    /// Of runs that have ended, how many rows they took.
    read: HashMap<String, u64>,
}

impl ResendLog {
    /// Reads what there is.
    ///
    /// # Errors
    /// The disk's or the bucket's; a file that is no log.
    pub(in crate::commands) async fn read(folder: Folder) -> Result<Self> {
        let files = folder.read_all(ENDING).await.map_err(|error| Failure::Failed(format!("{folder} could not be read ({error})")))?;
        let mut log = Self { folder, next: 1, claims: HashMap::new(), accepted: HashMap::new(), read: HashMap::new() };
        for (name, bytes) in files {
            let Some(number) = name.strip_prefix(STEM).and_then(|name| name.strip_suffix(ENDING)) else { continue };
            let place = log.folder.to_string();
            let not_read = || Failure::Failed(format!("{place}: {name} is no log of what was sent again; nothing was sent"));
            log.next = log.next.max(number.parse::<u64>().map_err(|_| not_read())? + 1);
            let text = String::from_utf8(bytes).map_err(|_| not_read())?;
            for line in text.lines() {
                let line = serde_json::from_str(line).map_err(|_| not_read())?;
                log.note(&line);
            }
        }
        Ok(log)
    }

    fn note(&mut self, line: &LogLine) {
        match line {
            LogLine::Claims { by, first, of, rows } => {
                let claimed = self.claims.entry(of.clone()).or_default();
                let by: Arc<str> = by.as_str().into();
                for (number, row) in (*first..).zip(rows.iter().flat_map(|(first, last)| *first..=*last)) {
                    claimed.entry(row).or_default().push((Arc::clone(&by), number));
                }
            }
            LogLine::Accepted { by, rows } => self.accepted.entry(by.clone()).or_default().extend(rows.iter().copied()),
            LogLine::Ended { by, read } => drop(self.read.insert(by.clone(), *read)),
        }
    }

    /// Writes lines, which are on the disk when this returns.
    ///
    /// # Errors
    /// The disk's or the bucket's; another process wrote at the same time.
    pub(super) async fn write(&mut self, lines: &[LogLine]) -> Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let mut text = String::new();
        for line in lines {
            text.push_str(&serde_json::to_string(line).map_err(|error| Failure::Failed(error.to_string()))?);
            text.push('\n');
        }
        let name = format!("{STEM}{:08}{ENDING}", self.next);
        // Also of a write that is dropped, which may reach the disk all the same.
        self.next += 1;
        self.folder.put_new(&name, text.into_bytes()).await.map_err(|error| {
            Failure::Failed(match error.kind() {
                std::io::ErrorKind::AlreadyExists => {
                    format!("another resend is at work in {}; wait until it has ended, and run this one again", self.folder)
                }
                _ => format!("what is sent again could not be noted in {} ({error})", self.folder),
            })
        })?;
        lines.iter().for_each(|line| self.note(line));
        Ok(())
    }

    /// The runs that sent rows again.
    pub(super) fn runs(&self) -> HashSet<&str> {
        self.claims.values().flat_map(HashMap::values).flatten().map(|(by, _)| &**by).collect()
    }

    /// The rows of a run that were sent again, or were about to be.
    pub(in crate::commands) fn claimed_of(&self, run: &str) -> impl Iterator<Item = u64> + '_ {
        let rows = self.claims.get(run).into_iter().flatten();
        rows.filter(|(_, claims)| claims.iter().any(|claim| self.is_taken(claim))).map(|(row, _)| *row)
    }

    /// Whether the row may have left: it was taken, or its run was cut off before it was known how many were.
    fn is_taken(&self, (by, number): &Claim) -> bool {
        self.read.get(&**by).is_none_or(|read| number <= read)
    }

    /// How a failed row stands, where `failed` are the failed rows of [`runs`](Self::runs).
    pub(super) fn standing(&self, run: &str, row: u64, failed: &FailedRows) -> Standing {
        let claims = self.claims.get(run).and_then(|rows| rows.get(&row));
        let Some((by, number)) = claims.and_then(|claims| claims.iter().rfind(|claim| self.is_taken(claim))) else { return Standing::Open };
        let ranges = self.accepted.get(&**by);
        let is_accepted = ranges.and_then(|ranges| ranges.range(..=number).next_back()).is_some_and(|(_, last)| last >= number);
        if is_accepted || failed.get(&**by).is_some_and(|rows| rows.contains(number)) { Standing::Done } else { Standing::Lost }
    }
}

/// Row numbers as ranges, in their order.
pub(super) fn ranges(rows: impl IntoIterator<Item = u64>) -> Ranges {
    let mut ranges = Ranges::new();
    for row in rows {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == row => *last = row,
            _ => ranges.push((row, row)),
        }
    }
    ranges
}
