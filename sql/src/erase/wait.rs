//! Waiting until people are gone: looked up now and then, less and less often.
//!
//! In: keys whose requests CleverTap took. Out: `gone` in the log as each of them is, or, after 48 hours, `still there`. A deletion is
//! a job of CleverTap's that takes many at once: of thousands a hundred are looked at, and all of them as soon as one is gone, so
//! that waiting does not take the account's look-ups from everybody else.

use std::{collections::BTreeSet, time::Duration};

use chrono::{DateTime, Utc};
use rand::{Rng, seq::IteratorRandom};

use super::{
    Erasing,
    log::{Note, State, What},
};
use crate::{
    failure::{Failure, Result},
    people::{Key, look_up},
};
use datafusion_clevertap::Error;

/// The first wait, which doubles up to the longest.
const WAIT_MIN: Duration = Duration::from_secs(5 * 60);
const WAIT_MAX: Duration = Duration::from_secs(60 * 60);
/// People who are looked at first.
const SAMPLE: usize = 100;

impl Erasing<'_> {
    /// Waits for everybody in `keys` whose request is open.
    ///
    /// # Errors
    /// The look-ups', but those that a later one may mend; the log's; Ctrl-C.
    pub(super) async fn wait(&mut self, keys: &BTreeSet<Key>) -> Result<()> {
        let waited = self.wait_for_all(keys).await;
        if let Err(Failure::Stopped) = waited {
            self.console
                .say("CleverTap goes on with what it took. The same command takes up waiting where it was left, and asks for nobody again");
        }
        waited
    }

    async fn wait_for_all(&mut self, keys: &BTreeSet<Key>) -> Result<()> {
        let mut waits = 0;
        loop {
            let open: Vec<(Key, DateTime<Utc>)> = keys.iter().filter_map(|key| Some((key.clone(), self.open_until(key)?))).collect();
            let Some(first) = open.iter().map(|(_, until)| *until).min() else { return Ok(()) };
            let wait = self.pause(waits).min((first - self.log.now()).to_std().unwrap_or_default());
            self.console.say(&format!("{} people are waited for; the next look is in {}", open.len(), told(wait)));
            self.interrupts.or(tokio::time::sleep(wait)).await?;
            waits += 1;
            self.look(&open).await?;
        }
    }

    /// When the request for `key` is overdue; `None` if it is not open.
    fn open_until(&self, key: &Key) -> Option<DateTime<Utc>> {
        self.log.request(key).filter(|request| request.state() == State::Requested)?.until()
    }

    /// Half of the wait is certain, half is chance, so that many who began together do not stay together.
    fn pause(&mut self, waits: u32) -> Duration {
        let wait = WAIT_MIN.saturating_mul(1 << waits.min(16)).min(WAIT_MAX);
        wait.mul_f64(self.rng.random_range(0.5..1.0))
    }

    /// Looks at some of them, at all if one of those is gone, and at whoever is due.
    async fn look(&mut self, open: &[(Key, DateTime<Utc>)]) -> Result<()> {
        let now = self.log.now();
        let (due, later): (Vec<_>, Vec<_>) = open.iter().partition(|(_, until)| *until <= now);
        let due: Vec<Key> = due.into_iter().map(|(key, _)| key.clone()).collect();
        let drawn: BTreeSet<usize> = (0..later.len()).choose_multiple(&mut self.rng, SAMPLE).into_iter().collect();
        let (mut first, mut rest) = (due.clone(), Vec::new());
        for (at, (key, _)) in later.into_iter().enumerate() {
            if drawn.contains(&at) { first.push(key.clone()) } else { rest.push(key.clone()) }
        }
        for keys in [first, rest] {
            match self.check(&keys).await {
                Ok(0) => break,
                Ok(gone) => self.console.say(&format!("{gone} people are gone")),
                // CleverTap may answer again before the time is over.
                Err(Failure::Unanswered(why)) if due.is_empty() => {
                    self.console.say(&format!("the look-ups were not answered, and are made again: {why}"));
                    break;
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// Looks up the people behind `keys`, writes down who is gone and who is there, and gives the number of those who are gone.
    ///
    /// # Errors
    /// The look-ups', [`Failure::Unanswered`] among them; the log's; Ctrl-C.
    pub(super) async fn check(&mut self, keys: &[Key]) -> Result<usize> {
        let people: BTreeSet<Key> = keys.iter().filter_map(|key| self.log.request(key)?.person.clone()).collect();
        let people: Vec<Key> = people.into_iter().collect();
        let found = self.interrupts.or(look_up(&self.session, &people)).await?;
        let found = found.map_err(|error| match Error::find(&error) {
            Some(unavailable @ Error::Unavailable(_)) => Failure::Unanswered(unavailable.to_string()),
            _ => Failure::from(error),
        })?;
        let looked = keys.iter().filter_map(|key| {
            let request = self.log.request(key)?;
            let what = if found.contains_key(request.person.as_ref()?) { What::There } else { What::Gone };
            Some(Note { key: key.clone(), what, person: None, requested_at: request.requested_at })
        });
        let looked: Vec<Note> = looked.collect();
        self.log.note(&looked).await?;
        Ok(looked.iter().filter(|note| note.what == What::Gone).count())
    }
}

/// `35 minutes`.
fn told(wait: Duration) -> String {
    match wait.as_secs() {
        seconds @ 0..=119 => format!("{seconds} s"),
        seconds => format!("{} minutes", seconds / 60),
    }
}
