//! Reference 9.1, 18.7 and unknowns 1.16, 1.17, 5.1 to 5.5: deletions that are accepted now and carried out later.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use super::{DEVICE, accept, emulator, event, fail, get, read, send, success};
use crate::{Broken, Deletion, Emulator, Fault, Platform, Rule, Settings, What};

const PATH: &str = "/1/delete/profiles.json";
const HOUR: Duration = Duration::from_secs(60 * 60);

async fn delete(emulator: &Emulator, body: Value) -> (u16, Value) {
    send(emulator, PATH, body).await
}

async fn readable(emulator: &Emulator, identity: &str) -> bool {
    read(emulator.handle(get(&format!("/1/profile.json?identity={identity}"))).await).0 == 200
}

#[tokio::test(start_paused = true)]
async fn a_person_stays_readable_until_the_job_has_run_and_then_is_gone_with_everything() {
    let emulator = emulator();
    emulator.add_device(DEVICE, Platform::Android, Some("ada"));
    let token = json!({ "type": "token", "objectId": DEVICE, "tokenData": { "id": "t", "type": "fcm" } });
    let device = json!({ "type": "event", "objectId": DEVICE, "evtName": "Opened" });
    accept(&emulator, json!([event("ada"), event("bob"), token, device])).await;
    assert_eq!(delete(&emulator, json!({ "identity": "ada" })).await, success());
    sleep(12 * HOUR - Duration::from_secs(1)).await;
    assert!(readable(&emulator, "ada").await);
    assert_eq!((emulator.events_stored(), emulator.tokens_stored(), emulator.profiles_stored()), (3, 1, 2));
    sleep(Duration::from_secs(1)).await;
    assert!(!readable(&emulator, "ada").await && readable(&emulator, "bob").await);
    assert_eq!((emulator.events_stored(), emulator.tokens_stored(), emulator.profiles_stored()), (1, 0, 1));
    assert_eq!(emulator.profile_by_object_id(DEVICE), None);
    let report = emulator.report();
    assert_eq!((report.deletion_calls, report.people_deleted, report.events), (1, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn looking_is_enough_to_find_done_what_is_due() {
    let emulator = emulator();
    accept(&emulator, json!([event("ada")])).await;
    delete(&emulator, json!({ "identity": "ada" })).await;
    sleep(12 * HOUR).await;
    emulator.for_each_event(|_| panic!("nothing is left"));
    assert_eq!((emulator.profile("ada"), emulator.events_stored()), (None, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_uploaded_before_the_job_goes_with_it_and_what_comes_later_is_somebody_new() {
    let emulator = emulator();
    assert_eq!(delete(&emulator, json!({ "identity": ["ada", "nobody"] })).await, success());
    accept(&emulator, json!([{ "type": "profile", "identity": "ada", "profileData": { "Plan": "gold" } }, event("ada")])).await;
    sleep(12 * HOUR).await;
    assert_eq!(emulator.profile("ada"), None);
    accept(&emulator, json!([{ "type": "profile", "identity": "ada", "profileData": { "Seen": 1 } }])).await;
    sleep(24 * HOUR).await;
    let back = emulator.profile("ada").unwrap();
    assert_eq!((&back["profileData"], &back["events"]), (&json!({ "Seen": 1 }), &json!({})));
}

#[tokio::test]
async fn one_of_a_merged_person_s_ids_deletes_the_whole_person() {
    let emulator = emulator();
    accept(
        &emulator,
        json!([
            event("ada"),
            event("ada-old"),
            { "type": "profile", "identity": "ada", "profileData": { "identity": "ada-old" } },
            { "type": "profile", "objectId": DEVICE, "profileData": { "identity": "ada" } },
        ]),
    )
    .await;
    assert_eq!(delete(&emulator, json!({ "guid": DEVICE })).await, success());
    assert_eq!(emulator.run_deletions(), 1);
    assert_eq!((emulator.profile("ada"), emulator.profile("ada-old"), emulator.events_stored()), (None, None, 0));
    assert_eq!(emulator.run_deletions(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_delay_is_a_setting_and_never_more_than_a_day() {
    for (deletion_delay_s, hours) in [(0, 0), (3600, 1), (100 * 3600, 24)] {
        let emulator = Emulator::new(Settings { deletion_delay_s, ..Settings::default() });
        accept(&emulator, json!([event("ada")])).await;
        delete(&emulator, json!({ "identity": "ada" })).await;
        for hour in 0..=hours {
            assert_eq!(emulator.profile("ada").is_some(), hour < hours, "{hour} of {hours}");
            sleep(HOUR).await;
        }
    }
}

#[tokio::test]
async fn every_request_that_was_accepted_is_listed_and_no_other() {
    let emulator = emulator();
    let malformed = fail(400, "Malformed request");
    let many: Vec<String> = (0..101).map(|n| n.to_string()).collect();
    assert_eq!(delete(&emulator, json!({ "identity": many[..100] })).await, success());
    assert_eq!(delete(&emulator, json!({ "identity": many })).await, fail(400, "Maximum 100 ids are allowed in one request"));
    assert_eq!(delete(&emulator, json!({ "guid": ["g1", "g2"] })).await, success());
    for both in [json!({ "identity": "a", "guid": "b" }), json!({ "identity": "a", "guid": null })] {
        assert_eq!(delete(&emulator, both).await, fail(400, "Only one of identity and guid is allowed"));
    }
    for wrong in
        [json!({}), json!([]), json!({ "identity": [] }), json!({ "identity": "" }), json!({ "identity": 7 }), json!({ "guid": ["a", 7] })]
    {
        assert_eq!(delete(&emulator, wrong).await, malformed);
    }
    let requests = emulator.deletions_requested();
    let expected = Deletion {
        identities: vec![],
        guids: vec!["g1".to_owned(), "g2".to_owned()],
        requested_at: 1_767_225_600,
        due_at: 1_767_225_600 + 12 * 3600,
        is_done: false,
    };
    assert_eq!((requests.len(), requests[0].identities.len(), &requests[1]), (2, 100, &expected));
    assert_eq!(emulator.report().rules_broken, [(Rule::Malformed, 6), (Rule::Ids, 1), (Rule::IdKinds, 2)].into());
    emulator.run_deletions();
    assert!(emulator.deletions_requested().iter().all(|deletion| deletion.is_done));
}

#[tokio::test]
async fn a_lost_answer_is_an_accepted_deletion_and_an_early_failure_is_none() {
    for (what, requests) in [(What::ServerErrorAfter, 1), (What::ResetAfter, 1), (What::ServerErrorBefore, 0), (What::ResetBefore, 0)] {
        let emulator = emulator();
        emulator.add_fault(Fault::new(what).on(PATH));
        let answer = emulator.handle(super::post(PATH, r#"{"identity":"ada"}"#)).await;
        assert!(matches!(answer.map(|answer| answer.status().as_u16()), Ok(500) | Err(Broken::Reset)));
        assert_eq!(emulator.deletions_requested().len(), requests);
    }
}
