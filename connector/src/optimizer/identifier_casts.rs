//! Casts numbers that are compared with identifiers to text.
//!
//! In: a plan before DataFusion's type coercion, which would cast the identifiers to numbers and fail at the first one that is not a
//! number. Out: the same plan, with a cast to text around each number that is compared with an identifier of ours. A float or a
//! decimal that is whole is cast as a whole number. A date or timestamp has no text form that an identifier could equal, so comparing one is an
//! error, unless it is a column of a text file:
//! that is cast too, also where it becomes an identifier, and whoever reads the file gives the cells' own characters ([`crate::own_text`]). An identifier that the author has cast
//! himself is compared as that: `identity::bigint = 123` is true of `0123`.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, ExprSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::functions::regex::expr_fn::regexp_replace;
use datafusion::logical_expr::expr::{InList, InSubquery};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    Between, BinaryExpr, DmlStatement, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Subquery, WriteOp, cast, lit,
};
use datafusion::optimizer::AnalyzerRule;

use crate::dml::rewrite::target_of;
use crate::error::Error;
use crate::own_text::written;
use crate::table::{IDENTIFIER, Kind, Shape};

#[derive(Debug)]
pub(crate) struct CoerceIdentifiers;

impl AnalyzerRule for CoerceIdentifiers {
    fn name(&self) -> &'static str {
        "clevertap_coerce_identifiers"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let rewritten = plan.transform_up_with_subqueries(|plan| {
            if let LogicalPlan::Dml(dml) = &plan
                && let Some(cast) = inserted(dml)?
            {
                return Ok(Transformed::yes(cast));
            }
            let schema = input_schema(&plan);
            if !plan.contains_outer_reference() && !schema.fields().iter().any(|field| has_identifier_mark(field.metadata())) {
                return Ok(Transformed::no(plan));
            }
            let inputs: Vec<LogicalPlan> = plan.inputs().into_iter().cloned().collect();
            let inputs: Vec<&LogicalPlan> = inputs.iter().collect();
            let scope = Scope { schema: &schema, inputs: &inputs };
            match plan {
                LogicalPlan::Join(mut join) => {
                    let mut changed = false;
                    for (left, right) in &mut join.on {
                        if let Some(pair) = coerce(left, right, &scope)? {
                            (*left, *right) = pair;
                            changed = true;
                        }
                    }
                    if let Some(filter) = join.filter.take() {
                        let filter = rewrite(filter, &scope)?;
                        changed |= filter.transformed;
                        join.filter = Some(filter.data);
                    }
                    Ok(if changed { Transformed::yes(LogicalPlan::Join(join)) } else { Transformed::no(LogicalPlan::Join(join)) })
                }
                plan => {
                    // Nodes above refer to an expression by its name.
                    let names = NamePreserver::new(&plan);
                    plan.map_expressions(|expr| {
                        let name = names.save(&expr);
                        Ok(rewrite(expr, &scope)?.update_data(|expr| name.restore(expr)))
                    })
                }
            }
        })?;
        if rewritten.transformed { rewritten.data.recompute_schema() } else { Ok(rewritten.data) }
    }
}

/// The columns that the expressions of a node can refer to.
pub(crate) fn input_schema(plan: &LogicalPlan) -> DFSchema {
    let mut schema = DFSchema::empty();
    plan.inputs().into_iter().for_each(|input| schema.merge(input.schema()));
    schema
}

fn has_identifier_mark(metadata: &std::collections::HashMap<String, String>) -> bool {
    metadata.get(IDENTIFIER.0).is_some_and(|value| value == IDENTIFIER.1)
}

/// What the expressions of a node can refer to.
struct Scope<'s> {
    schema: &'s DFSchema,
    inputs: &'s [&'s LogicalPlan],
}

fn rewrite(expr: Expr, scope: &Scope<'_>) -> Result<Transformed<Expr>> {
    expr.transform_up(|expr| match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if op.supports_propagation() => Ok(match coerce(&left, &right, scope)? {
            Some((left, right)) => Transformed::yes(Expr::BinaryExpr(BinaryExpr { left: left.into(), op, right: right.into() })),
            None => Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })),
        }),
        Expr::InList(InList { expr, list, negated }) => {
            let pairs = list.iter().map(|item| coerce(&expr, item, scope)).collect::<Result<Vec<_>>>()?;
            if pairs.iter().all(Option::is_none) {
                return Ok(Transformed::no(Expr::InList(InList { expr, list, negated })));
            }
            let column = pairs.iter().flatten().map(|(column, _)| column.clone()).next().map_or(expr, Box::new);
            let list = list.into_iter().zip(pairs).map(|(item, pair)| pair.map_or(item, |(_, item)| item)).collect();
            Ok(Transformed::yes(Expr::InList(InList { expr: column, list, negated })))
        }
        Expr::Between(Between { expr, negated, low, high }) => Ok(match (coerce(&expr, &low, scope)?, coerce(&expr, &high, scope)?) {
            (Some((column, low)), Some((_, high))) => {
                Transformed::yes(Expr::Between(Between { expr: column.into(), negated, low: low.into(), high: high.into() }))
            }
            _ => Transformed::no(Expr::Between(Between { expr, negated, low, high })),
        }),
        Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
            let inner = Arc::clone(&subquery.subquery);
            let Some(column) = inner.schema().columns().into_iter().next() else {
                return Ok(Transformed::no(Expr::InSubquery(InSubquery { expr, subquery, negated })));
            };
            let output = Expr::Column(column);
            let Some((column, output)) = coerce_with(&expr, &output, scope, &Scope { schema: inner.schema(), inputs: &[&inner] })? else {
                return Ok(Transformed::no(Expr::InSubquery(InSubquery { expr, subquery, negated })));
            };
            let subquery = of_one_column(&subquery, output)?;
            Ok(Transformed::yes(Expr::InSubquery(InSubquery { expr: column.into(), subquery, negated })))
        }
        expr => Ok(Transformed::no(expr)),
    })
}

/// Both sides of a comparison as text, if one is an identifier and the other a number. `None` if nothing changes.
fn coerce(left: &Expr, right: &Expr, scope: &Scope<'_>) -> Result<Option<(Expr, Expr)>> {
    coerce_with(left, right, scope, scope)
}

fn coerce_with(left: &Expr, right: &Expr, scope: &Scope<'_>, of_right: &Scope<'_>) -> Result<Option<(Expr, Expr)>> {
    if let Some(name) = identifier(left, scope.schema) {
        return Ok(as_text(right, of_right, &name)?.map(|right| (left.clone(), right)));
    }
    if let Some(name) = identifier(right, of_right.schema) {
        return Ok(as_text(left, scope, &name)?.map(|left| (left, right.clone())));
    }
    Ok(None)
}

/// The column name, if `expr` is an identifier column. Under a cast it is what the author has made of it.
fn identifier(expr: &Expr, schema: &DFSchema) -> Option<String> {
    let (field, column) = match expr {
        Expr::Column(column) => (schema.field_from_column(column).ok()?, column),
        // Of the statement around a subquery.
        Expr::OuterReferenceColumn(field, column) => (field, column),
        _ => return None,
    };
    has_identifier_mark(field.metadata()).then(|| column.name.clone())
}

/// A whole number without its point, as an INSERT writes it; another number as it is shown, which identifies nobody.
fn whole_as_text(number: &Expr, data_type: &DataType) -> Expr {
    // Of so many digits a float has each whole number.
    let digits = match data_type {
        DataType::Float16 => "{1,3}",
        DataType::Float32 => "{1,7}",
        DataType::Float64 => "{1,15}",
        _ => "+",
    };
    let shown = cast(number.clone(), DataType::Utf8View);
    regexp_replace(shown, lit(format!(r"^(-?\d{digits})\.0*$")), lit("$1"), None)
}

/// Whether it is a constant that is no whole number.
fn is_a_fraction(expr: &Expr) -> bool {
    let Expr::Literal(value, _) = expr else { return false };
    matches!(value.cast_to(&DataType::Float64), Ok(ScalarValue::Float64(Some(number))) if number.fract() != 0.0)
}

/// Whether its value is that of a column of a text file, which was read as another type and may be written in another way.
fn is_written(expr: &Expr, inputs: &[&LogicalPlan]) -> bool {
    written(expr, inputs).is_some_and(|written| written.differs)
}

/// A subquery with an expression of its column.
fn of_one_column(subquery: &Subquery, output: Expr) -> Result<Subquery> {
    let plan = LogicalPlanBuilder::from(subquery.subquery.as_ref().clone()).project([output])?.build()?;
    Ok(Subquery { subquery: Arc::new(plan), ..subquery.clone() })
}

/// What becomes an identifier or a field of text (`name`, `phone`) by an INSERT, as text, if it was read from text of a file: `True` and `1.50`
/// are names as they stand there.
fn inserted(dml: &DmlStatement) -> Result<Option<LogicalPlan>> {
    let (Some(table), WriteOp::Insert(_)) = (target_of(dml), &dml.op) else { return Ok(None) };
    let schema = dml.input.schema();
    let is_cast = |column: &Column| {
        let is_of_text = table.relation.table.column_like(&column.name).is_some_and(|column| match column.target.shape() {
            Some(Shape::Identifier | Shape::Identity | Shape::EventName) => true,
            Some(Shape::Value) => column.kind == Kind::Text,
            _ => false,
        });
        let is_text = schema.field_from_column(column).is_ok_and(|field| field.data_type().is_string());
        is_of_text && !is_text && is_written(&Expr::Column(column.clone()), &[&dml.input])
    };
    let columns = schema.columns();
    if !columns.iter().any(is_cast) {
        return Ok(None);
    }
    let exprs = columns.iter().map(|column| match is_cast(column) {
        true => cast(Expr::Column(column.clone()), DataType::Utf8View).alias(column.name()),
        false => Expr::Column(column.clone()),
    });
    let input = LogicalPlanBuilder::from(dml.input.as_ref().clone()).project(exprs)?.build()?;
    Ok(Some(LogicalPlan::Dml(DmlStatement { input: Arc::new(input), ..dml.clone() })))
}

/// Casts a number to text. `None` if the expression is none.
fn as_text(other: &Expr, scope: &Scope<'_>, name: &str) -> Result<Option<Expr>> {
    let data_type = match other.get_type(scope.schema) {
        Ok(DataType::Dictionary(_, value)) => *value,
        Ok(data_type) => data_type,
        // A placeholder without a type yet.
        Err(_) => return Ok(None),
    };
    match data_type {
        kind if kind.is_integer() => Ok(Some(cast(other.clone(), DataType::Utf8View))),
        DataType::Null => Ok(None),
        kind if !kind.is_string() && is_written(other, scope.inputs) => Ok(Some(cast(other.clone(), DataType::Utf8View))),
        kind if (kind.is_floating() || kind.is_decimal()) && !is_a_fraction(other) => Ok(Some(whole_as_text(other, &kind))),
        kind if kind.is_floating() || kind.is_decimal() || kind.is_temporal() => Err(Error::Filter(format!(
            "\"{name}\" identifies, so it is text, and is compared with a {kind}; compare it with text or whole numbers: CAST(… AS VARCHAR) \
             if that is its text"
        ))
        .into()),
        _ => Ok(None),
    }
}
