//! What a query asks of an export or a count: events, days, conditions.
//!
//! In: the filters of a scan, one by one. Out: for each whether it can be asked and how exactly, and all of them together as
//! [`Wanted`]. What is missing is an error that shows a WHERE that works.

use chrono::NaiveDate;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};

use crate::account::Account;
use crate::error::{Error, Result};
use crate::read::filter::{Asked, asked};
use crate::read::property::{Condition, Places, conditions};
use crate::read::range::{Axis, Span, date, days, days_of, span};

/// How a table may be asked: its filter columns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Askable<'a> {
    /// The columns of days whose range is asked for; more than one is the same range.
    pub(crate) days: &'a [&'static str],
    /// A column whose filter holds of a part of a range of days alone, so that it is never exact.
    pub(crate) bucket_starts: Option<(&'static str, i64)>,
    /// The column of instants, if there is one.
    pub(crate) instant: Option<&'static str>,
    /// Columns that are pinned to values: name, and what CleverTap calls it (which plays no role here).
    pub(crate) pinned: &'a [(&'static str, &'static str)],
    /// Where a filter may name a property of the event.
    pub(crate) properties: Option<Places<'a>>,
}

/// What the filters of one scan ask for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    /// Columns that are pinned, each to the values that all of its filters allow.
    pinned: Vec<Asked>,
    days: Option<Span>,
    instants: Option<Span>,
    /// Conditions on properties, all of which must hold.
    pub(crate) conditions: Vec<Condition>,
}

/// A range of days, with both ends.
pub(crate) type Range = (NaiveDate, NaiveDate);

impl Wanted {
    /// All of `filters` together.
    pub(crate) fn of(filters: &[Expr], askable: Askable<'_>) -> Self {
        let mut wanted = Self::default();
        for filter in filters {
            wanted.add(filter, askable);
        }
        wanted
    }

    /// Takes what can be asked of one filter, and says how exactly that is the filter.
    pub(crate) fn add(&mut self, filter: &Expr, askable: Askable<'_>) -> TableProviderFilterPushDown {
        use TableProviderFilterPushDown::{Exact, Inexact, Unsupported};
        let exactly = |span: Span| if span.is_exact { Exact } else { Inexact };
        if let Some(asked) = asked(filter, askable.pinned) {
            match self.pinned.iter_mut().find(|known| known.column == asked.column) {
                Some(known) => known.values.retain(|value| asked.values.contains(value)),
                None => self.pinned.push(asked),
            }
            return Exact;
        }
        for column in askable.days {
            if let Some(found) = span(filter, column, Axis::Days) {
                self.days = Some(self.days.unwrap_or(Span::ALL).and(match *column {
                    // `from_date = x` names the first day of the range and says nothing of its last.
                    "from_date" => Span { last: None, ..found },
                    "to_date" => Span { first: None, ..found },
                    _ => found,
                }));
                return exactly(found);
            }
        }
        if let Some((column, length)) = askable.bucket_starts
            && let Some(found) = span(filter, column, Axis::Days)
        {
            let whole = Span { last: found.last.map(|last| last + length - 1), ..found };
            self.days = Some(self.days.unwrap_or(Span::ALL).and(whole));
            return Inexact;
        }
        if let Some(column) = askable.instant {
            if let Some(found) = span(filter, column, Axis::Seconds) {
                self.instants = Some(self.instants.unwrap_or(Span::ALL).and(found));
                return exactly(found);
            }
            // Its day is a day of the project.
            if let Some(found) = span(filter, column, Axis::Days) {
                self.days = Some(self.days.unwrap_or(Span::ALL).and(found));
                return Inexact;
            }
        }
        if let Some(found) = askable.properties.and_then(|places| conditions(filter, places)) {
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
    pub(crate) fn instants(&self) -> Option<Span> {
        self.instants
    }

    /// The days of the project that are asked for; `None` where there are none. An open end is `until`.
    ///
    /// # Errors
    /// [`Error::Filter`] where there is no first day, [`Error::Setting`] where instants were compared and the account has no time zone.
    pub(crate) fn range(&self, account: &Account, until: NaiveDate, missing: &dyn Fn() -> Error) -> Result<Option<Range>> {
        let mut span = self.days.unwrap_or(Span::ALL);
        if let Some(instants) = self.instants {
            span = span.and(days_of(instants, account.time_zone().ok_or_else(needs_zone)?));
        }
        let first = span.first.ok_or_else(missing)?;
        let last = span.last.unwrap_or_else(|| days(until).max(first));
        Ok((first <= last).then(|| (date(first), date(last))))
    }
}

/// `event_time` without a zone.
pub(crate) fn needs_zone() -> Error {
    Error::Setting(
        "column \"event_time\" cannot be read or filtered: CleverTap exports times on the project's clock, and the account has no \
         \"time_zone\". Set it (CLEVERTAP_TIME_ZONE, AccountSettings::time_zone), or use event_date."
            .into(),
    )
}

/// The day that it is in the project.
pub(crate) fn today(account: &Account) -> NaiveDate {
    let now = account.clock().now();
    account.time_zone().map_or(now.date_naive(), |zone| now.with_timezone(&zone).date_naive())
}
