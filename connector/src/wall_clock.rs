//! What a clock on the wall of a time zone shows, as an instant: one rule for what is read and what is written.
//!
//! In: a zone and what its clock shows. Out: the instant. Where the clock repeats an hour the earlier instant is meant; where it skips
//! one, the time is shifted forward by the gap.

use chrono::{DateTime, LocalResult, NaiveDateTime, Offset, TimeDelta, TimeZone};
use chrono_tz::Tz;

/// The instant at which a clock in `zone` shows what a clock in UTC shows at `shown`.
pub(crate) fn instant(zone: Tz, shown: i64) -> Option<i64> {
    let clock: NaiveDateTime = DateTime::from_timestamp(shown, 0)?.naive_utc();
    let offset = match zone.offset_from_local_datetime(&clock) {
        LocalResult::Single(offset) => offset.fix(),
        LocalResult::Ambiguous(one, other) => {
            if one.fix().local_minus_utc() > other.fix().local_minus_utc() {
                one.fix()
            } else {
                other.fix()
            }
        }
        // No gap is longer than the day that Samoa left out, so a day earlier the clock still went as before it.
        LocalResult::None => zone.offset_from_utc_datetime(&(clock - TimeDelta::days(1))).fix(),
    };
    Some(shown - i64::from(offset.local_minus_utc()))
}
