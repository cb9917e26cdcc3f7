//! `DELETE FROM clevertap.profiles`: whom it takes, what it asks first, and what it refuses.

use clevertap_emulator::{Fault, Platform, Settings, What};
use clevertap_tests::Scripted;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::SessionContext;
use datafusion_clevertap::{Access, ClevertapSql, hooks::EraseConsent, transport::FailureKind};

use crate::world::{World, count};

const DELETE: &str = "/1/delete/profiles.json";
const LOOK_UP: &str = "/1/profile.json";

/// A world whose account may erase, with people `p1` and on, and a table `gone` of the ids of two of them and of one NULL.
async fn world(people: i64) -> World {
    let world = World::open(Settings::default(), |account| account.access = Access::Erase);
    world.source(people);
    world
        .rows(
            "INSERT INTO clevertap.profiles SELECT concat('p', n) AS identity, concat('Name ', n) AS name,
             concat('p', n, '@example.org') AS email FROM source",
        )
        .await;
    world.rows("CREATE VIEW gone AS SELECT * FROM (VALUES ('p2', 1), ('p3', 2), (NULL, 3), ('p2', 4)) AS t(id, k)").await;
    world.forget_sent();
    world
}

/// The bodies of the deletions that were sent.
fn bodies(world: &World) -> Vec<String> {
    world.sent_to(DELETE).into_iter().map(|call| call.body).collect()
}

/// What a clause deletes: the bodies, and how many people were looked up for it.
async fn deleted(clause: &str) -> String {
    let world = world(5).await;
    let result = world.run(&format!("DELETE FROM clevertap.profiles WHERE {clause}")).await;
    let counted = result.map_or_else(|error| error.to_string(), |rows| count(&rows).to_string());
    format!("{counted}: {} after {} look-ups", bodies(&world).join(" "), world.sent_to(LOOK_UP).len())
}

#[tokio::test(start_paused = true)]
async fn who_is_not_named_is_not_erased() {
    let world = world(5).await;
    world.set("full_scan", true).await;
    for clause in [
        "identity <> 'p1'",
        "name LIKE 'Name%'",
        "identity = 'p1' OR name = 'Name 2'",
        "event_name = 'Charged' AND event_date = '2026-01-01'",
    ] {
        let error = world.refused(&format!("DELETE FROM clevertap.profiles WHERE {clause}")).await;
        assert!(error.contains("names people") && error.contains("nothing was sent") && error.contains("[CT-201]"), "{clause}\n{error}");
    }
    assert!(world.sent().is_empty());
}

#[tokio::test(start_paused = true)]
async fn keys_of_the_statement_and_of_a_subquery_are_not_looked_up_first() {
    let cases = [
        ("identity = 'p1'", r#"1: {"identity":["p1"]} after 0 look-ups"#),
        ("'p1' = identity", r#"1: {"identity":["p1"]} after 0 look-ups"#),
        ("identity = 42", r#"1: {"identity":["42"]} after 0 look-ups"#),
        ("identity = 'p1' OR identity = 'nobody'", r#"2: {"identity":["p1","nobody"]} after 0 look-ups"#),
        ("identity IN ('p1', 'p2', 'p1', NULL, 'p4', 'p5')", r#"4: {"identity":["p1","p2","p4","p5"]} after 0 look-ups"#),
        ("identity IN (SELECT id FROM gone WHERE k = 2)", r#"1: {"identity":["p3"]} after 0 look-ups"#),
        ("identity = (SELECT max(id) FROM gone)", r#"1: {"identity":["p3"]} after 0 look-ups"#),
        ("EXISTS (SELECT 1 FROM gone WHERE gone.id = identity AND k = 4)", r#"1: {"identity":["p2"]} after 0 look-ups"#),
        ("identity IN ('p1', 'p2') AND identity NOT IN (SELECT id FROM gone WHERE k < 3)", r#"1: {"identity":["p1"]} after 0 look-ups"#),
        ("identity IN ('p1', 'p2', 'x') AND identity LIKE 'p%' AND identity <> 'p2'", r#"1: {"identity":["p1"]} after 0 look-ups"#),
        ("identity IN (SELECT id FROM gone WHERE k = 1) OR identity = 'p2'", r#"1: {"identity":["p2"]} after 0 look-ups"#),
        ("identity IN (SELECT id FROM gone WHERE id IS NOT NULL ORDER BY k DESC LIMIT 1)", r#"1: {"identity":["p2"]} after 0 look-ups"#),
        ("identity IN (SELECT 7 * k FROM gone WHERE k = 2)", r#"1: {"identity":["14"]} after 0 look-ups"#),
        (
            "identity IN (SELECT identity FROM clevertap.profiles WHERE email = 'p4@example.org')",
            r#"1: {"identity":["p4"]} after 1 look-ups"#,
        ),
        ("object_id = '__g1'", r#"1: {"guid":["__g1"]} after 0 look-ups"#),
        ("1 = 0", "0:  after 0 look-ups"),
        ("identity = 'p1' AND 1 = 0", "0:  after 0 look-ups"),
        ("identity = NULL", "0:  after 0 look-ups"),
        ("identity IN ('p1', 'p2', 'p3') LIMIT 2", r#"2: {"identity":["p1","p2"]} after 0 look-ups"#),
    ];
    for (clause, expected) in cases {
        assert_eq!(deleted(clause).await, expected, "{clause}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_clause_that_asks_for_more_than_the_key_is_answered_by_looking_people_up() {
    let cases = [
        ("email = 'p4@example.org'", r#"1: {"identity":["p4"]} after 1 look-ups"#),
        ("email IN ('p4@example.org', 'nobody@example.org')", r#"1: {"identity":["p4"]} after 2 look-ups"#),
        ("identity IN ('p1', 'p2', 'nobody') AND name <> 'Name 1'", r#"1: {"identity":["p2"]} after 3 look-ups"#),
        ("identity IN (SELECT id FROM gone) AND name = 'Name 3'", r#"1: {"identity":["p3"]} after 2 look-ups"#),
        ("email IN (SELECT concat(id, '@example.org') FROM gone WHERE k = 1)", r#"1: {"identity":["p2"]} after 1 look-ups"#),
        ("EXISTS (SELECT 1 FROM gone WHERE gone.id = identity) AND email LIKE 'p2%'", r#"1: {"identity":["p2"]} after 2 look-ups"#),
        ("identity = 'p1' AND name IS NULL", "0:  after 1 look-ups"),
    ];
    for (clause, expected) in cases {
        assert_eq!(deleted(clause).await, expected, "{clause}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hundred_ids_of_one_kind_share_a_call() {
    let world = world(0).await;
    world.source(250);
    let rows = world.rows("DELETE FROM clevertap.profiles WHERE identity IN (SELECT concat('p', n) FROM source)").await;
    let mut sizes: Vec<_> = bodies(&world).iter().map(|body| body.matches("\"p").count()).collect();
    sizes.sort_unstable();
    assert_eq!((count(&rows), sizes), (250, vec![50, 100, 100]));
    assert!(world.emulator.report().rules_broken.is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_has_no_identity_is_deleted_by_object_id_in_a_call_of_its_own() {
    let world = world(2).await;
    world.emulator.add_device("__g1", Platform::Android, None);
    world.emulator.add_device("__g2", Platform::Android, Some("p1"));
    world.rows("INSERT INTO clevertap.profiles SELECT '__g1' AS object_id, 'Web' AS \"From\"").await;
    world.rows("DELETE FROM clevertap.profiles WHERE object_id IN ('__g1', '__g2') AND (name IS NULL OR name = 'Name 1')").await;
    let mut bodies = bodies(&world);
    bodies.sort_unstable();
    assert_eq!(bodies, [r#"{"guid":["__g1"]}"#, r#"{"identity":["p1"]}"#]);
}

#[tokio::test(start_paused = true)]
async fn the_people_are_gone_once_clevertap_has_carried_it_out() {
    let world = world(3).await;
    world.rows("DELETE FROM clevertap.profiles WHERE identity IN (SELECT id FROM gone)").await;
    assert_eq!(world.emulator.run_deletions(), 2);
    let left: Vec<_> = (1..=3).filter(|n| world.emulator.profile(&format!("p{n}")).is_some()).collect();
    assert_eq!(left, [1]);
}

#[tokio::test(start_paused = true)]
async fn a_plain_session_deletes_the_same() {
    let world = world(3).await;
    let frame = world.ctx.sql("DELETE FROM clevertap.profiles WHERE identity IN (SELECT id FROM gone WHERE k = 1)").await.expect("planned");
    frame.collect().await.expect("deleted");
    world.rows("DELETE FROM datafusion.clevertap.profiles WHERE identity = 'p3' AND identity <> 'p2'").await;
    world.rows("DELETE FROM datafusion.clevertap.profiles WHERE profiles.email = 'p1@example.org'").await;
    assert_eq!(bodies(&world), [r#"{"identity":["p2"]}"#, r#"{"identity":["p3"]}"#, r#"{"identity":["p1"]}"#]);
}

#[tokio::test(start_paused = true)]
async fn without_the_rule_nothing_is_sent() {
    let world = world(3).await;
    let state = SessionStateBuilder::new_from_existing(world.ctx.state()).with_analyzer_rules(Vec::new()).build();
    let ctx = SessionContext::new_with_state(state);
    for sql in [
        "DELETE FROM clevertap.profiles WHERE identity = 'p1'",
        "DELETE FROM clevertap.profiles WHERE identity IN (SELECT id FROM gone)",
        "DELETE FROM clevertap.profiles WHERE 1 = 0",
        "DELETE FROM clevertap.profiles",
        "TRUNCATE TABLE clevertap.profiles",
        "UPDATE clevertap.profiles SET name = 'x' WHERE identity = 'p1'",
        "DELETE FROM clevertap.events WHERE identity = 'p1'",
    ] {
        let result = match ctx.sql(sql).await {
            Ok(frame) => frame.collect().await.map(drop),
            Err(error) => Err(error),
        };
        let error = result.expect_err(sql).to_string();
        assert!(error.contains("nothing was sent") || error.contains("needs a filter") || error.contains("not read"), "{sql}: {error}");
    }
    assert!(world.sent().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_asked_for_again_since_a_deletion_can_be_repeated() {
    for what in [
        What::TooManyRequests,
        What::ResetBefore,
        What::ResetAfter,
        What::ServerErrorAfter,
        What::HangAfter,
        What::GarbageAfter,
        What::EmptyAfter,
        What::Unavailable,
    ] {
        let world = world(3).await;
        world.emulator.add_fault(Fault::new(what.clone()).on(DELETE).times(1));
        let rows = world.rows("DELETE FROM clevertap.profiles WHERE identity IN ('p1', 'p2')").await;
        assert_eq!((count(&rows), bodies(&world).len()), (2, 2), "{what:?}");
        assert_eq!(world.emulator.run_deletions(), 2, "{what:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_leaves_the_keys_unsent_and_an_endless_loss_in_doubt() {
    let sql = "DELETE FROM clevertap.profiles WHERE identity IN ('p1', 'p2')";
    let world = world(3).await;
    world.script([Scripted::Answer(400, r#"{"status":"fail","error":"Deletion is not enabled","code":400}"#)]);
    let error = world.refused(sql).await;
    assert!(error.contains("Deletion is not enabled") && error.contains("0 in doubt, 2 unsent of 2 rows read"), "{error}");
    world.set("retry_for_ms", 20_000).await;
    world.script(vec![Scripted::Fail(FailureKind::Lost, "was reset"); 100]);
    let error = world.refused(sql).await;
    assert!(error.contains("2 in doubt, 0 unsent of 2 rows read"), "{error}");
    let failed = world.account.failed_rows();
    let fates: Vec<_> = failed.iter().map(|row| format!("{} {:?} {}", row.fate, row.identifier, row.record)).collect();
    let row = |fate: &str, id: &str| format!("{fate} Some(\"{id}\") {{\"identity\":\"{id}\"}}");
    assert_eq!(fates, [row("unsent", "p1"), row("unsent", "p2"), row("in_doubt", "p1"), row("in_doubt", "p2")]);
}

#[tokio::test(start_paused = true)]
async fn whoever_watches_is_asked_with_the_count_and_can_say_no() {
    for consents in [true, false] {
        let world = world(3).await;
        let asked = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let heard = std::sync::Arc::clone(&asked);
        let consent = EraseConsent::new(move |erasure| {
            heard.lock().expect("a lock").push(format!("{}: {}", erasure.statement, erasure.rows));
            Box::pin(async move { consents })
        });
        let mut state = world.ctx.state();
        state.config_mut().set_extension(std::sync::Arc::new(consent));
        let ctx = SessionContext::new_with_state(state);
        for sql in ["DELETE FROM clevertap.profiles WHERE identity IN ('p1', 'p2')", "DELETE FROM clevertap.profiles WHERE 1 = 0"] {
            let result = ctx.clevertap_sql(sql).await.expect("planned").collect().await;
            if !consents && sql.contains("p1") {
                let error = result.expect_err("declined").to_string();
                assert!(error.contains("was not confirmed: nothing was sent") && error.contains("CT-205"), "{error}");
            }
        }
        assert_eq!(*asked.lock().expect("a lock"), ["DELETE FROM clevertap.profiles: 2"]);
        assert_eq!(bodies(&world).len(), usize::from(consents));
    }
}

#[tokio::test(start_paused = true)]
async fn an_alias_of_the_table_is_its_name() {
    for (statement, expected) in [
        ("DELETE FROM clevertap.profiles AS p WHERE p.identity = 'p1'", "p1"),
        ("DELETE FROM clevertap.profiles p WHERE p.identity IN (SELECT id FROM gone g WHERE g.k = 1)", "p2"),
        ("DELETE FROM clevertap.profiles AS \"P\" WHERE \"P\".identity = 'p1' AND name = 'Name 1'", "p1"),
        ("DELETE FROM clevertap.profiles p WHERE EXISTS (SELECT 1 FROM gone WHERE gone.id = p.identity AND k = 2)", "p3"),
        ("EXPLAIN DELETE FROM clevertap.profiles AS p WHERE p.identity = 'p1'", ""),
    ] {
        let world = world(5).await;
        world.rows(statement).await;
        let sent = bodies(&world).join("");
        let named: Vec<&str> = sent.split('"').filter(|text| text.len() == 2 && text.starts_with('p')).collect();
        assert_eq!(named.join(" "), expected, "{statement}");
    }
    let world = world(5).await;
    for statement in [
        "DELETE FROM clevertap.profiles AS p WHERE p.identity IN (SELECT p.id FROM gone AS p)",
        "DELETE FROM clevertap.profiles AS gone WHERE gone.identity IN (SELECT gone.id FROM gone)",
        "DELETE FROM clevertap.profiles AS p WHERE p.identity IN ('p1', 'p2') AND EXISTS (SELECT 1 FROM clevertap.profiles WHERE identity = 'p4' AND email = p.email)",
        "DELETE FROM clevertap.profiles AS g WHERE g.identity IN (WITH g AS (SELECT id FROM gone AS x) SELECT g.id FROM g)",
    ] {
        let error = world.refused(statement).await;
        assert!(error.contains("an alias of its own") && world.sent().is_empty(), "{statement}\n{error}");
    }
    world.rows("DELETE FROM clevertap.profiles AS p WHERE p.identity IN (SELECT g.id FROM gone AS g)").await;
}
