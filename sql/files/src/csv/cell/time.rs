//! Days and instants.
//!
//! In: a cell. Out: a real day of the years 1 to 9999; an instant with what it says of its zone: nothing, `Z`, an offset, ` UTC`, or the name
//! of a zone. A local time that its zone has twice, or never, is no instant.

use chrono::{LocalResult, NaiveDateTime, TimeZone};
use chrono_tz::Tz;

use super::{TOPS, non_digits, word};

const DASHES: u64 = 0x0000_2d00_002d_0000;
const COLONS: u64 = 0x0000_3a00_003a_0000;

/// What an instant says of its zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Zone {
    Unstated,
    Stated,
}

/// A point in time, or of the clock on the wall if its zone is unstated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Instant {
    pub(crate) seconds: i64,
    pub(crate) nanos: u32,
    /// Digits of the fraction of a second.
    pub(crate) fraction: u32,
    pub(crate) zone: Zone,
}

/// Days since 1970.
#[inline(always)]
pub(crate) fn date(data: &[u8], at: usize, len: usize) -> Option<i32> {
    if len == 10 { day(data, at) } else { None }
}

/// The day of `2026-01-05`.
#[inline(always)]
fn day(data: &[u8], at: usize) -> Option<i32> {
    // "2026-01-" and "26-01-05".
    let (head, tail) = (word(data, at), word(data, at + 2));
    let form = non_digits(head) == TOPS & 0xff00_00ff_0000_0000 && non_digits(tail) == TOPS & 0x0000_ff00_00ff_0000;
    if !form || tail & 0x0000_ff00_00ff_0000 != DASHES {
        return None;
    }
    let two = |word: u64, shift: u32| ((word >> shift & 15) * 10 + (word >> (shift + 8) & 15)) as i32;
    let (year, month, day) = (two(head, 0) * 100 + two(head, 16), two(tail, 24), two(tail, 48));
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + i32::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if year == 0 || day == 0 || day > days {
        return None;
    }
    // Days of the Gregorian calendar, with years that begin in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    Some(year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1 - 719_468)
}

/// The zone whose name was read last: a column seldom names another.
#[derive(Debug, Clone, Default)]
pub(crate) struct Zones {
    last: Option<(Vec<u8>, Option<Tz>)>,
}

impl Zones {
    fn named(&mut self, name: &[u8]) -> Option<Tz> {
        match &self.last {
            Some((last, zone)) if last == name => *zone,
            _ => {
                // Abbreviations mean different things to different people.
                let text = std::str::from_utf8(name).ok().filter(|name| name.contains('/'));
                let zone = text.and_then(|name| name.parse().ok());
                self.last = Some((name.to_vec(), zone));
                zone
            }
        }
    }
}

/// `2026-01-05 10:00:00[.fff…][zone]`, also with `T`.
#[inline(always)]
pub(crate) fn instant(data: &[u8], at: usize, len: usize, zones: &mut Zones) -> Option<Instant> {
    if len < 19 || !matches!(data[at + 10], b'T' | b' ') {
        return None;
    }
    let time = word(data, at + 11);
    if non_digits(time) != TOPS & 0x0000_ff00_00ff_0000 || time & 0x0000_ff00_00ff_0000 != COLONS {
        return None;
    }
    let two = |shift: u32| (time >> shift & 15) * 10 + (time >> (shift + 8) & 15);
    let (hour, minute, second) = (two(0), two(24), two(48));
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = i64::from(day(data, at)?) * 86_400 + (hour * 3600 + minute * 60 + second).cast_signed();
    let local = Instant { seconds, nanos: 0, fraction: 0, zone: Zone::Unstated };
    if len == 19 {
        return Some(local);
    }
    rest(local, data.get(at + 19..at + len)?, zones)
}

/// The instant with what stands behind its seconds.
fn rest(local: Instant, rest: &[u8], zones: &mut Zones) -> Option<Instant> {
    let (mut instant, mut zone) = (local, rest);
    if let Some(behind) = rest.strip_prefix(b".") {
        let len = behind.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if !(1..=9).contains(&len) {
            return None;
        }
        let (digits, behind) = behind.split_at(len);
        let value = digits.iter().fold(0, |value, digit| value * 10 + u32::from(digit - b'0'));
        (instant.nanos, instant.fraction, zone) = (value * 10_u32.pow(9 - len as u32), len as u32, behind);
    }
    if zone.is_empty() {
        return Some(instant);
    }
    let named = zone.strip_prefix(b" ");
    let offset = match (zone, named) {
        (b"Z", _) | (_, Some(b"UTC" | b"GMT" | b"Z")) => 0,
        (_, named) => match offset(named.unwrap_or(zone)) {
            Some(offset) => offset,
            None => return in_zone(instant, zones.named(named?)?),
        },
    };
    Some(Instant { seconds: instant.seconds - offset, zone: Zone::Stated, ..instant })
}

/// Seconds of `+05:30`, `+0530`, `+05`, and of `+05:53:28`, as clocks were set before there were zones. Not `-00:00`, which says that the
/// zone is not known.
fn offset(text: &[u8]) -> Option<i64> {
    let digit = |byte: u8| byte.is_ascii_digit().then(|| i64::from(byte - b'0'));
    let (sign, [a, b, rest @ ..]) = text.split_first()? else { return None };
    let two = |a: &u8, b: &u8| Some(digit(*a)? * 10 + digit(*b)?);
    let (minutes, seconds) = match rest {
        [] => (0, 0),
        [b':', c, d] | [c, d] => (two(c, d)?, 0),
        [b':', c, d, b':', e, f] => (two(c, d)?, two(e, f)?),
        _ => return None,
    };
    let hours = two(a, b)?;
    let offset = hours * 3600 + minutes * 60 + seconds;
    match sign {
        _ if hours > 18 || minutes > 59 || seconds > 59 => None,
        b'+' => Some(offset),
        b'-' if offset > 0 => Some(-offset),
        _ => None,
    }
}

fn in_zone(local: Instant, zone: Tz) -> Option<Instant> {
    let wall: NaiveDateTime = chrono::DateTime::from_timestamp(local.seconds, 0)?.naive_utc();
    match zone.from_local_datetime(&wall) {
        LocalResult::Single(at) => Some(Instant { seconds: at.timestamp(), zone: Zone::Stated, ..local }),
        LocalResult::Ambiguous(..) | LocalResult::None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::padded;
    use super::*;

    fn read(text: &str) -> Option<Instant> {
        instant(&padded(text), 0, text.len(), &mut Zones::default())
    }

    #[test]
    fn a_date_is_a_real_day() {
        let mut day = chrono::NaiveDate::from_ymd_opt(1, 1, 1).unwrap();
        for _ in 0..20_000 {
            let text = day.format("%Y-%m-%d").to_string();
            let days = (day - chrono::NaiveDate::default()).num_days() as i32;
            assert_eq!(date(&padded(&text), 0, 10), Some(days), "{text}");
            day = day
                .checked_add_days(chrono::Days::new(182))
                .filter(|day| *day <= chrono::NaiveDate::from_ymd_opt(9999, 12, 31).unwrap())
                .unwrap();
        }
        for text in
            ["0000-01-01", "2026-00-05", "2026-13-05", "2026-02-29", "2026-04-31", "1900-02-29", "2026/01/05", "2026-1-055", "26-01-05xx"]
        {
            assert_eq!(date(&padded(text), 0, 10), None, "{text}");
        }
        assert!(date(&padded("2024-02-29"), 0, 10).is_some() && date(&padded("2000-02-29"), 0, 10).is_some());
    }

    #[test]
    fn an_instant_is_what_its_zone_makes_of_it() {
        let at = chrono::DateTime::parse_from_rfc3339("2026-01-05T10:00:00Z").unwrap().timestamp();
        let hours = |text: &str| read(text).map(|instant| (at - instant.seconds) as f64 / 3600.0);
        for text in ["2026-01-05 10:00:00", "2026-01-05T10:00:00", "2026-01-05 10:00:00.000000001"] {
            assert_eq!((hours(text), read(text).unwrap().zone), (Some(0.0), Zone::Unstated), "{text}");
        }
        for (text, before) in [
            ("2026-01-05T10:00:00Z", 0.0),
            ("2026-01-05 10:00:00 UTC", 0.0),
            ("2026-01-05 10:00:00.5 UTC", 0.0),
            ("2026-01-05 10:00:00+05:30", 5.5),
            ("2026-01-05 10:00:00 +0530", 5.5),
            ("2026-01-05 10:00:00-08", -8.0),
            ("2026-01-05 10:00:00-04:30:00", -4.5),
            ("2026-01-05 10:00:00+05:53:24", 5.89),
            ("2026-01-05 10:00:00 Europe/Berlin", 1.0),
            ("2026-07-05 10:00:00 Europe/Berlin", 2.0 - 181.0 * 24.0),
        ] {
            assert_eq!((hours(text), read(text).unwrap().zone), (Some(before), Zone::Stated), "{text}");
        }
    }

    #[test]
    fn an_instant_that_is_not_sure_is_none() {
        for text in [
            "2026-01-05",
            "2026-01-05 10:00",
            "2026-01-05 24:00:00",
            "2026-01-05 10:60:00",
            "2026-01-05 10:00:60",
            "2026-01-05_10:00:00",
            "2026-01-05 10:00:00.",
            "2026-01-05 10:00:00.1234567890",
            "2026-01-05 10:00:00 EST",
            "2026-01-05 10:00:00 ",
            "2026-01-05 10:00:00z",
            "2026-01-05 10:00:00 Mars/Base",
            "2026-01-05 10:00:00-00:00",
            "2026-01-05 10:00:00+5",
            "2026-01-05 10:00:00+19:00",
            "2026-02-30 10:00:00",
            "2026-01-05  10:00:00",
            // Twice, and never.
            "2026-10-25 02:30:00 Europe/Berlin",
            "2026-03-29 02:30:00 Europe/Berlin",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
