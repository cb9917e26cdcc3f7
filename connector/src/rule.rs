//! The rule that a plain `ctx.sql` needs: INSERT never matches columns by position, and nothing but INSERT is planned.
//!
//! In: DataFusion's plan of an INSERT, whose planner has renamed the source's columns to ours, by position, and padded the
//! unlisted ones with NULL. Out: the same without the padding, or an error where a name was changed that nobody listed.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::datasource::DefaultTableSource;
use datafusion::error::Result;
use datafusion::logical_expr::expr::Alias;
use datafusion::logical_expr::{Cast, DmlStatement, Expr, LogicalPlan, LogicalPlanBuilder, WriteOp};
use datafusion::optimizer::AnalyzerRule;

use crate::catalog::{ClevertapTable, Door};
use crate::error::Error;

/// See the module.
#[derive(Debug)]
pub(crate) struct InsertByName;

/// Our table, if `dml` writes to one.
pub(crate) fn of_dml(dml: &DmlStatement) -> Option<&ClevertapTable> {
    (dml.target.as_ref() as &dyn std::any::Any)
        .downcast_ref::<DefaultTableSource>()
        .and_then(|source| source.table_provider.downcast_ref::<ClevertapTable>())
}

impl AnalyzerRule for InsertByName {
    fn name(&self) -> &'static str {
        "clevertap_insert_by_name"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up(|plan| match &plan {
            LogicalPlan::Dml(dml) if matches!(dml.op, WriteOp::Insert(_)) => match by_name(dml)? {
                Some(input) => {
                    let dml = DmlStatement::new(dml.table_name.clone(), Arc::clone(&dml.target), dml.op.clone(), input.into());
                    Ok(Transformed::yes(LogicalPlan::Dml(dml)))
                }
                None => Ok(Transformed::no(plan)),
            },
            // DataFusion would hand a provider a DELETE without its subquery, its LIMIT or its `1=0`: none gets that far.
            LogicalPlan::Dml(dml) if of_dml(dml).is_some() => {
                let table = of_dml(dml).map(ClevertapTable::qualified).unwrap_or_default();
                Err(Error::NotAppend(format!(
                    "{table} accepts INSERT INTO only in this version, not {}: nothing was sent",
                    dml.op.name().to_uppercase()
                ))
                .into())
            }
            _ => Ok(Transformed::no(plan)),
        })
        .map(|transformed| transformed.data)
    }
}

/// The input without padding, if the planner padded it.
fn by_name(dml: &DmlStatement) -> Result<Option<LogicalPlan>> {
    let Some(table) = of_dml(dml).filter(|table| table.door != Door::Open) else { return Ok(None) };
    let LogicalPlan::Projection(projection) = dml.input.as_ref() else { return Ok(None) };
    let declared = table.schema.fields();
    let by_planner = projection.expr.len() == declared.len()
        && projection.expr.iter().zip(declared).all(|(expr, field)| matches!(expr, Expr::Alias(alias) if alias.name == *field.name()));
    if !by_planner {
        return Ok(None);
    }
    let kept: Vec<Expr> = projection.expr.iter().filter(|expr| !is_padding(expr)).cloned().collect();
    if kept.len() < declared.len() {
        return LogicalPlanBuilder::from(projection.input.as_ref().clone()).project(kept)?.build().map(Some);
    }
    let renamed = projection.expr.iter().find_map(|expr| match expr {
        Expr::Alias(Alias { expr, name, .. }) => match uncast(expr) {
            Expr::Column(column) if column.name != *name => Some((column.name.clone(), name.clone())),
            _ => None,
        },
        _ => None,
    });
    match renamed {
        Some((source, target)) if table.door == Door::Catalogue => Err(Error::Unwritable(format!(
            "{}: column \"{source}\" would be written as \"{target}\", because it stands in its place; match columns by name with \
             clevertap_sql, COPY … STORED AS CLEVERTAP or DataFrame::write_table, or list the columns after the table's name",
            table.qualified()
        ))
        .into()),
        _ => Ok(None),
    }
}

/// `CAST(NULL AS …) AS name`: a column that the statement did not list.
fn is_padding(expr: &Expr) -> bool {
    matches!(expr, Expr::Alias(alias) if matches!(uncast(&alias.expr), Expr::Literal(value, _) if value.is_null()))
}

fn uncast(expr: &Expr) -> &Expr {
    match expr {
        Expr::Cast(Cast { expr, .. }) => uncast(expr),
        expr => expr,
    }
}
