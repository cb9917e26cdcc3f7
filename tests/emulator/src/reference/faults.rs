//! Reference 18.10: what goes wrong on demand, before and after storing.

use serde_json::{Value, json};

use super::{emulator, event, get, post, read, upload};
use crate::{Broken, Emulator, Fault, Settings, What};

fn body(count: usize) -> String {
    json!({ "d": vec![event("u1"); count] }).to_string()
}

/// One upload of two events: status and body, or none for a cut connection.
async fn outcome(emulator: &Emulator) -> Option<(u16, String)> {
    match emulator.handle(post("/1/upload", body(2))).await {
        Ok(answer) => Some((answer.status().as_u16(), String::from_utf8(answer.body().to_vec()).unwrap())),
        Err(Broken::Reset) => None,
    }
}

#[tokio::test]
async fn before_stores_nothing_and_after_stores_everything() {
    let failed = r#"{"status":"fail","error":"An unknown error occurred","code":500}"#;
    let refuse = What::Refuse { status: 200, code: 9, error: "No".to_owned() };
    for (what, stored, expected) in [
        (What::TooManyRequests, 0, Some((429, r#"{"status":"fail","error":"Too many concurrent requests","code":429}"#))),
        (What::TooManyUnderSuccess, 0, Some((200, r#"{"status":"fail","error":"Too many requests"}"#))),
        (What::ServerErrorBefore, 0, Some((500, failed))),
        (What::ServerErrorAfter, 2, Some((500, failed))),
        (What::StorePrefix { records: 1 }, 1, Some((500, failed))),
        (What::ResetBefore, 0, None),
        (What::ResetAfter, 2, None),
        (What::GarbageBefore, 0, Some((200, "{\"status\":\"succ"))),
        (What::GarbageAfter, 2, Some((200, "{\"status\":\"succ"))),
        (What::EmptyBefore, 0, Some((200, ""))),
        (What::EmptyAfter, 2, Some((200, ""))),
        (What::Unauthorized, 0, Some((401, r#"{"status":"fail","error":"Invalid Credentials","code":401}"#))),
        (refuse, 0, Some((200, r#"{"status":"fail","error":"No","code":9}"#))),
        (What::MalformedIf { text: "Viewed".to_owned() }, 0, Some((400, r#"{"status":"fail","error":"Malformed request","code":400}"#))),
        (What::WrongCounts { by: -1 }, 2, Some((200, r#"{"status":"success","processed":1,"unprocessed":[]}"#))),
        (What::MalformedIf { text: "nobody".to_owned() }, 2, Some((200, r#"{"status":"success","processed":2,"unprocessed":[]}"#))),
    ] {
        let emulator = emulator();
        emulator.add_fault(Fault::new(what.clone()));
        let expected = expected.map(|(status, body)| (status, body.to_owned()));
        assert_eq!((outcome(&emulator).await, emulator.events_stored()), (expected, stored), "{what:?}");
    }
}

#[tokio::test]
async fn pages_of_html_come_with_503_and_413() {
    for (what, status) in [(What::Unavailable, 503), (What::TooLarge, 413)] {
        let emulator = emulator();
        emulator.add_fault(Fault::new(what).times(1));
        let answer = emulator.handle(post("/1/upload", body(1))).await.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.headers()["content-type"]), (status, &"text/html".parse().unwrap()));
        assert!(answer.body().starts_with(b"<html>"));
        assert_eq!(emulator.events_stored(), 0);
    }
}

#[tokio::test]
async fn records_can_be_refused_for_no_reason_of_theirs() {
    let emulator = emulator();
    emulator.add_fault(Fault::new(What::RecordError { records: vec![2], p: 0.0 }).times(1));
    emulator.add_fault(Fault::new(What::UnprocessedUnderSuccess { records: vec![1] }).times(1));
    emulator.add_fault(Fault::new(What::WrongNumbers { by: 5 }).times(1));
    let numbers = |answer: &Value| {
        let refused = answer["unprocessed"].as_array().unwrap();
        refused.iter().map(|one| (one["code"].clone(), one["error"].clone())).collect::<Vec<_>>()
    };
    let (_, answer) = upload(&emulator, json!([event("a"), event("b"), event("c")])).await;
    assert_eq!((&answer["status"], &answer["processed"]), (&json!("partial"), &json!(2)));
    assert_eq!(numbers(&answer), [(json!(555), json!("Internal error. Skipped record number : 2"))]);
    let (_, answer) = upload(&emulator, json!([event("d"), event("e")])).await;
    assert_eq!((&answer["status"], &answer["processed"]), (&json!("success"), &json!(1)));
    assert_eq!(numbers(&answer)[0].0, 512);
    let (_, answer) = upload(&emulator, json!([event("f"), { "type": "x" }])).await;
    assert_eq!(numbers(&answer)[0].1, "Type should be either profile or event. Skipped record number : 7");
    let stored: Vec<String> = emulator.events_by_identity().into_keys().collect();
    assert_eq!(stored, ["a", "c", "e", "f"]);
}

#[tokio::test]
async fn rules_fire_when_their_conditions_hold() {
    let fired = async |fault: Fault| {
        let emulator = emulator();
        emulator.add_fault(fault);
        let mut fired = Vec::new();
        for number in 1..=8 {
            if read(emulator.handle(post("/1/upload", body(1))).await).0 == 429 {
                fired.push(number);
            }
        }
        assert_eq!(emulator.report().faults_fired, fired.len() as u64);
        fired
    };
    let fault = || Fault::new(What::TooManyRequests);
    assert_eq!(fired(fault().after(5)).await, [6, 7, 8]);
    assert_eq!(fired(fault().between(2, 4)).await, [2, 3, 4]);
    assert_eq!(fired(fault().every(3)).await, [3, 6]);
    assert_eq!(fired(fault().times(2)).await, [1, 2]);
    assert_eq!(fired(fault().on("/1/profile.json")).await, [0_u8; 0]);
    assert_eq!(fired(fault().on("/1/upload").after(1).every(2).times(2)).await, [2, 4]);
    assert_eq!(fired(fault().with_probability(1.0)).await.len(), 8);
    assert_eq!(fired(fault().with_probability(0.0)).await.len(), 0);
    let half = fired(fault().with_probability(0.5)).await;
    assert!((1..8).contains(&half.len()) && half == fired(fault().with_probability(0.5)).await);
}

#[tokio::test]
async fn random_record_errors_depend_on_the_seed_alone() {
    let run = async |seed: u64| {
        let emulator = Emulator::new(Settings { seed, ..Settings::default() });
        emulator.add_fault(Fault::new(What::RecordError { records: Vec::new(), p: 0.1 }));
        let mut answers = Vec::new();
        for _ in 0..3 {
            answers.push(read(emulator.handle(post("/1/upload", body(100))).await).1);
        }
        answers
    };
    let first = run(1).await;
    assert_eq!(first, run(1).await);
    assert_ne!(first, run(2).await);
    assert_ne!(first[0], first[1]);
}

#[tokio::test]
async fn rules_come_and_go_over_the_emulators_own_paths() {
    let emulator = emulator();
    let rules = r#"[{"path":"/1/upload","after":1,"count":1,"what":"too_many_requests"},
                    {"p":0.0,"what":{"slow":{"ms":5}}},
                    {"what":{"record_error":{"records":[1]}}}]"#;
    let added = json!({ "status": "success", "added": 3 });
    assert_eq!(read(emulator.handle(post("/_emulator/faults", rules)).await), (200, added));
    assert_eq!(upload(&emulator, json!([event("a")])).await.1["unprocessed"][0]["code"], 555);
    assert_eq!(upload(&emulator, json!([event("a")])).await.0, 429);
    for wrong in [r#"[{"what":"nonsense"}]"#, r#"[{"afterwards":1,"what":"slow"}]"#, "{}"] {
        assert_eq!(read(emulator.handle(post("/_emulator/faults", wrong)).await).0, 400, "{wrong}");
    }
    let clear = http::Request::delete("/_emulator/faults").body(bytes::Bytes::new()).unwrap();
    assert_eq!(read(emulator.handle(clear).await).0, 200);
    assert_eq!(upload(&emulator, json!([event("a")])).await.1["status"], "success");
    let devices = r#"[{"object_id":"d1","platform":"ios","identity":"ada"}]"#;
    assert_eq!(read(emulator.handle(post("/_emulator/devices", devices)).await).0, 200);
    assert_eq!(emulator.profile("ada").unwrap()["objectId"], "d1");
    let (status, state) = read(emulator.handle(get("/_emulator/state")).await);
    assert_eq!((status, &state["requests"], &state["events"], &state["devices"]), (200, &json!(3), &json!(1), &json!(2)));
    assert_eq!(state["answers"], json!({ "200": 2, "429": 1 }));
    assert_eq!(read(emulator.handle(get("/_emulator/nothing")).await).0, 404);
}
