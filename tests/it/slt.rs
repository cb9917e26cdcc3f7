//! The files of `slt/`: statements, and the rows or the error that each ends in. They can be read as a manual of the SQL.
//!
//! Each file runs in a world of its own: the project of `seed.rs`, with what `settings` adds to it, on 2026-04-24. There are three accounts
//! on it: `clevertap`, which may erase, `read_write` and `read_only`. Besides theirs, a file may read
//!
//! - `seed.events` and `seed.people`, what the project was made from;
//! - `emulator.requests`, the requests of the statement before, and `emulator.list_members`, who is on the custom lists;
//! - files that it wrote itself, by names such as `'leavers.csv'`, in a folder of its own;
//!
//! and run a recipe of `sql/recipes` with `\i daily_trend.sql`, which gives the rows of its last statement. A write is a `statement count`,
//! and its count is of the rows that were accepted. NULL is `NULL`, an empty text `(empty)`, a line break `\n`.
//!
//! `CLEVERTAP_SLT=complete cargo test -p clevertap-tests --test it slt` writes what comes out into the files: read the difference.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use chrono_tz::Tz;
use clevertap_emulator::{Campaign, CustomList, Emulator, Settings, SubscriptionGroup};
use clevertap_tests::{EmulatorTransport, SentCall};
use datafusion::catalog::streaming::StreamingTable;
use datafusion::catalog::{MemorySchemaProvider, SchemaProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion_clevertap::{Access, ClevertapSql, register};
use serde_json::json;
use sqllogictest::{AsyncDB, ColumnType, DBOutput, Runner, strict_column_validator};

use crate::seed::{SMALL, seeded};
use crate::world::{World, devices};

#[tokio::test(start_paused = true)]
async fn errors() {
    check("errors", Through::ClevertapSql).await;
}

#[tokio::test(start_paused = true)]
async fn event_tables() {
    check("event_tables", Through::ClevertapSql).await;
}

#[tokio::test(start_paused = true)]
async fn explain() {
    check("explain", Through::ClevertapSql).await;
}

#[tokio::test(start_paused = true)]
async fn insert_events() {
    check("insert_events", Through::ClevertapSql).await;
}

#[tokio::test(start_paused = true)]
async fn insert_names() {
    check("insert_names", Through::ClevertapSql).await;
}

#[tokio::test(start_paused = true)]
async fn insert_values() {
    check("insert_values", Through::ClevertapSql).await;
}

#[tokio::test(start_paused = true)]
async fn local_tables() {
    check("local_tables", Through::ClevertapSql).await;
}

#[tokio::test(start_paused = true)]
async fn plain_session() {
    check("plain_session", Through::PlainSql).await;
}

#[tokio::test(start_paused = true)]
async fn recipes() {
    check("recipes", Through::ClevertapSql).await;
}

#[tokio::test(start_paused = true)]
async fn reports() {
    check("reports", Through::ClevertapSql).await;
}

#[tokio::test(start_paused = true)]
async fn select_events() {
    check("select_events", Through::ClevertapSql).await;
}

#[tokio::test(start_paused = true)]
async fn select_profiles() {
    check("select_profiles", Through::ClevertapSql).await;
}

#[tokio::test(start_paused = true)]
async fn update_delete() {
    check("update_delete", Through::ClevertapSql).await;
}

#[test]
fn every_file_is_run() {
    let this = include_str!("slt.rs");
    let mut files = 0;
    for entry in std::fs::read_dir(folder("slt")).expect("a folder") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        let Some(name) = name.strip_suffix(".slt") else { continue };
        assert!(this.contains(&format!("check(\"{name}\", ")), "{name} is not run");
        files += 1;
    }
    assert_eq!(files, this.matches("\n    check(\"").count());
}

/// Which function statements go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Through {
    /// `ctx.clevertap_sql(…)`.
    ClevertapSql,
    /// `ctx.sql(…)`.
    PlainSql,
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Runs a file, or completes it.
async fn check(name: &str, through: Through) {
    let path = folder("slt").join(format!("{name}.slt"));
    let mut runner = Runner::new(|| async move { Session::open(through) });
    runner.with_validator(rows_are);
    runner.with_column_validator(strict_column_validator);
    if std::env::var("CLEVERTAP_SLT").is_ok_and(|mode| mode == "complete") {
        let completed = runner.update_test_file(&path, SEPARATOR, rows_are, String::clone, strict_column_validator).await;
        completed.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    } else if let Err(error) = runner.run_file_async(&path).await {
        panic!("{}", error.display(false));
    }
    runner.shutdown_async().await;
}

const SEPARATOR: &str = " | ";

fn rows_are(_: fn(&String) -> String, actual: &[Vec<String>], expected: &[String]) -> bool {
    actual.iter().map(|row| row.join(SEPARATOR)).eq(expected.iter().cloned())
}

/// DataFusion's letters: Boolean, Date, Integer, timestamP, Real, Text, and `?` for anything else.
#[derive(Debug, Clone, PartialEq, Eq)]
struct TypeLetter(char);

impl ColumnType for TypeLetter {
    fn from_char(letter: char) -> Option<Self> {
        "BDIPRT?".contains(letter).then_some(Self(letter))
    }

    fn to_char(&self) -> char {
        self.0
    }
}

impl From<&DataType> for TypeLetter {
    fn from(data_type: &DataType) -> Self {
        Self(match data_type {
            DataType::Boolean => 'B',
            DataType::Date32 | DataType::Date64 => 'D',
            DataType::Timestamp(..) => 'P',
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => 'T',
            data_type if data_type.is_integer() => 'I',
            data_type if data_type.is_floating() || matches!(data_type, DataType::Decimal128(..)) => 'R',
            _ => '?',
        })
    }
}

/// What a file talks to.
struct Session {
    world: World,
    ctx: SessionContext,
    through: Through,
    files: tempfile::TempDir,
}

impl Session {
    fn open(through: Through) -> Result<Self> {
        let world = seeded(SMALL, Tz::Asia__Kolkata, settings(), |_| {});
        let mut ctx = SessionContext::new_with_config(SessionConfig::new().with_information_schema(true).with_target_partitions(4))
            .enable_url_table();
        // As a program may have done that had it before ours: its operators come first, until an account is registered.
        datafusion_functions_json::register_all(&mut ctx)?;
        for (name, account) in [
            ("clevertap", world.with_access(Access::Erase)),
            ("read_write", world.with_access(Access::Write)),
            ("read_only", world.with_access(Access::Read)),
        ] {
            register(&ctx, name, &account).map_err(|error| DataFusionError::External(error.into()))?;
        }
        // One request more before the first upload: `schema_check.rs` has it.
        ctx.state_ref().write().config_mut().options_mut().set("clevertap.schema_check", "off")?;
        let seed = world.ctx.catalog("datafusion").and_then(|catalog| catalog.schema("seed")).expect("a schema");
        let emulator = MemorySchemaProvider::new();
        emulator.register_table("requests".into(), EmulatorTable::provider(&world, requests)?)?;
        emulator.register_table("list_members".into(), EmulatorTable::provider(&world, list_members)?)?;
        let catalog = ctx.catalog("datafusion").expect("the catalogue");
        catalog.register_schema("seed", seed)?;
        catalog.register_schema("emulator", Arc::new(emulator))?;
        let files = tempfile::tempdir()?;
        Ok(Self { world, ctx, through, files })
    }

    async fn statement(&self, sql: &str) -> Result<(SchemaRef, Vec<RecordBatch>)> {
        let frame = match self.through {
            Through::ClevertapSql => self.ctx.clevertap_sql(sql).await?,
            Through::PlainSql => self.ctx.sql(sql).await?,
        };
        let schema = Arc::clone(frame.schema().inner());
        Ok((schema, frame.collect().await?))
    }

    /// The statement with its files in the folder of this session.
    fn in_folder(&self, sql: &str) -> String {
        let is_file = |text: &str| !text.contains("://") && [".csv", ".parquet"].iter().any(|ending| text.ends_with(ending));
        let place = |(at, text): (usize, &str)| match at % 2 {
            1 if is_file(text) => self.files.path().join(text).display().to_string(),
            _ => text.to_owned(),
        };
        let code: Vec<_> = sql.lines().filter(|line| !line.starts_with("--")).collect();
        code.join("\n").split('\'').enumerate().map(place).collect::<Vec<_>>().join("'")
    }
}

#[async_trait]
impl AsyncDB for Session {
    type Error = DataFusionError;
    type ColumnType = TypeLetter;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<TypeLetter>> {
        if !sql.contains("emulator.") {
            self.world.forget_sent();
        }
        let Some(recipe) = sql.strip_prefix("\\i ") else {
            let (schema, batches) = self.statement(&self.in_folder(sql)).await?;
            return output(&schema, &batches);
        };
        let text = std::fs::read_to_string(folder("../sql/recipes").join(recipe))?;
        let mut last = DBOutput::StatementComplete(0);
        for statement in text.split(";\n").filter(|statement| !statement.trim().is_empty()) {
            let (schema, batches) = self.statement(&self.in_folder(statement)).await?;
            last = output(&schema, &batches)?;
        }
        Ok(last)
    }

    /// Whatever a file does, no request of it may break a rule of CleverTap's.
    async fn shutdown(&mut self) {
        let broken = self.world.emulator.report().rules_broken;
        assert!(broken.is_empty(), "{broken:?}");
    }

    fn engine_name(&self) -> &'static str {
        "datafusion"
    }
}

/// The count of a write, or rows.
fn output(schema: &Schema, batches: &[RecordBatch]) -> Result<DBOutput<TypeLetter>> {
    let is_write = matches!(&schema.fields()[..], [field] if field.name() == "count" && *field.data_type() == DataType::UInt64);
    if is_write || schema.fields().is_empty() {
        let counts = batches.iter().filter_map(|batch| batch.column(0).as_any().downcast_ref::<UInt64Array>());
        return Ok(DBOutput::StatementComplete(counts.flat_map(|counts| counts.values().iter()).sum()));
    }
    if schema.fields().first().is_some_and(|field| field.name() == "plan_type") {
        return Ok(DBOutput::Rows { types: vec![TypeLetter('T')], rows: plan_lines(batches)? });
    }
    let types = schema.fields().iter().map(|field| field.data_type().into()).collect();
    let rows = texts(batches)?.into_iter().map(|row| row.iter().map(|text| cell(text)).collect()).collect();
    Ok(DBOutput::Rows { types, rows })
}

fn texts(batches: &[RecordBatch]) -> Result<Vec<Vec<String>>> {
    let options = FormatOptions::new().with_null("NULL");
    let mut rows = Vec::new();
    for batch in batches {
        let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options));
        let columns = columns.collect::<std::result::Result<Vec<_>, _>>()?;
        rows.extend((0..batch.num_rows()).map(|row| columns.iter().map(|column| column.value(row).to_string()).collect()));
    }
    Ok(rows)
}

/// A plan as DataFusion's own files show it: a line each, with its number, and a dash for each blank before it.
fn plan_lines(batches: &[RecordBatch]) -> Result<Vec<Vec<String>>> {
    let mut lines = Vec::new();
    for plan in texts(batches)? {
        let [kind, plan] = &plan[..] else { continue };
        lines.push(vec![kind.clone()]);
        for (number, line) in (1..).zip(plan.lines()) {
            let node = line.trim_start();
            lines.push(vec![format!("{number:02}){}{node}", "-".repeat(line.len() - node.len()))]);
        }
    }
    Ok(lines)
}

fn cell(text: &str) -> String {
    if text.is_empty() { "(empty)".to_owned() } else { text.trim_end_matches('\n').replace('\n', "\\n") }
}

/// A table of the schema `emulator`, read anew by each query.
#[derive(Debug)]
struct EmulatorTable {
    emulator: Emulator,
    transport: Arc<EmulatorTransport>,
    read: fn(&Emulator, &EmulatorTransport) -> Result<RecordBatch, ArrowError>,
    schema: SchemaRef,
}

impl EmulatorTable {
    fn provider(world: &World, read: fn(&Emulator, &EmulatorTransport) -> Result<RecordBatch, ArrowError>) -> Result<Arc<StreamingTable>> {
        let schema = read(&world.emulator, &world.transport)?.schema();
        let table = Self { emulator: world.emulator.clone(), transport: Arc::clone(&world.transport), read, schema: Arc::clone(&schema) };
        Ok(Arc::new(StreamingTable::try_new(schema, vec![Arc::new(table)])?))
    }
}

impl PartitionStream for EmulatorTable {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let batch = (self.read)(&self.emulator, &self.transport).map_err(DataFusionError::from);
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), futures::stream::iter([batch])))
    }
}

fn requests(_: &Emulator, transport: &EmulatorTransport) -> Result<RecordBatch, ArrowError> {
    let sent = transport.sent();
    let text = |of: fn(SentCall) -> Option<String>| Arc::new(sent.iter().cloned().map(of).collect::<StringArray>()) as ArrayRef;
    RecordBatch::try_from_iter_with_nullable([
        ("number", Arc::new((1..).take(sent.len()).collect::<Int64Array>()) as ArrayRef, false),
        ("method", text(|call| Some(call.method)), true),
        ("path", text(|call| Some(call.path)), true),
        ("query", text(|call| call.query), true),
        ("body", text(|call| Some(call.body)), true),
    ])
}

fn list_members(emulator: &Emulator, _: &EmulatorTransport) -> Result<RecordBatch, ArrowError> {
    let members_of = |list: CustomList| emulator.list_members(&list.name).into_iter().map(move |member| (list.name.clone(), member));
    let (names, members): (Vec<_>, Vec<_>) = emulator.lists().into_iter().flat_map(members_of).unzip();
    RecordBatch::try_from_iter_with_nullable([
        ("list_name", Arc::new(StringArray::from(names)) as ArrayRef, true),
        ("member", Arc::new(StringArray::from(members)) as ArrayRef, true),
    ])
}

/// What the project has besides people and events. Deletions and lists are carried out at once.
fn settings() -> Settings {
    let campaign = |id: i64, day, result| Campaign { result, ..Campaign::new(id, &format!("Campaign {id}"), day) };
    let message = |day: u64| {
        let start = chrono::NaiveDate::from_ymd_opt(2026, 1, 1).expect("a day") + chrono::Days::new(day * 2);
        json!({"message id": 1_767_225_600 + day, "message_name": format!("Hello {day}"), "channel": "Push", "delivery": "One Time",
               "start_date": start.to_string(), "status": "completed", "sent": day, "viewed": 1, "clicked": 0, "labels": ["x"], "device": "Android"})
    };
    let block = |id: u64| json!({"id": id, "name": format!("Block {id}"), "updatedAt": "2026-01-05T00:00:00.000Z", "type": "html"});
    Settings {
        campaigns: vec![
            campaign(1_767_225_600, 20_260_105, Some(json!({"sent": 100, "clicked": 7, "opened": 40}))),
            campaign(9_007_199_254_740_993, 20_260_120, None),
            campaign(3, 20_260_401, Some(json!({"sent": 5}))),
        ],
        messages: (1..=40).map(message).collect(),
        subscription_groups: vec![SubscriptionGroup { key: 101, name: "Offers".into(), channels: vec!["email".into()] }],
        content_blocks: (0..250).map(block).collect(),
        segments: (0..1_001).map(|id| json!({"id": id, "name": format!("Segment {id}")})).collect(),
        devices: devices(&["__g1", "__g2"]),
        deletion_delay_s: 0,
        list_delay_s: 0,
        ..Settings::default()
    }
}
