//! Reference 6.1 to 6.4 and 7.1: how exports are opened, cut into pages, and walked.

use std::time::Duration;

use serde_json::{Value, json};

use super::{accept, fail, get, post, read};
use crate::store::index::mixed;
use crate::{Emulator, LastPage, Rule, SeedPerson, Settings};

/// Noon of 2026-08-01, UTC.
pub(super) const NOON: i64 = 1_785_585_600;

/// A project with so many people, each of whom did `Viewed Item` once on 2026-08-01.
pub(super) fn project(settings: Settings, people: usize) -> Emulator {
    let emulator = Emulator::new(settings);
    emulator.seed(|seeder| {
        for number in 0..people {
            let (identity, object_id) = (format!("cust-{number}"), format!("__g{:032x}", mixed(number as u64)));
            let person = SeedPerson { identity: Some(&identity), object_id: Some(&object_id), ..SeedPerson::default() };
            let person = seeder.person(person);
            let ts = NOON + i64::try_from(number * 7 % 3600).unwrap();
            seeder.event(person, "Viewed Item", ts, &format!("{{\"Number\":{number}}}"), None);
        }
    });
    emulator
}

pub(super) fn day() -> Value {
    json!({ "event_name": "Viewed Item", "from": 20_260_801, "to": 20_260_801 })
}

/// Opens an export and gives its first cursor.
pub(super) async fn open(emulator: &Emulator, path: &str, body: &Value) -> String {
    let (status, answer) = read(emulator.handle(post(path, body.to_string())).await);
    assert_eq!((status, &answer["status"]), (200, &json!("success")), "{answer}");
    assert_eq!(answer.as_object().unwrap().len(), 2, "{answer}");
    answer["cursor"].as_str().unwrap().to_owned()
}

pub(super) async fn fetch(emulator: &Emulator, path: &str, cursor: &str) -> (u16, Value) {
    read(emulator.handle(get(&format!("{path}?cursor={cursor}"))).await)
}

/// All pages of a chain, the bare end left out: their cursors and records.
pub(super) async fn walk(emulator: &Emulator, path: &str, query: &str, body: &Value) -> Vec<(String, Vec<Value>)> {
    let mut cursor = open(emulator, &format!("{path}{query}"), body).await;
    let mut pages = Vec::new();
    loop {
        let (status, mut page) = fetch(emulator, path, &cursor).await;
        assert_eq!((status, &page["status"], page.get("cursor")), (200, &json!("success"), None), "{page}");
        let next = page["next_cursor"].as_str().map(str::to_owned);
        if let Value::Array(records) = page["records"].take() {
            pages.push((cursor, records));
        }
        match next {
            Some(next) => cursor = next,
            None => return pages,
        }
    }
}

async fn sizes(emulator: &Emulator, query: &str) -> Vec<usize> {
    walk(emulator, "/1/events.json", query, &day()).await.iter().map(|(_, records)| records.len()).collect()
}

#[tokio::test]
async fn a_page_takes_a_23rd_of_the_batch_size_from_each_of_23_partitions() {
    let emulator = project(Settings::default(), 12_000);
    assert_eq!(sizes(&emulator, "?batch_size=5000").await[..2], [4991, 4991]);
    assert_eq!(sizes(&emulator, "").await[0], 4991, "5000 is the default");
    assert_eq!(sizes(&emulator, "?batch_size=5").await, [12_000], "below 23 there is no cap");
    let emulator = project(Settings::default(), 989);
    assert_eq!(sizes(&emulator, "?batch_size=25").await[0], 23);
    assert_eq!(sizes(&emulator, "?batch_size=50").await[0], 46);
    assert_eq!(sizes(&emulator, "?batch_size=5").await, [989]);
    assert_eq!(sizes(&emulator, "?batch_size=23").await.iter().sum::<usize>(), 989);
}

#[tokio::test]
async fn a_day_of_146_852_records_is_32_pages_with_the_bare_end() {
    let emulator = project(Settings::default(), 146_852);
    let mut cursor = open(&emulator, "/1/events.json?batch_size=5000&profile=false&events=false", &day()).await;
    let (mut pages, mut records) = (0, 0);
    loop {
        let answer = emulator.handle(get(&format!("/1/events.json?cursor={cursor}"))).await.unwrap();
        pages += 1;
        if answer.body() == r#"{"status":"success"}"# {
            break;
        }
        let page: Value = serde_json::from_slice(answer.body()).unwrap();
        records += page["records"].as_array().unwrap().len();
        cursor = page["next_cursor"].as_str().unwrap().to_owned();
    }
    assert_eq!((pages, records), (32, 146_852));
    let report = emulator.report();
    assert_eq!((report.pages_served, report.records_exported), (32, 146_852));
    assert!(report.rules_broken.is_empty(), "{:?}", report.rules_broken);
}

#[tokio::test]
async fn pages_lose_and_repeat_nothing_and_partitions_run_by_time() {
    let emulator = project(Settings::default(), 3000);
    let pages = walk(&emulator, "/1/events.json", "?batch_size=230", &day()).await;
    let records = || pages.iter().flat_map(|(_, records)| records);
    let mut numbers: Vec<u64> = records().map(|record| record["event_props"]["Number"].as_u64().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..3000).collect::<Vec<_>>());
    let mut times: Vec<u64> = pages[0].1[..10].iter().map(|record| record["ts"].as_u64().unwrap()).collect();
    assert!(times.is_sorted(), "one partition's share of a page: {times:?}");
    times.extend(pages[0].1[10..20].iter().map(|record| record["ts"].as_u64().unwrap()));
    assert!(!times.is_sorted(), "the next partition starts over");
}

#[tokio::test]
async fn the_last_records_can_come_without_a_next_cursor() {
    let emulator = project(Settings { last_page: LastPage::WithRecords, ..Settings::default() }, 30);
    let cursor = open(&emulator, "/1/events.json?batch_size=5", &day()).await;
    let (_, page) = fetch(&emulator, "/1/events.json", &cursor).await;
    assert_eq!((page["records"].as_array().unwrap().len(), page.get("next_cursor")), (30, None));
    for last_page in [LastPage::WithRecords, LastPage::Bare] {
        let emulator = project(Settings { last_page, ..Settings::default() }, 1);
        let nobody = json!({ "event_name": "Viewed Item", "from": 20_250_801, "to": 20_250_801 });
        let cursor = open(&emulator, "/1/events.json", &nobody).await;
        assert_eq!(fetch(&emulator, "/1/events.json", &cursor).await, (200, json!({ "status": "success" })));
    }
}

#[tokio::test]
async fn a_cursor_is_encoded_already_and_survives_one_decoding_only() {
    let emulator = project(Settings::default(), 100);
    let pages = walk(&emulator, "/1/events.json", "?batch_size=23", &day()).await;
    let mut cursors: Vec<&str> = pages.iter().map(|(cursor, _)| cursor.as_str()).collect();
    for cursor in &cursors {
        assert!((1_500..=2_400).contains(&cursor.len()), "{}", cursor.len());
        assert!(["%2B", "%2F", "%3D"].iter().all(|code| cursor.contains(code)), "{cursor}");
    }
    let incorrect = (200, json!({ "status": "fail", "error": "Incorrect Usage", "code": 3 }));
    let raw_plus = cursors[0].replace("%2B", "+");
    let half_raw = cursors[0].replace("%2F", "/").replace("%3D", "=");
    for wrong in [cursors[0].replace('%', "%25"), raw_plus, cursors[0].trim_end_matches("%3D").to_owned(), "x".to_owned(), String::new()] {
        assert_eq!(fetch(&emulator, "/1/events.json", &wrong).await, incorrect);
    }
    assert_eq!(fetch(&emulator, "/1/profiles.json", cursors[0]).await, incorrect, "a chain belongs to its path");
    assert_eq!(fetch(&emulator, "/1/events.json", &half_raw).await.1["status"], "success");
    let count = cursors.len();
    cursors.sort_unstable();
    cursors.dedup();
    assert_eq!(cursors.len(), count);
    assert_eq!(emulator.report().rules_broken, [(Rule::Cursor, 6)].into());
}

#[tokio::test]
async fn an_old_cursor_gives_the_same_page_and_post_works_too() {
    let emulator = project(Settings::default(), 200);
    let pages = walk(&emulator, "/1/events.json", "?batch_size=46", &day()).await;
    for (cursor, records) in pages.iter().rev() {
        let path = format!("/1/events.json?cursor={cursor}");
        assert_eq!(&read(emulator.handle(post(&path, "")).await).1["records"], &json!(records));
        let (first, second) = (emulator.handle(get(&path)).await.unwrap(), emulator.handle(get(&path)).await.unwrap());
        assert_eq!(first.body(), second.body());
    }
}

#[tokio::test]
async fn what_arrives_after_the_opening_is_not_in_the_chain() {
    let emulator = project(Settings::default(), 50);
    let cursor = open(&emulator, "/1/events.json?batch_size=5", &day()).await;
    accept(&emulator, json!([{ "type": "event", "identity": "late", "ts": NOON, "evtName": "Viewed Item", "evtData": {} }])).await;
    assert_eq!(fetch(&emulator, "/1/events.json", &cursor).await.1["records"].as_array().unwrap().len(), 50);
    assert_eq!(sizes(&emulator, "?batch_size=5").await, [51]);
}

#[tokio::test(start_paused = true)]
async fn two_requests_on_one_chain_at_once_are_refused_with_code_2() {
    let emulator = project(Settings { latency_ms: 100, ..Settings::default() }, 500);
    let first = open(&emulator, "/1/events.json?batch_size=23", &day()).await;
    let other = open(&emulator, "/1/events.json?batch_size=23", &day()).await;
    let ((_, one), (_, two), (_, three)) = tokio::join!(
        fetch(&emulator, "/1/events.json", &first),
        fetch(&emulator, "/1/events.json", &first),
        fetch(&emulator, "/1/events.json", &other),
    );
    let busy = json!({ "status": "fail", "error": "Request still in progress, please retry later", "code": 2 });
    assert_eq!((&one["status"], &two, &three["status"]), (&json!("success"), &busy, &json!("success")));
    assert_eq!(fetch(&emulator, "/1/events.json", &first).await.1, one, "the chain is free again");
    {
        let mut given_up = std::pin::pin!(fetch(&emulator, "/1/events.json", &first));
        assert!(tokio::time::timeout(Duration::from_millis(50), &mut given_up).await.is_err());
    }
    assert_eq!(fetch(&emulator, "/1/events.json", &first).await.1, one, "and after a client that went away, too");
    assert_eq!(emulator.report().rules_broken, [(Rule::Overlap, 1)].into());
}

#[tokio::test(start_paused = true)]
async fn cursors_of_events_live_four_hours_or_one_idle_hour() {
    let emulator = project(Settings::default(), 500);
    let expired = fail(400, "Cursor has expired");
    let pass = |minutes: u64| tokio::time::sleep(Duration::from_secs(minutes * 60));
    let cursor = open(&emulator, "/1/events.json?batch_size=23", &day()).await;
    pass(60).await;
    assert_eq!(fetch(&emulator, "/1/events.json", &cursor).await.0, 200);
    pass(61).await;
    assert_eq!(fetch(&emulator, "/1/events.json", &cursor).await, expired);
    let cursor = open(&emulator, "/1/events.json?batch_size=23", &day()).await;
    for _ in 0..4 {
        pass(60).await;
        assert_eq!(fetch(&emulator, "/1/events.json", &cursor).await.0, 200);
    }
    pass(1).await;
    assert_eq!(fetch(&emulator, "/1/events.json", &cursor).await, expired);
    assert_eq!(emulator.report().rules_broken, [(Rule::Expired, 2)].into());
}

#[tokio::test(start_paused = true)]
async fn cursors_of_profiles_live_four_days() {
    let emulator = project(Settings::default(), 50);
    let cursor = open(&emulator, "/1/profiles.json", &day()).await;
    tokio::time::sleep(Duration::from_secs(4 * 86_400)).await;
    assert_eq!(fetch(&emulator, "/1/profiles.json", &cursor).await.0, 200);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(fetch(&emulator, "/1/profiles.json", &cursor).await, fail(400, "Cursor has expired"));
}

#[tokio::test(start_paused = true)]
async fn exports_have_three_slots_and_look_ups_share_them_with_profiles() {
    let emulator = project(Settings { latency_ms: 50, ..Settings::default() }, 1);
    let mut requests = tokio::task::JoinSet::new();
    for number in 0..6 {
        let emulator = emulator.clone();
        requests.spawn(async move {
            match number {
                0 | 1 => read(emulator.handle(post("/1/profiles.json", day().to_string())).await).0,
                2 | 3 => read(emulator.handle(get("/1/profile.json?identity=cust-0")).await).0,
                _ => read(emulator.handle(post("/1/events.json", day().to_string())).await).0,
            }
        });
    }
    let mut answers = requests.join_all().await;
    answers.sort_unstable();
    assert_eq!(answers, [200, 200, 200, 200, 200, 429]);
    assert!((emulator.report().mean_in_flight["/1/events.json"] - 2.0).abs() < 1e-9);
}

#[tokio::test]
async fn a_query_that_cannot_be_meant_is_refused() {
    let emulator = project(Settings::default(), 1);
    let invalid = |name: &str| (200, json!({ "status": "fail", "error": format!("[\"Invalid event : {name}\"]"), "code": 400 }));
    let ask = async |path: &str, body: Value| read(emulator.handle(post(path, body.to_string())).await);
    let named = |name: &str| json!({ "event_name": name, "from": 20_260_801, "to": 20_260_801 });
    assert_eq!(ask("/1/events.json", named("viewed item")).await, invalid("viewed item"), "names are exact");
    for name in ["Notification Sent", "Notification Viewed", "Push Impressions"] {
        assert_eq!(ask("/1/events.json", named(name)).await, fail(400, "Export not allowed for this event"));
    }
    for (key, value) in [
        ("from", json!("20260801")),
        ("from", json!(20_260_802)),
        ("from", json!(20_260_732)),
        ("from", json!(20_260_801.5)),
        ("from", Value::Null),
        ("to", json!(1_785_542_400)),
        ("event_name", json!("")),
        ("event_name", json!(7)),
        ("event_properties", json!({})),
        ("event_properties", json!([{ "name": "Number", "operator": "gt", "value": 1 }])),
        ("event_property", json!([])),
        ("advanced_query", json!({ "did": [] })),
        ("common_profile_properties", json!({ "profile": [] })),
    ] {
        let mut body = day();
        body[key] = value;
        let (status, answer) = ask("/1/events.json", body.clone()).await;
        assert_eq!((status, &answer["status"], &answer["code"]), (400, &json!("fail"), &json!(400)), "{body}");
    }
    for query in ["batch_size=0", "batch_size=5001", "batch_size=x", "batch_size=-1", "app=1", "events=yes", "batchsize=5", "cursor"] {
        let (status, answer) = ask(&format!("/1/events.json?{query}"), day()).await;
        assert_eq!((status, &answer["status"]), (400, &json!("fail")), "{query}");
    }
    assert_eq!(ask("/1/events.json", json!([])).await, fail(400, "Malformed request"));
    assert_eq!(read(emulator.handle(post("/1/events.json", "{")).await), fail(400, "Malformed request"));
    assert_eq!(read(emulator.handle(get("/1/events.json")).await).0, 400);
    assert!(emulator.report().exports_opened.is_empty());
    let mut ignored = day();
    ignored["groups"] = json!({});
    ignored["identity"] = json!("somebody else");
    assert_eq!(walk(&emulator, "/1/events.json", "", &ignored).await.len(), 1);
}

#[tokio::test]
async fn the_report_tells_what_was_opened() {
    let emulator = project(Settings::default(), 1);
    let filters = json!([{ "name": "Number", "value": 0 }]);
    let mut body = day();
    body["event_properties"] = filters.clone();
    open(&emulator, "/1/events.json?batch_size=4991&app=true&events=false&profile=false", &body).await;
    open(&emulator, "/1/profiles.json", &json!({})).await;
    let opened = serde_json::to_value(&emulator.report().exports_opened).unwrap();
    let expected = json!([
        { "path": "/1/events.json", "event": "Viewed Item", "from": 20_260_801, "to": 20_260_801, "app": true, "events": false,
          "profile": false, "batch_size": 4991, "filters": { "event_properties": filters } },
        { "path": "/1/profiles.json", "event": null, "from": null, "to": null, "app": false, "events": true,
          "profile": true, "batch_size": 5000, "filters": {} },
    ]);
    assert_eq!(opened, expected);
}
