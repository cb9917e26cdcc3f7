//! The requests of every table that can be written, with required columns and with all; and of a look-up.

use clevertap_emulator::Settings;
use clevertap_tests::SentCall;

use crate::world::{World, devices};

/// A call as it stands on the wire, without the host and the values of headers.
fn shown(call: &SentCall) -> String {
    let mut headers = call.headers.clone();
    headers.sort_unstable();
    let query = call.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{} {}{query}\n{}\n{}", call.method, call.path, headers.join(", "), call.body)
}

/// The requests of one statement.
async fn wire(sql: &str) -> String {
    let world = World::with(Settings { devices: devices(&["__g1"]), ..Settings::default() });
    world.rows(sql).await;
    world.sent().iter().map(shown).collect::<Vec<_>>().join("\n")
}

#[tokio::test(start_paused = true)]
async fn profiles_with_required_columns() {
    insta::assert_snapshot!(wire("INSERT INTO clevertap.profiles SELECT 'a' AS identity").await, @r#"
    POST /1/upload
    Content-Type, X-CleverTap-Account-Id, X-CleverTap-Passcode
    {"d":[{"type":"profile","identity":"a","profileData":{}}]}
    "#);
}

#[tokio::test(start_paused = true)]
async fn profiles_with_all_columns() {
    insta::assert_snapshot!(
        wire(
            "INSERT INTO clevertap.profiles SELECT 'a' AS identity, 1767225600 AS event_time, 'Ada' AS name, 'ada@example.org' AS email,
             '+14155550100' AS phone, 'F' AS gender, true AS employed, 'Graduate' AS education, false AS married, 36 AS age,
             DATE '1990-01-01' AS dob, 'https://example.org/a.png' AS photo, 'vip' AS customer_type, 'IST' AS timezone, '5.5' AS tz,
             true AS \"MSG-email\", true AS \"MSG-push\", true AS \"MSG-push-all\", false AS \"MSG-sms\", false AS \"MSG-whatsapp\", false AS \"MSG-dndPhone\",
             '{\"email\":[\"offers\"]}' AS category_unsubscribe, '{\"email\":[\"news\"]}' AS category_resubscribe, 'b' AS link_identity,
             'gold' AS \"Plan\", '{\"Tier\":1}' AS properties"
        )
        .await,
        @r#"
    POST /1/upload
    Content-Type, X-CleverTap-Account-Id, X-CleverTap-Passcode
    {"d":[{"type":"profile","identity":"a","ts":1767225600,"profileData":{"Name":"Ada","Email":"ada@example.org","Phone":"+14155550100","Gender":"F","Employed":"Y","Education":"Graduate","Married":"N","Age":36,"DOB":"$D_631132200","Photo":"https://example.org/a.png","Customer Type":"vip","Timezone":"IST","Tz":"5.5","MSG-email":true,"MSG-push":true,"MSG-push-all":true,"MSG-sms":false,"MSG-whatsapp":false,"MSG-dndPhone":false,"category-unsubscribe":{"email":["offers"]},"category-resubscribe":{"email":["news"]},"identity":"b","Plan":"gold","Tier":1}}]}
    "#);
}

#[tokio::test(start_paused = true)]
async fn profiles_by_every_identifier() {
    let mut bodies = Vec::new();
    for column in ["identity", "object_id", "fbid", "gpid"] {
        let world = World::with(Settings { devices: devices(&["__g1"]), ..Settings::default() });
        world.rows(&format!("INSERT INTO clevertap.profiles SELECT '__g1' AS {column}")).await;
        bodies.push(world.sent()[0].body.clone());
    }
    assert_eq!(
        bodies,
        [
            r#"{"d":[{"type":"profile","identity":"__g1","profileData":{}}]}"#,
            r#"{"d":[{"type":"profile","objectId":"__g1","profileData":{}}]}"#,
            r#"{"d":[{"type":"profile","FBID":"__g1","profileData":{}}]}"#,
            r#"{"d":[{"type":"profile","GPID":"__g1","profileData":{}}]}"#,
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn events_with_required_columns() {
    insta::assert_snapshot!(
        wire("INSERT INTO clevertap.events SELECT 'a' AS identity, 'Viewed' AS event_name, 1767225600 AS event_time").await,
        @r#"
    POST /1/upload
    Content-Type, X-CleverTap-Account-Id, X-CleverTap-Passcode
    {"d":[{"type":"event","identity":"a","ts":1767225600,"evtName":"Viewed","evtData":{}}]}
    "#);
}

#[tokio::test(start_paused = true)]
async fn events_with_all_columns() {
    insta::assert_snapshot!(
        wire(
            "INSERT INTO clevertap.events SELECT 'Charged' AS event_name, 1767225600 AS event_time, '__g1' AS object_id,
             make_array(named_struct('Name', 'Assam', 'Quantity', 2)) AS items, 25 AS \"Amount\", '{\"Currency\":\"INR\"}' AS properties"
        )
        .await,
        @r#"
    POST /1/upload
    Content-Type, X-CleverTap-Account-Id, X-CleverTap-Passcode
    {"d":[{"type":"event","objectId":"__g1","ts":1767225600,"evtName":"Charged","evtData":{"Items":[{"Name":"Assam","Quantity":2}],"Amount":25,"Currency":"INR"}}]}
    "#);
}

#[tokio::test(start_paused = true)]
async fn an_events_table_has_the_name_from_its_own() {
    insta::assert_snapshot!(
        wire("INSERT INTO clevertap_events.\"Signed up\" SELECT 'a' AS identity, 1767225600 AS event_time, 'web' AS \"From\"").await,
        @r#"
    POST /1/upload
    Content-Type, X-CleverTap-Account-Id, X-CleverTap-Passcode
    {"d":[{"type":"event","identity":"a","ts":1767225600,"evtName":"Signed up","evtData":{"From":"web"}}]}
    "#);
}

#[tokio::test(start_paused = true)]
async fn device_tokens_with_required_columns() {
    insta::assert_snapshot!(
        wire("INSERT INTO clevertap.device_tokens SELECT '__g1' AS object_id, 't1' AS token, 'fcm' AS token_type").await,
        @r#"
    POST /1/upload
    Content-Type, X-CleverTap-Account-Id, X-CleverTap-Passcode
    {"d":[{"type":"token","objectId":"__g1","tokenData":{"id":"t1","type":"fcm"}}]}
    "#);
}

#[tokio::test(start_paused = true)]
async fn device_tokens_with_all_columns() {
    let world = World::new();
    world.emulator.add_device("web1", clevertap_emulator::Platform::Web, None);
    world
        .rows(
            "INSERT INTO clevertap.device_tokens SELECT 'web1' AS object_id, 't1' AS token, 'chrome' AS token_type,
             '{\"p256dh\":\"k\",\"auth\":\"s\"}' AS keys",
        )
        .await;
    insta::assert_snapshot!(shown(&world.sent()[0]), @r#"
    POST /1/upload
    Content-Type, X-CleverTap-Account-Id, X-CleverTap-Passcode
    {"d":[{"type":"token","objectId":"web1","tokenData":{"id":"t1","type":"chrome","keys":{"p256dh":"k","auth":"s"}}}]}
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_says_so_in_the_query() {
    let world = World::new();
    world.set("dry_run", "server").await;
    world.rows("INSERT INTO clevertap.profiles SELECT 'a' AS identity").await;
    insta::assert_snapshot!(shown(&world.sent()[0]), @r#"
    POST /1/upload?dryRun=1
    Content-Type, X-CleverTap-Account-Id, X-CleverTap-Passcode
    {"d":[{"type":"profile","identity":"a","profileData":{}}]}
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_look_up_is_a_get_without_a_body() {
    insta::assert_snapshot!(wire("SELECT * FROM clevertap.profiles WHERE email = 'a+b c@example.org'").await, @r"
    GET /1/profile.json?email=a%2Bb%20c%40example.org
    X-CleverTap-Account-Id, X-CleverTap-Passcode
    ");
}

#[tokio::test(start_paused = true)]
async fn subscriptions_have_all_columns() {
    insta::assert_snapshot!(
        wire("INSERT INTO clevertap.subscriptions SELECT 'email' AS type, 'ada@example.org' AS value, 'Unsubscribe' AS status").await,
        @r#"
    POST /1/subscribe
    Content-Type, X-CleverTap-Account-Id, X-CleverTap-Passcode
    {"d":[{"value":"ada@example.org","type":"email","status":"Unsubscribe"}]}
    "#);
}

#[tokio::test(start_paused = true)]
async fn phone_disassociations_have_one_column() {
    insta::assert_snapshot!(wire("INSERT INTO clevertap.phone_disassociations SELECT '+14155550100' AS phone").await, @r#"
    POST /1/disassociate
    Content-Type, X-CleverTap-Account-Id, X-CleverTap-Passcode
    {"d":[{"type":"phone","value":"+14155550100"}]}
    "#);
}
