//! Custom lists: a list is sent whole, when its membership is another one, and only then.
//!
//! In: rows of a list's name and a member. Out: lists that are new are created, those that changed are replaced; the ledger has a row a list, whose
//! payload is the hash of its members in no order. All rows wait on the disk until it is known which lists leave; those are written down as in
//! doubt before the first of them does.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use chrono::Utc;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::dataframe::DataFrameWriteOptions;
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, SessionStateBuilder, TaskContext};
use datafusion::physical_plan::execute_stream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::prelude::SessionContext;
use datafusion_clevertap::Fate;
use datafusion_clevertap::hooks::FateWatch;
use futures::{StreamExt, TryStreamExt};

use super::compare::{hash, remember};
use super::prepared::Prepared;
use super::send::watched_by;
use super::spool::Spool;
use crate::diff::{Class, Diff, Outcome};
use crate::error::{Error, Result};
use crate::hash::{Hash, of_payload};
use crate::ledger::{Lease, Ledger, LedgerRows, RowFate};
use crate::outbox::Open;
use crate::report::{Changes, RunReport, Status};
use crate::source::HIDDEN;

/// What a member takes in memory while the lists are compared.
const BYTES_A_MEMBER: usize = 40;
/// `clevertap.list_mode`.
const CREATE: &str = "create";
const REPLACE: &str = "replace";

/// A list that is to leave.
#[derive(Debug, Clone)]
struct Leaving {
    key_hash: Hash,
    payload: Hash,
    /// What the ledger has of it.
    before: Option<(Hash, RowFate)>,
}

/// Lists, compared with the ledger.
pub(super) struct ComparedLists {
    pub(super) changes: Changes,
    leaving: HashMap<String, Leaving>,
    open: Arc<Open>,
    schema: SchemaRef,
    rows_to_send: u64,
}

impl ComparedLists {
    pub(super) fn lists_to_send(&self) -> u64 {
        self.leaving.len() as u64
    }

    /// Remembers the lists that would leave as sent; returns how many rows they have.
    pub(super) async fn remember_as_sent(&self, ledger: &Ledger, lease: &Lease, run_id: &str) -> Result<u64> {
        let mut rows = LedgerRows::new();
        for (name, list) in &self.leaving {
            rows.push(name, &list.key_hash, &list.payload, RowFate::Accepted, None, false);
        }
        ledger.append_rows(lease, run_id, rows, Utc::now()).await?;
        Ok(self.rows_to_send)
    }
}

/// A list while its members are read.
#[derive(Debug, Default)]
struct Members {
    /// Of the hashes of its members: their order is nothing.
    sum: u128,
    count: u64,
    rows: u64,
}

pub(super) async fn compare_lists(prepared: &Prepared, ledger: &Ledger, sync: &str) -> Result<ComparedLists> {
    let task = prepared.session.task_ctx();
    let memory = |what: &str| MemoryConsumer::new(format!("{what} of sync {sync}")).register(task.memory_pool());
    let (mut diff, members) = (Diff::new(prepared.rules, memory("lists"), usize::MAX), memory("members"));
    remember(&mut diff, ledger, sync).await?;
    let schema = prepared.rows.schema();
    let mut spool = Spool::new(&task, &schema)?;
    let mut lists: HashMap<String, (Hash, Members)> = HashMap::new();
    let (mut seen, mut rows, mut unnamed) = (HashSet::<Hash>::new(), 0, 0);
    let mut stream = execute_stream(Arc::clone(&prepared.rows), Arc::clone(&task))?;
    while let Some(batch) = stream.try_next().await? {
        rows += batch.num_rows() as u64;
        let at = batch.num_columns() - HIDDEN;
        let names = batch.column(at).as_string::<i32>();
        let (key_hashes, payloads) = (batch.column(at + 1).as_fixed_size_binary(), batch.column(at + 2).as_fixed_size_binary());
        for row in 0..batch.num_rows() {
            if names.is_null(row) {
                unnamed += 1;
                continue;
            }
            let key_hash = hash(key_hashes.value(row))?;
            let member = of_payload(&[key_hash, hash(payloads.value(row))?].concat());
            if !lists.contains_key(names.value(row)) {
                lists.insert(names.value(row).to_owned(), (key_hash, Members::default()));
            }
            let Some((_, list)) = lists.get_mut(names.value(row)) else { continue };
            list.rows += 1;
            if seen.insert(member) {
                members.try_grow(BYTES_A_MEMBER).map_err(|_| too_many(seen.len()))?;
                list.sum = list.sum.wrapping_add(u128::from_be_bytes(member));
                list.count += 1;
            }
        }
        spool.append(&batch)?;
    }
    if unnamed > 0 {
        return Err(Error::Guard(format!(
            "{unnamed} of {rows} rows have no list_name; nothing was sent. Leave them out: WHERE list_name IS NOT NULL"
        )));
    }
    let (mut leaving, mut rows_to_send) = (HashMap::new(), 0);
    for (name, (key_hash, list)) in lists {
        let payload = of_payload(&[list.sum.to_be_bytes().as_slice(), &list.count.to_be_bytes()].concat());
        let before = diff.sent(&key_hash);
        // A list that is created twice is there twice, or refused.
        let class = diff.compare(Some(key_hash), payload, true)?;
        let is_full = prepared.rules.mode == crate::definition::Mode::Full && class == Some(Class::Unchanged);
        if is_full || matches!(class, Some(Class::New | Class::Changed)) {
            rows_to_send += list.rows;
            leaving.insert(name, Leaving { key_hash, payload, before });
        }
    }
    let Outcome { changes, .. } = diff.finish()?;
    let (changes, open) = (Changes { rows, ..changes }, Arc::new(spool.finish()?));
    Ok(ComparedLists { changes, leaving, open, schema, rows_to_send })
}

fn too_many(members: usize) -> Error {
    Error::Guard(format!(
        "the hashes of {members} members do not fit into the memory that this session has; give it more, or take fewer lists a sync"
    ))
}

/// Sends the lists that leave, and completes the report. Returns the statement's error.
///
/// # Errors
/// The ledger's.
pub(super) async fn send_lists(
    prepared: &Prepared,
    compared: ComparedLists,
    ledger: &Ledger,
    lease: &Lease,
    report: &mut RunReport,
) -> Result<Option<Error>> {
    report.changes = compared.changes;
    let mut intents = LedgerRows::new();
    for (name, list) in &compared.leaving {
        intents.push(name, &list.key_hash, &list.payload, RowFate::InDoubt, None, false);
    }
    ledger.append_rows(lease, &report.run_id, intents, Utc::now()).await?;
    let mut error = None;
    for mode in [CREATE, REPLACE] {
        let names: HashSet<&String> = compared.leaving.iter().filter(|(_, list)| mode_of(list) == mode).map(|(name, _)| name).collect();
        if names.is_empty() {
            continue;
        }
        let fates = match &error {
            None => {
                let (fates, written) = write(prepared, &compared, &names, mode).await?;
                error = written.err();
                fates
            }
            // An earlier statement ended with an error: these did not leave.
            Some(_) => HashMap::new(),
        };
        let mut rows = LedgerRows::new();
        for name in names {
            if let Some(list) = compared.leaving.get(name) {
                settle(name, list, fates.get(name).copied().unwrap_or_default(), &mut rows, report);
            }
        }
        ledger.append_rows(lease, &report.run_id, rows, Utc::now()).await?;
    }
    report.unsent = compared.rows_to_send.saturating_sub(report.accepted + report.rejected + report.in_doubt);
    report.status = match () {
        () if report.in_doubt > 0 || report.unsent > 0 => Status::Error,
        () if report.rejected > 0 || report.changes.held > 0 => Status::Partial,
        () => Status::Successful,
    };
    Ok(error)
}

/// Whether CleverTap has a list of this name by us.
fn mode_of(list: &Leaving) -> &'static str {
    match list.before {
        Some((_, RowFate::Accepted | RowFate::InDoubt)) => REPLACE,
        Some((_, RowFate::Rejected)) | None => CREATE,
    }
}

/// Rows of a list by their fates.
#[derive(Debug, Clone, Copy, Default)]
struct Fates {
    accepted: u64,
    rejected: u64,
    in_doubt: u64,
    unsent: u64,
}

/// What the ledger has of a list now; one that did not leave is what it was.
fn settle(name: &str, list: &Leaving, fates: Fates, rows: &mut LedgerRows, report: &mut RunReport) {
    report.accepted += fates.accepted;
    report.rejected += fates.rejected;
    report.in_doubt += fates.in_doubt;
    let mut now = |payload: &Hash, fate: RowFate, removed: bool| rows.push(name, &list.key_hash, payload, fate, None, removed);
    match fates {
        Fates { in_doubt: 1.., .. } => now(&list.payload, RowFate::InDoubt, false),
        Fates { accepted: 1.., unsent: 0, .. } => now(&list.payload, RowFate::Accepted, false),
        Fates { accepted: 0, rejected: 1.., unsent: 0, .. } => now(&list.payload, RowFate::Rejected, false),
        _ => match list.before {
            Some((payload, fate)) => now(&payload, fate, false),
            None => now(&list.payload, RowFate::Accepted, true),
        },
    }
}

/// Writes the lists of these names in one statement.
async fn write(
    prepared: &Prepared,
    compared: &ComparedLists,
    names: &HashSet<&String>,
    mode: &str,
) -> Result<(HashMap<String, Fates>, Result<()>)> {
    let (rows, watch) = ListRows::new(compared, names);
    let rows = Arc::new(rows);
    let session = in_mode(&prepared.session, mode)?;
    let session = watched_by(&session, watch);
    let partition: Arc<dyn PartitionStream> = Arc::clone(&rows) as _;
    let table = StreamingTable::try_new(Arc::clone(&rows.schema), vec![partition])?;
    let written = session.read_table(Arc::new(table))?.write_table(&prepared.into, DataFrameWriteOptions::new()).await;
    Ok((rows.fates(), written.map(drop).map_err(Error::from)))
}

fn in_mode(session: &SessionContext, mode: &str) -> Result<SessionContext> {
    let mut builder = SessionStateBuilder::new_from_existing(session.state());
    let mut config = builder.config().take().unwrap_or_default();
    config.options_mut().set("clevertap.list_mode", mode)?;
    *builder.config() = Some(config);
    Ok(SessionContext::new_with_state(builder.build()))
}

/// The list of each row, by its number, and what became of it.
#[derive(Debug, Default)]
struct Told {
    of_rows: Vec<u32>,
    fates: Vec<Fates>,
}

/// The rows of some lists, as a statement reads them.
struct ListRows {
    open: Arc<Open>,
    schema: SchemaRef,
    names: HashMap<String, u32>,
    told: Arc<Mutex<Told>>,
}

impl std::fmt::Debug for ListRows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ListRows").field("lists", &self.names.len()).finish_non_exhaustive()
    }
}

impl ListRows {
    fn new(compared: &ComparedLists, names: &HashSet<&String>) -> (Self, FateWatch) {
        let columns = compared.schema.fields().len() - HIDDEN;
        let fields = compared.schema.fields()[..columns].to_vec();
        let schema = Arc::new(arrow::datatypes::Schema::new_with_metadata(fields, compared.schema.metadata().clone()));
        let names: HashMap<String, u32> = (0..).zip(names).map(|(at, name)| ((*name).clone(), at)).collect();
        let told = Arc::new(Mutex::new(Told { of_rows: Vec::new(), fates: vec![Fates::default(); names.len()] }));
        let watched = Arc::clone(&told);
        let watch = FateWatch::new(move |settled| {
            let mut told = watched.lock().unwrap_or_else(PoisonError::into_inner);
            let Told { of_rows, fates } = &mut *told;
            for (row, fate) in settled.rows {
                let list = usize::try_from(*row).ok().and_then(|row| of_rows.get(row.checked_sub(1)?));
                let Some(fates) = list.and_then(|list| fates.get_mut(*list as usize)) else { continue };
                match fate {
                    None => fates.accepted += 1,
                    Some(Fate::Rejected) => fates.rejected += 1,
                    Some(Fate::InDoubt) => fates.in_doubt += 1,
                    Some(Fate::Unsent) => fates.unsent += 1,
                }
            }
        });
        (Self { open: Arc::clone(&compared.open), schema, names, told }, watch)
    }

    fn fates(&self) -> HashMap<String, Fates> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        self.names.iter().filter_map(|(name, at)| Some((name.clone(), *told.fates.get(*at as usize)?))).collect()
    }
}

/// The rows of the lists, without the hashes; each is known by its number from now on.
fn rows_of(
    batch: &RecordBatch,
    names: &HashMap<String, u32>,
    told: &Mutex<Told>,
    schema: &SchemaRef,
) -> Result<RecordBatch, DataFusionError> {
    let of_rows = batch.column(batch.num_columns() - HIDDEN).as_string::<i32>();
    let lists: Vec<Option<u32>> = of_rows.iter().map(|name| names.get(name?).copied()).collect();
    let is_theirs: BooleanArray = lists.iter().map(|list| Some(list.is_some())).collect();
    told.lock().unwrap_or_else(PoisonError::into_inner).of_rows.extend(lists.into_iter().flatten());
    let columns: Vec<usize> = (0..schema.fields().len()).collect();
    Ok(filter_record_batch(&batch.project(&columns)?, &is_theirs)?.with_schema(Arc::clone(schema))?)
}

impl PartitionStream for ListRows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (open, names, told, schema) = (Arc::clone(&self.open), self.names.clone(), Arc::clone(&self.told), Arc::clone(&self.schema));
        let rows =
            futures::stream::once(
                async move { Ok::<_, DataFusionError>(open()?.map(move |batch| rows_of(&batch?, &names, &told, &schema))) },
            );
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), rows.try_flatten().boxed()))
    }
}
