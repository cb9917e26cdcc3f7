//! Rows that were refused.
//!
//! In: all dead letters of a sync, after a run. Out: the same, for the next run and for people. A commit replaces those that were there.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use chrono::{DateTime, Utc};

use super::commit::{Commit, Operation};
use super::fault::damaged;
use super::files::{FileWriter, Kind, Reader, Written};
use super::lease::Lease;
use super::log::ChangesRows;
use super::schema::Table;
use super::{Ledger, schema};
use crate::error::Result;
use crate::hash::{Hash, shown};

/// A row that was refused.
#[derive(Clone, PartialEq, serde::Serialize)]
pub struct DeadLetter {
    /// Which row it is.
    pub key: String,
    /// Of the key.
    #[serde(skip)]
    pub key_hash: Hash,
    /// Of what it would have sent.
    #[serde(skip)]
    pub payload_hash: Hash,
    /// The record, as it would have been sent: JSON.
    pub record: String,
    /// CleverTap's code, or ours.
    pub code: Option<String>,
    /// Why it was refused.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was refused first.
    pub first_at: DateTime<Utc>,
    /// When it was refused last.
    pub last_at: DateTime<Utc>,
    /// The run that tried it last.
    pub run_id: String,
}

impl std::fmt::Debug for DeadLetter {
    /// Without the key and the record, which are somebody's.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shows = f.debug_struct("DeadLetter");
        shows.field("key_hash", &shown(&self.key_hash)).field("code", &self.code).field("attempts", &self.attempts).finish_non_exhaustive()
    }
}

impl Ledger {
    /// The dead letters of a sync, in the order in which they were put.
    ///
    /// # Errors
    /// [`Error::Ledger`](crate::Error::Ledger) that names what is damaged or missing, [`Error::Storage`](crate::Error::Storage).
    pub async fn dead_letters(&self, sync: &str) -> Result<Vec<DeadLetter>> {
        let Some(version) = self.newest(Table::DeadLetters).await? else { return Ok(Vec::new()) };
        let batches = Reader::new(self.place(), Table::DeadLetters).collect(version.files(Some(sync))).await?;
        let letters = batches.iter().flat_map(|batch| (0..batch.num_rows()).map(|row| decode(batch, row)));
        let unread = || damaged(self.place(), &format!("dead_letters/sync={sync}/"), "has a row that this version cannot read");
        letters.collect::<Option<Vec<_>>>().ok_or_else(unread)
    }

    /// Replaces the dead letters of the lease's sync, in one commit.
    ///
    /// # Errors
    /// [`Error::Held`](crate::Error::Held) if the lease was taken over: nothing was changed. [`Error::Storage`](crate::Error::Storage), [`Error::Ledger`](crate::Error::Ledger).
    pub async fn put_dead_letters(&self, lease: &Lease, letters: Vec<DeadLetter>) -> Result<()> {
        lease.state().check()?;
        if letters.is_empty() && self.newest(Table::DeadLetters).await?.is_none_or(|version| version.files(Some(lease.sync())).is_empty()) {
            return Ok(());
        }
        self.ensure(Table::DeadLetters).await?;
        let written = match letters.is_empty() {
            true => None,
            false => {
                let batch = encode(&letters)?;
                Some(FileWriter::whole(self.place(), Table::DeadLetters, lease.sync(), Kind::Appended, &[batch]).await?)
            }
        };
        let mut commit = Commit::new(self.place(), Table::DeadLetters, lease.fence(), Operation::Replace);
        while let Some(version) = commit.next().await? {
            if written.as_ref().is_some_and(|written| version.has(written)) {
                break;
            }
            let files = version.files(Some(lease.sync()));
            let removals = files.iter().map(|file| file.removal(ChangesRows::Yes));
            commit.make(&version, removals.chain(written.iter().map(Written::addition)).collect()).await?;
        }
        Ok(())
    }
}

fn encode(letters: &[DeadLetter]) -> Result<RecordBatch> {
    let text = |of: fn(&DeadLetter) -> Option<&str>| Arc::new(letters.iter().map(of).collect::<StringArray>()) as ArrayRef;
    let hash = |of: fn(&DeadLetter) -> &Hash| Arc::new(BinaryArray::from_iter_values(letters.iter().map(of))) as ArrayRef;
    let instant = |of: fn(&DeadLetter) -> DateTime<Utc>| {
        let array = TimestampMicrosecondArray::from_iter_values(letters.iter().map(|letter| of(letter).timestamp_micros()));
        Arc::new(array.with_data_type(schema::instant())) as ArrayRef
    };
    let columns = vec![
        text(|letter| Some(&letter.key)),
        hash(|letter| &letter.key_hash),
        hash(|letter| &letter.payload_hash),
        text(|letter| Some(&letter.record)),
        text(|letter| letter.code.as_deref()),
        text(|letter| Some(&letter.reason)),
        Arc::new(Int64Array::from_iter_values(letters.iter().map(|letter| i64::from(letter.attempts)))),
        instant(|letter| letter.first_at),
        instant(|letter| letter.last_at),
        text(|letter| Some(&letter.run_id)),
    ];
    Ok(RecordBatch::try_new(Arc::clone(Table::DeadLetters.file_schema()), columns)?)
}

fn decode(batch: &RecordBatch, row: usize) -> Option<DeadLetter> {
    let text = |name: &str| {
        let column = batch.column_by_name(name)?.as_string_opt::<i32>()?;
        column.is_valid(row).then(|| column.value(row).to_owned())
    };
    let hash = |name: &str| batch.column_by_name(name)?.as_binary_opt::<i32>()?.value(row).try_into().ok();
    let instant = |name: &str| {
        let micros = batch.column_by_name(name)?.as_primitive_opt::<TimestampMicrosecondType>()?.value(row);
        DateTime::from_timestamp_micros(micros)
    };
    Some(DeadLetter {
        key: text("key")?,
        key_hash: hash("key_hash")?,
        payload_hash: hash("payload_hash")?,
        record: text("record")?,
        code: text("code"),
        reason: text("reason")?,
        attempts: u32::try_from(batch.column_by_name("attempts")?.as_primitive_opt::<Int64Type>()?.value(row)).ok()?,
        first_at: instant("first_at")?,
        last_at: instant("last_at")?,
        run_id: text("run_id")?,
    })
}
