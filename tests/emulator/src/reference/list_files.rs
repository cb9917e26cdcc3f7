//! Reference 12.1 and unknowns 6.5: the URL for a list's file, and what may be put there.

use std::time::Duration;

use bytes::Bytes;
use chrono_tz::Tz;
use http::Request;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::custom_lists::{people, put, url};
use super::{emulator, post, read};
use crate::{Emulator, Rule, Server, Settings};

/// Status and code of a refusal.
async fn refusal(emulator: &Emulator, request: Request<Bytes>) -> (u16, String) {
    let answer = emulator.handle(request).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/xml");
    let text = String::from_utf8(answer.body().to_vec()).unwrap();
    let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).unwrap().0;
    (answer.status().as_u16(), code.to_owned())
}

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn a_url_says_when_it_expires_in_the_project_s_time_zone() {
    let emulator = Emulator::new(Settings { time_zone: Tz::Asia__Kolkata, started_at: 1_778_074_140, ..Settings::default() });
    let (status, answer) = read(emulator.handle(post("/get_custom_list_segment_url", "")).await);
    assert_eq!((status, &answer["status"], answer.as_object().unwrap().len()), (200, &json!("success"), 4));
    assert_eq!((&answer["expiry"], &answer["expiryEpoch"]), (&json!("7 May, 06:59 PM"), &json!({ "$date": "2026-05-07T13:29:00Z" })));
}

#[tokio::test]
async fn every_url_is_another_one_and_lies_where_the_settings_or_the_request_say() {
    let emulator = emulator();
    let mut request = post("/get_custom_list_segment_url", "");
    request.headers_mut().insert("host", "127.0.0.1:4000".parse().unwrap());
    let answer = read(emulator.handle(request).await).1;
    assert!(answer["presignedS3URL"].as_str().unwrap().starts_with("http://127.0.0.1:4000/_presigned/"), "{answer}");
    let answer = read(emulator.handle(post("https://in1.api.clevertap.com/get_custom_list_segment_url", "")).await).1;
    assert!(answer["presignedS3URL"].as_str().unwrap().starts_with("https://in1.api.clevertap.com/_presigned/"), "{answer}");
    assert_ne!(url(&emulator).await, url(&emulator).await);
    let settings = Settings { presigned_base: Some("https://files.example.org/".to_owned()), ..Settings::default() };
    assert!(url(&Emulator::new(settings)).await.starts_with("https://files.example.org/_presigned/"));
}

#[tokio::test]
async fn a_put_that_carries_the_account_s_headers_is_refused_and_noted() {
    let emulator = people().await;
    let url = url(&emulator).await;
    for header in ["X-CleverTap-Passcode", "x-clevertap-account-id"] {
        let request = Request::put(&url).header(header, "emulator-passcode").body("Type,Identity\n".into()).unwrap();
        assert_eq!(refusal(&emulator, request).await, refused(403, "AccessDenied"));
    }
    let report = emulator.report();
    assert_eq!((report.rules_broken, report.put_bytes), ([(Rule::LeakedPasscode, 2)].into(), 0));
    assert_eq!(report.requests_by_path["/_presigned/"], 2);
}

#[tokio::test(start_paused = true)]
async fn only_the_url_as_it_was_given_opens_and_only_for_a_day() {
    let emulator = people().await;
    let url = url(&emulator).await;
    let (bare, query) = url.split_once('?').unwrap();
    let put_at = |url: String| Request::put(url).body(Bytes::new()).unwrap();
    for wrong in [bare.to_owned(), format!("{bare}?{}", query.replace("%2F", "/")), format!("{url}&a=b"), format!("{bare}0?{query}")] {
        assert_eq!(refusal(&emulator, put_at(wrong)).await, refused(403, "SignatureDoesNotMatch"));
    }
    assert_eq!(refusal(&emulator, Request::get(&url).body(Bytes::new()).unwrap()).await, refused(403, "SignatureDoesNotMatch"));
    sleep(Duration::from_secs(24 * 60 * 60 - 1)).await;
    assert_eq!(put(&emulator, &url, "Type,Identity\n").await.unwrap().status(), 200);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(refusal(&emulator, put_at(url)).await, refused(403, "AccessDenied"));
    assert_eq!(emulator.report().rules_broken, [(Rule::Method, 1), (Rule::ListUrl, 5)].into());
}

#[tokio::test]
async fn a_file_over_the_limit_is_refused() {
    let emulator = Emulator::new(Settings { list_bytes_max: 20, ..Settings::default() });
    let url = url(&emulator).await;
    let request = |bytes: usize| Request::put(&url).body(vec![b'a'; bytes].into()).unwrap();
    assert_eq!(refusal(&emulator, request(21)).await, refused(400, "EntityTooLarge"));
    assert_eq!(emulator.handle(request(20)).await.unwrap().status(), 200);
    assert_eq!(emulator.report().rules_broken, [(Rule::BodyBytes, 1)].into());
}

/// Sends one request over a socket.
async fn talk(server: &Server, head: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.url().strip_prefix("http://").unwrap()).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn over_http_a_file_comes_in_one_piece_of_known_length_and_may_be_longer_than_other_bodies() {
    let emulator = people().await;
    let server = emulator.serve("127.0.0.1:0").await.unwrap();
    let host = server.url().replace("http://", "");
    let account = "X-CleverTap-Account-Id: TEST-123-456Z\r\nX-CleverTap-Passcode: emulator-passcode\r\nContent-Type: application/json";
    let ask = format!(
        "POST /get_custom_list_segment_url HTTP/1.1\r\nHost: {host}\r\n{account}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    let answer = talk(&server, &ask, b"").await;
    let answer: serde_json::Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    let url = answer["presignedS3URL"].as_str().unwrap();
    let path = url.strip_prefix(&server.url()).unwrap();
    let head = |length: &str| format!("PUT {path} HTTP/1.1\r\nHost: {host}\r\n{length}Connection: close\r\n\r\n");

    let chunked = talk(&server, &head("Transfer-Encoding: chunked\r\n"), b"1\r\na\r\n0\r\n\r\n").await;
    assert!(chunked.starts_with("HTTP/1.1 501 "), "{chunked}");
    assert!(talk(&server, &head(""), b"").await.starts_with("HTTP/1.1 411 "));
    let mut file = "Type,Identity\ni,ada\n".to_owned();
    file.push_str(&"i,nobody\n".repeat(1_300_000));
    let answer = talk(&server, &head(&format!("Content-Length: {}\r\n", file.len())), file.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let report = emulator.report();
    assert_eq!((report.put_bytes, report.rules_broken), (file.len() as u64, [(Rule::Chunked, 2)].into()));
}
