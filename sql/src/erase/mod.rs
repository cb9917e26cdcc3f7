//! `clevertap-sql erase`: people are erased from CleverTap, and what came of it is known.
//!
//! In: keys of people, from flags or a file. Out: a state for each, in a log that outlives the process. CleverTap takes a deletion
//! and carries it out within a day, and nobody tells when: a look-up does.
//!
//! ```text
//! flags ─┬─▶ file  keys ─▶ look up ─▶ ask: log the intent, DELETE, log the answer ─▶ wait: look up now and then ─▶ shown
//!        └─▶ status ─────▶ look up ──────────────────────────────────────────────────────────────────────────────▶ shown
//!                           log ─▶ place (a folder or a bucket)
//! ```
//!
//! The same command may be run again at any time: whoever was asked for and is there is asked for once in [`log::OPEN_FOR`],
//! whoever is gone stays gone, and what is in doubt or did not arrive is asked for anew.

mod ask;
mod file;
mod log;
mod place;
mod shown;
#[cfg(test)]
mod tests;
mod wait;

use std::collections::BTreeSet;

use rand::{SeedableRng, rngs::StdRng};

use crate::{
    failure::{Ended, Failure, Result},
    interrupt::Interrupts,
    output::More,
    people::{Key, Named},
    progress::Console,
    session::Session,
};
use datafusion_clevertap::{Access, Account, Options};
use log::{Log, State};
use place::Place;
use shown::ShownFlags;

/// Flags of the command.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Needs --allow-erase. States: not found, requested, gone, still there (two days later); in doubt, unsent, rejected: \
                        run the same command again."
)]
pub(crate) struct EraseFlags {
    #[command(flatten)]
    named: Named,

    /// Everybody in this file (CSV, NDJSON, Parquet; a path or a URL), by its columns identity, object_id, email: the first that a row has
    #[arg(long, value_name = "FILE", conflicts_with_all = ["identity", "email", "object_id"])]
    file: Option<String>,

    /// Wait until they are gone, for up to 48 hours; safe to stop and to run again
    #[arg(long)]
    wait: bool,

    /// People that one command may erase
    #[arg(long, value_name = "N", default_value_t = Options::default().delete_rows_max)]
    rows_max: u64,

    /// Where requests are kept: a folder or a bucket URL (or CLEVERTAP_ERASURE_LOG). Default: erasures/ in the user's configuration
    #[arg(long, value_name = "URL", global = true)]
    log: Option<String>,

    #[command(flatten)]
    shown: ShownFlags,

    #[command(subcommand)]
    command: Option<EraseCommand>,
}

#[derive(Debug, clap::Subcommand)]
enum EraseCommand {
    /// What became of the account's requests; looks up everybody who is waited for
    Status(StatusFlags),
}

#[derive(Debug, clap::Args)]
struct StatusFlags {
    /// Read the log alone, without a request
    #[arg(long)]
    offline: bool,

    #[command(flatten)]
    shown: ShownFlags,
}

/// Whether a person watches who can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Watched {
    /// At a terminal.
    ByAPerson,
    /// A script's --allow-erase is consent.
    ByNobody,
}

/// What everything here needs.
struct Erasing<'a> {
    session: Session,
    log: Log,
    console: &'a mut Console,
    interrupts: Interrupts,
    watched: Watched,
    /// Jitter, and who is looked at first.
    rng: StdRng,
}

/// Erases, or tells what became of it.
///
/// # Errors
/// [`Failure::Usage`] without a person or without the right to erase; [`Failure::Failed`] if somebody's request is in doubt, did not
/// arrive or was refused, or somebody is still there after `--wait`.
pub(crate) async fn erase(
    flags: &EraseFlags,
    account: Account,
    variable: impl Fn(&str) -> Option<String>,
    watched: Watched,
    console: &mut Console,
    interrupts: Interrupts,
) -> Result<Ended> {
    let place = Place::open(flags.log.as_deref(), variable)?;
    let named = flags.named.key();
    let says_whom = named.is_some() || flags.file.is_some();
    if let Some(EraseCommand::Status(status)) = &flags.command {
        if says_whom
            || flags.wait
            || flags.rows_max != Options::default().delete_rows_max
            || flags.shown.format.is_some()
            || flags.shown.output.is_some()
        {
            return Err(Failure::Usage("erase status takes --offline, --format and -o behind it, and tells of everybody".into()));
        }
        return Erasing::open(account, place, watched, console, interrupts).await?.status(status).await;
    }
    if !says_whom {
        return Err(Failure::Usage("erase needs one of --identity, --email, --object-id and --file, or the word status".into()));
    }
    if account.access() < Access::Erase {
        return Err(Failure::Usage("erase cannot be undone, and needs --allow-erase".into()));
    }
    let mut erasing = Erasing::open(account, place, watched, console, interrupts).await?;
    let keys = match (&flags.file, named) {
        (Some(path), _) => erasing.keys_of(path).await?,
        (None, key) => key.into_iter().collect(),
    };
    let shown = flags.shown.open()?;
    let asked = erasing.ask(&keys, flags.rows_max).await;
    let waited = match &asked {
        Ok(()) if flags.wait => erasing.wait(&keys).await,
        _ => Ok(()),
    };
    // What is known is told also where something failed.
    let told = shown.show(&erasing.log, keys.iter());
    asked.and(waited)?;
    erasing.tell(told?);
    erasing.verdict(&keys)
}

impl<'a> Erasing<'a> {
    async fn open(account: Account, place: Place, watched: Watched, console: &'a mut Console, interrupts: Interrupts) -> Result<Self> {
        let log = Log::open(place, &account).await?;
        let session = Session::of_text(account)?;
        Ok(Self { session, log, console, interrupts, watched, rng: StdRng::from_os_rng() })
    }

    async fn keys_of(&mut self, path: &str) -> Result<BTreeSet<Key>> {
        let read = self.interrupts.or(file::keys(&self.session, path)).await??;
        self.console.say(&format!("{} rows were read, {} different people in them", read.rows, read.keys.len()));
        if read.empty > 0 {
            self.console.say(&format!("{} rows name nobody: their identity, object_id and email are empty", read.empty));
        }
        let blanks = read.keys.iter().filter(|key| key.value.trim() != key.value).count();
        if blanks > 0 {
            self.console.say(&format!("{blanks} of them begin or end with a blank, and are looked up as they stand there"));
        }
        Ok(read.keys)
    }

    async fn status(mut self, flags: &StatusFlags) -> Result<Ended> {
        if !flags.offline {
            let open = self.log.requests().iter().filter(|(_, request)| request.state().is_open());
            let open: Vec<Key> = open.map(|(key, _)| key.clone()).collect();
            self.check(&open).await?;
        }
        let more = flags.shown.open()?.show(&self.log, self.log.requests().keys())?;
        self.tell(more);
        Ok(Ended::Done)
    }

    /// Says so where people were left out of what was shown.
    fn tell(&mut self, more: More) {
        if let Some(left_out) = more.left_out() {
            self.console.say(&left_out);
        }
    }

    /// How the command ends, by what the log says of `keys`.
    fn verdict(&mut self, keys: &BTreeSet<Key>) -> Result<Ended> {
        let count = |wanted: &[State]| keys.iter().filter(|key| self.log.state(key).is_some_and(|state| wanted.contains(&state))).count();
        let (waiting, overdue) = (count(&[State::Requested]), count(&[State::StillThere]));
        let open = count(&[State::InDoubt, State::Unsent, State::Rejected]);
        let addresses = keys.iter().filter(|key| key.kind == crate::people::Kind::Email).count();
        if addresses > 0 {
            self.console.say(
                "of an e-mail address CleverTap shows one person, though several may have it: when they are gone, run the command again \
                 until nobody is found",
            );
        }
        if waiting > 0 {
            self.console.say(&format!(
                "CleverTap has taken {waiting} requests, and carries them out within a day. clevertap-sql erase status tells when they are \
                 done; their log is {}",
                self.log
            ));
        }
        match (open, overdue) {
            (0, 0) => Ok(Ended::Done),
            (0, _) => Err(Failure::Failed(format!(
                "{overdue} of {} people are still there 48 hours after CleverTap took the request: the same command asks again",
                keys.len()
            ))),
            _ => Err(Failure::Failed(format!(
                "{open} of {} requests are in doubt, did not arrive or were refused: the same command asks again for them",
                keys.len()
            ))),
        }
    }
}
