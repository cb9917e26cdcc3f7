//! Calls that return a list, in one answer or in pages: reports, campaigns, the schema, groups, blocks, segments.
//!
//! In: the description of a call. Out: records in the form that the page decoder reads. Keys without a column are collected in `extra`,
//! because the keys of these records are not fixed.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use chrono::{DateTime, NaiveDate};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

use crate::client::{Answer, Lane, Request, has_status};
use crate::error::{Error, Result};
use crate::read::answer::{self, Complete};
use crate::read::projection::REST;
use crate::read::query::{DayRange, packed_day, packed_midnight};
use crate::read::rest::{RawRecord, pointers_of, rest};
use crate::table::{AnswerForm, Kind, ListCall, ListRequest, Pages, Resend, Slices, Source, Table};
use crate::tables::query;

/// A list with more pages is an error: it might never end.
const PAGES_MAX: usize = 10_000;

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
    let totals = Totals::of(&complete, &call.answer, None)?;
    if let Some(more) = complete.says_more() {
        return Err(more);
    }
    let records = records(complete)?.unwrap_or_default();
    totals.check_all(call.path, 1, records.len())?;
    records.into_iter().map(|record| finish(record, table)).collect()
}

/// The records of a list. `None` if the first answer has no list.
pub(crate) async fn fetch_all(lane: &Lane, call: &ListCall, table: &Table) -> Result<Option<Vec<Box<RawValue>>>> {
    let mut pages = ListPages::new(call, table);
    let mut all: Option<Vec<_>> = None;
    while let Some(records) = pages.next(lane).await? {
        all.get_or_insert_default().extend(records);
    }
    Ok(all)
}

/// The pages of a list, one after the other. What they bring is held against the totals of the answers, so that a list is never shorter than
/// it says, and against the pages before, so that it has an end.
#[derive(Debug)]
pub(crate) struct ListPages<'a> {
    call: &'a ListCall,
    table: &'a Table,
    /// The number of the last page that was asked for.
    page: usize,
    rows: usize,
    /// Hashes of all records so far.
    seen: HashSet<u64>,
    is_over: bool,
}

impl<'a> ListPages<'a> {
    pub(crate) fn new(call: &'a ListCall, table: &'a Table) -> Self {
        Self { call, table, page: 0, rows: 0, seen: HashSet::new(), is_over: false }
    }

    /// Whether the last page is the first one too: its records are the whole list.
    pub(crate) fn are_all_of_it(&self) -> bool {
        self.is_over && self.page == 1
    }

    /// The records of the next page. `None` behind the last one, or if the first answer has no list.
    pub(crate) async fn next(&mut self, lane: &Lane) -> Result<Option<Vec<Box<RawValue>>>> {
        if self.is_over {
            return Ok(None);
        }
        self.page += 1;
        let (call, page) = (self.call, self.page);
        let request = request(call, page);
        let answer = lane.fetch(&request, |answer| is_list(answer, call)).await?;
        let complete = answer::read_complete(format_args!("{} {}", request.method, call.path), &answer, &call.answer)?;
        let totals = Totals::of(&complete, &call.answer, call.pages)?;
        let more = complete.says_more().filter(|_| !complete.is_itself());
        let records = records(complete)?;
        let has_list = records.is_some();
        let records = records.unwrap_or_default();
        let is_new = records.iter().filter(|record| self.seen.insert(hash(record))).count() > 0;
        if !is_new {
            // Nothing follows a page that is empty, or that repeats earlier ones: a server that counts no pages would do so for ever.
            totals.check_all(call.path, page, self.rows)?;
            if totals.are_absent() && !(page == 1 || has_list && records.is_empty()) {
                let what = if has_list { "repeats earlier ones" } else { "has no list, after full ones" };
                return Err(Error::Answer(format!("page {page} of {} {what}: the list is not complete. Please report this.", call.path)));
            }
            self.is_over = true;
            if let Some(more) = more {
                return Err(more);
            }
            return Ok((page == 1 && has_list).then(Vec::new));
        }
        self.rows += records.len();
        let may_go_on = call.pages.is_some_and(|pages| {
            let is_full = records.len() >= pages.rows_max;
            totals.say_more(page, self.rows) || more.is_some() || (is_full && totals.pages.is_none())
        });
        self.is_over = !may_go_on;
        if let Some(more) = more.filter(|_| self.is_over) {
            return Err(more);
        }
        if self.is_over || totals.rows.is_some_and(|total| self.rows > total) {
            totals.check_all(call.path, page, self.rows)?;
        }
        if !self.is_over && page == PAGES_MAX {
            return Err(Error::Answer(format!("{} went on for {page} pages: the list is not complete. Please report this.", call.path)));
        }
        records.into_iter().flat_map(|record| items(record, call)).map(|record| finish(record, self.table)).collect::<Result<_>>().map(Some)
    }
}

/// How many records and pages a list has, as far as an answer says so.
#[derive(Debug, Clone, Copy)]
struct Totals {
    rows: Option<usize>,
    pages: Option<usize>,
}

impl Totals {
    fn of(complete: &Complete, form: &AnswerForm, pages: Option<Pages>) -> Result<Self> {
        let total = |key| Ok::<_, Error>(complete.total(key)?.map(|total| usize::try_from(total).unwrap_or(usize::MAX)));
        Ok(Self { rows: total(form.total)?, pages: total(pages.and_then(|pages| pages.count))? })
    }

    fn are_absent(&self) -> bool {
        self.rows.is_none() && self.pages.is_none()
    }

    /// Whether there is more than `rows` records on the first `page` pages.
    fn say_more(&self, page: usize, rows: usize) -> bool {
        self.rows.is_some_and(|total| rows < total) || self.pages.is_some_and(|pages| page < pages)
    }

    /// # Errors
    /// [`Error::Answer`] if these are not all records.
    fn check_all(&self, path: &str, page: usize, rows: usize) -> Result<()> {
        if !self.say_more(page, rows) && self.rows.is_none_or(|total| rows == total) {
            return Ok(());
        }
        let says = [(self.rows, "records"), (self.pages, "pages")];
        let says: Vec<_> = says.iter().filter_map(|(total, what)| Some(format!("{} {what}", (*total)?))).collect();
        Err(Error::Answer(format!(
            "{path} says that its list has {}, and gave {rows} up to page {page}: it is not complete, or changed meanwhile. If that stays \
             so, please report this.",
            says.join(" on ")
        )))
    }
}

/// Tells records apart.
fn hash(record: &RawRecord) -> u64 {
    let mut hasher = DefaultHasher::new();
    for (key, value) in record {
        (key, value.get()).hash(&mut hasher);
    }
    hasher.finish()
}

/// Records of `path` as values, for whoever reads their texts alone.
///
/// # Errors
/// [`Error::Answer`] for one that no value can hold, such as a number that there is not: without it the list would not be whole.
pub(crate) fn values(path: &str, records: &[Box<RawValue>]) -> Result<Vec<Value>> {
    let value = |(at, record): (usize, &RawValue)| {
        serde_json::from_str(record.get()).map_err(|_| {
            Error::Answer(format!(
                "{path} lists a record (number {}) that cannot be looked into: it has objects and lists more than 127 deep in each other, numbers \
                 that there are not, or half a character. Please report this.",
                at + 1
            ))
        })
    };
    records.iter().map(AsRef::as_ref).enumerate().map(value).collect()
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
