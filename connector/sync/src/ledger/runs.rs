//! What each run did.
//!
//! In: a report at a run's start, and one at its end. Out: reports, the last of each run, newest first.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use chrono::{DateTime, Utc};

use super::commit::{Commit, Operation};
use super::fault::damaged;
use super::files::{FileWriter, Kind, Reader, Written};
use super::lease::Lease;
use super::log::{ChangesRows, RowFile};
use super::schema::Table;
use super::{Ledger, schema};
use crate::error::Result;
use crate::report::{Changes, RunReport, Status};

/// A commit leaves a file; so many are written together.
const FILES_MAX: usize = 32;

impl Ledger {
    /// Remembers a run: at its start, and again at its end.
    ///
    /// # Errors
    /// [`Error::Held`](crate::Error::Held) if the lease was taken over, [`Error::Storage`](crate::Error::Storage),
    /// [`Error::Ledger`](crate::Error::Ledger).
    pub async fn put_run(&self, lease: &Lease, run: &RunReport) -> Result<()> {
        lease.state().check()?;
        self.ensure(Table::Runs).await?;
        let batch = encode(run, lease.next_seq())?;
        // Of each try at the commit. Those that do not come into the table, a vacuum removes.
        let mut tried: Vec<Written> = Vec::new();
        let mut alone: Option<Written> = None;
        let mut commit = Commit::new(self.place(), Table::Runs, lease.fence(), Operation::Append);
        while let Some(version) = commit.next().await? {
            if tried.iter().chain(&alone).any(|written| version.has(written)) {
                break;
            }
            let files = version.files(Some(lease.sync()));
            let written = match &alone {
                Some(written) if files.len() < FILES_MAX => written.clone(),
                _ => {
                    let mut batches = match files.len() < FILES_MAX {
                        true => Vec::new(),
                        false => Reader::new(self.place(), Table::Runs).collect(files.clone()).await?,
                    };
                    batches.push(batch.clone());
                    FileWriter::whole(self.place(), Table::Runs, lease.sync(), Kind::Appended, &[last_of_each(&batches)?]).await?
                }
            };
            let mut actions = vec![written.addition()];
            if files.len() < FILES_MAX {
                alone = Some(written);
            } else {
                actions.extend(files.iter().map(|file| file.removal(ChangesRows::Yes)));
                tried.push(written);
            }
            commit.make(&version, actions).await?;
        }
        Ok(())
    }

    /// Runs of one sync, or of all, the newest first.
    ///
    /// # Errors
    /// [`Error::Ledger`](crate::Error::Ledger) that names what is damaged or missing, [`Error::Storage`](crate::Error::Storage).
    pub async fn runs(&self, sync: Option<&str>) -> Result<Vec<RunReport>> {
        let Some(version) = self.newest(Table::Runs).await? else { return Ok(Vec::new()) };
        let mut by_sync: HashMap<String, Vec<RowFile>> = HashMap::new();
        for file in version.files(sync) {
            by_sync.entry(file.sync.clone()).or_default().push(file);
        }
        let mut runs = Vec::new();
        for (sync, files) in by_sync {
            let batches = Reader::new(self.place(), Table::Runs).collect(files).await?;
            let batch = last_of_each(&batches)?;
            for row in 0..batch.num_rows() {
                let run = decode(&sync, &batch, row);
                runs.push(
                    run.ok_or_else(|| damaged(self.place(), &format!("runs/sync={sync}/"), "has a run that this version cannot read"))?,
                );
            }
        }
        runs.sort_by(|one, other| other.started_at.cmp(&one.started_at).then_with(|| other.run_id.cmp(&one.run_id)));
        Ok(runs)
    }
}

/// The last row of each run.
fn last_of_each(batches: &[RecordBatch]) -> Result<RecordBatch> {
    let all = arrow::compute::concat_batches(Table::Runs.file_schema(), batches)?;
    let seqs = all.column_by_name("seq").map(|seqs| seqs.as_primitive::<Int64Type>().values().to_vec()).unwrap_or_default();
    let mut last: HashMap<&str, usize> = HashMap::new();
    if let Some(runs) = all.column_by_name("run_id").and_then(|runs| runs.as_string_opt::<i32>()) {
        for (row, run) in runs.iter().enumerate() {
            let kept = last.entry(run.unwrap_or_default()).or_insert(row);
            if seqs.get(*kept) < seqs.get(row) {
                *kept = row;
            }
        }
    }
    let mut rows: Vec<u64> = last.into_values().map(|row| row as u64).collect();
    rows.sort_unstable();
    Ok(arrow::compute::take_record_batch(&all, &arrow::array::UInt64Array::from(rows))?)
}

fn encode(run: &RunReport, seq: i64) -> Result<RecordBatch> {
    let text = |value: Option<&str>| Arc::new(StringArray::from(vec![value])) as ArrayRef;
    let count = |value: u64| Arc::new(Int64Array::from(vec![i64::try_from(value).unwrap_or(i64::MAX)])) as ArrayRef;
    let instant = |value: Option<DateTime<Utc>>| {
        let array = TimestampMicrosecondArray::from(vec![value.map(|value| value.timestamp_micros())]);
        Arc::new(array.with_data_type(schema::instant())) as ArrayRef
    };
    let list = |values: &[String]| text(Some(&serde_json::json!(values).to_string()));
    let (from, to) = run.window.as_ref().map(|(from, to)| (from.as_str(), to.as_str())).unzip();
    let columns = vec![
        text(Some(&run.run_id)),
        Arc::new(Int64Array::from(vec![seq])),
        text(Some(run.status.name())),
        text(Some(&run.mode)),
        count(run.changes.rows),
        count(run.changes.new),
        count(run.changes.changed),
        count(run.changes.removed),
        count(run.changes.unchanged),
        count(run.changes.held),
        count(run.accepted),
        count(run.rejected),
        count(run.in_doubt),
        count(run.unsent),
        instant(Some(run.started_at)),
        instant(run.finished_at),
        text(run.error.as_deref()),
        list(&run.notes),
        list(&run.fields),
        text(Some(&run.query_hash)),
        text(Some(&run.account)),
        text(Some(&run.into)),
        list(&run.key),
        count(u64::from(run.hash_version)),
        text(from),
        text(to),
        text(run.cursor.as_deref()),
    ];
    Ok(RecordBatch::try_new(Arc::clone(Table::Runs.file_schema()), columns)?)
}

fn decode(sync: &str, batch: &RecordBatch, row: usize) -> Option<RunReport> {
    let text = |name: &str| {
        let column = batch.column_by_name(name)?.as_string_opt::<i32>()?;
        column.is_valid(row).then(|| column.value(row).to_owned())
    };
    let count = |name: &str| u64::try_from(batch.column_by_name(name)?.as_primitive_opt::<Int64Type>()?.value(row)).ok();
    let instant = |name: &str| {
        let column = batch.column_by_name(name)?.as_primitive_opt::<TimestampMicrosecondType>()?;
        column.is_valid(row).then(|| DateTime::from_timestamp_micros(column.value(row))).flatten()
    };
    let list = |name: &str| serde_json::from_str::<Vec<String>>(&text(name)?).ok();
    Some(RunReport {
        sync: sync.to_owned(),
        run_id: text("run_id")?,
        status: Status::parse(&text("status")?)?,
        changes: Changes {
            rows: count("rows")?,
            new: count("new")?,
            changed: count("changed")?,
            removed: count("removed")?,
            unchanged: count("unchanged")?,
            held: count("held")?,
        },
        accepted: count("accepted")?,
        rejected: count("rejected")?,
        in_doubt: count("in_doubt")?,
        unsent: count("unsent")?,
        started_at: instant("started_at")?,
        finished_at: instant("finished_at"),
        error: text("error"),
        notes: list("notes")?,
        fields: list("fields")?,
        query_hash: text("query_hash")?,
        account: text("account")?,
        into: text("into")?,
        key: list("key")?,
        hash_version: u8::try_from(count("hash_version")?).ok()?,
        mode: text("mode")?,
        window: text("window_from").zip(text("window_to")),
        cursor: text("cursor"),
    })
}
