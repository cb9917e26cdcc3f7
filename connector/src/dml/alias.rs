//! `DELETE FROM clevertap.profiles AS p WHERE p.identity = …`: DataFusion drops the alias, and then knows no `p`.
//!
//! In: a parsed statement. Out: the same, with the name of the table in the place of its alias.

use std::ops::ControlFlow;

use datafusion::error::Result;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{self, Expr, FromTable, Ident, ObjectName, TableFactor, VisitMut, VisitorMut};

use super::insert::write_in;
use crate::error::Error;

/// Puts the table's name in the place of its alias, if the statement is a DELETE that has one.
///
/// # Errors
/// [`Error::Unwritable`] if a subquery has a table of that name or alias, or the table itself, so that it would not be certain which is meant.
pub(crate) fn resolve_alias(mut statement: Statement) -> Result<Statement> {
    let Some(ast::Statement::Delete(delete)) = write_in(&mut statement) else { return Ok(statement) };
    let (FromTable::WithFromKeyword(tables) | FromTable::WithoutKeyword(tables)) = &mut delete.from;
    let [table] = tables.as_mut_slice() else { return Ok(statement) };
    let TableFactor::Table { name, alias, .. } = &mut table.relation else { return Ok(statement) };
    let Some(alias) = alias.take_if(|alias| alias.columns.is_empty()) else { return Ok(statement) };
    let mut replace = Replace { alias: normalized(&alias.name), table: name.clone() };
    if let Some(condition) = &mut delete.selection
        && condition.visit(&mut replace).is_break()
    {
        return Err(Error::Unwritable(format!(
            "DELETE FROM {name} AS {alias} has a subquery with a table of this name, or with the table itself, and nothing was sent: give the table \
             of the subquery an alias of its own"
        ))
        .into());
    }
    Ok(statement)
}

/// A name as SQL reads it: small letters without quotes.
fn normalized(name: &Ident) -> String {
    if name.quote_style.is_none() { name.value.to_lowercase() } else { name.value.clone() }
}

struct Replace {
    alias: String,
    table: ObjectName,
}

impl VisitorMut for Replace {
    type Break = ();

    fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<()> {
        let is_alias = |name: &Ident| normalized(name) == self.alias;
        let could_be_meant = match table {
            TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } => is_alias(&alias.name),
            // Without an alias its own name is what its columns are named by.
            TableFactor::Table { name, alias: None, .. } => {
                let last = |name: &ObjectName| name.0.last().and_then(|part| part.as_ident()).map(normalized);
                last(name) == last(&self.table) || last(name).as_deref() == Some(self.alias.as_str())
            }
            TableFactor::Derived { .. } => false,
            // Functions and their like may bring any name.
            _ => true,
        };
        if could_be_meant { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(parts) = expr
            && parts.len() > 1
            && normalized(&parts[0]) == self.alias
        {
            let table = self.table.0.iter().filter_map(|part| part.as_ident().cloned());
            *parts = table.chain(parts.iter().skip(1).cloned()).collect();
        }
        ControlFlow::Continue(())
    }
}
