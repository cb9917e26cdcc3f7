//! `POST /1/upload`: a body in, records checked and stored, the refused ones echoed (reference section 5).
//!
//! Checking needs no lock but the devices' reading one; storing holds the database for as long as it appends.

pub(crate) mod clean;
pub(crate) mod codes;
pub(crate) mod event;
pub(crate) mod identifier;
pub(crate) mod profile;
pub(crate) mod record;

use std::sync::PoisonError;

use crate::answer::Answer;
use crate::emulator::Inner;
use crate::faults::Plan;
use crate::json::Json;
use crate::lock;
use crate::report::Rule;
use crate::verdict::{self, Echo, Refused};
use clean::Cleaner;
use codes::Reason;
use record::Accepted;

/// Records of type token of one body.
const TOKENS_MAX: usize = 100;

/// Runs one upload; `number` is the request's, for faults with a probability.
pub(crate) fn run(inner: &Inner, query: &str, body: &[u8], plan: &Plan, number: u64) -> Answer {
    let records = match verdict::records(inner, body) {
        Ok(records) => records,
        Err(answer) => return answer,
    };
    let is_token = |record: &&Json<'_>| record.get("type").and_then(Json::as_text) == Some("token");
    if records.iter().filter(is_token).count() > TOKENS_MAX {
        return verdict::refuse(inner, Rule::Tokens, "Maximum 100 device tokens are allowed in one request");
    }
    let mut cleaner = Cleaner { value_bytes_max: inner.settings.value_bytes_max, entries: Vec::new() };
    let (accepted, refused) = check(inner, &records, plan, number, &mut cleaner);
    let processed = accepted.len();
    if is_dry(query) {
        lock(&inner.report).dry_runs += 1;
    } else {
        store(inner, accepted, verdict::kept(plan), &refused, cleaner);
    }
    verdict::answer(processed, refused, plan)
}

type Checked<'r, 'b> = (Vec<Accepted<'r>>, Vec<Refused<'r, 'b>>);

fn check<'r, 'b>(inner: &Inner, records: &'r [Json<'b>], plan: &Plan, number: u64, cleaner: &mut Cleaner) -> Checked<'r, 'b> {
    let devices = inner.devices.read().unwrap_or_else(PoisonError::into_inner);
    let now = inner.now();
    let mut accepted = Vec::with_capacity(records.len());
    let mut refused = Vec::new();
    let seed = verdict::seed(inner, number);
    for (record, place) in records.iter().zip(1..) {
        let entries = cleaner.entries.len();
        let mut verdict = record::check(record, &inner.settings, &devices, now, cleaner);
        if let (Ok(fine), Some(what)) = (&verdict, &plan.what)
            && let Some(reason) = what.spoils(place, usual_reason(fine), seed)
        {
            verdict = Err(reason);
        }
        match verdict {
            Ok(fine) => accepted.push(fine),
            Err(reason) => {
                cleaner.entries.truncate(entries);
                refused.push(Refused::new(reason, place, plan, echo(record, reason)));
            }
        }
    }
    (accepted, refused)
}

/// A reason that a record of this type can have.
const fn usual_reason(record: &Accepted<'_>) -> Reason {
    match record {
        Accepted::Event { .. } => Reason::EventData,
        Accepted::Profile { .. } => Reason::Email,
        Accepted::Token { .. } => Reason::TokenData,
    }
}

fn store(inner: &Inner, accepted: Vec<Accepted<'_>>, kept: usize, refused: &[Refused<'_, '_>], mut cleaner: Cleaner) {
    {
        let mut database = lock(&inner.database);
        for record in accepted.into_iter().take(kept) {
            database.enter(record, &inner.settings, &mut cleaner);
        }
    }
    verdict::count(inner, refused);
    lock(&inner.report).lost(cleaner.entries);
}

fn echo<'r, 'b>(record: &'r Json<'b>, reason: Reason) -> Echo<'r, 'b> {
    if !reason.is_after_phone() {
        return Echo::AsSent(record);
    }
    let mut changed = record.clone();
    if let Json::Object(fields) = &mut changed
        && let Some((_, Json::Object(data))) = fields.iter_mut().find(|(key, _)| key == "profileData")
        && let Some((_, phone)) = data.iter_mut().find(|(key, _)| key == "Phone")
        && let Some(number) = phone.as_text().and_then(profile::phone_number)
    {
        *phone = Json::Number(number.into());
    }
    Echo::Changed(changed)
}

/// `dryRun=1` and `dryRun=true`; `0` stores (unknowns 2.22).
fn is_dry(query: &str) -> bool {
    query.split('&').any(|pair| matches!(pair, "dryRun=1" | "dryRun=true"))
}
