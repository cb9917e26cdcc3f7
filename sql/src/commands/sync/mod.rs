//! `clevertap-sql sync`: the syncs of `clevertap.toml`.
//!
//! In: names of `[syncs.NAME]`. Out: what changed, what was sent, what is remembered; with `--json` one object a line. A sync is planned in the
//! session that a script has.
//!
//! ```text
//! flags ─▶ SyncWork ─┬─▶ look    list, check, plan, preview, history, failed
//!   (session, ledger) ├─▶ run     run, retry: one after the other, as `after` says; watched: signals, progress
//!                     └─▶ change  reset, baseline, pause, resume, compact, forget
//!                            lines: what is printed                forgotten: what erase says, too
//! ```

mod change;
mod flags;
pub(crate) mod forgotten;
mod lines;
mod look;
mod run;
#[cfg(test)]
mod tests;
mod watched;

use std::collections::BTreeSet;

use chrono_tz::Tz;

pub(crate) use self::flags::SyncFlags;
use self::flags::{PlanFlags, RunFlags, SyncCommand};
use crate::{
    config::{Config, ConfiguredSync},
    engine::{session::Session, syncs::sync_failure},
    failure::{Completion, Failure, Result},
    nearest::nearest,
    terminal::{console::Console, interrupt::Interrupts, output::Output},
};
use datafusion_clevertap_sync::{Definition, Error, Syncs};

/// What the commands have.
struct SyncWork<'a> {
    session: Session,
    syncs: Syncs,
    /// As they are planned.
    definitions: Vec<Definition>,
    configured: Vec<ConfiguredSync>,
    /// Of days in flags.
    time_zone: Tz,
    output: Output,
    console: &'a mut Console,
    interrupts: Interrupts,
}

/// Does what the flags say.
///
/// # Errors
/// [`Failure::Usage`] for a name that no sync has; those of the syncs and of their ledger.
pub(crate) async fn sync(
    flags: SyncFlags,
    mut config: Config,
    output: Output,
    console: &mut Console,
    mut interrupts: Interrupts,
) -> Result<Completion> {
    let Some(state) = config.state.as_ref().map(|state| state.value.clone()) else {
        let remedy = "say state = \"/var/lib/clevertap\" in clevertap.toml, a folder or a bucket";
        return Err(Failure::Usage(format!("syncs remember what they sent, and there is no home to keep it in; {remedy}")));
    };
    if let Some(changes) = flags.command.changes_ledger().filter(|_| config.read_only) {
        return Err(Failure::Usage(format!("--read-only refuses sync {changes}, which changes what syncs remember")));
    }
    let configured = std::mem::take(&mut config.syncs);
    let time_zone = config.accounts.time_zone.unwrap_or(Tz::UTC);
    let session = Session::with(config, None)?;
    let syncs = interrupts.or(session.syncs(&state)).await??;
    let definitions = configured.iter().map(|sync| session.prepare(&sync.definition)).collect();
    let mut work = SyncWork { session, syncs, definitions, configured, time_zone, output, console, interrupts };
    let done = work.dispatch(flags.command).await;
    let SyncWork { output, .. } = work;
    output.close(done.is_err())?;
    done
}

impl SyncWork<'_> {
    async fn dispatch(&mut self, command: SyncCommand) -> Result<Completion> {
        match command {
            SyncCommand::List(flags) => self.list(flags.json).await,
            SyncCommand::Check { names } => self.check(&names).await,
            SyncCommand::Plan(PlanFlags { name, moved, json }) => self.plan(&name, &moved, json).await,
            SyncCommand::Run(RunFlags { names, moved, dry_run, json }) => self.run(&names, &moved, dry_run, json).await,
            SyncCommand::Preview { name, rows, json } => self.preview(&name, rows, json).await,
            SyncCommand::History { name, last, json } => self.history(name.as_deref(), last, json).await,
            SyncCommand::Failed { name, json } => self.failed(&name, json).await,
            SyncCommand::Retry { name, json } => self.retry(&name, json).await,
            SyncCommand::Reset { name } => self.reset(&name).await,
            SyncCommand::Baseline { name } => self.baseline(&name).await,
            SyncCommand::Pause { name } => self.pause(&name).await,
            SyncCommand::Resume { name } => self.resume(&name).await,
            SyncCommand::Compact { name } => self.compact(&name).await,
            SyncCommand::Forget { identities } => self.forget(&identities).await,
        }
    }

    /// The sync of this name.
    ///
    /// # Errors
    /// [`Failure::Usage`] with the names that there are.
    fn definition(&self, name: &str) -> Result<Definition> {
        let found = self.definitions.iter().find(|definition| definition.name == name);
        found.cloned().ok_or_else(|| no_sync(name, self.definitions.iter().map(|definition| definition.name.as_str())))
    }

    /// Proves that a name is one of the configuration, or of the ledger, which may know a sync that is defined no more.
    ///
    /// # Errors
    /// [`Failure::Usage`] with the names that there are; the ledger's.
    async fn prove_name(&mut self, name: &str) -> Result<()> {
        if self.definitions.iter().any(|definition| definition.name == name) {
            return Ok(());
        }
        let mut names: BTreeSet<String> = self.read(self.syncs.clone().known()).await?;
        if names.contains(name) {
            return Ok(());
        }
        names.extend(self.definitions.iter().map(|definition| definition.name.clone()));
        Err(no_sync(name, names.iter().map(String::as_str)))
    }

    /// Waits for what sends nothing: a signal drops it.
    ///
    /// # Errors
    /// A signal; the ledger's.
    async fn read<T>(&mut self, reading: impl Future<Output = Result<T, Error>>) -> Result<T> {
        self.interrupts.or(reading).await?.map_err(|error| sync_failure(&error))
    }
}

/// Names that the ledger has.
trait Known {
    /// Those of rows, dead letters and runs.
    async fn known(self) -> Result<BTreeSet<String>, Error>;
}

impl Known for Syncs {
    async fn known(self) -> Result<BTreeSet<String>, Error> {
        let mut names = self.ledger().syncs().await?;
        names.extend(self.history(None).await?.into_iter().map(|run| run.sync));
        Ok(names)
    }
}

fn no_sync<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Failure {
    let names: Vec<&str> = names.collect();
    let hint = match nearest(name, names.iter().copied()) {
        Some(nearest) => format!("did you mean {nearest}?"),
        None if names.is_empty() => format!("there are none; [syncs.{name}] in clevertap.toml defines one"),
        None => format!("there are {}", names.join(", ")),
    };
    Failure::Usage(format!("no sync has the name \"{name}\"; {hint}"))
}
