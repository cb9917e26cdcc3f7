//! "Names must be meant": the names of properties last for ever in CleverTap, so a name that nobody chose is refused.
//!
//! In: the outermost select list, as it was typed and as it was planned. Out: nothing, or an error that shows what to write.

use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::sql::sqlparser::ast::{self, SelectItem, SetExpr};

use crate::catalog::ClevertapTable;
use crate::error::Error;

/// "Names must be meant": looks at the outermost select list as it was typed.
pub(super) fn check_names(source: &ast::Query, table: &ClevertapTable) -> Result<()> {
    let mut body = source.body.as_ref();
    let select = loop {
        match body {
            SetExpr::Select(select) => break select,
            SetExpr::Query(query) => body = query.body.as_ref(),
            SetExpr::SetOperation { left, .. } => body = left.as_ref(),
            SetExpr::Values(_) => {
                let name = table.qualified();
                let mut written =
                    table.relation.table.columns.iter().filter(|column| column.target.shape().is_some()).map(|column| column.name);
                let (first, more) = (written.next().unwrap_or_default(), if written.next().is_some() { ", …" } else { "" });
                return Err(Error::Unwritable(format!(
                    "{name}: VALUES have no names; list the columns, as in INSERT INTO {name} ({first}{more}) VALUES (…)"
                ))
                .into());
            }
            _ => return Ok(()),
        }
    };
    for (at, item) in select.projection.iter().enumerate() {
        let position = at + 1;
        match item {
            SelectItem::UnnamedExpr(ast::Expr::Identifier(_) | ast::Expr::CompoundIdentifier(_)) => {}
            SelectItem::UnnamedExpr(_) => {
                return Err(Error::Unwritable(format!(
                    "{}: expression {position} of the select list has no name; give it one with AS, in double quotes if it holds capitals",
                    table.qualified()
                ))
                .into());
            }
            SelectItem::ExprWithAlias { alias, .. } if alias.quote_style.is_none() && alias.value.chars().any(char::is_uppercase) => {
                return Err(Error::Unwritable(format!(
                    "{}: AS {name} would become the property \"{lower}\", for ever; write AS \"{name}\", or AS {lower} if that is meant",
                    table.qualified(),
                    name = alias.value,
                    lower = alias.value.to_lowercase()
                ))
                .into());
            }
            _ => {}
        }
    }
    Ok(())
}

/// The same for what only looks like a column: `s.plan`, where `s` is a struct, is an expression and has no name of its own.
pub(super) fn check_planned_names(source: &LogicalPlan, table: &ClevertapTable) -> Result<()> {
    match source {
        LogicalPlan::Projection(projection) => {
            match projection.expr.iter().find(|expr| !matches!(expr, Expr::Column(_) | Expr::Alias(_))) {
                Some(expr) => Err(Error::Unwritable(format!(
                    "{}: \"{}\" is an expression without a name; give it one with AS, in double quotes if it holds capitals",
                    table.qualified(),
                    expr.schema_name()
                ))
                .into()),
                None => Ok(()),
            }
        }
        LogicalPlan::Sort(_) | LogicalPlan::Limit(_) | LogicalPlan::Distinct(_) => {
            source.inputs().into_iter().try_for_each(|input| check_planned_names(input, table))
        }
        _ => Ok(()),
    }
}
