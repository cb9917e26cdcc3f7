//! Reference 8: counts, trends, top values, now.

use std::time::Duration;

use chrono_tz::Tz;
use serde_json::{Value, json};

use super::exports::{NOON, day, project};
use super::{fail, get, post, read};
use crate::{Emulator, Rule, SeedPerson, Settings};

fn at_once() -> Settings {
    Settings { polls_until_ready: 0, ..Settings::default() }
}

async fn ask(emulator: &Emulator, path: &str, body: &Value) -> (u16, Value) {
    read(emulator.handle(post(path, body.to_string())).await)
}

#[tokio::test(start_paused = true)]
async fn a_count_is_polled_until_it_is_ready_and_lives_an_hour() {
    let emulator = project(Settings::default(), 7);
    let (status, asked) = ask(&emulator, "/1/counts/events.json", &day()).await;
    let id = asked["req_id"].as_i64().unwrap();
    assert_eq!((status, &asked), (200, &json!({ "status": "partial", "req_id": id })));
    assert!(id > 1 << 53 && (id as f64) as i64 != id, "no float can hold {id}");
    let poll = format!("/1/counts/events.json?req_id={id}");
    assert_eq!(read(emulator.handle(get(&poll)).await), (200, asked));
    let ready = (200, json!({ "status": "success", "count": 7 }));
    assert_eq!(read(emulator.handle(post(&poll, "")).await), ready, "by POST too");
    assert_eq!(read(emulator.handle(get(&poll)).await), ready, "and again");
    let invalid = fail(400, "Invalid request id");
    for wrong in [format!("/1/counts/profiles.json?req_id={id}"), format!("{poll}0"), "/1/counts/top.json?req_id=x".to_owned()] {
        assert_eq!(read(emulator.handle(get(&wrong)).await), invalid, "{wrong}");
    }
    tokio::time::sleep(Duration::from_secs(3601)).await;
    assert_eq!(read(emulator.handle(get(&poll)).await), invalid);
    let report = emulator.report();
    assert_eq!((report.polls, report.rules_broken), (7, [(Rule::RequestId, 4)].into()));
}

#[tokio::test]
async fn counts_are_of_occurrences_or_of_people_and_take_the_filters_of_an_export() {
    let emulator = project(at_once(), 3);
    emulator.seed(|seeder| {
        let again = seeder.person(SeedPerson { identity: Some("cust-0"), ..SeedPerson::default() });
        seeder.event(again, "Viewed Item", NOON, r#"{"Number":99}"#, None);
    });
    let mut body = day();
    for (filters, events, people) in [(json!([]), 4, 3), (json!([{ "name": "Number", "operator": "greater_than", "value": 1 }]), 2, 2)] {
        body["event_properties"] = filters;
        assert_eq!(ask(&emulator, "/1/counts/events.json", &body).await, (200, json!({ "status": "success", "count": events })));
        assert_eq!(ask(&emulator, "/1/counts/profiles.json", &body).await, (200, json!({ "status": "success", "count": people })));
    }
    let unknown = json!({ "event_name": "Nothing", "from": 20_260_801, "to": 20_260_801 });
    let (status, answer) = ask(&emulator, "/1/counts/events.json", &unknown).await;
    assert_eq!((status, answer["error"].as_str().unwrap()), (200, "[\"Invalid event : Nothing\"]"), "at once, without polls");
    body["groups"] = json!({});
    assert_eq!(ask(&emulator, "/1/counts/events.json", &body).await.0, 400);
}

fn diary(settings: Settings) -> Emulator {
    let emulator = Emulator::new(settings);
    emulator.seed(|seeder| {
        let ids = ["ada", "bo"].map(|identity| seeder.person(SeedPerson { identity: Some(identity), ..SeedPerson::default() }));
        // 2027-01-01 is a Friday of ISO week 53 of 2026; 03:00 UTC is still the evening before in New York.
        for (person, ts, amount) in [(0, 0, "5"), (0, 60, "7"), (1, 3 * 86_400, "\"9\""), (1, 40 * 86_400, "1.5")] {
            seeder.event(ids[person], "Charged", 1_798_772_400 + ts, &format!(r#"{{"Amount":{amount}}}"#), None);
        }
    });
    emulator
}

#[tokio::test]
async fn trends_have_days_iso_weeks_and_months_of_the_project_and_no_zeros() {
    let groups = json!({ "d": { "trend_type": "daily" }, "w": { "trend_type": "weekly" }, "m": { "trend_type": "monthly" } });
    let base = json!({ "event_name": "Charged", "from": 20_261_201, "to": 20_270_331, "groups": groups });
    let with = |key: &str, value: Value| {
        let mut body = base.clone();
        body[key] = value;
        body
    };
    let utc = diary(at_once());
    let new_york = diary(Settings { time_zone: Tz::America__New_York, ..at_once() });
    for (emulator, body, expected) in [
        (
            &utc,
            base.clone(),
            json!({ "status": "success", "d": { "20270101": 2, "20270104": 1, "20270210": 1 },
            "w": { "202653": 2, "202701": 1, "202706": 1 }, "m": { "202701": 3, "202702": 1 } }),
        ),
        (
            &utc,
            with("unique", json!(true)),
            json!({ "status": "success", "d": { "20270101": 1, "20270104": 1, "20270210": 1 },
            "w": { "202653": 1, "202701": 1, "202706": 1 }, "m": { "202701": 2, "202702": 1 } }),
        ),
        (
            &utc,
            with("sum_event_prop", json!("Amount")),
            json!({ "status": "success", "d": { "20270101": 12, "20270210": 1.5 },
            "w": { "202653": 12, "202706": 1.5 }, "m": { "202701": 12, "202702": 1.5 } }),
        ),
        (
            &new_york,
            base.clone(),
            json!({ "status": "success", "d": { "20261231": 2, "20270103": 1, "20270209": 1 },
            "w": { "202653": 3, "202706": 1 }, "m": { "202612": 2, "202701": 1, "202702": 1 } }),
        ),
    ] {
        assert_eq!(ask(emulator, "/1/counts/trends.json", &body).await, (200, expected), "{body}");
    }
    let daily = json!({ "trend_type": "daily" });
    let six: Value = (0..6).map(|n| (format!("g{n}"), daily.clone())).collect::<serde_json::Map<_, _>>().into();
    for (key, value) in [
        ("to", json!(20_271_201)),
        ("groups", six),
        ("groups", json!({})),
        ("groups", Value::Null),
        ("groups", json!({ "status": daily })),
        ("groups", json!({ "req_id": daily })),
        ("groups", json!({ "error": daily })),
        ("groups", json!({ "code": daily })),
        ("groups", json!({ "d": { "trend_type": "hourly" } })),
        ("groups", json!({ "d": { "trend_type": "daily", "x": 1 } })),
        ("unique", json!("true")),
        ("sum_event_prop", json!(1)),
    ] {
        let body = with(key, value);
        assert_eq!(ask(&utc, "/1/counts/trends.json", &body).await.0, 400, "{body}");
    }
    assert_eq!(ask(&utc, "/1/counts/trends.json", &with("to", json!(20_271_130))).await.0, 200, "a whole year");
}

#[tokio::test]
async fn top_values_are_nested_under_their_type() {
    let emulator = Emulator::new(at_once());
    emulator.seed(|seeder| {
        let ada = seeder.person(SeedPerson {
            object_id: Some("__g1"),
            properties: r#"{"Plan":"gold","Tags":["x","y"]}"#,
            app_version: "5.1",
            ..SeedPerson::default()
        });
        for (count, value) in [(3, "\"gold\""), (2, "\"silver\""), (4, "7"), (1, "true"), (5, "\"$D_86400\""), (1, "\"a\\\"b\"")] {
            for _ in 0..count {
                seeder.event(ada, "Viewed Item", NOON, &format!(r#"{{"v":{value}}}"#), Some(r#"{"session_source":"Direct"}"#));
            }
        }
    });
    let group = |kind: &str, name: &str| json!({ "property_type": kind, "name": name });
    let mut body = day();
    body["groups"] = json!({
        "a": { "property_type": "event_properties", "name": "v" },
        "b": { "property_type": "event_properties", "name": "v", "top_n": 2, "order": "desc" },
        "c": { "property_type": "event_properties", "name": "v", "top_n": 2, "order": "asc" },
        "d": group("profile_fields", "Tags"),
        "e": group("session_properties", "session_source"),
    });
    let expected = json!({ "status": "success",
        "a": { "STR": { "gold": 3, "silver": 2, "a\"b": 1 }, "NUM": { "7": 4 }, "BOOL": { "true": 1 }, "DATE": { "$D_86400": 5 } },
        "b": { "NUM": { "7": 4 }, "DATE": { "$D_86400": 5 } },
        "c": { "BOOL": { "true": 1 }, "STR": { "a\"b": 1 } },
        "d": { "STR": { "x": 16, "y": 16 } },
        "e": { "STR": { "Direct": 16 } },
    });
    assert_eq!(ask(&emulator, "/1/counts/top.json", &body).await, (200, expected));
    body["groups"] =
        json!({ "f": group("technographics", "os"), "g": group("app_fields", "app_version"), "h": group("geo_fields", "city") });
    let expected = json!({ "status": "success", "f": { "STR": { "Android": 16 } }, "g": { "STR": { "5.1": 16 } }, "h": {} });
    assert_eq!(ask(&emulator, "/1/counts/top.json", &body).await, (200, expected));
    for wrong in [
        json!({ "property_type": "event_property", "name": "v" }),
        json!({ "property_type": "event_properties" }),
        json!({ "property_type": "event_properties", "name": "v", "top_n": 0 }),
        json!({ "property_type": "event_properties", "name": "v", "top_n": 101 }),
        json!({ "property_type": "event_properties", "name": "v", "order": "up" }),
    ] {
        body["groups"] = json!({ "g": wrong });
        assert_eq!(ask(&emulator, "/1/counts/top.json", &body).await.0, 400, "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn now_is_the_last_five_minutes_of_the_account_s_clock() {
    let emulator = Emulator::new(Settings::default());
    let now = emulator.settings().started_at;
    emulator.seed(|seeder| {
        for (identity, ts) in [("old", now - 301), ("both", now - 5000), ("both", now - 10), ("new", now - 299), ("future", now + 100)] {
            let object_id = format!("__g-{identity}");
            let person = SeedPerson { identity: Some(identity), object_id: Some(&object_id), ..SeedPerson::default() };
            let person = seeder.person(person);
            seeder.event(person, "App Launched", ts, "{}", Some(r#"{"session_source":"Direct"}"#));
        }
    });
    let body = json!({ "user_type": true, "os": true, "session_source": true, "browser": false });
    let expected = json!({ "status": "success", "count": 2, "user_type": { "new": 1, "returning": 1 }, "os": { "Android": 2 },
                           "session_source": { "Direct": 2 } });
    assert_eq!(ask(&emulator, "/1/now.json", &body).await, (200, expected));
    assert_eq!(ask(&emulator, "/1/now.json", &json!({})).await, (200, json!({ "status": "success", "count": 2 })));
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(ask(&emulator, "/1/now.json", &json!({})).await, (200, json!({ "status": "success", "count": 0 })));
    for wrong in [json!({ "users": true }), json!({ "os": 1 }), json!([])] {
        assert_eq!(ask(&emulator, "/1/now.json", &wrong).await.0, 400, "{wrong}");
    }
}
