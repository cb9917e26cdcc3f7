//! The plan nodes of a write: `CommitExec` over `WriteExec`.
//!
//! In: the source's plan. Out of `WriteExec`: one row, the rows that were accepted. Out of `CommitExec`: one row, `count`, as
//! DataFusion wants of a DML plan. Nothing happens before `execute()` is polled, since EXPLAIN makes these nodes too.

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

use crate::account::{Access, Account};
use crate::client::{Api, Lane, LaneSettings};
use crate::error::Error;
use crate::one_partition::over_one_partition;
use crate::options::{DryRun, InDoubt, OnReject, Options};
use crate::table::{Form, Table, Write};
use crate::tables::DRY_RUN;
use crate::write::Tally;
use crate::write::body::Packers;
use crate::write::consent::ConsentExec;
use crate::write::deliver::Route;
use crate::write::drive::{Driver, Figures, Progress};
use crate::write::encode::{Encoder, Rules};
use crate::write::failed_rows::{FailedRowsFile, Folder};
use crate::write::mapping::{Mapping, Whose};
use crate::write::runs::{Run, Status};
use crate::write::schema::Checker;
use crate::write::settle::{FateWatch, Settler};

/// What a statement does to its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// INSERT, or COPY.
    Insert,
    /// UPDATE: of people who were looked up.
    Update,
    /// DELETE: of people who were looked up, or are named in the statement.
    Delete,
}

impl Operation {
    /// As `clevertap.runs` and EXPLAIN show it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
        }
    }

    fn whose(self) -> Whose {
        match self {
            Self::Insert => Whose::OneColumn,
            Self::Update | Self::Delete => Whose::FirstThere,
        }
    }
}

/// What a write needs besides its input: made when the statement is planned.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) operation: Operation,
    pub(crate) account: Account,
    pub(crate) mapping: Arc<Mapping>,
    pub(crate) options: Options,
    pub(crate) rules: Rules,
    pub(crate) statement: Option<String>,
    pub(crate) watch: Option<FateWatch>,
    /// Where the keys of an UPDATE or a DELETE come from, for EXPLAIN.
    pub(crate) keys: Option<String>,
}

impl Job {
    /// Maps `source` onto `table`, or says why it cannot be written.
    pub(crate) fn new(
        operation: Operation,
        account: &Account,
        table: &'static Table,
        event: Option<&str>,
        source: &Schema,
        options: &Options,
    ) -> Result<Self, Error> {
        let mapping = Mapping::new(table, event, source, operation.whose())?;
        let (id, qualified) = (account.id(), mapping.qualified());
        if account.access() == Access::Read {
            return Err(Error::Unauthorized(format!(
                "account \"{id}\" was opened to be read only, and {qualified} would be written; open it with write access"
            )));
        }
        if table.erases() && account.access() < Access::Erase {
            return Err(Error::Unauthorized(format!(
                "account \"{id}\" was opened without the right to erase, and {} {qualified} cannot be undone; open it with erase access \
                 (clevertap-sql --allow-erase)",
                if operation == Operation::Delete { "DELETE FROM" } else { "INSERT INTO" },
            )));
        }
        let upload = matches!(table.write, Some(Write::Batch { path, .. }) if Api::of(path).is_upload());
        if options.dry_run == DryRun::Server && !upload {
            return Err(Error::Setting(format!(
                "option \"clevertap.dry_run\" is 'server', and CleverTap checks uploads alone: {qualified} would be written; \
                 SET clevertap.dry_run = 'local'"
            )));
        }
        let rules = Rules {
            nulls: options.nulls,
            nested: options.nested,
            naive_time: options.naive_time,
            long_values: options.long_values,
            time_zone: account.time_zone(),
        };
        // What cannot be encoded is refused now, not at the first batch.
        Encoder::new(&mapping, source, &rules)?;
        Ok(Self {
            operation,
            account: account.clone(),
            mapping: Arc::new(mapping),
            options: options.clone(),
            rules,
            statement: None,
            watch: None,
            keys: None,
        })
    }

    /// The same, with the columns of the source as the statement's author knows them.
    pub(crate) fn told_from(mut self, sources: &[String]) -> Self {
        self.mapping = Arc::new(self.mapping.told_from(sources));
        self
    }

    pub(crate) fn begin(&self) -> Run {
        Run {
            run_id: 0,
            label: self.options.run_label.clone(),
            account: self.account.id().to_owned(),
            table_name: self.mapping.qualified(),
            operation: self.operation.name(),
            statement: self.statement.clone(),
            started_at: self.account.clock().now(),
            finished_at: None,
            status: Status::Running,
            input_complete: false,
            settled_through: 0,
            tally: Tally::default(),
            checked: 0,
            requests: 0,
            retries: 0,
            bytes_sent: 0,
            error_code: None,
            error: None,
            mapping: self.mapping.to_string(),
            changed_options: self.options.changed(),
            samples: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

/// Turns batches into bodies and bodies into fates; one partition, in input order.
#[derive(Debug)]
pub(crate) struct WriteExec {
    input: Arc<dyn ExecutionPlan>,
    job: Job,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl WriteExec {
    pub(crate) fn new(input: Arc<dyn ExecutionPlan>, job: Job) -> Self {
        Self { properties: one_row(&input, &accepted_schema()), input, job, metrics: ExecutionPlanMetricsSet::new() }
    }

    /// The plan of a whole write: this node under its commit, and, where it erases, above the node that counts before anything is sent.
    pub(crate) fn committed(mut input: Arc<dyn ExecutionPlan>, job: Job) -> Arc<dyn ExecutionPlan> {
        if job.mapping.table.erases() {
            input = Arc::new(ConsentExec::new(input, &job));
        }
        Arc::new(CommitExec::new(Arc::new(Self::new(input, job))))
    }

    /// Everything that a driver needs; no request is made.
    fn driver(&self, task: &TaskContext) -> Result<Driver> {
        let Job { account, mapping, options, rules, watch, .. } = &self.job;
        let Some(Write::Batch { path, form, rows_max, order, .. }) = &mapping.table.write else {
            return Err(DataFusionError::Internal("a mapping of a table that is not written".into()));
        };
        let folder = options.failed_rows_to.as_ref().map(|to| Folder::open(to, task)).transpose()?;
        let run = account.runs_kept().begin(self.job.begin());
        let (run_id, started_at) = {
            let run = run.get();
            (run.run_id, run.started_at)
        };
        let file = folder.map(|folder| FailedRowsFile::new(folder, run_id, started_at));
        let settler = Settler::new(account.clone(), Arc::clone(&run), file, watch.clone(), options);
        let retry_for = std::time::Duration::from_millis(options.retry_for_ms);
        let settings = LaneSettings { stop: run.stop.clone(), ..LaneSettings::new(Api::of(path), options) };
        let lane = (options.dry_run != DryRun::Local).then(|| Arc::new(Lane::new(account, settings)));
        let figure = |name: &'static str| MetricBuilder::new(&self.metrics).global_counter(name);
        Ok(Driver {
            mapping: Arc::clone(mapping),
            encoder: Encoder::new(mapping, &self.input.schema(), rules)?,
            packer: Packers::new(*form, options.body_rows_max.min(*rows_max), options.body_bytes_max),
            route: Route {
                path,
                form: *form,
                query: if options.dry_run == DryRun::Server { &[DRY_RUN] } else { &[] },
                order: *order,
                stop_on_reject: options.on_reject == OnReject::Stop && options.dry_run == DryRun::Off,
                // What is split twice is split wrongly: no option has it sent again.
                resend: *form == Form::Records && (options.in_doubt == InDoubt::Resend || options.dry_run != DryRun::Off),
                retry_for,
            },
            width: lane.as_ref().map_or(1, |lane| lane.in_flight_max()),
            lane,
            run,
            settler,
            checker: Checker::of(&self.job),
            memory: MemoryConsumer::new(format!("WriteExec[{}]", mapping.qualified())).register(task.memory_pool()),
            figures: Figures {
                encode: MetricBuilder::new(&self.metrics).subset_time("encode_time", 0),
                wait: MetricBuilder::new(&self.metrics).subset_time("wait_time", 0),
                requests: figure("requests"),
                retries: figure("retries"),
                bytes_sent: figure("bytes_sent"),
                accepted: figure("accepted"),
                rejected: figure("rejected"),
                in_doubt: figure("in_doubt"),
                unsent: figure("unsent"),
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
                if self.job.operation != Operation::Insert {
                    write!(f, "operation={}, ", self.job.operation.name())?;
                }
                if let Some(keys) = &self.job.keys {
                    write!(f, "keys={keys}, ")?;
                }
                if let Some(Write::Batch { path, form: Form::Keys, rows_max, .. }) = &mapping.table.write {
                    write!(f, "calls=[POST {path}, {rows_max} of one kind a call], ")?;
                }
                write!(f, "fields=[{mapping}]")?;
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
    over_one_partition!("WriteExec", input, |node, input| Self::new(input, node.job.clone()));

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    /// Without this DataFusion would drop the ORDER BY of an INSERT … SELECT.
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
        let writer = Self { metrics: self.metrics.clone(), ..Self::new(Arc::clone(&self.input), self.job.clone()) };
        let written = futures::stream::once(async move {
            let accepted = writer.driver(&task)?.drive(input).await?;
            one_number(accepted_schema(), accepted)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(accepted_schema(), written.boxed())))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// Sums up what its writers accepted: the one `count` row of a DML plan.
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

    /// The order of the writer's input must be kept through this node too.
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
    // As its input emits: a Final node over an unbounded source would be refused.
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
