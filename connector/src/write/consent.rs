//! What stands before a call that erases: every row is read and counted before the first one is sent.
//!
//! In: the rows of a DELETE or of demerges. Out: the same rows, once it is certain that they are no more than
//! `clevertap.delete_rows_max`, and that whoever watches consents; else an error, and nothing was sent.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::{StreamExt, TryStreamExt};

use crate::account::Account;
use crate::error::Error;
use crate::options::DryRun;
use crate::single_partition::over_one_partition;
use crate::write::hooks::{EraseConsent, Erasure};
use crate::write::job::{Job, Operation, RunUids};

/// Reads all of its input before it hands out the first row.
#[derive(Debug)]
pub(crate) struct ConsentExec {
    input: Arc<dyn ExecutionPlan>,
    erases: Erases,
}

#[derive(Debug, Clone)]
struct Erases {
    /// What is shown to whoever is asked; the rows are counted when it runs.
    erasure: Erasure,
    rows_max: u64,
    account: Account,
    run_uids: Arc<RunUids>,
    /// Who is asked; nobody about a dry run.
    consent: Option<EraseConsent>,
}

impl ConsentExec {
    pub(crate) fn new(input: Arc<dyn ExecutionPlan>, job: &Job) -> Self {
        let verb = if job.statement.operation == Operation::Delete { "DELETE FROM" } else { "INSERT INTO" };
        let table = job.mapping.qualified();
        let erasure = Erasure {
            account: job.relation.account.id().to_owned(),
            table: table.to_owned(),
            statement: format!("{verb} {table}"),
            label: job.options.run_label.clone(),
            run_uid: String::new(),
            rows: 0,
        };
        let account = job.relation.account.clone();
        let consent = job.consent.clone().filter(|_| job.options.dry_run == DryRun::Off);
        Self {
            input,
            erases: Erases { erasure, rows_max: job.options.delete_rows_max, account, run_uids: Arc::clone(&job.run_uids), consent },
        }
    }
}

impl Erases {
    async fn all(self, mut input: SendableRecordBatchStream, task: Arc<TaskContext>) -> Result<Vec<RecordBatch>> {
        let memory = MemoryConsumer::new("ConsentExec").register(task.memory_pool());
        let mut kept = Vec::new();
        let mut rows: u64 = 0;
        while let Some(batch) = input.try_next().await? {
            rows += batch.num_rows() as u64;
            if rows <= self.rows_max {
                memory.try_grow(batch.get_array_memory_size())?;
                kept.push(batch);
            } else {
                // They are only counted from here on.
                kept.clear();
                memory.free();
            }
        }
        let Self { erasure, rows_max, account, run_uids, consent } = self;
        let statement = erasure.statement.clone();
        if rows > rows_max {
            let remedy = match account.whose_scope(|ceilings| ceilings.delete_rows_max.is_some_and(|max| rows > max)) {
                Some(tenant) => format!("Take fewer: the scope of \"{tenant}\" allows no more at once."),
                None => format!("Take fewer, or SET clevertap.delete_rows_max = {rows} if all of them are meant."),
            };
            return Err(Error::TooMany(format!(
                "{statement} would take {rows} rows, and clevertap.delete_rows_max is {rows_max}: nothing was sent. {remedy}"
            ))
            .into());
        }
        if let Some(consent) = consent.filter(|_| rows > 0)
            && !consent.is_given(Erasure { rows, run_uid: run_uids.planned().to_string(), ..erasure }).await
        {
            return Err(Error::Declined(format!("{statement} was not confirmed: nothing was sent.")).into());
        }
        Ok(kept)
    }
}

impl DisplayAs for ConsentExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConsentExec: rows_max={}", self.erases.rows_max)
    }
}

impl ExecutionPlan for ConsentExec {
    over_one_partition!("ConsentExec", input, |node, input| Self { input, erases: node.erases.clone() });

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn execute(&self, partition: usize, task: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return Err(DataFusionError::Internal("ConsentExec has one partition".into()));
        }
        let input = self.input.execute(0, Arc::clone(&task))?;
        let all = self.erases.clone().all(input, task);
        let rows = futures::stream::once(all).map_ok(|batches| futures::stream::iter(batches.into_iter().map(Ok))).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows.boxed())))
    }
}
