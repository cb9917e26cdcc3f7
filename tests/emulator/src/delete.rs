//! `POST /1/delete/profiles.json`: accepted now, carried out hours later, at no known time (reference 9.1).
//!
//! The ids are looked up when the deletion is carried out: what was uploaded for them in between goes, too.

use crate::answer::Answer;
use crate::deletions::Deletion;
use crate::emulator::{Emulator, Inner};
use crate::json::Json;
use crate::lock;
use crate::report::Rule;
use crate::upload::identifier::IdentifierKind;
use crate::verdict::{parse, refuse};

/// Ids of one request (reference 4.4).
const IDS_MAX: usize = 100;
/// The longest that a deletion may take (reference 9.1).
const DELAY_MAX_S: i64 = 24 * 60 * 60;

impl Emulator {
    /// Every delete request that was accepted, in the order in which they came.
    #[must_use]
    pub fn deletions_requested(&self) -> Vec<Deletion> {
        self.inner.catch_up();
        lock(&self.inner.deletions).0.clone()
    }

    /// Carries out all deletions now, as if their hour had come; gives the number of people who are gone.
    pub fn run_deletions(&self) -> u64 {
        self.inner.delete(|_| true)
    }
}

impl Inner {
    /// Carries out the deletions whose hour has come.
    pub(crate) fn delete_due(&self) {
        // An emulator that nobody has asked to delete must not start its clock by being looked at.
        if lock(&self.deletions).0.iter().any(|deletion| !deletion.is_done) {
            let now = self.now();
            self.delete(|deletion| deletion.due_at <= now);
        }
    }

    fn delete(&self, is_due: impl Fn(&Deletion) -> bool) -> u64 {
        let mut people = 0;
        for deletion in lock(&self.deletions).0.iter_mut().filter(|deletion| !deletion.is_done && is_due(deletion)) {
            let mut database = lock(&self.database);
            people +=
                database.erase(IdentifierKind::Identity, &deletion.identities) + database.erase(IdentifierKind::ObjectId, &deletion.guids);
            deletion.is_done = true;
        }
        lock(&self.report).people_deleted += people;
        people
    }
}

/// Takes a request down; ids that nobody has are a success, too.
pub(crate) fn run(inner: &Inner, body: &[u8]) -> Answer {
    let request = match parse(inner, body) {
        Ok(request) => request,
        Err(answer) => return answer,
    };
    let (identities, guids) = match (request.get("identity"), request.get("guid")) {
        (Some(_), Some(_)) => return refuse(inner, Rule::IdKinds, "Only one of identity and guid is allowed"),
        (Some(identities), None) => (ids(identities), Ok(Vec::new())),
        (None, Some(guids)) => (Ok(Vec::new()), ids(guids)),
        (None, None) => return refuse(inner, Rule::Malformed, "Malformed request"),
    };
    let (identities, guids) = match (identities, guids) {
        (Ok(identities), Ok(guids)) => (identities, guids),
        (Err((rule, text)), _) | (_, Err((rule, text))) => return refuse(inner, rule, text),
    };
    let requested_at = inner.now();
    let due_at = requested_at + inner.settings.deletion_delay_s.clamp(0, DELAY_MAX_S);
    lock(&inner.deletions).0.push(Deletion { identities, guids, requested_at, due_at, is_done: false });
    lock(&inner.report).deletion_calls += 1;
    inner.catch_up();
    Answer::success()
}

/// One id or a list of them, all of them texts.
///
/// # Errors
///
/// The broken rule and the words for it.
pub(crate) fn ids(value: &Json<'_>) -> Result<Vec<String>, (Rule, &'static str)> {
    let ids = match value {
        Json::List(items) => items.iter().map(Json::as_text).collect(),
        one => one.as_text().map(|id| vec![id]),
    };
    match ids {
        Some(ids) if ids.len() > IDS_MAX => Err((Rule::Ids, "Maximum 100 ids are allowed in one request")),
        Some(ids) if !ids.is_empty() && ids.iter().all(|id| !id.is_empty()) => Ok(ids.into_iter().map(str::to_owned).collect()),
        Some(_) | None => Err((Rule::Malformed, "Malformed request")),
    }
}
