//! Days of the project's time zone: `YYYYMMDD` in, epoch seconds out, and back (reference 1.7).

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone};
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

/// The zone's clock, for one instant after the other: most of them lie in the quarter of an hour that it knows already.
/// Clocks have been moved at such quarters alone since 1970.
#[derive(Debug)]
pub(crate) struct Clock {
    zone: Tz,
    quarter: i64,
    offset_s: i64,
    day: i64,
    packed_day: i64,
}

impl Clock {
    pub(crate) const fn new(zone: Tz) -> Self {
        Self { zone, quarter: i64::MIN, offset_s: 0, day: i64::MIN, packed_day: 0 }
    }

    /// `yyyyMMddHHmmss` as one number.
    pub(crate) fn packed(&mut self, ts: i64) -> i64 {
        let quarter = ts.div_euclid(900);
        if quarter != self.quarter || ts < 0 {
            self.quarter = quarter;
            self.offset_s = local(ts, self.zone).and_utc().timestamp() - ts;
        }
        let local = ts + self.offset_s;
        let day = local.div_euclid(86_400);
        if day != self.day {
            self.day = day;
            let date = DateTime::from_timestamp(local, 0).unwrap_or_default().date_naive();
            self.packed_day = i64::from(packed_day(date));
        }
        let second = local.rem_euclid(86_400);
        self.packed_day * 1_000_000 + second / 3600 * 10_000 + second / 60 % 60 * 100 + second % 60
    }
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
        let start = start(date(20_181_104).unwrap(), Tz::America__Sao_Paulo);
        assert_eq!(Clock::new(Tz::America__Sao_Paulo).packed(start), 20_181_104_010_000);
    }

    #[test]
    fn a_clock_shows_what_the_zone_says_whatever_it_knew() {
        let mut random = 7_u64;
        for zone in [Tz::UTC, Tz::America__New_York, Tz::Asia__Kolkata, Tz::Australia__Lord_Howe, Tz::Africa__Monrovia] {
            let mut clock = Clock::new(zone);
            for _ in 0..2_000 {
                random = random.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
                let ts = i64::try_from(random >> 33).unwrap() - 86_400;
                for ts in [ts, ts + 1, ts + 899] {
                    let expected: i64 = local(ts, zone).format("%Y%m%d%H%M%S").to_string().parse().unwrap();
                    assert_eq!(clock.packed(ts), expected, "{zone} {ts}");
                }
            }
        }
    }

    #[test]
    fn a_date_that_the_calendar_does_not_have_is_none() {
        for packed in [0, -1, 20_260_229, 20_261_301, 20_260_010, 202_601, 1_767_225_600, 120_260_101] {
            assert_eq!(date(packed), None, "{packed}");
        }
        assert_eq!(packed_day(date(20_240_229).unwrap()), 20_240_229);
    }
}
