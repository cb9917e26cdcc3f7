//! Plans an export: the chains of pages that it needs.
//!
//! In: event names, days, conditions, columns. Out: windows, each of which is read by its own chain of pages. A range of days is split, so
//! that as many chains as allowed can run in parallel.

use std::fmt;

use chrono::{Days, NaiveDate};
use datafusion::error::Result;

use crate::read::projection::{PageProjection, RecordLayout, RowFilter};
use crate::read::pushdown::condition::Condition;
use crate::read::query::{DayRange, Window};
use crate::read::spec::Scan;
use crate::table::Export;
use crate::tables::query::{BATCH_SIZE_MAX, BATCH_SIZE_STEP};

/// Windows per concurrent chain. More windows even out their sizes, so that the last chain does not run alone for long; but each window
/// costs two extra requests.
const WINDOWS_PER_CHAIN: usize = 4;

/// The first day of a full scan, before CleverTap existed.
pub(crate) const BEGINNING: NaiveDate = NaiveDate::from_ymd_opt(2013, 1, 1).expect("a day");

/// How far an open range extends beyond today: events may have a time in the future.
pub(crate) const AHEAD: Days = Days::new(365);

/// What is exported.
#[derive(Debug)]
pub(crate) enum Asked {
    /// Whoever did anything that can be exported.
    Everybody(DayRange),
    /// Every event that can be exported, of these days, which do not overlap.
    EveryEvent(Vec<DayRange>),
    /// Events, each with its days. The ranges of one event do not overlap.
    Events(Vec<(String, DayRange)>),
}

impl Asked {
    /// All of `events` in the same days.
    pub(crate) fn events(events: &[String], range: DayRange) -> Self {
        Self::Events(events.iter().map(|event| (event.clone(), range)).collect())
    }

    /// The days of events, without the events.
    pub(crate) fn days(self) -> Vec<DayRange> {
        match self {
            Self::Everybody(range) => vec![range],
            Self::EveryEvent(ranges) => ranges,
            Self::Events(events) => events.into_iter().map(|(_, range)| range).collect(),
        }
    }

    /// Several of these, an event and a day once each.
    pub(crate) fn any_of(alternatives: impl IntoIterator<Item = (String, DayRange)>) -> Self {
        let mut asked: Vec<(String, DayRange)> = Vec::new();
        let mut all: Vec<_> = alternatives.into_iter().collect();
        // Stable, so that events keep the order of the query where their days are the same.
        all.sort_by_key(|(_, range)| range.0);
        for (event, range) in all {
            let last = asked.iter_mut().rev().find(|(asked, _)| *asked == event).map(|(_, range)| range);
            match last {
                Some(last) if last.1.succ_opt().is_none_or(|next| range.0 <= next) => last.1 = last.1.max(range.1),
                _ => asked.push((event, range)),
            }
        }
        Self::Events(asked)
    }
}

#[derive(Debug)]
pub(crate) struct ExportPlan {
    pub(crate) call: &'static Export,
    /// In the order in which they are read.
    pub(crate) windows: Vec<Window>,
    /// Parts of a record, and whether they are requested.
    pub(crate) parts: Vec<(&'static str, bool)>,
    /// Conditions that CleverTap evaluates. The filters are evaluated again above the scan.
    pub(crate) conditions: Vec<Condition>,
    pub(crate) keep: RowFilter,
    pub(crate) projection: PageProjection,
}

impl ExportPlan {
    /// Plans the export of `asked`.
    ///
    /// # Errors
    /// `Error::Setting` if a column needs a time zone and the account has none.
    pub(crate) fn plan(
        call: &'static Export,
        scan: &Scan,
        asked: Asked,
        today: NaiveDate,
        conditions: Vec<Condition>,
        keep: RowFilter,
    ) -> Result<Self> {
        let names: Vec<_> = scan.schema.fields().iter().map(|field| field.name().as_str()).collect();
        let parts = call.parts.iter().map(|(part, columns)| (*part, columns.iter().any(|column| names.contains(column)))).collect();
        let layout = RecordLayout { records: call.records, record: None, lookup_key: None, is_built: false };
        let projection = PageProjection::new(&scan.relation, &scan.schema, &scan.projection, layout, keep)?;
        let chains = scan.options.read_concurrency;
        let can_split = call.time.is_some() && scan.limit.is_none();
        let windows = match asked {
            Asked::Everybody(range) => vec![Window { event: None, range }],
            Asked::EveryEvent(ranges) => {
                let parts = if can_split { chains.div_ceil(ranges.len().max(1)) } else { 1 };
                ranges.into_iter().flat_map(|range| split_days(range, today, parts)).map(|range| Window { event: None, range }).collect()
            }
            Asked::Events(events) => {
                let parts_per_event = if can_split { (chains * WINDOWS_PER_CHAIN).div_ceil(events.len().max(1)) } else { 1 };
                let windows = |(event, range): (String, DayRange)| {
                    let parts = split_days(range, today, parts_per_event).into_iter();
                    parts.map(move |range| Window { event: Some(event.clone()), range })
                };
                events.into_iter().flat_map(windows).collect()
            }
        };
        Ok(Self { call, windows, parts, conditions, keep, projection })
    }

    /// Records per page: the API's maximum, or the smallest multiple of its step that covers the limit.
    pub(super) fn page_rows(&self, limit: Option<usize>) -> usize {
        let enough = limit
            .filter(|_| match self.keep {
                RowFilter::All => true,
                RowFilter::Inside { seconds, .. } => seconds.is_all(),
                RowFilter::NewPeople => false,
            })
            .map(|limit| limit.div_ceil(BATCH_SIZE_STEP).max(1).saturating_mul(BATCH_SIZE_STEP));
        enough.unwrap_or(BATCH_SIZE_MAX).min(BATCH_SIZE_MAX)
    }
}

/// Splits a range into at most `parts` ranges of about equal length. The days after today are likely empty, so they are one extra range.
fn split_days(range: DayRange, today: NaiveDate, parts: usize) -> Vec<DayRange> {
    let (first, last) = range;
    if first <= today && today < last && parts > 1 {
        let mut ranges = split_days((first, today), today, parts);
        ranges.extend(today.succ_opt().map(|tomorrow| (tomorrow, last)));
        return ranges;
    }
    let days = u64::try_from(last.signed_duration_since(first).num_days()).unwrap_or_default() + 1;
    let parts = (parts as u64).clamp(1, days);
    let at = |part: u64| first.checked_add_days(Days::new(days * part / parts)).unwrap_or(last);
    (0..parts).map(|part| (at(part), at(part + 1).pred_opt().unwrap_or(last).min(last))).collect()
}

impl fmt::Display for ExportPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "call=POST {}", self.call.path)?;
        let mut events: Vec<&str> = Vec::new();
        for event in self.windows.iter().filter_map(|window| window.event.as_deref()) {
            if !events.contains(&event) {
                events.push(event);
            }
        }
        match self.keep {
            RowFilter::NewPeople => f.write_str(", events=all that can be exported, people once each")?,
            _ if self.windows.iter().any(|window| window.event.is_none()) => f.write_str(", events=all that can be exported")?,
            _ => write!(f, ", events=[{}]", events.join(", "))?,
        }
        let first = self.windows.iter().map(|window| window.range.0).min();
        let last = self.windows.iter().map(|window| window.range.1).max();
        if let (Some(first), Some(last)) = (first, last) {
            write!(f, ", days={first}..{last}")?;
        }
        write!(f, ", chains={}", self.windows.len())?;
        let requested: Vec<_> = self.parts.iter().filter(|(_, is_requested)| *is_requested).map(|(part, _)| *part).collect();
        write!(f, ", parts=[{}]", requested.join(", "))?;
        if !self.conditions.is_empty() {
            let pushed: Vec<_> = self.conditions.iter().map(Condition::redacted).collect();
            write!(f, ", pushed=[{}] (checked again here)", pushed.join(", "))?;
        }
        if matches!(self.keep, RowFilter::Inside { seconds, .. } if !seconds.is_all()) {
            f.write_str(", edges trimmed to the second")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 1, day).unwrap()
    }

    #[test]
    fn ranges_of_an_event_that_meet_are_one() {
        let charged = |first, last| ("Charged".to_owned(), (day(first), day(last)));
        let viewed = |first, last| ("Viewed".to_owned(), (day(first), day(last)));
        let asked = |all: Vec<(String, DayRange)>| match Asked::any_of(all) {
            Asked::Events(events) => events,
            Asked::Everybody(_) | Asked::EveryEvent(_) => Vec::new(),
        };
        assert_eq!(asked(vec![charged(5, 6), viewed(1, 2), charged(7, 9), charged(8, 8)]), [viewed(1, 2), charged(5, 9)]);
        assert_eq!(asked(vec![charged(5, 6), charged(9, 9), charged(1, 3)]), [charged(1, 3), charged(5, 6), charged(9, 9)]);
    }

    #[test]
    fn windows_cover_the_range_once() {
        for last in 1..=31 {
            for parts in 1..=12 {
                let ranges = split_days((day(1), day(last)), day(31), parts);
                assert_eq!((ranges[0].0, ranges[ranges.len() - 1].1), (day(1), day(last)));
                assert!(ranges.windows(2).all(|pair| pair[0].1.succ_opt() == Some(pair[1].0)), "{ranges:?}");
                assert!(ranges.iter().all(|(first, last)| first <= last), "{ranges:?}");
                assert_eq!(ranges.len(), parts.min(last as usize));
            }
        }
    }

    #[test]
    fn days_in_the_future_are_one_window() {
        let ranges = split_days((day(1), day(31)), day(6), 3);
        assert_eq!(ranges, [(day(1), day(2)), (day(3), day(4)), (day(5), day(6)), (day(7), day(31))]);
    }
}
