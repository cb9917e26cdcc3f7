//! Asking CleverTap to delete: whom it is still to be asked for, and how that is written down.
//!
//! In: keys. Out: a line in the log before each statement and another after it, by the fate of each row. A statement that fails is
//! the last one; who stood behind it is unsent.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    Erasing, Watched,
    log::{Note, State, What},
};
use crate::{
    consent,
    failure::{Failure, Result},
    people::{Key, Kind, literals, look_up},
};
use datafusion_clevertap::Fate;

/// People of one statement: ten calls, whose answers are written down together.
const PEOPLE_A_STATEMENT: usize = 1_000;

/// Look-ups that take long enough to be told of before.
const TOLD_FROM: usize = 100;

/// People who are to be asked for, each with the keys that lead to them.
type ToAsk = BTreeMap<Key, Vec<Key>>;

impl Erasing<'_> {
    /// Asks for everybody in `keys` who is there and is not waited for already.
    ///
    /// # Errors
    /// More people than `rows_max`, no consent, the look-ups', the log's, Ctrl-C, or what stopped a deletion.
    pub(super) async fn ask(&mut self, keys: &BTreeSet<Key>, rows_max: u64) -> Result<()> {
        let to_ask = self.whom(keys).await?;
        let people = to_ask.len() as u64;
        if people == 0 {
            return Ok(());
        }
        if people > rows_max {
            return Err(Failure::Failed(format!(
                "erase would take {people} people, and --rows-max is {rows_max}: nothing was sent. --rows-max {people} if all of them are meant"
            )));
        }
        self.consent(people).await?;
        // A row that is refused is no reason to leave the others out.
        for option in ["on_reject = 'skip'".to_owned(), format!("delete_rows_max = {people}")] {
            self.session.rows(&format!("SET clevertap.{option}")).await?;
        }
        let mut stopped: Result<()> = Ok(());
        for kind in [Kind::Identity, Kind::ObjectId] {
            let people: Vec<(&Key, &Vec<Key>)> = to_ask.iter().filter(|(person, _)| person.kind == kind).collect();
            for chunk in people.chunks(PEOPLE_A_STATEMENT) {
                if stopped.is_ok() {
                    self.log.note(&notes(chunk, |_| What::Asking)).await?;
                    let fates;
                    (fates, stopped) = self.delete(kind, chunk).await;
                    self.log.note(&notes(chunk, |person| fates.get(&person.value).copied().unwrap_or(What::Requested))).await?;
                } else {
                    // What an earlier request may still do is told as before.
                    let mut unsent = notes(chunk, |_| What::Unsent);
                    unsent.retain(|note| !self.log.state(&note.key).is_some_and(State::is_open));
                    self.log.note(&unsent).await?;
                }
            }
        }
        stopped
    }

    /// Who is to be asked for. Who is not there, or waited for already, is written down.
    async fn whom(&mut self, keys: &BTreeSet<Key>) -> Result<ToAsk> {
        let now = self.log.now();
        let (mut pending, mut new) = (Vec::new(), Vec::new());
        for key in keys {
            let request = self.log.request(key).filter(|request| request.state().is_open());
            match request.and_then(|request| request.person.clone()) {
                Some(person) => pending.push((key.clone(), person)),
                None => new.push(key.clone()),
            }
        }
        // Whoever was asked for before is looked up by what was asked for: an address may lead to somebody else by now.
        let mut asked: BTreeSet<Key> = pending.iter().map(|(_, person)| person.clone()).collect();
        asked.extend(new.iter().cloned());
        let asked: Vec<Key> = asked.into_iter().collect();
        if asked.len() > TOLD_FROM {
            self.console.say(&format!("{} people are looked up, one request each", asked.len()));
        }
        let found = self.interrupts.or(look_up(&self.session, &asked)).await??;

        let (mut notes, mut to_ask) = (Vec::new(), ToAsk::new());
        let [mut nobody, mut gone, mut waited] = [0_u64; 3];
        for (key, person) in pending {
            let request = self.log.request(&key);
            let requested_at = request.and_then(|request| request.requested_at);
            let note = |what| Note { key: key.clone(), what, person: None, requested_at };
            let is_open =
                request.is_some_and(|request| request.state() == State::Requested && request.until().is_some_and(|until| now < until));
            if !found.contains_key(&person) {
                gone += 1;
                notes.push(note(What::Gone));
            } else if is_open {
                waited += 1;
                notes.push(note(What::There));
            } else {
                to_ask.entry(person).or_default().push(key);
            }
        }
        // Others may have asked for the same person by another key.
        let open: HashMap<Key, _> = self
            .log
            .requests()
            .values()
            .filter(|request| request.state() == State::Requested && request.until().is_some_and(|until| now < until))
            .filter_map(|request| Some((request.person.clone()?, request.requested_at?)))
            .collect();
        for key in new {
            match found.get(&key) {
                None if self.log.state(&key) == Some(State::Gone) => gone += 1,
                None => {
                    nobody += 1;
                    notes.push(Note { key, what: What::NotFound, person: None, requested_at: None });
                }
                Some(person) => match open.get(person) {
                    Some(requested_at) => {
                        waited += 1;
                        let (person, requested_at) = (Some(person.clone()), Some(*requested_at));
                        notes.push(Note { key, what: What::Requested, person, requested_at });
                    }
                    None => to_ask.entry(person.clone()).or_default().push(key),
                },
            }
        }
        self.log.note(&notes).await?;
        self.console.say(&format!(
            "of {} people {nobody} were not found, {gone} are gone, {waited} were asked for before and are waited for, {} are to be erased",
            keys.len(),
            to_ask.len()
        ));
        Ok(to_ask)
    }

    /// Has a person confirm, where one watches.
    async fn consent(&mut self, people: u64) -> Result<()> {
        if self.watched == Watched::ByAPerson {
            self.console.ask(&consent::question("erase", people, "people"));
            let line = self.interrupts.or(consent::line()).await?;
            if !consent::is_given(&line, people) {
                return Err(Failure::Failed("erase was not confirmed: nothing was sent".into()));
            }
        }
        Ok(())
    }

    /// Deletes, and tells the fate of everybody who was not accepted, and why it ended early if it did.
    async fn delete(&mut self, kind: Kind, people: &[(&Key, &Vec<Key>)]) -> (HashMap<String, What>, Result<()>) {
        let values = people.iter().map(|(person, _)| person.value.as_str());
        let text = format!("DELETE FROM clevertap.profiles WHERE {} IN ({})", kind.column(), literals(values.clone()));
        let last = self.session.last_load();
        let ended = self.follow(&text, last).await;

        let mut fates = HashMap::new();
        for row in self.session.failed_after(last) {
            let what = match row.fate {
                Fate::Rejected => What::Rejected,
                Fate::InDoubt => What::InDoubt,
                Fate::Unsent => What::Unsent,
            };
            if what == What::Rejected {
                self.console.say(&format!("a request was refused: {} ({})", row.reason, row.code));
            }
            if let Some(identifier) = row.identifier {
                fates.insert(identifier, what);
            }
        }
        let loads = self.session.loads_after(last);
        let (accepted, doubted) = loads.iter().fold((0, 0), |(a, d), load| (a + load.tally.accepted, d + load.tally.in_doubt));
        if accepted + fates.len() as u64 != people.len() as u64 {
            // Who was never read has no row. Where nobody may have been taken, they were not; else it cannot be told who was.
            let rest = if accepted + doubted == 0 { What::Unsent } else { What::InDoubt };
            for value in values {
                fates.entry(value.to_owned()).or_insert(rest);
            }
        }
        (fates, ended)
    }

    /// Lets the statement run. Ctrl-C has it settle what is in flight; a second one drops it.
    async fn follow(&mut self, text: &str, last: u64) -> Result<()> {
        let Self { session, interrupts, console, .. } = self;
        let mut work = Box::pin(session.rows(text));
        let mut stopping = false;
        loop {
            tokio::select! {
                biased;
                () = interrupts.next() => {
                    let running = session.loads_after(last).into_iter().filter(|load| load.runs());
                    if stopping || running.filter(|load| session.stop(load.run_id)).count() == 0 {
                        return Err(Failure::Stopped);
                    }
                    stopping = true;
                    console.say("stopping: what is in flight is waited for. Ctrl-C again drops it");
                }
                result = &mut work => return match result {
                    Ok(_) if stopping => Err(Failure::Stopped),
                    result => result.map(drop).map_err(Failure::from),
                },
            }
        }
    }
}

/// A note for every key of these people.
fn notes(people: &[(&Key, &Vec<Key>)], what: impl Fn(&Key) -> What) -> Vec<Note> {
    let each = people.iter().flat_map(|(person, keys)| keys.iter().map(move |key| (*person, key)));
    each.map(|(person, key)| Note { key: key.clone(), what: what(person), person: Some(person.clone()), requested_at: None }).collect()
}
