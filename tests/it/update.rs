//! `UPDATE clevertap.profiles`: who is there is changed, in what is assigned, and nobody is made.

use clevertap_emulator::{Platform, Settings, What};
use clevertap_tests::SentCall;
use datafusion_clevertap::Access;

use crate::world::{World, count};

/// People `p1` to `p3`.
async fn world() -> World {
    let world = World::new();
    world.source(3);
    world
        .rows(
            "INSERT INTO clevertap.profiles SELECT concat('p', n) AS identity, concat('Name ', n) AS name, n AS \"Visits\",
             concat('p', n, '@example.org') AS email FROM source",
        )
        .await;
    world.rows("CREATE VIEW chosen AS SELECT * FROM (VALUES ('p2'), ('nobody'), (NULL)) AS t(id)").await;
    world.forget_sent();
    world
}

/// The uploads that a statement makes.
async fn uploads(sql: &str) -> Vec<String> {
    let world = world().await;
    world.rows(sql).await;
    world.sent_to("/1/upload").into_iter().map(|SentCall { body, .. }| body).collect()
}

#[tokio::test(start_paused = true)]
async fn only_what_is_assigned_is_sent() {
    let sql = "UPDATE clevertap.profiles SET \"Plan\" = 'gold', \"Visits\" = ct_incr(1), name = upper(name) WHERE identity = 'p1'";
    assert_eq!(
        uploads(sql).await,
        [r#"{"d":[{"type":"profile","identity":"p1","profileData":{"Plan":"gold","Visits":{"$incr":1},"Name":"NAME 1"}}]}"#]
    );
}

#[tokio::test(start_paused = true)]
async fn whoever_is_not_there_is_not_made() {
    let world = world().await;
    for clause in ["identity IN ('p1', 'nobody')", "identity IN (SELECT id FROM chosen)", "email = 'nobody@example.org'"] {
        world.rows(&format!("UPDATE clevertap.profiles SET \"Plan\" = 'gold' WHERE {clause}")).await;
    }
    assert!(world.emulator.profile("nobody").is_none());
    let plans: Vec<_> =
        (1..=3).map(|n| world.emulator.profile(&format!("p{n}")).expect("a person")["profileData"]["Plan"].clone()).collect();
    assert_eq!(plans, [serde_json::json!("gold"), serde_json::json!("gold"), serde_json::Value::Null]);
    assert_eq!(world.emulator.profiles_stored(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_count_is_of_those_who_were_there_and_a_run_shows_that_it_was_an_update() {
    let world = world().await;
    let rows = world.rows("UPDATE clevertap.profiles SET \"Plan\" = 'gold' WHERE identity IN ('p1', 'p3', 'nobody')").await;
    let run = world.last_run();
    assert_eq!((count(&rows), run.operation, run.tally.read), (2, "UPDATE", 2));
    assert!(run.statement.expect("a text").starts_with("UPDATE"));
}

#[tokio::test(start_paused = true)]
async fn who_has_no_identity_is_changed_by_object_id() {
    let world = world().await;
    world.emulator.add_device("__g1", Platform::Android, None);
    world.rows("INSERT INTO clevertap.profiles SELECT '__g1' AS object_id, 'Web' AS \"From\"").await;
    world.forget_sent();
    world.rows("UPDATE clevertap.profiles SET \"Plan\" = 'gold' WHERE object_id = '__g1'").await;
    assert_eq!(world.sent_to("/1/upload")[0].body, r#"{"d":[{"type":"profile","objectId":"__g1","profileData":{"Plan":"gold"}}]}"#);
}

#[tokio::test(start_paused = true)]
async fn a_plain_session_updates_declared_columns() {
    let world = world().await;
    let frame =
        world.ctx.sql("UPDATE clevertap.profiles SET name = 'Ada', phone = '+14155550100' WHERE identity IN ('p1', 'nobody')").await;
    frame.expect("planned").collect().await.expect("updated");
    let bodies: Vec<_> = world.sent_to("/1/upload").into_iter().map(|call| call.body).collect();
    assert_eq!(bodies, [r#"{"d":[{"type":"profile","identity":"p1","profileData":{"Name":"Ada","Phone":"+14155550100"}}]}"#]);
}

#[tokio::test(start_paused = true)]
async fn a_prepared_update_takes_its_parameter_and_explain_sends_nothing() {
    let world = world().await;
    let plan = world.rows("EXPLAIN UPDATE clevertap.profiles SET \"Plan\" = 'gold' WHERE identity IN (SELECT id FROM chosen)").await;
    let plan = arrow::util::pretty::pretty_format_batches(&plan).expect("a table").to_string();
    assert!(plan.contains("operation=UPDATE, keys=of a subquery, looked up by identity"), "{plan}");
    assert!(plan.contains("Plan (custom)") && plan.contains("LookupQueriedExec"), "{plan}");
    assert!(world.sent().is_empty());
    for sql in ["PREPARE u(VARCHAR) AS UPDATE clevertap.profiles SET \"Plan\" = 'gold' WHERE identity = $1", "EXECUTE u('p2')"] {
        world.rows(sql).await;
    }
    assert_eq!(world.sent_to("/1/upload").len(), 1);
    assert_eq!(world.emulator.profile("p2").expect("a person")["profileData"]["Plan"], "gold");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_updated_is_refused_with_its_remedy_and_sends_nothing() {
    let world = world().await;
    let cases = [
        ("UPDATE clevertap.profiles SET name = 'x'", "needs a WHERE clause that names people"),
        ("UPDATE clevertap.profiles SET name = 'x' WHERE name = 'y'", "needs a filter"),
        ("UPDATE clevertap.profiles SET identity = 'x' WHERE identity = 'p1'", "cannot change \"identity\""),
        ("UPDATE clevertap.profiles SET Plan = 'x' WHERE identity = 'p1'", "would become the property \"plan\", for ever"),
        ("UPDATE clevertap.profiles SET platforms = 'x' WHERE identity = 'p1'", "CleverTap keeps it by itself"),
        ("UPDATE clevertap.profiles SET name = 'x', \"Name\" = 'y' WHERE identity = 'p1'", "both become the field \"Name\""),
        ("UPDATE clevertap.profiles SET (name, phone) = ('x', 'y') WHERE identity = 'p1'", "one column at a time"),
        ("UPDATE clevertap.events SET event_name = 'x' WHERE identity = 'p1'", "CleverTap changes people alone"),
        (
            "UPDATE clevertap.profiles SET name = 'x' FROM chosen WHERE identity = chosen.id",
            "takes no FROM: INSERT INTO clevertap.profiles SELECT",
        ),
        ("UPDATE clevertap.profiles SET name = 'x' WHERE identity = 'p1' RETURNING name", "takes no RETURNING: read clevertap.runs"),
        ("DELETE FROM clevertap.profiles WHERE identity = 'p1' RETURNING identity", "takes no RETURNING: read clevertap.runs"),
        ("UPDATE clevertap.events SET \"Plan\" = 'x' WHERE identity = 'p1'", "CleverTap changes people alone"),
    ];
    for (sql, expected) in cases {
        let error = world.refused(sql).await;
        assert!(error.contains(expected), "{sql}: {error}");
    }
    assert!(world.sent().is_empty());
    let reads = World::open(Settings::default(), |account| account.access = Access::Read);
    let error = reads.refused("UPDATE clevertap.profiles SET name = 'x' WHERE identity = 'p1'").await;
    assert!(error.contains("opened to be read only"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_to_an_increment_is_in_doubt_and_of_anything_else_is_asked_for_again() {
    for (assigned, fate) in [("\"Visits\" = ct_incr(1)", "1 in doubt"), ("\"Visits\" = 7", "ok")] {
        let world = world().await;
        world.emulator.add_fault(clevertap_emulator::Fault::new(What::ResetAfter).on("/1/upload").times(1));
        let result = world.run(&format!("UPDATE clevertap.profiles SET {assigned} WHERE identity = 'p1'")).await;
        let outcome = result.map_or_else(|error| error.to_string(), |_| "ok".to_owned());
        assert!(outcome.contains(fate), "{assigned}: {outcome}");
    }
}
