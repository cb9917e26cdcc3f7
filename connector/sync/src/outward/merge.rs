//! An upsert of a Delta table: the last row of each key is merged into it.
//!
//! In: rows, numbered. Out: a MERGE. A row that is the same is not changed, and a file without a changed row is not written again; the keys of all
//! files are read.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::Column;
use datafusion::datasource::provider_as_source;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::SessionState;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{Expr, ExprFunctionExt, LogicalPlanBuilder, Operator, binary_expr};
use datafusion::prelude::{DataFrame, ident, lit};
use deltalake_core::kernel::EagerSnapshot;
use deltalake_core::kernel::transaction::CommitProperties;
use deltalake_core::logstore::LogStoreRef;
use deltalake_core::operations::merge::MergeBuilder;
use deltalake_core::{DeltaResult, DeltaTableError};

use super::spool::NUMBER;
use super::target::Write;

const SOURCE: &str = "source";
const TARGET: &str = "target";
const RANK: &str = "__clevertap_rank";

/// What a merge has done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Merged {
    pub(super) inserted: u64,
    pub(super) updated: u64,
}

/// The last row of each key.
fn last_of_each_key(write: &Write<'_>, session: &SessionState) -> DataFusionResult<DataFrame> {
    let rows = LogicalPlanBuilder::scan("rows", provider_as_source(write.rows.numbered_table()?), None)?.build()?;
    let keys = write.query.definition.key.iter().map(ident).collect();
    let rank = row_number().partition_by(keys).order_by(vec![ident(NUMBER).sort(false, false)]).build()?;
    DataFrame::new(session.clone(), rows)
        .window(vec![rank.alias(RANK)])?
        .filter(ident(RANK).eq(lit(1_u64)))?
        .select(write.rows.schema().fields().iter().map(|field| ident(field.name())).collect::<Vec<_>>())
}

/// Merges the rows, as one commit.
pub(super) async fn merge(
    write: &Write<'_>,
    snapshot: EagerSnapshot,
    log: LogStoreRef,
    session: SessionState,
    commit: CommitProperties,
    adds_columns: bool,
) -> DeltaResult<Merged> {
    let (schema, key): (&SchemaRef, _) = (write.rows.schema(), &write.query.definition.key);
    let of = |table: &str, name: &str| Expr::Column(Column::new(Some(table), name));
    let there = snapshot.schema();
    let equal = |name: &String| of(TARGET, name).eq(of(SOURCE, name));
    let same_key = key.iter().map(equal).reduce(Expr::and).unwrap_or_else(|| lit(false));
    let source = last_of_each_key(write, &session)?;
    let others: Vec<_> = schema.fields().iter().filter(|field| !key.contains(field.name())).collect();
    // A column that the table does not have yet is NULL there. Maps are not compared: such a row counts as changed.
    let is_compared = others.iter().all(|field| !matches!(field.data_type(), DataType::Map(..)));
    let differs = |name: &str| match there.field(name) {
        Some(_) => binary_expr(of(TARGET, name), Operator::IsDistinctFrom, of(SOURCE, name)),
        None => of(SOURCE, name).is_not_null(),
    };
    let changed = others.iter().map(|field| differs(field.name())).reduce(Expr::or).filter(|_| is_compared);
    let mut merge = MergeBuilder::new(log, Some(snapshot.clone()), same_key, source)
        .with_source_alias(SOURCE)
        .with_target_alias(TARGET)
        .with_merge_schema(adds_columns)
        // What the rows say of the files that they may be in is learnt while they are read.
        .with_streaming(true)
        .with_commit_properties(commit)
        .with_session_state(Arc::new(session));
    if !others.is_empty() {
        merge = merge.when_matched_update(|update| {
            let update = if let Some(changed) = changed { update.predicate(changed) } else { update };
            others.iter().fold(update, |update, field| update.update(Column::from_name(field.name()), of(SOURCE, field.name())))
        })?;
    }
    merge = merge.when_not_matched_insert(|insert| {
        schema.fields().iter().fold(insert, |insert, field| insert.set(Column::from_name(field.name()), of(SOURCE, field.name())))
    })?;
    let (_, metrics) = merge.await?;
    let count = |count: usize| u64::try_from(count).map_err(|error| DeltaTableError::generic(error.to_string()));
    Ok(Merged { inserted: count(metrics.num_target_rows_inserted)?, updated: count(metrics.num_target_rows_updated)? })
}
