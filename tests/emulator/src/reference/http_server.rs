//! Over HTTP the emulator does what it does in process, and notes what only a socket shows.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{emulator, event};
use crate::{Fault, Rule, Server, Settings, What};

const HEAD: &str = "POST /1/upload HTTP/1.1\r\nHost: localhost\r\nX-CleverTap-Account-Id: TEST-123-456Z\r\n\
                    X-CleverTap-Passcode: emulator-passcode\r\nContent-Type: application/json\r\nConnection: close\r\n";

async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.url().strip_prefix("http://").unwrap()).await.unwrap()
}

/// Sends raw text and reads until the connection ends.
async fn talk(server: &Server, text: &str) -> String {
    let mut stream = connect(server).await;
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A reset is an end, too.
    stream.read_to_end(&mut answer).await.ok();
    String::from_utf8(answer).unwrap()
}

fn sized(body: &str) -> String {
    format!("{HEAD}Content-Length: {}\r\n\r\n{body}", body.len())
}

fn body() -> String {
    json!({ "d": [event("u1")] }).to_string()
}

#[tokio::test]
async fn an_upload_over_http_is_answered_and_stored() {
    let emulator = emulator();
    let server = emulator.serve("127.0.0.1:0").await.unwrap();
    let answer = talk(&server, &sized(&body())).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with(r#"{"status":"success","processed":1,"unprocessed":[]}"#), "{answer}");
    let state = talk(&server, "GET /_emulator/state HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    let state: Value = serde_json::from_str(state.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!((&state["events"], &state["rules_broken"]), (&json!(1), &json!({})));
}

#[tokio::test]
async fn an_export_over_http_takes_its_cursor_byte_for_byte() {
    let emulator = super::exports::project(Settings::default(), 100);
    let server = emulator.serve("127.0.0.1:0").await.unwrap();
    let body = super::exports::day().to_string();
    let head = HEAD.replace("/1/upload", "/1/events.json?batch_size=23");
    let opened = talk(&server, &format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())).await;
    let text = |answer: &str, key: &str| {
        let body: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        body[key].as_str().map(str::to_owned)
    };
    let mut cursor = text(&opened, "cursor");
    let mut records = 0;
    while let Some(next) = cursor {
        let head = HEAD.replace("POST /1/upload", &format!("GET /1/events.json?cursor={next}"));
        let page = talk(&server, &format!("{head}\r\n")).await;
        records += page.matches("\"event_props\":").count();
        cursor = text(&page, "next_cursor");
    }
    assert_eq!(records, 100);
    assert_eq!(emulator.report().rules_broken, [].into());
}

#[tokio::test]
async fn a_chunked_body_is_taken_but_noted() {
    let emulator = emulator();
    let server = emulator.serve("127.0.0.1:0").await.unwrap();
    let chunk = format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{}\r\n0\r\n\r\n", body().len(), body());
    assert!(talk(&server, &chunk).await.starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(emulator.report().rules_broken, [(Rule::Chunked, 1)].into());
    assert_eq!(emulator.events_stored(), 1);
}

#[tokio::test]
async fn a_body_over_ten_megabytes_is_read_and_refused() {
    let emulator = emulator();
    let server = emulator.serve("127.0.0.1:0").await.unwrap();
    let answer = talk(&server, &sized(&" ".repeat(11 * 1024 * 1024))).await;
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
    assert_eq!(emulator.report().rules_broken, [(Rule::BodyBytes, 1)].into());
}

#[tokio::test]
async fn a_reset_cuts_the_connection_without_a_byte() {
    let emulator = emulator();
    emulator.add_fault(Fault::new(What::ResetAfter).times(1));
    let server = emulator.serve("127.0.0.1:0").await.unwrap();
    assert_eq!(talk(&server, &sized(&body())).await, "");
    assert_eq!((emulator.events_stored(), emulator.report().resets), (1, 1));
}

#[tokio::test]
async fn a_client_that_leaves_frees_its_slot() {
    let emulator = emulator();
    emulator.add_fault(Fault::new(What::HangBefore));
    let server = emulator.serve("127.0.0.1:0").await.unwrap();
    let mut stream = connect(&server).await;
    stream.write_all(sized(&body()).as_bytes()).await.unwrap();
    let in_flight = async |count: usize| {
        while emulator.report().in_flight["/1/upload"] != count {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), in_flight(1)).await.unwrap();
    drop(stream);
    tokio::time::timeout(Duration::from_secs(10), in_flight(0)).await.unwrap();
    assert_eq!(emulator.report().abandoned, 1);
}

#[tokio::test]
async fn dropping_the_server_ends_requests_that_hang() {
    let emulator = emulator();
    emulator.add_fault(Fault::new(What::HangAfter));
    let server = emulator.serve("127.0.0.1:0").await.unwrap();
    let mut stream = connect(&server).await;
    stream.write_all(sized(&body()).as_bytes()).await.unwrap();
    while emulator.events_stored() == 0 {
        tokio::task::yield_now().await;
    }
    drop(server);
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok();
    assert!(answer.is_empty());
    while emulator.report().in_flight["/1/upload"] != 0 {
        tokio::task::yield_now().await;
    }
}
