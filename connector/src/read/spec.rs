//! What a scan is: the table, the columns, the options, the limit; and what it counts while it runs.

use arrow::datatypes::SchemaRef;
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder};

use crate::options::Options;
use crate::relation::Relation;

/// What every kind of read is told.
#[derive(Debug, Clone)]
pub(crate) struct Scan {
    pub(crate) relation: Relation,
    /// As they were when the query was planned.
    pub(crate) options: Options,
    /// Columns of the table, by their place in its schema.
    pub(crate) projection: Vec<usize>,
    /// These columns.
    pub(crate) schema: SchemaRef,
    /// Rows after which nobody asks for more.
    pub(crate) limit: Option<usize>,
}

/// What a running read counts: shown by EXPLAIN ANALYZE.
#[derive(Debug, Clone)]
pub(crate) struct Counters(pub(crate) ExecutionPlanMetricsSet);

impl Counters {
    /// Adds to the counter of this name.
    pub(crate) fn add(&self, name: &'static str, count: usize) {
        MetricBuilder::new(&self.0).global_counter(name).add(count);
    }
}
