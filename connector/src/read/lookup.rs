//! Look-ups by key: one request and at most one row for each key.
//!
//! In: keys, from a filter or from the other side of a join. Out: batches in key order; each key is requested once. The key column of a row holds the requested
//! key: a person may have several identities, and the one in CleverTap's answer may be another, which would not match the filter.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use datafusion::error::{DataFusionError, Result};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::client::{Api, Fail, Lane, LaneSettings, Request, contradiction_of, failure_of, has_status};
use crate::error::Error;
use crate::read::answer;
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
        let layout = RecordLayout { records: RECORDS, record: Some(RECORD), lookup_key: Some(column), is_built: true };
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
                let record = record(&lane, call, (column, parameter), &value, retry_for).await?;
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
    (column, parameter): (&'static str, &'static str),
    key: &str,
    retry_for: Duration,
) -> Result<Option<Box<RawValue>>, Error> {
    let request = match call.key_location {
        KeyLocation::Query => Request::get(call.path).with(parameter, key),
        KeyLocation::Body => {
            // A key that is an integer is sent as a number, with all its digits.
            let number = serde_json::from_str::<serde_json::Number>(key).is_ok() && !key.contains(['.', 'e', 'E', '-']);
            let value = if number { key.to_owned() } else { Value::from(key).to_string() };
            Request::post(call.path, format!("{{\"{parameter}\":{value}}}"), Resend::Idempotent)
        }
    };
    let request = request.understanding(call.not_found_codes);
    let began = Instant::now();
    let mut tries = 0;
    loop {
        let answer = lane.fetch(&request, has_status).await?;
        if call.not_found_statuses.contains(&answer.status) {
            return Ok(None);
        }
        let Some(failure) = failure_of(&answer) else {
            // Seen live: `success` with the code 200 and an error that says that there is no record yet.
            let is_not_found =
                |error: &Fail| error.code == Some(200) && call.not_found_codes.contains(&200) && call.is_not_found(&error.lowercase());
            if contradiction_of(&answer).as_ref().is_some_and(is_not_found) {
                return Ok(None);
            }
            let record = answer::read_complete(self::call(call), &answer, &call.answer)?.record()?;
            let is_answer = record.as_ref().map_or(Ok(true), |record| is_of(record, column, key, call));
            let is_answer = is_answer.map_err(|why| answer::unexpected(&self::call(call), &answer, why))?;
            if !is_answer {
                let why = format!(
                    "it is the record of another \"{column}\" than the one that was asked for, and names that one nowhere. If it is another \
                     \"{column}\" of the same person, ask by the first one"
                );
                return Err(answer::unexpected(&self::call(call), &answer, &why));
            }
            return Ok(record);
        };
        // A code that means "not found" may mean other things too, so the text decides.
        if call.is_not_found(&failure.lowercase()) {
            if answer::holds_something(&answer) {
                return Err(answer::unexpected(&self::call(call), &answer, "it says that there is no record, and holds something"));
            }
            return Ok(None);
        }
        let refused = || {
            let words = failure.words.as_ref().map(ToString::to_string).filter(|words| !words.is_empty());
            let words = words.map_or_else(|| "\"fail\" without a reason".to_owned(), |words| format!("{words:?}"));
            format!("{} was answered {words} (HTTP {})", self::call(call), answer.status)
        };
        if answer.status < 500 {
            return Err(Error::Refused(format!("{}.", refused())));
        }
        if began.elapsed() >= retry_for {
            return Err(Error::Unavailable(format!("{} again and again", refused())));
        }
        tries += 1;
        lane.pause(lane.backoff(tries)).await;
    }
}

/// Whether a record is the one of `key`: it names that one among its keys.
///
/// # Errors
/// The record cannot be looked into.
fn is_of(record: &RawValue, column: &str, key: &str, call: &Lookup) -> Result<bool, &'static str> {
    let Some((_, found_by)) = call.found_by.iter().find(|(name, _)| *name == column) else { return Ok(true) };
    let Ok(record) = serde_json::from_str::<Value>(record.get()) else {
        return Err("its record has objects and lists more than 127 deep in each other, or numbers that there are not");
    };
    if has_odd_identifier(&record, call) {
        return Err("an identifier in its record is no text and no whole number");
    }
    let is_key = |text: &str| text == key || (found_by.any_case && text.to_lowercase() == key.to_lowercase());
    let values = |pointers: &[&str]| pointers.iter().flat_map(|pointer| values_at(&record, pointer)).collect::<Vec<_>>();
    let (one, several) = (values(found_by.pointers), values(found_by.several));
    let is_among = |texts: &String| texts == key || texts.split([',', ';', '|']).any(|text| text.trim() == key);
    Ok(one.iter().any(|text| is_key(text)) || several.iter().any(is_among))
}

/// Whether an identifier of a record is of a kind that none is: what a later request takes from the record would name somebody else.
fn has_odd_identifier(record: &Value, call: &Lookup) -> bool {
    let pointers = call.found_by.iter().flat_map(|(_, found_by)| found_by.pointers).filter(|pointer| !pointer.contains('*'));
    pointers.filter_map(|pointer| record.pointer(pointer)).any(|value| match value {
        Value::Null | Value::String(_) => false,
        Value::Number(number) => number.is_f64(),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => true,
    })
}

/// The scalars at a JSON pointer, in which `*` is every element of a list, as text; of a list its elements.
fn values_at(value: &Value, pointer: &str) -> Vec<String> {
    let below = match pointer.split_once("/*") {
        Some((list, below)) => {
            let list = value.pointer(list).and_then(Value::as_array);
            return list.into_iter().flatten().flat_map(|element| values_at(element, below)).collect();
        }
        None => value.pointer(pointer),
    };
    match below {
        Some(Value::String(text)) if !text.is_empty() => vec![text.clone()],
        Some(number @ Value::Number(_)) => vec![number.to_string()],
        Some(Value::Array(list)) => list.iter().flat_map(|element| values_at(element, "")).collect(),
        _ => Vec::new(),
    }
}

/// Converts records to a batch, through a page that has each record next to its key.
fn batch(projection: &PageProjection, call: &Lookup, scan: &Scan, records: &[(String, Box<RawValue>)]) -> Result<RecordBatch> {
    let mut page = format!("{{\"{RECORDS}\":[");
    for (at, (key, record)) in records.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let key = Value::from(key.as_str());
        page.push_str(&format!("{comma}{{\"{LOOKUP_KEY}\":{key},\"{RECORD}\":{}}}", record.get()));
    }
    page.push_str("]}");
    let page = projection.decoder().decode(&Bytes::from(page)).map_err(|error| unreadable(call.path, &error))?;
    projection.batch(&page, &Constants::new(), scan, RowFilter::All, &Mutex::default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Read;

    #[test]
    fn a_record_that_names_another_key_is_not_the_one_of_the_question() {
        let Some(Read::People { lookup, .. }) = &crate::tables::profiles().read else { panic!("people") };
        let is_of = |column: &str, key: &str, record: &str| {
            is_of(&RawValue::from_string(record.to_owned()).unwrap(), column, key, lookup) == Ok(true)
        };
        for record in [
            r#"{"identity":"u1"}"#,
            r#"{"identity":"a","all_identities":"a,u1"}"#,
            r#"{"identity":"a","all_identities":["a","u1"]}"#,
            r#"{"all_identities":"u1"}"#,
        ] {
            assert!(is_of("identity", "u1", record), "{record}");
        }
        for record in [
            r#"{"name":"Ann"}"#,
            r#"{"profileData":{}}"#,
            r#"{"identity":"u2"}"#,
            r#"{"identity":"u11","all_identities":"u11,u12"}"#,
            r#"{"identity":"U1"}"#,
        ] {
            assert!(!is_of("identity", "u1", record), "{record}");
        }
        assert!(is_of("identity", "1001", r#"{"identity":1001}"#));
        assert!(is_of("email", "Ann@Example.org", r#"{"email":"ann@example.org"}"#));
        assert!(!is_of("email", "ann@example.org", r#"{"email":"bob@example.org","identity":"u1"}"#));
        assert!(is_of("object_id", "d2", r#"{"platformInfo":[{"platform":"iOS"},{"objectId":"d2"}]}"#));
        assert!(!is_of("object_id", "d2", r#"{"objectId":"d1","platformInfo":[{"objectId":"d3"}]}"#));
    }
}
