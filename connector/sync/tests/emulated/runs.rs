//! What is sent, what is not, and what is remembered.

use clevertap_emulator::{Fault, What};
use datafusion_clevertap_sync::definition::{InDoubt, Mode, Retry};
use datafusion_clevertap_sync::report::Status;
use datafusion_clevertap_sync::{Definition, Error, RunOptions};

use crate::world::{PEOPLE, World, counts, events};

#[tokio::test]
async fn the_second_run_sends_what_changed_and_the_plan_said_so() {
    let world = World::new().await;
    world.people("SELECT 'p' || value, 'gold' FROM generate_series(1, 2500)").await;
    let people = Definition::new("people", PEOPLE, "clevertap.profiles");
    let plan = world.syncs.plan(&people).await.expect("a plan");
    assert_eq!((counts(&plan.changes), plan.requests), ((2500, 0, 0, 0), Some(3)));
    assert_eq!(plan.samples.len(), 3);
    let first = world.syncs.run(&people).await.expect("a run");
    assert_eq!((first.status, first.accepted, world.emulator.profiles_stored()), (Status::Successful, 2500, 2500));

    world.people("SELECT 'p' || value, CASE WHEN value <= 3 THEN 'silver' ELSE 'gold' END FROM generate_series(1, 2501)").await;
    let plan = world.syncs.plan(&people).await.expect("a plan");
    assert_eq!((counts(&plan.changes), plan.requests, plan.why.len()), ((1, 3, 2497, 0), Some(1), 0));
    let second = world.syncs.run(&people).await.expect("a run");
    assert_eq!((counts(&second.changes), second.accepted), ((1, 3, 2497, 0), 4));
    assert_eq!((world.plan_of("p1").as_deref(), world.plan_of("p4").as_deref()), (Some("silver"), Some("gold")));
    let third = world.syncs.run(&people).await.expect("a run");
    assert_eq!((counts(&third.changes), third.accepted, third.status), ((0, 0, 2501, 0), 0, Status::Successful));
    let runs = world.syncs.ledger().runs(Some("people")).await.expect("runs");
    assert_eq!(runs.iter().map(|run| run.accepted).collect::<Vec<_>>(), [0, 4, 2500]);
}

#[tokio::test]
async fn a_column_that_is_added_sends_all_and_the_plan_says_why() {
    let world = World::new().await;
    world.people("VALUES ('a', 'gold'), ('b', 'gold')").await;
    world.syncs.run(&Definition::new("people", PEOPLE, "clevertap.profiles")).await.expect("a run");
    let wider = Definition::new("people", "SELECT id AS identity, plan AS \"Plan\", 1 AS \"Visits\" FROM people", "clevertap.profiles");
    let plan = world.syncs.plan(&wider).await.expect("a plan");
    assert_eq!((counts(&plan.changes), plan.why), ((0, 2, 0, 0), vec!["column \"Visits\" was added".to_owned()]));
    let moved = Definition::new("people", "SELECT plan AS \"Plan\", id AS identity FROM people", "clevertap.profiles");
    assert_eq!(counts(&world.syncs.plan(&moved).await.expect("a plan").changes), (0, 0, 2, 0));
}

#[tokio::test]
async fn events_are_sent_once_and_refuse_to_be_sent_again() {
    let world = World::new().await;
    world.people("SELECT 'p' || value, 'gold' FROM generate_series(1, 12000)").await;
    let first = world.syncs.run(&events()).await.expect("a run");
    assert_eq!((first.status, first.accepted, world.emulator.events_stored()), (Status::Successful, 12_000, 12_000));
    assert!(world.syncs.ledger().leftovers("charged").await.expect("chunks").is_empty());
    world.people("SELECT 'p' || value, 'silver' FROM generate_series(1, 12001)").await;
    let second = world.syncs.run(&events()).await.expect("a run");
    assert_eq!((counts(&second.changes), second.accepted, world.emulator.events_stored()), ((1, 0, 12_000, 0), 1, 12_001));
    let mut again = events();
    again.mode = Some(Mode::Full);
    assert!(matches!(world.syncs.run(&again).await, Err(Error::Definition(_))));
    again = events();
    again.key.clear();
    assert!(matches!(world.syncs.plan(&again).await, Err(Error::Definition(_))));
}

#[tokio::test]
async fn events_whose_answer_was_lost_are_held_until_they_are_asked_for() {
    let world = World::new().await;
    world.people("SELECT 'p' || value, 'gold' FROM generate_series(1, 3000)").await;
    world.emulator.add_fault(Fault { count: Some(1), ..Fault::new(What::ResetAfter).on("/1/upload") });
    let mut events = events();
    events.options = vec![("retry_for_ms".to_owned(), "2000".to_owned()), ("upload_concurrency".to_owned(), "1".to_owned())];
    let first = world.syncs.run(&events).await.expect("a run");
    assert_eq!((first.status, first.accepted + first.in_doubt + first.unsent), (Status::Error, 3000));
    assert_eq!(first.in_doubt, 1000);
    let second = world.syncs.run(&events).await.expect("a run");
    assert_eq!((second.changes.held, second.status), (1000, Status::Partial));
    assert_eq!(world.emulator.events_stored(), 3000);
    events.in_doubt = InDoubt::Resend;
    let third = world.syncs.run(&events).await.expect("a run");
    assert_eq!(
        (third.changes.changed, third.accepted, third.status, world.emulator.events_stored()),
        (1000, 1000, Status::Successful, 4000)
    );
}

#[tokio::test]
async fn rejected_rows_are_dead_letters_and_tried_again_when_their_payload_changes() {
    let world = World::new().await;
    world.people("VALUES ('a', 'gold'), ('b', 'x')").await;
    let long = "SELECT id AS identity, CASE plan WHEN 'x' THEN repeat('x', 600) ELSE plan END AS \"Plan\" FROM people";
    let people = Definition::new("people", long, "clevertap.profiles");
    let first = world.syncs.run(&people).await.expect("a run");
    assert_eq!((first.status, first.accepted, first.rejected), (Status::Partial, 1, 1));
    let letters = world.syncs.ledger().dead_letters("people").await.expect("letters");
    assert_eq!(letters.iter().map(|letter| (letter.key.as_str(), letter.attempts)).collect::<Vec<_>>(), [("b", 1)]);
    assert_eq!(counts(&world.syncs.plan(&people).await.expect("a plan").changes), (0, 0, 1, 1));
    let mut always = people.clone();
    always.retry = Retry::Always;
    assert_eq!(world.syncs.run(&always).await.expect("a run").rejected, 1);
    assert_eq!(world.syncs.ledger().dead_letters("people").await.expect("letters")[0].attempts, 2);
    world.people("VALUES ('a', 'gold'), ('b', 'silver')").await;
    let last = world.syncs.run(&people).await.expect("a run");
    assert_eq!((last.status, last.accepted), (Status::Successful, 1));
    assert!(world.syncs.ledger().dead_letters("people").await.expect("letters").is_empty());
}

#[tokio::test]
async fn a_source_that_is_not_what_it_must_be_sends_nothing() {
    let world = World::new().await;
    let people = Definition::new("people", PEOPLE, "clevertap.profiles");
    for rows in ["VALUES ('a', 'gold'), ('a', 'silver')", "VALUES ('a', 'gold'), (NULL, 'silver')"] {
        world.people(rows).await;
        let error = world.syncs.run(&people).await.expect_err("refused");
        assert!(matches!(error, Error::Guard(_)), "{error}");
    }
    world.people("SELECT 'a' || value, CAST(1 / (value - 9000) AS varchar) FROM generate_series(1, 9000)").await;
    assert!(matches!(world.syncs.run(&people).await, Err(Error::Query { .. })));
    let unnamed = Definition::new("people", "SELECT id AS identity, upper(plan) FROM people", "clevertap.profiles");
    assert!(world.syncs.run(&unnamed).await.is_err());
    assert_eq!(world.emulator.report().requests, 0);
    world.people("SELECT 'a', CAST(CAST('secret-' || value AS bigint) AS varchar) FROM generate_series(1, 2)").await;
    let told = world.syncs.run(&people).await.expect_err("no number").to_string();
    assert!(told.contains("secret-"), "{told}");
    let runs = world.syncs.ledger().runs(Some("people")).await.expect("runs");
    assert!(runs.iter().all(|run| run.status == Status::Error && run.error.is_some()), "{runs:?}");
    // What is kept for years holds no value.
    assert!(!format!("{runs:?}").contains("secret-"), "{runs:?}");
}

#[tokio::test]
async fn a_dry_run_is_refused_since_nothing_of_it_is_sent() {
    let world = World::new().await;
    world.people("VALUES ('a', 'gold')").await;
    let mut people = Definition::new("people", PEOPLE, "clevertap.profiles");
    people.options = vec![("dry_run".to_owned(), "local".to_owned())];
    assert!(matches!(world.syncs.run(&people).await, Err(Error::Definition(_))));
    people.options.clear();
    world.ctx.sql("SET clevertap.dry_run = 'server'").await.expect("an option");
    assert!(matches!(world.syncs.run(&people).await, Err(Error::Definition(_))));
    // The remedy.
    world.ctx.sql("SET clevertap.dry_run = 'off'").await.expect("an option");
    assert_eq!(world.syncs.run(&people).await.expect("a run").accepted, 1);
}

#[tokio::test]
async fn a_body_of_device_tokens_has_a_hundred_of_them() {
    let world = World::new().await;
    world.people("SELECT 'p' || value, 'gold' FROM generate_series(1, 250)").await;
    let query = "SELECT id AS object_id, plan AS token, 'fcm' AS token_type FROM people";
    let tokens = Definition::new("tokens", query, "clevertap.device_tokens");
    assert_eq!(world.syncs.plan(&tokens).await.expect("a plan").requests, Some(3));
}

#[tokio::test]
async fn more_rejects_than_are_kept_are_told_and_a_run_that_changes_no_letter_leaves_them() {
    let world = World::new().await;
    world.people("SELECT 'p' || value, repeat('x', 600) FROM generate_series(1, 5)").await;
    let mut people = Definition::new("people", PEOPLE, "clevertap.profiles");
    people.options = vec![("failed_rows_max".to_owned(), "2".to_owned())];
    let run = world.syncs.run(&people).await.expect("a run");
    assert_eq!((run.rejected, run.notes.len()), (5, 1), "{run:?}");
    assert_eq!(world.syncs.ledger().dead_letters("people").await.expect("letters").len(), 2);
    assert_eq!(world.syncs.run(&people).await.expect("a run").changes.held, 5);
    assert_eq!(world.syncs.ledger().dead_letters("people").await.expect("letters").len(), 2);
}

#[tokio::test]
async fn a_run_that_ends_in_the_middle_leaves_in_doubt_what_was_under_way_and_the_next_one_sends_the_rest() {
    let world = World::new().await;
    world.people("SELECT 'p' || value, 'gold' FROM generate_series(1, 60000)").await;
    world.emulator.add_fault(Fault { from: Some(8), ..Fault::new(What::HangAfter).on("/1/upload") });
    // As a process that is killed: nothing of it runs any further.
    let under_way = async {
        while world.emulator.events_stored() == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    };
    let events_sync = events();
    tokio::select! {
        ended = world.syncs.run(&events_sync) => panic!("it ended: {ended:?}"),
        () = under_way => {}
    }
    let stored = world.emulator.events_stored();
    world.emulator.clear_faults();
    let next = world.syncs.run(&events()).await.expect("a run");
    let in_doubt = next.changes.held;
    assert!(in_doubt > 0 && in_doubt <= 25_000, "{in_doubt}");
    assert_eq!((next.changes.rows, next.changes.unchanged + next.changes.new + in_doubt), (60_000, 60_000));
    assert_eq!(next.accepted, next.changes.new);
    // Nothing is there twice, and what is not there is in doubt.
    assert!(world.emulator.events_by_identity().values().all(|events| *events == 1));
    let missing = 60_000 - world.emulator.events_stored();
    assert!(missing <= in_doubt && stored < 60_000, "{missing} of {in_doubt}");
}

#[tokio::test]
async fn more_keys_than_memory_are_compared_in_parts() {
    let world = World::new().await;
    let people = Definition::new("people", PEOPLE, "clevertap.profiles");
    let mut small = RunOptions::default();
    small.keys_max = Some(200);
    world.people("SELECT 'p' || value, 'gold' FROM generate_series(1, 5000)").await;
    // Some keys are repeated, and all of them are told.
    world.people("SELECT 'p' || (value % 4990), 'gold' FROM generate_series(1, 5000)").await;
    let error = world.syncs.run_with(&people, &small).await.expect_err("refused").to_string();
    assert!(error.contains("10 rows have the key of another row of 5000"), "{error}");
    world.people("SELECT 'p' || value, 'gold' FROM generate_series(1, 5000)").await;
    assert_eq!(world.syncs.run_with(&people, &small).await.expect("a run").accepted, 5000);
    world.people("SELECT 'p' || value, CASE WHEN value <= 3 THEN 'silver' ELSE 'gold' END FROM generate_series(1, 5001)").await;
    let plan = world.syncs.plan_with(&people, &small).await.expect("a plan");
    assert_eq!((counts(&plan.changes), plan.samples.len()), ((1, 3, 4997, 0), 3));
    assert_eq!(plan.changes, world.syncs.plan(&people).await.expect("a plan").changes);
    // A part that does not fit either.
    small.keys_max = Some(1);
    let error = world.syncs.run_with(&people, &small).await.expect_err("refused").to_string();
    assert!(error.contains("do not fit into the memory"), "{error}");
}

#[tokio::test]
async fn a_source_that_changed_here_and_there_is_sent_in_whole_requests() {
    let world = World::new().await;
    world.people("SELECT 'p' || value, 'gold' FROM generate_series(1, 100000)").await;
    let people = Definition::new("people", PEOPLE, "clevertap.profiles");
    world.syncs.baseline(&people).await.expect("a baseline");
    world.people("SELECT 'p' || value, CASE WHEN value % 50 = 0 THEN 'silver' ELSE 'gold' END FROM generate_series(1, 100000)").await;
    let run = world.syncs.run(&people).await.expect("a run");
    assert_eq!((run.changes.changed, run.accepted), (2_000, 2_000));
    // The schema, and two of a thousand rows each.
    assert_eq!(world.emulator.report().requests, 3);
}

/// A value that was under way when the process ended, and that the source does not have any more.
#[tokio::test]
async fn a_source_that_goes_back_to_what_was_sent_before_a_crash_is_sent_again() {
    let world = World::new().await;
    let people = Definition::new("people", PEOPLE, "clevertap.profiles");
    world.people("VALUES ('a', 'gold')").await;
    world.syncs.run(&people).await.expect("a run");
    world.people("VALUES ('a', 'silver')").await;
    world.emulator.add_fault(Fault::new(What::HangAfter).on("/1/upload"));
    let is_stored = async {
        while world.plan_of("a").as_deref() != Some("silver") {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        ended = world.syncs.run(&people) => panic!("it ended: {ended:?}"),
        () = is_stored => {}
    }
    world.emulator.clear_faults();
    world.people("VALUES ('a', 'gold')").await;
    let next = world.syncs.run(&people).await.expect("a run");
    assert_eq!((next.accepted, world.plan_of("a").as_deref()), (1, Some("gold")));
    assert_eq!(world.syncs.run(&people).await.expect("a run").changes.unchanged, 1);
}

#[tokio::test]
async fn what_was_sent_elsewhere_or_is_known_by_another_key_refuses_the_run() {
    let world = World::new().await;
    world.people("VALUES ('a', 'gold')").await;
    let charged = events();
    world.syncs.run(&charged).await.expect("a run");
    let (mut keyed, mut elsewhere) = (charged.clone(), charged.clone());
    keyed.key = vec!["identity".to_owned(), "id".to_owned()];
    elsewhere.into = "clevertap_events.\"Charged\"".to_owned();
    elsewhere.query = "SELECT 1767225600 AS event_time, id AS identity, id, plan AS \"Plan\" FROM people".to_owned();
    for (definition, what) in
        [(&keyed, "had the key id, and it is identity, id now"), (&elsewhere, "went into clevertap.events, and it is")]
    {
        let error = world.syncs.run(definition).await.expect_err("refused").to_string();
        assert!(error.contains(what), "{error}");
        assert!(world.syncs.plan(definition).await.is_err() && world.syncs.baseline(definition).await.is_err());
    }
    // The remedies: another name; or a reset, and a baseline.
    elsewhere.name = "elsewhere".to_owned();
    assert_eq!(world.syncs.run(&elsewhere).await.expect("a run").accepted, 1);
    world.syncs.reset("charged").await.expect("reset");
    assert_eq!(world.syncs.baseline(&keyed).await.expect("a baseline"), 1);
    assert_eq!(world.syncs.run(&keyed).await.expect("a run").changes.unchanged, 1);
    // Another project.
    let other = world.of_account("OTHER-123-456Z").await;
    other.people("VALUES ('a', 'gold')").await;
    let error = other.syncs.run(&keyed).await.expect_err("refused").to_string();
    assert!(error.contains("went to the account TEST-123-456Z@") && error.contains("it is OTHER-123-456Z@"), "{error}");
}
