//! What planning asks CleverTap: nothing, or the two calls that the page documents, within the session's own bounds.

use std::time::Duration;

use clevertap_emulator::What;
use tokio::time::Instant;

use crate::world::World;

const INSERT: &str = "INSERT INTO clevertap_events.\"New name\" SELECT 'a' AS identity, 1767225600 AS event_time, 5 AS \"Amount\"";

/// The calls that a statement made.
async fn calls(world: &World, sql: &str) -> Vec<String> {
    world.forget_sent();
    world.rows(sql).await;
    world.sent().into_iter().map(|call| call.path).collect()
}

#[tokio::test(start_paused = true)]
async fn an_insert_of_an_event_asks_nothing_about_its_table() {
    let world = World::new();
    for (option, check) in [("off", "off"), ("local", "off"), ("local", "warn")] {
        world.set("dry_run", option).await;
        world.set("schema_check", check).await;
        // Of the documented check, one call a session.
        let checks = if check == "warn" { vec!["/1/query/event_schema"] } else { Vec::new() };
        let explained = calls(&world, &format!("EXPLAIN {INSERT}")).await;
        assert_eq!(explained, Vec::<String>::new(), "{option} {check}");
        let mut sent = calls(&world, INSERT).await;
        sent.retain(|path| path != "/1/upload");
        assert_eq!(sent.len(), checks.len(), "{option} {check}: {sent:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_table_of_an_event_is_described_within_the_bounds_of_the_session() {
    for sql in
        ["DESCRIBE clevertap_events.\"Viewed\"", "EXPLAIN SELECT identity FROM clevertap_events.\"Viewed\" WHERE event_date = '2026-01-01'"]
    {
        let world = World::new();
        // It has answered before, so that no name is taken for wrong.
        world.rows("SELECT * FROM clevertap.event_schema").await;
        world.set("timeout_ms", 300).await;
        world.set("retry_for_ms", 1_000).await;
        world.fault(What::HangBefore);
        let began = Instant::now();
        world.rows(sql).await;
        assert!(began.elapsed() <= Duration::from_millis(3_000), "{sql}: {:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn the_check_of_a_load_takes_no_longer_than_an_attempt_may() {
    let world = World::new();
    world.set("schema_check", "warn").await;
    world.set("dry_run", "local").await;
    world.set("timeout_ms", 300).await;
    world.fault(What::HangBefore);
    let began = Instant::now();
    world.rows(INSERT).await;
    assert!(began.elapsed() <= Duration::from_millis(400), "{:?}", began.elapsed());
}
