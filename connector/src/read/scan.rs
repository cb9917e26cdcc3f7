//! The physical plan node that reads CleverTap.
//!
//! In: a [`Scan`] and the [`ReadPlan`] that planning chose. Out: batches, when it runs; planning and EXPLAIN make no request. DataFusion
//! pushes the dynamic filter of a join down only at the end of physical optimization: [`ReadPlan::DeferredLookup`] keeps it, and the rule
//! `BindLookupFilters` in `optimizer/lookup_joins.rs` decides whether the scan waits for it.

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

use crate::error::{Error, ErrorKind};
use crate::read::export::ExportPlan;
use crate::read::lookup::{LookupKeys, LookupPlan, fewer};
use crate::read::report::ReportPlan;
use crate::read::spec::{Counters, Scan};

/// The way in which the rows are fetched.
#[derive(Debug, Clone)]
pub(crate) enum ReadPlan {
    /// One request for each key.
    Lookup(LookupPlan),
    /// One request for each key; a join provides the keys when the query runs.
    DeferredLookup { lookup: LookupPlan, without_keys: WithoutKeys },
    /// Pages of an export.
    Export(Arc<ExportPlan>),
    /// A fixed list of requests, each with one small answer.
    Report(Arc<ReportPlan>),
}

/// What a [`ReadPlan::DeferredLookup`] does if no join provides keys.
#[derive(Debug, Clone)]
pub(crate) enum WithoutKeys {
    /// It is a plan error; the text names the missing filter.
    Refuse(String),
    /// Reads all people who can be listed.
    Sweep(Arc<ExportPlan>),
}

/// A filter whose values DataFusion fills in while the query runs.
type DynamicFilter = Arc<dyn PhysicalExpr>;

#[derive(Debug)]
pub(crate) struct ScanExec {
    scan: Scan,
    read: ReadPlan,
    /// Dynamic filters of nodes above. Only used to find keys; the nodes above still apply them.
    filters: Vec<DynamicFilter>,
    /// Index in `filters` of the join filter that holds the keys. Set by the rule `BindLookupFilters`.
    join_filter: OnceLock<usize>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl ScanExec {
    /// Has one partition: requests run concurrently inside it and share the account's request budget.
    pub(crate) fn new(scan: Scan, read: ReadPlan) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&scan.schema)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        Self {
            scan,
            read,
            filters: Vec::new(),
            join_filter: OnceLock::new(),
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }

    /// Chooses the filter that holds the keys, among those for which `is_join_filter` is true.
    ///
    /// # Errors
    /// [`Error::Filter`] if neither the query nor a join has keys.
    pub(crate) fn bind_join_filter(&self, is_join_filter: &dyn Fn(&DynamicFilter) -> bool) -> Result<(), Error> {
        let ReadPlan::DeferredLookup { lookup, without_keys } = &self.read else { return Ok(()) };
        let has_key = |filter: &DynamicFilter| is_join_filter(filter) && lookup.key_of(filter, &self.scan).is_some();
        match (self.filters.iter().position(has_key), without_keys) {
            // A plan may run through the rule twice; the first result is kept.
            (Some(index), _) => drop(self.join_filter.set(index)),
            (None, WithoutKeys::Sweep(_)) => {}
            (None, WithoutKeys::Refuse(missing)) => return Err(Error::Filter(missing.clone())),
        }
        Ok(())
    }

    /// Checks that the scans of one plan look up no more keys together than one query may.
    ///
    /// # Errors
    /// [`Error::Filter`] with their number.
    pub(crate) fn check_given_keys<'s>(scans: impl Iterator<Item = &'s Self>) -> Result<(), Error> {
        let looked_up: Vec<(&Scan, usize)> = scans
            .filter_map(|scan| match &scan.read {
                ReadPlan::Lookup(lookup) => Some((&scan.scan, lookup.given())),
                _ => None,
            })
            .collect();
        let keys = looked_up.iter().map(|(_, given)| given).sum();
        match looked_up.iter().find(|(scan, _)| keys > scan.options.lookups_max) {
            None => Ok(()),
            Some((scan, _)) => Err(Error::Filter(format!(
                "the query would look up {keys} keys, one request each, and clevertap.lookups_max is {}; {}",
                scan.options.lookups_max,
                fewer(scan, keys)
            ))),
        }
    }

    /// Whether the scan has no keys of its own.
    pub(crate) fn needs_join_keys(&self) -> bool {
        matches!(self.read, ReadPlan::DeferredLookup { .. })
    }

    /// Waits until the join has filled in `filter`, and takes the keys from it.
    async fn keys(lookup: LookupPlan, filter: DynamicFilter, scan: Scan) -> Result<LookupPlan> {
        if let Some(dynamic) = filter.downcast_ref::<DynamicFilterPhysicalExpr>() {
            dynamic.wait_complete().await;
        }
        let current = match filter.downcast_ref::<DynamicFilterPhysicalExpr>() {
            Some(dynamic) => dynamic.current()?,
            None => filter,
        };
        Ok(lookup.with_keys_of(&current, &scan)?)
    }

    fn stream(&self, context: &Arc<TaskContext>) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let counters = Counters(self.metrics.clone());
        Ok(match &self.read {
            ReadPlan::Lookup(lookup) => lookup.clone().stream(self.scan.clone(), counters)?,
            ReadPlan::DeferredLookup { lookup, without_keys } => {
                match (self.join_filter.get().and_then(|index| self.filters.get(*index)), without_keys) {
                    (Some(filter), without_keys) => {
                        let (scan, context, without_keys) = (self.scan.clone(), Arc::clone(context), without_keys.clone());
                        let keys = Self::keys(lookup.clone(), Arc::clone(filter), self.scan.clone());
                        // If there are too many keys, or the filter is not a list of keys, fall back to the full scan if it is
                        // allowed. No request has been made yet.
                        let batches = async move {
                            match (keys.await, without_keys) {
                                (Ok(lookup), _) => lookup.stream(scan, counters),
                                (Err(error), WithoutKeys::Sweep(export)) if is_of_the_filter(&error) => {
                                    export.stream(&scan, counters, &context)
                                }
                                (Err(error), _) => Err(error),
                            }
                        };
                        futures::stream::once(batches).try_flatten().boxed()
                    }
                    (None, WithoutKeys::Sweep(export)) => Arc::clone(export).stream(&self.scan, counters, context)?,
                    // The rule found a join, but the plan was reset since.
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

/// Whether the keys are too many, or no list: not a fault of the join that hands them on.
fn is_of_the_filter(error: &DataFusionError) -> bool {
    Error::find(error).is_some_and(|error| error.kind() == ErrorKind::Filter)
}

impl DisplayAs for ScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScanExec: table={}, ", self.scan.relation.qualified())?;
        match &self.read {
            ReadPlan::Lookup(lookup) => write!(f, "{lookup}")?,
            ReadPlan::DeferredLookup { lookup, without_keys } => {
                let key = self.join_filter.get().and_then(|index| lookup.key_of(self.filters.get(*index)?, &self.scan));
                match (key, without_keys) {
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
        // A join computes its dynamic filter only if a node below exposes it here.
        apply_expression_roots(&self.filters, f)
    }

    fn replace_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>, _: ReplaceChildrenOptions) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        // The join above is reset too and will not fill in this filter again, so waiting for it would never end.
        if self.needs_join_keys() { Ok(Arc::new(Self::new(self.scan.clone(), self.read.clone()))) } else { Ok(self) }
    }

    fn handle_child_pushdown_result(
        &self,
        phase: FilterPushdownPhase,
        result: ChildPushdownResult,
        _: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        let propagation = FilterPushdownPropagation::with_parent_pushdown_result(vec![PushedDown::No; result.parent_filters.len()]);
        if !matches!((&self.read, phase), (ReadPlan::DeferredLookup { .. }, FilterPushdownPhase::Post)) || result.parent_filters.is_empty()
        {
            return Ok(propagation);
        }
        let mut scan = Self::new(self.scan.clone(), self.read.clone());
        scan.filters.clone_from(&self.filters);
        scan.filters.extend(result.parent_filters.into_iter().map(|parent| parent.filter));
        Ok(propagation.with_updated_node(Arc::new(scan)))
    }

    fn statistics_from_inputs(&self, _: &[Arc<Statistics>], _: &StatisticsArgs) -> Result<Arc<Statistics>> {
        /// Larger than any other input, so that a join makes the other side its build side and has keys for this one.
        const MANY: usize = 1 << 40;
        let rows = match &self.read {
            ReadPlan::Lookup(LookupPlan { keys: LookupKeys::Given(keys), .. }) => keys.values.len(),
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
        let remaining = AtomicUsize::new(self.scan.limit.unwrap_or(usize::MAX));
        let batches = self.stream(&context)?.map_ok(move |batch| {
            let count = batch.num_rows().min(remaining.load(Ordering::Relaxed));
            remaining.fetch_sub(count, Ordering::Relaxed);
            rows.add(count);
            (batch.slice(0, count), remaining.load(Ordering::Relaxed) == 0)
        });
        // Ends with the batch that reaches the limit, so that no further page is requested.
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
