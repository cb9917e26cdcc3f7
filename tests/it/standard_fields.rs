//! The standard fields of people hold what CleverTap understands, or the row is rejected with a remedy: consent above all.

use clevertap_emulator::Settings;
use serde_json::{Value, json};

use crate::world::World;

/// What becomes of one person whose `field` is this expression: the value that is sent, or the reason of the reject.
async fn sent(world: &World, expression: &str, field: &str) -> Result<Value, String> {
    world.forget_sent();
    let insert = format!("INSERT INTO clevertap.profiles SELECT 'a' AS identity, {expression} AS \"{field}\"");
    match world.run(&insert).await {
        Ok(_) => {
            let body: Value = serde_json::from_str(&world.sent_to("/1/upload")[0].body).expect("JSON");
            Ok(body["d"][0]["profileData"].clone())
        }
        Err(error) => {
            assert!(world.sent_to("/1/upload").is_empty(), "{expression}: {error}");
            Err(error.to_string())
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_value_is_what_the_field_holds_or_is_not_sent() {
    let world = World::new();
    // The zone is Asia/Kolkata.
    let midnight = "$D_662581800";
    for (field, expression, expected) in [
        ("MSG-email", "false", Some(json!(false))),
        ("MSG-email", "'false'", Some(json!(false))),
        ("MSG-email", "' TRUE '", Some(json!(true))),
        ("MSG-email", "'N'", Some(json!(false))),
        ("MSG-sms", "0", Some(json!(false))),
        ("MSG-sms", "'1'", Some(json!(true))),
        ("MSG-push", "'unsubscribed'", None),
        ("MSG-push", "''", None),
        ("MSG-push", "2", None),
        ("MSG-push", "'on'", None),
        ("MSG-push", "0.0", None),
        ("MSG-push", "['a']", None),
        ("MSG-whatsapp", "DATE '2026-01-01'", None),
        ("dob", "DATE '1990-12-31'", Some(json!(midnight))),
        ("dob", "'1990-12-31'", Some(json!(midnight))),
        ("dob", "'1990-12-31T00:00:00'", Some(json!(midnight))),
        ("dob", "'1990-12-30T18:30:00Z'", Some(json!(midnight))),
        ("dob", "'$D_662581800'", Some(json!(midnight))),
        ("dob", "'31/12/1990'", None),
        ("dob", "'1990-13-31'", None),
        ("dob", "'90-12-31'", None),
        ("dob", "''", None),
        ("dob", "662601600000", None),
        ("dob", "1990", None),
        ("dob", "19901231", None),
        ("age", "18", Some(json!(18))),
        ("age", "'18'", Some(json!(18))),
        ("age", "18.0", Some(json!(18))),
        ("age", "18.5", None),
        ("age", "'aa'", None),
        ("age", "'-3'", None),
        ("age", "'19901231'", None),
        ("gender", "'f'", Some(json!("F"))),
        ("gender", "'Female'", Some(json!("Female"))),
        ("gender", "'w'", None),
        ("gender", "1", None),
        ("education", "'graduate'", Some(json!("Graduate"))),
        ("education", "'PhD'", None),
        ("employed", "true", Some(json!("Y"))),
        ("employed", "'yes'", Some(json!("Y"))),
        ("married", "'N'", Some(json!("N"))),
        ("married", "'single'", None),
        ("dob", "NULL", Some(Value::Null)),
        ("MSG-email", "ct_delete()", Some(json!({"$delete": 1}))),
    ] {
        let result = sent(&world, expression, field).await;
        match (&result, &expected) {
            (Ok(data), Some(expected)) => {
                let value = data.as_object().and_then(|data| data.values().next()).cloned().unwrap_or_default();
                assert_eq!(value, *expected, "{field} = {expression}");
            }
            (Err(reason), None) => assert!(reason.contains("CT-519") || reason.contains("CT-202"), "{field} = {expression}: {reason}"),
            _ => panic!("{field} = {expression}: {result:?}, expected {expected:?}"),
        }
        // The same inside of properties; only the exact name is a consent.
        if let Some(expected) = &expected
            && !expected.is_null()
            && !expression.contains("ct_delete")
        {
            let inside = sent(&world, &format!("named_struct('{field}', {expression})"), "properties").await.expect(expression);
            assert_eq!(inside.as_object().and_then(|data| data.values().next()), Some(expected), "{field} = {expression} in a struct");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn values_of_json_text_and_maps_are_held_to_the_same() {
    let world = World::new();
    for (text, expected) in [
        (r#"{"MSG-email":"false","dob":"1990-12-31","Age":"18"}"#, Some(json!({"MSG-email": false, "DOB": "$D_662581800", "Age": 18}))),
        (
            r#"{"MSG-email":0,"Married":true,"Education":"school"}"#,
            Some(json!({"MSG-email": false, "Married": "Y", "Education": "School"})),
        ),
        (r#"{"MSG-email":"unsubscribed"}"#, None),
        (r#"{"dob":19901231}"#, None),
        (r#"{"Age":[18]}"#, None),
        (r#"{"Gender":null,"Plan":"gold"}"#, Some(json!({"Plan": "gold"}))),
        (r#"{"Gender":{"$delete":1}}"#, Some(json!({"Gender": {"$delete": 1}}))),
    ] {
        let result = sent(&world, &format!("'{text}'"), "properties").await;
        match expected {
            Some(expected) => assert_eq!(result, Ok(expected), "{text}"),
            None => assert!(result.as_ref().is_err_and(|reason| reason.contains("CT-519")), "{text}: {result:?}"),
        }
    }
    let map = sent(&world, "map(['MSG-sms', 'Gender'], ['no', 'm'])", "properties").await;
    assert_eq!(map, Ok(json!({"MSG-sms": false, "Gender": "M"})));
}

#[tokio::test(start_paused = true)]
async fn a_name_that_only_resembles_a_consent_switches_none() {
    let world = World::new();
    for name in ["msg_push", "msgSms", "msgemail", "MSG-Email", "msg dnd phone"] {
        let error = sent(&world, "false", name).await.expect_err(name);
        let exact = error.split("resembles ").nth(1).and_then(|rest| rest.split(',').next()).expect(&error).to_owned();
        assert!(error.contains("CT-202") && error.contains(&format!("AS \"{exact}\"")) && error.contains("AS properties"), "{error}");
        // Both ways that it shows.
        assert_eq!(sent(&world, "false", &exact).await, Ok(json!({ exact.clone(): false })));
        let apart = sent(&world, &format!("named_struct('{name}', false)"), "properties").await;
        assert_eq!(apart, Ok(json!({ name: false })), "{name}");
        let apart = sent(&world, &format!("'{{\"{name}\":\"whatever\"}}'"), "properties").await;
        assert_eq!(apart, Ok(json!({ name: "whatever" })), "{name}");
    }
    let update = world.refused("UPDATE clevertap.profiles SET msg_push = false WHERE identity = 'a'").await;
    assert!(update.contains("resembles MSG-push"), "{update}");
    world.rows("UPDATE clevertap.profiles SET \"MSG-push\" = false WHERE identity = 'a'").await;
}

#[tokio::test(start_paused = true)]
async fn what_a_reject_proposes_works() {
    let world = World::new();
    world.rows("CREATE TABLE crm AS SELECT '31/12/1990' AS born, '' AS nothing, 'subscribed' AS status, '18.7' AS years, 'w' AS sex").await;
    let fixed = |field: &str, bad: &str, remedy: &str| (field.to_owned(), bad.to_owned(), remedy.to_owned());
    for (field, bad, remedy) in [
        fixed("dob", "born", "to_date(born, '%d/%m/%Y')"),
        fixed("dob", "nothing", "nullif(nothing, '')"),
        fixed("dob", "19901231", "to_date(CAST(19901231 AS text), '%Y%m%d')"),
        fixed("MSG-email", "status", "status = 'subscribed'"),
        fixed("MSG-email", "1.5", "1.5 = 1"),
        fixed("married", "status", "status = 'married'"),
        fixed("age", "years", "CAST(CAST(years AS double) AS bigint)"),
        fixed("gender", "1", "CASE 1 WHEN 1 THEN 'F' END"),
        fixed("gender", "sex", "CASE sex WHEN 'w' THEN 'F' END"),
    ] {
        let source =
            |expression: &str| format!("INSERT INTO clevertap.profiles SELECT 'a' AS identity, {expression} AS \"{field}\" FROM crm");
        let error = world.refused(&source(&bad)).await;
        assert!(error.contains("CT-519") || error.contains("CT-202"), "{bad}: {error}");
        world.rows(&source(&remedy)).await;
    }
    // A day begins somewhere.
    let born = "INSERT INTO clevertap.profiles SELECT 'a' AS identity, '1990-12-31' AS dob";
    let without = World::open(Settings::default(), |account| account.time_zone = None);
    let error = without.refused(born).await;
    assert!(error.contains("set time_zone") && error.contains("CT-202"), "{error}");
    world.rows(born).await;
}
