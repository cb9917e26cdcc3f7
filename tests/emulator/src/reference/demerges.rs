//! Reference 9.2 and unknowns 5.5, 5.6: a merged person falls apart, and nobody puts them together again.

use serde_json::{Value, json};

use super::{DEVICE, accept, emulator, event, fail, send, success};
use crate::{Emulator, Fault, Platform, Rule, What};

const PATH: &str = "/1/demerge/profiles.json";

async fn demerge(emulator: &Emulator, identities: Value) -> (u16, Value) {
    send(emulator, PATH, json!({ "identities": identities })).await
}

/// A person on two devices, with something of everything.
async fn merged() -> Emulator {
    let emulator = emulator();
    emulator.add_device(DEVICE, Platform::Android, Some("ada"));
    emulator.add_device("second", Platform::Ios, Some("ada"));
    accept(
        &emulator,
        json!([
            { "type": "profile", "identity": "ada", "profileData": { "Plan": "gold", "Email": "ada@example.org" } },
            { "type": "event", "objectId": DEVICE, "evtName": "Opened" },
            event("ada"),
            event("bob"),
        ]),
    )
    .await;
    assert_eq!(emulator.profiles_stored(), 2);
    emulator
}

#[tokio::test]
async fn each_device_is_somebody_new_and_the_identity_leads_nowhere() {
    let emulator = merged().await;
    assert_eq!(demerge(&emulator, json!(["ada", "nobody"])).await, success());
    assert_eq!((emulator.profiles_stored(), emulator.profile("ada"), emulator.profile_by_email("ada@example.org")), (3, None, None));
    for (device, events) in [(DEVICE, json!(1)), ("second", Value::Null)] {
        let person = emulator.profile_by_object_id(device).unwrap();
        assert_eq!((&person["all_identities"], &person["profileData"]), (&json!([]), &json!({})));
        assert_eq!(person["events"]["Opened"]["count"], events);
    }
    // What came under the identity is lost, what came under a device stays with it.
    assert_eq!((emulator.events_stored(), emulator.report().events), (2, 2));
    accept(&emulator, json!([event("ada")])).await;
    assert_eq!(emulator.profiles_stored(), 4);
    assert_eq!(emulator.profile("ada").unwrap()["platformInfo"], json!([]));
}

#[tokio::test]
async fn one_device_with_two_identities_is_split_and_somebody_who_is_not_merged_stays() {
    let emulator = emulator();
    emulator.add_device(DEVICE, Platform::Android, Some("ada"));
    accept(&emulator, json!([event("bob"), { "type": "profile", "identity": "bob", "profileData": { "identity": "rob" } }])).await;
    assert_eq!(demerge(&emulator, json!(["ada", "bob"])).await, success());
    assert_eq!(emulator.profile("ada").unwrap()["objectId"], DEVICE);
    assert_eq!(emulator.profile("rob").unwrap()["all_identities"], json!(["bob", "rob"]), "there is no device to split by");

    accept(&emulator, json!([{ "type": "profile", "objectId": DEVICE, "profileData": { "identity": "eve" } }])).await;
    assert_eq!(demerge(&emulator, json!("eve")).await, success());
    assert_eq!((emulator.profile("ada"), emulator.profile("eve")), (None, None));
    assert!(emulator.profile_by_object_id(DEVICE).is_some());
}

#[tokio::test]
async fn every_demerge_that_was_carried_out_is_counted_by_identity() {
    let emulator = merged().await;
    demerge(&emulator, json!(["ada", "bob"])).await;
    emulator.add_fault(Fault::new(What::ResetAfter).times(1));
    emulator.add_fault(Fault::new(What::ServerErrorBefore).between(2, 2));
    let request = || super::post(PATH, r#"{"identities":"ada"}"#);
    assert!(emulator.handle(request()).await.is_err());
    assert_eq!(emulator.handle(request()).await.unwrap().status(), 500);
    assert_eq!(emulator.demerges(), [("ada".to_owned(), 2), ("bob".to_owned(), 1)].into());
    assert_eq!(emulator.report().demerge_calls, 2);
}

#[tokio::test]
async fn a_body_names_one_to_a_hundred_identities() {
    let emulator = emulator();
    let many: Vec<String> = (0..101).map(|n| n.to_string()).collect();
    assert_eq!(demerge(&emulator, json!(many[..100])).await, success());
    assert_eq!(demerge(&emulator, json!(many)).await, fail(400, "Maximum 100 ids are allowed in one request"));
    for wrong in [json!([]), json!(""), json!(7), json!([["a"]]), json!(null)] {
        assert_eq!(demerge(&emulator, wrong).await, fail(400, "Malformed request"));
    }
    assert_eq!(send(&emulator, PATH, json!({ "identity": "ada" })).await, fail(400, "Malformed request"));
    let report = emulator.report();
    assert_eq!(report.rules_broken, [(Rule::Malformed, 6), (Rule::Ids, 1)].into());
    assert_eq!((report.demerge_calls, emulator.demerges().len()), (1, 100));
}
