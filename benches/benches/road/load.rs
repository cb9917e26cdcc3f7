//! The client: a separate process that loads a Parquet file of profiles into a sink, on one thread, and reports time, CPU and memory.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use datafusion_clevertap::{Account, AccountSettings, ClevertapSql, Secret, register};
use futures::stream::{FuturesUnordered, StreamExt};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::encode::references::{self, Table};

/// Requests in flight of the reference client.
const IN_FLIGHT: usize = 15;

/// How profiles are loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loader {
    /// `INSERT INTO clevertap.profiles SELECT * FROM '…'`.
    Ours,
    /// DataFusion's Parquet reader, arrow-json with an encoder for `$D_`, reqwest.
    ArrowJson,
}

/// A load to run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load<'a> {
    pub(crate) loader: Loader,
    pub(crate) url: &'a str,
    pub(crate) file: &'a str,
    /// Uploads in flight.
    pub(crate) in_flight: usize,
}

/// Time, CPU and memory of a load.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) rows: u64,
    /// From the start of the statement to its end.
    pub(crate) seconds: f64,
    /// CPU time of the process in that time.
    pub(crate) cpu_seconds: f64,
    /// Peak memory of the process.
    pub(crate) peak_kb: u64,
}

impl Load<'_> {
    /// Runs the load in a separate process.
    pub(crate) fn run(self) -> Measured {
        let loader = if self.loader == Loader::Ours { "ours" } else { "arrow-json" };
        let program = std::env::current_exe().expect("a path");
        let output = Command::new(program)
            .args(["load", loader, self.url, self.file, &self.in_flight.to_string()])
            .stderr(std::process::Stdio::inherit())
            .output()
            .expect("a process of this program");
        assert!(output.status.success(), "{self:?} failed");
        serde_json::from_slice(&output.stdout).expect("what this program writes")
    }
}

/// The main function of that process.
#[expect(clippy::print_stdout, reason = "the parent process reads the figures there")]
pub(crate) async fn main(arguments: &[String]) {
    let [loader, url, file, in_flight] = arguments else { panic!("load way url file in-flight") };
    let in_flight = in_flight.parse().expect("a number");
    let cpu = cpu_seconds();
    let (rows, start) = match loader.as_str() {
        "ours" => ours(url, file, in_flight).await,
        _ => arrow_json(url, file).await,
    };
    let measured = Measured { rows, seconds: start.elapsed().as_secs_f64(), cpu_seconds: cpu_seconds() - cpu, peak_kb: peak_kb() };
    println!("{}", serde_json::to_string(&measured).expect("JSON"));
}

async fn ours(url: &str, file: &str, in_flight: usize) -> (u64, Instant) {
    let open = AccountSettings::new().with_endpoint(url).with_time_zone("Asia/Kolkata".parse().expect("a zone"));
    let account = Account::open("BENCH", Secret::new("BENCH"), None, open).expect("an account");
    let ctx = SessionContext::new();
    register(&ctx, "clevertap", &account).expect("registered");
    ctx.register_parquet("people", file, ParquetReadOptions::default()).await.expect("a file of people");
    let set = format!("SET clevertap.upload_concurrency = {in_flight}");
    ctx.clevertap_sql(&set).await.expect("set").collect().await.expect("set");
    let start = Instant::now();
    let insert = ctx.clevertap_sql("INSERT INTO clevertap.profiles SELECT * FROM people").await.expect("planned");
    insert.collect().await.expect("loaded");
    (account.runs().last().expect("a run").tally.accepted, start)
}

/// The reference client. Its batches are multiples of a body, so that no body is small; constant columns are created once.
#[expect(clippy::disallowed_methods, reason = "the answers of a sink of this program are small")]
async fn arrow_json(url: &str, file: &str) -> (u64, Instant) {
    let ctx = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1).with_batch_size(8_000));
    let client = reqwest::Client::builder().timeout(Duration::from_secs(60)).build().expect("a client");
    let start = Instant::now();
    let people = ctx.read_parquet(file, ParquetReadOptions::default()).await.expect("a file of people");
    let mut batches = people.execute_stream().await.expect("planned");
    let upload = Arc::new(format!("{url}/1/upload"));
    let send = |body: Vec<u8>| {
        let request = client.post(upload.as_str()).header("Content-Type", "application/json").body(body);
        async move { request.send().await.expect("sent").bytes().await.expect("answered") }
    };
    let (mut rows, mut in_flight) = (0, FuturesUnordered::new());
    while let Some(batch) = batches.next().await {
        let batch: RecordBatch = batch.expect("read");
        rows += batch.num_rows() as u64;
        let nested = references::nested(Table::Profiles, &batch);
        for slice in references::slices(&nested) {
            if in_flight.len() == IN_FLIGHT {
                in_flight.next().await;
            }
            in_flight.push(send(references::arrow_json(&slice, true)));
        }
    }
    while in_flight.next().await.is_some() {}
    (rows, start)
}

/// User and system time of this process.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // After the program name, which may contain spaces: fields 14 and 15, in hundredths of a second.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    fields.get(11..13).map_or(0.0, |times| times.iter().filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0)
}

fn peak_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}
