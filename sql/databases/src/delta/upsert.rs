//! REPLACE INTO: the last row of each key of the source, merged into the table.
//!
//! In: the rows of the source, numbered. Out: a MERGE. A row that is the same is not changed, and a file without a changed row is not written
//! again.

use arrow::datatypes::DataType;
use datafusion::common::Column;
use datafusion::error::Result;
use datafusion::execution::SessionState;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{Expr, ExprFunctionExt, LogicalPlan, Operator, binary_expr};
use datafusion::prelude::{DataFrame, ident, lit};
use deltalake_core::kernel::EagerSnapshot;
use deltalake_core::kernel::transaction::CommitProperties;
use deltalake_core::logstore::LogStoreRef;
use deltalake_core::operations::merge::MergeBuilder;
use deltalake_core::{DeltaResult, DeltaTable};

use super::spilled::NUMBER;
use crate::write::job::Job;

const SOURCE: &str = "source";
const TARGET: &str = "target";
const RANK: &str = "__clevertap_rank";

/// Why a column cannot be of a key.
pub(super) fn refuse_key(job: &Job) -> Option<String> {
    let column = job.columns.iter().find(|column| job.is_key(column) && column.data_type.is_nested())?;
    Some(format!("column \"{}\" is of the key and {}, which is compared with nothing", column.name, column.sql_type))
}

/// The last row of each key.
fn last_of_each_key(rows: LogicalPlan, job: &Job, session: &SessionState) -> Result<DataFrame> {
    let keys = job.key.iter().map(ident).collect();
    let rank = row_number().partition_by(keys).order_by(vec![ident(NUMBER).sort(false, false)]).build()?;
    DataFrame::new(session.clone(), rows)
        .window(vec![rank.alias(RANK)])?
        .filter(ident(RANK).eq(lit(1_u64)))?
        .select(job.columns.iter().map(|column| ident(&column.name)).collect::<Vec<_>>())
}

/// Merges the rows, as one commit.
pub(super) async fn upsert(
    rows: LogicalPlan,
    job: &Job,
    snapshot: EagerSnapshot,
    log: LogStoreRef,
    session: SessionState,
    commit: CommitProperties,
) -> DeltaResult<DeltaTable> {
    let of = |table: &str, name: &str| Expr::Column(Column::new(Some(table), name));
    let equal = |name: &String| of(TARGET, name).eq(of(SOURCE, name));
    let same_key = job.key.iter().map(equal).reduce(Expr::and).unwrap_or_else(|| lit(false));
    let source = last_of_each_key(rows, job, &session)?;
    let mut merge = MergeBuilder::new(log, Some(snapshot), same_key, source)
        .with_source_alias(SOURCE)
        .with_target_alias(TARGET)
        // What the rows say of the files that they may be in is learnt while they are read.
        .with_streaming(true)
        .with_commit_properties(commit)
        .with_session_state(std::sync::Arc::new(session));
    let others: Vec<_> = job.columns.iter().filter(|column| !job.is_key(column)).collect();
    if !others.is_empty() {
        let differs = |name: &str| binary_expr(of(TARGET, name), Operator::IsDistinctFrom, of(SOURCE, name));
        // Maps are not compared: such a row counts as changed.
        let is_compared = others.iter().all(|column| !has_map(&column.data_type));
        let changed = others.iter().map(|column| differs(&column.name)).reduce(Expr::or).filter(|_| is_compared);
        merge = merge.when_matched_update(|update| {
            let update = if let Some(changed) = changed { update.predicate(changed) } else { update };
            others.iter().fold(update, |update, column| update.update(Column::from_name(&column.name), of(SOURCE, &column.name)))
        })?;
    }
    merge = merge.when_not_matched_insert(|insert| {
        job.columns.iter().fold(insert, |insert, column| insert.set(Column::from_name(&column.name), of(SOURCE, &column.name)))
    })?;
    let (table, _) = merge.await?;
    Ok(table)
}

fn has_map(data_type: &DataType) -> bool {
    match data_type {
        DataType::Map(..) => true,
        DataType::List(element) => has_map(element.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_map(field.data_type())),
        _ => false,
    }
}
