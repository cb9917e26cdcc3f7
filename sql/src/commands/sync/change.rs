//! What changes the ledger, and sends nothing: `sync reset`, `baseline`, `pause`, `resume`, `compact`, `forget`.
//!
//! In: names, keys of people. Out: one line on stdout that says what was done.

use super::{SyncWork, forgotten, watched::Watched};
use crate::failure::{Completion, Failure, Result};

impl SyncWork<'_> {
    /// Forgets what a sync sent.
    ///
    /// # Errors
    /// [`Failure::Usage`] for a name that nobody knows; the ledger's.
    pub(super) async fn reset(&mut self, name: &str) -> Result<Completion> {
        self.prove_name(name).await?;
        let syncs = self.syncs.clone();
        self.read(syncs.reset(name)).await?;
        self.done(&format!("{name}: what it sent and its failed rows are forgotten, and its next run sends all rows; its history stays"))
    }

    /// Remembers all rows of a source as sent.
    ///
    /// # Errors
    /// The sync's; a signal.
    pub(super) async fn baseline(&mut self, name: &str) -> Result<Completion> {
        let (definition, syncs) = (self.definition(name)?, self.syncs.clone());
        let of = definition.clone();
        let Watched { result, .. } = self.watch(None, async move { Box::pin(syncs.baseline(&of)).await }).await?;
        let rows = result.map_err(|error| self.session.failure_of_sync(&definition, &error))?;
        self.done(&format!(
            "{name}: {rows} rows are remembered as sent, and nothing was sent; its next run sends what changes from here on"
        ))
    }

    /// Has a sync not run.
    ///
    /// # Errors
    /// [`Failure::Usage`] for a name that nobody knows; the ledger's.
    pub(super) async fn pause(&mut self, name: &str) -> Result<Completion> {
        self.prove_name(name).await?;
        let syncs = self.syncs.clone();
        self.read(syncs.pause(name)).await?;
        self.done(&format!("{name} is paused, on every machine; clevertap-sql sync resume {name} has it run again"))
    }

    /// Has a sync run again.
    ///
    /// # Errors
    /// [`Failure::Usage`] for a name that nobody knows; [`Failure::Failed`] where the configuration pauses it; the ledger's.
    pub(super) async fn resume(&mut self, name: &str) -> Result<Completion> {
        self.prove_name(name).await?;
        let syncs = self.syncs.clone();
        self.read(syncs.resume(name)).await?;
        if let Some(sync) = self.configured.iter().find(|sync| sync.definition.name == name && sync.definition.paused) {
            let at = sync.described.iter().find(|(key, _)| key == "paused").map_or(&sync.at, |(_, value)| &value.from);
            return Err(Failure::Failed(format!("{name} is paused by its definition too ({at}): take paused = true out of it")));
        }
        self.done(&format!("{name} is run again"))
    }

    /// Writes what is remembered of a sync in few files.
    ///
    /// # Errors
    /// [`Failure::Usage`] for a name that nobody knows; the ledger's.
    pub(super) async fn compact(&mut self, name: &str) -> Result<Completion> {
        self.prove_name(name).await?;
        let syncs = self.syncs.clone();
        let (compacted, vacuumed) = self.read(syncs.compact(name)).await?;
        self.done(&format!(
            "{name}: {} rows in {} files became {}; {} files of {} bytes that nobody needs were removed",
            compacted.before, compacted.files, compacted.after, vacuumed.files, vacuumed.bytes
        ))
    }

    /// Forgets people in what all syncs remember.
    ///
    /// # Errors
    /// [`Failure::Failed`] if a sync is run at this moment, and keeps what it has of them; the ledger's.
    pub(super) async fn forget(&mut self, identities: &[String]) -> Result<Completion> {
        let syncs = self.syncs.clone();
        let forgotten = self.read(syncs.forget(identities)).await?;
        self.done(&forgotten::counts(&forgotten))?;
        if let Some(until) = forgotten::until(&forgotten) {
            self.console.say(&until);
        }
        match forgotten::held(&forgotten) {
            Some(held) => Err(Failure::Failed(format!("{held}; run the same command again when they have ended"))),
            None => Ok(Completion::Done),
        }
    }

    fn done(&mut self, line: &str) -> Result<Completion> {
        self.output.say(format_args!("{line}"))?;
        Ok(Completion::Done)
    }
}
