//! `INSERT INTO clevertap.demerges`: one call splits a hundred, and none is ever sent a second time.

use clevertap_emulator::{Fault, Settings, What};
use clevertap_tests::Scripted;
use datafusion_clevertap::{Access, Tally, transport::FailureKind};

use crate::world::{World, count};

const INSERT: &str = "INSERT INTO clevertap.demerges SELECT concat('p', n) AS identity FROM source";

/// A world whose account may erase, with so many rows in `source`.
fn world(rows: i64) -> World {
    let world = World::open(Settings::default(), |account| account.access = Access::Erase);
    world.source(rows);
    world
}

/// How often the emulator carried out the demerge of the one for whom it did so most often.
fn most(world: &World) -> u64 {
    world.emulator.demerges().values().copied().max().unwrap_or(0)
}

/// How the last statement ended, and how many the emulator demerged.
fn ending(world: &World, result: &Result<u64, String>) -> String {
    let run = world.last_run();
    let Tally { read, accepted, rejected, in_doubt, unsent } = run.tally;
    assert_eq!(accepted + rejected + in_doubt + unsent, read, "{:?}", run.tally);
    let failed = world.account.failed_rows().len() as u64;
    assert_eq!(failed, read - accepted, "every row that was not accepted is in failed_rows");
    let how = if result.is_ok() { "ok" } else { run.error_code.as_deref().unwrap_or("no code") };
    format!(
        "{how}: {accepted} accepted, {rejected} rejected, {in_doubt} in doubt, {unsent} unsent, {} demerged",
        world.emulator.demerges().len()
    )
}

async fn insert(world: &World) -> Result<u64, String> {
    world.run(INSERT).await.map(|rows| count(&rows)).map_err(|error| error.to_string())
}

#[tokio::test(start_paused = true)]
async fn a_hundred_identities_share_a_call() {
    let world = world(250);
    assert_eq!(insert(&world).await, Ok(250));
    let sizes: Vec<_> = world.sent().iter().map(|call| call.body.matches("\"p").count()).collect();
    assert_eq!((sizes, world.emulator.demerges().len(), most(&world)), (vec![100, 100, 50], 250, 1));
    assert_eq!(world.sent()[0].path, "/1/demerge/profiles.json");
    assert!(world.sent()[2].body.starts_with(r#"{"identities":["p201","p202","#), "{}", world.sent()[2].body);
}

#[tokio::test(start_paused = true)]
async fn more_than_delete_rows_max_are_counted_and_none_is_sent() {
    let world = world(1_234);
    let error = insert(&world).await.expect_err("refused");
    assert!(error.contains("would take 1234 rows, and clevertap.delete_rows_max is 1000: nothing was sent"), "{error}");
    assert!(error.contains("[CT-204]") && world.sent().is_empty(), "{error}");
    world.set("delete_rows_max", 1_234).await;
    assert_eq!(insert(&world).await, Ok(1_234));
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_leaves_a_demerge_in_doubt_and_it_is_never_sent_again() {
    let faults = [
        What::ResetBefore,
        What::ResetAfter,
        What::ServerErrorBefore,
        What::ServerErrorAfter,
        What::HangBefore,
        What::HangAfter,
        What::GarbageBefore,
        What::GarbageAfter,
        What::EmptyBefore,
        What::EmptyAfter,
        What::Unavailable,
    ];
    for what in faults {
        for in_doubt in ["hold", "resend"] {
            let world = world(10);
            world.set("in_doubt", in_doubt).await;
            world.emulator.add_fault(Fault::new(what.clone()).on("/1/demerge/profiles.json").times(1));
            let result = insert(&world).await;
            let line = ending(&world, &result);
            assert!(line.starts_with("CT-402: 0 accepted, 0 rejected, 10 in doubt, 0 unsent"), "{what:?}, {in_doubt}: {line}");
            let calls = world.sent().iter().filter(|call| call.path == "/1/demerge/profiles.json").count();
            assert_eq!((calls, most(&world) <= 1), (1, true), "{what:?}, {in_doubt}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_not_carried_out_is_sent_again() {
    for what in [What::TooManyRequests, What::TooManyUnderSuccess] {
        let world = world(10);
        world.emulator.add_fault(Fault::new(what).times(1));
        let result = insert(&world).await;
        assert_eq!((ending(&world, &result).as_str(), most(&world)), ("ok: 10 accepted, 0 rejected, 0 in doubt, 0 unsent, 10 demerged", 1));
    }
    let world = world(10);
    world.script([Scripted::Fail(FailureKind::NotSent, "was refused")]);
    let result = insert(&world).await;
    assert_eq!(ending(&world, &result), "ok: 10 accepted, 0 rejected, 0 in doubt, 0 unsent, 10 demerged");
}

#[tokio::test(start_paused = true)]
async fn after_a_demerge_in_doubt_the_account_is_probed_with_an_upload_that_stores_nothing() {
    let world = world(500);
    world.one_in_flight().await;
    world.emulator.add_fault(Fault::new(What::ResetBefore).on("/1/demerge/profiles.json").times(1));
    let result = insert(&world).await;
    assert_eq!(ending(&world, &result), "CT-402: 400 accepted, 0 rejected, 100 in doubt, 0 unsent, 400 demerged");
    let calls: Vec<_> = world.sent().iter().map(|call| format!("{}?{}", call.path, call.query.clone().unwrap_or_default())).collect();
    let demerge = "/1/demerge/profiles.json?";
    assert_eq!(calls, [demerge, "/1/upload?dryRun=1", demerge, demerge, demerge, demerge]);
    assert_eq!((most(&world), world.emulator.profiles_stored()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_stops_with_the_rows_unsent() {
    for (status, body) in [
        (400, r#"{"status":"fail","error":"Demerge is not enabled","code":400}"#),
        (401, r#"{"status":"fail","error":"Passcode Invalid","code":401}"#),
        (403, "{}"),
        (200, r#"{"status":"fail","error":"No"}"#),
    ] {
        let world = world(10);
        world.script([Scripted::Answer(status, body)]);
        let result = insert(&world).await;
        let line = ending(&world, &result);
        assert!(line.ends_with("0 accepted, 0 rejected, 0 in doubt, 10 unsent, 0 demerged"), "{status}: {line}");
        assert_eq!(world.sent().len(), 1, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn faults_at_every_turn_never_demerge_anybody_twice() {
    for seed in 0..20_u64 {
        let world =
            World::open(Settings { latency_ms: 50, jitter_ms: 400, ..Settings::default() }, |account| account.access = Access::Erase);
        world.source(1_000);
        world.set("timeout_ms", 2_000).await;
        world.set("in_doubt", if seed % 2 == 0 { "hold" } else { "resend" }).await;
        let faults =
            [What::ResetAfter, What::ServerErrorAfter, What::TooManyRequests, What::HangAfter, What::GarbageAfter, What::ResetBefore];
        for (n, what) in (0..).zip(faults) {
            world.emulator.add_fault(Fault::new(what).on("/1/demerge/profiles.json").after((n + seed) % 4).every(3 + (n + seed) % 5));
        }
        let result = insert(&world).await;
        let line = ending(&world, &result);
        let (tally, demerged) = (world.last_run().tally, world.emulator.demerges().len() as u64);
        assert!(most(&world) <= 1, "seed {seed}: {line}");
        assert!((tally.accepted..=tally.accepted + tally.in_doubt).contains(&demerged), "seed {seed}: {line}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_local_dry_run_sends_nothing_and_a_null_is_rejected_with_its_row() {
    let world = world(10);
    world.set("dry_run", "local").await;
    assert_eq!(insert(&world).await, Ok(0));
    assert_eq!((world.last_run().checked, world.sent().len()), (10, 0));
    world.set("dry_run", "off").await;
    world.set("on_reject", "skip").await;
    world.rows("INSERT INTO clevertap.demerges SELECT CASE WHEN n = 3 THEN NULL ELSE concat('p', n) END AS identity FROM source").await;
    let failed = world.account.failed_rows();
    assert_eq!((failed.len(), failed[0].row_number, failed[0].code.as_str(), world.emulator.demerges().len()), (1, 3, "CT-501", 9));
}

#[tokio::test(start_paused = true)]
async fn check_asks_nothing_that_would_be_done() {
    let world = world(0);
    datafusion_clevertap::diagnose::check(&world.account).await;
    let done = [
        "/1/subscribe",
        "/1/disassociate",
        "/1/demerge/profiles.json",
        "/1/delete/profiles.json",
        "/get_custom_list_segment_url",
        "/upload_custom_list_segment_completed",
    ];
    let sent = world.sent();
    assert!(sent.iter().all(|call| !done.contains(&call.path.as_str())), "{:?}", sent.iter().map(|call| &call.path).collect::<Vec<_>>());
    let uploads: Vec<_> = sent.iter().filter(|call| call.path == "/1/upload").map(|call| call.query.as_deref()).collect();
    assert!(!uploads.is_empty() && uploads.iter().all(|query| *query == Some("dryRun=1")), "{uploads:?}");
}
