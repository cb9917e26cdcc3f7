//! Checks the account's time zone against the project's. No API returns the project's zone, but exported records reveal it.
//!
//! In: an account. Out: a [`ZoneProof`]. An exported record has the event's time on the project's clock, and the profile in it has the
//! instant at which the person last did that event. Where both are the same occurrence, their difference is the offset from UTC.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, NaiveDateTime, Offset, TimeZone};
use serde_json::Value;

use crate::account::Account;
use crate::client::{Api, Lane, LaneSettings};
use crate::error::Result;
use crate::options::Options;
use crate::read::query::today;
use crate::read::schema_discovery::{self, first_page};
use crate::table::{Export, Read, Source};
use crate::tables::{self, query};

/// Most events to try until one has records.
const EVENTS_MAX: usize = 10;

/// How far back records may be.
const DAYS_BACK: Days = Days::new(90);

/// Offsets from UTC are multiples of a quarter of an hour, in seconds.
const QUARTER: i64 = 900;

/// The largest offset from UTC, in seconds.
const OFFSET_MAX: i64 = 14 * 3_600;

/// The result of [`prove_time_zone`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ZoneProof {
    /// The account's zone fits the records, and no other offset fits more of them.
    Agrees {
        /// Number of records that agree.
        records: usize,
    },
    /// Another offset fits more records.
    Differs {
        /// Seconds from UTC.
        offset: i64,
        /// Number of records that it fits.
        records: usize,
    },
    /// No record shows the offset.
    Unknown,
}

/// Compares exported records with the account's time zone.
///
/// # Errors
/// As a query over `clevertap.events`.
pub async fn prove_time_zone(account: &Account) -> Result<ZoneProof> {
    let Some(Read::Export(export)) = &tables::events().read else { return Ok(ZoneProof::Unknown) };
    let options = Options { retry_for_ms: 30_000, ..Options::default() };
    let lane = Lane::new(account.client(), LaneSettings::new(Api::of(export.path), &options));
    let events = schema_discovery::events(account).await?;
    let today = today(account);
    let range = (today.checked_sub_days(DAYS_BACK).unwrap_or(today), today);
    for event in events.keys().take(EVENTS_MAX) {
        let records = first_page(&lane, export, event, range, Some(SUMMARY)).await?;
        let offsets = offsets(&records, event, export);
        let Some((best, count)) = offsets.values().fold(BTreeMap::new(), count_each).into_iter().max_by_key(|(_, count)| *count) else {
            continue;
        };
        let zone = account.time_zone();
        let agrees = |(at, offset): (&i64, &i64)| {
            let at = DateTime::from_timestamp(*at, 0)?.naive_utc();
            (i64::from(zone?.offset_from_utc_datetime(&at).fix().local_minus_utc()) == *offset).then_some(())
        };
        let agreeing = offsets.iter().filter(|(at, offset)| agrees((at, offset)).is_some()).count();
        // If the clocks changed within the range, two offsets are correct, so the zone may agree with more records than either.
        return Ok(if agreeing >= count {
            ZoneProof::Agrees { records: agreeing }
        } else {
            ZoneProof::Differs { offset: best, records: count }
        });
    }
    Ok(ZoneProof::Unknown)
}

fn count_each(mut counts: BTreeMap<i64, usize>, offset: &i64) -> BTreeMap<i64, usize> {
    *counts.entry(*offset).or_default() += 1;
    counts
}

/// The column with the event summary of the profile.
const SUMMARY: &str = "profile_events";

/// The offset of the project's clock by instant, from the records that are the person's last occurrence of the event.
fn offsets(records: &[Value], event: &str, export: &Export) -> BTreeMap<i64, i64> {
    let summary = tables::events().columns.iter().find(|column| column.name == SUMMARY).and_then(|column| match column.source {
        Source::At(pointer) => Some(pointer),
        _ => None,
    });
    let offset = |record: &Value| {
        let local_time = record.pointer(export.time?)?;
        let local_time = local_time.as_i64().map_or_else(|| local_time.as_str().map(str::to_owned), |packed| Some(packed.to_string()))?;
        let local_time = NaiveDateTime::parse_from_str(&local_time, "%Y%m%d%H%M%S").ok()?.and_utc().timestamp();
        let last = record.pointer(summary?)?.get(event)?.get(query::LAST_SEEN)?.as_i64()?;
        let offset = local_time - last;
        // For any other occurrence the difference is a multiple of a quarter of an hour only by chance.
        (offset % QUARTER == 0 && offset.abs() <= OFFSET_MAX).then_some((last, offset))
    };
    records.iter().filter_map(offset).collect()
}
