//! The plan nodes of a write: `CommitExec` over `WriteExec`.
//!
//! In: the plan of the source. Out of `WriteExec`: one row with the number of accepted rows. Out of `CommitExec`: one row, `count`,
//! as DataFusion expects of a DML plan. Nothing is sent before the stream of `execute()` is polled, since EXPLAIN creates these nodes
//! too.

use std::fmt;
use std::sync::Arc;

use arrow::array::{RecordBatch, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{CardinalityEffect, EvaluationType, SchedulingType};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties};
use futures::{StreamExt, TryStreamExt};

use crate::client::{Api, Lane, LaneSettings};
use crate::convert::{converted, held};
use crate::options::{DryRun, InDoubt, OnReject};
use crate::origin::{Source, with_places};
use crate::single_partition::over_one_partition;
use crate::table::{BodyForm, Write};
use crate::tables::DRY_RUN;
use crate::write::body::Packers;
use crate::write::consent::ConsentExec;
use crate::write::deliver::Route;
use crate::write::driver::{Driver, Progress, SourceRows, WriteMetrics};
use crate::write::encode::Encoder;
use crate::write::job::{Job, Operation};
use crate::write::resume::{log_of, settled_before};
use crate::write::schema_check::Checker;
use crate::write::settle::Settler;

/// Sends batches as bodies and gives each row a fate; one partition, in input order.
#[derive(Debug)]
pub(crate) struct WriteExec {
    input: Arc<dyn ExecutionPlan>,
    job: Job,
    /// The files of the source, where the last column of the input says of each row which it is from.
    source: Option<Arc<Source>>,
    /// Whether the column before, or the last, says of each row what could not be made of it.
    converts: bool,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl WriteExec {
    pub(crate) fn new(input: Arc<dyn ExecutionPlan>, job: Job) -> Self {
        Self {
            properties: one_row(&input, &accepted_schema()),
            input,
            job,
            source: None,
            converts: false,
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }

    pub(crate) fn job(&self) -> &Job {
        &self.job
    }

    /// The same over an input whose outermost select list is kept above it; `None` where it makes nothing.
    pub(crate) fn with_held_list(&self) -> Result<Option<Self>> {
        let is_plain = self.converts || self.source.is_some() || self.job.mapping.table.erases() || self.job.records.is_some();
        let input = if is_plain { None } else { held(&self.input)? };
        Ok(input.map(|input| self.over(input)))
    }

    /// The same over an input that rejects rows of which a value cannot be made; `None` where no list was kept.
    pub(crate) fn with_conversions(&self) -> Result<Option<Self>> {
        Ok(converted(&self.input)?.map(|input| Self { converts: true, ..self.over(input) }))
    }

    /// The same over an input that says of each row where it is from; `None` where that is not known, or said already.
    pub(crate) fn with_places(&self) -> Result<Option<Self>> {
        if self.source.is_some() || self.job.mapping.table.erases() {
            return Ok(None);
        }
        let placed = with_places(&self.input)?;
        Ok(placed.map(|(input, source)| Self { source: Some(Arc::new(source)), ..self.over(input) }))
    }

    /// The same over another input with the same columns.
    fn over(&self, input: Arc<dyn ExecutionPlan>) -> Self {
        Self { source: self.source.clone(), converts: self.converts, ..Self::new(input, self.job.clone()) }
    }

    /// The schema of what is written.
    fn written_schema(&self) -> SchemaRef {
        let schema = self.input.schema();
        let written = schema.fields().len() - usize::from(self.source.is_some()) - usize::from(self.converts);
        if written == schema.fields().len() {
            return schema;
        }
        Arc::new(Schema::new_with_metadata(schema.fields()[..written].to_vec(), schema.metadata().clone()))
    }

    /// The plan of a write: this node below its commit and, if it erases, above the node that counts before anything is sent.
    pub(crate) fn committed(mut input: Arc<dyn ExecutionPlan>, job: Job) -> Arc<dyn ExecutionPlan> {
        if job.mapping.table.erases() {
            input = Arc::new(ConsentExec::new(input, &job));
        }
        Arc::new(CommitExec::new(Arc::new(Self::new(input, job))))
    }

    /// Creates the driver; makes no request.
    async fn driver(&self, task: &TaskContext) -> Result<Driver> {
        let Job { relation, mapping, options, rules, .. } = &self.job;
        let Some(Write::Batch { path, form, rows_max, order, .. }) = &mapping.table.write else {
            return Err(DataFusionError::Internal("a mapping of a table that is not written".into()));
        };
        let source = self.source.as_deref();
        let settled = settled_before(&self.job, source, &self.written_schema())?;
        let (run, settler) = Settler::begin(&self.job, task).await?;
        let log = log_of(&self.job, source, &self.written_schema());
        let retry_for = std::time::Duration::from_millis(options.retry_for_ms);
        let settings = LaneSettings { stop: run.stop.clone(), ..LaneSettings::new(Api::of(path), options) };
        let encoder = match &self.job.records {
            Some(columns) => Encoder::new(mapping, columns, rules)?.of_records(),
            None => Encoder::new(mapping, &self.written_schema(), rules)?,
        };
        let lane = (options.dry_run != DryRun::Local).then(|| Arc::new(Lane::new(relation.account.client(), settings)));
        let counter = |name: &'static str| MetricBuilder::new(&self.metrics).global_counter(name);
        Ok(Driver {
            mapping: Arc::clone(mapping),
            encoder,
            rows: SourceRows::new(self.source.is_some(), self.converts, settled.clone()),
            packer: Packers::new(*form, options.body_rows_max.min(*rows_max), options.body_bytes_max),
            route: Route {
                path,
                form: *form,
                query: if options.dry_run == DryRun::Server { &[DRY_RUN] } else { &[] },
                order: *order,
                stop_on_reject: options.on_reject == OnReject::Stop && options.dry_run == DryRun::Off,
                // Demerging a profile twice splits it wrongly, so no option resends a body of keys.
                resend: *form == BodyForm::Records && (options.in_doubt == InDoubt::Resend || options.dry_run != DryRun::Off),
                retry_for,
            },
            width: lane.as_ref().map_or(1, |lane| lane.in_flight_max()),
            lane,
            run,
            settler: settler.of_files(self.source.clone(), log, settled),
            checker: Checker::of(&self.job),
            memory: MemoryConsumer::new(format!("WriteExec[{}]", mapping.qualified())).register(task.memory_pool()),
            metrics: WriteMetrics {
                encode: MetricBuilder::new(&self.metrics).subset_time("encode_time", 0),
                wait: MetricBuilder::new(&self.metrics).subset_time("wait_time", 0),
                requests: counter("requests"),
                retries: counter("retries"),
                bytes_sent: counter("bytes_sent"),
                accepted: counter("accepted"),
                rejected: counter("rejected"),
                in_doubt: counter("in_doubt"),
                unsent: counter("unsent"),
            },
            progress: Progress::default(),
        })
    }
}

impl DisplayAs for WriteExec {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Job { mapping, options, .. } = &self.job;
        match format {
            DisplayFormatType::Default | DisplayFormatType::Verbose => {
                write!(f, "WriteExec: table={}, ", mapping.qualified())?;
                if self.job.statement.operation != Operation::Insert {
                    write!(f, "operation={}, ", self.job.statement.operation.name())?;
                }
                if let Some(keys) = &self.job.statement.keys {
                    write!(f, "keys={keys}, ")?;
                }
                if let Some(Write::Batch { path, form: BodyForm::Keys, rows_max, .. }) = &mapping.table.write {
                    write!(f, "calls=[POST {path}, {rows_max} of one kind a call], ")?;
                }
                write!(f, "fields=[{}]", mapping.shown())?;
                match options.changed() {
                    changed if changed.is_empty() => Ok(()),
                    changed => write!(f, ", options=[{}]", changed.join(", ")),
                }
            }
            DisplayFormatType::TreeRender => write!(f, "table={}", mapping.qualified()),
        }
    }
}

impl ExecutionPlan for WriteExec {
    over_one_partition!("WriteExec", input, |node, input| node.over(input));

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    /// Without this, DataFusion would drop the ORDER BY of an INSERT … SELECT.
    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::LowerEqual
    }

    fn execute(&self, partition: usize, task: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 || self.input.output_partitioning().partition_count() != 1 {
            return Err(DataFusionError::Internal("WriteExec writes one partition".into()));
        }
        let input = self.input.execute(0, Arc::clone(&task))?;
        let writer = Self { metrics: self.metrics.clone(), ..self.over(Arc::clone(&self.input)) };
        let written = futures::stream::once(async move {
            let accepted = writer.driver(&task).await?.drive(input).await?;
            one_number(accepted_schema(), accepted)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(accepted_schema(), written.boxed())))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// Sums the accepted rows: the one `count` row of a DML plan.
#[derive(Debug)]
pub(crate) struct CommitExec {
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl CommitExec {
    pub(crate) fn new(input: Arc<dyn ExecutionPlan>) -> Self {
        Self { properties: one_row(&input, &count_schema()), input }
    }
}

impl DisplayAs for CommitExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CommitExec")
    }
}

impl ExecutionPlan for CommitExec {
    over_one_partition!("CommitExec", input, |_, input| Self::new(input));

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    /// Keeps the input order of the writer through this node.
    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn execute(&self, partition: usize, task: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return Err(DataFusionError::Internal("CommitExec has one partition".into()));
        }
        let input = self.input.execute(0, task)?;
        let summed = futures::stream::once(async move {
            let sum = |sum: u64, batch: RecordBatch| async move {
                let accepted = batch.column(0).as_any().downcast_ref::<UInt64Array>();
                Ok(sum + accepted.map_or(0, |accepted| accepted.values().iter().sum()))
            };
            one_number(count_schema(), input.try_fold(0, sum).await?)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(count_schema(), summed.boxed())))
    }
}

pub(crate) fn accepted_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("accepted", DataType::UInt64, false)]))
}

fn count_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("count", DataType::UInt64, false)]))
}

pub(crate) fn one_number(schema: SchemaRef, number: u64) -> Result<RecordBatch> {
    Ok(RecordBatch::try_new(schema, vec![Arc::new(UInt64Array::from(vec![number]))])?)
}

pub(crate) fn one_row(input: &Arc<dyn ExecutionPlan>, schema: &SchemaRef) -> Arc<PlanProperties> {
    // Emits as its input does: a node with final emission over an unbounded source would be refused.
    Arc::new(
        PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(schema)),
            Partitioning::UnknownPartitioning(1),
            input.pipeline_behavior(),
            input.boundedness(),
        )
        .with_scheduling_type(SchedulingType::Cooperative)
        .with_evaluation_type(EvaluationType::Eager),
    )
}
