//! What is known of a statement after faults, and `failed_rows_to`. The tables themselves are `slt/local_tables.slt`.

use std::sync::{Arc, Mutex};

use clevertap_emulator::What;
use datafusion::assert_batches_eq;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion_clevertap::{ClevertapSql, Fate, hooks::FateWatch, register};

use crate::world::{TARGETS, Target, World};

#[tokio::test(start_paused = true)]
async fn a_run_that_failed_shows_its_code_and_its_statement() {
    let world = Target::Events.world(3);
    world.fault_once(What::ResetBefore);
    world.refused(&Target::Events.insert("false")).await;
    let rows = world
        .rows("SELECT status, in_doubt, settled_through, error_code, statement LIKE 'INSERT INTO clevertap.events%' AS has_statement FROM clevertap.runs")
        .await;
    assert_batches_eq!(
        [
            "+--------+----------+-----------------+------------+---------------+",
            "| status | in_doubt | settled_through | error_code | has_statement |",
            "+--------+----------+-----------------+------------+---------------+",
            "| error  | 3        | 3               | CT-402     | true          |",
            "+--------+----------+-----------------+------------+---------------+",
        ],
        &rows
    );
}

#[tokio::test(start_paused = true)]
async fn limits_tell_the_budget_of_the_account() {
    let world = Target::Events.world(3_000);
    world.emulator.add_fault(clevertap_emulator::Fault::new(What::TooManyRequests).on("/1/upload").times(1));
    world.rows(&Target::Events.insert("false")).await;
    let rows =
        world.rows("SELECT account, limit_max, in_flight, waiting, requests, throttled FROM clevertap.limits WHERE requests > 0").await;
    assert_batches_eq!(
        [
            "+---------------+-----------+-----------+---------+----------+-----------+",
            "| account       | limit_max | in_flight | waiting | requests | throttled |",
            "+---------------+-----------+-----------+---------+----------+-----------+",
            "| TEST-123-456Z | 15        | 0         | 0       | 4        | 1         |",
            "+---------------+-----------+-----------+---------+----------+-----------+",
        ],
        &rows
    );
}

#[tokio::test(start_paused = true)]
async fn no_more_uploads_are_in_flight_than_the_account_may_have() {
    let world = Target::Events.world_with(200_000, clevertap_emulator::Settings { latency_ms: 500, ..Default::default() });
    world.rows(&Target::Events.insert("false")).await;
    let report = world.emulator.report();
    assert_eq!((report.peak_in_flight["/1/upload"], report.rules_broken.len(), report.events), (15, 0, 200_000));
}

#[tokio::test(start_paused = true)]
async fn failed_rows_go_to_a_folder_as_parquet_and_can_be_fixed_and_sent_from_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let to = folder.path().join("failed");
    let world = Target::Profiles.world(25_000);
    world.set("on_reject", "skip").await;
    world.set("failed_rows_max", 10).await;
    world.set("failed_rows_to", to.display()).await;
    world.rows(&Target::Profiles.insert("n % 2 = 0")).await;
    assert_eq!(world.account.failed_rows().len(), 10, "the table keeps the last of them");
    world.ctx.register_parquet("failed", to.to_str().expect("text"), Default::default()).await.expect("registered");
    let rows = world
        .rows("SELECT count(*) AS rows, count(DISTINCT row_number) AS numbers, min(row_number) AS first, max(row_number) AS last, min(code) AS code FROM failed")
        .await;
    assert_batches_eq!(
        [
            "+-------+---------+-------+-------+---------------+",
            "| rows  | numbers | first | last  | code          |",
            "+-------+---------+-------+-------+---------------+",
            "| 12500 | 12500   | 2     | 25000 | CLEVERTAP-515 |",
            "+-------+---------+-------+-------+---------------+",
        ],
        &rows
    );
    // Fixed and sent from there: the identifier is a column, so that no JSON has to be read.
    world
        .rows("INSERT INTO clevertap.profiles SELECT identifier AS identity, concat(identifier, '@example.org') AS email FROM failed")
        .await;
    assert_eq!(world.emulator.profiles_stored(), 25_000);
}

#[tokio::test(start_paused = true)]
async fn every_fate_but_accepted_is_written_to_the_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let to = folder.path().join("failed");
    for target in TARGETS {
        let world = target.world(10);
        let to = to.join(target.table());
        world.set("failed_rows_to", to.display()).await;
        world.fault(What::Unauthorized);
        world.refused(&target.insert("false")).await;
        world.ctx.register_parquet("failed", to.to_str().expect("text"), Default::default()).await.expect("registered");
        let rows = world.rows("SELECT fate, count(*) AS rows FROM failed GROUP BY fate").await;
        assert_batches_eq!(
            ["+--------+------+", "| fate   | rows |", "+--------+------+", "| unsent | 10   |", "+--------+------+"],
            &rows
        );
    }
}

#[tokio::test(start_paused = true)]
async fn no_folder_is_made_where_no_row_failed() {
    let folder = tempfile::tempdir().expect("a folder");
    let to = folder.path().join("failed");
    let world = Target::Profiles.world(10);
    world.set("failed_rows_to", to.display()).await;
    world.rows(&Target::Profiles.insert("false")).await;
    assert!(!to.exists());
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn files_of_failed_rows_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let to = folder.path().join("failed");
    let world = Target::Profiles.world(10);
    world.set("failed_rows_to", to.display()).await;
    world.refused(&Target::Profiles.insert("n = 2")).await;
    let modes: Vec<_> = std::fs::read_dir(&to)
        .expect("a folder")
        .map(|entry| entry.expect("a file").metadata().expect("a file").permissions().mode() & 0o777)
        .collect();
    assert_eq!(modes, [0o600]);
}

#[tokio::test(start_paused = true)]
async fn settled_through_is_where_the_load_can_be_resumed() {
    let world = Target::Events.world(4_000);
    world.set("upload_concurrency", 1).await;
    world.emulator.add_fault(clevertap_emulator::Fault::new(What::Unauthorized).on("/1/upload").after(2));
    world.refused(&Target::Events.insert("false")).await;
    let run = world.last_run();
    assert_eq!((run.settled_through, run.tally.accepted), (2_000, 2_000));
    world.emulator.clear_faults();
    world.rows(&format!("{} WHERE n > {}", Target::Events.insert("false"), run.settled_through)).await;
    assert_eq!((world.emulator.events_stored(), world.emulator.events_by_identity().len()), (4_000, 4_000));
}

#[tokio::test(start_paused = true)]
async fn a_row_in_doubt_is_reported_with_its_record() {
    let world = Target::Events.world(1);
    world.fault_once(What::ResetAfter);
    world.refused(&Target::Events.insert("false")).await;
    let rows = world.rows("SELECT fate, row_number, identifier, record FROM clevertap.failed_rows").await;
    assert_batches_eq!(
        [
            "+----------+------------+------------+--------------------------------------------------------------------------------------------+",
            "| fate     | row_number | identifier | record                                                                                     |",
            "+----------+------------+------------+--------------------------------------------------------------------------------------------+",
            "| in_doubt | 1          | p1         | {\"type\":\"event\",\"identity\":\"p1\",\"ts\":1767225601,\"evtName\":\"Viewed\",\"evtData\":{\"number\":1}} |",
            "+----------+------------+------------+--------------------------------------------------------------------------------------------+",
        ],
        &rows
    );
}

/// The syncs keep a ledger of their own: they see each fate as it settles.
#[tokio::test(start_paused = true)]
async fn a_watch_sees_every_fate_once() {
    let world = World::new();
    type Seen = Vec<(u64, Option<Fate>)>;
    let seen: Arc<Mutex<Seen>> = Arc::default();
    let ledger = Arc::clone(&seen);
    let watch = FateWatch::new(move |fates| ledger.lock().expect("a ledger").extend_from_slice(fates.rows));
    let ctx = SessionContext::new_with_config(SessionConfig::new().with_extension(Arc::new(watch)));
    register(&ctx, "clevertap", &world.account).expect("registered");
    ctx.sql("SET clevertap.on_reject = 'skip'").await.expect("set");
    let insert =
        "INSERT INTO clevertap.profiles (identity, email) VALUES ('a', 'a@example.com'), (NULL, 'b@example.com'), ('c', 'not one')";
    ctx.clevertap_sql(insert).await.expect("planned").collect().await.expect("inserted");
    let mut seen = seen.lock().expect("a ledger").clone();
    seen.sort_by_key(|(row, _)| *row);
    assert_eq!(seen, [(1, None), (2, Some(Fate::Rejected)), (3, Some(Fate::Rejected))]);
}
