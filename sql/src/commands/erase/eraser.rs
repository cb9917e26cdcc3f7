//! What the steps of the command share: the session, the log, the console.
//!
//! In: an open account, the store of the log. Out: [`Eraser`], whose steps are in `request`, `wait` and the folder's first page.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use rand::{SeedableRng, rngs::StdRng};
use tokio::time::{sleep, timeout};

use super::{
    super::person_key::{PersonKey, look_up},
    log::{ErasureLog, LogEntry},
    log_store::LogStore,
};
use crate::{
    config::OpenAccount,
    engine::{ending::EVIDENCE_WITHIN, session::Session},
    failure::{Failure, Result},
    terminal::{confirm::Interactive, console::Console, interrupt::Interrupts},
};
use datafusion_clevertap::Error;

/// Between two look-ups of somebody who is not there: what makes one answer wrong for a moment should not make both.
const LOOKED_UP_AGAIN_AFTER: Duration = Duration::from_secs(3);

/// Most people whose look-up is answered in no known form before the look-ups end: then it is not the person.
const UNREAD_MAX: usize = 10;

/// What look-ups of many people brought.
#[derive(Debug, Default)]
pub(super) struct LookedUp {
    /// Those who are there.
    pub(super) found: HashMap<PersonKey, PersonKey>,
    /// Those whose look-up was answered in no known form, and the first such answer.
    pub(super) unread: BTreeSet<PersonKey>,
    pub(super) why: Option<String>,
}

/// One command, while it runs.
pub(super) struct Eraser<'a> {
    pub(super) session: Session,
    pub(super) log: ErasureLog,
    pub(super) console: &'a mut Console,
    pub(super) interrupts: Interrupts,
    pub(super) interactive: Interactive,
    /// For the jitter of waits, and for the sample that is looked up first.
    pub(super) rng: StdRng,
}

impl<'a> Eraser<'a> {
    /// Reads the log and opens a session that reads CSV cells as text.
    ///
    /// # Errors
    /// The log's, or DataFusion's.
    pub(super) async fn open(
        account: OpenAccount,
        store: LogStore,
        interactive: Interactive,
        console: &'a mut Console,
        mut interrupts: Interrupts,
    ) -> Result<Self> {
        let log = interrupts.or(ErasureLog::open(store, &account.account)).await??;
        let session = Session::with_text_cells(account)?;
        Ok(Self { session, log, console, interrupts, interactive, rng: StdRng::from_os_rng() })
    }

    /// Appends what needs no request to have left: a signal ends it.
    ///
    /// # Errors
    /// The log's; a signal.
    pub(super) async fn append(&mut self, entries: &[LogEntry]) -> Result<()> {
        self.interrupts.or(self.log.append(entries)).await?
    }

    /// Appends what became of requests: a signal, or the one that `stopped` them, leaves it [`EVIDENCE_WITHIN`].
    ///
    /// # Errors
    /// The log's; a signal. Then the log has these requests as in doubt.
    pub(super) async fn append_outcomes(&mut self, entries: &[LogEntry], stopped: &Result<()>) -> Result<()> {
        let append = self.log.append(entries);
        match stopped {
            Ok(()) => self.interrupts.or_after(EVIDENCE_WITHIN, append).await?,
            Err(_) => timeout(EVIDENCE_WITHIN, append).await.map_err(|_| Failure::Stopped)?,
        }
    }

    /// Proves that the log can be written, before the first request.
    ///
    /// # Errors
    /// The log's; a signal.
    pub(super) async fn prove_log(&mut self) -> Result<()> {
        self.interrupts.or(self.log.prove_writable()).await?
    }

    /// Looks up `people` as [`look_up`] does, and once more those of `asked_for` who are not there: whom the log calls gone is looked up no
    /// more, and one answer that says "nobody" may be wrong.
    ///
    /// # Errors
    /// The look-ups', [`Failure::Unanswered`] among them; a signal.
    pub(super) async fn look_up_surely(
        &mut self,
        people: &BTreeSet<PersonKey>,
        asked_for: &BTreeSet<PersonKey>,
    ) -> Result<HashMap<PersonKey, PersonKey>> {
        let mut found = self.look_up_once(people.iter().cloned().collect()).await?;
        let gone: Vec<PersonKey> = asked_for.iter().filter(|person| !found.contains_key(person)).cloned().collect();
        if !gone.is_empty() {
            self.interrupts.or(sleep(LOOKED_UP_AGAIN_AFTER)).await?;
            found.extend(self.look_up_once(gone).await?);
        }
        Ok(found)
    }

    /// Looks up each of `people` as [`Self::look_up_surely`] does. An answer of no known form says nothing of its own person, and everything else
    /// of the others.
    ///
    /// # Errors
    /// The look-ups', [`Failure::Unanswered`] among them; a signal.
    pub(super) async fn look_up_each(&mut self, people: BTreeSet<PersonKey>) -> Result<LookedUp> {
        let mut looked = LookedUp::default();
        let mut parts = vec![people];
        while let Some(mut part) = parts.pop() {
            match self.look_up_surely(&part, &part).await {
                Ok(found) => looked.found.extend(found),
                Err(Failure::Unread(why)) if looked.unread.len() < UNREAD_MAX => match part.iter().nth(part.len() / 2).cloned() {
                    Some(middle) if part.len() > 1 => {
                        let second = part.split_off(&middle);
                        parts.extend([second, part]);
                    }
                    _ => {
                        looked.unread.extend(part);
                        looked.why.get_or_insert(why);
                    }
                },
                Err(failure) => return Err(failure),
            }
        }
        Ok(looked)
    }

    async fn look_up_once(&mut self, people: Vec<PersonKey>) -> Result<HashMap<PersonKey, PersonKey>> {
        let found = self.interrupts.or(look_up(&self.session, &people)).await?;
        found.map_err(|error| match Error::find(&error) {
            Some(unavailable @ Error::Unavailable(_)) => Failure::Unanswered(unavailable.to_string()),
            Some(unread @ (Error::Answer(_) | Error::Refused(_))) => Failure::Unread(unread.to_string()),
            _ => Failure::from(error),
        })
    }
}
