//! Rows that nothing happens to: none, one, a body, a body and one; nulls; dry runs.

use datafusion::assert_batches_eq;

use crate::world::{TARGETS, Target, World, ending};

/// Inserts so many rows in each table; one line a table.
async fn all(rows: impl Fn(Target) -> i64) -> Vec<String> {
    let mut lines = Vec::new();
    for target in TARGETS {
        let world = target.world(rows(target));
        let result = world.run(&target.insert("false")).await;
        let broken = world.emulator.report().rules_broken;
        assert!(broken.is_empty(), "{broken:?}");
        lines.push(format!("{}, {} requests", ending(&world, target, &result), world.sent().len()));
    }
    lines
}

#[tokio::test(start_paused = true)]
async fn an_insert_of_no_rows_sends_nothing() {
    assert_eq!(
        all(|_| 0).await,
        [
            "profiles: ok success: 0 accepted, 0 rejected, 0 in doubt, 0 unsent, 0 stored, 0 requests",
            "events: ok success: 0 accepted, 0 rejected, 0 in doubt, 0 unsent, 0 stored, 0 requests",
            "device_tokens: ok success: 0 accepted, 0 rejected, 0 in doubt, 0 unsent, 0 stored, 0 requests",
            "subscriptions: ok success: 0 accepted, 0 rejected, 0 in doubt, 0 unsent, 0 stored, 0 requests",
            "phone_disassociations: ok success: 0 accepted, 0 rejected, 0 in doubt, 0 unsent, 0 stored, 0 requests",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_insert_of_one_row_is_one_request() {
    assert_eq!(
        all(|_| 1).await,
        [
            "profiles: ok success: 1 accepted, 0 rejected, 0 in doubt, 0 unsent, 1 stored, 1 requests",
            "events: ok success: 1 accepted, 0 rejected, 0 in doubt, 0 unsent, 1 stored, 1 requests",
            "device_tokens: ok success: 1 accepted, 0 rejected, 0 in doubt, 0 unsent, 1 stored, 1 requests",
            "subscriptions: ok success: 1 accepted, 0 rejected, 0 in doubt, 0 unsent, 1 stored, 1 requests",
            "phone_disassociations: ok success: 1 accepted, 0 rejected, 0 in doubt, 0 unsent, 1 stored, 1 requests",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn rows_max_rows_fill_one_body() {
    assert_eq!(
        all(Target::rows_max).await,
        [
            "profiles: ok success: 1000 accepted, 0 rejected, 0 in doubt, 0 unsent, 1000 stored, 1 requests",
            "events: ok success: 1000 accepted, 0 rejected, 0 in doubt, 0 unsent, 1000 stored, 1 requests",
            "device_tokens: ok success: 100 accepted, 0 rejected, 0 in doubt, 0 unsent, 100 stored, 1 requests",
            "subscriptions: ok success: 1000 accepted, 0 rejected, 0 in doubt, 0 unsent, 1000 stored, 1 requests",
            "phone_disassociations: ok success: 1000 accepted, 0 rejected, 0 in doubt, 0 unsent, 1000 stored, 1 requests",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn one_row_more_than_rows_max_takes_a_second_body() {
    assert_eq!(
        all(|target| target.rows_max() + 1).await,
        [
            "profiles: ok success: 1001 accepted, 0 rejected, 0 in doubt, 0 unsent, 1001 stored, 2 requests",
            "events: ok success: 1001 accepted, 0 rejected, 0 in doubt, 0 unsent, 1001 stored, 2 requests",
            "device_tokens: ok success: 101 accepted, 0 rejected, 0 in doubt, 0 unsent, 101 stored, 2 requests",
            "subscriptions: ok success: 1001 accepted, 0 rejected, 0 in doubt, 0 unsent, 1001 stored, 2 requests",
            "phone_disassociations: ok success: 1001 accepted, 0 rejected, 0 in doubt, 0 unsent, 1001 stored, 2 requests",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn body_rows_max_makes_smaller_bodies() {
    let world = Target::Events.world(10);
    world.set("body_rows_max", 4).await;
    world.rows(&Target::Events.insert("false")).await;
    assert_eq!((world.sent().len(), world.emulator.events_stored()), (3, 10));
}

#[tokio::test(start_paused = true)]
async fn body_bytes_max_makes_smaller_bodies() {
    let world = Target::Events.world(100);
    world.set("body_bytes_max", 1000).await;
    world.rows(&Target::Events.insert("false")).await;
    let longest = world.sent().iter().map(|call| call.body.len()).max();
    assert!(longest <= Some(1000), "{longest:?}");
    assert_eq!(world.emulator.events_stored(), 100);
}

#[tokio::test(start_paused = true)]
async fn the_result_is_the_accepted_count() {
    let world = Target::Profiles.world(3);
    let rows = world.rows(&Target::Profiles.insert("false")).await;
    assert_batches_eq!(["+-------+", "| count |", "+-------+", "| 3     |", "+-------+"], &rows);
}

#[tokio::test(start_paused = true)]
async fn a_null_property_is_left_out_and_a_null_identifier_is_rejected() {
    let world = World::new();
    world.set("on_reject", "skip").await;
    let rows = world
        .rows(
            "INSERT INTO clevertap.profiles SELECT column1 AS identity, column2 AS name, column3 AS \"Plan\"
             FROM (VALUES ('a', 'Ada', NULL), ('b', NULL, 'gold'), (NULL, 'Nobody', 'none'))",
        )
        .await;
    assert_batches_eq!(["+-------+", "| count |", "+-------+", "| 2     |", "+-------+"], &rows);
    let failed = world.rows("SELECT fate, row_number, identifier FROM clevertap.failed_rows").await;
    assert_batches_eq!(
        [
            "+----------+------------+------------+",
            "| fate     | row_number | identifier |",
            "+----------+------------+------------+",
            "| rejected | 3          |            |",
            "+----------+------------+------------+",
        ],
        &failed
    );
    assert_eq!(
        world.sent()[0].body,
        r#"{"d":[{"type":"profile","identity":"a","profileData":{"Name":"Ada"}},{"type":"profile","identity":"b","profileData":{"Plan":"gold"}}]}"#
    );
}

#[tokio::test(start_paused = true)]
async fn a_null_event_time_or_event_name_is_rejected() {
    let world = World::new();
    world.set("on_reject", "skip").await;
    world
        .rows(
            "INSERT INTO clevertap.events SELECT column1 AS identity, column2 AS event_name, column3 AS event_time
             FROM (VALUES ('a', 'Viewed', 1767225600), ('b', NULL, 1767225600), ('c', 'Viewed', NULL), ('d', 'Viewed', 10000000000))",
        )
        .await;
    let failed = world.rows("SELECT fate, row_number, column_name FROM clevertap.failed_rows ORDER BY row_number").await;
    assert_batches_eq!(
        [
            "+----------+------------+-------------+",
            "| fate     | row_number | column_name |",
            "+----------+------------+-------------+",
            "| rejected | 2          | event_name  |",
            "| rejected | 3          | event_time  |",
            "| rejected | 4          | event_time  |",
            "+----------+------------+-------------+",
        ],
        &failed
    );
    assert_eq!(world.emulator.events_stored(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_local_dry_run_sends_nothing_and_checks_every_row() {
    let mut lines = Vec::new();
    for target in TARGETS {
        let world = target.world(250);
        world.set("dry_run", "local").await;
        let result = world.run(&target.insert("false")).await;
        let run = world.last_run();
        let stored = target.stored(&world);
        lines.push(format!("{} {} checked, {stored} stored, {} requests", run.status, run.checked, world.sent().len()));
        assert!(result.is_ok(), "{result:?}");
    }
    assert_eq!(lines, ["dry_run 250 checked, 0 stored, 0 requests"; 5]);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_on_the_server_stores_nothing_and_shows_what_would_be_refused() {
    let mut lines = Vec::new();
    for target in [Target::Profiles, Target::Events, Target::DeviceTokens] {
        let world = target.world(50);
        world.set("dry_run", "server").await;
        world.set("on_reject", "skip").await;
        let result = world.run(&target.insert("n = 7")).await;
        let run = world.last_run();
        let stored = target.stored(&world);
        let queries: Vec<_> = world.sent().into_iter().map(|call| call.query.unwrap_or_default()).collect();
        lines.push(format!("{} {} checked, {} rejected, {stored} stored, {queries:?}", run.status, run.checked, run.tally.rejected));
        assert!(result.is_ok(), "{result:?}");
    }
    assert_eq!(lines, ["dry_run 49 checked, 1 rejected, 0 stored, [\"dryRun=1\"]"; 3]);
}

#[tokio::test(start_paused = true)]
async fn only_an_upload_can_be_tried_on_the_server() {
    for target in [Target::Subscriptions, Target::PhoneDisassociations] {
        let world = target.world(5);
        world.set("dry_run", "server").await;
        let error = world.refused(&target.insert("false")).await;
        assert!(error.contains("CleverTap checks uploads alone") && error.contains("SET clevertap.dry_run = 'local'"), "{error}");
        assert!(world.sent().is_empty());
    }
}
