//! Dates and timestamps to epoch seconds, a column at a time.
//!
//! An instant is floored to seconds. What has no zone is read by the [`Clock`]: as UTC or as the project's wall clock. Where the
//! wall clock repeats an hour the earlier instant is meant; where it skips one, the time is shifted forward by the gap.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use chrono_tz::Tz;

use crate::wall_clock::instant;

/// Stands for a date outside the years 0001 to 9999.
pub(super) const OUT_OF_RANGE: i64 = i64::MIN;

/// 0001-01-01T00:00:00Z.
const FIRST: i64 = -62_135_596_800;
/// 9999-12-31T23:59:59Z.
const LAST: i64 = 253_402_300_799;

/// How times without a zone are read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Clock {
    /// Timestamps without zone; `None` is UTC.
    pub(super) naive: Option<Tz>,
    /// Where a day begins; compiling refuses dates where it is not set.
    pub(super) day: Option<Tz>,
}

/// The days that are remembered: from 1900 to 2099.
const DAYS: std::ops::Range<i64> = -25_567..47_482;
/// Stands for a day that nobody asked for yet; no clock is so far from UTC.
const UNKNOWN: i32 = i32::MIN;

/// A [`Clock`], and when the days that were asked for begin: to ask a time zone takes longer than to write a row.
#[derive(Debug, Default)]
pub(super) struct Almanac {
    clock: Clock,
    /// For each of [`DAYS`], the seconds from midnight in UTC to its own.
    days: Vec<i32>,
}

impl Almanac {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, days: Vec::new() }
    }

    /// The first second of a day, counted from 1970.
    fn day(&mut self, day: i64) -> i64 {
        let midnight = day.saturating_mul(86_400);
        let zone = self.clock.day;
        if !DAYS.contains(&day) || zone.is_none() {
            return local(midnight, zone);
        }
        if self.days.is_empty() {
            self.days.resize((DAYS.end - DAYS.start) as usize, UNKNOWN);
        }
        let known = &mut self.days[(day - DAYS.start) as usize];
        if *known == UNKNOWN {
            // Within two days of midnight: it fits.
            *known = (local(midnight, zone) - midnight) as i32;
        }
        midnight + i64::from(*known)
    }
}

/// The column in epoch seconds, if it is one of dates or timestamps. What stands in its NULLs means nothing.
pub(super) fn seconds(array: &ArrayRef, almanac: &mut Almanac) -> Option<Vec<i64>> {
    Some(match array.data_type() {
        DataType::Date32 => array.as_primitive::<Date32Type>().values().iter().map(|day| almanac.day(i64::from(*day))).collect(),
        DataType::Date64 => array.as_primitive::<Date64Type>().values().iter().map(|ms| almanac.day(ms.div_euclid(86_400_000))).collect(),
        DataType::Timestamp(unit, zone) => {
            let zone = if zone.is_some() { None } else { almanac.clock.naive };
            match unit {
                TimeUnit::Second => instants::<1>(array.as_primitive::<TimestampSecondType>().values(), zone),
                TimeUnit::Millisecond => instants::<1_000>(array.as_primitive::<TimestampMillisecondType>().values(), zone),
                TimeUnit::Microsecond => instants::<1_000_000>(array.as_primitive::<TimestampMicrosecondType>().values(), zone),
                TimeUnit::Nanosecond => instants::<1_000_000_000>(array.as_primitive::<TimestampNanosecondType>().values(), zone),
            }
        }
        _ => return None,
    })
}

/// Timestamps of so many a second; with a zone, what a clock there shows.
fn instants<const PER_SECOND: i64>(values: &[i64], zone: Option<Tz>) -> Vec<i64> {
    match zone {
        Some(_) => values.iter().map(|value| local(value.div_euclid(PER_SECOND), zone)).collect(),
        None => values.iter().map(|value| in_range(value.div_euclid(PER_SECOND))).collect(),
    }
}

fn in_range(seconds: i64) -> i64 {
    if (FIRST..=LAST).contains(&seconds) { seconds } else { OUT_OF_RANGE }
}

/// The instant at which a clock in `zone` shows what a clock in UTC shows at `seconds`.
fn local(seconds: i64, zone: Option<Tz>) -> i64 {
    if !(FIRST..=LAST).contains(&seconds) {
        return OUT_OF_RANGE;
    }
    zone.and_then(|zone| instant(zone, seconds)).unwrap_or(seconds)
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, NaiveDateTime};

    use super::*;

    fn at(text: &str, zone: Tz) -> String {
        let shown = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").expect("a time").and_utc().timestamp();
        let instant = DateTime::from_timestamp(local(shown, Some(zone)), 0).expect("in range");
        instant.format("%Y-%m-%d %H:%M").to_string()
    }

    #[test]
    fn a_repeated_hour_is_the_earlier_one_and_a_skipped_one_is_shifted_forward() {
        let cases = [
            ("2026-07-01 12:00", Tz::Europe__Berlin, "2026-07-01 10:00"),
            ("2026-10-25 02:30", Tz::Europe__Berlin, "2026-10-25 00:30"),
            ("2026-03-29 02:30", Tz::Europe__Berlin, "2026-03-29 01:30"),
            ("2018-11-04 00:00", Tz::America__Sao_Paulo, "2018-11-04 03:00"),
            ("2011-12-30 12:00", Tz::Pacific__Apia, "2011-12-30 22:00"),
            ("2026-01-01 00:00", Tz::Asia__Kolkata, "2025-12-31 18:30"),
        ];
        for (shown, zone, expected) in cases {
            assert_eq!(at(shown, zone), expected, "{shown} in {zone}");
        }
    }

    #[test]
    fn a_day_that_is_remembered_begins_when_the_time_zone_says() {
        for zone in [Tz::Asia__Kolkata, Tz::America__Sao_Paulo, Tz::Pacific__Apia, Tz::Africa__Monrovia, Tz::UTC] {
            let mut almanac = Almanac::new(Clock { naive: None, day: Some(zone) });
            for day in (-40_000..60_000).step_by(7).chain(DAYS.start - 1..DAYS.start + 2).chain(DAYS.end - 2..DAYS.end + 1) {
                let expected = local(day * 86_400, Some(zone));
                assert_eq!((almanac.day(day), almanac.day(day)), (expected, expected), "day {day} in {zone}");
            }
        }
    }

    #[test]
    fn years_before_1_and_after_9999_are_out_of_range() {
        assert_eq!(local(FIRST, None), FIRST);
        assert_eq!(local(FIRST - 1, None), OUT_OF_RANGE);
        assert_eq!(local(LAST, None), LAST);
        assert_eq!(local(LAST + 1, Some(Tz::Asia__Kolkata)), OUT_OF_RANGE);
    }
}
