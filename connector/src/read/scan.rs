//! The one leaf that reads CleverTap: what is asked, for which columns, until how many rows.
//!
//! In: a [`Scan`] and the [`Work`] that planning chose. Out: batches, when it runs; planning and EXPLAIN make no request. The
//! filter of a join reaches a leaf only in a plan that stands: [`Work::Keyless`] keeps it until then, and the rule in `late.rs`
//! decides whether it is waited for.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Statistics, config::ConfigOptions};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::DynamicFilterPhysicalExpr;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType, apply_expression_roots};
use datafusion::physical_plan::filter_pushdown::{ChildPushdownResult, FilterPushdownPhase, FilterPushdownPropagation, PushedDown};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, ReplaceChildrenOptions, StatisticsArgs,
};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};

use crate::account::Account;
use crate::catalog::ClevertapTable;
use crate::error::Error;
use crate::options::Options;
use crate::read::export::ExportWork;
use crate::read::lookup::{Keys, LookupWork};
use crate::read::report::ReportWork;

/// What every kind of read knows.
#[derive(Debug, Clone)]
pub(crate) struct Scan {
    /// Who is asked.
    pub(crate) account: Account,
    /// What is read.
    pub(crate) table: ClevertapTable,
    /// As they were when the query was planned.
    pub(crate) options: Options,
    /// Columns of the table, by their place in its schema.
    pub(crate) projection: Vec<usize>,
    /// These columns.
    pub(crate) schema: SchemaRef,
    /// Rows after which nobody asks for more.
    pub(crate) limit: Option<usize>,
}

/// How the rows are got.
#[derive(Debug, Clone)]
pub(crate) enum Work {
    /// One request a key.
    Lookup(LookupWork),
    /// One request a key, of keys that a join will know.
    Keyless {
        /// How to look up.
        lookup: LookupWork,
        /// What is done where no join knows them.
        otherwise: Otherwise,
    },
    /// Pages of cursors.
    Export(Arc<ExportWork>),
    /// A list of requests, an answer each.
    Report(Arc<ReportWork>),
}

/// What becomes of a read that has no keys and is in no join that has.
#[derive(Debug, Clone)]
pub(crate) enum Otherwise {
    /// It is refused: what the query lacks.
    Refuse(String),
    /// Everybody is read who can be listed.
    Sweep(Arc<ExportWork>),
}

/// What a running read counts: shown by EXPLAIN ANALYZE.
#[derive(Debug, Clone)]
pub(crate) struct Counters(ExecutionPlanMetricsSet);

impl Counters {
    /// Adds to the counter of this name.
    pub(crate) fn add(&self, name: &'static str, count: usize) {
        MetricBuilder::new(&self.0).global_counter(name).add(count);
    }
}

/// A filter that a join fills in while the query runs.
type Late = Arc<dyn PhysicalExpr>;

/// The leaf.
#[derive(Debug)]
pub(crate) struct ScanExec {
    scan: Scan,
    work: Work,
    /// What joins and others above would leave out: looked at, never relied on.
    filters: Vec<Late>,
    /// The filter that is waited for: its place in `filters`, once the late rule has found that a join fills it.
    waits_for: OnceLock<usize>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl ScanExec {
    /// A leaf of one partition: the requests inside share the account's budget.
    pub(crate) fn new(scan: Scan, work: Work) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&scan.schema)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        Self {
            scan,
            work,
            filters: Vec::new(),
            waits_for: OnceLock::new(),
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }

    /// Chooses, among the filters of which `fills` says that a join fills them, the one that holds the keys.
    ///
    /// # Errors
    /// [`Error::Filter`] where the query has no key and no join has one.
    pub(crate) fn settle(&self, fills: &dyn Fn(&Late) -> bool) -> Result<(), Error> {
        let Work::Keyless { lookup, otherwise } = &self.work else { return Ok(()) };
        let keyed = |filter: &Late| fills(filter) && lookup.key_of(filter, &self.scan).is_some();
        match (self.filters.iter().position(keyed), otherwise) {
            // A plan may pass the rule twice: the first finding stands.
            (Some(at), _) => drop(self.waits_for.set(at)),
            (None, Otherwise::Sweep(_)) => {}
            (None, Otherwise::Refuse(missing)) => return Err(Error::Filter(missing.clone())),
        }
        Ok(())
    }

    /// Whether it waits for the keys of a join.
    pub(crate) fn is_keyless(&self) -> bool {
        matches!(self.work, Work::Keyless { .. })
    }

    /// Waits for the join, and takes its keys.
    async fn keys(lookup: LookupWork, filter: Late, scan: Scan) -> Result<LookupWork, Error> {
        if let Some(dynamic) = filter.downcast_ref::<DynamicFilterPhysicalExpr>() {
            dynamic.wait_complete().await;
        }
        let current = match filter.downcast_ref::<DynamicFilterPhysicalExpr>() {
            Some(dynamic) => dynamic.current().map_err(|error| Error::Filter(error.to_string()))?,
            None => filter,
        };
        lookup.with_keys_of(&current, &scan)
    }

    fn stream(&self, context: &Arc<TaskContext>) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let counters = Counters(self.metrics.clone());
        Ok(match &self.work {
            Work::Lookup(lookup) => lookup.clone().stream(self.scan.clone(), counters)?,
            Work::Keyless { lookup, otherwise } => match (self.waits_for.get().and_then(|at| self.filters.get(*at)), otherwise) {
                (Some(filter), otherwise) => {
                    let (scan, context, otherwise) = (self.scan.clone(), Arc::clone(context), otherwise.clone());
                    let keys = Self::keys(lookup.clone(), Arc::clone(filter), self.scan.clone());
                    // Nothing has been asked yet: where the keys are too many, or no list, a sweep that is allowed has them all.
                    let found = async move {
                        match (keys.await, otherwise) {
                            (Ok(lookup), _) => lookup.stream(scan, counters),
                            (Err(_), Otherwise::Sweep(export)) => export.stream(&scan, counters, &context),
                            (Err(error), Otherwise::Refuse(_)) => Err(error.into()),
                        }
                    };
                    futures::stream::once(found).try_flatten().boxed()
                }
                (None, Otherwise::Sweep(export)) => Arc::clone(export).stream(&self.scan, counters, context)?,
                // The rule has found a join, and the plan was reset since.
                (None, Otherwise::Refuse(_)) => {
                    return Err(Error::Filter(format!(
                        "{}: in a recursive query no keys of a join come to a look-up; write its rows to a table first, and join that",
                        self.scan.table.qualified()
                    ))
                    .into());
                }
            },
            Work::Export(export) => Arc::clone(export).stream(&self.scan, counters, context)?,
            Work::Report(report) => Arc::clone(report).stream(self.scan.clone(), counters)?,
        })
    }
}

impl DisplayAs for ScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScanExec: table={}, ", self.scan.table.qualified())?;
        match &self.work {
            Work::Lookup(lookup) => write!(f, "{lookup}")?,
            Work::Keyless { lookup, otherwise } => {
                let key = self.waits_for.get().and_then(|at| lookup.key_of(self.filters.get(*at)?, &self.scan));
                match (key, otherwise) {
                    (Some(key), _) => {
                        write!(f, "call={}, by={key} of the join, at most {} requests", lookup.call(), self.scan.options.lookups_max)?
                    }
                    (None, Otherwise::Sweep(export)) => write!(f, "{export}")?,
                    (None, Otherwise::Refuse(_)) => write!(f, "call={}, by=?", lookup.call())?,
                }
            }
            Work::Export(export) => write!(f, "{export}")?,
            Work::Report(report) => write!(f, "{report}")?,
        }
        self.scan.limit.map_or(Ok(()), |limit| write!(f, ", limit={limit}"))
    }
}

impl ExecutionPlan for ScanExec {
    fn name(&self) -> &'static str {
        "ScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(&self, f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        // A join computes its filter only if it finds it here.
        apply_expression_roots(&self.filters, f)
    }

    fn replace_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>, _: ReplaceChildrenOptions) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        // The join that filled the filter starts anew, and will not fill it again: to wait for it would never end.
        if self.is_keyless() { Ok(Arc::new(Self::new(self.scan.clone(), self.work.clone()))) } else { Ok(self) }
    }

    fn handle_child_pushdown_result(
        &self,
        phase: FilterPushdownPhase,
        result: ChildPushdownResult,
        _: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        let answer = FilterPushdownPropagation::with_parent_pushdown_result(vec![PushedDown::No; result.parent_filters.len()]);
        if !matches!((&self.work, phase), (Work::Keyless { .. }, FilterPushdownPhase::Post)) || result.parent_filters.is_empty() {
            return Ok(answer);
        }
        let mut keyed = Self::new(self.scan.clone(), self.work.clone());
        keyed.filters.clone_from(&self.filters);
        keyed.filters.extend(result.parent_filters.into_iter().map(|parent| parent.filter));
        Ok(answer.with_updated_node(Arc::new(keyed)))
    }

    fn statistics_from_inputs(&self, _: &[Arc<Statistics>], _: &StatisticsArgs) -> Result<Arc<Statistics>> {
        /// Larger than what it is joined with, so that a join reads the other side first and has keys for this one.
        const MANY: usize = 1 << 40;
        let rows = match &self.work {
            Work::Lookup(LookupWork { keys: Keys::Given(asked), .. }) => asked.values.len(),
            _ => MANY,
        };
        let rows = self.scan.limit.map_or(rows, |limit| limit.min(rows));
        Ok(Arc::new(Statistics { num_rows: Precision::Inexact(rows), ..Statistics::new_unknown(&self.scan.schema) }))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return Err(DataFusionError::Internal(format!("a scan of CleverTap has one partition, not {partition}")));
        }
        let rows = MetricBuilder::new(&self.metrics).output_rows(0);
        let left = AtomicUsize::new(self.scan.limit.unwrap_or(usize::MAX));
        let batches = self.stream(&context)?.map_ok(move |batch| {
            let taken = batch.num_rows().min(left.load(Ordering::Relaxed));
            left.fetch_sub(taken, Ordering::Relaxed);
            rows.add(taken);
            (batch.slice(0, taken), left.load(Ordering::Relaxed) == 0)
        });
        // Ends with the batch that holds the last row, so that no further page is asked for.
        let batches = futures::stream::unfold(Some(Box::pin(batches)), |stream| async move {
            let mut stream = stream?;
            match stream.next().await? {
                Ok((batch, is_last)) => Some((Ok(batch), (!is_last).then_some(stream))),
                Err(error) => Some((Err(error), None)),
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.scan.schema), batches)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}
