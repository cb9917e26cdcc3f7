//! Where the writes that take away meet the reads: unknowns 3.19, 5.2, 5.6, 6.3 and reference 9.1, 9.2, 12.3.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use super::exports::{NOON, day, fetch, open, project, walk};
use super::{accept, post, read, send, success};
use crate::store::index::mixed;
use crate::{Emulator, LastPage, SeedPerson, Settings, Subscription};

const HOUR: Duration = Duration::from_secs(60 * 60);
const DELETE: &str = "/1/delete/profiles.json";
const EVENTS: &str = "/1/events.json";
const PROFILES: &str = "/1/profiles.json";

/// Answers at once, cursors that outlive a deletion, and a clock that stands at the day of the seeded events.
fn settings() -> Settings {
    Settings { polls_until_ready: 0, started_at: NOON, events_cursor_idle_s: 86_400, events_cursor_life_s: 86_400, ..Settings::default() }
}

fn identity(record: &Value) -> &str {
    let person = record.get("profile").unwrap_or(record);
    person["identity"].as_str().unwrap_or_default()
}

async fn identities(emulator: &Emulator, path: &str) -> Vec<String> {
    let pages = walk(emulator, path, "", &day()).await;
    let mut all: Vec<String> = pages.iter().flat_map(|(_, records)| records).map(|record| identity(record).to_owned()).collect();
    all.sort_unstable();
    all
}

async fn ask(emulator: &Emulator, path: &str, more: Value) -> Value {
    let mut body = day();
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let (status, answer) = send(emulator, path, body).await;
    assert_eq!((status, &answer["status"]), (200, &json!("success")), "{answer}");
    answer
}

/// What every kind of read says: identities of both exports, both counts, a trend, the top values, the schema's count.
async fn seen(emulator: &Emulator) -> Value {
    let group = |group: Value| json!({ "groups": { "g": group } });
    let schema = read(emulator.handle(post("/getSchema?type=events", "")).await).1;
    json!({
        "events": identities(emulator, EVENTS).await,
        "profiles": identities(emulator, PROFILES).await,
        "count": ask(emulator, "/1/counts/events.json", json!({})).await["count"],
        "people": ask(emulator, "/1/counts/profiles.json", json!({})).await["count"],
        "trend": ask(emulator, "/1/counts/trends.json", group(json!({ "trend_type": "daily" }))).await["g"],
        "top": ask(emulator, "/1/counts/top.json", group(json!({ "property_type": "event_properties", "name": "Number" }))).await["g"],
        "schema": schema["events"][0]["eventCount"],
    })
}

fn seen_of(numbers: &[usize]) -> Value {
    let identities: Vec<String> = numbers.iter().map(|number| format!("cust-{number}")).collect();
    let top: serde_json::Map<String, Value> = numbers.iter().map(|number| (number.to_string(), json!(1))).collect();
    let count = numbers.len();
    json!({
        "events": identities, "profiles": identities, "count": count, "people": count,
        "trend": { "20260801": count }, "top": { "NUM": top }, "schema": count,
    })
}

#[tokio::test(start_paused = true)]
async fn a_deleted_person_is_in_every_read_until_the_job_and_in_none_after_it() {
    let emulator = project(settings(), 4);
    assert_eq!(seen(&emulator).await, seen_of(&[0, 1, 2, 3]));
    assert_eq!(send(&emulator, DELETE, json!({ "identity": "cust-2" })).await, success());
    sleep(12 * HOUR - Duration::from_secs(1)).await;
    assert_eq!(seen(&emulator).await, seen_of(&[0, 1, 2, 3]), "accepted is not done");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(seen(&emulator).await, seen_of(&[0, 1, 3]));
    assert_eq!((emulator.events_stored(), emulator.profiles_stored(), emulator.report().people_deleted), (3, 3, 1));
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_back_has_nothing_of_what_was_deleted() {
    let emulator = project(settings(), 2);
    send(&emulator, DELETE, json!({ "identity": "cust-1" })).await;
    sleep(12 * HOUR).await;
    // Nobody has looked since the job was due: a pen that writes without a request must not write into the old database.
    emulator.seed(|seeder| {
        let back = seeder.person(SeedPerson { identity: Some("cust-1"), name: Some("Bob"), ..SeedPerson::default() });
        seeder.event(back, "Viewed Item", NOON, r#"{"Number":7}"#, None);
    });
    assert_eq!(identities(&emulator, EVENTS).await, ["cust-0", "cust-1"]);
    let top = json!({ "groups": { "g": { "property_type": "event_properties", "name": "Number" } } });
    assert_eq!(ask(&emulator, "/1/counts/top.json", top).await["g"], json!({ "NUM": { "0": 1, "7": 1 } }));
    assert_eq!(emulator.profile("cust-1").unwrap()["events"]["Viewed Item"]["count"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_person_is_not_active_now() {
    let emulator = Emulator::new(Settings { deletion_delay_s: 60, ..settings() });
    accept(&emulator, json!([super::event("ada"), super::event("bob")])).await;
    let now = async || send(&emulator, "/1/now.json", json!({ "user_type": true })).await.1;
    assert_eq!(now().await, json!({ "status": "success", "count": 2, "user_type": { "new": 2, "returning": 0 } }));
    send(&emulator, DELETE, json!({ "identity": "ada" })).await;
    sleep(Duration::from_secs(60)).await;
    assert_eq!(now().await, json!({ "status": "success", "count": 1, "user_type": { "new": 1, "returning": 0 } }));
}

/// Walks two chains of the same project side by side: one is not disturbed, the other loses people after its first page.
async fn walk_through_a_deletion(path: &str, last_page: LastPage) {
    let query = "?batch_size=23&profile=false&events=false";
    let quiet = project(Settings { last_page, ..settings() }, 200);
    let expected = walk(&quiet, path, query, &day()).await;

    let emulator = project(Settings { last_page, ..settings() }, 200);
    let mut cursor = open(&emulator, &format!("{path}{query}"), &day()).await;
    let doomed: Vec<&str> = expected.iter().flat_map(|(_, records)| records).map(identity).step_by(3).collect();
    let last = expected.len() - 1;
    for (number, (_, records)) in expected.iter().enumerate() {
        let (status, page) = fetch(&emulator, path, &cursor).await;
        assert_eq!((status, &page["status"]), (200, &json!("success")));
        let is_left = |record: &&Value| number == 0 || !doomed.contains(&identity(record));
        let left: Vec<&str> = records.iter().filter(is_left).map(identity).collect();
        let got: Vec<&str> = page["records"].as_array().unwrap().iter().map(identity).collect();
        assert_eq!(got, left, "page {number}: gaps, and nobody moved");
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => assert_eq!((number, last_page), (last, LastPage::WithRecords)),
        }
        if number == 0 {
            for ids in doomed.chunks(100) {
                assert_eq!(send(&emulator, DELETE, json!({ "identity": ids })).await, success());
            }
            sleep(12 * HOUR).await;
        }
    }
    if last_page == LastPage::Bare {
        assert_eq!(fetch(&emulator, path, &cursor).await, success(), "the bare end");
    }
    assert_eq!(emulator.report().people_deleted, doomed.len() as u64);
    assert_eq!(identities(&emulator, path).await.len(), 200 - doomed.len());
}

#[tokio::test(start_paused = true)]
async fn a_chain_that_was_opened_before_the_job_ends_and_does_not_shift() {
    for path in [EVENTS, PROFILES] {
        for last_page in [LastPage::Bare, LastPage::WithRecords] {
            walk_through_a_deletion(path, last_page).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_of_which_nobody_is_left_is_empty_and_leads_on() {
    let emulator = project(settings(), 30);
    let cursor = open(&emulator, &format!("{EVENTS}?batch_size=5"), &day()).await;
    let everybody: Vec<String> = (0..30).map(|number| format!("cust-{number}")).collect();
    send(&emulator, DELETE, json!({ "identity": everybody })).await;
    assert_eq!(emulator.run_deletions(), 30);
    let (_, page) = fetch(&emulator, EVENTS, &cursor).await;
    assert_eq!(page["records"], json!([]));
    assert_eq!(fetch(&emulator, EVENTS, page["next_cursor"].as_str().unwrap()).await, success());
}

#[tokio::test]
async fn a_demerged_person_s_events_stay_with_their_device_or_are_lost() {
    let emulator = project(settings(), 2);
    let (first, second) = (format!("__g{:032x}", mixed(0)), "__gsecond");
    emulator.seed(|seeder| {
        let again = seeder.person(SeedPerson { identity: Some("cust-0"), object_id: Some(second), ..SeedPerson::default() });
        seeder.event(again, "Viewed Item", NOON, r#"{"Number":50}"#, None);
    });
    let upload = json!({ "type": "event", "identity": "cust-0", "evtName": "Viewed Item", "ts": NOON, "evtData": { "Number": 60 } });
    accept(&emulator, json!([upload])).await;
    assert_eq!(identities(&emulator, EVENTS).await, ["cust-0", "cust-0", "cust-0", "cust-1"]);
    let cursor = open(&emulator, &format!("{EVENTS}?batch_size=5"), &day()).await;

    assert_eq!(send(&emulator, "/1/demerge/profiles.json", json!({ "identities": "cust-0" })).await, success());
    let pages = walk(&emulator, EVENTS, "", &day()).await;
    let shown = |records: &[Value]| {
        let mut shown: Vec<(String, String, i64)> = records
            .iter()
            .map(|record| {
                let number = record["event_props"]["Number"].as_i64().unwrap();
                (record["profile"]["objectId"].as_str().unwrap().to_owned(), identity(record).to_owned(), number)
            })
            .collect();
        shown.sort_unstable_by_key(|(_, _, number)| *number);
        shown
    };
    let expected = [
        (first.clone(), String::new(), 0),
        (format!("__g{:032x}", mixed(1)), "cust-1".to_owned(), 1),
        (second.to_owned(), String::new(), 50),
    ];
    let all: Vec<Value> = pages.into_iter().flat_map(|(_, records)| records).collect();
    assert_eq!(shown(&all), expected, "what came under the identity is lost");
    let (_, page) = fetch(&emulator, EVENTS, &cursor).await;
    assert_eq!(shown(page["records"].as_array().unwrap()), expected, "also in a chain that was open");
    assert_eq!(ask(&emulator, "/1/counts/events.json", json!({})).await["count"], 3);
    assert_eq!(ask(&emulator, "/1/counts/profiles.json", json!({})).await["count"], 3, "two devices are two people");
    let people = identities(&emulator, PROFILES).await;
    assert_eq!(people, ["", "", "cust-1"]);
}

#[tokio::test]
async fn a_phone_that_was_disassociated_is_in_no_export_and_a_subscription_is_in_none_either() {
    let emulator = Emulator::new(settings());
    emulator.seed(|seeder| {
        let person = SeedPerson { identity: Some("+14155550100"), phone: Some("+14155550100"), name: Some("Ada"), ..SeedPerson::default() };
        let ada = seeder.person(person);
        seeder.event(ada, "Viewed Item", NOON, "{}", None);
    });
    let number = |status: &str| json!({ "d": [{ "type": "phone", "value": "+14155550100", "status": status }] });
    assert_eq!(send(&emulator, "/1/subscribe", number("Unsubscribe")).await.1["status"], "success");
    let record = |pages: Vec<(String, Vec<Value>)>| pages.into_iter().flat_map(|(_, records)| records).next().unwrap();
    let before = record(walk(&emulator, PROFILES, "", &day()).await);
    assert_eq!((&before["phone"], &before["identity"]), (&json!("14155550100"), &json!("+14155550100")));
    assert_eq!(before["profileData"], json!({}));

    assert_eq!(send(&emulator, "/1/disassociate", number("")).await.1["status"], "success");
    for path in [PROFILES, EVENTS] {
        let after = record(walk(&emulator, path, "", &day()).await);
        let person = after.get("profile").unwrap_or(&after);
        assert_eq!((&person["name"], person.get("phone"), person.get("identity")), (&json!("Ada"), None, None), "{after}");
    }
    assert_eq!(emulator.subscription("phone", "+14155550100"), Some(Subscription::Unsubscribed));
}

#[tokio::test(start_paused = true)]
async fn segments_list_the_custom_lists_behind_the_others() {
    let emulator = Emulator::new(Settings { segments: vec![json!({ "id": 7, "name": "Lapsed" })], ..settings() });
    accept(&emulator, json!([super::event("ada")])).await;
    let list = async |page: u64| send(&emulator, "/1/segments/list.json", json!({ "page": page, "limit": 2 })).await.1;
    let mut ids = Vec::new();
    for (name, file) in [("VIP", "Type,Identity\ni,ada\n"), ("Torn", "no list\n")] {
        let url = super::custom_lists::url(&emulator).await;
        super::custom_lists::put(&emulator, &url, file).await.unwrap();
        let word = json!({ "name": name, "email": "ops@example.org", "filename": "a.csv", "creator": "Ops", "url": url });
        ids.push(send(&emulator, "/upload_custom_list_segment_completed", word).await.1["segmentId"].clone());
    }
    let vip = |status: &str| json!({ "id": ids[0], "name": "VIP", "status": status });
    let first = |status: &str| json!({ "segments": [{ "id": 7, "name": "Lapsed" }, vip(status)], "total_pages": 2, "total_count": 3 });
    assert_eq!(list(1).await, first("Processing"), "its name is taken");
    sleep(Duration::from_secs(60)).await;
    assert_eq!(list(1).await, first("Completed"));
    assert_eq!(list(2).await["segments"], json!([{ "id": ids[1], "name": "Torn", "status": "Failed" }]));
}
