//! `diagnose::check`: an API is ok where its answer is a good one, or a refusal that only a working API gives.

use clevertap_emulator::Settings;
use datafusion_clevertap::diagnose;
use datafusion_clevertap::transport::Answer;

use crate::world::World;

/// What each probe says where every call is answered so.
async fn probed(status: u16, body: &'static str) -> Vec<(String, Option<String>)> {
    let world = World::with(Settings::default());
    world.transport.change_answers(move |_, _| Answer::new(status, body));
    outcomes(&world).await
}

async fn outcomes(world: &World) -> Vec<(String, Option<String>)> {
    let probes = diagnose::check(&world.account).await;
    probes.into_iter().map(|probe| (probe.call, probe.outcome.err().map(|error| error.to_string()))).collect()
}

#[tokio::test(start_paused = true)]
async fn nothing_is_ok_where_no_call_has_its_answer() {
    for (status, body) in [
        (404, r#"{"status":"fail","error":"no","code":404}"#),
        (404, ""),
        (404, "<html>"),
        (400, r#"{"status":"fail","error":"no","code":400}"#),
        (400, ""),
        (409, r#"{"status":"fail","error":"no","code":409}"#),
        (200, r#"{"status":"success"}"#),
        (200, r#"{"status":"partial"}"#),
        (200, r#"{"status":"success","message":"welcome"}"#),
        (200, r#"{"ok":true}"#),
        (200, r#"{"status":"fail","processed":0,"unprocessed":[{"status":"fail","code":523,"error":"Skipped record number : 1"}]}"#),
    ] {
        for (call, why) in probed(status, body).await {
            assert!(why.is_some(), "{call} is ok by {status} {body}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_ok_for_the_calls_that_it_is_an_answer_of() {
    for (status, body, ok) in [
        (404, r#"{"status":"fail","error":"Profile not found","code":404}"#, &["GET /1/profile.json"] as &[_]),
        (200, r#"{"status":"success","record":null}"#, &["GET /1/profile.json"]),
        (400, r#"{"status":"fail","error":"Invalid campaign id","code":400}"#, &["POST /1/targets/result.json"]),
        (409, "", &["POST /1/targets/result.json"]),
        (200, r#"{"status":"success","processed":1,"unprocessed":[]}"#, &["POST /1/upload?dryRun=1"]),
        (200, r#"{"status":"success","cursor":"c"}"#, &["POST /1/profiles.json", "POST /1/events.json"]),
        (200, r#"{"status":"success","list":[]}"#, &["GET /category-groups"]),
        (200, r#"{"segments":[],"total_pages":0}"#, &["POST /1/segments/list.json"]),
    ] {
        let are_ok: Vec<_> = probed(status, body).await.into_iter().filter(|(_, why)| why.is_none()).map(|(call, _)| call).collect();
        assert_eq!(are_ok, ok, "{status} {body}");
    }
    // Of an event that nobody has; and of what is computed.
    for body in [r#"{"status":"fail","error":"[\"Invalid event : x\"]","code":400}"#, r#"{"status":"partial","req_id":5}"#] {
        let outcomes = probed(200, body).await;
        assert!(outcomes.iter().all(|(call, why)| why.is_some() || call.contains("/1/counts/") || call.contains("s.json")), "{outcomes:?}");
        assert!(outcomes.iter().any(|(call, why)| why.is_none() && call == "POST /1/counts/events.json"), "{outcomes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_is_of_a_record_that_is_accepted() {
    let world = World::new();
    assert!(outcomes(&world).await.iter().all(|(_, why)| why.is_none()));
    let upload = &world.sent_to("/1/upload")[0];
    assert_eq!(upload.body, r#"{"d":[{"type":"profile","profileData":{},"identity":"datafusion-clevertap-check"}]}"#);
}
