//! What a query asks of an export or a count: events, days, conditions.
//!
//! In: the filters of a scan, one by one. Out: for each whether it can be asked and how exactly, and all of them together as
//! [`PushedFilters`]. What is missing is an error that shows a WHERE that works.

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

/// How a table may be asked: its filter columns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FilterCapabilities<'a> {
    /// The columns of days whose range is asked for; more than one is the same range.
    pub(crate) days: &'a [&'static str],
    /// A column whose filter holds of a part of a range of days alone, so that it is never exact.
    pub(crate) bucket_starts: Option<(&'static str, i64)>,
    /// The column of instants, if there is one.
    pub(crate) instant: Option<&'static str>,
    /// Columns that are pinned to values: name, and what CleverTap calls it (which plays no role here).
    pub(crate) pinned: &'a [(&'static str, &'static str)],
    /// Where a filter may name a property of the event.
    pub(crate) properties: Option<PropertyColumns<'a>>,
}

/// What the filters of one scan ask for.
#[derive(Debug, Clone, Default)]
pub(crate) struct PushedFilters {
    /// Columns that are pinned, each to the values that all of its filters allow.
    pinned: Vec<KeyFilter>,
    days: Option<Bounds>,
    instants: Option<Bounds>,
    /// Conditions on properties, all of which must hold.
    pub(crate) conditions: Vec<Condition>,
}

impl PushedFilters {
    /// All of `filters` together.
    pub(crate) fn of(filters: &[Expr], capabilities: FilterCapabilities<'_>) -> Self {
        let mut pushed = Self::default();
        for filter in filters {
            pushed.add(filter, capabilities);
        }
        pushed
    }

    /// Takes what can be asked of one filter, and says how exactly that is the filter.
    pub(crate) fn add(&mut self, filter: &Expr, capabilities: FilterCapabilities<'_>) -> TableProviderFilterPushDown {
        use TableProviderFilterPushDown::{Exact, Inexact, Unsupported};
        let exactly = |bounds: Bounds| if bounds.is_exact { Exact } else { Inexact };
        if let Some(asked) = key_filter(filter, capabilities.pinned) {
            match self.pinned.iter_mut().find(|known| known.column == asked.column) {
                Some(known) => known.values.retain(|value| asked.values.contains(value)),
                None => self.pinned.push(asked),
            }
            return Exact;
        }
        for column in capabilities.days {
            if let Some(found) = bounds(filter, column, Axis::Days) {
                self.days = Some(self.days.unwrap_or(Bounds::ALL).and(match *column {
                    // `from_date = x` names the first day of the range and says nothing of its last.
                    "from_date" => Bounds { last: None, ..found },
                    "to_date" => Bounds { first: None, ..found },
                    _ => found,
                }));
                return exactly(found);
            }
        }
        if let Some((column, length)) = capabilities.bucket_starts
            && let Some(found) = bounds(filter, column, Axis::Days)
        {
            let whole = Bounds { last: found.last.map(|last| last + length - 1), ..found };
            self.days = Some(self.days.unwrap_or(Bounds::ALL).and(whole));
            return Inexact;
        }
        if let Some(column) = capabilities.instant {
            if let Some(found) = bounds(filter, column, Axis::Seconds) {
                self.instants = Some(self.instants.unwrap_or(Bounds::ALL).and(found));
                return exactly(found);
            }
            // Its day is a day of the project.
            if let Some(found) = bounds(filter, column, Axis::Days) {
                self.days = Some(self.days.unwrap_or(Bounds::ALL).and(found));
                return Inexact;
            }
        }
        if let Some(found) = capabilities.properties.and_then(|places| conditions(filter, places)) {
            self.conditions.extend(found);
            return Inexact;
        }
        Unsupported
    }

    /// The values to which `column` is pinned, if it is.
    pub(crate) fn values(&self, column: &str) -> Option<&[String]> {
        self.pinned.iter().find(|asked| asked.column == column).map(|asked| &asked.values[..])
    }

    /// Whether there is a range of days or instants at all.
    pub(crate) fn has_range(&self) -> bool {
        self.days.is_some() || self.instants.is_some()
    }

    /// Whether the filters contradict each other, so that no row can pass.
    pub(crate) fn is_nothing(&self) -> bool {
        self.pinned.iter().any(|asked| asked.values.is_empty())
            || [self.days, self.instants].into_iter().flatten().any(|span| span.is_empty())
    }

    /// The seconds outside of which no row passes, where an instant was compared.
    pub(crate) fn instants(&self) -> Option<Bounds> {
        self.instants
    }

    /// The days of the project that are asked for; `None` where there are none. An open end is `until`.
    ///
    /// # Errors
    /// [`Error::Filter`] where there is no first day, [`Error::Setting`] where instants were compared and the account has no time zone.
    pub(crate) fn range(&self, account: &Account, until: NaiveDate, missing: &dyn Fn() -> Error) -> Result<Option<DayRange>> {
        let mut span = self.days.unwrap_or(Bounds::ALL);
        if let Some(instants) = self.instants {
            span = span.and(days_of(instants, account.time_zone().ok_or_else(Error::needs_time_zone)?));
        }
        let first = span.first.ok_or_else(missing)?;
        let last = span.last.unwrap_or_else(|| days(until).max(first));
        Ok((first <= last).then(|| (date(first), date(last))))
    }
}
