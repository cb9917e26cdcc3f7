//! What is done with a sync besides running it.
//!
//! In: names. Out: a ledger that is another one; nothing of it asks CleverTap.

use super::Syncs;
use crate::definition::Definition;
use crate::error::Result;
use crate::ledger::{Compacted, DeadLetter, Force, Forgotten, Ledger, Vacuumed};
use crate::outward;
use crate::report::{Preview, RunReport};

impl Syncs {
    /// What runs did, of one sync or of all: the newest first.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn history(&self, sync: Option<&str>) -> Result<Vec<RunReport>> {
        self.ledger.runs(sync).await
    }

    /// The rows of a sync that were rejected.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn failed(&self, sync: &str) -> Result<Vec<DeadLetter>> {
        self.ledger.dead_letters(sync).await
    }

    /// The first rows of a source, and what each of them would send. Sends nothing, and writes nothing.
    ///
    /// # Errors
    /// [`Error::Definition`](crate::Error::Definition), or the query's.
    pub async fn preview(&self, definition: &Definition, rows: usize) -> Result<Preview> {
        if outward::goes_out(&self.ctx, definition).await {
            return outward::preview(&self.ctx, &self.ledger, definition, rows).await;
        }
        super::preview::preview(&self.ctx, definition, rows).await
    }

    /// Remembers all rows of the source as they are now as sent, and sends nothing: for people who are in CleverTap already. Returns how many.
    ///
    /// # Errors
    /// As of [`run`](Self::run).
    pub async fn baseline(&self, definition: &Definition) -> Result<u64> {
        super::baseline::baseline(&self.ctx, &self.ledger, definition).await
    }

    /// Forgets what a sync sent, its dead letters and its cursor: its next run sends all rows. Its runs stay.
    ///
    /// # Errors
    /// [`Error::Held`](crate::Error::Held) while it is run; the ledger's.
    pub async fn reset(&self, sync: &str) -> Result<()> {
        self.ledger
            .under_lease(sync, async |lease| {
                self.ledger.reset(lease).await?;
                outward::forget_cursor(&self.ledger, lease).await
            })
            .await
    }

    /// From now on the sync is not run, on any machine.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn pause(&self, sync: &str) -> Result<()> {
        self.ledger.set_paused(sync, true).await
    }

    /// It is run again.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn resume(&self, sync: &str) -> Result<()> {
        self.ledger.set_paused(sync, false).await
    }

    /// Writes the rows of a sync again, each key once, and removes files that nobody needs. A run does so at its end, when it pays.
    ///
    /// # Errors
    /// [`Error::Held`](crate::Error::Held) while it is run; the ledger's.
    pub async fn compact(&self, sync: &str) -> Result<(Compacted, Vacuumed)> {
        self.ledger
            .under_lease(sync, async |lease| {
                let compacted = self.ledger.compact(lease, Force::Always).await?;
                Ok((compacted, self.ledger.vacuum(lease, Ledger::RETENTION).await?))
            })
            .await
    }

    /// Forgets people by their identifiers: rows whose key is one, or has one among its columns, and dead letters whose record has one. A key that
    /// says nothing of a person, such as an event's number, is not found: such a row holds nothing of the person but that number and hashes.
    ///
    /// # Errors
    /// The ledger's: what was forgotten by then stays forgotten, and asking again does the rest.
    pub async fn forget(&self, identifiers: &[String]) -> Result<Forgotten> {
        super::forget::forget(&self.ledger, identifiers).await
    }
}
