//! Rows that were read and not accepted: the last of them are kept in memory, as `clevertap.failed_rows` shows them.
//!
//! In: rows as they settle. Out: the rows, and batches of them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, StringViewArray, TimestampMicrosecondArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use chrono::{DateTime, Utc};

use crate::error::{Error, Result};
use crate::fate::Fate;

/// Bytes that the rows kept in memory may have.
const KEPT_BYTES_MAX: usize = 64 << 20;

/// A row that was read and not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailedRow {
    /// Its run.
    pub run_id: u64,
    /// The same, unique for good.
    pub run_uid: Arc<str>,
    /// Whether that was a dry run, of which nothing is stored.
    pub dry_run: bool,
    /// The file that it was read from, without secrets; `None` where rows of files were joined, grouped or united, or there is no file.
    pub source_file: Option<Arc<str>>,
    /// Its row in that file, from 1; a header is none. `None` where a sort or a filter of the file's reader leaves it unknown.
    pub source_row: Option<u64>,
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
    /// Bytes that it takes in memory.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + self.record.len() + self.reason.len() + self.identifier.as_ref().map_or(0, String::len)
    }

    /// One for tests.
    #[cfg(test)]
    pub(crate) fn example(number: u64) -> Self {
        Self {
            run_id: 1,
            run_uid: "0198".into(),
            dry_run: false,
            source_file: None,
            source_row: None,
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

    /// How many of a run are kept.
    pub(crate) fn of_run(&self, run_id: u64) -> u64 {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).1.iter().filter(|row| row.run_id == run_id).count() as u64
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
        text("run_uid", false),
        Field::new("dry_run", DataType::Boolean, false),
        text("source_file", true),
        Field::new("source_row", DataType::UInt64, true),
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
        Arc::new(rows.iter().map(|row| Some(&*row.run_uid)).collect::<StringViewArray>()),
        Arc::new(rows.iter().map(|row| Some(row.dry_run)).collect::<BooleanArray>()),
        text(rows.iter().map(|row| row.source_file.as_deref())),
        Arc::new(rows.iter().map(|row| row.source_row).collect::<UInt64Array>()),
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
    RecordBatch::try_new(schema(), columns).map_err(|error| Error::Internal(format!("failed rows do not fit their own schema: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_rows_are_forgotten_first() {
        let kept = KeptRows::default();
        (1..=5).for_each(|number| kept.keep(FailedRow::example(number), 3));
        assert_eq!(kept.snapshot().iter().map(|row| row.row_number).collect::<Vec<_>>(), [3, 4, 5]);
    }
}
