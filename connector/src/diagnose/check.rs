//! Does an account answer, and what may it do: one small request an API, nothing stored.
//!
//! In: an account. Out: one [`Probe`] an API. Paths come from the tables.

use chrono::NaiveDate;

use crate::account::Account;
use crate::client::{Answer, Api, Lane, LaneSettings, Request};
use crate::error::Result;
use crate::options::Options;
use crate::read::query::{Window, event_query, today};
use crate::read::{counts, lists};
use crate::table::{KeyLocation, Lookup, Read, Resend, Shape, Table, Write};
use crate::tables::{DRY_RUN, TABLES};

/// Nobody has this identity.
const NOBODY: &str = "datafusion-clevertap-check";

/// What one API answered.
#[derive(Debug)]
pub struct Probe {
    /// The call: `POST /1/upload?dryRun=1`.
    pub call: String,
    /// The tables that need it.
    pub tables: Vec<&'static str>,
    /// Nothing, or why it was refused.
    pub outcome: Result<()>,
}

/// Asks each API that a table needs, once: uploads with `dryRun=1`, which stores nothing, look-ups for somebody who is not there,
/// counts and exports of an event that is not there, lists. An account that is opened to be read only is not asked about uploads.
pub async fn check(account: &Account) -> Vec<Probe> {
    let mut probes: Vec<(Request, String, Vec<&'static str>)> = Vec::new();
    let mut add = |request: Request, call: String, table: &'static str| match probes.iter_mut().find(|(_, known, _)| *known == call) {
        Some((_, _, tables)) => tables.push(table),
        None => probes.push((request, call, vec![table])),
    };
    for table in TABLES {
        // Nothing but an upload can be asked without being done.
        if let Some(Write::Batch { path, fixed, .. }) = &table.write
            && Api::of(path).is_upload()
            && account.access() >= crate::account::Access::Write
        {
            // Whether this one record would pass is not asked: an answer about it is enough.
            let identifier = table.columns.iter().find(|column| column.target.shape() == Some(Shape::Identifier));
            let key = identifier.and_then(|column| column.target.pointer()).unwrap_or("/identity").trim_start_matches('/');
            let pairs: Vec<String> = fixed.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
            let body = format!("{{\"d\":[{{{},\"{key}\":\"{NOBODY}\"}}]}}", pairs.join(","));
            let request = Request::post(path, body, Resend::Idempotent).with(DRY_RUN.0, DRY_RUN.1);
            add(request, format!("POST {path}?{}={}", DRY_RUN.0, DRY_RUN.1), table.name);
        }
        for (request, call) in probes_of(table, today(account)) {
            add(request, call, table.name);
        }
    }
    let mut asked = Vec::with_capacity(probes.len());
    for (request, call, tables) in probes {
        let options = Options { retry_for_ms: 10_000, timeout_ms: 10_000, ..Options::default() };
        let lane = Lane::new(account.client(), LaneSettings::new(Api::of(request.path), &options));
        let outcome = lane.fetch(&request, answers).await.map(drop);
        asked.push(Probe { call, tables, outcome });
    }
    asked
}

/// Whether an answer shows that the API is there: an object with something in it.
fn answers(answer: &Answer) -> bool {
    serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&answer.body).is_ok_and(|keys| !keys.is_empty())
}

/// One small request to each API behind a table's reads.
fn probes_of(table: &Table, today: NaiveDate) -> Vec<(Request, String)> {
    /// In progress; what is wrong with an event that is not there; nobody; a campaign that is not there.
    const UNDERSTOOD: &[i64] = &[2, 400, 404, 409];
    let export = |path: &'static str| {
        let window = Window { event: None, range: (today, today) };
        Request::post(path, serde_json::Value::Object(event_query(NOBODY, &window)).to_string(), Resend::Idempotent)
    };
    let by_key = |lookup: &Lookup| {
        let parameter = lookup.keys.first().map(|(_, parameter)| *parameter).unwrap_or_default();
        match lookup.key_location {
            KeyLocation::Query => Request::get(lookup.path).with(parameter, NOBODY),
            KeyLocation::Body => Request::post(lookup.path, format!("{{\"{parameter}\":0}}"), Resend::Idempotent),
        }
    };
    let requests = match &table.read {
        Some(Read::Export(call)) => vec![export(call.path)],
        Some(Read::People { lookup, export: call }) => vec![by_key(lookup), export(call.path)],
        Some(Read::Lookup(lookup)) => vec![by_key(lookup)],
        Some(Read::Counts(call)) => vec![counts::probe(call, NOBODY, today)],
        Some(Read::Slices(call)) => vec![lists::slice_request(call, (today, today))],
        Some(Read::Whole(call)) => vec![lists::request(call, 1)],
        None => Vec::new(),
    };
    let named = |request: Request| {
        let query: Vec<_> =
            request.query.iter().filter(|(_, value)| value != NOBODY).map(|(name, value)| format!("{name}={value}")).collect();
        let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
        let call = format!("{} {}{query}", request.method, request.path);
        (request.understanding(UNDERSTOOD), call)
    };
    requests.into_iter().map(named).collect()
}
