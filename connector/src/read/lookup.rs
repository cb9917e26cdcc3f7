//! Point look-ups: one request a key, one row a key at most.
//!
//! In: keys, of the filters or of a join. Out: batches in the order of the keys, each key asked once. The column that was asked
//! holds what was asked: a person may be known by more names than the one that CleverTap shows first.

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
use crate::read::projection::{ASKED, Constants, PageProjection, RECORD, RECORDS, RecordLayout, RowFilter, unreadable};
use crate::read::pushdown::keys::{KeyFilter, value_text};
use crate::read::spec::{Counters, Scan};
use crate::table::{KeyLocation, Lookup, Resend};

/// Rows of a batch: look-ups are slow, so that a reader waits for few of them.
const BATCH_ROWS: usize = 64;

/// One request a key.
#[derive(Debug, Clone)]
pub(crate) struct LookupPlan {
    /// The call.
    pub(crate) call: &'static Lookup,
    /// What is asked.
    pub(crate) keys: LookupKeys,
}

/// The keys of a look-up.
#[derive(Debug, Clone)]
pub(crate) enum LookupKeys {
    /// The query says them.
    Given(KeyFilter),
    /// A join will know them.
    OfJoin,
}

impl fmt::Display for LookupPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.keys {
            // The keys are people: their number is shown, they are not.
            LookupKeys::Given(asked) => write!(f, "call={}, by={}, requests={}", self.call(), asked.column, asked.values.len()),
            LookupKeys::OfJoin => write!(f, "call={}, by=the keys of a join", self.call()),
        }
    }
}

impl LookupPlan {
    /// Look-ups of these keys. An empty text is the key of nobody, and CleverTap would refuse it.
    ///
    /// # Errors
    /// [`Error::Filter`] if they are more than `clevertap.lookups_max`.
    pub(crate) fn of(call: &'static Lookup, mut asked: KeyFilter, scan: &Scan) -> Result<Self, Error> {
        asked.values.retain(|value| !value.is_empty());
        let (count, max) = (asked.values.len(), scan.options.lookups_max);
        if count > max {
            return Err(Error::Filter(format!(
                "{} would be asked for {count} keys, one request each, and clevertap.lookups_max is {max}; ask for fewer, or raise it",
                scan.relation.qualified(),
            )));
        }
        Ok(Self { call, keys: LookupKeys::Given(asked) })
    }

    /// `GET /1/profile.json`.
    pub(crate) fn call(&self) -> String {
        match self.call.key_location {
            KeyLocation::Query => format!("GET {}", self.call.path),
            KeyLocation::Body => format!("POST {}", self.call.path),
        }
    }

    /// The key column that a join's filter will pin.
    pub(crate) fn key_of(&self, filter: &Arc<dyn PhysicalExpr>, scan: &Scan) -> Option<&'static str> {
        let columns = filter.children().into_iter().filter_map(|child| column_of(child));
        columns.filter_map(|column| self.key_named(column, scan)).next()
    }

    /// The key of this name, if the scan's column of that name is one.
    fn key_named(&self, column: &Column, scan: &Scan) -> Option<&'static str> {
        let field = scan.schema.fields().get(column.index())?;
        self.call.keys.iter().find(|(key, _)| field.name() == key && column.name() == *key).map(|(key, _)| *key)
    }

    /// The same with the keys that a join knows by now.
    ///
    /// # Errors
    /// [`Error::Filter`] if they are more than may be looked up.
    pub(crate) fn with_keys_of(self, filter: &Arc<dyn PhysicalExpr>, scan: &Scan) -> Result<Self, Error> {
        let mut found = None;
        let pinned = self.pinned(filter, scan, &mut found);
        let Some(mut values) = pinned else {
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
        let column = found.or_else(|| self.call.keys.first().map(|(key, _)| *key)).unwrap_or_default().to_owned();
        Self::of(self.call, KeyFilter { column, values }, scan)
    }

    /// The values outside of which `filter` does not hold; `None` where it does not say.
    fn pinned(&self, filter: &Arc<dyn PhysicalExpr>, scan: &Scan, found: &mut Option<&'static str>) -> Option<Vec<String>> {
        if let Some(dynamic) = filter.downcast_ref::<DynamicFilterPhysicalExpr>() {
            return self.pinned(&dynamic.current().ok()?, scan, found);
        }
        if let Some(list) = filter.downcast_ref::<InListExpr>() {
            let key = self.key_named(column_of(list.expr())?, scan).filter(|key| found.is_none_or(|found| found == *key))?;
            *found = Some(key);
            let values = list.list().iter().map(literal).collect::<Option<Vec<_>>>()?;
            return (!list.negated()).then(|| values.into_iter().flatten().collect());
        }
        if let Some(binary) = filter.downcast_ref::<BinaryExpr>() {
            return match binary.op() {
                Operator::And => self.pinned(binary.left(), scan, found).or_else(|| self.pinned(binary.right(), scan, found)),
                Operator::Or => {
                    let mut values = self.pinned(binary.left(), scan, found)?;
                    values.extend(self.pinned(binary.right(), scan, found)?);
                    Some(values)
                }
                Operator::Eq => {
                    let key = self.key_named(column_of(binary.left())?, scan).filter(|key| found.is_none_or(|found| found == *key))?;
                    *found = Some(key);
                    Some(literal(binary.right())?.into_iter().collect())
                }
                _ => None,
            };
        }
        if let Some(case) = filter.downcast_ref::<CaseExpr>() {
            let mut values = Vec::new();
            let branches = case.when_then_expr().iter().map(|(_, then)| then).chain(case.else_expr());
            for branch in branches {
                values.extend(self.pinned(branch, scan, found)?);
            }
            return Some(values);
        }
        let never =
            filter.downcast_ref::<Literal>().is_some_and(|literal| matches!(literal.value(), ScalarValue::Boolean(None | Some(false))));
        never.then(Vec::new)
    }

    /// Asks for every key.
    pub(crate) fn stream(self, scan: Scan, counters: Counters) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let LookupKeys::Given(asked) = self.keys else {
            return Err(DataFusionError::Internal("a look-up that was never given its keys".into()));
        };
        let Some((column, parameter)) = self.call.keys.iter().copied().find(|(column, _)| *column == asked.column) else {
            return Err(DataFusionError::Internal("a look-up by a column that is not a key".into()));
        };
        let framed = RecordLayout { records: RECORDS, inside: Some(RECORD), asked: Some(column) };
        let shape = PageProjection::new(&scan.relation, &scan.schema, &scan.projection, framed, RowFilter::All)?;
        let settings = LaneSettings::new(Api::of(self.call.path), &scan.options);
        let retry_for = settings.retry_for;
        let lane = Arc::new(Lane::new(scan.relation.account.client(), settings));
        let in_flight = lane.in_flight_max();
        let call = self.call;
        let answers = futures::stream::iter(asked.values).map(move |value| {
            let (lane, counters) = (Arc::clone(&lane), counters.clone());
            async move {
                counters.add("requests", 1);
                let record = record(&lane, call, parameter, &value, retry_for).await?;
                Ok::<_, Error>(record.map(|record| (value, record)))
            }
        });
        let found = answers.buffered(in_flight).try_filter_map(|found| async { Ok(found) }).take(scan.limit.unwrap_or(usize::MAX));
        let batches = found.try_chunks(BATCH_ROWS).map(move |chunk| match chunk {
            Ok(records) => batch(&shape, call, &scan, &records),
            Err(broken) => Err(DataFusionError::from(broken.1)),
        });
        Ok(batches.boxed())
    }
}

/// A column under the casts that a comparison may bring.
fn column_of(expr: &Arc<dyn PhysicalExpr>) -> Option<&Column> {
    match expr.downcast_ref::<CastExpr>() {
        Some(cast) => column_of(cast.expr()),
        None => expr.downcast_ref::<Column>(),
    }
}

/// The text of a literal: `None` if it is none, `Some(None)` for NULL, which equals nothing.
fn literal(expr: &Arc<dyn PhysicalExpr>) -> Option<Option<String>> {
    value_text(expr.downcast_ref::<Literal>()?.value())
}

/// One request: the record, or nobody.
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
            // A number with all its digits, where it is one.
            let number = serde_json::from_str::<serde_json::Number>(key).is_ok() && !key.contains(['.', 'e', 'E', '-']);
            let value = if number { key.to_owned() } else { serde_json::Value::from(key).to_string() };
            Request::post(call.path, format!("{{\"{parameter}\":{value}}}"), Resend::Idempotent)
        }
    };
    let request = request.understanding(call.nobody);
    let began = Instant::now();
    let mut tries = 0;
    loop {
        let answer = lane.fetch(&request, has_status).await?;
        let Some(failure) = failure_of(&answer) else { return found(&answer, call) };
        // A code that means "nobody" may mean other things too: then the words decide.
        if call.is_nobody(failure.words.as_deref()) || answer.status == 409 {
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

/// The record of an answer that is no failure.
fn found(answer: &Answer, call: &Lookup) -> Result<Option<Box<RawValue>>, Error> {
    let unread =
        |what: &str| Error::Answer(format!("{} was answered {what}, which this version does not read. Please report this.", call.path));
    let mut keys: BTreeMap<String, Box<RawValue>> =
        serde_json::from_slice(&answer.body).map_err(|_| unread("with something that is not a JSON object"))?;
    match keys.remove("status").map(|status| serde_json::from_str::<String>(status.get())) {
        Some(Ok(status)) if status == "success" || status == "fail" => {}
        Some(Ok(status)) => {
            let others: Vec<String> = keys.keys().map(|key| format!("\"{key}\"")).collect();
            return Err(unread(&format!("with \"status\": \"{status}\" beside {}", others.join(", "))));
        }
        _ => return Err(unread("without a status")),
    }
    Ok(keys.remove(call.record.trim_start_matches('/')).filter(|record| record.get() != "null"))
}

/// Records as a batch, each beside what was asked.
fn batch(shape: &PageProjection, call: &Lookup, scan: &Scan, records: &[(String, Box<RawValue>)]) -> Result<RecordBatch> {
    let mut page = format!("{{\"{RECORDS}\":[");
    for (at, (key, record)) in records.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let key = serde_json::Value::from(key.as_str());
        page.push_str(&format!("{comma}{{\"{ASKED}\":{key},\"{RECORD}\":{}}}", record.get()));
    }
    page.push_str("]}");
    let page = shape.decoder().decode(&Bytes::from(page)).map_err(|unread| unreadable(call.path, &unread))?;
    shape.batch(&page, &Constants::new(), scan, RowFilter::All, &Mutex::default())
}
