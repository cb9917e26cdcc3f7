//! A write: rows to files, and one commit that says which files the table has.
//!
//! In: a job, the snapshot that its statement sees, the rows. Out: their number; the commit is there. Whatever fails before leaves the table as
//! it was, and removes the files that it wrote. Another commit since the snapshot is no fault, if the two do not touch each other: the library
//! looks, and commits behind it.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::common::ScalarValue;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::{SendableRecordBatchStream, SessionState, TaskContext};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::prelude::{ident, lit};
use deltalake_core::delta_datafusion::DeltaSessionContext;
use deltalake_core::kernel::EagerSnapshot;
use deltalake_core::kernel::transaction::CommitProperties;
use deltalake_core::logstore::LogStoreRef;
use deltalake_core::operations::write::WriteBuilder;
use deltalake_core::protocol::SaveMode;
use deltalake_core::{DeltaResult, DeltaTable, DeltaTableError};
use futures::StreamExt;

use super::fault::fault;
use super::partitions::condition;
use super::place::Place;
use super::removals::{Removals, SeenLog};
use super::rows::{Progress, converted, once};
use super::spilled::spill;
use super::store::{Commit, WriteStore};
use super::upsert::upsert;
use crate::driver::Writer;
use crate::error::{Doing, Error};
use crate::options::Overwrite;
use crate::relation::{Column, Unnamed};
use crate::write::job::{Job, Mode};

/// Writes to one table.
#[derive(Debug)]
pub(super) struct DeltaWriter {
    pub(super) place: Place,
    /// What the statement sees.
    pub(super) snapshot: Arc<EagerSnapshot>,
    pub(super) overwrite: Overwrite,
    /// Whether the source has rows of the table: then the write stands on them, an append too.
    pub(super) reads_itself: bool,
}

impl DeltaWriter {
    fn partitions(&self) -> &[String] {
        self.snapshot.metadata().partition_columns()
    }

    /// Whether a replace is one of partitions.
    fn is_of_partitions(&self) -> bool {
        self.overwrite == Overwrite::Partitions && !self.partitions().is_empty()
    }

    /// A write that stands on rows of its own table, of which the library does not know, is made against the version that it read or not at all.
    /// An append does not lose by what others do.
    fn commit(&self, mode: Mode) -> CommitProperties {
        let is_bound = self.reads_itself && mode != Mode::Append;
        let properties = CommitProperties::default();
        if is_bound { properties.with_max_retries(0) } else { properties }
    }

    fn builder(&self, log: LogStoreRef, rows: LogicalPlan, mode: SaveMode, session: &SessionState) -> WriteBuilder {
        WriteBuilder::new(log, Some(EagerSnapshot::clone(&self.snapshot)))
            .with_input_plan(rows)
            .with_save_mode(mode)
            .with_session_state(Arc::new(session.clone()))
            .with_commit_properties(self.commit(if mode == SaveMode::Append { Mode::Append } else { Mode::Replace }))
    }

    /// Writes and commits. `None` if there is nothing to write.
    async fn run(
        &self,
        job: &Job,
        rows: SendableRecordBatchStream,
        log: LogStoreRef,
        task: &TaskContext,
    ) -> DeltaResult<Option<DeltaTable>> {
        let session = DeltaSessionContext::with_runtime_env(task.runtime_env()).state();
        let is_blind = job.mode == Mode::Append && !self.reads_itself;
        let log = SeenLog::new(log, if is_blind { Removals::LeftOut } else { Removals::OfRows }) as LogStoreRef;
        match job.mode {
            Mode::Append => {
                let mut rows = rows.peekable();
                if std::pin::Pin::new(&mut rows).peek().await.is_none() {
                    return Ok(None);
                }
                let rows = RecordBatchStreamAdapter::new(job.schema(), rows);
                self.builder(log, whole(once(Box::pin(rows))?, job)?, SaveMode::Append, &session).await.map(Some)
            }
            Mode::Replace if self.is_of_partitions() => {
                let Some(rows) = spill(rows, task).await? else { return Ok(None) };
                let condition = condition(&rows, self.partitions(), &session).await?;
                self.builder(log, whole(rows, job)?, SaveMode::Overwrite, &session).with_replace_where(condition).await.map(Some)
            }
            Mode::Replace => self.builder(log, whole(once(rows)?, job)?, SaveMode::Overwrite, &session).await.map(Some),
            Mode::Upsert => {
                let Some(rows) = spill(rows, task).await? else { return Ok(None) };
                upsert(rows, job, EagerSnapshot::clone(&self.snapshot), log, session, self.commit(job.mode)).await.map(Some)
            }
        }
    }

    /// What a write that ended with an error has done.
    async fn ended(&self, store: &WriteStore, progress: &Progress, error: &DeltaTableError) -> DataFusionResult<u64> {
        let table = self.place.shown();
        match store.commit() {
            // What comes behind a commit, a checkpoint, is done by the next writer.
            Commit::Made => {
                tracing::warn!(table, "the rows are committed, and what tidies up the log behind a commit failed");
                Ok(progress.rows())
            }
            Commit::InDoubt => Err(Error::InDoubt(format!(
                "{table}: the answer to the commit was lost: all rows were written, or none. Look at the table before you run the statement again"
            ))
            .into()),
            Commit::None => {
                store.remove_files().await;
                Err(progress.take_error().unwrap_or_else(|| fault(&table, Doing::Writing, error).into()))
            }
        }
    }
}

/// The columns of the table, NULL where the source has none. The library computes those that are generated.
fn whole(rows: LogicalPlan, job: &Job) -> DataFusionResult<LogicalPlan> {
    let of = |column: &Column| match job.columns.iter().any(|written| written.name == column.name) {
        true => Ok(ident(&column.name)),
        false => Ok(lit(ScalarValue::try_from(&column.data_type)?).alias(&column.name)),
    };
    let columns = job.relation.columns.iter().filter(|column| column.unnamed != Unnamed::Generated).map(of);
    LogicalPlanBuilder::from(rows).project(columns.collect::<DataFusionResult<Vec<_>>>()?)?.build()
}

#[async_trait]
impl Writer for DeltaWriter {
    fn steps(&self, job: &Job) -> Vec<String> {
        let version = self.snapshot.version();
        let files = match job.mode {
            Mode::Append => "write its rows to new files".to_owned(),
            Mode::Replace if self.is_of_partitions() => {
                format!("write its rows to new files, in place of those of their partitions ({})", self.partitions().join(", "))
            }
            Mode::Replace => "write its rows to new files, in place of all".to_owned(),
            Mode::Upsert => "keep its rows on disk; the last of each key; MERGE; write the files again that have a changed row".to_owned(),
        };
        vec![files, format!("one commit after version {version}")]
    }

    async fn write(&self, job: Arc<Job>, input: SendableRecordBatchStream, task: Arc<TaskContext>) -> DataFusionResult<u64> {
        let store = Arc::new(WriteStore::new(self.place.store(), self.place.is_local()));
        let log = self.place.log(Arc::clone(&store) as _);
        let (rows, progress) = converted(input, &job, self.partitions());
        match self.run(&job, rows, log, &task).await {
            Ok(_) => Ok(progress.rows()),
            Err(error) => self.ended(&store, &progress, &error).await,
        }
    }
}
