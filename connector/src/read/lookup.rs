//! Look-ups by key: one request and at most one row for each key.
//!
//! In: keys, from a filter or from the other side of a join. Out: batches in key order; each key is requested once. The key column of a row holds the requested
//! key: a person may have several identities, and the one in CleverTap's answer may be another, which would not match the filter.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use datafusion::error::{DataFusionError, Result};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::client::{Answer, Api, Lane, LaneSettings, Request, failure_of, has_status};
use crate::error::Error;
use crate::read::projection::{Constants, LOOKUP_KEY, PageProjection, RECORD, RECORDS, RecordLayout, RowFilter, unreadable};
use crate::read::pushdown::keys::KeyFilter;
use crate::read::spec::{Counters, Scan};
use crate::table::{KeyLocation, Lookup, Resend};

/// Rows per batch: look-ups are slow, so a small batch reaches the reader sooner.
const BATCH_ROWS: usize = 64;

/// Keys, and the call that looks each of them up.
#[derive(Debug, Clone)]
pub(crate) struct LookupPlan {
    call: &'static Lookup,
    pub(crate) keys: KeyFilter,
}

impl fmt::Display for LookupPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Keys are personal data, so only their number is shown.
        write!(f, "call={}, by={}, requests={}", call(self.call), self.keys.column, self.keys.values.len())
    }
}

/// Method and path: `GET /1/profile.json`.
pub(crate) fn call(lookup: &Lookup) -> String {
    match lookup.key_location {
        KeyLocation::Query => format!("GET {}", lookup.path),
        KeyLocation::Body => format!("POST {}", lookup.path),
    }
}

impl LookupPlan {
    /// Plans look-ups of `keys`. Empty keys are left out: no record has one, and CleverTap would refuse the request.
    ///
    /// # Errors
    /// [`Error::Filter`] if there are more keys than `clevertap.lookups_max`.
    pub(crate) fn of(call: &'static Lookup, mut keys: KeyFilter, scan: &Scan) -> Result<Self, Error> {
        keys.values.retain(|value| !value.is_empty());
        let (count, max) = (keys.values.len(), scan.options.lookups_max);
        if count > max {
            return Err(Error::Filter(format!(
                "{} would be asked for {count} keys, one request each, and clevertap.lookups_max is {max}; {}",
                scan.relation.qualified(),
                fewer(scan, count),
            )));
        }
        Ok(Self { call, keys })
    }

    pub(crate) fn stream(self, scan: Scan, counters: Counters) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let keys = self.keys;
        let Some((column, parameter)) = self.call.keys.iter().copied().find(|(column, _)| *column == keys.column) else {
            return Err(DataFusionError::Internal("a look-up by a column that is not a key".into()));
        };
        let layout = RecordLayout { records: RECORDS, record: Some(RECORD), lookup_key: Some(column) };
        let projection = PageProjection::new(&scan.relation, &scan.schema, &scan.projection, layout, RowFilter::All)?;
        let settings = LaneSettings::new(Api::of(self.call.path), &scan.options);
        let retry_for = settings.retry_for;
        let lane = Arc::new(Lane::new(scan.relation.account.client(), settings));
        let in_flight = lane.in_flight_max();
        let call = self.call;
        let answers = futures::stream::iter(keys.values).map(move |value| {
            let (lane, counters) = (Arc::clone(&lane), counters.clone());
            async move {
                counters.add("requests", 1);
                let record = record(&lane, call, parameter, &value, retry_for).await?;
                Ok::<_, Error>(record.map(|record| (value, record)))
            }
        });
        let records = answers.buffered(in_flight).try_filter_map(|record| async { Ok(record) }).take(scan.limit.unwrap_or(usize::MAX));
        let batches = records.try_chunks(BATCH_ROWS).map(move |chunk| match chunk {
            Ok(records) => batch(&projection, call, &scan, &records),
            Err(error) => Err(DataFusionError::from(error.1)),
        });
        Ok(batches.boxed())
    }
}

/// What to do about too many keys.
pub(crate) fn fewer(scan: &Scan, count: usize) -> String {
    match scan.relation.account.whose_scope(|ceilings| ceilings.lookups_max.is_some_and(|max| count > max)) {
        Some(tenant) => format!("ask for fewer: the scope of \"{tenant}\" allows no more"),
        None => format!("ask for fewer, or SET clevertap.lookups_max = {count}"),
    }
}

/// Requests one key: its record, or `None` if it does not exist.
async fn record(
    lane: &Lane,
    call: &Lookup,
    parameter: &'static str,
    key: &str,
    retry_for: Duration,
) -> Result<Option<Box<RawValue>>, Error> {
    let request = match call.key_location {
        KeyLocation::Query => Request::get(call.path).with(parameter, key),
        KeyLocation::Body => {
            // A key that is an integer is sent as a number, with all its digits.
            let number = serde_json::from_str::<serde_json::Number>(key).is_ok() && !key.contains(['.', 'e', 'E', '-']);
            let value = if number { key.to_owned() } else { serde_json::Value::from(key).to_string() };
            Request::post(call.path, format!("{{\"{parameter}\":{value}}}"), Resend::Idempotent)
        }
    };
    let request = request.understanding(call.not_found_codes);
    let began = Instant::now();
    let mut tries = 0;
    loop {
        let answer = lane.fetch(&request, has_status).await?;
        let Some(failure) = failure_of(&answer) else { return record_of(&answer, call) };
        // A code that means "not found" may mean other things too; then the message decides.
        if call.is_not_found(failure.words.as_deref()) || answer.status == 409 {
            return Ok(None);
        }
        if began.elapsed() >= retry_for {
            let words = failure.words.unwrap_or_default();
            return Err(Error::Unavailable(format!("{} {} was answered {words:?} again and again", request.method, call.path)));
        }
        tries += 1;
        lane.pause(lane.backoff(tries)).await;
    }
}

/// The record of an answer without a failure.
fn record_of(answer: &Answer, call: &Lookup) -> Result<Option<Box<RawValue>>, Error> {
    let unreadable =
        |what: &str| Error::Answer(format!("{} was answered {what}, which this version does not read. Please report this.", call.path));
    let mut keys: BTreeMap<String, Box<RawValue>> =
        serde_json::from_slice(&answer.body).map_err(|_| unreadable("with something that is not a JSON object"))?;
    match keys.remove("status").map(|status| serde_json::from_str::<String>(status.get())) {
        Some(Ok(status)) if status == "success" || status == "fail" => {}
        Some(Ok(status)) => {
            let other_keys: Vec<String> = keys.keys().map(|key| format!("\"{key}\"")).collect();
            return Err(unreadable(&format!("with \"status\": \"{status}\" beside {}", other_keys.join(", "))));
        }
        _ => return Err(unreadable("without a status")),
    }
    Ok(keys.remove(call.record.trim_start_matches('/')).filter(|record| record.get() != "null"))
}

/// Converts records to a batch, through a page that has each record next to its key.
fn batch(projection: &PageProjection, call: &Lookup, scan: &Scan, records: &[(String, Box<RawValue>)]) -> Result<RecordBatch> {
    let mut page = format!("{{\"{RECORDS}\":[");
    for (at, (key, record)) in records.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let key = serde_json::Value::from(key.as_str());
        page.push_str(&format!("{comma}{{\"{LOOKUP_KEY}\":{key},\"{RECORD}\":{}}}", record.get()));
    }
    page.push_str("]}");
    let page = projection.decoder().decode(&Bytes::from(page)).map_err(|error| unreadable(call.path, &error))?;
    projection.batch(&page, &Constants::new(), scan, RowFilter::All, &Mutex::default())
}
