//! One binary for all benchmarks: `cargo bench -p clevertap-benches`. Under `cargo test` each runs once.

mod decode;
mod encode;

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use datafusion::prelude::SessionContext;
use datafusion_clevertap::{Account, AccountSettings, ClevertapSql, Secret, register};
use tokio::runtime::Runtime;

/// Rows of one load.
const ROWS: u64 = 20_000;

/// An emulator that counts what it is sent, and a context whose table `users` has [`ROWS`] people.
struct World {
    runtime: Runtime,
    ctx: SessionContext,
    _server: clevertap_emulator::Server,
}

impl World {
    fn new(latency_ms: u64) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let (ctx, server) = runtime.block_on(async {
            let settings = clevertap_emulator::Settings {
                latency_ms,
                store: clevertap_emulator::Store::Counts,
                ..clevertap_emulator::Settings::default()
            };
            let (id, passcode) = (settings.account_id.clone(), Secret::new(settings.passcode.clone()));
            let server = clevertap_emulator::Emulator::new(settings).serve("127.0.0.1:0").await.expect("a port");
            let open = AccountSettings { endpoint: Some(server.url()), own_limits: true, ..AccountSettings::default() };
            let account = Account::open(id, passcode, None, open).expect("an account");
            let ctx = SessionContext::new();
            register(&ctx, "clevertap", account).expect("registered");
            let users = format!(
                "CREATE TABLE users AS SELECT 'cust-' || value AS identity, 'person.' || value || '@example.org' AS email, \
                 CASE value % 3 WHEN 0 THEN 'gold' ELSE 'plus' END AS \"Plan\", value * 0.25 AS \"Score\" FROM generate_series(1, {ROWS})"
            );
            ctx.sql(&users).await.expect("planned").collect().await.expect("made");
            (ctx, server)
        });
        Self { runtime, ctx, _server: server }
    }

    async fn load(&self) {
        let inserted = self.ctx.clevertap_sql("INSERT INTO clevertap.profiles SELECT * FROM users").await.expect("planned");
        black_box(inserted.collect().await.expect("loaded"));
    }
}

/// INSERT over the emulator's loopback door, with and without the latency of a real service.
fn pipeline(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pipeline");
    group.throughput(Throughput::Elements(ROWS)).sample_size(10).measurement_time(Duration::from_secs(5));
    for latency_ms in [0, 200] {
        let world = World::new(latency_ms);
        group.bench_function(BenchmarkId::new("insert_profiles", format!("{latency_ms}ms")), |bencher| {
            bencher.to_async(&world.runtime).iter(|| world.load());
        });
    }
    group.finish();
}

criterion_group!(benches, decode::decode, encode::encode, pipeline);
criterion_main!(benches);
