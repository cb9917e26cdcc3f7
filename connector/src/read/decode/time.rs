//! Days and instants from the digits in which CleverTap writes them.
//!
//! Two forms: the packed wall-clock time `yyyyMMddHHmmss`, and `$D_` with epoch seconds or eight digits of a calendar date. A
//! repeated hour is the earlier instant; a time that the clock skipped is shifted forward by the gap. Days repeat within a page,
//! so what is known of a day is kept.

use chrono::{LocalResult, NaiveDate, Offset, TimeZone};
use chrono_tz::Tz;

use super::number::{self, Eight};
use crate::wall_clock::instant;

/// Days that are kept.
const DAYS_KEPT: usize = 512;
/// 0001-01-01T00:00:00Z.
const FIRST: i64 = -62_135_596_800;
/// 9999-12-31T23:59:59Z.
const LAST: i64 = 253_402_300_799;
const DAY: i64 = 86_400;

/// A calendar date, and what is known of it.
#[derive(Debug, Clone, Copy)]
struct Day {
    /// `yyyyMMdd`.
    date: Eight,
    /// Days since the epoch; none if the calendar has no such date.
    epoch_day: Option<i32>,
    /// The epoch second of 00:00, if the clock runs evenly through the whole day.
    begin: Option<i64>,
}

/// What is known of days in one zone.
#[derive(Debug)]
pub(super) struct Days {
    zone: Tz,
    kept: Vec<Day>,
}

impl Days {
    pub(super) fn new(zone: Tz) -> Self {
        Self { zone, kept: vec![Day { date: Eight::default(), epoch_day: None, begin: None }; DAYS_KEPT] }
    }

    #[inline(always)]
    fn day(&mut self, date: Eight) -> Day {
        let [_, year, month, day] = date.pairs();
        // Months of 32 days: the days of a year and a half never share a place, wherever a century ends.
        let place = (year * 384 + month * 32 + day) as usize % DAYS_KEPT;
        match self.kept.get(place) {
            Some(day) if day.date == date => *day,
            _ => self.learn(date, place),
        }
    }

    #[cold]
    fn learn(&mut self, date: Eight, place: usize) -> Day {
        let number = date.number() as u32;
        let calendar = i32::try_from(number / 10_000).ok().filter(|year| (1..=9999).contains(year));
        let calendar = calendar.and_then(|year| NaiveDate::from_ymd_opt(year, number / 100 % 100, number % 100));
        let epoch_day = calendar.map(|day| day.to_epoch_days());
        let begin = epoch_day.and_then(|day| {
            let midnight = i64::from(day) * DAY;
            let begin = instant(self.zone, midnight)?;
            // An hour at a time: no clock was ever put forward and back within one.
            let even = (0..24).map(|hour| hour * 3_600).chain([DAY - 1]).all(|second| self.is_even(midnight, begin, second));
            even.then_some(begin)
        });
        let day = Day { date, epoch_day, begin };
        self.kept[place] = day;
        day
    }

    fn is_even(&self, midnight: i64, begin: i64, second: i64) -> bool {
        let shown = chrono::DateTime::from_timestamp(midnight + second, 0).map(|shown| shown.naive_utc());
        let offset = shown.map(|shown| self.zone.offset_from_local_datetime(&shown));
        matches!(offset, Some(LocalResult::Single(offset)) if midnight - i64::from(offset.fix().local_minus_utc()) == begin)
    }

    /// The epoch second of the date and the clock of `yyyyMMddHHmmss` in the zone.
    #[inline(always)]
    pub(super) fn packed_time(&mut self, (date, clock): (Eight, Eight)) -> Option<i64> {
        let second = second_of_day(clock)?;
        let day = self.day(date);
        match day.begin {
            Some(begin) => Some(begin + second),
            None => instant(self.zone, i64::from(day.epoch_day?) * DAY + second),
        }
    }

    /// The epoch day of `yyyyMMddHHmmss`.
    #[inline(always)]
    pub(super) fn packed_day(&mut self, (date, clock): (Eight, Eight)) -> Option<i32> {
        second_of_day(clock)?;
        self.day(date).epoch_day
    }

    /// The epoch second of 00:00 of `yyyyMMdd` on the zone's clock.
    fn date(&mut self, date: Eight) -> Option<i64> {
        let day = self.day(date).epoch_day?;
        instant(self.zone, i64::from(day) * DAY)
    }

    /// What follows `$D_` in `start..end`: eight digits that are a calendar date, else epoch seconds.
    #[inline(always)]
    pub(super) fn after_mark(&mut self, bytes: &[u8], start: usize, end: usize) -> Option<i64> {
        let negative = bytes.get(start) == Some(&b'-');
        let digits = number::checked_digits(bytes, start + usize::from(negative), end)?;
        let number = i64::try_from(digits).ok()?;
        let date = Eight::new(bytes, start, end).and_then(|date| self.date(date));
        date.or_else(|| epoch_seconds(if negative { -number } else { number }))
    }
}

/// The second of the day at which a clock shows `HHmmss`, if one does.
#[inline(always)]
fn second_of_day(clock: Eight) -> Option<i64> {
    let [_, hour, minute, second] = clock.pairs();
    (hour < 24 && minute < 60 && second < 60).then_some((hour * 3_600 + minute * 60 + second) as i64)
}

/// Epoch seconds of the years 1 to 9999, beyond which a date is a mistake.
#[inline(always)]
pub(super) fn epoch_seconds(seconds: i64) -> Option<i64> {
    (FIRST..=LAST).contains(&seconds).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(digits: u64) -> (Eight, Eight) {
        Eight::fourteen(format!("{digits:014}").as_bytes(), 0, 14).expect("digits")
    }

    #[test]
    fn a_repeated_hour_is_the_earlier_one_and_a_skipped_one_is_shifted_forward() {
        let cases = [
            (20260701120000, Tz::Europe__Berlin, "2026-07-01 10:00"),
            (20261025023000, Tz::Europe__Berlin, "2026-10-25 00:30"),
            (20261025040000, Tz::Europe__Berlin, "2026-10-25 03:00"),
            (20260329023000, Tz::Europe__Berlin, "2026-03-29 01:30"),
            (20181104000000, Tz::America__Sao_Paulo, "2018-11-04 03:00"),
            (20111230120000, Tz::Pacific__Apia, "2011-12-30 22:00"),
            (20260101000000, Tz::Asia__Kolkata, "2025-12-31 18:30"),
        ];
        for (digits, zone, expected) in cases {
            let mut days = Days::new(zone);
            for _ in 0..2 {
                let seconds = days.packed_time(packed(digits)).expect("a time");
                let shown = chrono::DateTime::from_timestamp(seconds, 0).expect("in range").format("%Y-%m-%d %H:%M").to_string();
                assert_eq!(shown, expected, "{digits} in {zone}");
            }
        }
    }

    #[test]
    fn what_no_calendar_or_clock_shows_is_no_time() {
        let mut days = Days::new(Tz::UTC);
        for digits in [20260230000000, 20261301000000, 20260101240000, 20260101006000, 20260101000060, 1, 101000000, 99999999999999] {
            assert_eq!(days.packed_time(packed(digits)), None, "{digits}");
            assert_eq!(days.packed_day(packed(digits)), None, "{digits}");
        }
        assert_eq!(days.packed_day(packed(19700102235959)), Some(1));
        for text in ["2026010100000", "202601010000000", "2026-101000000", "20260101 00000", "2026010100000:"] {
            assert_eq!(Eight::fourteen(text.as_bytes(), 0, text.len()), None, "{text}");
        }
    }

    #[test]
    fn eight_digits_are_a_date_where_the_calendar_has_it() {
        let mut days = Days::new(Tz::Asia__Kolkata);
        let cases: [(&[u8], Option<i64>); 8] = [
            (b"1767225600", Some(1_767_225_600)),
            (b"20260101", Some(1_767_205_800)),
            (b"20261301", Some(20_261_301)),
            (b"020260101", Some(20_260_101)),
            (b"-86400", Some(-86_400)),
            (b"", None),
            (b"1767225600000", None),
            (b"+5", None),
        ];
        for (text, expected) in cases {
            assert_eq!(days.after_mark(text, 0, text.len()), expected, "{}", String::from_utf8_lossy(text));
        }
    }
}
