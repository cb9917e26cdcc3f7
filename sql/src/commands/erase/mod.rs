//! `clevertap-sql erase`: erases people from CleverTap, and records the state of every request.
//!
//! In: keys of people, from flags or a file. Out: a state for each, in a log that outlives the process. CleverTap accepts a deletion,
//! carries it out within a day, and does not report when: only a look-up shows it.
//!
//! ```text
//! flags ─┬─▶ people_file  keys ─▶ request: look up, log the intent, DELETE, log the answer ─▶ wait: repeated look-ups ─▶ report
//!        └─▶ status ────────────▶ look up ────────────────────────────────────────────────────────────────────────────▶ report
//!                                    log ─▶ log_store (a folder or a bucket)           forget: what syncs remember of them
//! ```
//!
//! The same command may be run again at any time: a person who is still there is requested once in [`log::OPEN_FOR`], a person who is
//! gone stays gone, and a request that is in doubt or did not arrive is made again.

mod eraser;
#[cfg(feature = "syncs")]
mod forget;
mod log;
mod log_store;
mod people_file;
mod report;
mod request;
#[cfg(test)]
mod tests;
mod wait;

use std::collections::BTreeSet;

use super::person_key::{KeyKind, PersonKey, PersonKeyFlags};
use crate::{
    config::OpenAccount,
    failure::{Completion, Failure, Result},
    literals::argument,
    terminal::{confirm::Interactive, console::Console, interrupt::Interrupts, output::RowsWritten},
};
use datafusion_clevertap::{Access, Options, redact::without_secrets};
use eraser::Eraser;
use log::RequestState;
use log_store::LogStore;
use report::ReportFlags;

/// Flags of the command.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Needs --allow-erase. States: not found, requested, gone, still there (two days later); in doubt, unsent, rejected: \
                        run the same command again."
)]
pub(crate) struct EraseFlags {
    #[command(flatten)]
    key: PersonKeyFlags,

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
    #[arg(long, value_name = "URL", global = true, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    log: Option<String>,

    #[command(flatten)]
    report: ReportFlags,

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
    report: ReportFlags,
}

/// Erases, or reports what became of earlier requests. Syncs whose `ledger` is there forget who is erased.
///
/// # Errors
/// [`Failure::Usage`] without a person or without the right to erase; [`Failure::Failed`] if somebody's request is in doubt, did not
/// arrive or was refused, or somebody is still there after `--wait`.
pub(crate) async fn erase(
    flags: &EraseFlags,
    account: impl Into<OpenAccount>,
    variable: impl Fn(&str) -> Option<String>,
    ledger: Option<&str>,
    interactive: Interactive,
    console: &mut Console,
    interrupts: Interrupts,
) -> Result<Completion> {
    let account = account.into();
    let store = LogStore::open(flags.log.as_deref(), variable)?;
    let key = flags.key.key();
    let names_people = key.is_some() || flags.file.is_some();
    if let Some(EraseCommand::Status(status)) = &flags.command {
        if names_people
            || flags.wait
            || flags.rows_max != Options::default().delete_rows_max
            || flags.report.format.is_some()
            || flags.report.output.is_some()
        {
            return Err(Failure::Usage("erase status takes --offline, --format and -o behind it, and tells of everybody".into()));
        }
        return Eraser::open(account, store, interactive, console, interrupts).await?.status(status).await;
    }
    if !names_people {
        return Err(Failure::Usage("erase needs one of --identity, --email, --object-id and --file, or the word status".into()));
    }
    if account.account.access() < Access::Erase {
        return Err(Failure::Usage("erase cannot be undone, and needs --allow-erase, or access = \"erase\" in clevertap.toml".into()));
    }
    let mut eraser = Eraser::open(account, store, interactive, console, interrupts).await?;
    let keys = match (&flags.file, key) {
        (Some(path), _) => eraser.read_file(path).await?,
        (None, key) => key.into_iter().collect(),
    };
    let report = flags.report.open()?;
    eraser.prove_log().await?;
    let requested = eraser.request(&keys, flags.rows_max).await;
    #[cfg(feature = "syncs")]
    eraser.forget(&keys, ledger).await;
    #[cfg(not(feature = "syncs"))]
    debug_assert!(ledger.is_none(), "a build without syncs has no ledger");
    let waited = match &requested {
        Ok(()) if flags.wait => eraser.wait(&keys).await,
        _ => Ok(()),
    };
    // The report is written also after a failure.
    let written = eraser.interrupts.or(report.write(&eraser.log, keys.iter())).await.flatten();
    requested.and(waited)?;
    eraser.say_left_out(written?);
    eraser.verdict(&keys, flags.log.as_deref())
}

impl Eraser<'_> {
    async fn read_file(&mut self, path: &str) -> Result<BTreeSet<PersonKey>> {
        let read = self.interrupts.or(people_file::read(&self.session, path)).await??;
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

    async fn status(mut self, flags: &StatusFlags) -> Result<Completion> {
        if !flags.offline {
            self.prove_log().await?;
            let open = self.log.requests().iter().filter(|(_, request)| request.state().is_open());
            let open: Vec<PersonKey> = open.map(|(key, _)| key.clone()).collect();
            self.check(&open).await?;
        }
        let report = flags.report.open()?;
        let written = self.interrupts.or(report.write(&self.log, self.log.requests().keys())).await??;
        self.say_left_out(written);
        Ok(Completion::Done)
    }

    fn say_left_out(&mut self, written: RowsWritten) {
        if let Some(left_out) = written.left_out() {
            self.console.say(&left_out);
        }
    }

    /// How the command ends, by the states of `keys` in the log.
    fn verdict(&mut self, keys: &BTreeSet<PersonKey>, log: Option<&str>) -> Result<Completion> {
        let count =
            |wanted: &[RequestState]| keys.iter().filter(|key| self.log.state(key).is_some_and(|state| wanted.contains(&state))).count();
        let (waiting, overdue) = (count(&[RequestState::Requested]), count(&[RequestState::StillThere]));
        let open = count(&[RequestState::InDoubt, RequestState::Unsent, RequestState::Rejected]);
        let addresses = keys.iter().filter(|key| key.kind == KeyKind::Email).count();
        if addresses > 0 {
            self.console.say(
                "of an e-mail address CleverTap shows one person, though several may have it: when they are gone, run the command again \
                 until nobody is found",
            );
        }
        if waiting > 0 {
            self.console.say(&format!(
                "CleverTap has taken {waiting} requests, and carries them out within a day. clevertap-sql erase status{} tells when they are \
                 done; their log is {}",
                log.map(|log| format!(" --log {}", argument(&without_secrets(log)))).unwrap_or_default(),
                self.log
            ));
        }
        match (open, overdue) {
            (0, 0) => Ok(Completion::Done),
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
