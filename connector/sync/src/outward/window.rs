//! What a run reads: `$from`, `$to` and `$run_at`.
//!
//! In: a definition's window, today by the project's clock, where the last run ended. Out: two instants, the second of which is not part of it, and a
//! query that has them in the place of its parameters: as if they had been written there, so that CleverTap is asked for these days alone.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, SecondsFormat, TimeDelta, TimeZone, Utc};
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::prelude::DataFrame;
use datafusion_clevertap::chrono_tz::Tz;

use crate::definition::RunOptions;
use crate::error::{Error, Result};

/// Before CleverTap existed: where a window begins that nothing bounds. From 1970 on, an export would be cut into parts most of which are empty.
const BEGINNING: DateTime<Utc> = NaiveDate::from_ymd_opt(2013, 1, 1).expect("a day").and_time(NaiveTime::MIN).and_utc();

/// From when, and to when; the end is not part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(super) from: DateTime<Utc>,
    pub(super) to: DateTime<Utc>,
}

impl Span {
    /// The one that a run names. An end that it leaves out is `now`, a start the beginning.
    pub(crate) fn of(run: &RunOptions, now: DateTime<Utc>) -> Option<Self> {
        let is_given = run.from.is_some() || run.to.is_some();
        is_given.then(|| Self { from: run.from.unwrap_or(BEGINNING), to: run.to.unwrap_or(now) })
    }

    /// The last days of a project, today among them: up to its end, so that each run of a day has the same window.
    pub(super) fn of_days(days: u32, now: DateTime<Utc>, zone: Tz) -> Self {
        let today = now.with_timezone(&zone).date_naive();
        let first = today.checked_sub_days(Days::new(u64::from(days.saturating_sub(1)))).unwrap_or(today);
        let tomorrow = today.checked_add_days(Days::new(1)).unwrap_or(today);
        Self { from: midnight(first, zone), to: midnight(tomorrow, zone) }
    }

    /// From where the last run ended, to now in whole seconds: CleverTap's events have no fractions, and of the second that has begun not all are
    /// there.
    pub(super) fn of_cursor(cursor: Option<DateTime<Utc>>, again: Again, now: DateTime<Utc>) -> Self {
        let from = match (cursor, again) {
            (None, _) => BEGINNING,
            (Some(cursor), Again::From(look_back)) => {
                TimeDelta::from_std(look_back).ok().and_then(|back| cursor.checked_sub_signed(back)).unwrap_or(BEGINNING)
            }
            (Some(cursor), Again::Never) => cursor + TimeDelta::microseconds(1),
        };
        let to = DateTime::from_timestamp(now.timestamp(), 0).unwrap_or(now);
        Self { from, to: to.max(from) }
    }

    /// As the ledger has it, and as people read it: by the project's clock.
    pub(super) fn texts(self, zone: Tz) -> (String, String) {
        (shown(self.from, zone), shown(self.to, zone))
    }

    /// From the ledger.
    pub(super) fn parse((from, to): &(String, String)) -> Option<Self> {
        Some(Self { from: parse(from)?, to: parse(to)? })
    }

    /// # Errors
    /// [`Error::Definition`] if its start lies behind its end.
    pub(super) fn check(self, name: &str, zone: Tz) -> Result<Self> {
        if self.from <= self.to {
            return Ok(self);
        }
        let (from, to) = self.texts(zone);
        Err(Error::Definition(format!("sync \"{name}\": its window begins at {from} and ends at {to}, which is before; swap from and to")))
    }
}

/// What was read already is read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// From so long before where the last run ended.
    From(Duration),
    /// No row of it: each would be there twice.
    Never,
}

pub(super) fn shown(at: DateTime<Utc>, zone: Tz) -> String {
    at.with_timezone(&zone).to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

pub(super) fn parse(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc())
}

/// When a day begins: where daylight saving skips midnight, behind the gap.
pub(super) fn midnight(day: NaiveDate, zone: Tz) -> DateTime<Utc> {
    let quarters = (0..=96).map(|quarter| day.and_time(NaiveTime::MIN) + TimeDelta::minutes(15 * quarter));
    let found = quarters.filter_map(|time| zone.from_local_datetime(&time).earliest()).next();
    found.map_or_else(|| day.and_time(NaiveTime::MIN).and_utc(), |at| at.to_utc())
}

/// The query, with the instants in the place of its parameters. They have the project's zone, so that `$from::date` is its day.
///
/// # Errors
/// [`Error::Definition`] for a parameter that a run does not give, and for a window that the query does not look at.
pub(crate) fn bind(frame: DataFrame, name: &str, span: Option<Span>, run_at: DateTime<Utc>, zone: Tz) -> Result<DataFrame> {
    let wrong = |problem: String| Err(Error::Definition(format!("sync \"{name}\": {problem}")));
    let names: Vec<String> = frame.logical_plan().get_parameter_names()?.iter().map(|id| id.trim_start_matches('$').to_owned()).collect();
    let has = |parameter: &str| names.iter().any(|name| name == parameter);
    if let Some(other) = names.iter().find(|name| !matches!(name.as_str(), "from" | "to" | "run_at")) {
        return wrong(format!("its query has ${other}, and a run gives $from, $to and $run_at alone; write the value"));
    }
    match span {
        None if has("from") || has("to") => {
            return wrong("its query has $from or $to, and it has no window; say days or cursor, or run it with from and to".to_owned());
        }
        Some(_) if !has("from") || !has("to") => {
            return wrong(
                "it has a window, which its query does not look at; say WHERE event_time >= $from AND event_time < $to (of days: event_date >= $from::date AND event_date < $to::date), or leave the window out".to_owned(),
            );
        }
        _ => {}
    }
    span.map(|span| span.check(name, zone)).transpose()?;
    if names.is_empty() {
        return Ok(frame);
    }
    let instant = |at: DateTime<Utc>| ScalarValue::TimestampMicrosecond(Some(at.timestamp_micros()), Some(zone.name().into()));
    let mut values = HashMap::from([("run_at".to_owned(), instant(run_at).into())]);
    if let Some(Span { from, to }) = span {
        values.extend([("from".to_owned(), instant(from).into()), ("to".to_owned(), instant(to).into())]);
    }
    Ok(frame.with_param_values(ParamValues::Map(values))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        parse(text).expect("an instant")
    }

    #[test]
    fn days_are_the_projects_and_today_is_one_of_them() {
        let zone = Tz::Asia__Kolkata;
        let span = Span::of_days(7, at("2026-11-07T19:00:00Z"), zone);
        assert_eq!(span.texts(zone), ("2026-11-02T00:00:00+05:30".to_owned(), "2026-11-09T00:00:00+05:30".to_owned()));
        assert_eq!(Span::parse(&span.texts(zone)), Some(span));
        // Midnight of this day is skipped there.
        let zone = Tz::America__Santiago;
        let span = Span::of_days(1, at("2026-09-06T12:00:00Z"), zone);
        assert_eq!(span.texts(zone), ("2026-09-06T01:00:00-03:00".to_owned(), "2026-09-07T00:00:00-03:00".to_owned()));
    }

    #[test]
    fn a_cursor_begins_where_the_last_run_ended() {
        let (now, cursor) = (at("2026-11-07T19:00:00.75Z"), Some(at("2026-11-07T10:00:00Z")));
        let spans = [(None, Again::Never), (cursor, Again::Never), (cursor, Again::From(Duration::from_secs(3600)))];
        let texts = spans.map(|(cursor, again)| Span::of_cursor(cursor, again, now).texts(Tz::UTC).0);
        assert_eq!(texts, ["2013-01-01T00:00:00Z", "2026-11-07T10:00:00.000001Z", "2026-11-07T09:00:00Z"]);
        assert_eq!(Span::of_cursor(cursor, Again::Never, now).to, at("2026-11-07T19:00:00Z"));
        assert!(Span { from: now, to: at("2026-11-07T10:00:00Z") }.check("charged", Tz::UTC).is_err());
    }
}
