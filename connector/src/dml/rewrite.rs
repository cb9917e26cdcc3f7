//! The rule that stands between DataFusion's plan of a statement that changes something and our tables.
//!
//! In: the plan of an INSERT, whose planner has renamed the source's columns to ours, by position, and padded the unlisted ones
//! with NULL. Out: the same without the padding, or an error where a name was changed that nobody listed.
//!
//! In: the plan of an UPDATE or a DELETE. Out: an INSERT of the people whom its WHERE clause means, since DataFusion would hand a
//! provider a DELETE without its subquery, its LIMIT or its `1=0` (apache/datafusion#24654): none gets that far.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::datasource::{DefaultTableSource, provider_as_source};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::expr::Alias;
use datafusion::logical_expr::{
    Cast, DmlStatement, Expr, ExprSchemable, Limit, LogicalPlan, LogicalPlanBuilder, TableSource, Values, WriteOp,
};
use datafusion::optimizer::AnalyzerRule;

use super::keys::{People, Purpose, is_optimized, people, scanned_profiles, unnamed};
use crate::catalog::{ClevertapTable, ColumnMatching};
use crate::error::Error;
use crate::relation::Relation;
use crate::table::Shape;
use crate::tables;
use crate::write::job::{Operation, WriteStatement};

#[derive(Debug)]
pub(crate) struct RewriteDml;

/// Our table, if `dml` writes to one.
pub(crate) fn target_of(dml: &DmlStatement) -> Option<&ClevertapTable> {
    (dml.target.as_ref() as &dyn std::any::Any)
        .downcast_ref::<DefaultTableSource>()
        .and_then(|source| source.table_provider.downcast_ref::<ClevertapTable>())
}

impl AnalyzerRule for RewriteDml {
    fn name(&self) -> &'static str {
        "clevertap_rewrite_dml"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up(|plan| {
            let LogicalPlan::Dml(dml) = &plan else { return Ok(Transformed::no(plan)) };
            let Some(table) = target_of(dml) else { return Ok(Transformed::no(plan)) };
            let rewritten = match &dml.op {
                WriteOp::Insert(_) if table.statement.operation == Operation::Update => update_by_name(dml, table)?,
                WriteOp::Insert(_) => {
                    without_padding(dml)?.map(|input| LogicalPlan::Dml(DmlStatement { input: input.into(), ..dml.clone() }))
                }
                WriteOp::Delete => Some(delete(dml, table)?),
                WriteOp::Update => Some(update(dml, table)?),
                other => return Err(refused(table, other)),
            };
            Ok(rewritten.map_or_else(|| Transformed::no(plan), Transformed::yes))
        })
        .map(|transformed| transformed.data)
    }
}

/// An INSERT of `input`.
fn inserted(dml: &DmlStatement, target: Arc<dyn TableSource>, input: LogicalPlan) -> LogicalPlan {
    LogicalPlan::Dml(DmlStatement::new(dml.table_name.clone(), target, WriteOp::Insert(InsertOp::Append), input.into()))
}

/// The same table, for a statement that takes its rows from the people of a WHERE clause.
fn people_target(table: &ClevertapTable, operation: Operation, keys: String) -> ClevertapTable {
    ClevertapTable {
        matching: ColumnMatching::ByName,
        statement: WriteStatement { operation, keys: Some(keys), ..table.statement.clone() },
        ..table.clone()
    }
}

/// DELETE becomes an INSERT of keys into the table that erases.
fn delete(dml: &DmlStatement, table: &ClevertapTable) -> Result<LogicalPlan> {
    if !is_people(table) {
        return Err(not_deleted(table).into());
    }
    let (limit, source) = match dml.input.as_ref() {
        LogicalPlan::Limit(limit) => (Some(limit), limit.input.as_ref()),
        source => (None, source),
    };
    let People { plan, keys } = people_of_where(source, table, Purpose::Erasure, "DELETE FROM")?;
    let plan = match limit {
        Some(limit) => LogicalPlan::Limit(Limit { input: plan.into(), ..limit.clone() }),
        None => plan,
    };
    let known: Vec<Expr> = ["identity", "object_id"]
        .into_iter()
        .filter_map(|name| {
            plan.schema().qualified_fields_with_unqualified_name(name).into_iter().next().map(|found| Expr::Column(found.into()))
        })
        .collect();
    let input = LogicalPlanBuilder::from(plan).project(known)?.build()?;
    let target = people_target(table, Operation::Delete, keys);
    let target = ClevertapTable { relation: Relation { table: tables::deletions(), ..target.relation.clone() }, ..target };
    Ok(inserted(dml, provider_as_source(Arc::new(target)), input))
}

/// A plain UPDATE becomes an INSERT of who is there, with the columns that it assigns.
fn update(dml: &DmlStatement, table: &ClevertapTable) -> Result<LogicalPlan> {
    if !is_people(table) {
        return Err(not_updated(table).into());
    }
    let LogicalPlan::Projection(projection) = dml.input.as_ref() else {
        return Err(DataFusionError::Internal("an UPDATE without its columns".into()));
    };
    let People { plan, keys } = people_of_where(&projection.input, table, Purpose::Change, "UPDATE")?;
    let kept = |expr: &Expr| match expr {
        Expr::Alias(alias) => match alias.expr.as_ref() {
            Expr::Column(column) if column.name == alias.name => is_identifier(table, &alias.name),
            _ => true,
        },
        _ => true,
    };
    let assigned: Vec<Expr> = projection.expr.iter().filter(|expr| kept(expr)).cloned().collect();
    let changed = |expr: &&Expr| !matches!(expr, Expr::Alias(alias) if matches!(alias.expr.as_ref(), Expr::Column(column) if column.name == alias.name));
    for expr in assigned.iter().filter(changed) {
        check_assigned(table, &expr.schema_name().to_string())?;
    }
    if assigned.iter().filter(changed).count() == 0 {
        return Err(Error::Unwritable(format!("UPDATE {} assigns nothing", table.qualified())).into());
    }
    let input = LogicalPlanBuilder::from(plan).project(assigned)?.build()?;
    Ok(inserted(dml, provider_as_source(Arc::new(people_target(table, Operation::Update, keys))), input))
}

/// The error about a DELETE of anything but people.
pub(crate) fn not_deleted(table: &ClevertapTable) -> Error {
    Error::NotAppend(format!("{} is not deleted from: CleverTap deletes people alone, with their events", table.qualified()))
}

/// The error about an UPDATE of anything but people.
pub(crate) fn not_updated(table: &ClevertapTable) -> Error {
    Error::NotAppend(format!("{} is not updated: CleverTap changes people alone; it is appended to with INSERT INTO", table.qualified()))
}

/// The UPDATE of `clevertap_sql`, which has made it an INSERT of a query already: who is there is looked up.
fn update_by_name(dml: &DmlStatement, table: &ClevertapTable) -> Result<Option<LogicalPlan>> {
    let LogicalPlan::Projection(projection) = dml.input.as_ref() else { return Ok(None) };
    let LogicalPlan::Filter(filter) = projection.input.as_ref() else { return Ok(None) };
    if scanned_profiles(&filter.input).is_none() {
        // It has been rewritten before.
        return Ok(None);
    }
    let People { plan, keys } = people_of_where(&projection.input, table, Purpose::Change, "UPDATE")?;
    let input = LogicalPlanBuilder::from(plan).project(projection.expr.clone())?.build()?;
    Ok(Some(inserted(dml, provider_as_source(Arc::new(people_target(table, Operation::Update, keys))), input)))
}

/// The people of a WHERE clause.
fn people_of_where(source: &LogicalPlan, table: &ClevertapTable, purpose: Purpose, statement: &str) -> Result<People> {
    let found = match source {
        LogicalPlan::Filter(filter) => scanned_profiles(&filter.input).map(|found| (filter, found)),
        _ => None,
    };
    let Some((filter, (scanned, name))) = found else {
        if is_optimized(source)? {
            return Err(Error::Filter(format!(
                "{statement} {} was prepared without a parameter, and DataFusion has changed its WHERE clause since; nothing was sent. Run it \
                 without PREPARE, or PREPARE it with one: WHERE identity = $1",
                table.qualified()
            ))
            .into());
        }
        return Err(unnamed(statement, table).into());
    };
    people(&filter.predicate, &filter.input, scanned, name, purpose)
}

/// Whether it is the table of people, by its own name.
pub(crate) fn is_people(table: &ClevertapTable) -> bool {
    std::ptr::eq(table.relation.table, tables::profiles()) && table.matching == ColumnMatching::ByPosition
}

/// Whether the column is one of those that an UPDATE has found the person by.
fn is_identifier(table: &ClevertapTable, column: &str) -> bool {
    table.relation.table.column_like(column).is_some_and(|column| column.target.shape() == Some(Shape::Identifier))
}

/// Refuses to change who somebody is.
pub(crate) fn check_assigned(table: &ClevertapTable, column: &str) -> Result<()> {
    if is_identifier(table, column) {
        return Err(Error::Unwritable(format!(
            "UPDATE {} cannot change \"{column}\", which says whose profile it is; link_identity gives a person one more identity",
            table.qualified()
        ))
        .into());
    }
    Ok(())
}

/// What CleverTap has no call for.
fn refused(table: &ClevertapTable, op: &WriteOp) -> DataFusionError {
    let (qualified, people) = (table.qualified(), table.relation.sibling("profiles"));
    Error::NotAppend(match op {
        WriteOp::Truncate => format!(
            "TRUNCATE {qualified} would take everything, and CleverTap has no call for it: DELETE FROM {people} WHERE … takes people"
        ),
        WriteOp::MergeInto(_) => format!(
            "MERGE INTO {qualified} is not planned: INSERT INTO {people} is an upsert already, and UPDATE changes those who are there"
        ),
        other => format!("{qualified} accepts INSERT INTO, UPDATE and DELETE only, not {}: nothing was sent", other.name().to_uppercase()),
    })
    .into()
}

/// The input without padding, if the planner padded it.
fn without_padding(dml: &DmlStatement) -> Result<Option<LogicalPlan>> {
    let Some(table) = target_of(dml).filter(|table| table.matching != ColumnMatching::ByName) else { return Ok(None) };
    let LogicalPlan::Projection(projection) = dml.input.as_ref() else { return Ok(None) };
    let declared = table.relation.schema.fields();
    let by_planner = projection.expr.len() == declared.len()
        && projection.expr.iter().zip(declared).all(|(expr, field)| matches!(expr, Expr::Alias(alias) if alias.name == *field.name()));
    if !by_planner {
        return Ok(None);
    }
    let kept = projection.expr.iter().filter(|expr| !is_padding(expr));
    // The planner has cast each column to the type with which it is read; a column is written by its own type.
    let is_ours = table.matching == ColumnMatching::ByPosition;
    let kept: Vec<Expr> = kept.map(|expr| if is_ours { own_type(expr) } else { expr.clone() }).collect();
    let written = || LogicalPlanBuilder::from(projection.input.as_ref().clone()).project(kept.clone())?.build().map(Some);
    if is_ours && let LogicalPlan::Values(values) = projection.input.as_ref() {
        check_values(values, &kept, table)?;
    }
    if kept.len() < declared.len() {
        return written();
    }
    let renamed = projection.expr.iter().find_map(|expr| match expr {
        Expr::Alias(Alias { expr, name, .. }) => match uncast(expr) {
            Expr::Column(column) if column.name != *name => Some((column.name.clone(), name.clone())),
            _ => None,
        },
        _ => None,
    });
    match renamed {
        Some((source, target)) if table.matching == ColumnMatching::ByPosition => Err(Error::Unwritable(format!(
            "{}: column \"{source}\" would be written as \"{target}\", because it stands in its place; match columns by name with \
             clevertap_sql, COPY … STORED AS CLEVERTAP or DataFrame::write_table, or list the columns after the table's name",
            table.qualified()
        ))
        .into()),
        _ if is_ours => {
            if kept == projection.expr {
                Ok(None)
            } else {
                written()
            }
        }
        _ => Ok(None),
    }
}

/// A column of the source under its new name, without the planner's cast.
fn own_type(expr: &Expr) -> Expr {
    match expr {
        Expr::Alias(alias) => match alias.expr.as_ref() {
            Expr::Cast(Cast { expr, .. }) if matches!(expr.as_ref(), Expr::Column(_)) => expr.as_ref().clone().alias(&alias.name),
            _ => expr.clone(),
        },
        expr => expr.clone(),
    }
}

/// Refuses VALUES that the planner has made other values of: it casts them to the types of the columns themselves.
fn check_values(values: &Values, columns: &[Expr], table: &ClevertapTable) -> Result<()> {
    for (at, value) in values.values.iter().flat_map(|row| row.iter().enumerate()) {
        let Expr::Cast(Cast { expr, field }) = value else { continue };
        let (was, is) = (expr.get_type(&DFSchema::empty())?, field.data_type());
        let found = columns.iter().find_map(|column| match column {
            Expr::Alias(alias) if matches!(alias.expr.as_ref(), Expr::Column(column) if column.name == *values.schema.field(at).name()) => {
                Some(&alias.name)
            }
            _ => None,
        });
        let Some(name) = found else { continue };
        let no_whole = was.is_floating() || was.is_decimal();
        let is_lost = match is {
            DataType::Timestamp(_, Some(_)) => matches!(was, DataType::Timestamp(_, None) | DataType::Date32 | DataType::Date64),
            is if is.is_integer() => no_whole,
            _ => is_identifier(table, name) && (no_whole || was.is_temporal()),
        };
        if is_lost {
            return Err(Error::Unwritable(format!(
                "{}: a value of \"{name}\" is a {was}, which VALUES in a plain ctx.sql would make a {is} of; write it by clevertap_sql, or as \
                 what is meant",
                table.qualified()
            ))
            .into());
        }
    }
    Ok(())
}

/// `CAST(NULL AS …) AS name`: a column that the statement did not list.
fn is_padding(expr: &Expr) -> bool {
    matches!(expr, Expr::Alias(alias) if matches!(uncast(&alias.expr), Expr::Literal(value, _) if value.is_null()))
}

fn uncast(expr: &Expr) -> &Expr {
    match expr {
        Expr::Cast(Cast { expr, .. }) => uncast(expr),
        expr => expr,
    }
}
