//! What a fault does to an export, and that none of them loses a record for good.

use serde_json::{Value, json};

use super::exports::{day, fetch, open, project, walk};
use super::{fail, get, post, read};
use crate::{Emulator, Fault, Settings, What};

const EVENTS: &str = "/1/events.json";
const QUERY: &str = "?batch_size=46&events=false&profile=false";

fn emulator(what: What) -> Emulator {
    let emulator = project(Settings::default(), 100);
    emulator.add_fault(Fault::new(what).on(EVENTS).after(2).times(1));
    emulator
}

/// Opens and takes the first page; the next request is the one that the fault hits.
async fn second(emulator: &Emulator) -> (String, String) {
    let first = open(emulator, &format!("{EVENTS}{QUERY}"), &day()).await;
    let (_, page) = fetch(emulator, EVENTS, &first).await;
    (first, page["next_cursor"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn in_progress_is_code_2_and_the_same_cursor_works_afterwards() {
    let emulator = emulator(What::InProgress);
    let (_, cursor) = second(&emulator).await;
    let busy = json!({ "status": "fail", "error": "Request still in progress, please retry later", "code": 2 });
    assert_eq!(fetch(&emulator, EVENTS, &cursor).await, (200, busy));
    assert!(fetch(&emulator, EVENTS, &cursor).await.1["records"].is_array());
}

#[tokio::test]
async fn a_cursor_can_repeat_itself_or_an_older_one() {
    for (back, expected) in [(0, 1), (1, 0), (7, 0)] {
        let emulator = emulator(What::RepeatCursor { back });
        let (first, cursor) = second(&emulator).await;
        let cursors = [first, cursor];
        let (_, page) = fetch(&emulator, EVENTS, &cursors[1]).await;
        assert_eq!(page["next_cursor"], cursors[expected]);
        assert_eq!(page["records"], fetch(&emulator, EVENTS, &cursors[1]).await.1["records"]);
    }
}

#[tokio::test]
async fn a_chain_can_expire_before_its_time_and_stays_so() {
    let emulator = emulator(What::ExpireCursor);
    let (_, cursor) = second(&emulator).await;
    for _ in 0..2 {
        assert_eq!(fetch(&emulator, EVENTS, &cursor).await, fail(400, "Cursor has expired"));
    }
    assert_eq!(walk(&emulator, EVENTS, QUERY, &day()).await.iter().map(|(_, records)| records.len()).sum::<usize>(), 100);
}

#[tokio::test]
async fn an_empty_page_loses_nothing() {
    let emulator = project(Settings::default(), 100);
    let whole: Vec<Value> = walk(&emulator, EVENTS, QUERY, &day()).await.into_iter().flat_map(|(_, records)| records).collect();
    emulator.add_fault(Fault::new(What::EmptyPage).on(EVENTS).every(2));
    let pages = walk(&emulator, EVENTS, QUERY, &day()).await;
    assert!(pages.iter().any(|(_, records)| records.is_empty()));
    let cursors: std::collections::HashSet<&String> = pages.iter().map(|(cursor, _)| cursor).collect();
    assert_eq!(cursors.len(), pages.len(), "each cursor is another");
    assert_eq!(pages.iter().flat_map(|(_, records)| records).collect::<Vec<_>>(), whole.iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn an_early_end_looks_like_the_end() {
    let emulator = emulator(What::EndEarly);
    let (_, cursor) = second(&emulator).await;
    assert_eq!(fetch(&emulator, EVENTS, &cursor).await, (200, json!({ "status": "success" })));
    assert!(emulator.report().records_exported < 100, "only who counts can tell");
}

#[tokio::test]
async fn faults_of_pages_pass_over_openings() {
    for what in [What::RepeatCursor { back: 0 }, What::ExpireCursor, What::EmptyPage, What::EndEarly] {
        let emulator = project(Settings::default(), 1);
        emulator.add_fault(Fault::new(what));
        open(&emulator, EVENTS, &day()).await;
        assert_eq!(emulator.report().faults_fired, 0);
    }
}

#[tokio::test]
async fn an_answer_can_lack_its_status() {
    let emulator = emulator(What::NoStatus);
    let (_, cursor) = second(&emulator).await;
    let (status, page) = fetch(&emulator, EVENTS, &cursor).await;
    assert_eq!((status, page.get("status"), page["records"].is_array()), (200, None, true));
    assert!(page["next_cursor"].is_string());
    emulator.add_fault(Fault::new(What::NoStatus).on("/category-groups"));
    assert_eq!(read(emulator.handle(get("/category-groups")).await), (200, json!({ "list": [] })));
}

#[tokio::test]
async fn the_other_faults_work_on_reads_and_a_lost_page_is_still_there() {
    let server_error = fail(500, "An unknown error occurred");
    for (what, status) in [
        (What::TooManyRequests, 429),
        (What::ServerErrorBefore, 500),
        (What::ServerErrorAfter, 500),
        (What::StorePrefix { records: 1 }, 500),
        (What::Unavailable, 503),
        (What::GarbageBefore, 200),
        (What::GarbageAfter, 200),
        (What::EmptyBefore, 200),
        (What::EmptyAfter, 200),
        (What::TooLarge, 413),
        (What::Unauthorized, 401),
        (What::TooManyUnderSuccess, 200),
        (What::Refuse { status: 202, code: 2, error: "later".to_owned() }, 202),
    ] {
        let emulator = emulator(what.clone());
        let (_, cursor) = second(&emulator).await;
        let path = format!("{EVENTS}?cursor={cursor}");
        let answer = emulator.handle(get(&path)).await.unwrap();
        assert_eq!(answer.status(), status, "{what:?}");
        assert!(fetch(&emulator, EVENTS, &cursor).await.1["records"].is_array(), "{what:?}");
        assert_eq!(emulator.report().faults_fired, 1);
    }
    let emulator = project(Settings { polls_until_ready: 0, ..Settings::default() }, 1);
    for (path, body) in [
        ("/1/counts/events.json", day()),
        ("/1/profiles.json", day()),
        ("/1/now.json", json!({})),
        ("/1/targets/list.json", json!({ "from": 20_260_801, "to": 20_260_831 })),
    ] {
        emulator.add_fault(Fault::new(What::ServerErrorAfter).on(path).times(1));
        assert_eq!(read(emulator.handle(post(path, body.to_string())).await), server_error);
        assert_eq!(read(emulator.handle(post(path, body.to_string())).await).1["status"], "success");
    }
}

#[test]
fn faults_are_written_in_snake_case() {
    let faults = json!([
        { "what": "in_progress" }, { "what": { "repeat_cursor": {} } }, { "what": { "repeat_cursor": { "back": 2 } } },
        { "what": "expire_cursor" }, { "what": "empty_page" }, { "what": "no_status" }, { "what": "end_early" },
    ]);
    let faults: Vec<Fault> = serde_json::from_value(faults).unwrap();
    assert_eq!(faults[1].what, What::RepeatCursor { back: 0 });
    assert_eq!(faults[6].what, What::EndEarly);
}
