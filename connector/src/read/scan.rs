//! The plan node that reads CleverTap.
//!
//! In: a [`Scan`] and its filters. Out: batches, when it runs; planning and EXPLAIN make no request. What the filters of the query do not say,
//! a join or a subquery above may, once it runs: those are its late filters. The scan takes those of subqueries from the filters that are
//! pushed down to it, and the rule `BindKeys` in `optimizer/bind_keys.rs` gives it those of joins.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use arrow::record_batch::RecordBatch;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Statistics, config::ConfigOptions};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::filter_pushdown::{ChildPushdownResult, FilterPushdownPhase, FilterPushdownPropagation, PushedDown};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, ReplaceChildrenOptions, StatisticsArgs,
};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};

use crate::error::{Error, ErrorKind};
use crate::options::Options;
use crate::read::filter_columns;
use crate::read::late_filter::LateFilter;
use crate::read::lookup::fewer;
use crate::read::plan::{self, Missing, ReadPlan};
use crate::read::spec::{Counters, Scan};
use crate::relation::Relation;

#[derive(Debug)]
pub(crate) struct ScanExec {
    scan: Scan,
    /// The filters that planning knew. `None` if it did not need any, since the keys are all that is wanted.
    filters: Option<Vec<Expr>>,
    /// Those of joins and subqueries above, which are known when the query runs.
    late: Vec<LateFilter>,
    /// From `filters` alone.
    read: ReadPlan,
    /// Keys that the whole query has looked up, or will: those that planning knew, and those of joins as they come.
    looked_up: OnceLock<Arc<AtomicUsize>>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl ScanExec {
    /// Plans the scan of a table with the filters that DataFusion pushed down.
    ///
    /// # Errors
    /// Those of [`plan::read`]. A missing filter is none yet.
    pub(crate) fn plan(
        relation: &Relation,
        options: Options,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let projection = projection.cloned().unwrap_or_else(|| (0..relation.schema.fields().len()).collect());
        let schema = Arc::new(relation.schema.project(&projection)?);
        let scan = Scan { relation: relation.clone(), options, projection, schema, limit };
        Ok(match plan::read(&scan, filters)? {
            ReadPlan::Nothing => Arc::new(EmptyExec::new(scan.schema)),
            read => Arc::new(Self { filters: Some(filters.to_vec()), ..Self::new(scan, read) }),
        })
    }

    /// A scan whose read is settled. Has one partition: requests run concurrently inside it and share the account's request budget.
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
            filters: None,
            late: Vec::new(),
            read,
            looked_up: OnceLock::new(),
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }

    /// The same scan with another filter.
    #[must_use]
    pub(crate) fn with_late_filter(&self, filter: LateFilter) -> Self {
        let late = self.late.iter().cloned().chain([filter]).collect();
        Self { filters: self.filters.clone(), late, ..Self::new(self.scan.clone(), self.read.clone()) }
    }

    /// What the filters, with stand-ins for those that come late, do not say. `None` if it is known what to ask for.
    ///
    /// # Errors
    /// Those of [`plan::read`].
    pub(crate) fn missing(&self) -> Result<Option<Missing>> {
        let ReadPlan::Missing(missing) = &self.read else { return Ok(None) };
        if self.late.is_empty() {
            return Ok(Some(missing.clone()));
        }
        let stand_ins = self.late.iter().filter_map(|late| late.stand_in(&self.scan.schema));
        let filters: Vec<_> = self.filters.iter().flatten().cloned().chain(stand_ins).collect();
        Ok(match plan::read(&self.scan, &filters)? {
            ReadPlan::Missing(missing) => Some(missing),
            _ => None,
        })
    }

    /// Whether the scan lacks a filter, and none that comes late supplies it.
    pub(crate) fn is_missing_a_filter(&self) -> bool {
        self.missing().is_ok_and(|missing| missing.is_some())
    }

    /// Whether rows are looked up by key.
    pub(crate) fn is_looked_up(&self) -> bool {
        filter_columns::lookup_key_columns(self.scan.relation.table).next().is_some()
    }

    /// The rank of the key `column`, if the scan is a look-up without keys.
    pub(crate) fn key_that_is_missing(&self, column: &str) -> Option<usize> {
        let rank = filter_columns::lookup_key_columns(self.scan.relation.table).position(|key| key == column);
        rank.filter(|_| self.could_take(column))
    }

    /// Whether a filter on `column` says which events or days are asked for, and the scan lacks one. A day of the request, which the rows do
    /// not have, cannot be joined on.
    pub(crate) fn lacks_request_filter(&self, column: &str) -> bool {
        filter_columns::is_request_filter(self.scan.relation.table, column) && !self.is_request_day(column) && self.could_take(column)
    }

    /// Whether `column` holds a day of the request.
    pub(crate) fn is_request_day(&self, column: &str) -> bool {
        filter_columns::is_request_day(self.scan.relation.table, column)
    }

    /// Whether a filter on `column` would supply one that is missing. One join gives a column its keys.
    fn could_take(&self, column: &str) -> bool {
        self.scan.limit.is_none() && !self.late.iter().any(|late| late.column() == Some(column)) && self.is_missing_a_filter()
    }

    /// `clevertap.profiles`.
    pub(crate) fn qualified(&self) -> String {
        self.scan.relation.qualified()
    }

    /// Whether it has a LIMIT of its own.
    pub(crate) fn is_limited(&self) -> bool {
        self.scan.limit.is_some()
    }

    /// The most keys that it may be given.
    pub(crate) fn keys_max(&self) -> usize {
        self.scan.options.lookups_max
    }

    /// Has the scans of one plan look up no more keys together than one query may.
    ///
    /// # Errors
    /// [`Error::Filter`] with their number, if those that planning knows are too many.
    pub(crate) fn share_keys_max<'s>(scans: impl Iterator<Item = &'s Self>) -> Result<(), Error> {
        let scans: Vec<&Self> = scans.collect();
        let keys = scans.iter().map(|scan| scan.read.looked_up()).sum();
        let looked_up = Arc::new(AtomicUsize::new(keys));
        for scan in scans {
            if scan.read.looked_up() > 0 {
                check_keys_max(&scan.scan, keys)?;
            }
            // A plan may run through the rule twice; the first count is kept.
            scan.looked_up.get_or_init(|| Arc::clone(&looked_up));
        }
        Ok(())
    }

    /// The read that all filters together ask for.
    async fn with_late_filters(
        scan: &Scan,
        mut filters: Vec<Expr>,
        late: &[LateFilter],
        looked_up: &AtomicUsize,
        context: &Arc<TaskContext>,
    ) -> Result<ReadPlan> {
        for filter in late {
            let Some(filter) = filter.filter(scan, context).await? else { return Ok(ReadPlan::Nothing) };
            filters.push(filter);
        }
        let read = plan::read(scan, &filters)?;
        let keys = read.looked_up();
        if keys > 0 {
            check_keys_max(scan, looked_up.fetch_add(keys, Ordering::Relaxed) + keys)?;
        }
        Ok(read)
    }

    fn stream(&self, context: &Arc<TaskContext>) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let counters = Counters(self.metrics.clone());
        if self.late.is_empty() {
            return start(self.read.clone(), &self.scan, counters, context);
        }
        let (scan, filters, late) = (self.scan.clone(), self.filters.clone().unwrap_or_default(), self.late.clone());
        let (read, context) = (self.read.clone(), Arc::clone(context));
        let looked_up = self.looked_up.get().map(Arc::clone).unwrap_or_default();
        let batches = async move {
            let by_key =
                late.iter().filter_map(LateFilter::column).all(|column| filter_columns::is_lookup_key(scan.relation.table, column));
            let read = match Self::with_late_filters(&scan, filters, &late, &looked_up, &context).await {
                // Too many keys to look up, and no request has been made yet.
                Err(error) if by_key && is_of_the_filter(&error) => match read {
                    ReadPlan::Missing(Missing { everybody: Some(export), .. }) => ReadPlan::Export(export),
                    _ => return Err(error),
                },
                result => result?,
            };
            start(read, &scan, counters, &context)
        };
        Ok(futures::stream::once(batches).try_flatten().boxed())
    }
}

/// Fails if a query looks up more keys than one may.
fn check_keys_max(scan: &Scan, keys: usize) -> Result<(), Error> {
    let max = scan.options.lookups_max;
    if keys <= max {
        return Ok(());
    }
    Err(Error::Filter(format!(
        "the query would look up {keys} keys, one request each, and clevertap.lookups_max is {max}; {}",
        fewer(scan, keys)
    )))
}

/// Begins to read.
fn start(read: ReadPlan, scan: &Scan, counters: Counters, context: &Arc<TaskContext>) -> Result<BoxStream<'static, Result<RecordBatch>>> {
    match read {
        ReadPlan::Nothing => Ok(futures::stream::empty().boxed()),
        ReadPlan::Lookup(lookup) => lookup.stream(scan.clone(), counters),
        ReadPlan::Export(export) | ReadPlan::Missing(Missing { everybody: Some(export), .. }) => export.stream(scan, counters, context),
        ReadPlan::Report(report) => report.stream(scan.clone(), counters),
        ReadPlan::Missing(missing) => Err(missing.refusal(None).into()),
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
            ReadPlan::Nothing => write!(f, "no request")?,
            ReadPlan::Lookup(lookup) => write!(f, "{lookup}")?,
            ReadPlan::Export(export) => write!(f, "{export}")?,
            ReadPlan::Report(report) => write!(f, "{report}")?,
            ReadPlan::Missing(missing) => match &missing.everybody {
                Some(export) if self.late.is_empty() => write!(f, "{export}")?,
                _ => write!(f, "call={}", filter_columns::call(self.scan.relation.table, &self.late))?,
            },
        }
        for late in &self.late {
            write!(f, ", by={late}")?;
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

    fn apply_expressions(&self, _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>, _: ReplaceChildrenOptions) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn handle_child_pushdown_result(
        &self,
        phase: FilterPushdownPhase,
        result: ChildPushdownResult,
        _: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        let parents = result.parent_filters;
        let mut scan = None;
        let mut answers = vec![PushedDown::No; parents.len()];
        if phase == FilterPushdownPhase::Pre && self.filters.is_some() {
            for (answer, parent) in answers.iter_mut().zip(&parents) {
                let Some(late) = LateFilter::compared(&parent.filter) else { continue };
                let Some(column) = late.column().filter(|column| filter_columns::is_asked_for_by(self.scan.relation.table, column)) else {
                    continue;
                };
                // What the rows do not have cannot be filtered again above.
                if filter_columns::is_request_day(self.scan.relation.table, column) {
                    if !late.is_exact_day(&self.scan.schema) {
                        return Err(Error::Filter(format!(
                            "{}: \"{column}\" is a day, and is compared with something else: write CAST((SELECT …) AS date)",
                            self.scan.relation.qualified()
                        ))
                        .into());
                    }
                    *answer = PushedDown::Yes;
                }
                scan = Some(scan.as_ref().unwrap_or(self).with_late_filter(late));
            }
        }
        let propagation = FilterPushdownPropagation::with_parent_pushdown_result(answers);
        Ok(match scan {
            Some(scan) => propagation.with_updated_node(Arc::new(scan)),
            None => propagation,
        })
    }

    fn statistics_from_inputs(&self, _: &[Arc<Statistics>], _: &StatisticsArgs) -> Result<Arc<Statistics>> {
        /// Larger than any other input, so that a join keeps the rows of the other side in memory.
        const MANY: usize = 1 << 40;
        let rows = match &self.read {
            ReadPlan::Lookup(lookup) => lookup.keys.values.len(),
            // One row for each key of a join.
            ReadPlan::Missing(_) if self.is_looked_up() => self.scan.options.lookups_max,
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
