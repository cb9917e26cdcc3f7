//! Which APIs an account can use: one small request per API, which stores nothing.
//!
//! In: an account. Out: one [`Probe`] per API. The paths come from the tables, so that a new table is checked without a change here.

use chrono::NaiveDate;

use crate::account::Account;
use crate::client::{Answer, Api, Lane, LaneSettings, Request};
use crate::error::Result;
use crate::options::Options;
use crate::read::query::{Window, event_query, today};
use crate::read::{counts, lists};
use crate::table::{KeyLocation, Lookup, Read, Resend, Shape, Table, Write};
use crate::tables::{DRY_RUN, TABLES};

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
    /// `Ok` if the API answered, or why it refused.
    pub outcome: Result<()>,
}

/// Sends one request to each API that a table uses: uploads with `dryRun=1`, which stores nothing; look-ups of a key that does not
/// exist; counts and exports of an event that does not exist; lists. Uploads are skipped for an account that was opened read-only.
pub async fn check(account: &Account) -> Vec<Probe> {
    let mut probes: Vec<(Request, String, Vec<&'static str>)> = Vec::new();
    let mut add = |request: Request, call: String, table: &'static str| match probes.iter_mut().find(|(_, existing, _)| *existing == call) {
        Some((_, _, tables)) => tables.push(table),
        None => probes.push((request, call, vec![table])),
    };
    for table in TABLES {
        // Uploads are the only writes with a dry run.
        if let Some(Write::Batch { path, fixed, .. }) = &table.write
            && Api::of(path).is_upload()
            && account.access() >= crate::access::Access::Write
        {
            // Whether this record is valid does not matter: any answer about it shows that the API works.
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
    let mut results = Vec::with_capacity(probes.len());
    for (request, call, tables) in probes {
        let options = Options { retry_for_ms: 10_000, timeout_ms: 10_000, ..Options::default() };
        let lane = Lane::new(account.client(), LaneSettings::new(Api::of(request.path), &options));
        let outcome = lane.fetch(&request, is_api_answer).await.map(drop);
        results.push(Probe { call, tables, outcome });
    }
    results
}

/// Whether the answer comes from the API: a JSON object that is not empty.
fn is_api_answer(answer: &Answer) -> bool {
    serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&answer.body).is_ok_and(|keys| !keys.is_empty())
}

/// One small request for each read call of a table.
fn probes_of(table: &Table, today: NaiveDate) -> Vec<(Request, String)> {
    /// In progress; no such event; no such profile; no such campaign.
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
        Some(Read::List(call)) => vec![lists::request(call, 1)],
        None => Vec::new(),
    };
    let with_name = |request: Request| {
        let query: Vec<_> =
            request.query.iter().filter(|(_, value)| value != NOBODY).map(|(name, value)| format!("{name}={value}")).collect();
        let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
        let call = format!("{} {}{query}", request.method, request.path);
        (request.understanding(UNDERSTOOD), call)
    };
    requests.into_iter().map(with_name).collect()
}
