//! Runs exports: chains of pages, as many in parallel as the account allows.
//!
//! In: an [`ExportPlan`]. Out: batches in order of arrival. Each worker takes the next window when it has finished one. With a limit, only
//! one chain runs at a time, with pages as small as the limit allows, so that few rows are exported in vain.
//!
//! ```text
//! windows ─▶ chain   pages of a cursor, one owner each ─▶ decode (off the async threads) ─▶ batches
//!             ├─ next_cursor  finds it before the page is decoded
//!             ├─ follow       whether a page is one, and which is next
//!             └─ memory       reserves the pages in the query's memory pool
//! ```

mod chain;
mod chain_error;
mod follow;
mod memory;
mod next_cursor;
mod windows;

use std::collections::VecDeque;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::record_batch::RecordBatch;
use datafusion::common::runtime::JoinSet;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::sync::mpsc;

use crate::client::{Api, Lane, LaneSettings};
use crate::read::projection::{RowFilter, SeenPeople};
use crate::read::query::Window;
use crate::read::spec::{Counters, Scan};
use chain::{Chains, Sender};
use memory::ReadMemory;
pub(crate) use windows::{AHEAD, Asked, BEGINNING, ExportPlan};

impl ExportPlan {
    pub(crate) fn stream(
        self: Arc<Self>,
        scan: &Scan,
        counters: Counters,
        context: &Arc<TaskContext>,
    ) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let settings = LaneSettings::new(Api::of(self.call.path), &scan.options);
        let retry_for = settings.retry_for;
        let lane = Lane::new(scan.relation.account.client(), settings);
        let at_once =
            if scan.limit.is_some() || self.keep == RowFilter::NewPeople { 1 } else { lane.in_flight_max().min(self.windows.len()) };
        let queue = Arc::new(Mutex::new(VecDeque::from(self.windows.clone())));
        let page_rows = self.page_rows(scan.limit);
        let memory = ReadMemory::of(context.memory_pool());
        let chains = Arc::new(Chains {
            plan: self,
            scan: scan.clone(),
            lane,
            counters,
            memory,
            seen: Mutex::new(SeenPeople::default()),
            rows_sent: AtomicUsize::new(0),
            page_rows,
            retry_for,
        });
        // The channel holds one batch for each chain; the chain itself holds the next.
        let (sender, receiver) = mpsc::channel(at_once.max(1));
        let mut workers = JoinSet::new();
        for _ in 0..at_once {
            workers.spawn(run_windows(Arc::clone(&chains), Arc::clone(&queue), sender.clone()));
        }
        drop(sender);
        // Dropping the stream aborts the workers and their requests.
        let batches = futures::stream::unfold((receiver, workers), |(mut receiver, mut workers)| async move {
            if let Some(batch) = receiver.recv().await {
                return Some((batch.map(|(batch, _held)| batch), (receiver, workers)));
            }
            // All workers have ended. One that panicked has sent no error.
            while let Some(result) = workers.join_next().await {
                if let Err(error) = result {
                    return Some((Err(DataFusionError::ExecutionJoin(Box::new(error))), (receiver, workers)));
                }
            }
            None
        });
        Ok(batches.boxed())
    }
}

/// Runs windows from the queue until it is empty or a window fails.
async fn run_windows(chains: Arc<Chains>, queue: Arc<Mutex<VecDeque<Window>>>, sender: Sender) {
    let mut decoder = chains.plan.projection.decoder();
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some(window) = next else { return };
        match chains.run(&window, decoder, &sender).await {
            Ok(Some(used)) => decoder = used,
            // The reader is gone, or has enough rows.
            Ok(None) => return,
            Err(error) => {
                // The query fails, so the remaining windows are not needed.
                queue.lock().unwrap_or_else(PoisonError::into_inner).clear();
                sender.send(Err(error)).await.ok();
                return;
            }
        }
    }
}
