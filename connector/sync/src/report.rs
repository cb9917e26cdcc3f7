//! What a plan or a run says.

use std::fmt;

use arrow::array::RecordBatch;
use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

/// How a run stands: DataChannel's words, and one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Status {
    /// It has not ended; or its process was killed.
    Running,
    /// Every row that was to be sent was accepted.
    Successful,
    /// Rows were rejected, or are held; the rest was accepted.
    Partial,
    /// It stopped, or rows are in doubt.
    Error,
}

impl Status {
    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Successful => "successful",
            Self::Partial => "partial",
            Self::Error => "error",
        }
    }

    /// The status of this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Running, Self::Successful, Self::Partial, Self::Error].into_iter().find(|status| status.name() == text)
    }
}

/// What of a source changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Changes {
    /// Rows of the source.
    pub rows: u64,
    /// Keys that the ledger does not have.
    pub new: u64,
    /// Keys whose payload is another.
    pub changed: u64,
    /// Keys of the ledger that the source does not have.
    pub removed: u64,
    /// Keys whose payload is the same.
    pub unchanged: u64,
    /// Keys that are not sent: rejected before, or in doubt.
    pub held: u64,
}

/// What a run would do.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SyncPlan {
    /// The sync.
    pub sync: String,
    /// What changed.
    #[serde(flatten)]
    pub changes: Changes,
    /// Requests that it would take, by the rows of a body: more where bodies are cut by their bytes, or rows are refused. `None` where it cannot
    /// be told.
    pub requests: Option<u64>,
    /// How long it would take, by the rate of the last run that sent rows. `None` where there was none.
    pub seconds: Option<f64>,
    /// Why rows changed, where it is more than their values: a column that was added, a query that is another.
    pub why: Vec<String>,
    /// The first payloads, of at most three rows.
    pub samples: Vec<String>,
}

/// A row of a source, and what would leave of it.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PreviewedRow {
    /// Its key; `None` where a column of it is NULL, which refuses the source.
    pub key: Option<String>,
    /// The record as it would be sent; `None` for a row that would be rejected.
    pub payload: Option<String>,
    /// `CT-5nn`, of a row that would be rejected.
    pub code: Option<String>,
}

impl fmt::Debug for PreviewedRow {
    /// Without key and payload, which are somebody's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreviewedRow").field("code", &self.code).finish_non_exhaustive()
    }
}

/// The first rows of a source.
#[derive(Clone)]
#[non_exhaustive]
pub struct Preview {
    /// The rows, as the query gives them.
    pub rows: Vec<RecordBatch>,
    /// What each of them would send, in the same order. Empty for a sync out of CleverTap.
    pub payloads: Vec<PreviewedRow>,
}

impl fmt::Debug for Preview {
    /// Without the rows, which are somebody's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Preview").field("payloads", &self.payloads).finish_non_exhaustive()
    }
}

/// What a run did: a row of `clevertap.sync_runs`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RunReport {
    /// The sync.
    pub sync: String,
    /// A UUID of version 7.
    pub run_id: String,
    /// How it ended.
    pub status: Status,
    /// What changed.
    #[serde(flatten)]
    pub changes: Changes,
    /// Rows that CleverTap took; out of it, rows that were written: of an upsert of a Delta table, those that are new or changed.
    pub accepted: u64,
    /// Rows that it, or we, refused: dead letters.
    pub rejected: u64,
    /// Rows whose answer was lost; out of CleverTap, rows that are being added to a table, until it is known that they are there.
    pub in_doubt: u64,
    /// Rows that were to be sent, and were not.
    pub unsent: u64,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Why it stopped.
    pub error: Option<String>,
    /// What it said besides.
    pub notes: Vec<String>,
    /// Fields of a payload, in their order.
    pub fields: Vec<String>,
    /// Hash of the query's text.
    pub query_hash: String,
    /// Whose CleverTap it was: the account's id and the host, `ABC-12D-345Z@in1.api.clevertap.com`.
    pub account: String,
    /// The target, as the definition names it.
    pub into: String,
    /// The columns of the key.
    pub key: Vec<String>,
    /// Version of the hashes: [`VERSION`](crate::hash::VERSION).
    pub hash_version: u8,
    /// `upsert`, `mirror` …
    pub mode: String,
    /// The window that was read, of a sync out of CleverTap: its start, and its end, which is not part of it.
    pub window: Option<(String, String)>,
    /// The cursor after it, of a sync out of CleverTap that has one. `None` where it stayed.
    pub cursor: Option<String>,
}

/// A UUID of version 7, which sorts by time.
pub(crate) fn new_run_id(at: DateTime<Utc>) -> String {
    let mut random = [0; 10];
    random.copy_from_slice(&Uuid::new_v4().as_bytes()[..10]);
    uuid::Builder::from_unix_timestamp_millis(u64::try_from(at.timestamp_millis()).unwrap_or_default(), &random).into_uuid().to_string()
}
