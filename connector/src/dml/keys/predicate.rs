//! Whom a predicate names: a column, keys that hold everybody who can be meant, and what of the predicate is left to be checked.
//!
//! In: an expression over `clevertap.profiles`. Out: [`KeyPredicate`], or nothing where it does not name people. For each row that the
//! predicate takes, its key is among the keys and the rest takes it too, and the other way round: checked against DataFusion's own
//! answer in `tests/it/erase/random.rs`.

use std::collections::HashSet;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Column, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::utils::{conjunction, split_conjunction};
use datafusion::logical_expr::{BinaryExpr, Cast, Expr, LogicalPlan, LogicalPlanBuilder, Operator, Subquery, cast, col, lit};

use crate::error::Error;
use crate::read::pushdown::keys::literal_text;

/// Whom a predicate names.
#[derive(Debug)]
pub(super) struct KeyPredicate {
    /// The column whose values the keys are.
    pub(super) column: &'static str,
    pub(super) keys: KeySource,
    /// What must hold besides.
    pub(super) rest: Option<Expr>,
}

/// Values of a column.
#[derive(Debug)]
pub(super) enum KeySource {
    /// In the statement itself, each once.
    Listed(Vec<String>),
    /// The one column of a query that does not depend on the row.
    Queried(LogicalPlan),
}

/// Whom `predicate` names by one of `columns`.
pub(super) fn key_predicate(predicate: &Expr, columns: &[&'static str]) -> Option<KeyPredicate> {
    let listed = |column, keys: Vec<String>| {
        let mut seen = HashSet::new();
        let keys = keys.into_iter().filter(|key| seen.insert(key.clone())).collect();
        Some(KeyPredicate { column, keys: KeySource::Listed(keys), rest: None })
    };
    match predicate {
        Expr::Literal(ScalarValue::Boolean(None | Some(false)) | ScalarValue::Null, _) => listed(columns.first()?, Vec::new()),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            let (chosen, other) = match (key_predicate(left, columns), key_predicate(right, columns)) {
                (Some(left_named), Some(right_named)) => {
                    if rank(&left_named, columns) <= rank(&right_named, columns) {
                        (left_named, right)
                    } else {
                        (right_named, left)
                    }
                }
                (Some(chosen), None) => (chosen, right),
                (None, Some(chosen)) => (chosen, left),
                (None, None) => return None,
            };
            let rest = conjunction(chosen.rest.into_iter().chain([other.as_ref().clone()]));
            Some(KeyPredicate { rest, ..chosen })
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            let (left, right) = (key_predicate(left, columns)?, key_predicate(right, columns)?);
            // A side that names nobody goes with either column.
            let nobody = |named: &KeyPredicate| matches!(&named.keys, KeySource::Listed(keys) if keys.is_empty());
            if nobody(&left) || nobody(&right) {
                return Some(if nobody(&left) { right } else { left });
            }
            if left.column != right.column {
                return None;
            }
            let rest = (left.rest.is_some() || right.rest.is_some()).then(|| predicate.clone());
            match (left.keys, right.keys) {
                (KeySource::Listed(mut keys), KeySource::Listed(more)) => {
                    keys.extend(more);
                    Some(KeyPredicate { rest, ..listed(left.column, keys)? })
                }
                (keys, more) => {
                    let both = LogicalPlanBuilder::from(queried(keys)?).union(queried(more)?).ok()?.build().ok()?;
                    Some(KeyPredicate { column: left.column, keys: KeySource::Queried(both), rest })
                }
            }
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            let (column, value) = match (key(left, columns), key(right, columns)) {
                (Some(column), None) => (column, right),
                (None, Some(column)) => (column, left),
                _ => return None,
            };
            match value.as_ref() {
                Expr::ScalarSubquery(subquery) if subquery.outer_ref_columns.is_empty() => Some(KeyPredicate {
                    column,
                    keys: KeySource::Queried(subquery.subquery.as_ref().clone()),
                    rest: Some(predicate.clone()),
                }),
                value => listed(column, literal_text(value)?.into_iter().collect()),
            }
        }
        Expr::InList(list) if !list.negated => {
            let column = key(&list.expr, columns)?;
            let values = list.list.iter().map(literal_text).collect::<Option<Vec<_>>>()?;
            listed(column, values.into_iter().flatten().collect())
        }
        Expr::InSubquery(InSubquery { expr, subquery, negated: false }) if subquery.outer_ref_columns.is_empty() => {
            Some(KeyPredicate { column: key(expr, columns)?, keys: KeySource::Queried(subquery.subquery.as_ref().clone()), rest: None })
        }
        Expr::Exists(Exists { subquery, negated: false }) => {
            let (column, plan, whole) = correlated(&subquery.subquery, columns)?;
            Some(KeyPredicate { column, keys: KeySource::Queried(plan), rest: (!whole).then(|| predicate.clone()) })
        }
        _ => None,
    }
}

/// Which of two ways to name people is taken: keys in the statement before a query, and the order of `columns`.
fn rank(named: &KeyPredicate, columns: &[&str]) -> (bool, Option<usize>) {
    (matches!(named.keys, KeySource::Queried(_)), columns.iter().position(|column| *column == named.column))
}

/// Keys as a query of one column of text.
fn queried(keys: KeySource) -> Option<LogicalPlan> {
    match keys {
        KeySource::Queried(plan) => {
            let key = key_column(&plan, "identity").ok()?.alias("key");
            LogicalPlanBuilder::from(plan).project([key]).ok()?.build().ok()
        }
        KeySource::Listed(keys) => {
            let rows = keys.into_iter().map(|key| vec![lit(ScalarValue::Utf8View(Some(key)))]).collect();
            LogicalPlanBuilder::values(rows).ok()?.project([col("column1").alias("key")]).ok()?.build().ok()
        }
    }
}

/// Of `EXISTS (SELECT … FROM t WHERE t.x = identity AND …)`: the column, the query of `x`, and whether that says all.
fn correlated(subquery: &LogicalPlan, columns: &[&'static str]) -> Option<(&'static str, LogicalPlan, bool)> {
    match subquery {
        LogicalPlan::Projection(inner) => correlated(&inner.input, columns),
        LogicalPlan::Distinct(inner) => correlated(inner.input(), columns),
        LogicalPlan::Sort(inner) if inner.fetch.is_none() => correlated(&inner.input, columns),
        LogicalPlan::Filter(filter) if filter.input.all_out_ref_exprs().is_empty() => {
            let conjuncts = split_conjunction(&filter.predicate);
            let equal = |conjunct: &Expr| {
                let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = conjunct else { return None };
                match (outer_key(left, columns), outer_key(right, columns)) {
                    (Some(column), None) if !has_outer(right) => Some((column, right.as_ref().clone())),
                    (None, Some(column)) if !has_outer(left) => Some((column, left.as_ref().clone())),
                    _ => None,
                }
            };
            let (at, (column, key)) = conjuncts.iter().enumerate().find_map(|(at, conjunct)| Some((at, equal(conjunct)?)))?;
            let others = conjuncts.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, conjunct)| *conjunct);
            let (inner, outer): (Vec<&Expr>, Vec<&Expr>) = others.partition(|conjunct| !has_outer(conjunct));
            let input = LogicalPlanBuilder::from(filter.input.as_ref().clone());
            let input = match conjunction(inner.into_iter().cloned()) {
                Some(rest) => input.filter(rest).ok()?,
                None => input,
            };
            Some((column, input.project([key]).ok()?.build().ok()?, outer.is_empty()))
        }
        _ => None,
    }
}

/// Whether an expression depends on the row outside, in its subqueries too; where that cannot be told, it does.
fn has_outer(expr: &Expr) -> bool {
    let mut found = false;
    let walked: Result<_> = datafusion::common::tree_node::TreeNode::apply(expr, |expr| {
        found |= matches!(expr, Expr::OuterReferenceColumn(..));
        found |= subquery_of(expr).is_some_and(|subquery| !subquery.outer_ref_columns.is_empty());
        Ok(TreeNodeRecursion::Continue)
    });
    found || walked.is_err()
}

/// The subquery that an expression is over.
pub(super) fn subquery_of(expr: &Expr) -> Option<&Subquery> {
    match expr {
        Expr::Exists(exists) => Some(&exists.subquery),
        Expr::InSubquery(inside) => Some(&inside.subquery),
        Expr::ScalarSubquery(subquery) => Some(subquery),
        Expr::SetComparison(comparison) => Some(&comparison.subquery),
        _ => None,
    }
}

/// A key column, also under a cast to another text; one to a number is the author's, and means numbers.
fn key(expr: &Expr, columns: &[&'static str]) -> Option<&'static str> {
    match expr {
        Expr::Column(column) => columns.iter().find(|name| **name == column.name).copied(),
        Expr::Cast(Cast { expr, field }) if field.data_type().is_string() => key(expr, columns),
        _ => None,
    }
}

/// A key column of the row outside.
fn outer_key(expr: &Expr, columns: &[&'static str]) -> Option<&'static str> {
    match expr {
        Expr::OuterReferenceColumn(_, column) => columns.iter().find(|name| **name == column.name).copied(),
        Expr::Cast(Cast { expr, field }) if field.data_type().is_string() => outer_key(expr, columns),
        _ => None,
    }
}

/// The one column of a subquery as a key: text, or a whole number with its digits.
pub(super) fn key_column(plan: &LogicalPlan, column: &str) -> Result<Expr> {
    let (qualifier, field) = plan.schema().qualified_field(0);
    let data_type = field.data_type();
    let text_or_integer = |data_type: &DataType| data_type.is_string() || data_type.is_integer() || data_type.is_null();
    let fits = match data_type {
        DataType::Dictionary(_, values) => text_or_integer(values),
        other => text_or_integer(other),
    };
    if !fits {
        return Err(Error::Filter(format!(
            "\"{column}\" is compared with a subquery of type {data_type}; an identifier is text or a whole number"
        ))
        .into());
    }
    Ok(cast(Expr::Column(Column::from((qualifier, field))), DataType::Utf8View))
}
