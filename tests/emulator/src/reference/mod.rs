//! The emulator against the text of the API reference, by the reference's headings. No client of the project is used.

mod addresses;
mod clock;
mod counts;
mod custom_lists;
mod deletions;
mod demerges;
mod departures;
mod export_records;
mod exports;
mod faults;
mod filters;
mod http_server;
mod list_files;
mod lists;
mod page_faults;
mod people;
mod records;
mod refused_requests;
mod schema;

use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Value, json};

use crate::{Broken, Emulator, Platform, Settings};

const DEVICE: &str = "__g0123456789abcdef0123456789abcdef";

/// A project with one Android device that nobody is logged in on.
fn emulator() -> Emulator {
    let emulator = Emulator::new(Settings::default());
    emulator.add_device(DEVICE, Platform::Android, None);
    emulator
}

fn post(path: &str, body: impl Into<Bytes>) -> Request<Bytes> {
    let request = Request::post(path)
        .header("X-CleverTap-Account-Id", "TEST-123-456Z")
        .header("X-CleverTap-Passcode", "emulator-passcode")
        .header("Content-Type", "application/json; charset=utf-8");
    request.body(body.into()).unwrap()
}

fn get(path: &str) -> Request<Bytes> {
    let request = Request::get(path).header("X-CleverTap-Account-Id", "TEST-123-456Z").header("X-CleverTap-Passcode", "emulator-passcode");
    request.body(Bytes::new()).unwrap()
}

/// A failure whose code is its status.
fn fail(status: u16, error: &str) -> (u16, Value) {
    (status, json!({ "status": "fail", "error": error, "code": status }))
}

/// Status and JSON of an answer.
fn read(answer: Result<Response<Bytes>, Broken>) -> (u16, Value) {
    let answer = answer.unwrap();
    (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap())
}

/// Uploads records that may be wrong.
async fn upload(emulator: &Emulator, records: Value) -> (u16, Value) {
    let body = json!({ "d": records }).to_string();
    read(emulator.handle(post("/1/upload", body)).await)
}

/// Uploads records that must all be accepted.
async fn accept(emulator: &Emulator, records: Value) {
    let count = records.as_array().unwrap().len();
    let success = json!({ "status": "success", "processed": count, "unprocessed": [] });
    assert_eq!(upload(emulator, records).await, (200, success));
}

/// Uploads one profile's data and gives what is kept of it.
async fn profile(emulator: &Emulator, data: Value) -> Value {
    accept(emulator, json!([{ "type": "profile", "identity": "u1", "profileData": data }])).await;
    emulator.profile("u1").unwrap()["profileData"].clone()
}

fn event(identity: &str) -> Value {
    json!({ "type": "event", "identity": identity, "evtName": "Viewed", "evtData": {} })
}

/// Sends a body to a path.
async fn send(emulator: &Emulator, path: &str, body: Value) -> (u16, Value) {
    read(emulator.handle(post(path, body.to_string())).await)
}

/// What a request that is no more than accepted is answered.
fn success() -> (u16, Value) {
    (200, json!({ "status": "success" }))
}
