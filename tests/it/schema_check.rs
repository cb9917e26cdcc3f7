//! What is about to be sent is compared with the project's schema, once a session: `SET clevertap.schema_check`.

use clevertap_emulator::{EventStatus, Fault, SchemaEvent, SchemaForm, Settings, What};
use clevertap_tests::Scripted;
use datafusion::prelude::SessionContext;
use datafusion_clevertap::{
    ClevertapSql, register,
    runs::{RunWarning, Status},
};

use crate::world::World;

const SCHEMA: &str = "/getSchema";
const UPLOAD: &str = "/1/upload";

/// A project that knows a person with a plan, a score, a birthday and tags, the event `Viewed`, and one that it discards.
async fn known(how: &str) -> World {
    let viewed = SchemaEvent {
        properties: vec![("Page".to_owned(), "String".to_owned()), ("Seconds".to_owned(), "Number".to_owned())],
        ..SchemaEvent::new("Viewed")
    };
    let dropped = SchemaEvent { status: EventStatus::Discarded, ..SchemaEvent::new("Scrolled") };
    let world = World::with(Settings { schema_events: vec![viewed, dropped], ..Settings::default() });
    world
        .rows(
            "INSERT INTO clevertap.profiles SELECT 'old' AS identity, 'gold' AS \"Plan\", 5 AS \"Score\",
             arrow_cast(0, 'Timestamp(Second, Some(\"UTC\"))') AS \"Since\", make_array('a') AS \"Tags\", true AS \"Member\"",
        )
        .await;
    world.forget_sent();
    world.set("schema_check", how).await;
    world
}

/// The codes and columns of the last run's warnings.
fn warned(world: &World) -> Vec<String> {
    let run = world.last_run().run_id;
    let of_run = |warning: &RunWarning| warning.run_id == Some(run);
    let warnings = world.account.warnings();
    warnings.iter().filter(|warning| of_run(warning)).map(|warning| format!("{} {}", warning.code, warning.column_name)).collect()
}

fn messages(world: &World) -> String {
    world.account.warnings().iter().map(|warning| format!("{}\n", warning.message)).collect()
}

#[tokio::test(start_paused = true)]
async fn the_default_is_to_warn_after_one_call_before_the_first_upload_of_a_session() {
    let world = World::new();
    let ctx = SessionContext::new();
    register(&ctx, "clevertap", &world.account).expect("registered");
    for identity in ["a", "b", "c"] {
        let insert = format!("INSERT INTO clevertap.profiles SELECT '{identity}' AS identity, 'gold' AS \"Plan\"");
        ctx.clevertap_sql(&insert).await.expect("planned").collect().await.expect("written");
    }
    let paths: Vec<String> = world.sent().into_iter().map(|call| call.path).collect();
    assert_eq!(paths, [SCHEMA, UPLOAD, UPLOAD, UPLOAD]);
    assert_eq!(world.account.warnings().len(), 1, "the second statement finds what the first one made: {}", messages(&world));
    assert_eq!(world.account.warnings()[0].code, "CT-631");
    assert_eq!(world.account.runs()[0].status, Status::Success);
}

#[tokio::test(start_paused = true)]
async fn new_names_and_other_types_are_reported_of_people() {
    let world = known("warn").await;
    world
        .rows(
            "INSERT INTO clevertap.profiles SELECT 'a' AS identity, 'Ada' AS name, 'five' AS \"Score\", 'x' AS \"Colour\",
             '2026-01-01' AS \"Since\", make_array('b') AS \"Tags\", 1 AS \"Member\", '{\"Size\":1}' AS properties",
        )
        .await;
    assert_eq!(
        warned(&world),
        ["CT-631 Colour", "CT-633 Member", "CT-633 Score", "CT-633 Since", "CT-631 Size"].map(str::to_owned),
        "{}",
        messages(&world)
    );
    let said = messages(&world);
    for sentence in [
        "\"Score\" is sent as text, and CleverTap has it as Number",
        "\"Colour\" is a new property of people: names last for ever in CleverTap",
    ] {
        assert!(said.contains(sentence), "{said}");
    }
    assert!(world.emulator.profile("a").is_some(), "a warning holds nothing up");
}

#[tokio::test(start_paused = true)]
async fn what_fits_draws_no_warning() {
    let world = known("error").await;
    world
        .rows(
            "INSERT INTO clevertap.profiles SELECT 'a' AS identity, 'Ada' AS name, NULL AS \"Plan\", ct_incr(1) AS \"Score\",
             '$D_1767225600' AS \"Since\", ct_add(make_array('b')) AS \"Tags\", false AS \"Member\"",
        )
        .await;
    world.rows("INSERT INTO clevertap_events.\"Viewed\" SELECT 'a' AS identity, 1767225600 AS event_time, 3.5 AS \"Seconds\"").await;
    world.rows("INSERT INTO clevertap.profiles SELECT 'b' AS identity, 'b@example.org' AS email").await;
    assert_eq!(messages(&world), "");
}

#[tokio::test(start_paused = true)]
async fn events_are_compared_by_their_names_and_each_with_its_own_properties() {
    let world = known("warn").await;
    world
        .rows(
            "INSERT INTO clevertap.events SELECT 'a' AS identity, 1767225600 AS event_time, column1 AS event_name, column2 AS \"Page\",
             column3 AS \"Seconds\", column4 AS \"Depth\" FROM (VALUES ('Viewed', 'x', NULL, NULL), ('Viewed', 'y', 1, NULL),
             ('Scrolled', NULL, NULL, 3), ('Bought', 'z', NULL, 4))",
        )
        .await;
    let expected = ["CT-634 Scrolled", "CT-631 Depth", "CT-631 Bought"];
    assert_eq!(warned(&world), expected.map(str::to_owned), "{}", messages(&world));
    assert!(messages(&world).contains("event \"Scrolled\" is discarded in CleverTap, which drops its records after an answer of success"));
}

#[tokio::test(start_paused = true)]
async fn an_event_that_comes_late_is_reported_too() {
    let world = known("warn").await;
    world.source(2_000);
    let insert = |late: &str| {
        format!(
            "INSERT INTO clevertap.events SELECT concat('p', n) AS identity, 1767225600 + n AS event_time,
             CASE WHEN n < 1900 THEN 'Viewed' ELSE '{late}' END AS event_name FROM source ORDER BY n"
        )
    };
    world.rows(&insert("Bought")).await;
    assert_eq!(warned(&world), ["CT-631 Bought"]);
    let error = world.refused(&insert("VIEWED")).await;
    assert!(error.contains("event \"VIEWED\" differs from the event \"Viewed\" in case alone"), "{error}");
    assert!(world.sent_to(UPLOAD).iter().all(|call| !call.body.contains("VIEWED")), "nothing of it left");
}

#[tokio::test(start_paused = true)]
async fn error_stops_before_a_record_leaves() {
    let world = known("error").await;
    let error = world.refused("INSERT INTO clevertap.profiles SELECT 'a' AS identity, 'x' AS \"Colour\", 'gold' AS \"PLAN\"").await;
    let expected = "clevertap.profiles: \"Colour\" is a new property of people: names last for ever in CleverTap; \"PLAN\" differs from the \
                    property of people \"Plan\" in case alone, and would be another one; write AS \"Plan\". SET clevertap.schema_check = \
                    'off' sends it all the same";
    assert!(error.contains(expected), "{error}");
    assert!(error.contains("0 accepted, 0 rejected, 0 in doubt, 1 unsent of 1 rows read"), "{error}");
    assert!(world.sent_to(UPLOAD).is_empty());
    assert_eq!(world.account.failed_rows().len(), 1);
    // What was refused is as new as before.
    let error = world.refused("INSERT INTO clevertap.profiles SELECT 'a' AS identity, 'x' AS \"Colour\"").await;
    assert!(error.contains("SET clevertap.schema_check = 'warn' sends it all the same"), "{error}");
    let error = world.refused("INSERT INTO clevertap_events.\"Scrolled\" SELECT 'a' AS identity, 1767225600 AS event_time").await;
    assert!(error.contains("is discarded"), "{error}");
    assert!(world.sent_to(UPLOAD).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_schema_that_is_not_given_is_a_warning_and_is_asked_for_once() {
    for what in [What::Unavailable, What::TooManyRequests, What::HangBefore, What::EmptyAfter, What::GarbageAfter] {
        let world = World::new();
        world.set("schema_check", "warn").await;
        world.emulator.add_fault(Fault::new(what.clone()).on(SCHEMA));
        let began = tokio::time::Instant::now();
        for identity in ["a", "b"] {
            world.rows(&format!("INSERT INTO clevertap.profiles SELECT '{identity}' AS identity, 'gold' AS \"Plan\"")).await;
        }
        assert!(began.elapsed().as_secs() <= 11, "{what:?}: {:?}", began.elapsed());
        assert_eq!((world.sent_to(SCHEMA).len(), world.sent_to(UPLOAD).len()), (1, 2), "{what:?}");
        assert_eq!(warned(&world), ["CT-630 "], "{what:?}");
        assert!(messages(&world).contains("the columns were not compared with the project's schema, which is not known: "), "{what:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_load_that_is_to_stop_for_differences_stops_without_a_schema_and_asks_again() {
    let event = "INSERT INTO clevertap_events.\"Seen\" SELECT 'a' AS identity, 1767225600 AS event_time";
    let person = "INSERT INTO clevertap.profiles SELECT 'a' AS identity, 'gold' AS \"Plan\"";
    for (status, answer) in [
        (500, ""),
        (200, ""),
        (200, r#"{"status":"fail","error":"no"}"#),
        (200, r#"{"status":"success"}"#),
        (200, r#"{"status":"success","events":null,"userProperties":null}"#),
    ] {
        for insert in [event, person] {
            let world = World::new();
            world.set("schema_check", "error").await;
            world.script([Scripted::Answer(status, answer)]);
            let error = world.refused(insert).await;
            let expected = "the columns were not compared with the project's schema, which is not known: ";
            assert!(error.contains(expected) && error.contains("SET clevertap.schema_check = 'warn'"), "{status} {answer}: {error}");
            assert!(error.contains("0 accepted, 0 rejected, 0 in doubt, 1 unsent of 1 rows read"), "{error}");
            assert!(world.sent_to(UPLOAD).is_empty());
            world.refused(insert).await;
            assert_eq!(world.sent_to(SCHEMA).len(), 2, "{status} {answer}");
            world.set("schema_check", "warn").await;
            world.rows(insert).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn off_asks_nothing_and_neither_do_tables_without_properties() {
    let world = known("off").await;
    world.rows("INSERT INTO clevertap.profiles SELECT 'a' AS identity, 'x' AS \"Colour\"").await;
    world.set("schema_check", "warn").await;
    world.rows("INSERT INTO clevertap.profiles SELECT 'a' AS identity, 'a@example.org' AS email").await;
    world.rows("INSERT INTO clevertap.subscriptions SELECT 'email' AS type, 'a@example.org' AS value, 'Unsubscribe' AS status").await;
    world.rows("EXPLAIN INSERT INTO clevertap.profiles SELECT 'a' AS identity, 'x' AS \"Colour\"").await;
    world.rows("INSERT INTO clevertap.profiles SELECT 'a' AS identity, 'x' AS \"Colour\" WHERE false").await;
    assert!(world.sent_to(SCHEMA).is_empty());
    assert_eq!(messages(&world), "");
}

#[tokio::test(start_paused = true)]
async fn a_schema_of_names_alone_has_no_types_to_differ_from() {
    let viewed = SchemaEvent { properties: vec![("Page".to_owned(), "String".to_owned())], ..SchemaEvent::new("Viewed") };
    let world = World::with(Settings { schema_events: vec![viewed], schema_form: SchemaForm::Names, ..Settings::default() });
    world.set("schema_check", "warn").await;
    world
        .rows("INSERT INTO clevertap_events.\"Viewed\" SELECT 'a' AS identity, 1767225600 AS event_time, 1 AS \"Page\", 2 AS \"Depth\"")
        .await;
    assert_eq!(warned(&world), ["CT-631 Depth"]);
}

#[tokio::test(start_paused = true)]
async fn names_without_end_are_reported_up_to_a_thousand() {
    let world = known("warn").await;
    world.source(900);
    world
        .rows(
            "INSERT INTO clevertap.profiles SELECT concat('p', n) AS identity,
             concat('{\"a', n, '\":1,\"b', n, '\":2}') AS properties FROM source",
        )
        .await;
    let warned = warned(&world);
    assert_eq!(warned.len(), 1_000);
    assert_eq!((warned[998].starts_with("CT-631 "), warned[999].as_str()), (true, "CT-635 "));
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_that_is_refused_says_how_many_rows_were_checked() {
    let world = known("error").await;
    world.set("dry_run", "local").await;
    let told = world.refused("INSERT INTO clevertap.profiles (identity, \"New\") VALUES ('a', 1), ('b', 2), ('c', 3)").await;
    assert!(told.contains("0 unsent of 3 rows read, 3 checked and not sent, as in a dry run (run"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_marks_what_is_new_and_makes_nothing_known() {
    for how in ["local", "server"] {
        let world = known("warn").await;
        world.rows("CREATE TABLE users AS SELECT 'a' AS user_id, 'gold' AS tier, 'x' AS \"Colour\"").await;
        world.set("dry_run", how).await;
        for _ in 0..2 {
            world.rows("INSERT INTO clevertap.profiles SELECT user_id AS identity, tier AS \"Plan\", \"Colour\" FROM users").await;
            assert_eq!(
                world.last_run().mapping,
                "user_id -> identity (identifier), tier -> Plan (custom), Colour -> Colour (custom, new)",
                "{how}"
            );
            assert_eq!(warned(&world), ["CT-631 Colour"], "{how}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn reading_the_schema_renews_what_is_known() {
    let world = known("warn").await;
    world.rows("INSERT INTO clevertap.profiles SELECT 'a' AS identity, 'gold' AS \"Plan\"").await;
    world.set("schema_check", "off").await;
    world.rows("INSERT INTO clevertap.profiles SELECT 'a' AS identity, 'x' AS \"Colour\"").await;
    world.set("schema_check", "warn").await;
    world.rows("SELECT * FROM clevertap.profile_schema").await;
    world.rows("INSERT INTO clevertap.profiles SELECT 'b' AS identity, 'x' AS \"Colour\"").await;
    assert_eq!(messages(&world), "");
}

#[tokio::test(start_paused = true)]
async fn an_update_is_compared_as_well() {
    let world = known("error").await;
    world.rows("UPDATE clevertap.profiles SET \"Plan\" = 'plus' WHERE identity = 'old'").await;
    let error = world.refused("UPDATE clevertap.profiles SET \"PLAN\" = 'plus' WHERE identity = 'old'").await;
    assert!(error.contains("write SET \"Plan\" = …"), "{error}");
}

/// A name lasts for ever, and so does a second one that only looks like it.
#[tokio::test(start_paused = true)]
async fn a_name_that_differs_from_another_in_case_alone_is_refused_before_a_record_leaves() {
    for (write, twin, remedy) in [
        ("UPDATE clevertap.profiles SET plan = 'x' WHERE identity = 'old'", "plan", "write SET \"Plan\" = …"),
        ("INSERT INTO clevertap.profiles SELECT 'a' AS identity, 'x' AS \"PLAN\"", "PLAN", "write AS \"Plan\""),
        ("INSERT INTO clevertap.profiles SELECT 'a' AS identity, '{\"tAGS\":[\"c\"]}' AS properties", "tAGS", "write AS \"Tags\""),
        ("INSERT INTO clevertap.profiles SELECT 'a' AS identity, named_struct('score', 1) AS properties", "score", "write AS \"Score\""),
        ("INSERT INTO clevertap.profiles SELECT 'a' AS identity, 1 AS \"Size\", 2 AS \"SIZE\"", "SIZE", "write AS \"Size\""),
        (
            "INSERT INTO clevertap_events.\"Viewed\" SELECT 'a' AS identity, 1767225600 AS event_time, 1 AS seconds",
            "seconds",
            "write AS \"Seconds\"",
        ),
        ("INSERT INTO clevertap_events.\"viewed\" SELECT 'a' AS identity, 1767225600 AS event_time", "viewed", "write 'Viewed'"),
    ] {
        for how in ["warn", "error"] {
            let world = known(how).await;
            let error = world.refused(write).await;
            assert!(error.contains(&format!("\"{twin}\" differs from the ")) && error.contains(remedy), "{write}: {error}");
            assert!(
                error.contains("SET clevertap.schema_check = 'off' sends it all the same") && error.contains("1 unsent of 1 rows read"),
                "{error}"
            );
            assert!(world.sent_to(UPLOAD).is_empty(), "{write}");
            // What it says to write, and what it says to set.
            world.set("schema_check", "off").await;
            world.rows(write).await;
            assert!(world.sent_to(UPLOAD).iter().any(|call| call.body.contains(&format!("\"{twin}\""))), "{write}");
        }
    }
    let world = known("warn").await;
    world.rows("UPDATE clevertap.profiles SET \"Plan\" = 'x' WHERE identity = 'old'").await;
    assert_eq!(messages(&world), "");
}

#[tokio::test(start_paused = true)]
async fn a_new_name_is_told_before_the_first_upload() {
    let world = known("warn").await;
    world.emulator.add_fault(Fault::new(What::HangBefore).on(UPLOAD));
    let insert = "INSERT INTO clevertap.profiles SELECT 'a' AS identity, 'x' AS \"Colour\"";
    tokio::time::timeout(std::time::Duration::from_secs(5), world.run(insert)).await.expect_err("no answer");
    assert_eq!(warned(&world), ["CT-631 Colour"]);
}
