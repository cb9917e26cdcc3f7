//! Three million events and three hundred thousand people: every row, three chains busy, memory flat.

use std::sync::Arc;

use chrono_tz::Tz;
use clevertap_emulator::Settings;
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::SessionContext;

use crate::seed::{Size, lines, seeded};

const LARGE: Size = Size { people: 300_000, events: 3_000_000, days: 60 };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_million_events_come_whole_through_three_busy_chains_in_little_memory() {
    let _alone = crate::cargo::CORES.lock().await;
    let mut world = seeded(LARGE, Tz::Asia__Kolkata, Settings { latency_ms: 50, ..Settings::default() }, |_| {});
    // Less than a hundredth of what is exported.
    let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(64 * 1024 * 1024));
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::clone(&pool)).build_arc().expect("a runtime");
    let state = datafusion::execution::SessionStateBuilder::new_from_existing(world.ctx.state()).with_runtime_env(runtime).build();
    world.ctx = SessionContext::new_with_state(state);

    let sums = "count(*), count(identity), min(event_time), max(event_time), sum((properties -> 'Step')::double), sum(CAST(right(object_id, 8) AS BIGINT))";
    let whole = "event_name IN ('Charged', 'Viewed Item', 'App Launched') AND event_date BETWEEN '2026-01-01' AND '2026-03-01'";
    let sums = sums.replace("CAST(right(object_id, 8) AS BIGINT)", "octet_length(concat(object_id, identity))");
    let rows = world.same(&format!("SELECT event_name, {sums} FROM {{events}} WHERE {whole} GROUP BY event_name")).await;
    assert_eq!(rows, 3);
    let report = world.emulator.report();
    assert_eq!(report.records_exported, LARGE.events);
    assert!(report.mean_in_flight["/1/events.json"] >= 2.8, "{:?}", report.mean_in_flight);
    assert_eq!(report.rules_broken.len(), 0, "{:?}", report.rules_broken);
    assert_eq!(pool.reserved(), 0);

    // The other tables over the same seed, and what is pushed down to them.
    let one_week = "event_date BETWEEN '2026-01-05' AND '2026-01-11'";
    world.same(&format!("SELECT count(*), sum(\"Amount\") FROM {{charged}} WHERE {one_week} AND \"Amount\" > 9000")).await;
    world.same("SELECT identity, event_time FROM {events} WHERE event_name = 'Charged' AND event_time >= '2026-01-05 23:50:00' AND event_time < '2026-01-06 00:10:00'").await;
    let equal = async |ours: &str, seeds: &str| assert_eq!(lines(&world.rows(ours).await), lines(&world.rows(seeds).await), "{ours}");
    equal(
        &format!("SELECT event_date, events, people FROM clevertap.trend_analysis_daily WHERE event_name = 'Viewed Item' AND {one_week}"),
        &format!("SELECT event_date, count(*), count(DISTINCT object_id) FROM seed.events WHERE event_name = 'Viewed Item' AND {one_week} GROUP BY 1"),
    )
    .await;
    equal(
        &format!("SELECT e.events, p.people FROM clevertap.event_counts e CROSS JOIN clevertap.profile_counts p WHERE e.event_name = 'Charged' AND e.{one_week} AND p.event_name = 'Charged' AND p.{one_week}"),
        &format!("SELECT count(*), count(DISTINCT object_id) FROM seed.events WHERE event_name = 'Charged' AND {one_week}"),
    )
    .await;
    equal(
        "SELECT count(*), count(identity), count(DISTINCT object_id) FROM clevertap.profiles WHERE event_name = 'App Launched' AND event_date = '2026-01-05'",
        "SELECT count(*), count(identity), count(object_id) FROM (SELECT DISTINCT object_id, identity FROM seed.events WHERE event_name = 'App Launched' AND event_date = '2026-01-05')",
    )
    .await;
}
