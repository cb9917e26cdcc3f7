//! Whom an UPDATE or a DELETE means: the plan of its WHERE clause, with CleverTap's table of people taken out of it.
//!
//! In: a filter over a scan of `clevertap.profiles`, as the planner made it. Out: a plan of the same people, and where their keys
//! come from. CleverTap cannot be asked for all people, so a WHERE clause has to name them:
//!
//! - where it speaks of `identity` or `object_id` alone, a DELETE takes the keys from the statement itself (literals, a subquery)
//!   and applies the rest of the clause to them; nothing is asked of CleverTap (`predicate`);
//! - else the keys that it names are looked up, one request each, and the rest is applied to who is there (`lookup_table`);
//! - where it names nobody, a DELETE is refused: who is erased has to be named. An UPDATE reads the table as a SELECT would, which mostly is
//!   an error that tells the missing filter.
//!
//! What is left of the clause stays a filter of DataFusion's: subqueries, NULL and LIMIT mean what they mean in a SELECT.

mod lookup_table;
mod predicate;

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, ScalarValue, TableReference};
use datafusion::datasource::{DefaultTableSource, provider_as_source};
use datafusion::error::Result;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, col, lit};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;

use crate::catalog::{ClevertapTable, ColumnMatching};
use crate::error::Error;
use crate::tables;
use lookup_table::LookupTable;
use predicate::{KeyPredicate, KeySource, key_column, key_predicate, subquery_of};

/// What the people are wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// They are erased: keys alone are enough, and one that nobody has does no harm.
    Erasure,
    /// They are changed: whoever is not there must not be made.
    Change,
}

/// People, and where their keys come from.
#[derive(Debug)]
pub(crate) struct People {
    pub(crate) plan: LogicalPlan,
    /// For EXPLAIN; without a key in it.
    pub(crate) keys: String,
}

/// Whether DataFusion has moved conditions into a scan of people: PREPARE optimizes a statement without parameters before our rules see it.
pub(crate) fn is_optimized(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|node| Ok(matches!(node, LogicalPlan::TableScan(scan) if !scan.filters.is_empty())))
}

/// The table of people behind a scan, itself or under an alias, with the name that its columns have.
pub(crate) fn scanned_profiles(plan: &LogicalPlan) -> Option<(&ClevertapTable, &TableReference)> {
    match plan {
        LogicalPlan::SubqueryAlias(alias) => scanned_profiles(&alias.input).map(|(table, _)| (table, &alias.alias)),
        LogicalPlan::TableScan(scan) if scan.filters.is_empty() && scan.fetch.is_none() => {
            let source = (scan.source.as_ref() as &dyn std::any::Any).downcast_ref::<DefaultTableSource>()?;
            let table = source.table_provider.downcast_ref::<ClevertapTable>()?;
            (std::ptr::eq(table.relation.table, tables::profiles()) && table.matching == ColumnMatching::ByPosition)
                .then_some((table, &scan.table_name))
        }
        _ => None,
    }
}

/// The people of `scan` for whom `predicate` holds.
///
/// # Errors
/// [`Error::Filter`] if `identity` is compared with what is no identifier, or if people are to be erased whom it does not name.
pub(crate) fn people(
    predicate: &Expr,
    scan: &LogicalPlan,
    table: &ClevertapTable,
    name: &TableReference,
    purpose: Purpose,
) -> Result<People> {
    let known = ["identity", "object_id", "email"];
    let simple = simplified(predicate, scan);
    let Some(KeyPredicate { column, keys, rest }) = key_predicate(&simple, &known) else {
        if purpose == Purpose::Erasure {
            return Err(unnamed("DELETE FROM", table).into());
        }
        let plan = LogicalPlanBuilder::from(scan.clone()).filter(predicate.clone())?.build()?;
        return Ok(People { plan, keys: format!("read from {}", table.qualified()) });
    };
    let alone = purpose == Purpose::Erasure && column != "email" && speaks_of(predicate, column)?;
    let described = match (&keys, alone) {
        (KeySource::Listed(keys), true) => format!("{} of the statement", keys.len()),
        (KeySource::Queried(_), true) => "of a subquery, not looked up".to_owned(),
        (KeySource::Listed(keys), false) => format!("{} looked up by {column}", keys.len()),
        (KeySource::Queried(_), false) => format!("of a subquery, looked up by {column}"),
    };
    let plan = if alone {
        LogicalPlanBuilder::from(relation(keys, column)?).alias(name.clone())?
    } else {
        let source = LookupTable::new(table.clone(), column, keys)?;
        LogicalPlanBuilder::scan(name.clone(), provider_as_source(Arc::new(source)), None)?
    };
    let plan = match rest {
        Some(rest) => plan.filter(rest)?,
        None => plan,
    };
    Ok(People { plan: plan.build()?, keys: described })
}

/// The error about a WHERE clause that names nobody.
pub(crate) fn unnamed(statement: &str, table: &ClevertapTable) -> Error {
    Error::Filter(format!(
        "{statement} {} needs a WHERE clause that names people, by identity, object_id or email (=, IN, a subquery, EXISTS); nothing was \
         sent. For example: WHERE identity = 'cust-1001', or WHERE identity IN (SELECT user_id FROM 'leavers.csv')",
        table.qualified()
    ))
}

/// The predicate with its constants evaluated, which `1 = 0` and a literal under a cast need; as it was where that fails.
fn simplified(predicate: &Expr, scan: &LogicalPlan) -> Expr {
    let context = SimplifyContext::builder().with_schema(Arc::clone(scan.schema())).build();
    ExprSimplifier::new(context).simplify(predicate.clone()).unwrap_or_else(|_| predicate.clone())
}

/// Whether an expression asks for no column of ours but `column`, in its subqueries too.
fn speaks_of(predicate: &Expr, column: &str) -> Result<bool> {
    let mut alone = true;
    predicate.apply(|expr| {
        if let Expr::Column(found) = expr {
            alone &= found.name == column;
        }
        let ours = |expr: &Expr| matches!(expr, Expr::OuterReferenceColumn(_, found) if found.name == column);
        alone &= subquery_of(expr).is_none_or(|subquery| subquery.outer_ref_columns.iter().all(ours));
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(alone)
}

/// Keys as a relation of one column, each of them once and none NULL.
fn relation(keys: KeySource, column: &str) -> Result<LogicalPlan> {
    let text = |value: Option<String>| lit(ScalarValue::Utf8View(value));
    match keys {
        KeySource::Listed(keys) if keys.is_empty() => {
            let schema = DFSchema::try_from(Schema::new(vec![arrow::datatypes::Field::new(column, DataType::Utf8View, true)]))?;
            Ok(LogicalPlan::EmptyRelation(datafusion::logical_expr::EmptyRelation { produce_one_row: false, schema: Arc::new(schema) }))
        }
        KeySource::Listed(keys) => {
            let rows = keys.into_iter().map(|key| vec![text(Some(key))]).collect();
            LogicalPlanBuilder::values(rows)?.project([col("column1").alias(column)])?.build()
        }
        KeySource::Queried(plan) => {
            let key = key_column(&plan, column)?;
            LogicalPlanBuilder::from(plan)
                .project([key.alias(column)])?
                .filter(col(Column::from_name(column)).is_not_null())?
                .distinct()?
                .build()
        }
    }
}
