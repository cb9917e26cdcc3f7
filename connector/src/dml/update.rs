//! `UPDATE clevertap.profiles SET …` as the query of an open INSERT, so that any property can be assigned.
//!
//! In: the statement as it was parsed. Out: `SELECT identity, object_id, <expressions AS names> FROM clevertap.profiles WHERE …`,
//! whose people the rule then looks up; whoever is not there is not made.

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::context::SessionState;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{self, AssignmentTarget, FromTable, Ident, ObjectName, SelectItem, SetExpr, TableFactor};

use super::rewrite::check_assigned;
use crate::catalog::ClevertapTable;
use crate::error::Error;

/// The name of the table that an UPDATE changes.
pub(crate) fn target(update: &ast::Update) -> Option<&ObjectName> {
    match &update.table.relation {
        TableFactor::Table { name, .. } => Some(name),
        _ => None,
    }
}

/// The name of the table that a DELETE takes from, and whether it has a RETURNING, which DataFusion refuses in words of its own.
pub(crate) fn deleted_from(statement: &ast::Statement) -> Option<(&ObjectName, bool)> {
    let ast::Statement::Delete(delete) = statement else { return None };
    let (FromTable::WithFromKeyword(tables) | FromTable::WithoutKeyword(tables)) = &delete.from;
    match &tables.first()?.relation {
        TableFactor::Table { name, .. } => Some((name, delete.returning.is_some())),
        _ => None,
    }
}

/// The error about a RETURNING.
pub(crate) fn returns_nothing(statement: &str, table: &ClevertapTable) -> Error {
    Error::NotAppend(format!("{statement} {} takes no RETURNING: {}", table.qualified(), read_after(table)))
}

/// Where a statement's outcome is read, as the end of a sentence.
pub(super) fn read_after(table: &ClevertapTable) -> String {
    format!("read {} and {} after it", table.relation.sibling("runs"), table.relation.sibling("failed_rows"))
}

/// Refuses what CleverTap has no call for, with what to write instead.
///
/// # Errors
/// [`Error::NotAppend`].
pub(crate) fn check_clauses(update: &ast::Update, table: &ClevertapTable) -> Result<(), Error> {
    if update.returning.is_some() || update.output.is_some() {
        return Err(returns_nothing("UPDATE", table));
    }
    let from = format!(
        "INSERT INTO {} SELECT identity, … FROM t changes the properties that it names and leaves the others; \
         WHERE identity IN (SELECT …) changes all to one value",
        table.qualified()
    );
    let extra = [
        (update.from.is_some() || !update.table.joins.is_empty(), "FROM", from.as_str()),
        (update.limit.is_some() || !update.order_by.is_empty(), "LIMIT", "WHERE identity IN (SELECT … LIMIT n) names whom to change"),
        (update.or.is_some() || !update.optimizer_hints.is_empty(), "OR or hint", "leave it out"),
    ];
    match extra.into_iter().find(|(there, ..)| *there) {
        Some((_, clause, remedy)) => Err(Error::NotAppend(format!("UPDATE {} takes no {clause}: {remedy}", table.qualified()))),
        None => Ok(()),
    }
}

/// The query of `update`.
///
/// # Errors
/// [`Error::Filter`] without WHERE, [`Error::Unwritable`] for a column that says who somebody is or that is assigned twice.
pub(crate) fn query(state: &SessionState, update: ast::Update, table: &ClevertapTable) -> Result<Box<ast::Query>> {
    let Some(selection) = update.selection else {
        return Err(Error::Filter(format!(
            "UPDATE {} needs a WHERE clause that names people; nothing was sent. For example: WHERE identity = 'cust-1001'",
            table.qualified()
        ))
        .into());
    };
    let mut projection: Vec<SelectItem> =
        ["identity", "object_id"].map(|name| SelectItem::UnnamedExpr(ast::Expr::Identifier(Ident::new(name)))).into();
    for assignment in update.assignments {
        let alias = match &assignment.target {
            AssignmentTarget::ColumnName(name) => name.0.last().and_then(|part| part.as_ident()).cloned(),
            AssignmentTarget::Tuple(_) => None,
        };
        let Some(alias) = alias else {
            return Err(Error::Unwritable(format!("UPDATE {} assigns one column at a time: SET a = …, b = …", table.qualified())).into());
        };
        check_assigned(table, &alias.value)?;
        projection.push(SelectItem::ExprWithAlias { expr: assignment.value, alias });
    }
    // A query has many clauses, and its parser knows how they look when they are not there.
    let dialect = state.config_options().sql_parser.dialect;
    let Statement::Statement(statement) = state.sql_to_statement("SELECT 1", &dialect)? else { return Err(no_query()) };
    let ast::Statement::Query(mut query) = *statement else { return Err(no_query()) };
    let SetExpr::Select(select) = query.body.as_mut() else { return Err(no_query()) };
    select.projection = projection;
    select.from = vec![update.table];
    select.selection = Some(selection);
    Ok(query)
}

fn no_query() -> DataFusionError {
    DataFusionError::Internal("SELECT 1 is no query".into())
}
