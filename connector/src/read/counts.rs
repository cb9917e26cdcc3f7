//! Counts, which CleverTap computes asynchronously: the first answer may hold only a request id, which is then polled.
//!
//! In: an event, days, conditions. Out: the numbers. A request id is polled after 1, 2, 4, 8, 15 … seconds until `retry_for_ms` has
//! passed. If CleverTap calls the id invalid, the count is requested again: the ids expire.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{Datelike, Days, Months, NaiveDate};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::client::{Api, Lane, LaneSettings, Request, failure_of, has_status};
use crate::error::{Error, Result};
use crate::read::answer::{self, Complete, Reply, UniqueKeys, whole_number};
use crate::read::pushdown::condition::Condition;
use crate::read::query::{DayRange, Window, event_query, packed_midnight, poll_wait};
use crate::read::schema_discovery;
use crate::read::spec::Scan;
use crate::table::{Bucket, CountOf, Counts, Export, Read, Resend};
use crate::tables::{TABLES, query};

/// The longest range of a trend.
const TREND_DAYS_MAX: u64 = 365;

/// How often a count is requested again because its request id became invalid.
const RESTARTS_MAX: u32 = 3;

/// The name of the group in requests with one group.
pub(crate) const GROUP: &str = "g";

/// A request that tests whether the API answers. The event need not exist.
pub(crate) fn probe(call: &Counts, event: &str, day: NaiveDate) -> Request {
    let group = match call.of {
        CountOf::Total(_) => None,
        CountOf::Trend(_) => Some(json!({ GROUP: { query::TREND_TYPE: query::DAILY } })),
        CountOf::TopValues => Some(json!({ GROUP: { query::PROPERTY_TYPE: query::PROPERTY_TYPES[0], query::NAME: event } })),
    };
    let mut body = event_query(event, &Window { event: None, range: (day, day) });
    body.extend(group.map(|group| (query::GROUPS.to_owned(), group)));
    Request::post(call.path, Value::Object(body).to_string(), Resend::Idempotent)
}

pub(crate) fn lane(scan: &Scan, path: &'static str) -> Lane {
    Lane::new(scan.relation.account.client(), LaneSettings::new(Api::of(path), &scan.options))
}

/// Requests a count and polls until it is ready. `read` takes the final answer apart.
///
/// # Errors
/// Those of `Lane::fetch` and of `read`; `Refused` if the event does not exist; `Unavailable` if it is not ready in time; `Answer` for an
/// answer of another form.
async fn poll<T>(
    scan: &Scan,
    lane: &Lane,
    call: &Counts,
    event: &str,
    body: &Map<String, Value>,
    read: impl FnOnce(Complete) -> Result<T>,
) -> Result<T> {
    const UNDERSTOOD: &[i64] = &[400];
    let path = call.path;
    let began = Instant::now();
    let first_request = Request::post(path, serde_json::to_vec(body).unwrap_or_default(), Resend::Idempotent).understanding(UNDERSTOOD);
    let mut request = first_request.clone();
    let (mut tries, mut restarts) = (0, 0);
    loop {
        let answer = lane.fetch(&request, has_status).await?;
        if let Some(failure) = failure_of(&answer) {
            let lowercase = failure.lowercase();
            if lowercase.contains("invalid request id") && restarts < RESTARTS_MAX {
                restarts += 1;
                request = first_request.clone();
                continue;
            }
            if lowercase.contains(query::UNKNOWN_EVENT) {
                return Err(Error::Refused(schema_discovery::unknown_event(&scan.relation, event).await));
            }
            let words = failure.words.unwrap_or_default().to_string();
            return Err(Error::Refused(format!("{} {path} was answered {words:?} (HTTP {}).", request.method, answer.status)));
        }
        let name = format!("{} {path}", request.method);
        let request_id = match answer::read(&name, &answer, &call.answer)? {
            Reply::Complete(complete) => return read(complete),
            // The id may be a number beyond 2^53, so it is kept as text.
            Reply::Pending(mut keys) => keys.remove(query::REQUEST_ID).map(|id| id.get().trim_matches('"').to_owned()),
        };
        match request_id {
            Some(id) if !id.is_empty() && id != "null" && !id.starts_with(['{', '[']) => {
                request = Request::get(path).with(query::REQUEST_ID, id).understanding(UNDERSTOOD);
            }
            None if !request.query.is_empty() => {}
            _ => return Err(answer::unexpected(&name, &answer, "it has no request id")),
        }
        tries += 1;
        if began.elapsed() >= Duration::from_millis(scan.options.retry_for_ms) {
            return Err(Error::Unavailable(format!(
                "{path} was still computing \"{event}\" after {} s ({tries} questions). SET clevertap.retry_for_ms to wait longer, or ask for fewer days",
                began.elapsed().as_secs()
            )));
        }
        lane.pause(poll_wait(tries)).await;
    }
}

/// The number of occurrences or people, depending on the call.
pub(crate) async fn total(scan: &Scan, lane: &Lane, call: &Counts, event: &str, range: DayRange) -> Result<u64> {
    let window = Window { event: None, range };
    poll(scan, lane, call, event, &event_query(event, &window), Complete::count).await
}

/// CleverTap's count for a window of an export: occurrences for events, people for profiles.
pub(crate) async fn count_window(scan: &Scan, export: &Export, event: &str, window: &Window, conditions: &[Condition]) -> Result<u64> {
    let of = if export.time.is_some() { "events" } else { "people" };
    let call = TABLES.iter().find_map(|table| match &table.read {
        Some(Read::Counts(counts)) if counts.of == CountOf::Total(of) => Some(counts),
        _ => None,
    });
    let call = call.ok_or_else(|| Error::Internal(format!("no table counts {of}")))?;
    let mut body = event_query(event, window);
    if !conditions.is_empty() {
        body.insert(query::EVENT_PROPERTIES.into(), conditions.iter().map(Condition::json).collect());
    }
    poll(scan, &lane(scan, call.path), call, event, &body, Complete::count).await
}

/// The parameters of a trend.
#[derive(Debug, Clone)]
pub(crate) struct Trend {
    pub(crate) bucket: Bucket,
    /// Whether people are counted, which takes a request of its own.
    pub(crate) people: bool,
    /// The property to sum up, which takes a request of its own.
    pub(crate) sum_of: Option<String>,
    /// Whether occurrences are counted.
    pub(crate) events: bool,
}

/// The numbers of a trend: one record for each bucket, including those without events.
pub(crate) async fn trend(scan: &Scan, lane: &Lane, call: &Counts, event: &str, range: DayRange, trend: &Trend) -> Result<Vec<Value>> {
    let trend_type = match trend.bucket {
        Bucket::Day => query::DAILY,
        Bucket::Week => query::WEEKLY,
        Bucket::Month => query::MONTHLY,
    };
    let mut rows: BTreeMap<String, Map<String, Value>> =
        buckets(range, trend.bucket).map(|start| (bucket_key(start, trend.bucket), row(start, trend.bucket))).collect();
    let mut series = Vec::new();
    if trend.events {
        series.push(("events", None));
    }
    if trend.people {
        series.push(("people", Some((query::UNIQUE, Value::Bool(true)))));
    }
    if let Some(property) = &trend.sum_of {
        series.push(("property_sum", Some((query::SUM_OF, property.as_str().into()))));
    }
    for (column, extra) in series {
        for row in rows.values_mut() {
            row.insert(column.into(), 0.into());
        }
        let mut body = event_query(event, &Window { event: None, range });
        body.insert(query::GROUPS.into(), json!({ GROUP: { query::TREND_TYPE: trend_type } }));
        body.extend(extra.map(|(key, value)| (key.to_owned(), value)));
        // Without the error for a group that is not there, the default zeros would look like days without events.
        let series = |complete: Complete| {
            let group = complete.group(GROUP)?.into_inner();
            // A sum may be a fraction or below zero, a count may not.
            let is_sum = column == "property_sum";
            let number = |(key, value): (String, Box<RawValue>)| {
                // Shown, it would be a row outside of what was asked for; left out, a count would be lost.
                if !rows.contains_key(&key) {
                    return Err(complete.unexpected("a bucket is none of those that were asked for"));
                }
                let number = if is_sum { serde_json::from_str(value.get()).ok() } else { whole_number(&value).map(Value::from) };
                number.filter(Value::is_number).map(|number| (key, number)).ok_or_else(|| complete.unexpected("a bucket has no count"))
            };
            group.into_iter().map(number).collect::<Result<Vec<_>>>()
        };
        for (key, value) in poll(scan, lane, call, event, &body, series).await? {
            rows.entry(key).or_default().insert(column.into(), value);
        }
    }
    Ok(rows.into_values().map(Value::Object).collect())
}

fn row(start: NaiveDate, bucket: Bucket) -> Map<String, Value> {
    let mut row = Map::new();
    row.insert("event_date".into(), packed_midnight(start).into());
    row.insert("bucket".into(), bucket_key(start, bucket).into());
    row
}

/// The key of a bucket in an answer: `20260131` (day), `202605` (week), `202601` (month).
fn bucket_key(start: NaiveDate, bucket: Bucket) -> String {
    match bucket {
        Bucket::Day => start.format("%Y%m%d").to_string(),
        Bucket::Week => format!("{:04}{:02}", start.iso_week().year(), start.iso_week().week()),
        Bucket::Month => start.format("%Y%m").to_string(),
    }
}

/// The first day of the bucket that holds `day`.
pub(crate) fn floor(day: NaiveDate, bucket: Bucket) -> NaiveDate {
    match bucket {
        Bucket::Day => day,
        Bucket::Week => day.checked_sub_days(Days::new(u64::from(day.weekday().num_days_from_monday()))).unwrap_or(day),
        Bucket::Month => day.with_day(1).unwrap_or(day),
    }
}

/// The first day of the next bucket.
fn next(start: NaiveDate, bucket: Bucket) -> Option<NaiveDate> {
    match bucket {
        Bucket::Day => start.succ_opt(),
        Bucket::Week => start.checked_add_days(Days::new(7)),
        Bucket::Month => start.checked_add_months(Months::new(1)),
    }
}

fn buckets(range: DayRange, bucket: Bucket) -> impl Iterator<Item = NaiveDate> {
    std::iter::successors(Some(floor(range.0, bucket)), move |start| next(*start, bucket)).take_while(move |start| *start <= range.1)
}

/// Widens a range to whole buckets and splits it between buckets into ranges of at most a year.
pub(crate) fn trend_ranges(range: DayRange, bucket: Bucket) -> Vec<DayRange> {
    let mut ranges: Vec<DayRange> = Vec::new();
    for start in buckets(range, bucket) {
        let end = next(start, bucket).and_then(|next| next.pred_opt()).unwrap_or(start);
        match ranges.last_mut() {
            Some((first, last)) if end.signed_duration_since(*first).num_days() < TREND_DAYS_MAX as i64 => *last = end,
            _ => ranges.push((start, end)),
        }
    }
    ranges
}

/// The parameters of a top count: at most five properties of one kind.
#[derive(Debug, Clone)]
pub(crate) struct TopValues {
    pub(crate) properties: Vec<String>,
    /// One of `PROPERTY_TYPES`.
    pub(crate) kind: String,
    /// Number of values per property.
    pub(crate) top_n: i64,
}

/// The most frequent values of up to five properties, one record for each value.
pub(crate) async fn top_values(
    scan: &Scan,
    lane: &Lane,
    call: &Counts,
    event: &str,
    range: DayRange,
    parameters: &TopValues,
) -> Result<Vec<Value>> {
    let mut groups = Map::new();
    for (at, property) in parameters.properties.iter().enumerate() {
        let group = json!({ query::PROPERTY_TYPE: parameters.kind, query::NAME: property, query::TOP_N: parameters.top_n });
        groups.insert(format!("{GROUP}{at}"), group);
    }
    let mut body = event_query(event, &Window { event: None, range });
    body.insert(query::GROUPS.into(), Value::Object(groups));
    let read = |complete: Complete| {
        let mut rows = Vec::new();
        for (at, property) in parameters.properties.iter().enumerate() {
            let mut values: Vec<(String, String, u64)> = Vec::new();
            for (kind, counted) in complete.group(&format!("{GROUP}{at}"))?.into_inner() {
                let counted: UniqueKeys =
                    serde_json::from_str(counted.get()).map_err(|_| complete.unexpected("a group is not by type, each value once"))?;
                let counted = counted.into_inner();
                if i64::try_from(counted.len()).map_or(true, |values| values > parameters.top_n) {
                    return Err(complete.unexpected("a group has more values than were asked for"));
                }
                for (value, count) in counted {
                    let count = whole_number(&count).ok_or_else(|| complete.unexpected("a value has no count"))?;
                    values.push((kind.clone(), value, count));
                }
            }
            values.sort_by_key(|(_, _, count)| std::cmp::Reverse(*count));
            let record = |(kind, value, count)| json!({ "property": property, "value": value, "value_type": kind, "events": count });
            rows.extend(values.into_iter().map(record));
        }
        Ok(rows)
    };
    poll(scan, lane, call, event, &body, read).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn bucket_keys_are_those_of_answers() {
        let of =
            |from: &str, to: &str, bucket| buckets((day(from), day(to)), bucket).map(|start| bucket_key(start, bucket)).collect::<Vec<_>>();
        assert_eq!(of("2026-12-31", "2027-01-01", Bucket::Day), ["20261231", "20270101"]);
        assert_eq!(of("2026-12-29", "2027-01-05", Bucket::Week), ["202653", "202701"]);
        assert_eq!(of("2026-12-29", "2027-01-05", Bucket::Month), ["202612", "202701"]);
    }

    #[test]
    fn a_range_over_a_year_is_split_between_buckets() {
        for bucket in [Bucket::Day, Bucket::Week, Bucket::Month] {
            let ranges = trend_ranges((day("2024-02-15"), day("2026-11-20")), bucket);
            assert!(ranges.windows(2).all(|pair| pair[0].1.succ_opt() == Some(pair[1].0)), "{ranges:?}");
            assert!(ranges.iter().all(|(first, last)| last.signed_duration_since(*first).num_days() < 366), "{ranges:?}");
            assert!(ranges.iter().all(|(first, _)| floor(*first, bucket) == *first), "{ranges:?}");
            assert_eq!(ranges.len(), 3);
        }
    }
}
