//! SELECT from `clevertap.profiles`: look-ups by key (design.md 3.1 and 3.5).

use clevertap_emulator::{Settings, UnknownProfile};
use datafusion::assert_batches_eq;

use crate::world::{World, devices, text_of};

/// A world with three people in it and no call on record that wrote them.
async fn people(settings: Settings) -> World {
    let world = World::with(Settings { devices: devices(&["__g1"]), ..settings });
    world
        .rows(
            "INSERT INTO clevertap.profiles SELECT column1 AS identity, column2 AS name, column3 AS email, column4 AS \"Plan\"
             FROM (VALUES ('a', 'Ada', 'ada+news@example.org', 'gold'), ('b b', 'Bob', 'bob@example.org', 'silver'), ('ß/ü?&', 'Émile', NULL, NULL))",
        )
        .await;
    world.rows("INSERT INTO clevertap.profiles SELECT '__g1' AS object_id, 'Device' AS name").await;
    world
}

/// The query of each look-up so far.
fn asked(world: &World) -> Vec<String> {
    world.sent().into_iter().filter(|call| call.path == "/1/profile.json").filter_map(|call| call.query).collect()
}

#[tokio::test(start_paused = true)]
async fn somebody_unknown_is_no_row_in_all_three_forms() {
    for unknown_profile in [UnknownProfile::NotFound, UnknownProfile::Fail, UnknownProfile::Null] {
        let world = people(Settings { unknown_profile, ..Settings::default() }).await;
        let rows = world.rows("SELECT count(*) AS people FROM clevertap.profiles WHERE identity = 'nobody'").await;
        assert_batches_eq!(["+--------+", "| people |", "+--------+", "| 0      |", "+--------+"], &rows);
    }
}

#[tokio::test(start_paused = true)]
async fn explain_makes_no_request_and_shows_no_value() {
    let world = people(Settings::default()).await;
    for explain in ["EXPLAIN", "EXPLAIN VERBOSE", "EXPLAIN FORMAT TREE"] {
        world.rows(&format!("{explain} SELECT name FROM clevertap.profiles WHERE identity IN ('a', 'b b')")).await;
    }
    assert_eq!(asked(&world), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn at_most_three_look_ups_are_in_flight() {
    let world = World::with(Settings { latency_ms: 100, ..Settings::default() });
    let keys: Vec<_> = (0..50).map(|n| format!("'k{n}'")).collect();
    let rows = world.rows(&format!("SELECT count(*) AS people FROM clevertap.profiles WHERE identity IN ({})", keys.join(", "))).await;
    assert_batches_eq!(["+--------+", "| people |", "+--------+", "| 0      |", "+--------+"], &rows);
    let report = world.emulator.report();
    assert_eq!((report.peak_in_flight["/1/profile.json"], report.rules_broken.len(), report.requests), (3, 0, 50));
}

#[tokio::test(start_paused = true)]
async fn a_failing_look_up_is_an_error_of_the_query() {
    let world = people(Settings::default()).await;
    world.emulator.add_fault(clevertap_emulator::Fault::new(clevertap_emulator::What::Unauthorized).on("/1/profile.json"));
    let text = text_of(world.run("SELECT * FROM clevertap.profiles WHERE identity = 'a'").await);
    assert!(text.contains("[CT-301]") && text.contains("in1.api.clevertap.com"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_look_up_is_tried_again_after_what_passes() {
    use clevertap_emulator::{Fault, What};
    for what in
        [What::TooManyRequests, What::ServerErrorBefore, What::ResetBefore, What::GarbageBefore, What::EmptyBefore, What::Unavailable]
    {
        let world = people(Settings::default()).await;
        world.emulator.add_fault(Fault::new(what).on("/1/profile.json").times(1));
        let rows = world.rows("SELECT name FROM clevertap.profiles WHERE identity = 'a'").await;
        assert_batches_eq!(["+------+", "| name |", "+------+", "| Ada  |", "+------+"], &rows);
    }
}
