//! The text of every variant of `Error`, as users see it.

use clevertap_emulator::{Settings, What};
use clevertap_tests::Scripted;
use datafusion_clevertap::{Access, Account, AccountSettings, FailureKind, Region, Secret};

use crate::world::{Target, World};

/// Opens an account that cannot be opened.
fn unopened(id: &str, passcode: &str, region: Option<Region>, endpoint: Option<&str>) -> String {
    let settings = AccountSettings { endpoint: endpoint.map(str::to_owned), ..AccountSettings::default() };
    Account::open(id, Secret::new(passcode), region, settings).expect_err("no account").to_string()
}

/// What ten rows of a table end in, where the first answers are these.
async fn ended(target: Target, steps: Vec<Scripted>, bad: &str) -> String {
    let world = target.world(10);
    world.set("retry_for_ms", 20_000).await;
    world.script(steps);
    world.refused(&target.insert(bad)).await
}

/// What an INSERT or a SELECT ends in before anything is sent.
async fn planned(sql: &str) -> String {
    let world = World::new();
    let text = world.refused(sql).await;
    assert!(world.sent().is_empty(), "{sql}");
    text
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
async fn setting_with_a_wrong_name() {
    insta::assert_snapshot!(planned("SET clevertap.on_rejects = 'skip'").await, @r#"Invalid or Unsupported Configuration: option "clevertap.on_rejects" is not there; expected one of on_reject, failed_max, in_doubt, failed_rows_to, failed_rows_max, dry_run, schema_check, nulls, nested, naive_time, long_values, full_scan, verify_counts, type_mismatch, lookups_max, delete_rows_max, list_mode, list_email, list_creator, list_assume_exists, upload_concurrency, read_concurrency, body_rows_max, body_bytes_max, timeout_ms, retry_for_ms, run_label [CT-101]"#);
}

#[tokio::test(start_paused = true)]
async fn setting_with_a_wrong_value() {
    insta::assert_snapshot!(planned("SET clevertap.on_reject = 'never'").await, @r#"Invalid or Unsupported Configuration: option "clevertap.on_reject" is "never"; expected 'stop' or 'skip' [CT-101]"#);
}

#[tokio::test(start_paused = true)]
async fn filter_that_is_missing() {
    insta::assert_snapshot!(planned("SELECT * FROM clevertap.profiles").await, @r#"
    clevertap_keys_from_joins
    caused by
    Error during planning: clevertap.profiles needs a filter (= or IN) on "identity" or "email" or "object_id" to be read, and this query has none. For example: WHERE identity = 'cust-1001', WHERE event_name = 'Charged' AND event_date BETWEEN '2026-01-01' AND '2026-01-31', or a join on one of them. SET clevertap.full_scan = true reads everybody who can be listed, event by event [CT-201]
    "#);
}

#[tokio::test(start_paused = true)]
async fn filter_of_a_table_that_is_not_read() {
    insta::assert_snapshot!(planned("SELECT * FROM clevertap.device_tokens").await, @r#"Error during planning: clevertap.device_tokens is written, not read [CT-201]"#);
}

#[tokio::test(start_paused = true)]
async fn unwritable_without_a_name() {
    insta::assert_snapshot!(planned("INSERT INTO clevertap.profiles SELECT 'a' AS identity, upper('x')").await, @r#"Error during planning: clevertap.profiles: expression 2 of the select list has no name; give it one with AS, in double quotes if it holds capitals [CT-202]"#);
}

#[tokio::test(start_paused = true)]
async fn unwritable_with_capitals() {
    insta::assert_snapshot!(planned("INSERT INTO clevertap.profiles SELECT 'a' AS identity, 'gold' AS Plan").await, @r#"Error during planning: clevertap.profiles: AS Plan would become the property "plan", for ever; write AS "Plan", or AS plan if that is meant [CT-202]"#);
}

#[tokio::test(start_paused = true)]
async fn unwritable_without_an_identifier() {
    insta::assert_snapshot!(planned("INSERT INTO clevertap.profiles SELECT 'Ada' AS name").await, @r#"Error during planning: clevertap.profiles needs a column that says whose row it is, and this source has none; name one of its columns identity or object_id or fbid or gpid [CT-202]"#);
}

#[tokio::test(start_paused = true)]
async fn unwritable_with_two_identifiers() {
    insta::assert_snapshot!(planned("INSERT INTO clevertap.profiles SELECT 'a' AS identity, 'b' AS object_id").await, @r#"Error during planning: clevertap.profiles takes one identifier column, and this source has "identity" and "object_id"; write them in statements of their own [CT-202]"#);
}

#[tokio::test(start_paused = true)]
async fn unwritable_with_two_columns_for_one_field() {
    insta::assert_snapshot!(planned("INSERT INTO clevertap.profiles SELECT 'a' AS identity, 'x' AS email, 'y' AS \"EMAIL\"").await, @r#"Error during planning: clevertap.profiles: columns "email" and "EMAIL" both become the field "Email"; leave one of them out [CT-202]"#);
}

#[tokio::test(start_paused = true)]
async fn unwritable_with_a_column_that_only_reads_have() {
    insta::assert_snapshot!(planned("INSERT INTO clevertap.profiles SELECT 'a' AS identity, 'x' AS platforms").await, @r#"Error during planning: clevertap.profiles: column "platforms" is not written: CleverTap keeps it by itself: leave the column out, or give it another name [CT-202]"#);
}

#[tokio::test(start_paused = true)]
async fn unwritable_with_a_time_without_zone() {
    insta::assert_snapshot!(planned("INSERT INTO clevertap.events SELECT 'a' AS identity, 'V' AS event_name, TIMESTAMP '2026-01-01' AS event_time").await, @r#"Error during planning: clevertap.events: column "event_time" has the type Timestamp(ns) and no time zone says which instant it is; write "event_time" AT TIME ZONE 'UTC' or another zone, or SET clevertap.naive_time = 'utc' or 'project' [CT-202]"#);
}

#[tokio::test(start_paused = true)]
async fn unwritable_without_an_event_time() {
    insta::assert_snapshot!(planned("INSERT INTO clevertap.events SELECT 'a' AS identity, 'V' AS event_name").await, @r#"Error during planning: clevertap.events needs a column "event_time", and this source has none; add a timestamp, or now(), AS event_time [CT-202]"#);
}

#[tokio::test(start_paused = true)]
async fn unwritable_without_wanted_columns_of_a_token() {
    insta::assert_snapshot!(planned("INSERT INTO clevertap.device_tokens SELECT 'g' AS object_id").await, @r#"Error during planning: clevertap.device_tokens needs a column "token", and this source has none; add it AS token [CT-202]"#);
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
async fn rejected() {
    insta::assert_snapshot!(ended(Target::Profiles, Vec::new(), "n = 4").await, @r#"External error: clevertap.profiles: 9 accepted, 1 rejected, 0 in doubt, 0 unsent of 10 rows read (run 1, settled through row 10, input complete; failed rows in clevertap.failed_rows). First reject: row 4, CLEVERTAP-515: Profile data is incorrect. Email is not valid. SET clevertap.on_reject = 'skip' to go on past rejects and read them from clevertap.failed_rows. [CT-401]"#);
}

#[tokio::test(start_paused = true)]
async fn rejected_before_it_was_sent() {
    insta::assert_snapshot!(ended(Target::Events, Vec::new(), "n = 4").await, @r#"External error: clevertap.events: 9 accepted, 1 rejected, 0 in doubt, 0 unsent of 10 rows read (run 1, settled through row 10, input complete; failed rows in clevertap.failed_rows). First reject: row 4, CLEVERTAP-513: Event Name is incorrect. ErrorCode: 513 - Trying to raise a restricted system event. SET clevertap.on_reject = 'skip' to go on past rejects and read them from clevertap.failed_rows. [CT-401]"#);
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
async fn unauthorized_by_read_only_access() {
    let world = World::open(Settings::default(), |account| account.access = Access::Read);
    insta::assert_snapshot!(world.refused("INSERT INTO clevertap.profiles SELECT 'a' AS identity").await, @r#"External error: account "TEST-123-456Z" was opened to be read only, and clevertap.profiles would be written; open it with write access [CT-301]"#);
}

#[tokio::test(start_paused = true)]
async fn stopped_by_twenty_malformed_records() {
    let world = Target::Profiles.world(30);
    world.set("on_reject", "skip").await;
    world.fault(What::MalformedIf { text: String::new() });
    insta::assert_snapshot!(world.refused(&Target::Profiles.insert("false")).await, @r#"External error: POST /1/upload refused 20 records of one body as malformed and took none: it is not the records. clevertap.profiles: 0 accepted, 20 rejected, 0 in doubt, 10 unsent of 30 rows read (run 1, settled through row 20, input complete; failed rows in clevertap.failed_rows). [CT-302]"#);
}
