//! Refuses an order of values out of JSON.
//!
//! In: a plan. Out: the same plan, or an error where ORDER BY, `min` or `max`, of a query, an aggregate or a window, compares what
//! `properties -> 'Amount'` gives. It is text, in which 9 is more than 10, so the rows would be in an order that nobody means.

use datafusion::common::DFSchema;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::expr::Sort;
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;
use datafusion_clevertap_udfs::json::is_json_value;

use super::identifier_casts::input_schema;
use crate::error::Error;

#[derive(Debug)]
pub(crate) struct JsonOrder;

impl AnalyzerRule for JsonOrder {
    fn name(&self) -> &'static str {
        "clevertap_json_order"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.apply_with_subqueries(|node| {
            let schema = input_schema(node);
            match node {
                LogicalPlan::Sort(sort) => check(&sort.expr, &schema)?,
                LogicalPlan::Distinct(Distinct::On(distinct)) => check(distinct.sort_expr.as_deref().unwrap_or_default(), &schema)?,
                _ => {}
            }
            node.apply_expressions(|expr| {
                expr.apply(|expr| {
                    match expr {
                        Expr::AggregateFunction(function) => {
                            check_extreme(function.func.name(), &function.params.args, &schema)?;
                            check(&function.params.order_by, &schema)?;
                        }
                        Expr::WindowFunction(function) => {
                            check_extreme(function.fun.name(), &function.params.args, &schema)?;
                            check(&function.params.order_by, &schema)?;
                        }
                        _ => {}
                    }
                    Ok(TreeNodeRecursion::Continue)
                })
            })
        })?;
        Ok(plan)
    }
}

/// Refuses `min` and `max`.
fn check_extreme(name: &str, args: &[Expr], schema: &DFSchema) -> Result<()> {
    if !matches!(name, "min" | "max") || !args.iter().any(|arg| is_json_value(arg, schema)) {
        return Ok(());
    }
    Err(Error::Filter(format!(
        "{name} of a value out of JSON would be of texts, in which 9 is more than 10: write {name}((properties -> 'Amount')::double) for \
         numbers, {name}(properties ->> 'Plan') for texts"
    ))
    .into())
}

fn check(order: &[Sort], schema: &DFSchema) -> Result<()> {
    if !order.iter().any(|sort| is_json_value(&sort.expr, schema)) {
        return Ok(());
    }
    Err(Error::Filter(
        "ORDER BY a value out of JSON would be an order of texts, in which 9 is more than 10: write ORDER BY (properties -> 'Amount')::double \
         for numbers, ORDER BY properties ->> 'Plan' for texts"
            .into(),
    )
    .into())
}
