//! Reads: types, pages, queries that fail, names.

use arrow::util::display::array_value_to_string;
use futures::StreamExt;
use serde_json::json;

use crate::server::{refusal, rows, server, shown};

#[tokio::test(flavor = "multi_thread")]
async fn values_of_the_server_are_read_exactly() {
    let Some(server) = server() else { return };
    server
        .dataset(
            "exact",
            "CREATE TABLE exact.t (i INT64 NOT NULL, f FLOAT64, n NUMERIC(38, 9), b BOOL, s STRING, y BYTES, da DATE, dt DATETIME, ts TIMESTAMP, ti TIME, j JSON,
                 a ARRAY<INT64>, r STRUCT<x INT64, w TIMESTAMP, l ARRAY<STRING>>, ra ARRAY<STRUCT<x STRING, n NUMERIC>>);
             INSERT INTO exact.t SELECT -9223372036854775807, CAST('nan' AS FLOAT64), NUMERIC '-12.5', true,
                 'ü\\n😀 it\\'s', FROM_HEX('00ff'), DATE '0001-01-01', DATETIME '9999-12-31 23:59:59.999999', TIMESTAMP '1900-01-01 00:00:00.123456+05:30',
                 TIME '23:59:59.999999', JSON '{\"a\": [1, null]}', [1, 2], STRUCT(1 AS x, TIMESTAMP '2020-01-01 00:00:00.000001+00' AS w,
                 ['p', 'q'] AS l), [STRUCT('x' AS x, NUMERIC '1.5' AS n)]",
        )
        .await;
    let ctx = server.session();
    let batches = rows(&ctx, "SELECT * FROM wh.exact.t").await.unwrap();
    let mut read = String::new();
    for (field, column) in batches[0].schema().fields().iter().zip(batches[0].columns()) {
        read.push_str(&format!("{} {} = {}\n", field.name(), field.data_type(), array_value_to_string(column, 0).unwrap()));
    }
    for (read, exact) in read.lines().zip(EXACT.lines()) {
        assert_eq!(read, exact);
    }
    assert_eq!(read.lines().count(), EXACT.lines().count());
    server.run("INSERT INTO exact.t (i) VALUES (1)").await;
    let batches = rows(&ctx, "SELECT * FROM wh.exact.t WHERE i = 1").await.unwrap();
    let nulls: Vec<_> = batches[0].columns().iter().map(|column| column.logical_null_count()).collect();
    // All but the number, and the two arrays: one that is NULL is one without elements there.
    assert_eq!(nulls.iter().filter(|nulls| **nulls == 1).count(), nulls.len() - 3, "{nulls:?}");
}

const EXACT: &str = "\
i Int64 = -9223372036854775807
f Float64 = NaN
n Decimal128(38, 9) = -12.500000000
b Boolean = true
s Utf8 = ü
😀 it's
y Binary = 00ff
da Date32 = 0001-01-01
dt Timestamp(µs) = 9999-12-31T23:59:59.999999
ts Timestamp(µs, \"UTC\") = 1899-12-31T18:30:00.123456Z
ti Time64(µs) = 23:59:59.999999
j Utf8 = {\"a\":[1,null]}
a List(Int64) = [1, 2]
r Struct(\"x\": Int64, \"w\": Timestamp(µs, \"UTC\"), \"l\": List(Utf8)) = {x: 1, w: 2020-01-01T00:00:00.000001Z, l: [p, q]}
ra List(Struct(\"x\": Utf8, \"n\": Decimal128(38, 9))) = [{x: x, n: 1.500000000}]
";

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_several_pages_come_whole_and_in_batches() {
    let Some(server) = server() else { return };
    server
        .dataset(
            "pages",
            "CREATE TABLE pages.t AS SELECT i AS id, CONCAT('n', CAST(i AS STRING)) AS name FROM UNNEST(GENERATE_ARRAY(1, 120000)) AS i",
        )
        .await;
    let ctx = server.session();
    let read = shown(&ctx, "SELECT count(*) AS n, sum(id) AS s, count(DISTINCT name) AS d FROM wh.pages.t").await;
    assert!(read.contains("| 120000 | 7200060000 | 120000 |"), "{read}");
    assert!(shown(&ctx, "SELECT count(*) AS n FROM (SELECT id FROM wh.pages.t LIMIT 60000)").await.contains("| 60000 |"));
    let mut stream = ctx.sql("SELECT * FROM wh.pages.t").await.unwrap().execute_stream().await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap().num_rows(), 100);
    drop(stream);
    assert!(shown(&ctx, "SELECT id FROM wh.pages.t WHERE id = 77").await.contains("| 77 |"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_is_read_and_written_as_text() {
    let Some(server) = server() else { return };
    server.dataset("places", "").await;
    let fields = json!([{ "name": "id", "type": "INT64" }, { "name": "g", "type": "GEOGRAPHY" }]);
    server.table("places", "t", fields).await;
    let ctx = server.session();
    rows(&ctx, "INSERT INTO wh.places.t VALUES (1, 'POINT(1 2)'), (2, NULL)").await.unwrap();
    let read = shown(&ctx, "SELECT * FROM wh.places.t ORDER BY id").await;
    assert!(read.contains("| 1  | POINT (1 2) |") && read.contains("| 2  |             |"), "{read}");
}

/// It is answered with 200, and with no row.
#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_fails_is_an_error_and_no_empty_answer() {
    let Some(server) = server() else { return };
    server
        .dataset("fails", "CREATE TABLE fails.t AS SELECT 'hunter2' AS s; CREATE VIEW fails.v AS SELECT CAST(s AS INT64) AS n FROM fails.t")
        .await;
    let ctx = server.session();
    let error = refusal(&ctx, "SELECT * FROM wh.fails.v").await;
    assert!(
        error.contains("wh.fails.v: BigQuery refused the job") && error.contains("bq show -j acme:") && error.ends_with("[DB-303]"),
        "{error}"
    );
    assert!(!error.contains("hunter2"), "{error}");
    let error = refusal(&ctx, "SELECT * FROM wh.fails.missing").await;
    assert!(error.contains("'wh.fails.missing' not found"), "{error}");
    let listed =
        shown(&ctx, "SELECT table_name, table_type FROM information_schema.tables WHERE table_catalog = 'wh' AND table_schema = 'fails'")
            .await;
    assert!(listed.contains("| t          | BASE TABLE |") && listed.contains("| v          | VIEW       |"), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pushed_is_shown_without_its_values() {
    let Some(server) = server() else { return };
    server.dataset("pushed", "CREATE TABLE pushed.t (id INT64, email STRING, born DATE, `a b` STRING)").await;
    let ctx = server.session();
    let plan = shown(
        &ctx,
        "EXPLAIN SELECT id FROM wh.pushed.t WHERE email = 'ann@acme.example' AND born < DATE '2000-01-01' AND \"a b\" LIKE 'x%'",
    )
    .await;
    let sql = "sql=SELECT `id`, `email`, `born`, `a b` FROM `acme`.`pushed`.`t` WHERE `born` < … AND `email` = …";
    assert!(plan.contains(sql) && !plan.contains("ann@acme.example' AND `"), "{plan}");
    let plan = shown(&ctx, "EXPLAIN SELECT id FROM wh.pushed.t LIMIT 3").await;
    assert!(plan.contains("sql=SELECT `id` FROM `acme`.`pushed`.`t` LIMIT 3"), "{plan}");
}
