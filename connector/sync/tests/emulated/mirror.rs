//! Who leaves the source of a mirror.

use datafusion_clevertap_sync::definition::{Mode, OnRemoved, RemovedMax};
use datafusion_clevertap_sync::report::Status;
use datafusion_clevertap_sync::{Definition, Error, RunOptions};
use serde_json::json;

use crate::world::{PEOPLE, World};

fn mirror(on_removed: OnRemoved) -> Definition {
    let mut people = Definition::new("people", PEOPLE, "clevertap.profiles");
    people.mode = Some(Mode::Mirror);
    people.on_removed = on_removed;
    people
}

fn churned() -> OnRemoved {
    OnRemoved::Set(vec![("Plan".to_owned(), json!("churned")), ("Visits".to_owned(), json!(0))])
}

#[tokio::test]
async fn who_leaves_gets_a_property_once_and_is_new_when_they_come_back() {
    let world = World::new().await;
    let people = mirror(churned());
    world.people("SELECT 'p' || value, 'gold' FROM generate_series(1, 100)").await;
    assert_eq!(world.syncs.run(&people).await.expect("a run").accepted, 100);
    world.people("SELECT 'p' || value, 'gold' FROM generate_series(1, 97)").await;
    let plan = world.syncs.plan(&people).await.expect("a plan");
    assert_eq!((plan.changes.removed, plan.requests, plan.why.len()), (3, Some(1), 0), "{plan:?}");
    let run = world.syncs.run(&people).await.expect("a run");
    assert_eq!((run.status, run.changes.removed, run.accepted, run.unsent), (Status::Successful, 3, 3, 0));
    assert_eq!((world.plan_of("p98").as_deref(), world.plan_of("p97").as_deref()), (Some("churned"), Some("gold")));
    let next = world.syncs.run(&people).await.expect("a run");
    assert_eq!((next.changes.removed, next.accepted), (0, 0));
    world.people("SELECT 'p' || value, 'gold' FROM generate_series(1, 98)").await;
    let back = world.syncs.run(&people).await.expect("a run");
    assert_eq!((back.changes.new, back.accepted, world.plan_of("p98").as_deref()), (1, 1, Some("gold")));
}

#[tokio::test]
async fn who_leaves_is_erased_where_that_was_asked_for() {
    let world = World::new().await;
    let people = mirror(OnRemoved::Delete);
    world.people("SELECT 'it''s ' || value, 'gold' FROM generate_series(1, 3000)").await;
    world.syncs.run(&people).await.expect("a run");
    world.people("SELECT 'it''s ' || value, 'gold' FROM generate_series(1, 1500)").await;
    let mut options = RunOptions::default();
    options.removed_max = Some(RemovedMax::Rows(1500));
    let run = world.syncs.run_with(&people, &options).await.expect("a run");
    assert_eq!((run.status, run.changes.removed, run.accepted), (Status::Successful, 1500, 1500), "{run:?}");
    assert!(world.emulator.profile("it's 1500").is_some());
    assert_eq!(world.syncs.plan(&people).await.expect("a plan").changes.removed, 0);
}

#[tokio::test]
async fn more_than_may_leave_refuse_the_run_before_anything_is_sent() {
    let world = World::new().await;
    let mut people = mirror(churned());
    world.people("SELECT 'p' || value, 'gold' FROM generate_series(1, 100)").await;
    world.syncs.run(&people).await.expect("a run");
    world.people("SELECT 'p' || value, 'silver' FROM generate_series(1, 50)").await;
    let plan = world.syncs.plan(&people).await.expect("a plan");
    assert!(plan.why.iter().any(|why| why.contains("a run is refused: 50 of 100")), "{plan:?}");
    let error = world.syncs.run(&people).await.expect_err("refused");
    assert!(matches!(&error, Error::Guard(text) if text.contains("max_removed is 10%")), "{error}");
    assert_eq!(world.plan_of("p1").as_deref(), Some("gold"));
    people.removed_max = RemovedMax::Percent(50.0);
    assert_eq!(world.syncs.run(&people).await.expect("a run").accepted, 100);
    // A source that vanished removes nobody.
    people.removed_max = RemovedMax::Percent(100.0);
    world.people("SELECT 'p' || value, 'gold' FROM generate_series(1, 0)").await;
    assert_eq!(world.syncs.run(&people).await.expect("a run").changes.removed, 0);
}

#[tokio::test]
async fn the_first_run_as_a_mirror_is_a_baseline_unless_told_otherwise() {
    for told in [false, true] {
        let world = World::new().await;
        let mut people = mirror(churned());
        people.mode = Some(Mode::Upsert);
        people.on_removed = OnRemoved::Ignore;
        world.people("SELECT 'p' || value, 'gold' FROM generate_series(1, 100)").await;
        world.syncs.run(&people).await.expect("a run");
        people = mirror(churned());
        world.people("SELECT 'p' || value, 'gold' FROM generate_series(1, 99)").await;
        let mut options = RunOptions::default();
        options.removes_at_first = told;
        let run = world.syncs.run_with(&people, &options).await.expect("a run");
        let (accepted, plan, notes) = if told { (1, "churned", 0) } else { (0, "gold", 1) };
        assert_eq!((run.accepted, world.plan_of("p100").as_deref(), run.notes.len()), (accepted, Some(plan), notes), "{run:?}");
        world.people("SELECT 'p' || value, 'gold' FROM generate_series(1, 98)").await;
        let next = world.syncs.run(&people).await.expect("a run");
        assert_eq!((next.changes.removed, world.plan_of("p99").as_deref()), (1, Some("churned")));
    }
}

#[tokio::test]
async fn only_keys_that_this_sync_sent_are_removed() {
    let world = World::new().await;
    world.people("SELECT 'other' || value, 'gold' FROM generate_series(1, 10)").await;
    world.syncs.run(&Definition::new("others", PEOPLE, "clevertap.profiles")).await.expect("a run");
    let mut people = mirror(OnRemoved::Delete);
    people.removed_max = RemovedMax::Percent(100.0);
    world.people("VALUES ('a', 'gold'), ('b', 'gold'), ('c', repeat('x', 600))").await;
    // c is rejected, and was never sent.
    assert_eq!(world.syncs.run(&people).await.expect("a run").rejected, 1);
    world.people("VALUES ('a', 'gold')").await;
    assert_eq!(world.syncs.run(&people).await.expect("a run").changes.removed, 1);
    assert!(world.emulator.profile("other1").is_some());
}

#[tokio::test]
async fn a_removal_that_cannot_be_done_is_told_before_anything_is_sent() {
    let world = World::new().await;
    world.people("VALUES ('a', 'gold')").await;
    let mut upsert = mirror(churned());
    upsert.mode = None;
    let mut keyed = mirror(churned());
    keyed.query = "SELECT id AS identity, plan AS \"Plan\", id FROM people".to_owned();
    keyed.key = vec!["id".to_owned()];
    let list = mirror(OnRemoved::Set(vec![("Plan".to_owned(), json!(["a"]))]));
    let none = mirror(OnRemoved::Set(Vec::new()));
    for definition in [upsert, keyed, list, none] {
        let error = world.syncs.run(&definition).await.expect_err("refused");
        assert!(matches!(error, Error::Definition(_)), "{error}");
    }
    assert_eq!(world.emulator.profiles_stored(), 0);
}
