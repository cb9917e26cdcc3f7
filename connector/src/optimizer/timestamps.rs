//! Two rules for comparisons with timestamps.
//!
//! [`ResolveLocalTime`] runs before DataFusion casts text to timestamps. In: text without a zone, compared with a timestamp of a project.
//! Out: the instant, if the local time is ambiguous (the earlier instant) or skipped (shifted forward). DataFusion's cast is an error for
//! both. So it is, without its text, for text that is no time at all; here the error shows what the author wrote.
//!
//! [`RewriteSubseconds`] runs before DataFusion removes the casts of columns. In: a comparison of a column of whole seconds with a
//! timestamp that has a fraction, as in `event_time < '2026-01-31 23:59:59.999'`. Out: the same comparison with a whole second, here
//! `<= 23:59:59`. DataFusion would truncate the fraction, compare `< 23:59:59`, and lose the rows of that second.

use std::sync::Arc;

use chrono::{LocalResult, NaiveDate, NaiveDateTime, TimeZone};
use chrono_tz::Tz;
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ExprSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Between, BinaryExpr, Cast, Expr, LogicalPlan, Operator, lit};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::optimizer::{AnalyzerRule, ApplyOrder, OptimizerConfig, OptimizerRule};

use crate::error::Error;
use crate::optimizer::identifier_casts::input_schema;
use crate::wall_clock::instant;

#[derive(Debug)]
pub(crate) struct ResolveLocalTime;

impl AnalyzerRule for ResolveLocalTime {
    fn name(&self) -> &'static str {
        "clevertap_resolve_local_time"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let rewritten = plan.transform_up_with_subqueries(|plan| {
            let schema = input_schema(&plan);
            let is_time = |kind: &DataType| matches!(kind, DataType::Timestamp(_, Some(_)) | DataType::Date32);
            if !schema.fields().iter().any(|field| is_time(field.data_type())) {
                return Ok(Transformed::no(plan));
            }
            let names = NamePreserver::new(&plan);
            plan.map_expressions(|expr| {
                let name = names.save(&expr);
                let resolved = expr.transform_up(|expr| resolve_comparison(expr, &schema))?;
                Ok(resolved.update_data(|expr| name.restore(expr)))
            })
        })?;
        Ok(rewritten.data)
    }
}

/// Replaces text in a comparison by its instant, if it is an ambiguous or skipped local time.
fn resolve_comparison(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let resolve = |column: &Expr, other: &mut Expr| {
        let resolved = resolved_instant(column, other, schema)?;
        let changed = resolved.is_some();
        if let Some(instant) = resolved {
            *other = instant;
        }
        Ok::<_, Error>(changed)
    };
    let (mut expr, mut changed) = (expr, false);
    match &mut expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if op.supports_propagation() => {
            changed = resolve(left, right)? || resolve(right, left)?;
        }
        Expr::Between(Between { expr, low, high, .. }) => {
            for bound in [low, high] {
                changed |= resolve(expr, bound)?;
            }
        }
        Expr::InList(InList { expr, list, .. }) => {
            for item in list {
                changed |= resolve(expr, item)?;
            }
        }
        _ => {}
    }
    Ok(if changed { Transformed::yes(expr) } else { Transformed::no(expr) })
}

/// The instant of a text that is compared with a timestamp column, if DataFusion cannot cast it: an ambiguous or skipped time in the column's
/// zone, or one that nanoseconds do not reach.
///
/// # Errors
/// [`Error::Filter`] for a text that is no time.
fn resolved_instant(column: &Expr, text: &Expr, schema: &DFSchema) -> Result<Option<Expr>, Error> {
    /// Nanoseconds reach so many seconds to both sides of 1970, and no event lies beyond.
    const NANOSECONDS_REACH: i64 = 9_223_372_035;
    let (Expr::Column(column), Expr::Literal(value @ (ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text))), _)) =
        (column, text)
    else {
        return Ok(None);
    };
    let Ok(field) = schema.field_from_column(column) else { return Ok(None) };
    let no_time = || {
        Error::Filter(format!(
            "'{text}' is compared with \"{}\", and is no date or time: write it like '2026-01-31', or '2026-01-31 18:00:00'",
            column.name
        ))
    };
    let DataType::Timestamp(_, Some(name)) = field.data_type() else {
        let is_wrong = *field.data_type() == DataType::Date32 && value.cast_to(&DataType::Date32).is_err();
        return if is_wrong { Err(no_time()) } else { Ok(None) };
    };
    let Ok(zone) = name.parse::<Tz>() else { return Ok(None) };
    let forms = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"];
    let time = forms.iter().find_map(|form| NaiveDateTime::parse_from_str(text.trim(), form).ok());
    let Some(time) = time.or_else(|| text.trim().parse::<NaiveDate>().ok()?.and_hms_opt(0, 0, 0)) else {
        let is_wrong = value.cast_to(&DataType::Timestamp(TimeUnit::Nanosecond, Some(Arc::clone(name)))).is_err();
        return if is_wrong { Err(no_time()) } else { Ok(None) };
    };
    let Some(seconds) = instant(zone, time.and_utc().timestamp()) else { return Ok(None) };
    let near = seconds.clamp(-NANOSECONDS_REACH, NANOSECONDS_REACH);
    if near == seconds && matches!(zone.offset_from_local_datetime(&time), LocalResult::Single(_)) {
        return Ok(None);
    }
    let fraction = if near == seconds { i64::from(time.and_utc().timestamp_subsec_nanos()) } else { 0 };
    Ok(Some(lit(ScalarValue::TimestampNanosecond(Some(near * 1_000_000_000 + fraction), Some(Arc::clone(name))))))
}

#[derive(Debug)]
pub(crate) struct RewriteSubseconds;

impl OptimizerRule for RewriteSubseconds {
    fn name(&self) -> &'static str {
        "clevertap_rewrite_subseconds"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let schema = input_schema(&plan);
        if !schema.fields().iter().any(|field| matches!(field.data_type(), DataType::Timestamp(TimeUnit::Second, _))) {
            return Ok(Transformed::no(plan));
        }
        // Simplifying turns now() into a literal, which has a fraction too.
        let context = SimplifyContext::builder()
            .with_schema(schema.clone().into())
            .with_config_options(config.options())
            .with_query_execution_start_time(config.query_execution_start_time());
        let simplifier = ExprSimplifier::new(context.build());
        let names = NamePreserver::new(&plan);
        plan.map_expressions(|expr| {
            let name = names.save(&expr);
            let rewritten = expr.transform_up(|expr| {
                Ok(rewrite_comparison(&expr, &schema, &simplifier).map_or_else(|| Transformed::no(expr), Transformed::yes))
            })?;
            Ok(rewritten.update_data(|expr| name.restore(expr)))
        })
    }
}

/// The comparison with whole seconds, if it was one with a fraction.
fn rewrite_comparison(expr: &Expr, schema: &DFSchema, simplifier: &ExprSimplifier) -> Option<Expr> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (seconds_column(left, schema), seconds_column(right, schema)) {
            (Some(column), None) => compare_with_seconds(column, *op, floor_of_fraction(right, simplifier)?),
            (None, Some(column)) => compare_with_seconds(column, op.swap()?, floor_of_fraction(left, simplifier)?),
            _ => None,
        },
        Expr::Between(Between { expr, negated, low, high }) => {
            let (low_op, high_op) = if *negated { (Operator::Lt, Operator::Gt) } else { (Operator::GtEq, Operator::LtEq) };
            let column = seconds_column(expr, schema)?;
            let (low_floor, high_floor) = (floor_of_fraction(low, simplifier), floor_of_fraction(high, simplifier));
            if low_floor.is_none() && high_floor.is_none() {
                return None;
            }
            let side = |op, bound: &Expr, floor: Option<i64>| match floor {
                Some(floor) => compare_with_seconds(column, op, floor),
                None => Some(Expr::BinaryExpr(BinaryExpr::new(expr.clone(), op, Box::new(bound.clone())))),
            };
            let (low, high) = (side(low_op, low, low_floor)?, side(high_op, high, high_floor)?);
            Some(if *negated { low.or(high) } else { low.and(high) })
        }
        Expr::InList(InList { expr, list, negated }) => {
            let column = seconds_column(expr, schema)?;
            let floor = list.iter().find_map(|item| floor_of_fraction(item, simplifier))?;
            // A whole second never equals an item with a fraction.
            let list: Vec<Expr> = list.iter().filter(|item| floor_of_fraction(item, simplifier).is_none()).cloned().collect();
            if list.is_empty() {
                return compare_with_seconds(column, if *negated { Operator::NotEq } else { Operator::Eq }, floor);
            }
            Some(Expr::InList(InList { expr: expr.clone(), list, negated: *negated }))
        }
        _ => None,
    }
}

/// The column and its type, if `expr` is a cast of a column of whole seconds to a finer unit.
fn seconds_column<'e>(expr: &'e Expr, schema: &'e DFSchema) -> Option<(&'e Expr, &'e DataType)> {
    let Expr::Cast(Cast { expr, field }) = expr else { return None };
    let Expr::Column(column) = expr.as_ref() else { return None };
    let column_type = schema.field_from_column(column).ok()?.data_type();
    let (DataType::Timestamp(TimeUnit::Second, zone), DataType::Timestamp(unit, cast_to)) = (column_type, field.data_type()) else {
        return None;
    };
    (*unit != TimeUnit::Second && zone.is_some() == cast_to.is_some()).then_some((expr, column_type))
}

/// The whole second before a constant timestamp that has a fraction. `None` if it has none.
fn floor_of_fraction(expr: &Expr, simplifier: &ExprSimplifier) -> Option<i64> {
    let value = match expr {
        Expr::Literal(value, _) => value.clone(),
        expr if expr.any_column_refs() || expr.is_volatile() => return None,
        expr => match simplifier.simplify(expr.clone()).ok()? {
            Expr::Literal(value, _) => value,
            _ => return None,
        },
    };
    let (value, unit) = match value {
        ScalarValue::TimestampMillisecond(Some(value), _) => (value, 1_000),
        ScalarValue::TimestampMicrosecond(Some(value), _) => (value, 1_000_000),
        ScalarValue::TimestampNanosecond(Some(value), _) => (value, 1_000_000_000),
        _ => return None,
    };
    (value.rem_euclid(unit) != 0).then(|| value.div_euclid(unit))
}

/// `column op x`, where x lies between the seconds `floor` and `floor + 1`.
fn compare_with_seconds((column, kind): (&Expr, &DataType), op: Operator, floor: i64) -> Option<Expr> {
    let DataType::Timestamp(_, zone) = kind else { return None };
    let second = |second: i64| lit(ScalarValue::TimestampSecond(Some(second), zone.clone()));
    let at_or_before = || column.clone().lt_eq(second(floor));
    let after = || Some(column.clone().gt_eq(second(floor.checked_add(1)?)));
    match op {
        Operator::Lt | Operator::LtEq => Some(at_or_before()),
        Operator::Gt | Operator::GtEq => after(),
        // Both are never true at once, but the result is still NULL for NULL.
        Operator::Eq => Some(at_or_before().and(after()?)),
        Operator::NotEq => Some(at_or_before().or(after()?)),
        Operator::IsNotDistinctFrom => Some(lit(false)),
        Operator::IsDistinctFrom => Some(lit(true)),
        _ => None,
    }
}
