//! What is done with a sync besides running it.

use datafusion_clevertap::options::DryRun;
use datafusion_clevertap_sync::definition::Retry;
use datafusion_clevertap_sync::report::Status;
use datafusion_clevertap_sync::{Definition, Error, RunOptions};

use crate::world::{PEOPLE, World, counts, events};

fn people() -> Definition {
    Definition::new("people", PEOPLE, "clevertap.profiles")
}

#[tokio::test]
async fn a_preview_shows_rows_and_payloads_and_sends_nothing() {
    let world = World::new().await;
    world.people("SELECT 'p' || value, CASE value WHEN 2 THEN repeat('x', 600) ELSE 'gold' END FROM generate_series(1, 9000)").await;
    let preview = world.syncs.preview(&people(), 3).await.expect("a preview");
    assert_eq!((preview.payloads.len(), preview.rows.iter().map(|batch| batch.num_rows()).sum::<usize>()), (3, 3));
    let second = preview.payloads.iter().find(|row| row.key.as_deref() == Some("p2")).expect("p2");
    assert!(second.payload.is_none() && second.code.as_deref().is_some_and(|code| code.starts_with("CT-")));
    assert!(preview.payloads[0].payload.as_deref().is_some_and(|payload| payload.contains("\"identity\"")));
    assert!(!format!("{preview:?}").contains("p1"), "a key in {preview:?}");
    assert_eq!(world.emulator.report().requests, 0);
}

#[tokio::test]
async fn a_baseline_remembers_what_is_there_and_sends_nothing() {
    let world = World::new().await;
    world.people("SELECT 'p' || value, 'gold' FROM generate_series(1, 500)").await;
    assert_eq!(world.syncs.baseline(&people()).await.expect("a baseline"), 500);
    assert_eq!(world.emulator.report().requests, 0);
    world.people("SELECT 'p' || value, CASE value WHEN 1 THEN 'silver' ELSE 'gold' END FROM generate_series(1, 501)").await;
    let run = world.syncs.run(&people()).await.expect("a run");
    assert_eq!((counts(&run.changes), run.accepted), ((1, 1, 499, 0), 2));
    let modes: Vec<_> = world.syncs.history(Some("people")).await.expect("runs").into_iter().map(|run| run.mode).collect();
    assert_eq!(modes, ["upsert", "baseline"]);
}

#[tokio::test]
async fn a_dry_run_tells_what_would_be_rejected_and_remembers_nothing() {
    let world = World::new().await;
    world.people("VALUES ('a', 'gold'), ('b', repeat('x', 600))").await;
    for dry_run in [DryRun::Local, DryRun::Server] {
        let mut options = RunOptions::default();
        options.dry_run = Some(dry_run);
        let run = world.syncs.run_with(&people(), &options).await.expect("a dry run");
        assert_eq!((run.status, run.accepted, run.rejected, run.unsent), (Status::Partial, 1, 1, 0), "{run:?}");
        assert_eq!(world.emulator.profiles_stored(), 0);
        assert!(world.syncs.history(None).await.expect("runs").is_empty());
    }
    assert_eq!(world.syncs.run(&people()).await.expect("a run").changes.new, 2);
}

#[tokio::test]
async fn all_rows_are_sent_again_where_that_was_asked_for_but_no_event() {
    let world = World::new().await;
    world.people("VALUES ('a', 'gold'), ('b', 'gold')").await;
    let mut options = RunOptions::default();
    options.full = true;
    for definition in [people(), events()] {
        world.syncs.run(&definition).await.expect("a run");
        let again = world.syncs.run_with(&definition, &options).await.expect("a run");
        assert_eq!(again.accepted, if definition.name == "people" { 2 } else { 0 });
    }
    assert_eq!(world.emulator.events_stored(), 2);
}

#[tokio::test]
async fn a_paused_sync_is_not_run_until_it_is_resumed_and_a_reset_one_begins_anew() {
    let world = World::new().await;
    world.people("VALUES ('a', 'gold')").await;
    world.syncs.pause("people").await.expect("paused");
    assert!(matches!(world.syncs.run(&people()).await, Err(Error::Held(_))));
    world.syncs.resume("people").await.expect("resumed");
    assert_eq!(world.syncs.run(&people()).await.expect("a run").accepted, 1);
    world.syncs.reset("people").await.expect("reset");
    assert_eq!(world.syncs.run(&people()).await.expect("a run").accepted, 1);
    let (compacted, _) = world.syncs.compact("people").await.expect("compacted");
    assert_eq!(compacted.after, 1);
    assert_eq!(world.syncs.run(&people()).await.expect("a run").changes.unchanged, 1);
}

#[tokio::test]
async fn a_rejected_row_is_tried_so_often_and_then_held_and_its_code_is_known() {
    let world = World::new().await;
    world.people("VALUES ('a', repeat('x', 600))").await;
    let mut always = people();
    (always.retry, always.retry_max) = (Retry::Always, 2);
    for (rejected, held) in [(1, 0), (1, 0), (0, 1)] {
        let run = world.syncs.run(&always).await.expect("a run");
        assert_eq!((run.rejected, run.changes.held), (rejected, held));
    }
    let mut again = RunOptions::default();
    again.retry = true;
    assert_eq!(world.syncs.run_with(&always, &again).await.expect("a run").rejected, 1);
    assert_eq!(world.syncs.failed("people").await.expect("letters")[0].attempts, 3);
    world.register_ledger();
    let sql = "SELECT fate, code LIKE 'CT-%' AS coded FROM sync_rows WHERE sync = 'people'";
    let rows = world.ctx.sql(sql).await.expect("a query").to_string().await.expect("rows");
    assert!(rows.contains("| rejected | true  |"), "{rows}");
}

#[tokio::test]
async fn a_person_is_forgotten_wherever_a_key_or_a_record_has_them() {
    let world = World::new().await;
    world.people("VALUES ('ann', 'gold'), ('bob', repeat('x', 600)), ('eve', 'gold')").await;
    let mut visits = events();
    visits.name = "visits".to_owned();
    visits.key = vec!["identity".to_owned(), "id".to_owned()];
    for definition in [people(), visits] {
        world.syncs.run(&definition).await.expect("a run");
    }
    let gone = ["ann".to_owned(), "bob".to_owned()];
    let forgotten = world.syncs.forget(&gone).await.expect("forgotten");
    // Two keys of each sync; of bob also the dead letter, and his row with its code.
    assert!(forgotten.rows >= 4 && forgotten.dead_letters >= 1 && forgotten.held.is_empty(), "{forgotten:?}");
    let folder = world.state().to_owned();
    let found = std::process::Command::new("grep").args(["-rl", "-e", "ann", "-e", "bob"]).arg(folder).output().expect("grep");
    assert!(found.stdout.is_empty(), "{}", String::from_utf8_lossy(&found.stdout));
    assert_eq!(world.syncs.forget(&gone).await.expect("forgotten").rows, 0);
    assert_eq!(world.syncs.run(&people()).await.expect("a run").changes.new, 2);
}

#[tokio::test]
async fn a_source_that_stands_still_is_refused() {
    let world = World::new().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("people.csv");
    std::fs::write(&file, "id,plan\na,gold\n").expect("a file");
    let made = format!("CREATE EXTERNAL TABLE source STORED AS CSV LOCATION '{}' OPTIONS ('format.has_header' 'true')", file.display());
    world.ctx.sql(&made).await.expect("a table");
    world.people("SELECT id, plan FROM source").await;
    let mut fresh = people();
    fresh.source_age_max = Some(std::time::Duration::from_secs(3600));
    assert_eq!(world.syncs.run(&fresh).await.expect("a run").accepted, 1);
    let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
    std::fs::File::options().write(true).open(&file).expect("the file").set_modified(long_ago).expect("its time");
    let error = world.syncs.run(&fresh).await.expect_err("refused");
    assert!(matches!(&error, Error::Guard(text) if text.contains("2023-11-14 22:13:20 UTC")), "{error}");
    world.people("VALUES ('a', 'gold')").await;
    assert!(matches!(world.syncs.run(&fresh).await, Err(Error::Definition(_))));
}
