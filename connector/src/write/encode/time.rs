//! Converts dates and timestamps to epoch seconds, a column at a time.
//!
//! Instants are floored to seconds. Values without a time zone are read by the [`Clock`]: as UTC or as local time of the project. If
//! local time repeats an hour, the earlier instant is used; if it skips one, the time is shifted forward by the gap.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use chrono::NaiveDate;
use chrono_tz::Tz;

use crate::wall_clock::instant;

/// Marks a date outside the years 0001 to 9999.
pub(super) const OUT_OF_RANGE: i64 = i64::MIN;

/// 0001-01-01T00:00:00Z.
const FIRST: i64 = -62_135_596_800;
/// 9999-12-31T23:59:59Z.
const LAST: i64 = 253_402_300_799;

/// The first number that reads as a day from 1970 to 2099, as 20260105, and how far the last one is from it.
const CALENDAR_DAYS: (i64, u64) = (19_700_101, 20_991_231 - 19_700_101);
/// The same with the hour, as 2026010510: seconds of the years 2032 to 2036.
const CALENDAR_HOURS: (i64, u64) = (1_970_010_100, 2_099_123_123 - 1_970_010_100);

/// What reads these.
pub(super) const DAY_OR_HOUR: &str = "Read it with ct_event_time, its format ('yyyymmdd' or 'yyyymmddhh') and its zone";

/// Instants of August 1970, which such days are when they are read as seconds, in any zone.
const DAYS_AS_SECONDS: (i64, u64) = (CALENDAR_DAYS.0 - 86_400, CALENDAR_DAYS.1 + 2 * 86_400);

/// Whether an instant is probably a day such as 20260105 that was read as seconds.
#[inline(always)]
pub(super) fn is_a_day_as_seconds(instant: i64) -> bool {
    is_within(instant, DAYS_AS_SECONDS)
}

/// Whether a whole number lies where such numbers do.
#[inline(always)]
pub(super) fn may_be_a_calendar_day(value: i64) -> bool {
    is_within(value, CALENDAR_DAYS) || is_within(value, CALENDAR_HOURS)
}

#[inline(always)]
fn is_within(value: i64, (first, length): (i64, u64)) -> bool {
    value.wrapping_sub(first) as u64 <= length
}

/// What reads a whole number that is a day of the calendar from 1970 to 2099, written as digits, or an hour, a minute, a second or a
/// millisecond of one; `None` if it is none.
pub(super) fn calendar_format(value: i64) -> Option<&'static str> {
    let (day, hour, minute, second, format) = match value {
        value if is_within(value, CALENDAR_DAYS) => (value, 0, 0, 0, DAY_OR_HOUR),
        value if is_within(value, CALENDAR_HOURS) => (value / 100, value % 100, 0, 0, DAY_OR_HOUR),
        value if is_within(value / 100, CALENDAR_HOURS) => {
            (value / 10_000, value / 100 % 100, value % 100, 0, "Read it with ct_event_time, its format ('yyyymmddhhmi') and its zone")
        }
        value if is_within(value / 10_000, CALENDAR_HOURS) => {
            let format = "Read it with ct_event_time, its format ('yyyymmddhhmiss') and its zone";
            (value / 1_000_000, value / 10_000 % 100, value / 100 % 100, value % 100, format)
        }
        value if is_within(value / 10_000_000, CALENDAR_HOURS) => {
            let format = "Divide it by 1000, and read it with ct_event_time, its format ('yyyymmddhhmiss') and its zone";
            (value / 1_000_000_000, value / 10_000_000 % 100, value / 100_000 % 100, value / 1_000 % 100, format)
        }
        _ => return None,
    };
    let (year, month, day) = (day / 10_000, day / 100 % 100, day % 100);
    // Within the bounds above.
    let is_real = NaiveDate::from_ymd_opt(year as i32, month as u32, day as u32).is_some() && hour < 24 && minute < 60 && second < 60;
    is_real.then_some(format)
}

/// How values without a time zone are read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Clock {
    /// Time zone of naive timestamps; `None` is UTC.
    pub(super) naive: Option<Tz>,
    /// Time zone in which a day begins; compiling refuses dates if it is not set.
    pub(super) day: Option<Tz>,
}

/// The days that are cached: 1900 to 2099.
const DAYS: std::ops::Range<i64> = -25_567..47_482;
/// Marks a day that is not cached yet; no offset from UTC is this large.
const UNKNOWN: i32 = i32::MIN;

/// A [`Clock`] with a cache of when days begin: a time zone lookup takes longer than writing a row.
#[derive(Debug, Default)]
pub(super) struct DayCache {
    clock: Clock,
    /// Per day of [`DAYS`], the seconds from midnight UTC to its beginning.
    days: Vec<i32>,
}

impl DayCache {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, days: Vec::new() }
    }

    /// The first second of a day, given in days since 1970.
    #[inline]
    fn day(&mut self, day: i64) -> i64 {
        match usize::try_from(day - DAYS.start).ok().and_then(|at| self.days.get(at)) {
            Some(known) if *known != UNKNOWN => day * 86_400 + i64::from(*known),
            _ => self.compute(day),
        }
    }

    /// Computes it, and caches it if it is in [`DAYS`].
    #[inline(never)]
    fn compute(&mut self, day: i64) -> i64 {
        let midnight = day.saturating_mul(86_400);
        let zone = self.clock.day;
        if !DAYS.contains(&day) || zone.is_none() {
            return local(midnight, zone);
        }
        if self.days.is_empty() {
            self.days.resize((DAYS.end - DAYS.start) as usize, UNKNOWN);
        }
        let begins = local(midnight, zone);
        // Less than two days from midnight: fits `i32`.
        self.days[(day - DAYS.start) as usize] = (begins - midnight) as i32;
        begins
    }
}

/// The column in epoch seconds, if it has dates or timestamps. At a NULL the seconds are arbitrary.
pub(super) fn seconds(array: &ArrayRef, day_cache: &mut DayCache) -> Option<Vec<i64>> {
    Some(match array.data_type() {
        DataType::Date32 => array.as_primitive::<Date32Type>().values().iter().map(|day| day_cache.day(i64::from(*day))).collect(),
        DataType::Date64 => array.as_primitive::<Date64Type>().values().iter().map(|ms| day_cache.day(ms.div_euclid(86_400_000))).collect(),
        DataType::Timestamp(unit, zone) => {
            let zone = if zone.is_some() { None } else { day_cache.clock.naive };
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

/// Timestamps of `PER_SECOND` units; local time if there is a zone.
fn instants<const PER_SECOND: i64>(values: &[i64], zone: Option<Tz>) -> Vec<i64> {
    match zone {
        Some(_) => values.iter().map(|value| local(value.div_euclid(PER_SECOND), zone)).collect(),
        None => values.iter().map(|value| in_range(value.div_euclid(PER_SECOND))).collect(),
    }
}

fn in_range(seconds: i64) -> i64 {
    if (FIRST..=LAST).contains(&seconds) { seconds } else { OUT_OF_RANGE }
}

/// The instant at which local time in `zone` is what UTC is at `seconds`.
pub(super) fn local(seconds: i64, zone: Option<Tz>) -> i64 {
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
        let local_time = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").expect("a time").and_utc().timestamp();
        let instant = DateTime::from_timestamp(local(local_time, Some(zone)), 0).expect("in range");
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
        for (local_time, zone, expected) in cases {
            assert_eq!(at(local_time, zone), expected, "{local_time} in {zone}");
        }
    }

    #[test]
    fn a_cached_day_begins_when_the_time_zone_says() {
        for zone in [Tz::Asia__Kolkata, Tz::America__Sao_Paulo, Tz::Pacific__Apia, Tz::Africa__Monrovia, Tz::UTC] {
            let mut day_cache = DayCache::new(Clock { naive: None, day: Some(zone) });
            for day in (-40_000..60_000).step_by(7).chain(DAYS.start - 1..DAYS.start + 2).chain(DAYS.end - 2..DAYS.end + 1) {
                let expected = local(day * 86_400, Some(zone));
                assert_eq!((day_cache.day(day), day_cache.day(day)), (expected, expected), "day {day} in {zone}");
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
