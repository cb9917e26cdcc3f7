//! Requests to delete: who still has to be requested, the DELETE statements, and their lines in the log.
//!
//! In: keys. Out: a line in the log before each statement and another after it, by the fate of each row. A statement that fails is
//! the last one; the people of later statements are unsent.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    super::person_key::{KeyKind, PersonKey},
    eraser::Eraser,
    log::{LogEntry, LogEvent, RequestState},
};
use crate::{
    engine::{
        ending::{EndStep, Ending},
        runs::RunMark,
    },
    failure::{Failure, Result},
    literals::literals,
    terminal::confirm::{self, Interactive},
};
use datafusion_clevertap::Fate;

/// People of one statement: ten calls, with one log object for their answers.
const PEOPLE_A_STATEMENT: usize = 1_000;

/// So many look-ups take long enough to be announced.
const ANNOUNCED_FROM: usize = 100;

/// People to request, each with the keys that lead to them.
type ToRequest = BTreeMap<PersonKey, Vec<PersonKey>>;

impl Eraser<'_> {
    /// Requests the deletion of everybody in `keys` who is there and has no open request.
    ///
    /// # Errors
    /// More people than `rows_max`, no consent, the look-ups', the log's, Ctrl-C, or what stopped a deletion.
    pub(super) async fn request(&mut self, keys: &BTreeSet<PersonKey>, rows_max: u64) -> Result<()> {
        let to_request = self.find_people(keys).await?;
        let people = to_request.len() as u64;
        if people == 0 {
            return Ok(());
        }
        if people > rows_max {
            return Err(Failure::Failed(format!(
                "erase would take {people} people, and --rows-max is {rows_max}: nothing was sent. --rows-max {people} if all of them are meant"
            )));
        }
        self.confirm(people).await?;
        // A refused row must not keep the others from being sent.
        // Files with marks for no value are refused before, so that one here is somebody's name.
        for option in ["on_reject = 'skip'".to_owned(), "null_marks = 'send'".to_owned(), format!("delete_rows_max = {people}")] {
            self.session.rows(&format!("SET clevertap.{option}")).await?;
        }
        let mut stopped: Result<()> = Ok(());
        for kind in [KeyKind::Identity, KeyKind::ObjectId] {
            let people: Vec<(&PersonKey, &Vec<PersonKey>)> = to_request.iter().filter(|(person, _)| person.kind == kind).collect();
            for chunk in people.chunks(PEOPLE_A_STATEMENT) {
                if stopped.is_ok() {
                    self.append(&entries(chunk, |_| LogEvent::Asking)).await?;
                    let fates;
                    (fates, stopped) = self.delete(kind, chunk).await;
                    let answers = entries(chunk, |person| fates.get(&person.value).copied().unwrap_or(LogEvent::Requested));
                    if let Err(error) = self.append_outcomes(&answers, &stopped).await {
                        return Err(not_logged(&error, chunk.len(), &stopped));
                    }
                } else {
                    // An earlier request that may still be carried out keeps its state.
                    let mut unsent = entries(chunk, |_| LogEvent::Unsent);
                    unsent.retain(|entry| !self.log.state(&entry.key).is_some_and(RequestState::is_open));
                    if let Err(error) = self.append_outcomes(&unsent, &stopped).await {
                        let why = stopped.as_ref().err().map(Failure::to_string).unwrap_or_default();
                        return Err(Failure::Failed(format!("{why}. {error}: {} people were not asked for", unsent.len())));
                    }
                }
            }
        }
        stopped
    }

    /// The people to request. Those who are not there, or have an open request, only get a line in the log.
    async fn find_people(&mut self, keys: &BTreeSet<PersonKey>) -> Result<ToRequest> {
        let now = self.log.now();
        let (mut open, mut new) = (Vec::new(), Vec::new());
        for key in keys {
            let request = self.log.request(key).filter(|request| request.state().is_open());
            match request.and_then(|request| request.person.clone()) {
                Some(person) => open.push((key.clone(), person)),
                None => new.push(key.clone()),
            }
        }
        // An open request is looked up by the person that it names: an address may lead to somebody else by now.
        let asked_for: BTreeSet<PersonKey> = open.iter().map(|(_, person)| person.clone()).collect();
        let lookups: BTreeSet<PersonKey> = asked_for.iter().chain(&new).cloned().collect();
        if lookups.len() > ANNOUNCED_FROM {
            self.console.say(&format!("{} people are looked up, one request each", lookups.len()));
        }
        let found = self.look_up_surely(&lookups, &asked_for).await?;

        let (mut entries, mut to_request) = (Vec::new(), ToRequest::new());
        let [mut nobody, mut gone, mut waited] = [0_u64; 3];
        for (key, person) in open {
            let request = self.log.request(&key);
            let requested_at = request.and_then(|request| request.requested_at);
            let entry = |what| LogEntry { key: key.clone(), what, person: None, requested_at };
            let is_pending = request.is_some_and(|request| request.is_pending(now));
            if !found.contains_key(&person) {
                gone += 1;
                entries.push(entry(LogEvent::Gone));
            } else if is_pending {
                waited += 1;
                entries.push(entry(LogEvent::There));
            } else {
                to_request.entry(person).or_default().push(key);
            }
        }
        // The same person may have an open request by another key.
        let pending = self.log.requests().values().filter(|request| request.is_pending(now));
        let pending: HashMap<PersonKey, _> = pending.filter_map(|request| Some((request.person.clone()?, request.requested_at?))).collect();
        for key in new {
            match found.get(&key) {
                None if self.log.state(&key) == Some(RequestState::Gone) => gone += 1,
                None => {
                    nobody += 1;
                    entries.push(LogEntry { key, what: LogEvent::NotFound, person: None, requested_at: None });
                }
                Some(person) => match pending.get(person) {
                    Some(requested_at) => {
                        waited += 1;
                        let (person, requested_at) = (Some(person.clone()), Some(*requested_at));
                        entries.push(LogEntry { key, what: LogEvent::Requested, person, requested_at });
                    }
                    None => to_request.entry(person.clone()).or_default().push(key),
                },
            }
        }
        self.append(&entries).await?;
        self.console.say(&format!(
            "of {} people {nobody} were not found, {gone} are gone, {waited} were asked for before and are waited for, {} are to be erased",
            keys.len(),
            to_request.len()
        ));
        Ok(to_request)
    }

    /// Has a person confirm, where one is at the terminal.
    async fn confirm(&mut self, people: u64) -> Result<()> {
        if self.interactive == Interactive::Terminal {
            self.console.prompt(&confirm::prompt("erase", people, "people"));
            let line = self.interrupts.or(confirm::read_line()).await?;
            if !confirm::is_confirmed(&line, people) {
                return Err(Failure::Failed("erase was not confirmed: nothing was sent".into()));
            }
        }
        Ok(())
    }

    /// Runs one DELETE. Returns the fate of everybody who was not accepted, and the failure if it ended early.
    async fn delete(&mut self, kind: KeyKind, people: &[(&PersonKey, &Vec<PersonKey>)]) -> (HashMap<String, LogEvent>, Result<()>) {
        let values = people.iter().map(|(person, _)| person.value.as_str());
        let text = format!("DELETE FROM {} WHERE {} IN ({})", self.session.table("profiles"), kind.column(), literals(values.clone()));
        let last = self.session.last_run();
        let ended = self.execute(&text, &last).await;

        let mut fates = HashMap::new();
        for row in self.session.failed_after(&last) {
            let what = match row.fate {
                Fate::Rejected => LogEvent::Rejected,
                Fate::InDoubt => LogEvent::InDoubt,
                Fate::Unsent => LogEvent::Unsent,
            };
            if what == LogEvent::Rejected {
                self.console.say(&format!("a request was refused: {} ({})", row.reason, row.code));
            }
            if let Some(identifier) = row.identifier {
                fates.insert(identifier, what);
            }
        }
        let runs = self.session.runs_after(&last);
        let (accepted, in_doubt) = runs.iter().fold((0, 0), |(a, d), run| (a + run.tally.accepted, d + run.tally.in_doubt));
        if accepted + fates.len() as u64 != people.len() as u64 {
            // A row that was never read has no failed row. If nothing can have been accepted it is unsent, else in doubt.
            let rest = if accepted + in_doubt == 0 { LogEvent::Unsent } else { LogEvent::InDoubt };
            for value in values {
                fates.entry(value.to_owned()).or_insert(rest);
            }
        }
        (fates, ended)
    }

    /// Executes the statement; signals end it as they end every statement.
    async fn execute(&mut self, text: &str, last: &RunMark) -> Result<()> {
        let Self { session, interrupts, console, .. } = self;
        let mut execution = Box::pin(session.rows(text));
        let mut ending = Ending::of_runs_after(last.clone());
        loop {
            tokio::select! {
                biased;
                () = ending.next(interrupts) => match ending.advance(session, console) {
                    EndStep::Stop if session.stop_runs_after(last) > 0 => {}
                    EndStep::Abort => {}
                    EndStep::Stop | EndStep::Drop { .. } => return Err(Failure::Stopped),
                },
                result = &mut execution => return match result {
                    Ok(_) if ending.has_begun() => Err(Failure::Stopped),
                    result => result.map(drop).map_err(Failure::from),
                },
            }
        }
    }
}

/// The failure of a log that did not take the answers to requests.
fn not_logged(error: &Failure, people: usize, stopped: &Result<()>) -> Failure {
    let stopped = stopped.as_ref().err().map(|why| format!(". The requests ended in: {why}")).unwrap_or_default();
    Failure::Failed(format!(
        "{error}: what CleverTap answered for {people} people is not logged, and the log has them as in doubt. Nobody else was asked for; the \
         same command looks them up and asks again{stopped}"
    ))
}

/// A log entry for every key of these people.
fn entries(people: &[(&PersonKey, &Vec<PersonKey>)], what: impl Fn(&PersonKey) -> LogEvent) -> Vec<LogEntry> {
    let each = people.iter().flat_map(|(person, keys)| keys.iter().map(move |key| (*person, key)));
    each.map(|(person, key)| LogEntry { key: key.clone(), what: what(person), person: Some(person.clone()), requested_at: None }).collect()
}
