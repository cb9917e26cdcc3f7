//! A cast to text of a column of text files is what stands in the files.
//!
//! In: a plan. Out: the same plan, in which `CAST(id AS text)` of the cells `1.5`, `1.10` and `007` is these, whatever type the column has: it is
//! read from the files a second time, as text, and carried up to the cast. Under DISTINCT and GROUP BY it is a part of the key: people whom
//! the files tell apart are not one. Where it cannot be carried, the statement is refused.
//!
//! The rule runs on both sides of type coercion: before it, casts are their author's and identifiers are cast; behind it, there are those of
//! `concat(id, 'x')` too.

mod compared;

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::{
    common::{
        Column, DFSchema, Result, ScalarValue,
        config::ConfigOptions,
        plan_err,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    datasource::{provider_as_source, source_as_provider},
    execution::SessionStateBuilder,
    logical_expr::{
        Aggregate, Case, Cast, Distinct, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Projection, Subquery, SubqueryAlias,
        TableScan, TableScanBuilder, TryCast, Union, cast, expr::ScalarFunction, expr_rewriter::NamePreserver, lit, when,
    },
    optimizer::AnalyzerRule,
};
use datafusion_clevertap::own_text::{OWN_TEXT, Written, written};

use self::compared::{Scope, compared, pair};
use super::table::TextTable;

/// Adds the rule where it belongs.
pub(crate) fn install(builder: &mut SessionStateBuilder) {
    let rules = &mut builder.analyzer().get_or_insert_default().rules;
    let coercion = rules.iter().position(|rule| rule.name() == "type_coercion").unwrap_or(rules.len());
    rules.insert(coercion, Arc::new(OwnText { before_coercion: true }));
    rules.insert(rules.len().min(coercion + 2), Arc::new(OwnText { before_coercion: false }));
}

#[derive(Debug)]
struct OwnText {
    before_coercion: bool,
}

impl AnalyzerRule for OwnText {
    fn name(&self) -> &str {
        if self.before_coercion { "own_text" } else { "own_text_of_implicit_casts" }
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        if !reads_text_files(&plan)? {
            return Ok(plan);
        }
        let mut names = Names { rule: if self.before_coercion { "as written" } else { "as text" }, used: 0 };
        plan.transform_up_with_subqueries(|plan| rewrite(plan, self.before_coercion, &mut names)).map(|rewritten| rewritten.data)
    }
}

/// Whether a table of a plan was read from text, or made of one that was.
fn reads_text_files(plan: &LogicalPlan) -> Result<bool> {
    let mut is_found = false;
    plan.apply_with_subqueries(|node| {
        let has_mark = |field: &FieldRef| field.metadata().contains_key(OWN_TEXT);
        is_found |= matches!(node, LogicalPlan::TableScan(scan) if scan.projected_schema.fields().iter().any(has_mark));
        Ok(if is_found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(is_found)
}

/// Names of columns that stand in no statement.
struct Names {
    rule: &'static str,
    used: usize,
}

impl Names {
    fn next(&mut self, column: &str) -> String {
        self.used += 1;
        format!("{column} {} ({})", self.rule, self.used)
    }
}

/// One node: what is compared with text, and what is cast to it.
fn rewrite(plan: LogicalPlan, before_coercion: bool, names: &mut Names) -> Result<Transformed<LogicalPlan>> {
    let mut inputs: Vec<LogicalPlan> = plan.inputs().into_iter().cloned().collect();
    if !plan.contains_outer_reference() && !inputs.iter().any(has_mark) && !has_mark_below(&plan)? {
        return Ok(Transformed::no(plan));
    }
    let schema = schema_of(&inputs);
    let (plan, is_compared) = match before_coercion {
        true => with_comparisons(plan, &schema, &inputs)?,
        false => (plan, false),
    };
    let before = Arc::clone(plan.schema());
    let preserver = NamePreserver::new(&plan);
    let mut texts = Texts { schema: &schema, inputs: &mut inputs, known: Vec::new(), names };
    let with_texts = plan.map_expressions(|expr| {
        let name = preserver.save(&expr);
        let replaced = expr.transform_down(|expr| match cast_to_text(&expr, texts.schema, texts.inputs) {
            None => Ok(Transformed::no(expr)),
            Some((inner, data_type)) => {
                let text = texts.of(inner)?;
                let text = if *data_type == DataType::Utf8View { text } else { cast(text, data_type.clone()) };
                Ok(Transformed::new(text, true, TreeNodeRecursion::Jump))
            }
        })?;
        Ok(replaced.update_data(|expr| name.restore(expr)))
    })?;
    if !with_texts.transformed {
        return Ok(if is_compared { Transformed::yes(with_texts.data.recompute_schema()?) } else { Transformed::no(with_texts.data) });
    }
    let plan = with_texts.data;
    let plan = plan.with_new_exprs(plan.expressions(), inputs)?;
    Ok(Transformed::yes(of_columns(plan, &before.columns())?))
}

fn schema_of(inputs: &[LogicalPlan]) -> DFSchema {
    let mut schema = DFSchema::empty();
    inputs.iter().for_each(|input| schema.merge(input.schema()));
    schema
}

/// Whether a plan has a column whose value is that of a text file's.
fn has_mark(plan: &LogicalPlan) -> bool {
    plan.schema().columns().into_iter().any(|column| written(&Expr::Column(column), &[plan]).is_some())
}

/// Whether a subquery of the expressions of a node has such a column.
fn has_mark_below(plan: &LogicalPlan) -> Result<bool> {
    let mut is_found = false;
    plan.apply_subqueries(|subquery| {
        is_found |= subquery.inputs().into_iter().any(has_mark) || has_mark(subquery);
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(is_found)
}

/// A node whose comparisons are those of texts where they should be.
fn with_comparisons(plan: LogicalPlan, schema: &DFSchema, inputs: &[LogicalPlan]) -> Result<(LogicalPlan, bool)> {
    let inputs: Vec<&LogicalPlan> = inputs.iter().collect();
    let scope = Scope { schema, inputs: &inputs };
    if let LogicalPlan::Join(mut join) = plan {
        let mut is_changed = false;
        for (left, right) in &mut join.on {
            if let Some(compared) = pair(left, right, &scope, &scope) {
                (*left, *right) = compared;
                is_changed = true;
            }
        }
        if let Some(filter) = join.filter.take() {
            let filter = compared(filter, &scope)?;
            is_changed |= filter.transformed;
            join.filter = Some(filter.data);
        }
        return Ok((LogicalPlan::Join(join), is_changed));
    }
    let preserver = NamePreserver::new(&plan);
    let rewritten = plan.map_expressions(|expr| {
        let name = preserver.save(&expr);
        Ok(compared(expr, &scope)?.update_data(|expr| name.restore(expr)))
    })?;
    Ok((rewritten.data, rewritten.transformed))
}

/// What the expressions of one node are as text, over inputs that carry the text.
struct Texts<'t> {
    schema: &'t DFSchema,
    inputs: &'t mut Vec<LogicalPlan>,
    /// Columns, each with that of its text.
    known: Vec<(Column, Column)>,
    names: &'t mut Names,
}

impl Texts<'_> {
    /// What stands in the file where the value of `expr` stands.
    fn of(&mut self, expr: &Expr) -> Result<Expr> {
        match expr {
            Expr::Alias(alias) => self.of(&alias.expr),
            Expr::Column(column) => {
                if let Some((_, text)) = self.known.iter().find(|(known, _)| known == column) {
                    return Ok(Expr::Column(text.clone()));
                }
                let input = self.inputs.iter_mut().find(|input| input.schema().maybe_index_of_column(column).is_some());
                let Some(input) = input else { return self.lost(expr) };
                let Some((carried, text)) = carry(input, column, self.names)? else {
                    return Ok(cast(expr.clone(), DataType::Utf8View));
                };
                *input = carried;
                self.known.push((column.clone(), text.clone()));
                Ok(Expr::Column(text))
            }
            Expr::Case(Case { expr: of, when_then_expr, else_expr }) => {
                let branches = when_then_expr.iter().map(|(when, then)| Ok((when.clone(), Box::new(self.branch(then)?))));
                let when_then_expr = branches.collect::<Result<Vec<_>>>()?;
                let else_expr = else_expr.as_deref().map(|expr| self.branch(expr).map(Box::new)).transpose()?;
                Ok(Expr::Case(Case { expr: of.clone(), when_then_expr, else_expr }))
            }
            Expr::ScalarFunction(ScalarFunction { func, args }) if ["coalesce", "nvl", "ifnull"].contains(&func.name()) => {
                let args = args.iter().map(|arg| self.branch(arg)).collect::<Result<_>>()?;
                Ok(Expr::ScalarFunction(ScalarFunction { func: Arc::clone(func), args }))
            }
            Expr::ScalarFunction(ScalarFunction { func, args }) if func.name() == "nullif" => match args.as_slice() {
                [value, other] => {
                    let is_same = value.clone().eq(other.clone());
                    when(is_same, lit(ScalarValue::Utf8View(None))).otherwise(self.branch(value)?)
                }
                _ => self.lost(expr),
            },
            Expr::ScalarSubquery(subquery) => {
                let Some(column) = subquery.subquery.schema().columns().into_iter().next() else { return self.lost(expr) };
                let Some((carried, text)) = carry(&subquery.subquery, &column, self.names)? else {
                    return Ok(cast(expr.clone(), DataType::Utf8View));
                };
                let plan = LogicalPlanBuilder::from(carried).project([Expr::Column(text)])?.build()?;
                Ok(Expr::ScalarSubquery(Subquery { subquery: Arc::new(plan), ..subquery.clone() }))
            }
            _ => self.lost(expr),
        }
    }

    /// One of the values that an expression chooses among.
    fn branch(&mut self, expr: &Expr) -> Result<Expr> {
        let inputs: Vec<&LogicalPlan> = self.inputs.iter().collect();
        match written(expr, &inputs) {
            Some(written) if written.differs => self.of(expr),
            _ => Ok(cast(expr.clone(), DataType::Utf8View)),
        }
    }

    fn lost<T>(&self, expr: &Expr) -> Result<T> {
        let inputs: Vec<&LogicalPlan> = self.inputs.iter().collect();
        lost(written(expr, &inputs))
    }
}

/// The plan with these columns alone.
fn of_columns(plan: LogicalPlan, columns: &[Column]) -> Result<LogicalPlan> {
    if plan.schema().columns() == columns {
        return Ok(plan);
    }
    LogicalPlanBuilder::from(plan).project(columns.iter().cloned().map(Expr::Column))?.build()
}

/// What `expr` casts to text of the value of a text file's column, and to which text.
fn cast_to_text<'e>(expr: &'e Expr, schema: &DFSchema, inputs: &[LogicalPlan]) -> Option<(&'e Expr, &'e DataType)> {
    let (Expr::Cast(Cast { expr: inner, field }) | Expr::TryCast(TryCast { expr: inner, field })) = expr else { return None };
    let inputs: Vec<&LogicalPlan> = inputs.iter().collect();
    let is_text = inner.get_type(schema).is_ok_and(|data_type| data_type.is_string());
    let is_cast = field.data_type().is_string() && !is_text && written(inner, &inputs).is_some_and(|written| written.differs);
    is_cast.then(|| (inner.as_ref(), field.data_type()))
}

/// `plan` with one more column: the own text of `column`. `None` if the column is made by an expression, which is what its author says it is.
///
/// # Errors
/// The text is lost on the way.
fn carry(plan: &LogicalPlan, column: &Column, names: &mut Names) -> Result<Option<(LogicalPlan, Column)>> {
    let at = plan.schema().index_of_column(column)?;
    let Some(value) = written(&Expr::Column(column.clone()), &[plan]).filter(|written| written.differs) else { return Ok(None) };
    match plan {
        LogicalPlan::TableScan(scan) => scanned(scan, column, names).map(Some),
        LogicalPlan::SubqueryAlias(SubqueryAlias { input, alias, .. }) => {
            let inner = Column::from(input.schema().qualified_field(at));
            let Some((input, text)) = carry(input, &inner, names)? else { return Ok(None) };
            let aliased = LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(Arc::new(input), alias.clone())?);
            Ok(Some((aliased, Column::new(Some(alias.clone()), text.name))))
        }
        LogicalPlan::Projection(Projection { expr, input, .. }) => {
            let (input, text, named) = made(&expr[at], input, &column.name, names)?;
            let exprs = expr.iter().cloned().chain([text]).collect();
            Ok(Some((LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(input))?), named)))
        }
        LogicalPlan::Aggregate(Aggregate { input, group_expr, aggr_expr, .. }) => {
            let is_set = matches!(group_expr.as_slice(), [Expr::GroupingSet(_)]);
            let Some(group) = group_expr.get(at).filter(|_| !is_set) else { return lost(Some(value)) };
            let (input, text, named) = made(group, input, &column.name, names)?;
            let groups = group_expr.iter().cloned().chain([text]).collect();
            Ok(Some((LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(input), groups, aggr_expr.clone())?), named)))
        }
        LogicalPlan::Union(Union { inputs, .. }) => united(inputs, at, column, names).map(Some),
        LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Repartition(_)
        | LogicalPlan::Window(_)
        | LogicalPlan::Distinct(Distinct::All(_))
        | LogicalPlan::Join(_) => {
            let mut inputs: Vec<LogicalPlan> = plan.inputs().into_iter().cloned().collect();
            let Some(input) = inputs.iter_mut().find(|input| input.schema().maybe_index_of_column(column).is_some()) else {
                return lost(Some(value));
            };
            let Some((carried, text)) = carry(input, column, names)? else { return Ok(None) };
            *input = carried;
            Ok(Some((plan.with_new_exprs(plan.expressions(), inputs)?, text)))
        }
        _ => lost(Some(value)),
    }
}

/// The text of an expression of a node's input: the input that carries it, the expression, and the column that it is.
fn made(expr: &Expr, input: &LogicalPlan, column: &str, names: &mut Names) -> Result<(LogicalPlan, Expr, Column)> {
    let mut inputs = vec![input.clone()];
    let schema = schema_of(&inputs);
    let text = Texts { schema: &schema, inputs: &mut inputs, known: Vec::new(), names }.of(expr)?;
    let input = inputs.pop().unwrap_or_else(|| input.clone());
    Ok(match text {
        Expr::Column(text) => (input, Expr::Column(text.clone()), text),
        text => {
            let name = names.next(column);
            (input, text.alias(name.as_str()), Column::new_unqualified(name))
        }
    })
}

fn scanned(scan: &TableScan, column: &Column, names: &mut Names) -> Result<(LogicalPlan, Column)> {
    let provider = source_as_provider(&scan.source)?;
    let mut text = names.next(&column.name);
    // A prepared statement is analyzed again when it is run.
    while provider.schema().field_with_name(&text).is_ok() {
        text = names.next(&column.name);
    }
    let table = provider.downcast_ref::<TextTable>().and_then(|table| table.with_text(&column.name, text.clone()));
    let Some(table) = table else { return lost(written(&Expr::Column(column.clone()), &[&LogicalPlan::TableScan(scan.clone())])) };
    let all = provider.schema().fields().len();
    let projection = scan.projection.clone().unwrap_or_else(|| (0..all).collect()).into_iter().chain([all]).collect();
    let source = provider_as_source(Arc::new(table));
    let with_text = TableScanBuilder::new(scan.table_name.clone(), source).with_projection(Some(projection));
    let with_text = with_text.with_filters(scan.filters.clone()).with_fetch(scan.fetch).build()?;
    Ok((LogicalPlan::TableScan(with_text), Column::new(Some(scan.table_name.clone()), text)))
}

/// Each input with the own text of its column in this place; that of an expression is its value as text.
fn united(inputs: &[Arc<LogicalPlan>], at: usize, column: &Column, names: &mut Names) -> Result<(LogicalPlan, Column)> {
    let united = names.next(&column.name);
    let with_text = |input: &Arc<LogicalPlan>| {
        let columns = input.schema().columns();
        let (input, text) = match carry(input, &columns[at], names)? {
            Some((input, text)) => (input, Expr::Column(text)),
            None => (input.as_ref().clone(), cast(Expr::Column(columns[at].clone()), DataType::Utf8View)),
        };
        let exprs = columns.into_iter().map(Expr::Column).chain([text.alias(united.as_str())]);
        Ok(Arc::new(LogicalPlanBuilder::from(input).project(exprs)?.build()?))
    };
    let inputs = inputs.iter().map(with_text).collect::<Result<Vec<_>>>()?;
    let union = LogicalPlan::Union(Union::try_new_with_loose_types(inputs)?);
    let text = union.schema().columns().pop();
    Ok((union, text.unwrap_or_else(|| Column::new_unqualified(united))))
}

/// The refusal of a statement that would take a value for what was written.
fn lost<T>(written: Option<Written>) -> Result<T> {
    let column = written.map_or_else(|| "a column".to_owned(), |written| written.column);
    plan_err!(
        "here the column \"{column}\" of a text file is needed as it is written there, and it is known as a value alone; cast it where the file is \
         read, as in FROM (SELECT CAST(\"{column}\" AS VARCHAR) AS \"{column}\" FROM …), or SET clevertap.csv_types = 'text'"
    )
}
