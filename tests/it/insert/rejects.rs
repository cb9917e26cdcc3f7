//! Rows that CleverTap refuses, and what `on_reject` and `failed_max` make of them.

use clevertap_emulator::{Fault, What};
use datafusion::assert_batches_eq;
use datafusion_clevertap::{ClevertapSql, Tally};
use futures::StreamExt;

use crate::world::{TARGETS, Target, ending};

/// Ten rows in each table, the bad ones refused.
async fn ten(on_reject: &str, bad: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for target in TARGETS {
        let world = target.world(10);
        world.set("on_reject", on_reject).await;
        let result = world.run(&target.insert(bad)).await;
        lines.push(ending(&world, target, &result));
    }
    lines
}

const SKIPPED_ONE: [&str; 5] = [
    "profiles: ok partial: 9 accepted, 1 rejected, 0 in doubt, 0 unsent, 9 stored",
    "events: ok partial: 9 accepted, 1 rejected, 0 in doubt, 0 unsent, 9 stored",
    "device_tokens: ok partial: 9 accepted, 1 rejected, 0 in doubt, 0 unsent, 9 stored",
    "subscriptions: ok partial: 9 accepted, 1 rejected, 0 in doubt, 0 unsent, 9 stored",
    "phone_disassociations: ok partial: 9 accepted, 1 rejected, 0 in doubt, 0 unsent, 9 stored",
];

#[tokio::test(start_paused = true)]
async fn a_skipped_reject_in_the_first_row_takes_no_other_row_with_it() {
    assert_eq!(ten("skip", "n = 1").await, SKIPPED_ONE);
}

#[tokio::test(start_paused = true)]
async fn a_skipped_reject_in_the_last_row_takes_no_other_row_with_it() {
    assert_eq!(ten("skip", "n = 10").await, SKIPPED_ONE);
}

#[tokio::test(start_paused = true)]
async fn rejects_in_every_row_are_a_partial_success_of_nothing() {
    assert_eq!(
        ten("skip", "true").await,
        [
            "profiles: ok partial: 0 accepted, 10 rejected, 0 in doubt, 0 unsent, 0 stored",
            "events: ok partial: 0 accepted, 10 rejected, 0 in doubt, 0 unsent, 0 stored",
            "device_tokens: ok partial: 0 accepted, 10 rejected, 0 in doubt, 0 unsent, 0 stored",
            "subscriptions: ok partial: 0 accepted, 10 rejected, 0 in doubt, 0 unsent, 0 stored",
            "phone_disassociations: ok partial: 0 accepted, 10 rejected, 0 in doubt, 0 unsent, 0 stored",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn the_first_reject_stops_the_statement_by_default() {
    assert_eq!(
        ten("stop", "n = 4").await,
        [
            "profiles: CT-401 error: 9 accepted, 1 rejected, 0 in doubt, 0 unsent, 9 stored",
            "events: CT-401 error: 9 accepted, 1 rejected, 0 in doubt, 0 unsent, 9 stored",
            "device_tokens: CT-401 error: 9 accepted, 1 rejected, 0 in doubt, 0 unsent, 9 stored",
            "subscriptions: CT-401 error: 9 accepted, 1 rejected, 0 in doubt, 0 unsent, 9 stored",
            "phone_disassociations: CT-401 error: 9 accepted, 1 rejected, 0 in doubt, 0 unsent, 9 stored",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_statement_that_stops_takes_no_further_rows() {
    for target in TARGETS {
        let world = target.world(20_000);
        world.one_in_flight().await;
        let result = world.run(&target.insert("n = 4")).await;
        ending(&world, target, &result);
        let run = world.last_run();
        assert!(!run.input_complete && run.tally.read < 10_000, "{target:?}: {:?}", run.tally);
    }
}

#[tokio::test(start_paused = true)]
async fn failed_max_is_the_number_of_failed_rows_that_may_be_skipped() {
    for target in TARGETS {
        let just = target.world(10);
        just.set("on_reject", "skip").await;
        just.set("failed_max", 3).await;
        let result = just.run(&target.insert("n <= 3")).await;
        assert!(ending(&just, target, &result).contains("ok partial: 7 accepted, 3 rejected"), "{result:?}");

        let over = target.world(10);
        over.set("on_reject", "skip").await;
        over.set("failed_max", 3).await;
        let result = over.run(&target.insert("n <= 4")).await;
        assert!(ending(&over, target, &result).contains("error: 6 accepted, 4 rejected"), "{result:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reject_is_reported_with_its_code_and_its_row() {
    let world = Target::Profiles.world(3);
    world.set("on_reject", "skip").await;
    world.rows(&Target::Profiles.insert("n = 2")).await;
    let failed = world.rows("SELECT run_id, table_name, fate, row_number, identifier, code, record FROM clevertap.failed_rows").await;
    assert_batches_eq!(
        [
            "+--------+--------------------+----------+------------+------------+---------------+-----------------------------------------------------------------------------+",
            "| run_id | table_name         | fate     | row_number | identifier | code          | record                                                                      |",
            "+--------+--------------------+----------+------------+------------+---------------+-----------------------------------------------------------------------------+",
            "| 1      | clevertap.profiles | rejected | 2          | p2         | CLEVERTAP-515 | {\"type\":\"profile\",\"identity\":\"p2\",\"profileData\":{\"Email\":\"nope\",\"score\":2}} |",
            "+--------+--------------------+----------+------------+------------+---------------+-----------------------------------------------------------------------------+",
        ],
        &failed
    );
}

#[tokio::test(start_paused = true)]
async fn a_refused_record_under_success_is_rejected_all_the_same() {
    let mut lines = Vec::new();
    for target in TARGETS {
        let world = target.world(5);
        world.set("on_reject", "skip").await;
        world.fault_once(What::UnprocessedUnderSuccess { records: Vec::new() });
        let result = world.run(&target.insert("n = 2")).await;
        lines.push(ending(&world, target, &result));
    }
    assert_eq!(
        lines,
        [
            "profiles: ok partial: 4 accepted, 1 rejected, 0 in doubt, 0 unsent, 4 stored",
            "events: ok partial: 4 accepted, 1 rejected, 0 in doubt, 0 unsent, 4 stored",
            "device_tokens: ok partial: 4 accepted, 1 rejected, 0 in doubt, 0 unsent, 4 stored",
            "subscriptions: ok partial: 4 accepted, 1 rejected, 0 in doubt, 0 unsent, 4 stored",
            "phone_disassociations: ok partial: 4 accepted, 1 rejected, 0 in doubt, 0 unsent, 4 stored",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_record_with_an_internal_error_is_sent_again() {
    for target in TARGETS {
        let world = target.world(5);
        world.fault_once(What::RecordError { records: vec![3], p: 0.0 });
        let result = world.run(&target.insert("false")).await;
        assert!(ending(&world, target, &result).ends_with("5 accepted, 0 rejected, 0 in doubt, 0 unsent, 5 stored"), "{result:?}");
        assert_eq!(world.sent().len(), 2, "{target:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_with_an_internal_error_for_ever_is_rejected_at_last() {
    for target in TARGETS {
        let world = target.world(5);
        world.set("on_reject", "skip").await;
        world.fault(What::RecordError { records: vec![1], p: 0.0 });
        world.set("body_rows_max", 1).await;
        let result = world.run(&target.insert("false")).await;
        assert!(ending(&world, target, &result).contains("ok partial: 0 accepted, 5 rejected"), "{result:?}");
        assert!(world.account.failed_rows().iter().all(|row| row.code == "CLEVERTAP-555"), "{target:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_internal_error_of_a_profile_takes_the_later_rows_of_its_identity_with_it() {
    let world = Target::Profiles.world(0);
    world.fault_once(What::RecordError { records: vec![1], p: 0.0 });
    let rows = world
        .rows(
            "INSERT INTO clevertap.profiles SELECT column1 AS identity, column2 AS \"Plan\"
             FROM (VALUES ('a', 'first'), ('b', 'only'), ('a', 'second'), ('a', 'third'))",
        )
        .await;
    assert_batches_eq!(["+-------+", "| count |", "+-------+", "| 4     |", "+-------+"], &rows);
    let profile = world.emulator.profile("a").expect("a person");
    assert_eq!(profile["profileData"]["Plan"], "third");
    let again = &world.sent()[1].body;
    let plans: Vec<_> = ["first", "second", "third", "only"].into_iter().filter(|plan| again.contains(plan)).collect();
    assert_eq!(plans, ["first", "second", "third"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_again_may_lie_over_what_was_accepted_until_its_answer_comes() {
    let world = Target::Profiles.world(0);
    world.emulator.add_fault(Fault::new(What::RecordError { records: vec![1], p: 0.0 }).between(1, 1));
    world.emulator.add_fault(Fault::new(What::HangAfter).after(1));
    let insert = "INSERT INTO clevertap.profiles SELECT column1 AS identity, column2 AS \"Plan\"
                  FROM (VALUES ('a', 'first'), ('b', 'only'), ('a', 'second'))";
    let mut stream = world.ctx.clevertap_sql(insert).await.expect("planned").execute_stream().await.expect("started");
    let ended = tokio::time::timeout(std::time::Duration::from_secs(20), stream.next()).await;
    assert!(ended.is_err() && world.sent().len() > 1, "it was sent again, and is not answered");
    drop(stream);
    let Tally { read, accepted, rejected, in_doubt, unsent } = world.last_run().tally;
    assert_eq!((read, accepted, rejected, in_doubt, unsent), (3, 1, 0, 2, 0));
}
