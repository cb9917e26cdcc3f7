//! `clevertap-sql person`: the profile and all events of one person, for an access request.
//!
//! In: one key of a person. Out: one JSON document.
//!
//! ```text
//! key ─> export: look-up ─> summary (names, counts, days) ─> an export for each name ─> document
//! ```
//!
//! CleverTap has no call for the events of one person, but its summary of them holds each name with its days: these are exported for
//! everybody, and the person's are kept. The number found is compared with the count of the summary, so that it is known what is missing.
//!
//! An event is the person's if it has one of their identities, or no identity and one of their devices. An event of one of their devices
//! under another identity belongs to somebody else: it is counted, reported and left out.

mod document;
mod export;
mod summary;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use datafusion::common::runtime::SpawnedTask;

use super::person_key::PersonKeyFlags;
use crate::{
    config::OpenAccount,
    engine::session::Session,
    failure::{Completion, Failure, Result},
    terminal::{console::Console, interrupt::Interrupts},
};
use document::Document;
use export::AccessRequest;

/// Flags of the command.
#[derive(Debug, clap::Args)]
#[command(after_help = "Prints one JSON document: person, events, summary (each event: counted and found), not_exported, complete.")]
pub(crate) struct PersonFlags {
    #[command(flatten)]
    key: PersonKeyFlags,

    /// Where the document is written, in place of stdout: whole or not at all, readable by its owner alone
    #[arg(short = 'o', long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Tell what it would take, with CleverTap's own counts, and export nothing
    #[arg(long, conflicts_with = "output")]
    cost: bool,
}

/// Writes out one person.
///
/// # Errors
/// [`Failure::Usage`] without a key or a time zone; [`Failure::Failed`] if nobody has the key, or an export breaks off: then there is no
/// document.
pub(crate) async fn person(
    flags: &PersonFlags,
    account: impl Into<OpenAccount>,
    console: &mut Console,
    mut interrupts: Interrupts,
) -> Result<Completion> {
    let opened = account.into();
    let Some(key) = flags.key.key() else {
        return Err(Failure::Usage("person needs one of --identity, --email and --object-id".into()));
    };
    let Some(zone) = opened.account.time_zone() else {
        return Err(Failure::Usage(
            "person needs the project's time zone (--time-zone, CLEVERTAP_TIME_ZONE, or time_zone in clevertap.toml): CleverTap writes the time of events without one"
                .into(),
        ));
    };
    // Before the first call: the export may take hours.
    let started_at = opened.account.clock().now();
    let mut request = AccessRequest { session: Session::with(opened, None)?, started_at, console };
    if flags.cost {
        interrupts.or(request.say_cost(&key, zone)).await??;
        return Ok(Completion::Done);
    }
    let document = Document::begin(flags.output.as_deref())?;
    let (document, tail) = interrupts.or(request.export(&key, zone, document)).await??;
    // On a thread of its own: the reader of stdout may not read.
    let written = SpawnedTask::spawn_blocking(move || document.finish(&tail));
    interrupts.or(written).await?.unwrap_or_else(|_| Err(Failure::by_panic()))?;
    Ok(Completion::Done)
}
