//! Whether the account's time zone is the project's: CleverTap does not tell it, but an exported page gives it away.
//!
//! In: an account. Out: whether the times of one page, which are on the project's clock, agree with the instants at which the same
//! people are said to have done the same event last; or which offset from UTC does.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, NaiveDateTime, Offset, TimeZone};
use serde_json::Value;

use crate::account::Account;
use crate::client::{Api, Lane, LaneSettings};
use crate::error::Result;
use crate::options::Options;
use crate::read::discover::{self, first_page};
use crate::read::query::today;
use crate::table::{Export, Read, Source};
use crate::tables::{self, query};

/// Events that are tried until one has a page.
const EVENTS_MAX: usize = 10;

/// How far back pages are looked for.
const DAYS_BACK: Days = Days::new(90);

/// Zones differ by quarters of an hour.
const QUARTER: i64 = 900;

/// No clock is further from UTC.
const OFFSET_MAX: i64 = 14 * 3_600;

/// What an exported page says about the time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ZoneProof {
    /// So many records agree with the account's zone, and no offset fits more.
    Agrees {
        /// Records that agree.
        records: usize,
    },
    /// Another offset from UTC fits, in seconds.
    Differs {
        /// The offset that fits.
        offset: i64,
        /// Records that it fits.
        records: usize,
    },
    /// No record could tell.
    Unknown,
}

/// Looks for a page that tells the project's clock.
///
/// # Errors
/// As a query over `clevertap.events`.
pub async fn prove_time_zone(account: &Account) -> Result<ZoneProof> {
    let Some(Read::Export(export)) = &tables::events().read else { return Ok(ZoneProof::Unknown) };
    let options = Options { retry_for_ms: 30_000, ..Options::default() };
    let lane = Lane::new(account.client(), LaneSettings::new(Api::of(export.path), &options));
    let events = discover::events(account).await?;
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
        // Where the clock was set in between, two offsets are right.
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

/// The column whose part of a record holds the summary.
const SUMMARY: &str = "profile_events";

/// How far the project's clock is from UTC, by the instant at which it showed a time: a record that is its person's last of the event.
fn offsets(records: &[Value], event: &str, export: &Export) -> BTreeMap<i64, i64> {
    let place = tables::events().columns.iter().find(|column| column.name == SUMMARY).and_then(|column| match column.source {
        Source::At(pointer) => Some(pointer),
        _ => None,
    });
    let offset = |record: &Value| {
        let shown = record.pointer(export.time?)?;
        let shown = shown.as_i64().map_or_else(|| shown.as_str().map(str::to_owned), |packed| Some(packed.to_string()))?;
        let shown = NaiveDateTime::parse_from_str(&shown, "%Y%m%d%H%M%S").ok()?.and_utc().timestamp();
        let last = record.pointer(place?)?.get(event)?.get(query::LAST_SEEN)?.as_i64()?;
        let offset = shown - last;
        // Of any other record than the last, the difference is no quarter of an hour, but for chance.
        (offset % QUARTER == 0 && offset.abs() <= OFFSET_MAX).then_some((last, offset))
    };
    records.iter().filter_map(offset).collect()
}
