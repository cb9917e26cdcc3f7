//! What may have left: chunks of keys, written down before their rows are sent.
//!
//! In: keys of rows that cannot be repeated. Out: a file that is durable when the call returns; and after a crash, what was under way. A chunk with
//! its `.done` has all its fates; the rows of one without it are in doubt.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, BinaryArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::ArrowWriter;
use serde::{Deserialize, Serialize};

use super::Ledger;
use super::commit::pause;
use super::fault::{Doing, damaged, of_store};
use super::files::{read_bytes, read_small};
use super::lease::{Lease, LeaseState};
use super::store::LedgerStore;
use crate::error::{Error, Result};
use crate::hash::Hash;

/// Tries at a file that the store did not take.
const TRIES: u32 = 4;

/// Keys of rows, in the order in which they leave.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Chunk {
    keys: Vec<String>,
    key_hashes: Vec<Hash>,
    payload_hashes: Vec<Hash>,
}

impl Chunk {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One more.
    pub fn push(&mut self, key: &str, key_hash: &Hash, payload_hash: &Hash) {
        self.keys.push(key.to_owned());
        self.key_hashes.push(*key_hash);
        self.payload_hashes.push(*payload_hash);
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Key, hash of the key, hash of the payload.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Hash, &Hash)> {
        self.keys
            .iter()
            .zip(&self.key_hashes)
            .zip(&self.payload_hashes)
            .map(|((key, key_hash), payload_hash)| (key.as_str(), key_hash, payload_hash))
    }

    fn encode(&self) -> Result<Vec<u8>> {
        let schema = Arc::new(Schema::new(vec![
            Field::new("key", DataType::Utf8, false),
            Field::new("key_hash", DataType::Binary, false),
            Field::new("payload_hash", DataType::Binary, false),
        ]));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(&self.keys)),
            Arc::new(BinaryArray::from_iter_values(&self.key_hashes)),
            Arc::new(BinaryArray::from_iter_values(&self.payload_hashes)),
        ];
        let told = |error| Error::Storage(format!("a chunk of what is in flight was not encoded: {error}; run the sync again"));
        let mut writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), None).map_err(told)?;
        writer.write(&RecordBatch::try_new(schema, columns)?).map_err(told)?;
        writer.into_inner().map_err(told)
    }

    fn decode(batches: &[RecordBatch]) -> Option<Self> {
        let mut chunk = Self::new();
        for batch in batches {
            let keys = batch.column_by_name("key")?.as_string_opt::<i32>()?;
            let key_hashes = batch.column_by_name("key_hash")?.as_binary_opt::<i32>()?;
            let payload_hashes = batch.column_by_name("payload_hash")?.as_binary_opt::<i32>()?;
            for ((key, key_hash), payload_hash) in keys.iter().zip(key_hashes).zip(payload_hashes) {
                chunk.push(key?, key_hash?.try_into().ok()?, payload_hash?.try_into().ok()?);
            }
        }
        Some(chunk)
    }

    /// Blanks the rows of these keys, and says how many there were. The places of the others stay as they are: a `.done` counts by them.
    pub(super) fn blank(&mut self, keys: &[Hash]) -> u64 {
        let mut blanked = 0;
        for ((key, key_hash), payload_hash) in self.keys.iter_mut().zip(&mut self.key_hashes).zip(&mut self.payload_hashes) {
            if keys.contains(key_hash) {
                (*key, *key_hash, *payload_hash) = (String::new(), Hash::default(), Hash::default());
                blanked += 1;
            }
        }
        blanked
    }
}

/// What became of a row that CleverTap did not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Settled {
    /// It was refused.
    Rejected,
    /// The answer was lost.
    InDoubt,
    /// It did not leave.
    Unsent,
}

/// A row of a chunk that was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exception {
    /// Which of the chunk, from 0.
    pub index: u32,
    /// What became of it.
    pub fate: Settled,
    /// CleverTap's code, or ours.
    pub code: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Done {
    exceptions: Vec<Exception>,
}

/// What is in flight of one run. Clones share it.
#[derive(Debug, Clone)]
pub struct InFlight {
    ledger: Ledger,
    lease: Arc<LeaseState>,
    run_id: String,
}

fn folder(sync: &str) -> String {
    format!("in_flight/{sync}")
}

fn file(sync: &str, run_id: &str, n: u64, ending: &str) -> String {
    format!("{}/{run_id}/{n}.{ending}", folder(sync))
}

impl InFlight {
    fn file(&self, n: u64, ending: &str) -> String {
        file(self.lease.sync(), &self.run_id, n, ending)
    }

    /// Writes chunk `n` down. When this has returned, its rows may leave.
    ///
    /// # Errors
    /// [`Error::Held`] if the lease is lost, and [`Error::Storage`]: its rows must not leave.
    pub async fn write(&self, n: u64, keys: &Chunk) -> Result<()> {
        self.lease.check()?;
        put(&self.ledger, &self.file(n, "parquet"), keys.encode()?).await?;
        self.lease.check()
    }

    /// Writes down that every row of chunk `n` has its fate: those that are not named were accepted.
    ///
    /// # Errors
    /// [`Error::Storage`]: after a crash the chunk's rows would be in doubt.
    pub async fn done(&self, n: u64, exceptions: &[Exception]) -> Result<()> {
        let done = serde_json::to_vec(&Done { exceptions: exceptions.to_vec() });
        let done = done.map_err(|error| Error::Storage(format!("fates of a chunk were not encoded: {error}; run the sync again")))?;
        put(&self.ledger, &self.file(n, "done"), done).await
    }

    /// Removes chunk `n`, whose rows are in the ledger.
    ///
    /// # Errors
    /// [`Error::Storage`]: the chunk is a leftover then.
    pub async fn remove(&self, n: u64) -> Result<()> {
        remove(&self.ledger, self.lease.sync(), &self.run_id, n).await
    }
}

/// A chunk that a run left behind.
#[derive(Debug, Clone, PartialEq)]
pub struct Leftover {
    /// The sync.
    pub sync: String,
    /// The run that wrote it.
    pub run_id: String,
    /// Which of its chunks.
    pub n: u64,
    /// Its keys.
    pub keys: Chunk,
    /// Those that were not accepted, if all have their fates; `None`: all that are not in the ledger are in doubt.
    pub done: Option<Vec<Exception>>,
}

impl Ledger {
    /// Where what is in flight of a run is written down.
    #[must_use]
    pub fn in_flight(&self, lease: &Lease, run_id: &str) -> InFlight {
        InFlight { ledger: self.clone(), lease: Arc::clone(lease.state()), run_id: run_id.to_owned() }
    }

    /// What runs of a sync left behind, the oldest run first, in the order of its chunks. Ask under its lease: what a live run has in flight is among it.
    ///
    /// # Errors
    /// [`Error::Ledger`] that names what is damaged, [`Error::Storage`].
    pub async fn leftovers(&self, sync: &str) -> Result<Vec<Leftover>> {
        let mut leftovers = Vec::new();
        for ((run_id, n), is_done) in self.chunks(sync).await? {
            let Some(mut keys) = self.chunk(sync, &run_id, n).await? else {
                // Its rows are in the ledger: the removal of the chunk was cut off before the end.
                remove(self, sync, &run_id, n).await?;
                continue;
            };
            let mut done = None;
            let name = file(sync, &run_id, n, "done");
            if is_done && let Some(bytes) = read_bytes(self.place(), &name).await? {
                let read: Done =
                    serde_json::from_slice(&bytes).map_err(|_| damaged(self.place(), &name, "is damaged: it is no list of fates"))?;
                done = Some(read.exceptions);
            }
            leave_out_blanks(&mut keys, &mut done);
            leftovers.push(Leftover { sync: sync.to_owned(), run_id, n, keys, done });
        }
        Ok(leftovers)
    }

    /// Removes a leftover, whose rows are in the ledger by now.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn remove_leftover(&self, leftover: &Leftover) -> Result<()> {
        remove(self, &leftover.sync, &leftover.run_id, leftover.n).await
    }

    /// Syncs that have something in flight.
    pub(super) async fn in_flight_syncs(&self) -> Result<Vec<String>> {
        let store = LedgerStore::new(self.place());
        let listed = store.list_with_delimiter(Some(&self.place().path("in_flight"))).await;
        let listed = listed.map_err(|error| of_store(self.place(), "in_flight/", Doing::Reading, &error))?;
        Ok(listed.common_prefixes.iter().filter_map(|path| path.filename().map(ToOwned::to_owned)).collect())
    }

    /// The chunks of a sync by run and number, and whether their rows have their fates.
    pub(super) async fn chunks(&self, sync: &str) -> Result<BTreeMap<(String, u64), bool>> {
        let folder = folder(sync);
        let listed = LedgerStore::new(self.place()).list(Some(&self.place().path(&folder))).try_collect::<Vec<_>>().await;
        let listed = listed.map_err(|error| of_store(self.place(), &folder, Doing::Reading, &error))?;
        let mut chunks = BTreeMap::new();
        for meta in listed {
            let below = self.place().below(&meta.location);
            let Some((run_id, name)) = below.strip_prefix(&folder).and_then(|rest| rest.trim_start_matches('/').split_once('/')) else {
                continue;
            };
            let Some((n, ending)) = name.split_once('.') else { continue };
            if let (Ok(n), "parquet" | "done") = (n.parse::<u64>(), ending) {
                *chunks.entry((run_id.to_owned(), n)).or_insert(false) |= ending == "done";
            }
        }
        Ok(chunks)
    }

    /// The keys of a chunk, the blank ones too; `None` if it is not there.
    pub(super) async fn chunk(&self, sync: &str, run_id: &str, n: u64) -> Result<Option<Chunk>> {
        let name = file(sync, run_id, n, "parquet");
        let Some(batches) = read_small(self.place(), &name, None).await? else { return Ok(None) };
        Chunk::decode(&batches).map(Some).ok_or_else(|| damaged(self.place(), &name, "is damaged: it has other columns than a chunk"))
    }

    /// Writes a chunk again, in its place.
    pub(super) async fn rewrite_chunk(&self, sync: &str, run_id: &str, n: u64, chunk: &Chunk) -> Result<()> {
        put(self, &file(sync, run_id, n, "parquet"), chunk.encode()?).await
    }
}

/// Rows of people who were forgotten.
fn leave_out_blanks(keys: &mut Chunk, done: &mut Option<Vec<Exception>>) {
    if !keys.key_hashes.contains(&Hash::default()) {
        return;
    }
    let mut whole = Chunk::new();
    // Where each row is now.
    let mut places = Vec::with_capacity(keys.len());
    for (key, key_hash, payload_hash) in keys.iter() {
        let is_blank = *key_hash == Hash::default();
        places.push((!is_blank).then_some(whole.len()));
        if !is_blank {
            whole.push(key, key_hash, payload_hash);
        }
    }
    if let Some(exceptions) = done {
        exceptions.retain_mut(|exception| {
            let place = places.get(exception.index as usize).copied().flatten().and_then(|place| u32::try_from(place).ok());
            exception.index = place.unwrap_or_default();
            place.is_some()
        });
    }
    *keys = whole;
}

async fn put(ledger: &Ledger, name: &str, bytes: Vec<u8>) -> Result<()> {
    let payload = object_store::PutPayload::from(bytes);
    let store = LedgerStore::new(ledger.place());
    for attempt in 1.. {
        match store.put(&ledger.place().path(name), payload.clone()).await {
            Ok(_) => break,
            Err(error) if attempt >= TRIES => return Err(of_store(ledger.place(), name, Doing::Writing, &error)),
            Err(_) => pause(Duration::from_millis(200), attempt).await,
        }
    }
    Ok(())
}

/// The chunk first: one without its `.done` would be in doubt.
async fn remove(ledger: &Ledger, sync: &str, run_id: &str, n: u64) -> Result<()> {
    let store = LedgerStore::new(ledger.place());
    for ending in ["parquet", "done"] {
        let name = file(sync, run_id, n, ending);
        match store.delete(&ledger.place().path(&name)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(of_store(ledger.place(), &name, Doing::Writing, &error)),
        }
    }
    Ok(())
}
