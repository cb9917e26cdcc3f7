//! Writes: append, replace, upsert; what is left when a source fails.

use clevertap_databases::{Access, Database};
use datafusion::dataframe::DataFrameWriteOptions;
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::logical_expr::dml::InsertOp;
use serde_json::json;

use crate::server::{refusal, rows, server, session_of, settings, shown};

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_appends_whole_or_not_at_all() {
    let Some(server) = server() else { return };
    server.dataset("append", "CREATE TABLE append.t (id INT64, name STRING, `a b` STRING); CREATE TABLE append.e (id INT64)").await;
    let ctx = server.session();
    let count = shown(&ctx, "INSERT INTO wh.append.t (id, name) VALUES (1, 'ann'), (2, NULL)").await;
    assert!(count.contains("| 2     |"), "{count}");
    rows(&ctx, "INSERT INTO wh.append.t SELECT 3, 'o''clock \\ 😀', 'x'").await.unwrap();
    assert_eq!(server.run("SELECT * FROM append.t ORDER BY id").await, "1,ann,null 2,null,null 3,o'clock \\ 😀,x");
    rows(&ctx, "INSERT INTO wh.append.e SELECT 1 WHERE false").await.unwrap();
    assert_eq!(server.run("SELECT COUNT(*) FROM append.e").await, "0");
    // It fails in the middle.
    for write in ["INSERT INTO", "INSERT OVERWRITE"] {
        let error = refusal(&ctx, &format!("{write} wh.append.e SELECT 10 / (50000 - value) FROM range(1, 100000)")).await;
        assert!(error.to_lowercase().contains("zero"), "{error}");
    }
    assert_eq!(server.run("SELECT COUNT(*) FROM append.e").await, "0");
    assert_eq!(server.staged("append").await, "0");
    for statement in ["DELETE FROM wh.append.t", "TRUNCATE TABLE wh.append.t"] {
        assert!(refusal(&ctx, statement).await.contains("takes INSERT INTO, INSERT OVERWRITE and REPLACE INTO"));
    }
    let ctx = session_of(settings(server.port).with_access(Access::Read));
    let error = refusal(&ctx, "INSERT INTO wh.append.t (id) SELECT 1").await;
    assert!(error.contains("set access = \"write\""), "{error}");
}

/// Row groups and chunks of an upload: 40 MB of rows that do not compress.
#[tokio::test(flavor = "multi_thread")]
async fn many_rows_go_in_chunks_and_arrive_once_each() {
    let Some(server) = server() else { return };
    server.dataset("many", "CREATE TABLE many.t (id INT64, name STRING)").await;
    let ctx = server.session();
    let sql = "INSERT INTO wh.many.t SELECT value, concat(uuid(), uuid()) FROM range(1, 600001)";
    assert!(shown(&ctx, sql).await.contains("| 600000 |"));
    assert_eq!(
        server.run("SELECT COUNT(*), COUNT(DISTINCT id), SUM(id), MIN(LENGTH(name)) FROM many.t").await,
        "600000,600000,180000300000,72"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upsert_takes_the_last_of_each_key() {
    let Some(server) = server() else { return };
    server.dataset("upsert", "").await;
    let field = |name: &str, kind: &str| json!({ "name": name, "type": kind });
    let array = json!({ "name": "a", "type": "INT64", "mode": "REPEATED" });
    let (shop, id, name, f, j, seen) = (
        field("shop", "STRING"),
        field("id", "INT64"),
        field("name", "STRING"),
        field("f", "FLOAT64"),
        field("j", "JSON"),
        field("seen", "STRING"),
    );
    server.table("upsert", "t", json!([shop, id, name, f, j, array, seen])).await;
    server
        .run(
            "INSERT INTO upsert.t (shop, id, name, f, j, a, seen) SELECT 'a', 1, 'ann', CAST(0 AS FLOAT64), JSON '1', [1], 'x'
             UNION ALL SELECT 'a', 2, 'bob', CAST(1 AS FLOAT64), JSON '2', [2], 'y'",
        )
        .await;
    let ctx = server.session();
    let error = refusal(&ctx, "REPLACE INTO wh.upsert.t (id, shop) SELECT 1, 'a'").await;
    assert!(error.contains("it has no primary key") && error.contains("SET database.upsert_key = 'id'"), "{error}");
    ctx.sql("SET database.upsert_key = 'id, shop'").await.unwrap();
    rows(
        &ctx,
        "REPLACE INTO wh.upsert.t (shop, id, name, f, j, a) SELECT column1, column2, column3, column4, column5, column6 FROM (VALUES
             ('a', 1, 'x', 9.0, '9', make_array(1)), ('a', 1, 'Ann', -0.0, '{\"b\":1}', make_array(1)), ('a', 2, 'bob', 1.0, '2', make_array(2)),
             ('b', 1, 'new', 2.0, '2', make_array(2)))",
    )
    .await
    .unwrap();
    let found = "SELECT shop, id, name, CAST(f AS STRING), TO_JSON_STRING(j), seen FROM upsert.t ORDER BY shop, id";
    assert_eq!(server.run(found).await, "a,1,Ann,-0.0,{\"b\":1},x a,2,bob,1.0,2,y b,1,new,2.0,2,null");
    let error = refusal(&ctx, "REPLACE INTO wh.upsert.t (id, shop, name) SELECT 1, NULL, 'x'").await;
    assert!(error.contains("row 1 of the source: \"shop\" which is of the key, is NULL"), "{error}");
    ctx.sql("SET database.upsert_key = 'f'").await.unwrap();
    let error = refusal(&ctx, "REPLACE INTO wh.upsert.t (f, name) SELECT 1.0::double, 'x'").await;
    assert!(error.contains("column \"f\" is FLOAT64, by which BigQuery cannot tell rows apart; SET database.upsert_key"), "{error}");
    ctx.sql("SET database.upsert_key = 'id'").await.unwrap();
    let plan = shown(&ctx, "EXPLAIN REPLACE INTO wh.upsert.t (id, name, j) SELECT 1, 'y', '1'").await;
    for part in [
        "mode=upsert, key=[id]",
        "CREATE TABLE `acme`.`upsert`.`clevertap_stage_…` (`clevertap_row` INT64, `id` INT64, `name` STRING, `j` STRING) OPTIONS(expiration_timestamp",
        "LOAD PARQUET INTO `acme`.`upsert`.`clevertap_stage_…`",
        "QUALIFY ROW_NUMBER() OVER (PARTITION BY s.`id` ORDER BY s.`clevertap_row` DESC) = 1",
        "WHEN MATCHED AND (t.`name` IS DISTINCT FROM s.`name` OR TO_JSON_STRING(t.`j`) IS DISTINCT FROM TO_JSON_STRING(PARSE_JSON(s.`j`)))",
    ] {
        assert!(plan.contains(part), "{part}: {plan}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replace_leaves_the_rows_of_the_source_alone() {
    let Some(server) = server() else { return };
    server.dataset("replace", "CREATE TABLE replace.t AS SELECT i AS id, 'old' AS name FROM UNNEST(GENERATE_ARRAY(1, 2000)) AS i").await;
    let ctx = server.session();
    let sql = "INSERT OVERWRITE wh.replace.t SELECT value, CASE WHEN value % 2 = 0 THEN 'old' ELSE 'new' END FROM range(1, 3001)";
    assert!(shown(&ctx, sql).await.contains("| 3000  |"));
    assert_eq!(server.run("SELECT COUNT(*), COUNTIF(name = 'new'), SUM(id) FROM replace.t").await, "3000,1500,4501500");
    // From itself.
    rows(&ctx, "INSERT OVERWRITE wh.replace.t SELECT id, upper(name) FROM wh.replace.t WHERE id <= 2").await.unwrap();
    assert_eq!(server.run("SELECT * FROM replace.t ORDER BY id").await, "1,NEW 2,OLD");
    rows(&ctx, "INSERT OVERWRITE wh.replace.t SELECT 1, 'x' WHERE false").await.unwrap();
    assert_eq!(server.run("SELECT COUNT(*) FROM replace.t").await, "0");
    assert_eq!(server.staged("replace").await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_not_there_is_made_if_that_was_asked_for() {
    let Some(server) = server() else { return };
    server.dataset("made", "").await;
    let source = "SELECT 1::bigint AS id, 'ann' AS name, 1.50::decimal(10, 2) AS paid, arrow_cast('2026-01-01T00:00:00Z', 'Timestamp(Nanosecond, Some(\"UTC\"))') AS \"At_\", 7::tinyint AS small,
        make_array(1, 2) AS list, DATE '2026-01-01' AS day, true AS yes, 184467440737::bigint unsigned AS big, named_struct('x', 1, 'y', 'z') AS st";
    let strict = Database::open(settings(server.port)).unwrap();
    assert!(strict.table("made", "t").await.map(|_| ()).unwrap_err().to_string().contains("create = true lets a write make it"));
    let settings = settings(server.port).with_create(true);
    let ctx = session_of(settings.clone());
    ctx.sql(source).await.unwrap().write_table("wh.made.t", DataFrameWriteOptions::new()).await.unwrap();
    assert_eq!(
        server.run("SELECT STRING_AGG(CONCAT(column_name, ' ', data_type), ', ' ORDER BY ordinal_position) FROM made.INFORMATION_SCHEMA.COLUMNS").await,
        "id INT64, name STRING, paid NUMERIC, At_ TIMESTAMP, small INT64, list ARRAY<INT64>, day DATE, yes BOOL, big NUMERIC, st STRUCT<x INT64, y STRING>"
    );
    let back = shown(&ctx, "SELECT id, name, paid, big, list, st FROM wh.made.t").await;
    assert!(back.contains("184467440737") && back.contains("{x: 1, y: z}"), "{back}");
    // An upsert makes it of the last row of each key.
    ctx.sql("SET database.upsert_key = 'id'").await.unwrap();
    let plan =
        ctx.sql("SELECT column1 AS id, column2 AS name FROM (VALUES (1, 'x'), (2, 'y'), (1, 'z'))").await.unwrap().into_unoptimized_plan();
    let target = provider_as_source(Database::open(settings).unwrap().table("made", "u").await.unwrap());
    let plan = LogicalPlanBuilder::insert_into(plan, "wh.made.u", target, InsertOp::Replace).unwrap().build().unwrap();
    ctx.execute_logical_plan(plan).await.unwrap().collect().await.unwrap();
    assert_eq!(server.run("SELECT * FROM made.u ORDER BY id").await, "1,z 2,y");
    let failing = ctx.sql("SELECT 10 / (value - 50000) AS x FROM range(1, 100000)").await.unwrap();
    assert!(failing.write_table("wh.made.nothing", DataFrameWriteOptions::new()).await.is_err());
    let error = ctx.sql("SELECT 1 AS x").await.unwrap().write_table("wh.nowhere.t", DataFrameWriteOptions::new()).await.unwrap_err();
    assert!(error.to_string().contains("it is not there: Not found: dataset:acme.nowhere. Look at project, dataset"), "{error}");
    assert_eq!(server.run("SELECT STRING_AGG(table_name ORDER BY table_name) FROM made.INFORMATION_SCHEMA.TABLES").await, "t,u");
}
