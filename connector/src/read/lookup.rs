//! Look-ups by key: one request and at most one row for each key.
//!
//! In: keys from a filter or a join. Out: batches in key order; each key is requested once. The key column of a row holds the requested
//! key: a person may have several identities, and the one in CleverTap's answer may be another, which would not match the filter.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, CaseExpr, CastExpr, Column, DynamicFilterPhysicalExpr, InListExpr, Literal};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::client::{Answer, Api, Lane, LaneSettings, Request, failure_of, has_status};
use crate::error::Error;
use crate::read::projection::{Constants, LOOKUP_KEY, PageProjection, RECORD, RECORDS, RecordLayout, RowFilter, unreadable};
use crate::read::pushdown::keys::{KeyFilter, value_text};
use crate::read::spec::{Counters, Scan};
use crate::table::{KeyLocation, Lookup, Resend};

/// Rows per batch: look-ups are slow, so a small batch reaches the reader sooner.
const BATCH_ROWS: usize = 64;

#[derive(Debug, Clone)]
pub(crate) struct LookupPlan {
    pub(crate) call: &'static Lookup,
    pub(crate) keys: LookupKeys,
}

#[derive(Debug, Clone)]
pub(crate) enum LookupKeys {
    /// From a filter of the query.
    Given(KeyFilter),
    /// From a join, when the query runs.
    FromJoin,
}

impl fmt::Display for LookupPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.keys {
            // Keys are personal data, so only their number is shown.
            LookupKeys::Given(keys) => write!(f, "call={}, by={}, requests={}", self.call(), keys.column, keys.values.len()),
            LookupKeys::FromJoin => write!(f, "call={}, by=the keys of a join", self.call()),
        }
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
        Ok(Self { call, keys: LookupKeys::Given(keys) })
    }

    /// The keys that it was given when it was planned; those of a join come later.
    pub(crate) fn given(&self) -> usize {
        match &self.keys {
            LookupKeys::Given(keys) => keys.values.len(),
            LookupKeys::FromJoin => 0,
        }
    }

    /// Method and path: `GET /1/profile.json`.
    pub(crate) fn call(&self) -> String {
        match self.call.key_location {
            KeyLocation::Query => format!("GET {}", self.call.path),
            KeyLocation::Body => format!("POST {}", self.call.path),
        }
    }

    /// The key column that a join's dynamic filter will restrict, if any.
    pub(crate) fn key_of(&self, filter: &Arc<dyn PhysicalExpr>, scan: &Scan) -> Option<&'static str> {
        let columns = filter.children().into_iter().filter_map(|child| column_of(child));
        columns.filter_map(|column| self.key_column(column, scan)).next()
    }

    /// The key, if the column of the scan is one.
    fn key_column(&self, column: &Column, scan: &Scan) -> Option<&'static str> {
        let field = scan.schema.fields().get(column.index())?;
        self.call.keys.iter().find(|(key, _)| field.name() == key && column.name() == *key).map(|(key, _)| *key)
    }

    /// Takes the keys from the completed dynamic filter of a join.
    ///
    /// # Errors
    /// [`Error::Filter`] if the filter is not a list of keys, or has more keys than `clevertap.lookups_max`.
    pub(crate) fn with_keys_of(self, filter: &Arc<dyn PhysicalExpr>, scan: &Scan) -> Result<Self, Error> {
        let mut key = None;
        let Some(mut values) = self.key_values(filter, scan, &mut key) else {
            return Err(Error::Filter(format!(
                "{} would be looked up by the keys of a join, and they are more than a join hands on; raise both \
                 datafusion.optimizer.hash_join_inlist_pushdown_max_distinct_values and clevertap.lookups_max (now {}), or filter the \
                 other side first",
                scan.relation.qualified(),
                scan.options.lookups_max
            )));
        };
        let mut seen = HashSet::new();
        values.retain(|value| seen.insert(value.clone()));
        let column = key.or_else(|| self.call.keys.first().map(|(key, _)| *key)).unwrap_or_default().to_owned();
        Self::of(self.call, KeyFilter { column, values }, scan)
    }

    /// The values to which `filter` restricts the key column. `None` if it does not restrict it to values. All parts of the filter must
    /// refer to the same `key`.
    fn key_values(&self, filter: &Arc<dyn PhysicalExpr>, scan: &Scan, key: &mut Option<&'static str>) -> Option<Vec<String>> {
        if let Some(dynamic) = filter.downcast_ref::<DynamicFilterPhysicalExpr>() {
            return self.key_values(&dynamic.current().ok()?, scan, key);
        }
        if let Some(list) = filter.downcast_ref::<InListExpr>() {
            let column = self.key_column(column_of(list.expr())?, scan).filter(|column| key.is_none_or(|key| key == *column))?;
            *key = Some(column);
            let values = list.list().iter().map(literal).collect::<Option<Vec<_>>>()?;
            return (!list.negated()).then(|| values.into_iter().flatten().collect());
        }
        if let Some(binary) = filter.downcast_ref::<BinaryExpr>() {
            return match binary.op() {
                Operator::And => self.key_values(binary.left(), scan, key).or_else(|| self.key_values(binary.right(), scan, key)),
                Operator::Or => {
                    let mut values = self.key_values(binary.left(), scan, key)?;
                    values.extend(self.key_values(binary.right(), scan, key)?);
                    Some(values)
                }
                Operator::Eq => {
                    let column = self.key_column(column_of(binary.left())?, scan).filter(|column| key.is_none_or(|key| key == *column))?;
                    *key = Some(column);
                    Some(literal(binary.right())?.into_iter().collect())
                }
                _ => None,
            };
        }
        if let Some(case) = filter.downcast_ref::<CaseExpr>() {
            let mut values = Vec::new();
            let branches = case.when_then_expr().iter().map(|(_, then)| then).chain(case.else_expr());
            for branch in branches {
                values.extend(self.key_values(branch, scan, key)?);
            }
            return Some(values);
        }
        let is_false =
            filter.downcast_ref::<Literal>().is_some_and(|literal| matches!(literal.value(), ScalarValue::Boolean(None | Some(false))));
        is_false.then(Vec::new)
    }

    pub(crate) fn stream(self, scan: Scan, counters: Counters) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let LookupKeys::Given(keys) = self.keys else {
            return Err(DataFusionError::Internal("a look-up that was never given its keys".into()));
        };
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

/// The column below casts to another text, which type coercion may have added. One to a number is the author's, and `0123` has no key then.
fn column_of(expr: &Arc<dyn PhysicalExpr>) -> Option<&Column> {
    match expr.downcast_ref::<CastExpr>() {
        Some(cast) if cast.cast_type().is_string() => column_of(cast.expr()),
        Some(_) => None,
        None => expr.downcast_ref::<Column>(),
    }
}

/// The text of a literal. `None` if it cannot be a key, `Some(None)` for NULL, which equals nothing.
fn literal(expr: &Arc<dyn PhysicalExpr>) -> Option<Option<String>> {
    value_text(expr.downcast_ref::<Literal>()?.value())
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
