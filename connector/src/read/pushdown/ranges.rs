//! Extracts bounds of days and instants from filters.
//!
//! In: one filter. Out: the bounds in days or seconds outside of which it is never true, and whether it is true everywhere inside them.
//! Comparisons, BETWEEN, IN, and ANDs and ORs of these are understood. Bounds that are wider than the filter are inexact, so DataFusion
//! checks the filter again above the scan.

use chrono::{DateTime, Days, NaiveDate};
use chrono_tz::Tz;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Between, BinaryExpr, Cast, Expr, Operator};

/// A range of days or seconds, both ends inclusive. `None` is an open end. If the first is after the last, the range is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) first: Option<i64>,
    pub(crate) last: Option<i64>,
    /// Whether the filter is true everywhere inside.
    pub(crate) is_exact: bool,
}

impl Bounds {
    pub(crate) const ALL: Self = Self { first: None, last: None, is_exact: true };
    const NONE: Self = Self { first: Some(0), last: Some(-1), is_exact: true };

    /// Whether no end is set.
    pub(crate) fn is_all(&self) -> bool {
        self.first.is_none() && self.last.is_none()
    }

    /// Whether `value` lies inside.
    pub(crate) fn include(&self, value: i64) -> bool {
        self.first.is_none_or(|first| first <= value) && self.last.is_none_or(|last| value <= last)
    }

    /// The intersection.
    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        let pick = |a: Option<i64>, b: Option<i64>, of: fn(i64, i64) -> i64| match (a, b) {
            (Some(a), Some(b)) => Some(of(a, b)),
            (a, b) => a.or(b),
        };
        Self {
            first: pick(self.first, other.first, i64::max),
            last: pick(self.last, other.last, i64::min),
            is_exact: self.is_exact && other.is_exact,
        }
    }

    /// The smallest range that covers both; exact only if there is no gap between them.
    pub(crate) fn or(self, other: Self) -> Self {
        if self.is_empty() {
            return other;
        }
        if other.is_empty() {
            return self;
        }
        let (low, high) = if self.first <= other.first { (self, other) } else { (other, self) };
        let touch = match (low.last, high.first) {
            (Some(end), Some(begin)) => begin <= end.saturating_add(1),
            _ => true,
        };
        let last = match (low.last, high.last) {
            (Some(a), Some(b)) => Some(a.max(b)),
            _ => None,
        };
        Self { first: low.first, last, is_exact: touch && self.is_exact && other.is_exact }
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!((self.first, self.last), (Some(first), Some(last)) if first > last)
    }
}

/// The unit of [`Bounds`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Axis {
    /// Days since 1970-01-01.
    Days,
    /// Seconds since 1970-01-01 00:00 UTC.
    Seconds,
}

/// The bounds that `filter` sets on `column`; `None` if it cannot be expressed as bounds.
pub(crate) fn bounds(filter: &Expr, column: &str, axis: Axis) -> Option<Bounds> {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            Some(bounds(left, column, axis)?.and(bounds(right, column, axis)?))
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            Some(bounds(left, column, axis)?.or(bounds(right, column, axis)?))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            match (column_exactness(left, column, axis), column_exactness(right, column, axis)) {
                (Some(exact), None) => compare(*op, right, axis, exact),
                (None, Some(exact)) => compare(op.swap()?, left, axis, exact),
                _ => None,
            }
        }
        Expr::Between(Between { expr, negated: false, low, high }) => {
            let exact = column_exactness(expr, column, axis)?;
            Some(compare(Operator::GtEq, low, axis, exact)?.and(compare(Operator::LtEq, high, axis, exact)?))
        }
        Expr::InList(list) if !list.negated => {
            let exact = column_exactness(&list.expr, column, axis)?;
            let each = list.list.iter().map(|value| compare(Operator::Eq, value, axis, exact));
            let mut each = each.collect::<Option<Vec<_>>>()?;
            each.sort_by_key(|bounds| bounds.first);
            each.into_iter().reduce(Bounds::or)
        }
        Expr::Literal(ScalarValue::Boolean(None | Some(false)) | ScalarValue::Null, _) => Some(Bounds::NONE),
        _ => None,
    }
}

/// Whether `expr` is the column, possibly below casts that keep its order: `Some(true)` if they keep its values too, `Some(false)` if not.
fn column_exactness(expr: &Expr, column: &str, axis: Axis) -> Option<bool> {
    match expr {
        Expr::Column(found) => (found.name == column).then_some(true),
        Expr::Cast(Cast { expr, field }) => match (axis, field.data_type()) {
            (Axis::Seconds, DataType::Timestamp(_, Some(_))) => column_exactness(expr, column, axis),
            (Axis::Days, DataType::Date32) => column_exactness(expr, column, axis),
            // Midnight in an unspecified zone: the day may be off by one.
            (Axis::Days, DataType::Timestamp(..) | DataType::Date64) => column_exactness(expr, column, axis).map(|_| false),
            _ => None,
        },
        _ => None,
    }
}

/// The bounds of `column op literal`.
fn compare(op: Operator, literal: &Expr, axis: Axis, exact: bool) -> Option<Bounds> {
    let Expr::Literal(value, _) = literal else { return None };
    if value.is_null() {
        return Some(Bounds::NONE);
    }
    let (floor, ceil, exact) = match axis {
        Axis::Seconds => {
            let (floor, is_whole) = seconds(value)?;
            (floor, if is_whole { floor } else { floor.checked_add(1)? }, exact)
        }
        Axis::Days => match value {
            ScalarValue::Date32(Some(day)) if exact => (i64::from(*day), i64::from(*day), true),
            // A day in another zone: the calendars of two zones are up to 26 hours apart.
            ScalarValue::Date32(Some(day)) => (i64::from(*day) - 2, i64::from(*day) + 2, false),
            _ => {
                let day = seconds(value)?.0.div_euclid(86_400);
                (day.checked_sub(1)?, day.checked_add(1)?, false)
            }
        },
    };
    // The value lies between `floor` and `ceil`, which are equal if it is a whole unit.
    let is_whole = floor == ceil;
    let outward = axis == Axis::Days && !is_whole;
    let (first, last) = match op {
        Operator::Eq if !is_whole && !outward => return Some(Bounds::NONE),
        Operator::Eq => (Some(floor), Some(ceil)),
        Operator::GtEq => (Some(if outward { floor } else { ceil }), None),
        Operator::Gt => (Some(if outward { floor } else { floor.checked_add(1)? }), None),
        Operator::LtEq => (None, Some(if outward { ceil } else { floor })),
        Operator::Lt => (None, Some(if outward { ceil } else { ceil.checked_sub(1)? })),
        _ => return None,
    };
    Some(Bounds { first, last, is_exact: exact })
}

/// A timestamp in whole seconds, rounded down, and whether it had no fraction.
fn seconds(value: &ScalarValue) -> Option<(i64, bool)> {
    let per_second = |value: i64, unit: i64| (value.div_euclid(unit), value.rem_euclid(unit) == 0);
    Some(match value {
        ScalarValue::TimestampSecond(Some(value), _) => (*value, true),
        ScalarValue::TimestampMillisecond(Some(value), _) => per_second(*value, 1_000),
        ScalarValue::TimestampMicrosecond(Some(value), _) => per_second(*value, 1_000_000),
        ScalarValue::TimestampNanosecond(Some(value), _) => per_second(*value, 1_000_000_000),
        ScalarValue::Date64(Some(value)) => per_second(*value, 1_000),
        _ => return None,
    })
}

/// Converts bounds in seconds to days of `zone`, widened to whole days.
pub(crate) fn days_of(instants: Bounds, zone: Tz) -> Bounds {
    let day = |second: i64| DateTime::from_timestamp(second, 0).map(|at| days(at.with_timezone(&zone).date_naive()));
    // A second beyond chrono's calendar leaves its end open.
    Bounds { first: instants.first.and_then(day), last: instants.last.and_then(day), is_exact: false }
}

/// Days since 1970-01-01.
pub(crate) fn days(date: NaiveDate) -> i64 {
    date.signed_duration_since(NaiveDate::default()).num_days()
}

/// The date of a number of days since 1970-01-01, clamped to chrono's calendar.
pub(crate) fn date(days: i64) -> NaiveDate {
    let count = Days::new(days.unsigned_abs());
    let date = if days < 0 { NaiveDate::default().checked_sub_days(count) } else { NaiveDate::default().checked_add_days(count) };
    date.unwrap_or(if days < 0 { NaiveDate::MIN } else { NaiveDate::MAX })
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::TimeUnit;
    use datafusion::prelude::{col, lit};

    use super::*;

    fn day(day: i32) -> Expr {
        lit(ScalarValue::Date32(Some(day)))
    }

    fn millis(value: i64) -> Expr {
        lit(ScalarValue::TimestampMillisecond(Some(value), Some("+00:00".into())))
    }

    fn display(bounds: Option<Bounds>) -> String {
        let Some(bounds) = bounds else { return "no".into() };
        let end = |end: Option<i64>| end.map_or(String::new(), |end| end.to_string());
        let exact = if bounds.is_exact { "" } else { " about" };
        if bounds.is_empty() { "nothing".into() } else { format!("{}..{}{exact}", end(bounds.first), end(bounds.last)) }
    }

    #[test]
    fn days_are_compared_as_days() {
        let of = |filter: Expr| display(bounds(&filter, "d", Axis::Days));
        assert_eq!(of(col("d").gt_eq(day(5)).and(col("d").lt(day(9)))), "5..8");
        assert_eq!(of(col("d").between(day(5), day(9))), "5..9");
        assert_eq!(of(day(5).lt(col("d"))), "6..");
        assert_eq!(of(col("d").eq(day(5)).or(col("d").eq(day(6)))), "5..6");
        assert_eq!(of(col("d").eq(day(5)).or(col("d").eq(day(8)))), "5..8 about");
        assert_eq!(of(col("d").in_list(vec![day(7), day(5), day(6)], false)), "5..7");
        assert_eq!(of(col("d").between(day(9), day(5))), "nothing");
        assert_eq!(of(col("d").eq(lit(ScalarValue::Date32(None)))), "nothing");
        assert_eq!(of(col("d").gt_eq(day(5)).or(col("x").eq(lit(1)))), "no");
        assert_eq!(of(col("d").not_eq(day(5))), "no");
        assert_eq!(of(col("e").eq(day(5))), "no");
    }

    #[test]
    fn instants_are_rounded_to_the_seconds_that_can_match() {
        let of = |filter: Expr| display(bounds(&filter, "t", Axis::Seconds));
        assert_eq!(of(col("t").gt_eq(millis(1_500))), "2..");
        assert_eq!(of(col("t").gt(millis(1_500))), "2..");
        assert_eq!(of(col("t").gt(millis(1_000))), "2..");
        assert_eq!(of(col("t").gt_eq(millis(1_000))), "1..");
        assert_eq!(of(col("t").lt(millis(1_500))), "..1");
        assert_eq!(of(col("t").lt_eq(millis(1_500))), "..1");
        assert_eq!(of(col("t").lt(millis(1_000))), "..0");
        assert_eq!(of(col("t").lt_eq(millis(-1_500))), "..-2");
        assert_eq!(of(col("t").eq(millis(1_500))), "nothing");
        assert_eq!(of(col("t").eq(millis(1_000))), "1..1");
    }

    #[test]
    fn a_day_compared_with_an_instant_is_widened_by_a_day() {
        let zoned = DataType::Timestamp(TimeUnit::Second, Some("Asia/Kolkata".into()));
        let filter = datafusion::logical_expr::cast(col("d"), zoned).gt_eq(millis(10 * 86_400_000));
        assert_eq!(display(bounds(&filter, "d", Axis::Days)), "9.. about");
    }

    #[test]
    fn the_days_of_instants_are_those_of_the_zone() {
        let instants = Bounds { first: Some(1_767_205_800), last: Some(1_767_205_799 + 86_400), is_exact: true };
        let days = days_of(instants, Tz::Asia__Kolkata);
        assert_eq!(days.first.map(date), NaiveDate::from_ymd_opt(2026, 1, 1));
        assert_eq!(days.last.map(date), NaiveDate::from_ymd_opt(2026, 1, 1));
    }
}
