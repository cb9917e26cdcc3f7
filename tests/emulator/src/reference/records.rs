//! Reference 5.1 to 5.7 and 18.3: one record at a time, its code, its text, and which rule comes first.

use serde_json::{Map, Value, json};

use super::{DEVICE, accept, emulator, event, post, read, upload};
use crate::{Emulator, Platform, Settings};

/// What the only record of a body is refused with: code and text without the number.
async fn refusal(emulator: &Emulator, record: Value) -> (u64, String) {
    let (status, answer) = upload(emulator, json!([record])).await;
    assert_eq!((status, &answer["status"], &answer["processed"]), (200, &json!("fail"), &json!(0)), "{answer}");
    let refused = &answer["unprocessed"][0];
    assert_eq!(refused["status"], "fail");
    let text = refused["error"].as_str().unwrap();
    (refused["code"].as_u64().unwrap(), text.strip_suffix("Skipped record number : 1").unwrap().to_owned())
}

async fn code(emulator: &Emulator, record: Value) -> u64 {
    refusal(emulator, record).await.0
}

fn person(data: &Value) -> Value {
    json!({ "type": "profile", "identity": "u1", "profileData": data })
}

fn happening(name: &str, data: &Value) -> Value {
    json!({ "type": "event", "identity": "u1", "evtName": name, "evtData": data })
}

#[tokio::test]
async fn recorded_texts_are_given_word_for_word() {
    let emulator = emulator();
    let mut late = person(&json!({}));
    late["ts"] = json!(0);
    for (record, code, text) in [
        (person(&json!({ "Email": "nope" })), 515, "Profile data is incorrect. Email is not valid."),
        (person(&json!({ "Phone": "223" })), 516, "Profile data is incorrect. Phone number is not valid."),
        (person(&json!({ "Employed": "x" })), 517, "Profile data is incorrect. Employed needs to be Y/N."),
        (person(&json!({ "Education": "x" })), 518, "Profile data is incorrect. Education needs to be School/College/Graduate.."),
        (person(&json!({ "Married": "x" })), 519, "Profile data is incorrect. Married needs to be Y/N."),
        (person(&json!({ "Age": "aa" })), 520, "Profile data is incorrect. Age is invalid."),
        (late, 525, "Timestamp should be present in the Unix Epoch format. "),
        (happening("", &json!({})), 509, "Event Name is incorrect. ErrorCode: 509 - Event name is mandatory. "),
        (
            happening("App Launched", &json!({})),
            513,
            "Event Name is incorrect. ErrorCode: 513 - Trying to raise a restricted system event. ",
        ),
    ] {
        assert_eq!(refusal(&emulator, record).await, (code, text.to_owned()));
    }
    assert_eq!(emulator.report().records_refused.len(), 9);
}

#[tokio::test]
async fn every_other_code_can_be_met() {
    let emulator = Emulator::new(Settings { event_properties_max: 2, discarded_events: vec!["Gone".to_owned()], ..Settings::default() });
    emulator.add_device(DEVICE, Platform::Android, None);
    emulator.add_device("web", Platform::Web, None);
    let token = |id: &str, data: Value| json!({ "type": "token", "objectId": id, "tokenData": data });
    let items = |count: usize| json!({ "Items": vec![json!({ "Name": "tea" }); count] });
    for (record, expected) in [
        (json!(7), 524),
        (json!({ "identity": "u1" }), 524),
        (json!({ "type": "Profile", "identity": "u1", "profileData": {} }), 524),
        (json!({ "type": "profile", "identity": "u1" }), 524),
        (json!({ "type": "profile", "profileData": {} }), 523),
        (json!({ "type": "event", "identity": null, "evtName": "a" }), 523),
        (json!({ "type": "event", "identity": "", "evtName": "a" }), 523),
        (json!({ "type": "event", "identity": true, "evtName": "a" }), 523),
        (json!({ "type": "event", "objectId": "unknown", "evtName": "a" }), 526),
        (json!({ "type": "profile", "objectId": 7, "identity": "u1", "profileData": {} }), 526),
        (json!({ "type": "event", "identity": "u1", "ts": "1767225600", "evtName": "a" }), 525),
        (json!({ "type": "event", "identity": "u1", "ts": 1.5, "evtName": "a" }), 525),
        (json!({ "type": "event", "identity": "u1", "ts": -1, "evtName": "a" }), 525),
        (json!({ "type": "event", "identity": "u1", "ts": null, "evtName": "a" }), 525),
        (json!({ "type": "event", "identity": "u1", "ts": 1_767_225_600_000_u64, "evtName": "a" }), 525),
        (json!({ "type": "event", "identity": "u1" }), 509),
        (json!({ "type": "event", "identity": "u1", "evtName": 7 }), 509),
        (happening("Session Concluded", &json!({})), 513),
        (happening("Gone", &json!({})), 528),
        (happening("a", &json!(null)), 512),
        (happening("a", &json!([])), 512),
        (happening("a", &json!({ "x": [1] })), 512),
        (happening("a", &json!({ "x": {} })), 512),
        (happening("a", &items(1)), 512),
        (happening("Charged", &json!({ "Items": "tea" })), 512),
        (happening("Charged", &json!({ "Items": ["tea"] })), 512),
        (happening("Charged", &json!({ "Items": [{ "a": [] }] })), 512),
        (happening("Charged", &json!({ "Other": [{ "a": 1 }] })), 512),
        (happening("Charged", &items(257)), 522),
        (happening("a", &json!({ "x": 1, "y": 2, "z": 3 })), 522),
        (person(&json!({ "Gender": "x" })), 514),
        (token("unknown", json!({ "id": "t", "type": "fcm" })), 530),
        (json!({ "type": "token", "identity": "u1", "tokenData": { "id": "t", "type": "fcm" } }), 530),
        (json!({ "type": "token", "objectId": DEVICE }), 531),
        (token(DEVICE, json!({ "type": "fcm" })), 532),
        (token(DEVICE, json!({ "id": "t" })), 533),
        (token(DEVICE, json!({ "id": "t", "type": "apns" })), 534),
        (token("web", json!({ "id": "t", "type": "chrome" })), 535),
    ] {
        assert_eq!(code(&emulator, record.clone()).await, expected, "{record}");
    }
    accept(
        &emulator,
        json!([
            happening("Charged", &items(256)),
            happening("a", &json!({ "x": 1, "y": 2, "z": null })),
            happening("App Installed", &json!({})),
            { "type": "event", "identity": "u1", "ts": 9_999_999_999_u64, "evtName": "no data" },
            token("web", json!({ "id": "t", "type": "chrome", "keys": { "p256dh": "p", "auth": "a" } })),
            token(DEVICE, json!({ "id": "t", "type": "gcm" })),
        ]),
    )
    .await;
}

#[tokio::test]
async fn own_texts_keep_the_pattern_of_the_blank_before_skipped() {
    let emulator = emulator();
    let (_, profile) = refusal(&emulator, person(&json!({ "Gender": "x" }))).await;
    assert!(profile.starts_with("Profile data is incorrect. ") && profile.ends_with('.'), "{profile}");
    for record in [
        json!({}),
        json!({ "type": "event" }),
        json!({ "type": "event", "objectId": "unknown" }),
        happening("a", &json!(1)),
        json!({ "type": "token" }),
    ] {
        let (_, text) = refusal(&emulator, record).await;
        assert!(text.ends_with(". "), "{text}");
    }
}

#[tokio::test]
async fn the_first_rule_in_the_order_of_the_reference_is_reported() {
    let emulator = emulator();
    // Each step mends the fault that was reported.
    let mut event = json!({ "type": "x", "objectId": "unknown", "ts": 0, "evtData": { "a": [] } });
    for (key, value, expected) in [
        ("type", json!("event"), 524),
        ("objectId", json!(null), 526),
        ("identity", json!("u1"), 523),
        ("ts", json!(1), 525),
        ("evtName", json!("Stayed"), 509),
        ("evtName", json!("Viewed"), 513),
        ("evtData", json!((0..101).map(|n| (format!("k{n}"), json!(n))).collect::<Map<_, _>>()), 512),
        ("evtData", json!({}), 522),
    ] {
        assert_eq!(code(&emulator, event.clone()).await, expected, "{event}");
        event[key] = value;
    }
    accept(&emulator, json!([event])).await;

    let mut data = json!({
        "Gender": "x", "Email": "x", "Phone": "x", "Employed": "x", "Education": "x", "Married": "x", "Age": "x",
    });
    for (key, value, expected) in [
        ("Gender", json!("female"), 514),
        ("Email", json!("a.b+c@example.co.uk"), 515),
        ("Phone", json!("+14155550100"), 516),
        ("Employed", json!("Y"), 517),
        ("Education", json!("College"), 518),
        ("Married", json!("N"), 519),
        ("Age", json!("18"), 520),
    ] {
        assert_eq!(code(&emulator, person(&data)).await, expected);
        data[key] = value;
    }
    accept(&emulator, json!([person(&data)])).await;
}

#[tokio::test]
async fn standard_fields_are_checked_strictly() {
    let emulator = emulator();
    let wrong: [(&str, u64, &[Value]); 4] = [
        ("Email", 515, &[json!(""), json!("a@b"), json!("a b@c.de"), json!("a@b@c.de"), json!("a@.de"), json!(7), json!(["a@b.de"])]),
        (
            "Phone",
            516,
            &[
                json!("14155550100"),
                json!("++14155550100"),
                json!(14_155_550_100_u64),
                json!("+1415"),
                json!("+1 415 555 0100"),
                json!("+1234567890123456"),
            ],
        ),
        ("Employed", 517, &[json!("y"), json!(true), json!("Yes")]),
        ("Age", 520, &[json!(""), json!(true), json!(-1), json!("18.5")]),
    ];
    for (key, expected, values) in wrong {
        for value in values {
            assert_eq!(code(&emulator, person(&json!({ key: value }))).await, expected, "{key} {value}");
        }
    }
    accept(&emulator, json!([person(&json!({ "Email": null, "Phone": { "$delete": 1 }, "Gender": "U", "Age": 18 }))])).await;
}

#[tokio::test]
async fn records_count_from_1_and_a_mixed_body_is_partial() {
    let emulator = emulator();
    let bad = json!({ "identity": "u2", "type": "profile", "profileData": { "Email": "nope" } });
    let expected = json!({
        "status": "partial",
        "processed": 2,
        "unprocessed": [
            {
                "status": "fail",
                "code": 515,
                "error": "Profile data is incorrect. Email is not valid.Skipped record number : 2",
                "record": bad,
            },
            {
                "status": "fail",
                "code": 524,
                "error": "Type should be either profile or event. Skipped record number : 4",
                "record": { "identity": 7 },
            },
        ],
    });
    let records = json!([event("u1"), bad, event("u3"), { "identity": 7 }]);
    assert_eq!(upload(&emulator, records).await, (200, expected));
    assert_eq!(upload(&emulator, json!([])).await.1["status"], "success");
    assert_eq!(upload(&emulator, json!([bad, bad])).await.1["status"], "fail");
    let report = emulator.report();
    assert_eq!((report.events, report.profiles, report.profile_records), (2, 2, 0), "no part of a refused record");
}

#[tokio::test]
async fn the_phone_is_echoed_as_a_number_once_it_passed() {
    let emulator = emulator();
    let data = |key: &str| json!({ "Phone": "+14155550100", key: "x", "identity": 7 });
    for (key, phone) in [
        ("Gender", json!("+14155550100")),
        ("Email", json!("+14155550100")),
        ("Employed", json!(14_155_550_100_u64)),
        ("Education", json!(14_155_550_100_u64)),
        ("Married", json!(14_155_550_100_u64)),
        ("Age", json!(14_155_550_100_u64)),
    ] {
        let (_, answer) = upload(&emulator, json!([person(&data(key))])).await;
        let mut expected = person(&data(key));
        expected["profileData"]["Phone"] = phone;
        assert_eq!(answer["unprocessed"][0]["record"], expected, "{key}");
    }
}

#[tokio::test]
async fn a_dry_run_says_the_same_and_stores_nothing() {
    let body = json!({ "d": [event("u1"), person(&json!({ "Email": "nope" })), person(&json!({ "a.b": 1 }))] }).to_string();
    let dry = emulator();
    let wet = emulator();
    let answer = read(dry.handle(post("/1/upload?dryRun=1", body.clone())).await);
    assert_eq!(read(dry.handle(post("/1/upload?x=y&dryRun=true", body.clone())).await), answer);
    assert_eq!(read(wet.handle(post("/1/upload?dryRun=0", body)).await), answer);
    let report = dry.report();
    assert_eq!((report.dry_runs, report.events, report.profiles), (2, 0, 0));
    assert!(report.error_stream.is_empty() && report.records_refused.is_empty());
    assert_eq!((wet.report().dry_runs, wet.report().events, wet.report().profiles), (0, 1, 1));
}

#[tokio::test]
async fn events_are_appended_as_they_came_and_twice_is_two() {
    let emulator = emulator();
    let record = json!({
        "type": "event", "identity": 42, "ts": 1_767_225_700, "evtName": "Charged",
        "evtData": { "Amount": 25, "Price": 12.5, "Big": 18_446_744_073_709_551_615_u64, "At": "$D_1767225655", "No": null,
                     "Charged ID": "ord-77", "Items": [{ "Name": "Assam", "Quantity": 2, "No": null }] },
    });
    accept(&emulator, json!([record.clone(), record])).await;
    accept(&emulator, json!([{ "type": "event", "objectId": DEVICE, "identity": "ignored", "evtName": "b" }])).await;
    let mut seen = Vec::new();
    emulator.for_each_event(|event| {
        seen.push((event.identity.to_owned(), event.object_id.map(str::to_owned), event.ts, event.name.to_owned(), event.data()));
    });
    let data = json!({ "Amount": 25, "Price": 12.5, "Big": 18_446_744_073_709_551_615_u64, "At": "$D_1767225655",
                       "Charged ID": "ord-77", "Items": [{ "Name": "Assam", "Quantity": 2 }] });
    let charged = ("42".to_owned(), None, 1_767_225_700, "Charged".to_owned(), data);
    let other = (String::new(), Some(DEVICE.to_owned()), 1_767_225_600, "b".to_owned(), json!({}));
    assert_eq!(seen, [charged.clone(), charged, other]);
    assert_eq!(emulator.events_by_identity(), [(String::new(), 1), ("42".to_owned(), 2)].into());
}
