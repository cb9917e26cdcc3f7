//! The ledger on a disk and in a bucket, with everything that goes wrong.

mod brittle;
mod damage;
mod faults;
mod forget;
mod in_flight;
mod leases;
mod rows;
mod runs;
mod tables;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicI64, Ordering};

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use chrono::TimeDelta;
use datafusion::execution::object_store::ObjectStoreUrl;
use futures::TryStreamExt;

use self::brittle::Brittle;
use super::*;
use crate::hash::{Hash, of_key, of_payload};

/// Where a ledger is in a test, and what time it is there.
struct Home {
    ctx: SessionContext,
    location: String,
    disk: Option<tempfile::TempDir>,
    bucket: Arc<Brittle>,
    /// Seconds.
    ahead: Arc<AtomicI64>,
}

impl Home {
    fn on_disk() -> Self {
        let disk = tempfile::tempdir().expect("a folder");
        let location = disk.path().join("a state").display().to_string();
        Self { ctx: SessionContext::new(), location, disk: Some(disk), bucket: Brittle::new(), ahead: Arc::default() }
    }

    fn in_bucket() -> Self {
        let (ctx, bucket) = (SessionContext::new(), Brittle::new());
        ctx.register_object_store(ObjectStoreUrl::parse("s3://acme").expect("a URL").as_ref(), Arc::clone(&bucket) as _);
        Self { ctx, location: "s3://acme/state".to_owned(), disk: None, bucket, ahead: Arc::default() }
    }

    fn both() -> [Self; 2] {
        [Self::on_disk(), Self::in_bucket()]
    }

    async fn opened(&self) -> Result<Ledger> {
        let ahead = Arc::clone(&self.ahead);
        let clock = Clock::new(move || Utc::now() + TimeDelta::seconds(ahead.load(Ordering::SeqCst)));
        Ok(Ledger::open(&self.location, &self.ctx.state()).await?.with_clock(clock))
    }

    async fn ledger(&self) -> Ledger {
        self.opened().await.expect("a ledger")
    }

    fn place(&self) -> Place {
        Place::new(&self.location, &self.ctx.state()).expect("a place")
    }

    fn pass(&self, time: TimeDelta) {
        self.ahead.fetch_add(time.num_seconds(), Ordering::SeqCst);
    }

    /// All files below the ledger's folder.
    async fn files(&self) -> BTreeMap<String, Bytes> {
        let place = self.place();
        let store = place.session_store();
        let mut files = BTreeMap::new();
        for meta in store.list(Some(&place.path(""))).try_collect::<Vec<_>>().await.expect("a list") {
            let bytes = store.get(&meta.location).await.expect("a file").bytes().await.expect("bytes");
            files.insert(place.below(&meta.location), bytes);
        }
        files
    }

    async fn put(&self, below: &str, bytes: impl Into<Bytes>) {
        let place = self.place();
        place.session_store().put(&place.path(below), bytes.into().into()).await.expect("it is put");
    }

    async fn delete(&self, below: &str) {
        let place = self.place();
        place.session_store().delete(&place.path(below)).await.expect("it is deleted");
    }

    /// The file whose name begins and ends so.
    async fn file(&self, begin: &str, end: &str) -> String {
        let files = self.files().await;
        let found = files.keys().rfind(|name| name.starts_with(begin) && name.ends_with(end));
        found.cloned().unwrap_or_else(|| panic!("no {begin}…{end} in {:?}", files.keys()))
    }
}

/// Rows of the same payload.
fn rows(keys: impl IntoIterator<Item = impl AsRef<str>>, payload: &str) -> LedgerRows {
    let mut rows = LedgerRows::new();
    for key in keys {
        let key = key.as_ref();
        rows.push(key, &of_key(key), &of_payload(payload.as_bytes()), RowFate::Accepted, None, false);
    }
    rows
}

async fn append(ledger: &Ledger, lease: &Lease, keys: &[&str], payload: &str) {
    ledger.append_rows(lease, "run-1", rows(keys, payload), Utc::now()).await.expect("it is appended");
}

/// Of each key the last payload hash, and how many rows there are.
async fn latest(ledger: &Ledger, sync: &str) -> Result<(BTreeMap<String, Hash>, usize)> {
    let mut last: BTreeMap<String, (i64, Hash)> = BTreeMap::new();
    let mut count = 0;
    let Some(mut batches) = ledger.rows(sync).await? else { return Ok((BTreeMap::new(), 0)) };
    while let Some(batch) = batches.try_next().await? {
        count += batch.num_rows();
        let (keys, seqs) = (batch.column(0).as_string::<i32>(), batch.column(5).as_primitive::<Int64Type>());
        for row in 0..batch.num_rows() {
            let payload: Hash = batch.column(2).as_binary::<i32>().value(row).try_into().expect("16 bytes");
            let entry = last.entry(keys.value(row).to_owned()).or_insert((i64::MIN, payload));
            if seqs.value(row) >= entry.0 {
                *entry = (seqs.value(row), payload);
            }
        }
    }
    Ok((last.into_iter().map(|(key, (_, payload))| (key, payload)).collect(), count))
}

fn payloads(expected: &[(&str, &str)]) -> BTreeMap<String, Hash> {
    expected.iter().map(|(key, payload)| ((*key).to_owned(), of_payload(payload.as_bytes()))).collect()
}

fn sent<F: Future + Send>(future: F) -> F {
    future
}

#[test]
fn what_it_does_can_be_spawned() {
    fn all(ledger: &Ledger, lease: &Lease, run: &crate::RunReport) {
        drop(sent(ledger.append_rows(lease, "r", LedgerRows::new(), Utc::now())));
        drop(sent(ledger.put_run(lease, run)));
        drop(sent(ledger.put_dead_letters(lease, Vec::new())));
        drop(sent(ledger.compact(lease, Force::Always)));
        drop(sent(ledger.vacuum(lease, Ledger::RETENTION)));
        drop(sent(ledger.reset(lease)));
        drop(sent(ledger.acquire("s", Holder::current())));
        drop(sent(ledger.forget(&[], None, &Holder::current())));
        drop(sent(ledger.leftovers("s")));
        drop(sent(lease.lost()));
    }
    let _: fn(&Ledger, &Lease, &crate::RunReport) = all;
}
