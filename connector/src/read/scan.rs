//! The one leaf that reads CleverTap: what is asked, for which columns, until how many rows.
//!
//! In: a [`Scan`] and the [`ReadPlan`] that planning chose. Out: batches, when it runs; planning and EXPLAIN make no request. The
//! filter of a join reaches a leaf only in a plan that stands: [`ReadPlan::DeferredLookup`] keeps it until then, and the rule in `late.rs`
//! decides whether it is waited for.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

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

use crate::error::Error;
use crate::read::export::ExportPlan;
use crate::read::lookup::{LookupKeys, LookupPlan};
use crate::read::report::ReportPlan;
use crate::read::spec::{Counters, Scan};

/// How the rows are got.
#[derive(Debug, Clone)]
pub(crate) enum ReadPlan {
    /// One request a key.
    Lookup(LookupPlan),
    /// One request a key, of keys that a join will know.
    DeferredLookup {
        /// How to look up.
        lookup: LookupPlan,
        /// What is done where no join knows them.
        otherwise: WithoutKeys,
    },
    /// Pages of cursors.
    Export(Arc<ExportPlan>),
    /// A list of requests, an answer each.
    Report(Arc<ReportPlan>),
}

/// What becomes of a read that has no keys and is in no join that has.
#[derive(Debug, Clone)]
pub(crate) enum WithoutKeys {
    /// It is refused: what the query lacks.
    Refuse(String),
    /// Everybody is read who can be listed.
    Sweep(Arc<ExportPlan>),
}

/// A filter that a join fills in while the query runs.
type DynamicFilter = Arc<dyn PhysicalExpr>;

/// The leaf.
#[derive(Debug)]
pub(crate) struct ScanExec {
    scan: Scan,
    work: ReadPlan,
    /// What joins and others above would leave out: looked at, never relied on.
    filters: Vec<DynamicFilter>,
    /// The filter that is waited for: its place in `filters`, once the late rule has found that a join fills it.
    waits_for: OnceLock<usize>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl ScanExec {
    /// A leaf of one partition: the requests inside share the account's budget.
    pub(crate) fn new(scan: Scan, work: ReadPlan) -> Self {
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
    pub(crate) fn settle(&self, fills: &dyn Fn(&DynamicFilter) -> bool) -> Result<(), Error> {
        let ReadPlan::DeferredLookup { lookup, otherwise } = &self.work else { return Ok(()) };
        let keyed = |filter: &DynamicFilter| fills(filter) && lookup.key_of(filter, &self.scan).is_some();
        match (self.filters.iter().position(keyed), otherwise) {
            // A plan may pass the rule twice: the first finding stands.
            (Some(at), _) => drop(self.waits_for.set(at)),
            (None, WithoutKeys::Sweep(_)) => {}
            (None, WithoutKeys::Refuse(missing)) => return Err(Error::Filter(missing.clone())),
        }
        Ok(())
    }

    /// Whether it waits for the keys of a join.
    pub(crate) fn is_keyless(&self) -> bool {
        matches!(self.work, ReadPlan::DeferredLookup { .. })
    }

    /// Waits for the join, and takes its keys.
    async fn keys(lookup: LookupPlan, filter: DynamicFilter, scan: Scan) -> Result<LookupPlan, Error> {
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
            ReadPlan::Lookup(lookup) => lookup.clone().stream(self.scan.clone(), counters)?,
            ReadPlan::DeferredLookup { lookup, otherwise } => {
                match (self.waits_for.get().and_then(|at| self.filters.get(*at)), otherwise) {
                    (Some(filter), otherwise) => {
                        let (scan, context, otherwise) = (self.scan.clone(), Arc::clone(context), otherwise.clone());
                        let keys = Self::keys(lookup.clone(), Arc::clone(filter), self.scan.clone());
                        // Nothing has been asked yet: where the keys are too many, or no list, a sweep that is allowed has them all.
                        let found = async move {
                            match (keys.await, otherwise) {
                                (Ok(lookup), _) => lookup.stream(scan, counters),
                                (Err(_), WithoutKeys::Sweep(export)) => export.stream(&scan, counters, &context),
                                (Err(error), WithoutKeys::Refuse(_)) => Err(error.into()),
                            }
                        };
                        futures::stream::once(found).try_flatten().boxed()
                    }
                    (None, WithoutKeys::Sweep(export)) => Arc::clone(export).stream(&self.scan, counters, context)?,
                    // The rule has found a join, and the plan was reset since.
                    (None, WithoutKeys::Refuse(_)) => {
                        return Err(Error::Filter(format!(
                            "{}: in a recursive query no keys of a join come to a look-up; write its rows to a table first, and join that",
                            self.scan.relation.qualified()
                        ))
                        .into());
                    }
                }
            }
            ReadPlan::Export(export) => Arc::clone(export).stream(&self.scan, counters, context)?,
            ReadPlan::Report(report) => Arc::clone(report).stream(self.scan.clone(), counters)?,
        })
    }
}

impl DisplayAs for ScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScanExec: table={}, ", self.scan.relation.qualified())?;
        match &self.work {
            ReadPlan::Lookup(lookup) => write!(f, "{lookup}")?,
            ReadPlan::DeferredLookup { lookup, otherwise } => {
                let key = self.waits_for.get().and_then(|at| lookup.key_of(self.filters.get(*at)?, &self.scan));
                match (key, otherwise) {
                    (Some(key), _) => {
                        write!(f, "call={}, by={key} of the join, at most {} requests", lookup.call(), self.scan.options.lookups_max)?
                    }
                    (None, WithoutKeys::Sweep(export)) => write!(f, "{export}")?,
                    (None, WithoutKeys::Refuse(_)) => write!(f, "call={}, by=?", lookup.call())?,
                }
            }
            ReadPlan::Export(export) => write!(f, "{export}")?,
            ReadPlan::Report(report) => write!(f, "{report}")?,
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
        if !matches!((&self.work, phase), (ReadPlan::DeferredLookup { .. }, FilterPushdownPhase::Post)) || result.parent_filters.is_empty()
        {
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
            ReadPlan::Lookup(LookupPlan { keys: LookupKeys::Given(asked), .. }) => asked.values.len(),
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
