//! The parameters and the metrics of a scan.
//!
//! In: table, options, projection and limit, at plan time. Out: [`Scan`], which all kinds of read share, and [`Counters`]. They are apart
//! from `scan`, so that `lookup`, `export` and `report` do not depend on the plan node that runs them.

use arrow::datatypes::SchemaRef;
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder};

use crate::options::Options;
use crate::relation::Relation;

/// The parameters of every kind of read.
#[derive(Debug, Clone)]
pub(crate) struct Scan {
    pub(crate) relation: Relation,
    /// As of planning.
    pub(crate) options: Options,
    /// Indices of the projected columns in the table's schema.
    pub(crate) projection: Vec<usize>,
    /// The projected schema.
    pub(crate) schema: SchemaRef,
    pub(crate) limit: Option<usize>,
}

/// The metrics of a running read, shown by EXPLAIN ANALYZE.
#[derive(Debug, Clone)]
pub(crate) struct Counters(pub(crate) ExecutionPlanMetricsSet);

impl Counters {
    pub(crate) fn add(&self, name: &'static str, count: usize) {
        MetricBuilder::new(&self.0).global_counter(name).add(count);
    }
}
