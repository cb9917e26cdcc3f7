//! Converts local time of a time zone to an instant: one rule for reads and writes.
//!
//! In: a zone and a local time. Out: the instant. If local time repeats an hour, the earlier instant is used; if it skips one, the
//! time is shifted forward by the gap.

use chrono::{DateTime, LocalResult, NaiveDateTime, Offset, TimeDelta, TimeZone};
use chrono_tz::Tz;

/// The instant at which local time in `zone` is what UTC is at `local_seconds`.
pub(crate) fn instant(zone: Tz, local_seconds: i64) -> Option<i64> {
    let local: NaiveDateTime = DateTime::from_timestamp(local_seconds, 0)?.naive_utc();
    let offset = match zone.offset_from_local_datetime(&local) {
        LocalResult::Single(offset) => offset.fix(),
        LocalResult::Ambiguous(one, other) => {
            if one.fix().local_minus_utc() > other.fix().local_minus_utc() {
                one.fix()
            } else {
                other.fix()
            }
        }
        // No gap is longer than the day that Samoa skipped, so the offset of a day earlier is the one before the gap.
        LocalResult::None => zone.offset_from_utc_datetime(&(local - TimeDelta::days(1))).fix(),
    };
    Some(local_seconds - i64::from(offset.local_minus_utc()))
}
