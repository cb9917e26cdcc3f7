//! Which APIs an account can use: one small request per API, which stores nothing.
//!
//! In: an account. Out: one [`Probe`] per API. The paths come from the tables, so that a new table is checked without a change here, and so
//! does what a good answer looks like: any other is a refusal, but for the words that say that the key of a probe is nobody's, which only an
//! API says that was reached and may be used.

use chrono::NaiveDate;
use std::borrow::Cow;

use crate::account::Account;
use crate::client::{Answer, Api, Lane, LaneSettings, Request, failure_of};
use crate::error::{Error, Result};
use crate::options::Options;
use crate::read::answer::{self, Reply, read_complete};
use crate::read::query::{Window, event_query, today};
use crate::read::{counts, lists};
use crate::table::{AnswerForm, BodyForm, Export, KeyLocation, Lookup, Payload, Read, Resend, Shape, Table, Write};
use crate::tables::{DRY_RUN, TABLES, query};
use crate::write::response::{Verdict, verdicts};

/// An identity that no profile has.
const NOBODY: &str = "datafusion-clevertap-check";

/// The result of the request to one API.
#[derive(Debug)]
#[non_exhaustive]
pub struct Probe {
    /// Such as `POST /1/upload?dryRun=1`.
    pub call: String,
    /// The tables that use the call.
    pub tables: Vec<&'static str>,
    /// `Ok` if the API answered as it should, or why it refused.
    pub outcome: Result<()>,
}

/// Sends one request to each API that a table uses: uploads with `dryRun=1`, which stores nothing; look-ups of a key that does not
/// exist; counts and exports of an event that does not exist; lists. Uploads are skipped for an account that was opened read-only.
pub async fn check(account: &Account) -> Vec<Probe> {
    let mut probes: Vec<(Request, Proof, String, Vec<&'static str>)> = Vec::new();
    let mut add =
        |request: Request, proof: Proof, call: String, table: &'static str| match probes.iter_mut().find(|(_, _, other, _)| *other == call)
        {
            Some((_, _, _, tables)) => tables.push(table),
            None => probes.push((request, proof, call, vec![table])),
        };
    for table in TABLES {
        // Uploads are the only writes with a dry run.
        if let Some(Write::Batch { path, fixed, open, .. }) = &table.write
            && Api::of(path).is_upload()
            && account.access() >= crate::access::Access::Write
        {
            let identifier = table.columns.iter().find(|column| column.target.shape() == Some(Shape::Identifier));
            let key = identifier.and_then(|column| column.target.pointer()).unwrap_or("/identity").trim_start_matches('/');
            let mut pairs: Vec<String> = fixed.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
            pairs.extend(open.map(|open| format!("\"{}\":{{}}", open.pointer.trim_start_matches('/'))));
            let body = format!("{{\"d\":[{{{},\"{key}\":\"{NOBODY}\"}}]}}", pairs.join(","));
            let request = Request::post(path, body, Resend::Idempotent).with(DRY_RUN.0, DRY_RUN.1);
            add(request, Proof::Accepted, format!("POST {path}?{}={}", DRY_RUN.0, DRY_RUN.1), table.name);
        }
        for (request, proof, call) in probes_of(table, today(account)) {
            add(request, proof, call, table.name);
        }
    }
    let mut results = Vec::with_capacity(probes.len());
    for (request, proof, call, tables) in probes {
        let options = Options { retry_for_ms: 10_000, timeout_ms: 10_000, ..Options::default() };
        let lane = Lane::new(account.client(), LaneSettings::new(Api::of(request.path), &options));
        let outcome = lane.fetch(&request, is_api_answer).await.and_then(|answer| proof.check(&call, &answer));
        results.push(Probe { call, tables, outcome });
    }
    results
}

/// Whether the answer comes from the API: a JSON object that is not empty.
fn is_api_answer(answer: &Answer) -> bool {
    serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&answer.body).is_ok_and(|keys| !keys.is_empty())
}

/// The answer that proves that an API works.
enum Proof {
    /// The verdict of an upload on its only record.
    Accepted,
    /// An export that was opened.
    Export(&'static Export),
    /// An answer of this form, or a `fail` with one of these words.
    Answer(AnswerForm, Vec<&'static str>),
    /// The same of a look-up, or one of the statuses that mean that a record is not there.
    Lookup(&'static Lookup),
}

impl Proof {
    fn check(&self, call: &str, answer: &Answer) -> Result<()> {
        if let Some(failure) = failure_of(answer) {
            let words = failure.lowercase();
            let is_proof = match self {
                Self::Accepted => false,
                Self::Export(_) => words.contains(query::UNKNOWN_EVENT) || failure.is_in_progress(),
                Self::Answer(_, proofs) => proofs.iter().any(|proof| words.contains(proof)),
                Self::Lookup(lookup) => lookup.is_not_found(&words) || lookup.no_key_words.iter().any(|proof| words.contains(proof)),
            };
            let code = failure.code.map_or(String::new(), |code| format!(", code {code}"));
            let words = failure.words.map_or_else(|| "\"fail\" without a reason".into(), |words| format!("\"{words}\""));
            let refused = || Error::Refused(format!("{call} was answered {words} (HTTP {}{code}).", answer.status));
            return if is_proof { Ok(()) } else { Err(refused()) };
        }
        match self {
            Self::Accepted => {
                match verdicts(BodyForm::Records, &answer.body, 1, |_| Cow::default())
                    .map_err(|why| Error::Answer(format!("{call} {why}.")))?
                    .pop()
                {
                    Some(Verdict::Refused { code, reason }) => {
                        Err(Error::Refused(format!("{call} refused a profile with nothing but an identity: \"{reason}\" (code {code}).")))
                    }
                    _ => Ok(()),
                }
            }
            Self::Lookup(lookup) if lookup.not_found_statuses.contains(&answer.status) => Ok(()),
            Self::Lookup(lookup) => holds_its_payload(call, answer, &lookup.answer),
            Self::Answer(form, _) => holds_its_payload(call, answer, form),
            Self::Export(export) => {
                let opened = read_complete(call, answer, &AnswerForm::success(Payload::List(export.records)))?;
                if opened.has(query::CURSOR) {
                    return Ok(());
                }
                let unexpected = opened.unexpected("it has no cursor");
                opened.list()?.map(drop).ok_or(unexpected)
            }
        }
    }
}

/// Whether an answer holds what its call is for: reads take an absent list or record for an empty one, but no API shows by it that it works.
fn holds_its_payload(call: &str, answer: &Answer, form: &AnswerForm) -> Result<()> {
    let complete = match answer::read(call, answer, form)? {
        Reply::Complete(complete) => complete,
        Reply::Pending(keys) if keys.get(query::REQUEST_ID).is_some_and(|id| id.get() != "null") => return Ok(()),
        Reply::Pending(_) => return Err(answer::unexpected(call, answer, "it has no request id")),
    };
    if let Some(key) = form.key().filter(|key| !complete.has(key)) {
        return Err(complete.unexpected(&format!("it has no \"{key}\"")));
    }
    match form.payload {
        Payload::Record(_) => complete.record().map(drop),
        Payload::List(_) => complete.list().map(drop),
        Payload::Count(_) => complete.count().map(drop),
        Payload::Groups => complete.group(counts::GROUP).map(drop),
        Payload::Itself(_) => complete.itself().map(drop),
    }
}

/// One small request for each read call of a table, and what proves that it works.
fn probes_of(table: &'static Table, today: NaiveDate) -> Vec<(Request, Proof, String)> {
    /// In progress; no such event; no such profile; no such campaign.
    const UNDERSTOOD: &[i64] = &[2, 400, 404, 409];
    let exported = |export: &'static Export| {
        let window = Window { event: None, range: (today, today) };
        let body = serde_json::Value::Object(event_query(NOBODY, &window)).to_string();
        (Request::post(export.path, body, Resend::Idempotent), Proof::Export(export))
    };
    let by_key = |lookup: &'static Lookup| {
        let parameter = lookup.keys.first().map(|(_, parameter)| *parameter).unwrap_or_default();
        let request = match lookup.key_location {
            KeyLocation::Query => Request::get(lookup.path).with(parameter, NOBODY),
            KeyLocation::Body => Request::post(lookup.path, format!("{{\"{parameter}\":0}}"), Resend::Idempotent),
        };
        (request, Proof::Lookup(lookup))
    };
    let requests = match &table.read {
        Some(Read::Export(call)) => vec![exported(call)],
        Some(Read::People { lookup, export }) => vec![by_key(lookup), exported(export)],
        Some(Read::Lookup(lookup)) => vec![by_key(lookup)],
        Some(Read::Counts(call)) => vec![(counts::probe(call, NOBODY, today), Proof::Answer(call.answer, vec![query::UNKNOWN_EVENT]))],
        Some(Read::Slices(call)) => vec![(lists::slice_request(call, (today, today)), Proof::Answer(call.answer, Vec::new()))],
        Some(Read::List(call)) => vec![(lists::request(call, 1), Proof::Answer(call.answer, Vec::new()))],
        None => Vec::new(),
    };
    let with_name = |(request, proof): (Request, Proof)| {
        let query: Vec<_> =
            request.query.iter().filter(|(_, value)| value != NOBODY).map(|(name, value)| format!("{name}={value}")).collect();
        let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
        let call = format!("{} {}{query}", request.method, request.path);
        (request.understanding(UNDERSTOOD), proof, call)
    };
    requests.into_iter().map(with_name).collect()
}
