//! Time zones, and the instants of local times in them.
//!
//! In: `UTC`, `Z`, `+05:30`, `Asia/Kolkata`. Out: an instant, if there is exactly one.

use arrow::array::timezone::Tz;
use chrono::{NaiveDateTime, TimeZone};

/// A zone by its name or its offset.
pub(super) fn zone(text: &str) -> Option<Tz> {
    match text.trim() {
        "" => None,
        text if text.eq_ignore_ascii_case("z") || text.eq_ignore_ascii_case("utc") => "UTC".parse().ok(),
        text => text.parse().ok(),
    }
}

/// Epoch seconds of a local time that the zone has once: neither skipped nor repeated when clocks are changed.
pub(super) fn instant(local: NaiveDateTime, zone: Tz) -> Option<i64> {
    zone.from_local_datetime(&local).single().map(|instant| instant.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::written::format::Format;

    #[test]
    fn a_local_time_that_there_is_once_is_an_instant() {
        let format = Format::new("yyyy-mm-dd hh:mi").unwrap();
        for (name, text, expected) in [
            ("UTC", "2026-01-01 00:00", Some(1_767_225_600)),
            ("z", "2026-01-01 00:00", Some(1_767_225_600)),
            ("+05:30", "2026-01-01 05:30", Some(1_767_225_600)),
            ("-0230", "2025-12-31 21:30", Some(1_767_225_600)),
            ("Asia/Kolkata", "2026-01-01 05:30", Some(1_767_225_600)),
            ("Europe/Berlin", "2026-07-01 02:00", Some(1_782_864_000)),
            ("Europe/Berlin", "2026-03-29 02:30", None),
            ("Europe/Berlin", "2026-10-25 02:30", None),
        ] {
            let (local, _) = format.read(text).unwrap();
            assert_eq!(instant(local, zone(name).unwrap()), expected, "{text} {name}");
        }
        for name in ["", "IST", "India", "+25:00", "5", "Asia/Nowhere"] {
            assert!(zone(name).is_none(), "{name}");
        }
    }
}
