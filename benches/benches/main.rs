//! One binary for all benchmarks: `cargo bench -p clevertap-benches`. Under `cargo test` each runs once.
//!
//! The binary also serves as the other processes of `road`: `sink` receives bodies, `load` sends them.

mod decode;
mod encode;
mod growth;
mod road;

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group};
use datafusion::prelude::SessionContext;
use datafusion_clevertap::{Account, AccountSettings, ClevertapSql, Secret, register};
use tokio::runtime::Runtime;

/// Rows of one statement.
const ROWS: u64 = 20_000;

/// An emulator that counts what it receives, and a context with a table `users` of [`ROWS`] people.
struct World {
    runtime: Runtime,
    ctx: SessionContext,
    _server: clevertap_emulator::Server,
}

impl World {
    fn new(latency_ms: u64, store: clevertap_emulator::Store) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let (ctx, server) = runtime.block_on(async {
            let settings = clevertap_emulator::Settings {
                latency_ms,
                time_zone: chrono_tz::Tz::Asia__Kolkata,
                store,
                ..clevertap_emulator::Settings::default()
            };
            let (id, passcode) = (settings.account_id.clone(), Secret::new(settings.passcode.clone()));
            let server = clevertap_emulator::Emulator::new(settings).serve("127.0.0.1:0").await.expect("a port");
            let time_zone = Some(chrono_tz::Tz::Asia__Kolkata);
            let mut open = AccountSettings::new().with_endpoint(server.url()).with_own_limits(true);
            open.time_zone = time_zone;
            let account = Account::open(id, passcode, None, open).expect("an account");
            let ctx = SessionContext::new();
            register(&ctx, "clevertap", &account).expect("registered");
            let users = format!(
                "CREATE TABLE users AS SELECT 'cust-' || value AS identity, 'person.' || value || '@example.org' AS email, \
                 CASE value % 3 WHEN 0 THEN 'gold' ELSE 'plus' END AS \"Plan\", value * 0.25 AS \"Score\" FROM generate_series(1, {ROWS})"
            );
            ctx.sql(&users).await.expect("planned").collect().await.expect("made");
            (ctx, server)
        });
        Self { runtime, ctx, _server: server }
    }

    async fn run(&self, sql: &str) {
        let planned = self.ctx.clevertap_sql(sql).await.expect("planned");
        black_box(planned.collect().await.expect("done"));
    }
}

/// SELECT of events from the emulator over loopback HTTP: pages decoded to batches.
fn scan(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("scan");
    group.throughput(Throughput::Elements(ROWS)).sample_size(10).measurement_time(Duration::from_secs(5));
    let world = World::new(0, clevertap_emulator::Store::Everything);
    world.runtime.block_on(world.run(
        "INSERT INTO clevertap.events SELECT identity, 'Viewed' AS event_name, 1767225600 + (row_number() OVER ())::bigint AS event_time, \"Plan\",
         \"Score\" FROM users",
    ));
    let select = "SELECT count(identity), count(email), count(properties) FROM clevertap.events
                  WHERE event_name = 'Viewed' AND event_date BETWEEN '2026-01-01' AND '2026-01-03'";
    group.bench_function("events", |bencher| bencher.to_async(&world.runtime).iter(|| world.run(select)));
    group.finish();
}

/// INSERT into the emulator over loopback HTTP, with and without the latency of a real service.
fn pipeline(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pipeline");
    group.throughput(Throughput::Elements(ROWS)).sample_size(10).measurement_time(Duration::from_secs(5));
    for latency_ms in [0, 200] {
        let world = World::new(latency_ms, clevertap_emulator::Store::Counts);
        group.bench_function(BenchmarkId::new("insert_profiles", format!("{latency_ms}ms")), |bencher| {
            bencher.to_async(&world.runtime).iter(|| world.run("INSERT INTO clevertap.profiles SELECT * FROM users"));
        });
    }
    group.finish();
}

criterion_group!(benches, decode::decode, encode::encode, pipeline, scan, growth::growth, road::road);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // One thread for everything in these processes.
    let one_thread = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    match arguments.first().map(String::as_str) {
        Some("sink") => {
            let latency_ms = arguments.get(1).and_then(|text| text.parse().ok()).expect("sink milliseconds");
            one_thread().block_on(road::sink::serve(Duration::from_millis(latency_ms)));
        }
        Some("load") => one_thread().block_on(road::load(&arguments[1..])),
        _ => {
            benches();
            Criterion::default().configure_from_args().final_summary();
        }
    }
}
