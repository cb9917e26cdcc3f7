//! The rule that stands between DataFusion's plan of an INSERT and a table of a database.
//!
//! In: the plan of an INSERT, whose planner has cast the source's columns to the table's types and padded those that the statement does not list
//! with NULL. Out: the same with the source's own types, which the write converts row by row and refuses by row, and without the padding, so
//! that the database's defaults fill it.

use std::sync::Arc;

use datafusion::common::DFSchema;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::datasource::DefaultTableSource;
use datafusion::error::Result;
use datafusion::logical_expr::{Cast, DmlStatement, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Values, WriteOp};
use datafusion::optimizer::AnalyzerRule;
use datafusion::prelude::SessionContext;

use crate::options::WriteOptions;
use crate::table::DatabaseTable;

/// Gives a session the options of writes and the rule, once.
pub(crate) fn install(ctx: &SessionContext) {
    let state = ctx.state_ref();
    let is_installed = {
        let mut state = state.write();
        let extensions = &mut state.config_mut().options_mut().extensions;
        let is_installed = extensions.get::<WriteOptions>().is_some();
        if !is_installed {
            extensions.insert(WriteOptions::default());
        }
        is_installed
    };
    if !is_installed {
        ctx.add_analyzer_rule(Arc::new(WriteOwnTypes));
    }
}

#[derive(Debug)]
pub(crate) struct WriteOwnTypes;

impl AnalyzerRule for WriteOwnTypes {
    fn name(&self) -> &'static str {
        "database_write_own_types"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up(|plan| match &plan {
            LogicalPlan::Dml(dml) if matches!(dml.op, WriteOp::Insert(_)) && is_ours(dml) => {
                let input = own_types(dml)?;
                Ok(input.map_or(Transformed::no(plan.clone()), |input| {
                    Transformed::yes(LogicalPlan::Dml(DmlStatement { input: Arc::new(input), ..dml.clone() }))
                }))
            }
            _ => Ok(Transformed::no(plan)),
        })
        .map(|transformed| transformed.data)
    }
}

fn is_ours(dml: &DmlStatement) -> bool {
    let Some(source) = (dml.target.as_ref() as &dyn std::any::Any).downcast_ref::<DefaultTableSource>() else { return false };
    #[cfg(feature = "delta")]
    if source.table_provider.is::<crate::delta::table::DeltaTableProvider>() {
        return true;
    }
    source.table_provider.is::<DatabaseTable>()
}

/// The input without what the planner put on top of it. `None` if the planner did not: the plan is somebody's own.
fn own_types(dml: &DmlStatement) -> Result<Option<LogicalPlan>> {
    let LogicalPlan::Projection(projection) = dml.input.as_ref() else { return Ok(None) };
    let declared = dml.target.schema();
    let is_of_planner = projection.expr.len() == declared.fields().len()
        && projection.expr.iter().zip(declared.fields()).all(|(expr, field)| match expr {
            Expr::Alias(alias) => {
                alias.name == *field.name() && (matches!(uncast(&alias.expr), Expr::Column(_)) || is_padding(&alias.expr))
            }
            _ => false,
        });
    if !is_of_planner {
        return Ok(None);
    }
    let own = |expr: &Expr| match expr {
        Expr::Alias(alias) if !is_padding(&alias.expr) => Some(uncast(&alias.expr).clone().alias(&alias.name)),
        _ => None,
    };
    let columns: Vec<_> = projection.expr.iter().filter_map(own).collect();
    let input = match projection.input.as_ref() {
        LogicalPlan::Values(values) => own_values(values)?,
        input => input.clone(),
    };
    Ok(Some(LogicalPlanBuilder::from(input).project(columns)?.build()?))
}

/// VALUES in their own types, where all rows of a column have the same or are numbers: the planner has cast each cell.
fn own_values(values: &Values) -> Result<LogicalPlan> {
    let empty = DFSchema::empty();
    let mut rows = values.values.clone();
    for at in 0..values.schema.fields().len() {
        let types = values.values.iter().map(|row| uncast(&row[at]).get_type(&empty)).collect::<Result<Vec<_>>>();
        // Of a parameter it is not known.
        let Ok(types) = types else { continue };
        let types: Vec<_> = types.into_iter().filter(|data_type| !data_type.is_null()).collect();
        if types.iter().all(|data_type| data_type == &types[0] || data_type.is_numeric() && types[0].is_numeric()) {
            for row in &mut rows {
                row[at] = uncast(&row[at]).clone();
            }
        }
    }
    LogicalPlanBuilder::values(rows)?.build()
}

/// NULL: a column that the statement did not list.
fn is_padding(expr: &Expr) -> bool {
    matches!(uncast(expr), Expr::Literal(value, _) if value.is_null())
}

fn uncast(expr: &Expr) -> &Expr {
    match expr {
        // A cast that the statement itself has stands below the planner's, and means what it says.
        Expr::Cast(Cast { expr, .. }) => expr,
        expr => expr,
    }
}
