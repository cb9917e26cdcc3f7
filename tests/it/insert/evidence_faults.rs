//! Evidence is a promise: a load whose failed rows cannot be written does not begin, or stops, and says which rows are where.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use clevertap_emulator::What;
use datafusion_clevertap::{
    Error, ErrorKind,
    runs::{RunContext, RunLog, Status},
    storage::Folder,
};

use crate::brittle_store::BrittleStore;
use crate::world::{Target, World};

/// The number of rows in the files of a folder or bucket, by fate.
async fn written(world: &World, place: &str) -> Vec<String> {
    world.ctx.register_parquet("failed", place, Default::default()).await.expect("registered");
    let rows = world.rows("SELECT fate, count(*), count(DISTINCT row_number) FROM failed GROUP BY fate ORDER BY fate").await;
    crate::seed::lines(&rows)
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_where_the_bucket_takes_no_file() {
    for target in [Target::Profiles, Target::Events] {
        let world = target.world(10);
        let bucket = BrittleStore::of(&world, 0);
        world.set("failed_rows_to", "s3://acme/failed/").await;
        let error = world.run(&target.insert("false")).await.expect_err("a bucket that takes nothing");
        assert_eq!(Error::find(&error).map(Error::kind), Some(ErrorKind::Storage), "{error}");
        let text = error.to_string();
        assert!(text.contains("\"s3://acme/failed\", where nothing can be written") && text.contains("nothing was sent"), "{text}");
        assert!(world.sent().is_empty());
        // The remedy.
        bucket.take(i64::MAX);
        world.rows(&target.insert("false")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_of_the_proof_that_files_can_be_written() {
    let world = Target::Profiles.world(10);
    let bucket = BrittleStore::of(&world, 1);
    world.set("failed_rows_to", "s3://acme/failed/").await;
    world.rows(&Target::Profiles.insert("false")).await;
    let left = object_store::ObjectStore::list_with_delimiter(bucket.as_ref(), Some(&"failed".into())).await.expect("a list");
    assert!(left.objects.is_empty(), "{left:?}");
}

#[tokio::test(start_paused = true)]
async fn a_load_stops_where_its_evidence_can_no_longer_be_written_and_says_which_rows_are_where() {
    let world = Target::Profiles.world(60_000);
    // The proof, and one file of 10,000 rows.
    BrittleStore::of(&world, 2);
    world.set("failed_rows_to", "s3://acme/failed/").await;
    world.set("failed_rows_max", 3_000).await;
    world.set("on_reject", "skip").await;
    world.set("upload_concurrency", 1).await;
    let error = world.run(&Target::Profiles.insert("true")).await.expect_err("evidence is a promise");
    assert_eq!(Error::find(&error).map(|error| (error.kind(), error.code())), Some((ErrorKind::Storage, "CT-102")), "{error}");
    let run = world.last_run();
    let failed = run.tally.read - run.tally.accepted;
    assert!(run.tally.read < 60_000 && failed > 10_000 && run.failed_rows_written == 10_000, "{run:?}");
    let text = error.to_string();
    let missing = failed - 10_000;
    let told = format!("failed rows in s3://acme/failed: 10000 of {failed} are there and {missing} are not;");
    assert!(text.contains(&told) && text.matches("403 Forbidden").count() == 1, "{text}");
    assert!(text.contains("of these the last 3000 are in clevertap.failed_rows until this session ends"), "{text}");
    assert_eq!(world.account.failed_rows().len(), 3_000);
    assert_eq!(written(&world, "s3://acme/failed/").await, ["| rejected | 10000 | 10000 |"]);
}

#[tokio::test(start_paused = true)]
async fn rows_that_failed_before_the_place_gave_way_are_told_where_rejects_stop_the_load() {
    let world = Target::Profiles.world(10);
    BrittleStore::of(&world, 1);
    world.set("failed_rows_to", "s3://acme/failed/").await;
    let error = world.run(&Target::Profiles.insert("n = 2")).await.expect_err("a reject");
    assert_eq!(Error::find(&error).map(Error::code), Some("CT-401"), "{error}");
    let text = error.to_string();
    assert!(text.contains("failed rows in s3://acme/failed: 0 of 1 are there and 1 are not ("), "{text}");
    assert_eq!(world.last_run().failed_rows_written, 0);
}

#[tokio::test(start_paused = true)]
async fn a_place_that_takes_files_again_has_all_rows_in_the_end() {
    let world = Target::Events.world(30);
    let bucket = BrittleStore::of(&world, 1);
    world.set("failed_rows_to", "s3://acme/failed/").await;
    world.set("on_reject", "skip").await;
    world.refused(&Target::Events.insert("n = 2")).await;
    bucket.take(2);
    world.rows(&Target::Events.insert("n = 2")).await;
    assert_eq!(world.last_run().failed_rows_written, 1);
}

#[tokio::test(start_paused = true)]
async fn a_load_that_is_dropped_leaves_every_failed_row_in_its_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("failed");
    let world = Target::Events.world(30_000);
    world.set("failed_rows_to", place.display()).await;
    world.set("on_reject", "skip").await;
    world.fault(What::HangBefore);
    let insert = Target::Events.insert("n % 10 = 0");
    tokio::time::timeout(Duration::from_secs(5), world.run(&insert)).await.expect_err("dropped");
    let run = world.last_run();
    assert_eq!(run.status, Status::Cancelled);
    let failed = run.tally.read - run.tally.accepted;
    assert!(failed > 5_000 && run.tally.in_doubt > 0 && run.tally.unsent > 0, "{:?}", run.tally);
    assert_eq!(run.failed_rows_written, failed);
    let rows = |fate: &str, rows: u64| format!("| {fate} | {rows} | {rows} |");
    let mut expected = vec![rows("in_doubt", run.tally.in_doubt), rows("rejected", run.tally.rejected), rows("unsent", run.tally.unsent)];
    expected.retain(|line| !line.contains("| 0 |"));
    assert_eq!(written(&world, place.to_str().expect("text")).await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_load_does_not_claim_what_its_bucket_does_not_have() {
    let world = Target::Events.world(2_000);
    BrittleStore::of(&world, i64::MAX);
    world.set("failed_rows_to", "s3://acme/failed/").await;
    world.fault(What::HangBefore);
    tokio::time::timeout(Duration::from_secs(5), world.run(&Target::Events.insert("false"))).await.expect_err("dropped");
    let run = world.last_run();
    assert_eq!((run.status, run.failed_rows_written, run.error_code.as_deref()), (Status::Cancelled, 0, Some("CT-102")));
    assert!(run.error.is_some_and(|error| error.contains("a dropped statement sends nothing to a bucket")));
}

#[tokio::test(start_paused = true)]
async fn rows_whose_evidence_was_not_taken_are_none_that_a_load_goes_on_behind() {
    let world = World::new();
    let folder = tempfile::tempdir().expect("a folder");
    let mut csv = "id,mail\n".to_owned();
    (1..=40_000).for_each(|row| writeln!(csv, "p{row},no-address").expect("written"));
    let path = folder.path().join("people.csv");
    std::fs::write(&path, csv).expect("written");
    for (option, value) in [("failed_rows_to", "s3://acme/failed/"), ("on_reject", "skip"), ("upload_concurrency", "1")] {
        world.set(option, value).await;
    }
    world.rows("SET datafusion.execution.target_partitions = 1").await;
    world.ctx.register_csv("people", path.to_str().expect("text"), Default::default()).await.expect("registered");
    // The proof, and one file of 10,000 rows.
    let bucket = BrittleStore::of(&world, 2);
    bucket.always_take_logs();
    let load = "INSERT INTO clevertap.profiles SELECT id AS identity, mail AS email FROM people";
    world.run(load).await.expect_err("evidence is a promise");
    let run = world.last_run();
    assert!(run.failed_rows_written == 10_000 && run.tally.rejected > 10_000, "{run:?}");

    bucket.take(i64::MAX);
    let url = "s3://acme/failed/".parse().expect("a URL");
    let logs = RunLog::read_all(&Folder::Bucket { store: bucket, prefix: "failed".into(), url }).await.expect("a log");
    let [log] = &logs[..] else { panic!("{logs:?}") };
    assert_eq!((log.rejected, log.ended, log.complete), (10_000, true, false));
    let context = RunContext { script: None, resume: Some(log.clone()) };
    world.ctx.state_ref().write().config_mut().set_extension(Arc::new(context));
    world.run(load).await.expect("the rest");
    world.ctx.register_parquet("failed", "s3://acme/failed/", Default::default()).await.expect("registered");
    let rows = world.rows("SELECT count(*), count(DISTINCT source_row) FROM failed WHERE fate = 'rejected'").await;
    assert_eq!(crate::seed::lines(&rows), ["| 40000 | 40000 |"]);
}

#[tokio::test(start_paused = true)]
async fn events_in_doubt_whose_evidence_was_not_taken_are_sent_again_by_choice_alone() {
    let world = World::new();
    let folder = tempfile::tempdir().expect("a folder");
    let mut csv = "id,at\n".to_owned();
    (1..=4_000).for_each(|row| writeln!(csv, "p{row},{}", 1_767_225_600 + row).expect("written"));
    let path = folder.path().join("seen.csv");
    std::fs::write(&path, csv).expect("written");
    for (option, value) in [("failed_rows_to", "s3://acme/failed/"), ("schema_check", "off"), ("upload_concurrency", "1")] {
        world.set(option, value).await;
    }
    world.rows("SET datafusion.execution.target_partitions = 1").await;
    world.ctx.register_csv("seen", path.to_str().expect("text"), Default::default()).await.expect("registered");
    // The proof, and nothing more.
    let bucket = BrittleStore::of(&world, 1);
    bucket.always_take_logs();
    world.fault_once(What::ResetAfter);
    let load = "INSERT INTO clevertap.events SELECT id AS identity, 'Seen' AS event_name, at AS event_time FROM seen";
    world.run(load).await.expect_err("evidence is a promise");
    assert!(world.last_run().tally.in_doubt > 0, "{:?}", world.last_run());

    bucket.take(i64::MAX);
    let url = "s3://acme/failed/".parse().expect("a URL");
    let logs = RunLog::read_all(&Folder::Bucket { store: bucket, prefix: "failed".into(), url }).await.expect("a log");
    let context = RunContext { script: None, resume: logs.last().cloned() };
    world.ctx.state_ref().write().config_mut().set_extension(Arc::new(context));
    let told = world.run(load).await.expect_err("they may be stored").to_string();
    assert!(told.contains("rows in doubt of that one, from row 1 on, are not in its folder, which did not take them"), "{told}");
    // The remedy.
    world.set("in_doubt", "resend").await;
    world.run(load).await.expect("the rest");
    assert_eq!(world.emulator.events_by_identity().len(), 4_000);
}
