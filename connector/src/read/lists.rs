//! Calls that return a list, in one answer or in pages: reports, campaigns, the schema, groups, blocks, segments.
//!
//! In: the description of a call. Out: records in the form that the page decoder reads. Keys without a column are collected in `extra`,
//! because the keys of these records are not fixed.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::client::{Answer, Lane, Request, has_status};
use crate::error::{Error, Result};
use crate::read::projection::REST;
use crate::read::query::{DayRange, packed_day, packed_midnight};
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
pub(crate) async fn slice(lane: &Lane, call: &Slices, table: &Table, range: DayRange) -> Result<Vec<Value>> {
    let answer = lane.fetch(&slice_request(call, range), has_status).await?;
    let records = records(&answer, Some(call.records), call.path)?.unwrap_or_default();
    Ok(records.into_iter().map(|record| finish(record, table)).collect())
}

/// The records of a list. If the answer has no list, it is empty.
pub(crate) async fn fetch_or_empty(lane: &Lane, call: &ListCall, table: &Table) -> Result<Vec<Value>> {
    Ok(fetch_all(lane, call, table).await?.unwrap_or_default())
}

/// The records of a list. `None` if the first answer has no list.
pub(crate) async fn fetch_all(lane: &Lane, call: &ListCall, table: &Table) -> Result<Option<Vec<Value>>> {
    let mut all = Vec::new();
    for page in 1..=PAGES_MAX {
        let answer = lane.fetch(&request(call, page), |answer| is_list(answer, call)).await?;
        let page_records = match records(&answer, call.records, call.path)? {
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
        all.extend(page_records.into_iter().flat_map(|record| items(record, call)).map(|record| finish(record, table)));
        if is_last {
            return Ok(Some(all));
        }
    }
    Err(Error::Answer(format!("{} went on for {PAGES_MAX} full pages: the list is not complete. Please report this.", call.path)))
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

/// Whether the answer comes from the API: it has a status, or the list for a call whose answers have no status.
fn is_list(answer: &Answer, call: &ListCall) -> bool {
    let keys: Option<BTreeMap<String, &RawValue>> = serde_json::from_slice(&answer.body).ok();
    keys.is_some_and(|keys| keys.contains_key("status") || call.records.is_some_and(|records| keys.contains_key(records)))
}

/// The records of an answer. `None` if it has no list.
fn records(answer: &Answer, key: Option<&str>, path: &str) -> Result<Option<Vec<Map<String, Value>>>> {
    let unreadable =
        |what: &str| Error::Answer(format!("{path} was answered with {what}, which this version does not read. Please report this."));
    let mut keys: Map<String, Value> =
        serde_json::from_slice(&answer.body).map_err(|_| unreadable("something that is not a JSON object"))?;
    match keys.get("status") {
        None => {}
        Some(Value::String(status)) if status.eq_ignore_ascii_case("success") => {}
        Some(status) => return Err(unreadable(&format!("status {status}"))),
    }
    let Some(key) = key else {
        keys.remove("status");
        return Ok(Some(vec![keys]));
    };
    match keys.remove(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(list)) => {
            let record = |item| match item {
                Value::Object(record) => Ok(record),
                // Some lists hold only names.
                Value::String(name) => Ok(Map::from_iter([("name".to_owned(), Value::String(name))])),
                _ => Err(unreadable(&format!("a \"{key}\" whose items are not objects"))),
            };
            list.into_iter().map(record).collect::<Result<_>>().map(Some)
        }
        Some(_) => Err(unreadable(&format!("a \"{key}\" that is not a list"))),
    }
}

/// Expands a record to one record for each item of its inner list.
fn items(mut record: Map<String, Value>, call: &ListCall) -> Vec<Map<String, Value>> {
    let Some((list, prefix)) = call.items else { return vec![record] };
    let Some(Value::Array(items)) = record.remove(list) else { return vec![record] };
    if items.is_empty() {
        return vec![record];
    }
    let with_item = |item| {
        let item =
            if let Value::String(name) = item { Value::Object(Map::from_iter([("name".to_owned(), Value::String(name))])) } else { item };
        let mut row = record.clone();
        row.insert(prefix.to_owned(), item);
        row
    };
    items.into_iter().map(with_item).collect()
}

/// Converts a record to the form that the page decoder reads: days are packed, and keys without a column are collected under [`REST`].
fn finish(mut record: Map<String, Value>, table: &Table) -> Value {
    let mut rest = Value::Object(record.clone());
    for column in table.read_columns() {
        let pointers: &[&str] = match &column.source {
            Source::At(pointer) => std::slice::from_ref(pointer),
            Source::LookupKey(pointers) | Source::Either(pointers) => pointers,
            Source::Filter | Source::Rest | Source::Nowhere => continue,
        };
        for pointer in pointers {
            if column.kind == Kind::Day {
                let key = pointer.trim_start_matches('/');
                let Some(value) = record.get(key) else { continue };
                match day_of(value) {
                    Some(day) => record.insert(key.to_owned(), packed_midnight(day).into()),
                    // The column is NULL, and the value stays in the rest.
                    None => {
                        record.remove(key);
                        continue;
                    }
                };
            }
            remove(&mut rest, pointer);
        }
    }
    if let Value::Object(rest) = rest
        && !rest.is_empty()
    {
        record.insert(REST.to_owned(), Value::Object(rest));
    }
    Value::Object(record)
}

/// Removes the value at a pointer, and its parents if they become empty.
fn remove(value: &mut Value, pointer: &str) {
    let Some((parent, key)) = pointer.rsplit_once('/') else { return };
    let Some(Value::Object(object)) = value.pointer_mut(parent) else { return };
    object.remove(key);
    if object.is_empty() && !parent.is_empty() {
        remove(value, parent);
    }
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
        let record = json!({"name":"Charged","status":"Active","eventCount":5,"properties":[{"name":"Amount","dataType":"Number","unit":"USD"},"Plan"]});
        let Value::Object(record) = record else { panic!("an object") };
        let rows: Vec<_> = items(record, call).into_iter().map(|record| finish(record, table)).collect();
        assert_eq!(rows[0][REST], json!({"eventCount":5,"property":{"unit":"USD"}}));
        assert_eq!(rows[1][REST], json!({"eventCount":5}));
        assert_eq!(rows[1]["property"]["name"], "Plan");
    }
}
