//! What instants are compared with: two rules.
//!
//! The first, before DataFusion reads text as an instant. In: text without a zone, compared with an instant of a project. Out: the instant,
//! where the project's clock shows that time twice (the earlier one) or not at all (shifted forward): DataFusion has an error for both.
//!
//! The second, before DataFusion takes the casts of columns away. In: a plan in which a column of whole seconds is compared with an instant between two of them, as in
//! `event_time < '2026-01-31 23:59:59.999'`. Out: the same comparison with a whole second, here `<= 23:59:59`. DataFusion would compare
//! with what is left of the instant when its fraction is cut off, `< 23:59:59`, and leave out the rows of that second.

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

use crate::optimizer::identifier_casts::of_inputs;
use crate::wall_clock::instant;

/// The first.
#[derive(Debug)]
pub(crate) struct ResolveLocalTime;

impl AnalyzerRule for ResolveLocalTime {
    fn name(&self) -> &'static str {
        "clevertap_resolve_local_time"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let rewritten = plan.transform_up_with_subqueries(|plan| {
            let schema = of_inputs(&plan);
            if !schema.fields().iter().any(|field| matches!(field.data_type(), DataType::Timestamp(TimeUnit::Second, Some(_)))) {
                return Ok(Transformed::no(plan));
            }
            let names = NamePreserver::new(&plan);
            plan.map_expressions(|expr| {
                let name = names.save(&expr);
                let set = expr.transform_up(|expr| Ok(set(expr, &schema)))?;
                Ok(set.update_data(|expr| name.restore(expr)))
            })
        })?;
        Ok(rewritten.data)
    }
}

/// A comparison whose text is an instant now, if it was a time that a clock shows twice or never.
fn set(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let instant = |column: &Expr, other: &mut Expr| match shown(column, other, schema) {
        Some(instant) => {
            *other = instant;
            true
        }
        None => false,
    };
    let (mut expr, mut changed) = (expr, false);
    match &mut expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if op.supports_propagation() => {
            changed = instant(left, right) || instant(right, left);
        }
        Expr::Between(Between { expr, low, high, .. }) => {
            for bound in [low, high] {
                changed |= instant(expr, bound);
            }
        }
        Expr::InList(InList { expr, list, .. }) => {
            for item in list {
                changed |= instant(expr, item);
            }
        }
        _ => {}
    }
    if changed { Transformed::yes(expr) } else { Transformed::no(expr) }
}

/// The instant of a text that is compared with a column of instants, if the clock of its zone shows that time twice or never.
fn shown(column: &Expr, text: &Expr, schema: &DFSchema) -> Option<Expr> {
    let (Expr::Column(column), Expr::Literal(ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)), _)) = (column, text) else {
        return None;
    };
    let DataType::Timestamp(TimeUnit::Second, Some(name)) = schema.field_from_column(column).ok()?.data_type() else { return None };
    let zone: Tz = name.parse().ok()?;
    let forms = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"];
    let time = forms.iter().find_map(|form| NaiveDateTime::parse_from_str(text.trim(), form).ok());
    let time = time.or_else(|| text.trim().parse::<NaiveDate>().ok()?.and_hms_opt(0, 0, 0))?;
    if matches!(zone.offset_from_local_datetime(&time), LocalResult::Single(_)) {
        return None;
    }
    let seconds = instant(zone, time.and_utc().timestamp())?;
    let nanos = seconds.checked_mul(1_000_000_000)?.checked_add(i64::from(time.and_utc().timestamp_subsec_nanos()))?;
    Some(lit(ScalarValue::TimestampNanosecond(Some(nanos), Some(Arc::clone(name)))))
}

/// The second.
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
        let schema = of_inputs(&plan);
        if !schema.fields().iter().any(|field| matches!(field.data_type(), DataType::Timestamp(TimeUnit::Second, _))) {
            return Ok(Transformed::no(plan));
        }
        // now() has a fraction too, once it is known.
        let context = SimplifyContext::builder()
            .with_schema(schema.clone().into())
            .with_config_options(config.options())
            .with_query_execution_start_time(config.query_execution_start_time());
        let simplifier = ExprSimplifier::new(context.build());
        let names = NamePreserver::new(&plan);
        plan.map_expressions(|expr| {
            let name = names.save(&expr);
            let whole =
                expr.transform_up(|expr| Ok(whole(&expr, &schema, &simplifier).map_or_else(|| Transformed::no(expr), Transformed::yes)))?;
            Ok(whole.update_data(|expr| name.restore(expr)))
        })
    }
}

/// A comparison with whole seconds, if it was one with a fraction.
fn whole(expr: &Expr, schema: &DFSchema, simplifier: &ExprSimplifier) -> Option<Expr> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (seconds(left, schema), seconds(right, schema)) {
            (Some(column), None) => compared(column, *op, fraction(right, simplifier)?),
            (None, Some(column)) => compared(column, op.swap()?, fraction(left, simplifier)?),
            _ => None,
        },
        Expr::Between(Between { expr, negated, low, high }) => {
            let (low_op, high_op) = if *negated { (Operator::Lt, Operator::Gt) } else { (Operator::GtEq, Operator::LtEq) };
            let column = seconds(expr, schema)?;
            let (below, above) = (fraction(low, simplifier), fraction(high, simplifier));
            if below.is_none() && above.is_none() {
                return None;
            }
            let side = |op, bound: &Expr, after: Option<i64>| match after {
                Some(after) => compared(column, op, after),
                None => Some(Expr::BinaryExpr(BinaryExpr::new(expr.clone(), op, Box::new(bound.clone())))),
            };
            let (low, high) = (side(low_op, low, below)?, side(high_op, high, above)?);
            Some(if *negated { low.or(high) } else { low.and(high) })
        }
        Expr::InList(InList { expr, list, negated }) => {
            let column = seconds(expr, schema)?;
            let after = list.iter().find_map(|item| fraction(item, simplifier))?;
            // No second is between two.
            let list: Vec<Expr> = list.iter().filter(|item| fraction(item, simplifier).is_none()).cloned().collect();
            if list.is_empty() {
                return compared(column, if *negated { Operator::NotEq } else { Operator::Eq }, after);
            }
            Some(Expr::InList(InList { expr: expr.clone(), list, negated: *negated }))
        }
        _ => None,
    }
}

/// The column of whole seconds, with its type, that a comparison has cast to a finer unit.
fn seconds<'e>(expr: &'e Expr, schema: &'e DFSchema) -> Option<(&'e Expr, &'e DataType)> {
    let Expr::Cast(Cast { expr, field }) = expr else { return None };
    let Expr::Column(column) = expr.as_ref() else { return None };
    let own = schema.field_from_column(column).ok()?.data_type();
    let (DataType::Timestamp(TimeUnit::Second, zone), DataType::Timestamp(unit, cast_to)) = (own, field.data_type()) else { return None };
    (*unit != TimeUnit::Second && zone.is_some() == cast_to.is_some()).then_some((expr, own))
}

/// The second after which an instant lies that is between two of them.
fn fraction(expr: &Expr, simplifier: &ExprSimplifier) -> Option<i64> {
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

/// `column op x`, where x lies between the seconds `after` and `after + 1`.
fn compared((column, kind): (&Expr, &DataType), op: Operator, after: i64) -> Option<Expr> {
    let DataType::Timestamp(_, zone) = kind else { return None };
    let second = |second: i64| lit(ScalarValue::TimestampSecond(Some(second), zone.clone()));
    let before = || column.clone().lt_eq(second(after));
    let behind = || Some(column.clone().gt_eq(second(after.checked_add(1)?)));
    match op {
        Operator::Lt | Operator::LtEq => Some(before()),
        Operator::Gt | Operator::GtEq => behind(),
        // Both at once never, and NULL for NULL.
        Operator::Eq => Some(before().and(behind()?)),
        Operator::NotEq => Some(before().or(behind()?)),
        Operator::IsNotDistinctFrom => Some(lit(false)),
        Operator::IsDistinctFrom => Some(lit(true)),
        _ => None,
    }
}
