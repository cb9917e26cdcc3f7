//! Answers that nobody expects: each is an error that names its call and its shape, or is read as what it says; never "nobody", never a
//! whole export, never an accepted row.

mod contradictions;
mod mutated;

use chrono_tz::Tz;
use clevertap_emulator::Settings;
use clevertap_tests::Scripted;
use datafusion_clevertap::transport::Answer;

use crate::seed::{SMALL, lines, seeded};
use crate::world::World;

const EVENTS: &str = "FROM clevertap.events WHERE event_name = 'Charged' AND event_date BETWEEN '2026-01-01' AND '2026-01-31'";

/// A project that answers with these bodies and 200, one after the other, to one chain of pages.
async fn answering(bodies: &[&'static str]) -> World {
    let world = World::new();
    world.set("read_concurrency", 1).await;
    world.script(bodies.iter().map(|body| Scripted::Answer(200, body)));
    world
}

/// The rows of a query over one window of one day, whose chain is answered with these.
async fn exported(columns: &str, bodies: &[&'static str]) -> Result<Vec<String>, String> {
    let world = answering(bodies).await;
    let day = "FROM clevertap.events WHERE event_name = 'Charged' AND event_date = '2026-07-22'";
    let rows = world.run(&format!("SELECT {columns} {day}")).await;
    rows.map(|rows| lines(&rows)).map_err(|error| error.to_string())
}

const OPENED: &str = r#"{"status":"success","cursor":"n"}"#;

#[tokio::test(start_paused = true)]
async fn a_page_of_another_word_is_an_error_and_no_end() {
    let good = r#"{"status":"success","next_cursor":"m","records":[{"ts":20260722193602,"profile":{"identity":"a"}}]}"#;
    for (last, shown) in [
        (r#"{"status":"error","message":"x"}"#, "\"status\": \"error\""),
        (r#"{"status":"weird","records":[]}"#, "\"status\": \"weird\""),
        (r#"{"status":"failed"}"#, "\"status\": \"failed\""),
        (r#"{"status":"in_progress"}"#, "\"status\": \"in_progress\""),
        (r#"{"status":"success","data":[{"ts":20260722193602}]}"#, "\"data\": a list"),
        (r#"{"status":"success","records":[],"records":null}"#, "a key is there twice"),
        (r#"{"status":"success","records":[{}],"nextCursor":"o"}"#, "\"nextCursor\": a text"),
        (r#"{"status":"partial","records":[{"ts":20260722193602}]}"#, "without a cursor"),
        (r#"{"status":"fail","processed":1}"#, "\"status\": \"fail\""),
    ] {
        let error = exported("identity", &[OPENED, good, last]).await.expect_err(last);
        assert!(error.contains(shown) && error.contains("/1/events.json") && error.contains("not complete"), "{last}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_cursor_of_a_partial_page_is_followed_and_that_of_a_last_one_is_not() {
    let pages = [
        r#"{"status":"partial","cursor":"n","records":[{"profile":{"identity":"a"},"ts":20260722193602}]}"#,
        r#"{"status":"partial","cursor":"m","records":[{"profile":{"identity":"b"},"ts":20260722193602}]}"#,
        r#"{"status":"success","cursor":"z","records":[{"profile":{"identity":"c"},"ts":20260722193602}]}"#,
    ];
    assert_eq!(exported("identity", &pages).await.expect("rows"), ["| a |", "| b |", "| c |"]);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_is_not_ready_is_asked_for_again_in_every_form() {
    let page = r#"{"status":"success","records":[{"profile":{"identity":"a"},"ts":20260722193602}]}"#;
    for not_ready in [
        r#"{"status":"fail","error":"Request still in progress, please retry later"}"#,
        r#"{"status":"fail","error":"request still in progress","code":2}"#,
        r#"{"status":"partial"}"#,
        r#"{"status":"partial","cursor":"n"}"#,
    ] {
        assert_eq!(exported("identity", &[OPENED, not_ready, not_ready, page]).await.expect(not_ready), ["| a |"], "{not_ready}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_whose_time_cannot_be_read_is_a_row_and_its_time_stands_in_extra() {
    let world = answering(&[
        OPENED,
        r#"{"status":"success","records":[{"ts":20260722193602,"profile":{"identity":"a"}},{"ts":null,"profile":{"identity":"b"}},
            {"ts":"soon","profile":{"identity":"c"}},{"ts":123,"profile":{"identity":"d"}},{"profile":{"identity":"e"}},
            {"ts":1784729162,"profile":{"identity":"f"}},{"ts":"2026-07-22 19:36:02","profile":{"identity":"g"}},
            {"ts":"2026-07-22T14:06:02Z","profile":{"identity":"h"}}]}"#,
    ])
    .await;
    let day = "FROM clevertap.events WHERE event_name = 'Charged' AND event_date = '2026-07-22'";
    let rows = lines(&world.rows(&format!("SELECT identity, event_time::text, extra {day} ORDER BY identity")).await);
    let at = "2026-07-22T19:36:02+05:30";
    let expected = [
        format!("| a | {at} | |"),
        r#"| b | | {"ts":null} |"#.to_owned(),
        r#"| c | | {"ts":"soon"} |"#.to_owned(),
        r#"| d | | {"ts":123} |"#.to_owned(),
        "| e | | |".to_owned(),
        format!("| f | {at} | |"),
        format!("| g | {at} | |"),
        format!("| h | {at} | |"),
    ];
    assert_eq!(rows, expected);
    let warned = lines(&world.rows("SELECT code, column_name, rows FROM clevertap.warnings ORDER BY column_name").await);
    assert_eq!(warned, ["| CT-621 | event_date | 4 |", "| CT-621 | event_time | 4 |"]);

    world.set("type_mismatch", "error").await;
    world.script([OPENED, r#"{"status":"success","records":[{"ts":"soon"}]}"#].map(|body| Scripted::Answer(200, body)));
    let error = world.refused(&format!("SELECT identity, event_time {day}")).await;
    assert!(error.contains("[CT-206]"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_has_no_column_stands_in_extra_with_its_digits() {
    let page = r#"{"status":"success","records":[{"ts":20260722193602,"profile":{"objectId":"d","df":{"0":1}},"id":12345678901234567890123,
        "event_props":{"a":1}},{"ts":20260722193602}]}"#;
    let rows = exported("object_id, extra", &[OPENED, page]).await.expect("rows");
    assert_eq!(rows, [r#"| d | {"id":12345678901234567890123,"profile":{"df":{"0":1}}} |"#, "| | |"]);

    let world = answering(&[r#"{"status":"success","events":[{"name":"Charged","eventCount":12345678901234567890123}]}"#]).await;
    let rows = lines(&world.rows("SELECT event_name, extra FROM clevertap.event_schema").await);
    assert_eq!(rows, [r#"| Charged | {"eventCount":12345678901234567890123} |"#]);
}

#[tokio::test(start_paused = true)]
async fn the_device_of_a_person_is_found_in_any_element() {
    let world =
        answering(&[r#"{"status":"success","record":{"identity":"a","platformInfo":[{"platform":"iOS"},{"objectId":"d"}]}}"#]).await;
    assert_eq!(lines(&world.rows("SELECT object_id FROM clevertap.profiles WHERE identity = 'a'").await), ["| d |"]);
}

#[tokio::test(start_paused = true)]
async fn a_look_up_is_nobody_only_in_the_forms_of_the_reference() {
    let query = "SELECT identity FROM clevertap.profiles WHERE identity = 'u1'";
    for (status, nobody) in [
        (404, r#"{"status":"fail","error":"Profile not found","code":404}"#),
        (200, r#"{"status":"fail","error":"Profile not found","code":404}"#),
        (200, r#"{"status":"success","record":null}"#),
        (200, r#"{"status":"success"}"#),
    ] {
        let world = World::new();
        world.script([Scripted::Answer(status, nobody)]);
        assert!(lines(&world.rows(query).await).is_empty(), "{nobody}");
    }
    for (status, other) in [
        (200, r#"{"status":"success","data":{"identity":"u1"}}"#),
        (200, r#"{"status":"success","records":[{"identity":"u1"}]}"#),
        (200, r#"{"status":"fail","processed":3}"#),
        (404, r#"{"status":"fail","error":"No such route","code":404}"#),
        (404, ""),
        (200, r#"{"status":"success","record":[]}"#),
        (200, r#"{"status":"success","record":{}}"#),
        (200, r#"{"status":"success","record":"x"}"#),
        (200, r#"{"status":"success","record":{"identity":"u2","name":"Ann"}}"#),
        (200, r#"{"status":"success","record":{"identity":"u1"},"record":null}"#),
        (200, r#"{"status":"partial","record":null}"#),
    ] {
        let world = World::new();
        world.script([Scripted::Answer(status, other)]);
        let error = world.refused(query).await;
        assert!(error.contains("/1/profile.json") && !error.contains("Ann") && !error.contains("u2"), "{other}: {error}");
    }
    let world = answering(&[r#"{"status":"success","record":{"identity":"u0","all_identities":"u0,u1"}}"#]).await;
    assert_eq!(lines(&world.rows(query).await), ["| u1 |"], "an alias is somebody");
}

#[tokio::test(start_paused = true)]
async fn a_campaign_without_a_report_is_no_row_also_where_409_says_nothing() {
    let world = World::new();
    world.script([Scripted::Answer(409, "")]);
    assert!(lines(&world.rows("SELECT sent FROM clevertap.campaign_reports WHERE campaign_id = '7'").await).is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_processed_nothing_is_told_at_once_and_one_that_contradicts_itself_is_in_doubt() {
    let world = answering(&[r#"{"status":"fail","processed":0,"unprocessed":[]}"#]).await;
    let error = world.refused("INSERT INTO clevertap.profiles SELECT 'a' AS identity").await;
    assert!(error.contains("0 accepted, 0 rejected, 0 in doubt, 1 unsent of 1 rows read"), "{error}");
    assert_eq!(world.sent_to("/1/upload").len(), 1);

    let world = answering(&[r#"{"status":"fail","processed":1,"unprocessed":[]}"#]).await;
    let event = "INSERT INTO clevertap.events SELECT 'a' AS identity, 'V' AS event_name, 1767225600 AS event_time";
    let error = world.refused(event).await;
    assert!(error.contains("0 accepted, 0 rejected, 1 in doubt, 0 unsent of 1 rows read"), "{error}");
    assert!(error.contains("contradicts itself"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn empty_pages_are_paced_and_have_an_end() {
    let world = answering(&[OPENED]).await;
    let mut page = 0;
    world.transport.change_answers(move |_, _| {
        page += 1;
        Answer::new(200, format!(r#"{{"status":"success","records":[],"next_cursor":"c{page}"}}"#))
    });
    let error = world.refused("SELECT identity FROM clevertap.events WHERE event_name = 'Charged' AND event_date = '2026-01-07'").await;
    assert!(error.contains("pages without a record") && error.contains("not complete") && error.contains("[CT-303]"), "{error}");
    assert!(world.sent().len() < 100, "{} requests in ten minutes", world.sent().len());
}

#[tokio::test(start_paused = true)]
async fn a_cursor_is_sent_as_it_came_and_never_as_another_parameter() {
    let world = answering(&[r#"{"status":"success","cursor":"q0%2B&email=x"}"#, r#"{"status":"success"}"#]).await;
    world.rows("SELECT identity FROM clevertap.events WHERE event_name = 'Charged' AND event_date = '2026-01-07'").await;
    let asked = world.sent().pop().and_then(|call| call.query).unwrap_or_default();
    assert_eq!(asked, "cursor=q0%2B%26email=x");
}

#[tokio::test(start_paused = true)]
async fn a_count_is_a_whole_number_from_0_on() {
    let days = "event_name = 'Charged' AND event_date BETWEEN '2026-01-01' AND '2026-01-02'";
    for (query, body) in [
        (format!("SELECT events FROM clevertap.event_counts WHERE {days}"), r#"{"status":"success","count":-5}"#),
        (format!("SELECT events FROM clevertap.event_counts WHERE {days}"), r#"{"status":"success","total":5}"#),
        (format!("SELECT people FROM clevertap.profile_counts WHERE {days}"), r#"{"status":"success","count":1.5}"#),
        (format!("SELECT events FROM clevertap.trend_analysis_daily WHERE {days}"), r#"{"status":"success","g":{"20260101":-1}}"#),
        (format!("SELECT events FROM clevertap.trend_analysis_daily WHERE {days}"), r#"{"status":"success","g":{"soon":1}}"#),
        (format!("SELECT events FROM clevertap.trend_analysis_daily WHERE {days}"), r#"{"status":"success"}"#),
        (
            format!("SELECT events FROM clevertap.top_property_counts WHERE {days} AND property = 'Currency'"),
            r#"{"status":"success","g0":{"STR":{"USD":-4}}}"#,
        ),
        ("SELECT people FROM clevertap.real_time_counts".to_owned(), r#"{"status":"success","count":-5}"#),
        (format!("SELECT events FROM clevertap.event_counts WHERE {days}"), r#"{"status":"partial","req_id":null}"#),
    ] {
        let world = answering(&[body]).await;
        let error = world.refused(&query).await;
        assert!(error.contains("[CT-304]") && error.contains("was answered 200 with {"), "{body}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_passcode_that_an_answer_repeats_is_shown_and_kept_nowhere() {
    for (status, body) in [
        (401, r#"{"status":"fail","error":"Passcode emulator-passcode invalid","code":401}"#),
        (400, r#"{"status":"fail","error":"emulator-passcode","code":4000}"#),
        (200, r#"{"status":"fail","error":"of emulator-passcode"}"#),
        (
            200,
            r#"{"status":"fail","processed":0,"unprocessed":[{"status":"fail","code":515,"error":"emulator-passcode of ann@example.org.Skipped record number : 1"}]}"#,
        ),
    ] {
        let world = World::new();
        world.script([Scripted::Answer(status, body)]);
        let error = world.refused("INSERT INTO clevertap.profiles SELECT 'a' AS identity").await;
        let kept = format!("{:?} {:?}", world.account.failed_rows(), world.account.runs());
        for text in [&error, &kept] {
            assert!(!text.contains("emulator-passcode") && !text.contains("ann@example.org"), "{text}");
        }
    }
    let world = answering(&[r#"{"status":"success","record":{"identity":"a","name":"emulator-passcode"}}"#]).await;
    assert_eq!(lines(&world.rows("SELECT name FROM clevertap.profiles WHERE identity = 'a'").await), ["| … |"]);
}

#[tokio::test(start_paused = true)]
async fn all_events_are_exported_where_the_session_asks_for_a_full_scan() {
    let world = seeded(SMALL, Tz::Asia__Kolkata, Settings::default(), |_| {});
    let query = "SELECT event_name, count(*) FROM {events} WHERE event_date BETWEEN '2026-01-03' AND '2026-01-09' GROUP BY 1";
    let refused = world.refused(&query.replace("{events}", "clevertap.events")).await;
    assert!(refused.contains("or SET clevertap.full_scan = true, which reads every event"), "{refused}");
    world.set("full_scan", true).await;
    assert_eq!(world.same(query).await, 3);
    world
        .same(
            "SELECT identity, event_name, event_time FROM {events} WHERE event_date = '2026-01-05' AND event_time < '2026-01-05 12:00:00'",
        )
        .await;
    assert!(!lines(&world.rows(&format!("SELECT DISTINCT event_name {EVENTS}")).await).is_empty());

    let world =
        seeded(SMALL, Tz::Asia__Kolkata, Settings { unexportable_events: vec!["Viewed Item".into()], ..Settings::default() }, |_| {});
    world.set("full_scan", true).await;
    let names = lines(&world.rows("SELECT DISTINCT event_name FROM clevertap.events WHERE event_date = '2026-01-05' ORDER BY 1").await);
    assert_eq!(names, ["| App Launched |", "| Charged |"]);
    let warned = lines(&world.rows("SELECT message FROM clevertap.warnings").await).concat();
    assert!(warned.contains("does not export are not read, \"Viewed Item\" among them"), "{warned}");
}
