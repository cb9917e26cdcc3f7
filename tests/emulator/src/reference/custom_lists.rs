//! Reference 12.1, 18.8 and unknowns 6: a custom list from its URL to the e-mail that says what became of it.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{DEVICE, accept, emulator, event, fail, post, read, send};
use crate::{Broken, Emulator, Fault, ListOutcome, ListState, OutcomeEmail, Rule, Settings, Store, What};

const URL: &str = "/get_custom_list_segment_url";
const COMPLETED: &str = "/upload_custom_list_segment_completed";

/// A project in which ada, bob and a device without a name are known.
pub(super) async fn people() -> Emulator {
    let emulator = emulator();
    let device = json!({ "type": "event", "objectId": DEVICE, "evtName": "Opened" });
    accept(&emulator, json!([event("ada"), event("bob, \"the\""), device])).await;
    emulator
}

pub(super) async fn url(emulator: &Emulator) -> String {
    let (status, answer) = read(emulator.handle(post(URL, "")).await);
    assert_eq!((status, &answer["status"]), (200, &json!("success")));
    answer["presignedS3URL"].as_str().unwrap().to_owned()
}

pub(super) async fn put(emulator: &Emulator, url: &str, file: impl Into<Bytes>) -> Result<Response<Bytes>, Broken> {
    emulator.handle(Request::put(url).body(file.into()).unwrap()).await
}

fn word(name: &str, url: &str, replace: bool) -> Value {
    json!({ "name": name, "email": "ops@example.org", "filename": "a.csv", "creator": "Ops", "url": url, "replace": replace })
}

/// All three steps; the answer of the last.
async fn make(emulator: &Emulator, name: &str, file: &str, replace: bool) -> (u16, Value) {
    let url = url(emulator).await;
    assert_eq!(put(emulator, &url, file.to_owned()).await.unwrap().status(), 200);
    send(emulator, COMPLETED, word(name, &url, replace)).await
}

fn outcomes(emulator: &Emulator) -> Vec<ListOutcome> {
    emulator.outbox().into_iter().map(|email| email.outcome).collect()
}

fn failed(reason: &str) -> ListOutcome {
    ListOutcome::Failed { reason: reason.to_owned() }
}

#[tokio::test(start_paused = true)]
async fn a_list_has_the_people_who_are_known_and_the_email_comes_after_the_job() {
    let emulator = people().await;
    let file = format!("Type,Identity\ni,ada\ni,\"bob, \"\"the\"\"\"\ng,{DEVICE}\ni,nobody\ng,none\ni,ada\n");
    let (status, answer) = make(&emulator, "VIP", &file, false).await;
    let id = answer["segmentId"].as_u64().unwrap();
    assert_eq!((status, answer), (200, json!({ "status": "success", "segmentId": id })));
    sleep(Duration::from_secs(59)).await;
    assert_eq!((emulator.outbox(), emulator.lists()[0].state), (vec![], ListState::Processing));
    sleep(Duration::from_secs(1)).await;
    let email = OutcomeEmail {
        to: "ops@example.org".to_owned(),
        list: "VIP".to_owned(),
        segment_id: id,
        filename: "a.csv".to_owned(),
        outcome: ListOutcome::Done { members: 3, ignored: 3 },
    };
    assert_eq!(emulator.outbox(), [email]);
    assert_eq!(emulator.list_members("VIP"), [DEVICE, "ada", "bob, \"the\""]);
    let list = &emulator.lists()[0];
    assert_eq!((list.id, &*list.name, list.state, list.members), (id, "VIP", ListState::Ready, 3));
    let report = emulator.report();
    assert_eq!((report.lists_completed, report.put_bytes), (1, file.len() as u64));
    assert!(report.rules_broken.is_empty(), "{:?}", report.rules_broken);
}

#[tokio::test]
async fn people_who_merge_are_one_member_and_the_deleted_are_none() {
    let emulator = people().await;
    accept(&emulator, json!([event("eve")])).await;
    make(&emulator, "VIP", &format!("type,identity\r\ni,ada\r\ni,eve\r\ng,{DEVICE}\r\n"), false).await;
    assert_eq!(emulator.run_lists(), 1);
    accept(&emulator, json!([{ "type": "profile", "objectId": DEVICE, "profileData": { "identity": "ada" } }])).await;
    assert_eq!(emulator.lists()[0].members, 2);
    send(&emulator, "/1/delete/profiles.json", json!({ "identity": "eve" })).await;
    emulator.run_deletions();
    assert_eq!(emulator.list_members("VIP").len(), 1);
}

#[tokio::test]
async fn a_wrong_file_is_a_success_and_fails_by_email() {
    let emulator = people().await;
    for (name, file, reason) in [
        ("a", "Identity\nada\n", "row 1 is not two columns"),
        ("b", "Type,Identity,Name\ni,ada,Ada\n", "row 1 is not two columns"),
        ("c", "i,ada\n", "row 1 is not the header Type,Identity"),
        ("d", "\u{feff}Type,Identity\ni,ada\n", "row 1 is not the header Type,Identity"),
        ("e", "Type,Identity\nidentity,ada\n", "row 2 has a type other than i and g"),
    ] {
        assert_eq!(make(&emulator, name, file, false).await.1["status"], "success");
        emulator.run_lists();
        assert_eq!(outcomes(&emulator).last(), Some(&failed(reason)));
    }
    assert!(emulator.lists().iter().all(|list| list.state == ListState::Failed && list.members == 0));
}

#[tokio::test]
async fn a_name_is_taken_also_by_a_try_that_failed_and_replacing_keeps_the_number() {
    let emulator = people().await;
    let duplicate = (400, json!({ "status": "fail", "error": "duplicate_name" }));
    let id = make(&emulator, "VIP", "wrong", false).await.1["segmentId"].clone();
    assert_eq!(make(&emulator, "VIP", "Type,Identity\ni,ada\n", false).await, duplicate);
    emulator.run_lists();
    assert_eq!(make(&emulator, "VIP", "Type,Identity\ni,ada\n", false).await, duplicate);
    assert_eq!(make(&emulator, "VIP", "Type,Identity\ni,ada\n", true).await.1["segmentId"], id);
    emulator.run_lists();
    assert_eq!(emulator.list_members("VIP"), ["ada"]);

    // A refusal takes the name, too.
    assert_eq!(send(&emulator, COMPLETED, word("new", "https://example.org", false)).await, fail(400, "url is not valid"));
    assert_eq!(make(&emulator, "new", "Type,Identity\n", false).await, duplicate);
    assert_ne!(make(&emulator, "vip", "Type,Identity\n", true).await.1["segmentId"], id, "names are exact");
}

#[tokio::test]
async fn a_failed_replacement_leaves_the_last_good_version() {
    let emulator = people().await;
    for file in ["Type,Identity\ni,ada\n", "Type,Identity\ni,\"bob, \"\"the\"\"\"\noops\n"] {
        make(&emulator, "VIP", file, true).await;
        emulator.run_lists();
    }
    assert_eq!((emulator.list_members("VIP"), emulator.lists()[0].state), (vec!["ada".to_owned()], ListState::Ready));
    assert_eq!(outcomes(&emulator), [ListOutcome::Done { members: 1, ignored: 0 }, failed("row 3 is not two columns")]);
    make(&emulator, "VIP", "Type,Identity\ni,\"bob, \"\"the\"\"\"\n", true).await;
    emulator.run_lists();
    assert_eq!(emulator.list_members("VIP"), ["bob, \"the\""], "the whole list is replaced");
}

#[tokio::test]
async fn a_list_that_a_campaign_uses_is_not_replaced() {
    let emulator = people().await;
    make(&emulator, "VIP", "Type,Identity\ni,ada\n", false).await;
    emulator.use_list("VIP", true);
    let answer = make(&emulator, "VIP", "Type,Identity\n", true).await;
    assert_eq!(answer, (400, json!({ "status": "fail", "error": "The segment is used by a running campaign" })));
    emulator.use_list("VIP", false);
    assert_eq!(make(&emulator, "VIP", "Type,Identity\n", true).await.0, 200);
    assert_eq!((emulator.run_lists(), emulator.lists()[0].members), (2, 0));
}

#[tokio::test]
async fn the_word_has_all_its_fields_and_a_url_with_a_file_for_one_list() {
    let emulator = people().await;
    let fresh = url(&emulator).await;
    let fine = word("VIP", &fresh, false);
    for key in ["name", "email", "filename", "creator", "url"] {
        for value in [Value::Null, json!(""), json!(7)] {
            let mut wrong = fine.clone();
            wrong[key] = value;
            let expected = fail(400, "name, email, filename, creator and url are mandatory");
            assert_eq!(send(&emulator, COMPLETED, wrong).await, expected, "{key}");
        }
    }
    let mut wrong = fine.clone();
    wrong["email"] = json!("ops");
    assert_eq!(send(&emulator, COMPLETED, wrong).await, fail(400, "email is not valid"));
    let mut wrong = fine.clone();
    wrong["replace"] = json!("true");
    assert_eq!(send(&emulator, COMPLETED, wrong).await, fail(400, "replace should be true or false"));
    assert!(emulator.lists().is_empty(), "no name was taken");

    assert_eq!(send(&emulator, COMPLETED, fine.clone()).await, fail(400, "no file was uploaded to url"));
    put(&emulator, &fresh, "Type,Identity\n").await.unwrap();
    assert_eq!(send(&emulator, COMPLETED, word("VIP", &fresh, true)).await.0, 200);
    assert_eq!(send(&emulator, COMPLETED, word("other", &fresh, false)).await, fail(400, "url was used before"));
    let broken = emulator.report().rules_broken;
    assert_eq!(broken, [(Rule::ListFields, 17), (Rule::ListUrl, 2)].into());
}

#[tokio::test]
async fn both_steps_are_found_at_the_root_and_under_1() {
    let emulator = people().await;
    let (_, answer) = read(emulator.handle(post("/1/get_custom_list_segment_url", "")).await);
    let url = answer["presignedS3URL"].as_str().unwrap();
    put(&emulator, url, "Type,Identity\n").await.unwrap();
    assert_eq!(send(&emulator, "/1/upload_custom_list_segment_completed", word("VIP", url, false)).await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn both_steps_share_three_slots_and_the_file_needs_none() {
    let emulator = Emulator::new(Settings { latency_ms: 50, ..Settings::default() });
    let url = url(&emulator).await;
    let mut requests = JoinSet::new();
    for number in 0..12 {
        let (emulator, url) = (emulator.clone(), url.clone());
        requests.spawn(async move {
            let answer = match number % 3 {
                0 => emulator.handle(post(URL, "")).await,
                1 => emulator.handle(post(COMPLETED, "{}")).await,
                _ => put(&emulator, &url, "").await,
            };
            answer.unwrap().status().as_u16()
        });
    }
    let mut answers = requests.join_all().await;
    answers.sort_unstable();
    assert_eq!(answers.iter().filter(|status| **status == 429).count(), 5);
    let peaks = emulator.report().peak_in_flight;
    assert_eq!((peaks[URL], peaks[COMPLETED]), (3, 2), "each path counts its own");
}

#[tokio::test]
async fn a_lost_answer_leaves_the_step_done() {
    let emulator = people().await;
    let url = url(&emulator).await;
    emulator.add_fault(Fault::new(What::ResetAfter).on("/_presigned/").times(1));
    assert!(put(&emulator, &url, "Type,Identity\ni,ada\n").await.is_err());
    emulator.add_fault(Fault::new(What::ServerErrorAfter).on(COMPLETED).times(1));
    assert_eq!(send(&emulator, COMPLETED, word("VIP", &url, false)).await.0, 500);
    assert_eq!(send(&emulator, COMPLETED, word("VIP", &url, false)).await.1["error"], "duplicate_name");
    assert_eq!((emulator.run_lists(), emulator.list_members("VIP")), (1, vec!["ada".to_owned()]));

    let early = url_of_early_failures(&emulator).await;
    assert_eq!(send(&emulator, COMPLETED, word("other", &early, false)).await, fail(400, "no file was uploaded to url"));
}

async fn url_of_early_failures(emulator: &Emulator) -> String {
    emulator.add_fault(Fault::new(What::ServerErrorBefore).on("/_presigned/"));
    let url = url(emulator).await;
    assert_eq!(put(emulator, &url, "Type,Identity\n").await.unwrap().status(), 500);
    url
}

#[tokio::test]
async fn counts_alone_take_every_row_for_a_member() {
    let emulator = Emulator::new(Settings { store: Store::Counts, ..Settings::default() });
    let mut file = "Type,Identity\n".to_owned();
    (0..50_000).for_each(|n| file.push_str(&format!("i,cust-{n}\n")));
    make(&emulator, "VIP", &file, false).await;
    make(&emulator, "wrong", "Type,Identity\n1", false).await;
    emulator.run_lists();
    assert_eq!(outcomes(&emulator), [ListOutcome::Done { members: 50_000, ignored: 0 }, failed("row 2 is not two columns")]);
    assert_eq!((emulator.lists()[0].members, emulator.list_members("VIP").len()), (50_000, 0));
}
