//! How rows come in besides a statement of `clevertap_sql`: files in their order, COPY, `DataFrame::write_table`, EXECUTE, a second account.
//! What a plain session says in SQL is `slt/plain_session.slt`.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use clevertap_emulator::Settings;
use datafusion::assert_batches_eq;
use datafusion::dataframe::DataFrameWriteOptions;
use datafusion::error::Result;
use datafusion_clevertap::{Access, Error};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use crate::seed::lines;
use crate::world::{Target, World, text_of};

/// Runs a statement through `ctx.sql`.
async fn plain(world: &World, sql: &str) -> Result<Vec<RecordBatch>> {
    world.ctx.sql(sql).await?.collect().await
}

#[tokio::test(start_paused = true)]
async fn write_table_takes_names_as_they_are() {
    let world = World::new();
    let frame = world.ctx.sql("SELECT 'a' AS identity, 'gold' AS \"Plan\"").await.expect("planned");
    frame.write_table("clevertap.profiles", DataFrameWriteOptions::new()).await.expect("written");
    assert_eq!(world.emulator.profile("a").expect("a person")["profileData"]["Plan"], "gold");
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
    datafusion_clevertap::register(&world.ctx, "india", &other.account).expect("registered");
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

#[tokio::test(start_paused = true)]
async fn a_prepared_insert_keeps_the_order_of_its_files() {
    let (world, folder) = (World::new(), tempfile::tempdir().expect("a folder"));
    for part in 0..4 {
        let rows: String = (0..3_000).map(|n| format!("{}\n", if n == 2_999 { String::new() } else { format!("p{part}-{n}") })).collect();
        std::fs::write(folder.path().join(format!("{part}.csv")), format!("id,n\n{}", rows.replace('\n', ",1\n"))).expect("written");
    }
    world.set("on_reject", "skip").await;
    let table = format!(
        "CREATE EXTERNAL TABLE t (id TEXT, n INT) STORED AS CSV LOCATION '{}' OPTIONS ('format.has_header' 'true')",
        folder.path().display()
    );
    world.rows(&table).await;
    world.rows("PREPARE p(text) AS INSERT INTO clevertap.profiles SELECT id AS identity, $1 AS \"Src\" FROM t").await;
    world.rows("EXECUTE p('x')").await;
    let failed = lines(&world.rows("SELECT row_number FROM clevertap.failed_rows").await);
    assert_eq!(failed, ["| 12000 |", "| 3000 |", "| 6000 |", "| 9000 |"]);
}
