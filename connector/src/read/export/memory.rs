//! What pages take of the query's memory, so that a full pool slows a read down instead of ending it.
//!
//! In: the bytes of a page that came. Out: a hold on as many, given back when its batch has been taken. Where the pool has no
//! room, a page waits for another one of this read to go; only where there is no other is that an error.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::error::Result;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use tokio::sync::Notify;

/// The share of one read.
#[derive(Debug)]
pub(crate) struct ReadMemory {
    reservation: MemoryReservation,
    holds: AtomicUsize,
    freed: Notify,
}

/// So many bytes, until it is dropped.
#[derive(Debug)]
pub(crate) struct MemoryGuard {
    memory: Arc<ReadMemory>,
    bytes: usize,
}

impl ReadMemory {
    /// Nothing of this pool yet.
    pub(crate) fn of(pool: &Arc<dyn MemoryPool>) -> Arc<Self> {
        let reservation = MemoryConsumer::new("ScanExec").register(pool);
        Arc::new(Self { reservation, holds: AtomicUsize::new(0), freed: Notify::new() })
    }

    /// So many bytes, when they are there.
    ///
    /// # Errors
    /// The pool's, where nothing of this read can go.
    pub(crate) async fn hold(self: &Arc<Self>, bytes: usize) -> Result<MemoryGuard> {
        loop {
            let mut freed = pin!(self.freed.notified());
            // From here on no release is missed.
            freed.as_mut().enable();
            let others = self.holds.load(Ordering::SeqCst);
            match self.reservation.try_grow(bytes) {
                Ok(()) => {
                    self.holds.fetch_add(1, Ordering::SeqCst);
                    return Ok(MemoryGuard { memory: Arc::clone(self), bytes });
                }
                Err(error) if others == 0 => return Err(error),
                Err(_) => freed.await,
            }
        }
    }
}

impl Drop for MemoryGuard {
    fn drop(&mut self) {
        self.memory.reservation.shrink(self.bytes);
        self.memory.holds.fetch_sub(1, Ordering::SeqCst);
        self.memory.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use datafusion::execution::memory_pool::GreedyMemoryPool;
    use futures::FutureExt;

    use super::*;

    #[test]
    fn a_page_waits_for_another_to_go_and_fails_only_where_there_is_none() {
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(100));
        let memory = ReadMemory::of(&pool);
        assert!(memory.hold(101).now_or_never().is_some_and(|held| held.is_err()));
        let first = memory.hold(80).now_or_never().unwrap().unwrap();
        let mut second = Box::pin(memory.hold(30));
        assert!((&mut second).now_or_never().is_none());
        drop(first);
        assert!(second.now_or_never().is_some_and(|held| held.is_ok()));
        assert_eq!(pool.reserved(), 0);
    }
}
