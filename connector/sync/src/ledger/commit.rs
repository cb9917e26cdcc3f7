//! Commits.
//!
//! In: the lease under which, and what is changed of the newest version. Out: one commit upon exactly that version. When another came
//! first, it is looked at anew: so what was read is what is replaced. Each commit carries Delta's application transaction
//! `clevertap-sync:<sync>` with the lease's number; where the table has a greater one, the lease was taken over, and nothing is committed.

use std::sync::Arc;
use std::time::Duration;

use deltalake_core::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake_core::kernel::{Action, Transaction};
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use uuid::Uuid;

use super::fault::{Doing, damaged, is_conflict, of_log};
use super::lease::LeaseState;
use super::log::{Version, make};
use super::place::Place;
use super::schema::{SYNC, Table};
use super::store::{Created, LOG_FOLDER, LedgerStore};
use crate::error::{Error, Result};

/// Commits of others that came first. Each is another sync's, of which few end in the same instant.
const CONFLICTS_MAX: u32 = 100;
/// Of a store that answered with an error, or not.
const FAULTS_MAX: u32 = 4;

/// Under which lease it is committed.
#[derive(Debug, Clone)]
pub(super) struct Fence {
    pub(super) sync: String,
    pub(super) number: u64,
    /// `None` where the lease is being taken.
    pub(super) lease: Option<Arc<LeaseState>>,
}

impl Fence {
    pub(super) fn app_id(&self) -> String {
        app_id(&self.sync)
    }

    /// # Errors
    /// [`Error::Held`] if the lease is known to be lost.
    pub(super) fn check(&self) -> Result<()> {
        self.lease.as_ref().map_or(Ok(()), |lease| lease.check())
    }
}

/// The name of a sync's transactions.
pub(super) fn app_id(sync: &str) -> String {
    format!("clevertap-sync:{sync}")
}

/// What a commit is called in the history of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Append,
    Replace,
    Compact,
}

impl Operation {
    fn of(self, sync: &str) -> DeltaOperation {
        let predicate = Some(format!("{SYNC} = '{sync}'"));
        match self {
            Self::Append => DeltaOperation::Write { mode: SaveMode::Append, partition_by: Some(vec![SYNC.into()]), predicate: None },
            Self::Replace => DeltaOperation::Write { mode: SaveMode::Overwrite, partition_by: Some(vec![SYNC.into()]), predicate },
            Self::Compact => DeltaOperation::Optimize { predicate, target_size: 0 },
        }
    }
}

/// One commit, and the tries at it.
///
/// ```text
/// while let Some(version) = commit.next().await? {
///     commit.make(&version, actions(&version)).await?;
/// }
/// ```
#[derive(Debug)]
pub(super) struct Commit<'a> {
    place: &'a Place,
    table: Table,
    fence: Fence,
    operation: Operation,
    store: Arc<LedgerStore>,
    conflicts: u32,
    faults: u32,
    is_made: bool,
}

impl<'a> Commit<'a> {
    pub(super) fn new(place: &'a Place, table: Table, fence: Fence, operation: Operation) -> Self {
        Self { place, table, fence, operation, store: LedgerStore::new(place), conflicts: 0, faults: 0, is_made: false }
    }

    /// The version to commit upon, which is made if there is none; `None` once the commit is made. A commit whose answer was lost may be in it.
    ///
    /// # Errors
    /// [`Error::Held`] if the lease was taken over; [`Error::Storage`]; [`Error::Ledger`].
    pub(super) async fn next(&mut self) -> Result<Option<Version>> {
        if self.is_made {
            return Ok(None);
        }
        self.fence.check()?;
        self.store = LedgerStore::new(self.place);
        let version = match Version::newest(self.place, self.table, Arc::clone(&self.store)).await? {
            Some(version) => version,
            None => {
                make(self.place, self.table, Arc::clone(&self.store)).await?;
                let made = Version::newest(self.place, self.table, Arc::clone(&self.store)).await?;
                made.ok_or_else(|| {
                    damaged(self.place, &format!("{}/{LOG_FOLDER}/", self.table.folder()), "went away while it was written")
                })?
            }
        };
        if let Some(number) = version.lease_of(self.place, &self.fence.app_id()).await?
            && u64::try_from(number).unwrap_or_default() > self.fence.number
        {
            if let Some(lease) = &self.fence.lease {
                lease.lose();
            }
            return Err(taken_over(self.place, &self.fence, number));
        }
        Ok(Some(version))
    }

    /// Tries to commit; whether it did, [`next`](Self::next) says.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Ledger`].
    pub(super) async fn make(&mut self, version: &Version, actions: Vec<Action>) -> Result<()> {
        let number = i64::try_from(self.fence.number).unwrap_or(i64::MAX);
        let transaction = Transaction::new_with_last_update(self.fence.app_id(), number, Some(chrono::Utc::now().timestamp_millis()));
        let properties = CommitProperties::default().with_application_transaction(transaction).with_max_retries(0);
        let commit = CommitBuilder::from(properties).with_actions(actions);
        let commit = commit.build(Some(version.state.snapshot()), Arc::clone(&version.log), self.operation.of(&self.fence.sync));
        let Err(error) = commit.await else {
            self.is_made = true;
            return Ok(());
        };
        let table = self.table.folder();
        match self.store.created() {
            Created::Yes => {
                // What comes behind a commit, a checkpoint, is done by the next writer.
                tracing::warn!(table, "a commit is made, and what tidies up the log behind it was not done: {error}");
                self.is_made = true;
            }
            _ if is_conflict(&error) => {
                self.conflicts += 1;
                if self.conflicts >= CONFLICTS_MAX {
                    return Err(Error::Storage(format!(
                        "the ledger {}: {CONFLICTS_MAX} commits of other syncs came first in {table}/; run fewer syncs at once, and this one again",
                        self.place.shown()
                    )));
                }
                pause(Duration::from_millis(10), self.conflicts.min(20)).await;
            }
            // If it is there after all, the next version has it; if it comes later still, the same rows are there twice, and count once.
            _ => {
                self.faults += 1;
                if self.faults >= FAULTS_MAX {
                    return Err(of_log(self.place, table, Doing::Writing, &error));
                }
                pause(Duration::from_millis(200), self.faults).await;
            }
        }
        Ok(())
    }
}

/// Waits for between half and all of `step`, `times` times.
pub(crate) async fn pause(step: Duration, times: u32) {
    let share = 0.5 + f64::from(Uuid::new_v4().as_u64_pair().0 as u16) / f64::from(u16::MAX) / 2.0;
    tokio::time::sleep((step * times).mul_f64(share)).await;
}

fn taken_over(place: &Place, fence: &Fence, number: i64) -> Error {
    Error::Held(format!(
        "the ledger {}: sync {} was taken over by another run (lease {number}, this one has {}); what was not committed is sent by that one, so \
         end this run",
        place.shown(),
        fence.sync,
        fence.number
    ))
}
