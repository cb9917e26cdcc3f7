//! `--wait`: looks people up, less and less often, until they are gone.
//!
//! In: keys with an open request. Out: `gone` in the log for each who is gone, or `still there` after 48 hours. CleverTap deletes in
//! jobs of many people: of thousands a sample of a hundred is looked up, and all of them once one is gone, so that waiting leaves the
//! account's look-ups to others.

use std::{collections::BTreeSet, time::Duration};

use chrono::{DateTime, Utc};
use rand::{Rng, seq::IteratorRandom};

use super::{
    super::person_key::PersonKey,
    eraser::{Eraser, LookedUp},
    log::{LogEntry, LogEvent, RequestState},
};
use crate::failure::{Failure, Result};

/// The first pause; each one is twice as long, up to [`WAIT_MAX`].
const WAIT_MIN: Duration = Duration::from_secs(5 * 60);
const WAIT_MAX: Duration = Duration::from_secs(60 * 60);
/// People who are looked up first.
const SAMPLE: usize = 100;

impl Eraser<'_> {
    /// Waits for everybody in `keys` whose request is open.
    ///
    /// # Errors
    /// The look-ups', unless a later one may be answered; the log's; Ctrl-C.
    pub(super) async fn wait(&mut self, keys: &BTreeSet<PersonKey>) -> Result<()> {
        let waited = self.wait_for_all(keys).await;
        if let Err(Failure::Stopped) = waited {
            self.console
                .say("CleverTap goes on with what it took. The same command takes up waiting where it was left, and asks for nobody again");
        }
        waited
    }

    async fn wait_for_all(&mut self, keys: &BTreeSet<PersonKey>) -> Result<()> {
        let mut waits = 0;
        loop {
            let open: Vec<(PersonKey, DateTime<Utc>)> = keys.iter().filter_map(|key| Some((key.clone(), self.open_until(key)?))).collect();
            let Some(first) = open.iter().map(|(_, until)| *until).min() else { return Ok(()) };
            let wait = self.jittered_pause(waits).min((first - self.log.now()).to_std().unwrap_or_default());
            self.console.say(&format!("{} people are waited for; the next look is in {}", open.len(), duration_text(wait)));
            self.interrupts.or(tokio::time::sleep(wait)).await?;
            waits += 1;
            self.look_up_sample(&open).await?;
        }
    }

    /// When the request for `key` is overdue; `None` if it is not open.
    fn open_until(&self, key: &PersonKey) -> Option<DateTime<Utc>> {
        self.log.request(key).filter(|request| request.state() == RequestState::Requested)?.until()
    }

    /// Between half of the pause and all of it, so that commands that began together spread out.
    fn jittered_pause(&mut self, waits: u32) -> Duration {
        let wait = WAIT_MIN.saturating_mul(1 << waits.min(16)).min(WAIT_MAX);
        wait.mul_f64(self.rng.random_range(0.5..1.0))
    }

    /// Looks up those who are due and a sample of the others; if one of these is gone, everybody.
    async fn look_up_sample(&mut self, open: &[(PersonKey, DateTime<Utc>)]) -> Result<()> {
        let now = self.log.now();
        let (due, later): (Vec<_>, Vec<_>) = open.iter().partition(|(_, until)| *until <= now);
        let due: Vec<PersonKey> = due.into_iter().map(|(key, _)| key.clone()).collect();
        let drawn: BTreeSet<usize> = (0..later.len()).choose_multiple(&mut self.rng, SAMPLE).into_iter().collect();
        let (mut first, mut rest) = (due.clone(), Vec::new());
        for (at, (key, _)) in later.into_iter().enumerate() {
            if drawn.contains(&at) { first.push(key.clone()) } else { rest.push(key.clone()) }
        }
        for keys in [first, rest] {
            match self.check(&keys).await {
                Ok(0) => break,
                Ok(gone) => self.console.say(&format!("{gone} people are gone")),
                // CleverTap may answer again before the 48 hours are over.
                Err(Failure::Unanswered(why)) if due.is_empty() => {
                    self.console.say(&format!("the look-ups were not answered, and are made again: {why}"));
                    break;
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// Looks up the people behind `keys`, logs who is gone and who is there, and returns the number of those who are gone. Of somebody whose
    /// look-up is answered in no known form nothing is logged.
    ///
    /// # Errors
    /// The look-ups', [`Failure::Unanswered`] among them; the log's; Ctrl-C.
    pub(super) async fn check(&mut self, keys: &[PersonKey]) -> Result<usize> {
        let people: BTreeSet<PersonKey> = keys.iter().filter_map(|key| self.log.request(key)?.person.clone()).collect();
        let asked_for = people.len();
        let LookedUp { found, unread, why } = self.look_up_each(people).await?;
        let looked = keys.iter().filter_map(|key| {
            let request = self.log.request(key)?;
            let person = request.person.as_ref().filter(|person| !unread.contains(person))?;
            let what = if found.contains_key(person) { LogEvent::There } else { LogEvent::Gone };
            Some(LogEntry { key: key.clone(), what, person: None, requested_at: request.requested_at })
        });
        let looked: Vec<LogEntry> = looked.collect();
        self.append(&looked).await?;
        if let Some(why) = why {
            return Err(Failure::Failed(format!(
                "{} of {asked_for} people could not be looked up; what the log knows of them stays, and the others are as it says now: {why}",
                unread.len()
            )));
        }
        Ok(looked.iter().filter(|entry| entry.what == LogEvent::Gone).count())
    }
}

/// `35 minutes`.
fn duration_text(wait: Duration) -> String {
    match wait.as_secs() {
        seconds @ 0..=119 => format!("{seconds} s"),
        seconds => format!("{} minutes", seconds / 60),
    }
}
