//! INSERT OVERWRITE of the partitions that a source has rows for: `SET database.overwrite = 'partitions'`.
//!
//! In: the rows of the source, all of them. Out: the condition that holds for the rows of their partitions, and of no other.

use arrow::array::{Array, RecordBatch};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::prelude::{DataFrame, ident, lit};
use futures::TryStreamExt;

use crate::error::Error;

/// So many are a condition that the library still plans in seconds.
const PARTITIONS_MAX: usize = 10_000;

/// The condition of the partitions that the rows are in.
///
/// # Errors
/// DataFusion's; [`Error::Statement`] if there are too many.
pub(super) async fn condition(source: &LogicalPlan, partitions: &[String], session: &SessionState) -> Result<Expr> {
    let columns: Vec<_> = partitions.iter().map(ident).collect();
    let distinct = LogicalPlanBuilder::from(source.clone()).project(columns)?.distinct()?.build()?;
    let mut rows = DataFrame::new(session.clone(), distinct).execute_stream().await?;
    let mut found = Vec::new();
    while let Some(batch) = rows.try_next().await? {
        if found.len() + batch.num_rows() > PARTITIONS_MAX {
            return Err(Error::Statement(format!(
                "the source has rows of more than {PARTITIONS_MAX} partitions, and one commit replaces no more; SET database.overwrite = 'table' \
                 replaces all rows, or WHERE makes several statements of it"
            ))
            .into());
        }
        for at in 0..batch.num_rows() {
            found.push(values(&batch, at)?);
        }
    }
    let of_one = |values: Vec<ScalarValue>| {
        let equal =
            |(name, value): (&String, ScalarValue)| if value.is_null() { ident(name).is_null() } else { ident(name).eq(lit(value)) };
        partitions.iter().zip(values).map(equal).reduce(Expr::and).unwrap_or_else(|| lit(true))
    };
    Ok(balanced(found.into_iter().map(of_one).collect()))
}

fn values(batch: &RecordBatch, at: usize) -> Result<Vec<ScalarValue>> {
    batch.columns().iter().map(|column| ScalarValue::try_from_array(column as &dyn Array, at)).collect()
}

/// OR of all, not deeper than their logarithm: a plan is walked by recursion.
fn balanced(mut terms: Vec<Expr>) -> Expr {
    while terms.len() > 1 {
        let mut pairs = terms.into_iter();
        let mut joined = Vec::with_capacity(pairs.len().div_ceil(2));
        while let Some(left) = pairs.next() {
            joined.push(match pairs.next() {
                Some(right) => left.or(right),
                None => left,
            });
        }
        terms = joined;
    }
    terms.pop().unwrap_or_else(|| lit(false))
}
