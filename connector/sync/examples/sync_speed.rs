//! How long a plan and a run take, beside DataFusion's own count of the keys, in one process: `sync_speed [rows] [folder]`.
//!
//! Each line is a figure and, where there is one, its ratio to the reference of the same run. Nothing leaves this machine: the emulator answers.

use std::error::Error;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use clevertap_emulator::{Emulator, Settings};
use clevertap_tests::{CallLog, EmulatorTransport};
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::SessionContext;
use datafusion_clevertap::payload::Payload;
use datafusion_clevertap::transport::Transport;
use datafusion_clevertap::{Account, AccountSettings, Region, Secret, payload_encoder, register};
use datafusion_clevertap_sync::{Definition, Syncs, hash};
use futures::TryStreamExt;
use tokio::time::Instant;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const QUERY: &str = "SELECT id AS identity, plan AS \"Plan\", city AS \"City\", visits AS \"Visits\", score AS \"Score\" FROM";

fn say(what: &str, took: Duration, reference: Option<Duration>) -> Result<()> {
    let ratio = reference.map(|reference| format!("  {:.2}x", took.as_secs_f64() / reference.as_secs_f64())).unwrap_or_default();
    writeln!(std::io::stdout(), "{what:<44} {:>9.3} s{ratio}", took.as_secs_f64())?;
    Ok(())
}

/// The greatest memory of this process so far, MiB; 0 where the system does not tell.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or_default() / 1024
}

async fn query(ctx: &SessionContext, sql: &str) -> Result<Duration> {
    let began = Instant::now();
    ctx.sql(sql).await?.collect().await?;
    Ok(began.elapsed())
}

/// Payload hashes of all rows, beside the hashes of DataFusion's own row format.
async fn hashes(ctx: &SessionContext) -> Result<(Duration, Duration)> {
    let plan = ctx.sql(&format!("{QUERY} users LIMIT 1000000")).await?.create_physical_plan().await?;
    let batches: Vec<_> = execute_stream(plan, ctx.task_ctx())?.try_collect().await?;
    let schema = batches[0].schema();
    let provider = ctx.table_provider("clevertap.profiles").await?;
    let mut encoder = payload_encoder(provider.as_ref(), &ctx.state(), &schema).ok_or("no table of CleverTap")??;
    let (mut ours, mut theirs) = (Duration::MAX, Duration::MAX);
    for _ in 0..3 {
        let (began, mut kept) = (Instant::now(), 0_u8);
        for batch in &batches {
            encoder.encode(batch, |payload| {
                if let Payload::Record { json, .. } = payload {
                    kept ^= hash::of_payload(json)[0];
                }
            })?;
        }
        ours = ours.min(began.elapsed());
        let began = Instant::now();
        let fields = schema.fields().iter().map(|field| arrow::row::SortField::new(field.data_type().clone())).collect();
        let converter = arrow::row::RowConverter::new(fields)?;
        for batch in &batches {
            for row in &converter.convert_columns(batch.columns())? {
                kept ^= hash::of_payload(row.as_ref())[0];
            }
        }
        theirs = theirs.min(began.elapsed());
        std::hint::black_box(kept);
    }
    Ok((ours, theirs))
}

#[tokio::main]
async fn main() -> Result<()> {
    let rows: u64 = std::env::args().nth(1).map_or(Ok(10_000_000), |rows| rows.parse())?;
    let folder = tempfile::tempdir_in(std::env::args().nth(2).unwrap_or_else(|| "/tmp".to_owned()))?;
    let emulator = Emulator::new(Settings { seed: 7, ..Settings::default() });
    let transport: Arc<dyn Transport> = Arc::new(EmulatorTransport::new(emulator, CallLog::Off));
    let settings = AccountSettings::new().with_transport(transport).with_seed(7).with_time_zone(chrono_tz::Asia::Kolkata);
    let account = Account::open("TEST-123-456Z", Secret::new("emulator-passcode"), Region::In1, settings)?;
    let ctx = SessionContext::new();
    register(&ctx, "clevertap", &account)?;
    let file = folder.path().join("users.parquet");
    let make = format!(
        "COPY (SELECT 'user-' || lpad(value::varchar, 9, '0') AS id, CASE value % 3 WHEN 0 THEN 'gold' WHEN 1 THEN 'silver' ELSE 'free' END AS plan, \
         'city ' || (value % 4000) AS city, value % 97 AS visits, (value % 1000) / 8.0 AS score FROM generate_series(1, {rows})) TO '{}'",
        file.display()
    );
    say("the file is made", query(&ctx, &make).await?, None)?;
    ctx.register_parquet("users", file.display().to_string(), datafusion::prelude::ParquetReadOptions::default()).await?;
    let syncs = Syncs::open(ctx.clone(), &folder.path().join("state").display().to_string()).await?;
    let mut users = Definition::new("users", format!("{QUERY} users"), "clevertap.profiles");
    users.options = vec![("schema_check".to_owned(), "off".to_owned())];

    let began = Instant::now();
    syncs.baseline(&users).await?;
    say("baseline", began.elapsed(), None)?;
    syncs.compact("users").await?;
    writeln!(std::io::stdout(), "{:<44} {:>9} MiB", "peak memory", peak())?;
    let mut reference = Duration::MAX;
    for _ in 0..3 {
        let counted = query(&ctx, "SELECT count(DISTINCT id) FROM users").await?;
        reference = reference.min(counted);
        say("count(DISTINCT key)", counted, None)?;
        let began = Instant::now();
        let plan = syncs.plan(&users).await?;
        say("plan, nothing changed", began.elapsed(), Some(counted))?;
        if plan.changes.unchanged != rows {
            return Err(format!("{} of {rows} rows are unchanged", plan.changes.unchanged).into());
        }
    }
    let began = Instant::now();
    query(&ctx, &format!("{QUERY} users")).await.map(drop).unwrap_or_default();
    say("all columns read", began.elapsed(), Some(reference))?;
    if rows <= 10_000_000 {
        ctx.sql(
            "CREATE VIEW changed AS SELECT id, CASE WHEN visits = 7 THEN 'platinum' ELSE plan END AS plan, city, visits, score FROM users",
        )
        .await?
        .collect()
        .await?;
        users.query = format!("{QUERY} changed");
        let began = Instant::now();
        syncs.plan(&users).await?;
        let planned = began.elapsed();
        say("plan, 1 % changed", planned, Some(reference))?;
        let began = Instant::now();
        let run = syncs.run(&users).await?;
        say(&format!("run, {} sent", run.accepted), began.elapsed(), Some(planned))?;
        let (ours, theirs) = hashes(&ctx).await?;
        say("arrow-row + xxh3, 1 M rows", theirs, None)?;
        say("payload hash, 1 M rows", ours, Some(theirs))?;
    }
    writeln!(std::io::stdout(), "{:<44} {:>9} MiB", "peak memory", peak())?;
    Ok(())
}
