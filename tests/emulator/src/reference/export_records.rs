//! Reference 4.5, 6.5, 7.1: what an exported record carries, by flag, by person, by source.

use chrono_tz::Tz;
use serde_json::{Value, json};

use super::exports::{NOON, day, walk};
use super::{accept, emulator};
use crate::{Emulator, Platform, SeedPerson, Settings, TopObjectId};

/// Ada on her phone, somebody anonymous, and Bo, who was uploaded.
async fn people(settings: Settings) -> Emulator {
    let emulator = Emulator::new(settings);
    emulator.seed(|seeder| {
        let ada = seeder.person(SeedPerson {
            identity: Some("ada"),
            object_id: Some("__g01"),
            name: Some("Ada \"Q\""),
            email: Some("ada@example.org"),
            phone: Some("+14155550100"),
            properties: r#"{ "Plan": "gold", "Score": 7.5, "Since": "$D_1767225600", "Tags": ["a", "b"] }"#,
            os_version: "14",
            app_version: "5.1",
            make: "Acme",
            model: "One",
            ..SeedPerson::default()
        });
        seeder.event(ada, "Viewed Item", NOON, r#"{"Sku":"A-9","Price":12.5}"#, Some(r#"{"session_source":"Direct"}"#));
        seeder.event(ada, "App Launched", NOON - 60, "{}", None);
        let nobody = seeder.person(SeedPerson { object_id: Some("-web1"), platform: Platform::Web, ..SeedPerson::default() });
        seeder.event(nobody, "Viewed Item", NOON + 1, "{}", None);
    });
    accept(
        &emulator,
        json!([
            { "type": "profile", "identity": "bo", "profileData": { "Name": "Bo", "Plan": "free" } },
            { "type": "event", "identity": "bo", "ts": NOON + 2, "evtName": "Viewed Item", "evtData": { "Sku": "A-1" } },
        ]),
    )
    .await;
    emulator
}

/// The exported records by identity; the anonymous one has none.
async fn records(emulator: &Emulator, path: &str, query: &str) -> [Value; 3] {
    let pages = walk(emulator, path, query, &day()).await;
    let mut records: Vec<Value> = pages.into_iter().flat_map(|(_, records)| records).collect();
    let identity = |record: &Value| record.pointer("/profile/identity").or(record.get("identity")).map(ToString::to_string);
    records.sort_by_key(identity);
    records.try_into().unwrap()
}

#[tokio::test]
async fn without_flags_an_event_names_its_person_and_nothing_more() {
    let emulator = people(Settings::default()).await;
    let [nobody, ada, bo] = records(&emulator, "/1/events.json", "?profile=false&events=false&app=false").await;
    let expected = json!({
        "profile": { "objectId": "__g01", "platform": "Android", "name": "Ada \"Q\"", "email": "ada@example.org", "phone": "14155550100",
                     "identity": "ada", "all_identities": "ada" },
        "session_props": { "session_source": "Direct" },
        "ts": 20_260_801_120_000_u64,
        "event_props": { "Sku": "A-9", "Price": 12.5, "CT Source": "Mobile", "CT App Version": "5.1", "CT OS Version": "14",
                         "CT SDK Version": 70_304, "CT Session Id": NOON },
    });
    assert_eq!(ada, expected);
    let source = json!({ "CT Source": "Web", "CT SDK Version": 70_304, "CT Session Id": NOON });
    let expected = json!({
        "profile": { "objectId": "-web1", "platform": "Web" }, "session_props": {}, "ts": 20_260_801_120_001_u64, "event_props": source,
    });
    assert_eq!(nobody, expected, "anonymous people lack name, email, phone and identity");
    let expected = json!({
        "profile": { "name": "Bo", "identity": "bo", "all_identities": "bo" },
        "session_props": {}, "ts": 20_260_801_120_002_u64, "event_props": { "Sku": "A-1", "CT Source": "API" },
    });
    assert_eq!(bo, expected);
}

#[tokio::test]
async fn flags_add_the_app_the_properties_and_the_summary() {
    let emulator = people(Settings::default()).await;
    let [_, ada, _] = records(&emulator, "/1/events.json", "?app=true&events=false&profile=false").await;
    let profile = &ada["profile"];
    let details = ["os_version", "app_version", "make", "model"].map(|key| profile[key].as_str().unwrap());
    assert_eq!((details, profile["df"].is_object()), (["14", "5.1", "Acme", "One"], true));
    assert_eq!((profile.get("profileData"), profile.get("events")), (None, None));
    let [nobody, ada, bo] = records(&emulator, "/1/events.json", "").await;
    let expected = json!({ "Plan": "gold", "Score": 7.5, "Since": "$D_1767225600", "Tags": ["a", "b"] });
    assert_eq!(ada["profile"]["profileData"], expected, "properties and summary are on unless they are switched off");
    let expected = json!({
        "App Launched": { "count": 1, "first_seen": NOON - 60, "last_seen": NOON - 60 },
        "Viewed Item": { "count": 1, "first_seen": NOON, "last_seen": NOON },
    });
    assert_eq!((&ada["profile"]["events"], ada["profile"].get("os_version")), (&expected, None));
    assert_eq!((&bo["profile"]["profileData"], &nobody["profile"]["profileData"]), (&json!({ "Plan": "free" }), &json!({})));
}

#[tokio::test]
async fn profiles_show_people_once_with_their_devices() {
    let emulator = people(Settings::default()).await;
    let [nobody, ada, bo] = records(&emulator, "/1/profiles.json", "?app=true").await;
    let expected = json!({
        "identity": "ada", "email": "ada@example.org", "name": "Ada \"Q\"", "phone": "14155550100", "objectId": "__g01",
        "profileData": { "Plan": "gold", "Score": 7.5, "Since": "$D_1767225600", "Tags": ["a", "b"] },
        "events": {
            "App Launched": { "count": 1, "first_seen": NOON - 60, "last_seen": NOON - 60 },
            "Viewed Item": { "count": 1, "first_seen": NOON, "last_seen": NOON },
        },
        "platformInfo": [{ "platform": "Android", "os_version": "14", "app_version": "5.1", "make": "Acme", "model": "One",
                           "objectId": "__g01", "ls": NOON }],
    });
    assert_eq!(ada, expected);
    assert_eq!((&nobody["objectId"], &bo["platformInfo"], bo.get("objectId")), (&json!("-web1"), &json!([]), None));
    let [_, ada, _] = records(&emulator, "/1/profiles.json", "?events=false&profile=false").await;
    assert_eq!((ada.get("events"), ada.get("profileData"), ada["platformInfo"][0].get("make")), (None, None, None));
    let emulator = people(Settings { top_object_id: TopObjectId::Never, ..Settings::default() }).await;
    let [_, ada, _] = records(&emulator, "/1/profiles.json", "").await;
    assert_eq!((ada.get("objectId"), &ada["platformInfo"][0]["objectId"]), (None, &json!("__g01")));
}

#[tokio::test]
async fn profiles_need_no_event_but_somebody_who_did_something_that_is_exported() {
    let emulator = emulator();
    emulator.seed(|seeder| {
        let named = seeder.person(SeedPerson { identity: Some("named"), ..SeedPerson::default() });
        seeder.event(named, "Notification Sent", 1_767_000_000, "{}", None);
        let old = seeder.person(SeedPerson { identity: Some("old"), ..SeedPerson::default() });
        seeder.event(old, "Charged", 1_700_000_000, "{}", None);
        let new = seeder.person(SeedPerson { identity: Some("new"), ..SeedPerson::default() });
        seeder.event(new, "Charged", 1_767_000_000, "{}", None);
        seeder.event(new, "Viewed", 1_767_000_000, "{}", None);
        seeder.person(SeedPerson { identity: Some("idle"), ..SeedPerson::default() });
    });
    for (body, expected) in [
        (json!({}), vec!["new"]),
        (json!({ "from": 20_230_101, "to": 20_260_101 }), vec!["new", "old"]),
        (json!({ "event_name": "Charged", "from": 20_230_101, "to": 20_231_231 }), vec!["old"]),
    ] {
        let pages = walk(&emulator, "/1/profiles.json", "", &body).await;
        let mut found: Vec<&str> = pages.iter().flat_map(|(_, records)| records).map(|one| one["identity"].as_str().unwrap()).collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{body}");
    }
}

#[tokio::test]
async fn days_and_times_are_those_of_the_project_and_follow_its_clock_changes() {
    let emulator = Emulator::new(Settings { time_zone: Tz::America__New_York, ..Settings::default() });
    // 2026-03-08, when New York's clocks went from 02:00 to 03:00: the day began at 05:00 UTC and had 23 hours.
    let begin = 1_772_946_000;
    emulator.seed(|seeder| {
        let ada = seeder.person(SeedPerson { identity: Some("ada"), ..SeedPerson::default() });
        for (ts, name) in [(-1, "a"), (0, "b"), (2 * 3600 - 1, "c"), (2 * 3600, "d"), (23 * 3600 - 1, "e"), (23 * 3600, "f")] {
            seeder.event(ada, "Tick", begin + ts, &format!("{{\"n\":\"{name}\"}}"), None);
        }
    });
    let body = json!({ "event_name": "Tick", "from": 20_260_308, "to": 20_260_308 });
    let pages = walk(&emulator, "/1/events.json", "", &body).await;
    let found: Vec<(&str, u64)> =
        pages[0].1.iter().map(|record| (record["event_props"]["n"].as_str().unwrap(), record["ts"].as_u64().unwrap())).collect();
    let expected = [("b", 20_260_308_000_000), ("c", 20_260_308_015_959), ("d", 20_260_308_030_000), ("e", 20_260_308_235_959)];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn the_person_of_an_event_is_today_s() {
    let emulator = people(Settings::default()).await;
    let pages = walk(&emulator, "/1/events.json", "", &day()).await;
    assert_eq!(pages[0].1.len(), 3);
    accept(
        &emulator,
        json!([
            { "type": "profile", "identity": "ada", "profileData": { "Name": "Ada L", "Plan": "none", "identity": "ada-2" } },
            { "type": "profile", "objectId": "-web1", "profileData": { "identity": "ada" } },
        ]),
    )
    .await;
    let all = walk(&emulator, "/1/events.json", "", &day()).await;
    let joined: Vec<&Value> = all[0].1.iter().map(|record| &record["profile"]).filter(|one| one["identity"] == "ada").collect();
    assert_eq!(joined.len(), 2, "the anonymous device is hers now");
    for profile in joined {
        assert_eq!((&profile["name"], &profile["profileData"]["Plan"]), (&json!("Ada L"), &json!("none")));
        assert_eq!(profile["all_identities"], "ada,ada-2");
        assert_eq!(profile["profileData"].get("Name"), None);
    }
}

#[tokio::test]
async fn the_order_of_keys_is_not_fixed() {
    let emulator = super::exports::project(Settings::default(), 20);
    let cursor = super::exports::open(&emulator, "/1/events.json", &day()).await;
    let answer = emulator.handle(super::get(&format!("/1/events.json?cursor={cursor}"))).await.unwrap();
    let text = std::str::from_utf8(answer.body()).unwrap();
    let first_keys = ["{\"profile\":", "{\"session_props\":", "{\"ts\":", "{\"event_props\":"];
    assert!(first_keys.iter().all(|key| text.contains(key)), "{text}");
    assert!(!text.contains("Viewed Item\":{\"Number"), "no event name in a record");
}

#[tokio::test]
async fn what_the_properties_state_themselves_is_not_added_again() {
    let emulator = emulator();
    emulator.seed(|seeder| {
        let ada = seeder.person(SeedPerson { object_id: Some("__g01"), ..SeedPerson::default() });
        seeder.event(ada, "Viewed Item", NOON, r#" { "CT Source" : "Roku" } "#, None);
        seeder.event(ada, "Viewed Item", NOON, "{ }", None);
    });
    let pages = walk(&emulator, "/1/events.json", "", &day()).await;
    assert_eq!(pages[0].1[0]["event_props"], json!({ "CT Source": "Roku" }));
    assert_eq!(pages[0].1[1]["event_props"]["CT Source"], "Mobile");
}

#[tokio::test]
async fn a_name_that_is_no_text_is_shown_as_it_is_kept() {
    let emulator = emulator();
    accept(
        &emulator,
        json!([
            { "type": "profile", "identity": "ada", "profileData": { "Name": 7, "Phone": "+14155550100" } },
            { "type": "event", "identity": "ada", "ts": NOON, "evtName": "Viewed Item" },
        ]),
    )
    .await;
    let pages = walk(&emulator, "/1/events.json", "", &day()).await;
    let profile = &pages[0].1[0]["profile"];
    assert_eq!((&profile["name"], &profile["phone"], &profile["profileData"]), (&json!(7), &json!("14155550100"), &json!({})));
}
