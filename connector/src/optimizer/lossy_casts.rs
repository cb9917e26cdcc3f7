//! Keeps `ORDER BY event_time` beside `WHERE event_time::date = …`.
//!
//! In: a physical plan before DataFusion enforces orders. Out: the same plan, in whose filters a cast that makes one value of several is out
//! of the reach of DataFusion's interval arithmetic. That of 55.2 takes `CAST(x AS DATE) = d` for `x = d`, so that `x` is constant, and
//! leaves it out of the sort (apache/datafusion#25523).

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, FieldRef, Schema, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::CastExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use datafusion::physical_plan::{ColumnarValue, ExecutionPlan};

#[derive(Debug)]
pub(crate) struct KeepLossyCasts;

impl PhysicalOptimizerRule for KeepLossyCasts {
    fn name(&self) -> &'static str {
        "clevertap_keep_lossy_casts"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let Some(filter) = node.downcast_ref::<FilterExec>() else { return Ok(Transformed::no(node)) };
            let schema = filter.input().schema();
            let predicate = Arc::clone(filter.predicate()).transform_down(|expr| {
                let is_lossy = match expr.downcast_ref::<CastExpr>() {
                    Some(cast) => is_lossy(&cast.expr().data_type(&schema)?, cast.cast_type()),
                    None => false,
                };
                Ok(if is_lossy {
                    Transformed::new(Arc::new(LossyCast { cast: expr }) as _, true, TreeNodeRecursion::Jump)
                } else {
                    Transformed::no(expr)
                })
            })?;
            if !predicate.transformed {
                return Ok(Transformed::no(node));
            }
            let filter = FilterExecBuilder::from(filter).with_predicate(predicate.data).build()?;
            Ok(Transformed::yes(Arc::new(filter) as _))
        })
        .data()
    }
}

/// Whether several values of one type may be one of the other.
fn is_lossy(from: &DataType, to: &DataType) -> bool {
    let digits = |unit: &TimeUnit| match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    };
    let has_intervals = |kind: &DataType| kind.is_numeric() || kind.is_temporal();
    match (from, to) {
        (DataType::Timestamp(from, _), DataType::Timestamp(to, _)) => digits(from) > digits(to),
        (DataType::Date32 | DataType::Date64, DataType::Timestamp(..)) => false,
        (from, to) => has_intervals(from) && has_intervals(to) && !CastExpr::check_bigger_cast(to, from),
    }
}

/// A cast, as what it is and nothing that could be reckoned with.
#[derive(Debug, Clone)]
pub(crate) struct LossyCast {
    cast: Arc<dyn PhysicalExpr>,
}

impl LossyCast {
    /// The [`CastExpr`].
    pub(crate) fn cast(&self) -> &Arc<dyn PhysicalExpr> {
        &self.cast
    }
}

impl PartialEq for LossyCast {
    fn eq(&self, other: &Self) -> bool {
        self.cast.eq(&other.cast)
    }
}

impl Eq for LossyCast {}

impl Hash for LossyCast {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.cast.hash(state);
    }
}

impl fmt::Display for LossyCast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cast.fmt(f)
    }
}

impl PhysicalExpr for LossyCast {
    fn return_field(&self, schema: &Schema) -> Result<FieldRef> {
        self.cast.return_field(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        self.cast.evaluate(batch)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        self.cast.children()
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(Arc::new(Self { cast: Arc::clone(&self.cast).with_new_children(children)? }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cast.fmt_sql(f)
    }
}
