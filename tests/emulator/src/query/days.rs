//! Days of the project's time zone: `YYYYMMDD` in, epoch seconds out, and back (reference 1.7).

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Timelike};
use chrono_tz::Tz;

/// A date written as one number; none if the calendar has no such day.
pub(crate) fn date(packed: i64) -> Option<NaiveDate> {
    if !(10_000_000..=99_999_999).contains(&packed) {
        return None;
    }
    let year = i32::try_from(packed / 10_000).ok()?;
    NaiveDate::from_ymd_opt(year, u32::try_from(packed / 100 % 100).ok()?, u32::try_from(packed % 100).ok()?)
}

/// The first instant of a day, in epoch seconds. Where clocks go forward at midnight, the day begins after the gap.
pub(crate) fn start(day: NaiveDate, zone: Tz) -> i64 {
    let mut local = NaiveDateTime::new(day, NaiveTime::MIN);
    for _ in 0..24 * 4 {
        if let Some(instant) = zone.from_local_datetime(&local).earliest() {
            return instant.timestamp();
        }
        local += TimeDelta::minutes(15);
    }
    NaiveDateTime::new(day, NaiveTime::MIN).and_utc().timestamp()
}

/// The first instant after a day.
pub(crate) fn end(day: NaiveDate, zone: Tz) -> i64 {
    day.checked_add_days(Days::new(1)).map_or(i64::MAX, |next| start(next, zone))
}

/// The clock on the wall at an instant.
pub(crate) fn local(ts: i64, zone: Tz) -> NaiveDateTime {
    DateTime::from_timestamp(ts, 0).unwrap_or_default().with_timezone(&zone).naive_local()
}

/// `yyyyMMddHHmmss` as one number.
pub(crate) fn packed(ts: i64, zone: Tz) -> i64 {
    let local = local(ts, zone);
    let time = i64::from(local.hour() * 10_000 + local.minute() * 100 + local.second());
    i64::from(packed_day(local.date())) * 1_000_000 + time
}

/// `YYYYMMDD` as one number.
pub(crate) fn packed_day(day: NaiveDate) -> u32 {
    day.year().unsigned_abs() * 10_000 + day.month() * 100 + day.day()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_as_long_as_the_zone_says() {
        let hours = |zone: Tz, packed: i64| (end(date(packed).unwrap(), zone) - start(date(packed).unwrap(), zone)) / 3600;
        assert_eq!(hours(Tz::America__New_York, 20_260_308), 23);
        assert_eq!(hours(Tz::America__New_York, 20_261_101), 25);
        assert_eq!(hours(Tz::America__New_York, 20_260_701), 24);
        // Clocks went from 00:00 to 01:00: there was no midnight.
        assert_eq!(hours(Tz::America__Sao_Paulo, 20_181_104), 23);
        assert_eq!(packed(start(date(20_181_104).unwrap(), Tz::America__Sao_Paulo), Tz::America__Sao_Paulo), 20_181_104_010_000);
    }

    #[test]
    fn a_date_that_the_calendar_does_not_have_is_none() {
        for packed in [0, -1, 20_260_229, 20_261_301, 20_260_010, 202_601, 1_767_225_600, 120_260_101] {
            assert_eq!(date(packed), None, "{packed}");
        }
        assert_eq!(packed_day(date(20_240_229).unwrap()), 20_240_229);
    }
}
