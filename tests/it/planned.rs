//! What is planned and not yet run: the ids of its runs, its stop, its preparation.

use std::sync::Arc;

use clevertap_emulator::Settings;
use datafusion_clevertap::{Access, ClevertapSql, Error, ErrorKind, Options, register, run_uids, runs::Status};

use crate::world::World;

#[tokio::test(start_paused = true)]
async fn a_run_that_is_stopped_before_it_begins_sends_nothing() {
    let world = World::new();
    for (table, column) in [("profiles", "identity"), ("custom_lists", "'VIP' AS list_name, identity")] {
        world.set("list_email", "admin@example.org").await;
        let insert = format!("INSERT INTO clevertap.{table} SELECT {column} FROM (VALUES ('a')) AS t(identity)");
        let frame = world.ctx.clevertap_sql(&insert).await.expect("planned");
        let task = Arc::new(frame.task_ctx());
        let plan = frame.create_physical_plan().await.expect("a plan");
        let uid = run_uids(&plan).pop().expect("a run");
        assert!(world.account.run(&uid).is_none() && world.account.stop_run(&uid));
        let error = datafusion::physical_plan::collect(plan, task).await.expect_err("it was stopped");
        assert_eq!(Error::find(&error).map(Error::kind), Some(ErrorKind::StoppedByHand), "{table}: {error}");
        assert_eq!(world.account.run(&uid).map(|run| (run.status, run.tally.accepted)), Some((Status::Stopped, 0)), "{table}");
        assert!(!world.account.stop_run(&uid), "it has ended");
    }
    assert!(world.sent().is_empty(), "{:?}", world.sent());
    assert!(!world.account.stop_run("nobody's"));
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_is_run_again_says_each_time_which_run_it_will_be() {
    let world = World::new();
    let frame = world.ctx.clevertap_sql("INSERT INTO clevertap.profiles SELECT 'a' AS identity").await.expect("planned");
    let task = Arc::new(frame.task_ctx());
    let plan = frame.create_physical_plan().await.expect("a plan");
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let uid = run_uids(&plan).pop().expect("a run");
        datafusion::physical_plan::collect(Arc::clone(&plan), Arc::clone(&task)).await.expect("written");
        assert_eq!(world.account.run(&uid).map(|run| run.status), Some(Status::Success));
        assert!(seen.insert(uid));
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_place_of_failed_rows_is_none_and_names_of_datafusion_are_taken() {
    let world = World::new();
    let mut options = Options::default();
    options.failed_rows_to = Some(String::new());
    assert_eq!(options.validated().expect("valid").failed_rows_to, None);
    let error = register(&world.ctx, "information_schema", &world.account).expect_err("a name that is taken");
    assert!(error.to_string().contains("choose another name"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_prepared_delete_has_a_parameter_or_is_refused() {
    let world = World::open(Settings::default(), |account| account.access = Access::Erase);
    world.rows("PREPARE one AS DELETE FROM clevertap.profiles WHERE identity = 'a'").await;
    let error = world.refused("EXECUTE one").await;
    assert!(error.contains("WHERE identity = $1") && world.sent_to("/1/delete/profiles.json").is_empty(), "{error}");
    world.rows("PREPARE any(VARCHAR) AS DELETE FROM clevertap.profiles WHERE identity = $1").await;
    world.rows("EXECUTE any('a')").await;
    assert_eq!(world.sent_to("/1/delete/profiles.json").len(), 1);
}
