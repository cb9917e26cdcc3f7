//! Reference 16: which events and people a query means. The operators one by one are in `query/condition.rs`.

use serde_json::{Value, json};

use super::exports::{NOON, walk};
use super::{emulator, post, read};
use crate::{Emulator, Platform, SeedPerson};

fn shop() -> Emulator {
    let emulator = emulator();
    emulator.seed(|seeder| {
        for (identity, plan, make, platform, gender) in [
            ("ada", "gold", "Acme", Platform::Android, "F"),
            ("bo", "Gold", "Apple", Platform::Ios, "M"),
            ("cy", "free", "Acme", Platform::Android, "F"),
        ] {
            let object_id = format!("__g-{identity}");
            let properties = format!(r#"{{"Plan":"{plan}","Gender":"{gender}","Tags":["x","{identity}"]}}"#);
            let person = seeder.person(SeedPerson {
                identity: Some(identity),
                object_id: Some(&object_id),
                platform,
                properties: &properties,
                make,
                app_version: "5.1",
                ..SeedPerson::default()
            });
            for amount in [10, 50, 90] {
                let properties = format!(r#"{{"Amount":{amount},"Currency":"USD","Gift":{}}}"#, amount == 50);
                let session = Some(r#"{"session_source":"Direct"}"#).filter(|_| amount == 10);
                seeder.event(person, "Charged", NOON, &properties, session);
            }
            if identity != "cy" {
                seeder.event(person, "Viewed Item", NOON, &format!(r#"{{"Sku":"{identity}"}}"#), None);
            }
        }
    });
    emulator
}

/// `identity amount` of what is exported, in order.
async fn found(emulator: &Emulator, filters: &Value) -> String {
    let mut body = json!({ "event_name": "Charged", "from": 20_260_801, "to": 20_260_801 });
    body.as_object_mut().unwrap().extend(filters.as_object().unwrap().clone());
    let pages = walk(emulator, "/1/events.json", "?batch_size=5", &body).await;
    let records = pages.iter().flat_map(|(_, records)| records);
    let mut found: Vec<String> =
        records.map(|record| format!("{} {}", record["profile"]["identity"].as_str().unwrap(), record["event_props"]["Amount"])).collect();
    found.sort_unstable();
    found.join(", ")
}

#[tokio::test]
async fn conditions_are_joined_by_and() {
    let emulator = shop();
    let amount = |operator: &str, value: Value| json!({ "name": "Amount", "operator": operator, "value": value });
    for (filters, expected) in [
        (json!({ "event_properties": [amount("greater_than", json!(50))] }), "ada 90, bo 90, cy 90"),
        (json!({ "event_properties": [amount("between", json!([10, 50])), amount("not_equals", json!(10))] }), "ada 50, bo 50, cy 50"),
        (
            json!({ "event_properties": [amount("equals", json!([10, 90])), { "name": "Currency", "value": "usd" }],
                 "common_profile_properties": { "profile_fields": [{ "name": "Plan", "value": "free" }] } }),
            "cy 10, cy 90",
        ),
        (
            json!({ "event_properties": [{ "name": "Gift", "value": "True" }],
                 "common_profile_properties": { "profile_fields": [{ "name": "Plan", "value": "gold" }] } }),
            "ada 50, bo 50",
        ),
        (json!({ "event_properties": [amount("equals", json!("50"))] }), ""),
        (json!({ "event_properties": [{ "name": "amount", "operator": "exists" }] }), ""),
        (
            json!({ "event_properties": [{ "name": "CT Source", "value": "mobile" }, amount("less_than", json!(11))] }),
            "ada 10, bo 10, cy 10",
        ),
        (json!({ "session_properties": [{ "name": "session_source", "value": "Direct" }] }), "ada 10, bo 10, cy 10"),
        (
            json!({ "event_properties": [], "session_properties": [], "common_profile_properties": { "reachability": {}, "geo_fields": {} },
                 "advanced_query": { "did_any": [] } }),
            "ada 10, ada 50, ada 90, bo 10, bo 50, bo 90, cy 10, cy 50, cy 90",
        ),
    ] {
        assert_eq!(found(&emulator, &filters).await, expected, "{filters}");
    }
}

#[tokio::test]
async fn people_are_chosen_by_what_they_are_and_what_they_did() {
    let emulator = shop();
    let ten = json!([{ "name": "Amount", "value": 10 }]);
    let viewed = |from: u32| json!([{ "event_name": "Viewed Item", "from": from, "to": 20_260_831 }]);
    let sku = json!([{ "event_name": "Viewed Item", "from": 20_260_801, "to": 20_260_801,
                       "event_properties": [{ "name": "Sku", "value": "BO" }] }]);
    for (key, value, expected) in [
        (
            "common_profile_properties",
            json!({ "demographics": [{ "name": "gender", "operator": "equals", "value": "F" }] }),
            "ada 10, cy 10",
        ),
        ("common_profile_properties", json!({ "technographics": [{ "name": "make", "value": "acme" }] }), "ada 10, cy 10"),
        ("common_profile_properties", json!({ "technographics": [{ "name": "os", "value": "iOS" }] }), "bo 10"),
        ("common_profile_properties", json!({ "app_fields": [{ "name": "app_version", "value": "5.1" }] }), "ada 10, bo 10, cy 10"),
        ("common_profile_properties", json!({ "app_fields": [{ "name": "make", "value": "acme" }] }), ""),
        ("common_profile_properties", json!({ "profile_fields": [{ "name": "Tags", "value": "cy" }] }), "cy 10"),
        ("advanced_query", json!({ "did_all": viewed(20_260_801) }), "ada 10, bo 10"),
        ("advanced_query", json!({ "did_all": viewed(20_260_802) }), ""),
        ("advanced_query", json!({ "did_any": [sku[0].clone(), viewed(20_260_802)[0].clone()] }), "bo 10"),
        ("advanced_query", json!({ "did_none": sku }), "ada 10, cy 10"),
        ("advanced_query", json!({ "did_not": viewed(20_260_801) }), "cy 10"),
        ("advanced_query", json!({ "did_all": viewed(20_260_801), "did_none": sku }), "ada 10"),
    ] {
        let filters = json!({ "event_properties": ten, key: value });
        assert_eq!(found(&emulator, &filters).await, expected, "{filters}");
    }
}

#[tokio::test]
async fn a_filter_that_is_not_in_the_language_is_refused() {
    let emulator = shop();
    for filters in [
        json!({ "common_profile_properties": { "reachability": { "email": true } } }),
        json!({ "common_profile_properties": { "geo_fields": [] } }),
        json!({ "common_profile_properties": [] }),
        json!({ "advanced_query": { "did_all": {} } }),
        json!({ "advanced_query": { "did_all": [{ "event_name": "Viewed Item" }] } }),
        json!({ "advanced_query": { "did_all": [{ "from": 20_260_801, "to": 20_260_801 }] } }),
        json!({ "advanced_query": { "did_all": [{ "event_name": "Charged", "from": 20_260_801, "to": 20_260_801, "groups": 1 }] } }),
        json!({ "session_properties": [{ "name": "a", "operator": "lte", "value": 1 }] }),
    ] {
        let mut body = json!({ "event_name": "Charged", "from": 20_260_801, "to": 20_260_801 });
        body.as_object_mut().unwrap().extend(filters.as_object().unwrap().clone());
        for path in ["/1/events.json", "/1/profiles.json", "/1/counts/events.json", "/1/counts/profiles.json"] {
            let (status, answer) = read(emulator.handle(post(path, body.to_string())).await);
            assert_eq!((status, &answer["status"], &answer["code"]), (400, &json!("fail"), &json!(400)), "{path} {filters}");
        }
    }
    let unknown = json!({ "event_name": "Charged", "from": 20_260_801, "to": 20_260_801,
                          "advanced_query": { "did_none": [{ "event_name": "Nothing", "from": 20_260_801, "to": 20_260_801 }] } });
    let (status, answer) = read(emulator.handle(post("/1/events.json", unknown.to_string())).await);
    assert_eq!((status, &answer["error"]), (200, &json!("[\"Invalid event : Nothing\"]")));
}
