//! Answers that say two things at once: an HTTP status and a body of another, `success` beside an error, an end beside more. What they leave
//! open stays open: nobody is gone, no export is whole, no row is accepted or surely not stored.

use clevertap_emulator::Settings;
use clevertap_tests::Scripted;
use datafusion_clevertap::{Access, Tally, transport::Answer};
use serde_json::{Value, json};

use super::{OPENED, exported};
use crate::seed::lines;
use crate::world::World;

const LOOK_UP: &str = "SELECT identity FROM clevertap.profiles WHERE identity = 'u1'";
const NOBODY: &str = r#"{"status":"success","record":null}"#;
const NOT_FOUND: &str = r#"{"status":"fail","error":"Profile not found","code":404}"#;
const BUSY: &str = r#"{"status":"success","record":null,"code":2,"error":"Request still in progress"}"#;
const DAYS: &str = "WHERE event_name = 'Charged' AND event_date BETWEEN '2026-01-01' AND '2026-01-02'";

/// A project in which calls are answered with these, one after the other.
fn scripted(answers: &[(u16, &'static str)]) -> World {
    let world = World::new();
    world.script(answers.iter().map(|(status, body)| Scripted::Answer(*status, body)));
    world
}

#[tokio::test(start_paused = true)]
async fn nobody_is_gone_by_an_answer_that_is_not_finished() {
    for odd in [
        (202, NOBODY),
        (202, r#"{"status":"success"}"#),
        (200, BUSY),
        (500, NOT_FOUND),
        (503, NOT_FOUND),
        (500, NOBODY),
        (404, NOBODY),
        (408, ""),
        (499, ""),
        (409, r#"{"status":"fail"}"#),
        (200, r#"{"status":"fail","error":"User not found due to shard outage","code":500}"#),
    ] {
        let world = scripted(&[odd, odd, (200, r#"{"status":"success","record":{"identity":"u1"}}"#)]);
        assert_eq!(lines(&world.rows(LOOK_UP).await), ["| u1 |"], "{odd:?}");

        let world = World::new();
        world.set("retry_for_ms", 20_000).await;
        world.transport.change_answers(move |_, _| Answer::new(odd.0, odd.1));
        let error = world.refused(LOOK_UP).await;
        assert!(error.contains("[CT-303]") && error.contains("/1/profile.json"), "{odd:?}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_is_gone_by_an_answer_that_names_an_error_or_is_of_another_status() {
    for odd in [
        (200, r#"{"status":"success","record":null,"error":"busy"}"#),
        (200, r#"{"status":"success","error":{"shard":3}}"#),
        (200, r#"{"status":"success","record":null,"code":400}"#),
        (200, r#"{"status":"success","record":null,"error":"Profile not found","code":404}"#),
        (200, r#"{"status":"success","record":{"identity":"u1"},"error":"stale"}"#),
        (201, NOBODY),
        (206, NOBODY),
        (410, NOT_FOUND),
        // Words that go on may say that it is not known yet.
        (404, r#"{"status":"fail","error":"Profile not found: the shard is read again, try again","code":404}"#),
        // An erasure by e-mail would take the identity from here.
        (200, r#"{"status":"success","record":{"identity":["u1","u2"]}}"#),
        (200, r#"{"status":"success","record":{"identity":1.0e2,"all_identities":"u1"}}"#),
        (200, r#"{"status":"success","record":{"identity":"u1","objectId":{"a":1}}}"#),
        (200, r#"{"status":"success","record":{"identity":"u1","Identity":"u2"}}"#),
        (400, NOT_FOUND),
    ] {
        let world = scripted(&[odd]);
        let error = world.refused(LOOK_UP).await;
        assert!(error.contains("/1/profile.json") && world.sent().len() == 1, "{odd:?}: {error}");
        assert!(error.contains(if odd.0 < 300 { "[CT-304]" } else { "[CT-302]" }), "{odd:?}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_count_or_a_list_is_what_it_says_only_when_it_is_finished_and_names_no_error() {
    let counts = format!("SELECT events FROM clevertap.event_counts {DAYS}");
    for odd in [
        (202, r#"{"status":"success","count":5}"#),
        (500, r#"{"status":"success","count":5}"#),
        (200, r#"{"status":"success","count":5,"error":"Request still in progress, please retry later"}"#),
    ] {
        let world = scripted(&[odd, odd, (200, r#"{"status":"success","count":7}"#)]);
        assert_eq!(lines(&world.rows(&counts).await), ["| 7 |"], "{odd:?}");
    }
    for (query, body) in [
        (counts.as_str(), r#"{"status":"success","count":5,"error":"shard 3 down"}"#),
        ("SELECT people FROM clevertap.real_time_counts", r#"{"status":"success","count":5,"code":400}"#),
        ("SELECT event_name FROM clevertap.event_schema", r#"{"status":"success","events":[],"error":"busy"}"#),
        ("SELECT segment_id FROM clevertap.segments", r#"{"segments":[],"total_pages":1,"total_count":0,"error":"busy"}"#),
    ] {
        let error = scripted(&[(200, body)]).refused(query).await;
        assert!(error.contains("[CT-304]") && error.contains("it names the error"), "{body}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_is_not_whole_where_a_key_says_that_there_is_more_or_stands_in_other_letters() {
    for (query, body) in [
        ("SELECT event_name FROM clevertap.event_schema", r#"{"status":"success","events":[{"name":"A"}],"has_more":true}"#),
        ("SELECT event_name FROM clevertap.event_schema", r#"{"status":"success","events":[{"name":"A"}],"truncated":true}"#),
        ("SELECT segment_id FROM clevertap.segments", r#"{"segments":[{"id":1}],"total_count":1,"nextCursor":"q0"}"#),
    ] {
        let error = scripted(&[(200, body)]).refused(query).await;
        assert!(error.contains("[CT-304]") && error.contains("is not complete"), "{body}: {error}");
    }
    for (query, body) in [
        ("SELECT event_name FROM clevertap.event_schema", r#"{"status":"success","events":[],"Events":[{"name":"A"}]}"#),
        ("SELECT segment_id FROM clevertap.segments", r#"{"segments":[],"total_count":0,"Total_Count":7}"#),
    ] {
        let world = World::new();
        world.set("retry_for_ms", 20_000).await;
        world.transport.change_answers(move |_, _| Answer::new(200, body));
        let error = world.refused(query).await;
        assert!(error.contains("[CT-303]") && error.contains("something else than the others"), "{body}: {error}");
    }
    // A record that cannot be looked into is none that is not there: no twin of a property is ruled out by it.
    let world = World::new();
    world.transport.change_answers(|call, answer| match call.path.as_str() {
        "/getSchema" => Answer::new(200, r#"{"status":"success","events":[{"name":"Charged","total":1e400}]}"#),
        _ => answer,
    });
    let checked = "SET clevertap.schema_check = 'error'";
    world.rows(checked).await;
    let error = world.refused("INSERT INTO clevertap.events (identity, event_name, event_time) VALUES ('u1', 'charged', 1767225600)").await;
    assert!(error.contains("cannot be looked into"), "{error}");
    assert!(world.sent_to("/1/upload").is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_export_is_not_whole_where_a_page_names_an_error_or_says_that_there_is_more() {
    const GOOD: &str = r#"{"status":"success","next_cursor":"m","records":[{"ts":20260722193602,"profile":{"identity":"a"}}]}"#;
    for (pages, shown) in [
        (&[GOOD, r#"{"status":"success","error":"shard 3 down"}"#][..], "names an error"),
        (&[GOOD, r#"{"status":"success","code":400}"#], "names an error"),
        (&[r#"{"status":"success","records":[{}],"error":{"shard":3}}"#], "names an error"),
        (&[r#"{"status":"success","cursor":"c2","records":[{}]}"#], "a cursor that was not asked for"),
        (&[GOOD, r#"{"status":"success","cursor":"c2"}"#], "a cursor that was not asked for"),
        (&[r#"{"status":"success","next":"c2","records":[{}]}"#], "says that there is more"),
        (&[r#"{"status":"success","has_more":true,"records":[{}]}"#], "says that there is more"),
        (&[r#"{"status":"success","cursor":"n","hasMore":1,"records":[{}]}"#], "says that there is more"),
        (&[r#"{"status":"partial","next_cursor":"m","records":[{}]}"#], "\"partial\" with records and a next_cursor"),
    ] {
        let bodies: Vec<_> = [OPENED].into_iter().chain(pages.iter().copied()).collect();
        let error = exported("identity", &bodies).await.expect_err(shown);
        assert!(error.contains(shown) && error.contains("not complete") && error.contains("[CT-304]"), "{pages:?}: {error}");
    }
    let page = r#"{"status":"success","records":[{"ts":20260722193602,"profile":{"identity":"b"}}]}"#;
    let again = r#"{"status":"success","error":"Request still in progress, please retry later","code":2}"#;
    assert_eq!(exported("identity", &[OPENED, GOOD, again, again, page]).await.expect("rows"), ["| a |", "| b |"]);
    // Its own cursor, and that of the opening.
    for cursor in ["m", "n"] {
        let last = page.replace("\"records\"", &format!("\"cursor\":\"{cursor}\",\"records\"")).leak();
        assert_eq!(exported("identity", &[OPENED, GOOD, last]).await.expect(cursor), ["| a |", "| b |"]);
    }
    let day = "SELECT identity FROM clevertap.events WHERE event_name = 'Charged' AND event_date = '2026-07-22'";
    let error = scripted(&[(200, OPENED), (200, GOOD), (206, r#"{"status":"success"}"#)]).refused(day).await;
    assert!(error.contains("was answered 206") && error.contains("not complete"), "{error}");
}

/// A statement of one row, and the call that decides its fate.
const WRITES: &[(&str, &str)] = &[
    ("INSERT INTO clevertap.events SELECT 'a' AS identity, 'V' AS event_name, 1767225600 AS event_time", "/1/upload"),
    ("INSERT INTO clevertap.profiles SELECT 'a' AS identity", "/1/upload"),
    ("INSERT INTO clevertap.device_tokens SELECT 'd' AS object_id, 't' AS token, 'fcm' AS token_type", "/1/upload"),
    ("DELETE FROM clevertap.profiles WHERE identity = 'a'", "/1/delete/profiles.json"),
    ("INSERT INTO clevertap.demerges SELECT 'a' AS identity", "/1/demerge/profiles.json"),
    ("INSERT INTO clevertap.subscriptions SELECT 'email' AS type, 'a@example.org' AS value, 'Unsubscribe' AS status", "/1/subscribe"),
    ("INSERT INTO clevertap.phone_disassociations SELECT '+14155550100' AS phone", "/1/disassociate"),
    ("INSERT INTO clevertap.custom_lists SELECT 'L' AS list_name, 'a' AS identity", "/upload_custom_list_segment_completed"),
];

/// How many rows are accepted, rejected, in doubt and unsent if the call is always answered so.
async fn fates(statement: &str, path: &'static str, (status, body): (u16, &'static str)) -> [u64; 4] {
    let world = World::open(Settings::default(), |account| account.access = Access::Erase);
    for (option, value) in [("retry_for_ms", "5000"), ("on_reject", "skip"), ("list_email", "admin@example.org")] {
        world.set(option, value).await;
    }
    world.transport.change_answers(move |call, answer| if call.path == path { Answer::new(status, body) } else { answer });
    world.run(statement).await.ok();
    let Tally { accepted, rejected, in_doubt, unsent, .. } = world.last_run().tally;
    [accepted, rejected, in_doubt, unsent]
}

#[tokio::test(start_paused = true)]
async fn a_row_is_in_doubt_where_its_answer_leaves_open_whether_it_was_stored() {
    for (statement, path) in WRITES {
        for answer in [
            (200, r#"{"status":"success","processed":1,"unprocessed":[],"error":"nope","code":400}"#),
            (200, r#"{"status":"success","error":"nope"}"#),
            (200, r#"{"status":"success","code":400}"#),
            (200, r#"{"status":"fail","status":"success","processed":1,"unprocessed":[]}"#),
            (200, r#"{"status":"fail","error":"An unknown error occurred","code":500}"#),
            (200, r#"{"status":"fail","error":"Request still in progress, please retry later","code":2}"#),
            (408, ""),
            (499, ""),
            (409, r#"{"status":"fail"}"#),
            (500, r#"{"status":"fail","error":"Malformed request","code":400}"#),
            (400, r#"{"status":"success","processed":1,"unprocessed":[]}"#),
            (401, r#"{"status":"success","processed":1,"unprocessed":[]}"#),
            (404, r#"{"status":"fail","processed":1,"unprocessed":[]}"#),
            (429, r#"{"status":"success"}"#),
        ] {
            assert_eq!(fates(statement, path, answer).await, [0, 0, 1, 0], "{statement}, {answer:?}");
        }
        for answer in [
            (400, r#"{"status":"fail","error":"Invalid input","code":400}"#),
            (200, r#"{"status":"fail","error":"Invalid input","code":4002}"#),
            (200, r#"{"status":"fail","error":"Profile data is incorrect","code":515}"#),
            (401, r#"{"status":"fail","error":"Invalid Credentials","code":401}"#),
            (404, ""),
        ] {
            assert_eq!(fates(statement, path, answer).await, [0, 0, 0, 1], "{statement}, {answer:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_is_not_confirmed_where_its_url_names_an_error_or_its_file_is_not_stored_yet() {
    let insert = WRITES[7].0;
    let world = World::new();
    world.set("list_email", "admin@example.org").await;
    world.set("retry_for_ms", 5_000).await;
    world.transport.change_answers(|call, answer| {
        let mut body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if call.path == "/get_custom_list_segment_url" {
            (body["error"], body["code"]) = (json!("quota"), json!(400));
        }
        Answer::new(answer.status, body.to_string())
    });
    let error = world.refused(insert).await;
    assert!(error.contains("1 unsent") && error.contains("\"success\" beside the error \"quota\""), "{error}");
    assert!(world.sent().iter().all(|call| call.path == "/get_custom_list_segment_url"));

    for not_stored in [(202, ""), (206, ""), (200, "<Error><Code>InternalError</Code></Error>")] {
        let world = World::new();
        world.set("list_email", "admin@example.org").await;
        world.script([Scripted::PassOn, Scripted::Answer(not_stored.0, not_stored.1)]);
        world.rows(insert).await;
        assert_eq!(world.sent().iter().filter(|call| call.method == "PUT").count(), 2, "{not_stored:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_trend_has_the_buckets_that_were_asked_for_and_no_others() {
    for (table, buckets) in [
        ("trend_analysis_daily", r#"{"status":"success","g":{"20260101":1,"20251231":5}}"#),
        ("trend_analysis_weekly", r#"{"status":"success","g":{"202601":1,"202602":5}}"#),
        ("trend_analysis_weekly", r#"{"status":"success","g":{"2026002":5}}"#),
        ("trend_analysis_monthly", r#"{"status":"success","g":{"202601":1,"202602":5}}"#),
    ] {
        let error = scripted(&[(200, buckets)]).refused(&format!("SELECT sum(events) FROM clevertap.{table} {DAYS}")).await;
        assert!(error.contains("[CT-304]") && error.contains("a bucket is none of those that were asked for"), "{buckets}: {error}");
    }
}
