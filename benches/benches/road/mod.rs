//! The complete path: Parquet -> records -> HTTP, from a client process into a sink process.
//! `cargo bench -p clevertap-benches -- road`.
//!
//! It prints: the share of the allowed rate that is reached at 200 ms, and the CPU time of the client; the speed of the client
//! without waiting, compared with the same path with arrow-json; memory as the file grows; and how the rate changes with rows,
//! requests in flight and latency.

mod load;
pub(crate) mod sink;

use std::path::PathBuf;

use arrow::array::RecordBatch;
use clevertap_benches::files::{self, GROUP_ROWS};
use clevertap_benches::rounds::{Mode, median};
use clevertap_benches::rows::{self, Text};
use criterion::Criterion;
use tokio::runtime::Runtime;

pub(crate) use self::load::main as load;
use self::load::{Load, Loader, Measured};
use self::sink::{Seen, Sink};

/// Uploads in flight that an account allows.
const IN_FLIGHT: usize = 15;

/// Parquet files of profiles, in a temporary folder.
struct Files(PathBuf);

impl Files {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("clevertap-road-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        Self(folder)
    }

    /// A file of `rows` profiles with twelve columns, from the batches of twelve seeds, repeated.
    fn people(&self, rows: usize) -> String {
        let path = self.0.join(format!("people-{rows}.parquet"));
        if !path.exists() {
            let batches: Vec<RecordBatch> = (0..12).map(|seed| rows::profiles(seed, rows.min(8_192), Text::Offsets)).collect();
            files::write(&path, &batches, rows);
        }
        path.to_str().expect("a path of text").to_owned()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).expect("the folder of this run");
    }
}

/// The benchmark. It is in the list of criterion groups, but measures by itself, in other processes.
pub(crate) fn road(_: &mut Criterion) {
    let (files, runtime) = (Files::new(), Runtime::new().expect("a runtime"));
    let road = Road { files, runtime };
    match Mode::of("road") {
        Mode::Skip => {}
        Mode::Test => {
            let (measured, seen) = road.run(Loader::Ours, 2_500, IN_FLIGHT, 0);
            let (other, _) = road.run(Loader::ArrowJson, 2_500, IN_FLIGHT, 0);
            assert_eq!((measured.rows, other.rows, seen.rows, seen.requests), (2_500, 2_500, 2_500, 3));
        }
        Mode::Measure => {
            road.compare_with_arrow_json();
            road.at_200_ms();
            road.memory();
            road.growth();
        }
    }
}

struct Road {
    files: Files,
    runtime: Runtime,
}

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
impl Road {
    /// Runs one load into a new sink.
    fn run(&self, loader: Loader, rows: usize, in_flight: usize, latency_ms: u64) -> (Measured, Seen) {
        let (file, sink) = (self.files.people(rows), Sink::start(latency_ms));
        let measured = Load { loader, url: &sink.url, file: &file, in_flight }.run();
        (measured, self.runtime.block_on(sink.seen()))
    }

    /// No latency: the speed of the client itself.
    fn compare_with_arrow_json(&self) {
        const ROWS: usize = 1_000_000;
        println!("\nroad: {ROWS} people from Parquet into a sink that answers at once, the client on one thread, 9 rounds");
        let (mut ours, mut others, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..9 {
            let seconds = |loader| self.run(loader, ROWS, IN_FLIGHT, 0).0.seconds;
            let (one, other) = (seconds(Loader::Ours), seconds(Loader::ArrowJson));
            ours.push(one);
            others.push(other);
            ratios.push(other / one);
        }
        let rate = |seconds: Vec<f64>| ROWS as f64 / median(seconds) / 1e6;
        println!("  ours        {:.2} M rows/s", rate(ours));
        println!("  arrow-json  {:.2} M rows/s", rate(others));
        println!("  ratio       {:.2}", median(ratios));
    }

    /// Three million rows at 200 ms.
    fn at_200_ms(&self) {
        const ROWS: usize = 3_000_000;
        let (measured, seen) = self.run(Loader::Ours, ROWS, IN_FLIGHT, 200);
        let allowed = IN_FLIGHT as f64 * 1_000.0 / 0.2;
        let rate = seen.rows as f64 / seen.seconds;
        println!("\nroad: {ROWS} people from Parquet into a sink that answers after 200 ms");
        println!("  {rate:.0} rows/s from the first request to the last answer: {:.1} % of {allowed:.0}", 100.0 * rate / allowed);
        println!("  {:.0} rows/s from the statement to its end", measured.rows as f64 / measured.seconds);
        println!("  {:.2} % of one core, {} in flight at most", 100.0 * measured.cpu_seconds / measured.seconds, seen.in_flight_peak);
    }

    /// Ten times the rows, the same memory.
    fn memory(&self) {
        println!("\nroad: peak memory of the client, row groups of {GROUP_ROWS}, a sink that answers after 10 ms");
        for rows in [1_000_000, 10_000_000] {
            let (measured, _) = self.run(Loader::Ours, rows, IN_FLIGHT, 10);
            println!("  {rows:>10} rows  {:>7.1} MB", measured.peak_kb as f64 / 1e3);
        }
    }

    /// How the rate changes as rows, requests in flight and latency grow.
    fn growth(&self) {
        println!("\nroad: rows/s, from the first request to the last answer, and share of what in-flight and latency allow");
        let line = |rows: usize, in_flight: usize, latency_ms: u64| {
            let (_, seen) = self.run(Loader::Ours, rows, in_flight, latency_ms);
            let rate = seen.rows as f64 / seen.seconds;
            let allowed = in_flight as f64 * 1e6 / latency_ms as f64;
            let share = if latency_ms > 0 { format!("{:.1} %", 100.0 * rate / allowed) } else { String::new() };
            println!("  {rows:>10} rows  {in_flight:>2} in flight  {latency_ms:>4} ms  {rate:>9.0} rows/s  {share}");
        };
        for rows in [10_000, 100_000, 1_000_000, 10_000_000] {
            line(rows, IN_FLIGHT, 0);
        }
        for rows in [10_000, 100_000, 1_000_000] {
            line(rows, IN_FLIGHT, 200);
        }
        for in_flight in [1, 2, 5, 10, 15] {
            line(20_000 * in_flight, in_flight, 200);
        }
        for latency_ms in [10, 50, 200, 1_000] {
            line(if latency_ms < 100 { 1_000_000 } else { 300_000 }, IN_FLIGHT, latency_ms);
        }
    }
}
