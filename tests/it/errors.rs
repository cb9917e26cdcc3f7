//! The text of errors that need an answer of their own, or an account that cannot be opened. The others are in `slt/errors.slt`.

use clevertap_emulator::What;
use clevertap_tests::Scripted;
use datafusion_clevertap::{Account, AccountSettings, Region, Secret, transport::FailureKind};

use crate::world::{Target, World};

/// Opens an account that cannot be opened.
fn unopened(id: &str, passcode: &str, region: Option<Region>, endpoint: Option<&str>) -> String {
    let mut settings = AccountSettings::new();
    settings.endpoint = endpoint.map(str::to_owned);
    Account::open(id, Secret::new(passcode), region, settings).expect_err("no account").to_string()
}

/// What ten rows of a table end in, where the first answers are these.
async fn ended(target: Target, steps: Vec<Scripted>, bad: &str) -> String {
    let world = target.world(10);
    world.set("retry_for_ms", 20_000).await;
    world.script(steps);
    world.refused(&target.insert(bad)).await
}

/// What a look-up ends in, where every answer is this.
async fn looked_up(status: u16, body: &'static str) -> String {
    let world = World::new();
    world.set("retry_for_ms", 20_000).await;
    world.script(vec![Scripted::Answer(status, body); 100]);
    world.refused("SELECT name FROM clevertap.profiles WHERE identity = 'somebody'").await
}

#[test]
fn setting_without_region() {
    insta::assert_snapshot!(unopened("TEST-123-456Z", "passcode", None, None), @r#"option "region" is not set; expected one of eu1, in1, sg1, us1, aps3, mec1, or set "endpoint". [CT-101]"#);
}

#[test]
fn setting_with_a_plain_endpoint() {
    insta::assert_snapshot!(unopened("TEST-123-456Z", "passcode", None, Some("http://example.org")), @r#"option "endpoint" is http, which would show the passcode to the network; expected a URL such as "https://in1.api.clevertap.com". [CT-101]"#);
}

#[test]
fn setting_without_passcode() {
    insta::assert_snapshot!(unopened("TEST-123-456Z", "", Region::In1.into(), None), @r#"the passcode is empty; it is found in the dashboard under Settings, Passcode. [CT-101]"#);
}

#[tokio::test(start_paused = true)]
async fn unauthorized_look_up() {
    insta::assert_snapshot!(looked_up(401, r#"{"status":"fail","error":"Invalid Credentials","code":401}"#).await, @r#"External error: GET /1/profile.json to in1.api.clevertap.com was answered "Invalid Credentials" (HTTP 401, code 401): in1.api.clevertap.com refused account "TES-…-6Z". The passcode may be wrong, or the account may live in another region. [CT-301]"#);
}

#[tokio::test(start_paused = true)]
async fn refused_look_up() {
    insta::assert_snapshot!(looked_up(400, r#"{"status":"fail","error":"Some rule","code":400}"#).await, @r#"External error: GET /1/profile.json to in1.api.clevertap.com was answered "Some rule" (HTTP 400, code 400). [CT-302]"#);
}

#[tokio::test(start_paused = true)]
async fn unavailable_look_up() {
    insta::assert_snapshot!(looked_up(429, r#"{"status":"fail","error":"Too many requests"}"#).await, @r#"External error: GET /1/profile.json to in1.api.clevertap.com was answered 429 Too Many Requests; tried for 9 s (6 attempts). [CT-303]"#);
}

#[tokio::test(start_paused = true)]
async fn answer_of_a_look_up_that_is_html() {
    insta::assert_snapshot!(looked_up(200, "<html>").await, @r#"External error: GET /1/profile.json to in1.api.clevertap.com was answered 200 with a body that cannot be read; tried for 9 s (6 attempts). [CT-303]"#);
}

#[tokio::test(start_paused = true)]
async fn in_doubt() {
    insta::assert_snapshot!(ended(Target::Events, vec![Scripted::Fail(FailureKind::Lost, "was reset with the request sent")], "false").await, @r#"External error: POST /1/upload to in1.api.clevertap.com was reset with the request sent. clevertap.events: 0 accepted, 0 rejected, 10 in doubt, 0 unsent of 10 rows read (run 1, settled through row 10, input complete; failed rows in clevertap.failed_rows). Sending them again may store them twice; SET clevertap.in_doubt = 'resend' if that is acceptable. [CT-402]"#);
}

#[tokio::test(start_paused = true)]
async fn in_doubt_after_a_500() {
    insta::assert_snapshot!(ended(Target::Events, vec![Scripted::Answer(500, r#"{"status":"fail","error":"An unknown error occurred","code":500}"#)], "false").await, @r#"External error: POST /1/upload to in1.api.clevertap.com was answered 500. clevertap.events: 0 accepted, 0 rejected, 10 in doubt, 0 unsent of 10 rows read (run 1, settled through row 10, input complete; failed rows in clevertap.failed_rows). Sending them again may store them twice; SET clevertap.in_doubt = 'resend' if that is acceptable. [CT-402]"#);
}

#[tokio::test(start_paused = true)]
async fn stopped_by_a_401() {
    insta::assert_snapshot!(ended(Target::Profiles, vec![Scripted::Answer(401, r#"{"status":"fail","error":"Passcode Invalid","code":401}"#)], "false").await, @r#"External error: POST /1/upload to in1.api.clevertap.com was answered "Passcode Invalid" (HTTP 401, code 401): in1.api.clevertap.com refused account "TES-…-6Z". The passcode may be wrong, or the account may live in another region. clevertap.profiles: 0 accepted, 0 rejected, 0 in doubt, 10 unsent of 10 rows read (run 1, settled through row 0, input complete; failed rows in clevertap.failed_rows). [CT-301]"#);
}

#[tokio::test(start_paused = true)]
async fn stopped_by_429_without_end() {
    insta::assert_snapshot!(ended(Target::Profiles, vec![Scripted::Answer(429, "{}"); 100], "false").await, @r#"External error: POST /1/upload to in1.api.clevertap.com was answered 429 Too Many Requests; tried for 9 s (6 attempts). clevertap.profiles: 0 accepted, 0 rejected, 0 in doubt, 10 unsent of 10 rows read (run 1, settled through row 0, input complete; failed rows in clevertap.failed_rows). [CT-303]"#);
}

#[tokio::test(start_paused = true)]
async fn stopped_by_a_host_that_is_not_there() {
    insta::assert_snapshot!(ended(Target::Profiles, vec![Scripted::Fail(FailureKind::NotSent, "found no such host"); 100], "false").await, @r#"External error: POST /1/upload to in1.api.clevertap.com found no such host; tried for 646 ms (3 attempts). clevertap.profiles: 0 accepted, 0 rejected, 0 in doubt, 10 unsent of 10 rows read (run 1, settled through row 0, input complete; failed rows in clevertap.failed_rows). [CT-303]"#);
}

#[tokio::test(start_paused = true)]
async fn stopped_by_a_certificate() {
    insta::assert_snapshot!(ended(Target::Profiles, vec![Scripted::Fail(FailureKind::Certificate, "has a certificate that is not trusted"); 100], "false").await, @r#"External error: POST /1/upload to in1.api.clevertap.com has a certificate that is not trusted. clevertap.profiles: 0 accepted, 0 rejected, 0 in doubt, 10 unsent of 10 rows read (run 1, settled through row 0, input complete; failed rows in clevertap.failed_rows). [CT-303]"#);
}

#[tokio::test(start_paused = true)]
async fn stopped_by_a_fail_under_200() {
    insta::assert_snapshot!(ended(Target::Profiles, vec![Scripted::Answer(200, r#"{"status":"fail","error":"Account is suspended","code":4711}"#)], "false").await, @r#"External error: POST /1/upload to in1.api.clevertap.com was answered "Account is suspended" (HTTP 200, code 4711). clevertap.profiles: 0 accepted, 0 rejected, 0 in doubt, 10 unsent of 10 rows read (run 1, settled through row 0, input complete; failed rows in clevertap.failed_rows). [CT-302]"#);
}

#[tokio::test(start_paused = true)]
async fn stopped_by_twenty_malformed_records() {
    let world = Target::Profiles.world(30);
    world.set("on_reject", "skip").await;
    world.fault(What::MalformedIf { text: String::new() });
    insta::assert_snapshot!(world.refused(&Target::Profiles.insert("false")).await, @r#"External error: POST /1/upload refused 20 records of one body as malformed and took none: it is not the records. clevertap.profiles: 0 accepted, 20 rejected, 0 in doubt, 10 unsent of 30 rows read (run 1, settled through row 20, input complete; failed rows in clevertap.failed_rows). [CT-302]"#);
}
