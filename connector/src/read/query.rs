//! What every question to CleverTap is made of: days, windows of them, how long to wait for an answer that is not ready.
//!
//! In: days of the project's calendar. Out: the JSON that exports and counts have in common.

use std::time::Duration;

use chrono::{Datelike, NaiveDate};
use serde_json::{Map, Value};

use crate::account::Account;
use crate::tables::query;

/// The longest wait between two questions about one answer.
const WAIT_MAX: Duration = Duration::from_secs(15);

/// A range of days, with both ends.
pub(crate) type DayRange = (NaiveDate, NaiveDate);

/// One chain of pages: an event, or any, from the first day to the last, both in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    /// The event; `None` in a sweep, where the names are asked for first.
    pub(crate) event: Option<String>,
    /// First and last day.
    pub(crate) range: DayRange,
}

/// The body that an export and its count have in common.
pub(crate) fn event_query(event: &str, window: &Window) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert(query::EVENT_NAME.into(), event.into());
    body.insert(query::FROM.into(), packed_day(window.range.0).into());
    body.insert(query::TO.into(), packed_day(window.range.1).into());
    body
}

/// How long to wait before something is asked about for the `tries`-th time again.
pub(crate) fn poll_wait(tries: u32) -> Duration {
    Duration::from_secs(1 << tries.saturating_sub(1).min(4)).min(WAIT_MAX)
}

/// `20260131`.
pub(crate) fn packed_day(day: NaiveDate) -> i64 {
    i64::from(day.year()) * 10_000 + i64::from(day.month()) * 100 + i64::from(day.day())
}

/// `20260131000000`, as a record carries a day.
pub(crate) fn packed_midnight(day: NaiveDate) -> i64 {
    packed_day(day) * 1_000_000
}

/// The day that it is in the project.
pub(crate) fn today(account: &Account) -> NaiveDate {
    let now = account.clock().now();
    account.time_zone().map_or(now.date_naive(), |zone| now.with_timezone(&zone).date_naive())
}
