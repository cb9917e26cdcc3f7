//! Converts CleverTap's dates and times to days and instants.
//!
//! In: digits of one of two forms: a packed local time `yyyyMMddHHmmss`, or what follows `$D_`, which is epoch seconds or the eight digits
//! of a calendar date. Out: days or seconds since 1970-01-01. In a repeated hour the earlier instant is used; a skipped time is shifted
//! forward by the gap. Days repeat within a page and time zone look-ups are slow, so days are cached.

use chrono::{DateTime, LocalResult, NaiveDate, NaiveDateTime, Offset, TimeZone};
use chrono_tz::Tz;

use super::number::{self, Eight};
use crate::wall_clock::instant;

/// Size of the cache.
const CACHED_DAYS: usize = 512;
/// 0001-01-01T00:00:00Z.
const FIRST: i64 = -62_135_596_800;
/// 9999-12-31T23:59:59Z.
const LAST: i64 = 253_402_300_799;
const DAY: i64 = 86_400;

/// A cached calendar date.
#[derive(Debug, Clone, Copy)]
struct Day {
    /// `yyyyMMdd`.
    date: Eight,
    /// Days since the epoch. `None` if the date does not exist.
    epoch_day: Option<i32>,
    /// The epoch second of 00:00, if the offset from UTC does not change during the day.
    start: Option<i64>,
}

/// A cache of days in one time zone.
#[derive(Debug)]
pub(super) struct Days {
    zone: Tz,
    /// Whether the project's zone is known, or UTC stands in for it: then an instant has no day.
    is_known: bool,
    cache: Vec<Day>,
}

impl Days {
    pub(super) fn new(zone: Option<Tz>) -> Self {
        Self {
            zone: zone.unwrap_or(Tz::UTC),
            is_known: zone.is_some(),
            cache: vec![Day { date: Eight::default(), epoch_day: None, start: None }; CACHED_DAYS],
        }
    }

    #[inline(always)]
    fn day(&mut self, date: Eight) -> Day {
        let [_, year, month, day] = date.pairs();
        // With months of 32 days and years of 384, the days of a year and a half never share a slot.
        let place = (year * 384 + month * 32 + day) as usize % CACHED_DAYS;
        match self.cache.get(place) {
            Some(day) if day.date == date => *day,
            _ => self.compute(date, place),
        }
    }

    #[cold]
    fn compute(&mut self, date: Eight, place: usize) -> Day {
        let number = date.number() as u32;
        let calendar = i32::try_from(number / 10_000).ok().filter(|year| (1..=9999).contains(year));
        let calendar = calendar.and_then(|year| NaiveDate::from_ymd_opt(year, number / 100 % 100, number % 100));
        let epoch_day = calendar.map(|day| day.to_epoch_days());
        let start = epoch_day.and_then(|day| {
            let midnight = i64::from(day) * DAY;
            let start = instant(self.zone, midnight)?;
            // Checking each hour is enough: no clock was ever changed back and forth within an hour.
            let is_regular = (0..24).map(|hour| hour * 3_600).chain([DAY - 1]).all(|second| self.is_regular(midnight, start, second));
            is_regular.then_some(start)
        });
        let day = Day { date, epoch_day, start };
        self.cache[place] = day;
        day
    }

    /// Whether the time of day `second` is unambiguous and has the same offset as the start of the day.
    fn is_regular(&self, midnight: i64, start: i64, second: i64) -> bool {
        let local = DateTime::from_timestamp(midnight + second, 0).map(|local| local.naive_utc());
        let offset = local.map(|local| self.zone.offset_from_local_datetime(&local));
        matches!(offset, Some(LocalResult::Single(offset)) if midnight - i64::from(offset.fix().local_minus_utc()) == start)
    }

    /// The epoch second of `yyyyMMddHHmmss` in the zone.
    #[inline(always)]
    pub(super) fn packed_time(&mut self, (date, clock): (Eight, Eight)) -> Option<i64> {
        let second = second_of_day(clock)?;
        let day = self.day(date);
        match day.start {
            Some(start) => Some(start + second),
            None => instant(self.zone, i64::from(day.epoch_day?) * DAY + second),
        }
    }

    /// The epoch day of `yyyyMMddHHmmss`.
    #[inline(always)]
    pub(super) fn packed_day(&mut self, (date, clock): (Eight, Eight)) -> Option<i32> {
        second_of_day(clock)?;
        self.day(date).epoch_day
    }

    /// The epoch second of a time that is not packed: see [`Moment`].
    #[cold]
    pub(super) fn written_time(&self, text: &str) -> Option<i64> {
        match Moment::of(text)? {
            Moment::Instant(second) => epoch_seconds(second),
            Moment::Local(local) => instant(self.zone, epoch_seconds(local.and_utc().timestamp())?),
        }
    }

    /// The epoch day of such a time.
    #[cold]
    pub(super) fn written_day(&self, text: &str) -> Option<i32> {
        match Moment::of(text)? {
            Moment::Instant(second) => {
                let at = DateTime::from_timestamp(epoch_seconds(second)?, 0).filter(|_| self.is_known)?;
                Some(at.with_timezone(&self.zone).date_naive().to_epoch_days())
            }
            Moment::Local(local) => epoch_seconds(local.and_utc().timestamp()).map(|_| local.date().to_epoch_days()),
        }
    }

    /// The epoch second of 00:00 of `yyyyMMdd` in the zone.
    fn date(&mut self, date: Eight) -> Option<i64> {
        let day = self.day(date).epoch_day?;
        instant(self.zone, i64::from(day) * DAY)
    }

    /// The epoch second for the text after `$D_`: eight digits that are a calendar date, or epoch seconds.
    #[inline(always)]
    pub(super) fn date_or_seconds(&mut self, bytes: &[u8], start: usize, end: usize) -> Option<i64> {
        let negative = bytes.get(start) == Some(&b'-');
        let digits = number::checked_digits(bytes, start + usize::from(negative), end)?;
        let number = i64::try_from(digits).ok()?;
        let date = Eight::new(bytes, start, end).and_then(|date| self.date(date));
        date.or_else(|| epoch_seconds(if negative { -number } else { number }))
    }
}

/// A time in another form than CleverTap's packed one, as public systems saw it: epoch seconds of nine or ten digits, epoch milliseconds of
/// thirteen, `2026-07-22 19:36:02` on the project's clock, or the same with a zone (RFC 3339). Fractions of a second are cut.
#[derive(Debug, Clone, Copy)]
enum Moment {
    Instant(i64),
    Local(NaiveDateTime),
}

impl Moment {
    fn of(text: &str) -> Option<Self> {
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            let number: i64 = text.parse().ok()?;
            return match text.len() {
                9 | 10 => Some(Self::Instant(number)),
                13 => Some(Self::Instant(number / 1_000)),
                _ => None,
            };
        }
        if let Ok(at) = DateTime::parse_from_rfc3339(text) {
            return Some(Self::Instant(at.timestamp()));
        }
        let local = |form| NaiveDateTime::parse_from_str(text, form).ok();
        ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"].into_iter().find_map(local).map(Self::Local)
    }
}

/// Whether a JSON value is a time: packed, or in another form.
pub(crate) fn is_time_value(json: &str) -> bool {
    let text = json.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(json);
    let is_packed = text.len() == 14 && NaiveDateTime::parse_from_str(text, "%Y%m%d%H%M%S").is_ok();
    is_packed || Moment::of(text).is_some()
}

/// The second of the day for `HHmmss`. `None` if it is not a valid time of day.
#[inline(always)]
fn second_of_day(clock: Eight) -> Option<i64> {
    let [_, hour, minute, second] = clock.pairs();
    (hour < 24 && minute < 60 && second < 60).then_some((hour * 3_600 + minute * 60 + second) as i64)
}

/// Epoch seconds in the years 1 to 9999. A date outside of them is treated as a mistake.
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
    fn a_repeated_hour_is_the_earlier_one_and_a_skipped_time_is_shifted_forward() {
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
            let mut days = Days::new(Some(zone));
            for _ in 0..2 {
                let seconds = days.packed_time(packed(digits)).expect("a time");
                let time = DateTime::from_timestamp(seconds, 0).expect("in range").format("%Y-%m-%d %H:%M").to_string();
                assert_eq!(time, expected, "{digits} in {zone}");
            }
        }
    }

    #[test]
    fn invalid_dates_and_times_are_none() {
        let mut days = Days::new(Some(Tz::UTC));
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
    fn eight_digits_are_a_date_if_it_exists() {
        let mut days = Days::new(Some(Tz::Asia__Kolkata));
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
            assert_eq!(days.date_or_seconds(text, 0, text.len()), expected, "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn other_forms_of_a_time_are_read_and_a_local_one_is_on_the_clock_of_the_project() {
        let (kolkata, unknown) = (Days::new(Some(Tz::Asia__Kolkata)), Days::new(None));
        let day = |text: &str| NaiveDate::parse_from_str(text, "%Y-%m-%d").unwrap().to_epoch_days();
        for text in [
            "2026-07-22 19:36:02",
            "2026-07-22T19:36:02.9",
            "2026-07-22T14:06:02Z",
            "2026-07-22T19:36:02+05:30",
            "1784729162",
            "1784729162999",
        ] {
            assert_eq!(kolkata.written_time(text), Some(1_784_729_162), "{text}");
            assert_eq!(kolkata.written_day(text), Some(day("2026-07-22")), "{text}");
            assert!(is_time_value(text) && is_time_value(&format!("\"{text}\"")), "{text}");
        }
        assert_eq!(kolkata.written_day("2026-07-22T20:00:00Z"), Some(day("2026-07-23")));
        assert_eq!((unknown.written_day("2026-07-22 20:00:00"), unknown.written_day("1784729162")), (Some(day("2026-07-22")), None));
        for text in ["", "123", "20260722", "soon", "2026-07-22", "-1784729162", "2026-13-01 00:00:00", "17847291620", "20260730250000"] {
            assert_eq!((kolkata.written_time(text), is_time_value(text)), (None, false), "{text}");
        }
        assert!(is_time_value("20260722193602"));
    }
}
