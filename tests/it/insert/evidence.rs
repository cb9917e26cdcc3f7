//! The tables that tell what happened: runs, failed_rows, warnings, limits, options, tables; and `failed_rows_to`.

use std::sync::{Arc, Mutex};

use clevertap_emulator::What;
use datafusion::assert_batches_eq;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion_clevertap::{ClevertapSql, Fate, FateWatch, register};

use crate::world::{TARGETS, Target, World};

#[tokio::test(start_paused = true)]
async fn runs_has_one_row_for_each_statement_that_wrote() {
    let world = Target::Profiles.world(3);
    world.set("run_label", "nightly").await;
    world.rows(&Target::Profiles.insert("false")).await;
    world.set("on_reject", "skip").await;
    world.rows(&Target::Profiles.insert("n = 2")).await;
    world.set("dry_run", "local").await;
    world.rows(&Target::Events.insert("false")).await;
    let rows = world
        .rows(
            "SELECT run_id, label, account, table_name, operation, status, input_complete, settled_through, rows_read, accepted,
             rejected, in_doubt, unsent, checked, requests, retries, error_code FROM clevertap.runs ORDER BY run_id",
        )
        .await;
    assert_batches_eq!(
        [
            "+--------+---------+---------------+--------------------+-----------+---------+----------------+-----------------+-----------+----------+----------+----------+--------+---------+----------+---------+------------+",
            "| run_id | label   | account       | table_name         | operation | status  | input_complete | settled_through | rows_read | accepted | rejected | in_doubt | unsent | checked | requests | retries | error_code |",
            "+--------+---------+---------------+--------------------+-----------+---------+----------------+-----------------+-----------+----------+----------+----------+--------+---------+----------+---------+------------+",
            "| 1      | nightly | TEST-123-456Z | clevertap.profiles | INSERT    | success | true           | 3               | 3         | 3        | 0        | 0        | 0      | 0       | 1        | 0       |            |",
            "| 2      | nightly | TEST-123-456Z | clevertap.profiles | INSERT    | partial | true           | 3               | 3         | 2        | 1        | 0        | 0      | 0       | 1        | 0       |            |",
            "| 3      | nightly | TEST-123-456Z | clevertap.events   | INSERT    | dry_run | true           | 3               | 3         | 0        | 0        | 0        | 0      | 3       | 0        | 0       |            |",
            "+--------+---------+---------------+--------------------+-----------+---------+----------------+-----------------+-----------+----------+----------+----------+--------+---------+----------+---------+------------+",
        ],
        &rows
    );
}

#[tokio::test(start_paused = true)]
async fn runs_has_the_columns_of_the_design() {
    let world = World::new();
    let mut tables = Vec::new();
    for table in ["runs", "failed_rows", "warnings", "limits", "options", "tables"] {
        let frame = world.ctx.sql(&format!("SELECT * FROM clevertap.{table}")).await;
        let columns = frame.map_or_else(
            |error| error.to_string(),
            |frame| frame.schema().fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>().join(", "),
        );
        tables.push(format!("{table}: {columns}"));
    }
    assert_eq!(
        tables,
        [
            "runs: run_id, label, account, table_name, operation, statement, started_at, finished_at, status, input_complete, settled_through, \
             rows_read, accepted, rejected, in_doubt, unsent, checked, requests, retries, bytes_sent, error_code, error",
            "failed_rows: run_id, table_name, fate, row_number, identifier, code, reason, column_name, record, failed_at",
            "warnings: run_id, code, column_name, rows, message",
            "limits: account, api, limit_now, limit_max, in_flight, waiting, requests, throttled",
            "options: name, value, default, description",
            "tables: table_name, reads, writes, required_filters, description",
        ]
    );
}

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
async fn warnings_count_the_texts_that_were_cut() {
    let world = World::new();
    world.set("long_values", "cut").await;
    world
        .rows(
            "INSERT INTO clevertap.profiles SELECT column1 AS identity, column2 AS \"Bio\"
             FROM (VALUES ('a', repeat('x', 513)), ('b', repeat('y', 600)), ('c', 'short'))",
        )
        .await;
    let rows = world.rows("SELECT run_id, column_name, rows FROM clevertap.warnings").await;
    assert_batches_eq!(
        [
            "+--------+-------------+------+",
            "| run_id | column_name | rows |",
            "+--------+-------------+------+",
            "| 1      | Bio         | 2    |",
            "+--------+-------------+------+"
        ],
        &rows
    );
    assert_eq!(world.emulator.profile("a").expect("a person")["profileData"]["Bio"], "x".repeat(512));
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
async fn options_are_those_of_the_design_with_their_defaults() {
    let world = World::new();
    let rows = world
        .rows(
            "SELECT name, value FROM clevertap.options WHERE name IN ('clevertap.on_reject', 'clevertap.failed_max', 'clevertap.in_doubt',
             'clevertap.failed_rows_max', 'clevertap.dry_run', 'clevertap.nulls', 'clevertap.nested', 'clevertap.naive_time',
             'clevertap.long_values', 'clevertap.lookups_max', 'clevertap.upload_concurrency', 'clevertap.read_concurrency',
             'clevertap.body_rows_max', 'clevertap.body_bytes_max', 'clevertap.timeout_ms', 'clevertap.retry_for_ms') ORDER BY name",
        )
        .await;
    assert_batches_eq!(
        [
            "+------------------------------+---------+",
            "| name                         | value   |",
            "+------------------------------+---------+",
            "| clevertap.body_bytes_max     | 5000000 |",
            "| clevertap.body_rows_max      | 1000    |",
            "| clevertap.dry_run            | off     |",
            "| clevertap.failed_max         |         |",
            "| clevertap.failed_rows_max    | 100000  |",
            "| clevertap.in_doubt           | hold    |",
            "| clevertap.long_values        | reject  |",
            "| clevertap.lookups_max        | 10000   |",
            "| clevertap.naive_time         | refuse  |",
            "| clevertap.nested             | false   |",
            "| clevertap.nulls              | omit    |",
            "| clevertap.on_reject          | stop    |",
            "| clevertap.read_concurrency   | 3       |",
            "| clevertap.retry_for_ms       | 600000  |",
            "| clevertap.timeout_ms         | 60000   |",
            "| clevertap.upload_concurrency | 15      |",
            "+------------------------------+---------+",
        ],
        &rows
    );
}

#[tokio::test(start_paused = true)]
async fn tables_lists_what_can_be_read_and_written() {
    let world = World::new();
    let rows = world
        .rows("SELECT table_name, reads, writes FROM clevertap.tables WHERE table_name IN ('profiles', 'events', 'device_tokens') ORDER BY table_name")
        .await;
    assert_eq!(rows.iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>(), 3);
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
    let watch = FateWatch::new(move |fates| ledger.lock().expect("a ledger").extend_from_slice(fates));
    let ctx = SessionContext::new_with_config(SessionConfig::new().with_extension(Arc::new(watch)));
    register(&ctx, "clevertap", world.account.clone()).expect("registered");
    ctx.sql("SET clevertap.on_reject = 'skip'").await.expect("set");
    let insert =
        "INSERT INTO clevertap.profiles (identity, email) VALUES ('a', 'a@example.com'), (NULL, 'b@example.com'), ('c', 'not one')";
    ctx.clevertap_sql(insert).await.expect("planned").collect().await.expect("inserted");
    let mut seen = seen.lock().expect("a ledger").clone();
    seen.sort_by_key(|(row, _)| *row);
    assert_eq!(seen, [(1, None), (2, Some(Fate::Rejected)), (3, Some(Fate::Rejected))]);
}
