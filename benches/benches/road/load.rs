//! The client: a process of its own that loads a Parquet file of people into a sink, all of it on one thread, and tells what it took.

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

/// Requests that the way of others has in flight.
const IN_FLIGHT: usize = 15;

/// How people are loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// `INSERT INTO clevertap.profiles SELECT * FROM '…'`.
    Ours,
    /// DataFusion's Parquet reader, arrow-json with an encoder for `$D_`, reqwest.
    ArrowJson,
}

/// One load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load<'a> {
    pub(crate) way: Way,
    pub(crate) url: &'a str,
    pub(crate) file: &'a str,
    /// Uploads in flight.
    pub(crate) in_flight: usize,
}

/// What a load took.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Took {
    pub(crate) rows: u64,
    /// From the statement to its end.
    pub(crate) seconds: f64,
    /// Of the processor, in that time.
    pub(crate) cpu_seconds: f64,
    /// The most memory that the process had.
    pub(crate) peak_kb: u64,
}

impl Load<'_> {
    /// Runs it in a process of its own.
    pub(crate) fn run(self) -> Took {
        let way = if self.way == Way::Ours { "ours" } else { "arrow-json" };
        let this = std::env::current_exe().expect("a path");
        let output = Command::new(this)
            .args(["load", way, self.url, self.file, &self.in_flight.to_string()])
            .stderr(std::process::Stdio::inherit())
            .output()
            .expect("a process of this program");
        assert!(output.status.success(), "{self:?} failed");
        serde_json::from_slice(&output.stdout).expect("what this program writes")
    }
}

/// The process.
#[expect(clippy::print_stdout, reason = "whoever started it reads there what it took")]
pub(crate) async fn main(arguments: &[String]) {
    let [way, url, file, in_flight] = arguments else { panic!("load way url file in-flight") };
    let in_flight = in_flight.parse().expect("a number");
    let cpu = cpu_seconds();
    let (rows, begun) = match way.as_str() {
        "ours" => ours(url, file, in_flight).await,
        _ => arrow_json(url, file).await,
    };
    let took = Took { rows, seconds: begun.elapsed().as_secs_f64(), cpu_seconds: cpu_seconds() - cpu, peak_kb: peak_kb() };
    println!("{}", serde_json::to_string(&took).expect("JSON"));
}

async fn ours(url: &str, file: &str, in_flight: usize) -> (u64, Instant) {
    let open = AccountSettings { endpoint: Some(url.to_owned()), time_zone: "Asia/Kolkata".parse().ok(), ..AccountSettings::default() };
    let account = Account::open("BENCH", Secret::new("BENCH"), None, open).expect("an account");
    let ctx = SessionContext::new();
    register(&ctx, "clevertap", account.clone()).expect("registered");
    ctx.register_parquet("people", file, ParquetReadOptions::default()).await.expect("a file of people");
    let set = format!("SET clevertap.upload_concurrency = {in_flight}");
    ctx.clevertap_sql(&set).await.expect("set").collect().await.expect("set");
    let begun = Instant::now();
    let insert = ctx.clevertap_sql("INSERT INTO clevertap.profiles SELECT * FROM people").await.expect("planned");
    insert.collect().await.expect("loaded");
    (account.runs().last().expect("a run").tally.accepted, begun)
}

/// Its batches are of whole bodies, so that none is small; what is the same in each record is made once.
#[expect(clippy::disallowed_methods, reason = "the answers of a sink of this program are small")]
async fn arrow_json(url: &str, file: &str) -> (u64, Instant) {
    let ctx = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1).with_batch_size(8_000));
    let client = reqwest::Client::builder().timeout(Duration::from_secs(60)).build().expect("a client");
    let begun = Instant::now();
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
    (rows, begun)
}

/// User's and system's time of this process.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name of the program, which may hold blanks: the 14th and 15th of all fields, in hundredths.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    fields.get(11..13).map_or(0.0, |times| times.iter().filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0)
}

fn peak_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}
