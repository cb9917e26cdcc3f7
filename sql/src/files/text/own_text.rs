//! A cast to text of a column of text files is what stands in the files.
//!
//! In: a plan. Out: the same plan, in which `CAST(id AS text)` of the cells `1.5`, `1.10` and `007` is these, whatever type the column has: it is
//! read from the files a second time, as text, and carried up to the cast. Under DISTINCT and GROUP BY it is a part of the key: people whom
//! the files tell apart are not one. Where it cannot be carried, the statement is refused.
//!
//! The rule runs on both sides of type coercion: before it, casts are their author's and identifiers are cast; behind it, there are those of
//! `concat(id, 'x')` too.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::{
    common::{
        Column, DFSchema, Result,
        config::ConfigOptions,
        plan_err,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    datasource::{provider_as_source, source_as_provider},
    execution::SessionStateBuilder,
    logical_expr::{
        Aggregate, Cast, Distinct, Expr, LogicalPlan, LogicalPlanBuilder, Projection, SubqueryAlias, TableScan, TableScanBuilder, TryCast,
        Union, cast, expr_rewriter::NamePreserver,
    },
    optimizer::AnalyzerRule,
};
use datafusion_clevertap::file_scan::OWN_TEXT;

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
        let mut names = Names { rule: if self.before_coercion { "as written" } else { "as text" }, used: 0 };
        plan.transform_up_with_subqueries(|plan| rewrite(plan, &mut names)).map(|rewritten| rewritten.data)
    }
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

/// The columns of one node that are cast to text.
fn rewrite(plan: LogicalPlan, names: &mut Names) -> Result<Transformed<LogicalPlan>> {
    let mut schema = DFSchema::empty();
    plan.inputs().into_iter().for_each(|input| schema.merge(input.schema()));
    if !schema.fields().iter().any(|field| field.metadata().contains_key(OWN_TEXT.0)) {
        return Ok(Transformed::no(plan));
    }
    let mut cast_columns: Vec<Column> = Vec::new();
    plan.apply_expressions(|expr| {
        expr.apply(|expr| {
            if let Some(column) = cast_to_text(expr, &schema)
                && !cast_columns.contains(column)
            {
                cast_columns.push(column.clone());
            }
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    let mut inputs: Vec<LogicalPlan> = plan.inputs().into_iter().cloned().collect();
    let mut found: Vec<(Column, Column)> = Vec::new();
    for column in cast_columns {
        let Some(input) = inputs.iter_mut().find(|input| input.schema().maybe_index_of_column(&column).is_some()) else { continue };
        if let Some((carried, text)) = carry(input, &column, names)? {
            *input = carried;
            found.push((column, text));
        }
    }
    if found.is_empty() {
        return Ok(Transformed::no(plan));
    }
    let before = Arc::clone(plan.schema());
    let preserver = NamePreserver::new(&plan);
    let with_texts = plan.map_expressions(|expr| {
        let name = preserver.save(&expr);
        let replaced = expr.transform_up(|expr| {
            let text = cast_to_text(&expr, &schema).and_then(|column| found.iter().find(|(cast, _)| cast == column)).map(|(_, text)| text);
            Ok(match (text, cast_type(&expr)) {
                (Some(text), Some(DataType::Utf8View)) => Transformed::yes(Expr::Column(text.clone())),
                (Some(text), Some(other)) => Transformed::yes(cast(Expr::Column(text.clone()), other.clone())),
                _ => Transformed::no(expr),
            })
        })?;
        Ok(replaced.update_data(|expr| name.restore(expr)))
    })?;
    let plan = with_texts.data;
    let plan = plan.with_new_exprs(plan.expressions(), inputs)?;
    Ok(Transformed::yes(of_columns(plan, &before.columns())?))
}

/// The plan with these columns alone.
fn of_columns(plan: LogicalPlan, columns: &[Column]) -> Result<LogicalPlan> {
    if plan.schema().columns() == columns {
        return Ok(plan);
    }
    LogicalPlanBuilder::from(plan).project(columns.iter().cloned().map(Expr::Column))?.build()
}

fn cast_type(expr: &Expr) -> Option<&DataType> {
    match expr {
        Expr::Cast(Cast { field, .. }) | Expr::TryCast(TryCast { field, .. }) => Some(field.data_type()),
        _ => None,
    }
}

/// The marked column that `expr` casts to text.
fn cast_to_text<'e>(expr: &'e Expr, schema: &DFSchema) -> Option<&'e Column> {
    let (Expr::Cast(Cast { expr: inner, field }) | Expr::TryCast(TryCast { expr: inner, field })) = expr else { return None };
    let Expr::Column(column) = inner.as_ref() else { return None };
    let read = schema.qualified_field_from_column(column).ok()?.1;
    (field.data_type().is_string() && !read.data_type().is_string() && read.metadata().contains_key(OWN_TEXT.0)).then_some(column)
}

/// `plan` with one more column: the own text of `column`. `None` if the column is made by an expression, which is what its author says it is.
///
/// # Errors
/// The text is lost on the way.
fn carry(plan: &LogicalPlan, column: &Column, names: &mut Names) -> Result<Option<(LogicalPlan, Column)>> {
    let at = plan.schema().index_of_column(column)?;
    Ok(match plan {
        LogicalPlan::TableScan(scan) => Some(scanned(scan, column, names)?),
        LogicalPlan::SubqueryAlias(SubqueryAlias { input, alias, .. }) => {
            let inner = Column::from(input.schema().qualified_field(at));
            carry(input, &inner, names)?
                .map(|(input, text)| {
                    let aliased = LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(Arc::new(input), alias.clone())?);
                    Ok::<_, datafusion::error::DataFusionError>((aliased, Column::new(Some(alias.clone()), text.name)))
                })
                .transpose()?
        }
        LogicalPlan::Projection(Projection { expr, input, .. }) => {
            let Expr::Column(inner) = expr[at].clone().unalias_nested().data else { return Ok(None) };
            carry(input, &inner, names)?
                .map(|(input, text)| {
                    let exprs = expr.iter().cloned().chain([Expr::Column(text.clone())]).collect();
                    Ok::<_, datafusion::error::DataFusionError>((
                        LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(input))?),
                        text,
                    ))
                })
                .transpose()?
        }
        LogicalPlan::Aggregate(Aggregate { input, group_expr, aggr_expr, .. }) => {
            let Some(Expr::Column(inner)) = group_expr.get(at) else { return lost(plan, column) };
            carry(input, inner, names)?
                .map(|(input, text)| {
                    let groups = group_expr.iter().cloned().chain([Expr::Column(text.clone())]).collect();
                    let grouped = Aggregate::try_new(Arc::new(input), groups, aggr_expr.clone())?;
                    Ok::<_, datafusion::error::DataFusionError>((LogicalPlan::Aggregate(grouped), text))
                })
                .transpose()?
        }
        LogicalPlan::Union(Union { inputs, .. }) => Some(united(inputs, at, column, names)?),
        LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Repartition(_)
        | LogicalPlan::Window(_)
        | LogicalPlan::Distinct(Distinct::All(_))
        | LogicalPlan::Join(_) => {
            let mut inputs: Vec<LogicalPlan> = plan.inputs().into_iter().cloned().collect();
            let Some(input) = inputs.iter_mut().find(|input| input.schema().maybe_index_of_column(column).is_some()) else {
                return lost(plan, column);
            };
            match carry(input, column, names)? {
                Some((carried, text)) => {
                    *input = carried;
                    Some((plan.with_new_exprs(plan.expressions(), inputs)?, text))
                }
                None => None,
            }
        }
        _ => return lost(plan, column),
    })
}

fn scanned(scan: &TableScan, column: &Column, names: &mut Names) -> Result<(LogicalPlan, Column)> {
    let text = names.next(&column.name);
    let provider = source_as_provider(&scan.source)?;
    let table = provider.downcast_ref::<TextTable>().and_then(|table| table.with_text(&column.name, text.clone()));
    let Some(table) = table else { return lost(&LogicalPlan::TableScan(scan.clone()), column) };
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

fn lost<T>(plan: &LogicalPlan, column: &Column) -> Result<T> {
    let node = plan.display().to_string();
    let node = node.split(':').next().unwrap_or_default();
    let name = &column.name;
    plan_err!(
        "\"{name}\" comes from text of a file, which is needed as it was written, and behind {node} it is known as a value alone; cast it where \
         the file is read, as in FROM (SELECT CAST(\"{name}\" AS VARCHAR) AS \"{name}\" FROM …), or SET clevertap.csv_types = 'text'"
    )
}
