//! The log of a table: which files it has.
//!
//! In: a table. Out: its newest version, loaded from the log alone. A log that lacks a commit, or has one that is empty or no JSON, is found and
//! the file named: the library would read around an empty one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use deltalake_core::StructField;
use deltalake_core::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake_core::kernel::transaction::CommitProperties;
use deltalake_core::kernel::{Action, EagerSnapshot, LogicalFileView};
use deltalake_core::logstore::LogStoreRef;
use deltalake_core::operations::create::CreateBuilder;
use deltalake_core::table::state::DeltaTableState;
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::fault::{Doing, damaged, is_conflict, of_log, of_store};
use super::files::Written;
use super::place::Place;
use super::schema::{SYNC, Table};
use super::store::{Created, LOG_FOLDER, LedgerStore};
use crate::error::{Error, Result};

/// A checkpoint is written each so many commits: a reader opens that and at most so many files.
const CHECKPOINT_COMMITS: &str = "20";

/// A disk is listed while others write: of two new commits the second may be seen, and the first not. What is damaged still is so at the last look.
const LOOKS: u32 = 4;
const LOOK_AGAIN: Duration = Duration::from_millis(25);

/// A version of a table.
#[derive(Debug)]
pub(super) struct Version {
    pub(super) table: Table,
    pub(super) state: DeltaTableState,
    pub(super) log: LogStoreRef,
}

/// A file of rows, as the log has it.
#[derive(Debug, Clone)]
pub(super) struct RowFile {
    /// Below the table's folder.
    pub(super) path: String,
    pub(super) sync: String,
    pub(super) bytes: u64,
    /// `None` if another writer left it out.
    pub(super) rows: Option<u64>,
    view: FileView,
}

#[derive(Clone)]
struct FileView(LogicalFileView);

impl std::fmt::Debug for FileView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FileView")
    }
}

impl RowFile {
    /// The action that takes it out of the table.
    pub(super) fn removal(&self, changes_rows: ChangesRows) -> Action {
        Action::Remove(self.view.0.remove_action(changes_rows == ChangesRows::Yes))
    }
}

/// Whether a commit has other rows than the version before, or the same in other files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChangesRows {
    Yes,
    No,
}

impl Version {
    /// The newest version of a table; `None` if there is no table.
    ///
    /// # Errors
    /// [`Error::Ledger`] that names a damaged file, [`Error::Storage`].
    pub(super) async fn newest(place: &Place, table: Table, store: Arc<LedgerStore>) -> Result<Option<Self>> {
        for _ in 1..LOOKS {
            match Self::load(place, table, Arc::clone(&store)).await {
                Err(Error::Ledger(_)) => tokio::time::sleep(LOOK_AGAIN).await,
                loaded => return loaded,
            }
        }
        Self::load(place, table, store).await
    }

    async fn load(place: &Place, table: Table, store: Arc<LedgerStore>) -> Result<Option<Self>> {
        let Some(needed) = needed(place, table, &store).await? else { return Ok(None) };
        let log = place.log(table.folder(), Arc::<LedgerStore>::clone(&store))?;
        let snapshot = match EagerSnapshot::try_new(log.as_ref(), None).await {
            Ok(snapshot) => snapshot,
            Err(error) => {
                find_damage(place, &needed, &store).await?;
                return Err(of_log(place, table.folder(), Doing::Reading, &error));
            }
        };
        check(place, table, &snapshot)?;
        Ok(Some(Self { table, state: DeltaTableState::new(snapshot), log }))
    }

    /// The files of one sync, or of all.
    pub(super) fn files(&self, sync: Option<&str>) -> Vec<RowFile> {
        let file = |view: LogicalFileView| RowFile {
            path: view.path().into_owned(),
            sync: view.partition_values_map().remove(SYNC).flatten().unwrap_or_default(),
            bytes: u64::try_from(view.size()).unwrap_or_default(),
            rows: view.num_records().map(|rows| rows as u64),
            view: FileView(view),
        };
        self.state.log_data().iter().map(file).filter(|file| sync.is_none_or(|sync| sync == file.sync)).collect()
    }

    /// Whether a file is in the table.
    pub(super) fn has(&self, written: &Written) -> bool {
        self.state.log_data().iter().any(|view| view.path() == written.path())
    }

    /// The greatest number of a lease that committed to this table for this sync.
    pub(super) async fn lease_of(&self, place: &Place, app_id: &str) -> Result<Option<i64>> {
        let number = self.state.transaction_version(self.log.as_ref(), app_id).await;
        number.map_err(|error| of_log(place, self.table.folder(), Doing::Reading, &error))
    }
}

/// Makes a table, unless it is there.
///
/// # Errors
/// [`Error::Storage`].
pub(super) async fn make(place: &Place, table: Table, store: Arc<LedgerStore>) -> Result<()> {
    for look in 1..=LOOKS {
        match needed(place, table, &store).await {
            Ok(Some(_)) => return Ok(()),
            Ok(None) => break,
            Err(Error::Ledger(_)) if look < LOOKS => tokio::time::sleep(LOOK_AGAIN).await,
            Err(error) => return Err(error),
        }
    }
    let columns: Vec<StructField> =
        table.schema().fields().iter().map(|field| field.as_ref().try_into_kernel()).collect::<Result<_, _>>().map_err(
            |error: arrow::error::ArrowError| Error::Ledger(format!("the table {} has a column that Delta lacks: {error}", table.folder())),
        )?;
    let made = CreateBuilder::new()
        .with_log_store(place.log(table.folder(), Arc::<LedgerStore>::clone(&store))?)
        .with_table_name(table.folder())
        .with_comment(table.about())
        .with_columns(columns)
        .with_partition_columns([SYNC])
        .with_configuration([
            ("delta.checkpointInterval", Some(CHECKPOINT_COMMITS)),
            // Keys are values of people, and have no place in the log.
            ("delta.dataSkippingStatsColumns", Some(if table == Table::DeadLetters { "attempts" } else { "seq" })),
        ])
        .with_commit_properties(CommitProperties::default().with_max_retries(0))
        .await;
    match made {
        Err(error) if store.created() != Created::Yes => {
            // Another made it meanwhile.
            if is_conflict(&error) || Version::newest(place, table, store).await?.is_some() {
                return Ok(());
            }
            Err(of_log(place, table.folder(), Doing::Writing, &error))
        }
        _ => Ok(()),
    }
}

/// What other writers may have made of the table that this crate does not read.
fn check(place: &Place, table: Table, snapshot: &EagerSnapshot) -> Result<()> {
    let folder = format!("{}/", table.folder());
    if snapshot.protocol().min_reader_version() > 1 {
        let problem = "has features of Delta Lake (deletion vectors, column mapping …) that another writer turned on, and that this version does not read";
        return Err(damaged(place, &folder, problem));
    }
    let is_partitioned = matches!(snapshot.metadata().partition_columns(), [column] if column == SYNC);
    let there = snapshot.arrow_schema();
    let lacks = table.schema().fields().iter().any(|field| there.field_with_name(field.name()).is_err());
    if lacks || !is_partitioned {
        return Err(damaged(place, &folder, "has other columns or partitions than this version writes"));
    }
    Ok(())
}

/// The files of a log that a reader needs.
#[derive(Debug)]
struct Needed {
    checkpoint: Option<String>,
    /// Below the ledger's folder.
    commits: Vec<String>,
}

/// `None` if there is no table.
async fn needed(place: &Place, table: Table, store: &LedgerStore) -> Result<Option<Needed>> {
    use object_store::ObjectStore;
    let folder = format!("{}/{LOG_FOLDER}/", table.folder());
    let told = |error: object_store::Error| of_store(place, &folder, Doing::Reading, &error);
    let mut checkpoint: Option<(u64, String)> = None;
    let mut commits = BTreeMap::new();
    let mut listed = store.list(Some(&place.path(&folder)));
    while let Some(file) = listed.try_next().await.map_err(told)? {
        let Some(name) = file.location.filename().map(ToOwned::to_owned) else { continue };
        let Some(version) = name.get(..20).and_then(|digits| digits.parse::<u64>().ok()) else { continue };
        match name.get(20..) {
            Some(".json") => {
                commits.insert(version, (format!("{folder}{name}"), file.size));
            }
            Some(rest) if rest.starts_with(".checkpoint") => checkpoint = checkpoint.max(Some((version, format!("{folder}{name}")))),
            _ => {}
        }
    }
    if commits.is_empty() && checkpoint.is_none() {
        // A commit is made before the first file of rows.
        let rows = store.list(Some(&place.path(table.folder()))).try_next().await.map_err(told)?;
        return match rows {
            Some(_) => Err(damaged(place, &folder, "is missing, though the table has files")),
            None => Ok(None),
        };
    }
    let first = checkpoint.as_ref().map_or(0, |(version, _)| version + 1);
    for (expected, (version, (name, bytes))) in (first..).zip(commits.range(first..)) {
        if *version != expected {
            return Err(damaged(place, &format!("{folder}{expected:020}.json"), "is missing, and later commits are there"));
        }
        if *bytes == 0 {
            return Err(damaged(place, name, "is empty"));
        }
    }
    let commits = commits.split_off(&first).into_values().map(|(name, _)| name).collect();
    Ok(Some(Needed { checkpoint: checkpoint.map(|(_, name)| name), commits }))
}

/// Names the file that the library stumbled over: the first commit that is no JSON, or else the checkpoint.
async fn find_damage(place: &Place, needed: &Needed, store: &LedgerStore) -> Result<()> {
    for name in &needed.commits {
        let read = async { store.get(&place.path(name)).await?.bytes().await };
        let bytes = read.await.map_err(|error| of_store(place, name, Doing::Reading, &error))?;
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        for (at, line) in lines.enumerate() {
            if serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(line).is_err() {
                return Err(damaged(place, name, &format!("is damaged: its line {} is no JSON object", at + 1)));
            }
        }
    }
    let Some(name) = &needed.checkpoint else { return Ok(()) };
    let read = async { store.get(&place.path(name)).await?.bytes().await };
    let bytes = read.await.map_err(|error| of_store(place, name, Doing::Reading, &error))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).and_then(ParquetRecordBatchReaderBuilder::build);
    let is_whole = reader.is_ok_and(|mut batches| batches.all(|batch| batch.is_ok()));
    if is_whole { Ok(()) } else { Err(damaged(place, name, "is damaged: it is no file of Parquet")) }
}
