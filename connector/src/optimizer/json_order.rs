//! Refuses an order of values out of JSON.
//!
//! In: a plan. Out: the same plan, or an error where ORDER BY, of a query or of a window, compares what `properties -> 'Amount'` gives. It is
//! text, in which 9 is more than 10, so the rows would be in an order that nobody means.

use datafusion::common::DFSchema;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::logical_expr::expr::{Sort, WindowFunction};
use datafusion::logical_expr::{Expr, LogicalPlan};
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
            match node {
                LogicalPlan::Sort(sort) => check(&sort.expr, &input_schema(node))?,
                LogicalPlan::Window(window) => {
                    let schema = input_schema(node);
                    for expr in &window.window_expr {
                        if let Expr::WindowFunction(function) = expr.clone().unalias_nested().data {
                            let WindowFunction { params, .. } = *function;
                            check(&params.order_by, &schema)?;
                        }
                    }
                }
                _ => {}
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(plan)
    }
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
