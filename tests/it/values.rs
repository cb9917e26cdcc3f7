//! SQL in, what the emulator stored out: every rule of design.md 3.2 about values.

use serde_json::{Value, json};

use crate::world::World;

/// Inserts one person with these columns; what is stored of the properties, or the error.
async fn kept(world: &World, columns: &str) -> Value {
    world.rows(&format!("INSERT INTO clevertap.profiles SELECT 'a' AS identity, {columns}")).await;
    let mut person = world.emulator.profile("a").expect("a person");
    person["profileData"].take()
}

/// The same in a world of its own with some options.
async fn stored_with(options: &[(&str, &str)], columns: &str) -> Value {
    let world = World::new();
    for (name, value) in options {
        world.set(name, value).await;
    }
    kept(&world, columns).await
}

async fn stored(columns: &str) -> Value {
    stored_with(&[], columns).await
}

/// The code and column of the one row that is rejected, and that nothing was sent.
async fn rejected(columns: &str) -> (String, Option<String>) {
    let world = World::new();
    world.set("on_reject", "skip").await;
    world.rows(&format!("INSERT INTO clevertap.profiles SELECT 'a' AS identity, {columns}")).await;
    assert!(world.sent().is_empty(), "{columns} was sent");
    let row = world.account.failed_rows().pop().expect("a reject");
    assert!(row.code.starts_with("CT-"), "{}", row.code);
    (row.reason, row.column_name)
}

#[tokio::test(start_paused = true)]
async fn numbers_and_booleans_and_text_keep_their_types() {
    assert_eq!(
        stored("1 AS \"Int\", -9223372036854775808 AS \"Min\", 18446744073709551615::bigint unsigned AS \"Max\", 1.5::double AS \"Float\", 0.1::float AS \"Half\", true AS \"Flag\", 'x\"\\y' AS \"Text\", '' AS \"Empty\"").await,
        json!({"Int": 1, "Min": i64::MIN, "Max": u64::MAX, "Float": 1.5, "Half": 0.1, "Flag": true, "Text": "x\"\\y", "Empty": ""})
    );
}

#[tokio::test(start_paused = true)]
async fn decimals_keep_all_their_digits() {
    let world = World::new();
    kept(&world, "'12345678901234567890123456.789012345678'::decimal(38,12) AS \"Exact\", 10.00::decimal(5,2) AS \"Price\", (-0.05)::decimal(5,2) AS \"Minus\"").await;
    let body = &world.sent()[0].body;
    assert!(body.contains(r#""Exact":12345678901234567890123456.789012345678"#), "{body}");
    assert!(body.contains(r#""Price":10.00"#) || body.contains(r#""Price":10"#), "{body}");
    assert!(body.contains(r#""Minus":-0.05"#), "{body}");
}

#[tokio::test(start_paused = true)]
async fn instants_are_epoch_seconds_with_the_mark_of_dates() {
    assert_eq!(
        stored(
            "arrow_cast('2026-01-01T00:00:00.999Z', 'Timestamp(Microsecond, Some(\"Asia/Kolkata\"))') AS \"Zoned\", TIMESTAMP '2026-01-01 00:00:00' AS \"Naive\",
             arrow_cast(-1500, 'Timestamp(Millisecond, Some(\"UTC\"))') AS \"Before\", DATE '2026-01-01' AS \"Day\""
        )
        .await,
        json!({"Zoned": "$D_1767225600", "Naive": "$D_1767225600", "Before": "$D_-2", "Day": "$D_1767205800"})
    );
}

#[tokio::test(start_paused = true)]
async fn naive_time_decides_what_a_timestamp_without_zone_is() {
    let column = "TIMESTAMP '2026-01-01 05:30:00' AS \"Naive\"";
    assert_eq!(stored_with(&[("naive_time", "utc")], column).await, json!({"Naive": "$D_1767245400"}));
    assert_eq!(stored_with(&[("naive_time", "project")], column).await, json!({"Naive": "$D_1767225600"}));
}

#[tokio::test(start_paused = true)]
async fn a_date_needs_the_projects_time_zone() {
    let world = World::open(clevertap_emulator::Settings::default(), |account| account.time_zone = None);
    let error = world.refused("INSERT INTO clevertap.profiles SELECT 'a' AS identity, DATE '2026-01-01' AS \"Day\"").await;
    assert!(error.contains("Day") && error.contains("time zone"), "{error}");
    assert!(world.sent().is_empty());
}

/// What `event_time` becomes, or the error.
async fn event_time(options: &[(&str, &str)], time: &str) -> Result<i64, String> {
    let world = World::new();
    for (name, value) in options {
        world.set(name, value).await;
    }
    let sql = format!("INSERT INTO clevertap.events SELECT 'a' AS identity, 'V' AS event_name, {time} AS event_time");
    world.run(&sql).await.map_err(|error| error.to_string())?;
    let mut times = Vec::new();
    world.emulator.for_each_event(|event| times.push(event.ts));
    times.pop().ok_or_else(|| "nothing stored".to_owned())
}

#[tokio::test(start_paused = true)]
async fn event_time_is_a_timestamp_or_epoch_seconds() {
    assert_eq!(event_time(&[], "1767225600").await, Ok(1_767_225_600));
    assert_eq!(event_time(&[], "1767225600::int unsigned").await, Ok(1_767_225_600));
    assert_eq!(event_time(&[], "arrow_cast('2026-01-01T05:30:00+05:30', 'Timestamp(Second, Some(\"UTC\"))')").await, Ok(1_767_225_600));
    assert_eq!(event_time(&[], "arrow_cast(1767225600999, 'Timestamp(Millisecond, Some(\"Asia/Kolkata\"))')").await, Ok(1_767_225_600));
    assert_eq!(event_time(&[], "arrow_cast(1767225600999999, 'Timestamp(Microsecond, Some(\"UTC\"))')").await, Ok(1_767_225_600));
}

#[tokio::test(start_paused = true)]
async fn event_time_without_zone_is_refused_until_the_user_says_which() {
    let naive = "arrow_cast(TIMESTAMP '2026-01-01 05:30:00', 'Timestamp(Microsecond, None)')";
    let error = event_time(&[], naive).await.expect_err("refused");
    assert!(error.contains("event_time") && error.contains("naive_time") && error.contains("[CT-202]"), "{error}");
    assert_eq!(event_time(&[("naive_time", "utc")], naive).await, Ok(1_767_245_400));
    assert_eq!(event_time(&[("naive_time", "project")], naive).await, Ok(1_767_225_600));
}

#[tokio::test(start_paused = true)]
async fn event_time_is_neither_a_date_nor_a_float_nor_milliseconds() {
    for time in ["DATE '2026-01-01'", "1767225600.5::double", "'2026-01-01'"] {
        let error = event_time(&[], time).await.expect_err(time);
        assert!(error.contains("event_time"), "{error}");
    }
    let error = event_time(&[], "1767225600000").await.expect_err("milliseconds");
    assert!(error.contains("0 accepted, 1 rejected"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn lists_of_text_are_sets() {
    let world = World::new();
    assert_eq!(kept(&world, "make_array('b', 'a') AS \"Tags\"").await, json!({"Tags": ["b", "a"]}));
    assert!(world.sent()[0].body.contains(r#""Tags":{"$set":["b","a"]}"#), "{}", world.sent()[0].body);
}

#[tokio::test(start_paused = true)]
async fn operators_work_on_what_is_there() {
    let world = World::new();
    kept(&world, "make_array('a', 'b') AS \"Tags\", 10 AS \"Visits\", 'x' AS \"Gone\"").await;
    assert_eq!(
        kept(&world, "ct_add('c') AS \"Tags\", ct_incr(5) AS \"Visits\", ct_delete() AS \"Gone\"").await,
        json!({"Tags": ["a", "b", "c"], "Visits": 15})
    );
    assert_eq!(
        kept(&world, "ct_remove(make_array('a', 'c')) AS \"Tags\", ct_decr(3) AS \"Visits\", ct_set(make_array('n')) AS \"New\"").await,
        json!({"Tags": ["b"], "Visits": 12, "New": ["n"]})
    );
}

#[tokio::test(start_paused = true)]
async fn a_struct_that_is_named_like_an_operator_is_one() {
    let world = World::new();
    kept(&world, "named_struct('$incr', 2) AS \"Visits\", named_struct('$add', make_array('x')) AS \"Tags\"").await;
    let body = &world.sent()[0].body;
    assert!(body.contains(r#""Visits":{"$incr":2},"Tags":{"$add":["x"]}"#), "{body}");
}

#[tokio::test(start_paused = true)]
async fn structs_and_maps_are_json_text_unless_nested() {
    let columns = "named_struct('city', 'Pune', 'zip', 411001) AS \"Home\", map(make_array('k'), make_array(1)) AS \"Map\"";
    assert_eq!(stored(columns).await, json!({"Home": "{\"city\":\"Pune\",\"zip\":411001}", "Map": "{\"k\":1}"}));
    let world = World::new();
    world.set("nested", "true").await;
    world.rows(&format!("INSERT INTO clevertap.profiles SELECT 'a' AS identity, {columns}")).await;
    let body = &world.sent()[0].body;
    assert!(body.contains(r#""Home":{"city":"Pune","zip":411001},"Map":{"k":1}"#), "{body}");
}

#[tokio::test(start_paused = true)]
async fn null_is_left_out_or_deletes() {
    let world = World::new();
    kept(&world, "'gold' AS \"Plan\", 'Ada' AS name").await;
    assert_eq!(
        kept(&world, "NULL::text AS \"Plan\", NULL::text AS name, 1 AS \"N\"").await,
        json!({"Plan": "gold", "Name": "Ada", "N": 1})
    );
    world.set("nulls", "delete").await;
    assert_eq!(kept(&world, "NULL::text AS \"Plan\", NULL AS name").await, json!({"N": 1}));
}

#[tokio::test(start_paused = true)]
async fn a_person_whose_columns_are_all_null_is_still_sent() {
    let world = World::new();
    assert_eq!(kept(&world, "NULL::text AS \"Plan\"").await, json!({}));
    assert_eq!(world.emulator.profiles_stored(), 1);
}

#[tokio::test(start_paused = true)]
async fn employed_and_married_are_y_or_n() {
    assert_eq!(
        stored("true AS employed, false AS married, true AS \"Active\"").await,
        json!({"Employed": "Y", "Married": "N", "Active": true})
    );
    assert_eq!(stored("'Y' AS employed, 'N' AS married").await, json!({"Employed": "Y", "Married": "N"}));
}

#[tokio::test(start_paused = true)]
async fn standard_fields_are_matched_whatever_their_spelling() {
    assert_eq!(
        stored("'a@example.org' AS \"EMAIL\", 'vip' AS customer_type, false AS msg_email, true AS \"MSG-sms\", '+14155550100' AS \"Phone\", 'F' AS \"GENDER\"").await,
        json!({"Email": "a@example.org", "Customer Type": "vip", "MSG-email": false, "MSG-sms": true, "Phone": "+14155550100", "Gender": "F"})
    );
}

#[tokio::test(start_paused = true)]
async fn properties_are_unfolded_from_json_struct_and_map() {
    let expected = json!({"Plan": "gold", "Score": 7});
    assert_eq!(stored("'{\"Plan\":\"gold\",\"Score\":7}' AS properties").await, expected);
    assert_eq!(stored("named_struct('Plan', 'gold', 'Score', 7) AS properties").await, expected);
    assert_eq!(
        stored("map(make_array('Plan', 'Tier'), make_array('gold', 'one')) AS properties").await,
        json!({"Plan": "gold", "Tier": "one"})
    );
    assert_eq!(stored("'{\"Plan\":\"gold\"}' AS properties, 7 AS \"Score\"").await, expected);
    assert_eq!(stored("NULL::text AS properties, 'gold' AS \"Plan\"").await, json!({"Plan": "gold"}));
}

#[tokio::test(start_paused = true)]
async fn properties_that_are_no_object_are_rejected() {
    for text in ["nonsense", "[1,2]", "{\"a\":1} x", "{\"a\":", "7"] {
        let (reason, column) = rejected(&format!("'{text}' AS properties")).await;
        assert_eq!(column.as_deref(), Some("properties"), "{text}: {reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_inside_properties_that_clevertap_cannot_keep_is_rejected() {
    for key in ["k".repeat(121), "a.b".to_owned(), "a#b".to_owned(), String::new()] {
        let (reason, column) = rejected(&format!("'{{\"{key}\":1}}' AS properties")).await;
        assert_eq!(column.as_deref(), Some("properties"), "{key}: {reason}");
    }
    assert_eq!(stored(&format!("'{{\"{}\":1}}' AS properties", "k".repeat(120))).await, json!({"k".repeat(120): 1}));
}

#[tokio::test(start_paused = true)]
async fn keys_are_counted_in_bytes() {
    let (reason, _) = rejected(&format!("'{{\"{}\":1}}' AS properties", "ü".repeat(61))).await;
    assert!(reason.contains("120") || reason.contains("122"), "{reason}");
    assert_eq!(stored(&format!("1 AS \"{}\"", "ü".repeat(60))).await, json!({"ü".repeat(60): 1}));
}

#[tokio::test(start_paused = true)]
async fn a_text_over_512_bytes_is_rejected_or_cut_at_a_character() {
    assert_eq!(stored("repeat('x', 512) AS \"Bio\"").await, json!({"Bio": "x".repeat(512)}));
    let (_, column) = rejected("repeat('x', 513) AS \"Bio\"").await;
    assert_eq!(column.as_deref(), Some("Bio"));
    let (_, column) = rejected("concat('x', repeat('ü', 256)) AS \"Bio\"").await;
    assert_eq!(column.as_deref(), Some("Bio"));
    assert_eq!(
        stored_with(&[("long_values", "cut")], "concat('x', repeat('ü', 256)) AS \"Bio\"").await,
        json!({"Bio": format!("x{}", "ü".repeat(255))})
    );
}

#[tokio::test(start_paused = true)]
async fn nan_and_infinity_are_rejected_with_column_and_reason() {
    for value in ["'NaN'::double", "'Infinity'::double", "'-Infinity'::double", "'NaN'::float"] {
        let (reason, column) = rejected(&format!("{value} AS \"Score\"")).await;
        assert_eq!(column.as_deref(), Some("Score"), "{value}: {reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn identifiers_are_always_text() {
    let world = World::new();
    world.rows("INSERT INTO clevertap.profiles SELECT 42 AS identity").await;
    world.rows("INSERT INTO clevertap.profiles SELECT 'a' AS identity, 43 AS link_identity").await;
    let bodies: Vec<_> = world.sent().into_iter().map(|call| call.body).collect();
    assert_eq!(
        bodies,
        [
            r#"{"d":[{"type":"profile","identity":"42","profileData":{}}]}"#,
            r#"{"d":[{"type":"profile","identity":"a","profileData":{"identity":"43"}}]}"#,
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_empty_identity_is_rejected() {
    let world = World::new();
    world.set("on_reject", "skip").await;
    world.rows("INSERT INTO clevertap.profiles SELECT '' AS identity, 'x' AS name").await;
    assert_eq!(world.account.failed_rows().len(), 1);
}

/// What is kept of one event's properties.
async fn event(sql: &str) -> Value {
    let world = World::new();
    world.rows(sql).await;
    let mut data = Vec::new();
    world.emulator.for_each_event(|event| data.push(event.data()));
    data.pop().expect("an event")
}

#[tokio::test(start_paused = true)]
async fn charged_takes_items_from_structs_and_from_json() {
    let expected = json!({"Amount": 25, "Items": [{"Name": "Assam", "Quantity": 2}]});
    assert_eq!(
        event(
            "INSERT INTO clevertap_events.\"Charged\" SELECT 'a' AS identity, 1767225600 AS event_time, 25 AS \"Amount\",
             make_array(named_struct('Name', 'Assam', 'Quantity', 2)) AS items"
        )
        .await,
        expected
    );
    assert_eq!(
        event(
            "INSERT INTO clevertap.events SELECT 'a' AS identity, 'Charged' AS event_name, 1767225600 AS event_time, 25 AS \"Amount\",
             '[{\"Name\":\"Assam\",\"Quantity\":2}]' AS items"
        )
        .await,
        expected
    );
}

#[tokio::test(start_paused = true)]
async fn lists_and_structs_of_an_event_are_json_text() {
    assert_eq!(
        event(
            "INSERT INTO clevertap.events SELECT 'a' AS identity, 'V' AS event_name, 1767225600 AS event_time,
             make_array('x', 'y') AS \"List\", named_struct('k', 1) AS \"Struct\", TIMESTAMP '2026-01-01T00:00:00Z' AS \"At\""
        )
        .await,
        json!({"List": "[\"x\",\"y\"]", "Struct": "{\"k\":1}", "At": "$D_1767225600"})
    );
}

#[tokio::test(start_paused = true)]
async fn an_event_may_have_256_properties_and_is_warned_above_100() {
    let columns = |count: usize| (1..=count).map(|n| format!("{n} AS p{n}")).collect::<Vec<_>>().join(", ");
    let insert = |count| {
        format!("INSERT INTO clevertap.events SELECT 'a' AS identity, 'V' AS event_name, 1767225600 AS event_time, {}", columns(count))
    };
    let world = World::with(clevertap_emulator::Settings { event_properties_max: 256, ..Default::default() });
    world.rows(&insert(100)).await;
    assert!(world.account.warnings().is_empty());
    world.rows(&insert(101)).await;
    assert_eq!(world.account.warnings().len(), 1, "{:?}", world.account.warnings());
    world.rows(&insert(256)).await;
    let error = world.refused(&insert(300)).await;
    assert!(error.contains("256"), "{error}");
    assert_eq!(world.emulator.events_stored(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_clevertap_refuses_is_left_to_clevertap() {
    let world = World::new();
    world.set("on_reject", "skip").await;
    world.rows("INSERT INTO clevertap.profiles SELECT 'a' AS identity, 'nope' AS email").await;
    world.rows("INSERT INTO clevertap.profiles SELECT 'b' AS identity, '12' AS phone").await;
    world.rows("INSERT INTO clevertap.profiles SELECT 'c' AS identity, 'cat' AS gender").await;
    let codes: Vec<_> = world.account.failed_rows().into_iter().map(|row| row.code).collect();
    assert_eq!((codes, world.sent().len()), (vec!["CLEVERTAP-515".to_owned(), "CLEVERTAP-516".to_owned(), "CLEVERTAP-514".to_owned()], 3));
}

#[tokio::test(start_paused = true)]
async fn an_increment_of_zero_or_less_is_not_sent_as_it_is() {
    // The API takes positive numbers only; what the function makes of others must not be a silent loss.
    for value in ["ct_incr(0)", "ct_incr(-1)"] {
        let world = World::new();
        let ended = world.run(&format!("INSERT INTO clevertap.profiles SELECT 'a' AS identity, {value} AS \"Visits\"")).await;
        assert!(ended.is_err() || world.emulator.report().error_stream.is_empty(), "{value} was lost in silence");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_twice_is_rejected_and_never_sent_twice() {
    for columns in [
        "'{\"Plan\":1}' AS properties, 2 AS \"Plan\"",
        "'{\"a\":1,\"a\":2}' AS properties",
        "'{\"email\":\"x\"}' AS properties, 'y' AS email",
    ] {
        let (reason, column) = rejected(columns).await;
        assert_eq!(column.as_deref(), Some("properties"), "{columns}: {reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_that_are_no_text_are_rejected() {
    let (reason, column) = rejected("X'00ff' AS \"Bytes\"").await;
    assert_eq!(column.as_deref(), Some("Bytes"), "{reason}");
    assert!(reason.contains("UTF-8"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_null_of_an_event_is_left_out_whatever_nulls_says() {
    let world = World::new();
    world.set("nulls", "delete").await;
    world
        .rows("INSERT INTO clevertap.events SELECT 'a' AS identity, 'V' AS event_name, 1767225600 AS event_time, NULL::text AS x, 1 AS y")
        .await;
    assert_eq!(world.sent()[0].body, r#"{"d":[{"type":"event","identity":"a","ts":1767225600,"evtName":"V","evtData":{"y":1}}]}"#);
}

#[tokio::test(start_paused = true)]
async fn operators_are_for_profiles_alone() {
    let world = World::new();
    let error = world
        .refused("INSERT INTO clevertap.events SELECT 'a' AS identity, 'V' AS event_name, 1767225600 AS event_time, ct_incr(1) AS x")
        .await;
    assert!(error.contains("$incr") && error.contains("[CT-202]"), "{error}");
    assert!(world.sent().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_type_without_a_value_in_clevertap_is_a_plan_error_with_a_cast() {
    for value in ["INTERVAL '1' day", "TIME '10:00:00'"] {
        let world = World::new();
        let error = world.refused(&format!("INSERT INTO clevertap.profiles SELECT 'a' AS identity, {value} AS x")).await;
        assert!(error.contains("CAST(\"x\" AS text)") && error.contains("[CT-202]"), "{error}");
        assert!(world.sent().is_empty());
    }
}
