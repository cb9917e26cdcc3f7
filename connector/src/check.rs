//! Does an account answer, and what may it do: one small request an API, nothing stored.
//!
//! In: an account. Out: one [`Probe`] an API. Paths come from the tables.

use crate::account::Account;
use crate::client::{Api, Lane, LaneSettings, Request, has_status};
use crate::error::Result;
use crate::options::Options;
use crate::table::{Again, Read, Shape, Write};
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

/// Asks each API that a table needs, once: uploads with `dryRun=1`, which stores nothing, and look-ups for somebody who is not
/// there. An account that is opened to be read only is not asked about uploads.
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
            let request = Request::post(path, body, Again::Harmless).with(DRY_RUN.0, DRY_RUN.1);
            add(request, format!("POST {path}?{}={}", DRY_RUN.0, DRY_RUN.1), table.name);
        }
        if let Some(Read::Lookup { path, keys: [(_, parameter), ..], .. }) = &table.read {
            add(Request::get(path).with(parameter, NOBODY).understanding(&[404]), format!("GET {path}"), table.name);
        }
    }
    let mut asked = Vec::with_capacity(probes.len());
    for (request, call, tables) in probes {
        let options = Options { retry_for_ms: 10_000, timeout_ms: 10_000, ..Options::default() };
        let lane = Lane::new(account, LaneSettings::new(Api::of(request.path), &options));
        let outcome = lane.fetch(&request, has_status).await.map(drop);
        asked.push(Probe { call, tables, outcome });
    }
    asked
}
