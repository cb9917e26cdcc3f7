//! An emulator with events, a session at an instant, a ledger, and a table that takes rows.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arrow::array::{RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use chrono::DateTime;
use clevertap_emulator::{Emulator, Settings};
use clevertap_tests::{CallLog, EmulatorTransport};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::config::{ConfigEntry, ConfigExtension, ExtensionOptions};
use datafusion::datasource::MemTable;
use datafusion::datasource::sink::{DataSink, DataSinkExec};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan};
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use datafusion_clevertap::account::Clock;
use datafusion_clevertap::transport::Transport;
use datafusion_clevertap::{Account, AccountSettings, ClevertapSql, Region, Secret, register};
use datafusion_clevertap_sync::{Definition, Syncs};
use futures::TryStreamExt;

/// Events of a window, with an id that no other has.
pub(crate) const CHARGED: &str = "SELECT properties ->> 'Id' AS id, identity, event_time, (properties -> 'Amount')::bigint AS amount FROM clevertap.events \
                           WHERE event_name = 'Charged' AND event_time >= $from AND event_time < $to";

pub(crate) struct World {
    pub(crate) emulator: Emulator,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) shelf: Shelf,
}

/// A session of a world, in which it is a certain time.
pub(crate) struct At {
    pub(crate) ctx: SessionContext,
    pub(crate) syncs: Syncs,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::in_zone(chrono_tz::Asia::Kolkata)
    }

    pub(crate) fn in_zone(zone: chrono_tz::Tz) -> Self {
        let started_at = DateTime::parse_from_rfc3339("2026-11-20T12:00:00Z").expect("an instant").timestamp();
        let emulator = Emulator::new(Settings { seed: 7, started_at, time_zone: zone, ..Settings::default() });
        Self { emulator, folder: tempfile::tempdir().expect("a folder"), shelf: Shelf::default() }
    }

    /// A folder or file below the world's.
    pub(crate) fn path(&self, below: &str) -> String {
        self.folder.path().join(below).display().to_string()
    }

    pub(crate) async fn at(&self, time: &str) -> At {
        let transport: Arc<dyn Transport> = Arc::new(EmulatorTransport::new(self.emulator.clone(), CallLog::Off));
        let time = DateTime::parse_from_rfc3339(time).expect("an instant").to_utc();
        let settings = AccountSettings::new().with_transport(transport).with_seed(7).with_own_limits(true);
        let settings = settings.with_time_zone(self.emulator.settings().time_zone).with_clock(Clock::starting_at(time));
        let account = Account::open("TEST-123-456Z", Secret::new("emulator-passcode"), Region::In1, settings).expect("an account");
        let ctx = SessionContext::new_with_config(SessionConfig::new().with_option_extension(DatabaseOptions::default()));
        register(&ctx, "clevertap", &account).expect("registered");
        ctx.register_table("shelf", Arc::new(self.shelf.clone())).expect("a table");
        let syncs = Syncs::open(ctx.clone(), &self.path("state")).await.expect("a ledger");
        At { ctx, syncs }
    }

    /// Events of one person, each with its id and the time at which it happened.
    pub(crate) async fn charge(&self, events: &[(&str, &str)]) {
        let rows: Vec<String> = events.iter().map(|(id, time)| format!("('{id}', TIMESTAMP '{time}')")).collect();
        let insert = format!(
            "INSERT INTO clevertap.events SELECT 'cust-1' AS identity, 'Charged' AS event_name, at AS event_time, id AS \"Id\", 5 AS \"Amount\" \
             FROM (VALUES {}) AS t (id, at)",
            rows.join(", ")
        );
        let at = self.at("2026-11-20T12:00:00Z").await;
        at.ctx.sql("SET clevertap.naive_time = 'project'").await.expect("an option");
        at.ctx.clevertap_sql(&insert).await.expect("an INSERT").collect().await.expect("they are stored");
    }

    /// The days of the exports that were opened since it was asked last, as they were sent.
    pub(crate) fn days(&self, seen: &mut usize) -> Vec<(i64, i64)> {
        let opened = self.emulator.report().exports_opened;
        let new = opened.iter().skip(*seen).filter_map(|export| export.from.zip(export.to)).collect();
        *seen = opened.len();
        new
    }

    /// The ids that a Delta table has, sorted.
    pub(crate) async fn ids_of_delta(&self, table: &str) -> Vec<String> {
        let url = url::Url::from_directory_path(self.path(table)).expect("a URL");
        let table = deltalake_core::open_table(url).await.expect("a table");
        let files: Vec<String> = table.get_file_uris().expect("files").collect();
        if files.is_empty() {
            return Vec::new();
        }
        let frame = SessionContext::new().read_parquet(files, ParquetReadOptions::default()).await.expect("files");
        ids(&frame.collect().await.expect("rows"))
    }

    /// The ids that a folder of Parquet has, sorted.
    pub(crate) async fn ids_of_parquet(&self, folder: &str) -> Vec<String> {
        let frame = SessionContext::new().read_parquet(self.path(folder), ParquetReadOptions::default()).await.expect("files");
        ids(&frame.collect().await.expect("rows"))
    }

    /// Files of a folder, sorted, but for those that readers leave out.
    pub(crate) fn files(&self, folder: &str) -> Vec<String> {
        fn walk(folder: &std::path::Path, below: &str, files: &mut Vec<String>) {
            for entry in std::fs::read_dir(folder).expect("a folder") {
                let entry = entry.expect("an entry");
                let name = entry.file_name().to_string_lossy().into_owned();
                match entry.path().is_dir() {
                    true => walk(&entry.path(), &format!("{below}{name}/"), files),
                    false => files.push(format!("{below}{name}")),
                }
            }
        }
        let mut files = Vec::new();
        walk(&self.folder.path().join(folder), "", &mut files);
        files.retain(|file| !file.starts_with(['_', '.']));
        files.sort();
        files
    }
}

impl At {
    pub(crate) async fn run(&self, definition: &Definition) -> datafusion_clevertap_sync::report::RunReport {
        self.syncs.run(definition).await.expect("a run")
    }
}

impl At {
    /// Begins a run, and ends it as a process that is killed, a while after `is_time`.
    pub(crate) async fn kill(&self, definition: &Definition, is_time: impl Fn() -> bool) {
        let under_way = async {
            while !is_time() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        tokio::select! {
            ended = self.syncs.run(definition) => panic!("it ended: {ended:?}"),
            () = under_way => {}
        }
    }
}

/// The column `id` of these rows, sorted.
pub(crate) fn ids(batches: &[RecordBatch]) -> Vec<String> {
    let texts = |batch: &RecordBatch| {
        let column = arrow::compute::cast(batch.column_by_name("id").expect("ids"), &DataType::Utf8).expect("texts");
        let column = column.as_any().downcast_ref::<StringArray>().expect("texts").clone();
        column.iter().map(|id| id.unwrap_or("NULL").to_owned()).collect::<Vec<_>>()
    };
    let mut ids: Vec<String> = batches.iter().flat_map(texts).collect();
    ids.sort();
    ids
}

/// What the shelf does with rows besides keeping them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Mood {
    #[default]
    Calm,
    /// It keeps them, and then never answers.
    HangsAfter,
    /// It keeps none of them, and says so.
    Refuses,
}

/// A table as a database has one: all rows of an INSERT, or none.
#[derive(Clone, Default)]
pub(crate) struct Shelf {
    rows: Arc<Mutex<Vec<RecordBatch>>>,
    mood: Arc<Mutex<Mood>>,
    writes: Arc<AtomicU64>,
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shelf")
    }
}

impl Shelf {
    fn columns() -> SchemaRef {
        // In another order and other types than the query's.
        Arc::new(Schema::new(vec![
            Field::new("amount", DataType::Int64, true),
            Field::new("id", DataType::LargeUtf8, true),
            Field::new("event_time", DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())), true),
            Field::new("identity", DataType::Utf8, true),
        ]))
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        ids(&self.rows.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How often it has stored rows.
    pub(crate) fn writes(&self) -> u64 {
        self.writes.load(Ordering::SeqCst)
    }

    pub(crate) fn becomes(&self, mood: Mood) {
        *self.mood.lock().unwrap_or_else(PoisonError::into_inner) = mood;
    }

    fn store(&self, op: InsertOp, key: &[String], new: RecordBatch) {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        match op {
            InsertOp::Append => {}
            InsertOp::Overwrite => rows.clear(),
            InsertOp::Replace => {
                assert_eq!(key, ["id"]);
                let taken = ids(std::slice::from_ref(&new));
                for batch in rows.iter_mut() {
                    let stays: Vec<bool> = (0..batch.num_rows()).map(|row| !taken.contains(&ids(&[batch.slice(row, 1)])[0])).collect();
                    *batch = arrow::compute::filter_record_batch(batch, &stays.into()).expect("rows");
                }
            }
        }
        rows.push(new);
        self.writes.fetch_add(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl TableProvider for Shelf {
    fn schema(&self) -> SchemaRef {
        Self::columns()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner).clone();
        MemTable::try_new(Self::columns(), vec![rows])?.scan(state, projection, filters, limit).await
    }

    async fn insert_into(&self, state: &dyn Session, input: Arc<dyn ExecutionPlan>, op: InsertOp) -> Result<Arc<dyn ExecutionPlan>> {
        assert!(input.schema().fields().iter().zip(Self::columns().fields()).all(|(one, other)| one.data_type() == other.data_type()));
        let key = state.config_options().extensions.get::<DatabaseOptions>().map(|options| options.upsert_key.clone()).unwrap_or_default();
        Ok(Arc::new(DataSinkExec::new(input, Arc::new(Sink { shelf: self.clone(), op, key }), None)))
    }
}

#[derive(Debug)]
struct Sink {
    shelf: Shelf,
    op: InsertOp,
    key: Vec<String>,
}

impl DisplayAs for Sink {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sink")
    }
}

#[async_trait]
impl DataSink for Sink {
    fn schema(&self) -> &SchemaRef {
        static COLUMNS: std::sync::LazyLock<SchemaRef> = std::sync::LazyLock::new(Shelf::columns);
        &COLUMNS
    }

    async fn write_all(&self, data: SendableRecordBatchStream, _: &Arc<TaskContext>) -> Result<u64> {
        let batches: Vec<RecordBatch> = data.try_collect().await?;
        let mood = *self.shelf.mood.lock().unwrap_or_else(PoisonError::into_inner);
        if mood == Mood::Refuses {
            return Err(DataFusionError::Execution("the shelf is full".into()));
        }
        let rows = concat_batches(&Shelf::columns(), &batches)?;
        let count = rows.num_rows() as u64;
        self.shelf.store(self.op, &self.key, rows);
        if mood == Mood::HangsAfter {
            std::future::pending::<()>().await;
        }
        Ok(count)
    }
}

/// What clevertap-databases has, of which an upsert is told its key.
#[derive(Debug, Clone, Default)]
struct DatabaseOptions {
    upsert_key: Vec<String>,
}

impl ConfigExtension for DatabaseOptions {
    const PREFIX: &'static str = "database";
}

impl ExtensionOptions for DatabaseOptions {
    fn as_any(&self) -> &dyn std::any::Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn std::any::Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(self.clone())
    }

    fn set(&mut self, key: &str, value: &str) -> Result<()> {
        assert_eq!(key, "upsert_key");
        self.upsert_key = value.split(',').map(str::to_owned).collect();
        Ok(())
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        Vec::new()
    }
}
