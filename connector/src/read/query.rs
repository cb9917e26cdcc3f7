//! The parts that export and count requests share: days, windows of days, and the wait between polls.
//!
//! In: events and days of the project's calendar. Out: the JSON of a request body. It is here, so that exports and counts ask for the
//! same days in the same way.

use std::time::Duration;

use chrono::{Datelike, NaiveDate};
use serde_json::{Map, Value};

use crate::account::Account;
use crate::tables::query;

/// The longest wait between two polls.
const WAIT_MAX: Duration = Duration::from_secs(15);

/// First and last day, both inclusive.
pub(crate) type DayRange = (NaiveDate, NaiveDate);

/// What one chain of pages covers: an event and a range of days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    /// `None` in a full scan, which fetches the event names when it runs.
    pub(crate) event: Option<String>,
    pub(crate) range: DayRange,
}

/// The body of an export or a count, without conditions and groups.
pub(crate) fn event_query(event: &str, window: &Window) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert(query::EVENT_NAME.into(), event.into());
    body.insert(query::FROM.into(), packed_day(window.range.0).into());
    body.insert(query::TO.into(), packed_day(window.range.1).into());
    body
}

/// The wait before poll number `tries`: 1, 2, 4, 8, 15, 15, … seconds.
pub(crate) fn poll_wait(tries: u32) -> Duration {
    Duration::from_secs(1 << tries.saturating_sub(1).min(4)).min(WAIT_MAX)
}

/// `20260131`.
pub(crate) fn packed_day(day: NaiveDate) -> i64 {
    i64::from(day.year()) * 10_000 + i64::from(day.month()) * 100 + i64::from(day.day())
}

/// `20260131000000`, the form of a day in a record.
pub(crate) fn packed_midnight(day: NaiveDate) -> i64 {
    packed_day(day) * 1_000_000
}

/// The current day in the project's time zone.
pub(crate) fn today(account: &Account) -> NaiveDate {
    let now = account.clock().now();
    account.time_zone().map_or(now.date_naive(), |zone| now.with_timezone(&zone).date_naive())
}
