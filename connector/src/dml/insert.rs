//! INSERT by name: the statement's query is planned by DataFusion, and its columns keep the names that they were given.
//!
//! In: a parsed statement. Out: the plan of its INSERT or UPDATE, itself or under EXPLAIN or PREPARE; nothing where it writes to none
//! of our tables.

use std::sync::Arc;

use datafusion::common::{Column, ExprSchema as _, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::error::Result;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::{
    DmlStatement, Expr, ExprSchemable as _, LogicalPlan, LogicalPlanBuilder, PlanType, Statement as PlanStatement, ToStringifiedPlan,
};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{self, ObjectName, TableObject};

use super::names::{check_names, check_planned_names};
use super::rewrite::{is_people, not_deleted, not_updated, target_of};
use super::update;
use crate::catalog::{ClevertapTable, ColumnMatching, to_write};
use crate::error::Error;
use crate::write::job::{Operation, WriteStatement};
use crate::write::mapping::SourceColumn;

/// Plans `statement` by name, if it is an INSERT into one of our tables, an UPDATE of people, or an EXPLAIN or PREPARE of one.
pub(crate) async fn plan_by_name(state: &SessionState, mut statement: Statement, sql: &str) -> Result<Option<LogicalPlan>> {
    // The statement is taken out and its query left in its place, so that DataFusion plans all that stands around it.
    let Some(slot) = write_in(&mut statement) else { return Ok(None) };
    if let Some((name, returns)) = update::deleted_from(slot) {
        return match ours(state, &table_reference(state, name)).await? {
            Some(table) if returns => Err(update::returns_nothing("DELETE FROM", &table).into()),
            Some(table) if !is_people(&table) => Err(not_deleted(&table).into()),
            _ => Ok(None),
        };
    }
    let name = match &*slot {
        ast::Statement::Insert(ast::Insert { table: TableObject::TableName(name), .. }) => name,
        ast::Statement::Update(update) => match update::target(update) {
            Some(name) => name,
            None => return Ok(None),
        },
        _ => return Ok(None),
    };
    let reference = table_reference(state, name);
    let Some(mut table) = ours(state, &reference).await? else { return Ok(None) };
    let (source, columns, op) = match slot.clone() {
        ast::Statement::Insert(insert) => {
            let Some(source) = insert.source.clone() else {
                return Err(Error::Unwritable(format!("INSERT INTO {} has no rows: add SELECT … or VALUES …", table.qualified())).into());
            };
            let op = check_clauses(&insert, &table)?;
            if insert.columns.is_empty() {
                check_names(&source, &table)?;
            }
            (source, insert.columns.iter().map(column_name).collect::<Result<Vec<_>>>()?, op)
        }
        ast::Statement::Update(update) if is_people(&table) => {
            update::check_clauses(&update, &table)?;
            let source = update::query(state, update, &table)?;
            check_names(&source, &table)?;
            table.statement.operation = Operation::Update;
            (source, Vec::new(), InsertOp::Append)
        }
        ast::Statement::Update(_) => return Err(not_updated(&table).into()),
        _ => return Ok(None),
    };
    *slot = ast::Statement::Query(source);
    table.matching = ColumnMatching::ByName;
    table.statement.text = Some(sql.to_owned());
    let around = state.statement_to_plan(statement).await?;
    within(around, move |source| {
        if columns.is_empty() {
            check_planned_names(&source, &table)?;
        }
        let named = rename(source, &columns, &table)?;
        table.statement.sources = sources(&named);
        LogicalPlanBuilder::insert_into(named, reference.clone(), provider_as_source(Arc::new(table.clone())), op)?.build()
    })
    .map(Some)
}

/// The INSERT, UPDATE or DELETE in a statement, itself or under EXPLAIN or PREPARE.
pub(super) fn write_in(statement: &mut Statement) -> Option<&mut ast::Statement> {
    fn inside(statement: &mut ast::Statement) -> Option<&mut ast::Statement> {
        match statement {
            ast::Statement::Insert(_) | ast::Statement::Update(_) | ast::Statement::Delete(_) => Some(statement),
            ast::Statement::Prepare { statement, .. } | ast::Statement::Explain { statement, .. } => inside(statement),
            _ => None,
        }
    }
    match statement {
        Statement::Statement(statement) => inside(statement),
        Statement::Explain(explain) => write_in(&mut explain.statement),
        _ => None,
    }
}

/// The same plan, whose DELETE knows its own text.
pub(crate) fn with_statement_text(plan: LogicalPlan, sql: &str) -> Result<LogicalPlan> {
    within(plan, |plan| {
        let LogicalPlan::Dml(dml) = &plan else { return Ok(plan) };
        let Some(table) = target_of(dml) else { return Ok(plan) };
        let statement = WriteStatement { text: Some(sql.to_owned()), ..table.statement.clone() };
        let target = provider_as_source(Arc::new(ClevertapTable { statement, ..table.clone() }));
        Ok(LogicalPlan::Dml(DmlStatement { target, ..dml.clone() }))
    })
}

/// Applies `wrap` to the query's plan, which stands alone or under EXPLAIN or PREPARE.
fn within(plan: LogicalPlan, wrap: impl FnOnce(LogicalPlan) -> Result<LogicalPlan>) -> Result<LogicalPlan> {
    Ok(match plan {
        LogicalPlan::Explain(mut explain) => {
            let inner = wrap(Arc::unwrap_or_clone(explain.plan))?;
            explain.stringified_plans = vec![inner.to_stringified(PlanType::InitialLogicalPlan)];
            explain.plan = Arc::new(inner);
            LogicalPlan::Explain(explain)
        }
        LogicalPlan::Analyze(mut analyze) => {
            analyze.input = Arc::new(wrap(Arc::unwrap_or_clone(analyze.input))?);
            LogicalPlan::Analyze(analyze)
        }
        LogicalPlan::Statement(PlanStatement::Prepare(mut prepare)) => {
            prepare.input = Arc::new(wrap(Arc::unwrap_or_clone(prepare.input))?);
            LogicalPlan::Statement(PlanStatement::Prepare(prepare))
        }
        query => wrap(query)?,
    })
}

fn table_reference(state: &SessionState, name: &ObjectName) -> TableReference {
    let normalize = state.config_options().sql_parser.enable_ident_normalization;
    let part = |part: &ast::ObjectNamePart| match part.as_ident() {
        Some(ident) if ident.quote_style.is_none() && normalize => ident.value.to_lowercase(),
        Some(ident) => ident.value.clone(),
        None => part.to_string(),
    };
    match &name.0[..] {
        [table] => TableReference::bare(part(table)),
        [schema, table] => TableReference::partial(part(schema), part(table)),
        [.., catalog, schema, table] => TableReference::full(part(catalog), part(schema), part(table)),
        [] => TableReference::bare(""),
    }
}

/// The table of this name, if it is one of ours that is reached by name.
async fn ours(state: &SessionState, reference: &TableReference) -> Result<Option<ClevertapTable>> {
    let Ok(schema) = state.schema_for_ref(reference.clone()) else { return Ok(None) };
    to_write(schema.as_ref(), reference.table()).await
}

/// Refuses the clauses of other systems' INSERTs.
fn check_clauses(insert: &ast::Insert, table: &ClevertapTable) -> Result<InsertOp> {
    let after = update::read_after(table);
    let extra = [
        (insert.on.is_some(), "ON CONFLICT", "an INSERT of a profile is an upsert already"),
        (insert.returning.is_some(), "RETURNING", after.as_str()),
        (insert.ignore, "IGNORE", "SET clevertap.on_reject = 'skip' goes on past rejects"),
        (insert.partitioned.is_some(), "PARTITION", "leave it out"),
    ];
    if let Some((_, clause, remedy)) = extra.into_iter().find(|(there, ..)| *there) {
        return Err(Error::NotAppend(format!("INSERT INTO {} takes no {clause}: {remedy}", table.qualified())).into());
    }
    Ok(match (insert.overwrite, insert.replace_into || insert.or.is_some()) {
        (true, _) => InsertOp::Overwrite,
        (_, true) => InsertOp::Replace,
        _ => InsertOp::Append,
    })
}

/// A listed column, as it is written.
fn column_name(name: &ObjectName) -> Result<String> {
    match &name.0[..] {
        [part] => Ok(part.as_ident().map_or_else(|| part.to_string(), |ident| ident.value.clone())),
        _ => Err(Error::Unwritable(format!("column {name} of the list has several parts; name it by one")).into()),
    }
}

/// Renames the source's columns to those of the list, by position.
fn rename(source: LogicalPlan, columns: &[String], table: &ClevertapTable) -> Result<LogicalPlan> {
    if columns.is_empty() {
        return Ok(source);
    }
    let fields = source.schema().columns();
    if fields.len() != columns.len() {
        return Err(Error::Unwritable(format!(
            "INSERT INTO {} lists {} columns, and its source has {}",
            table.qualified(),
            columns.len(),
            fields.len()
        ))
        .into());
    }
    // `(identity, email) SELECT email, identity` sends each person's address as the identity, and nobody means that.
    for (at, (field, name)) in fields.iter().zip(columns).enumerate() {
        let other = columns.iter().position(|other| other.eq_ignore_ascii_case(&field.name)).filter(|other| *other != at);
        let other = other.filter(|_| !field.name.eq_ignore_ascii_case(name));
        if let Some(other) = other {
            return Err(Error::Unwritable(format!(
                "INSERT INTO {} takes its columns by their place in the list, and the names of its source stand in another order: {} is \"{name}\" in \
                 the list and \"{there}\" in the source, and \"{there}\" is {} in the list. Leave the list out, and each column goes by its name; or \
                 give both in one order",
                table.qualified(),
                at + 1,
                other + 1,
                there = field.name
            ))
            .into());
        }
    }
    let named = fields.into_iter().zip(columns).map(|(field, name)| Expr::Column(field).alias(name));
    LogicalPlanBuilder::from(source).project(named.collect::<Vec<_>>())?.build()
}

/// Where each column of `plan` comes from: the name of a column of its source, or `expression`.
fn sources(plan: &LogicalPlan) -> Vec<SourceColumn> {
    fn origin(plan: &LogicalPlan, column: usize) -> SourceColumn {
        match plan {
            LogicalPlan::Projection(projection) => {
                let expr = projection.expr[column].clone().unalias_nested().data;
                let of = |inner: &Column| match projection.input.schema().maybe_index_of_column(inner) {
                    Some(index) => origin(&projection.input, index),
                    None => SourceColumn::named(&inner.name),
                };
                if let Expr::Column(inner) = &expr {
                    return of(inner);
                }
                let columns = expr.column_refs();
                let only = columns.iter().next().filter(|_| columns.len() == 1);
                // Of a column of another type no remedy holds that is meant for the expression's.
                let input = projection.input.schema();
                let is_alike = |inner: &&Column| {
                    let types = expr.get_type(input).ok().zip(input.data_type(inner).ok());
                    types.is_some_and(|(made, read)| made == *read)
                };
                SourceColumn::expression(only.copied().filter(is_alike).and_then(|inner| of(inner).column))
            }
            LogicalPlan::SubqueryAlias(alias) => origin(&alias.input, column),
            LogicalPlan::Filter(filter) => origin(&filter.input, column),
            LogicalPlan::Limit(limit) => origin(&limit.input, column),
            LogicalPlan::Sort(sort) => origin(&sort.input, column),
            LogicalPlan::Distinct(distinct) => origin(distinct.input(), column),
            LogicalPlan::Union(union) => union.inputs.first().map_or_else(|| SourceColumn::expression(None), |input| origin(input, column)),
            // Its name is the text of an expression.
            LogicalPlan::Aggregate(_) | LogicalPlan::Window(_) if plan.schema().qualified_field(column).0.is_none() => {
                SourceColumn::expression(None)
            }
            plan => SourceColumn::named(plan.schema().field(column).name()),
        }
    }
    (0..plan.schema().fields().len()).map(|column| origin(plan, column)).collect()
}
