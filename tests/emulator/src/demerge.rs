//! `POST /1/demerge/profiles.json`: a merged person falls apart into devices, for ever (reference 9.2).

use std::collections::BTreeMap;

use crate::answer::Answer;
use crate::delete::ids;
use crate::emulator::{Emulator, Inner};
use crate::lock;
use crate::report::Rule;
use crate::verdict::{parse, refuse};

impl Emulator {
    /// How often each identity was demerged: every time that a request which was carried out names it, also where there
    /// was nothing to split. A client that sends no demerge twice leaves no number above 1.
    #[must_use]
    pub fn demerges(&self) -> BTreeMap<String, u64> {
        lock(&self.inner.demerges).clone()
    }
}

/// Splits everybody who is named, at once (unknowns 5.6); identities that nobody has are a success, too.
pub(crate) fn run(inner: &Inner, body: &[u8]) -> Answer {
    let request = match parse(inner, body) {
        Ok(request) => request,
        Err(answer) => return answer,
    };
    let identities = match request.get("identities").map(ids) {
        Some(Ok(identities)) => identities,
        Some(Err((rule, text))) => return refuse(inner, rule, text),
        None => return refuse(inner, Rule::Malformed, "Malformed request"),
    };
    lock(&inner.database).demerge(&identities);
    let mut demerges = lock(&inner.demerges);
    for identity in identities {
        *demerges.entry(identity).or_default() += 1;
    }
    lock(&inner.report).demerge_calls += 1;
    Answer::success()
}
