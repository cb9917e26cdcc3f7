//! Which days and instants a WHERE clause leaves.
//!
//! In: one filter. Out: the span of days, or of seconds, outside of which it cannot hold, and whether it holds everywhere inside. Comparisons, BETWEEN, IN, and ANDs and
//! ORs of these are understood; a span that is wider than its filter is checked again above the scan, one that is not is exact.

use chrono::{DateTime, Days, NaiveDate};
use chrono_tz::Tz;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Between, BinaryExpr, Cast, Expr, Operator};

/// A span of days or of seconds, with both ends in it. An end that is `None` is open; a span whose ends crossed is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// The first.
    pub(crate) first: Option<i64>,
    /// The last.
    pub(crate) last: Option<i64>,
    /// Whether the filter holds everywhere inside.
    pub(crate) is_exact: bool,
}

impl Bounds {
    /// Everything.
    pub(crate) const ALL: Self = Self { first: None, last: None, is_exact: true };
    const NONE: Self = Self { first: Some(0), last: Some(-1), is_exact: true };

    /// What is in both.
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

    /// The least that holds both; exact only if there is no gap between them.
    fn or(self, other: Self) -> Self {
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

    /// Whether nothing is in it.
    pub(crate) fn is_empty(&self) -> bool {
        matches!((self.first, self.last), (Some(first), Some(last)) if first > last)
    }
}

/// What a span counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Axis {
    /// Days since 1970-01-01.
    Days,
    /// Seconds since then, UTC.
    Seconds,
}

/// The span that `filter` leaves of `column`; `None` where it says something else.
pub(crate) fn bounds(filter: &Expr, column: &str, axis: Axis) -> Option<Bounds> {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            Some(bounds(left, column, axis)?.and(bounds(right, column, axis)?))
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            Some(bounds(left, column, axis)?.or(bounds(right, column, axis)?))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (of_column(left, column, axis), of_column(right, column, axis)) {
            (Some(exact), None) => compare(*op, right, axis, exact),
            (None, Some(exact)) => compare(op.swap()?, left, axis, exact),
            _ => None,
        },
        Expr::Between(Between { expr, negated: false, low, high }) => {
            let exact = of_column(expr, column, axis)?;
            Some(compare(Operator::GtEq, low, axis, exact)?.and(compare(Operator::LtEq, high, axis, exact)?))
        }
        Expr::InList(list) if !list.negated => {
            let exact = of_column(&list.expr, column, axis)?;
            let each = list.list.iter().map(|value| compare(Operator::Eq, value, axis, exact));
            let mut each = each.collect::<Option<Vec<_>>>()?;
            each.sort_by_key(|span| span.first);
            each.into_iter().reduce(Bounds::or)
        }
        Expr::Literal(ScalarValue::Boolean(None | Some(false)) | ScalarValue::Null, _) => Some(Bounds::NONE),
        _ => None,
    }
}

/// Whether `expr` is the column, itself or under a cast that keeps its order: `Some(true)` where it keeps its values too.
fn of_column(expr: &Expr, column: &str, axis: Axis) -> Option<bool> {
    match expr {
        Expr::Column(found) => (found.name == column).then_some(true),
        Expr::Cast(Cast { expr, field }) => match (axis, field.data_type()) {
            (Axis::Seconds, DataType::Timestamp(_, Some(_))) => of_column(expr, column, axis),
            (Axis::Days, DataType::Date32) => of_column(expr, column, axis),
            // Midnight of some zone: a day may be off by one.
            (Axis::Days, DataType::Timestamp(..) | DataType::Date64) => of_column(expr, column, axis).map(|_| false),
            _ => None,
        },
        _ => None,
    }
}

/// `column op literal` as a span.
fn compare(op: Operator, literal: &Expr, axis: Axis, exact: bool) -> Option<Bounds> {
    let Expr::Literal(value, _) = literal else { return None };
    if value.is_null() {
        return Some(Bounds::NONE);
    }
    let (floor, ceil, exact) = match axis {
        Axis::Seconds => {
            let (floor, whole) = seconds(value)?;
            (floor, if whole { floor } else { floor.checked_add(1)? }, exact)
        }
        Axis::Days => match value {
            ScalarValue::Date32(Some(day)) if exact => (i64::from(*day), i64::from(*day), true),
            // The day of another zone: the calendars of two zones are up to 26 hours apart.
            ScalarValue::Date32(Some(day)) => (i64::from(*day) - 2, i64::from(*day) + 2, false),
            _ => {
                let day = seconds(value)?.0.div_euclid(86_400);
                (day.checked_sub(1)?, day.checked_add(1)?, false)
            }
        },
    };
    // Between `floor` and `ceil` stands the value. Where it is known to the unit, they are the same.
    let known = floor == ceil;
    let outward = axis == Axis::Days && !known;
    let (first, last) = match op {
        Operator::Eq if !known && !outward => return Some(Bounds::NONE),
        Operator::Eq => (Some(floor), Some(ceil)),
        Operator::GtEq => (Some(if outward { floor } else { ceil }), None),
        Operator::Gt => (Some(if outward { floor } else { floor.checked_add(1)? }), None),
        Operator::LtEq => (None, Some(if outward { ceil } else { floor })),
        Operator::Lt => (None, Some(if outward { ceil } else { ceil.checked_sub(1)? })),
        _ => return None,
    };
    Some(Bounds { first, last, is_exact: exact })
}

/// An instant in whole seconds, rounded down, and whether nothing was lost.
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

/// The seconds of `span` as days of `zone`, widened to whole ones.
pub(crate) fn days_of(span: Bounds, zone: Tz) -> Bounds {
    let day = |second: i64| DateTime::from_timestamp(second, 0).map(|at| days(at.with_timezone(&zone).date_naive()));
    // A second before or after all days that there are leaves its end open.
    Bounds { first: span.first.and_then(day), last: span.last.and_then(day), is_exact: false }
}

/// Days since 1970-01-01.
pub(crate) fn days(date: NaiveDate) -> i64 {
    date.signed_duration_since(NaiveDate::default()).num_days()
}

/// The day that is so many days after 1970-01-01, as far as there is one.
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

    fn shown(span: Option<Bounds>) -> String {
        let Some(span) = span else { return "no".into() };
        let end = |end: Option<i64>| end.map_or(String::new(), |end| end.to_string());
        let exact = if span.is_exact { "" } else { " about" };
        if span.is_empty() { "nothing".into() } else { format!("{}..{}{exact}", end(span.first), end(span.last)) }
    }

    #[test]
    fn days_are_compared_as_days() {
        let of = |filter: Expr| shown(bounds(&filter, "d", Axis::Days));
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
    fn instants_are_cut_to_the_seconds_in_which_they_can_hold() {
        let of = |filter: Expr| shown(bounds(&filter, "t", Axis::Seconds));
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
    fn a_day_compared_with_an_instant_is_about_a_day_off() {
        let zoned = DataType::Timestamp(TimeUnit::Second, Some("Asia/Kolkata".into()));
        let filter = datafusion::logical_expr::cast(col("d"), zoned).gt_eq(millis(10 * 86_400_000));
        assert_eq!(shown(bounds(&filter, "d", Axis::Days)), "9.. about");
    }

    #[test]
    fn the_days_of_instants_are_those_of_the_zone() {
        let span = Bounds { first: Some(1_767_205_800), last: Some(1_767_205_799 + 86_400), is_exact: true };
        let days = days_of(span, Tz::Asia__Kolkata);
        assert_eq!(days.first.map(date), NaiveDate::from_ymd_opt(2026, 1, 1));
        assert_eq!(days.last.map(date), NaiveDate::from_ymd_opt(2026, 1, 1));
    }
}
