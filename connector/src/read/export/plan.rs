//! Which chains of pages an export needs.
//!
//! In: event names, days, conditions, columns. Out: windows, each a chain of its own. A range of days is cut so that the permitted
//! chains run side by side.

use std::fmt;

use chrono::{Days, NaiveDate};
use datafusion::error::Result;

use crate::read::projection::{PageProjection, RecordLayout, RowFilter};
use crate::read::pushdown::condition::Condition;
use crate::read::query::{DayRange, Window};
use crate::read::spec::Scan;
use crate::table::Export;
use crate::tables::query::{BATCH_SIZE_MAX, BATCH_SIZE_STEP};

/// Windows for each chain that may run: enough that none waits long for the last, and few, since each costs two requests more.
const WINDOWS_A_CHAIN: usize = 4;

/// The earliest day of a sweep: CleverTap is younger.
pub(crate) const BEGINNING: NaiveDate = NaiveDate::from_ymd_opt(2013, 1, 1).expect("a day");

/// How far an open range goes beyond today: events may carry a time that is still to come.
pub(crate) const AHEAD: Days = Days::new(365);

/// An export, planned.
#[derive(Debug)]
pub(crate) struct ExportPlan {
    /// The call.
    pub(crate) call: &'static Export,
    /// In the order in which they are taken.
    pub(crate) windows: Vec<Window>,
    /// Parts of a record, and whether they are asked for.
    pub(crate) parts: Vec<(&'static str, bool)>,
    /// What CleverTap looks at before it sends; checked again above the scan.
    pub(crate) conditions: Vec<Condition>,
    /// Which rows are left in.
    pub(crate) keep: RowFilter,
    /// How records become rows.
    pub(crate) shape: PageProjection,
}

impl ExportPlan {
    /// Plans the export of `events` (`None`: a sweep) in `range`.
    ///
    /// # Errors
    /// `Error::Setting` if a column needs a time zone and there is none.
    pub(crate) fn plan(
        call: &'static Export,
        scan: &Scan,
        events: Option<&[String]>,
        range: DayRange,
        today: NaiveDate,
        conditions: Vec<Condition>,
        keep: RowFilter,
    ) -> Result<Self> {
        let names: Vec<_> = scan.schema.fields().iter().map(|field| field.name().as_str()).collect();
        let parts = call.parts.iter().map(|(part, columns)| (*part, columns.iter().any(|column| names.contains(column)))).collect();
        let framed = RecordLayout { records: call.records, inside: None, asked: None };
        let shape = PageProjection::new(&scan.relation, &scan.schema, &scan.projection, framed, keep)?;
        let chains = scan.options.read_concurrency;
        let cut = call.time.is_some() && scan.limit.is_none();
        let windows = match events {
            None => vec![Window { event: None, range }],
            Some(events) => {
                let each = if cut { (chains * WINDOWS_A_CHAIN).div_ceil(events.len().max(1)) } else { 1 };
                let of = |event: &String| {
                    cut_days(range, today, each).into_iter().map(|range| Window { event: Some(event.clone()), range }).collect::<Vec<_>>()
                };
                events.iter().flat_map(of).collect()
            }
        };
        Ok(Self { call, windows, parts, conditions, keep, shape })
    }

    /// Records of a page: as many as the API gives, or the least multiple of its step that holds the limit.
    pub(super) fn page_rows(&self, limit: Option<usize>) -> usize {
        let enough = limit
            .filter(|_| self.keep == RowFilter::All)
            .map(|limit| limit.div_ceil(BATCH_SIZE_STEP).max(1).saturating_mul(BATCH_SIZE_STEP));
        enough.unwrap_or(BATCH_SIZE_MAX).min(BATCH_SIZE_MAX)
    }
}

/// A range cut into at most `parts` ranges of about as many days. What lies after today is likely empty: it is one part more.
fn cut_days(range: DayRange, today: NaiveDate, parts: usize) -> Vec<DayRange> {
    let (first, last) = range;
    if first <= today && today < last && parts > 1 {
        let mut cut = cut_days((first, today), today, parts);
        cut.extend(today.succ_opt().map(|tomorrow| (tomorrow, last)));
        return cut;
    }
    let days = u64::try_from(last.signed_duration_since(first).num_days()).unwrap_or_default() + 1;
    let parts = (parts as u64).clamp(1, days);
    let at = |part: u64| first.checked_add_days(Days::new(days * part / parts)).unwrap_or(last);
    (0..parts).map(|part| (at(part), at(part + 1).pred_opt().unwrap_or(last).min(last))).collect()
}

impl fmt::Display for ExportPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "call=POST {}", self.call.path)?;
        let mut events: Vec<_> = self.windows.iter().filter_map(|window| window.event.as_deref()).collect();
        events.dedup();
        match self.keep {
            RowFilter::NewPeople => f.write_str(", events=all that can be exported, people once each")?,
            _ => write!(f, ", events=[{}]", events.join(", "))?,
        }
        let first = self.windows.iter().map(|window| window.range.0).min();
        let last = self.windows.iter().map(|window| window.range.1).max();
        if let (Some(first), Some(last)) = (first, last) {
            write!(f, ", days={first}..{last}")?;
        }
        write!(f, ", chains={}", self.windows.len())?;
        let asked: Vec<_> = self.parts.iter().filter(|(_, asked)| *asked).map(|(part, _)| *part).collect();
        write!(f, ", parts=[{}]", asked.join(", "))?;
        if !self.conditions.is_empty() {
            let shown: Vec<_> = self.conditions.iter().map(Condition::shown).collect();
            write!(f, ", pushed=[{}] (checked again here)", shown.join(", "))?;
        }
        if matches!(self.keep, RowFilter::Inside(_)) {
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
    fn windows_cover_the_range_once_and_are_about_as_long() {
        for last in 1..=31 {
            for parts in 1..=12 {
                let cut = cut_days((day(1), day(last)), day(31), parts);
                assert_eq!((cut[0].0, cut[cut.len() - 1].1), (day(1), day(last)));
                assert!(cut.windows(2).all(|pair| pair[0].1.succ_opt() == Some(pair[1].0)), "{cut:?}");
                assert!(cut.iter().all(|(first, last)| first <= last), "{cut:?}");
                assert_eq!(cut.len(), parts.min(last as usize));
            }
        }
    }

    #[test]
    fn what_is_still_to_come_is_one_window() {
        let cut = cut_days((day(1), day(31)), day(6), 3);
        assert_eq!(cut, [(day(1), day(2)), (day(3), day(4)), (day(5), day(6)), (day(7), day(31))]);
    }
}
