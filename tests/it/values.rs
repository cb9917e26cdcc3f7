//! Values that depend on the account or on a limit of CleverTap's. What becomes of all others is `slt/insert_values.slt` and
//! `slt/insert_events.slt`.

use crate::world::World;

#[tokio::test(start_paused = true)]
async fn a_date_needs_the_projects_time_zone() {
    let world = World::open(clevertap_emulator::Settings::default(), |account| account.time_zone = None);
    let error = world.refused("INSERT INTO clevertap.profiles SELECT 'a' AS identity, DATE '2026-01-01' AS \"Day\"").await;
    assert!(error.contains("Day") && error.contains("time zone"), "{error}");
    assert!(world.sent().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_event_may_have_256_properties_and_is_warned_above_100() {
    let columns = |count: usize| (1..=count).map(|n| format!("{n} AS p{n}")).collect::<Vec<_>>().join(", ");
    let insert = |count| {
        format!("INSERT INTO clevertap.events SELECT 'a' AS identity, 'V' AS event_name, 1767225600 AS event_time, {}", columns(count))
    };
    let world = World::with(clevertap_emulator::Settings { event_properties_max: 256, ..Default::default() });
    world.rows(&insert(100)).await;
    assert!(world.account.warnings().is_empty());
    world.rows(&insert(101)).await;
    assert_eq!(world.account.warnings().len(), 1, "{:?}", world.account.warnings());
    world.rows(&insert(256)).await;
    let error = world.refused(&insert(300)).await;
    assert!(error.contains("256"), "{error}");
    assert_eq!(world.emulator.events_stored(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_increment_of_zero_or_less_is_not_sent_as_it_is() {
    // The API takes positive numbers only; what the function makes of others must not be a silent loss.
    for value in ["ct_incr(0)", "ct_incr(-1)"] {
        let world = World::new();
        let ended = world.run(&format!("INSERT INTO clevertap.profiles SELECT 'a' AS identity, {value} AS \"Visits\"")).await;
        assert!(ended.is_err() || world.emulator.report().error_stream.is_empty(), "{value} was lost in silence");
    }
}
