//! Filter pushdown for exports and counts: events, days, conditions.
//!
//! In: the filters of a scan. Out: for each the level of pushdown support, and all of them together as [`PushedFilters`]. The same code
//! answers DataFusion's question about support and plans the scan, so that the two agree.

pub(crate) mod condition;
pub(crate) mod keys;
pub(crate) mod ranges;

use chrono::NaiveDate;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};

use crate::account::Account;
use crate::error::{Error, Result};
use crate::read::query::DayRange;
use condition::{Condition, PropertyColumns, conditions};
use keys::{KeyFilter, key_filter};
use ranges::{Axis, Bounds, bounds, date, days, days_of};

/// The filter columns of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FilterCapabilities<'a> {
    /// Columns whose filters select the range of days. Filters on several of them are combined into one range.
    pub(crate) days: &'a [&'static str],
    /// A column with the first day of a bucket, and the most days of a bucket. Whole buckets are requested, so its filters are never exact.
    pub(crate) bucket_starts: Option<(&'static str, i64)>,
    /// The timestamp column.
    pub(crate) instant: Option<&'static str>,
    /// Columns that filters restrict to values, in the form of a look-up's keys; the parameter name is not used.
    pub(crate) pinned: &'a [(&'static str, &'static str)],
    pub(crate) properties: Option<PropertyColumns<'a>>,
}

/// The combined filters of one scan.
#[derive(Debug, Clone, Default)]
pub(crate) struct PushedFilters {
    /// For each restricted column, the values that all its filters allow.
    pinned: Vec<KeyFilter>,
    days: Option<Bounds>,
    instants: Option<Bounds>,
    /// Conditions on properties, joined by AND.
    pub(crate) conditions: Vec<Condition>,
}

/// The days that filters leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Range {
    Days(DayRange),
    /// No day at all.
    Empty,
    /// All days up to one: what is asked for must have a first day.
    NoFirstDay,
}

impl PushedFilters {
    pub(crate) fn of(filters: &[Expr], capabilities: FilterCapabilities<'_>) -> Self {
        let mut pushed = Self::default();
        for filter in filters {
            pushed.add(filter, capabilities);
        }
        pushed
    }

    /// Adds a filter as far as it can be pushed down, and returns how exact that is.
    pub(crate) fn add(&mut self, filter: &Expr, capabilities: FilterCapabilities<'_>) -> TableProviderFilterPushDown {
        use TableProviderFilterPushDown::{Exact, Inexact, Unsupported};
        let support = |bounds: Bounds| if bounds.is_exact { Exact } else { Inexact };
        if let Some(keys) = key_filter(filter, capabilities.pinned) {
            match self.pinned.iter_mut().find(|existing| existing.column == keys.column) {
                Some(existing) => existing.values.retain(|value| keys.values.contains(value)),
                None => self.pinned.push(keys),
            }
            return Exact;
        }
        for column in capabilities.days {
            if let Some(found) = bounds(filter, column, Axis::Days) {
                self.days = Some(self.days.unwrap_or(Bounds::ALL).and(match *column {
                    // `from_date = x` sets the first day of the range and not the last.
                    "from_date" => Bounds { last: None, ..found },
                    "to_date" => Bounds { first: None, ..found },
                    _ => found,
                }));
                return support(found);
            }
        }
        if let Some((column, length)) = capabilities.bucket_starts
            && let Some(found) = bounds(filter, column, Axis::Days)
        {
            let buckets = Bounds { last: found.last.map(|last| last + length - 1), ..found };
            self.days = Some(self.days.unwrap_or(Bounds::ALL).and(buckets));
            return Inexact;
        }
        if let Some(column) = capabilities.instant {
            if let Some(found) = bounds(filter, column, Axis::Seconds) {
                self.instants = Some(self.instants.unwrap_or(Bounds::ALL).and(found));
                return support(found);
            }
            // The timestamp cast to a date is a day of the project.
            if let Some(found) = bounds(filter, column, Axis::Days) {
                self.days = Some(self.days.unwrap_or(Bounds::ALL).and(found));
                return Inexact;
            }
        }
        if let Some(found) = capabilities.properties.and_then(|columns| conditions(filter, columns)) {
            self.conditions.extend(found);
            return Inexact;
        }
        Unsupported
    }

    /// The values to which the filters restrict `column`, if they do.
    pub(crate) fn values(&self, column: &str) -> Option<&[String]> {
        self.pinned.iter().find(|keys| keys.column == column).map(|keys| &keys.values[..])
    }

    /// Whether a filter restricts days or instants.
    pub(crate) fn has_range(&self) -> bool {
        self.days.is_some() || self.instants.is_some()
    }

    /// Whether the filters contradict each other, so that no row can match.
    pub(crate) fn is_contradiction(&self) -> bool {
        self.pinned.iter().any(|keys| keys.values.is_empty())
            || [self.days, self.instants].into_iter().flatten().any(|bounds| bounds.is_empty())
    }

    /// The bounds in seconds, if a filter compares the timestamp.
    pub(crate) fn instants(&self) -> Option<Bounds> {
        self.instants
    }

    /// The range of days to request. An open end is `until`.
    ///
    /// # Errors
    /// [`Error::Setting`] if a filter compares the timestamp and the account has no time zone.
    pub(crate) fn range(&self, account: &Account, until: NaiveDate) -> Result<Range> {
        let mut range = self.days.unwrap_or(Bounds::ALL);
        if let Some(instants) = self.instants {
            range = range.and(days_of(instants, account.time_zone().ok_or_else(Error::needs_time_zone)?));
        }
        let Some(first) = range.first else { return Ok(Range::NoFirstDay) };
        let last = range.last.unwrap_or_else(|| days(until).max(first));
        Ok(if first <= last { Range::Days((date(first), date(last))) } else { Range::Empty })
    }
}
