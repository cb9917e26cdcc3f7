//! INSERT into a table that is not there, which makes it.
//!
//! In: the text of a statement. Out: a context for this statement alone, in which its target has the columns of its source. DataFusion plans an
//! INSERT against its target's columns, so the source is planned first: [`MissingTarget::source`], planned by whoever plans the statement.
//!
//! A table is for ever, and its names too: a column whose name nobody has written (`count(*)`, `column1`) is refused.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::common::TableReference;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionStateBuilder;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::prelude::{DataFrame, SessionContext};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{self, Ident, ObjectName, SelectItem, SetExpr, TableObject};

use crate::error::{Error, shown};
use crate::overlay::{Laid, Overlay};
use crate::reached::Reached;
use crate::registered::Registered;
use crate::settings::Access;

/// SQL whose INSERTs make a table that is not there, if the settings of its database say `create`.
#[async_trait]
pub trait DatabasesSql {
    /// Plans one statement, like `SessionContext::sql`. The target of an INSERT INTO, INSERT OVERWRITE or REPLACE INTO a database of the session may
    /// be missing: then the statement makes it, with columns of the source's names and types, and REPLACE INTO with the primary key that
    /// `SET database.upsert_key` names.
    ///
    /// # Errors
    /// Those of planning; [`Error::Statement`] if the target is missing and may not be made, or would have columns that nobody has named.
    async fn databases_sql(&self, sql: &str) -> Result<DataFrame>;
}

#[async_trait]
impl DatabasesSql for SessionContext {
    async fn databases_sql(&self, sql: &str) -> Result<DataFrame> {
        let Some(missing) = MissingTarget::find(self, sql).await? else { return self.sql(sql).await };
        let source = self.state().statement_to_plan(missing.source()).await?;
        missing.context(self, &source)?.sql(sql).await
    }
}

/// The target of an INSERT that is not there, and is to be made. For who plans statements otherwise than by `SessionContext::sql`.
pub struct MissingTarget {
    reached: Arc<Reached>,
    catalog: String,
    schema: String,
    name: String,
    /// The columns that the statement lists.
    listed: Vec<String>,
    source: Box<ast::Query>,
}

impl fmt::Debug for MissingTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MissingTarget").field("table", &self.qualified()).finish_non_exhaustive()
    }
}

impl MissingTarget {
    /// The target of `sql`, an INSERT or an EXPLAIN of one, if it would be a table of a database of this session and is not there. `None` for every
    /// other statement, and for one that does not parse.
    ///
    /// # Errors
    /// [`Error::Statement`] if it may not be made; those of asking the database.
    pub async fn find(ctx: &SessionContext, sql: &str) -> Result<Option<Self>> {
        let config = ctx.copied_config();
        let Some(registered) = Registered::of(&config) else { return Ok(None) };
        let parser = &config.options().sql_parser;
        let Ok(mut statement) = ctx.state().sql_to_statement(sql, &parser.dialect) else { return Ok(None) };
        let Some(insert) = insert_in(&mut statement) else { return Ok(None) };
        let (TableObject::TableName(target), Some(source)) = (&insert.table, insert.source.take()) else { return Ok(None) };
        let spelled = |ident: &Ident| match ident.quote_style {
            None if parser.enable_ident_normalization => ident.value.to_lowercase(),
            _ => ident.value.clone(),
        };
        let Some(reference) = reference(target, spelled) else { return Ok(None) };
        let defaults = &config.options().catalog;
        let resolved = reference.resolve(&defaults.default_catalog, &defaults.default_schema);
        let Some(reached) = registered.get(&resolved.catalog) else { return Ok(None) };
        if reached.described(&resolved.schema, &resolved.table).await?.is_some() {
            return Ok(None);
        }
        let listed = insert.columns.iter().filter_map(|name| Some(spelled(name.0.first()?.as_ident()?))).collect();
        let [catalog, schema, name] = [&resolved.catalog, &resolved.schema, &resolved.table].map(ToString::to_string);
        let missing = Self { reached, catalog, schema, name, listed, source };
        missing.check_settings()?;
        Ok(Some(missing))
    }

    /// The query whose rows are inserted, to be planned.
    #[must_use]
    pub fn source(&self) -> Statement {
        Statement::Statement(Box::new(ast::Statement::Query(self.source.clone())))
    }

    /// A context like `ctx`, in which the target has the columns of `source`, the plan of [`MissingTarget::source`]. The statement is planned and
    /// run in it, and nothing else.
    ///
    /// # Errors
    /// [`Error::Statement`] if a column has no name of its own, or a name is there twice.
    pub fn context(self, ctx: &SessionContext, source: &LogicalPlan) -> Result<SessionContext> {
        let schema = self.columns(source)?;
        let relation = self.reached.missing(&self.schema, &self.name);
        let table = Arc::new(self.reached.provider(relation).with_columns_of(schema));
        let state = ctx.state();
        let laid = Laid { catalog: self.catalog, schema: self.schema, name: self.name, table };
        let catalogs = Arc::new(Overlay::new(Arc::clone(state.catalog_list()), laid));
        Ok(SessionContext::new_with_state(SessionStateBuilder::new_from_existing(state).with_catalog_list(catalogs).build()))
    }

    fn qualified(&self) -> String {
        format!("{}.{}.{}", shown(&self.catalog), shown(&self.schema), shown(&self.name))
    }

    fn check_settings(&self) -> Result<()> {
        let settings = &self.reached.settings;
        let remedy = match (settings.access, settings.create) {
            (Access::Write, true) => return Ok(()),
            (Access::Write, false) => "create = true lets an INSERT make it",
            (Access::Read, _) => "with access = \"write\" and create = true an INSERT makes it",
        };
        Err(Error::Statement(format!("{} is not there; {remedy}", self.qualified())).into())
    }

    /// The columns that the target gets.
    fn columns(&self, source: &LogicalPlan) -> Result<SchemaRef> {
        let refused =
            |problem: String| DataFusionError::from(Error::Statement(format!("{} is not there yet: {problem}", self.qualified())));
        let fields = source.schema().fields();
        let names: Vec<String> = if self.listed.is_empty() {
            if let Some(unnamed) = first_unwritten(&self.source.body).or_else(|| first_unnamed(source)) {
                return Err(refused(format!(
                    "the source's column {unnamed} has no name of its own, and would give it to a table; write AS \"name\" behind it, or list \
                     the columns in the INSERT"
                )));
            }
            fields.iter().map(|field| field.name().clone()).collect()
        } else if self.listed.len() == fields.len() {
            self.listed.clone()
        } else {
            return Err(refused(format!("the INSERT lists {} columns, and its source has {}", self.listed.len(), fields.len())));
        };
        let mut seen = BTreeSet::new();
        if let Some(twice) = names.iter().find(|name| !seen.insert(name.as_str())) {
            return Err(refused(format!("the source has two columns \"{}\"; AS gives one another name", shown(twice))));
        }
        let field = |(name, field): (&String, &Arc<Field>)| Field::new(name, field.data_type().clone(), true);
        Ok(Arc::new(Schema::new(names.iter().zip(fields.iter()).map(field).collect::<Vec<_>>())))
    }
}

/// The INSERT of a statement, itself or under EXPLAIN.
fn insert_in(statement: &mut Statement) -> Option<&mut ast::Insert> {
    match statement {
        Statement::Statement(statement) => match statement.as_mut() {
            ast::Statement::Insert(insert) => Some(insert),
            _ => None,
        },
        Statement::Explain(explain) => insert_in(&mut explain.statement),
        _ => None,
    }
}

fn reference(name: &ObjectName, spelled: impl Fn(&Ident) -> String) -> Option<TableReference> {
    let parts: Option<Vec<_>> = name.0.iter().map(|part| part.as_ident().map(&spelled)).collect();
    Some(match parts?.as_slice() {
        [table] => TableReference::bare(table.as_str()),
        [schema, table] => TableReference::partial(schema.as_str(), table.as_str()),
        [catalog, schema, table] => TableReference::full(catalog.as_str(), schema.as_str(), table.as_str()),
        _ => return None,
    })
}

/// The number of the first expression without AS in a query's own list, from 1: the planner gives it a name, as it does to `count(*)`.
fn first_unwritten(query: &SetExpr) -> Option<usize> {
    let is_written = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(expr) => matches!(expr, ast::Expr::Identifier(_) | ast::Expr::CompoundIdentifier(_)),
        _ => true,
    };
    match query {
        SetExpr::Select(select) => select.projection.iter().position(|item| !is_written(item)).map(|at| at + 1),
        SetExpr::Query(query) => first_unwritten(&query.body),
        SetExpr::SetOperation { left, .. } => first_unwritten(left),
        _ => None,
    }
}

/// The number of the first column whose name nobody has written below, from 1.
fn first_unnamed(plan: &LogicalPlan) -> Option<usize> {
    (0..plan.schema().fields().len()).find(|at| !is_named(plan, *at)).map(|at| at + 1)
}

/// Whether a column has a name that somebody has written: AS, or a table's own.
fn is_named(plan: &LogicalPlan, at: usize) -> bool {
    let expr_is_named = |expr: Option<&Expr>, input: &LogicalPlan| match expr {
        Some(Expr::Alias(_)) => true,
        Some(Expr::Column(column)) => input.schema().maybe_index_of_column(column).is_none_or(|at| is_named(input, at)),
        _ => false,
    };
    match plan {
        LogicalPlan::Projection(projection) => expr_is_named(projection.expr.get(at), &projection.input),
        // AS stands above it.
        LogicalPlan::Aggregate(aggregate) => match aggregate.group_expr.as_slice() {
            [Expr::GroupingSet(_)] => true,
            groups => expr_is_named(groups.get(at), &aggregate.input),
        },
        LogicalPlan::Window(window) => match at.checked_sub(window.input.schema().fields().len()) {
            None => is_named(&window.input, at),
            Some(at) => matches!(window.window_expr.get(at), Some(Expr::Alias(_))),
        },
        LogicalPlan::Values(_) => false,
        LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::Distinct(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Union(_) => plan.inputs().first().is_none_or(|input| is_named(input, at)),
        _ => true,
    }
}
