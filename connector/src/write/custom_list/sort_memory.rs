//! Bounds the memory of sorting list members, so that a load of any size needs the same. A session pool often has no bound, and the
//! sort would then keep everything in memory and never spill.
//!
//! In: a task context. Out: one for the sort, with memory that counts in the pool of the session and never exceeds
//! [`SORT_BYTES_MAX`]; and for the plan below the sort, the original pool again.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};
use datafusion::execution::runtime_env::RuntimeEnv;

/// Memory of the sort: it spills beyond, and merges with the 10 MB that DataFusion reserves for that.
const SORT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A bounded part of another pool.
#[derive(Debug)]
struct SortMemory {
    pool: Arc<dyn MemoryPool>,
    used: AtomicUsize,
}

/// The task context for the sort.
pub(super) fn bounded(task: &TaskContext) -> Arc<TaskContext> {
    let pool = Arc::clone(task.memory_pool());
    Arc::new(with_pool(task, Arc::new(SortMemory { pool, used: AtomicUsize::new(0) })))
}

/// The task context for the input of the sort.
pub(super) fn unbounded(task: Arc<TaskContext>) -> Arc<TaskContext> {
    match task.memory_pool().downcast_ref::<SortMemory>().map(|sort| Arc::clone(&sort.pool)) {
        Some(pool) => Arc::new(with_pool(&task, pool)),
        None => task,
    }
}

fn with_pool(task: &TaskContext, memory_pool: Arc<dyn MemoryPool>) -> TaskContext {
    TaskContext::new(
        task.task_id(),
        task.session_id(),
        task.session_config().clone(),
        task.scalar_functions().clone(),
        task.higher_order_functions().clone(),
        task.aggregate_functions().clone(),
        task.window_functions().clone(),
        Arc::new(RuntimeEnv { memory_pool, ..RuntimeEnv::clone(&task.runtime_env()) }),
    )
}

impl fmt::Display for SortMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({SORT_BYTES_MAX})", self.name())
    }
}

impl MemoryPool for SortMemory {
    fn name(&self) -> &'static str {
        "SortMemory"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.pool.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.pool.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.used.fetch_add(additional, Ordering::Relaxed);
        self.pool.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.used.fetch_sub(shrink, Ordering::Relaxed);
        self.pool.shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let more = |used: usize| used.checked_add(additional).filter(|used| *used <= SORT_BYTES_MAX);
        if self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_err() {
            return Err(DataFusionError::ResourcesExhausted(format!("sorting the members of lists takes {SORT_BYTES_MAX} bytes at most")));
        }
        self.pool.try_grow(reservation, additional).inspect_err(|_| {
            self.used.fetch_sub(additional, Ordering::Relaxed);
        })
    }

    fn reserved(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(SORT_BYTES_MAX)
    }
}
