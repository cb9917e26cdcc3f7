//! Calls that return a list, in one answer or in pages: reports, campaigns, the schema, groups, blocks, segments.
//!
//! In: the description of a call. Out: records in the form that the page decoder reads. Keys without a column are collected in `extra`,
//! because the keys of these records are not fixed.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

use crate::client::{Answer, Lane, Request, has_status};
use crate::error::{Error, Result};
use crate::read::answer::{self, Complete};
use crate::read::projection::REST;
use crate::read::query::{DayRange, packed_day, packed_midnight};
use crate::read::rest::{RawRecord, pointers_of, rest};
use crate::table::{Kind, ListCall, ListRequest, Resend, Slices, Source, Table};
use crate::tables::query;

/// A list with more pages is an error: it might never end.
const PAGES_MAX: usize = 100_000;

/// The request for one slice of days.
pub(crate) fn slice_request(call: &Slices, range: DayRange) -> Request {
    let day = |day| if call.days_as_text { Value::from(packed_day(day).to_string()) } else { Value::from(packed_day(day)) };
    let mut body = Map::new();
    body.insert(query::FROM.into(), day(range.0));
    body.insert(query::TO.into(), day(range.1));
    Request::post(call.path, Value::Object(body).to_string(), Resend::Idempotent)
}

/// The records of one slice of days.
pub(crate) async fn slice(lane: &Lane, call: &Slices, table: &Table, range: DayRange) -> Result<Vec<Box<RawValue>>> {
    let request = slice_request(call, range);
    let answer = lane.fetch(&request, has_status).await?;
    let complete = answer::read_complete(format_args!("{} {}", request.method, call.path), &answer, &call.answer)?;
    let records = records(complete)?.unwrap_or_default();
    records.into_iter().map(|record| finish(record, table)).collect()
}

/// The records of a list. If the answer has no list, it is empty.
pub(crate) async fn fetch_or_empty(lane: &Lane, call: &ListCall, table: &Table) -> Result<Vec<Box<RawValue>>> {
    Ok(fetch_all(lane, call, table).await?.unwrap_or_default())
}

/// The records of a list. `None` if the first answer has no list.
pub(crate) async fn fetch_all(lane: &Lane, call: &ListCall, table: &Table) -> Result<Option<Vec<Box<RawValue>>>> {
    let mut all = Vec::new();
    for page in 1..=PAGES_MAX {
        let request = request(call, page);
        let answer = lane.fetch(&request, |answer| is_list(answer, call)).await?;
        let complete = answer::read_complete(format_args!("{} {}", request.method, call.path), &answer, &call.answer)?;
        let page_records = match records(complete)? {
            Some(records) => records,
            None if page == 1 => return Ok(None),
            None => {
                return Err(Error::Answer(format!(
                    "page {page} of {} has no list, after full ones: the list is not complete. Please report this.",
                    call.path
                )));
            }
        };
        let is_last = call.pages.is_none_or(|pages| page_records.len() < pages.rows_max);
        for record in page_records.into_iter().flat_map(|record| items(record, call)) {
            all.push(finish(record, table)?);
        }
        if is_last {
            return Ok(Some(all));
        }
    }
    Err(Error::Answer(format!("{} went on for {PAGES_MAX} full pages: the list is not complete. Please report this.", call.path)))
}

/// Records as values, for whoever reads their texts alone.
pub(crate) fn values(records: &[Box<RawValue>]) -> Vec<Value> {
    records.iter().filter_map(|record| serde_json::from_str(record.get()).ok()).collect()
}

/// The request for a page of a list.
pub(crate) fn request(call: &ListCall, page: usize) -> Request {
    let paging = call.pages.map(|pages| [(pages.number, page), (pages.size, pages.rows_max)]);
    match call.request {
        ListRequest::Query(pairs) => {
            let request = pairs.iter().fold(Request::get(call.path), |request, (name, value)| request.with(name, *value));
            paging.into_iter().flatten().fold(request, |request, (name, value)| request.with(name, value.to_string()))
        }
        ListRequest::Body(text) => {
            let mut body: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
            body.extend(paging.into_iter().flatten().map(|(name, value)| (name.to_owned(), value.into())));
            Request::post(call.path, Value::Object(body).to_string(), Resend::Idempotent)
        }
    }
}

/// Whether the answer comes from the API: it has a status, or the list for a call whose answers have no status. A 202 is not finished.
fn is_list(answer: &Answer, call: &ListCall) -> bool {
    if answer.status == 202 {
        return false;
    }
    let keys: Option<BTreeMap<String, &RawValue>> = serde_json::from_slice(&answer.body).ok();
    keys.is_some_and(|keys| keys.contains_key("status") || call.answer.key().is_some_and(|records| keys.contains_key(records)))
}

/// The records of an answer. `None` if it has no list.
fn records(complete: Complete) -> Result<Option<Vec<RawRecord>>> {
    if complete.is_itself() {
        return Ok(Some(vec![complete.itself()?]));
    }
    let unexpected = complete.unexpected("an item of its list is neither an object nor a name");
    let Some(items) = complete.list()? else { return Ok(None) };
    let mut records = Vec::with_capacity(items.len());
    for item in items {
        match record_of(item) {
            Some(record) => records.push(record),
            None => return Err(unexpected),
        }
    }
    Ok(Some(records))
}

/// An item of a list as a record. Some lists hold only names.
fn record_of(item: Box<RawValue>) -> Option<RawRecord> {
    match item.get().as_bytes().first()? {
        b'"' => Some(RawRecord::from([("name".to_owned(), item)])),
        _ => serde_json::from_str(item.get()).ok(),
    }
}

/// Expands a record to one record for each item of its inner list.
fn items(mut record: RawRecord, call: &ListCall) -> Vec<RawRecord> {
    let Some((list, prefix)) = call.items else { return vec![record] };
    let Some(items) = record.get(list).and_then(|list| serde_json::from_str::<Vec<Box<RawValue>>>(list.get()).ok()) else {
        return vec![record];
    };
    record.remove(list);
    if items.is_empty() {
        return vec![record];
    }
    let with_item = |item: Box<RawValue>| {
        let mut row = record.clone();
        let is_name = item.get().starts_with('"');
        let item = if is_name { to_raw_value(&RawRecord::from([("name".to_owned(), item)])).ok() } else { Some(item) };
        row.extend(item.map(|item| (prefix.to_owned(), item)));
        row
    };
    items.into_iter().map(with_item).collect()
}

/// Converts a record to the form that the page decoder reads: days are packed, and keys without a column are collected under [`REST`].
fn finish(mut record: RawRecord, table: &Table) -> Result<Box<RawValue>> {
    let mut pointers = pointers_of(table);
    let days = table.read_columns().filter(|column| column.kind == Kind::Day);
    let days = days.filter_map(|column| if let Source::At(pointer) = column.source { Some(pointer) } else { None });
    let mut packed = Vec::new();
    for pointer in days {
        let key = pointer.trim_start_matches('/');
        let Some(value) = record.get(key) else { continue };
        let day = serde_json::from_str(value.get()).ok().and_then(|value| day_of(&value));
        if day.is_none() {
            // The column is NULL, and the value stays in the rest.
            pointers.retain(|other| *other != pointer);
        }
        packed.push((key, day));
    }
    let rest = rest(&record, &pointers);
    let written = |error| Error::Internal(format!("a record of a list cannot be written: {error}"));
    for (key, day) in packed {
        match day {
            Some(day) => _ = record.insert(key.to_owned(), to_raw_value(&packed_midnight(day)).map_err(written)?),
            None => _ = record.remove(key),
        }
    }
    if !rest.is_empty() {
        record.insert(REST.to_owned(), to_raw_value(&rest).map_err(written)?);
    }
    to_raw_value(&record).map_err(written)
}

/// Parses a day of a report. CleverTap does not document the format, so the common ones are accepted.
fn day_of(value: &Value) -> Option<NaiveDate> {
    /// A number from here on is epoch seconds and not a packed day.
    const SECONDS: i64 = 100_000_000;
    let number = |number: i64| match number {
        ..SECONDS => NaiveDate::parse_from_str(&number.to_string(), "%Y%m%d").ok(),
        SECONDS..=9_999_999_999 => DateTime::from_timestamp(number, 0).map(|at| at.date_naive()),
        _ => NaiveDate::parse_from_str(number.to_string().get(..8)?, "%Y%m%d").ok(),
    };
    match value {
        Value::Number(value) => number(value.as_i64()?),
        Value::String(text) => match text.trim().parse() {
            Ok(value) => number(value),
            Err(_) => {
                let day = text.trim().split(['T', ' ']).next()?;
                let with_month_name =
                    || ["%d %b %Y", "%d %b, %Y", "%b %d, %Y"].iter().find_map(|form| NaiveDate::parse_from_str(text.trim(), form).ok());
                day.parse().ok().or_else(with_month_name)
            }
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn days_are_read_in_the_forms_that_reports_use() {
        let day = NaiveDate::from_ymd_opt(2026, 1, 31);
        for form in [
            json!("20260131"),
            json!(20_260_131),
            json!("2026-01-31"),
            json!("2026-01-31T10:00:00Z"),
            json!("2026-01-31 10:00"),
            json!(1_769_817_600),
            json!("31 Jan 2026"),
            json!(20_260_131_103_000_i64),
        ] {
            assert_eq!(day_of(&form), day, "{form}");
        }
        for form in [json!("soon"), json!(null), json!(7), json!("")] {
            assert_eq!(day_of(&form), None, "{form}");
        }
    }

    #[test]
    fn keys_without_a_column_are_in_the_rest() {
        let table = crate::tables::find("event_schema").unwrap();
        let Some(crate::table::Read::List(call)) = &table.read else { panic!("a list") };
        let record = r#"{"name":"Charged","status":"Active","eventCount":12345678901234567890123,"properties":[{"name":"Amount","dataType":"Number","unit":"USD"},"Plan"]}"#;
        let rows: Vec<Value> = items(serde_json::from_str(record).unwrap(), call)
            .into_iter()
            .map(|record| serde_json::from_str(finish(record, table).unwrap().get()).unwrap())
            .collect();
        let rest = |row: &Value| row[REST].to_string();
        assert_eq!(rest(&rows[0]), json!({"eventCount":1.234_567_890_123_456_8e22,"property":{"unit":"USD"}}).to_string());
        let record = finish(serde_json::from_str(r#"{"name":"Charged","eventCount":12345678901234567890123}"#).unwrap(), table).unwrap();
        assert!(record.get().contains("{\"eventCount\":12345678901234567890123}"), "{record}");
        assert_eq!(rows[1]["property"]["name"], "Plan");
    }
}
