//! Counts that CleverTap computes while one waits: ask, take a ticket, ask again.
//!
//! In: an event, days, conditions. Out: the numbers. A ticket is asked for again after 1, 2, 4, 8, 15 … seconds until
//! `retry_for_ms` is over; one that has grown invalid is drawn anew.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{Datelike, Days, Months, NaiveDate, Weekday};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::client::{Api, Lane, LaneSettings, Request, failure_of, has_status};
use crate::error::{Error, Result};
use crate::read::discover;
use crate::read::pushdown::condition::Condition;
use crate::read::query::{DayRange, Window, event_query, packed_midnight, poll_wait};
use crate::read::spec::Scan;
use crate::table::{Bucket, CountOf, Counts, Export, Read, Resend};
use crate::tables::{TABLES, query};

/// The longest range of a trend.
const TREND_DAYS_MAX: u64 = 365;

/// How often a ticket is drawn anew after it was called invalid.
const TICKETS_MAX: u32 = 3;

/// The name of the group in a request that has one.
const GROUP: &str = "g";

/// A request that shows whether a count answers, for an event that need not be there.
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

/// The way to the API of a count.
pub(crate) fn lane(scan: &Scan, path: &'static str) -> Lane {
    Lane::new(scan.relation.account.client(), LaneSettings::new(Api::of(path), &scan.options))
}

/// Asks and waits: the keys of the final answer.
///
/// # Errors
/// As `Lane::fetch`; `Refused` for an unknown event; `Unavailable` when the time is over.
pub(crate) async fn ask(
    scan: &Scan,
    lane: &Lane,
    path: &'static str,
    event: &str,
    body: &Map<String, Value>,
) -> Result<BTreeMap<String, Box<RawValue>>> {
    const UNDERSTOOD: &[i64] = &[400];
    let began = Instant::now();
    let question = Request::post(path, serde_json::to_vec(body).unwrap_or_default(), Resend::Idempotent).understanding(UNDERSTOOD);
    let mut request = question.clone();
    let (mut tries, mut tickets) = (0, 0);
    loop {
        let answer = lane.fetch(&request, has_status).await?;
        if let Some(failure) = failure_of(&answer) {
            let words = failure.words.unwrap_or_default();
            let said = words.to_lowercase();
            if said.contains("invalid request id") && tickets < TICKETS_MAX {
                tickets += 1;
                request = question.clone();
                continue;
            }
            if said.contains("invalid event") {
                return Err(Error::Refused(discover::unknown_event(&scan.relation, event).await));
            }
            return Err(Error::Refused(format!("{} {path} was answered {words:?} (HTTP {}).", request.method, answer.status)));
        }
        let mut keys: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(&answer.body)
            .map_err(|_| Error::Answer(format!("{path} was answered with no JSON object. Please report this.")))?;
        let ticket = keys.remove(query::REQUEST_ID);
        match keys.get("status").map(|status| status.get()) {
            Some("\"success\"") => return Ok(keys),
            Some("\"partial\"") => {}
            status => {
                let status = status.unwrap_or("none");
                return Err(Error::Answer(format!(
                    "{path} was answered with status {status}, which this version does not read. Please report this."
                )));
            }
        }
        // The number may be beyond 2^53: it is kept as its digits.
        let ticket = ticket.map(|ticket| ticket.get().trim_matches('"').to_owned());
        if let Some(ticket) = ticket {
            request = Request::get(path).with(query::REQUEST_ID, ticket).understanding(UNDERSTOOD);
        } else if request.query.is_empty() {
            return Err(Error::Answer(format!("{path} was answered \"partial\" without a ticket. Please report this.")));
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

fn integer(value: &RawValue, path: &str) -> Result<i64> {
    let text = value.get().trim_matches('"');
    text.parse().map_err(|_| Error::Answer(format!("{path} was answered with a count that is no whole number. Please report this.")))
}

/// How many in all.
pub(crate) async fn total(scan: &Scan, lane: &Lane, path: &'static str, event: &str, range: DayRange) -> Result<i64> {
    let window = Window { event: None, range };
    let keys = ask(scan, lane, path, event, &event_query(event, &window)).await?;
    let count = keys.get(query::COUNT).ok_or_else(|| Error::Answer(format!("{path} was answered without a count. Please report this.")))?;
    integer(count, path)
}

/// What CleverTap counts of an export's window: occurrences, or people.
pub(crate) async fn of_export(scan: &Scan, export: &Export, event: &str, window: &Window, conditions: &[Condition]) -> Result<u64> {
    let of = if export.time.is_some() { "events" } else { "people" };
    let path = TABLES.iter().find_map(|table| match &table.read {
        Some(Read::Counts(counts)) if counts.of == CountOf::Total(of) => Some(counts.path),
        _ => None,
    });
    let path = path.unwrap_or(export.path);
    let mut body = event_query(event, window);
    if !conditions.is_empty() {
        body.insert(query::EVENT_PROPERTIES.into(), conditions.iter().map(Condition::json).collect());
    }
    let keys = ask(scan, &lane(scan, path), path, event, &body).await?;
    let count = keys.get(query::COUNT).ok_or_else(|| Error::Answer(format!("{path} was answered without a count. Please report this.")))?;
    Ok(u64::try_from(integer(count, path)?).unwrap_or_default())
}

/// What a trend is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Trend {
    /// The grain.
    pub(crate) bucket: Bucket,
    /// Whether people are wanted too: one request more.
    pub(crate) people: bool,
    /// The property whose sum is wanted: one request more.
    pub(crate) sum_of: Option<String>,
    /// Whether occurrences are wanted.
    pub(crate) events: bool,
}

/// The numbers of a trend, one record a bucket, those without events too.
pub(crate) async fn trend(scan: &Scan, lane: &Lane, path: &'static str, event: &str, range: DayRange, trend: &Trend) -> Result<Vec<Value>> {
    let grain = match trend.bucket {
        Bucket::Day => query::DAILY,
        Bucket::Week => query::WEEKLY,
        Bucket::Month => query::MONTHLY,
    };
    let mut rows: BTreeMap<String, Map<String, Value>> =
        buckets(range, trend.bucket).map(|start| (key_of(start, trend.bucket), row(start, trend.bucket))).collect();
    let mut asked = Vec::new();
    if trend.events {
        asked.push(("events", None));
    }
    if trend.people {
        asked.push(("people", Some((query::UNIQUE, Value::Bool(true)))));
    }
    if let Some(property) = &trend.sum_of {
        asked.push(("property_sum", Some((query::SUM_OF, property.as_str().into()))));
    }
    for (column, extra) in asked {
        for row in rows.values_mut() {
            row.insert(column.into(), 0.into());
        }
        let mut body = event_query(event, &Window { event: None, range });
        body.insert(query::GROUPS.into(), json!({ GROUP: { query::TREND_TYPE: grain } }));
        body.extend(extra.map(|(key, value)| (key.to_owned(), value)));
        let keys = ask(scan, lane, path, event, &body).await?;
        let group: BTreeMap<String, Value> = match keys.get(GROUP) {
            Some(group) => serde_json::from_str(group.get())
                .map_err(|_| Error::Answer(format!("{path} was answered with a trend that is no object. Please report this.")))?,
            // Zeros that nobody counted would look like days without events.
            None => return Err(Error::Answer(format!("{path} was answered without a trend. Please report this."))),
        };
        for (key, value) in group {
            // A bucket that was not expected is a row all the same: nothing that CleverTap counted is left out.
            let unexpected = || start_of(&key, trend.bucket).map_or_else(Map::new, |start| row(start, trend.bucket));
            rows.entry(key.clone()).or_insert_with(unexpected).insert(column.into(), value);
        }
    }
    Ok(rows.into_values().map(Value::Object).collect())
}

fn row(start: NaiveDate, bucket: Bucket) -> Map<String, Value> {
    let mut row = Map::new();
    row.insert("event_date".into(), packed_midnight(start).into());
    row.insert("bucket".into(), key_of(start, bucket).into());
    row
}

/// The name of a bucket in an answer: `20260131`, `202605`, `202601`.
fn key_of(start: NaiveDate, bucket: Bucket) -> String {
    match bucket {
        Bucket::Day => start.format("%Y%m%d").to_string(),
        Bucket::Week => format!("{:04}{:02}", start.iso_week().year(), start.iso_week().week()),
        Bucket::Month => start.format("%Y%m").to_string(),
    }
}

/// The first day of the bucket of this name.
fn start_of(key: &str, bucket: Bucket) -> Option<NaiveDate> {
    let number: i32 = key.parse().ok()?;
    let part = |unit: i32| u32::try_from(number % unit).ok();
    match bucket {
        Bucket::Day => NaiveDate::parse_from_str(key, "%Y%m%d").ok(),
        Bucket::Week => NaiveDate::from_isoywd_opt(number / 100, part(100)?, Weekday::Mon),
        Bucket::Month => NaiveDate::from_ymd_opt(number / 100, part(100)?, 1),
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

/// A range widened to whole buckets, and cut between buckets into ranges of at most a year.
pub(crate) fn years(range: DayRange, bucket: Bucket) -> Vec<DayRange> {
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

/// What a top count is asked for: at most five properties of one kind.
#[derive(Debug, Clone)]
pub(crate) struct Tops {
    /// The properties.
    pub(crate) properties: Vec<String>,
    /// Their kind.
    pub(crate) kind: String,
    /// How many values of each.
    pub(crate) top_n: i64,
}

/// The most frequent values of up to five properties, one record a value.
pub(crate) async fn tops(scan: &Scan, lane: &Lane, path: &'static str, event: &str, range: DayRange, tops: &Tops) -> Result<Vec<Value>> {
    let mut groups = Map::new();
    for (at, property) in tops.properties.iter().enumerate() {
        let group = json!({ query::PROPERTY_TYPE: tops.kind, query::NAME: property, query::TOP_N: tops.top_n });
        groups.insert(format!("{GROUP}{at}"), group);
    }
    let mut body = event_query(event, &Window { event: None, range });
    body.insert(query::GROUPS.into(), Value::Object(groups));
    let keys = ask(scan, lane, path, event, &body).await?;
    let mut rows = Vec::new();
    for (at, property) in tops.properties.iter().enumerate() {
        let Some(group) = keys.get(&format!("{GROUP}{at}")) else { continue };
        let group: BTreeMap<String, BTreeMap<String, Value>> = serde_json::from_str(group.get())
            .map_err(|_| Error::Answer(format!("{path} was answered with a group that is not by type. Please report this.")))?;
        let mut values: Vec<(String, String, Value)> = group
            .into_iter()
            .flat_map(|(kind, values)| values.into_iter().map(move |(value, count)| (kind.clone(), value, count)))
            .collect();
        values.sort_by_key(|(_, _, count)| std::cmp::Reverse(count.as_i64()));
        let record = |(kind, value, count): (String, String, Value)| json!({ "property": property, "value": value, "value_type": kind, "events": count });
        rows.extend(values.into_iter().map(record));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn buckets_have_the_names_that_answers_use() {
        let of =
            |from: &str, to: &str, bucket| buckets((day(from), day(to)), bucket).map(|start| key_of(start, bucket)).collect::<Vec<_>>();
        assert_eq!(of("2026-12-31", "2027-01-01", Bucket::Day), ["20261231", "20270101"]);
        assert_eq!(of("2026-12-29", "2027-01-05", Bucket::Week), ["202653", "202701"]);
        assert_eq!(of("2026-12-29", "2027-01-05", Bucket::Month), ["202612", "202701"]);
        for (key, bucket) in [("20261231", Bucket::Day), ("202653", Bucket::Week), ("202612", Bucket::Month)] {
            assert_eq!(start_of(key, bucket).map(|start| key_of(start, bucket)).as_deref(), Some(key));
        }
    }

    #[test]
    fn a_range_over_a_year_is_cut_between_buckets() {
        for bucket in [Bucket::Day, Bucket::Week, Bucket::Month] {
            let ranges = years((day("2024-02-15"), day("2026-11-20")), bucket);
            assert!(ranges.windows(2).all(|pair| pair[0].1.succ_opt() == Some(pair[1].0)), "{ranges:?}");
            assert!(ranges.iter().all(|(first, last)| last.signed_duration_since(*first).num_days() < 366), "{ranges:?}");
            assert!(ranges.iter().all(|(first, _)| floor(*first, bucket) == *first), "{ranges:?}");
            assert_eq!(ranges.len(), 3);
        }
    }
}
