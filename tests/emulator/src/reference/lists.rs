//! Reference 10.3, 11, 12.3, 13: campaigns, reports, the schema, and the lists that are read page by page.

use serde_json::{Value, json};

use super::exports::NOON;
use super::{emulator, fail, get, post, read};
use crate::{Campaign, Emulator, EventStatus, NoResult, SchemaEvent, SchemaForm, SeedPerson, Settings, SubscriptionGroup};

async fn ask(emulator: &Emulator, path: &str, body: &Value) -> (u16, Value) {
    read(emulator.handle(post(path, body.to_string())).await)
}

#[tokio::test]
async fn message_reports_are_chosen_by_start_date_and_words() {
    let message = |id: i64, start: &str, channel: &str, delivery: &str| {
        json!({ "message id": id, "start_date": start, "channel": channel, "delivery": delivery, "status": "completed",
                "message_type": "single", "labels": ["x"], "sent": 100, "daily": [{ "day": start }] })
    };
    let messages =
        vec![message(1, "2026-08-01 10:00", "Push", "One Time"), message(9_007_199_254_740_993, "20260831", "Email", "Recurring")];
    let emulator = Emulator::new(Settings { messages, ..Settings::default() });
    let ids = async |body: Value| {
        let (status, answer) = ask(&emulator, "/1/message/report.json", &body).await;
        let messages = answer["messages"].as_array().unwrap();
        assert_eq!((status, &answer["status"], answer["total_results"].as_u64()), (200, &json!("success"), Some(messages.len() as u64)));
        messages.iter().map(|message| message["message id"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    let big = 9_007_199_254_740_993;
    assert_eq!(ids(json!({ "from": "20260801", "to": "20260831" })).await, [1, big]);
    assert_eq!(ids(json!({ "from": 20_260_802, "to": 20_260_831 })).await, [big]);
    assert_eq!(ids(json!({ "from": "20260801", "to": "20260831", "channel": ["push", "sms"], "delivery": ["one_time"] })).await, [1]);
    assert_eq!(ids(json!({ "from": "20260801", "to": "20260831", "label": ["x"], "status": ["running"] })).await, [0_i64; 0]);
    let (_, answer) = ask(&emulator, "/1/message/report.json", &json!({ "from": "20260801", "to": "20260801", "daily": true })).await;
    assert!(answer["messages"][0]["daily"].is_array(), "only when asked for");
    for wrong in [
        json!({ "from": "2026-08-01", "to": "20260831" }),
        json!({ "from": "20260831", "to": "20260801" }),
        json!({ "from": "20260801" }),
        json!({ "from": "20260801", "to": "20260831", "channel": "push" }),
        json!({ "from": "20260801", "to": "20260831", "channel": ["Push"] }),
        json!({ "from": "20260801", "to": "20260831", "channels": ["push"] }),
    ] {
        assert_eq!(ask(&emulator, "/1/message/report.json", &wrong).await.0, 400, "{wrong}");
    }
}

#[tokio::test]
async fn campaigns_are_listed_by_day_and_have_a_result_or_not_in_three_forms() {
    let mut done = Campaign::new(1_767_225_600, "Done", 20_260_815);
    done.result = Some(json!({ "sent": 100, "clicked": 7 }));
    let running = Campaign { status: "running".to_owned(), ..Campaign::new(9_007_199_254_740_993, "Running", 20_260_901) };
    for (no_result, expected) in [
        (NoResult::ServerError, fail(500, "This target has no result as of yet")),
        (NoResult::UnderSuccess, (200, json!({ "status": "success", "error": "This target hasn't been completed", "code": 200 }))),
        (NoResult::Conflict, fail(409, "This target has no result as of yet")),
    ] {
        let emulator = Emulator::new(Settings { campaigns: vec![done.clone(), running.clone()], no_result, ..Settings::default() });
        let listed = json!({ "status": "success", "targets": [
            { "id": 1_767_225_600, "name": "Done", "scheduled_on": "20260815", "status": "completed" }] });
        assert_eq!(ask(&emulator, "/1/targets/list.json", &json!({ "from": 20_260_801, "to": 20_260_831 })).await, (200, listed));
        let result = json!({ "status": "success", "result": { "sent": 100, "clicked": 7 } });
        assert_eq!(ask(&emulator, "/1/targets/result.json", &json!({ "id": 1_767_225_600 })).await, (200, result));
        assert_eq!(ask(&emulator, "/1/targets/result.json", &json!({ "id": 9_007_199_254_740_993_i64 })).await, expected);
        for wrong in [json!({ "id": 7 }), json!({ "id": "1767225600" }), json!({})] {
            assert_eq!(ask(&emulator, "/1/targets/result.json", &wrong).await, fail(400, "Invalid campaign id"));
        }
        assert_eq!(ask(&emulator, "/1/targets/list.json", &json!({ "from": "20260801", "to": 20_260_831 })).await.0, 400);
    }
}

#[tokio::test]
async fn the_schema_tells_what_is_stored_and_what_the_project_knows() {
    let sale = SchemaEvent {
        status: EventStatus::Inactive,
        properties: vec![("Price".to_owned(), "Number".to_owned())],
        ..SchemaEvent::new("Sale")
    };
    let settings = |schema_form| Settings {
        schema_events: vec![sale.clone()],
        schema_form,
        discarded_events: vec!["Gone".to_owned()],
        ..Settings::default()
    };
    let seed = |emulator: &Emulator| {
        emulator.seed(|seeder| {
            let properties = r#"{"Plan":"gold","Since":"$D_1","Tags":["a"],"Vip":true,"Score":1}"#;
            let ada = seeder.person(SeedPerson { identity: Some("ada"), properties, ..SeedPerson::default() });
            seeder.event(ada, "Charged", NOON, r#"{"Amount":1,"Currency":"USD"}"#, None);
            seeder.event(ada, "Charged", NOON, r#"{"Amount":"2","Paid at":"$D_1","Gift":false}"#, None);
        });
    };
    let emulator = Emulator::new(settings(SchemaForm::Objects));
    seed(&emulator);
    let expected = json!({ "status": "success", "events": [
        { "name": "Charged", "status": "Active", "eventCount": 2, "properties": [
            { "name": "Amount", "dataType": "Number" }, { "name": "Currency", "dataType": "String" },
            { "name": "Gift", "dataType": "Boolean" }, { "name": "Paid at", "dataType": "Date" }] },
        { "name": "Gone", "status": "Discarded", "eventCount": 0, "properties": [] },
        { "name": "Sale", "status": "Inactive", "eventCount": 0, "properties": [{ "name": "Price", "dataType": "Number" }] },
    ] });
    assert_eq!(read(emulator.handle(get("/getSchema?type=events")).await), (200, expected));
    let expected = json!({ "status": "success", "userProperties": [
        { "name": "Plan", "dataType": "String" }, { "name": "Score", "dataType": "Number" }, { "name": "Since", "dataType": "Date" },
        { "name": "Tags", "dataType": "List" }, { "name": "Vip", "dataType": "Boolean" }] });
    assert_eq!(read(emulator.handle(get("/getSchema?type=userProperties")).await), (200, expected));
    for query in ["", "?type=event", "?type="] {
        assert_eq!(read(emulator.handle(get(&format!("/getSchema{query}"))).await).0, 400);
    }
    // What the schema knows can be asked for, also when nobody did it.
    let body = json!({ "event_name": "Sale", "from": 20_260_801, "to": 20_260_801 });
    assert_eq!(ask(&emulator, "/1/events.json", &body).await.1["status"], "success");
    let emulator = Emulator::new(settings(SchemaForm::Names));
    seed(&emulator);
    let (_, answer) = read(emulator.handle(get("/getSchema?type=events")).await);
    assert_eq!(answer["events"][0]["properties"], json!(["Amount", "Currency", "Gift", "Paid at"]));
}

#[tokio::test]
async fn lists_are_read_whole_or_page_by_page() {
    let block = |n: u32| json!({ "id": n, "updatedAt": format!("2026-08-{:02}T10:00:00.000Z", n % 28 + 1) });
    let emulator = Emulator::new(Settings {
        subscription_groups: vec![SubscriptionGroup { key: 101, name: "Offers".to_owned(), channels: vec!["email".to_owned()] }],
        content_blocks: (0..250).map(block).collect(),
        segments: (0..7).map(|n| json!({ "id": n })).collect(),
        ..Settings::default()
    });
    let groups = json!({ "status": "success", "list": [{ "key": 101, "name": "Offers", "channels": ["email"] }] });
    assert_eq!(read(emulator.handle(get("/category-groups")).await), (200, groups));

    let blocks = async |query: &str| read(emulator.handle(get(&format!("/v1/contentBlock/list?{query}"))).await);
    let count = |answer: &Value| answer["contentBlocks"].as_array().unwrap().len();
    for (page, expected) in [(1, 100), (2, 100), (3, 50), (4, 0)] {
        let (status, answer) = blocks(&format!("pageNumber={page}&pageSize=100")).await;
        assert_eq!((status, count(&answer), &answer["total"]), (200, expected, &json!(250)));
    }
    let span = "updatedFrom=2026-08-02T00%3A00%3A00.000Z&updatedTo=2026-08-02T10:00:00.000Z";
    assert_eq!(count(&blocks(&format!("pageNumber=1&pageSize=100&{span}")).await.1), 9);
    for wrong in ["pageNumber=0&pageSize=100", "pageNumber=1&pageSize=101", "pageNumber=1", "", "pageNumber=1&pageSize=1&size=1"] {
        assert_eq!(blocks(wrong).await.0, 400, "{wrong}");
    }
    for wrong in ["2026-08-02T00:00:00Z", "2026-08-02", "20260802"] {
        let answer = blocks(&format!("pageNumber=1&pageSize=10&updatedFrom={wrong}")).await;
        assert_eq!(answer, fail(400, "Enter date in ISO format"));
    }

    let segments = async |body: Value| ask(&emulator, "/1/segments/list.json", &body).await;
    let expected = json!({ "segments": [{ "id": 3 }, { "id": 4 }, { "id": 5 }], "total_pages": 3, "total_count": 7 });
    assert_eq!(segments(json!({ "page": 2, "limit": 3 })).await, (200, expected), "the one answer without status");
    for wrong in
        [json!({ "page": 0, "limit": 3 }), json!({ "page": 1, "limit": 501 }), json!({ "page": 1 }), json!({ "page": "1", "limit": 1 })]
    {
        assert_eq!(segments(wrong).await.0, 400);
    }
}

#[tokio::test]
async fn root_paths_have_no_version_and_methods_are_those_of_the_reference() {
    let emulator = emulator();
    for path in
        ["/1/getSchema?type=events", "/1/category-groups", "/1/v1/contentBlock/list", "/1/contentBlock/list", "/1/counts/event.json"]
    {
        assert!(emulator.handle(get(path)).await.unwrap().body().is_empty(), "{path}");
    }
    for path in ["/1/now.json", "/1/message/report.json", "/1/targets/list.json", "/1/targets/result.json", "/1/segments/list.json"] {
        assert_eq!(read(emulator.handle(get(path)).await), fail(405, "Method Not Allowed"), "{path}");
    }
    for path in ["/category-groups", "/v1/contentBlock/list"] {
        assert_eq!(read(emulator.handle(post(path, "{}")).await), fail(405, "Method Not Allowed"), "{path}");
    }
    assert_eq!(read(emulator.handle(post("/getSchema?type=events", "")).await).0, 200, "the documentation shows POST");
}

#[tokio::test]
async fn the_sample_shop_is_the_same_each_time() {
    let sample = || {
        let emulator = Emulator::new(Settings { polls_until_ready: 0, ..Settings::default() });
        emulator.seed_sample(100, 2000);
        emulator
    };
    let (one, two) = (sample(), sample());
    let schema = async |emulator: &Emulator| read(emulator.handle(get("/getSchema?type=events")).await).1;
    assert_eq!(schema(&one).await, schema(&two).await);
    let names: Vec<Value> = schema(&one).await["events"].as_array().unwrap().iter().map(|event| event["name"].clone()).collect();
    assert_eq!(names, ["Added to Cart", "App Launched", "Charged", "Viewed Item"]);
    assert_eq!((one.events_stored(), one.profiles_stored()), (2000, 100));
    let month = json!({ "event_name": "App Launched", "from": 20_251_202, "to": 20_251_231 });
    let launched = ask(&one, "/1/counts/events.json", &month).await.1["count"].as_u64().unwrap();
    assert!((900..1100).contains(&launched), "{launched}");
    let longer = json!({ "event_name": "App Launched", "from": 20_250_101, "to": 20_261_231 });
    assert_eq!(ask(&one, "/1/counts/events.json", &longer).await.1["count"], launched, "all of it lies in those thirty days");
}
