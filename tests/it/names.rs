//! "Names must be meant" (design.md 3.2): what a write refuses for its names, and the statements through which names come.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::record_batch::RecordBatch;
use clevertap_emulator::Settings;
use datafusion::assert_batches_eq;
use datafusion::dataframe::DataFrameWriteOptions;
use datafusion_clevertap::{Access, Error};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use crate::world::{Target, World, text_of};

/// Refused before anything was sent, with a text that holds all of these.
async fn refused(sql: &str, words: &[&str]) {
    let world = World::new();
    world.source(3);
    let error = world.refused(sql).await;
    for word in words {
        assert!(error.contains(word), "{sql}\n{error}\nlacks {word:?}");
    }
    assert!(world.sent().is_empty(), "{sql} sent something");
}

#[tokio::test(start_paused = true)]
async fn an_expression_without_a_name_is_refused_with_the_fix() {
    refused("INSERT INTO clevertap.profiles SELECT 'a' AS identity, upper('x')", &["AS", "[CT-202]"]).await;
    refused("INSERT INTO clevertap.profiles SELECT concat('p', n) AS identity, n + 1 FROM source", &["AS", "[CT-202]"]).await;
}

#[tokio::test(start_paused = true)]
async fn values_without_a_column_list_are_refused_with_the_fix() {
    refused("INSERT INTO clevertap.profiles VALUES ('a', 'b')", &["(identity, …) VALUES", "[CT-202]"]).await;
    refused("INSERT INTO clevertap.profiles SELECT * FROM (VALUES ('a', 'b'))", &["column1", "[CT-202]"]).await;
}

#[tokio::test(start_paused = true)]
async fn an_unquoted_alias_with_capitals_is_refused_with_the_fix() {
    refused("INSERT INTO clevertap.profiles SELECT 'a' AS identity, 'gold' AS Plan", &["AS \"Plan\"", "[CT-202]"]).await;
    refused("INSERT INTO clevertap.profiles SELECT 'a' AS identity, 'gold' Plan", &["AS \"Plan\"", "[CT-202]"]).await;
}

#[tokio::test(start_paused = true)]
async fn two_columns_for_one_field_are_refused() {
    refused(
        "INSERT INTO clevertap.profiles SELECT 'a' AS identity, 'x@y.org' AS email, 'z@y.org' AS \"EMAIL\"",
        &["email", "EMAIL", "[CT-202]"],
    )
    .await;
    refused(
        "INSERT INTO clevertap.profiles SELECT 'a' AS identity, 'x' AS customer_type, 'y' AS \"Customer Type\"",
        &["customer_type", "[CT-202]"],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn two_identifiers_are_refused_and_none_too() {
    refused("INSERT INTO clevertap.profiles SELECT 'a' AS identity, 'b' AS object_id", &["identity", "object_id", "[CT-202]"]).await;
    refused("INSERT INTO clevertap.profiles SELECT 'a' AS identity, NULL AS gpid", &["identity", "gpid", "[CT-202]"]).await;
    refused("INSERT INTO clevertap.profiles SELECT 'Ada' AS name", &["identity", "[CT-202]"]).await;
    refused("INSERT INTO clevertap.events SELECT 'Viewed' AS event_name, 1767225600 AS event_time", &["identity", "[CT-202]"]).await;
}

#[tokio::test(start_paused = true)]
async fn columns_that_only_reads_have_are_refused() {
    for column in ["platforms", "events", "all_identities"] {
        refused(&format!("INSERT INTO clevertap.profiles SELECT 'a' AS identity, 'x' AS {column}"), &[column, "[CT-202]"]).await;
    }
    for column in ["name", "platform", "model", "session", "os_version"] {
        refused(
            &format!(
                "INSERT INTO clevertap.events SELECT 'a' AS identity, 'Viewed' AS event_name, 1767225600 AS event_time, 'x' AS {column}"
            ),
            &[column, "properties", "[CT-202]"],
        )
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_needs_a_name_and_a_time() {
    refused("INSERT INTO clevertap.events SELECT 'a' AS identity, 1767225600 AS event_time", &["event_name", "[CT-202]"]).await;
    refused("INSERT INTO clevertap.events SELECT 'a' AS identity, 'Viewed' AS event_name", &["event_time", "[CT-202]"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_name_that_clevertap_cannot_keep_is_a_plan_error() {
    let long = "k".repeat(121);
    refused(&format!("INSERT INTO clevertap.profiles SELECT 'a' AS identity, 'x' AS \"{long}\""), &["120", "[CT-202]"]).await;
    refused("INSERT INTO clevertap.profiles SELECT 'a' AS identity, 'x' AS \"a.b\"", &["a.b", "[CT-202]"]).await;
    refused("INSERT INTO clevertap.profiles SELECT 'a' AS identity, 'x' AS \"a#b\"", &["a#b", "[CT-202]"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_float_or_a_date_is_no_identifier() {
    refused("INSERT INTO clevertap.profiles SELECT 1.5::double AS identity", &["identity", "[CT-202]"]).await;
    refused("INSERT INTO clevertap.profiles SELECT 1.5::decimal(5,2) AS identity", &["identity", "[CT-202]"]).await;
    refused("INSERT INTO clevertap.profiles SELECT DATE '2026-01-01' AS identity", &["identity", "[CT-202]"]).await;
}

#[tokio::test(start_paused = true)]
async fn items_belong_to_charged_alone() {
    refused(
        "INSERT INTO clevertap_events.\"Viewed\" SELECT 'a' AS identity, 1767225600 AS event_time, '[{\"Name\":\"tea\"}]' AS items",
        &["items", "Charged"],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_column_list_gives_the_names() {
    let world = World::new();
    world.rows("INSERT INTO clevertap.profiles (identity, \"Plan\", email) VALUES ('a', 'gold', 'a@example.org')").await;
    assert_eq!(world.sent()[0].body, r#"{"d":[{"type":"profile","identity":"a","profileData":{"Plan":"gold","Email":"a@example.org"}}]}"#);
}

#[tokio::test(start_paused = true)]
async fn explain_shows_source_field_and_kind_without_a_request() {
    let world = World::new();
    world.source(3);
    let rows = world
        .rows("EXPLAIN INSERT INTO clevertap.profiles SELECT concat('p', n) AS identity, 'x@example.org' AS email, 'secret-value' AS \"Plan\" FROM source")
        .await;
    let text = arrow::util::pretty::pretty_format_batches(&rows).expect("a table").to_string();
    for word in ["identity", "email", "Email", "Plan", "standard", "custom"] {
        assert!(text.contains(word), "{text}\nlacks {word:?}");
    }
    assert!(world.sent().is_empty());
    assert!(world.account.runs().is_empty(), "EXPLAIN is no run");
}

#[tokio::test(start_paused = true)]
async fn prepare_and_execute_insert_by_name() {
    let world = World::new();
    world.rows("PREPARE add AS INSERT INTO clevertap.profiles SELECT $1::text AS identity, $2::text AS \"Plan\"").await;
    world.rows("EXECUTE add('a', 'gold')").await;
    world.rows("EXECUTE add('b', 'silver')").await;
    assert_eq!(
        world.sent().into_iter().map(|call| call.body).collect::<Vec<_>>(),
        [
            r#"{"d":[{"type":"profile","identity":"a","profileData":{"Plan":"gold"}}]}"#,
            r#"{"d":[{"type":"profile","identity":"b","profileData":{"Plan":"silver"}}]}"#,
        ]
    );
}

/// Runs a statement without the wrapper.
async fn plain(world: &World, sql: &str) -> datafusion::error::Result<Vec<RecordBatch>> {
    world.ctx.sql(sql).await?.collect().await
}

#[tokio::test(start_paused = true)]
async fn plain_sql_is_never_matched_by_position() {
    let world = World::new();
    let columns = world.ctx.table("clevertap.device_tokens").await.expect("a table").schema().fields().len();
    let values: Vec<_> = (1..=columns).map(|n| format!("'x' AS c{n}")).collect();
    let values = values.join(", ");
    let error = text_of(plain(&world, &format!("INSERT INTO clevertap.device_tokens SELECT {values}")).await);
    for remedy in ["clevertap_sql", "COPY", "write_table"] {
        assert!(error.contains(remedy), "{error}\nlacks {remedy}");
    }
    assert!(world.sent().is_empty());
}

#[tokio::test(start_paused = true)]
async fn plain_sql_with_a_column_list_sends_the_listed_columns_alone() {
    let world = World::new();
    world.set("nulls", "delete").await;
    plain(&world, "INSERT INTO clevertap.profiles (identity, email, name) VALUES ('a', 'a@example.org', NULL)").await.expect("inserted");
    assert_eq!(
        world.sent()[0].body,
        r#"{"d":[{"type":"profile","identity":"a","profileData":{"Name":{"$delete":1},"Email":"a@example.org"}}]}"#
    );
}

#[tokio::test(start_paused = true)]
async fn plain_sql_with_another_number_of_columns_keeps_datafusions_own_error() {
    let world = World::new();
    let error = text_of(plain(&world, "INSERT INTO clevertap.profiles SELECT 'a' AS identity").await);
    assert!(error.contains("Column count doesn't match insert query!"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn copy_writes_with_options_of_its_own() {
    let world = World::new();
    plain(
        &world,
        "COPY (SELECT * FROM (VALUES ('a', 'gold'), (NULL, 'none')) AS v(identity, \"Plan\"))
         TO 'clevertap://clevertap/profiles' STORED AS CLEVERTAP OPTIONS (on_reject 'skip', run_label 'copied')",
    )
    .await
    .expect("copied");
    let run = world.last_run();
    assert_eq!((run.label.as_str(), run.tally.accepted, run.tally.rejected, world.emulator.profiles_stored()), ("copied", 1, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn copy_to_what_is_not_there_lists_what_is() {
    let world = World::new();
    let account = text_of(plain(&world, "COPY (SELECT 'a' AS identity) TO 'clevertap://other/profiles' STORED AS CLEVERTAP").await);
    assert!(account.contains("other") && account.contains("clevertap"), "{account}");
    let table = text_of(plain(&world, "COPY (SELECT 'a' AS identity) TO 'clevertap://clevertap/people' STORED AS CLEVERTAP").await);
    assert!(table.contains("people") && table.contains("clevertap://"), "{table}");
    let option = text_of(
        plain(&world, "COPY (SELECT 'a' AS identity) TO 'clevertap://clevertap/profiles' STORED AS CLEVERTAP OPTIONS (on_rejects 'skip')")
            .await,
    );
    assert!(option.contains("on_rejects") && option.contains("on_reject,"), "{option}");
    assert!(world.sent().is_empty());
}

#[tokio::test(start_paused = true)]
async fn write_table_takes_names_as_they_are() {
    let world = World::new();
    let frame = world.ctx.sql("SELECT 'a' AS identity, 'gold' AS \"Plan\"").await.expect("planned");
    frame.write_table("clevertap.profiles", DataFrameWriteOptions::new()).await.expect("written");
    assert_eq!(world.emulator.profile("a").expect("a person")["profileData"]["Plan"], "gold");
}

#[tokio::test(start_paused = true)]
async fn an_external_table_has_a_fixed_schema() {
    let world = World::new();
    plain(
        &world,
        "CREATE EXTERNAL TABLE people (identity TEXT, \"Plan\" TEXT, \"Score\" DOUBLE) STORED AS CLEVERTAP LOCATION 'clevertap://clevertap/profiles'",
    )
    .await
    .expect("created");
    plain(&world, "INSERT INTO people (identity, \"Score\") VALUES ('a', 1.5)").await.expect("inserted");
    world.rows("INSERT INTO people SELECT 'b' AS identity, 'gold' AS \"Plan\", 2.5 AS \"Score\"").await;
    assert_eq!(
        world.sent().into_iter().map(|call| call.body).collect::<Vec<_>>(),
        [
            r#"{"d":[{"type":"profile","identity":"a","profileData":{"Score":1.5}}]}"#,
            r#"{"d":[{"type":"profile","identity":"b","profileData":{"Plan":"gold","Score":2.5}}]}"#,
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn any_event_name_is_a_table() {
    let world = World::new();
    world
        .rows("INSERT INTO clevertap_events.\"Größter Einkauf 2026\" SELECT 'a' AS identity, 1767225600 AS event_time, 12 AS \"Amount\"")
        .await;
    assert_eq!(
        world.sent()[0].body,
        r#"{"d":[{"type":"event","identity":"a","ts":1767225600,"evtName":"Größter Einkauf 2026","evtData":{"Amount":12}}]}"#
    );
    refused("INSERT INTO clevertap_events.\"a:b\" SELECT 'a' AS identity, 1767225600 AS event_time", &["a:b"]).await;
}

#[tokio::test(start_paused = true)]
async fn what_clevertap_has_no_call_for_is_refused() {
    refused(
        "INSERT OVERWRITE clevertap.events SELECT 'a' AS identity, 'V' AS event_name, 1 AS event_time",
        &["INSERT INTO only", "[CT-203]"],
    )
    .await;
    refused("REPLACE INTO clevertap.profiles SELECT 'a' AS identity", &["INSERT INTO only", "[CT-203]"]).await;
    refused("INSERT INTO clevertap.profiles (identity) VALUES ('a') ON CONFLICT DO NOTHING", &["ON CONFLICT"]).await;
    refused("INSERT INTO clevertap.profiles (identity) VALUES ('a') RETURNING identity", &["RETURNING"]).await;
    refused(
        "INSERT INTO clevertap.phone_disassociations VALUES ('+14155550100')",
        &["INSERT INTO clevertap.phone_disassociations (phone) VALUES"],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_table_that_is_not_there_is_named() {
    refused("INSERT INTO clevertap.people SELECT 'a' AS identity", &["people"]).await;
    refused("SELECT * FROM clevertap.people", &["people"]).await;
}

#[tokio::test(start_paused = true)]
async fn read_only_access_refuses_every_write() {
    let world = World::open(Settings::default(), |account| account.access = Access::Read);
    let mut texts = vec![
        text_of(world.run("INSERT INTO clevertap.profiles SELECT 'a' AS identity").await),
        text_of(plain(&world, "INSERT INTO clevertap.profiles (identity) VALUES ('a')").await),
        text_of(plain(&world, "COPY (SELECT 'a' AS identity) TO 'clevertap://clevertap/profiles' STORED AS CLEVERTAP").await),
        text_of(world.run("INSERT INTO clevertap_events.\"V\" SELECT 'a' AS identity, 1767225600 AS event_time").await),
    ];
    let frame = world.ctx.sql("SELECT 'a' AS identity").await.expect("planned");
    texts.push(text_of(frame.write_table("clevertap.profiles", DataFrameWriteOptions::new()).await));
    assert!(texts.iter().all(|text| text.contains("[CT-301]") && text.contains("read")), "{texts:#?}");
    assert!(world.sent().is_empty());
    world.rows("SELECT * FROM clevertap.profiles WHERE identity = 'a'").await;
}

#[tokio::test(start_paused = true)]
async fn all_kinds_of_sources_can_be_inserted() {
    for (source, people) in [
        ("SELECT 'a' AS identity UNION ALL SELECT 'b' AS identity", 2),
        ("SELECT concat('p', n) AS identity FROM source ORDER BY n DESC", 5),
        ("SELECT concat('p', n) AS identity FROM source LIMIT 2", 2),
        ("WITH top AS (SELECT n FROM source WHERE n > 2) SELECT concat('p', n) AS identity FROM top", 3),
        ("SELECT concat('p', n % 2) AS identity, count(*) AS \"Times\" FROM source GROUP BY 1", 2),
        ("SELECT concat('p', a.n) AS identity FROM source a JOIN source b ON a.n = b.n + 1", 4),
    ] {
        let world = World::new();
        world.source(5);
        world.rows(&format!("INSERT INTO clevertap.profiles {source}")).await;
        assert_eq!(world.emulator.profiles_stored(), people, "{source}");
    }
}

#[tokio::test(start_paused = true)]
async fn row_number_is_the_files_row() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rows.parquet");
    let rows = 20_000;
    let names: ArrayRef = Arc::new(StringArray::from_iter_values((1..=rows).map(|n| format!("p{n}"))));
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(1..=rows));
    let batch = RecordBatch::try_from_iter([("identity", names), ("n", numbers)]).expect("a batch");
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(700)).build();
    let mut writer =
        ArrowWriter::try_new(std::fs::File::create(&path).expect("a file"), batch.schema(), Some(properties)).expect("a writer");
    writer.write(&batch).expect("written");
    writer.close().expect("closed");

    let world = World::new();
    world.set("on_reject", "skip").await;
    world.ctx.register_parquet("people", path.to_str().expect("text"), Default::default()).await.expect("registered");
    world
        .rows("INSERT INTO clevertap.profiles SELECT identity, CASE WHEN n % 5000 = 77 THEN 'nope' ELSE 'a@example.org' END AS email FROM people")
        .await;
    let failed = world.rows("SELECT row_number, identifier FROM clevertap.failed_rows ORDER BY row_number").await;
    assert_batches_eq!(
        [
            "+------------+------------+",
            "| row_number | identifier |",
            "+------------+------------+",
            "| 77         | p77        |",
            "| 5077       | p5077      |",
            "| 10077      | p10077     |",
            "| 15077      | p15077     |",
            "+------------+------------+",
        ],
        &failed
    );
}

#[tokio::test(start_paused = true)]
async fn two_accounts_have_two_names() {
    let world = World::new();
    let other = World::new();
    datafusion_clevertap::register(&world.ctx, "india", other.account.clone()).expect("registered");
    world.rows("INSERT INTO india.profiles SELECT 'a' AS identity").await;
    world.rows("INSERT INTO india_events.\"V\" SELECT 'a' AS identity, 1767225600 AS event_time").await;
    world.rows("COPY (SELECT 'b' AS identity) TO 'clevertap://india/profiles' STORED AS CLEVERTAP").await;
    assert_eq!((world.emulator.report().requests, other.emulator.profiles_stored(), other.emulator.events_stored()), (0, 2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_typed_error_is_found_in_what_the_session_returns() {
    let world = Target::Profiles.world(3);
    let error = world.run(&Target::Profiles.insert("n = 2")).await.expect_err("a reject");
    assert_eq!(Error::find(&error).and_then(Error::tally).map(|tally| (tally.accepted, tally.rejected)), Some((2, 1)));
}

#[tokio::test(start_paused = true)]
async fn plain_sql_whose_names_are_the_tables_needs_no_column_list() {
    let world = World::with(Settings { devices: crate::world::devices(&["__g1"]), ..Settings::default() });
    let names: Vec<_> = world
        .ctx
        .table("clevertap.device_tokens")
        .await
        .expect("a table")
        .schema()
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect();
    let value = |name: &String| match name.as_str() {
        "object_id" => "'__g1' AS object_id".to_owned(),
        "token_type" => "'fcm' AS token_type".to_owned(),
        "token" => "'t1' AS token".to_owned(),
        other => format!("NULL AS {other}"),
    };
    let list: Vec<_> = names.iter().map(value).collect();
    plain(&world, &format!("INSERT INTO clevertap.device_tokens SELECT {}", list.join(", "))).await.expect("inserted");
    assert_eq!(world.emulator.tokens_stored(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_copy_keeps_the_files_order_too() {
    let world = World::new();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rows.parquet");
    let batch = crate::world::numbered(&(1..=20_000).collect::<Vec<_>>());
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(700)).build();
    let mut writer =
        ArrowWriter::try_new(std::fs::File::create(&path).expect("a file"), batch.schema(), Some(properties)).expect("a writer");
    writer.write(&batch).expect("written");
    writer.close().expect("closed");
    world.ctx.register_parquet("numbers", path.to_str().expect("text"), Default::default()).await.expect("registered");
    world.set("on_reject", "skip").await;
    world
        .rows(
            "COPY (SELECT concat('p', n) AS identity, CASE WHEN n % 5000 = 77 THEN 'nope' ELSE 'a@example.org' END AS email FROM numbers)
             TO 'clevertap://clevertap/profiles' STORED AS CLEVERTAP",
        )
        .await;
    let mut failed: Vec<_> = world.account.failed_rows().into_iter().map(|row| row.row_number).collect();
    failed.sort_unstable();
    assert_eq!(failed, [77, 5_077, 10_077, 15_077]);
}
