//! Reference 1.3, 1.6, 2, 4.4: refusals of the whole request.

use serde_json::json;

use super::{emulator, event, fail, get, post, read};
use crate::{Emulator, Rule, Settings};

#[tokio::test]
async fn each_wrong_credential_has_its_own_refusal() {
    let emulator = Emulator::new(Settings {
        region_hosts: vec!["in1.api.clevertap.com".to_owned()],
        limited_passcode: Some("limited".to_owned()),
        ..Settings::default()
    });
    let id = "x-clevertap-account-id";
    let passcode = "x-clevertap-passcode";
    for (header, value, expected) in [
        (id, "ABC-12D-345Z", fail(401, "Account ID is not valid")),
        (id, "W12", fail(401, "12 digit account ID mandatory")),
        (id, "", fail(401, "12 digit account ID mandatory")),
        (passcode, "guess", fail(401, "Passcode Invalid")),
        (passcode, "", fail(401, "Passcode Invalid")),
        (passcode, "limited", fail(403, "Forbidden")),
        ("host", "eu1.api.clevertap.com", fail(401, "Invalid Credentials")),
        ("host", "api.clevertap.com:443", fail(401, "Invalid Credentials")),
    ] {
        let mut request = post("/1/upload", r#"{"d":[]}"#);
        request.headers_mut().insert(header, value.parse().unwrap());
        assert_eq!(read(emulator.handle(request).await), expected, "{header}: {value}");
        let mut request = post("/1/upload", r#"{"d":[]}"#);
        request.headers_mut().remove(header);
        let status = emulator.handle(request).await.unwrap().status();
        assert_eq!(status, if header == "host" { 200 } else { 401 }, "no {header}");
    }
    for host in ["in1.api.clevertap.com", "127.0.0.1:4000"] {
        let mut request = post("/1/upload", r#"{"d":[]}"#);
        request.headers_mut().insert("host", host.parse().unwrap());
        assert_eq!(emulator.handle(request).await.unwrap().status(), 200);
    }
    let report = serde_json::to_string(&emulator.report()).unwrap();
    assert!(!report.contains("emulator-passcode") && !report.contains("limited"), "{report}");
}

#[tokio::test]
async fn unknown_paths_are_200_and_empty_and_wrong_methods_405() {
    let emulator = emulator();
    let answer = emulator.handle(post("/1/nothing.json", "{}")).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.body().len()), (200, 0));
    let expected = fail(405, "Method Not Allowed");
    assert_eq!(read(emulator.handle(get("/1/upload")).await), expected);
    assert_eq!(read(emulator.handle(post("/1/profile.json", "{}")).await), expected);
    assert_eq!(emulator.report().rules_broken[&Rule::Path], 1);
    assert_eq!(emulator.report().rules_broken[&Rule::Method], 2);
}

#[tokio::test]
async fn a_post_says_that_it_is_plain_json() {
    let emulator = emulator();
    let malformed = fail(400, "Malformed request");
    for (header, value) in [("content-type", "text/plain"), ("content-encoding", "gzip")] {
        let mut request = post("/1/upload", r#"{"d":[]}"#);
        request.headers_mut().insert(header, value.parse().unwrap());
        assert_eq!(read(emulator.handle(request).await), malformed);
    }
    let mut request = post("/1/upload", r#"{"d":[]}"#);
    request.headers_mut().remove("content-type");
    assert_eq!(read(emulator.handle(request).await), malformed);
    let broken = emulator.report().rules_broken;
    assert_eq!((broken[&Rule::ContentType], broken[&Rule::CompressedBody]), (2, 1));
    let mut request = get("/1/profile.json?identity=u1");
    request.headers_mut().insert("content-type", "text/plain".parse().unwrap());
    assert_eq!(read(emulator.handle(request).await).0, 404, "ignored on GET");
}

#[tokio::test]
async fn what_cannot_be_read_is_a_malformed_request() {
    let emulator = emulator();
    for body in
        ["", "[]", "{}", r#"{"d":{}}"#, r#"{"d":[}"#, r#"{"d":[{"type":"event","type":"event"}]}"#, r#"{"d":[{"evtData":{"a":NaN}}]}"#]
    {
        let answer = read(emulator.handle(post("/1/upload", body)).await);
        assert_eq!(answer, fail(400, "Malformed request"), "{body}");
    }
    let long = format!("{{\"d\":[]{}}}", " ".repeat(10 * 1024 * 1024));
    assert_eq!(read(emulator.handle(post("/1/upload", long)).await), fail(400, "Malformed request"));
    let broken = emulator.report().rules_broken;
    assert_eq!((broken[&Rule::Malformed], broken[&Rule::BodyBytes]), (7, 1));
}

#[tokio::test]
async fn a_body_takes_1000_records_and_100_tokens() {
    let emulator = emulator();
    let events = |count: usize| json!({ "d": vec![event("u1"); count] }).to_string();
    let token = json!({ "type": "token", "objectId": super::DEVICE, "tokenData": { "id": "t", "type": "fcm" } });
    let tokens = |count: usize| json!({ "d": vec![token.clone(); count] }).to_string();
    assert_eq!(read(emulator.handle(post("/1/upload", events(1000))).await).0, 200);
    assert_eq!(read(emulator.handle(post("/1/upload", tokens(100))).await).0, 200);
    let answer = read(emulator.handle(post("/1/upload", events(1001))).await);
    assert_eq!(answer, fail(400, "Maximum 1000 records are allowed in one request"));
    let answer = read(emulator.handle(post("/1/upload", tokens(101))).await);
    assert_eq!(answer, fail(400, "Maximum 100 device tokens are allowed in one request"));
    let report = emulator.report();
    assert_eq!((report.events, report.tokens, report.token_records), (1000, 1, 100));
    assert_eq!((report.rules_broken[&Rule::Records], report.rules_broken[&Rule::Tokens]), (1, 1));
}

#[tokio::test]
async fn an_answer_is_compressed_for_those_who_ask() {
    let emulator = emulator();
    let mut request = post("/1/upload", r#"{"d":[]}"#);
    request.headers_mut().insert("accept-encoding", "br, gzip;q=0.5".parse().unwrap());
    let answer = emulator.handle(request).await.unwrap();
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    assert_eq!(answer.headers()["content-type"], "application/json;charset=utf-8");
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&answer.body()[..]), &mut text).unwrap();
    assert_eq!(text, r#"{"status":"success","processed":0,"unprocessed":[]}"#);
}
