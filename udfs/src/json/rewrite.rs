//! Casts and comparisons of values out of JSON.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::{InList, InSubquery, ScalarFunction, SetComparison};
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::utils::{conjunction, disjunction};
use datafusion::logical_expr::{Between, BinaryExpr, Cast, Expr, Operator, Subquery, TryCast, not};

use super::typed::{DIGITS, UTC, compared, is_json, type_beside_text, typed};
use super::value::json_value;

#[derive(Debug)]
pub(super) struct JsonValues;

impl FunctionRewrite for JsonValues {
    fn name(&self) -> &str {
        "clevertap_json_values"
    }

    fn rewrite(&self, expr: Expr, schema: &DFSchema, config: &ConfigOptions) -> Result<Transformed<Expr>> {
        let zone = config.execution.time_zone.as_deref().unwrap_or(UTC);
        let rewritten = match &expr {
            Expr::Cast(Cast { expr: json, field }) if is_json(json, schema) => {
                Some(typed(json, field.data_type(), Some(Arc::clone(field)), true, zone))
            }
            Expr::TryCast(TryCast { expr: json, field }) if is_json(json, schema) => {
                Some(typed(json, field.data_type(), Some(Arc::clone(field)), false, zone))
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if op.supports_propagation() => compared(left, *op, right, schema, Some(zone)),
            Expr::Between(between) => self::between(between, schema, zone),
            Expr::InList(list) => in_list(list, schema, zone),
            Expr::InSubquery(InSubquery { expr: json, subquery, negated }) if is_json(json, schema) => {
                typed_as_output(json, subquery, zone)
                    .map(|expr| Expr::InSubquery(InSubquery { expr, subquery: subquery.clone(), negated: *negated }))
            }
            Expr::SetComparison(comparison) if is_json(&comparison.expr, schema) => {
                typed_as_output(&comparison.expr, &comparison.subquery, zone)
                    .map(|expr| Expr::SetComparison(SetComparison { expr, ..comparison.clone() }))
            }
            Expr::ScalarFunction(ScalarFunction { func, args }) if func.name() == "json_get" => Some(json_value().call(args.clone())),
            _ => None,
        };
        Ok(rewritten.map_or_else(|| Transformed::no(expr), Transformed::yes))
    }
}

/// The value as the type of a subquery's column; of whole numbers it is with all its digits, since it need not be whole.
fn typed_as_output(json: &Expr, subquery: &Subquery, zone: &str) -> Option<Box<Expr>> {
    let kind = type_beside_text(subquery.subquery.schema().fields().first()?.data_type())?;
    let kind = if kind.is_numeric() && !kind.is_floating() { DIGITS } else { kind };
    Some(Box::new(typed(json, &kind, None, false, zone)))
}

fn between(Between { expr, negated, low, high }: &Between, schema: &DFSchema, zone: &str) -> Option<Expr> {
    let or_as_it_is = |op, bound: &Expr| {
        compared(expr, op, bound, schema, Some(zone))
            .unwrap_or_else(|| Expr::BinaryExpr(BinaryExpr::new(expr.clone(), op, bound.clone().into())))
    };
    // One bound that has a type is enough; the other may be NULL.
    compared(expr, Operator::GtEq, low, schema, Some(zone)).or_else(|| compared(expr, Operator::LtEq, high, schema, Some(zone)))?;
    let both = conjunction([or_as_it_is(Operator::GtEq, low), or_as_it_is(Operator::LtEq, high)])?;
    Some(if *negated { not(both) } else { both })
}

fn in_list(InList { expr, list, negated }: &InList, schema: &DFSchema, zone: &str) -> Option<Expr> {
    let any = list.iter().any(|item| compared(expr, Operator::Eq, item, schema, Some(zone)).is_some());
    let equals = |item: &Expr| {
        compared(expr, Operator::Eq, item, schema, Some(zone))
            .unwrap_or_else(|| Expr::BinaryExpr(BinaryExpr::new(expr.clone(), Operator::Eq, item.clone().into())))
    };
    let found = any.then(|| disjunction(list.iter().map(equals)))??;
    Some(if *negated { not(found) } else { found })
}
