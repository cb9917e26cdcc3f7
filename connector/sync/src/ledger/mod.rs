//! What syncs remember: Delta Lake tables, leases, what is in flight.
//!
//! In: what a run sent, under its lease. Out: what was sent, for the next run, and for Spark, Trino, DuckDB and others that read Delta tables.
//!
//! ```text
//! <state>/clevertap-sync.json                {"format":1}; a newer one is refused
//! <state>/rows/sync=<sync>/                  Delta: what was sent; of a key the greatest seq counts
//! <state>/runs/sync=<sync>/                  Delta: a row at a run's start, one at its end; of a run_id the greatest seq counts
//! <state>/dead_letters/sync=<sync>/          Delta: what was refused
//! <state>/in_flight/<sync>/<run>/<n>.parquet what may have left; <n>.done once every row has its fate
//! <state>/leases/<sync>/<n>.json             who runs it
//! <state>/paused/<sync>.json                 it is not run
//! ```
//!
//! | room | holds |
//! |---|---|
//! | `place`, `store`, `fault` | a folder of a store; what a disk must have, and lost answers; errors in words |
//! | `schema`, `log`, `files`, `commit` | columns; which files a table has; Parquet; a commit under a lease |
//! | `lease`, `holder`, `clock` | one run of a sync at a time, across machines |
//! | `rows`, `runs`, `dead_letters`, `in_flight`, `paused` | what is remembered |
//! | `compact`, `vacuum`, `forget` | fewer files; none that nobody needs; no trace of a person |
//! | `tables` | all of it for SQL |
//!
//! A commit is made upon the version that was looked at, and when another came first, that is looked at anew: the library's own checks, which let a compaction pass a replace, are not needed. No value of a person stands in a log: of a file's statistics
//! there are its rows and its greatest `seq`.
//!
//! What is not found: a byte that changed within a page of Parquet and still decodes. Files carry no checksum.

mod clock;
mod commit;
mod compact;
mod dead_letters;
mod fault;
mod files;
mod forget;
mod holder;
mod in_flight;
mod lease;
mod log;
mod paused;
mod place;
mod rows;
mod runs;
mod schema;
mod store;
mod tables;
#[cfg(test)]
mod tests;
mod vacuum;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::catalog::Session;
use datafusion::execution::config::SessionConfig;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::prelude::SessionContext;
use object_store::{ObjectStore, ObjectStoreExt, PutMode};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

pub use clock::Clock;
pub use compact::{Compacted, Force};
pub use dead_letters::DeadLetter;
pub use forget::Forgotten;
pub use holder::Holder;
pub use in_flight::{Chunk, Exception, InFlight, Leftover, Settled};
pub use lease::Lease;
pub use rows::{LedgerRows, RowFate};
pub use vacuum::Vacuumed;

// What a target of a sync out of CleverTap is written with, too.
pub(crate) use commit::pause;
pub(crate) use fault::{cause_of, innermost, is_conflict};
pub(crate) use place::{Place, cut};
pub(crate) use store::{Created, LOG_FOLDER, LedgerStore};

use self::fault::{Doing, damaged, no_conditional_writes, of_store};
use self::files::read_bytes;
pub use crate::error::error_of;
use crate::error::{Error, Result};

/// The format that this version reads and writes.
const FORMAT: u64 = 1;
const FORMAT_FILE: &str = "clevertap-sync.json";

#[derive(Debug, Serialize, Deserialize)]
struct Format {
    format: u64,
}

/// What syncs remember, in one folder or bucket. Clones share it.
#[derive(Debug, Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
    clock: Clock,
}

#[derive(Debug)]
struct Inner {
    place: Place,
    runtime: Arc<RuntimeEnv>,
    config: SessionConfig,
    /// The format file is there, and the store keeps conditions.
    begun: OnceCell<()>,
}

impl Ledger {
    /// Opens the ledger in a folder: a path, or a URL of a store that the session has. Nothing is made until the first write.
    ///
    /// ```no_run
    /// # use datafusion::prelude::SessionContext;
    /// # use datafusion_clevertap_sync::ledger::{Holder, Ledger};
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let ctx = SessionContext::new();
    /// let ledger = Ledger::open("/var/lib/acme/clevertap/", &ctx.state()).await?;
    /// let lease = ledger.acquire("buyers", Holder::current()).await?;
    /// lease.release().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Ledger`] if it is of a newer version; [`Error::Storage`].
    pub async fn open(location: &str, session: &dyn Session) -> Result<Self> {
        let place = Place::new(location, session)?;
        let (runtime, config) = (Arc::clone(session.runtime_env()), session.config().clone());
        let ledger = Self { inner: Arc::new(Inner { place, runtime, config, begun: OnceCell::new() }), clock: Clock::default() };
        ledger.format().await?;
        Ok(ledger)
    }

    /// The same ledger by another clock: leases expire by it.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// Where it is, for messages.
    #[must_use]
    pub fn shown(&self) -> String {
        self.place().shown()
    }

    fn place(&self) -> &Place {
        &self.inner.place
    }

    fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// A session with the memory and disks of the one that the ledger was opened in.
    fn session(&self) -> SessionContext {
        SessionContext::new_with_config_rt(self.inner.config.clone(), Arc::clone(&self.inner.runtime))
    }

    /// Whether the format file is there.
    async fn format(&self) -> Result<bool> {
        let Some(bytes) = read_bytes(self.place(), FORMAT_FILE).await? else { return Ok(false) };
        match serde_json::from_slice::<Format>(&bytes) {
            Ok(Format { format }) if format > FORMAT => Err(Error::Ledger(format!(
                "the ledger {} is of format {format}, which a newer version of clevertap-sync wrote; this one reads format {FORMAT}. Nothing was \
                 changed; run the newer version",
                self.shown()
            ))),
            Ok(_) => Ok(true),
            Err(_) => Err(damaged(self.place(), FORMAT_FILE, "is damaged; it says {\"format\":1}")),
        }
    }

    /// Before the first write: the format file, and whether the store keeps conditions.
    async fn begin(&self) -> Result<()> {
        let begin = async {
            if self.format().await? {
                return Ok(());
            }
            let store = LedgerStore::new(self.place());
            let path = self.place().path(FORMAT_FILE);
            let create = async || store.put_opts(&path, format!("{{\"format\":{FORMAT}}}").into(), PutMode::Create.into()).await;
            use object_store::Error as Store;
            match create().await {
                Ok(_) | Err(Store::AlreadyExists { .. } | Store::Precondition { .. }) => {}
                Err(Store::NotImplemented { .. } | Store::NotSupported { .. }) => return Err(no_conditional_writes(self.place(), "")),
                Err(error) => return Err(of_store(self.place(), FORMAT_FILE, Doing::Writing, &error)),
            }
            // Some servers answer a condition with "done", and overwrite: two runs would both have the lease.
            let other = self.inner.place.session_store().put_opts(&path, "{\"format\":1} ".into(), PutMode::Create.into()).await;
            match other {
                Err(Store::AlreadyExists { .. } | Store::Precondition { .. }) => Ok(()),
                Ok(_) => {
                    store.delete(&path).await.map_err(|error| of_store(self.place(), FORMAT_FILE, Doing::Writing, &error))?;
                    Err(no_conditional_writes(self.place(), ": it overwrote one"))
                }
                Err(error) => Err(of_store(self.place(), FORMAT_FILE, Doing::Writing, &error)),
            }
        };
        self.inner.begun.get_or_try_init(|| begin).await.map(drop)
    }
}
