//! A Delta table: rows and cursor are one commit.
//!
//! In: rows, the cursor after them. Out: one commit of all of them, or none. It carries Delta's application transactions, which the table keeps for
//! good, and from which the next run goes on:
//!
//! | `appId` | `version` |
//! |---|---|
//! | `clevertap-sync:<sync>` | how many commits the sync has made |
//! | `clevertap-sync:<sync>:run` | when the run began whose rows are the last, in microseconds |
//! | `clevertap-sync:<sync>:cursor` | the cursor, in microseconds |
//!
//! A run commits upon the run that it has seen when it began: where another came in between, which took the sync over, it commits nothing.
//! The window and the run stand in the commit's `commitInfo` besides, for whoever looks at the history. A commit is made upon the version that was
//! looked at; when another comes first, that is looked at anew, and an upsert finds its rows again.

use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{Schema, SchemaRef};
use chrono::{DateTime, Utc};
use datafusion::datasource::provider_as_source;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use deltalake_core::delta_datafusion::DeltaSessionContext;
use deltalake_core::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake_core::kernel::transaction::{CommitBuilder, CommitProperties, TransactionError};
use deltalake_core::kernel::{EagerSnapshot, StructField, Transaction};
use deltalake_core::logstore::LogStoreRef;
use deltalake_core::operations::create::CreateBuilder;
use deltalake_core::operations::write::{SchemaMode, WriteBuilder};
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use deltalake_core::{DeltaResult, DeltaTableError};

use super::merge::{Merged, merge};
use super::target::{Stored, Write};
use crate::definition::Mode;
use crate::error::{Error, Result};
use crate::ledger::{Created, LOG_FOLDER, LedgerStore, Place, cause_of, innermost, is_conflict, pause};
use crate::report::Changes;

/// Commits of others that came first.
const CONFLICTS_MAX: u32 = 20;
/// Of a store that answered with an error, or not.
const FAULTS_MAX: u32 = 4;

/// A Delta table.
#[derive(Debug)]
pub(super) struct DeltaTarget {
    place: Place,
    sync: String,
}

/// A version of it.
struct Version {
    snapshot: EagerSnapshot,
    log: LogStoreRef,
}

impl DeltaTarget {
    pub(super) fn new(place: Place, sync: &str) -> Self {
        Self { place, sync: sync.to_owned() }
    }

    fn app_id(&self, of: &str) -> String {
        format!("clevertap-sync:{}{of}", self.sync)
    }

    fn wrong(&self, problem: &str) -> Error {
        Error::Definition(format!("sync \"{}\": the Delta table {} {problem}", self.sync, self.place.shown()))
    }

    /// What the library or the store says. It may show rows: of its own words the first line is told, and nothing of it kept.
    fn fault(&self, error: &DeltaTableError) -> Error {
        let place = self.place.shown();
        if let DeltaTableError::Transaction { source: TransactionError::UnsupportedTableFeatures(features) } = error {
            let names: Vec<String> = features.iter().map(ToString::to_string).collect();
            return self.wrong(&format!("has features that are not supported here: {}; name another table", names.join(", ")));
        }
        if let DeltaTableError::Transaction { source: TransactionError::DeltaTableAppendOnly } = error {
            return self.wrong("takes mode = \"append\" alone: its property delta.appendOnly is true");
        }
        let store = cause_of::<object_store::Error>(error).map(|store| innermost(store));
        let kept = match &store {
            Some(cause) => format!(
                "sync \"{}\": the store of {place} answered: {cause}. Nothing was committed; when it is well again, run the sync again",
                self.sync
            ),
            None => format!("sync \"{}\": the Delta table {place} was not read or written. Nothing was committed", self.sync),
        };
        match store {
            Some(_) => Error::Storage(kept),
            None => Error::Query { text: format!("{kept}: {}", innermost(error)), kept },
        }
    }

    /// The newest version; `None` if there is no table.
    ///
    /// # Errors
    /// [`Error::Definition`] of a folder that holds something else, [`Error::Storage`].
    async fn newest(&self, store: &Arc<LedgerStore>) -> Result<Option<Version>> {
        let log = self.place.log("", Arc::<LedgerStore>::clone(store))?;
        if log.is_delta_table_location().await.map_err(|error| self.fault(&error))? {
            let snapshot = EagerSnapshot::try_new(log.as_ref(), None).await.map_err(|error| self.fault(&error))?;
            return Ok(Some(Version { snapshot, log }));
        }
        if store.has_files(&self.place).await.map_err(|error| self.fault(&DeltaTableError::from(error)))? {
            return Err(
                self.wrong(&format!("is none: its folder has files and no {LOG_FOLDER}/; name an empty folder, or one that is not there"))
            );
        }
        Ok(None)
    }

    async fn transaction(&self, version: &Version, of: &str) -> Result<Option<i64>> {
        let found = version.snapshot.transaction_version(version.log.as_ref(), self.app_id(of)).await;
        found.map_err(|error| self.fault(&error))
    }

    /// # Errors
    /// As of [`check`](Self::check).
    pub(super) async fn stored(&self) -> Result<Stored> {
        let Some(version) = self.newest(&LedgerStore::new(&self.place)).await? else { return Ok(Stored::default()) };
        let instant = |micros: Option<i64>| micros.and_then(DateTime::from_timestamp_micros);
        Ok(Stored {
            cursor: instant(self.transaction(&version, ":cursor").await?),
            run_at: instant(self.transaction(&version, ":run").await?),
        })
    }

    /// Whether the table, if it is there, takes these columns.
    ///
    /// # Errors
    /// [`Error::Definition`] that names the column, or says why the place holds no table; [`Error::Storage`].
    pub(super) async fn check(&self, schema: &Schema, key: &[String]) -> Result<()> {
        let fields = self.fields(schema)?;
        let Some(version) = self.newest(&LedgerStore::new(&self.place)).await? else { return Ok(()) };
        for field in fields {
            let Some(there) = version.snapshot.schema().field(field.name()).cloned() else {
                if key.contains(field.name()) {
                    return Err(self.wrong(&format!(
                        "has no column \"{}\", which is of the key: its rows have none; name another table",
                        field.name()
                    )));
                }
                continue;
            };
            if there.data_type() != field.data_type() {
                return Err(self.wrong(&format!(
                    "has the column \"{}\" as {}, and the query as {}; CAST it, name it otherwise by AS, or name another table",
                    field.name(),
                    there.data_type(),
                    field.data_type()
                )));
            }
        }
        Ok(())
    }

    fn fields(&self, schema: &Schema) -> Result<Vec<StructField>> {
        let fields = schema.fields().iter().map(|field| {
            let found: Result<StructField, arrow::error::ArrowError> = field.as_ref().try_into_kernel();
            found.map_err(|_| self.wrong(&format!("cannot have the column \"{}\" of the query; CAST it to varchar", field.name())))
        });
        fields.collect()
    }

    async fn make(&self, store: &Arc<LedgerStore>, schema: &Schema) -> Result<()> {
        let made = CreateBuilder::new()
            .with_log_store(self.place.log("", Arc::<LedgerStore>::clone(store))?)
            .with_comment(format!("Rows of CleverTap, by the sync {}.", self.sync))
            .with_columns(self.fields(schema)?)
            .with_commit_properties(CommitProperties::default().with_max_retries(0))
            .await;
        match made {
            // Another made it meanwhile: it is looked at next.
            Err(error) if store.created() == Created::No && !is_conflict(&error) => Err(self.fault(&error)),
            _ => Ok(()),
        }
    }

    /// Commits all rows. An upsert says what it changed.
    ///
    /// # Errors
    /// [`Error::Held`] if another run has the sync, [`Error::Storage`] if nothing was committed, [`Error::Definition`].
    pub(super) async fn write(&self, write: &Write<'_>, changes: &mut Changes) -> Result<u64> {
        let (rows, own) = (write.rows.rows, Some(write.run_at.timestamp_micros()));
        let (mut conflicts, mut faults, mut merged) = (0, 0, None);
        loop {
            if write.lease.is_lost() {
                return Err(self.taken_over());
            }
            let store = LedgerStore::new(&self.place);
            let Some(version) = self.newest(&store).await? else {
                self.make(&store, write.rows.schema()).await?;
                continue;
            };
            match self.transaction(&version, ":run").await? {
                // The answer to the commit was lost.
                there if there == own => break,
                there if there != write.seen.map(|seen| seen.timestamp_micros()) => return Err(self.taken_over()),
                _ => {}
            }
            let number = self.transaction(&version, "").await?.unwrap_or_default() + 1;
            let error = match self.commit(write, &version, number, &mut merged).await {
                Ok(()) => break,
                Err(error) => error,
            };
            match store.created() {
                Created::Yes => {
                    // What comes behind a commit, a checkpoint, is done by the next writer.
                    tracing::warn!(sync = self.sync, "rows are committed, and what tidies up the log behind a commit was not done");
                    break;
                }
                Created::No if is_conflict(&error) && conflicts < CONFLICTS_MAX => {
                    conflicts += 1;
                    pause(Duration::from_millis(10), conflicts).await;
                }
                created if faults < FAULTS_MAX && (created == Created::InDoubt || cause_of::<object_store::Error>(&error).is_some()) => {
                    faults += 1;
                    pause(Duration::from_millis(200), faults).await;
                }
                _ if is_conflict(&error) => {
                    return Err(Error::Storage(format!(
                        "sync \"{}\": {CONFLICTS_MAX} commits of others came first in {}; run it again when they are done",
                        self.sync,
                        self.place.shown()
                    )));
                }
                _ => return Err(self.fault(&error)),
            }
        }
        let Some(Merged { inserted, updated }) = merged else { return Ok(rows) };
        (changes.new, changes.changed, changes.unchanged) = (inserted, updated, rows.saturating_sub(inserted + updated));
        Ok(inserted + updated)
    }

    fn taken_over(&self) -> Error {
        Error::Held(format!("sync \"{}\": another run took it over; nothing was committed, and that one reads the window", self.sync))
    }

    /// The same for each try.
    fn properties(&self, write: &Write<'_>, number: i64) -> CommitProperties {
        let now = Some(Utc::now().timestamp_millis());
        let transaction = |of: &str, version: i64| Transaction::new_with_last_update(self.app_id(of), version, now);
        let cursor = write.cursor.map(|cursor| transaction(":cursor", cursor.timestamp_micros()));
        let transactions = [transaction("", number), transaction(":run", write.run_at.timestamp_micros())];
        let window = write.span.map(|span| span.texts(write.query.zone));
        let metadata = [
            ("clevertap.sync", Some(self.sync.clone())),
            ("clevertap.run_id", Some(write.run_id.to_owned())),
            ("clevertap.from", window.as_ref().map(|(from, _)| from.clone())),
            ("clevertap.to", window.map(|(_, to)| to)),
        ];
        let metadata = metadata.into_iter().filter_map(|(name, text)| Some((name.to_owned(), serde_json::Value::String(text?))));
        CommitProperties::default()
            .with_max_retries(0)
            .with_metadata(metadata)
            .with_application_transactions(transactions.into_iter().chain(cursor).collect())
    }

    async fn commit(&self, write: &Write<'_>, version: &Version, number: i64, merged: &mut Option<Merged>) -> DeltaResult<()> {
        let properties = self.properties(write, number);
        let task = write.query.session.task_ctx();
        let session = DeltaSessionContext::with_runtime_env(task.runtime_env()).state();
        let mode = write.query.mode;
        if write.rows.rows == 0 && mode != Mode::Replace {
            let operation = DeltaOperation::Write { mode: SaveMode::Append, partition_by: None, predicate: None };
            let commit = CommitBuilder::from(properties);
            return commit.build(Some(&version.snapshot), Arc::clone(&version.log), operation).await.map(drop);
        }
        let adds = adds_columns(write.rows.schema(), &version.snapshot);
        if mode == Mode::Upsert {
            let (snapshot, log) = (version.snapshot.clone(), Arc::clone(&version.log));
            *merged = Some(merge(write, snapshot, log, session, properties, adds).await?);
            return Ok(());
        }
        let save = if mode == Mode::Replace { SaveMode::Overwrite } else { SaveMode::Append };
        self.append(write, version, save, session, properties, adds).await
    }

    async fn append(
        &self,
        write: &Write<'_>,
        version: &Version,
        save: SaveMode,
        session: SessionState,
        properties: CommitProperties,
        adds: bool,
    ) -> DeltaResult<()> {
        let rows = write.rows.table()?;
        let rows: LogicalPlan = LogicalPlanBuilder::scan("rows", provider_as_source(rows), None)?.build()?;
        let mut builder = WriteBuilder::new(Arc::clone(&version.log), Some(version.snapshot.clone()))
            .with_input_plan(rows)
            .with_save_mode(save)
            .with_session_state(Arc::new(session))
            .with_commit_properties(properties);
        if adds || version.snapshot.schema().fields().count() > write.rows.schema().fields().len() {
            builder = builder.with_schema_mode(SchemaMode::Merge);
        }
        builder.await.map(drop)
    }
}

/// Whether rows have columns that the table lacks.
fn adds_columns(rows: &SchemaRef, snapshot: &EagerSnapshot) -> bool {
    let there = snapshot.schema();
    rows.fields().iter().any(|field| there.field(field.name()).is_none())
}

impl std::fmt::Debug for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Version").field("version", &self.snapshot.version()).finish_non_exhaustive()
    }
}
