//! Filter pushdown for exports and counts: events, days, conditions.
//!
//! In: the filters of a scan. Out: for each the level of pushdown support, and all of them together as [`PushedFilters`]. The same code
//! answers DataFusion's question about support and plans the scan, so that the two agree.

pub(crate) mod condition;
pub(crate) mod keys;
pub(crate) mod ranges;

use chrono::NaiveDate;
use datafusion::logical_expr::utils::{split_binary, split_conjunction};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown};

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
#[derive(Debug, Clone)]
pub(crate) struct PushedFilters {
    /// For each restricted column, the values that all its filters allow.
    pinned: Vec<KeyFilter>,
    days: Option<Bounds>,
    /// Where the first and the last day of the request must lie.
    ends: [Bounds; 2],
    instants: Option<Bounds>,
    /// Conditions on properties, joined by AND.
    pub(crate) conditions: Vec<Condition>,
    /// The branches of an OR, each with its own values and days. One of them holds, besides all of the above.
    alternatives: Vec<Self>,
}

/// The branches of an OR, if each of them says which events or which days are asked for.
fn alternatives(filter: &Expr, capabilities: FilterCapabilities<'_>) -> Option<Vec<PushedFilters>> {
    let each: Vec<Expr> = match filter {
        Expr::BinaryExpr(BinaryExpr { op: Operator::Or, .. }) => split_binary(filter, Operator::Or).into_iter().cloned().collect(),
        Expr::InList(list) if !list.negated => list.list.iter().map(|item| list.expr.as_ref().clone().eq(item.clone())).collect(),
        _ => return None,
    };
    let branches = each.iter().map(|branch| {
        let filters: Vec<Expr> = split_conjunction(branch).into_iter().cloned().collect();
        let mut pushed = PushedFilters::of(&filters, capabilities);
        // Below an OR a condition is that of one branch, and CleverTap is asked for all.
        pushed.conditions.clear();
        (pushed.alternatives.is_empty() && (!pushed.pinned.is_empty() || pushed.has_range())).then_some(pushed)
    });
    branches.collect()
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

impl Default for PushedFilters {
    fn default() -> Self {
        Self { pinned: Vec::new(), days: None, ends: [Bounds::ALL; 2], instants: None, conditions: Vec::new(), alternatives: Vec::new() }
    }
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
            self.pin(keys);
            return Exact;
        }
        for column in capabilities.days {
            if let Some(found) = bounds(filter, column, Axis::Days) {
                self.days = Some(self.days.unwrap_or(Bounds::ALL).and(match *column {
                    // `from_date = x` sets the first day of the range and not the last, and `from_date <= x` neither.
                    "from_date" => {
                        self.ends[0] = self.ends[0].and(found);
                        Bounds { last: None, ..found }
                    }
                    "to_date" => {
                        self.ends[1] = self.ends[1].and(found);
                        Bounds { first: None, ..found }
                    }
                    _ => found,
                }));
                self.take_gaps(filter, found, capabilities);
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
                self.take_gaps(filter, found, capabilities);
                return support(found);
            }
            // The timestamp cast to a date is a day of the project.
            if let Some(found) = bounds(filter, column, Axis::Days) {
                self.days = Some(self.days.unwrap_or(Bounds::ALL).and(found));
                self.take_gaps(filter, found, capabilities);
                return Inexact;
            }
        }
        if let Some(found) = capabilities.properties.and_then(|columns| conditions(filter, columns)) {
            self.conditions.extend(found);
            return Inexact;
        }
        if self.alternatives.is_empty()
            && let Some(found) = alternatives(filter, capabilities)
        {
            self.alternatives = found;
            return Inexact;
        }
        Unsupported
    }

    /// Takes the branches of an OR, or the items of an IN, between which `found`, the range over all of them, has days that none asks for.
    fn take_gaps(&mut self, filter: &Expr, found: Bounds, capabilities: FilterCapabilities<'_>) {
        if !found.is_exact && self.alternatives.is_empty() {
            self.alternatives = alternatives(filter, capabilities).unwrap_or_default();
        }
    }

    /// These filters with each of the alternatives; themselves, if there are none.
    pub(crate) fn each_alternative(&self) -> Vec<Self> {
        let mut alone = self.clone();
        let alternatives = std::mem::take(&mut alone.alternatives);
        let with = |branch: &Self| {
            let mut both = alone.clone();
            for keys in &branch.pinned {
                both.pin(keys.clone());
            }
            let and = |one: Option<Bounds>, other: Option<Bounds>| match (one, other) {
                (Some(one), Some(other)) => Some(one.and(other)),
                (one, other) => one.or(other),
            };
            (both.days, both.instants) = (and(both.days, branch.days), and(both.instants, branch.instants));
            both
        };
        if alternatives.is_empty() { vec![alone] } else { alternatives.iter().map(with).collect() }
    }

    /// Restricts a column to values, besides those that it may have had.
    fn pin(&mut self, keys: KeyFilter) {
        match self.pinned.iter_mut().find(|existing| existing.column == keys.column) {
            Some(existing) => existing.values.retain(|value| keys.values.contains(value)),
            None => self.pinned.push(keys),
        }
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

    /// The bounds in days, if a filter compares the day.
    pub(crate) fn days(&self) -> Option<Bounds> {
        self.days
    }

    /// The range of days to request. An open end is `until`.
    ///
    /// # Errors
    /// [`Error::Setting`] if a filter compares the timestamp and the account has no time zone, [`Error::Filter`] if only the first day has an
    /// upper bound.
    pub(crate) fn range(&self, account: &Account, until: NaiveDate) -> Result<Range> {
        let mut range = self.days.unwrap_or(Bounds::ALL);
        if let Some(instants) = self.instants {
            range = range.and(days_of(instants, account.time_zone().ok_or_else(Error::needs_time_zone)?));
        }
        // Days of no event: an account is younger than the epoch, and what lies beyond the end of an open range lies beyond any.
        let [first_day, last_day] = self.ends;
        let Some(asked) = range.first else { return Ok(Range::NoFirstDay) };
        let first = asked.max(0);
        let until = days(until).max(first);
        if range.last.is_none() && first_day.last.is_some_and(|last| last > asked) {
            return Err(Error::Filter(
                "\"from_date\" is the first day of those that are counted, and this query has no last one: write event_date BETWEEN \
                 '2026-01-01' AND '2026-01-31', or from_date = '2026-01-01' AND to_date = '2026-01-31'"
                    .into(),
            ));
        }
        // What the author said of the ends is held against the ends as they were asked for.
        if !first_day.include(asked) || !last_day.include(range.last.unwrap_or(until)) {
            return Ok(Range::Empty);
        }
        let last = range.last.map_or(until, |last| last.min(until));
        Ok(if first <= last { Range::Days((date(first), date(last))) } else { Range::Empty })
    }
}
