//! What leaves: the rows of a run, each known until it has its fate.
//!
//! In: hashed rows, as [`HashedExec`](crate::source::HashedExec) gives them; fates by row number. Out: the columns of the query, for an INSERT to
//! read, and chunks of rows once all of theirs have a fate. A batch is handed on when its keys are durable, and waits while as many rows as may be
//! in doubt after a crash are under way. That goes for rows that may be repeated, too: a source that went back to the value before would find it
//! in the ledger, and CleverTap would keep the one that was under way.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::BatchCoalescer;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::streaming::StreamingTable;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion_clevertap::Fate;
use datafusion_clevertap::hooks::SettledRows;
use futures::{Stream, StreamExt, TryStreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::hash::Hash;
use crate::ledger::{Chunk, InFlight};
use crate::source::HIDDEN;

/// Rows of a chunk.
pub(crate) const CHUNK_ROWS: usize = 5_000;
/// Chunks that are under way at once: so many rows are in doubt after a crash at most, times [`CHUNK_ROWS`].
pub(crate) const CHUNKS_MAX: usize = 5;

/// Opens the rows that are to leave, from the first.
pub(crate) type Open = Box<dyn Fn() -> Result<SendableRecordBatchStream> + Send + Sync>;

/// Rows that all have their fates.
#[derive(Debug)]
pub(crate) struct SettledChunk {
    /// Their keys, in the order in which they left.
    pub(crate) rows: Chunk,
    /// Their fates, in the same order; `None` is accepted.
    pub(crate) fates: Vec<Option<Fate>>,
    /// The number of the first, from 1 in the order of the statement.
    pub(crate) first_row: u64,
    /// Its number among what is in flight, if it was written down.
    pub(crate) in_flight: Option<u64>,
    /// Held until what is done with the chunk is durable: then another one may leave.
    permit: Option<OwnedSemaphorePermit>,
}

impl SettledChunk {
    /// Another chunk may leave: this one's fates are durable.
    pub(crate) fn release(&mut self) {
        self.permit = None;
    }
}

/// Rows on their way.
#[derive(Debug)]
struct UnderWay {
    chunk: SettledChunk,
    is_settled: Vec<bool>,
    left: usize,
}

#[derive(Debug)]
struct State {
    under_way: VecDeque<UnderWay>,
    next_row: u64,
    next_chunk: u64,
}

/// The rows of one run that leave.
pub(crate) struct Outbox {
    open: Open,
    schema: SchemaRef,
    in_flight: Option<InFlight>,
    state: Mutex<State>,
    permits: Arc<Semaphore>,
    settled: mpsc::UnboundedSender<SettledChunk>,
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").finish_non_exhaustive()
    }
}

impl Outbox {
    /// Over rows with the columns `hashed`; what settles is sent to the receiver. Without `in_flight` nothing is written down: for dry runs.
    pub(crate) fn new(open: Open, hashed: &Schema, in_flight: Option<InFlight>) -> (Arc<Self>, mpsc::UnboundedReceiver<SettledChunk>) {
        let (settled, receiver) = mpsc::unbounded_channel();
        let columns = hashed.fields()[..hashed.fields().len() - HIDDEN].to_vec();
        let schema = Arc::new(Schema::new_with_metadata(columns, hashed.metadata().clone()));
        let state = Mutex::new(State { under_way: VecDeque::new(), next_row: 1, next_chunk: 0 });
        (Arc::new(Self { open, schema, in_flight, state, permits: Arc::new(Semaphore::new(CHUNKS_MAX)), settled }), receiver)
    }

    /// The table that an INSERT reads, once.
    ///
    /// # Errors
    /// DataFusion's.
    pub(crate) fn table(self: &Arc<Self>) -> Result<StreamingTable> {
        StreamingTable::try_new(Arc::clone(&self.schema), vec![Arc::new(OutboxRows(Arc::clone(self)))])
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the fates of rows, by their numbers: what a `FateWatch` is told.
    pub(crate) fn settle(&self, rows: &SettledRows<'_>) {
        self.settle_rows(rows.rows);
    }

    fn settle_rows(&self, rows: &[(u64, Option<Fate>)]) {
        let mut state = self.state();
        for (row, fate) in rows {
            let at = state.under_way.partition_point(|under_way| under_way.chunk.first_row <= *row);
            let Some(under_way) = at.checked_sub(1).and_then(|at| state.under_way.get_mut(at)) else { continue };
            let index = (row - under_way.chunk.first_row) as usize;
            let Some(is_settled) = under_way.is_settled.get_mut(index) else { continue };
            if !std::mem::replace(is_settled, true) {
                under_way.chunk.fates[index] = *fate;
                under_way.left -= 1;
            }
            if under_way.left == 0
                && let Some(whole) = state.under_way.remove(at - 1)
            {
                // Nobody hears it where the run has ended.
                let _ended = self.settled.send(whole.chunk);
            }
        }
    }

    /// How many rows were handed on.
    #[cfg(test)]
    fn rows(&self) -> u64 {
        self.state().next_row - 1
    }

    /// Writes a batch down, and hands on its columns.
    async fn pass(&self, batch: RecordBatch) -> Result<RecordBatch> {
        let rows = chunk_of(&batch)?;
        let mut written = None;
        let mut permit = None;
        if let Some(in_flight) = &self.in_flight {
            let acquired = Arc::clone(&self.permits).acquire_owned().await;
            permit = Some(acquired.map_err(|error| DataFusionError::Execution(error.to_string()))?);
            let n = {
                let mut state = self.state();
                state.next_chunk += 1;
                state.next_chunk - 1
            };
            in_flight.write(n, &rows).await.map_err(|error| DataFusionError::External(Box::new(error)))?;
            written = Some(n);
        }
        let count = rows.len();
        let mut state = self.state();
        let chunk = SettledChunk { rows, fates: vec![None; count], first_row: state.next_row, in_flight: written, permit };
        state.next_row += count as u64;
        state.under_way.push_back(UnderWay { chunk, is_settled: vec![false; count], left: count });
        drop(state);
        Ok(batch.project(&(0..self.schema.fields().len()).collect::<Vec<_>>())?.with_schema(Arc::clone(&self.schema))?)
    }
}

/// The keys of a hashed batch.
fn chunk_of(batch: &RecordBatch) -> Result<Chunk> {
    let at = batch.num_columns() - HIDDEN;
    let keys = batch.column(at).as_string::<i32>();
    let (key_hashes, payloads) = (batch.column(at + 1).as_fixed_size_binary(), batch.column(at + 2).as_fixed_size_binary());
    let hash = |bytes: &[u8]| Hash::try_from(bytes).map_err(|error| DataFusionError::Internal(error.to_string()));
    let mut chunk = Chunk::new();
    for row in 0..batch.num_rows() {
        let key = if keys.is_valid(row) { keys.value(row) } else { "" };
        chunk.push(key, &hash(key_hashes.value(row))?, &hash(payloads.value(row))?);
    }
    Ok(chunk)
}

/// Its rows as a stream.
#[derive(Debug)]
struct OutboxRows(Arc<Outbox>);

impl PartitionStream for OutboxRows {
    fn schema(&self) -> &SchemaRef {
        &self.0.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let outbox = Arc::clone(&self.0);
        let rows = futures::stream::once(async move {
            let chunks = chunks((outbox.open)()?);
            Ok::<_, DataFusionError>(chunks.and_then(move |chunk| {
                let outbox = Arc::clone(&outbox);
                async move { outbox.pass(chunk).await }
            }))
        });
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.0.schema), rows.try_flatten().boxed()))
    }
}

/// The rows in batches of [`CHUNK_ROWS`], but for the last: as many chunks as may be under way hold more rows than a request. Where a source changed
/// here and there its batches have few rows, and a request that waits for more would wait for ever.
fn chunks(rows: SendableRecordBatchStream) -> impl Stream<Item = Result<RecordBatch>> {
    let mut waiting = BatchCoalescer::new(rows.schema(), CHUNK_ROWS);
    let ends = futures::stream::once(async { None });
    let chunks = rows.map(Some).chain(ends).map(move |batch| {
        match batch {
            Some(batch) => waiting.push_batch(batch?)?,
            None => waiting.finish_buffered_batch()?,
        }
        let whole = std::iter::from_fn(|| waiting.next_completed_batch().map(Ok)).collect::<Vec<_>>();
        Ok::<_, DataFusionError>(futures::stream::iter(whole))
    });
    chunks.try_flatten()
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, BooleanArray, FixedSizeBinaryArray, Int64Array, StringArray};
    use arrow::datatypes::{DataType, Field};
    use datafusion::prelude::SessionContext;

    use super::*;
    use crate::hash::{of_key, of_payload};
    use crate::ledger::{Holder, Ledger};
    use crate::source::{APPENDS, KEY, KEY_HASH, PAYLOAD_HASH};

    fn hashed(rows: std::ops::Range<usize>, appends: bool) -> RecordBatch {
        let keys: Vec<String> = rows.clone().map(|row| format!("k{row}")).collect();
        let hashes =
            |of: fn(&[u8]) -> Hash| FixedSizeBinaryArray::try_from_iter(keys.iter().map(|key| of(key.as_bytes()))).expect("hashes");
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("id", Arc::new(Int64Array::from_iter_values(rows.clone().map(|row| row as i64)))),
            (KEY, Arc::new(StringArray::from_iter_values(&keys))),
            (KEY_HASH, Arc::new(hashes(|key| of_key(&String::from_utf8_lossy(key))))),
            (PAYLOAD_HASH, Arc::new(hashes(of_payload))),
            (APPENDS, Arc::new(BooleanArray::from(vec![appends; rows.len()]))),
        ];
        RecordBatch::try_from_iter(columns).expect("a batch")
    }

    fn outbox(batches: Vec<RecordBatch>, in_flight: Option<InFlight>) -> (Arc<Outbox>, mpsc::UnboundedReceiver<SettledChunk>) {
        let schema = batches[0].schema();
        let open: Open = Box::new(move || {
            let rows = futures::stream::iter(batches.clone().into_iter().map(Ok));
            Ok(Box::pin(RecordBatchStreamAdapter::new(batches[0].schema(), rows)))
        });
        Outbox::new(open, &schema, in_flight)
    }

    fn rows_of(outbox: &Arc<Outbox>) -> SendableRecordBatchStream {
        OutboxRows(Arc::clone(outbox)).execute(SessionContext::new().task_ctx())
    }

    #[tokio::test]
    async fn a_chunk_is_settled_with_its_last_row_and_fates_may_come_in_any_order() {
        let rows = CHUNK_ROWS as u64;
        // Batches of a few rows are one chunk, and the next one begins in the middle of a batch.
        let batches = (0..CHUNK_ROWS / 2 + 1).map(|at| hashed(2 * at..2 * at + 2, false)).collect();
        let (outbox, mut settled) = outbox(batches, None);
        let read: Vec<RecordBatch> = rows_of(&outbox).try_collect().await.expect("rows");
        assert_eq!(read.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [CHUNK_ROWS, 2]);
        assert_eq!(read[0].schema(), Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false)])));
        let fates: Vec<_> = (2..rows).map(|row| (row, None)).collect();
        outbox.settle_rows(&fates);
        outbox.settle_rows(&[(rows + 2, None), (1, None)]);
        assert!(settled.try_recv().is_err());
        // A row that is told twice counts once.
        outbox.settle_rows(&[(1, None), (rows + 1, Some(Fate::InDoubt))]);
        let second = settled.try_recv().expect("a chunk");
        assert_eq!((second.first_row, second.fates), (rows + 1, vec![Some(Fate::InDoubt), None]));
        outbox.settle_rows(&[(rows, Some(Fate::Rejected)), (rows + 99, None), (0, None)]);
        let first = settled.try_recv().expect("a chunk");
        assert_eq!((first.first_row, first.fates.last(), first.in_flight), (1, Some(&Some(Fate::Rejected)), None));
        assert_eq!(first.rows.iter().map(|row| row.0).take(3).collect::<Vec<_>>(), ["k0", "k1", "k2"]);
        assert_eq!(outbox.rows(), rows + 2);
    }

    #[tokio::test]
    async fn what_cannot_be_repeated_is_written_down_before_it_is_handed_on_and_no_more_than_may_be_in_doubt() {
        let folder = tempfile::tempdir().expect("a folder");
        let ctx = SessionContext::new();
        let ledger = Ledger::open(&folder.path().display().to_string(), &ctx.state()).await.expect("a ledger");
        let lease = ledger.acquire("s", Holder::current()).await.expect("a lease");
        let in_flight = ledger.in_flight(&lease, "run");
        let (outbox, mut settled) = outbox(vec![hashed(0..7 * CHUNK_ROWS, true)], Some(in_flight.clone()));
        let mut rows = rows_of(&outbox);
        for handed_on in 1..=CHUNKS_MAX {
            assert_eq!(rows.try_next().await.expect("rows").expect("a chunk").num_rows(), CHUNK_ROWS);
            assert_eq!(ledger.leftovers("s").await.expect("chunks").len(), handed_on);
        }
        // The next one waits until the fates of one before are durable.
        let mut next = Box::pin(rows.try_next());
        assert!(futures::poll!(&mut next).is_pending());
        let fates: Vec<_> = (1..=CHUNK_ROWS as u64).map(|row| (row, None)).collect();
        outbox.settle_rows(&fates);
        let mut first = settled.recv().await.expect("a chunk");
        assert_eq!(first.in_flight, Some(0));
        assert!(futures::poll!(&mut next).is_pending());
        in_flight.done(0, &[]).await.expect("durable");
        first.release();
        assert_eq!(next.await.expect("rows").expect("a chunk").num_rows(), CHUNK_ROWS);
        // A crash here: one is accepted, five are in doubt.
        let leftovers = ledger.leftovers("s").await.expect("chunks");
        assert_eq!(leftovers.iter().filter(|leftover| leftover.done.is_none()).count(), CHUNKS_MAX);
        assert_eq!(leftovers.len(), CHUNKS_MAX + 1);
    }

    #[tokio::test]
    async fn rows_whose_keys_cannot_be_written_down_do_not_leave() {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = Ledger::open(&folder.path().display().to_string(), &SessionContext::new().state()).await.expect("a ledger");
        let lease = ledger.acquire("s", Holder::current()).await.expect("a lease");
        // A file stands where the folder of chunks would be made.
        std::fs::write(folder.path().join("in_flight"), "no folder").expect("a file");
        let (outbox, _settled) = outbox(vec![hashed(0..2, true)], Some(ledger.in_flight(&lease, "run")));
        assert!(rows_of(&outbox).try_next().await.is_err());
        assert_eq!(outbox.rows(), 0);
    }
}
