//! Reference 4.1, 4.4, 4.5, 5.4 and 7.2: how people are kept, changed, cleaned and found.

use serde_json::{Map, Value, json};

use super::{DEVICE, accept, emulator, event, get, post, profile, read};
use crate::{Emulator, Loss, Platform, Settings, Store, UnknownProfile};

#[tokio::test]
async fn keys_are_upserted_and_nulls_change_nothing() {
    let emulator = emulator();
    profile(&emulator, json!({ "Plan": "gold", "Score": 7.5, "Count": 7, "MSG-sms": false, "Text": "" })).await;
    let kept = profile(&emulator, json!({ "Plan": null, "Score": 8, "DOB": "$D_631152000" })).await;
    let expected = json!({ "Plan": "gold", "Score": 8, "Count": 7, "MSG-sms": false, "Text": "", "DOB": "$D_631152000" });
    assert_eq!(kept, expected);
}

#[tokio::test]
async fn operators_do_what_the_table_says() {
    let emulator = emulator();
    for (data, key, expected) in [
        (json!({ "l": { "$set": ["a", "b", "a"] } }), "l", json!(["a", "b"])),
        (json!({ "l": { "$add": ["b", "c", 7] } }), "l", json!(["a", "b", "c", "7"])),
        (json!({ "l": { "$remove": ["a", "7"] } }), "l", json!(["b", "c"])),
        (json!({ "l": { "$remove": ["b", "c"] } }), "l", Value::Null),
        (json!({ "l": ["x", "y"] }), "l", json!(["x", "y"])),
        (json!({ "new": { "$add": ["a"] } }), "new", json!(["a"])),
        (json!({ "s": 5 }), "s", json!(5)),
        (json!({ "s": { "$add": ["a"] } }), "s", json!(["5", "a"])),
        (json!({ "r": "one" }), "r", json!("one")),
        (json!({ "r": { "$remove": ["one"] } }), "r", Value::Null),
        (json!({ "n": { "$incr": 3 } }), "n", json!(3)),
        (json!({ "n": { "$decr": 5 } }), "n", json!(-2)),
        (json!({ "n": { "$incr": 0.5 } }), "n", json!(-1.5)),
        (json!({ "n": { "$delete": 1 } }), "n", Value::Null),
        (json!({ "Name": "Ada" }), "Name", json!("Ada")),
        (json!({ "Name": { "$delete": true } }), "Name", Value::Null),
    ] {
        assert_eq!(profile(&emulator, data.clone()).await[key], expected, "{data}");
    }
    assert!(emulator.report().error_stream.is_empty());
}

#[tokio::test]
async fn operators_that_do_not_fit_are_ignored_and_listed() {
    let emulator = emulator();
    let before = profile(&emulator, json!({ "t": "text", "n": 1 })).await;
    let wrong = [
        json!({ "t": { "$incr": 1 } }),
        json!({ "n": { "$incr": 0 } }),
        json!({ "n": { "$incr": "1" } }),
        json!({ "n": { "$decr": -1 } }),
        json!({ "n": { "$add": "a" } }),
        json!({ "n": { "$add": [["a"]] } }),
        json!({ "n": { "$delete": 0 } }),
        json!({ "n": { "$incr": 1, "$decr": 1 } }),
        json!({ "n": { "$push": [1] } }),
        json!({ "Name": { "$add": ["a"] } }),
    ];
    for data in &wrong {
        assert_eq!(profile(&emulator, data.clone()).await, before, "{data}");
    }
    assert_eq!(emulator.report().error_stream, [(Loss::OperatorIgnored, wrong.len() as u64)].into());
    for data in [json!({ "o": { "a": 1 } }), json!({ "o": [[1]] }), json!({ "Name": ["a"] }), json!({ "MSG-sms": "no" })] {
        assert_eq!(profile(&emulator, data.clone()).await, before, "{data}");
    }
    assert_eq!(emulator.report().error_stream[&Loss::ValueDropped], 4);
}

#[tokio::test]
async fn a_list_keeps_the_newest_hundred() {
    let emulator = emulator();
    let items: Vec<String> = (0..101).map(|n| n.to_string()).collect();
    let kept = profile(&emulator, json!({ "l": items })).await;
    assert_eq!(kept["l"], json!(items[1..]));
    assert_eq!(emulator.report().error_stream, [(Loss::ListShortened, 1)].into());
}

#[tokio::test]
async fn long_and_forbidden_text_is_cut_after_the_success() {
    let emulator = emulator();
    let long_key = "é".repeat(61);
    let long = "é".repeat(300);
    let kept = profile(&emulator, json!({ &long_key: 1, "a": &long, "b.#c": 2, "%": 3 })).await;
    assert_eq!(kept, json!({ "é".repeat(60): 1, "a": "é".repeat(256), "bc": 2 }));
    let data = format!(r#"{{"c#d|":"{long}","cd":1,"d'":2,"d":3,"e":4,"'e":5}}"#);
    let body = format!(r#"{{"d":[{{"type":"event","identity":"u1","evtName":"a: b","evtData":{data}}}]}}"#);
    assert_eq!(read(emulator.handle(post("/1/upload", body)).await).0, 200);
    emulator.for_each_event(|event| {
        assert_eq!(event.name, "a b");
        assert_eq!(event.data(), json!({ "c#d": "é".repeat(256), "cd": 1, "d": 3, "e": 5 }));
    });
    let report = emulator.report();
    let expected = [(Loss::KeyCut, 1), (Loss::ValueCut, 2), (Loss::CharactersStripped, 6), (Loss::KeyDropped, 1)];
    assert_eq!(report.error_stream, expected.into());
    assert!(!serde_json::to_string(&report).unwrap().contains(&long));
}

#[tokio::test]
async fn custom_properties_and_event_names_have_a_limit_that_drops_in_silence() {
    let emulator = Emulator::new(Settings { event_names_max: 2, ..Settings::default() });
    let many: Map<String, Value> = (0..257).map(|n| (format!("k{n:03}"), n.into())).collect();
    profile(&emulator, json!({ "Name": "Ada", "Email": "a@b.de" })).await;
    let kept = profile(&emulator, many.into()).await;
    assert_eq!((kept.as_object().unwrap().len(), &kept["k256"]), (258, &Value::Null));
    assert_eq!(profile(&emulator, json!({ "k000": "changed" })).await["k000"], "changed");
    for name in ["a", "b", "c", "a"] {
        accept(&emulator, json!([{ "type": "event", "identity": "u1", "evtName": name }])).await;
    }
    let report = emulator.report();
    assert_eq!((report.event_records, report.events), (4, 3));
    assert_eq!(report.error_stream, [(Loss::ProfileProperties, 1), (Loss::EventNames, 1)].into());
}

#[tokio::test]
async fn a_device_joins_a_person_and_the_old_identity_leads_to_the_new() {
    let emulator = emulator();
    accept(
        &emulator,
        json!([
            { "type": "event", "objectId": DEVICE, "evtName": "Opened" },
            { "type": "profile", "objectId": DEVICE, "profileData": { "Plan": "free", "Seen": 1 } },
            { "type": "profile", "identity": "ada", "profileData": { "Plan": "gold" } },
        ]),
    )
    .await;
    assert_eq!(emulator.profiles_stored(), 2);
    accept(&emulator, json!([{ "type": "profile", "objectId": DEVICE, "profileData": { "identity": "ada" } }])).await;
    let joined = emulator.profile("ada").unwrap();
    assert_eq!(emulator.profile_by_object_id(DEVICE).as_ref(), Some(&joined));
    assert_eq!(joined["profileData"], json!({ "Plan": "gold", "Seen": 1 }));
    assert_eq!(joined["events"]["Opened"]["count"], 1);
    emulator.for_each_event(|event| assert_eq!((event.identity, event.object_id), ("ada", Some(DEVICE))));

    accept(&emulator, json!([{ "type": "profile", "identity": "ada", "profileData": { "identity": 2001, "Plan": "new" } }])).await;
    assert_eq!(emulator.profile("2001"), emulator.profile("ada"));
    assert_eq!(emulator.profile("ada").unwrap()["all_identities"], json!(["ada", "2001"]));

    accept(&emulator, json!([event("other")])).await;
    accept(&emulator, json!([{ "type": "profile", "identity": "ada", "profileData": { "identity": "other" } }])).await;
    assert_eq!(emulator.profiles_stored(), 1);
    assert_eq!(emulator.profile("other").unwrap()["events"]["Viewed"]["count"], 1);
    let mut people = 0;
    emulator.for_each_profile(|_| people += 1);
    assert_eq!(people, 1);
}

#[tokio::test]
async fn the_first_identifier_of_the_reference_counts() {
    let emulator = emulator();
    emulator.add_device("second", Platform::Ios, Some("ios-user"));
    accept(
        &emulator,
        json!([
            { "type": "profile", "identity": "i", "FBID": "f", "GPID": "g", "profileData": { "a": 1 } },
            { "type": "profile", "FBID": "f", "GPID": "g", "profileData": { "a": 2 } },
            { "type": "profile", "objectId": "second", "identity": "i", "profileData": { "a": 3 } },
        ]),
    )
    .await;
    assert_eq!(emulator.profile("i").unwrap()["profileData"]["a"], 1);
    assert_eq!(emulator.profile("ios-user").unwrap()["profileData"]["a"], 3);
    assert_eq!(emulator.profiles_stored(), 3);
}

#[tokio::test]
async fn one_profile_is_found_by_identity_email_and_device() {
    let emulator = emulator();
    emulator.add_device("phone", Platform::Android, Some("cust+1 é"));
    accept(
        &emulator,
        json!([
            { "type": "profile", "identity": "cust+1 é", "profileData": { "Name": "Ada Q", "Email": "ada+x@example.org", "Phone": "+14155550100", "Plan": "gold" } },
            { "type": "event", "identity": "cust+1 é", "ts": 100, "evtName": "Viewed Item" },
            { "type": "event", "identity": "cust+1 é", "ts": 50, "evtName": "Viewed Item" },
            { "type": "token", "objectId": "phone", "tokenData": { "id": "t1", "type": "fcm" } },
        ]),
    )
    .await;
    let record = json!({ "status": "success", "record": {
        "identity": "cust+1 é", "email": "ada+x@example.org", "name": "Ada Q", "phone": "14155550100", "objectId": "phone",
        "profileData": { "Plan": "gold" },
        "events": { "Viewed Item": { "count": 2, "first_seen": 50, "last_seen": 100 } },
        "platformInfo": [{ "platform": "Android", "objectId": "phone", "push_token": "t1" }],
    } });
    for query in ["identity=cust%2B1+%C3%A9", "identity=cust%2B1%20%c3%a9", "email=ada%2Bx%40example.org", "objectId=phone"] {
        let answer = read(emulator.handle(get(&format!("/1/profile.json?{query}"))).await);
        assert_eq!(answer, (200, record.clone()), "{query}");
    }
    for query in ["", "?identity=", "?phone=1", "?identity=a&email=b", "?identity=%zz"] {
        let answer = read(emulator.handle(get(&format!("/1/profile.json{query}"))).await);
        assert_eq!((answer.0, &answer.1["status"]), (400, &json!("fail")), "{query}");
    }
}

#[tokio::test]
async fn an_unknown_person_has_three_forms() {
    let fail = json!({ "status": "fail", "error": "Profile not found", "code": 404 });
    for (unknown_profile, expected) in [
        (UnknownProfile::NotFound, (404, fail.clone())),
        (UnknownProfile::Fail, (200, fail)),
        (UnknownProfile::Null, (200, json!({ "status": "success", "record": null }))),
    ] {
        let emulator = Emulator::new(Settings { unknown_profile, ..Settings::default() });
        assert_eq!(read(emulator.handle(get("/1/profile.json?email=a%40b.de")).await), expected);
    }
}

#[tokio::test]
async fn counts_alone_keep_the_numbers_and_nothing_else() {
    let emulator = Emulator::new(Settings { store: Store::Counts, ..Settings::default() });
    emulator.add_device(DEVICE, Platform::Android, None);
    profile_without_look(&emulator).await;
    accept(&emulator, json!([event("u1"), event("u2")])).await;
    accept(&emulator, json!([{ "type": "token", "objectId": DEVICE, "tokenData": { "id": "t", "type": "fcm" } }])).await;
    let report = emulator.report();
    assert_eq!((report.profile_records, report.event_records, report.token_records), (1, 2, 1));
    assert_eq!((emulator.events_stored(), emulator.tokens_stored(), emulator.profile("u1")), (2, 1, None));
    emulator.for_each_event(|_| panic!("nothing is kept"));
}

async fn profile_without_look(emulator: &Emulator) {
    accept(emulator, json!([{ "type": "profile", "identity": "u1", "profileData": { "Plan": "gold" } }])).await;
}
