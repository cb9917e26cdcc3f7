//! Reserves pages in the query's memory pool, so that a full pool slows a read down instead of failing it.
//!
//! In: the size of a received page. Out: a guard for its memory, which is released after its batch has been read. If the pool is full, a
//! page waits until another page of this read is released. If there is no other, waiting would never end, so that is an error.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::error::Result;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use tokio::sync::Notify;

/// The memory of one read.
#[derive(Debug)]
pub(crate) struct ReadMemory {
    reservation: MemoryReservation,
    guards: AtomicUsize,
    freed: Notify,
}

/// A reservation of `bytes`, released on drop.
#[derive(Debug)]
pub(crate) struct MemoryGuard {
    memory: Arc<ReadMemory>,
    bytes: usize,
}

impl ReadMemory {
    pub(crate) fn of(pool: &Arc<dyn MemoryPool>) -> Arc<Self> {
        let reservation = MemoryConsumer::new("ScanExec").register(pool);
        Arc::new(Self { reservation, guards: AtomicUsize::new(0), freed: Notify::new() })
    }

    /// Reserves memory, waiting for it if necessary.
    ///
    /// # Errors
    /// The pool's error, if this read holds no other memory that it could wait for.
    pub(crate) async fn reserve(self: &Arc<Self>, bytes: usize) -> Result<MemoryGuard> {
        loop {
            let mut freed = pin!(self.freed.notified());
            // Enabled before the check below, so that no release is missed.
            freed.as_mut().enable();
            let guards = self.guards.load(Ordering::SeqCst);
            match self.reservation.try_grow(bytes) {
                Ok(()) => {
                    self.guards.fetch_add(1, Ordering::SeqCst);
                    return Ok(MemoryGuard { memory: Arc::clone(self), bytes });
                }
                Err(error) if guards == 0 => return Err(error),
                Err(_) => freed.await,
            }
        }
    }
}

impl Drop for MemoryGuard {
    fn drop(&mut self) {
        self.memory.reservation.shrink(self.bytes);
        self.memory.guards.fetch_sub(1, Ordering::SeqCst);
        self.memory.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use datafusion::execution::memory_pool::GreedyMemoryPool;
    use futures::FutureExt;

    use super::*;

    #[test]
    fn a_page_waits_for_another_to_be_released_and_fails_only_if_there_is_none() {
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(100));
        let memory = ReadMemory::of(&pool);
        assert!(memory.reserve(101).now_or_never().is_some_and(|guard| guard.is_err()));
        let first = memory.reserve(80).now_or_never().unwrap().unwrap();
        let mut second = Box::pin(memory.reserve(30));
        assert!((&mut second).now_or_never().is_none());
        drop(first);
        assert!(second.now_or_never().is_some_and(|guard| guard.is_ok()));
        assert_eq!(pool.reserved(), 0);
    }
}
