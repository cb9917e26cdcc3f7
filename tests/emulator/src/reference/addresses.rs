//! Reference 9.3, 10.1 and unknowns 5.7 to 5.10: subscribe and disassociate.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{DEVICE, accept, emulator, event, fail, post, read, send};
use crate::{Broken, Emulator, Fault, Rule, Settings, Store, Subscription, What};

const SUBSCRIBE: &str = "/1/subscribe";
const DISASSOCIATE: &str = "/1/disassociate";

fn subscription(channel: &str, value: &str, status: &str) -> Value {
    json!({ "type": channel, "value": value, "status": status })
}

async fn subscribe(emulator: &Emulator, records: Value) -> (u16, Value) {
    send(emulator, SUBSCRIBE, json!({ "d": records })).await
}

fn processed(count: u64) -> (u16, Value) {
    (200, json!({ "status": "success", "processed": count, "unprocessed": [] }))
}

#[tokio::test]
async fn the_last_word_of_an_address_counts_also_where_nobody_holds_it() {
    let emulator = emulator();
    let records = json!([
        subscription("email", "ada@example.org", "Unsubscribe"),
        subscription("phone", "+14155550100", "Unsubscribe"),
        subscription("whatsapp", "+14155550100", "Resubscribe"),
        subscription("email", "ada@example.org", "Resubscribe"),
    ]);
    assert_eq!(subscribe(&emulator, records).await, processed(4));
    assert_eq!(emulator.subscription("email", "ada@example.org"), Some(Subscription::Resubscribed));
    assert_eq!(emulator.subscription("phone", "+14155550100"), Some(Subscription::Unsubscribed));
    assert_eq!(emulator.subscription("whatsapp", "+14155550100"), Some(Subscription::Resubscribed));
    assert_eq!(emulator.subscription("email", "bob@example.org"), None);
    let report = emulator.report();
    assert_eq!((report.subscriptions, report.profiles), (4, 0));
}

#[tokio::test]
async fn a_record_that_does_not_fit_is_refused_with_its_number_and_the_others_are_carried_out() {
    let emulator = emulator();
    let fine = subscription("email", "ada@example.org", "Unsubscribe");
    for (record, code) in [
        (json!(7), 524),
        (subscription("Email", "ada@example.org", "Unsubscribe"), 524),
        (subscription("push", "token", "Unsubscribe"), 524),
        (json!({ "value": "ada@example.org", "status": "Unsubscribe" }), 524),
        (subscription("email", "ada@example.org", "unsubscribe"), 512),
        (subscription("email", "ada@example.org", "Subscribe"), 512),
        (json!({ "type": "email", "value": "ada@example.org" }), 512),
        (subscription("email", "nope", "Unsubscribe"), 515),
        (subscription("phone", "14155550100", "Unsubscribe"), 516),
        (subscription("whatsapp", "+1", "Unsubscribe"), 516),
        (json!({ "type": "phone", "value": 14_155_550_100_u64, "status": "Unsubscribe" }), 516),
        (json!({ "type": "phone", "status": "Unsubscribe" }), 516),
    ] {
        let (status, answer) = subscribe(&emulator, json!([fine, record])).await;
        assert_eq!((status, &answer["status"], &answer["processed"]), (200, &json!("partial"), &json!(1)), "{answer}");
        let refused = &answer["unprocessed"][0];
        assert_eq!((&refused["code"], &refused["status"], &refused["record"]), (&json!(code), &json!("fail"), &record));
        assert!(refused["error"].as_str().unwrap().ends_with(" Skipped record number : 2"), "{refused}");
        assert_eq!(subscribe(&emulator, json!([record])).await.1["status"], "fail");
    }
    assert_eq!(subscribe(&emulator, json!([])).await, processed(0));
    assert_eq!(emulator.report().subscriptions, 12);
}

#[tokio::test]
async fn a_body_that_is_no_list_of_a_thousand_is_refused_whole() {
    let emulator = emulator();
    let record = json!({ "type": "phone", "value": "+14155550100", "status": "Unsubscribe" });
    for path in [SUBSCRIBE, DISASSOCIATE] {
        assert_eq!(send(&emulator, path, json!({ "d": vec![&record; 1000] })).await, processed(1000));
        let answer = send(&emulator, path, json!({ "d": vec![&record; 1001] })).await;
        assert_eq!(answer, fail(400, "Maximum 1000 records are allowed in one request"));
        for body in [json!({}), json!([]), json!({ "d": &record })] {
            assert_eq!(send(&emulator, path, body).await, fail(400, "Malformed request"));
        }
    }
    assert_eq!(emulator.report().rules_broken, [(Rule::Records, 2), (Rule::Malformed, 6)].into());
}

#[tokio::test]
async fn a_disassociated_phone_leaves_everybody_who_holds_it_as_property_and_as_identity() {
    let emulator = emulator();
    accept(
        &emulator,
        json!([
            { "type": "profile", "identity": "ada", "profileData": { "Phone": "+14155550100", "Name": "Ada" } },
            { "type": "profile", "identity": "+14155550100", "profileData": { "Phone": "+14155550100" } },
            { "type": "profile", "identity": "+14155550100", "profileData": { "identity": "eve" } },
            { "type": "profile", "identity": "bob", "profileData": { "Phone": "+14155550199" } },
            event("+14155550100"),
        ]),
    )
    .await;
    let body = json!({ "d": [{ "type": "phone", "value": "+14155550100" }, { "type": "phone", "value": "+14155550777" }] });
    assert_eq!(send(&emulator, DISASSOCIATE, body).await, processed(2));
    assert_eq!(emulator.profile("ada").unwrap()["profileData"], json!({ "Name": "Ada" }));
    assert_eq!(emulator.profile("bob").unwrap()["phone"], "14155550199");
    assert_eq!(emulator.profile("+14155550100"), None);
    let eve = emulator.profile("eve").unwrap();
    assert_eq!((&eve["all_identities"], &eve["profileData"]), (&json!(["eve"]), &json!({})));
    assert_eq!(eve["events"]["Viewed"]["count"], 1);
    emulator.for_each_event(|event| assert_eq!(event.identity, ""));

    accept(&emulator, json!([event("+14155550100")])).await;
    assert_eq!(emulator.profiles_stored(), 4);
    assert_eq!(emulator.profile("eve").unwrap()["events"]["Viewed"]["count"], 1);
    assert_eq!(emulator.report().disassociations, 2);
}

#[tokio::test]
async fn only_phones_can_be_disassociated() {
    let emulator = emulator();
    for (record, code) in [
        (json!({ "type": "email", "value": "ada@example.org" }), 524),
        (json!({ "type": "whatsapp", "value": "+14155550100" }), 524),
        (json!({ "type": "phone", "value": "4155550100" }), 516),
        (json!({ "type": "phone" }), 516),
    ] {
        let (status, answer) = send(&emulator, DISASSOCIATE, json!({ "d": [record] })).await;
        assert_eq!((status, &answer["unprocessed"][0]["code"]), (200, &json!(code)));
    }
}

#[tokio::test]
async fn faults_of_records_and_of_whole_requests_work_here_too() {
    for path in [SUBSCRIBE, DISASSOCIATE] {
        let record = |number: u32| json!({ "type": "phone", "value": format!("+1415555010{number}"), "status": "Unsubscribe" });
        let body = json!({ "d": [record(1), record(2), record(3)] });
        let done = |emulator: &Emulator| emulator.report().subscriptions + emulator.report().disassociations;
        for (what, carried_out, status, count, codes) in [
            (What::RecordError { records: vec![2], p: 0.0 }, 2, "partial", 2, vec![(555, 2)]),
            (What::UnprocessedUnderSuccess { records: vec![1, 3] }, 1, "success", 1, vec![(524, 1), (524, 3)]),
            (What::WrongCounts { by: 4 }, 3, "success", 7, vec![]),
        ] {
            let emulator = emulator();
            emulator.add_fault(Fault::new(what).on(path));
            let (_, answer) = send(&emulator, path, body.clone()).await;
            assert_eq!((&answer["status"], &answer["processed"]), (&json!(status), &json!(count)), "{answer}");
            let refused = answer["unprocessed"].as_array().unwrap();
            for (refused, (code, number)) in refused.iter().zip(&codes) {
                let text = refused["error"].as_str().unwrap();
                assert!(refused["code"] == *code && text.ends_with(&format!(": {number}")), "{refused}");
            }
            assert_eq!((refused.len(), done(&emulator)), (codes.len(), carried_out));
        }
        let emulator = emulator();
        emulator.add_fault(Fault::new(What::WrongNumbers { by: 5 }).on(path));
        let wrong = json!({ "d": [{ "type": "push", "value": "x" }] });
        let (_, answer) = send(&emulator, path, wrong).await;
        assert!(answer["unprocessed"][0]["error"].as_str().unwrap().ends_with(": 6"), "{answer}");

        for (what, carried_out) in [
            (What::ServerErrorBefore, 0),
            (What::ServerErrorAfter, 3),
            (What::StorePrefix { records: 2 }, 2),
            (What::TooManyRequests, 0),
            (What::ResetBefore, 0),
            (What::ResetAfter, 3),
        ] {
            let emulator = super::emulator();
            emulator.add_fault(Fault::new(what.clone()).on(path));
            match emulator.handle(post(path, body.to_string())).await {
                Ok(answer) => assert!(answer.status().as_u16() >= 429),
                Err(Broken::Reset) => {}
            }
            assert_eq!(done(&emulator), carried_out, "{what:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_fourth_request_in_flight_is_refused_for_each_api_by_itself() {
    let emulator = Emulator::new(Settings { latency_ms: 50, ..Settings::default() });
    let mut requests = JoinSet::new();
    for path in [SUBSCRIBE, DISASSOCIATE] {
        for _ in 0..4 {
            let emulator = emulator.clone();
            requests.spawn(async move { read(emulator.handle(post(path, r#"{"d":[]}"#)).await).0 });
        }
    }
    let mut answers = requests.join_all().await;
    answers.sort_unstable();
    assert_eq!(answers, [200, 200, 200, 200, 200, 200, 429, 429]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_takes_effect_all_the_same() {
    let emulator = emulator();
    emulator.add_fault(Fault::new(What::HangAfter));
    let body = json!({ "d": [subscription("email", "ada@example.org", "Unsubscribe")] }).to_string();
    assert!(timeout(Duration::from_secs(60), emulator.handle(post(SUBSCRIBE, body))).await.is_err());
    assert_eq!(emulator.subscription("email", "ada@example.org"), Some(Subscription::Unsubscribed));
}

#[tokio::test]
async fn counts_alone_remember_no_address() {
    let emulator = Emulator::new(Settings { store: Store::Counts, ..Settings::default() });
    assert_eq!(subscribe(&emulator, json!([subscription("email", "ada@example.org", "Unsubscribe")])).await, processed(1));
    assert_eq!((emulator.subscription("email", "ada@example.org"), emulator.report().subscriptions), (None, 1));
    assert_eq!(emulator.profile_by_object_id(DEVICE), None);
}
